//! The one filter grammar: read from JSON, checked against the fields of an aggregate, resolved against the clock.

use super::{Field, FieldKind, Fields, Filter, Leaf, Test, Value, fold};
use crate::kernel::{Error, ErrorCode, Result, Timestamp, input, parse_uuid};
use chrono::{Datelike, Days, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value as Json;

/// How deep groups may nest, the comparison itself counted.
pub const FILTER_MAX_DEPTH: usize = 6;
/// How many comparisons one filter may have.
pub const FILTER_MAX_LEAVES: usize = 100;
/// How many values a list may have.
pub const FILTER_MAX_LIST: usize = 1000;
/// How long a text value may be, in characters.
pub const FILTER_MAX_TEXT: usize = 1024;

/// A condition on the fields of an aggregate.
///
/// Truth is two-valued: a comparison with a missing value is false, and a negative operator is exactly the negation of its
/// positive one, so `company ne "Acme"` is true without a company. Empty text counts as missing. Depth ≤ 6, comparisons ≤ 100.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum FilterExpression {
    /// Every one is true; true when empty.
    All { all: Vec<FilterExpression> },
    /// Some one is true; false when empty.
    Any { any: Vec<FilterExpression> },
    /// It is false.
    Not { not: Box<FilterExpression> },
    /// A comparison of one field.
    Comparison {
        /// A filterable field of the collection, such as `name`, `tags` or `custom.plan`.
        field: String,
        op: Operator,
        /// Text, number, boolean, instant, date, a list for `in` and `not_in`, or a moment relative to now such as
        /// `{"relative": "-30d", "snap": "day"}` (units `m`, `h`, `d`, `w`; snap `day`, `week` or `month`).
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<Json>,
        /// Only for fields that count occurrences: how far back they count, such as `30d`.
        #[serde(skip_serializing_if = "Option::is_none")]
        within: Option<String>,
    },
}

/// How a field is compared. Which operators a field has depends on its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Operator {
    Eq,
    Ne,
    Gt,
    Lt,
    Gte,
    Lte,
    Contains,
    NotContains,
    StartsWith,
    EndsWith,
    In,
    NotIn,
    IsNull,
    IsNotNull,
}

impl Operator {
    pub const ALL: &'static [Operator] = &[
        Operator::Eq,
        Operator::Ne,
        Operator::Gt,
        Operator::Lt,
        Operator::Gte,
        Operator::Lte,
        Operator::Contains,
        Operator::NotContains,
        Operator::StartsWith,
        Operator::EndsWith,
        Operator::In,
        Operator::NotIn,
        Operator::IsNull,
        Operator::IsNotNull,
    ];

    /// The operator that this one negates.
    const fn positive(self) -> Option<Operator> {
        match self {
            Operator::Ne => Some(Operator::Eq),
            Operator::NotContains => Some(Operator::Contains),
            Operator::NotIn => Some(Operator::In),
            Operator::IsNotNull => Some(Operator::IsNull),
            _ => None,
        }
    }

    const fn is_ordering(self) -> bool {
        matches!(self, Operator::Gt | Operator::Lt | Operator::Gte | Operator::Lte)
    }

    /// The operators of fields of this kind.
    pub const fn of(kind: FieldKind) -> &'static [Operator] {
        use Operator::*;
        match kind {
            FieldKind::Text => &[Eq, Ne, Contains, NotContains, StartsWith, EndsWith, In, NotIn, IsNull, IsNotNull],
            FieldKind::Number | FieldKind::Instant | FieldKind::Date => {
                &[Eq, Ne, Gt, Gte, Lt, Lte, In, NotIn, IsNull, IsNotNull]
            }
            FieldKind::Bool => &[Eq, Ne, IsNull, IsNotNull],
            FieldKind::Enum | FieldKind::Id => &[Eq, Ne, In, NotIn, IsNull, IsNotNull],
            FieldKind::Set => &[Contains, NotContains, In, NotIn, Eq, Ne, IsNull, IsNotNull],
            FieldKind::Json => &[IsNull, IsNotNull],
        }
    }
}

/// All keys that a node may have; which of them belong together is decided after reading, for better errors than serde's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Node {
    all: Option<Vec<FilterExpression>>,
    any: Option<Vec<FilterExpression>>,
    not: Option<Box<FilterExpression>>,
    field: Option<String>,
    op: Option<Operator>,
    value: Option<Json>,
    within: Option<String>,
}

