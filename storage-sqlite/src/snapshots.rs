//! Reading snapshots. Lookups of several ids or keys run one prepared statement per id: inside the process that costs a
//! microsecond or two each, no more than a list of any length does, and its text never varies.

use crate::SqliteStorage;
use crate::attributes::{project_word, table_word};
use crate::errors::Carry;
use crate::layout::Layout;
use crate::query::{self, Others, Query, Visibility};
use crate::values::{Read, integer};
use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};
use std::collections::BTreeSet;
use uuid::Uuid;
use ventros::kernel::{Kind, Result};
use ventros::storage::{
    Filter, Find, Found, FoundRow, Holder, KeyOwner, KeyRef, Leaf, SEARCH_CANDIDATES, Scope, SearchHit, Snapshot,
    SnapshotRepository, query_words, rank, sort_order,
};

fn snapshot(row: &Row<'_>) -> rusqlite::Result<Snapshot> {
    let (project_id, id) = (row.project(0)?, row.id(1)?);
    Ok(Snapshot { project_id, id, revision: row.number(2)?, state: row.get(3)?, schema: row.get(4)? })
}

/// Several statements that must see one state of the data.
fn together<T>(connection: &Connection, work: impl FnOnce() -> Result<T>) -> Result<T> {
    if !connection.is_autocommit() {
        return work();
    }
    let run = |sql: &str| connection.prepare_cached(sql).and_then(|mut statement| statement.execute([])).carry();
    run("BEGIN")?;
    let outcome = work();
    run("COMMIT")?;
    outcome
}

/// Looks each key up once, all of them in one state of the data.
fn each_key(
    connection: &Connection,
    keys: &[KeyRef<'_>],
    mut look_up: impl FnMut(&KeyRef<'_>) -> Result<()>,
) -> Result<()> {
    let mut all = || {
        let once = keys.iter().enumerate().filter(|(place, asked)| !keys[..*place].contains(asked));
        once.map(|(_, asked)| asked).try_for_each(&mut look_up)
    };
    if keys.len() > 1 { together(connection, all) } else { all() }
}

/// A page of a tag that fewer have is read from the tag's owners and sorted; of one that more have, by walking along the order.
const RARE_FOR_PAGE: usize = 2_000;
/// A count has to see all owners anyway.
const RARE_FOR_COUNT: usize = 200_000;

/// The first attribute of the filter that at most `limit` rows have. The planner cannot know: it has no numbers for single values.
fn rare_attribute<'f>(
    connection: &Connection,
    layout: &Layout,
    scope: Scope,
    filter: &'f Filter,
    limit: usize,
) -> Result<Option<&'f Leaf>> {
    for leaf in query::required_attributes(filter) {
        let mut query = Query::default();
        query.sql.push_str("SELECT count(*) FROM (SELECT 1 FROM ");
        query.owners(layout, scope, leaf);
        query.sql.push_str(" LIMIT ?)");
        query.values.push(rusqlite::types::Value::Integer(integer(limit + 1)));
        let mut statement = connection.prepare_cached(&query.sql).carry()?;
        let owners = statement.query_row(params_from_iter(query.values), |row| row.number(0)).carry()?;
        if owners <= limit as u64 {
            return Ok(Some(leaf));
        }
    }
    Ok(None)
}

fn count(
    connection: &Connection,
    layout: &Layout,
    others: &Others,
    scope: Scope,
    filter: &Filter,
    include_hidden: bool,
) -> Result<u64> {
    let rare = rare_attribute(connection, layout, scope, filter, RARE_FOR_COUNT)?;
    let mut counted = 0;
    for visibility in Visibility::of(include_hidden) {
        let mut query = Query::select("count(*)", layout, others, scope, filter, *visibility)?;
        if let Some(leaf) = rare {
            query.start_from(layout, scope, leaf);
        }
        let mut statement = connection.prepare_cached(&query.sql).carry()?;
        counted += statement.query_row(params_from_iter(query.values), |row| row.number(0)).carry()?;
    }
    Ok(counted)
}

