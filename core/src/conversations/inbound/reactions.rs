//! What was kept while a channel or the project was off is worked off when somebody switches it on.

use super::ingest::QUEUE;
use crate::engine::{Event, Reaction, UnitOfWork};
use crate::kernel::{Component, Kind, Result};
use crate::storage::{EventRecord, JobQuery, JobState, JobWrite, Scope};
use uuid::Uuid;

/// Rows released in one step of the reaction; the rest follows by their own time.
const MAX_RELEASED: usize = 10_000;

/// The reactions of the intake.
pub const REACTIONS: &[Reaction] = &[Reaction {
    name: "ventros.inbound_release",
    events: &["channel.activation.requested", "channel.activated", "project.activated", "project.resumed"],
    component: Component::Channel,
    run: |work, record, _event: &Event| Box::pin(release(work, record)),
}];

async fn release(work: &mut UnitOfWork<'_>, record: &EventRecord) -> Result<()> {
    let of_channel = record.aggregate_kind == Kind::Channel;
    let whose = if of_channel { format!("{}:", record.aggregate_id) } else { String::new() };
    let mut ids: Vec<Uuid> = Vec::new();
    for prefix in ["item", "delivery"] {
        let query = JobQuery {
            queue: Some(QUEUE.to_owned()),
            states: vec![JobState::Parked],
            unique_key_prefix: Some(format!("{prefix}:{whose}")),
            limit: MAX_RELEASED,
            ..JobQuery::default()
        };
        let parked = work.reader().storage().jobs(Scope::Project(work.project()), &query).await?;
        ids.extend(parked.iter().map(|job| job.id));
    }
    if !ids.is_empty() {
        let (project_id, run_at) = (work.project(), work.now());
        work.write_job(JobWrite::Release { project_id, ids, run_at });
    }
    Ok(())
}
