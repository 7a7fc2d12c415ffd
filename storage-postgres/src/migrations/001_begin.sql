-- The sign `@` stands for the schema. All text that is compared or sorted is so by its bytes, as everywhere in the library.

-- What the tables of aggregates were derived from: a change of either fills them again, up to the row that is named.
CREATE TABLE @aggregate_tables (
    kind TEXT COLLATE "C" PRIMARY KEY,
    version BIGINT NOT NULL,
    shape TEXT NOT NULL,
    is_filled BOOLEAN NOT NULL,
    filled_project UUID,
    filled_id UUID
);

-- `realm` is the project, or the greatest id for keys that are unique over all projects.
CREATE TABLE @unique_keys (
    space TEXT COLLATE "C" NOT NULL,
    scope TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    realm UUID NOT NULL,
    project_id UUID NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    PRIMARY KEY (space, scope, key, realm)
);

-- Elements of sets, values of custom fields: one of the four values is there.
CREATE TABLE @attributes (
    project_id UUID NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    field TEXT COLLATE "C" NOT NULL,
    text TEXT COLLATE "C",
    number DOUBLE PRECISION,
    instant TIMESTAMPTZ,
    truth BOOLEAN
);
CREATE INDEX attributes_owner ON @attributes (project_id, kind, id, field);
CREATE INDEX attributes_text ON @attributes (project_id, kind, field, text, id) WHERE text IS NOT NULL;
CREATE INDEX attributes_number ON @attributes (project_id, kind, field, number, id) WHERE number IS NOT NULL;
CREATE INDEX attributes_instant ON @attributes (project_id, kind, field, instant, id) WHERE instant IS NOT NULL;
CREATE INDEX attributes_truth ON @attributes (project_id, kind, field, truth, id) WHERE truth IS NOT NULL;

-- Folded words of everything that has search text and is not hidden. Rows instead of a text vector: an index of vectors is of
-- no use behind row security, whose conditions must come first.
CREATE TABLE @search_words (
    project_id UUID NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    word TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL
);
CREATE INDEX search_words_word ON @search_words (project_id, kind, word, id);
CREATE INDEX search_words_owner ON @search_words (project_id, kind, id);

-- The row of a project is locked until its commit ends: that makes `seq` dense and in the order of commits.
CREATE TABLE @log_heads (
    project_id UUID PRIMARY KEY,
    head BIGINT NOT NULL,
    first_seq BIGINT NOT NULL DEFAULT 1
) WITH (fillfactor = 50);

CREATE TABLE @events (
    position BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project_id UUID NOT NULL,
    seq BIGINT NOT NULL,
    id UUID NOT NULL,
    type TEXT COLLATE "C" NOT NULL,
    schema_version BIGINT NOT NULL,
    aggregate_kind TEXT COLLATE "C" NOT NULL,
    aggregate_id UUID NOT NULL,
    aggregate_version BIGINT NOT NULL,
    commit_id UUID NOT NULL,
    occurred_at TIMESTAMPTZ NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    actor JSON NOT NULL,
    source TEXT NOT NULL,
    command TEXT,
    correlation_id UUID NOT NULL,
    causation_id UUID,
    subjects JSON NOT NULL,
    data JSON NOT NULL,
    metadata JSON
);
CREATE UNIQUE INDEX events_seq ON @events (project_id, seq);
CREATE UNIQUE INDEX events_id ON @events (id);
CREATE UNIQUE INDEX events_stream ON @events (project_id, aggregate_kind, aggregate_id, aggregate_version);
CREATE INDEX events_type ON @events (project_id, type, seq);
CREATE INDEX events_correlation ON @events (correlation_id);
CREATE INDEX events_recorded ON @events USING brin (recorded_at);

CREATE TABLE @event_subjects (
    project_id UUID NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    seq BIGINT NOT NULL,
    PRIMARY KEY (project_id, kind, id, seq)
);

CREATE TABLE @consumers (
    project_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    events JSON NOT NULL,
    max_attempts BIGINT NOT NULL,
    checkpoint BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    next_attempt_at TIMESTAMPTZ,
    last_error TEXT,
    lease_token BIGINT NOT NULL,
    lease_owner UUID,
    lease_until TIMESTAMPTZ,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (project_id, name)
) WITH (fillfactor = 50);