fn find(connection: &Connection, layout: &Layout, others: &Others, scope: Scope, find: &Find) -> Result<Found> {
    let mut rows: Vec<FoundRow> = Vec::new();
    for visibility in Visibility::of(find.include_hidden) {
        rows.extend(page(connection, layout, others, scope, find, *visibility)?);
    }
    if find.include_hidden {
        rows.sort_by(|a, b| {
            let order = sort_order(&find.sort, (&a.keys, a.snapshot.id), (&b.keys, b.snapshot.id));
            if find.backward { order.reverse() } else { order }
        });
    }
    let more = rows.len() > find.limit;
    rows.truncate(find.limit);
    if find.backward {
        rows.reverse();
    }
    let total = match find.with_total {
        true => Some(count(connection, layout, others, scope, &find.filter, find.include_hidden)?),
        false => None,
    };
    Ok(Found { rows, more, total })
}

/// The rows next to the cursor, in the direction of reading: one more than the page holds, if there are so many.
fn page(
    connection: &Connection,
    layout: &Layout,
    others: &Others,
    scope: Scope,
    find: &Find,
    visibility: Visibility,
) -> Result<Vec<FoundRow>> {
    let mut rows: Vec<FoundRow> = Vec::new();
    let rare = rare_attribute(connection, layout, scope, &find.filter, RARE_FOR_PAGE)?;
    for part in query::parts(layout, find) {
        let missing = find.limit + 1 - rows.len();
        if missing == 0 {
            break;
        }
        let query = query::page(layout, others, scope, find, rare, (visibility, part), missing)?;
        let mut statement = connection.prepare_cached(&query.sql).carry()?;
        let read = |row: &Row<'_>| {
            let key = |(place, sort): (usize, &ventros::storage::Sort)| row.value(place + 5, sort.kind);
            let keys = find.sort.iter().enumerate().map(key).collect::<rusqlite::Result<_>>()?;
            Ok(FoundRow { snapshot: snapshot(row)?, keys })
        };
        for row in statement.query_map(params_from_iter(query.values), read).carry()? {
            rows.push(row.carry()?);
        }
    }
    Ok(rows)
}

/// Only words of letters and digits and our own marks get into the text of a search, so nothing in it can be an operator.
fn search_text(layout: &Layout, scope: Scope, words: &[String]) -> String {
    let place = match scope {
        Scope::Project(project) => project_word(layout, project),
        Scope::Installation => table_word(layout),
    };
    words.iter().fold(format!("\"{place}\""), |text, word| format!("{text} AND \"{word}\" *"))
}

impl SqliteStorage {
    /// The tables that a filter looks into beside its own.
    fn others(&self, filter: &Filter) -> Result<Others> {
        filter.others().iter().map(|among| Ok((among.kind, self.layout(among.kind)?))).collect()
    }
}

#[async_trait]
impl SnapshotRepository for SqliteStorage {
    async fn get(&self, scope: Scope, kind: Kind, ids: &[Uuid]) -> Result<Vec<Snapshot>> {
        let layout = self.layout(kind)?;
        let unique: BTreeSet<&Uuid> = ids.iter().collect();
        self.read(|connection| {
            let all = || {
                let mut found = Vec::with_capacity(unique.len());
                match scope {
                    Scope::Project(project) => {
                        let mut statement = connection.prepare_cached(&layout.get).carry()?;
                        let project = project.uuid();
                        for id in &unique {
                            let row = statement.query_row(params![project.as_bytes(), id.as_bytes()], snapshot);
                            found.extend(row.optional().carry()?);
                        }
                    }
                    Scope::Installation => {
                        let mut statement = connection.prepare_cached(&layout.get_anywhere).carry()?;
                        for id in &unique {
                            let rows = statement.query_map([id.as_bytes()], snapshot).carry()?;
                            found.extend(rows.collect::<rusqlite::Result<Vec<_>>>().carry()?);
                        }
                    }
                }
                Ok(found)
            };
            if unique.len() > 1 { together(connection, all) } else { all() }
        })
    }

