-- After how many tries a job is given up, if its kind does not say; the flow it belongs to, and the event that it follows from.
ALTER TABLE jobs ADD COLUMN max_attempts INTEGER;
ALTER TABLE jobs ADD COLUMN correlation_id BLOB;
ALTER TABLE jobs ADD COLUMN causation_id BLOB;

-- From project to project, for claims that take them in turn.
CREATE INDEX jobs_due_in_turn ON jobs (queue, project_id, due_at, id) WHERE due_at IS NOT NULL;
