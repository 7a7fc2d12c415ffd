//! Instants and the injected sources of time, ids and chance. Core itself never looks at a clock.

use super::error::{Error, ErrorCode, Result};
use chrono::{DateTime, Datelike, NaiveDate, SecondsFormat, TimeZone, Timelike, Utc};
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
        if let Some(instant) = canonical(text) {
            return Ok(instant);
        }
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
        let (date, time) = (self.0.date_naive(), self.0.time());
        if !(0..=9999).contains(&date.year()) {
            return f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true));
        }
        // States and events are full of instants: written by hand they take a tenth of the time.
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |places: std::ops::Range<usize>, mut number: u32| {
            for place in places.rev() {
                text[place] = b'0' + (number % 10) as u8;
                number /= 10;
            }
        };
        put(0..4, date.year().unsigned_abs());
        put(5..7, date.month());
        put(8..10, date.day());
        put(11..13, time.hour());
        put(14..16, time.minute());
        put(17..19, time.second());
        put(20..26, time.nanosecond() / 1_000);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Reads the form that is written; everything else is left to the full parser.
fn canonical(text: &str) -> Option<Timestamp> {
    let text: &[u8; 27] = text.as_bytes().try_into().ok()?;
    let signs = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (26, b'Z')];
    if signs.iter().any(|(place, sign)| text[*place] != *sign) {
        return None;
    }
    let number = |places: std::ops::Range<usize>| {
        text[places]
            .iter()
            .try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0')))
    };
    let year = i32::try_from(number(0..4)?).ok()?;
    let date = NaiveDate::from_ymd_opt(year, number(5..7)?, number(8..10)?)?;
    let time = date.and_hms_micro_opt(number(11..13)?, number(14..16)?, number(17..19)?, number(20..26)?)?;
    Some(Timestamp(time.and_utc()))
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
        super::input::text(deserializer, Timestamp::parse)
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_instant_is_written_and_read_as_the_full_formatter_does(micros in -62_167_219_200_000_000i64..253_402_300_800_000_000) {
            let instant = Timestamp::from_micros(micros).unwrap();
            let text = instant.to_string();
            prop_assert_eq!(&text, &instant.0.to_rfc3339_opts(SecondsFormat::Micros, true));
            prop_assert_eq!(Timestamp::parse(&text).unwrap(), instant);
        }
    }

    #[test]
    fn what_looks_canonical_and_is_no_instant_is_refused() {
        for text in ["2025-02-30T00:00:00.000000Z", "2025-01-01T24:00:00.000000Z", "2025-01-01T00:00:0x.000000Z"] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }
}
