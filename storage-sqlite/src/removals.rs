//! Snapshots that a commit removes, with all that is derived from them.

use crate::attributes::SearchWords;
use crate::commit::{layout_of, release_key};
use crate::errors::Carry;
use crate::layout::Layout;
use crate::values::Read;
use crate::writer::Transaction;
use rusqlite::{Connection, OptionalExtension, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use ventros::kernel::{Kind, Result};
use ventros::storage::{Batch, CommitError, SnapshotRemoval};

/// The rows of what is removed, at the revisions that they were loaded with.
pub(crate) fn find(
    connection: &Connection,
    layouts: &BTreeMap<Kind, Arc<Layout>>,
    batch: &Batch,
) -> Result<Vec<i64>, CommitError> {
    let mut rows = Vec::with_capacity(batch.removals.len());
    for removal in &batch.removals {
        let mut statement = connection.prepare_cached(&layout_of(layouts, removal.kind)?.find_row).carry()?;
        let project = removal.project_id.uuid();
        let values = params![project.as_bytes(), removal.id.as_bytes()];
        let found = statement.query_row(values, |row| Ok((row.get(0)?, row.number(1)?))).optional().carry()?;
        match found {
            Some((row, revision)) if revision == removal.loaded_revision => rows.push(row),
            _ => return Err(CommitError::Stale(removal.subject())),
        }
    }
    Ok(rows)
}

/// Removes these rows.
pub(crate) fn carry_out(
    connection: &Transaction<'_>,
    layouts: &BTreeMap<Kind, Arc<Layout>>,
    removals: &[SnapshotRemoval],
    rows: &[i64],
) -> Result<()> {
    for (removal, row) in removals.iter().zip(rows) {
        let layout = layout_of(layouts, removal.kind)?;
        let delete = format!("DELETE FROM {} WHERE row = ?1", layout.name);
        connection.prepare_cached(&delete).carry()?.execute([row]).carry()?;
        let attributes = "DELETE FROM attributes WHERE kind = ?1 AND owner = ?2";
        connection.prepare_cached(attributes).carry()?.execute(params![removal.kind.as_str(), row]).carry()?;
        connection.write_words(SearchWords::none(layout, *row));
        for key in &removal.keys {
            release_key(connection, removal.project_id, removal.subject(), key)?;
        }
    }
    Ok(())
}
