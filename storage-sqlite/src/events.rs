//! The log: appending with dense numbers, and reading it by every way that is indexed.

use crate::SqliteStorage;
use crate::errors::Carry;
use crate::values::{Read, blob, broken, integer};
use async_trait::async_trait;
use rusqlite::types::{Type, Value as Sql};
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use ventros::kernel::{Error, ErrorCode, ProjectId, Result, Subject, Timestamp};
use ventros::storage::{CommitError, Committed, EventQuery, EventRecord, EventRepository, Scope};

pub(crate) const COLUMNS: &str = "e.id, e.type, e.schema_version, e.aggregate_kind, e.aggregate_id, e.aggregate_version, e.project_id, \
    e.seq, e.position, e.commit_id, e.occurred_at, e.recorded_at, e.actor, e.source, e.command, e.correlation_id, \
    e.causation_id, e.subjects, e.data, e.metadata, e.redacted_at";

/// Numbers the events inside the write transaction: a rollback gives the numbers back.
pub(crate) fn append(connection: &Connection, events: &[EventRecord]) -> Result<Committed, CommitError> {
    let mut counts: BTreeMap<ProjectId, u64> = BTreeMap::new();
    for event in events {
        *counts.entry(event.project_id.0).or_default() += 1;
    }
    let mut heads = Vec::with_capacity(counts.len());
    let mut next = BTreeMap::new();
    for (project, count) in counts {
        let sql = "INSERT INTO log_heads (project_id, head) VALUES (?1, ?2)
            ON CONFLICT (project_id) DO UPDATE SET head = head + ?2 RETURNING head";
        let mut statement = connection.prepare_cached(sql).carry()?;
        let id = project.uuid();
        let head: i64 = statement.query_row(params![id.as_bytes(), integer(count)], |row| row.get(0)).carry()?;
        let head = u64::try_from(head).map_err(|_| Error::corrupt("a log head is negative"))?;
        heads.push((project, head));
        next.insert(project, head - count);
    }
    for event in events {
        let seq = next.entry(event.project_id.0).or_default();
        *seq += 1;
        insert(connection, event, *seq, None)?;
    }
    Ok(Committed { heads })
}

/// Without a position it gets the next one.
pub(crate) fn insert(
    connection: &Connection,
    event: &EventRecord,
    seq: u64,
    position: Option<u64>,
) -> Result<(), CommitError> {
    let sql = "INSERT INTO events (position, project_id, seq, id, type, schema_version, aggregate_kind, aggregate_id, aggregate_version,
            commit_id, occurred_at, recorded_at, actor, source, command, correlation_id, causation_id, subjects, data, metadata,
            redacted_at)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let project = event.project_id.0.uuid();
    let subjects = serde_json::to_string(&event.subjects)
        .map_err(|error| Error::internal(format!("subjects do not serialise: {error}")))?;
    let values = params![
        position.map(integer),
        project.as_bytes(),
        integer(seq),
        event.id.as_bytes(),
        event.event_type,
        event.schema_version,
        event.aggregate_kind.as_str(),
        event.aggregate_id.as_bytes(),
        integer(event.aggregate_version),
        event.commit_id.as_bytes(),
        event.occurred_at.micros(),
        event.recorded_at.micros(),
        event.actor.get(),
        event.source,
        event.command,
        event.correlation_id.as_bytes(),
        event.causation_id.as_ref().map(|id| id.as_bytes()),
        subjects,
        event.data.get(),
        event.metadata.as_ref().map(|metadata| metadata.get()),
        event.redacted_at.map(Timestamp::micros),
    ];
    if connection.prepare_cached(sql).carry()?.execute(values).carry()? == 0 {
        return Err(conflict(connection, event)?);
    }
    let sql = "INSERT OR IGNORE INTO event_subjects (project_id, kind, id, seq) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = connection.prepare_cached(sql).carry()?;
    for subject in &event.subjects {
        let values = params![project.as_bytes(), subject.kind.as_str(), subject.id.as_bytes(), integer(seq)];
        statement.execute(values).carry()?;
    }
    Ok(())
}

