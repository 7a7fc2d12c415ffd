//! What somebody may have to account for although it changes no state of an aggregate: it is in the log, and nowhere else.

mod events;

pub use events::AuditEvent;
