//! Baselines in memory.

use super::super::{Baseline, BaselineRepository};
use super::MemoryStorage;
use crate::kernel::{ProjectId, Result, Subject};
use async_trait::async_trait;

#[async_trait]
impl BaselineRepository for MemoryStorage {
    async fn baselines(&self, project: ProjectId, subjects: &[Subject]) -> Result<Vec<Baseline>> {
        let contents = self.contents()?;
        let known = subjects.iter().filter_map(|subject| contents.baselines.get(&(project, *subject)));
        Ok(known.cloned().collect())
    }

    async fn scan_baselines(
        &self,
        project: ProjectId,
        containing: Option<&str>,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<Baseline>> {
        let contents = self.contents()?;
        let place = |subject: Subject| (subject.kind.as_str(), subject.id);
        let wanted = |baseline: &&Baseline| {
            baseline.snapshot.project_id == project
                && containing.is_none_or(|text| baseline.snapshot.state.contains(text))
                && after.is_none_or(|after| place(baseline.subject()) > place(after))
        };
        let mut found: Vec<Baseline> = contents.baselines.values().filter(wanted).cloned().collect();
        found.sort_by_key(|baseline| place(baseline.subject()));
        found.truncate(limit);
        Ok(found)
    }
}
