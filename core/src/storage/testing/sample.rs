//! What the tests write: a contact-like aggregate with a field of every kind, and the records around it.

use crate::kernel::{ErrorCode, Kind, ProjectId, Result, Subject, Timestamp, fold};
use crate::storage::{
    Batch, Column, Committed, Erasure, EventRecord, EventRemoval, EventRewrite, FieldKind, Fields, Index, IndexChange,
    JobClaim, JobRecord, JobState, OnDead, ProjectIdOrNil, Scope, SnapshotWrite, Storage, Table, Value,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use uuid::Uuid;

pub const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA));
pub const OTHER_PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB));

/// A state with a field of every kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    pub name: Option<String>,
    pub company: Option<String>,
    pub score: Option<f64>,
    pub seen_at: Option<Timestamp>,
    pub birthday: Option<String>,
    pub status: Option<String>,
    pub owner_id: Option<Uuid>,
    pub blocked: Option<bool>,
    pub settings: Option<String>,
    pub cities: Vec<String>,
    pub tags: Vec<String>,
    pub plan: Option<String>,
    pub size: Option<f64>,
    pub renewal_at: Option<Timestamp>,
    pub phone: Option<String>,
    /// Unique in the project, per scope.
    pub keys: BTreeMap<String, String>,
    /// Unique over all projects.
    pub global_key: Option<String>,
    pub hidden: bool,
}

const COLUMNS: &[Column] = &[
    Column::new("name", FieldKind::Text).sortable(),
    Column::new("company", FieldKind::Text).sortable(),
    Column::new("score", FieldKind::Number).sortable(),
    Column::new("seen.at", FieldKind::Instant).sortable(),
    Column::new("birthday", FieldKind::Date).sortable(),
    Column::new("status", FieldKind::Enum).sortable(),
    Column::new("owner_id", FieldKind::Id).sortable(),
    Column::new("blocked", FieldKind::Bool).sortable(),
    Column::new("settings", FieldKind::Json),
    Column::new("address.city", FieldKind::Text).many(),
    Column::new("group", FieldKind::Text).unfiltered(),
];

/// The declaration of [`Sample`].
pub const TABLE: Table = Table {
    kind: Kind::Contact,
    columns: COLUMNS,
    sets: &["tags"],
    custom: Some("custom."),
    indexes: &[&["name"], &["status", "seen.at"], &["owner_id"]],
    index: |state| Ok(read(state)?.index()),
    version: 1,
};

/// The fields of [`Sample`] with the kinds of its custom fields.
pub fn fields() -> Fields {
    let custom = [("plan", FieldKind::Text), ("size", FieldKind::Number), ("renewal_at", FieldKind::Instant)];
    custom.into_iter().fold(Fields::of(&TABLE), |fields, (key, kind)| fields.with_custom(key, kind))
}

/// Reads a stored sample.
pub fn read(state: &str) -> Result<Sample> {
    serde_json::from_str(state).map_err(|error| crate::kernel::Error::corrupt(error.to_string()))
}

impl Sample {
    pub fn named(name: &str) -> Self {
        Sample { name: Some(name.to_owned()), ..Sample::default() }
    }

    pub fn with_key(mut self, scope: &str, key: &str) -> Self {
        self.keys.insert(scope.to_owned(), key.to_owned());
        self
    }

    pub fn index(&self) -> Index {
        let mut index = Index { hidden: self.hidden, ..Index::default() };
        index.column("name", self.name.clone());
        index.column("company", self.company.clone());
        index.column("score", self.score);
        index.column("seen.at", self.seen_at);
        index.column("birthday", self.birthday.clone());
        index.column("status", self.status.clone());
        index.id("owner_id", self.owner_id);
        index.column("blocked", self.blocked);
        index.column("settings", self.settings.clone());
        self.cities.iter().for_each(|city| index.attribute("address.city", city.as_str()));
        self.tags.iter().for_each(|tag| index.attribute("tags", tag.as_str()));
        index.attribute("custom.plan", self.plan.clone());
        index.attribute("custom.size", self.size);
        index.attribute("custom.renewal_at", self.renewal_at);
        for (scope, key) in &self.keys {
            index.unique("contact.phone", scope, key, ErrorCode::Conflict);
        }
        if let Some(key) = &self.global_key {
            index.unique_everywhere("contact.email", key, ErrorCode::Conflict);
        }
        index.search("name", 3.0, self.name.clone().unwrap_or_default());
        index.search("company", 1.0, self.company.clone().unwrap_or_default());
        index.search("phone", 2.0, self.phone.clone().unwrap_or_default());
        index
    }

    fn write(&self, project: ProjectId, id: u128, revision: u64, changed: IndexChange) -> SnapshotWrite {
        SnapshotWrite {
            project_id: project,
            kind: Kind::Contact,
            id: Uuid::from_u128(id),
            loaded_revision: revision - 1,
            revision,
            version: revision,
            schema: u32::try_from(revision).expect("a small number"),
            created_at: at(i64::try_from(id % 1_000_000).expect("a small number")),
            updated_at: at(i64::try_from(revision).expect("a small number")),
            state: serde_json::to_string(self).expect("a sample serialises"),
            index: self.index(),
            changed,
        }
    }

