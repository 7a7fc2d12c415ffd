//! A whole store, row by row. Pages follow the primary key of each table; where one goes on is written as JSON. What there is much of
//! is written in arrays, a statement for each table.

use crate::PostgresStorage;
use crate::attributes::{Attributes, SearchWords};
use crate::errors::postgres;
use crate::events::list;
use crate::layout::{ColumnSql, Layout, quoted};
use crate::session::{Access, Call, Reach, Transaction, all};
use crate::values::{Read, Sql, instant, integer, optional_instant, optional_text, sql, text};
use crate::{baselines, consumers, events, jobs, secrets};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, Kind, ProjectId, Result};
use ventros::storage::{
    CopyRepository, CopyStep, EventRecord, FieldKind, IdempotencyRecord, Index, KeyRow, RowPage, Section, SnapshotRow,
    StoredRow, Value,
};

pub(crate) type Layouts = BTreeMap<Kind, Arc<Layout>>;
type ReadRow = Box<dyn Fn(&Row) -> Result<StoredRow> + Send + Sync>;

/// How the rows of a section are read.
struct Shape {
    table: String,
    columns: String,
    /// The primary key, with the types of its columns.
    key: &'static [(&'static str, &'static str)],
    read: ReadRow,
}

impl Shape {
    fn of(section: Section, layouts: &Layouts) -> Result<Self> {
        let shape = |table: &str, columns: &str, key, read: ReadRow| Shape {
            table: table.to_owned(),
            columns: columns.to_owned(),
            key,
            read,
        };
        Ok(match section {
            Section::Heads => shape(
                "@log_heads",
                "project_id, head, first_seq",
                &[("project_id", "uuid")],
                Box::new(|row| {
                    let (project_id, head, first_seq) = (row.project(0)?, row.number(1)?, row.number(2)?);
                    Ok(StoredRow::Head { project_id, head, first_seq })
                }),
            ),
            Section::Events => shape(
                "@events e",
                events::COLUMNS,
                &[("e.position", "int8")],
                Box::new(|row| events::record(row).map(StoredRow::Event)),
            ),
            Section::Baselines => shape(
                "@baselines",
                baselines::COLUMNS,
                &[("project_id", "uuid"), ("kind", "text"), ("id", "uuid")],
                Box::new(|row| baselines::record(row).map(StoredRow::Baseline)),
            ),
            Section::Snapshots(kind) => shape(
                &layout(layouts, kind)?.name,
                "project_id, id, revision, version, schema, created_at, updated_at, state::text",
                &[("project_id", "uuid"), ("id", "uuid")],
                Box::new(move |row| snapshot(kind, row).map(StoredRow::Snapshot)),
            ),
            Section::Keys => shape(
                "@unique_keys",
                "space, scope, key, realm, project_id, kind, id",
                &[("space", "text"), ("scope", "text"), ("key", "text"), ("realm", "uuid")],
                Box::new(|row| key(row).map(StoredRow::Key)),
            ),
            Section::Consumers => shape(
                "@consumers",
                consumers::COLUMNS,
                &[("project_id", "uuid"), ("name", "text")],
                Box::new(|row| consumers::record(row).map(StoredRow::Consumer)),
            ),
            Section::DeadLetters => shape(
                "@dead_letters",
                &format!("{}, project_id, name", consumers::LETTER),
                &[("project_id", "uuid"), ("name", "text"), ("seq", "int8"), ("event_id", "uuid")],
                Box::new(|row| {
                    let (project_id, consumer) = (row.project(10)?, row.read(11)?);
                    Ok(StoredRow::DeadLetter { project_id, consumer, letter: consumers::letter(row)? })
                }),
            ),
            Section::Jobs => {
                let read: ReadRow = Box::new(|row| jobs::record(row).map(|job| StoredRow::Job(job.without_place())));
                shape("@jobs", jobs::COLUMNS, &[("id", "uuid")], read)
            }
            Section::IdempotencyKeys => shape(
                "@idempotency_keys",
                "scope, key, command, request_hash, result, expires_at",
                &[("scope", "uuid"), ("key", "text")],
                Box::new(|row| idempotency_key(row).map(StoredRow::IdempotencyKey)),
            ),
            Section::Secrets => shape(
                "@secrets",
                secrets::COLUMNS,
                &[("project_id", "uuid"), ("id", "uuid"), ("revision", "int8")],
                Box::new(|row| secrets::record(row).map(StoredRow::Secret)),
            ),
        })
    }

