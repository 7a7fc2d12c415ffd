//! When a project is open: weekly hours in its own time zone, with exceptions for single days.

use crate::kernel::{Error, ErrorCode, Result, Timestamp, Timezone, input};
use chrono::{Datelike, Days, NaiveDate, NaiveTime, Weekday};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// How many intervals a day may have.
pub const MAX_INTERVALS: usize = 4;
/// How many exceptions a project may have.
pub const MAX_EXCEPTIONS: usize = 366;
/// How far ahead an opening is looked for, in days.
const HORIZON: u64 = 400;

/// A time of day in minutes. JSON: `HH:MM`; `24:00` is the end of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// # Errors
    /// `business_hours_invalid` for anything but `00:00` to `24:00`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorCode::BusinessHoursInvalid).message("a time of day is HH:MM, 00:00 to 24:00");
        let (hours, minutes) = text.split_once(':').ok_or_else(invalid)?;
        let number = |text: &str, max: u16| {
            let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u16>().ok()).flatten().filter(|number| *number <= max).ok_or_else(invalid)
        };
        let total = number(hours, 24)? * 60 + number(minutes, 59)?;
        if total > 24 * 60 { Err(invalid()) } else { Ok(TimeOfDay(total)) }
    }

    /// Minutes since midnight, at most 1440.
    pub fn minutes(self) -> u16 {
        self.0
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        input::text(deserializer, TimeOfDay::parse)
    }
}

impl JsonSchema for TimeOfDay {
    fn schema_name() -> Cow<'static, str> {
        "TimeOfDay".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$", "description": "HH:MM, up to 24:00."})
    }
}

/// A stretch of a day, `end` not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenInterval {
    pub start: TimeOfDay,
    pub end: TimeOfDay,
}

/// The intervals of each weekday; an empty day is closed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeeklyHours {
    pub monday: Vec<OpenInterval>,
    pub tuesday: Vec<OpenInterval>,
    pub wednesday: Vec<OpenInterval>,
    pub thursday: Vec<OpenInterval>,
    pub friday: Vec<OpenInterval>,
    pub saturday: Vec<OpenInterval>,
    pub sunday: Vec<OpenInterval>,
}

impl WeeklyHours {
    fn of(&self, day: Weekday) -> &[OpenInterval] {
        match day {
            Weekday::Mon => &self.monday,
            Weekday::Tue => &self.tuesday,
            Weekday::Wed => &self.wednesday,
            Weekday::Thu => &self.thursday,
            Weekday::Fri => &self.friday,
            Weekday::Sat => &self.saturday,
            Weekday::Sun => &self.sunday,
        }
    }

    fn days(&self) -> [(&'static str, &[OpenInterval]); 7] {
        [
            ("monday", &self.monday),
            ("tuesday", &self.tuesday),
            ("wednesday", &self.wednesday),
            ("thursday", &self.thursday),
            ("friday", &self.friday),
            ("saturday", &self.saturday),
            ("sunday", &self.sunday),
        ]
    }
}

/// One day that differs from its weekday, such as a holiday.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessDayException {
    /// `YYYY-MM-DD` in the zone of the business hours.
    #[schemars(with = "String", extend("format" = "date"))]
    pub date: NaiveDate,
    /// What the day is called.
    #[serde(default)]
    pub name: String,
    /// Empty = closed all day.
    #[serde(default)]
    pub intervals: Vec<OpenInterval>,
}

/// When a project is open. At most 4 intervals a day and 366 exceptions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessHours {
    pub timezone: Timezone,
    #[serde(default)]
    pub weekly: WeeklyHours,
    #[serde(default)]
    pub exceptions: Vec<BusinessDayException>,
}

impl BusinessHours {
    /// # Errors
    /// `business_hours_invalid` when a day's intervals are empty, unordered, overlapping or too many, when two exceptions name
    /// one date, or when there are too many exceptions.
    pub fn check(&self) -> Result<()> {
        for (day, intervals) in self.weekly.days() {
            check_day(intervals).map_err(|e| e.at(format!("weekly.{day}")))?;
        }
        if self.exceptions.len() > MAX_EXCEPTIONS {
            return Err(invalid("too many exceptions").at("exceptions").with("max", MAX_EXCEPTIONS));
        }
        let mut dates = std::collections::BTreeSet::new();
        for (number, exception) in self.exceptions.iter().enumerate() {
            check_day(&exception.intervals).map_err(|e| e.at(format!("exceptions[{number}].intervals")))?;
            if !dates.insert(exception.date) {
                return Err(invalid("the date has an exception already").at(format!("exceptions[{number}].date")));
            }
        }
        Ok(())
    }

    pub fn is_open(&self, at: Timestamp) -> bool {
        let date = self.timezone.local(at).date();
        self.spans(date).any(|(start, end)| start <= at && at < end)
    }

    /// The first open instant at or after `at`; `None` when nothing opens within 400 days.
    pub fn next_opening(&self, at: Timestamp) -> Option<Timestamp> {
        let first = self.timezone.local(at).date();
        (0..HORIZON).find_map(|ahead| {
            let date = first.checked_add_days(Days::new(ahead))?;
            self.spans(date).find(|(_, end)| *end > at).map(|(start, _)| start.max(at))
        })
    }