impl<'de> Deserialize<'de> for FilterExpression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        let bare = node.op.is_none() && node.value.is_none() && node.within.is_none();
        match (node.all, node.any, node.not, node.field) {
            (Some(all), None, None, None) if bare => Ok(FilterExpression::All { all }),
            (None, Some(any), None, None) if bare => Ok(FilterExpression::Any { any }),
            (None, None, Some(not), None) if bare => Ok(FilterExpression::Not { not }),
            (None, None, None, Some(field)) => match node.op {
                Some(op) => Ok(FilterExpression::Comparison { field, op, value: node.value, within: node.within }),
                None => Err(input::carry(Error::new(ErrorCode::FieldRequired).at("op"))),
            },
            _ => Err(input::carry(
                Error::new(ErrorCode::InputInvalid)
                    .message("a filter is one of {all}, {any}, {not} or {field, op, value}"),
            )),
        }
    }
}

impl FilterExpression {
    /// One comparison: `compare("unread_count", Operator::Gt, 0)`.
    pub fn compare(field: impl Into<String>, op: Operator, value: impl Into<Json>) -> Self {
        FilterExpression::Comparison { field: field.into(), op, value: Some(value.into()), within: None }
    }

    /// The field has this value.
    pub fn eq(field: impl Into<String>, value: impl Into<Json>) -> Self {
        Self::compare(field, Operator::Eq, value)
    }

    /// Checks fields, operators and values, and resolves relative moments against `now`.
    ///
    /// # Errors
    /// `filter_field_unknown`, `filter_op_unsupported`, `filter_value_required`, `filter_value_not_allowed`,
    /// `filter_value_not_list`, `filter_value_mismatch`, `filter_too_deep`, `filter_too_large`; with the path inside the filter.
    pub fn check(&self, fields: &Fields, now: Timestamp) -> Result<Filter> {
        if self.depth() > FILTER_MAX_DEPTH {
            return Err(Error::new(ErrorCode::FilterTooDeep).with("max", FILTER_MAX_DEPTH));
        }
        if self.leaves() > FILTER_MAX_LEAVES {
            return Err(Error::new(ErrorCode::FilterTooLarge).with("max", FILTER_MAX_LEAVES));
        }
        self.resolve(fields, now)
    }

    /// True when some comparison names this field, so that a default condition on it does not apply.
    pub fn names(&self, name: &str) -> bool {
        match self {
            FilterExpression::All { all: parts } | FilterExpression::Any { any: parts } => {
                parts.iter().any(|part| part.names(name))
            }
            FilterExpression::Not { not } => not.names(name),
            FilterExpression::Comparison { field, .. } => field == name,
        }
    }

    fn depth(&self) -> usize {
        match self {
            FilterExpression::All { all: parts } | FilterExpression::Any { any: parts } => {
                1 + parts.iter().map(Self::depth).max().unwrap_or(0)
            }
            FilterExpression::Not { not } => 1 + not.depth(),
            FilterExpression::Comparison { .. } => 1,
        }
    }

    fn leaves(&self) -> usize {
        match self {
            FilterExpression::All { all: parts } | FilterExpression::Any { any: parts } => {
                parts.iter().map(Self::leaves).sum()
            }
            FilterExpression::Not { not } => not.leaves(),
            FilterExpression::Comparison { .. } => 1,
        }
    }

    fn resolve(&self, fields: &Fields, now: Timestamp) -> Result<Filter> {
        let resolve_all = |parts: &[FilterExpression], name: &str| {
            let resolve = |(place, part): (usize, &FilterExpression)| {
                part.resolve(fields, now).map_err(|error| error.at(format!("[{place}]")).at(name))
            };
            parts.iter().enumerate().map(resolve).collect::<Result<Vec<_>>>()
        };
        match self {
            FilterExpression::All { all } => resolve_all(all, "all").map(Filter::All),
            FilterExpression::Any { any } => resolve_all(any, "any").map(Filter::Any),
            FilterExpression::Not { not } => {
                not.resolve(fields, now).map(Filter::negate).map_err(|error| error.at("not"))
            }
            FilterExpression::Comparison { field: name, op, value, within } => {
                let (name, field) = fields.filterable(name).ok_or_else(|| {
                    Error::new(ErrorCode::FilterFieldUnknown).at("field").with("field", name.as_str())
                })?;
                if within.is_some() {
                    return Err(Error::new(ErrorCode::FilterValueNotAllowed).at("within"));
                }
                let comparison = Comparison { name, field, op: *op, fields, now };
                comparison.resolve(value.as_ref().filter(|value| !value.is_null()))
            }
        }
    }
}

