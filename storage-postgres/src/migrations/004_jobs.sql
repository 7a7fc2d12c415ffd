-- After how many tries a job is given up, if its kind does not say; the flow it belongs to, and the event that it follows from.
ALTER TABLE @jobs
    ADD COLUMN max_attempts BIGINT,
    ADD COLUMN correlation_id UUID,
    ADD COLUMN causation_id UUID;

-- From project to project, for claims that take them in turn.
CREATE INDEX jobs_due_in_turn ON @jobs (queue, project_id, due_at, id) WHERE due_at IS NOT NULL;

-- Leaves a claimed job to its worker for longer; false when the token is not the current one.
CREATE FUNCTION @extend_job(of_project UUID, of_id UUID, token BIGINT, until TIMESTAMPTZ) RETURNS BOOLEAN LANGUAGE plpgsql AS $$
BEGIN
    UPDATE @jobs j SET lease_until = until, due_at = until
        WHERE j.project_id = of_project AND j.id = of_id AND j.lease_token = token AND j.state = 'running';
    RETURN FOUND;
END $$;

DROP FUNCTION @claim_jobs(TEXT, UUID, TIMESTAMPTZ, TIMESTAMPTZ, BIGINT);

-- The due jobs of a queue: of one project, or the first of every project, then the second of every one, or simply the earliest.
CREATE FUNCTION @due_jobs(of_queue TEXT, of_project UUID, is_fair BOOLEAN, now_at TIMESTAMPTZ, most BIGINT)
RETURNS TABLE (id UUID, project_id UUID, order_key TEXT) LANGUAGE plpgsql AS $$
BEGIN
    IF of_project IS NOT NULL THEN
        RETURN QUERY SELECT j.id, j.project_id, j.order_key FROM @jobs j
            WHERE j.queue = of_queue AND j.project_id = of_project AND j.due_at <= now_at ORDER BY j.due_at, j.id LIMIT most;
    ELSIF is_fair THEN
        RETURN QUERY WITH RECURSIVE projects AS (
            (SELECT j.project_id AS of FROM @jobs j WHERE j.queue = of_queue AND j.due_at IS NOT NULL
             ORDER BY j.project_id LIMIT 1)
            UNION ALL
            SELECT (SELECT j.project_id FROM @jobs j
                WHERE j.queue = of_queue AND j.due_at IS NOT NULL AND j.project_id > p.of ORDER BY j.project_id LIMIT 1)
            FROM projects p WHERE p.of IS NOT NULL
        )
        SELECT d.id, d.project_id, d.order_key
        FROM projects p CROSS JOIN LATERAL (
            SELECT j.id, j.project_id, j.order_key, j.due_at, row_number() OVER (ORDER BY j.due_at, j.id) AS place
            FROM @jobs j WHERE j.queue = of_queue AND j.project_id = p.of AND j.due_at <= now_at
            ORDER BY j.due_at, j.id LIMIT most
        ) d
        ORDER BY d.place, d.due_at, d.id LIMIT most;
    ELSE
        RETURN QUERY SELECT j.id, j.project_id, j.order_key FROM @jobs j
            WHERE j.queue = of_queue AND j.due_at <= now_at ORDER BY j.due_at, j.id LIMIT most;
    END IF;
END $$;

-- Takes due jobs one by one, because each one changes what is due in its line. Claims of a queue come one after the other and wait
-- for nothing else: what another transaction is changing is left for the next claim.
CREATE FUNCTION @claim_jobs(
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
                lease_until = until, due_at = until
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
