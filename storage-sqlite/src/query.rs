//! Filters and pages as SQL. A condition is built so that NULL never decides: a positive comparison with a missing value is not
//! true, and a negated one is exactly what is left.

use crate::attributes::type_code;
use crate::layout::Layout;
use crate::values::{blob, integer, sql_value};
use rusqlite::types::Value as Sql;
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use ventros::kernel::{Error, Kind, Result};
use ventros::storage::{Filter, Find, Leaf, Scope, Sort, Test, Value};

/// SQL text with the values of its marks.
#[derive(Default)]
pub(crate) struct Query {
    pub sql: String,
    pub values: Vec<Sql>,
    /// The tables that conditions on other aggregates look into.
    others: Others,
}

/// Tables by the kind of their aggregate.
pub(crate) type Others = BTreeMap<Kind, Arc<Layout>>;

impl Query {
    fn text(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    fn value(&mut self, value: Sql) {
        self.sql.push('?');
        self.values.push(value);
    }

    /// `SELECT <what> FROM <table> WHERE` scope, visibility and filter.
    pub(crate) fn select(
        what: &str,
        layout: &Layout,
        others: &Others,
        scope: Scope,
        filter: &Filter,
        visibility: Visibility,
    ) -> Result<Query> {
        let mut query = Query { others: others.clone(), ..Query::default() };
        query.rows(what, layout, scope, filter, visibility)?;
        Ok(query)
    }

    fn rows(
        &mut self,
        what: &str,
        layout: &Layout,
        scope: Scope,
        filter: &Filter,
        visibility: Visibility,
    ) -> Result<()> {
        self.text(&format!("SELECT {what} FROM {} t WHERE ", layout.name));
        match scope {
            Scope::Project(project) => {
                self.text("t.project_id = ");
                self.value(blob(project.uuid()));
            }
            Scope::Installation => self.text("1"),
        }
        match visibility {
            Visibility::Shown => self.text(" AND t.hidden = 0"),
            Visibility::Hidden => self.text(" AND t.hidden = 1"),
            Visibility::Any => {}
        }
        if *filter != Filter::everything() {
            self.text(" AND ");
            self.filter(layout, scope, filter, false)?;
        }
        Ok(())
    }

    /// Narrows to the owners of an attribute, so that the search starts from them: for those that few have.
    pub(crate) fn start_from(&mut self, layout: &Layout, scope: Scope, leaf: &Leaf) {
        self.text(" AND t.row IN (SELECT a.owner FROM ");
        self.owners(layout, scope, leaf);
        self.text(")");
    }

    /// `attributes WHERE ...`: the rows of one attribute that satisfy its comparison, found by their value.
    pub(crate) fn owners(&mut self, layout: &Layout, scope: Scope, leaf: &Leaf) {
        self.text("attributes a INDEXED BY attributes_value WHERE a.project_id ");
        match scope {
            Scope::Project(project) => {
                self.text("= ");
                self.value(blob(project.uuid()));
            }
            Scope::Installation => self.text("IN (SELECT project_id FROM log_heads)"),
        }
        self.text(" AND a.kind = ");
        self.value(Sql::Text(layout.table.kind.as_str().to_owned()));
        self.text(" AND a.field = ");
        self.value(Sql::Text(leaf.field.clone()));
        self.text(" AND a.type = ");
        self.value(Sql::Integer(type_of(&leaf.test)));
        self.text(" AND ");
        self.test("a.value", &leaf.test);
    }

    /// Negation is carried down to the comparisons, where it is two-valued.
    fn filter(&mut self, layout: &Layout, scope: Scope, filter: &Filter, negated: bool) -> Result<()> {
        match filter {
            Filter::All(parts) => self.group(layout, scope, parts, negated, !negated),
            Filter::Any(parts) => self.group(layout, scope, parts, negated, negated),
            Filter::Not(part) => self.filter(layout, scope, part, !negated),
            Filter::Among(among) => {
                let other = self.others.get(&among.kind).cloned();
                let other = other.ok_or_else(|| Error::internal("the table of a condition was not looked up"))?;
                self.text(&format!("(t.{} IN (", layout.column(&among.field)?.compared()));
                // Inside, `t` is the other table.
                self.rows("t.id", &other, scope, &among.filter, Visibility::Shown)?;
                self.text(if negated { ")) IS NOT TRUE" } else { "))" });
                Ok(())
            }
            Filter::Leaf(leaf) if leaf.is_attribute => {
                self.attribute(layout, leaf, negated);
                Ok(())
            }
            Filter::Leaf(leaf) => {
                let column = format!("t.{}", layout.column(&leaf.field)?.compared());
                // `IS NOT TRUE` keeps the planner from using an index, `IS NULL` alone does not.
                if negated && leaf.test == Test::Missing {
                    self.text(&format!("{column} IS NOT NULL"));
                } else {
                    self.text("(");
                    self.test(&column, &leaf.test);
                    self.text(if negated { ") IS NOT TRUE" } else { ")" });
                }
                Ok(())
            }
        }
    }

    fn group(&mut self, layout: &Layout, scope: Scope, parts: &[Filter], negated: bool, all: bool) -> Result<()> {
        if parts.is_empty() {
            self.text(if all { "1" } else { "0" });
            return Ok(());
        }
        self.text("(");
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                self.text(if all { " AND " } else { " OR " });
            }
            self.filter(layout, scope, part, negated)?;
        }
        self.text(")");
        Ok(())
    }

    fn attribute(&mut self, layout: &Layout, leaf: &Leaf, negated: bool) {
        let is_missing = leaf.test == Test::Missing;
        self.text(if negated == is_missing { "EXISTS" } else { "NOT EXISTS" });
        self.text(" (SELECT 1 FROM attributes a WHERE a.kind = ");
        self.value(Sql::Text(layout.table.kind.as_str().to_owned()));
        self.text(" AND a.owner = t.row AND a.field = ");
        self.value(Sql::Text(leaf.field.clone()));
        if !is_missing {
            self.text(" AND a.type = ");
            self.value(Sql::Integer(type_of(&leaf.test)));
            self.text(" AND ");
            self.test("a.value", &leaf.test);
        }
        self.text(")");
    }

    fn test(&mut self, column: &str, test: &Test) {
        let mut compare = |operator: &str, value: &Value| {
            self.text(&format!("{column} {operator} "));
            self.value(sql_value(value));
        };
        match test {
            Test::Equal(value) => compare("=", value),
            Test::Less(value) => compare("<", value),
            Test::LessOrEqual(value) => compare("<=", value),
            Test::Greater(value) => compare(">", value),
            Test::GreaterOrEqual(value) => compare(">=", value),
            Test::Missing => self.text(&format!("{column} IS NULL")),
            Test::Contains(part) => {
                self.text(&format!("instr({column}, "));
                self.value(Sql::Text(part.clone()));
                self.text(") > 0");
            }
            Test::StartsWith(part) => {
                compare(">=", &Value::Text(part.clone()));
                if let Some(end) = after_prefix(part) {
                    self.text(&format!(" AND {column} < "));
                    self.value(Sql::Text(end));
                }
            }
            Test::EndsWith(part) => {
                let length = integer(part.chars().count());
                self.text(&format!("substr({column}, {}) = ", -length));
                self.value(Sql::Text(part.clone()));
            }
            Test::In(list) => {
                self.text(&format!("{column} IN ("));
                for (place, value) in list.iter().enumerate() {
                    if place > 0 {
                        self.text(", ");
                    }
                    self.value(sql_value(value));
                }
                self.text(")");
            }
        }
    }
}

