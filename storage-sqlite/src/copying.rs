//! A whole store, row by row. Pages follow the primary key of each table; where one goes on is written as JSON.

use crate::SqliteStorage;
use crate::commit::{self, IDEMPOTENCY, idempotency_record};
use crate::errors::Carry;
use crate::layout::Layout;
use crate::values::{Read, integer};
use crate::writer::Transaction;
use crate::{baselines, consumers, events, jobs, secrets};
use async_trait::async_trait;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use ventros::kernel::{Error, ErrorCode, Kind, Result};
use ventros::storage::{
    CommitError, CopyRepository, CopyStep, IndexChange, KeyRow, RowPage, Section, SnapshotRow, SnapshotWrite, StoredRow,
};

pub(crate) type Layouts = BTreeMap<Kind, Arc<Layout>>;
type ReadRow = Box<dyn Fn(&Row<'_>) -> rusqlite::Result<StoredRow>>;

/// How the rows of a section are read.
struct Shape {
    table: String,
    columns: String,
    /// The primary key.
    key: &'static [&'static str],
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
                "log_heads",
                "project_id, head, first_seq",
                &["project_id"],
                Box::new(|row| {
                    let (project_id, head, first_seq) = (row.project(0)?, row.number(1)?, row.number(2)?);
                    Ok(StoredRow::Head { project_id, head, first_seq })
                }),
            ),
            Section::Events => shape(
                "events e",
                events::COLUMNS,
                &["e.position"],
                Box::new(|row| events::record(row).map(StoredRow::Event)),
            ),
            Section::Baselines => shape(
                "baselines",
                baselines::COLUMNS,
                &["row"],
                Box::new(|row| baselines::record(row).map(StoredRow::Baseline)),
            ),
            Section::Snapshots(kind) => shape(
                &layout(layouts, kind)?.name,
                "project_id, id, revision, version, schema, created_at, updated_at, state",
                &["row"],
                Box::new(move |row| snapshot(kind, row).map(StoredRow::Snapshot)),
            ),
            Section::Keys => shape(
                "unique_keys",
                "space, scope, key, length(realm) = 0, project_id, kind, id",
                &["space", "scope", "key", "realm"],
                Box::new(|row| key(row).map(StoredRow::Key)),
            ),
            Section::Consumers => shape(
                "consumers",
                consumers::COLUMNS,
                &["project_id", "name"],
                Box::new(|row| consumers::record(row).map(StoredRow::Consumer)),
            ),
            Section::DeadLetters => shape(
                "dead_letters",
                &format!("{}, project_id, name", consumers::LETTER),
                &["project_id", "name", "seq", "event_id"],
                Box::new(|row| {
                    let (project_id, consumer) = (row.project(10)?, row.get(11)?);
                    Ok(StoredRow::DeadLetter { project_id, consumer, letter: consumers::letter(row)? })
                }),
            ),
            Section::Jobs => shape(
                "jobs",
                jobs::COLUMNS,
                &["row"],
                Box::new(|row| jobs::record(row).map(|job| StoredRow::Job(job.without_place()))),
            ),
            Section::IdempotencyKeys => shape(
                "idempotency_keys",
                IDEMPOTENCY,
                &["scope", "key"],
                Box::new(|row| idempotency_record(row).map(StoredRow::IdempotencyKey)),
            ),
            Section::Secrets => shape(
                "secrets",
                secrets::COLUMNS,
                &["project_id", "id", "revision"],
                Box::new(|row| secrets::record(row).map(StoredRow::Secret)),
            ),
        })
    }

    fn page(&self, connection: &Connection, after: Option<&str>, limit: usize) -> Result<RowPage> {
        let Shape { table, columns, key, read } = self;
        let keys = key.join(", ");
        let mut values = after.map_or_else(|| Ok(Vec::new()), place)?;
        let condition = match values.len() {
            0 => String::new(),
            _ => format!(" WHERE ({keys}) > (?{})", ", ?".repeat(key.len() - 1)),
        };
        values.push(Sql::Integer(integer(limit)));
        let sql = format!("SELECT {columns}, {keys} FROM {table}{condition} ORDER BY {keys} LIMIT ?");
        let mut statement = connection.prepare_cached(&sql).carry()?;
        let first = statement.column_count() - key.len();
        let mut found = statement.query(params_from_iter(values)).carry()?;
        let (mut rows, mut next) = (Vec::new(), None);
        while let Some(row) = found.next().carry()? {
            rows.push(read(row).carry()?);
            if rows.len() == limit {
                let values = (first..first + key.len()).map(|column| row.get(column));
                next = Some(name_of(&values.collect::<rusqlite::Result<Vec<Sql>>>().carry()?)?);
            }
        }
        Ok(RowPage { rows, next })
    }
}

