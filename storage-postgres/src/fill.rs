//! Tables of aggregates: created from their declaration, changed when it changes, and filled again from the snapshots, which are
//! the truth. Every step can be interrupted and repeated, by this process or another one, and none keeps a large table locked.

use crate::PostgresStorage;
use crate::attributes::{Attributes, Keys, SearchWords};
use crate::commit::row_values;
use crate::connection::Connection;
use crate::errors::{Carry, postgres};
use crate::layout::{ColumnSql, Layout, REFERS, quoted};
use crate::migrations::Lock;
use crate::session::{Access, Call, Reach, Transaction, all, is_worth_another_try};
use crate::values::{Read, integer, sql};
use std::collections::{BTreeMap, BTreeSet};
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;
use uuid::Uuid;
use ventros::kernel::{Error, ErrorCode, Kind, ProjectId, Result, Subject};
use ventros::storage::Table;

/// How many rows are filled in one transaction: others write in between.
const CHUNK: usize = 500;

/// What the database says of the tables of aggregates.
struct Known {
    /// Version, shape and whether it is filled, by the name of the kind.
    tables: BTreeMap<String, (i64, String, bool)>,
    /// The names of the indexes that are ready for use, and of those that are not.
    indexes: BTreeSet<String>,
    broken: BTreeSet<String>,
    /// The names of the constraints on references.
    references: BTreeSet<String>,
}

/// Makes the tables ready and tells their layouts.
pub(crate) async fn prepare(store: &PostgresStorage, tables: &[Table]) -> Result<Vec<Layout>> {
    let layouts = tables.iter().map(Layout::of).collect::<Result<Vec<_>>>()?;
    let loan = store.pool.lend().await?;
    if !Known::read(&loan).await?.covers(&layouts)? {
        let lock = Lock::take(&loan).await?;
        let outcome = define(&loan, &layouts).await;
        if outcome.is_err() {
            loan.client.batch_execute("ROLLBACK").await.carry()?;
        }
        lock.release().await?;
        outcome?;
    }
    let known = Known::read(&loan).await?;
    drop(loan);
    for layout in &layouts {
        let is_filled = known.tables.get(layout.table.kind.as_str()).is_some_and(|(.., is_filled)| *is_filled);
        while !is_filled && !fill_chunk(store, layout).await? {}
    }
    Ok(layouts)
}

impl Known {
    async fn read(connection: &Connection) -> Result<Known> {
        let select = connection.full("SELECT kind, version, shape, is_filled FROM @aggregate_tables");
        let rows = connection.client.query(&select, &[]).await.carry()?;
        let table = |row: &Row| Ok((row.read(0)?, (row.read(1)?, row.read(2)?, row.read(3)?)));
        let tables = rows.iter().map(table).collect::<Result<_>>()?;
        let select = "SELECT i.relname::text, x.indisvalid FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
            JOIN pg_namespace n ON n.oid = i.relnamespace WHERE n.nspname = $1 AND NOT x.indisprimary";
        let schema = connection.full("@").trim_end_matches('.').trim_matches('"').to_owned();
        let rows = connection.client.query(select, &[&schema]).await.carry()?;
        let (mut indexes, mut broken) = (BTreeSet::new(), BTreeSet::new());
        for row in &rows {
            let set = if row.read(1)? { &mut indexes } else { &mut broken };
            set.insert(row.read(0)?);
        }
        let select = "SELECT c.conname::text FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
            WHERE n.nspname = $1 AND c.contype = 'f'";
        let rows = connection.client.query(select, &[&schema]).await.carry()?;
        let references = rows.iter().map(|row| row.read(0)).collect::<Result<_>>()?;
        Ok(Known { tables, indexes, broken, references })
    }

