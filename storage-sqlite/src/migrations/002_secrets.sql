-- Sealed values, apart from the log so that they can be destroyed. `key_id` names the key that a value is sealed under.
CREATE TABLE secrets (
    project_id BLOB NOT NULL,
    id BLOB NOT NULL,
    revision INTEGER NOT NULL,
    key_id TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, id, revision)
) WITHOUT ROWID;
CREATE INDEX secrets_key ON secrets (project_id, key_id);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('secrets', 'secrets', '10000 20 2 1'),
    ('secrets', 'secrets_key', '10000 20 10 2 1');
ANALYZE sqlite_schema;
