-- States to fold from, of aggregates whose older events were removed. Everything up to `seq` is in them.
CREATE TABLE @baselines (
    project_id UUID NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    id UUID NOT NULL,
    seq BIGINT NOT NULL,
    recorded_at TIMESTAMPTZ NOT NULL,
    redacted BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    schema BIGINT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (project_id, kind, id)
);
SELECT @isolate('baselines', 'project_id')
