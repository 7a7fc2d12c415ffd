-- Of the jobs that are due, those of a higher priority come first. When a job was claimed last, and what became of its tries (JSON).
ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN started_at INTEGER;
ALTER TABLE jobs ADD COLUMN history TEXT;

-- From priority to priority, and of each the earliest first.
DROP INDEX jobs_due;
DROP INDEX jobs_due_in_turn;
CREATE INDEX jobs_due ON jobs (queue, priority DESC, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_due_in_turn ON jobs (queue, project_id, priority DESC, due_at, id) WHERE due_at IS NOT NULL;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('jobs', 'jobs_due', '10000 2000 1000 2 1'),
    ('jobs', 'jobs_due_in_turn', '10000 2000 500 250 2 1');
ANALYZE sqlite_schema;
