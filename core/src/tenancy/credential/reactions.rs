//! Credentials go off with their project. They are not deleted: a project can come back.

use super::{Credential, CredentialStatus};
use crate::engine::{Reaction, UnitOfWork};
use crate::kernel::{Component, Result};
use crate::storage::{FieldKind, Filter, Find};

/// The most credentials of a project are 200; one read and one commit hold them with room to spare.
const LIMIT: usize = 1_000;

/// The reactions of credentials.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: "ventros.credentials.deleted_projects",
    events: &["project.deleted"],
    component: Component::Default,
    run: |work, _record, _event| Box::pin(switch_off(work)),
}];

async fn switch_off(work: &mut UnitOfWork<'_>) -> Result<()> {
    let on = Filter::Not(Box::new(Filter::eq("status", FieldKind::Enum, CredentialStatus::Inactive.as_str())));
    let find = Find {
        filter: on,
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: LIMIT,
        include_hidden: false,
        with_total: false,
    };
    for found in work.reader().find_states::<Credential>(&find).await? {
        let mut credential = work.load::<Credential>(found.id).await?;
        credential.deactivate(Some("project deleted".to_owned()));
        super::timers::arm(work, &credential);
        work.keep(credential)?;
    }
    Ok(())
}
