//! Pages: every row once, whatever the order, whatever is written meanwhile.

use super::filters::sample;
use super::*;
use crate::kernel::Kind;
use crate::storage::{Document, Filter, Find, Found, PageRequest, Scope, Sort, Value, sort_order};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;
use uuid::Uuid;

const SCOPE: Scope = Scope::Project(PROJECT);

async fn open(place: &dyn Place) -> Arc<dyn Storage> {
    let store = place.open().await;
    store.prepare(&[TABLE]).await.unwrap();
    store
}

fn request(sort: &[&str], limit: i64, cursor: Option<String>) -> PageRequest {
    serde_json::from_value(json!({"sort": sort, "limit": limit, "cursor": cursor})).unwrap()
}

async fn page(store: &dyn Storage, request: &PageRequest) -> crate::storage::Page<Uuid> {
    let find = request.find(&fields(), at(0)).unwrap();
    let found = store.find(SCOPE, Kind::Contact, &find).await.unwrap();
    request.page(&find, found, |snapshot| Ok(snapshot.id)).unwrap()
}

/// All ids, page by page, with the cursor of the last page's start.
async fn walk(store: &dyn Storage, sort: &[&str], limit: i64) -> (Vec<Uuid>, Option<String>) {
    let (mut ids, mut cursor, mut back) = (Vec::new(), None, None);
    loop {
        let page = page(store, &request(sort, limit, cursor)).await;
        assert_eq!(page.has_more, page.next_cursor.is_some());
        ids.extend(page.items);
        back = page.prev_cursor.or(back);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return (ids, back);
        }
    }
}

async fn some_rows(store: &dyn Storage) -> Vec<Sample> {
    let name = |number: usize| (!number.is_multiple_of(4)).then(|| format!("n{}", number % 3));
    let samples: Vec<Sample> = (0..23)
        .map(|number| Sample {
            name: name(number),
            score: (number % 5 != 0).then_some((number % 2) as f64),
            ..Sample::default()
        })
        .collect();
    fill(store, PROJECT, &samples).await;
    samples
}

const ORDERS: &[&[&str]] = &[
    &[],
    &["id"],
    &["-created_at"],
    &["name"],
    &["-name"],
    &["name", "-score"],
    &["-score", "name", "-created_at"],
    &["created_at", "name"],
];

pub async fn pages_neither_repeat_nor_skip(place: &dyn Place) {
    let store = open(place).await;
    some_rows(&*store).await;
    for sort in ORDERS {
        let whole = page(&*store, &request(sort, 100, None)).await;
        assert_eq!(whole.items.len(), 23);
        assert!(whole.next_cursor.is_none() && whole.prev_cursor.is_none());
        for limit in [1, 2, 5, 22, 23] {
            assert_eq!(walk(&*store, sort, limit).await.0, whole.items, "{sort:?} by {limit}");
        }
    }
}

pub async fn pages_lead_back(place: &dyn Place) {
    let store = open(place).await;
    some_rows(&*store).await;
    for sort in ORDERS {
        for limit in [1, 4, 5, 11] {
            let (ids, mut cursor) = walk(&*store, sort, limit).await;
            let last = (ids.len() - 1) / limit as usize * limit as usize;
            let mut seen: Vec<Uuid> = ids[last..].to_vec();
            while let Some(back) = cursor {
                let page = page(&*store, &request(sort, limit, Some(back))).await;
                assert!(page.has_more, "the page it came from follows");
                seen.splice(0..0, page.items);
                cursor = page.prev_cursor;
            }
            assert_eq!(seen, ids, "{sort:?} by {limit}");
        }
    }
}

pub async fn rows_written_between_pages_do_no_harm(place: &dyn Place) {
    let store = open(place).await;
    let samples: Vec<Sample> = (1..=9).map(|number| Sample::named(&format!("n{number}"))).collect();
    fill(&*store, PROJECT, &samples).await;
    let first = page(&*store, &request(&["name"], 3, None)).await;
    assert_eq!(first.items, [id(1), id(2), id(3)]);
    // One before the edge, one behind it, and the edge itself moves to the end.
    let writes = [
        Sample::named("n0").insert(PROJECT, 20),
        Sample::named("n35").insert(PROJECT, 21),
        Sample::named("z").update(&samples[2], PROJECT, 3, 2),
    ];
    committed(store.commit(snapshots(writes)).await);
    let second = page(&*store, &request(&["name"], 3, first.next_cursor)).await;
    assert_eq!(second.items, [id(21), id(4), id(5)]);
}

