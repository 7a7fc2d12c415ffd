//! A day of the calendar, in no time zone.

use super::error::{Error, ErrorCode, Result};
use super::time::Timestamp;
use chrono::{Datelike, NaiveDate, NaiveTime};

/// A day such as `2025-10-10`, of the years 0001 to 9999.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CalendarDate(NaiveDate);

impl CalendarDate {
    /// Reads `YYYY-MM-DD`, exactly.
    ///
    /// # Errors
    /// `input_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorCode::InputInvalid).message("expected a date such as 2025-10-10");
        let digits = |range: std::ops::Range<usize>| {
            let part = text.get(range)?;
            part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?
        };
        let date = || {
            let separated = text.len() == 10 && text.as_bytes()[4] == b'-' && text.as_bytes()[7] == b'-';
            separated.then_some(())?;
            Self::from_ymd(digits(0..4)?, digits(5..7)?, digits(8..10)?)
        };
        date().ok_or_else(invalid)
    }

    /// `None` when the calendar has no such day.
    pub fn from_ymd(year: u32, month: u32, day: u32) -> Option<Self> {
        let year = i32::try_from(year).ok().filter(|year| (1..=9999).contains(year))?;
        NaiveDate::from_ymd_opt(year, month, day).map(CalendarDate)
    }

    /// The day on which the instant falls in UTC; `None` outside the years 0001 to 9999.
    pub fn of(instant: Timestamp) -> Option<Self> {
        Self::from_naive(instant.datetime().date_naive())
    }

    pub fn from_naive(date: NaiveDate) -> Option<Self> {
        (1..=9999).contains(&date.year()).then_some(CalendarDate(date))
    }

    pub const fn naive(self) -> NaiveDate {
        self.0
    }

    pub fn year(self) -> i32 {
        self.0.year()
    }

    pub fn month(self) -> u32 {
        self.0.month()
    }

    pub fn day(self) -> u32 {
        self.0.day()
    }

    /// The first instant of the day in UTC.
    pub fn midnight(self) -> Timestamp {
        Timestamp::from_datetime(self.0.and_time(NaiveTime::MIN).and_utc())
    }
}

impl std::fmt::Display for CalendarDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year(), self.month(), self.day())
    }
}

impl std::fmt::Debug for CalendarDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for CalendarDate {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for CalendarDate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::input::text(deserializer, CalendarDate::parse)
    }
}

impl schemars::JsonSchema for CalendarDate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "CalendarDate".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date", "description": "A day, for example 2025-10-10."})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_days_of_the_calendar_are_read() {
        assert_eq!(CalendarDate::parse("2024-02-29").unwrap().midnight().to_string(), "2024-02-29T00:00:00.000000Z");
        for text in [
            "2025-02-30",
            "2025-2-03",
            "0000-01-01",
            "2025-01-01T00:00:00Z",
            "+025-01-01",
            "",
            "2025/01/01",
            "é025-01-1",
        ] {
            assert_eq!(CalendarDate::parse(text).unwrap_err().code(), ErrorCode::InputInvalid, "{text}");
        }
    }

    proptest! {
        #[test]
        fn reading_what_was_written_gives_the_same(year in 1u32..=9999, month in 1u32..=12, day in 1u32..=28) {
            let date = CalendarDate::from_ymd(year, month, day).unwrap();
            prop_assert_eq!(CalendarDate::parse(&date.to_string()).unwrap(), date);
        }
    }
}
