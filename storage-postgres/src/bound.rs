//! Every statement about one project says which one: row security is the second line, this is the first. What a statement says is
//! looked at as it is sent, in every test of this crate, the whole suite of the storage port among them.

use crate::checks::OF_NOBODY;
use crate::session::{Call, Reach};
use crate::{PostgresStorage, cluster};
use async_trait::async_trait;
use std::sync::Arc;
use ventros::storage::Storage;
use ventros::storage::testing::Place;

/// Fails when a statement of a project's own forgets the project.
pub(crate) fn check(reach: Reach, calls: &[Call]) {
    if reach == Reach::System {
        return;
    }
    for call in calls {
        if let Some(table) = forgotten(&call.sql) {
            panic!("{table} is asked without its project: {}", call.sql);
        }
    }
}

/// The first table in a statement whose rows may be of any project. Functions are given the project, and row security is all that
/// holds them.
fn forgotten(sql: &str) -> Option<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '"';
    let mentions = sql.match_indices('@').map(|(start, _)| {
        let rest = &sql[start + 1..];
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        (sql[..start].trim_end(), &rest[..end], &rest[end..])
    });
    // What follows a point is a column, and what follows a bracket the arguments of a function.
    let mut tables = mentions
        .filter(|(_, table, after)| !after.starts_with(['.', '(']) && !OF_NOBODY.contains(&table.trim_matches('"')));
    let is_free = |(before, table, after): &(&str, &str, &str)| {
        let column = if table.trim_matches('"') == "idempotency_keys" { "scope" } else { "project_id" };
        if before.ends_with("INTO") {
            let columns = after.split(')').next().unwrap_or_default();
            return !columns.contains(column);
        }
        let word = after.trim_start().trim_start_matches("AS ").split(|c| !is_name(c)).next().unwrap_or_default();
        let alias = word.chars().next().is_some_and(|c| c.is_ascii_lowercase()).then_some(word);
        let name = alias.map_or_else(|| column.to_owned(), |alias| format!("{alias}.{column}"));
        !is_compared(sql, &name)
    };
    tables.find(is_free).map(|(_, table, _)| table)
}

/// True when a column stands on a side of a comparison.
fn is_compared(sql: &str, name: &str) -> bool {
    sql.match_indices(name).any(|(start, _)| {
        let (before, after) = (&sql[..start], sql[start + name.len()..].trim_start());
        let is_set = before.trim_end().ends_with("SET");
        let is_whole = !is_set && !before.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.');
        is_whole && (after.starts_with("= ") || after.starts_with("IN ") || before.trim_end().ends_with(" ="))
    })
}

#[test]
fn what_is_forgotten_is_seen() {
    for bound in [
        "SELECT 1 FROM @\"contacts\" t WHERE t.project_id = $1 AND t.id = $2",
        "SELECT 1 FROM @\"contacts\" t WHERE t.project_id = $1 AND EXISTS (SELECT 1 FROM @attributes a WHERE a.project_id = t.project_id)",
        "INSERT INTO @events (project_id, seq) SELECT e.p, h.head FROM unnest($1::uuid[]) AS e (p) JOIN @log_heads h ON h.project_id = e.p",
        "UPDATE @jobs SET state = $2 WHERE project_id = $1",
        "DELETE FROM @attributes a USING unnest($1::uuid[]) AS o (project_id) WHERE a.project_id = o.project_id",
        "SELECT 1 FROM @idempotency_keys WHERE scope = $1",
        "SELECT @finish_job($1, $2)",
    ] {
        assert_eq!(forgotten(bound), None, "{bound}");
    }
    for (free, table) in [
        ("SELECT 1 FROM @\"contacts\" t WHERE t.id = $2", "\"contacts\""),
        ("SELECT t.project_id FROM @\"contacts\" t WHERE t.id = $2", "\"contacts\""),
        (
            "SELECT 1 FROM @\"contacts\" t WHERE t.project_id = $1 AND t.id IN (SELECT w.id FROM @search_words w WHERE w.word = $2)",
            "search_words",
        ),
        (
            "SELECT 1 FROM @events e JOIN @log_heads h ON h.project_id = e.project_id WHERE e.id = $1 AND EXISTS (SELECT 1 FROM @jobs)",
            "jobs",
        ),
        ("INSERT INTO @events (seq) VALUES ($1)", "events"),
        ("UPDATE @jobs SET project_id = $2 WHERE id = $1", "jobs"),
        ("DELETE FROM @idempotency_keys WHERE key = $1", "idempotency_keys"),
    ] {
        assert_eq!(forgotten(free), Some(table), "{free}");
    }
}

/// A schema of its own; it goes with the cluster.
struct Schema(String);

impl Schema {
    fn fresh() -> Self {
        Schema(cluster::fresh())
    }
}

#[async_trait]
impl Place for Schema {
    async fn open(&self) -> Arc<dyn Storage> {
        Arc::new(PostgresStorage::open(&self.0).await.expect("a fresh schema opens"))
    }
}

ventros::conformance_suite!(Schema::fresh());
