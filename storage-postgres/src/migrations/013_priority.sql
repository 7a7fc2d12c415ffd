-- Of the jobs that are due, those of a higher priority come first. When a job was claimed last, and what became of its tries (JSON).
ALTER TABLE @jobs
    ADD COLUMN priority SMALLINT NOT NULL DEFAULT 0,
    ADD COLUMN started_at TIMESTAMPTZ,
    ADD COLUMN history TEXT;

-- From priority to priority, and of each the earliest first.
DROP INDEX @jobs_due;
DROP INDEX @jobs_due_in_turn;
CREATE INDEX jobs_due ON @jobs (queue, priority DESC, due_at, id) WHERE due_at IS NOT NULL;
CREATE INDEX jobs_due_in_turn ON @jobs (queue, project_id, priority DESC, due_at, id) WHERE due_at IS NOT NULL;

DROP FUNCTION @due_jobs(TEXT, UUID, BOOLEAN, TIMESTAMPTZ, BIGINT);

-- The due jobs of a queue, or those of one project: the highest priority first, of one priority the earliest.
CREATE FUNCTION @due_jobs_of(of_queue TEXT, of_project UUID, now_at TIMESTAMPTZ, most BIGINT)
RETURNS TABLE (id UUID, project_id UUID, order_key TEXT, due_at TIMESTAMPTZ) LANGUAGE plpgsql AS $$
DECLARE
    level INTEGER := 32768;
    given BIGINT;
    wanted BIGINT := most;
BEGIN
    LOOP
        IF of_project IS NULL THEN
            SELECT j.priority INTO level FROM @jobs j
                WHERE j.queue = of_queue AND j.due_at IS NOT NULL AND j.priority < level ORDER BY j.priority DESC LIMIT 1;
            EXIT WHEN NOT FOUND;
            RETURN QUERY SELECT j.id, j.project_id, j.order_key, j.due_at FROM @jobs j
                WHERE j.queue = of_queue AND j.priority = level AND j.due_at <= now_at ORDER BY j.due_at, j.id LIMIT wanted;
        ELSE
            SELECT j.priority INTO level FROM @jobs j
                WHERE j.queue = of_queue AND j.project_id = of_project AND j.due_at IS NOT NULL AND j.priority < level
                ORDER BY j.priority DESC LIMIT 1;
            EXIT WHEN NOT FOUND;
            RETURN QUERY SELECT j.id, j.project_id, j.order_key, j.due_at FROM @jobs j
                WHERE j.queue = of_queue AND j.project_id = of_project AND j.priority = level AND j.due_at <= now_at
                ORDER BY j.due_at, j.id LIMIT wanted;
        END IF;
        GET DIAGNOSTICS given = ROW_COUNT;
        wanted := wanted - given;
        EXIT WHEN wanted <= 0;
    END LOOP;
END $$;

-- The due jobs of a queue: of one project, or the first of every project, then the second of every one, or of all together. Those of
-- one round are in the order in which they are due: no project comes before another by its priorities.
CREATE FUNCTION @due_jobs(of_queue TEXT, of_project UUID, is_fair BOOLEAN, now_at TIMESTAMPTZ, most BIGINT)
RETURNS TABLE (id UUID, project_id UUID, order_key TEXT) LANGUAGE plpgsql AS $$
BEGIN
    IF of_project IS NOT NULL OR NOT is_fair THEN
        RETURN QUERY SELECT d.id, d.project_id, d.order_key FROM @due_jobs_of(of_queue, of_project, now_at, most) d;
    ELSE
        RETURN QUERY WITH RECURSIVE projects AS (
            (SELECT j.project_id AS of FROM @jobs j WHERE j.queue = of_queue AND j.due_at IS NOT NULL
             ORDER BY j.project_id LIMIT 1)
            UNION ALL
            SELECT (SELECT j.project_id FROM @jobs j
                WHERE j.queue = of_queue AND j.due_at IS NOT NULL AND j.project_id > p.of ORDER BY j.project_id LIMIT 1)
            FROM projects p WHERE p.of IS NOT NULL
        )
        SELECT d.id, d.project_id, d.order_key
        FROM projects p CROSS JOIN LATERAL @due_jobs_of(of_queue, p.of, now_at, most)
            WITH ORDINALITY AS d (id, project_id, order_key, due_at, place)
        WHERE p.of IS NOT NULL
        ORDER BY d.place, d.due_at, d.id LIMIT most;
    END IF;
END $$;

