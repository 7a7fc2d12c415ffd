-- `active`, or `paused`: nobody can claim it.
ALTER TABLE consumers ADD COLUMN status TEXT NOT NULL DEFAULT 'active';
-- One more for every time the consumer began anew.
ALTER TABLE consumers ADD COLUMN generation INTEGER NOT NULL DEFAULT 1;

-- 1 for what is to be tried again.
ALTER TABLE dead_letters ADD COLUMN retrying INTEGER NOT NULL DEFAULT 0;
CREATE INDEX dead_letters_retrying ON dead_letters (project_id, name, seq) WHERE retrying = 1;
