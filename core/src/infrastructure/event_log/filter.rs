//! Filters on events: the one grammar, evaluated in memory, after the store has left out what its indexes can tell.

use crate::kernel::{ActorRef, Error, ErrorCode, Kind, Result, Subject, Timestamp};
use crate::storage::Scope;
use crate::storage::{
    Column, Document, EventQuery, EventRecord, FieldKind, Fields, Filter, FilterExpression, Index, Leaf, Storage, Test,
    Value, matches,
};
use uuid::Uuid;

const SUBJECT: &str = "subject";

/// What filters of events may name beside `subject`, a set of `<kind>/<id>`.
pub const EVENT_FIELDS: &[Column] = &[
    Column::new("type", FieldKind::Text),
    Column::new("aggregate_kind", FieldKind::Enum),
    Column::new("aggregate_id", FieldKind::Id),
    Column::new("source", FieldKind::Enum),
    Column::new("actor_kind", FieldKind::Enum),
    Column::new("actor_id", FieldKind::Id),
    Column::new("command", FieldKind::Text),
    Column::new("correlation_id", FieldKind::Id),
    Column::new("occurred_at", FieldKind::Instant),
    Column::new("recorded_at", FieldKind::Instant),
    Column::new("seq", FieldKind::Number).sortable(),
];

/// Columns that tables of aggregates have, and events have not.
const NO_FIELDS: [&str; 3] = ["created_at", "updated_at", "version"];

/// How far a clock may be set back before a search by time misses something.
const SLACK_SECONDS: i64 = 3600;

/// A filter on events, with the part of it that a store can look up.
pub(in crate::infrastructure) struct EventFilter {
    filter: Filter,
    /// Everything that can satisfy the filter, and more.
    pub query: EventQuery,
    /// The store finds it without walking along the log.
    pub is_narrow: bool,
}

impl EventFilter {
    pub async fn new(
        storage: &dyn Storage,
        scope: Scope,
        head: u64,
        expression: Option<&FilterExpression>,
        now: Timestamp,
    ) -> Result<EventFilter> {
        let filter = match expression {
            None => Filter::everything(),
            Some(expression) => {
                if let Some(field) = NO_FIELDS.iter().find(|field| expression.names(field)) {
                    return Err(Error::new(ErrorCode::FilterFieldUnknown).at("filter").with("field", *field));
                }
                let fields = Fields::new(EVENT_FIELDS, &[SUBJECT], None);
                expression.check(&fields, now).map_err(|error| error.at("filter"))?
            }
        };
        let mut bounds = Bounds { until: head, ..Bounds::default() };
        bounds.narrow(&filter);
        let mut after = bounds.after;
        let mut until = bounds.until;
        if let Some(from) = bounds.recorded_from {
            after = after.max(seek(storage, scope, head, from.plus_seconds(-SLACK_SECONDS)).await?);
        }
        if let Some(to) = bounds.recorded_until {
            until = until.min(seek(storage, scope, head, to.plus_seconds(SLACK_SECONDS)).await?);
        }
        let stream = bounds.kind.zip(bounds.id).map(|(kind, id)| Subject::new(kind, id));
        let is_narrow =
            bounds.subject.is_some() || stream.is_some() || bounds.correlation.is_some() || !bounds.ids.is_empty();
        let query = EventQuery {
            after,
            until: Some(until),
            subject: bounds.subject,
            stream,
            correlation_id: bounds.correlation,
            types: bounds.types,
            ids: bounds.ids,
            backward: false,
            limit: 0,
        };
        Ok(EventFilter { filter, query, is_narrow })
    }

    pub fn is_everything(&self) -> bool {
        self.filter == Filter::everything()
    }

    pub fn matches(&self, event: &EventRecord) -> Result<bool> {
        if self.is_everything() {
            return Ok(true);
        }
        let index = index(event)?;
        let (created_at, updated_at) = (event.recorded_at, event.recorded_at);
        let document =
            Document { id: event.id, version: event.aggregate_version, created_at, updated_at, index: &index };
        Ok(matches(&self.filter, &document))
    }
}

fn index(event: &EventRecord) -> Result<Index> {
    let actor: ActorRef =
        serde_json::from_str(event.actor.get()).map_err(|e| Error::corrupt(format!("an actor cannot be read: {e}")))?;
    let mut index = Index::default();
    index.column("type", event.event_type.as_str());
    index.column("aggregate_kind", event.aggregate_kind.as_str());
    index.column("aggregate_id", event.aggregate_id);
    index.column("source", event.source.as_str());
    index.column("actor_kind", actor.kind().as_str());
    index.column("actor_id", actor.id());
    index.column("command", event.command.clone());
    index.column("correlation_id", event.correlation_id);
    index.column("occurred_at", event.occurred_at);
    index.column("recorded_at", event.recorded_at);
    index.column("seq", event.seq);
    for subject in &event.subjects {
        index.attribute(SUBJECT, format!("{}/{}", subject.kind, subject.id));
    }
    Ok(index)
}

