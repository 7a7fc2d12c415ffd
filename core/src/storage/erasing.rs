//! The only ways in which what is stored is taken back: personal data in place, and what it left behind elsewhere.

use super::{Baseline, Scope};
use crate::kernel::{ProjectId, Timestamp};
use serde_json::value::RawValue;
use uuid::Uuid;

/// One step of forgetting, part of a batch. What names nothing that exists does nothing.
#[derive(Debug, Clone)]
pub enum Erasure {
    /// Puts redacted data in the place of an event's; its metadata is cleared. Everything else of it stays.
    Event(EventRewrite),
    /// Keeps a state to fold from, in the place of an older one of the same aggregate. It goes into a commit of its own or before the
    /// removal of the events that are in it.
    Baseline(Baseline),
    /// Removes events, with the ways to find them.
    Events(EventRemoval),
    /// Removes jobs that have ended.
    Jobs { project_id: ProjectId, ids: Vec<Uuid> },
    /// Takes the stored outcomes away from idempotency keys in whose outcome one of these texts occurs: they become
    /// [`ERASED_OUTCOME`], and the keys stay used.
    Outcomes { scope: Scope, texts: Vec<String> },
}

/// What stands where the outcome of a command was.
pub const ERASED_OUTCOME: &str = r#"{"$redacted":"free"}"#;

/// Events that go for good. Their numbers are never given again.
#[derive(Debug, Clone)]
pub struct EventRemoval {
    pub project_id: ProjectId,
    pub seqs: Vec<u64>,
    /// From here on the log is whole, but for noise; it never goes back.
    pub first_seq: Option<u64>,
}

/// An event without the personal data that it had.
#[derive(Debug, Clone)]
pub struct EventRewrite {
    pub project_id: ProjectId,
    pub seq: u64,
    /// The version of its type that `data` has now.
    pub schema_version: u16,
    pub data: Box<RawValue>,
    pub redacted_at: Timestamp,
}

impl Erasure {
    /// Whose rows it is about; none when they are everybody's.
    pub fn project(&self) -> Option<ProjectId> {
        match self {
            Erasure::Event(rewrite) => Some(rewrite.project_id),
            Erasure::Baseline(baseline) => Some(baseline.snapshot.project_id),
            Erasure::Events(removal) => Some(removal.project_id),
            Erasure::Jobs { project_id, .. } | Erasure::Outcomes { scope: Scope::Project(project_id), .. } => {
                Some(*project_id)
            }
            Erasure::Outcomes { scope: Scope::Installation, .. } => None,
        }
    }
}
