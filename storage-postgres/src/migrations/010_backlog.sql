-- The jobs of a kind that wait to be done.
CREATE INDEX jobs_backlog ON @jobs (project_id, kind, run_at) WHERE finished_at IS NULL;
