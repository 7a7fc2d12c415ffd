//! Everything the product consists of, as data: aggregates, operations, events, errors, reactions and jobs.
//!
//! These lists are the one place where a new room is registered.

mod aggregates;
mod export;
pub(crate) mod personal;
mod sample;

pub use aggregates::{
    AGGREGATES, AggregateType, CustomEvent, Event, JOURNALS, Journal, aggregate_type, table_of, tables,
};
pub use export::*;
pub use sample::{EventSample, event_samples};

use crate::engine::{BatchReaction, Crm, JobType, Operation, OutsideJob, Reaction, Sweep};
use crate::kernel::Result;

/// The operation tables of all rooms.
const OPERATIONS: &[&[Operation]] = &[
    crate::tenancy::project::commands::COMMANDS,
    crate::tenancy::project::queries::QUERIES,
    crate::tenancy::project_member::commands::COMMANDS,
    crate::tenancy::project_member::queries::QUERIES,
    crate::tenancy::credential::commands::COMMANDS,
    crate::tenancy::credential::queries::QUERIES,
    crate::tenancy::user::commands::COMMANDS,
    #[cfg(feature = "local_auth")]
    crate::tenancy::user::commands::PASSWORD_COMMANDS,
    crate::tenancy::user::queries::QUERIES,
    crate::channels::channel::commands::COMMANDS,
    crate::channels::channel::queries::QUERIES,
    crate::channels::channel_type::commands::COMMANDS,
    crate::channels::channel_type::queries::QUERIES,
    crate::contacts::contact::commands::COMMANDS,
    crate::contacts::contact::queries::QUERIES,
    crate::contacts::contact::stats::QUERIES,
    crate::contacts::contact_event::commands::COMMANDS,
    crate::contacts::contact_event::queries::QUERIES,
    crate::conversations::chat::commands::COMMANDS,
    crate::conversations::chat::queries::QUERIES,
    crate::conversations::inbound::COMMANDS,
    crate::conversations::inbound::inbox::COMMANDS,
    crate::conversations::inbound::inbox::QUERIES,
    crate::conversations::import::commands::COMMANDS,
    crate::conversations::import::queries::QUERIES,
    crate::conversations::session::commands::COMMANDS,
    crate::conversations::session::queries::QUERIES,
    crate::conversations::message::commands::COMMANDS,
    crate::conversations::message::queries::QUERIES,
    crate::infrastructure::consumer::commands::COMMANDS,
    crate::infrastructure::consumer::queries::QUERIES,
    crate::infrastructure::job::commands::COMMANDS,
    crate::infrastructure::job::host::COMMANDS,
    crate::infrastructure::job::queries::QUERIES,
    crate::infrastructure::saga::commands::COMMANDS,
    crate::infrastructure::saga::queries::QUERIES,
    crate::infrastructure::schedule::commands::COMMANDS,
    crate::infrastructure::schedule::queries::QUERIES,
    crate::infrastructure::privacy::commands::COMMANDS,
    crate::infrastructure::privacy::export::COMMANDS,
    crate::infrastructure::privacy::health::QUERIES,
    crate::infrastructure::privacy::trail::QUERIES,
    crate::infrastructure::event_log::commands::COMMANDS,
    crate::infrastructure::event_log::prune::COMMANDS,
    crate::infrastructure::event_log::verify::COMMANDS,
    crate::infrastructure::event_log::queries::QUERIES,
    crate::infrastructure::event_log::history::QUERIES,
    crate::infrastructure::event_log::catalogue::QUERIES,
    crate::integration::webhook::commands::COMMANDS,
    crate::integration::webhook::queries::QUERIES,
];

/// Library code that follows events.
pub const REACTIONS: &[&[Reaction]] = &[
    crate::channels::channel::reactions::REACTIONS,
    crate::tenancy::project_member::reactions::REACTIONS,
    crate::tenancy::user::reactions::REACTIONS,
    crate::tenancy::credential::reactions::REACTIONS,
    crate::conversations::chat::reactions::REACTIONS,
    crate::conversations::import::reactions::REACTIONS,
    crate::conversations::inbound::reactions::REACTIONS,
    crate::conversations::session::REACTIONS,
    crate::conversations::message::REACTIONS,
    crate::integration::webhook::reactions::REACTIONS,
    crate::contacts::contact_event::REACTIONS,
];

/// Library code that follows all events, in batches.
pub const BATCH_REACTIONS: &[&[BatchReaction]] =
    &[crate::integration::webhook::reactions::BATCHES, crate::infrastructure::saga::BATCHES];

/// Kinds of durable jobs.
pub const JOBS: &[&[JobType]] = &[
    crate::tenancy::project::purge::JOBS,
    crate::tenancy::project_member::reactions::JOBS,
    crate::tenancy::credential::JOBS,
    crate::conversations::chat::reactions::JOBS,
    crate::conversations::inbound::JOBS,
    crate::conversations::session::JOBS,
    crate::conversations::message::JOBS,
    crate::integration::webhook::reactions::JOBS,
    crate::contacts::contact_event::JOBS,
    crate::infrastructure::event_log::JOBS,
    crate::infrastructure::saga::JOBS,
    crate::infrastructure::schedule::JOBS,
    crate::infrastructure::privacy::JOBS,
];

/// Kinds of jobs that call the outside.
pub const OUTSIDE_JOBS: &[&[OutsideJob]] = &[
    crate::tenancy::credential::OUTSIDE_JOBS,
    crate::integration::webhook::OUTSIDE_JOBS,
    crate::conversations::message::OUTSIDE_JOBS,
    crate::conversations::message::TELLING_JOBS,
    crate::conversations::import::OUTSIDE_JOBS,
    #[cfg(test)]
    crate::engine::tests::outside::JOBS,
];

/// What is looked for once when a process starts to work.
pub const SWEEPS: &[&[Sweep]] = &[crate::conversations::session::SWEEPS, crate::infrastructure::saga::SWEEPS];

/// The kind of outside job of a name.
pub fn outside_job(kind: &str) -> Option<&'static OutsideJob> {
    OUTSIDE_JOBS.iter().flat_map(|table| table.iter()).find(|job| job.kind == kind)
}

/// The kind of job of a name.
pub fn job_type(kind: &str) -> Option<&'static JobType> {
    JOBS.iter().flat_map(|table| table.iter()).find(|job| job.kind == kind)
}

/// What every installation has, written at every opening where it is missing.
pub(crate) async fn seed(crm: &Crm) -> Result<()> {
    crate::channels::channel_type::seed(crm).await
}

/// All operations, in the order of their declaration.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS.iter().flat_map(|table| table.iter())
}

/// The operation of a name.
pub fn operation(name: &str) -> Option<&'static Operation> {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    static BY_NAME: OnceLock<HashMap<&'static str, &'static Operation>> = OnceLock::new();
    BY_NAME.get_or_init(|| operations().map(|operation| (operation.name, operation)).collect()).get(name).copied()
}

/// All event types with their schema versions; `custom.*` is not listed.
pub fn event_types() -> impl Iterator<Item = (&'static str, u16)> {
    let of_aggregates = AGGREGATES.iter().flat_map(|aggregate| aggregate.event_types);
    of_aggregates.chain(JOURNALS.iter().flat_map(|journal| journal.event_types)).copied()
}
