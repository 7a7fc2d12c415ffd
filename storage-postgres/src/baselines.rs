//! States to fold from, where older events are gone.

use crate::PostgresStorage;
use crate::events::list;
use crate::session::{Call, Reach};
use crate::values::{Read, instant, integer, sql, text};
use async_trait::async_trait;
use tokio_postgres::Row;
use ventros::kernel::{ProjectId, Result, Subject};
use ventros::storage::{Baseline, BaselineRepository, EventRemoval, Snapshot};

pub(crate) const COLUMNS: &str = "project_id, kind, id, seq, recorded_at, redacted, revision, schema, state";

pub(crate) fn record(row: &Row) -> Result<Baseline> {
    Ok(Baseline {
        kind: row.kind(1)?,
        seq: row.number(3)?,
        recorded_at: row.instant(4)?,
        is_redacted: row.read(5)?,
        snapshot: Snapshot {
            project_id: row.project(0)?,
            id: row.id(2)?,
            revision: row.number(6)?,
            schema: row.small(7)?,
            state: row.read(8)?,
        },
    })
}

/// In the place of older ones; no two of them are of one aggregate.
pub(crate) fn put(baselines: &[&Baseline]) -> Call {
    let insert = format!(
        "INSERT INTO @baselines ({COLUMNS})
         SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int8[], $5::timestamptz[], $6::bool[], $7::int8[],
             $8::int8[], $9::text[])
         ON CONFLICT (project_id, kind, id) DO UPDATE SET seq = excluded.seq, recorded_at = excluded.recorded_at,
             redacted = excluded.redacted, revision = excluded.revision, schema = excluded.schema, state = excluded.state"
    );
    let values = vec![
        list(baselines, |one| one.snapshot.project_id.uuid()),
        list(baselines, |one| one.kind.as_str()),
        list(baselines, |one| one.snapshot.id),
        list(baselines, |one| integer(one.seq)),
        list(baselines, |one| instant(one.recorded_at)),
        list(baselines, |one| one.is_redacted),
        list(baselines, |one| integer(one.snapshot.revision)),
        list(baselines, |one| i64::from(one.snapshot.schema)),
        list(baselines, |one| text(&one.snapshot.state)),
    ];
    Call { sql: insert.into(), values }
}

/// Removes events with the ways to find them.
pub(crate) fn remove_events(removal: &EventRemoval) -> Vec<Call> {
    let EventRemoval { project_id, seqs, first_seq } = removal;
    let seqs: Vec<i64> = seqs.iter().map(|seq| integer(*seq)).collect();
    let delete = "WITH gone AS (
            DELETE FROM @events WHERE project_id = $1 AND seq = ANY($2::int8[]) RETURNING seq, subjects
        ), named AS (
            SELECT gone.seq, one->>'kind' AS kind, (one->>'id')::uuid AS id
            FROM gone CROSS JOIN json_array_elements(gone.subjects) AS one
        )
        DELETE FROM @event_subjects AS s USING named
        WHERE s.project_id = $1 AND s.kind = named.kind AND s.id = named.id AND s.seq = named.seq";
    let mut calls = vec![Call::new(delete, vec![sql(project_id.uuid()), sql(seqs)])];
    if let Some(first) = first_seq {
        let update = "UPDATE @log_heads SET first_seq = greatest(first_seq, $2) WHERE project_id = $1";
        calls.push(Call::new(update, vec![sql(project_id.uuid()), sql(integer(*first))]));
    }
    calls
}

#[async_trait]
impl BaselineRepository for PostgresStorage {
    async fn baselines(&self, project: ProjectId, subjects: &[Subject]) -> Result<Vec<Baseline>> {
        let select = format!(
            "SELECT {COLUMNS} FROM @baselines WHERE project_id = $1
                AND (kind, id) IN (SELECT * FROM unnest($2::text[], $3::uuid[]))"
        );
        let values = vec![
            sql(project.uuid()),
            list(subjects, |subject| subject.kind.as_str()),
            list(subjects, |subject| subject.id),
        ];
        let found = self.read(Reach::Only(project.uuid()), &[Call { sql: select.into(), values }]).await?;
        found[0].iter().map(record).collect()
    }

    async fn scan_baselines(
        &self,
        project: ProjectId,
        containing: Option<&str>,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<Baseline>> {
        let mut select = format!("SELECT {COLUMNS} FROM @baselines WHERE project_id = $1");
        let mut values = vec![sql(project.uuid()), sql(integer(limit))];
        if let Some(containing) = containing {
            values.push(sql(text(containing)));
            select.push_str(&format!(" AND strpos(state, ${}) > 0", values.len()));
        }
        if let Some(Subject { kind, id }) = after {
            values.push(sql(kind.as_str()));
            values.push(sql(id));
            select.push_str(&format!(" AND (kind, id) > (${}, ${})", values.len() - 1, values.len()));
        }
        select.push_str(" ORDER BY kind, id LIMIT $2");
        let found = self.read(Reach::Only(project.uuid()), &[Call { sql: select.into(), values }]).await?;
        found[0].iter().map(record).collect()
    }
}
