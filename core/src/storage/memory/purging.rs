//! Removing projects from memory.

use super::super::PurgeRepository;
use super::{Contents, MemoryStorage};
use crate::kernel::{ProjectId, Result};
use async_trait::async_trait;
use std::collections::BTreeMap;

#[async_trait]
impl PurgeRepository for MemoryStorage {
    async fn count_project(&self, project: ProjectId) -> Result<BTreeMap<String, u64>> {
        let contents = self.contents()?;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut count = |table: &str, rows: usize| {
            if rows > 0 {
                *counts.entry(table.to_owned()).or_default() += rows as u64;
            }
        };
        for (kind, whose, _) in contents.snapshots.keys() {
            count(kind.plural(), usize::from(*whose == project));
        }
        let letters = contents.dead_letters.iter().filter(|((whose, _), _)| *whose == project);
        count("dead_letters", letters.map(|(_, letters)| letters.len()).sum());
        count("events", contents.events.iter().filter(|event| event.project_id.0 == project).count());
        count("jobs", contents.jobs.values().filter(|job| job.project_id.0 == project).count());
        count("consumers", contents.consumers.keys().filter(|(whose, _)| *whose == project).count());
        count("idempotency_keys", contents.idempotency.keys().filter(|(scope, _)| *scope == project.uuid()).count());
        count("baselines", contents.baselines.keys().filter(|(whose, _)| *whose == project).count());
        count("secrets", contents.secrets.keys().filter(|(whose, ..)| *whose == project).count());
        Ok(counts)
    }

    async fn purge_project(&self, project: ProjectId, limit: usize) -> Result<u64> {
        Ok(self.contents()?.purge(project, limit) as u64)
    }
}

impl Contents {
    fn purge(&mut self, project: ProjectId, limit: usize) -> usize {
        self.keys.retain(|_, (whose, _)| *whose != project);
        let others = [
            forget(&mut self.snapshots, limit, |(_, whose, _), _| *whose == project),
            forget(&mut self.jobs, limit, |_, job| job.project_id.0 == project),
            forget(&mut self.consumers, limit, |(whose, _), _| *whose == project),
            forget(&mut self.idempotency, limit, |(scope, _), _| *scope == project.uuid()),
            forget(&mut self.secrets, limit, |(whose, ..), _| *whose == project),
            forget(&mut self.baselines, limit, |(whose, _), _| *whose == project),
        ];
        let mut letters = 0;
        self.dead_letters.retain(|(whose, _), of_consumer| {
            letters += if *whose == project { of_consumer.len() } else { 0 };
            *whose != project
        });
        let removed = others.into_iter().sum::<usize>() + letters;
        if removed > 0 {
            return removed;
        }
        let removed = self.remove_events(limit, |event| event.project_id.0 == project);
        if removed > 0 {
            return removed;
        }
        self.first_seqs.remove(&project);
        self.streams.retain(|(whose, ..), _| *whose != project);
        usize::from(self.heads.remove(&project).is_some())
    }
}

/// Removes up to so many, and tells how many.
fn forget<K: Ord + Clone, V>(rows: &mut BTreeMap<K, V>, limit: usize, goes: impl Fn(&K, &V) -> bool) -> usize {
    let found: Vec<K> =
        rows.iter().filter(|(key, row)| goes(key, row)).take(limit).map(|(key, _)| key.clone()).collect();
    found.iter().for_each(|key| drop(rows.remove(key)));
    found.len()
}