    /// The write of a new one.
    pub fn insert(&self, project: ProjectId, id: u128) -> SnapshotWrite {
        self.write(project, id, 1, IndexChange::between(None, &self.index()))
    }

    /// The write that brings the one of `revision - 1` to this state.
    pub fn update(&self, before: &Sample, project: ProjectId, id: u128, revision: u64) -> SnapshotWrite {
        self.write(project, id, revision, IndexChange::between(Some(&before.index()), &self.index()))
    }
}

/// Seconds after a fixed moment.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_735_689_600 + seconds).expect("inside the calendar")
}

pub fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub fn contact(number: u128) -> Subject {
    Subject::new(Kind::Contact, id(number))
}

/// A batch of snapshots alone.
pub fn snapshots(writes: impl IntoIterator<Item = SnapshotWrite>) -> Batch {
    Batch { snapshots: writes.into_iter().collect(), ..Batch::default() }
}

/// Commits what must succeed.
#[track_caller]
pub fn committed(result: Result<Committed, crate::storage::CommitError>) -> Committed {
    result.unwrap_or_else(|error| panic!("the batch was refused: {error:?}"))
}

/// Inserts samples with the ids 1, 2, ...
pub async fn fill(store: &dyn Storage, project: ProjectId, samples: &[Sample]) {
    let writes = samples.iter().enumerate().map(|(place, sample)| sample.insert(project, place as u128 + 1));
    committed(store.commit(snapshots(writes)).await);
}

/// An event `number` of a contact's stream.
pub fn event(project: ProjectId, stream: u128, version: u64, number: u128, event_type: &str) -> EventRecord {
    let json = |text: String| RawValue::from_string(text).expect("valid JSON");
    EventRecord {
        id: id(number),
        event_type: event_type.to_owned(),
        schema_version: 1,
        aggregate_kind: Kind::Contact,
        aggregate_id: id(stream),
        aggregate_version: version,
        project_id: ProjectIdOrNil(project),
        seq: 0,
        position: 0,
        commit_id: id(number),
        occurred_at: at(1),
        recorded_at: at(2),
        actor: json(r#"{"kind":"system"}"#.to_owned()),
        source: "api".to_owned(),
        command: Some("contacts.create".to_owned()),
        correlation_id: id(stream),
        causation_id: None,
        subjects: vec![contact(stream)],
        data: json(format!(r#"{{"type":"{event_type}","number":{number}}}"#)),
        metadata: None,
        redacted_at: None,
    }
}

/// A batch of events alone.
pub fn events(events: impl IntoIterator<Item = EventRecord>) -> Batch {
    Batch { events: events.into_iter().collect(), ..Batch::default() }
}

/// Everything that is forgotten about the contact 1.
pub fn erasures() -> Vec<Erasure> {
    let data = RawValue::from_string("{}".to_owned()).expect("valid JSON");
    let event = EventRewrite { project_id: PROJECT, seq: 1, schema_version: 1, data, redacted_at: at(9) };
    vec![
        Erasure::Event(event),
        Erasure::Jobs { project_id: PROJECT, ids: vec![id(1)] },
        Erasure::Outcomes { scope: Scope::Project(PROJECT), texts: vec!["nobody".to_owned()] },
        Erasure::Baseline(super::baselines::baseline(PROJECT, 1, 1)),
        Erasure::Events(EventRemoval { project_id: PROJECT, seqs: vec![1, 2], first_seq: Some(3) }),
    ]
}

/// A scheduled job of queue `timer`, due at second `due`.
pub fn job(number: u128, due: i64) -> JobRecord {
    JobRecord {
        id: id(number),
        project_id: ProjectIdOrNil(PROJECT),
        queue: "timer".to_owned(),
        kind: "session.timeout".to_owned(),
        unique_key: None,
        order_key: None,
        on_dead: OnDead::Continue,
        payload: "{}".to_owned(),
        run_at: at(due),
        priority: 0,
        state: JobState::Scheduled,
        attempt: 0,
        max_attempts: None,
        lease_token: 0,
        lease_until: None,
        last_error: None,
        result: None,
        correlation_id: None,
        causation_id: None,
        created_at: at(0),
        started_at: None,
        finished_at: None,
        history: Vec::new(),
        waiting_order: false,
    }
}

/// A claim of jobs, earliest first.
pub fn due(queue: &str, now: Timestamp, until: Timestamp, limit: usize) -> JobClaim<'_> {
    JobClaim { queue, project: None, is_fair: false, owner: id(1), now, until, limit }
}

/// A sort value as a test writes it.
pub fn folded(text: &str) -> Value {
    Value::Text(fold(text))
}
