//! Values on their way into SQLite and back: ids are 16 bytes, instants are microseconds.

use rusqlite::Row;
use rusqlite::types::{Type, Value as Sql, ValueRef};
use uuid::Uuid;
use ventros::kernel::{Kind, ProjectId, Timestamp};
use ventros::storage::{FieldKind, ProjectIdOrNil, Value};

/// A value as SQLite stores it.
pub(crate) fn sql_value(value: &Value) -> Sql {
    match value {
        Value::Null => Sql::Null,
        Value::Text(text) => Sql::Text(text.clone()),
        Value::Number(number) => Sql::Real(*number),
        Value::Instant(at) => Sql::Integer(at.micros()),
        Value::Bool(value) => Sql::Integer(i64::from(*value)),
        Value::Id(id) => blob(*id),
    }
}

pub(crate) fn blob(id: Uuid) -> Sql {
    Sql::Blob(id.as_bytes().to_vec())
}

/// Numbers of rows, versions and limits; beyond what SQLite can hold they stop at its end.
pub(crate) fn integer(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Typed reading of a row, with corrupt data as an error of its own.
pub(crate) trait Read {
    fn id(&self, column: usize) -> rusqlite::Result<Uuid>;
    fn optional_id(&self, column: usize) -> rusqlite::Result<Option<Uuid>>;
    fn number(&self, column: usize) -> rusqlite::Result<u64>;
    fn instant(&self, column: usize) -> rusqlite::Result<Timestamp>;
    fn optional_instant(&self, column: usize) -> rusqlite::Result<Option<Timestamp>>;
    fn kind(&self, column: usize) -> rusqlite::Result<Kind>;
    fn value(&self, column: usize, kind: FieldKind) -> rusqlite::Result<Value>;

    fn project(&self, column: usize) -> rusqlite::Result<ProjectId> {
        self.id(column).map(ProjectId::from_uuid)
    }

    fn project_or_nil(&self, column: usize) -> rusqlite::Result<ProjectIdOrNil> {
        self.project(column).map(ProjectIdOrNil)
    }
}

impl Read for Row<'_> {
    fn id(&self, column: usize) -> rusqlite::Result<Uuid> {
        match self.get_ref(column)? {
            ValueRef::Blob(bytes) => {
                Uuid::from_slice(bytes).map_err(|_| broken(column, Type::Blob, "an id has 16 bytes"))
            }
            other => Err(broken(column, other.data_type(), "an id has 16 bytes")),
        }
    }

    fn optional_id(&self, column: usize) -> rusqlite::Result<Option<Uuid>> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => self.id(column).map(Some),
        }
    }

    fn number(&self, column: usize) -> rusqlite::Result<u64> {
        u64::try_from(self.get::<_, i64>(column)?).map_err(|_| broken(column, Type::Integer, "a negative number"))
    }

    fn instant(&self, column: usize) -> rusqlite::Result<Timestamp> {
        Timestamp::from_micros(self.get(column)?).ok_or_else(|| broken(column, Type::Integer, "no instant"))
    }

    fn optional_instant(&self, column: usize) -> rusqlite::Result<Option<Timestamp>> {
        match self.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => self.instant(column).map(Some),
        }
    }

    fn kind(&self, column: usize) -> rusqlite::Result<Kind> {
        let text = self.get_ref(column)?.as_str()?;
        Kind::parse(text).ok_or_else(|| broken(column, Type::Text, "an unknown kind of aggregate"))
    }

    fn value(&self, column: usize, kind: FieldKind) -> rusqlite::Result<Value> {
        let stored = self.get_ref(column)?;
        if let ValueRef::Null = stored {
            return Ok(Value::Null);
        }
        Ok(match kind {
            FieldKind::Number => Value::Number(match stored {
                ValueRef::Integer(number) => number as f64,
                _ => self.get(column)?,
            }),
            FieldKind::Instant => Value::Instant(self.instant(column)?),
            FieldKind::Bool => Value::Bool(self.get(column)?),
            FieldKind::Id => Value::Id(self.id(column)?),
            FieldKind::Text | FieldKind::Date | FieldKind::Enum | FieldKind::Set | FieldKind::Json => {
                Value::Text(self.get(column)?)
            }
        })
    }
}

/// A stored value that cannot be what it should be.
pub(crate) fn broken(column: usize, found: Type, reason: &str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, found, reason.into())
}
