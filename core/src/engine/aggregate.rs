//! What an aggregate is, how its events fold into it, and the [`Root`] that a command works on.

use super::event::{Event, Meta};
use crate::catalogue::aggregate_type;
use crate::kernel::pii::ERASED;
use crate::kernel::{Error, ErrorCode, EventId, Id, IdGenerator, Kind, ProjectId, Result, Source, Subject, Timestamp};
use crate::storage::{Column, EventRecord, Index, Snapshot};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::ops::Deref;
use std::sync::Arc;
use uuid::Uuid;

/// The fields that every aggregate has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    pub id: Uuid,
    pub project_id: ProjectId,
    /// Own events; what callers mean by `expected_version`.
    pub version: u64,
    /// All folds; the store's compare-and-swap token.
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// A state that is exactly the fold of events.
///
/// `create` and `apply` are total: they never fail and never reject, because what they see has happened.
pub trait Aggregate: Clone + Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    const KIND: Kind;
    const NOT_FOUND: ErrorCode;
    /// Typed columns of its table; see [`index`](Aggregate::index).
    const COLUMNS: &'static [Column];
    /// Field lists that the documented queries need.
    const INDEXES: &'static [&'static [&'static str]] = &[];
    /// Set-valued attribute fields, such as `tags`.
    const SETS: &'static [&'static str] = &[];
    /// The prefix of custom fields, if the aggregate has them: `custom.`.
    const CUSTOM: Option<&'static str> = None;
    /// Grows when `index` changes meaning, so that stores fill the columns again.
    const INDEX_VERSION: u32 = 1;
    /// Nearly every call reads it and few change it, such as the project: it is kept decoded.
    const OFTEN_READ: bool = false;
    /// The reaction that writes lives which events of other aggregates begin; see [`derive`](Aggregate::derive).
    const DERIVED_BY: Option<&'static str> = None;
    type Id: Id;

    /// The state after the event that a life starts with; `None` for any other event.
    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self>;

    /// Takes in one own or observed event.
    fn apply(&mut self, event: &Event, meta: &Meta<'_>);

    /// Foreign events that change this state when they name it as a subject.
    fn observes(_event: &Event) -> bool {
        false
    }

    /// The life that another aggregate's event begins, by what the event says alone: revision 1, and no own event yet. The event
    /// does not name it as a subject; its later events do.
    fn derive(_record: &EventRecord, _event: &Event) -> Option<Self> {
        None
    }

    /// The event that this life was derived from.
    fn derived_from(&self) -> Option<Uuid> {
        None
    }

    /// Columns, unique keys, attributes and search text derived from the state.
    fn index(&self, index: &mut Index);

    /// Deleted, merged away and the like: not found unless asked for.
    fn is_hidden(&self) -> bool {
        false
    }

    /// Whether its life has been over for so long that nothing of it need be stored any more. Its events stay, as the retention says, and
    /// a state that is gone is not missing.
    fn is_forgotten(&self, _now: Timestamp) -> bool {
        false
    }

    fn base(&self) -> Base;
    fn set_base(&mut self, base: Base);
}

/// Implements `base` and `set_base` over fields of the same names.
#[macro_export]
macro_rules! base_fields {
    () => {
        fn base(&self) -> $crate::engine::Base {
            $crate::engine::Base {
                id: self.id.into(),
                project_id: self.project_id,
                version: self.version,
                revision: self.revision,
                created_at: self.created_at,
                updated_at: self.updated_at,
            }
        }

        fn set_base(&mut self, base: $crate::engine::Base) {
            self.id = base.id.into();
            self.project_id = base.project_id;
            self.version = base.version;
            self.revision = base.revision;
            self.created_at = base.created_at;
            self.updated_at = base.updated_at;
        }
    };
}

