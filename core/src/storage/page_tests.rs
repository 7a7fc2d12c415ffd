//! What a page request accepts, and what its cursors hold.

use super::*;
use crate::kernel::{ProjectId, input};
use crate::storage::{Column, FieldKind};

const FIELDS: Fields = Fields::new(&[Column::new("name", FieldKind::Text).sortable()], &[], None);

fn query(request: Json) -> Result<Find> {
    let now = Timestamp::parse("2025-03-15T13:30:00Z")?;
    input::parse_value::<PageRequest>(request)?.find(&FIELDS, now)
}

fn page(request: Json, found: Found) -> Page<Uuid> {
    let find = query(request.clone()).unwrap();
    input::parse_value::<PageRequest>(request).unwrap().page(&find, found, |snapshot| Ok(snapshot.id)).unwrap()
}

#[track_caller]
fn refused(request: Json, code: ErrorCode, field: &str) {
    let error = query(request).unwrap_err();
    assert_eq!((error.code(), error.field().unwrap_or_default()), (code, field));
}

fn found(names: &[&str], more: bool) -> Found {
    let row = |(place, name): (usize, &&str)| FoundRow {
        snapshot: Snapshot {
            project_id: ProjectId::SYSTEM,
            id: Uuid::from_u128(place as u128 + 1),
            revision: 1,
            schema: 1,
            state: String::new(),
        },
        keys: vec![Value::from(*name)],
    };
    Found { rows: names.iter().enumerate().map(row).collect(), more, total: None }
}

#[test]
fn defaults_are_newest_first_and_twenty() {
    let query = query(json!({"sort": null, "with_total": null})).unwrap();
    assert_eq!((query.limit, query.include_hidden, query.with_total), (20, false, false));
    assert_eq!(query.sort.len(), 1);
    assert!(query.sort[0].field == "created_at" && query.sort[0].descending);
}

#[test]
fn sort_keys_have_a_short_and_a_long_form() {
    let short = query(json!({"sort": ["-name", "created_at"]})).unwrap().sort;
    let long = query(json!({"sort": [{"field": "name", "direction": "desc"}, {"field": "created_at"}]})).unwrap().sort;
    assert_eq!(short, long);
    refused(json!({"sort": ["name", "phone"]}), ErrorCode::SortFieldUnknown, "sort[1]");
    refused(json!({"sort": ["name", "id", "created_at", "updated_at"]}), ErrorCode::LimitOutOfRange, "sort");
}

#[test]
fn limits_are_one_to_a_hundred() {
    for limit in [0, -1, 101] {
        refused(json!({"limit": limit}), ErrorCode::LimitOutOfRange, "limit");
    }
    assert_eq!(query(json!({"limit": 100})).unwrap().limit, 100);
    refused(json!({"page": 2}), ErrorCode::UnknownField, "page");
}

#[test]
fn a_cursor_leads_on_and_back() {
    let first = page(json!({"sort": ["name"]}), found(&["a", "b"], true));
    assert!(first.has_more && first.prev_cursor.is_none());
    let next = json!({"sort": ["name"], "cursor": first.next_cursor});
    let find = query(next.clone()).unwrap();
    assert_eq!((find.backward, find.after), (false, Some((vec![Value::from("b")], Uuid::from_u128(2)))));
    let last = page(next, found(&["c"], false));
    assert!(!last.has_more && last.next_cursor.is_none());
    let back = json!({"sort": ["name"], "cursor": last.prev_cursor});
    let find = query(back.clone()).unwrap();
    assert_eq!((find.backward, find.after), (true, Some((vec![Value::from("c")], Uuid::from_u128(1)))));
    let again = page(back, found(&["a", "b"], false));
    assert!(again.has_more && again.prev_cursor.is_none());
}

#[test]
fn a_cursor_fits_only_its_own_query() {
    let cursor = page(json!({"sort": ["name"]}), found(&["a"], true)).next_cursor.unwrap();
    refused(json!({"sort": ["-name"], "cursor": cursor}), ErrorCode::CursorMismatch, "cursor");
    let filter = json!({"field": "name", "op": "eq", "value": "a"});
    refused(json!({"sort": ["name"], "filter": filter, "cursor": cursor}), ErrorCode::CursorMismatch, "cursor");
    let mut broken = cursor.clone();
    broken.replace_range(20..21, if &cursor[20..21] == "A" { "B" } else { "A" });
    refused(json!({"sort": ["name"], "cursor": broken}), ErrorCode::CursorInvalid, "cursor");
    refused(json!({"cursor": "7"}), ErrorCode::CursorInvalid, "cursor");
}