/// One comparison on its way to a [`Leaf`].
struct Comparison<'a> {
    name: String,
    field: Field,
    op: Operator,
    fields: &'a Fields,
    now: Timestamp,
}

impl Comparison<'_> {
    fn resolve(&self, value: Option<&Json>) -> Result<Filter> {
        let positive = self.op.positive().unwrap_or(self.op);
        let kind = self.field.kind.unwrap_or_else(|| kind_by_value(positive, value));
        if !Operator::of(kind).contains(&self.op) {
            let allowed = serde_json::to_value(Operator::of(kind)).unwrap_or_default();
            return Err(Error::new(ErrorCode::FilterOpUnsupported).at("op").with("allowed", allowed));
        }
        let mut filter = self.leaf(kind, self.test(positive, kind, value)?);
        // Without a definition nobody knows whether a custom field that looks like an instant is one.
        if self.field.kind.is_none()
            && kind == FieldKind::Text
            && positive == Operator::Eq
            && let Some(instant) = value.and_then(|value| self.instant(value).ok())
        {
            filter = Filter::Any(vec![filter, self.leaf(FieldKind::Instant, Test::Equal(instant))]);
        }
        Ok(if positive == self.op { filter } else { filter.negate() })
    }

    fn leaf(&self, kind: FieldKind, test: Test) -> Filter {
        Filter::Leaf(Leaf { field: self.name.clone(), kind, is_attribute: self.field.is_attribute, test })
    }

    fn test(&self, op: Operator, kind: FieldKind, value: Option<&Json>) -> Result<Test> {
        if op == Operator::IsNull {
            return match value {
                None => Ok(Test::Missing),
                Some(_) => Err(Error::new(ErrorCode::FilterValueNotAllowed).at("value")),
            };
        }
        let value = value.ok_or_else(|| Error::new(ErrorCode::FilterValueRequired).at("value"))?;
        if op == Operator::In {
            return self.list(kind, value).map(Test::In);
        }
        let value = self.value(kind, value).map_err(|error| error.at("value"))?;
        Ok(match (op, value) {
            (Operator::Gt, value) => Test::Greater(value),
            (Operator::Gte, value) => Test::GreaterOrEqual(value),
            (Operator::Lt, value) => Test::Less(value),
            (Operator::Lte, value) => Test::LessOrEqual(value),
            (Operator::Contains, Value::Text(text)) if kind == FieldKind::Text => Test::Contains(text),
            (Operator::StartsWith, Value::Text(text)) => Test::StartsWith(text),
            (Operator::EndsWith, Value::Text(text)) => Test::EndsWith(text),
            (_, value) => Test::Equal(value),
        })
    }

    fn list(&self, kind: FieldKind, value: &Json) -> Result<Vec<Value>> {
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| Error::new(ErrorCode::FilterValueNotList).at("value"))?;
        if list.len() > FILTER_MAX_LIST {
            return Err(Error::new(ErrorCode::FilterTooLarge).at("value").with("max", FILTER_MAX_LIST));
        }
        let one = |(place, value): (usize, &Json)| {
            self.value(kind, value).map_err(|error| error.at(format!("[{place}]")).at("value"))
        };
        list.iter().enumerate().map(one).collect()
    }

    fn value(&self, kind: FieldKind, value: &Json) -> Result<Value> {
        let mismatch = || Error::new(ErrorCode::FilterValueMismatch).with("expected", kind_name(kind));
        let text = || {
            let text = value.as_str().ok_or_else(mismatch)?;
            if text.chars().nth(FILTER_MAX_TEXT).is_some() {
                return Err(Error::new(ErrorCode::FilterTooLarge).with("max", FILTER_MAX_TEXT));
            }
            Ok(text)
        };
        let required = |text: String| match text.is_empty() {
            true => Err(Error::from(ErrorCode::FilterValueRequired)),
            false => Ok(Value::Text(text)),
        };
        match kind {
            FieldKind::Text | FieldKind::Set => required(fold(text()?)),
            FieldKind::Enum if self.field.is_attribute => required(fold(text()?)),
            FieldKind::Enum => required(text()?.to_owned()),
            FieldKind::Number => value.as_f64().filter(|n| n.is_finite()).map(Value::Number).ok_or_else(mismatch),
            FieldKind::Bool => value.as_bool().map(Value::Bool).ok_or_else(mismatch),
            FieldKind::Id => {
                let id = parse_uuid(text()?).map_err(|_| mismatch())?;
                Ok(if self.field.is_attribute { Value::Text(id.to_string()) } else { Value::Id(id) })
            }
            FieldKind::Instant => self.instant(value).map_err(|()| mismatch()),
            FieldKind::Date => self.date(value).map_err(|()| mismatch()),
            FieldKind::Json => Err(mismatch()),
        }
    }

    /// An RFC 3339 instant, a plain date as its midnight in the zone, or a relative moment.
    fn instant(&self, value: &Json) -> Result<Value, ()> {
        let found = match value {
            Json::String(text) => match plain_date(text) {
                Some(date) => at_zone(self.fields.zone(), date.and_time(NaiveTime::MIN)),
                None => Timestamp::parse(text).ok(),
            },
            _ => relative(value, self.now, self.fields.zone()),
        };
        found.map(Value::Instant).ok_or(())
    }

    /// A plain date, or the date on which an instant falls in the zone.
    fn date(&self, value: &Json) -> Result<Value, ()> {
        let date = match value {
            Json::String(text) if plain_date(text).is_some() => plain_date(text),
            _ => match self.instant(value)? {
                Value::Instant(at) => Some(at.datetime().with_timezone(&self.fields.zone()).date_naive()),
                _ => None,
            },
        };
        date.map(|date| Value::Text(date.to_string())).ok_or(())
    }
}