    /// Whole minutes of `from..until` that lie in open hours.
    pub fn open_minutes_between(&self, from: Timestamp, until: Timestamp) -> u64 {
        let last = self.timezone.local(until).date();
        let mut date = self.timezone.local(from).date();
        let mut micros = 0;
        while date <= last {
            for (start, end) in self.spans(date) {
                micros += (end.min(until).micros() - start.max(from).micros()).max(0);
            }
            match date.succ_opt() {
                Some(next) => date = next,
                None => break,
            }
        }
        u64::try_from(micros / 60_000_000).unwrap_or(0)
    }

    /// The open stretches that begin on a local date, as instants.
    fn spans(&self, date: NaiveDate) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let exception = self.exceptions.iter().find(|exception| exception.date == date);
        let intervals = exception.map_or_else(|| self.weekly.of(date.weekday()), |exception| &exception.intervals);
        intervals.iter().map(move |interval| (self.instant(date, interval.start), self.instant(date, interval.end)))
    }

    fn instant(&self, date: NaiveDate, time: TimeOfDay) -> Timestamp {
        let (days, minutes) = (u64::from(time.0 / 1440), time.0 % 1440);
        let date = date.checked_add_days(Days::new(days)).unwrap_or(date);
        let time = NaiveTime::from_hms_opt(u32::from(minutes / 60), u32::from(minutes % 60), 0).unwrap_or_default();
        self.timezone.instant(date.and_time(time))
    }
}

fn check_day(intervals: &[OpenInterval]) -> Result<()> {
    if intervals.len() > MAX_INTERVALS {
        return Err(invalid("too many intervals in one day").with("max", MAX_INTERVALS));
    }
    if intervals.iter().any(|interval| interval.start >= interval.end) {
        return Err(invalid("an interval ends after it starts"));
    }
    if intervals.windows(2).any(|pair| pair[0].end > pair[1].start) {
        return Err(invalid("intervals of a day are in order and do not overlap"));
    }
    Ok(())
}

fn invalid(reason: &str) -> Error {
    Error::new(ErrorCode::BusinessHoursInvalid).message(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn office() -> BusinessHours {
        let day = json!([{"start": "09:00", "end": "18:00"}]);
        let hours = json!({
            "timezone": "America/Sao_Paulo",
            "weekly": {"monday": day, "tuesday": day, "wednesday": day, "thursday": day, "friday": day},
            "exceptions": [{"date": "2025-12-25", "name": "Christmas"}],
        });
        serde_json::from_value(hours).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn hours_follow_the_zone_and_the_exceptions() {
        let office = office();
        assert!(office.is_open(at("2025-10-10T12:00:00Z")));
        assert!(!office.is_open(at("2025-10-10T11:59:59Z")));
        assert!(!office.is_open(at("2025-10-10T21:00:00Z")));
        assert!(!office.is_open(at("2025-12-25T15:00:00Z")));
        assert_eq!(office.next_opening(at("2025-10-10T21:00:00Z")), Some(at("2025-10-13T12:00:00Z")));
        assert_eq!(office.next_opening(at("2025-10-10T15:00:00Z")), Some(at("2025-10-10T15:00:00Z")));
        assert_eq!(office.open_minutes_between(at("2025-10-10T20:50:00Z"), at("2025-10-13T12:20:00Z")), 30);
    }

    #[test]
    fn a_day_without_end_runs_to_midnight() {
        let hours: BusinessHours = serde_json::from_value(
            json!({"timezone": "UTC", "weekly": {"monday": [{"start": "00:00", "end": "24:00"}]}}),
        )
        .unwrap();
        assert!(hours.check().is_ok());
        assert!(hours.is_open(at("2025-01-06T23:59:59Z")));
        assert!(!hours.is_open(at("2025-01-07T00:00:00Z")));
    }

    #[test]
    fn broken_hours_are_refused_where_they_are() {
        #[track_caller]
        fn refused(hours: serde_json::Value, field: &str) {
            let hours: BusinessHours = serde_json::from_value(hours).unwrap();
            let error = hours.check().unwrap_err();
            assert_eq!((error.code(), error.field()), (ErrorCode::BusinessHoursInvalid, Some(field)));
        }
        let weekly = |intervals| json!({"timezone": "UTC", "weekly": {"friday": intervals}});
        refused(weekly(json!([{"start": "10:00", "end": "10:00"}])), "weekly.friday");
        refused(
            weekly(json!([{"start": "10:00", "end": "12:00"}, {"start": "11:00", "end": "13:00"}])),
            "weekly.friday",
        );
        let day = json!({"date": "2025-01-01"});
        refused(json!({"timezone": "UTC", "exceptions": [day, day]}), "exceptions[1].date");
        let error = input::parse::<TimeOfDay>(b"\"24:01\"").unwrap_err();
        assert_eq!(error.code(), ErrorCode::BusinessHoursInvalid);
    }
}
