//! Instants and the injected sources of time, ids and chance. Core itself never looks at a clock.

use super::error::{Error, ErrorCode, Result};
use chrono::{DateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;
use uuid::Uuid;

/// A UTC instant of microsecond precision. JSON: RFC 3339 with `Z` and 6 fraction digits; any offset is accepted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(DateTime<Utc>);

impl Timestamp {
    pub fn from_micros(micros: i64) -> Option<Self> {
        Utc.timestamp_micros(micros).single().map(Timestamp)
    }

    pub fn from_seconds(seconds: i64) -> Option<Self> {
        seconds.checked_mul(1_000_000).and_then(Self::from_micros)
    }

    pub fn micros(self) -> i64 {
        self.0.timestamp_micros()
    }

    /// The same instant with everything below a microsecond dropped.
    pub fn from_datetime(instant: DateTime<Utc>) -> Self {
        Timestamp::from_micros(instant.timestamp_micros()).unwrap_or(Timestamp(instant))
    }

    pub fn datetime(self) -> DateTime<Utc> {
        self.0
    }

    pub fn parse(text: &str) -> Result<Self> {
        let invalid =
            || Error::new(ErrorCode::InputInvalid).message("expected an RFC 3339 instant such as 2025-10-10T15:00:00Z");
        DateTime::parse_from_rfc3339(text.trim()).map(|t| Self::from_datetime(t.to_utc())).map_err(|_| invalid())
    }

    /// Moves by seconds, stopping at the ends of the calendar.
    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_micros(seconds.saturating_mul(1_000_000))
    }

    #[must_use]
    pub fn plus_micros(self, micros: i64) -> Self {
        Timestamp::from_micros(self.micros().saturating_add(micros)).unwrap_or(self)
    }

    /// `self - earlier` in whole seconds, negative when `earlier` is later.
    pub fn seconds_since(self, earlier: Timestamp) -> i64 {
        (self.micros() - earlier.micros()).div_euclid(1_000_000)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(super::input::carry)
    }
}

impl schemars::JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

/// The only source of time. A command reads it once.
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The only source of ids and random bytes.
pub trait IdGenerator: Send + Sync {
    /// A UUIDv7 that grows within this process, also inside one millisecond.
    fn uuid(&self, now: Timestamp) -> Uuid;

    /// Fills `bytes` with unpredictable values: tokens, keys, jitter.
    fn random(&self, bytes: &mut [u8]);
}