pub async fn missing_values_come_last(place: &dyn Place) {
    let store = open(place).await;
    fill(&*store, PROJECT, &[Sample::default(), Sample::named("b"), Sample::named(" "), Sample::named("A")]).await;
    assert_eq!(page(&*store, &request(&["name"], 10, None)).await.items, [id(4), id(2), id(1), id(3)]);
    assert_eq!(page(&*store, &request(&["-name"], 10, None)).await.items, [id(2), id(4), id(3), id(1)]);
}

pub async fn ties_are_broken_by_id(place: &dyn Place) {
    let store = open(place).await;
    fill(&*store, PROJECT, &[Sample::named("x"), Sample::named("X"), Sample::named("x")]).await;
    assert_eq!(page(&*store, &request(&["name"], 10, None)).await.items, [id(1), id(2), id(3)]);
    assert_eq!(page(&*store, &request(&["-name"], 10, None)).await.items, [id(3), id(2), id(1)]);
}

pub async fn totals_count_all(place: &dyn Place) {
    let store = open(place).await;
    some_rows(&*store).await;
    let first = request(&["name"], 2, None);
    let with_total = PageRequest { with_total: true, ..first.clone() };
    assert_eq!(page(&*store, &first).await.total, None);
    let first = page(&*store, &with_total).await;
    assert_eq!(first.total, Some(23));
    let second = PageRequest { cursor: first.next_cursor, ..with_total };
    assert_eq!(page(&*store, &second).await.total, Some(23));
}

const SORTABLE: &[&str] =
    &["name", "company", "score", "seen.at", "birthday", "status", "owner_id", "blocked", "created_at", "id"];

/// Any three keys, any edge, both directions: what the store gives is what sorting in memory gives.
pub async fn random_orders_agree_with_the_evaluator(place: &dyn Place) {
    let store = open(place).await;
    let key = (prop::sample::select(SORTABLE), any::<bool>());
    let find = (prop::collection::vec(key, 1..4), 0usize..20, any::<bool>(), 1usize..8);
    let strategy = (prop::collection::vec(sample(), 1..20), prop::collection::vec(find, 10));
    let mut runner = TestRunner::new(Config { cases: 24, failure_persistence: None, ..Config::default() });
    let projects = std::cell::Cell::new(100u128);
    let outcome = runner.run(&strategy, |(samples, finds)| {
        projects.set(projects.get() + 1);
        let project = crate::kernel::ProjectId::from_uuid(id(projects.get()));
        block_on(fill(&*store, project, &samples));
        for (keys, edge, backward, limit) in finds {
            let sort: Vec<Sort> = keys
                .iter()
                .map(|(field, descending)| Sort {
                    field: (*field).to_owned(),
                    kind: fields().sortable(field).unwrap().kind,
                    descending: *descending,
                })
                .collect();
            let rows = sorted(&samples, &sort);
            let after = rows.get(edge).cloned();
            let find = Find {
                filter: Filter::everything(),
                sort,
                after: after.clone(),
                backward,
                limit,
                include_hidden: false,
                with_total: false,
            };
            let found = block_on(store.find(Scope::Project(project), Kind::Contact, &find)).unwrap();
            let start = if after.is_some() { edge } else { 0 };
            let behind: Vec<_> = match (backward, after.is_some()) {
                (false, true) => rows[start + 1..].to_vec(),
                (true, true) => rows[..start].to_vec(),
                (_, false) => rows.clone(),
            };
            let wanted = if backward {
                behind[behind.len().saturating_sub(limit)..].to_vec()
            } else {
                behind[..limit.min(behind.len())].to_vec()
            };
            prop_assert_eq!(shown(&found), wanted, "{:?}", find);
            prop_assert_eq!(found.more, behind.len() > limit);
        }
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

type Row = (Vec<Value>, Uuid);

fn shown(found: &Found) -> Vec<Row> {
    found.rows.iter().map(|row| (row.keys.clone(), row.snapshot.id)).collect()
}

fn sorted(samples: &[Sample], sort: &[Sort]) -> Vec<Row> {
    let row = |(place, sample): (usize, &Sample)| {
        let write = sample.insert(PROJECT, place as u128 + 1);
        let document = Document {
            id: write.id,
            version: write.version,
            created_at: write.created_at,
            updated_at: write.updated_at,
            index: &write.index,
        };
        (!sample.hidden).then(|| (document.sort_values(sort), write.id))
    };
    let mut rows: Vec<Row> = samples.iter().enumerate().filter_map(row).collect();
    rows.sort_by(|a, b| sort_order(sort, (&a.0, a.1), (&b.0, b.1)));
    rows
}
