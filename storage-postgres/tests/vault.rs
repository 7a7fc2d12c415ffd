//! No secret is in the database: every row of every table is searched.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;
#[path = "../../storage-sqlite/tests/marked/mod.rs"]
mod marked;

use marked::{MARK, PLAIN, Shown, keep_secrets};
use std::sync::Arc;
use tokio_postgres::NoTls;
use ventros::testing::{World, block_on};
use ventros_postgres::PostgresStorage;

/// All rows of all tables of a schema, as text.
async fn dump(address: &str) -> Vec<String> {
    let (plain, schema) = address.rsplit_once("schema=").unwrap();
    let (client, driver) = tokio_postgres::connect(plain.trim_end_matches(['?', '&']), NoTls).await.unwrap();
    tokio::spawn(driver);
    client.batch_execute(&format!("SET search_path TO {schema}; SET ventros.system = 'on'")).await.unwrap();
    let select =
        "SELECT relname::text FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind IN ('r', 'p')";
    let mut rows = Vec::new();
    for table in client.query(select, &[&schema]).await.unwrap() {
        let table: String = table.get(0);
        let found = client.query(&format!("SELECT t::text FROM \"{table}\" t"), &[]).await.unwrap();
        rows.extend(found.iter().map(|row| format!("{table}: {}", row.get::<_, String>(0))));
    }
    rows
}

#[test]
fn no_secret_is_in_the_database_nor_shown() {
    let address = cluster::fresh();
    let world = World::with_keys(Arc::new(block_on(PostgresStorage::open(&address)).unwrap()), [7; 32]).unwrap();
    let Shown(shown) = keep_secrets(&world);
    world.assert_log_matches();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let rows = runtime.block_on(dump(&address));
    assert!(rows.iter().any(|row| row.contains(PLAIN)), "the search finds what is there");
    for table in ["secrets", "events", "credentials", "channels", "users", "jobs", "idempotency_keys"] {
        assert!(rows.iter().any(|row| row.starts_with(table)), "{table} was searched");
    }
    for text in rows.iter().chain(&shown) {
        assert!(!text.contains(MARK) && !text.contains("$argon2id$"), "{text}");
    }
}
