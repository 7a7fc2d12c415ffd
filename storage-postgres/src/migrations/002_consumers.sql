-- `active`, or `paused`: nobody can claim it. `generation` is one more for every time the consumer began anew.
ALTER TABLE @consumers
    ADD COLUMN status TEXT COLLATE "C" NOT NULL DEFAULT 'active',
    ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;

-- True for what is to be tried again.
ALTER TABLE @dead_letters ADD COLUMN retrying BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX dead_letters_retrying ON @dead_letters (project_id, name, seq) WHERE retrying;

-- Cancels a job that is open or dead.
CREATE FUNCTION @cancel_job_of_id(of_project UUID, of_id UUID, ended_at TIMESTAMPTZ) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    line TEXT;
BEGIN
    SELECT j.order_key INTO line FROM @jobs j WHERE j.project_id = of_project AND j.id = of_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM @hold_line(of_project, line);
    UPDATE @jobs j SET lease_token = j.lease_token + (j.state = 'running')::int, lease_until = NULL, lease_owner = NULL,
            state = 'cancelled', finished_at = ended_at, due_at = NULL
        WHERE j.project_id = of_project AND j.id = of_id AND (j.finished_at IS NULL OR j.state = 'dead');
    PERFORM @line_up(of_project, line);
END $$;

-- Puts a scheduled, parked or dead job to work, unless its key has been taken.
CREATE OR REPLACE FUNCTION @release_job(of_project UUID, of_id UUID, new_run_at TIMESTAMPTZ) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    line TEXT;
BEGIN
    SELECT j.order_key INTO line FROM @jobs j WHERE j.project_id = of_project AND j.id = of_id;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM @hold_line(of_project, line);
    UPDATE @jobs j SET attempt = CASE j.state WHEN 'dead' THEN 0 ELSE j.attempt END, state = 'scheduled',
            run_at = new_run_at, due_at = new_run_at, finished_at = NULL
        WHERE j.project_id = of_project AND j.id = of_id
            AND (j.state IN ('parked', 'scheduled') OR j.state = 'dead' AND NOT EXISTS (
                SELECT 1 FROM @jobs o
                WHERE o.project_id = of_project AND o.unique_key = j.unique_key AND o.finished_at IS NULL));
    PERFORM @line_up(of_project, line);
END $$;
