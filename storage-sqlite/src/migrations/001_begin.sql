-- What the tables of aggregates were derived from: a change of either fills them again, up to `filled_row` so far.
CREATE TABLE aggregate_tables (
    kind TEXT PRIMARY KEY,
    code INTEGER NOT NULL UNIQUE,
    version INTEGER NOT NULL,
    shape TEXT NOT NULL,
    filled_row INTEGER
) WITHOUT ROWID;

-- `realm` is the project, or empty for keys that are unique over all projects.
CREATE TABLE unique_keys (
    space TEXT NOT NULL,
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    realm BLOB NOT NULL,
    project_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    PRIMARY KEY (space, scope, key, realm)
) WITHOUT ROWID;

-- Elements of sets, values of custom fields. `owner` is the `row` of the aggregate's table; `type` is 1 for text (folded),
-- 2 for a number, 3 for an instant in microseconds, 4 for a truth value.
CREATE TABLE attributes (
    kind TEXT NOT NULL,
    owner INTEGER NOT NULL,
    field TEXT NOT NULL,
    type INTEGER NOT NULL,
    value NOT NULL,
    project_id BLOB NOT NULL,
    PRIMARY KEY (kind, owner, field, type, value)
) WITHOUT ROWID;
CREATE INDEX attributes_value ON attributes (project_id, kind, field, type, value, owner);

-- Folded words of every aggregate that has search text. The rowid is the `row` of its table times 256 plus the table's code, so
-- newest come last; the word with `_` before it names table and project.
CREATE VIRTUAL TABLE search USING fts5(
    words, content='', contentless_delete=1, detail=none, prefix='2', tokenize="ascii tokenchars '_'"
);

CREATE TABLE log_heads (
    project_id BLOB PRIMARY KEY,
    head INTEGER NOT NULL,
    first_seq INTEGER NOT NULL DEFAULT 1
) WITHOUT ROWID;

CREATE TABLE events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    id BLOB NOT NULL,
    type TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    aggregate_kind TEXT NOT NULL,
    aggregate_id BLOB NOT NULL,
    aggregate_version INTEGER NOT NULL,
    commit_id BLOB NOT NULL,
    occurred_at INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    source TEXT NOT NULL,
    command TEXT,
    correlation_id BLOB NOT NULL,
    causation_id BLOB,
    subjects TEXT NOT NULL,
    data TEXT NOT NULL,
    metadata TEXT
);
CREATE UNIQUE INDEX events_seq ON events (project_id, seq);
CREATE UNIQUE INDEX events_id ON events (id);
CREATE UNIQUE INDEX events_stream ON events (project_id, aggregate_kind, aggregate_id, aggregate_version);
CREATE INDEX events_type ON events (project_id, type, seq);
CREATE INDEX events_correlation ON events (correlation_id);

CREATE TABLE event_subjects (
    project_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (project_id, kind, id, seq)
) WITHOUT ROWID;

CREATE TABLE consumers (
    project_id BLOB NOT NULL,
    name TEXT NOT NULL,
    events TEXT NOT NULL,
    max_attempts INTEGER NOT NULL,
    checkpoint INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next_attempt_at INTEGER,
    last_error TEXT,
    lease_token INTEGER NOT NULL,
    lease_owner BLOB,
    lease_until INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, name)
) WITHOUT ROWID;

CREATE TABLE dead_letters (
    project_id BLOB NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    event_id BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    error TEXT NOT NULL,
    failed_at INTEGER NOT NULL,
    PRIMARY KEY (project_id, name, seq, event_id)
) WITHOUT ROWID;

-- `due_at` is the moment at which a job may be claimed; it is null while another one of its order key is in the way, and when
-- it has ended.
CREATE TABLE jobs (
    row INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    project_id BLOB NOT NULL,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    unique_key TEXT,
    order_key TEXT,
    payload TEXT NOT NULL,
    run_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    lease_token INTEGER NOT NULL,
    lease_owner BLOB,
    lease_until INTEGER,
    last_error TEXT,
    result TEXT,
    created_at INTEGER NOT NULL,
    finished_at INTEGER,
    due_at INTEGER
);
CREATE INDEX jobs_due ON jobs (queue, due_at, id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX jobs_unique_key ON jobs (project_id, unique_key)
    WHERE unique_key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_key ON jobs (project_id, unique_key) WHERE unique_key IS NOT NULL;
CREATE INDEX jobs_line ON jobs (project_id, order_key, state, id) WHERE order_key IS NOT NULL AND finished_at IS NULL;
CREATE INDEX jobs_line_due ON jobs (project_id, order_key) WHERE order_key IS NOT NULL AND due_at IS NOT NULL;
CREATE INDEX jobs_project ON jobs (project_id, id);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;

CREATE TABLE idempotency_keys (
    scope BLOB NOT NULL,
    key TEXT NOT NULL,
    command TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    result TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) WITHOUT ROWID;
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);

-- What the planner is told, said once instead of counted: plans must not change with the data.
ANALYZE aggregate_tables;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('attributes', 'attributes', '5000000 2000000 3 2 1 1'),
    ('attributes', 'attributes_value', '5000000 1000000 500000 50000 50000 500 1'),
    ('events', 'events_seq', '10000000 5000000 1'),
    ('events', 'events_id', '10000000 1'),
    ('events', 'events_stream', '10000000 5000000 1000000 20 1'),
    ('events', 'events_type', '10000000 5000000 100000 1'),
    ('events', 'events_correlation', '10000000 10'),
    ('event_subjects', 'event_subjects', '40000000 20000000 5000000 50 1'),
    ('jobs', 'jobs_due', '10000 2000 2 1'),
    ('jobs', 'jobs_unique_key', '10000 5000 1'),
    ('jobs', 'jobs_key', '100000 50000 1'),
    ('jobs', 'jobs_line', '10000 5000 10 5 1'),
    ('jobs', 'jobs_line_due', '1000 500 1'),
    ('jobs', 'jobs_project', '100000 50000 1'),
    ('jobs', 'jobs_finished', '100000 2'),
    ('jobs', 'sqlite_autoindex_jobs_1', '100000 1');
ANALYZE sqlite_schema;