const fn kind_name(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text => "text",
        FieldKind::Number => "number",
        FieldKind::Instant => "instant",
        FieldKind::Date => "date",
        FieldKind::Bool => "bool",
        FieldKind::Enum => "enum",
        FieldKind::Id => "id",
        FieldKind::Set => "set",
        FieldKind::Json => "json",
    }
}

/// The kind of a custom field whose definition is not known.
fn kind_by_value(op: Operator, value: Option<&Json>) -> FieldKind {
    let sample = match value {
        Some(Json::Array(list)) => list.first(),
        other => other,
    };
    match sample {
        Some(Json::Bool(_)) => FieldKind::Bool,
        Some(Json::Number(_)) => FieldKind::Number,
        Some(Json::Object(_)) => FieldKind::Instant,
        Some(Json::String(_)) if op.is_ordering() => FieldKind::Instant,
        _ => FieldKind::Text,
    }
}

fn plain_date(text: &str) -> Option<NaiveDate> {
    if text.len() == 10 { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None }
}

/// The instant of a local time; of two the earlier, and after a gap the moment the gap ends.
fn at_zone(zone: Tz, local: NaiveDateTime) -> Option<Timestamp> {
    let found = match zone.from_local_datetime(&local) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => Some(at),
        LocalResult::None => (1..=8)
            .filter_map(|quarters| local.checked_add_signed(chrono::TimeDelta::minutes(quarters * 15)))
            .find_map(|later| zone.from_local_datetime(&later).earliest()),
    };
    found.map(|at| Timestamp::from_datetime(at.to_utc()))
}

/// `{"relative": "-30d", "snap": "day"}`.
fn relative(value: &Json, now: Timestamp, zone: Tz) -> Option<Timestamp> {
    let object = value.as_object()?;
    if object.keys().any(|key| key != "relative" && key != "snap") {
        return None;
    }
    let at = now.plus_seconds(duration_seconds(object.get("relative")?.as_str()?)?);
    match object.get("snap").filter(|snap| !snap.is_null()) {
        None => Some(at),
        Some(snap) => {
            let date = at.datetime().with_timezone(&zone).date_naive();
            let first = match snap.as_str()? {
                "day" => date,
                "week" => date.checked_sub_days(Days::new(u64::from(date.weekday().num_days_from_monday())))?,
                "month" => date.with_day(1)?,
                _ => return None,
            };
            at_zone(zone, first.and_time(NaiveTime::MIN))
        }
    }
}

/// Seconds of `-30d`, `+2h`, `15m`, `1w`.
fn duration_seconds(text: &str) -> Option<i64> {
    let unit = match text.chars().last()? {
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let digits = number.trim_start_matches(['-', '+']);
    if digits.is_empty() || digits.len() > 6 || number.len() > digits.len() + 1 {
        return None;
    }
    number.strip_prefix('+').unwrap_or(number).parse::<i64>().ok().map(|count| count * unit)
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
