//! Removing all that is stored of a project, for good.

use crate::kernel::{ProjectId, Result};
use async_trait::async_trait;
use std::collections::BTreeMap;

/// What is stored of a project, and its removal. It is for projects that nobody writes to any more: what is written meanwhile is removed
/// too, or stays, as it comes.
#[async_trait]
pub trait PurgeRepository: Send + Sync {
    /// How many rows there are of a project, by table: those of aggregates and records, `events`, `baselines`, `jobs`, `consumers`, `dead_letters`,
    /// `idempotency_keys` and `secrets`. Tables without any are left out, and so is what is derived.
    async fn count_project(&self, project: ProjectId) -> Result<BTreeMap<String, u64>>;

    /// Removes some rows of a project, at most `limit` of one table, with what is derived from them, and tells how many; 0 once there is
    /// nothing of it any more. The log goes last. It is lasting when it returns, whatever becomes of a commit under way.
    async fn purge_project(&self, project: ProjectId, limit: usize) -> Result<u64>;
}
