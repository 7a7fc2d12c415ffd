//! Nothing of an erased person is in the database: every row of every table is searched.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;
#[path = "../../storage-sqlite/tests/forgotten/mod.rs"]
mod forgotten;

use forgotten::{House, OTHER, PERSONAL, PROJECT, assert_statistics_stay, live, work_there};
use serde_json::json;
use std::sync::Arc;
use tokio_postgres::NoTls;
use ventros::testing::{World, block_on};
use ventros_postgres::PostgresStorage;

/// All rows of all tables of a schema, as text.
fn dump(address: &str) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
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
    })
}

fn world(address: &str) -> World {
    let world = World::with_keys(Arc::new(block_on(PostgresStorage::open(address)).unwrap()), [7; 32]).unwrap();
    drop(world.found(PROJECT));
    world
}

#[track_caller]
fn assert_gone(rows: &[String], texts: &[&str]) {
    let left: Vec<&String> = rows.iter().filter(|row| texts.iter().any(|text| row.contains(text))).collect();
    assert!(left.is_empty(), "{left:#?}");
    assert!(rows.iter().any(|row| row.contains(OTHER)), "whoever else is there stays");
}

#[test]
fn nothing_of_an_erased_contact_is_in_any_row() {
    let address = cluster::fresh();
    let world = world(&address);
    let house = House { world: &world };
    let id = live(&house);
    let before = dump(&address);
    for table in
        ["events", "contacts", "messages", "search_words", "attributes", "unique_keys", "jobs", "idempotency_keys"]
    {
        let is_there = |row: &String| row.starts_with(table) && PERSONAL.iter().any(|text| row.contains(text));
        assert!(before.iter().any(is_there), "{table} knows the person");
    }
    let counts = house.counts();
    house.ok("contacts.erase", json!({"id": id, "confirm": id, "legal_basis": "lgpd_art18"}));
    house.run(0);
    house.run(700);
    assert_gone(&dump(&address), &PERSONAL);
    assert_statistics_stay(&counts, &house.counts());
    world.assert_log_matches();
}

#[test]
fn nothing_of_an_erased_user_is_in_any_row() {
    let address = cluster::fresh();
    let world = world(&address);
    let house = House { world: &world };
    let id = work_there(&house);
    house.system("users.delete", json!({"id": id, "reason": "admin"}));
    house.system("users.erase", json!({"id": id}));
    house.run(0);
    house.run(700);
    assert_gone(&dump(&address), &["Quixotina", "quixotina", "Zanzibarro", "5511987650001", "quix@zanzi.example"]);
    world.assert_log_matches();
}
