//! The log: appending with dense numbers, and reading it by every way that is indexed.

use crate::PostgresStorage;
use crate::pool::Pool;
use crate::session::{Access, Call, Reach};
use crate::values::{Read, Sql, instant, integer, optional_text, sql, text};
use async_trait::async_trait;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{Error, ProjectId, Result, Subject};
use ventros::storage::{CommitError, EventQuery, EventRecord, EventRepository, Scope};

pub(crate) const COLUMNS: &str = "e.id, e.type, e.schema_version, e.aggregate_kind, e.aggregate_id, e.aggregate_version, e.project_id, \
    e.seq, e.position, e.commit_id, e.occurred_at, e.recorded_at, e.actor::text, e.source, e.command, e.correlation_id, \
    e.causation_id, e.subjects::text, e.data::text, e.metadata::text, e.redacted_at";

/// Adds events behind the heads, which this transaction has moved already: a rollback gives the numbers back.
pub(crate) fn append(events: &[&EventRecord]) -> Result<Vec<Call>> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    // How many of its project come after each event: from the head the number is counted back.
    let mut behind = vec![0; events.len()];
    let mut later: BTreeMap<ProjectId, i64> = BTreeMap::new();
    for (place, event) in events.iter().enumerate().rev() {
        let count = later.entry(event.project_id.0).or_default();
        behind[place] = *count;
        *count += 1;
    }
    let subjects = |event: &&EventRecord| {
        serde_json::to_string(&event.subjects)
            .map_err(|error| Error::internal(format!("subjects do not serialise: {error}")))
    };
    let insert = "INSERT INTO @events (project_id, seq, id, type, schema_version, aggregate_kind, aggregate_id, aggregate_version,
            commit_id, occurred_at, recorded_at, actor, source, command, correlation_id, causation_id, subjects, data, metadata)
        SELECT e.project_id, h.head - e.behind, e.id, e.type, e.schema_version, e.kind, e.aggregate_id, e.version, e.commit_id,
            e.occurred_at, e.recorded_at, e.actor::json, e.source, e.command, e.correlation_id, e.causation_id,
            e.subjects::json, e.data::json, e.metadata::json
        FROM unnest($1::uuid[], $2::int8[], $3::uuid[], $4::text[], $5::int8[], $6::text[], $7::uuid[], $8::int8[], $9::uuid[],
                $10::timestamptz[], $11::timestamptz[], $12::text[], $13::text[], $14::text[], $15::uuid[], $16::uuid[],
                $17::text[], $18::text[], $19::text[])
            WITH ORDINALITY AS e (project_id, behind, id, type, schema_version, kind, aggregate_id, version, commit_id,
                occurred_at, recorded_at, actor, source, command, correlation_id, causation_id, subjects, data, metadata, place)
        JOIN @log_heads h ON h.project_id = e.project_id ORDER BY e.place";
    let values: Vec<Sql> = vec![
        list(events, |event| event.project_id.0.uuid()),
        sql(behind.clone()),
        list(events, |event| event.id),
        list(events, |event| text(&event.event_type)),
        list(events, |event| i64::from(event.schema_version)),
        list(events, |event| event.aggregate_kind.as_str()),
        list(events, |event| event.aggregate_id),
        list(events, |event| integer(event.aggregate_version)),
        list(events, |event| event.commit_id),
        list(events, |event| instant(event.occurred_at)),
        list(events, |event| instant(event.recorded_at)),
        list(events, |event| event.actor.get().to_owned()),
        list(events, |event| text(&event.source)),
        list(events, |event| optional_text(event.command.as_ref())),
        list(events, |event| event.correlation_id),
        list(events, |event| event.causation_id),
        sql(events.iter().map(subjects).collect::<Result<Vec<_>>>()?),
        list(events, |event| event.data.get().to_owned()),
        list(events, |event| event.metadata.as_ref().map(|metadata| metadata.get().to_owned())),
    ];
    let insert = Call::new(insert, values);

    let about: Vec<(&EventRecord, i64, &Subject)> = events
        .iter()
        .copied()
        .zip(&behind)
        .flat_map(|(event, behind)| event.subjects.iter().map(move |subject| (event, *behind, subject)))
        .collect();
    let insert_subjects = "INSERT INTO @event_subjects (project_id, kind, id, seq)
        SELECT s.project_id, s.kind, s.id, h.head - s.behind
        FROM unnest($1::uuid[], $2::int8[], $3::text[], $4::uuid[]) AS s (project_id, behind, kind, id)
        JOIN @log_heads h ON h.project_id = s.project_id ON CONFLICT DO NOTHING";
    let values = vec![
        list(&about, |(event, ..)| event.project_id.0.uuid()),
        list(&about, |(_, behind, _)| *behind),
        list(&about, |(.., subject)| subject.kind.as_str()),
        list(&about, |(.., subject)| subject.id),
    ];
    Ok(vec![insert, Call::new(insert_subjects, values)])
}

