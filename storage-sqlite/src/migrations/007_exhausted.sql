-- What becomes of an event once its consumer has used up its tries.
ALTER TABLE consumers ADD COLUMN on_exhausted TEXT NOT NULL DEFAULT 'park';
