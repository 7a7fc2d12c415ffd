//! States to fold from where the log does not begin at the beginning any more.

use super::Snapshot;
use crate::kernel::{Kind, ProjectId, Result, Subject, Timestamp};
use async_trait::async_trait;

/// An aggregate as it was when its older events were removed: the fold of all that named it up to `seq`. Whoever folds it again begins
/// here and takes later events alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    pub kind: Kind,
    /// Its state then.
    pub snapshot: Snapshot,
    /// Everything up to this number of the project's log is in it; nothing later is removed.
    pub seq: u64,
    /// When the last event that changed it was recorded.
    pub recorded_at: Timestamp,
    /// Some event had lost personal data by then.
    pub is_redacted: bool,
}

impl Baseline {
    pub fn subject(&self) -> Subject {
        Subject::new(self.kind, self.snapshot.id)
    }
}

/// The baselines of a store. They are written and taken back by an [`Erasure`](super::Erasure).
#[async_trait]
pub trait BaselineRepository: Send + Sync {
    /// The baselines that there are of these aggregates, in no particular order.
    async fn baselines(&self, project: ProjectId, subjects: &[Subject]) -> Result<Vec<Baseline>>;

    /// The next `limit` baselines of a project after an aggregate, by kind and id; with a text only those in whose state it occurs.
    async fn scan_baselines(
        &self,
        project: ProjectId,
        containing: Option<&str>,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<Baseline>>;
}
