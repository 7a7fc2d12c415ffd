//! Derived rows beside an aggregate's own, of all the aggregates of one commit together: attributes, search words and unique keys.

use crate::session::Call;
use crate::values::{Sql, instant, sql, text};
use std::collections::BTreeSet;
use uuid::Uuid;
use ventros::kernel::{Kind, ProjectId, Subject};
use ventros::storage::{Index, UniqueKey, Value, index_words};

/// The owners of rows, one for each row, as the first three columns of a statement.
#[derive(Default)]
struct Owners {
    projects: Vec<Uuid>,
    kinds: Vec<String>,
    ids: Vec<Uuid>,
}

impl Owners {
    fn push(&mut self, project: ProjectId, kind: Kind, id: Uuid) {
        self.projects.push(project.uuid());
        self.kinds.push(kind.as_str().to_owned());
        self.ids.push(id);
    }

    fn values(&self) -> Vec<Sql> {
        vec![sql(self.projects.clone()), sql(self.kinds.clone()), sql(self.ids.clone())]
    }

    fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The attributes of aggregates, in place of those they have.
#[derive(Default)]
pub(crate) struct Attributes {
    replaced: Owners,
    owners: Owners,
    fields: Vec<String>,
    values: Vec<Value>,
}

impl Attributes {
    /// Of one that may have attributes already.
    pub(crate) fn replace(&mut self, project: ProjectId, kind: Kind, id: Uuid, index: &Index) {
        self.replaced.push(project, kind, id);
        self.add(project, kind, id, index);
    }

    /// Of one that is removed.
    pub(crate) fn remove(&mut self, project: ProjectId, kind: Kind, id: Uuid) {
        self.replaced.push(project, kind, id);
    }

    /// Of one that has none yet.
    pub(crate) fn add(&mut self, project: ProjectId, kind: Kind, id: Uuid, index: &Index) {
        let mut seen: Vec<(&str, Value)> = Vec::new();
        for (field, value) in &index.attributes {
            let row = (field.as_str(), value.comparable_attribute());
            if !row.1.is_null() && !seen.contains(&row) {
                seen.push(row);
            }
        }
        for (field, value) in seen {
            self.owners.push(project, kind, id);
            self.fields.push(text(field));
            self.values.push(value);
        }
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = Call> {
        let delete =
            "DELETE FROM @attributes a USING unnest($1::uuid[], $2::text[], $3::uuid[]) AS o (project_id, kind, id)
            WHERE a.project_id = o.project_id AND a.kind = o.kind AND a.id = o.id";
        let insert = "INSERT INTO @attributes (project_id, kind, id, field, text, number, instant, truth)
            SELECT * FROM unnest(
                $1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::float8[], $7::timestamptz[], $8::bool[])";
        let deletion = (!self.replaced.is_empty()).then(|| Call::new(delete, self.replaced.values()));
        let insertion = (!self.owners.is_empty()).then(|| {
            let mut values = self.owners.values();
            values.push(sql(self.fields.clone()));
            values.push(self.of_type(|v| if let Value::Text(v) = v { Some(text(v)) } else { None }));
            values.push(self.of_type(|v| if let Value::Number(v) = v { Some(*v) } else { None }));
            values.push(self.of_type(|v| if let Value::Instant(v) = v { Some(instant(*v)) } else { None }));
            values.push(self.of_type(|v| if let Value::Bool(v) = v { Some(*v) } else { None }));
            Call::new(insert, values)
        });
        deletion.into_iter().chain(insertion)
    }

    fn of_type<T>(&self, one: impl Fn(&Value) -> Option<T>) -> Sql
    where
        Vec<Option<T>>: tokio_postgres::types::ToSql + Send + Sync + 'static,
    {
        sql(self.values.iter().map(one).collect::<Vec<_>>())
    }
}

/// The search words of aggregates, in place of those they have.
#[derive(Default)]
pub(crate) struct SearchWords {
    replaced: Owners,
    owners: Owners,
    words: Vec<String>,
}

impl SearchWords {
    /// Of one that may have words already.
    pub(crate) fn replace(&mut self, project: ProjectId, kind: Kind, id: Uuid, index: &Index) {
        self.replaced.push(project, kind, id);
        self.add(project, kind, id, index);
    }

