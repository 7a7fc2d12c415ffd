//! Reading snapshots. Whatever belongs to one answer is asked for in one round trip.

use crate::PostgresStorage;
use crate::layout::{Layout, SNAPSHOT};
use crate::query::{self, Others, Query, Visibility, after_prefix};
use crate::session::{Call, Reach};
use crate::values::{Read, integer, sql, text};
use async_trait::async_trait;
use std::collections::BTreeSet;
use tokio_postgres::Row;
use uuid::Uuid;
use ventros::kernel::{Kind, Result};
use ventros::storage::{
    Filter, Find, Found, FoundRow, Holder, KeyOwner, KeyRef, SEARCH_CANDIDATES, Scope, SearchHit, Snapshot,
    SnapshotRepository, query_words, rank, sort_order,
};

fn snapshot(row: &Row) -> Result<Snapshot> {
    let (project_id, id) = (row.project(0)?, row.id(1)?);
    Ok(Snapshot { project_id, id, revision: row.number(2)?, state: row.read(3)?, schema: row.small(4)? })
}

fn counts(layout: &Layout, others: &Others, scope: Scope, filter: &Filter, include_hidden: bool) -> Result<Vec<Call>> {
    let visibilities = Visibility::of(include_hidden).iter();
    let count = |visibility: &Visibility| Query::select("count(*)", layout, others, scope, filter, *visibility);
    visibilities.map(|visibility| count(visibility).map(Query::call)).collect()
}

/// The sum of what several counts answered.
fn counted(answers: &[Vec<Row>]) -> Result<u64> {
    answers.iter().flatten().map(|row| row.number(0)).sum()
}

/// Statements for all that a search for `words` may find: the newest of those that have every word.
fn candidates(layout: &Layout, scope: Scope, words: &[String]) -> Call {
    let mut query = Query::default();
    query.text(&format!("SELECT {SNAPSHOT} FROM {} t WHERE NOT t.hidden", layout.name));
    if let Scope::Project(project) = scope {
        query.text(" AND t.project_id = ");
        query.value((sql(project.uuid()), "uuid"));
    }
    for word in words {
        query.text(" AND (t.project_id, t.id) IN (SELECT w.project_id, w.id FROM @search_words w WHERE w.project_id ");
        match scope {
            Scope::Project(project) => {
                query.text("= ");
                query.value((sql(project.uuid()), "uuid"));
            }
            Scope::Installation => query.text("IN (SELECT h.project_id FROM @log_heads h)"),
        }
        query.text(" AND w.kind = ");
        query.value((sql(layout.table.kind.as_str()), "text"));
        query.text(" AND w.word >= ");
        query.value((sql(text(word)), "text"));
        if let Some(end) = after_prefix(word) {
            query.text(" AND w.word < ");
            query.value((sql(end), "text"));
        }
        query.text(")");
    }
    query.text(" ORDER BY t.id DESC LIMIT ");
    query.value((sql(integer(SEARCH_CANDIDATES)), "int8"));
    query.call()
}

/// So many keys are written into the statement, one by one.
const FEW_KEYS: usize = 8;