/// Which of the two guards refused it: the id, or the number in its stream.
fn conflict(connection: &Connection, event: &EventRecord) -> Result<CommitError> {
    let mut statement = connection.prepare_cached("SELECT 1 FROM events WHERE id = ?1").carry()?;
    let is_known = statement.exists([event.id.as_bytes()]).carry()?;
    Ok(match is_known {
        true => CommitError::Store(ErrorCode::EventIdConflict.into()),
        false => CommitError::Stale(Subject::new(event.aggregate_kind, event.aggregate_id)),
    })
}

/// A query for events, with its values.
pub(crate) fn select(scope: Scope, query: &EventQuery) -> (String, Vec<Sql>) {
    let by_subject = query.subject.is_some();
    let (number, table) = match (scope, by_subject) {
        (Scope::Project(_), true) => ("s.seq", "s"),
        (Scope::Project(_), false) => ("e.seq", "e"),
        (Scope::Installation, true) => ("e.position", "s"),
        (Scope::Installation, false) => ("e.position", "e"),
    };
    let mut sql = format!("SELECT {COLUMNS} FROM ");
    sql.push_str(match by_subject {
        true => "event_subjects s CROSS JOIN events e ON e.project_id = s.project_id AND e.seq = s.seq WHERE 1",
        false => "events e WHERE 1",
    });
    let mut values = Vec::new();
    match scope {
        Scope::Project(project) => {
            sql.push_str(&format!(" AND {table}.project_id = ?"));
            values.push(blob(project.uuid()));
        }
        Scope::Installation if by_subject || query.stream.is_some() => {
            sql.push_str(&format!(" AND {table}.project_id IN (SELECT project_id FROM log_heads)"));
        }
        Scope::Installation => {}
    }
    if let Some(subject) = query.subject {
        sql.push_str(" AND s.kind = ? AND s.id = ?");
        values.extend([Sql::Text(subject.kind.as_str().to_owned()), blob(subject.id)]);
    }
    if let Some(stream) = query.stream {
        sql.push_str(" AND e.aggregate_kind = ? AND e.aggregate_id = ?");
        values.extend([Sql::Text(stream.kind.as_str().to_owned()), blob(stream.id)]);
    }
    if let Some(correlation) = query.correlation_id {
        sql.push_str(" AND e.correlation_id = ?");
        values.push(blob(correlation));
    }
    if !query.ids.is_empty() {
        sql.push_str(&format!(" AND e.id IN (?{})", ", ?".repeat(query.ids.len() - 1)));
        values.extend(query.ids.iter().map(|id| blob(*id)));
    }
    // Where something else is selective, the number must not lead the search: `+` keeps its index out of it.
    let is_narrow = query.correlation_id.is_some() || !query.ids.is_empty() || query.stream.is_some();
    let plain = if is_narrow { "+" } else { "" };
    if !query.backward || query.after > 0 {
        sql.push_str(&format!(" AND {plain}{number} {} ?", if query.backward { "<" } else { ">" }));
        values.push(Sql::Integer(integer(query.after)));
    }
    if let Some(until) = query.until {
        sql.push_str(&format!(" AND {plain}{number} <= ?"));
        values.push(Sql::Integer(integer(until)));
    }
    types(query, is_narrow || by_subject, &mut sql, &mut values);
    // Within one stream its own numbers are in the same order, and the index has them.
    let order = match (scope, query.stream, by_subject) {
        (Scope::Project(_), Some(_), false) => "e.aggregate_version".to_owned(),
        _ => format!("{plain}{number}"),
    };
    sql.push_str(&format!(" ORDER BY {order} {} LIMIT ?", if query.backward { "DESC" } else { "ASC" }));
    values.push(Sql::Integer(integer(query.limit)));
    (sql, values)
}