    /// True when all tables are as declared.
    fn covers(&self, layouts: &[Layout]) -> Result<bool> {
        for layout in layouts {
            let wanted: BTreeSet<String> = self.references(layout, layouts).map(|(name, ..)| name).collect();
            let is_as_declared = self.indexes_of(layout) == names(layout)? && self.references_of(layout) == wanted;
            if !self.is_same(layout)? || !is_as_declared {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// True when the columns of a table are as declared.
    fn is_same(&self, layout: &Layout) -> Result<bool> {
        let table = &layout.table;
        let Some((version, shape, _)) = self.tables.get(table.kind.as_str()) else { return Ok(false) };
        if *version > i64::from(table.version) {
            // A newer program has filled it; filling it the old way would go on for ever.
            let error = Error::new(ErrorCode::SchemaTooNew).with("table", table.kind.plural());
            return Err(error.with("found", *version).with("known", table.version));
        }
        Ok(*version == i64::from(table.version) && *shape == layout.shape())
    }

    /// The references that a table should have: to those that are there, or are made with it.
    fn references<'k>(
        &'k self,
        layout: &Layout,
        layouts: &'k [Layout],
    ) -> impl Iterator<Item = (String, String, Kind)> + use<'k> {
        let is_there = |kind: Kind| {
            self.tables.contains_key(kind.as_str()) || layouts.iter().any(|layout| layout.table.kind == kind)
        };
        layout.references().into_iter().filter(move |(.., kind)| is_there(*kind))
    }

    /// Those that it has.
    fn references_of(&self, layout: &Layout) -> BTreeSet<String> {
        let ours = format!("{}_", layout.table.kind.plural());
        let is_ours = |name: &&String| name.starts_with(&ours) && name.ends_with(REFERS);
        self.references.iter().filter(is_ours).cloned().collect()
    }

    /// Our indexes on a table: one that the host made for itself is not ours to drop.
    fn indexes_of(&self, layout: &Layout) -> BTreeSet<String> {
        let ours = format!("{}_by_", layout.table.kind.plural());
        self.indexes.iter().filter(|name| name.starts_with(&ours)).cloned().collect()
    }
}

fn names(layout: &Layout) -> Result<BTreeSet<String>> {
    Ok(layout.indexes()?.into_iter().map(|(name, _)| name).collect())
}

/// Creates or changes the tables in one transaction, and then builds what is missing of their indexes while others write.
async fn define(connection: &Connection, layouts: &[Layout]) -> Result<()> {
    let run = async |script: &str| connection.client.batch_execute(&connection.full(script)).await.carry();
    // Another process may have been faster.
    let known = Known::read(connection).await?;
    let mut later = Vec::new();
    run("BEGIN; SET LOCAL ventros.system = 'on'").await?;
    for layout in layouts {
        let wanted = layout.indexes()?;
        let existing = known.indexes_of(layout);
        let is_known = known.tables.contains_key(layout.table.kind.as_str());
        let is_same = known.is_same(layout)?;
        if is_same && existing == names(layout)? {
            continue;
        }
        if !is_known {
            run(&creation(layout)).await?;
        }
        let mut script = String::new();
        let ours = format!("{}_by_", layout.table.kind.plural());
        let broken = known.broken.iter().filter(|name| name.starts_with(&ours));
        for index in existing.difference(&names(layout)?).chain(broken) {
            script.push_str(&format!("DROP INDEX IF EXISTS @{};", quoted(index)));
        }
        if !is_same {
            script.push_str(&columns(connection, layout).await?);
        }
        run(&script).await?;
        let select = format!("SELECT NOT EXISTS (SELECT 1 FROM {})", layout.name);
        let row = connection.client.query_one(&connection.full(&select), &[]).await.carry()?;
        let is_empty: bool = row.read(0)?;
        // Dropping a column drops the indexes on it.
        let left = Known::read(connection).await?.indexes_of(layout);
        for (index, on) in wanted.into_iter().filter(|(index, _)| !left.contains(index)) {
            match is_empty {
                true => run(&format!("CREATE INDEX {} ON {} ({on})", quoted(&index), layout.name)).await?,
                false => later.push(format!("CREATE INDEX CONCURRENTLY {} ON {} ({on})", quoted(&index), layout.name)),
            }
        }
        let upsert = connection.full(
            "INSERT INTO @aggregate_tables AS a (kind, version, shape, is_filled) VALUES ($1, $2, $3, $4)
             ON CONFLICT (kind) DO UPDATE SET version = $2, shape = $3,
                 is_filled = CASE WHEN $5 THEN a.is_filled ELSE $4 END,
                 filled_project = CASE WHEN $5 THEN a.filled_project END, filled_id = CASE WHEN $5 THEN a.filled_id END",
        );
        let (kind, version) = (layout.table.kind.as_str(), i64::from(layout.table.version));
        connection.client.execute(&upsert, &[&kind, &version, &layout.shape(), &is_empty, &is_same]).await.carry()?;
    }
    let unchecked = refer(connection, &known, layouts).await?;
    run("COMMIT").await?;
    for index in later {
        run(&index).await?;
    }
    for constraint in unchecked {
        match connection.client.batch_execute(&connection.full(&constraint)).await {
            // A row of an older program points nowhere. It may; those that come may not.
            Err(error) if error.code() == Some(&SqlState::FOREIGN_KEY_VIOLATION) => {}
            outcome => outcome.carry()?,
        }
    }
    Ok(())
}

/// Lets the tables refer to each other inside a project, and tells what is still to be run to look at the rows that are there. A
/// reference is checked when a commit ends: what is written together may refer to each other.
async fn refer(connection: &Connection, known: &Known, layouts: &[Layout]) -> Result<Vec<String>> {
    let mut later = Vec::new();
    for layout in layouts {
        let mut script = String::new();
        let existing = known.references_of(layout);
        let wanted: Vec<_> = known.references(layout, layouts).collect();
        for name in existing.iter().filter(|name| wanted.iter().all(|(other, ..)| other != *name)) {
            script.push_str(&format!("ALTER TABLE {} DROP CONSTRAINT IF EXISTS {};", layout.name, quoted(name)));
        }
        for (name, column, kind) in wanted.into_iter().filter(|(name, ..)| !existing.contains(name)) {
            let (name, table) = (quoted(&name), &layout.name);
            script.push_str(&format!(
                "ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY (project_id, {column})
                     REFERENCES @{} (project_id, id) DEFERRABLE INITIALLY DEFERRED NOT VALID;",
                quoted(kind.plural())
            ));
            later.push(format!("ALTER TABLE {table} VALIDATE CONSTRAINT {name}"));
        }
        connection.client.batch_execute(&connection.full(&script)).await.carry()?;
    }
    Ok(later)
}

/// The table as every aggregate has it.
fn creation(layout: &Layout) -> String {
    let table = layout.table.kind.plural();
    format!(
        "CREATE TABLE {} (
            project_id UUID NOT NULL,
            id UUID NOT NULL,
            revision BIGINT NOT NULL,
            version BIGINT NOT NULL,
            schema BIGINT NOT NULL,
            created_at TIMESTAMPTZ NOT NULL,
            updated_at TIMESTAMPTZ NOT NULL,
            hidden BOOLEAN NOT NULL,
            state JSON NOT NULL,
            PRIMARY KEY (project_id, id)
        ) WITH (fillfactor = 80);
        SELECT @isolate('{table}', 'project_id');",
        layout.name
    )
}

