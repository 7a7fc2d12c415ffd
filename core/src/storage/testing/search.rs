//! Full-text search.

use super::*;
use crate::kernel::Kind;
use crate::storage::{Scope, SearchHit};

const SCOPE: Scope = Scope::Project(PROJECT);

async fn open(place: &dyn Place) -> Arc<dyn Storage> {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store
}

async fn search(store: &dyn Storage, text: &str) -> Vec<SearchHit> {
    store.search(SCOPE, Kind::Contact, text, 10).await.unwrap()
}

#[track_caller]
fn ids(hits: &[SearchHit]) -> Vec<u128> {
    hits.iter().map(|hit| hit.snapshot.id.as_u128()).collect()
}

pub async fn words_are_found_without_accents(place: &dyn Place) {
    let store = open(place).await;
    fill(&*store, PROJECT, &[Sample::named("João da Silva"), Sample::named("Joana"), Sample::named("Zé")]).await;
    assert_eq!(ids(&search(&*store, "joao").await), [1]);
    assert_eq!(ids(&search(&*store, "JOÃO").await), [1]);
    assert_eq!(ids(&search(&*store, "joa").await).len(), 2);
    assert_eq!(ids(&search(&*store, "silva").await), [1]);
    assert!(search(&*store, "oao").await.is_empty());
    assert!(search(&*store, "j").await.is_empty());
    assert!(search(&*store, "  ").await.is_empty());
}

pub async fn every_word_is_needed(place: &dyn Place) {
    let store = open(place).await;
    let acme = |name: &str| Sample { company: Some("Acme Ltda".into()), ..Sample::named(name) };
    fill(&*store, PROJECT, &[acme("Ana"), acme("Bia"), Sample::named("Ana")]).await;
    assert_eq!(ids(&search(&*store, "ana acme").await), [1]);
    assert_eq!(ids(&search(&*store, "acm").await).len(), 2);
    assert!(search(&*store, "ana bia").await.is_empty());
    assert_eq!(store.search(SCOPE, Kind::Contact, "ana", 1).await.unwrap().len(), 1);
}

pub async fn the_best_field_is_told(place: &dyn Place) {
    let store = open(place).await;
    let company = Sample { company: Some("Santos".into()), ..Sample::named("Ana") };
    fill(&*store, PROJECT, &[company, Sample::named("Santos"), Sample::named("Santosa")]).await;
    let hits = search(&*store, "santos").await;
    assert_eq!(ids(&hits), [2, 3, 1]);
    let fields: Vec<&str> = hits.iter().map(|hit| hit.field.as_str()).collect();
    assert_eq!(fields, ["name", "name", "company"]);
    assert!(hits[0].score > hits[1].score && hits[1].score > hits[2].score);
}

pub async fn digits_of_a_phone_number_are_found(place: &dyn Place) {
    let store = open(place).await;
    fill(&*store, PROJECT, &[Sample { phone: Some("+55 11 98765-4321".into()), ..Sample::default() }]).await;
    for text in ["+5511987654321", "11 98765-4321", "98765", "(11) 9876", "4321", "551198"] {
        assert_eq!(ids(&search(&*store, text).await), [1], "{text}");
    }
    assert!(search(&*store, "98764").await.is_empty());
}

pub async fn nothing_of_a_query_is_an_operator(place: &dyn Place) {
    let store = open(place).await;
    fill(&*store, PROJECT, &[Sample::named("a OR b"), Sample::named("NEAR x*")]).await;
    for text in
        ["\"", "a\" OR \"b", "name:x", "(ana", "-ana", "* *", "^x", "ana'", "_1", "AND AND", "NOT x", "नमस्ते", "½½"]
    {
        store.search(SCOPE, Kind::Contact, text, 10).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    assert_eq!(ids(&search(&*store, "b OR a").await), [1]);
}

pub async fn search_follows_updates(place: &dyn Place) {
    let store = open(place).await;
    let (before, after) = (Sample::named("Antes"), Sample::named("Depois"));
    fill(&*store, PROJECT, std::slice::from_ref(&before)).await;
    committed(store.commit(snapshots([after.update(&before, PROJECT, 1, 2)])).await);
    assert!(search(&*store, "antes").await.is_empty());
    assert_eq!(ids(&search(&*store, "depois").await), [1]);
}