    async fn find_keys(&self, scope: Scope, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<KeyOwner>> {
        self.read(|connection| {
            let sql = "SELECT project_id, kind, id FROM unique_keys WHERE space = ?1 AND scope = ?2 AND key = ?3";
            let mut statement = connection.prepare_cached(sql).carry()?;
            let mut found = Vec::new();
            each_key(connection, keys, |asked| {
                let owner = |row: &Row<'_>| {
                    Ok(KeyOwner {
                        scope: asked.scope.to_owned(),
                        key: asked.key.to_owned(),
                        project_id: row.project(0)?,
                        kind: row.kind(1)?,
                        id: row.id(2)?,
                    })
                };
                for row in statement.query_map(params![space, asked.scope, asked.key], owner).carry()? {
                    found.extend(Some(row.carry()?).filter(|owner| scope.sees(owner.project_id)));
                }
                Ok(())
            })?;
            Ok(found)
        })
    }

    async fn find_holders(&self, scope: Scope, kind: Kind, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<Holder>> {
        let layout = self.layout(kind)?;
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&layout.find_holder).carry()?;
            let mut found = Vec::new();
            each_key(connection, keys, |asked| {
                let values = params![space, asked.scope, asked.key, kind.as_str()];
                for row in statement.query_map(values, snapshot).carry()? {
                    let (scope_of_key, key) = (asked.scope.to_owned(), asked.key.to_owned());
                    let holder = Holder { scope: scope_of_key, key, snapshot: row.carry()? };
                    found.extend(Some(holder).filter(|holder| scope.sees(holder.snapshot.project_id)));
                }
                Ok(())
            })?;
            Ok(found)
        })
    }

    async fn find(&self, scope: Scope, kind: Kind, what: &Find) -> Result<Found> {
        let layout = self.layout(kind)?;
        let others = self.others(&what.filter)?;
        self.read(|connection| together(connection, || find(connection, &layout, &others, scope, what)))
    }

    async fn count(&self, scope: Scope, kind: Kind, filter: &Filter, include_hidden: bool) -> Result<u64> {
        let layout = self.layout(kind)?;
        let others = self.others(filter)?;
        self.read(|connection| count(connection, &layout, &others, scope, filter, include_hidden))
    }

    async fn scan(&self, scope: Scope, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Snapshot>> {
        let layout = self.layout(kind)?;
        let mut query = Query::select(
            "t.project_id, t.id, t.revision, t.state, t.schema",
            &layout,
            &Others::new(),
            scope,
            &Filter::everything(),
            Visibility::Any,
        )?;
        if let Some(after) = after {
            query.sql.push_str(" AND t.id > ?");
            query.values.push(crate::values::blob(after));
        }
        query.sql.push_str(" ORDER BY t.id, t.project_id LIMIT ?");
        query.values.push(rusqlite::types::Value::Integer(integer(limit)));
        self.read(|connection| {
            let mut statement = connection.prepare_cached(&query.sql).carry()?;
            let rows = statement.query_map(params_from_iter(query.values), snapshot).carry()?;
            rows.collect::<rusqlite::Result<_>>().carry()
        })
    }

    async fn search(&self, scope: Scope, kind: Kind, text: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let layout = self.layout(kind)?;
        let words = query_words(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let candidates = self.read(|connection| {
            let sql = format!(
                "SELECT t.project_id, t.id, t.revision, t.state, t.schema FROM search s CROSS JOIN {} t ON t.row = s.rowid >> 8
                 WHERE s.search MATCH ?1 AND t.hidden = 0 ORDER BY s.rowid DESC LIMIT ?2",
                layout.name
            );
            let mut statement = connection.prepare_cached(&sql).carry()?;
            let values = params![search_text(&layout, scope, &words), integer(SEARCH_CANDIDATES)];
            let rows = statement.query_map(values, snapshot).carry()?;
            rows.collect::<rusqlite::Result<Vec<_>>>().carry()
        })?;
        let mut hits = Vec::with_capacity(candidates.len());
        for snapshot in candidates {
            let index = (layout.table.index)(&snapshot.state)?;
            if let Some((score, field)) = rank(&words, &index.search) {
                hits.push(SearchHit { snapshot, score, field: field.to_owned() });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.snapshot.id.cmp(&a.snapshot.id)));
        hits.truncate(limit);
        Ok(hits)
    }
}
