//! A project that is purged leaves nothing behind, and its neighbours lose nothing.

use super::copying::{SECTIONS, dump, live};
use super::*;
use crate::kernel::{Kind, ProjectId};
use crate::storage::{Batch, EventQuery, Filter, KeyRef, Scope, Section};

async fn purge(store: &dyn Storage, project: ProjectId, limit: usize) -> u64 {
    let mut removed = 0;
    loop {
        let now = store.purge_project(project, limit).await.unwrap();
        if now == 0 {
            return removed;
        }
        removed += now;
    }
}

/// The rows of the sections that name their project, those of one project aside.
async fn rows_beside(store: &dyn Storage, project: ProjectId) -> Vec<String> {
    let gone = project.uuid().to_string();
    let mut rows = Vec::new();
    for section in SECTIONS.into_iter().filter(|section| *section != Section::IdempotencyKeys) {
        rows.extend(dump(store, section).await.into_iter().filter(|row| !row.contains(&gone)));
    }
    rows
}

pub async fn a_purged_project_leaves_nothing_behind(place: &dyn Place) {
    let store = place.open().await;
    live(&*store).await;
    let counts = store.count_project(PROJECT).await.unwrap();
    assert_eq!((counts["contacts"], counts["events"], counts["consumers"]), (7, 14, 4), "{counts:?}");
    assert_eq!((counts["jobs"], counts["secrets"], counts["dead_letters"]), (9, 4, 5), "{counts:?}");
    let expected = rows_beside(&*store, PROJECT).await;
    assert!(purge(&*store, PROJECT, 3).await >= counts.values().sum());

    assert_eq!(rows_beside(&*store, PROJECT).await, expected);
    for section in SECTIONS.into_iter().filter(|section| *section != Section::IdempotencyKeys) {
        let of_it = dump(&*store, section).await.into_iter().filter(|row| row.contains(&PROJECT.uuid().to_string()));
        assert_eq!(of_it.count(), 0, "{section:?}");
    }
    assert!(store.count_project(PROJECT).await.unwrap().is_empty());
    let (scope, other) = (Scope::Project(PROJECT), Scope::Project(OTHER_PROJECT));
    assert_eq!(store.head(PROJECT).await.unwrap(), 0);
    assert!(store.heads().await.unwrap().iter().all(|(project, _)| *project != PROJECT));
    assert!(store.events(scope, &EventQuery { limit: 10, ..EventQuery::default() }).await.unwrap().is_empty());
    assert!(store.search(scope, Kind::Contact, "jose", 10).await.unwrap().is_empty());
    assert!(!store.search(other, Kind::Contact, "jose", 10).await.unwrap().is_empty());
    assert_eq!(store.count(scope, Kind::Contact, &Filter::everything(), true).await.unwrap(), 0);
    assert_eq!(store.count(other, Kind::Contact, &Filter::everything(), true).await.unwrap(), 7);
    let (key, global) = (KeyRef { scope: "", key: "k1" }, KeyRef { scope: "", key: "g1" });
    assert!(store.find_keys(scope, "contact.phone", &[key]).await.unwrap().is_empty());
    assert!(store.find_keys(Scope::Installation, "contact.email", &[global]).await.unwrap().is_empty());
}

pub async fn a_purged_project_begins_anew(place: &dyn Place) {
    let store = place.open().await;
    live(&*store).await;
    let newest = EventQuery { backward: true, limit: 1, ..EventQuery::default() };
    let last = store.events(Scope::Installation, &newest).await.unwrap()[0].position;
    purge(&*store, OTHER_PROJECT, 1_000).await;
    purge(&*store, PROJECT, 1_000).await;
    let first = Batch { events: vec![event(PROJECT, 1, 1, 10, "contact.created")], ..snapshots([]) };
    let told = committed(store.commit(first).await);
    assert_eq!(told.heads, [(PROJECT, 1)], "its own numbers begin anew");
    let found =
        store.events(Scope::Project(PROJECT), &EventQuery { limit: 10, ..EventQuery::default() }).await.unwrap();
    assert_eq!((found.len(), found[0].seq), (1, 1));
    assert!(found[0].position > last, "those of the installation are not given again");
    let sample = Sample::named("new").with_key("", "k1");
    committed(store.commit(snapshots([sample.insert(PROJECT, 1)])).await);
}
