//! States to fold from, where older events are gone.

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::values::{Read, integer};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};
use ventros::kernel::{ProjectId, Result, Subject};
use ventros::storage::{Baseline, BaselineRepository, EventRemoval, Snapshot};

pub(crate) const COLUMNS: &str = "project_id, kind, id, seq, recorded_at, redacted, revision, schema, state";

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<Baseline> {
    Ok(Baseline {
        kind: row.kind(1)?,
        seq: row.number(3)?,
        recorded_at: row.instant(4)?,
        is_redacted: row.get(5)?,
        snapshot: Snapshot {
            project_id: row.project(0)?,
            id: row.id(2)?,
            revision: row.number(6)?,
            schema: row.get(7)?,
            state: row.get(8)?,
        },
    })
}

/// In the place of an older one.
pub(crate) fn put(connection: &Connection, baseline: &Baseline) -> Result<()> {
    let Baseline { kind, snapshot, seq, recorded_at, is_redacted } = baseline;
    let sql = format!(
        "INSERT INTO baselines ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (project_id, kind, id) DO UPDATE SET seq = ?4, recorded_at = ?5, redacted = ?6, revision = ?7,
             schema = ?8, state = ?9"
    );
    let project = snapshot.project_id.uuid();
    let values = params![
        project.as_bytes(),
        kind.as_str(),
        snapshot.id.as_bytes(),
        integer(*seq),
        recorded_at.micros(),
        is_redacted,
        integer(snapshot.revision),
        snapshot.schema,
        snapshot.state,
    ];
    connection.prepare_cached(&sql).carry()?.execute(values).carry().map(|_| ())
}

/// Removes events with the ways to find them.
pub(crate) fn remove_events(connection: &Connection, removal: &EventRemoval) -> Result<()> {
    let EventRemoval { project_id, seqs, first_seq } = removal;
    let project = project_id.uuid();
    let named = "SELECT subjects FROM events WHERE project_id = ?1 AND seq = ?2";
    let mut named = connection.prepare_cached(named).carry()?;
    let forget = "DELETE FROM event_subjects WHERE project_id = ?1 AND kind = ?2 AND id = ?3 AND seq = ?4";
    let mut forget = connection.prepare_cached(forget).carry()?;
    let remove = "DELETE FROM events WHERE project_id = ?1 AND seq = ?2";
    let mut remove = connection.prepare_cached(remove).carry()?;
    for seq in seqs {
        let seq = integer(*seq);
        let subjects: Option<String> =
            named.query_row(params![project.as_bytes(), seq], |row| row.get(0)).optional().carry()?;
        let Some(subjects) = subjects else { continue };
        let subjects: Vec<Subject> = serde_json::from_str(&subjects).map_err(|error| {
            ventros::kernel::Error::corrupt(format!("the subjects of a stored event cannot be read: {error}"))
        })?;
        for subject in subjects {
            let values = params![project.as_bytes(), subject.kind.as_str(), subject.id.as_bytes(), seq];
            forget.execute(values).carry()?;
        }
        remove.execute(params![project.as_bytes(), seq]).carry()?;
    }
    if let Some(first) = first_seq {
        let sql = "UPDATE log_heads SET first_seq = max(first_seq, ?2) WHERE project_id = ?1";
        connection.prepare_cached(sql).carry()?.execute(params![project.as_bytes(), integer(*first)]).carry()?;
    }
    Ok(())
}

#[async_trait]
impl BaselineRepository for SqliteStorage {
    async fn baselines(&self, project: ProjectId, subjects: &[Subject]) -> Result<Vec<Baseline>> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM baselines WHERE project_id = ?1 AND kind = ?2 AND id = ?3");
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let project = project.uuid();
            let mut found = Vec::new();
            for subject in subjects {
                let values = params![project.as_bytes(), subject.kind.as_str(), subject.id.as_bytes()];
                found.extend(statement.query_row(values, record).optional().carry()?);
            }
            Ok(found)
        })
    }

    async fn scan_baselines(
        &self,
        project: ProjectId,
        containing: Option<&str>,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<Baseline>> {
        self.read(|connection| {
            let later = if after.is_some() { "AND (kind, id) > (?3, ?4)" } else { "AND ?3 IS NULL AND ?4 IS NULL" };
            let sql = format!(
                "SELECT {COLUMNS} FROM baselines WHERE project_id = ?1 AND instr(state, ?2) > 0 {later}
                 ORDER BY kind, id LIMIT ?5"
            );
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let (kind, id) = after.map(|after| (after.kind.as_str(), after.id)).unzip();
            let id = id.as_ref().map(|id| id.as_bytes());
            let of = project.uuid();
            // Every state is an object.
            let text = containing.unwrap_or("{");
            let rows = statement.query_map(params![of.as_bytes(), text, kind, id, integer(limit)], record).carry()?;
            rows.collect::<rusqlite::Result<_>>().carry()
        })
    }
}
