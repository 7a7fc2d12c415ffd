//! A filter means the same in the store as in memory.

use super::*;
use crate::kernel::{Kind, Timestamp};
use crate::storage::{Document, FieldKind, Filter, FilterExpression, Find, Leaf, Operator, Scope, Sort, Test, matches};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;
use uuid::Uuid;

async fn open(place: &dyn Place) -> Arc<dyn Storage> {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store
}

/// Everything that satisfies a filter, page by page.
async fn found(store: &dyn Storage, scope: Scope, filter: &Filter) -> BTreeSet<Uuid> {
    let sort = vec![Sort { field: "id".to_owned(), kind: FieldKind::Id, descending: false }];
    let find = Find {
        filter: filter.clone(),
        sort,
        after: None,
        backward: false,
        limit: 1000,
        include_hidden: false,
        with_total: true,
    };
    let page = store.find(scope, Kind::Contact, &find).await.unwrap();
    let ids: BTreeSet<Uuid> = page.rows.iter().map(|row| row.snapshot.id).collect();
    assert_eq!(page.total, Some(ids.len() as u64));
    assert_eq!(store.count(scope, Kind::Contact, filter, false).await.unwrap(), ids.len() as u64);
    ids
}

fn expected(samples: &[Sample], filter: &Filter) -> BTreeSet<Uuid> {
    let is_found = |(place, sample): (usize, &Sample)| {
        let number = place as u128 + 1;
        let write = sample.insert(PROJECT, number);
        let document = Document {
            id: write.id,
            version: write.version,
            created_at: write.created_at,
            updated_at: write.updated_at,
            index: &write.index,
        };
        (!sample.hidden && matches(filter, &document)).then_some(write.id)
    };
    samples.iter().enumerate().filter_map(is_found).collect()
}

fn check(expression: &Json) -> Filter {
    let expression: FilterExpression = serde_json::from_value(expression.clone()).unwrap();
    expression.check(&fields(), at(0)).unwrap_or_else(|error| panic!("{expression:?}: {error}"))
}

const TEXTS: &[&str] = &[
    "Ana",
    "ana maria",
    "João",
    "joao",
    "50 % off",
    "a_b",
    "100\\",
    "Ünïcode",
    "zé",
    "z",
    "'; DROP TABLE contacts",
    "😀",
    "\u{10FFFF}x",
];

fn some<T: Clone + std::fmt::Debug + 'static>(of: impl Strategy<Value = T> + 'static) -> BoxedStrategy<Option<T>> {
    prop_oneof![1 => Just(None), 3 => of.prop_map(Some)].boxed()
}

fn text() -> BoxedStrategy<String> {
    prop::sample::select(TEXTS).prop_map(str::to_owned).boxed()
}

fn number() -> BoxedStrategy<f64> {
    prop::sample::select(&[-1.5, 0.0, 1.0, 2.0, 50.0, 1e12][..]).boxed()
}

fn instant() -> BoxedStrategy<Timestamp> {
    (-3i64..4).prop_map(|day| at(day * 86_400)).boxed()
}

fn date() -> BoxedStrategy<String> {
    prop::sample::select(&["1990-05-17", "2000-01-01", "2000-01-02"][..]).prop_map(str::to_owned).boxed()
}

fn word() -> BoxedStrategy<String> {
    prop::sample::select(&["active", "Active", "paused"][..]).prop_map(str::to_owned).boxed()
}

fn owner() -> BoxedStrategy<Uuid> {
    (1u128..4).prop_map(Uuid::from_u128).boxed()
}

pub(super) fn sample() -> BoxedStrategy<Sample> {
    let first =
        (some(text()), some(text()), some(number()), some(instant()), some(date()), some(word()), some(owner()));
    let second =
        (some(any::<bool>()), some(text()), prop::collection::vec(text(), 0..3), prop::collection::vec(text(), 0..3));
    let third = (some(text()), some(number()), some(instant()), prop::bool::weighted(0.1));
    (first, second, third)
        .prop_map(|(first, second, third)| {
            let (name, company, score, seen_at, birthday, status, owner_id) = first;
            let (blocked, settings, cities, tags) = second;
            let (plan, size, renewal_at, hidden) = third;
            Sample {
                name,
                company,
                score,
                seen_at,
                birthday,
                status,
                owner_id,
                blocked,
                settings,
                cities,
                tags,
                plan,
                size,
                renewal_at,
                hidden,
                ..Sample::default()
            }
        })
        .boxed()
}

const FIELDS: &[(&str, FieldKind)] = &[
    ("name", FieldKind::Text),
    ("company", FieldKind::Text),
    ("score", FieldKind::Number),
    ("seen.at", FieldKind::Instant),
    ("birthday", FieldKind::Date),
    ("status", FieldKind::Enum),
    ("owner_id", FieldKind::Id),
    ("blocked", FieldKind::Bool),
    ("settings", FieldKind::Json),
    ("address.city", FieldKind::Text),
    ("tags", FieldKind::Set),
    ("custom.plan", FieldKind::Text),
    ("custom.size", FieldKind::Number),
    ("custom.renewal_at", FieldKind::Instant),
    ("custom.unheard_of", FieldKind::Text),
    ("id", FieldKind::Id),
    ("version", FieldKind::Number),
    ("created_at", FieldKind::Instant),
];