    /// The statement for a page.
    fn page(&self, after: Option<&str>, limit: usize) -> Result<Call> {
        let Shape { table, columns, key, read: _ } = self;
        let names: Vec<&str> = key.iter().map(|(name, _)| *name).collect();
        let names = names.join(", ");
        let mut values = vec![sql(integer(limit))];
        let mut condition = String::new();
        if let Some(place) = after {
            let parts: Vec<String> =
                serde_json::from_str(place).map_err(|_| Error::corrupt("the place of a page cannot be read"))?;
            let marks = key.iter().enumerate().map(|(place, (_, kind))| format!("${}::text::{kind}", place + 2));
            condition = format!(" WHERE ({names}) > ({})", marks.collect::<Vec<_>>().join(", "));
            values.extend(parts.into_iter().map(sql));
        }
        // Under names of their own: the order is by the columns, not by their texts.
        let place: Vec<String> =
            key.iter().enumerate().map(|(place, (name, _))| format!("{name}::text AS place_{place}")).collect();
        let place = place.join(", ");
        let select = format!("SELECT {columns}, {place} FROM {table}{condition} ORDER BY {names} LIMIT $1");
        Ok(Call { sql: select.into(), values })
    }

    /// Where the rows after this one begin.
    fn place(&self, row: &Row) -> Result<String> {
        let first = row.len() - self.key.len();
        let parts = (first..row.len()).map(|column| row.read::<String>(column)).collect::<Result<Vec<_>>>()?;
        serde_json::to_string(&parts).map_err(|error| Error::internal(format!("a place does not serialise: {error}")))
    }
}

fn layout(layouts: &Layouts, kind: Kind) -> Result<&Layout> {
    let layout = layouts.get(&kind).map(|layout| &**layout);
    layout.ok_or_else(|| Error::internal(format!("the table of {kind} was not prepared")))
}

fn snapshot(kind: Kind, row: &Row) -> Result<SnapshotRow> {
    Ok(SnapshotRow {
        project_id: row.project(0)?,
        kind,
        id: row.id(1)?,
        revision: row.number(2)?,
        version: row.number(3)?,
        schema: row.small(4)?,
        created_at: row.instant(5)?,
        updated_at: row.instant(6)?,
        state: row.read(7)?,
    })
}

fn key(row: &Row) -> Result<KeyRow> {
    Ok(KeyRow {
        space: row.read(0)?,
        scope: row.read(1)?,
        key: row.read(2)?,
        global: row.id(3)? == Uuid::max(),
        project_id: row.project(4)?,
        kind: row.kind(5)?,
        id: row.id(6)?,
    })
}

fn idempotency_key(row: &Row) -> Result<IdempotencyRecord> {
    let hash: &[u8] = row.read(3)?;
    Ok(IdempotencyRecord {
        scope: row.id(0)?,
        key: row.read(1)?,
        command: row.read(2)?,
        request_hash: hash.try_into().map_err(|_| Error::corrupt("a request hash has 32 bytes"))?,
        result: row.read(4)?,
        expires_at: row.instant(5)?,
    })
}