/// What has to be done for the declared columns. A new one is empty, which changes no row.
async fn columns(connection: &Connection, layout: &Layout) -> Result<String> {
    let select = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
        WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped";
    let rows = connection.client.query(select, &[&connection.full(&layout.name)]).await.carry()?;
    let stored: BTreeMap<String, String> =
        rows.iter().map(|row| Ok((row.read(0)?, row.read(1)?))).collect::<Result<_>>()?;
    let mut script = String::new();
    for (name, sql_type) in layout.columns.iter().flat_map(|column| column.definitions()) {
        let plain = sql_type.split(" COLLATE").next().unwrap_or(sql_type);
        let same = match plain {
            "TIMESTAMPTZ" => "timestamp with time zone".to_owned(),
            plain => plain.to_lowercase(),
        };
        match stored.get(name.trim_matches('"')) {
            Some(known) if *known == same => continue,
            Some(_) => script.push_str(&format!("ALTER TABLE {} DROP COLUMN {name};", layout.name)),
            None => {}
        }
        script.push_str(&format!("ALTER TABLE {} ADD COLUMN {name} {sql_type};", layout.name));
    }
    Ok(script)
}

/// Fills the next rows; true when there are none left.
async fn fill_chunk(store: &PostgresStorage, layout: &Layout) -> Result<bool> {
    loop {
        let mut transaction = Transaction::new(&store.pool, Reach::System, Access::Write).await?;
        let error = match try_to_fill(&mut transaction, layout).await? {
            Ok(is_done) => {
                transaction.commit().await?;
                return Ok(is_done);
            }
            Err(error) => error,
        };
        transaction.undo().await;
        if !is_worth_another_try(&error) {
            return Err(postgres(error));
        }
    }
}

