-- Where a sealed value belongs: what it is bound to is needed to seal it anew. Data keys are walked over all projects.
ALTER TABLE secrets ADD COLUMN owner_kind TEXT NOT NULL DEFAULT 'project';
ALTER TABLE secrets ADD COLUMN owner_id BLOB NOT NULL DEFAULT x'00000000000000000000000000000000';
ALTER TABLE secrets ADD COLUMN field TEXT NOT NULL DEFAULT '';
DROP INDEX secrets_key;
CREATE INDEX secrets_key ON secrets (key_id, project_id, id, revision);
DELETE FROM sqlite_stat1 WHERE tbl = 'secrets' AND idx = 'secrets_key';
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('secrets', 'secrets_key', '10000 100 10 2 1');
ANALYZE sqlite_schema;