/// Puts the new note in place of the known one; a row comes back when that was there.
fn exchange(known: Option<&String>, note: Option<&String>) -> Call {
    let value = |text: &String| sql(text.clone());
    match (known, note) {
        (None, None) => Call::new("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM @copies)", Vec::new()),
        (None, Some(note)) => Call::new(
            "INSERT INTO @copies (number, note) VALUES (1, $1) ON CONFLICT DO NOTHING RETURNING 1",
            vec![value(note)],
        ),
        (Some(known), Some(note)) => {
            Call::new("UPDATE @copies SET note = $2 WHERE note = $1 RETURNING 1", vec![value(known), value(note)])
        }
        (Some(known), None) => Call::new("DELETE FROM @copies WHERE note = $1 RETURNING 1", vec![value(known)]),
    }
}

/// Lets the rows of a table refer to what is not there.
fn without_references(layout: &Layout) -> Vec<Call> {
    let drop = |name: &str| format!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}", layout.name, quoted(name));
    let references = layout.references();
    references.iter().map(|(name, ..)| Call { sql: drop(name).into(), values: Vec::new() }).collect()
}

/// Removes the rows of a section with all that was derived from them.
fn empty(layouts: &Layouts, section: Section) -> Result<Vec<Call>> {
    let plain = |table: &str| Call { sql: format!("DELETE FROM {table}").into(), values: Vec::new() };
    Ok(match section {
        Section::Heads => vec![plain("@log_heads")],
        Section::Events => vec![plain("@event_subjects"), plain("@events")],
        Section::Baselines => vec![plain("@baselines")],
        Section::Snapshots(kind) => {
            let derived = |table: &str| Call {
                sql: format!("DELETE FROM {table} WHERE kind = $1").into(),
                values: vec![sql(kind.as_str())],
            };
            vec![derived("@attributes"), derived("@search_words"), plain(&layout(layouts, kind)?.name)]
        }
        Section::Keys => vec![plain("@unique_keys")],
        Section::Consumers => vec![plain("@consumers")],
        Section::DeadLetters => vec![plain("@dead_letters")],
        Section::Jobs => vec![plain("@jobs")],
        Section::IdempotencyKeys => vec![plain("@idempotency_keys")],
        Section::Secrets => vec![plain("@secrets")],
    })
}