fn layout(layouts: &Layouts, kind: Kind) -> Result<&Layout> {
    let layout = layouts.get(&kind).map(|layout| &**layout);
    layout.ok_or_else(|| Error::internal(format!("the table of {kind} was not prepared")))
}

/// A primary key as text: numbers, texts, and ids as lists of their bytes.
fn name_of(key: &[Sql]) -> Result<String> {
    let part = |value: &Sql| match value {
        Sql::Integer(number) => Ok(json!(number)),
        Sql::Text(text) => Ok(json!(text)),
        Sql::Blob(bytes) => Ok(json!(bytes)),
        Sql::Null | Sql::Real(_) => Err(Error::corrupt("a primary key is neither a number nor a text nor an id")),
    };
    Ok(Json::Array(key.iter().map(part).collect::<Result<_>>()?).to_string())
}

fn place(name: &str) -> Result<Vec<Sql>> {
    let unread = || Error::corrupt("the place of a page cannot be read");
    let part = |part: Json| match part {
        Json::Number(number) => number.as_i64().map(Sql::Integer),
        Json::String(text) => Some(Sql::Text(text)),
        Json::Array(bytes) => serde_json::from_value(Json::Array(bytes)).ok().map(Sql::Blob),
        Json::Null | Json::Bool(_) | Json::Object(_) => None,
    };
    let parts: Vec<Json> = serde_json::from_str(name).map_err(|_| unread())?;
    parts.into_iter().map(part).collect::<Option<_>>().ok_or_else(unread)
}

fn snapshot(kind: Kind, row: &Row<'_>) -> rusqlite::Result<SnapshotRow> {
    Ok(SnapshotRow {
        project_id: row.project(0)?,
        kind,
        id: row.id(1)?,
        revision: row.number(2)?,
        version: row.number(3)?,
        schema: row.get(4)?,
        created_at: row.instant(5)?,
        updated_at: row.instant(6)?,
        state: row.get(7)?,
    })
}

fn key(row: &Row<'_>) -> rusqlite::Result<KeyRow> {
    Ok(KeyRow {
        space: row.get(0)?,
        scope: row.get(1)?,
        key: row.get(2)?,
        global: row.get(3)?,
        project_id: row.project(4)?,
        kind: row.kind(5)?,
        id: row.id(6)?,
    })
}

fn note(connection: &Connection) -> Result<Option<String>> {
    let mut statement = connection.prepare_cached("SELECT note FROM copies").carry()?;
    statement.query_row([], |row| row.get(0)).optional().carry()
}

fn step(transaction: &Transaction<'_>, layouts: &Layouts, step: &CopyStep) -> Result<()> {
    if note(transaction)? != step.known {
        return Err(ErrorCode::StoreLocked.into());
    }
    step.emptied.iter().try_for_each(|section| empty(transaction, layouts, *section))?;
    step.rows.iter().try_for_each(|row| put(transaction, layouts, row))?;
    match &step.note {
        Some(note) => {
            let sql = "INSERT OR REPLACE INTO copies (number, note) VALUES (1, ?1)";
            transaction.prepare_cached(sql).carry()?.execute([note]).carry()?;
        }
        None => {
            transaction.execute("DELETE FROM copies", []).carry()?;
        }
    }
    Ok(())
}

/// Removes the rows of a section with all that was derived from them.
fn empty(connection: &Connection, layouts: &Layouts, section: Section) -> Result<()> {
    let script = match section {
        Section::Heads => "DELETE FROM log_heads".to_owned(),
        Section::Events => "DELETE FROM event_subjects; DELETE FROM events".to_owned(),
        Section::Baselines => "DELETE FROM baselines".to_owned(),
        Section::Snapshots(kind) => {
            let Layout { name, code, .. } = layout(layouts, kind)?;
            format!(
                "DELETE FROM search WHERE rowid IN (SELECT row << 8 | {code} FROM {name});
                 DELETE FROM attributes WHERE kind = '{kind}'; DELETE FROM {name}"
            )
        }
        Section::Keys => "DELETE FROM unique_keys".to_owned(),
        Section::Consumers => "DELETE FROM consumers".to_owned(),
        Section::DeadLetters => "DELETE FROM dead_letters".to_owned(),
        Section::Jobs => "DELETE FROM jobs".to_owned(),
        Section::IdempotencyKeys => "DELETE FROM idempotency_keys".to_owned(),
        Section::Secrets => "DELETE FROM secrets".to_owned(),
    };
    connection.execute_batch(&script).carry()
}

