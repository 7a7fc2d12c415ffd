//! Filters and pages as SQL. A condition is built so that NULL never decides: a positive comparison with a missing value is not
//! true, and a negated one is exactly what is left.

use crate::layout::{Layout, SNAPSHOT};
use crate::session::Call;
use crate::values::{Sql, integer, sql, typed, typed_list};
use std::collections::BTreeMap;
use std::sync::Arc;
use uuid::Uuid;
use ventros::kernel::{Error, Kind, Result};
use ventros::storage::{Filter, Find, Leaf, Scope, Sort, Test, Value};

/// SQL text with the values of its marks.
#[derive(Default)]
pub(crate) struct Query {
    sql: String,
    values: Vec<Sql>,
    /// The tables that conditions on other aggregates look into.
    others: Others,
}

/// Tables by the kind of their aggregate.
pub(crate) type Others = BTreeMap<Kind, Arc<Layout>>;

impl Query {
    pub(crate) fn text(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    /// A mark for a value. Its type is said, so that it never follows from what is beside it.
    pub(crate) fn value(&mut self, (value, name): (Sql, &str)) {
        self.values.push(value);
        self.sql.push_str(&format!("${}::{name}", self.values.len()));
    }

    pub(crate) fn call(self) -> Call {
        Call { sql: self.sql.into(), values: self.values }
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
                self.value((sql(project.uuid()), "uuid"));
            }
            Scope::Installation => self.text("true"),
        }
        match visibility {
            Visibility::Shown => self.text(" AND NOT t.hidden"),
            Visibility::Hidden => self.text(" AND t.hidden"),
            Visibility::Any => {}
        }
        if *filter != Filter::everything() {
            self.text(" AND ");
            self.filter(layout, scope, filter, false)?;
        }
        Ok(())
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
            self.text(if all { "true" } else { "false" });
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
        self.text(" (SELECT 1 FROM @attributes a WHERE a.project_id = t.project_id AND a.kind = ");
        self.value((sql(layout.table.kind.as_str()), "text"));
        self.text(" AND a.id = t.id AND a.field = ");
        self.value(typed(&Value::Text(leaf.field.clone())));
        if !is_missing {
            self.text(" AND ");
            self.test(attribute_column(&leaf.test), &leaf.test);
        }
        self.text(")");
    }

    fn test(&mut self, column: &str, test: &Test) {
        let mut compare = |operator: &str, value: &Value| {
            self.text(&format!("{column} {operator} "));
            self.value(typed(value));
        };
        match test {
            Test::Equal(value) => compare("=", value),
            Test::Less(value) => compare("<", value),
            Test::LessOrEqual(value) => compare("<=", value),
            Test::Greater(value) => compare(">", value),
            Test::GreaterOrEqual(value) => compare(">=", value),
            Test::Missing => self.text(&format!("{column} IS NULL")),
            Test::Contains(part) => {
                self.text(&format!("strpos({column}, "));
                self.value(typed(&Value::Text(part.clone())));
                self.text(") > 0");
            }
            Test::StartsWith(part) => {
                compare(">=", &Value::Text(part.clone()));
                if let Some(end) = after_prefix(part) {
                    self.text(&format!(" AND {column} < "));
                    self.value(typed(&Value::Text(end)));
                }
            }
            Test::EndsWith(part) => {
                self.text(&format!("right({column}, {}) = ", part.chars().count()));
                self.value(typed(&Value::Text(part.clone())));
            }
            // A list without values has no type either.
            Test::In(list) if list.is_empty() => self.text("FALSE"),
            Test::In(list) => {
                self.text(&format!("{column} = ANY("));
                self.value(typed_list(list));
                self.text(")");
            }
        }
    }
}

/// The column of `attributes` in which values of the test's type are.
fn attribute_column(test: &Test) -> &'static str {
    let value = match test {
        Test::Equal(value)
        | Test::Less(value)
        | Test::LessOrEqual(value)
        | Test::Greater(value)
        | Test::GreaterOrEqual(value) => value,
        Test::In(list) => list.first().unwrap_or(&Value::Null),
        Test::Contains(_) | Test::StartsWith(_) | Test::EndsWith(_) | Test::Missing => &Value::Null,
    };
    match value {
        Value::Null | Value::Text(_) | Value::Id(_) => "a.text",
        Value::Number(_) => "a.number",
        Value::Instant(_) => "a.instant",
        Value::Bool(_) => "a.truth",
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
    /// What has to be read.
    pub(crate) const fn of(include_hidden: bool) -> &'static [Visibility] {
        if include_hidden { &[Visibility::Shown, Visibility::Hidden] } else { &[Visibility::Shown] }
    }
}

/// One part of a page: rows whose leading sort value is there, or rows where it is missing. An index serves each of them but not
/// both.
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

/// The query for the rows of one part, nearest to the cursor first: one more than the page holds, if there are so many.
pub(crate) fn page(
    layout: &Layout,
    others: &Others,
    scope: Scope,
    find: &Find,
    visibility: Visibility,
    part: Part,
) -> Result<Query> {
    let mut what = SNAPSHOT.to_owned();
    let mut keys = Vec::with_capacity(find.sort.len());
    for key in &find.sort {
        let column = format!("t.{}", layout.column(&key.field)?.compared());
        what.push_str(", ");
        what.push_str(&column);
        let is_nullable = layout.columns.iter().any(|declared| declared.field == key.field);
        keys.push(Key { column, descending: key.descending != find.backward, is_nullable });
    }
    let mut query = Query::select(&what, layout, others, scope, &find.filter, visibility)?;
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
    // Behind the id nothing is left to order. A key that is missing in all rows is named all the same: so the index is known to
    // have the order.
    let names_id = find.sort.iter().position(|key| key.field == "id");
    for (place, key) in keys.iter().enumerate().take(names_id.unwrap_or(keys.len())) {
        let direction = if key.descending { "DESC" } else { "ASC" };
        match place {
            _ if place > 0 && key.is_nullable => {
                let nulls = if find.backward { "FIRST" } else { "LAST" };
                query.text(&format!("{} {direction} NULLS {nulls}, ", key.column));
            }
            _ => query.text(&format!("{} {direction}, ", key.column)),
        }
    }
    let id_descending = names_id.map_or(id_descending, |place| keys[place].descending);
    query.text(if id_descending { "t.id DESC LIMIT " } else { "t.id ASC LIMIT " });
    query.value((sql(integer(find.limit + 1)), "int8"));
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
            self.value((sql(rest.id), "uuid"));
            return;
        };
        if place == 0 && skip_first {
            return self.after(rest, 1, false);
        }
        let operator = if key.descending { "<" } else { ">" };
        if place == 0 {
            self.text(&format!("{} {operator}= ", key.column));
            self.value(typed(value));
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
            self.value(typed(value));
            if !rest.backward && key.is_nullable && place > 0 {
                self.text(&format!(" OR {} IS NULL", key.column));
            }
            self.text(&format!(" OR ({} = ", key.column));
            self.value(typed(value));
            self.text(" AND ");
        }
        self.after(rest, place + 1, false);
        self.text("))");
    }
}
