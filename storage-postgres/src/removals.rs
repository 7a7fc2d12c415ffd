//! Snapshots that a commit removes. What is derived from them goes with the rest of its kind.

use crate::layout::Layout;
use crate::session::Call;
use crate::values::{integer, sql};
use std::collections::BTreeMap;
use uuid::Uuid;
use ventros::kernel::Kind;
use ventros::storage::SnapshotRemoval;

pub(crate) fn by_kind(removals: &[SnapshotRemoval]) -> BTreeMap<Kind, Vec<&SnapshotRemoval>> {
    let mut kinds: BTreeMap<Kind, Vec<&SnapshotRemoval>> = BTreeMap::new();
    for removal in removals {
        kinds.entry(removal.kind).or_default().push(removal);
    }
    kinds
}

/// Removes them, and tells whether all were there at their revisions.
pub(crate) fn remove(layout: &Layout, removals: &[&SnapshotRemoval]) -> Call {
    let projects: Vec<Uuid> = removals.iter().map(|removal| removal.project_id.uuid()).collect();
    let ids: Vec<Uuid> = removals.iter().map(|removal| removal.id).collect();
    let revisions: Vec<i64> = removals.iter().map(|removal| integer(removal.loaded_revision)).collect();
    let text = format!(
        "WITH removed AS (
            DELETE FROM {} t USING unnest($1::uuid[], $2::uuid[], $3::int8[]) AS r (project_id, id, revision)
            WHERE t.project_id = r.project_id AND t.id = r.id AND t.revision = r.revision RETURNING 1)
        SELECT count(*) = cardinality($2::uuid[]) FROM removed",
        layout.name
    );
    Call { sql: text.into(), values: vec![sql(projects), sql(ids), sql(revisions)] }
}
