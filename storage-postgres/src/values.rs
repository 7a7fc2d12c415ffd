//! Values on their way into PostgreSQL and back: ids are UUIDs, instants are `timestamptz`.

use crate::errors::Carry;
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, ToSql};
use uuid::Uuid;
use ventros::kernel::{Error, Kind, ProjectId, Result, Timestamp};
use ventros::storage::{FieldKind, ProjectIdOrNil, Value};

/// A value of a statement.
pub(crate) type Sql = Box<dyn ToSql + Sync + Send>;

/// Anything that PostgreSQL knows a type for, as a value of a statement.
pub(crate) fn sql(value: impl ToSql + Sync + Send + 'static) -> Sql {
    Box::new(value)
}

/// Text as PostgreSQL can store it, which is all but one character.
pub(crate) fn text(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// As [`text`], where there may be none.
pub(crate) fn optional_text(text: Option<&String>) -> Option<String> {
    text.map(|text| self::text(text))
}

/// An instant as PostgreSQL knows it.
pub(crate) fn instant(at: Timestamp) -> DateTime<Utc> {
    at.datetime()
}

/// As [`instant`], where there may be none.
pub(crate) fn optional_instant(at: Option<Timestamp>) -> Option<DateTime<Utc>> {
    at.map(instant)
}

/// Numbers of rows, versions and limits; beyond what PostgreSQL can hold they stop at its end.
pub(crate) fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A value that is there, with the name of its type.
pub(crate) fn typed(value: &Value) -> (Sql, &'static str) {
    match value {
        Value::Null => (sql(None::<String>), "text"),
        Value::Text(value) => (sql(text(value)), "text"),
        Value::Number(value) => (sql(*value), "float8"),
        Value::Instant(value) => (sql(instant(*value)), "timestamptz"),
        Value::Bool(value) => (sql(*value), "bool"),
        Value::Id(value) => (sql(*value), "uuid"),
    }
}

/// A list of values of one type, with the name of its type.
pub(crate) fn typed_list(values: &[Value]) -> (Sql, &'static str) {
    fn all<T>(values: &[Value], one: impl Fn(&Value) -> Option<T>) -> Vec<T> {
        values.iter().filter_map(one).collect()
    }
    match values.first() {
        None | Some(Value::Null | Value::Text(_)) => {
            (sql(all(values, |v| if let Value::Text(v) = v { Some(text(v)) } else { None })), "text[]")
        }
        Some(Value::Number(_)) => {
            (sql(all(values, |v| if let Value::Number(v) = v { Some(*v) } else { None })), "float8[]")
        }
        Some(Value::Instant(_)) => {
            (sql(all(values, |v| if let Value::Instant(v) = v { Some(instant(*v)) } else { None })), "timestamptz[]")
        }
        Some(Value::Bool(_)) => (sql(all(values, |v| if let Value::Bool(v) = v { Some(*v) } else { None })), "bool[]"),
        Some(Value::Id(_)) => (sql(all(values, |v| if let Value::Id(v) = v { Some(*v) } else { None })), "uuid[]"),
    }
}

/// The value of a column, null included.
pub(crate) fn column_value(value: &Value, kind: FieldKind) -> Sql {
    fn missing<T: ToSql + Sync + Send + 'static>() -> Sql {
        sql(None::<T>)
    }
    match (value, kind) {
        (Value::Null, FieldKind::Number) => missing::<f64>(),
        (Value::Null, FieldKind::Instant) => missing::<DateTime<Utc>>(),
        (Value::Null, FieldKind::Bool) => missing::<bool>(),
        (Value::Null, FieldKind::Id) => missing::<Uuid>(),
        // A column of words or JSON holds any other value as its text.
        (Value::Bool(value), FieldKind::Json) => sql(value.to_string()),
        (Value::Id(value), FieldKind::Set) => sql(value.to_string()),
        (value, _) => typed(value).0,
    }
}

/// Typed reading of a row, with corrupt data as an error of its own.
pub(crate) trait Read {
    fn read<'r, T: FromSql<'r>>(&'r self, column: usize) -> Result<T>;
    fn value(&self, column: usize, kind: FieldKind) -> Result<Value>;

    fn id(&self, column: usize) -> Result<Uuid> {
        self.read(column)
    }

    fn number(&self, column: usize) -> Result<u64> {
        u64::try_from(self.read::<i64>(column)?).map_err(|_| Error::corrupt("a stored number is negative"))
    }

    fn small<T: TryFrom<u64>>(&self, column: usize) -> Result<T> {
        T::try_from(self.number(column)?).map_err(|_| Error::corrupt("a stored number is beyond all bounds"))
    }

    fn instant(&self, column: usize) -> Result<Timestamp> {
        self.read::<DateTime<Utc>>(column).map(Timestamp::from_datetime)
    }

    fn optional_instant(&self, column: usize) -> Result<Option<Timestamp>> {
        Ok(self.read::<Option<DateTime<Utc>>>(column)?.map(Timestamp::from_datetime))
    }

    fn kind(&self, column: usize) -> Result<Kind> {
        Kind::parse(self.read(column)?).ok_or_else(|| Error::corrupt("an unknown kind of aggregate is stored"))
    }

    fn project(&self, column: usize) -> Result<ProjectId> {
        self.id(column).map(ProjectId::from_uuid)
    }

    fn project_or_nil(&self, column: usize) -> Result<ProjectIdOrNil> {
        self.project(column).map(ProjectIdOrNil)
    }
}

impl Read for Row {
    fn read<'r, T: FromSql<'r>>(&'r self, column: usize) -> Result<T> {
        self.try_get(column).carry()
    }

    fn value(&self, column: usize, kind: FieldKind) -> Result<Value> {
        Ok(match kind {
            FieldKind::Number => match *self.columns()[column].type_() {
                // A built-in column of whole numbers.
                tokio_postgres::types::Type::INT8 => Value::from(self.number(column)?),
                _ => self.read::<Option<f64>>(column)?.map_or(Value::Null, Value::Number),
            },
            FieldKind::Instant => self.optional_instant(column)?.map_or(Value::Null, Value::Instant),
            FieldKind::Bool => self.read::<Option<bool>>(column)?.map_or(Value::Null, Value::Bool),
            FieldKind::Id => self.read::<Option<Uuid>>(column)?.map_or(Value::Null, Value::Id),
            FieldKind::Text | FieldKind::Date | FieldKind::Enum | FieldKind::Set | FieldKind::Json => {
                self.read::<Option<String>>(column)?.map_or(Value::Null, Value::Text)
            }
        })
    }
}
