-- What the death of a job means for its order key: `block` holds it until the job is run again or cancelled.
ALTER TABLE @jobs ADD COLUMN on_dead TEXT COLLATE "C" NOT NULL DEFAULT 'continue';
CREATE INDEX jobs_blocked ON @jobs (project_id, order_key)
    WHERE state = 'dead' AND on_dead = 'block' AND order_key IS NOT NULL;

-- Sets `due_at` along one line: a running job holds back all others, and so does a dead one that blocks it; else the first scheduled
-- one holds back the scheduled ones behind it. No statement here looks at those that wait, however many they are.
CREATE OR REPLACE FUNCTION @line_up(of_project UUID, line TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    first UUID;
BEGIN
    IF line IS NULL THEN
        RETURN;
    END IF;
    PERFORM 1 FROM @jobs j
        WHERE j.project_id = of_project AND j.order_key = line AND j.finished_at IS NULL AND j.state = 'running' LIMIT 1;
    IF FOUND OR EXISTS (SELECT 1 FROM @jobs j
        WHERE j.project_id = of_project AND j.order_key = line AND j.state = 'dead' AND j.on_dead = 'block')
    THEN
        UPDATE @jobs j SET due_at = NULL
            WHERE j.project_id = of_project AND j.order_key = line AND j.due_at IS NOT NULL AND j.state <> 'running';
        RETURN;
    END IF;
    SELECT j.id INTO first FROM @jobs j
        WHERE j.project_id = of_project AND j.order_key = line AND j.finished_at IS NULL AND j.state = 'scheduled'
        ORDER BY j.id LIMIT 1;
    IF FOUND THEN
        UPDATE @jobs j SET due_at = NULL
            WHERE j.project_id = of_project AND j.order_key = line AND j.due_at IS NOT NULL AND j.state = 'scheduled'
                AND j.id <> first;
        UPDATE @jobs j SET due_at = j.run_at WHERE j.project_id = of_project AND j.id = first AND j.due_at IS NULL;
    END IF;
    UPDATE @jobs j SET due_at = j.run_at
        WHERE j.project_id = of_project AND j.order_key = line AND j.finished_at IS NULL AND j.state = 'parked'
            AND j.due_at IS NULL;
END $$;