/// What must hold of everything that satisfies a filter.
#[derive(Default)]
struct Bounds {
    after: u64,
    until: u64,
    recorded_from: Option<Timestamp>,
    recorded_until: Option<Timestamp>,
    subject: Option<Subject>,
    kind: Option<Kind>,
    id: Option<Uuid>,
    correlation: Option<Uuid>,
    types: Vec<String>,
    ids: Vec<Uuid>,
}

impl Bounds {
    fn narrow(&mut self, filter: &Filter) {
        match filter {
            Filter::All(parts) => parts.iter().for_each(|part| self.narrow(part)),
            Filter::Leaf(leaf) => self.narrow_by(leaf),
            Filter::Any(_) | Filter::Not(_) | Filter::Among(_) => {}
        }
    }

    fn narrow_by(&mut self, leaf: &Leaf) {
        match (leaf.field.as_str(), &leaf.test) {
            ("seq", test) => self.narrow_seq(test),
            ("recorded_at", test) => self.narrow_time(test),
            ("type", Test::Equal(Value::Text(name))) => self.types = vec![name.clone()],
            ("type", Test::StartsWith(prefix)) if self.types.is_empty() => self.types = vec![format!("{prefix}*")],
            ("type", Test::In(names)) if self.types.is_empty() => self.types = names.iter().filter_map(text).collect(),
            ("aggregate_kind", Test::Equal(Value::Text(kind))) => self.kind = Kind::parse(kind),
            ("aggregate_id", Test::Equal(Value::Id(id))) => self.id = Some(*id),
            ("correlation_id", Test::Equal(Value::Id(id))) => self.correlation = Some(*id),
            ("id", Test::Equal(Value::Id(id))) => self.ids = vec![*id],
            (SUBJECT, Test::Equal(value)) => self.subject = subject(value),
            (SUBJECT, Test::In(values)) => {
                if let [value] = values.as_slice() {
                    self.subject = subject(value);
                }
            }
            _ => {}
        }
    }

    fn narrow_seq(&mut self, test: &Test) {
        let (least, most) = match test {
            Test::Equal(Value::Number(number)) => (number.ceil(), number.floor()),
            Test::Greater(Value::Number(number)) => (number.floor() + 1.0, f64::MAX),
            Test::GreaterOrEqual(Value::Number(number)) => (number.ceil(), f64::MAX),
            Test::Less(Value::Number(number)) => (0.0, number.ceil() - 1.0),
            Test::LessOrEqual(Value::Number(number)) => (0.0, number.floor()),
            _ => return,
        };
        // Numbers out of range become the nearest in range.
        self.after = self.after.max((least - 1.0) as u64);
        self.until = self.until.min(most as u64);
    }

    fn narrow_time(&mut self, test: &Test) {
        let (from, until) = match test {
            Test::Equal(Value::Instant(at)) => (Some(*at), Some(*at)),
            Test::Greater(Value::Instant(at)) | Test::GreaterOrEqual(Value::Instant(at)) => (Some(*at), None),
            Test::Less(Value::Instant(at)) | Test::LessOrEqual(Value::Instant(at)) => (None, Some(*at)),
            _ => return,
        };
        self.recorded_from = self.recorded_from.max(from);
        self.recorded_until = match (self.recorded_until, until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    }
}

fn subject(value: &Value) -> Option<Subject> {
    let text = text(value)?;
    let (kind, id) = text.split_once('/')?;
    Some(Subject::new(Kind::parse(kind)?, Uuid::parse_str(id).ok()?))
}

/// The last event before the first one that was recorded at `at` or later.
pub(crate) async fn first_recorded_at(storage: &dyn Storage, scope: Scope, head: u64, at: Timestamp) -> Result<u64> {
    seek(storage, scope, head, at).await
}

/// A number such that everything up to it was recorded before `at`, and the next one was not; found in few steps, because numbers and
/// times grow together.
async fn seek(storage: &dyn Storage, scope: Scope, head: u64, at: Timestamp) -> Result<u64> {
    let (mut before, mut end) = (0, head);
    while before < end {
        let middle = before + (end - before).div_ceil(2);
        let query = EventQuery { after: middle - 1, until: Some(end), limit: 1, ..EventQuery::default() };
        match storage.events(scope, &query).await?.first() {
            Some(event) if event.recorded_at < at => before = event.seq,
            _ => end = middle - 1,
        }
    }
    Ok(before)
}