/// The statements that write these rows.
fn put(layouts: &Layouts, rows: &[StoredRow]) -> Result<Vec<Call>> {
    let mut calls = Vec::new();
    let (mut heads, mut log, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    let (mut keys, mut idempotency) = (Vec::new(), Vec::new());
    let mut snapshots: BTreeMap<Kind, Vec<&SnapshotRow>> = BTreeMap::new();
    for row in rows {
        match row {
            StoredRow::Head { project_id, head, first_seq } => heads.push((*project_id, *head, *first_seq)),
            StoredRow::Event(event) => log.push(event),
            StoredRow::Baseline(baseline) => kept.push(baseline),
            StoredRow::Snapshot(row) => snapshots.entry(row.kind).or_default().push(row),
            StoredRow::Key(key) => keys.push(key),
            StoredRow::Consumer(consumer) => calls.push(consumers::insert(consumer, "DO NOTHING")?),
            StoredRow::DeadLetter { project_id, consumer, letter } => {
                calls.push(consumers::insert_letter(*project_id, consumer, letter));
            }
            StoredRow::Job(job) => jobs::insert(&mut calls, job)?,
            StoredRow::IdempotencyKey(record) => idempotency.push(record),
            StoredRow::Secret(record) => calls.push(secrets::put(record)),
        }
    }
    if !heads.is_empty() {
        calls.push(put_heads(&heads));
    }
    if !log.is_empty() {
        calls.extend(put_events(&log)?);
    }
    if !kept.is_empty() {
        calls.push(baselines::put(&kept));
    }
    for (kind, rows) in snapshots {
        calls.extend(put_snapshots(layout(layouts, kind)?, &rows)?);
    }
    if !keys.is_empty() {
        calls.push(put_keys(&keys));
    }
    if !idempotency.is_empty() {
        calls.push(put_idempotency_keys(&idempotency));
    }
    Ok(calls)
}

fn put_heads(heads: &[(ProjectId, u64, u64)]) -> Call {
    let insert = "INSERT INTO @log_heads (project_id, head, first_seq)
        SELECT * FROM unnest($1::uuid[], $2::int8[], $3::int8[])";
    let values = vec![
        list(heads, |(project, ..)| project.uuid()),
        list(heads, |(_, head, _)| integer(*head)),
        list(heads, |(.., first_seq)| integer(*first_seq)),
    ];
    Call::new(insert, values)
}

/// With the numbers that they have; new ones go on behind them.
fn put_events(log: &[&EventRecord]) -> Result<Vec<Call>> {
    let subjects = |event: &&EventRecord| {
        serde_json::to_string(&event.subjects)
            .map_err(|error| Error::internal(format!("subjects do not serialise: {error}")))
    };
    let insert = "INSERT INTO @events (position, project_id, seq, id, type, schema_version, aggregate_kind, aggregate_id,
            aggregate_version, commit_id, occurred_at, recorded_at, actor, source, command, correlation_id, causation_id, subjects,
            data, metadata, redacted_at)
        OVERRIDING SYSTEM VALUE
        SELECT e.position, e.project_id, e.seq, e.id, e.type, e.schema_version, e.kind, e.aggregate_id, e.version, e.commit_id,
            e.occurred_at, e.recorded_at, e.actor::json, e.source, e.command, e.correlation_id, e.causation_id,
            e.subjects::json, e.data::json, e.metadata::json, e.redacted_at
        FROM unnest($1::int8[], $2::uuid[], $3::int8[], $4::uuid[], $5::text[], $6::int8[], $7::text[], $8::uuid[], $9::int8[],
                $10::uuid[], $11::timestamptz[], $12::timestamptz[], $13::text[], $14::text[], $15::text[], $16::uuid[],
                $17::uuid[], $18::text[], $19::text[], $20::text[], $21::timestamptz[])
            AS e (position, project_id, seq, id, type, schema_version, kind, aggregate_id, version, commit_id,
                occurred_at, recorded_at, actor, source, command, correlation_id, causation_id, subjects, data, metadata, redacted_at)";
    let values = vec![
        list(log, |event| integer(event.position)),
        list(log, |event| event.project_id.0.uuid()),
        list(log, |event| integer(event.seq)),
        list(log, |event| event.id),
        list(log, |event| text(&event.event_type)),
        list(log, |event| i64::from(event.schema_version)),
        list(log, |event| event.aggregate_kind.as_str()),
        list(log, |event| event.aggregate_id),
        list(log, |event| integer(event.aggregate_version)),
        list(log, |event| event.commit_id),
        list(log, |event| instant(event.occurred_at)),
        list(log, |event| instant(event.recorded_at)),
        list(log, |event| event.actor.get().to_owned()),
        list(log, |event| text(&event.source)),
        list(log, |event| optional_text(event.command.as_ref())),
        list(log, |event| event.correlation_id),
        list(log, |event| event.causation_id),
        sql(log.iter().map(subjects).collect::<Result<Vec<_>>>()?),
        list(log, |event| event.data.get().to_owned()),
        list(log, |event| event.metadata.as_ref().map(|metadata| metadata.get().to_owned())),
        list(log, |event| optional_instant(event.redacted_at)),
    ];
    let insert = Call::new(insert, values);

    let about: Vec<_> =
        log.iter().flat_map(|event| event.subjects.iter().map(move |subject| (event, subject))).collect();
    let insert_subjects = "INSERT INTO @event_subjects (project_id, kind, id, seq)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::int8[]) ON CONFLICT DO NOTHING";
    let values = vec![
        list(&about, |(event, _)| event.project_id.0.uuid()),
        list(&about, |(_, subject)| subject.kind.as_str()),
        list(&about, |(_, subject)| subject.id),
        list(&about, |(event, _)| integer(event.seq)),
    ];
    let number = "SELECT setval(pg_get_serial_sequence('@events', 'position'), (SELECT max(position) FROM @events))";
    Ok(vec![insert, Call::new(insert_subjects, values), Call::new(number, Vec::new())])
}

