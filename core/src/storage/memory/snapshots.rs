//! Reading snapshots from memory.

use super::super::{
    Document, FieldKind, Filter, Find, Found, FoundRow, Holder, KeyOwner, KeyRef, Leaf, SEARCH_CANDIDATES, Scope,
    SearchHit, Snapshot, SnapshotRepository, Table, Test, Value, check_tables, matches, query_words, rank, sort_order,
};
use super::{Contents, Key, MemoryStorage, Row};
use crate::kernel::{Kind, ProjectId, Result, Subject};
use async_trait::async_trait;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use uuid::Uuid;

impl Contents {
    /// Fills the index of every row again when the aggregate's declaration is new.
    pub(super) fn prepare(&mut self, tables: &[Table]) -> Result<()> {
        check_tables(tables)?;
        for table in tables {
            let known = self.tables.insert(table.kind, *table);
            if known.is_some_and(|known| known.same_shape(table)) {
                continue;
            }
            for ((kind, project, id), row) in &mut self.snapshots {
                if *kind != table.kind {
                    continue;
                }
                row.index = (table.index)(&row.state)?;
                for key in &row.index.keys {
                    // Of two that want a key which is new to both, the first one has it.
                    let owner = (*project, Subject::new(*kind, *id));
                    self.keys.entry(Key::of(*project, key)).or_insert(owner);
                }
            }
        }
        Ok(())
    }

    /// The rows of one kind that `scope` may see, in id order.
    fn rows(&self, scope: Scope, kind: Kind) -> Vec<(ProjectId, Uuid, &Row)> {
        let seen = self.snapshots.iter().filter(|((of, project, _), _)| *of == kind && scope.sees(*project));
        let mut rows: Vec<_> = seen.map(|((_, project, id), row)| (*project, *id, row)).collect();
        rows.sort_by_key(|(project, id, _)| (*id, *project));
        rows
    }
}

impl Contents {
    /// The filter with the ids of other aggregates in place of the conditions on them.
    fn resolved(&self, scope: Scope, filter: &Filter) -> Filter {
        let all = |parts: &[Filter]| parts.iter().map(|part| self.resolved(scope, part)).collect();
        match filter {
            Filter::All(parts) => Filter::All(all(parts)),
            Filter::Any(parts) => Filter::Any(all(parts)),
            Filter::Not(part) => Filter::Not(Box::new(self.resolved(scope, part))),
            Filter::Leaf(leaf) => Filter::Leaf(leaf.clone()),
            Filter::Among(among) => {
                let inner = self.resolved(scope, &among.filter);
                let rows = self.rows(scope, among.kind).into_iter();
                let found = rows.filter(|(_, id, row)| !row.index.hidden && satisfies(&inner, *id, row));
                let test = Test::In(found.map(|(_, id, _)| Value::Id(id)).collect());
                let field = among.field.clone();
                Filter::Leaf(Leaf { field, kind: FieldKind::Id, is_attribute: false, test })
            }
        }
    }
}

fn snapshot(project_id: ProjectId, id: Uuid, row: &Row) -> Snapshot {
    Snapshot { project_id, id, revision: row.revision, schema: row.schema, state: row.state.clone() }
}

fn satisfies(filter: &Filter, id: Uuid, row: &Row) -> bool {
    matches(filter, &document(id, row))
}

fn document(id: Uuid, row: &Row) -> Document<'_> {
    Document { id, version: row.version, created_at: row.created_at, updated_at: row.updated_at, index: &row.index }
}

#[async_trait]
impl SnapshotRepository for MemoryStorage {
    async fn get(&self, scope: Scope, kind: Kind, ids: &[Uuid]) -> Result<Vec<Snapshot>> {
        let contents = self.contents()?;
        let ids: BTreeSet<Uuid> = ids.iter().copied().collect();
        let found = |id: &Uuid| match scope {
            Scope::Project(project) => {
                contents.snapshots.get(&(kind, project, *id)).map(|row| vec![snapshot(project, *id, row)])
            }
            Scope::Installation => {
                let rows = contents.rows(scope, kind).into_iter().filter(|(_, found, _)| found == id);
                Some(rows.map(|(project, id, row)| snapshot(project, id, row)).collect())
            }
        };
        Ok(ids.iter().filter_map(found).flatten().collect())
    }