/// What is found of the owners of these keys, each of which is looked up once.
fn by_keys(what: &str, join: &str, scope: Scope, space: &str, keys: &[KeyRef<'_>]) -> Call {
    let unique: BTreeSet<(&str, &str)> = keys.iter().map(|key| (key.scope, key.key)).collect();
    let mut values = vec![sql(text(space))];
    let wanted = if (1..=FEW_KEYS).contains(&unique.len()) {
        // Of rows that stand in the statement the server knows the number, so that one plan is good for all of its calls. For a list
        // it makes a new plan every time, which takes longer than looking the keys up.
        let rows = unique.iter().map(|(scope, key)| {
            values.extend([sql(text(scope)), sql(text(key))]);
            format!("(${}::text, ${}::text)", values.len() - 1, values.len())
        });
        format!("(VALUES {})", rows.collect::<Vec<_>>().join(", "))
    } else {
        values.push(sql(unique.iter().map(|(scope, _)| text(scope)).collect::<Vec<_>>()));
        values.push(sql(unique.iter().map(|(_, key)| text(key)).collect::<Vec<_>>()));
        "unnest($2::text[], $3::text[])".to_owned()
    };
    let mut select = format!(
        "SELECT {what} FROM {wanted} AS k (scope, key)
         JOIN @unique_keys u ON u.space = $1 AND u.scope = k.scope AND u.key = k.key{join}"
    );
    if let Scope::Project(project) = scope {
        values.push(sql(project.uuid()));
        select.push_str(&format!(" WHERE u.project_id = ${}", values.len()));
    }
    Call { sql: select.into(), values }
}

impl PostgresStorage {
    /// The tables that a filter looks into beside its own.
    fn others(&self, filter: &Filter) -> Result<Others> {
        filter.others().iter().map(|among| Ok((among.kind, self.layout(among.kind)?))).collect()
    }
}

#[async_trait]
impl SnapshotRepository for PostgresStorage {
    async fn get(&self, scope: Scope, kind: Kind, ids: &[Uuid]) -> Result<Vec<Snapshot>> {
        let layout = self.layout(kind)?;
        let unique: BTreeSet<Uuid> = ids.iter().copied().collect();
        if unique.is_empty() {
            return Ok(Vec::new());
        }
        let ids = sql(unique.into_iter().collect::<Vec<_>>());
        let call = match scope {
            Scope::Project(project) => Call { sql: layout.get.clone().into(), values: vec![sql(project.uuid()), ids] },
            Scope::Installation => Call { sql: layout.get_anywhere.clone().into(), values: vec![ids] },
        };
        self.read(scope.into(), &[call]).await?[0].iter().map(snapshot).collect()
    }

    async fn find_keys(&self, scope: Scope, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<KeyOwner>> {
        let call = by_keys("u.scope, u.key, u.project_id, u.kind, u.id", "", scope, space, keys);
        let owner = |row: &Row| {
            Ok(KeyOwner {
                scope: row.read(0)?,
                key: row.read(1)?,
                project_id: row.project(2)?,
                kind: row.kind(3)?,
                id: row.id(4)?,
            })
        };
        self.read(scope.into(), &[call]).await?[0].iter().map(owner).collect()
    }

    async fn find_holders(&self, scope: Scope, kind: Kind, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<Holder>> {
        let layout = self.layout(kind)?;
        let join =
            format!(" JOIN {} t ON t.project_id = u.project_id AND t.id = u.id AND u.kind = '{kind}'", layout.name);
        let call = by_keys(&format!("{SNAPSHOT}, u.scope, u.key"), &join, scope, space, keys);
        let holder = |row: &Row| Ok(Holder { snapshot: snapshot(row)?, scope: row.read(5)?, key: row.read(6)? });
        self.read(scope.into(), &[call]).await?[0].iter().map(holder).collect()
    }

    async fn find(&self, scope: Scope, kind: Kind, what: &Find) -> Result<Found> {
        let layout = self.layout(kind)?;
        let others = self.others(&what.filter)?;
        let mut calls = Vec::new();
        for visibility in Visibility::of(what.include_hidden) {
            for part in query::parts(&layout, what) {
                calls.push(query::page(&layout, &others, scope, what, *visibility, part)?.call());
            }
        }
        let pages = calls.len();
        if what.with_total {
            calls.extend(counts(&layout, &others, scope, &what.filter, what.include_hidden)?);
        }
        let answers = self.read(scope.into(), &calls).await?;
        let (answers, totals) = answers.split_at(pages);
        let mut rows = Vec::new();
        for row in answers.iter().flatten() {
            let key = |(place, sort): (usize, &ventros::storage::Sort)| row.value(place + 5, sort.kind);
            let keys = what.sort.iter().enumerate().map(key).collect::<Result<_>>()?;
            rows.push(FoundRow { snapshot: snapshot(row)?, keys });
        }
        if what.include_hidden {
            rows.sort_by(|a, b| {
                let order = sort_order(&what.sort, (&a.keys, a.snapshot.id), (&b.keys, b.snapshot.id));
                if what.backward { order.reverse() } else { order }
            });
        }
        let more = rows.len() > what.limit;
        rows.truncate(what.limit);
        if what.backward {
            rows.reverse();
        }
        Ok(Found { rows, more, total: what.with_total.then(|| counted(totals)).transpose()? })
    }

    async fn count(&self, scope: Scope, kind: Kind, filter: &Filter, include_hidden: bool) -> Result<u64> {
        let layout = self.layout(kind)?;
        let others = self.others(filter)?;
        let calls = counts(&layout, &others, scope, filter, include_hidden)?;
        counted(&self.read(scope.into(), &calls).await?)
    }

    async fn scan(&self, scope: Scope, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Snapshot>> {
        let layout = self.layout(kind)?;
        let everything = Filter::everything();
        let mut query = Query::select(SNAPSHOT, &layout, &Others::new(), scope, &everything, Visibility::Any)?;
        if let Some(after) = after {
            query.text(" AND t.id > ");
            query.value((sql(after), "uuid"));
        }
        query.text(" ORDER BY t.id, t.project_id LIMIT ");
        query.value((sql(integer(limit)), "int8"));
        self.read(scope.into(), &[query.call()]).await?[0].iter().map(snapshot).collect()
    }

    async fn search(&self, scope: Scope, kind: Kind, text: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let layout = self.layout(kind)?;
        let words = query_words(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let found = self.read(Reach::from(scope), &[candidates(&layout, scope, &words)]).await?;
        let mut hits = Vec::with_capacity(found[0].len());
        for row in &found[0] {
            let snapshot = snapshot(row)?;
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