/// Folds the first event of a life.
pub fn begin<A: Aggregate>(event: &Event, meta: &Meta<'_>) -> Option<A> {
    let mut state = A::create(event, meta)?;
    state.set_base(Base {
        id: meta.aggregate_id,
        project_id: meta.project_id,
        version: 1,
        revision: 1,
        created_at: meta.occurred_at,
        updated_at: meta.occurred_at,
    });
    Some(state)
}

/// Folds one more own or observed event.
pub fn fold<A: Aggregate>(state: &mut A, event: &Event, meta: &Meta<'_>) {
    state.apply(event, meta);
    let mut base = state.base();
    base.revision += 1;
    if meta.kind == A::KIND && meta.aggregate_id == base.id {
        base.version += 1;
        base.updated_at = meta.occurred_at;
    }
    state.set_base(base);
}

/// A state of any type, as the unit of work keeps it.
pub trait Stored: Any + Send + Sync {
    fn fold(&mut self, event: &Event, meta: &Meta<'_>);
    fn base(&self) -> Base;
    fn encode(&self) -> Result<String>;
    fn is_forgotten(&self, now: Timestamp) -> bool;
    fn index(&self) -> Index;
    fn copy(&self) -> Arc<dyn Stored>;
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

/// The state for changing: itself, or a copy when somebody else looks at it.
pub(crate) fn own(state: &mut Arc<dyn Stored>) -> &mut dyn Stored {
    if Arc::get_mut(state).is_none() {
        *state = state.copy();
    }
    Arc::get_mut(state).expect("nobody else knows a fresh copy")
}

impl<A: Aggregate> Stored for A {
    fn fold(&mut self, event: &Event, meta: &Meta<'_>) {
        fold(self, event, meta);
    }

    fn base(&self) -> Base {
        Aggregate::base(self)
    }

    fn encode(&self) -> Result<String> {
        encode(self)
    }

    fn is_forgotten(&self, now: Timestamp) -> bool {
        Aggregate::is_forgotten(self, now)
    }

    fn index(&self) -> Index {
        index_of(self)
    }

    fn copy(&self) -> Arc<dyn Stored> {
        Arc::new(self.clone())
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

pub(crate) fn encode<T: Serialize>(value: &T) -> Result<String> {
    let broken = |e: &dyn std::fmt::Display| Error::internal(format!("a value does not serialise: {e}"));
    // States take one or two kilobytes: growing to that size copies as much again.
    let mut text = Vec::with_capacity(2048);
    serde_json::to_writer(&mut text, value).map_err(|e| broken(&e))?;
    String::from_utf8(text).map_err(|e| broken(&e))
}

/// Reads a stored state. One that a newer program wrote in a form of its own is `unknown_event_version`.
pub(crate) fn decode<A: Aggregate>(snapshot: &Snapshot) -> Result<A> {
    read_state(&snapshot.state).map_err(|error| match aggregate_type(A::KIND) {
        Some(known) if snapshot.schema > known.schema() => newer(A::KIND, snapshot.id),
        _ => error,
    })
}

pub(crate) fn read_state<A: Aggregate>(state: &str) -> Result<A> {
    serde_json::from_str(state).map_err(|e| Error::corrupt(format!("a stored {} cannot be read: {e}", A::KIND)))
}

/// A newer program wrote this aggregate, so this one must not.
pub(crate) fn newer(kind: Kind, id: Uuid) -> Error {
    Error::new(ErrorCode::UnknownEventVersion).with("resource", kind.as_str()).with("id", id.to_string())
}

pub(crate) fn index_of<A: Aggregate>(state: &A) -> Index {
    let mut index = Index { hidden: state.is_hidden(), ..Index::default() };
    Aggregate::index(state, &mut index);
    // What stands for erased data is no key: many may have it.
    index.keys.retain(|key| !key.key.contains(ERASED));
    index
}

/// What recording needs from the call: one moment, one actor, ids.
pub struct Recorder {
    pub now: Timestamp,
    pub ids: Arc<dyn IdGenerator>,
    pub actor: crate::kernel::ActorRef,
}

/// An event that a command decided on.
#[derive(Clone)]
pub struct Recorded {
    pub id: EventId,
    pub kind: Kind,
    pub aggregate_id: Uuid,
    pub project_id: ProjectId,
    pub version: u64,
    pub occurred_at: Timestamp,
    pub subjects: Vec<Subject>,
    /// How it came, where that is not how the call came.
    pub source: Option<Source>,
    pub event: Event,
}

impl Recorded {
    pub fn meta<'a>(&self, actor: &'a crate::kernel::ActorRef) -> Meta<'a> {
        Meta {
            event_id: self.id,
            kind: self.kind,
            aggregate_id: self.aggregate_id,
            project_id: self.project_id,
            occurred_at: self.occurred_at,
            actor,
        }
    }
}

/// An aggregate in the hands of a command: readable like its state, changed only by recording events.
pub struct Root<A: Aggregate> {
    pub(crate) state: Arc<A>,
    pub(crate) recorder: Arc<Recorder>,
    pub(crate) recorded: Vec<Recorded>,
    /// The revision at check-out; a root that was overtaken must not be saved.
    pub(crate) checked_out: u64,
}

impl<A: Aggregate> Root<A> {
    /// Starts a life with `event`, which must be one that [`Aggregate::create`] knows.
    pub fn start(
        recorder: &Arc<Recorder>,
        project: ProjectId,
        id: A::Id,
        event: impl Into<Event>,
        at: Timestamp,
    ) -> Result<Self> {
        let event = event.into();
        let recorded = Self::note(recorder, project, id.into(), 1, event, at);
        let state = begin::<A>(&recorded.event, &recorded.meta(&recorder.actor))
            .ok_or_else(|| Error::internal(format!("no {} starts with {}", A::KIND, recorded.event.type_name())))?;
        Ok(Root { state: Arc::new(state), recorder: recorder.clone(), recorded: vec![recorded], checked_out: 0 })
    }

    /// Records an event and applies it at once: the next line sees the new state.
    pub fn record(&mut self, event: impl Into<Event>) {
        self.record_at(event, self.recorder.now);
    }

    /// As [`record`](Self::record), for a fact that happened earlier.
    pub fn record_at(&mut self, event: impl Into<Event>, at: Timestamp) {
        let base = self.state.base();
        let recorded = Self::note(&self.recorder, base.project_id, base.id, base.version + 1, event.into(), at);
        fold(Arc::make_mut(&mut self.state), &recorded.event, &recorded.meta(&self.recorder.actor));
        self.recorded.push(recorded);
    }

    fn note(
        recorder: &Recorder,
        project_id: ProjectId,
        id: Uuid,
        version: u64,
        event: Event,
        at: Timestamp,
    ) -> Recorded {
        let own = Subject::new(A::KIND, id);
        let mut subjects = vec![own];
        event.subjects(&mut subjects);
        let mut seen = std::collections::BTreeSet::new();
        subjects.retain(|subject| seen.insert(*subject));
        Recorded {
            id: EventId::from_uuid(recorder.ids.uuid(recorder.now)),
            kind: A::KIND,
            aggregate_id: id,
            project_id,
            version,
            occurred_at: at,
            subjects,
            source: None,
            event,
        }
    }

    /// The one moment of the command.
    pub fn now(&self) -> Timestamp {
        self.recorder.now
    }

    /// Who runs the command.
    pub fn actor(&self) -> &crate::kernel::ActorRef {
        &self.recorder.actor
    }

    pub fn new_uuid(&self) -> Uuid {
        self.recorder.ids.uuid(self.recorder.now)
    }

    /// True when nothing was recorded since it was loaded.
    pub fn is_unchanged(&self) -> bool {
        self.recorded.is_empty()
    }

    pub fn state(&self) -> &A {
        &self.state
    }

    /// The state as it is now, for whoever only looks at it.
    pub fn shared(&self) -> Arc<A> {
        self.state.clone()
    }
}

impl<A: Aggregate> Deref for Root<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.state
    }
}