fn value(kind: FieldKind) -> BoxedStrategy<Json> {
    let piece = (text(), 0usize..3).prop_map(|(text, cut)| {
        let piece: String = text.chars().skip(cut).take(4).collect();
        if crate::kernel::fold(&piece).is_empty() { text } else { piece }
    });
    match kind {
        FieldKind::Text | FieldKind::Set => prop_oneof![text(), piece].prop_map(Json::from).boxed(),
        FieldKind::Number => number().prop_map(Json::from).boxed(),
        FieldKind::Instant => prop_oneof![
            instant().prop_map(|at| json!(at)),
            Just(json!("2025-01-01")),
            (-2i64..3).prop_map(|days| json!({"relative": format!("{days}d")})),
        ]
        .boxed(),
        FieldKind::Date => date().prop_map(Json::from).boxed(),
        FieldKind::Enum => word().prop_map(Json::from).boxed(),
        FieldKind::Id => owner().prop_map(|id| json!(id)).boxed(),
        FieldKind::Bool => any::<bool>().prop_map(Json::from).boxed(),
        FieldKind::Json => Just(Json::Null).boxed(),
    }
}

fn leaf() -> BoxedStrategy<Json> {
    prop::sample::select(FIELDS)
        .prop_flat_map(|(field, kind)| {
            (prop::sample::select(Operator::of(kind)), prop::collection::vec(value(kind), 1..4)).prop_map(
                move |(op, values)| match op {
                    Operator::IsNull | Operator::IsNotNull => json!({"field": field, "op": op}),
                    Operator::In | Operator::NotIn => json!({"field": field, "op": op, "value": values}),
                    _ => json!({"field": field, "op": op, "value": values[0]}),
                },
            )
        })
        .boxed()
}

fn expression() -> BoxedStrategy<Json> {
    leaf()
        .prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|all| json!({"all": all})),
                prop::collection::vec(inner.clone(), 0..4).prop_map(|any| json!({"any": any})),
                inner.prop_map(|not| json!({"not": not})),
            ]
        })
        .boxed()
}

/// Every operator of every field, on all the values that there are.
pub async fn every_operator_agrees_with_the_evaluator(place: &dyn Place) {
    let store = open(place).await;
    let mut samples: Vec<Sample> = TEXTS
        .iter()
        .enumerate()
        .map(|(place, text)| Sample {
            company: (place % 2 == 0).then(|| (*text).to_owned()),
            score: (place % 3 != 0).then_some(place as f64),
            seen_at: (place % 4 != 0).then(|| at(place as i64 * 40_000)),
            birthday: (place % 3 == 0).then(|| "2000-01-01".to_owned()),
            status: Some(if place % 2 == 0 { "active" } else { "paused" }.to_owned()),
            owner_id: (place % 3 == 1).then(|| id(place as u128 % 3 + 1)),
            blocked: (place % 3 == 2).then_some(place % 2 == 0),
            settings: (place % 5 == 0).then(|| "{}".to_owned()),
            cities: TEXTS[..place % 3].iter().map(|text| (*text).to_owned()).collect(),
            tags: TEXTS[place % 4..place % 4 + place % 3].iter().map(|text| (*text).to_owned()).collect(),
            plan: (place % 2 == 1).then(|| (*text).to_owned()),
            size: (place % 2 == 1).then_some(50.0),
            ..Sample::named(text)
        })
        .collect();
    samples.push(Sample::default());
    samples.push(Sample { hidden: true, ..Sample::named("Ana") });
    fill(&*store, PROJECT, &samples).await;
    let mut runner = TestRunner::new(Config::default());
    for (field, kind) in FIELDS {
        for op in Operator::of(*kind) {
            for _ in 0..6 {
                let values = prop::collection::vec(value(*kind), 2..3);
                let values = values.new_tree(&mut runner).unwrap();
                let values = proptest::strategy::ValueTree::current(&values);
                let expression = match op {
                    Operator::IsNull | Operator::IsNotNull => json!({"field": field, "op": op}),
                    Operator::In | Operator::NotIn => json!({"field": field, "op": op, "value": values}),
                    _ => json!({"field": field, "op": op, "value": values[0]}),
                };
                for expression in [expression.clone(), json!({"not": expression})] {
                    let filter = check(&expression);
                    let scope = Scope::Project(PROJECT);
                    assert_eq!(found(&*store, scope, &filter).await, expected(&samples, &filter), "{expression}");
                }
            }
        }
    }
}

