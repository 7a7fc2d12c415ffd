-- What a failing event holds back, and how much a reader may have at a time, for how many seconds.
ALTER TABLE @consumers
    ADD COLUMN ordering TEXT COLLATE "C" NOT NULL DEFAULT 'project',
    ADD COLUMN batch_size BIGINT NOT NULL DEFAULT 100,
    ADD COLUMN handler_timeout BIGINT NOT NULL DEFAULT 30;

-- The stream whose order a letter keeps. One with `waits_until` is not given up on: it is tried again then; one that is held waits for
-- an earlier one of its stream.
ALTER TABLE @dead_letters
    ADD COLUMN stream_kind TEXT COLLATE "C",
    ADD COLUMN stream_id UUID,
    ADD COLUMN waits_until TIMESTAMPTZ,
    ADD COLUMN is_held BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX dead_letters_stream ON @dead_letters (project_id, name, stream_kind, stream_id, seq)
    WHERE stream_id IS NOT NULL;
CREATE INDEX dead_letters_waiting ON @dead_letters (project_id, name, waits_until) WHERE waits_until IS NOT NULL;
