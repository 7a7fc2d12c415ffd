//! What somebody leaves behind outside the log, and how to tell: by the id, or by a number or address that the log knows.

use super::redaction::remove_jobs;
use crate::catalogue::personal;
use crate::engine::{Event, UnitOfWork};
use crate::kernel::{Error, ProjectId, Result, Subject};
use crate::storage::{EventQuery, JobQuery, JobRecord, Scope};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Jobs looked at in one commit.
const JOBS: usize = 1_000;
/// Events read at a time.
const EVENTS: usize = 1_000;
/// What is shorter may be part of anything.
const MIN_DIGITS: usize = 7;
const MIN_TEXT: usize = 6;

/// What names somebody in texts.
pub(super) struct Traces {
    id: String,
    /// Numbers without a sign, addresses, ids of channels.
    texts: BTreeSet<String>,
}

impl Traces {
    /// Whether a text names them otherwise than by the id.
    pub(super) fn is_named_in(&self, text: &str) -> bool {
        self.texts.iter().any(|known| text.contains(known.as_str()))
    }

    /// Whether a text is about them.
    fn is_about(&self, text: &str) -> bool {
        text.contains(&self.id) || self.is_named_in(text)
    }

    pub(super) fn all(&self) -> Vec<String> {
        self.texts.iter().chain([&self.id]).cloned().collect()
    }
}

/// What the subject's own events say that names them, and where those were removed the state that is kept of them. Once they are redacted
/// that is nothing but the id.
pub(super) async fn of(work: &UnitOfWork<'_>, subject: Subject, scope: Scope) -> Result<Traces> {
    let mut texts = BTreeSet::new();
    let mut query = EventQuery { stream: Some(subject), limit: EVENTS, ..EventQuery::default() };
    loop {
        let page = work.reader().storage().events(scope, &query).await?;
        for record in &page {
            let (data, _) = Event::lift(record)?;
            let mut note = |text: &str, kind: &str| texts.extend(trace(text, kind));
            personal::redact(&record.event_type, &mut serde_json::Value::Object(data), subject, &mut note)?;
            query.after = match scope {
                Scope::Project(_) => record.seq,
                Scope::Installation => record.position,
            };
        }
        if page.len() < EVENTS {
            // Users are kept in the log of the installation.
            let home = match scope {
                Scope::Project(project) => project,
                Scope::Installation => ProjectId::SYSTEM,
            };
            for kept in work.reader().storage().baselines(home, &[subject]).await? {
                let mut state: serde_json::Value = serde_json::from_str(&kept.snapshot.state)
                    .map_err(|error| Error::corrupt(format!("a baseline cannot be read: {error}")))?;
                let mut note = |text: &str, kind: &str| texts.extend(trace(text, kind));
                personal::erase_from_state(subject.kind, &mut state, subject, &mut note);
            }
            return Ok(Traces { id: subject.id.to_string(), texts });
        }
    }
}

/// What of a personal text is found again elsewhere: a number in any notation, an address. Names are not: others have them too.
fn trace(text: &str, kind: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let is_number = text.chars().all(|c| c.is_ascii_digit() || "+-() .".contains(c));
    match kind {
        "phone" | "free" if is_number => Some(digits).filter(|digits| digits.len() >= MIN_DIGITS),
        "phone" => text.split(['@', ':']).next().filter(|part| part.len() >= MIN_TEXT).map(str::to_owned),
        "email" => Some(text.to_owned()).filter(|text| text.len() >= MIN_TEXT),
        "free" if text.contains('@') => Some(text.to_owned()).filter(|text| text.len() >= MIN_TEXT),
        _ => None,
    }
}

/// Removes the next jobs that have ended and are about them, and what waits in the inbox from them. The last one that was looked at,
/// unless that was all.
pub(super) async fn clear_jobs(
    work: &mut UnitOfWork<'_>,
    known: &Traces,
    scope: Scope,
    before: Option<Uuid>,
) -> Result<Option<Uuid>> {
    let query = JobQuery { before, limit: JOBS, ..JobQuery::default() };
    let page = work.reader().storage().jobs(scope, &query).await?;
    let last = page.last().map(|job| job.id).filter(|_| page.len() == JOBS);
    let goes = |job: &JobRecord| {
        let waits_in_inbox = ["inbound", "parked"].contains(&job.queue.as_str());
        let kept = || [Some(&job.payload), job.result.as_ref(), job.last_error.as_ref()].into_iter().flatten();
        let texts = || kept().chain(job.history.iter().filter_map(|tried| tried.error.as_ref()));
        match job.state.is_open() {
            // What is open and only names the id is work that knows what to do with somebody who is erased.
            true => waits_in_inbox && texts().any(|text| known.is_named_in(text)),
            false => texts().any(|text| known.is_about(text)),
        }
    };
    let gone: Vec<JobRecord> = page.into_iter().filter(goes).collect();
    remove_jobs(work, &gone);
    Ok(last)
}
