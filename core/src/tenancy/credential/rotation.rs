//! The background part of a change of keys: everything that is sealed under older keys is sealed anew, some at a time.

use super::timers::QUEUE;
use crate::engine::{JobOutcome, JobRequest, JobType, UnitOfWork};
use crate::infrastructure::audit::{AuditEvent, record};
use crate::kernel::{Component, Error, ProjectId, Result};
use crate::storage::{JobRecord, Scope, SecretQuery};
use crate::vault::data_key_name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Secrets sealed anew in one commit.
const SECRETS: usize = 100;
/// Projects whose data keys are sealed anew in one commit.
const PROJECTS: usize = 50;

/// Seals the secrets of a project under its newest data key.
pub(super) const RESEAL: JobType = JobType {
    kind: "keys.reseal",
    queue: QUEUE,
    component: Component::Default,
    max_attempts: 20,
    run: |work, job| Box::pin(reseal(work, job)),
};

/// Seals the data keys of all projects under the newest master key.
pub(super) const REWRAP: JobType = JobType {
    kind: "keys.rewrap",
    queue: QUEUE,
    component: Component::Default,
    max_attempts: 20,
    run: |work, job| Box::pin(rewrap(work, job)),
};

/// How far the secrets of a project have come.
#[derive(Serialize, Deserialize)]
struct Resealing {
    /// The version of the data key that all are to be under.
    to: u32,
    /// The version that is being emptied.
    from: u32,
    /// The last one of it that was looked at.
    after: Option<(Uuid, u32)>,
    rows: u64,
    unreadable: u64,
}

/// How far the data keys have come.
#[derive(Serialize, Deserialize)]
struct Rewrapping {
    to: String,
    after: Option<ProjectId>,
    rows: u64,
    /// The keys that they were under.
    replaced: BTreeSet<String>,
}

/// Has the secrets of the project of the call sealed under this version of its data key.
pub(super) fn start_resealing(work: &mut UnitOfWork<'_>, to: u32) {
    let progress = Resealing { to, from: 1, after: None, rows: 0, unreadable: 0 };
    go_on(work, RESEAL.kind, &progress);
}

/// Has all data keys sealed under this master key.
pub(super) fn start_rewrapping(work: &mut UnitOfWork<'_>, to: String) {
    go_on(work, REWRAP.kind, &Rewrapping { to, after: None, rows: 0, replaced: BTreeSet::new() });
}

fn go_on(work: &mut UnitOfWork<'_>, kind: &'static str, progress: &impl Serialize) {
    work.schedule(JobRequest {
        queue: QUEUE,
        kind,
        unique_key: Some(kind.to_owned()),
        order_key: None,
        payload: serde_json::json!(progress).to_string(),
        run_at: work.now(),
        parked: false,
    });
}

fn progress<T: serde::de::DeserializeOwned>(job: &JobRecord) -> Result<T> {
    serde_json::from_str(&job.payload)
        .map_err(|e| Error::corrupt(format!("the payload of a change of keys cannot be read: {e}")))
}

async fn reseal(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let mut progress: Resealing = progress(job)?;
    let project = work.project();
    while progress.from < progress.to {
        let query = SecretQuery {
            key_id: data_key_name(progress.from),
            after: progress.after.map(|(id, revision)| (project, id, revision)),
            limit: SECRETS,
        };
        let records = work.reader().storage().secrets_under(Scope::Project(project), &query).await?;
        let Some(last) = records.last() else {
            progress.from += 1;
            progress.after = None;
            continue;
        };
        progress.after = Some((last.id, last.revision));
        let told = work.reseal(project, &records).await?;
        progress.rows += told.rows;
        progress.unreadable += told.unreadable;
        go_on(work, RESEAL.kind, &progress);
        return Ok(JobOutcome::Done { result: None });
    }
    let Resealing { to, rows, unreadable, .. } = progress;
    let event = AuditEvent::EncryptionKeyRotated { project_id: Some(project), key_id: data_key_name(to), rows };
    record(work, event).await?;
    let result = serde_json::json!({ "rows": rows, "unreadable": unreadable }).to_string();
    Ok(JobOutcome::Done { result: Some(result) })
}

async fn rewrap(work: &mut UnitOfWork<'_>, job: &JobRecord) -> Result<JobOutcome> {
    let mut progress: Rewrapping = progress(job)?;
    let heads = work.reader().storage().heads().await?;
    let projects = heads.into_iter().map(|(project, _)| project);
    let next: Vec<ProjectId> = projects.filter(|id| Some(*id) > progress.after).take(PROJECTS).collect();
    if let Some(last) = next.last() {
        for project in &next {
            let replaced = work.rewrap(*project).await?;
            progress.rows += replaced.len() as u64;
            progress.replaced.extend(replaced);
        }
        progress.after = Some(*last);
        go_on(work, REWRAP.kind, &progress);
        return Ok(JobOutcome::Done { result: None });
    }
    let Rewrapping { to, rows, replaced, .. } = progress;
    record(work, AuditEvent::EncryptionKeyRotated { project_id: None, key_id: to, rows }).await?;
    let result = serde_json::json!({ "rows": rows, "replaced": replaced }).to_string();
    Ok(JobOutcome::Done { result: Some(result) })
}
