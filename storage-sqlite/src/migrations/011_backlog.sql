-- The jobs of a kind that wait to be done. With `finished_at`, though it is always null: they are counted without a look at their rows.
CREATE INDEX jobs_backlog ON jobs (project_id, kind, run_at, finished_at) WHERE finished_at IS NULL;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('jobs', 'jobs_backlog', '10000 5000 500 1 1');
ANALYZE sqlite_schema;
