-- States to fold from, of aggregates whose older events were removed. Everything up to `seq` is in them.
CREATE TABLE baselines (
    row INTEGER PRIMARY KEY,
    project_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    id BLOB NOT NULL,
    seq INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    redacted INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    schema INTEGER NOT NULL,
    state TEXT NOT NULL
);
CREATE UNIQUE INDEX baselines_of ON baselines (project_id, kind, id);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('baselines', 'baselines_of', '1000000 500000 100000 1');
ANALYZE sqlite_schema;