fn put_snapshots(layout: &Layout, rows: &[&SnapshotRow]) -> Result<Vec<Call>> {
    let index_of = |row: &&SnapshotRow| {
        let index = (layout.table.index)(&row.state)?;
        index.check(&layout.table).map(|()| index)
    };
    let indexes = rows.iter().map(index_of).collect::<Result<Vec<Index>>>()?;
    let mut columns: Vec<(&str, Sql, &str)> = vec![
        ("project_id", list(rows, |row| row.project_id.uuid()), "uuid"),
        ("id", list(rows, |row| row.id), "uuid"),
        ("revision", list(rows, |row| integer(row.revision)), "int8"),
        ("version", list(rows, |row| integer(row.version)), "int8"),
        ("schema", list(rows, |row| i64::from(row.schema)), "int8"),
        ("created_at", list(rows, |row| instant(row.created_at)), "timestamptz"),
        ("updated_at", list(rows, |row| instant(row.updated_at)), "timestamptz"),
        ("hidden", list(&indexes, |index| index.hidden), "bool"),
        ("state", list(rows, |row| row.state.clone()), "json"),
    ];
    for column in &layout.columns {
        let ColumnSql { field, kind, name, key } = column;
        let values: Vec<&Value> = indexes.iter().map(|index| index.value(field)).collect();
        let compared: Vec<Value> = values.iter().map(|value| value.comparable(*kind)).collect();
        let (compared, of) = array(compared.iter().collect(), *kind);
        match key {
            None => columns.push((name, compared, of)),
            Some(key) => {
                columns.push((name, array(values, *kind).0, of));
                columns.push((key, compared, of));
            }
        }
    }
    let names: Vec<&str> = columns.iter().map(|(name, ..)| *name).collect();
    let read = columns.iter().enumerate().map(|(place, (.., of))| match *of {
        "json" => format!("c{place}::json"),
        _ => format!("c{place}"),
    });
    let arrays = columns.iter().enumerate().map(|(place, (.., of))| {
        let of = if *of == "json" { "text" } else { of };
        format!("${}::{of}[]", place + 1)
    });
    let aliases = (0..columns.len()).map(|place| format!("c{place}"));
    let join = |parts: Vec<String>| parts.join(", ");
    let insert = format!(
        "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS r ({})",
        layout.name,
        names.join(", "),
        join(read.collect()),
        join(arrays.collect()),
        join(aliases.collect())
    );
    let values = columns.into_iter().map(|(_, values, _)| values).collect();
    let mut calls = vec![Call { sql: insert.into(), values }];
    let (mut attributes, mut words) = (Attributes::default(), SearchWords::default());
    for (row, index) in rows.iter().zip(&indexes) {
        attributes.add(row.project_id, row.kind, row.id, index);
        words.add(row.project_id, row.kind, row.id, index);
    }
    calls.extend(attributes.calls());
    calls.extend(words.calls());
    Ok(calls)
}

/// The values of one column, with the name of their type.
fn array(values: Vec<&Value>, kind: FieldKind) -> (Sql, &'static str) {
    fn all<T>(values: Vec<&Value>, one: impl Fn(&Value) -> Option<T>) -> Vec<Option<T>> {
        values.into_iter().map(one).collect()
    }
    match kind {
        FieldKind::Number => (sql(all(values, |v| if let Value::Number(v) = v { Some(*v) } else { None })), "float8"),
        FieldKind::Instant => {
            (sql(all(values, |v| if let Value::Instant(v) = v { Some(instant(*v)) } else { None })), "timestamptz")
        }
        FieldKind::Bool => (sql(all(values, |v| if let Value::Bool(v) = v { Some(*v) } else { None })), "bool"),
        FieldKind::Id => (sql(all(values, |v| if let Value::Id(v) = v { Some(*v) } else { None })), "uuid"),
        FieldKind::Text | FieldKind::Date | FieldKind::Enum | FieldKind::Set | FieldKind::Json => {
            let word = |value: &Value| match value {
                Value::Text(value) => Some(text(value)),
                Value::Bool(value) => Some(value.to_string()),
                Value::Id(value) => Some(value.to_string()),
                Value::Null | Value::Number(_) | Value::Instant(_) => None,
            };
            (sql(all(values, word)), "text")
        }
    }
}

