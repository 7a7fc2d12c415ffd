//! Looking back: what an aggregate was, and what led to what.

use super::replay::Replay;
use crate::engine::{Query, Reader};
use crate::kernel::{
    ActorRef, CommitId, CorrelationId, Error, ErrorCode, EventId, Kind, Permission, Result, Source, Subject, Timestamp,
};
use crate::operations;
use crate::storage::{EventQuery, EventRecord, Scope};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use uuid::Uuid;

/// Events read at a time.
const BATCH: usize = 500;
/// The most events of one flow that are shown.
const MAX_TRACE: usize = 10_000;

/// An aggregate as it was: the fold of its events up to a version or a moment. Without either, as the log has it now.
///
/// `event_not_found` when the log of the project knew no such aggregate then; `seq_pruned` when the events of that time were removed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetStateAt {
    pub kind: Kind,
    pub id: Uuid,
    /// Just after its own event of this number.
    #[serde(default)]
    pub version: Option<u64>,
    /// After everything that was recorded up to this moment.
    #[serde(default)]
    pub at: Option<Timestamp>,
}

/// A state of the past.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct PastState {
    pub kind: Kind,
    pub id: Uuid,
    /// Its own events until then.
    pub version: u64,
    /// The last event that is part of it.
    pub seq: u64,
    /// When that one was recorded.
    pub recorded_at: Timestamp,
    /// Some of these events have lost personal data, so that it did not look like this.
    pub redacted: bool,
    /// As `get` of its collection would have given it, without what is computed from other aggregates.
    #[schemars(with = "Map<String, Value>", extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub state: Box<RawValue>,
}

impl Query for GetStateAt {
    const NAME: &'static str = "events.state_at";
    const PERMISSION: Permission = Permission::EventsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::EventNotFound, ErrorCode::SeqPruned];
    type Output = PastState;

    async fn run(self, read: &Reader<'_>) -> Result<PastState> {
        let subject = Subject::new(self.kind, self.id);
        let (kind, id) = (self.kind.as_str(), self.id.to_string());
        let not_found = || Error::new(ErrorCode::EventNotFound).with("resource", kind).with("id", id.as_str());
        if self.version.is_some() && self.at.is_some() {
            return Err(Error::new(ErrorCode::InputInvalid).message("a version or a moment, not both").at("at"));
        }
        let wanted = |replay: &Replay, record: &EventRecord| {
            let is_reached = self.version.is_some_and(|version| replay.own_events >= version);
            let is_later = self.at.is_some_and(|at| record.recorded_at > at);
            if is_reached || is_later { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let scope = Scope::Project(read.project());
        let replay = Replay::of(read.storage(), scope, subject, None, wanted).await?;
        if let Some(baseline) = replay.baseline {
            let is_before = self.at.is_some_and(|at| at < baseline.recorded_at)
                || self.version.is_some_and(|version| version <= replay.own_events);
            if is_before && replay.last == Some(baseline) {
                return Err(Error::new(ErrorCode::SeqPruned).with("first_seq", baseline.seq));
            }
        }
        let state = replay.state.ok_or_else(not_found)?;
        let last = replay.last.ok_or_else(not_found)?;
        let version = state.base().version;
        if let Some(wanted) = self.version.filter(|wanted| *wanted != version) {
            let error = Error::new(ErrorCode::ValueOutOfRange).at("version").with("min", 1).with("max", version);
            return Err(error.with("current", wanted));
        }
        let text = state.encode()?;
        Ok(PastState {
            kind: self.kind,
            id: self.id,
            version,
            seq: last.seq,
            recorded_at: last.recorded_at,
            redacted: replay.is_redacted,
            state: RawValue::from_string(text).map_err(|e| Error::internal(e.to_string()))?,
        })
    }
}

/// A whole flow: every commit that one call led to, through reactions, with its events.
///
/// Commits come as a tree in reading order: each is followed by those that its events caused, one deeper.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceFlow {
    pub correlation_id: CorrelationId,
}

/// What belongs to one flow.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Trace {
    pub correlation_id: CorrelationId,
    pub steps: Vec<TraceStep>,
    /// The flow has more events than the 10 000 that are shown.
    pub has_more: bool,
}

/// One commit of a flow.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct TraceStep {
    /// 0 for what nothing else in the project caused.
    pub depth: u32,
    pub commit_id: CommitId,
    /// The event whose reaction it was.
    pub causation_id: Option<EventId>,
    /// The operation, reaction or job.
    pub command: Option<String>,
    #[schemars(with = "ActorRef")]
    pub actor: Box<RawValue>,
    #[schemars(with = "Source")]
    pub source: String,
    pub recorded_at: Timestamp,
    pub events: Vec<EventRecord>,
}

impl Query for TraceFlow {
    const NAME: &'static str = "events.trace";
    const PERMISSION: Permission = Permission::EventsView;
    type Output = Trace;

    async fn run(self, read: &Reader<'_>) -> Result<Trace> {
        let id = self.correlation_id;
        let mut query = EventQuery { correlation_id: Some(id.uuid()), limit: BATCH, ..EventQuery::default() };
        let mut events = Vec::new();
        loop {
            let page = read.storage().events(Scope::Project(read.project()), &query).await?;
            let is_last = page.len() < BATCH;
            query.after = page.last().map_or(query.after, |event| event.seq);
            events.extend(page);
            if is_last || events.len() > MAX_TRACE {
                break;
            }
        }
        let has_more = events.len() > MAX_TRACE;
        events.truncate(MAX_TRACE);
        Ok(Trace { correlation_id: id, steps: steps(events), has_more })
    }
}

/// The commits of events that are in log order, as a tree in reading order.
fn steps(events: Vec<EventRecord>) -> Vec<TraceStep> {
    let mut commits: Vec<TraceStep> = Vec::new();
    // Which commit an event belongs to.
    let mut place_of: HashMap<Uuid, usize> = HashMap::new();
    for event in events {
        if commits.last().is_none_or(|commit| commit.commit_id.uuid() != event.commit_id) {
            commits.push(TraceStep {
                depth: 0,
                commit_id: CommitId::from_uuid(event.commit_id),
                causation_id: event.causation_id.map(EventId::from_uuid),
                command: event.command.clone(),
                actor: event.actor.clone(),
                source: event.source.clone(),
                recorded_at: event.recorded_at,
                events: Vec::new(),
            });
        }
        let place = commits.len() - 1;
        place_of.insert(event.id, place);
        commits[place].events.push(event);
    }
    let mut caused: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut next: Vec<usize> = Vec::new();
    for (place, commit) in commits.iter().enumerate() {
        // What causes is always earlier.
        let cause = commit.causation_id.and_then(|id| place_of.get(&id.uuid()).copied()).filter(|cause| *cause < place);
        match cause {
            Some(cause) => caused.entry(cause).or_default().push(place),
            None => next.push(place),
        }
    }
    let mut commits: Vec<Option<TraceStep>> = commits.into_iter().map(Some).collect();
    next.reverse();
    let mut waiting: Vec<(usize, u32)> = next.into_iter().map(|place| (place, 0)).collect();
    let mut steps = Vec::with_capacity(commits.len());
    while let Some((place, depth)) = waiting.pop() {
        waiting.extend(caused.remove(&place).into_iter().flatten().rev().map(|place| (place, depth + 1)));
        steps.extend(commits[place].take().map(|step| TraceStep { depth, ..step }));
    }
    steps
}

operations![queries: GetStateAt, TraceFlow];
