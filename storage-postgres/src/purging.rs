//! All that is stored of a project: how much it is, and its removal in small pieces.

use crate::PostgresStorage;
use crate::layout::{Layout, quoted};
use crate::session::{Call, Reach};
use crate::values::{Read, integer, sql};
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::sync::Arc;
use ventros::kernel::{ProjectId, Result};
use ventros::storage::PurgeRepository;

/// What is stored beside aggregates, with the column that names the project.
const OTHERS: &[(&str, &str)] = &[
    ("jobs", "project_id"),
    ("dead_letters", "project_id"),
    ("consumers", "project_id"),
    ("idempotency_keys", "scope"),
    ("secrets", "project_id"),
    ("baselines", "project_id"),
    ("events", "project_id"),
];

/// What is derived, and goes after what it is derived from.
const DERIVED: &[(&str, &str)] = &[
    ("unique_keys", "project_id"),
    ("attributes", "project_id"),
    ("search_words", "project_id"),
    ("event_subjects", "project_id"),
    ("log_heads", "project_id"),
];

#[async_trait]
impl PurgeRepository for PostgresStorage {
    async fn count_project(&self, project: ProjectId) -> Result<BTreeMap<String, u64>> {
        let layouts: Vec<Arc<Layout>> = self.all_layouts().into_values().collect();
        let of_aggregates =
            layouts.iter().map(|layout| (layout.table.kind.plural(), layout.name.clone(), "project_id"));
        let others = OTHERS.iter().map(|(table, column)| (*table, format!("@{table}"), *column));
        let counts: Vec<String> = of_aggregates
            .chain(others)
            .map(|(table, name, column)| format!("SELECT '{table}', count(*) FROM {name} WHERE {column} = $1"))
            .collect();
        let call = Call { sql: counts.join(" UNION ALL ").into(), values: vec![sql(project.uuid())] };
        let mut found = BTreeMap::new();
        for row in self.read(Reach::Only(project.uuid()), &[call]).await?.iter().flatten() {
            let rows = row.number(1)?;
            if rows > 0 {
                found.insert(row.read::<String>(0)?, rows);
            }
        }
        Ok(found)
    }

    async fn purge_project(&self, project: ProjectId, limit: usize) -> Result<u64> {
        for statement in statements(&self.all_layouts().into_values().collect::<Vec<_>>()) {
            let call = Call { sql: statement.into(), values: vec![sql(project.uuid()), sql(integer(limit))] };
            let answer = self.write(Reach::Only(project.uuid()), &[call]).await?;
            let removed = answer.first().and_then(|rows| rows.first()).map_or(Ok(0), |row| row.number(0))?;
            if removed > 0 {
                return Ok(removed);
            }
        }
        Ok(0)
    }
}

/// First the references inside the project go, so that rows can go in any order.
fn statements(layouts: &[Arc<Layout>]) -> Vec<String> {
    let mut statements = Vec::new();
    for layout in layouts {
        let referring = layout.table.own_columns().filter(|column| column.references.is_some());
        let columns: Vec<String> = referring.map(|column| quoted(&column.field.replace('.', "_"))).collect();
        if columns.is_empty() {
            continue;
        }
        let name = &layout.name;
        let set: Vec<String> = columns.iter().map(|column| format!("{column} = NULL")).collect();
        let any: Vec<String> = columns.iter().map(|column| format!("{column} IS NOT NULL")).collect();
        statements.push(format!(
            "WITH gone AS (UPDATE {name} SET {} WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM {name} WHERE project_id = $1 AND ({}) LIMIT $2)) RETURNING 1)
            SELECT count(*) FROM gone",
            set.join(", "),
            any.join(" OR ")
        ));
    }
    let of_aggregates = layouts.iter().map(|layout| (layout.name.clone(), "project_id"));
    let others = OTHERS.iter().chain(DERIVED).map(|(table, column)| (format!("@{table}"), *column));
    statements.extend(of_aggregates.chain(others).map(|(name, column)| {
        format!(
            "WITH gone AS (DELETE FROM {name} WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM {name} WHERE {column} = $1 LIMIT $2)) RETURNING 1)
            SELECT count(*) FROM gone"
        )
    }));
    statements
}