    async fn find_keys(&self, scope: Scope, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<KeyOwner>> {
        let contents = self.contents()?;
        let asked = |key: &super::Key| {
            key.space == space && keys.iter().any(|asked| asked.scope == key.scope && asked.key == key.key)
        };
        let found = contents.keys.iter().filter(|(key, (project, _))| asked(key) && scope.sees(*project));
        Ok(found
            .map(|(key, (project_id, owner))| KeyOwner {
                scope: key.scope.clone(),
                key: key.key.clone(),
                project_id: *project_id,
                kind: owner.kind,
                id: owner.id,
            })
            .collect())
    }

    async fn find_holders(&self, scope: Scope, kind: Kind, space: &str, keys: &[KeyRef<'_>]) -> Result<Vec<Holder>> {
        let owners = self.find_keys(scope, space, keys).await?;
        let contents = self.contents()?;
        let held = |owner: KeyOwner| {
            let row = contents.snapshots.get(&(kind, owner.project_id, owner.id))?;
            let snapshot = snapshot(owner.project_id, owner.id, row);
            Some(Holder { scope: owner.scope, key: owner.key, snapshot })
        };
        Ok(owners.into_iter().filter(|owner| owner.kind == kind).filter_map(held).collect())
    }

    async fn find(&self, scope: Scope, kind: Kind, find: &Find) -> Result<Found> {
        let contents = self.contents()?;
        let rows = contents.rows(scope, kind).into_iter();
        let filter = contents.resolved(scope, &find.filter);
        let seen =
            rows.filter(|(_, id, row)| (find.include_hidden || !row.index.hidden) && satisfies(&filter, *id, row));
        let mut rows: Vec<FoundRow> = seen
            .map(|(project, id, row)| FoundRow {
                keys: document(id, row).sort_values(&find.sort),
                snapshot: snapshot(project, id, row),
            })
            .collect();
        let total = find.with_total.then_some(rows.len() as u64);
        let order = |one: (&[Value], Uuid), other: (&[Value], Uuid)| {
            let order = sort_order(&find.sort, one, other);
            if find.backward { order.reverse() } else { order }
        };
        rows.sort_by(|a, b| order((&a.keys, a.snapshot.id), (&b.keys, b.snapshot.id)));
        if let Some((keys, id)) = &find.after {
            rows.retain(|row| order((&row.keys, row.snapshot.id), (keys, *id)) == Ordering::Greater);
        }
        let more = rows.len() > find.limit;
        rows.truncate(find.limit);
        if find.backward {
            rows.reverse();
        }
        Ok(Found { rows, more, total })
    }

    async fn count(&self, scope: Scope, kind: Kind, filter: &Filter, include_hidden: bool) -> Result<u64> {
        let contents = self.contents()?;
        let rows = contents.rows(scope, kind).into_iter();
        let filter = &contents.resolved(scope, filter);
        Ok(rows.filter(|(_, id, row)| (include_hidden || !row.index.hidden) && satisfies(filter, *id, row)).count()
            as u64)
    }

    async fn scan(&self, scope: Scope, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Snapshot>> {
        let contents = self.contents()?;
        let rows = contents.rows(scope, kind).into_iter().filter(|(_, id, _)| after.is_none_or(|after| *id > after));
        Ok(rows.take(limit).map(|(project, id, row)| snapshot(project, id, row)).collect())
    }

    async fn search(&self, scope: Scope, kind: Kind, text: &str, limit: usize) -> Result<Vec<SearchHit>> {
        let words = query_words(text);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let contents = self.contents()?;
        let rows = contents.rows(scope, kind).into_iter().rev().filter(|(_, _, row)| !row.index.hidden);
        let hit = |(project, id, row): (ProjectId, Uuid, &Row)| {
            let (score, field) = rank(&words, &row.index.search)?;
            Some(SearchHit { snapshot: snapshot(project, id, row), score, field: field.to_owned() })
        };
        let mut hits: Vec<SearchHit> = rows.filter_map(hit).take(SEARCH_CANDIDATES).collect();
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(b.snapshot.id.cmp(&a.snapshot.id)));
        hits.truncate(limit);
        Ok(hits)
    }
}
