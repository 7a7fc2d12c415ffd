//! Who may do what: users, projects, members, and the rules that decide; and the secrets that a project needs elsewhere.

pub mod access;
pub mod credential;
mod json_patch;
pub mod project;
pub mod project_member;
pub(crate) mod token;
pub mod user;

pub use json_patch::JsonPatch;

use crate::engine::Reader;
use crate::kernel::{Result, UserId};
use crate::storage::{FieldKind, Filter, Find, Scope, Sort, id_value};

/// The memberships of a user in all projects, newest first; ended ones are not among them.
pub(crate) async fn memberships_of(read: &Reader<'_>, user: UserId) -> Result<Vec<project_member::ProjectMember>> {
    let sort = Sort { field: "created_at".to_owned(), kind: FieldKind::Instant, descending: true };
    everywhere(read, Filter::eq("user_id", FieldKind::Id, id_value(user)), vec![sort]).await
}

/// All visible states of the installation that satisfy a filter.
pub(crate) async fn everywhere<A: crate::engine::Aggregate>(
    read: &Reader<'_>,
    filter: Filter,
    sort: Vec<Sort>,
) -> Result<Vec<A>> {
    const BATCH: usize = 500;
    let mut find =
        Find { filter, sort, after: None, backward: false, limit: BATCH, include_hidden: false, with_total: false };
    let mut states = Vec::new();
    loop {
        let found = read.storage().find(Scope::Installation, A::KIND, &find).await?;
        for row in &found.rows {
            states.push(crate::engine::decode::<A>(&row.snapshot)?);
        }
        match found.rows.into_iter().next_back() {
            Some(last) if found.more => find.after = Some((last.keys, last.snapshot.id)),
            _ => return Ok(states),
        }
    }
}