/// The comparisons of attributes with one value or some values that every row of the result must satisfy.
pub(crate) fn required_attributes(filter: &Filter) -> Vec<&Leaf> {
    match filter {
        Filter::All(parts) => parts.iter().flat_map(required_attributes).collect(),
        Filter::Leaf(leaf) if leaf.is_attribute && matches!(leaf.test, Test::Equal(_) | Test::In(_)) => vec![leaf],
        _ => Vec::new(),
    }
}

fn type_of(test: &Test) -> i64 {
    match test {
        Test::Equal(value)
        | Test::Less(value)
        | Test::LessOrEqual(value)
        | Test::Greater(value)
        | Test::GreaterOrEqual(value) => type_code(value),
        Test::In(list) => list.first().map_or(0, type_code),
        Test::Contains(_) | Test::StartsWith(_) | Test::EndsWith(_) => 1,
        Test::Missing => 0,
    }
}

/// The first text behind all that start with `prefix`; `None` when there is no end.
pub(crate) fn after_prefix(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next =
            (u32::from(last) + 1..=0xE000).find_map(char::from_u32).or_else(|| char::from_u32(u32::from(last) + 1));
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// Which rows a query sees. Hidden ones are read beside the others, never together with them: an index serves each alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    Shown,
    Hidden,
    Any,
}

impl Visibility {
    /// What has to be read one after the other.
    pub(crate) const fn of(include_hidden: bool) -> &'static [Visibility] {
        if include_hidden { &[Visibility::Shown, Visibility::Hidden] } else { &[Visibility::Shown] }
    }
}

/// One part of a page: rows whose leading sort value is there, or rows where it is missing. They are read one after the other,
/// because an index serves each of them but not both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Present,
    Missing,
}

