//! Filters, orders and pages, already checked against the aggregate's fields.

use super::{FieldKind, Snapshot, Value};
use crate::kernel::Kind;
use uuid::Uuid;

/// A filter whose fields, operators and values fit the aggregate. Truth is two-valued: a missing value satisfies no
/// positive comparison, and a negative operator is exactly the negation of its positive one.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// Empty = true.
    All(Vec<Filter>),
    /// Empty = false.
    Any(Vec<Filter>),
    Not(Box<Filter>),
    Leaf(Leaf),
    /// For the engine's own conditions; callers' filters never have it.
    Among(Box<Among>),
}

impl Filter {
    /// Satisfied by everything.
    pub const fn everything() -> Self {
        Filter::All(Vec::new())
    }

    /// False where `self` is true.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Filter::Not(part) => *part,
            other => Filter::Not(Box::new(other)),
        }
    }

    /// Both are true.
    #[must_use]
    pub fn and(self, other: Filter) -> Self {
        match self {
            Filter::All(mut parts) => {
                parts.push(other);
                Filter::All(parts)
            }
            one => Filter::All(vec![one, other]),
        }
    }

    /// An id column names a row of another aggregate that satisfies a condition.
    pub fn among(field: &str, kind: Kind, filter: Filter) -> Self {
        Filter::Among(Box::new(Among { field: field.to_owned(), kind, filter }))
    }

    /// All conditions on other aggregates, the inner ones included.
    pub fn others(&self) -> Vec<&Among> {
        match self {
            Filter::All(parts) | Filter::Any(parts) => parts.iter().flat_map(Filter::others).collect(),
            Filter::Not(part) => part.others(),
            Filter::Leaf(_) => Vec::new(),
            Filter::Among(among) => std::iter::once(&**among).chain(among.filter.others()).collect(),
        }
    }

    /// A column equals a value; an empty value means that it is missing.
    pub fn eq(field: &str, kind: FieldKind, value: impl Into<Value>) -> Self {
        let value = value.into().comparable(kind);
        let test = if value.is_null() { Test::Missing } else { Test::Equal(value) };
        Filter::Leaf(Leaf { field: field.to_owned(), kind, is_attribute: false, test })
    }
}

/// An id column names a row of another aggregate, in the same scope and not hidden, that satisfies a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Among {
    pub field: String,
    pub kind: Kind,
    pub filter: Filter,
}

/// One comparison. Negations are [`Filter::Not`] around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    pub field: String,
    pub kind: FieldKind,
    /// The field is a set or custom field in the attribute rows, not a column.
    pub is_attribute: bool,
    pub test: Test,
}

/// A positive comparison. Text values are folded already.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    Equal(Value),
    Less(Value),
    LessOrEqual(Value),
    Greater(Value),
    GreaterOrEqual(Value),
    Contains(String),
    StartsWith(String),
    EndsWith(String),
    /// Equal to one of them; for sets: any of them is an element.
    In(Vec<Value>),
    Missing,
}

/// One sort key; nulls come last in both directions.
#[derive(Debug, Clone, PartialEq)]
pub struct Sort {
    pub field: String,
    pub kind: FieldKind,
    pub descending: bool,
}

/// One page request on snapshots. Ties are broken by id, in the direction of the last sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct Find {
    pub filter: Filter,
    pub sort: Vec<Sort>,
    /// The row to start after: its sort values and id.
    pub after: Option<(Vec<Value>, Uuid)>,
    /// Read towards the start instead; rows still come in the order of `sort`.
    pub backward: bool,
    pub limit: usize,
    pub include_hidden: bool,
    pub with_total: bool,
}

/// One page of snapshots with the sort values that make its cursors.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    pub rows: Vec<FoundRow>,
    /// More rows follow in the direction of reading.
    pub more: bool,
    pub total: Option<u64>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct FoundRow {
    pub snapshot: Snapshot,
    pub keys: Vec<Value>,
}
