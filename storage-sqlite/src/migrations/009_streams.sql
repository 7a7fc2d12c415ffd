-- What a failing event holds back, and how much a reader may have at a time, for how many seconds.
ALTER TABLE consumers ADD COLUMN ordering TEXT NOT NULL DEFAULT 'project';
ALTER TABLE consumers ADD COLUMN batch_size INTEGER NOT NULL DEFAULT 100;
ALTER TABLE consumers ADD COLUMN handler_timeout INTEGER NOT NULL DEFAULT 30;

-- The stream whose order a letter keeps. One with `waits_until` is not given up on: it is tried again then; one that is held waits for
-- an earlier one of its stream.
ALTER TABLE dead_letters ADD COLUMN stream_kind TEXT;
ALTER TABLE dead_letters ADD COLUMN stream_id BLOB;
ALTER TABLE dead_letters ADD COLUMN waits_until INTEGER;
ALTER TABLE dead_letters ADD COLUMN is_held INTEGER NOT NULL DEFAULT 0;
CREATE INDEX dead_letters_stream ON dead_letters (project_id, name, stream_kind, stream_id, seq) WHERE stream_id IS NOT NULL;
CREATE INDEX dead_letters_waiting ON dead_letters (project_id, name, seq) WHERE waits_until IS NOT NULL;
