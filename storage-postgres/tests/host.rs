//! A transaction of the host that Ventros takes part in: both are there, or neither is.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;

use async_trait::async_trait;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Notify;
use tokio_postgres::{Client, NoTls};
use ventros::contacts::contact::commands::{CreateContact, UpdateContact};
use ventros::contacts::contact::queries::ListContacts;
use ventros::engine::{Crm, Project, Settings, Step};
use ventros::kernel::{ErrorCode, input};
use ventros::storage::{Batch, Commit, CommitError, Committed, Storage};
use ventros::system::{SystemClock, SystemIds};
use ventros::tenancy::project::commands::CreateProject;
use ventros_postgres::PostgresStorage;

/// A shop, its store, and a connection of the host with a table of orders.
fn with_shop<F: Future<Output = ()>>(work: impl FnOnce(Project, Arc<PostgresStorage>, Client) -> F) {
    let address = cluster::fresh();
    let (plain, schema) = address.rsplit_once("schema=").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let storage = Arc::new(PostgresStorage::open(&address).await.unwrap());
        let settings = Settings::new(storage.clone(), Arc::new(SystemClock), SystemIds::shared());
        let crm = Crm::open(settings).await.unwrap();
        let acme = input::parse_value::<CreateProject>(json!({"name": "Acme"})).unwrap();
        let shop = crm.project(crm.execute(acme).await.unwrap().id);
        let (client, driver) = tokio_postgres::connect(plain.trim_end_matches(['?', '&']), NoTls).await.unwrap();
        tokio::spawn(driver);
        let orders = format!("SET search_path = {schema}; CREATE TABLE orders (name TEXT)");
        client.batch_execute(&orders).await.unwrap();
        work(shop, storage, client).await;
        crm.close().await.unwrap();
    });
}

fn ana(name: &str) -> CreateContact {
    input::parse_value(json!({"name": name})).unwrap()
}

/// The names of the contacts, and of the host's orders.
async fn names(shop: &Project, client: &Client) -> (Vec<String>, Vec<String>) {
    let contacts = shop.query(ListContacts::default()).await.unwrap().items;
    let orders = client.query("SELECT name FROM orders ORDER BY name", &[]).await.unwrap();
    let mut contacts: Vec<String> = contacts.into_iter().map(|contact| json!(contact.name).to_string()).collect();
    contacts.sort();
    (contacts, orders.iter().map(|row| row.get(0)).collect())
}

#[test]
fn both_are_there_or_neither_is() {
    with_shop(|shop, storage, mut client| async move {
        for (name, is_kept) in [("kept", true), ("dropped", false)] {
            let transaction = client.transaction().await.unwrap();
            transaction.execute("INSERT INTO orders VALUES ($1)", &[&name]).await.unwrap();
            let created = shop.work_in(&storage.within(&transaction), ana(name)).await.unwrap();
            assert_eq!(created.version, 1);
            assert!(shop.query(ListContacts::default()).await.unwrap().items.len() < 2, "nobody sees it yet");
            let rows = transaction.query("SELECT 1 FROM contacts", &[]).await.unwrap();
            assert!(rows.is_empty(), "the host's own statements see no project unless they say so");
            if is_kept { transaction.commit().await.unwrap() } else { transaction.rollback().await.unwrap() }
        }
        assert_eq!(names(&shop, &client).await, (vec!["\"kept\"".into()], vec!["kept".into()]));
        let differences = shop.crm().differences(shop.id()).await.unwrap();
        assert!(differences.is_empty(), "{differences:?}");
    });
}

#[test]
fn a_refused_command_leaves_the_transaction_as_it_was() {
    with_shop(|shop, storage, mut client| async move {
        let known = input::parse_value::<CreateContact>(json!({"name": "Ana", "email": "ana@example.com"})).unwrap();
        shop.execute(known.clone()).await.unwrap();
        let transaction = client.transaction().await.unwrap();
        transaction.execute("INSERT INTO orders VALUES ('first')", &[]).await.unwrap();
        let place = storage.within(&transaction);
        assert_eq!(shop.work_in(&place, known).await.unwrap_err().code(), ErrorCode::IdentifierTaken);
        transaction.execute("INSERT INTO orders VALUES ('second')", &[]).await.unwrap();
        shop.work_in(&place, ana("Bia")).await.unwrap();
        let second = shop.work_in(&place, ana("Caio")).await.unwrap_err();
        assert_eq!((second.code(), second.field()), (ErrorCode::InputInvalid, Some("transaction")));
        transaction.commit().await.unwrap();
        let (contacts, orders) = names(&shop, &client).await;
        assert_eq!((contacts.len(), orders), (2, vec!["first".to_owned(), "second".to_owned()]));
    });
}

/// Lets somebody else write before the first commit.
struct Overtaken<'t> {
    place: &'t dyn Commit,
    shop: Project,
    update: UpdateContact,
    is_done: AtomicBool,
}

#[async_trait]
impl Commit for Overtaken<'_> {
    async fn commit(&self, batch: Batch) -> Result<Committed, CommitError> {
        if !self.is_done.swap(true, Ordering::SeqCst) {
            self.shop.execute(self.update.clone()).await.unwrap();
        }
        self.place.commit(batch).await
    }
}

#[test]
fn a_lost_race_is_decided_again() {
    with_shop(|shop, storage, mut client| async move {
        let id = shop.execute(ana("Ana")).await.unwrap().id;
        let update = |field: &str| input::parse_value::<UpdateContact>(json!({"id": id, field: "changed"})).unwrap();
        let transaction = client.transaction().await.unwrap();
        let place = storage.within(&transaction);
        let place = Overtaken { place: &place, shop: shop.clone(), update: update("company"), is_done: false.into() };
        shop.work_in(&place, update("name")).await.unwrap();
        transaction.commit().await.unwrap();
        let contact: Value = json!(shop.query(ListContacts::default()).await.unwrap().items[0]);
        assert_eq!((&contact["name"], &contact["company"]), (&json!("changed"), &json!("changed")));
        assert_eq!(contact["version"], 3);
    });
}

#[test]
fn several_commands_go_together_and_are_heard_of_when_the_host_commits() {
    with_shop(|shop, storage, mut client| async move {
        let rung = Arc::new(Notify::new());
        let ringing = rung.clone();
        let bell: Arc<dyn Fn() + Send + Sync> = Arc::new(move || ringing.notify_one());
        storage.watch(Arc::downgrade(&bell));
        let steps: Vec<Step> = ["Ana", "Bia"]
            .iter()
            .map(|name| {
                serde_json::from_value(json!({"operation": "contacts.create", "input": {"name": name}})).unwrap()
            })
            .collect();
        let transaction = client.transaction().await.unwrap();
        let place = storage.within(&transaction);
        let outputs = shop.crm().transact_in(&place, shop.context(), &steps).await.unwrap();
        assert_eq!(outputs.len(), 2);
        transaction.commit().await.unwrap();
        rung.notified().await;
        assert_eq!(names(&shop, &client).await.0, ["\"Ana\"", "\"Bia\""]);
    });
}