    /// Of one that is removed.
    pub(crate) fn remove(&mut self, project: ProjectId, kind: Kind, id: Uuid) {
        self.replaced.push(project, kind, id);
    }

    /// Of one that has none yet. A hidden one gets none.
    pub(crate) fn add(&mut self, project: ProjectId, kind: Kind, id: Uuid, index: &Index) {
        if index.hidden {
            return;
        }
        let words: BTreeSet<String> = index.search.iter().flat_map(|field| index_words(&field.text)).collect();
        for word in words {
            self.owners.push(project, kind, id);
            self.words.push(word);
        }
    }

    pub(crate) fn calls(&self) -> impl Iterator<Item = Call> {
        let delete =
            "DELETE FROM @search_words w USING unnest($1::uuid[], $2::text[], $3::uuid[]) AS o (project_id, kind, id)
            WHERE w.project_id = o.project_id AND w.kind = o.kind AND w.id = o.id";
        let insert = "INSERT INTO @search_words (project_id, kind, id, word)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[])";
        let deletion = (!self.replaced.is_empty()).then(|| Call::new(delete, self.replaced.values()));
        let insertion = (!self.owners.is_empty()).then(|| {
            let mut values = self.owners.values();
            values.push(sql(self.words.clone()));
            Call::new(insert, values)
        });
        deletion.into_iter().chain(insertion)
    }
}

/// Unique keys with those who give them up or take them.
#[derive(Default)]
pub(crate) struct Keys {
    owners: Owners,
    spaces: Vec<String>,
    scopes: Vec<String>,
    keys: Vec<String>,
    realms: Vec<Uuid>,
}

/// Where a key is unique: in its project, or in the whole store.
pub(crate) fn realm(project: ProjectId, key: &UniqueKey) -> Uuid {
    if key.global { Uuid::max() } else { project.uuid() }
}

impl Keys {
    pub(crate) fn push(&mut self, project: ProjectId, owner: Subject, key: &UniqueKey) {
        self.owners.push(project, owner.kind, owner.id);
        self.spaces.push(key.space.to_owned());
        self.scopes.push(text(&key.scope));
        self.keys.push(text(&key.key));
        self.realms.push(realm(project, key));
    }

    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    fn values(&self) -> Vec<Sql> {
        let mut values = self.owners.values();
        let lists = [&self.spaces, &self.scopes, &self.keys];
        values.extend(lists.into_iter().map(|list| sql(list.clone())));
        values.push(sql(self.realms.clone()));
        values
    }

    /// Gives them up, where they are still held.
    pub(crate) fn release(&self) -> Call {
        let sql = "DELETE FROM @unique_keys u
            USING unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[])
                AS k (project_id, kind, id, space, scope, key, realm)
            WHERE u.space = k.space AND u.scope = k.scope AND u.key = k.key AND u.realm = k.realm
                AND u.project_id = k.project_id AND u.kind = k.kind AND u.id = k.id";
        Call::new(sql, self.values())
    }

    /// Takes those that are free, always in the same order: two commits that want the same keys never wait for each other.
    pub(crate) fn claim(&self) -> Call {
        let sql = "INSERT INTO @unique_keys (project_id, kind, id, space, scope, key, realm)
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[])
                AS k (project_id, kind, id, space, scope, key, realm)
            ORDER BY k.space, k.scope, k.key, k.realm ON CONFLICT DO NOTHING";
        Call::new(sql, self.values())
    }

    /// How many of them their takers hold.
    pub(crate) fn held(&self) -> Call {
        let sql = "SELECT count(*)
            FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[])
                AS k (project_id, kind, id, space, scope, key, realm)
            JOIN @unique_keys u ON u.space = k.space AND u.scope = k.scope AND u.key = k.key AND u.realm = k.realm
                AND u.project_id = k.project_id AND u.kind = k.kind AND u.id = k.id";
        Call::new(sql, self.values())
    }

    /// Who holds each of them, by their number from 1 on.
    pub(crate) fn holders(&self) -> Call {
        let sql = "SELECT k.place, u.project_id, u.kind, u.id
            FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::uuid[])
                WITH ORDINALITY AS k (project_id, kind, id, space, scope, key, realm, place)
            JOIN @unique_keys u ON u.space = k.space AND u.scope = k.scope AND u.key = k.key AND u.realm = k.realm
            ORDER BY k.place";
        Call::new(sql, self.values())
    }
}