/// One column of many rows.
pub(crate) fn list<I, T>(rows: &[I], column: impl Fn(&I) -> T) -> Sql
where
    Vec<T>: tokio_postgres::types::ToSql + Send + Sync + 'static,
{
    sql(rows.iter().map(column).collect::<Vec<T>>())
}

/// Which of these events has a number in its stream that is taken.
pub(crate) async fn forked(pool: &Arc<Pool>, events: &[EventRecord]) -> Result<CommitError> {
    let select = "SELECT n.kind, n.id FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int8[])
            WITH ORDINALITY AS n (project_id, kind, id, version, place)
        JOIN @events e ON e.project_id = n.project_id AND e.aggregate_kind = n.kind AND e.aggregate_id = n.id
            AND e.aggregate_version = n.version ORDER BY n.place LIMIT 1";
    let values = vec![
        list(events, |event| event.project_id.0.uuid()),
        list(events, |event| event.aggregate_kind.as_str()),
        list(events, |event| event.aggregate_id),
        list(events, |event| integer(event.aggregate_version)),
    ];
    let found = pool.together(Reach::System, Access::Read, &[Call::new(select, values)]).await?;
    match (found[0].first(), events.first()) {
        (Some(row), _) => Ok(CommitError::Stale(Subject::new(row.kind(0)?, row.id(1)?))),
        // The batch has one number twice, or the other one is gone again.
        (None, Some(event)) => Ok(CommitError::Stale(Subject::new(event.aggregate_kind, event.aggregate_id))),
        (None, None) => Err(Error::internal("a batch without events has a taken number")),
    }
}

/// A query for events, with its values.
fn select(scope: Scope, query: &EventQuery) -> Call {
    let mut call = Select { sql: format!("SELECT {COLUMNS} FROM "), values: Vec::new() };
    let number = match scope {
        Scope::Project(_) if query.subject.is_some() => "s.seq",
        Scope::Project(_) => "e.seq",
        Scope::Installation => "e.position",
    };
    call.text(match query.subject {
        Some(_) => "@event_subjects s JOIN @events e ON e.project_id = s.project_id AND e.seq = s.seq WHERE s.kind = ",
        None => "@events e WHERE true",
    });
    if let Some(subject) = query.subject {
        call.value(subject.kind.as_str(), "text");
        call.text(" AND s.id = ");
        call.value(subject.id, "uuid");
    }
    if let Scope::Project(project) = scope {
        if query.subject.is_some() {
            call.text(" AND s.project_id = ");
            call.value(project.uuid(), "uuid");
        }
        call.text(" AND e.project_id = ");
        call.value(project.uuid(), "uuid");
    }
    if let Some(stream) = query.stream {
        call.text(" AND e.aggregate_kind = ");
        call.value(stream.kind.as_str(), "text");
        call.text(" AND e.aggregate_id = ");
        call.value(stream.id, "uuid");
    }
    if let Some(correlation) = query.correlation_id {
        call.text(" AND e.correlation_id = ");
        call.value(correlation, "uuid");
    }
    if !query.ids.is_empty() {
        call.text(" AND e.id = ANY(");
        call.value(query.ids.clone(), "uuid[]");
        call.text(")");
    }
    // Where something else is selective, the number must not lead the search: as a sum it is on no index.
    let is_narrow = query.correlation_id.is_some() || !query.ids.is_empty() || query.stream.is_some();
    let compared = if is_narrow { format!("({number} + 0)") } else { number.to_owned() };
    if !query.backward || query.after > 0 {
        call.text(&format!(" AND {compared} {} ", if query.backward { "<" } else { ">" }));
        call.value(integer(query.after), "int8");
    }
    if let Some(until) = query.until {
        call.text(&format!(" AND {compared} <= "));
        call.value(integer(until), "int8");
    }
    types(query, &mut call);
    // Within one stream its own numbers are in the same order, and the index has them.
    let order = match (scope, query.stream, query.subject) {
        (Scope::Project(_), Some(_), None) => "e.aggregate_version",
        _ => compared.as_str(),
    };
    call.text(&format!(" ORDER BY {order} {} LIMIT ", if query.backward { "DESC" } else { "ASC" }));
    call.value(integer(query.limit), "int8");
    Call { sql: call.sql.into(), values: call.values }
}