CREATE TABLE @dead_letters (
    project_id UUID NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    seq BIGINT NOT NULL,
    event_id UUID NOT NULL,
    attempts BIGINT NOT NULL,
    error TEXT NOT NULL,
    failed_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (project_id, name, seq, event_id),
    FOREIGN KEY (project_id, name) REFERENCES @consumers ON DELETE CASCADE
);

-- `due_at` is the moment at which a job may be claimed; it is null while another one of its order key is in the way, and when
-- it has ended.
CREATE TABLE @jobs (
    id UUID PRIMARY KEY,
    project_id UUID NOT NULL,
    queue TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    unique_key TEXT COLLATE "C",
    order_key TEXT COLLATE "C",
    payload TEXT NOT NULL,
    run_at TIMESTAMPTZ NOT NULL,
    state TEXT COLLATE "C" NOT NULL,
    attempt BIGINT NOT NULL,
    lease_token BIGINT NOT NULL,
    lease_owner UUID,
    lease_until TIMESTAMPTZ,
    last_error TEXT,
    result TEXT,
    created_at TIMESTAMPTZ NOT NULL,
    finished_at TIMESTAMPTZ,
    due_at TIMESTAMPTZ
);
CREATE INDEX jobs_due ON @jobs (queue, due_at, id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_unique_key ON @jobs (project_id, unique_key)
    WHERE unique_key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_key ON @jobs (project_id, unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX jobs_line ON @jobs (project_id, order_key, state, id) WHERE order_key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_line_due ON @jobs (project_id, order_key) WHERE order_key IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX jobs_project ON @jobs (project_id, id);
CREATE INDEX jobs_finished ON @jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE @idempotency_keys (
    scope UUID NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    command TEXT NOT NULL,
    request_hash BYTEA NOT NULL,
    result TEXT NOT NULL,
    expires_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (scope, key)
);
CREATE INDEX idempotency_keys_expiry ON @idempotency_keys (expires_at);

-- Sealed values, apart from the log so that they can be destroyed. `key_id` names the key that a value is sealed under.
CREATE TABLE @secrets (
    project_id UUID NOT NULL,
    id UUID NOT NULL,
    revision BIGINT NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL,
    sealed TEXT NOT NULL,
    created_at TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (project_id, id, revision)
);
CREATE INDEX secrets_key ON @secrets (project_id, key_id);

-- Row security, for whoever is not above it: a transaction sees the project that it names, or all when it says that it is the
-- system's own.
CREATE FUNCTION @own_project() RETURNS UUID LANGUAGE sql STABLE
    AS $$ SELECT nullif(current_setting('ventros.project_id', true), '')::uuid $$;
CREATE FUNCTION @is_system() RETURNS BOOLEAN LANGUAGE sql STABLE
    AS $$ SELECT coalesce(current_setting('ventros.system', true), '') = 'on' $$;
CREATE FUNCTION @isolate(name TEXT, project TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE @%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE @%I FORCE ROW LEVEL SECURITY', name);
    EXECUTE format(
        'CREATE POLICY own_project ON @%I USING (%I = (SELECT @own_project()) OR (SELECT @is_system()))', name, project);
END $$;
SELECT @isolate(name, 'project_id') FROM unnest(ARRAY[
    'unique_keys', 'attributes', 'search_words', 'log_heads', 'events', 'event_subjects', 'consumers', 'dead_letters', 'jobs',
    'secrets']) AS name;
SELECT @isolate('idempotency_keys', 'scope');

-- One line of jobs is changed by one transaction at a time, which takes this lock before it touches a row of the line. There are
-- only so many locks: some lines share one.
CREATE FUNCTION @line_lock(of_project UUID, line TEXT) RETURNS BIGINT LANGUAGE sql IMMUTABLE
    AS $$ SELECT hashtextextended('@jobs ' || of_project || (hashtext(line) & 255), 0) $$;
CREATE FUNCTION @hold_line(of_project UUID, line TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
BEGIN
    IF line IS NOT NULL THEN
        PERFORM pg_advisory_xact_lock(@line_lock(of_project, line));
    END IF;
END $$;

-- Sets `due_at` along one line: a running job holds back all others, else the first scheduled one holds back the scheduled ones
-- behind it. No statement here looks at those that wait, however many they are.
CREATE FUNCTION @line_up(of_project UUID, line TEXT) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    first UUID;
BEGIN
    IF line IS NULL THEN
        RETURN;
    END IF;
    PERFORM 1 FROM @jobs j
        WHERE j.project_id = of_project AND j.order_key = line AND j.finished_at IS NULL AND j.state = 'running' LIMIT 1;
    IF FOUND THEN
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

-- Ends or puts back a claimed job; false when the token is not the current one.
CREATE FUNCTION @finish_job(
    of_id UUID, token BIGINT, new_state TEXT, new_run_at TIMESTAMPTZ, new_attempt BIGINT, new_error TEXT, new_result TEXT,
    ended_at TIMESTAMPTZ
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
            due_at = CASE WHEN ended_at IS NULL THEN coalesce(new_run_at, j.run_at) END
        WHERE j.project_id = known.project_id AND j.id = of_id AND j.lease_token = token AND j.state = 'running';
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM @line_up(known.project_id, known.order_key);
    RETURN true;
END $$;

-- Moves the open job of this key, if there is one.
CREATE FUNCTION @move_job(of_project UUID, of_key TEXT, new_run_at TIMESTAMPTZ, new_payload TEXT) RETURNS VOID
LANGUAGE plpgsql AS $$
DECLARE
    line TEXT;
BEGIN
    SELECT j.order_key INTO line FROM @jobs j
        WHERE j.project_id = of_project AND j.unique_key = of_key AND j.finished_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM @hold_line(of_project, line);
    UPDATE @jobs j SET run_at = new_run_at, due_at = new_run_at, payload = new_payload,
            lease_token = j.lease_token + (j.state = 'running')::int, lease_until = NULL, lease_owner = NULL,
            state = 'scheduled'
        WHERE j.project_id = of_project AND j.unique_key = of_key AND j.finished_at IS NULL;
    PERFORM @line_up(of_project, line);
END $$;

-- Cancels the open job of this key, if there is one.
CREATE FUNCTION @cancel_job(of_project UUID, of_key TEXT, ended_at TIMESTAMPTZ) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    line TEXT;
BEGIN
    SELECT j.order_key INTO line FROM @jobs j
        WHERE j.project_id = of_project AND j.unique_key = of_key AND j.finished_at IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    PERFORM @hold_line(of_project, line);
    UPDATE @jobs j SET lease_token = j.lease_token + (j.state = 'running')::int, lease_until = NULL, lease_owner = NULL,
            state = 'cancelled', finished_at = ended_at, due_at = NULL
        WHERE j.project_id = of_project AND j.unique_key = of_key AND j.finished_at IS NULL;
    PERFORM @line_up(of_project, line);
END $$;

-- Puts a parked or dead job back to work, unless its key has been taken.
CREATE FUNCTION @release_job(of_project UUID, of_id UUID, new_run_at TIMESTAMPTZ) RETURNS VOID LANGUAGE plpgsql AS $$
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
        WHERE j.project_id = of_project AND j.id = of_id AND (j.state = 'parked' OR j.state = 'dead' AND NOT EXISTS (
            SELECT 1 FROM @jobs o
            WHERE o.project_id = of_project AND o.unique_key = j.unique_key AND o.finished_at IS NULL));
    PERFORM @line_up(of_project, line);
END $$;

-- Takes due jobs one by one, because each one changes what is due in its line. Claims of a queue come one after the other and wait
-- for nothing else: what another transaction is changing is left for the next claim.
CREATE FUNCTION @claim_jobs(of_queue TEXT, by UUID, now_at TIMESTAMPTZ, until TIMESTAMPTZ, most BIGINT)
RETURNS SETOF @jobs LANGUAGE plpgsql AS $$
DECLARE
    candidate RECORD;
    claimed @jobs;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('@claim_jobs ' || of_queue, 0));
    FOR candidate IN
        SELECT j.id, j.project_id, j.order_key FROM @jobs j
        WHERE j.queue = of_queue AND j.due_at <= now_at ORDER BY j.due_at, j.id LIMIT most
    LOOP
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
