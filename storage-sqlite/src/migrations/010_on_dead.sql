-- What the death of a job means for its order key: `block` holds it until the job is run again or cancelled.
ALTER TABLE jobs ADD COLUMN on_dead TEXT NOT NULL DEFAULT 'continue';
CREATE INDEX jobs_blocked ON jobs (project_id, order_key)
    WHERE state = 'dead' AND on_dead = 'block' AND order_key IS NOT NULL;
