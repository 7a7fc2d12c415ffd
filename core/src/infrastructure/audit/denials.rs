//! Refusals, counted for a minute and then recorded once: however often somebody tries, the log grows by one event a minute.

use super::AuditEvent;
use crate::catalogue::collection;
use crate::engine::{Context, Core, Crm, Decision, UnitOfWork};
use crate::kernel::{ActorRef, Error, ErrorCode, Kind, ProjectId, Result, Source, Subject, Timestamp};
use futures_util::future::BoxFuture;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// How long refusals are counted before they are recorded, in seconds.
const WINDOW_SECONDS: i64 = 60;
/// Different refusals that are counted at a time. What comes on top of that within the minute is told by nobody: the log must not be
/// filled by whoever may do nothing.
const MAX_PENDING: usize = 1_000;

/// Refusals that are counted and not recorded yet.
#[derive(Default)]
pub(crate) struct Denials(Mutex<BTreeMap<Key, Denied>>);

/// Where it was, who it was, what was tried.
type Key = (Option<ProjectId>, String, String);

#[derive(Clone)]
struct Denied {
    actor: ActorRef,
    what: What,
    count: u64,
    first_at: Timestamp,
}

#[derive(Clone)]
enum What {
    Access { permission: String, command: &'static str, target: Option<Subject> },
    Login { identity_hash: String, reason: &'static str },
}

impl Denials {
    fn pending(&self) -> MutexGuard<'_, BTreeMap<Key, Denied>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, key: Key, denied: Denied) {
        let mut pending = self.pending();
        let has_room = pending.len() < MAX_PENDING;
        match pending.get_mut(&key) {
            Some(known) => known.count += 1,
            None if has_room => drop(pending.insert(key, denied)),
            None => {}
        }
    }
}

/// Takes note of a refused call. Only `permission_denied` is a refusal; `input` says what it was about.
pub(crate) fn note_denial(core: &Core, context: &Context, command: &'static str, error: &Error, input: &[u8]) {
    if error.code() != ErrorCode::PermissionDenied {
        return;
    }
    let permission = error.details().get("permission").and_then(Value::as_str).unwrap_or_default().to_owned();
    let actor = context.actor.clone();
    let who = format!("{}:{:?}:{:?}", actor.kind().as_str(), actor.id(), actor.component());
    let what = What::Access { permission, command, target: target_of(command, input) };
    let denied = Denied { actor, what, count: 1, first_at: core.now() };
    core.denials.count((context.project, who, command.to_owned()), denied);
}

/// What a call names: the aggregate of its collection.
fn target_of(command: &str, input: &[u8]) -> Option<Subject> {
    let prefix = command.split('.').next()?;
    let kind = Kind::ALL.iter().find(|kind| collection(**kind) == prefix)?;
    let input: Value = serde_json::from_slice(input).ok()?;
    let id = Uuid::parse_str(input.get("id")?.as_str()?).ok()?;
    Some(Subject::new(*kind, id))
}

/// Takes note of a login of somebody that nobody knows.
pub(crate) fn note_failed_login(core: &Core, context: &Context, identity: &str, reason: &'static str) {
    let identity_hash = hash(core, identity);
    let actor = context.actor.clone();
    let key = (None, identity_hash.clone(), reason.to_owned());
    core.denials
        .count(key, Denied { actor, what: What::Login { identity_hash, reason }, count: 1, first_at: core.now() });
}

/// The same for the same identity as long as the process runs, and of no use to find out which one it was.
fn hash(core: &Core, identity: &str) -> String {
    let identity = identity.trim().to_lowercase();
    let digest = Sha256::new().chain_update(core.owner.as_bytes()).chain_update(identity).finalize();
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// When the next refusals are to be recorded.
pub(crate) fn next_flush(core: &Core) -> Option<Timestamp> {
    core.denials.pending().values().map(|denied| denied.first_at.plus_seconds(WINDOW_SECONDS)).min()
}

/// Records what was counted for a minute, or whatever there is, and tells how many events that were.
pub(crate) async fn flush_denials(crm: &Crm, is_last: bool) -> Result<u64> {
    let core = crm.core();
    let now = core.now();
    let due: Vec<(Key, Denied)> = {
        let mut pending = core.denials.pending();
        let is_due = |denied: &Denied| is_last || denied.first_at.plus_seconds(WINDOW_SECONDS) <= now;
        let keys: Vec<Key> = pending.iter().filter(|(_, denied)| is_due(denied)).map(|(key, _)| key.clone()).collect();
        keys.into_iter().filter_map(|key| pending.remove_entry(&key)).collect()
    };
    let mut recorded = 0;
    for (key, denied) in due {
        let mut context = Context::new(key.0, denied.actor.clone());
        context.source = Source::System;
        context.command = match &denied.what {
            What::Access { command, .. } => (*command).to_owned(),
            What::Login { .. } => "users.authenticate".to_owned(),
        };
        match crm.transaction(context, None, &Record(denied.clone())).await {
            Ok(_) => recorded += 1,
            Err(error) => {
                core.denials.pending().entry(key).or_insert(denied);
                return Err(error);
            }
        }
    }
    Ok(recorded)
}

struct Record(Denied);

impl Decision<()> for Record {
    fn decide<'a>(&'a self, work: &'a mut UnitOfWork<'_>) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let count = self.0.count;
            let event = match &self.0.what {
                What::Access { permission, command, target } => AuditEvent::AccessDenied {
                    permission: permission.clone(),
                    command: (*command).to_owned(),
                    target_kind: target.map(|target| target.kind),
                    target_id: target.map(|target| target.id),
                    count,
                },
                What::Login { identity_hash, reason } => AuditEvent::LoginFailed {
                    identity_hash: identity_hash.clone(),
                    source: None,
                    reason: (*reason).to_owned(),
                    count,
                },
            };
            super::record(work, event).await
        })
    }
}