/// SQL text that grows with its values.
struct Select {
    sql: String,
    values: Vec<Sql>,
}

impl Select {
    fn text(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    fn value(&mut self, value: impl tokio_postgres::types::ToSql + Send + Sync + 'static, name: &str) {
        self.values.push(sql(value));
        self.sql.push_str(&format!("${}::{name}", self.values.len()));
    }
}

/// One type alone can be read along its index; several, or prefixes, are compared on the way through the log.
fn types(query: &EventQuery, call: &mut Select) {
    if query.types.is_empty() || query.types.iter().any(|pattern| pattern == "*") {
        return;
    }
    if let [only] = query.types.as_slice()
        && !only.ends_with('*')
    {
        call.text(" AND e.type = ");
        return call.value(text(only), "text");
    }
    let whole: Vec<String> = query.types.iter().filter(|one| !one.ends_with('*')).map(|one| text(one)).collect();
    call.text(" AND (");
    let mut is_first = whole.is_empty();
    if !whole.is_empty() {
        call.text("e.type = ANY(");
        call.value(whole, "text[]");
        call.text(")");
    }
    for prefix in query.types.iter().filter_map(|one| one.strip_suffix('*')) {
        call.text(if std::mem::take(&mut is_first) { "" } else { " OR " });
        call.text("starts_with(e.type, ");
        call.value(text(prefix), "text");
        call.text(")");
    }
    call.text(")");
}

pub(crate) fn record(row: &Row) -> Result<EventRecord> {
    let json = |text: String| RawValue::from_string(text).map_err(|_| Error::corrupt("stored JSON cannot be read"));
    let subjects = serde_json::from_str(row.read(17)?);
    Ok(EventRecord {
        id: row.id(0)?,
        event_type: row.read(1)?,
        schema_version: row.small(2)?,
        aggregate_kind: row.kind(3)?,
        aggregate_id: row.id(4)?,
        aggregate_version: row.number(5)?,
        project_id: row.project_or_nil(6)?,
        seq: row.number(7)?,
        position: row.number(8)?,
        commit_id: row.id(9)?,
        occurred_at: row.instant(10)?,
        recorded_at: row.instant(11)?,
        actor: json(row.read(12)?)?,
        source: row.read(13)?,
        command: row.read(14)?,
        correlation_id: row.id(15)?,
        causation_id: row.read::<Option<Uuid>>(16)?,
        subjects: subjects.map_err(|_| Error::corrupt("the subjects of a stored event cannot be read"))?,
        data: json(row.read(18)?)?,
        metadata: row.read::<Option<String>>(19)?.map(json).transpose()?,
        redacted_at: row.optional_instant(20)?,
    })
}

#[async_trait]
impl EventRepository for PostgresStorage {
    async fn events(&self, scope: Scope, query: &EventQuery) -> Result<Vec<EventRecord>> {
        let found = self.read(scope.into(), &[select(scope, query)]).await?;
        found[0].iter().map(record).collect()
    }

    async fn head(&self, project: ProjectId) -> Result<u64> {
        let select = "SELECT head FROM @log_heads WHERE project_id = $1";
        let id = project.uuid();
        let found = self.read(Reach::Only(id), &[Call::new(select, vec![sql(id)])]).await?;
        found[0].first().map_or(Ok(0), |row| row.number(0))
    }

    async fn first_seq(&self, project: ProjectId) -> Result<u64> {
        let select = "SELECT first_seq FROM @log_heads WHERE project_id = $1";
        let id = project.uuid();
        let found = self.read(Reach::Only(id), &[Call::new(select, vec![sql(id)])]).await?;
        found[0].first().map_or(Ok(1), |row| row.number(0))
    }

    async fn heads(&self) -> Result<Vec<(ProjectId, u64)>> {
        let select = "SELECT project_id, head FROM @log_heads WHERE head > 0 ORDER BY project_id";
        let found = self.read(Reach::System, &[Call::new(select, Vec::new())]).await?;
        found[0].iter().map(|row| Ok((row.project(0)?, row.number(1)?))).collect()
    }
}
