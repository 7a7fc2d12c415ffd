//! The in-memory evaluator: what a filter means. Adapters must agree with it, and a property test holds them to it.

use super::{Filter, Index, Leaf, Sort, Test, Value};
use crate::kernel::Timestamp;
use std::cmp::Ordering;
use uuid::Uuid;

/// What filters and orders see of one aggregate.
#[derive(Debug, Clone, Copy)]
pub struct Document<'a> {
    pub id: Uuid,
    pub version: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub index: &'a Index,
}

impl Document<'_> {
    /// The value of a built-in or declared column, as it was given.
    pub fn value(&self, field: &str) -> Value {
        match field {
            "id" => Value::Id(self.id),
            "version" => Value::from(self.version),
            "created_at" => Value::Instant(self.created_at),
            "updated_at" => Value::Instant(self.updated_at),
            _ => self.index.value(field).clone(),
        }
    }

    /// The values by which it is sorted.
    pub fn sort_values(&self, sort: &[Sort]) -> Vec<Value> {
        sort.iter().map(|key| self.value(&key.field).comparable(key.kind)).collect()
    }
}

/// True when the document satisfies the filter.
pub fn matches(filter: &Filter, document: &Document<'_>) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().all(|part| matches(part, document)),
        Filter::Any(parts) => parts.iter().any(|part| matches(part, document)),
        Filter::Not(part) => !matches(part, document),
        Filter::Leaf(leaf) => matches_leaf(leaf, document),
        // One document knows nothing of others: who has them looks them up first.
        Filter::Among(_) => false,
    }
}

fn matches_leaf(leaf: &Leaf, document: &Document<'_>) -> bool {
    if !leaf.is_attribute {
        return satisfies(&leaf.test, &document.value(&leaf.field).comparable(leaf.kind));
    }
    let mut values = document.index.attributes.iter().filter(|(field, _)| *field == leaf.field);
    match leaf.test {
        Test::Missing => values.all(|(_, value)| value.comparable_attribute().is_null()),
        _ => values.any(|(_, value)| satisfies(&leaf.test, &value.comparable_attribute())),
    }
}

fn satisfies(test: &Test, value: &Value) -> bool {
    if let Test::Missing = test {
        return value.is_null();
    }
    let compare = |other: &Value| compare(value, other);
    let text = match value {
        Value::Text(text) => Some(text.as_str()),
        _ => None,
    };
    match test {
        Test::Missing => false,
        Test::Equal(other) => compare(other) == Some(Ordering::Equal),
        Test::Less(other) => compare(other) == Some(Ordering::Less),
        Test::LessOrEqual(other) => matches!(compare(other), Some(Ordering::Less | Ordering::Equal)),
        Test::Greater(other) => compare(other) == Some(Ordering::Greater),
        Test::GreaterOrEqual(other) => matches!(compare(other), Some(Ordering::Greater | Ordering::Equal)),
        Test::Contains(part) => text.is_some_and(|text| text.contains(part.as_str())),
        Test::StartsWith(part) => text.is_some_and(|text| text.starts_with(part.as_str())),
        Test::EndsWith(part) => text.is_some_and(|text| text.ends_with(part.as_str())),
        Test::In(list) => list.iter().any(|other| compare(other) == Some(Ordering::Equal)),
    }
}

/// Values of one kind; nothing compares with a missing value or with another kind.
fn compare(one: &Value, other: &Value) -> Option<Ordering> {
    let same = std::mem::discriminant(one) == std::mem::discriminant(other);
    if same && !one.is_null() { one.partial_cmp(other) } else { None }
}

/// The order of two rows of sort values, ties broken by id in the direction of the last key; nulls come last.
pub fn sort_order(sort: &[Sort], one: (&[Value], Uuid), other: (&[Value], Uuid)) -> Ordering {
    for ((key, a), b) in sort.iter().zip(one.0).zip(other.0) {
        let order = match (a.is_null(), b.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) if key.descending => compare(b, a).unwrap_or(Ordering::Equal),
            (false, false) => compare(a, b).unwrap_or(Ordering::Equal),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    if sort.last().is_some_and(|key| key.descending) { other.1.cmp(&one.1) } else { one.1.cmp(&other.1) }
}