/// The parts of a page in reading order.
pub(crate) fn parts(layout: &Layout, find: &Find) -> Vec<Part> {
    let leads_with_nullable =
        find.sort.first().is_some_and(|key| layout.columns.iter().any(|column| column.field == key.field));
    if !leads_with_nullable {
        return vec![Part::Present];
    }
    let is_past = |part| match (&find.after, find.backward) {
        (Some((keys, _)), false) => part == Part::Present && keys.first().is_some_and(Value::is_null),
        (Some((keys, _)), true) => part == Part::Missing && keys.first().is_some_and(|key| !key.is_null()),
        (None, _) => false,
    };
    let order = if find.backward { [Part::Missing, Part::Present] } else { [Part::Present, Part::Missing] };
    order.into_iter().filter(|part| !is_past(*part)).collect()
}

/// The query for at most `limit` rows of one part, nearest to the cursor first.
pub(crate) fn page(
    layout: &Layout,
    others: &Others,
    scope: Scope,
    find: &Find,
    rare: Option<&Leaf>,
    (visibility, part): (Visibility, Part),
    limit: usize,
) -> Result<Query> {
    let mut what = "t.project_id, t.id, t.revision, t.state, t.schema".to_owned();
    let mut keys = Vec::with_capacity(find.sort.len());
    for key in &find.sort {
        let column = format!("t.{}", layout.column(&key.field)?.compared());
        what.push_str(", ");
        what.push_str(&column);
        let is_nullable = layout.columns.iter().any(|declared| declared.field == key.field);
        keys.push(Key { column, descending: key.descending != find.backward, is_nullable });
    }
    let mut query = Query::select(&what, layout, others, scope, &find.filter, visibility)?;
    if let Some(leaf) = rare {
        query.start_from(layout, scope, leaf);
    }
    let is_split = keys.first().is_some_and(|key| key.is_nullable);
    if is_split {
        let not = if part == Part::Present { "NOT " } else { "" };
        query.text(&format!(" AND {} IS {not}NULL", keys[0].column));
    }
    let id_descending = find.sort.last().is_some_and(|key: &Sort| key.descending) != find.backward;
    if let Some((values, id)) = &find.after {
        let is_inside = !is_split || values.first().is_some_and(Value::is_null) == (part == Part::Missing);
        if is_inside {
            query.text(" AND ");
            let rest = Rest { keys: &keys, values, id: *id, id_descending, backward: find.backward };
            query.after(&rest, 0, is_split && part == Part::Missing);
        }
    }
    query.text(" ORDER BY ");
    // Behind the id nothing is left to order, and a planner that is told more sorts once more.
    let names_id = find.sort.iter().position(|key| key.field == "id");
    for (place, key) in keys.iter().enumerate().take(names_id.unwrap_or(keys.len())) {
        let direction = if key.descending { "DESC" } else { "ASC" };
        match place {
            0 if is_split && part == Part::Missing => {}
            0 => query.text(&format!("{} {direction}, ", key.column)),
            _ if key.is_nullable => {
                let nulls = if find.backward { "DESC" } else { "ASC" };
                query.text(&format!("{0} IS NULL {nulls}, {0} {direction}, ", key.column));
            }
            _ => query.text(&format!("{} {direction}, ", key.column)),
        }
    }
    let id_descending = names_id.map_or(id_descending, |place| keys[place].descending);
    query.text(if id_descending { "t.id DESC LIMIT " } else { "t.id ASC LIMIT " });
    query.value(Sql::Integer(integer(limit)));
    Ok(query)
}

/// A sort key in the direction of reading.
struct Key {
    column: String,
    descending: bool,
    is_nullable: bool,
}

struct Rest<'a> {
    keys: &'a [Key],
    values: &'a [Value],
    id: Uuid,
    id_descending: bool,
    backward: bool,
}

impl Query {
    /// Rows behind the cursor by the keys from `place` on. The leading bound is said twice, so that an index can start there.
    fn after(&mut self, rest: &Rest<'_>, place: usize, skip_first: bool) {
        let (Some(key), Some(value)) = (rest.keys.get(place), rest.values.get(place)) else {
            self.text(if rest.id_descending { "t.id < " } else { "t.id > " });
            self.value(blob(rest.id));
            return;
        };
        if place == 0 && skip_first {
            return self.after(rest, 1, false);
        }
        let operator = if key.descending { "<" } else { ">" };
        if place == 0 {
            self.text(&format!("{} {operator}= ", key.column));
            self.value(sql_value(value));
            self.text(" AND ");
        }
        self.text("(");
        if value.is_null() {
            if rest.backward {
                self.text(&format!("{} IS NOT NULL OR ", key.column));
            }
            self.text(&format!("({} IS NULL AND ", key.column));
        } else {
            self.text(&format!("{} {operator} ", key.column));
            self.value(sql_value(value));
            if !rest.backward && key.is_nullable && place > 0 {
                self.text(&format!(" OR {} IS NULL", key.column));
            }
            self.text(&format!(" OR ({} = ", key.column));
            self.value(sql_value(value));
            self.text(" AND ");
        }
        self.after(rest, place + 1, false);
        self.text("))");
    }
}