fn put_keys(keys: &[&KeyRow]) -> Call {
    let insert = "INSERT INTO @unique_keys (space, scope, key, realm, project_id, kind, id)
        SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::uuid[], $6::text[], $7::uuid[])";
    let values = vec![
        list(keys, |key| text(&key.space)),
        list(keys, |key| text(&key.scope)),
        list(keys, |key| text(&key.key)),
        list(keys, |key| if key.global { Uuid::max() } else { key.project_id.uuid() }),
        list(keys, |key| key.project_id.uuid()),
        list(keys, |key| key.kind.as_str()),
        list(keys, |key| key.id),
    ];
    Call::new(insert, values)
}

fn put_idempotency_keys(records: &[&IdempotencyRecord]) -> Call {
    let insert = "INSERT INTO @idempotency_keys (scope, key, command, request_hash, result, expires_at)
        SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::timestamptz[])";
    let values = vec![
        list(records, |record| record.scope),
        list(records, |record| text(&record.key)),
        list(records, |record| text(&record.command)),
        list(records, |record| record.request_hash.to_vec()),
        list(records, |record| text(&record.result)),
        list(records, |record| instant(record.expires_at)),
    ];
    Call::new(insert, values)
}

impl PostgresStorage {
    pub(crate) fn all_layouts(&self) -> Layouts {
        self.layouts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl CopyRepository for PostgresStorage {
    async fn count_rows(&self, section: Section) -> Result<u64> {
        let shape = Shape::of(section, &self.all_layouts())?;
        let count = Call { sql: format!("SELECT count(*) FROM {}", shape.table).into(), values: Vec::new() };
        let found = self.read(Reach::System, &[count]).await?;
        found[0].first().map_or(Ok(0), |row| row.number(0))
    }

    async fn rows(&self, section: Section, after: Option<&str>, limit: usize) -> Result<RowPage> {
        let shape = Shape::of(section, &self.all_layouts())?;
        let found = self.read(Reach::System, &[shape.page(after, limit)?]).await?;
        let last = found[0].last().filter(|_| found[0].len() == limit);
        Ok(RowPage {
            next: last.map(|row| shape.place(row)).transpose()?,
            rows: found[0].iter().map(|row| (shape.read)(row)).collect::<Result<_>>()?,
        })
    }

    async fn copy_note(&self) -> Result<Option<String>> {
        let found = self.read(Reach::System, &[Call::new("SELECT note FROM @copies", Vec::new())]).await?;
        found[0].first().map(|row| row.read(0)).transpose()
    }

    async fn copy_step(&self, step: CopyStep) -> Result<()> {
        let layouts = self.all_layouts();
        let mut calls = vec![exchange(step.known.as_ref(), step.note.as_ref())];
        // What is emptied may be what others refer to; `prepare` puts the references back.
        if !step.emptied.is_empty() {
            calls.extend(layouts.values().flat_map(|layout| without_references(layout)));
        }
        for section in &step.emptied {
            calls.extend(empty(&layouts, *section)?);
        }
        calls.extend(put(&layouts, &step.rows)?);
        let mut transaction = Transaction::new(&self.pool, Reach::System, Access::Write).await?;
        let answers = transaction.run(&calls).await;
        let is_another = matches!(answers.first(), Some(Ok(rows)) if rows.is_empty());
        let refusal = match all(answers) {
            _ if is_another => Error::from(ErrorCode::StoreLocked),
            Err(error) => postgres(error),
            Ok(_) => return transaction.commit().await,
        };
        transaction.undo().await;
        Err(refusal)
    }
}