/// One type alone is looked up by its index; several, or prefixes, are compared on the way through the log.
fn types(query: &EventQuery, is_narrow: bool, sql: &mut String, values: &mut Vec<Sql>) {
    if query.types.is_empty() || query.types.iter().any(|pattern| pattern == "*") {
        return;
    }
    let column = if query.types.len() == 1 && !is_narrow { "e.type" } else { "+e.type" };
    let mut parts = Vec::new();
    for pattern in &query.types {
        match pattern.strip_suffix('*') {
            None => {
                parts.push(format!("{column} = ?"));
                values.push(Sql::Text(pattern.clone()));
            }
            Some(prefix) => {
                parts.push("substr(e.type, 1, ?) = ?".to_owned());
                values.extend([Sql::Integer(integer(prefix.chars().count())), Sql::Text(prefix.to_owned())]);
            }
        }
    }
    sql.push_str(&format!(" AND ({})", parts.join(" OR ")));
}

pub(crate) fn record(row: &Row<'_>) -> rusqlite::Result<EventRecord> {
    let json = |column: usize| -> rusqlite::Result<Box<RawValue>> {
        RawValue::from_string(row.get(column)?).map_err(|_| broken(column, Type::Text, "no JSON"))
    };
    let subjects = serde_json::from_str(row.get_ref(17)?.as_str()?);
    Ok(EventRecord {
        id: row.id(0)?,
        event_type: row.get(1)?,
        schema_version: row.get(2)?,
        aggregate_kind: row.kind(3)?,
        aggregate_id: row.id(4)?,
        aggregate_version: row.number(5)?,
        project_id: row.project_or_nil(6)?,
        seq: row.number(7)?,
        position: row.number(8)?,
        commit_id: row.id(9)?,
        occurred_at: row.instant(10)?,
        recorded_at: row.instant(11)?,
        actor: json(12)?,
        source: row.get(13)?,
        command: row.get(14)?,
        correlation_id: row.id(15)?,
        causation_id: row.optional_id(16)?,
        subjects: subjects.map_err(|_| broken(17, Type::Text, "no list of subjects"))?,
        data: json(18)?,
        metadata: row.get::<_, Option<String>>(19)?.map(|_| json(19)).transpose()?,
        redacted_at: row.optional_instant(20)?,
    })
}

#[async_trait]
impl EventRepository for SqliteStorage {
    async fn events(&self, scope: Scope, query: &EventQuery) -> Result<Vec<EventRecord>> {
        let (sql, values) = select(scope, query);
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let rows = statement.query_map(params_from_iter(values), record).carry()?;
            rows.collect::<rusqlite::Result<_>>().carry()
        })
    }

    async fn head(&self, project: ProjectId) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT head FROM log_heads WHERE project_id = ?1";
            let mut statement = connection.prepare_cached(sql).carry()?;
            let id = project.uuid();
            let head = statement.query_row([id.as_bytes()], |row| row.number(0)).optional().carry()?;
            Ok(head.unwrap_or(0))
        })
    }

    async fn first_seq(&self, project: ProjectId) -> Result<u64> {
        self.read(|connection| {
            let sql = "SELECT first_seq FROM log_heads WHERE project_id = ?1";
            let mut statement = connection.prepare_cached(sql).carry()?;
            let id = project.uuid();
            let first = statement.query_row([id.as_bytes()], |row| row.number(0)).optional().carry()?;
            Ok(first.unwrap_or(1))
        })
    }

    async fn heads(&self) -> Result<Vec<(ProjectId, u64)>> {
        self.read(|connection| {
            let sql = "SELECT project_id, head FROM log_heads WHERE head > 0 ORDER BY project_id";
            let mut statement = connection.prepare_cached(sql).carry()?;
            let rows = statement.query_map([], |row| Ok((row.project(0)?, row.number(1)?))).carry()?;
            rows.collect::<rusqlite::Result<_>>().carry()
        })
    }
}
