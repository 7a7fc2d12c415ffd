//! All that is stored of a project: how much it is, and its removal in small pieces.

use crate::SqliteStorage;
use crate::attributes::SearchWords;
use crate::errors::Carry;
use crate::layout::Layout;
use crate::values::{Read, integer};
use crate::writer::Transaction;
use async_trait::async_trait;
use rusqlite::params;
use std::collections::BTreeMap;
use std::sync::Arc;
use ventros::kernel::{ProjectId, Result};
use ventros::storage::{CommitError, PurgeRepository};

/// What is stored beside aggregates: the table, the column that names the project, and the primary key.
const OTHERS: &[(&str, &str, &str)] = &[
    ("jobs", "project_id", "row"),
    ("dead_letters", "project_id", "project_id, name, seq, event_id"),
    ("consumers", "project_id", "project_id, name"),
    ("idempotency_keys", "scope", "scope, key"),
    ("secrets", "project_id", "project_id, id, revision"),
    ("baselines", "project_id", "row"),
    ("events", "project_id", "position"),
];

/// What is derived from those, and goes after them.
const DERIVED: &[(&str, &str, &str)] = &[
    ("unique_keys", "project_id", "space, scope, key, realm"),
    ("event_subjects", "project_id", "project_id, kind, id, seq"),
    ("log_heads", "project_id", "project_id"),
];

#[async_trait]
impl PurgeRepository for SqliteStorage {
    async fn count_project(&self, project: ProjectId) -> Result<BTreeMap<String, u64>> {
        let layouts: Vec<Arc<Layout>> = self.all_layouts().into_values().collect();
        self.read(|connection| {
            let mut counts = BTreeMap::new();
            let of_aggregates = layouts.iter().map(|layout| (layout.table.kind.plural(), &*layout.name, "project_id"));
            let others = OTHERS.iter().map(|(table, column, _)| (*table, *table, *column));
            for (table, name, column) in of_aggregates.chain(others) {
                let count = format!("SELECT count(*) FROM {name} WHERE {column} = ?1");
                let mut statement = connection.prepare(&count).carry()?;
                let rows = statement.query_row([project.uuid().as_bytes()], |row| row.number(0)).carry()?;
                if rows > 0 {
                    counts.insert(table.to_owned(), rows);
                }
            }
            Ok(counts)
        })
    }

    async fn purge_project(&self, project: ProjectId, limit: usize) -> Result<u64> {
        let layouts: Vec<Arc<Layout>> = self.all_layouts().into_values().collect();
        let purged = self.writer.write(move |connection| purge(connection, &layouts, project, limit)).await;
        purged.map_err(|error: CommitError| match error {
            CommitError::Store(error) => error,
            other => ventros::kernel::Error::internal(format!("a project could not be purged: {other:?}")),
        })
    }
}

fn purge(
    connection: &Transaction<'_>,
    layouts: &[Arc<Layout>],
    project: ProjectId,
    limit: usize,
) -> Result<u64, CommitError> {
    let (project, limit) = (project.uuid(), integer(limit));
    for layout in layouts {
        let found = format!("SELECT row FROM {} WHERE project_id = ?1 LIMIT ?2", layout.name);
        let mut statement = connection.prepare_cached(&found).carry()?;
        let rows = statement.query_map(params![project.as_bytes(), limit], |row| row.get::<_, i64>(0)).carry()?;
        let rows = rows.collect::<rusqlite::Result<Vec<i64>>>().carry()?;
        let delete = format!("DELETE FROM {} WHERE row = ?1", layout.name);
        for row in &rows {
            connection.prepare_cached(&delete).carry()?.execute([row]).carry()?;
            let attributes = "DELETE FROM attributes WHERE kind = ?1 AND owner = ?2";
            let kind = layout.table.kind.as_str();
            connection.prepare_cached(attributes).carry()?.execute(params![kind, row]).carry()?;
            connection.write_words(SearchWords::none(layout, *row));
        }
        if !rows.is_empty() {
            return Ok(rows.len() as u64);
        }
    }
    for (table, column, key) in OTHERS.iter().chain(DERIVED) {
        let delete =
            format!("DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {column} = ?1 LIMIT ?2)");
        let removed =
            connection.prepare_cached(&delete).carry()?.execute(params![project.as_bytes(), limit]).carry()?;
        if removed > 0 {
            return Ok(removed as u64);
        }
    }
    Ok(0)
}