async fn try_to_fill(transaction: &mut Transaction, layout: &Layout) -> Result<Result<bool, tokio_postgres::Error>> {
    let kind = layout.table.kind;
    let place = Call::new(
        "SELECT is_filled, filled_project, filled_id FROM @aggregate_tables WHERE kind = $1 FOR UPDATE",
        vec![sql(kind.as_str())],
    );
    let select = format!(
        "SELECT t.project_id, t.id, t.state::text FROM {} t
         WHERE (t.project_id, t.id) > (
             SELECT coalesce(a.filled_project, '00000000-0000-0000-0000-000000000000'),
                 coalesce(a.filled_id, '00000000-0000-0000-0000-000000000000')
             FROM @aggregate_tables a WHERE a.kind = $1)
         ORDER BY t.project_id, t.id LIMIT $2 FOR UPDATE",
        layout.name
    );
    let select = Call { sql: select.into(), values: vec![sql(kind.as_str()), sql(integer(CHUNK))] };
    let answers = match all(transaction.run(&[place]).await) {
        Ok(answers) => answers,
        Err(error) => return Ok(Err(error)),
    };
    // Another process may have done it meanwhile.
    if answers[0].first().map_or(Ok(true), |row| row.read(0))? {
        return Ok(Ok(true));
    }
    let rows = match all(transaction.run(&[select]).await) {
        Ok(answers) => answers,
        Err(error) => return Ok(Err(error)),
    };
    let rows: Vec<(ProjectId, Uuid, &str)> =
        rows[0].iter().map(|row| Ok((row.project(0)?, row.id(1)?, row.read(2)?))).collect::<Result<_>>()?;

    let (mut attributes, mut words, mut keys) = (Attributes::default(), SearchWords::default(), Keys::default());
    let mut calls = Vec::with_capacity(rows.len() + 6);
    for (project, id, state) in &rows {
        let index = (layout.table.index)(state)?;
        index.check(&layout.table)?;
        let columns: Vec<&ColumnSql> = layout.columns.iter().collect();
        let mut values = vec![sql(project.uuid()), sql(*id), sql(index.hidden)];
        let names = columns.iter().flat_map(|column| column.definitions());
        let sets: String = names.enumerate().map(|(place, (name, _))| format!(", {name} = ${}", place + 4)).collect();
        values.extend(row_values(&columns, &index));
        let update = format!("UPDATE {} SET hidden = $3{sets} WHERE project_id = $1 AND id = $2", layout.name);
        calls.push(Call { sql: update.into(), values });
        attributes.replace(*project, kind, *id, &index);
        words.replace(*project, kind, *id, &index);
        for key in &index.keys {
            keys.push(*project, Subject::new(kind, *id), key);
        }
    }
    calls.extend(attributes.calls());
    calls.extend(words.calls());
    // Of two that want a key which is new to both, the one that comes first has it.
    calls.extend((keys.len() > 0).then(|| keys.claim()));
    let last = rows.last().map(|(project, id, _)| (project.uuid(), *id));
    let is_done = rows.len() < CHUNK;
    let note = "UPDATE @aggregate_tables SET is_filled = $2, filled_project = $3, filled_id = $4 WHERE kind = $1";
    let values =
        vec![sql(kind.as_str()), sql(is_done), sql(last.map(|(project, _)| project)), sql(last.map(|(_, id)| id))];
    calls.push(Call::new(note, values));
    Ok(all(transaction.run(&calls).await).map(|_| is_done))
}