pub async fn random_filters_agree_with_the_evaluator(place: &dyn Place) {
    let store = open(place).await;
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let strategy = (prop::collection::vec(sample(), 0..25), prop::collection::vec(expression(), 12));
    let projects = std::cell::Cell::new(100u128);
    let outcome = runner.run(&strategy, |(samples, expressions)| {
        projects.set(projects.get() + 1);
        let project = crate::kernel::ProjectId::from_uuid(id(projects.get()));
        block_on(fill(&*store, project, &samples));
        for expression in expressions {
            let filter = check(&expression);
            let found = block_on(found(&*store, Scope::Project(project), &filter));
            prop_assert_eq!(found, expected(&samples, &filter), "{}", expression);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

pub async fn rows_are_found_by_what_they_refer_to(place: &dyn Place) {
    let store = open(place).await;
    let owned = |by: u128| Sample { owner_id: Some(id(by)), ..Sample::named("x") };
    let status = |status: &str| Sample { status: Some(status.into()), ..Sample::named("x") };
    let hidden = Sample { hidden: true, ..status("active") };
    let foreign = [status("active"), owned(1)];
    fill(&*store, PROJECT, &[status("active"), status("inactive"), hidden, owned(1), owned(2), owned(3), owned(99)])
        .await;
    fill(&*store, OTHER_PROJECT, &foreign).await;
    let active = Filter::eq("status", FieldKind::Enum, "active");
    let of_active = Filter::among("owner_id", Kind::Contact, active);
    let all = |filter: Filter| Find {
        filter,
        sort: Vec::new(),
        after: None,
        backward: false,
        limit: 50,
        include_hidden: true,
        with_total: true,
    };
    let ids = |found: crate::storage::Found| -> Vec<u128> {
        assert_eq!(found.total, Some(found.rows.len() as u64));
        found.rows.iter().map(|row| row.snapshot.id.as_u128()).collect()
    };
    let found = store.find(Scope::Project(PROJECT), Kind::Contact, &all(of_active.clone())).await.unwrap();
    assert_eq!(ids(found), [4], "hidden ones and those of other projects refer to nothing");
    let found = store.find(Scope::Project(PROJECT), Kind::Contact, &all(of_active.clone().negate())).await.unwrap();
    assert_eq!(ids(found), [1, 2, 3, 5, 6, 7]);
    let twice =
        Filter::among("owner_id", Kind::Contact, Filter::among("owner_id", Kind::Contact, Filter::everything()));
    assert_eq!(store.count(Scope::Project(PROJECT), Kind::Contact, &twice, true).await.unwrap(), 0);
    let either = Filter::Any(vec![of_active, Filter::eq("status", FieldKind::Enum, "inactive")]);
    assert_eq!(store.count(Scope::Project(PROJECT), Kind::Contact, &either, false).await.unwrap(), 2);
}

pub async fn hidden_ones_are_found_only_when_asked_for(place: &dyn Place) {
    let store = open(place).await;
    let scope = Scope::Project(PROJECT);
    let (shown, hidden) = (Sample::named("Ana"), Sample { hidden: true, ..Sample::named("Ana") });
    fill(&*store, PROJECT, &[shown.clone(), hidden.clone()]).await;
    let filter = Filter::eq("name", FieldKind::Text, "ANA");
    assert_eq!(store.count(scope, Kind::Contact, &filter, false).await.unwrap(), 1);
    assert_eq!(store.count(scope, Kind::Contact, &filter, true).await.unwrap(), 2);
    let swap = [hidden.update(&shown, PROJECT, 1, 2), shown.update(&hidden, PROJECT, 2, 2)];
    committed(store.commit(snapshots(swap)).await);
    assert_eq!(found(&*store, scope, &filter).await, BTreeSet::from([id(2)]));
    let hits = store.search(scope, Kind::Contact, "ana", 10).await.unwrap();
    assert_eq!(hits.iter().map(|hit| hit.snapshot.id).collect::<Vec<_>>(), [id(2)]);
}

pub async fn nothing_is_in_an_empty_list(place: &dyn Place) {
    let store = open(place).await;
    fill(&*store, PROJECT, &[Sample::named("Ana")]).await;
    for (field, kind) in [("id", FieldKind::Id), ("name", FieldKind::Text), ("score", FieldKind::Number)] {
        let test = Test::In(Vec::new());
        let filter = Filter::Leaf(Leaf { field: field.to_owned(), kind, is_attribute: false, test });
        let count = async |filter| store.count(Scope::Project(PROJECT), Kind::Contact, &filter, true).await.unwrap();
        assert_eq!((count(filter.clone()).await, count(filter.negate()).await), (0, 1), "{field}");
    }
}

pub async fn a_filter_cannot_leave_its_project(place: &dyn Place) {
    let store = open(place).await;
    let sample = Sample { tags: vec!["vip".into()], ..Sample::named("Ana") };
    fill(&*store, OTHER_PROJECT, &[sample]).await;
    for expression in [
        json!({"any": [{"field": "name", "op": "eq", "value": "ana"}, {"all": []}]}),
        json!({"not": {"any": []}}),
        json!({"field": "tags", "op": "contains", "value": "vip"}),
    ] {
        let filter = check(&expression);
        assert!(found(&*store, Scope::Project(PROJECT), &filter).await.is_empty(), "{expression}");
        assert_eq!(found(&*store, Scope::Installation, &filter).await.len(), 1, "{expression}");
    }
}
