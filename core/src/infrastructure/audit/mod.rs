//! What somebody may have to account for although it changes no state of an aggregate: it is in the log, and nowhere else.

mod denials;
mod events;

pub(crate) use denials::{Denials, flush_denials, next_flush, note_denial, note_failed_login};
pub use events::AuditEvent;

use crate::engine::UnitOfWork;
use crate::kernel::{EventId, Kind, Result, Subject};

/// Records what has to be accounted for, in a stream of its own.
pub(crate) async fn record(work: &mut UnitOfWork<'_>, event: AuditEvent) -> Result<()> {
    let stream: EventId = work.new_id();
    work.record_in(Subject::new(Kind::Audit, stream), event).await
}
