-- Where a sealed value belongs: what it is bound to is needed to seal it anew. Data keys are walked over all projects.
ALTER TABLE @secrets
    ADD COLUMN owner_kind TEXT COLLATE "C" NOT NULL DEFAULT 'project',
    ADD COLUMN owner_id UUID NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    ADD COLUMN field TEXT NOT NULL DEFAULT '';
DROP INDEX @secrets_key;
CREATE INDEX secrets_key ON @secrets (key_id, project_id, id, revision);
