//! Group commit. Whoever finds nobody committing for its project commits at once; what arrives meanwhile waits, and is written in
//! one transaction then. The commits of a project wait for each other in any case, because each holds its head to the end: like this
//! they wait once for many of them.

use crate::commit::{Group, Work, alone, only, together};
use crate::pool::Pool;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, Kind, Subject};
use ventros::storage::{CommitError, Committed};

/// How much work shares one transaction at most: more would make the first of it wait too long.
const GROUP_MAX: usize = 64;
/// How often a group is tried without those that were in the way.
const TRIES: usize = 3;

/// The projects for which somebody commits now, with what waits for the next turn.
#[derive(Default)]
pub(crate) struct Groups(Mutex<HashMap<Uuid, Vec<Waiting>>>);

struct Waiting {
    work: Work,
    reply: oneshot::Sender<Result<Committed, CommitError>>,
}

impl Groups {
    /// Writes the work, alone or with others.
    pub(crate) async fn commit(self: &Arc<Self>, pool: &Arc<Pool>, work: Work) -> Result<Committed, CommitError> {
        let Some(project) = only(&work.batch) else { return alone(pool, &work).await };
        let answer = match self.arrive(project, work) {
            Ok(work) => {
                let _turn = Turn { groups: self, pool, project };
                return alone(pool, &work).await;
            }
            Err(answer) => answer,
        };
        answer.await.unwrap_or_else(|_| Err(Error::from(ErrorCode::Closed).into()))
    }

    /// The work back, for whoever may write now; else what will be answered.
    fn arrive(&self, project: Uuid, work: Work) -> Result<Work, oneshot::Receiver<Result<Committed, CommitError>>> {
        let mut lines = self.lines();
        match lines.get_mut(&project) {
            None => {
                lines.insert(project, Vec::new());
                Ok(work)
            }
            Some(waiting) => {
                let (reply, answer) = oneshot::channel();
                waiting.push(Waiting { work, reply });
                Err(answer)
            }
        }
    }

    /// What is written next, together: no two of it write the same aggregate. Nobody commits for the project any more when there is
    /// nothing.
    fn next(&self, project: Uuid) -> Option<Vec<Waiting>> {
        let mut lines = self.lines();
        let waiting = lines.get_mut(&project)?;
        waiting.retain(|one| !one.reply.is_closed());
        if waiting.is_empty() {
            lines.remove(&project);
            return None;
        }
        let (mut group, mut left, mut written) = (Vec::new(), Vec::new(), BTreeSet::new());
        for one in waiting.drain(..) {
            let own: Vec<(Kind, Uuid)> = one.work.batch.touched().map(|(kind, id, _)| (kind, id)).collect();
            if group.len() < GROUP_MAX && own.iter().all(|aggregate| !written.contains(aggregate)) {
                written.extend(own);
                group.push(one);
            } else {
                left.push(one);
            }
        }
        *waiting = left;
        Some(group)
    }

    /// Answers those who wait with what a group has made old: the server would only tell them the same.
    fn refuse_outdated(&self, project: Uuid, written: &BTreeMap<(Kind, Uuid), u64>) {
        let mut lines = self.lines();
        let Some(waiting) = lines.get_mut(&project) else { return };
        for one in std::mem::take(waiting) {
            let is_outdated =
                |(kind, id, loaded): &(Kind, Uuid, u64)| written.get(&(*kind, *id)).is_some_and(|now| loaded < now);
            let outdated = one.work.batch.touched().find(is_outdated);
            match outdated.map(|(kind, id, _)| Subject::new(kind, id)) {
                Some(aggregate) => one.answer(Err(CommitError::Stale(aggregate))),
                None => waiting.push(one),
            }
        }
    }

    /// Writes whatever waits, until nothing does.
    async fn carry(self: Arc<Self>, pool: Arc<Pool>, project: Uuid) {
        // A panic must not leave the others waiting for ever.
        let turn = Turn { groups: &self, pool: &pool, project };
        while let Some(group) = self.next(project) {
            self.write(&pool, project, group).await;
        }
        std::mem::forget(turn);
    }

    async fn write(&self, pool: &Arc<Pool>, project: Uuid, mut group: Vec<Waiting>) {
        for _ in 0..TRIES {
            if group.len() < 2 {
                break;
            }
            let works: Vec<&Work> = group.iter().map(|one| &one.work).collect();
            match together(pool, &works).await {
                Ok(Group::Committed(told)) => {
                    let batches = || works.iter().map(|work| &work.batch);
                    let written = batches().flat_map(|batch| &batch.snapshots);
                    let written = written.map(|write| ((write.kind, write.id), write.revision));
                    let removed = batches().flat_map(|batch| &batch.removals);
                    let removed = removed.map(|removal| ((removal.kind, removal.id), u64::MAX));
                    let written = removed.chain(written).collect();
                    self.refuse_outdated(project, &written);
                    return group.into_iter().zip(told).for_each(|(one, told)| one.answer(Ok(told)));
                }
                Ok(Group::Unknown(error)) | Err(error) => {
                    return group.into_iter().for_each(|one| one.answer(Err(error.clone().into())));
                }
                Ok(Group::Refused(refused)) if refused.is_empty() => break,
                Ok(Group::Refused(refused)) => {
                    let mut refused: BTreeMap<usize, CommitError> = refused.into_iter().collect();
                    let mut rest = Vec::with_capacity(group.len());
                    for (place, one) in group.into_iter().enumerate() {
                        match refused.remove(&place) {
                            Some(error) => one.answer(Err(error)),
                            None => rest.push(one),
                        }
                    }
                    group = rest;
                }
            }
        }
        for one in group {
            let outcome = alone(pool, &one.work).await;
            one.answer(outcome);
        }
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// Nobody listens when the caller gave up waiting; what was written stays so.
    fn answer(self, outcome: Result<Committed, CommitError>) {
        drop(self.reply.send(outcome));
    }
}

/// The right to commit for a project. When it ends, what has arrived meanwhile is carried.
struct Turn<'t> {
    groups: &'t Arc<Groups>,
    pool: &'t Arc<Pool>,
    project: Uuid,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut lines = self.groups.lines();
        if lines.get(&self.project).is_some_and(|waiting| !waiting.is_empty()) {
            drop(lines);
            self.pool.spawn(self.groups.clone().carry(self.pool.clone(), self.project));
        } else {
            lines.remove(&self.project);
        }
    }
}