-- Takes due jobs one by one, because each one changes what is due in its line. Claims of a queue come one after the other and wait
-- for nothing else: what another transaction is changing is left for the next claim. A try that was never reported ended with its
-- lease; the last twenty are kept.
CREATE OR REPLACE FUNCTION @claim_jobs(
    of_queue TEXT, of_project UUID, is_fair BOOLEAN, by UUID, now_at TIMESTAMPTZ, until TIMESTAMPTZ, most BIGINT
) RETURNS SETOF @jobs LANGUAGE plpgsql AS $$
DECLARE
    candidate RECORD;
    claimed @jobs;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('@claim_jobs ' || of_queue, 0));
    FOR candidate IN SELECT * FROM @due_jobs(of_queue, of_project, is_fair, now_at, most) LOOP
        IF candidate.order_key IS NOT NULL
            AND NOT pg_try_advisory_xact_lock(@line_lock(candidate.project_id, candidate.order_key))
        THEN
            CONTINUE;
        END IF;
        UPDATE @jobs j SET state = 'running', attempt = j.attempt + 1, lease_token = j.lease_token + 1, lease_owner = by,
                lease_until = until, due_at = until, started_at = now_at,
                history = CASE j.state WHEN 'running' THEN @with_lost_try(j.history, j.attempt, j.started_at, j.lease_until)
                    ELSE j.history END
            WHERE j.project_id = candidate.project_id AND j.id = (
                SELECT o.id FROM @jobs o WHERE o.project_id = candidate.project_id AND o.id = candidate.id
                    AND o.due_at <= now_at FOR UPDATE SKIP LOCKED)
            RETURNING j.* INTO claimed;
        IF FOUND THEN
            PERFORM @line_up(candidate.project_id, candidate.order_key);
            RETURN NEXT claimed;
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION @with_lost_try(history TEXT, attempt BIGINT, started_at TIMESTAMPTZ, ended_at TIMESTAMPTZ) RETURNS TEXT
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    tries JSONB := coalesce(history, '[]')::jsonb;
BEGIN
    IF jsonb_array_length(tries) >= 20 THEN
        tries := tries - 0;
    END IF;
    RETURN (tries || jsonb_build_object(
        'attempt', attempt,
        'started_at', (extract(epoch FROM coalesce(started_at, ended_at)) * 1000000)::bigint,
        'ended_at', (extract(epoch FROM ended_at) * 1000000)::bigint,
        'outcome', 'failed',
        'error_class', 'lease_lost'))::text;
END $$;

DROP FUNCTION @finish_job(UUID, BIGINT, TEXT, TIMESTAMPTZ, BIGINT, TEXT, TEXT, TIMESTAMPTZ);

-- Ends or puts back a claimed job; false when the token is not the current one. What has a default here and below is not said by
-- older programs that still run.
CREATE FUNCTION @finish_job(
    of_id UUID, token BIGINT, new_state TEXT, new_run_at TIMESTAMPTZ, new_attempt BIGINT, new_error TEXT, new_result TEXT,
    ended_at TIMESTAMPTZ, new_history TEXT DEFAULT NULL
) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
DECLARE
    known RECORD;
BEGIN
    SELECT j.project_id, j.order_key INTO known FROM @jobs j WHERE j.id = of_id;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM @hold_line(known.project_id, known.order_key);
    UPDATE @jobs j SET state = new_state, run_at = coalesce(new_run_at, j.run_at), attempt = new_attempt,
            last_error = new_error, result = new_result, finished_at = ended_at, lease_until = NULL, lease_owner = NULL,
            due_at = CASE WHEN ended_at IS NULL THEN coalesce(new_run_at, j.run_at) END, history = new_history
        WHERE j.project_id = known.project_id AND j.id = of_id AND j.lease_token = token AND j.state = 'running';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM @line_up(known.project_id, known.order_key);
    RETURN true;
END $$;

DROP FUNCTION @move_job(UUID, TEXT, TIMESTAMPTZ, TEXT);

-- Moves the open job of this key, if there is one.
CREATE FUNCTION @move_job(of_project UUID, of_key TEXT, new_run_at TIMESTAMPTZ, new_payload TEXT, new_priority SMALLINT DEFAULT 0)
RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    line TEXT;
BEGIN
    SELECT j.order_key INTO line FROM @jobs j
        WHERE j.project_id = of_project AND j.unique_key = of_key AND j.finished_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM @hold_line(of_project, line);
    UPDATE @jobs j SET run_at = new_run_at, due_at = new_run_at, payload = new_payload, priority = new_priority,
            lease_token = j.lease_token + (j.state = 'running')::int, lease_until = NULL, lease_owner = NULL,
            state = 'scheduled'
        WHERE j.project_id = of_project AND j.unique_key = of_key AND j.finished_at IS NULL;
    PERFORM @line_up(of_project, line);
END $$;
