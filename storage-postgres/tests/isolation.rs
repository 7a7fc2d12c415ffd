//! Nobody reaches into another project, on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "../../storage-sqlite/tests/furnished/mod.rs"]
mod furnished;
#[path = "../../storage-sqlite/tests/neighbours/mod.rs"]
mod neighbours;
#[allow(dead_code, reason = "another test uses the rest")]
#[path = "../../storage-sqlite/tests/bad_input/schema.rs"]
mod schema;

use furnished::{OURS, THEIRS, define, furnish};
use serde_json::Value;
use std::sync::Arc;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;
use ventros::catalogue::AGGREGATES;
use ventros::engine::Context;
use ventros::kernel::{ActorRef, Component, Kind, ProjectId};
use ventros::storage::{CopyStep, Section};
use ventros::testing::{World, block_on};
use ventros_postgres::PostgresStorage;

#[test]
fn nobody_reaches_next_door() {
    neighbours::nobody_reaches_next_door(Arc::new(block_on(PostgresStorage::open(&cluster::fresh())).unwrap()));
}

/// Case 3 of the security page, for every reference of every aggregate, by the owner of the tables and above row security's
/// condition: a row cannot point into another project, whoever writes it.
#[test]
fn a_row_cannot_point_into_another_project() {
    let address = cluster::fresh();
    let world = World::with_keys(Arc::new(block_on(PostgresStorage::open(&address)).unwrap()), [7; 32]).unwrap();
    define(&world.crm);
    let call = |at: Option<ProjectId>, operation: &str, input: Value| {
        let context = Context::new(at, ActorRef::system(Component::Host));
        let answer = block_on(world.crm.call(operation, context, input.to_string().as_bytes()));
        serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))).unwrap()
    };
    for (project, number) in [(THEIRS, 1), (OURS, 2)] {
        drop(world.found(project));
        furnish(&call, project, number);
    }
    let (plain, schema) = address.rsplit_once("schema=").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, driver) = tokio_postgres::connect(plain.trim_end_matches(['?', '&']), NoTls).await.unwrap();
        tokio::spawn(driver);
        client.batch_execute(&format!("SET search_path TO {schema}; SET ventros.system = 'on'")).await.unwrap();
        let mut tried = 0;
        for aggregate in AGGREGATES {
            for column in (aggregate.table)().columns {
                let Some(kind) = column.references else { continue };
                let (child, parent) = (aggregate.kind.plural(), kind.plural());
                let moved = |project: ProjectId| {
                    format!(
                        "BEGIN; UPDATE {child} SET {} = (SELECT id FROM {parent} WHERE project_id = '{project}' LIMIT 1)
                         WHERE project_id = '{OURS}'; COMMIT",
                        column.field
                    )
                };
                client.batch_execute(&moved(OURS)).await.unwrap();
                let refused = client.batch_execute(&moved(THEIRS)).await.unwrap_err();
                assert_eq!(refused.code(), Some(&SqlState::FOREIGN_KEY_VIOLATION), "{child}.{}", column.field);
                tried += 1;
            }
        }
        assert!(tried >= 6, "{tried} references were tried");
        // A dead letter is of a consumer of its own project.
        let letter = format!(
            "INSERT INTO dead_letters SELECT '{OURS}', 'theirs', 1, '{OURS}', 1, '', now() FROM log_heads LIMIT 1"
        );
        let refused = client.batch_execute(&letter).await.unwrap_err();
        assert_eq!(refused.code(), Some(&SqlState::FOREIGN_KEY_VIOLATION));
        let select = "SELECT count(*) FROM pg_constraint WHERE connamespace = $1::text::regnamespace AND conname LIKE '%_refers'";
        let references = async || client.query_one(select, &[&schema]).await.unwrap().get::<_, i64>(0);
        assert_eq!(references().await, tried);
        // A copy that begins anew empties what others refer to; the next opening puts everything back.
        let storage = world.crm.core().storage();
        let emptied = vec![Section::Snapshots(Kind::Contact)];
        let step = CopyStep { known: None, emptied, rows: Vec::new(), note: Some("{}".to_owned()) };
        storage.copy_step(step).await.unwrap();
        assert_eq!(references().await, 0);
        let tables: Vec<_> = AGGREGATES.iter().map(|aggregate| (aggregate.table)()).collect();
        storage.prepare(&tables).await.unwrap();
        assert_eq!(references().await, tried);
    });
}