fn put(transaction: &Transaction<'_>, layouts: &Layouts, row: &StoredRow) -> Result<()> {
    match row {
        StoredRow::Head { project_id, head, first_seq } => {
            let sql = "INSERT INTO log_heads (project_id, head, first_seq) VALUES (?1, ?2, ?3)";
            let project = project_id.uuid();
            let values = params![project.as_bytes(), integer(*head), integer(*first_seq)];
            transaction.prepare_cached(sql).carry()?.execute(values).carry().map(|_| ())
        }
        StoredRow::Event(event) => {
            plain(events::insert(transaction, event, event.seq, Some(event.position)), "an event")
        }
        StoredRow::Baseline(baseline) => baselines::put(transaction, baseline),
        StoredRow::Snapshot(row) => put_snapshot(transaction, layout(layouts, row.kind)?, row),
        StoredRow::Key(row) => put_key(transaction, row),
        StoredRow::Consumer(consumer) => consumers::insert(transaction, consumer),
        StoredRow::DeadLetter { project_id, consumer, letter } => {
            consumers::insert_letter(transaction, *project_id, consumer, letter)
        }
        StoredRow::Job(job) => jobs::insert(transaction, job),
        StoredRow::IdempotencyKey(record) => commit::remember(transaction, record).map(|_| ()),
        StoredRow::Secret(record) => secrets::put(transaction, record).map(|_| ()),
    }
}

/// What a commit would call stale is there twice.
fn plain(written: Result<(), CommitError>, what: &str) -> Result<()> {
    written.map_err(|error| match error {
        CommitError::Store(error) => error,
        _ => Error::corrupt(format!("{what} is there twice")),
    })
}

fn put_snapshot(transaction: &Transaction<'_>, layout: &Layout, row: &SnapshotRow) -> Result<()> {
    let index = (layout.table.index)(&row.state)?;
    index.check(&layout.table)?;
    let write = SnapshotWrite {
        project_id: row.project_id,
        kind: row.kind,
        id: row.id,
        loaded_revision: 0,
        revision: row.revision,
        version: row.version,
        schema: row.schema,
        created_at: row.created_at,
        updated_at: row.updated_at,
        state: row.state.clone(),
        index,
        changed: IndexChange::default(),
    };
    plain(commit::insert(transaction, layout, &write), "a snapshot")
}

fn put_key(connection: &Connection, row: &KeyRow) -> Result<()> {
    let sql =
        "INSERT INTO unique_keys (space, scope, key, realm, project_id, kind, id) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let project = row.project_id.uuid();
    let realm: &[u8] = if row.global { &[] } else { project.as_bytes() };
    let values =
        params![row.space, row.scope, row.key, realm, project.as_bytes(), row.kind.as_str(), row.id.as_bytes()];
    connection.prepare_cached(sql).carry()?.execute(values).carry().map(|_| ())
}

impl SqliteStorage {
    pub(crate) fn all_layouts(&self) -> Layouts {
        self.layouts.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl CopyRepository for SqliteStorage {
    async fn count_rows(&self, section: Section) -> Result<u64> {
        let shape = Shape::of(section, &self.all_layouts())?;
        let sql = format!("SELECT count(*) FROM {}", shape.table);
        self.read(|connection| connection.query_row(&sql, [], |row| row.number(0)).carry())
    }

    async fn rows(&self, section: Section, after: Option<&str>, limit: usize) -> Result<RowPage> {
        let shape = Shape::of(section, &self.all_layouts())?;
        self.read(|connection| shape.page(connection, after, limit))
    }

    async fn copy_note(&self) -> Result<Option<String>> {
        self.read(note)
    }

    async fn copy_step(&self, taken: CopyStep) -> Result<()> {
        let layouts = self.all_layouts();
        self.writer.write(move |transaction| step(transaction, &layouts, &taken)).await
    }
}
