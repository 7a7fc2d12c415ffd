//! When something recurs, and the next time that it does. A pure function of the clock that it is given.

use crate::kernel::{Error, ErrorCode, Result, Timestamp, Timezone};
use chrono::{Datelike, Days, NaiveDate};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A recurrence without a time within so many days does not happen: five years.
const HORIZON_DAYS: i64 = 5 * 366;
const DAY_SECONDS: i64 = 24 * 3_600;
const MAX_EVERY_MINUTES: u32 = 525_600;
/// The longest cron expression, in characters.
const MAX_CRON: usize = 200;
/// Names that stand for a cron expression.
const NICKNAMES: [&str; 7] = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"];

/// The times at which something is done: never before `start_time`, never after `end_time`.
///
/// Local times are those of `timezone`, the project's unless told. A time that the clock jumps over in spring is the first moment
/// after the jump; of a time that comes twice in autumn it is the first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Recurrence {
    /// Once.
    Once { start_time: Timestamp },
    /// Every so many minutes, counted from the start, whatever the clocks do.
    Interval {
        /// 1 to 525,600.
        every_minutes: u32,
        /// When it is created unless told.
        #[serde(default)]
        start_time: Option<Timestamp>,
        #[serde(default)]
        end_time: Option<Timestamp>,
    },
    /// Every day.
    Daily {
        /// 0 to 23.
        hour: u32,
        /// 0 to 59; 0 unless told.
        #[serde(default)]
        minute: u32,
        #[serde(default)]
        timezone: Option<Timezone>,
        #[serde(default)]
        start_time: Option<Timestamp>,
        #[serde(default)]
        end_time: Option<Timestamp>,
    },
    /// On some days of every week.
    Weekly {
        /// At least one: 0 is Sunday, 6 Saturday.
        days_of_week: Vec<u32>,
        /// 0 to 23.
        hour: u32,
        /// 0 to 59; 0 unless told.
        #[serde(default)]
        minute: u32,
        #[serde(default)]
        timezone: Option<Timezone>,
        #[serde(default)]
        start_time: Option<Timestamp>,
        #[serde(default)]
        end_time: Option<Timestamp>,
    },
    /// On a day of every month.
    Monthly {
        /// 1 to 31. A month without this day takes its last one, so 31 is the last day of every month.
        day_of_month: u32,
        /// 0 to 23.
        hour: u32,
        /// 0 to 59; 0 unless told.
        #[serde(default)]
        minute: u32,
        #[serde(default)]
        timezone: Option<Timezone>,
        #[serde(default)]
        start_time: Option<Timestamp>,
        #[serde(default)]
        end_time: Option<Timestamp>,
    },
    /// As a cron expression says.
    Cron {
        /// Minute, hour, day of month, month and day of week, with `L`, `W` and `#`; or `@hourly`, `@daily`, `@weekly`, `@monthly`,
        /// `@yearly`. At most 200 characters.
        cron_expr: String,
        #[serde(default)]
        timezone: Option<Timezone>,
        #[serde(default)]
        start_time: Option<Timestamp>,
        #[serde(default)]
        end_time: Option<Timestamp>,
    },
}

impl Recurrence {
    /// The same with everything said that was left open, and the first time after `now`.
    ///
    /// # Errors
    /// `schedule_invalid` at the field, `schedule_never_fires`.
    pub fn settled(mut self, now: Timestamp, default: Timezone) -> Result<(Recurrence, Timestamp)> {
        self.check()?;
        match &mut self {
            Recurrence::Once { start_time } if *start_time <= now => {
                return Err(invalid("start_time", "it is over already"));
            }
            Recurrence::Once { .. } => {}
            Recurrence::Interval { start_time, .. } => *start_time = start_time.or(Some(now)),
            Recurrence::Weekly { days_of_week, timezone, .. } => {
                days_of_week.sort_unstable();
                days_of_week.dedup();
                *timezone = timezone.or(Some(default));
            }
            Recurrence::Daily { timezone, .. }
            | Recurrence::Monthly { timezone, .. }
            | Recurrence::Cron { timezone, .. } => *timezone = timezone.or(Some(default)),
        }
        let next = self.next(now).ok_or(ErrorCode::ScheduleNeverFires)?;
        Ok((self, next))
    }

    /// The first time after `after`; none when there is none, or none within five years of it.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let (start, end) = self.bounds();
        // The start itself counts.
        let after = start.map_or(after, |start| after.max(start.plus_micros(-1)));
        let found = match self {
            Recurrence::Once { start_time } => Some(*start_time),
            Recurrence::Interval { every_minutes, .. } => next_interval(start?, *every_minutes, after),
            Recurrence::Daily { hour, minute, timezone, .. } => {
                next_day(after, timezone.unwrap_or_default(), *hour, *minute, |_| true)
            }
            Recurrence::Weekly { days_of_week, hour, minute, timezone, .. } => {
                let fits = |date: NaiveDate| days_of_week.contains(&date.weekday().num_days_from_sunday());
                next_day(after, timezone.unwrap_or_default(), *hour, *minute, fits)
            }
            Recurrence::Monthly { day_of_month, hour, minute, timezone, .. } => {
                let fits = |date: NaiveDate| date.day() == (*day_of_month).min(u32::from(date.num_days_in_month()));
                next_day(after, timezone.unwrap_or_default(), *hour, *minute, fits)
            }
            Recurrence::Cron { cron_expr, timezone, .. } => next_cron(cron_expr, timezone.unwrap_or_default(), after),
        };
        let horizon = after.plus_seconds(HORIZON_DAYS * DAY_SECONDS);
        found
            .filter(|at| *at > after && end.is_none_or(|end| *at <= end))
            .filter(|at| *at <= horizon || matches!(self, Recurrence::Once { .. }))
    }

    fn bounds(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        match self {
            Recurrence::Once { .. } => (None, None),
            Recurrence::Interval { start_time, end_time, .. }
            | Recurrence::Daily { start_time, end_time, .. }
            | Recurrence::Weekly { start_time, end_time, .. }
            | Recurrence::Monthly { start_time, end_time, .. }
            | Recurrence::Cron { start_time, end_time, .. } => (*start_time, *end_time),
        }
    }

    fn check(&self) -> Result<()> {
        let clock = |hour: u32, minute: u32| {
            within("hour", hour, 0, 23)?;
            within("minute", minute, 0, 59)
        };
        match self {
            Recurrence::Once { .. } => Ok(()),
            Recurrence::Interval { every_minutes, .. } => within("every_minutes", *every_minutes, 1, MAX_EVERY_MINUTES),
            Recurrence::Daily { hour, minute, .. } => clock(*hour, *minute),
            Recurrence::Weekly { days_of_week, hour, minute, .. } => {
                if days_of_week.is_empty() || days_of_week.len() > 7 {
                    return Err(invalid("days_of_week", "it needs one to seven days"));
                }
                let wrong = days_of_week.iter().position(|day| *day > 6);
                match wrong {
                    Some(number) => Err(invalid(&format!("days_of_week[{number}]"), "a day is 0 to 6")),
                    None => clock(*hour, *minute),
                }
            }
            Recurrence::Monthly { day_of_month, hour, minute, .. } => {
                within("day_of_month", *day_of_month, 1, 31)?;
                clock(*hour, *minute)
            }
            Recurrence::Cron { cron_expr, .. } => cron(cron_expr).map(drop),
        }
    }
}

fn invalid(field: &str, why: &str) -> Error {
    Error::new(ErrorCode::ScheduleInvalid).at(field).message(why)
}

fn within(field: &'static str, number: u32, min: u32, max: u32) -> Result<()> {
    if (min..=max).contains(&number) {
        return Ok(());
    }
    Err(Error::new(ErrorCode::ScheduleInvalid).at(field).with("min", min).with("max", max))
}

fn next_interval(start: Timestamp, every_minutes: u32, after: Timestamp) -> Option<Timestamp> {
    let every = i64::from(every_minutes) * 60 * 1_000_000;
    let passed = (after.micros() - start.micros()).div_euclid(every);
    Timestamp::from_micros(start.micros() + (passed + 1).checked_mul(every)?)
}

/// The first of the fitting days whose `hour:minute` comes after a moment.
fn next_day(
    after: Timestamp,
    timezone: Timezone,
    hour: u32,
    minute: u32,
    fits: impl Fn(NaiveDate) -> bool,
) -> Option<Timestamp> {
    let first = timezone.local(after).date();
    // A fitting day is no more than a month away; where a clock jumps over a whole day it may be one later.
    let days = (0..64).filter_map(|days| first.checked_add_days(Days::new(days)));
    let mut times = days.filter(|date| fits(*date)).filter_map(|date| date.and_hms_opt(hour, minute, 0));
    times.find_map(|local| Some(timezone.instant(local)).filter(|at| *at > after))
}

fn next_cron(text: &str, timezone: Timezone, after: Timestamp) -> Option<Timestamp> {
    let found = cron(text).ok()?.find_next_occurrence(&timezone.at(after), false).ok()?;
    Some(Timestamp::from_datetime(found.with_timezone(&chrono::Utc)))
}

/// Reads a cron expression. What the parser takes beyond five fields, `L`, `W`, `#` and the nicknames is refused.
fn cron(text: &str) -> Result<Cron> {
    let text = text.trim();
    let is_nickname = NICKNAMES.iter().any(|name| name.eq_ignore_ascii_case(text));
    let is_plain = |c: char| c.is_ascii_alphanumeric() || " \t*,-/#".contains(c);
    if text.len() > MAX_CRON || !(is_nickname || text.chars().all(is_plain)) {
        return Err(invalid(
            "cron_expr",
            "it has five fields of digits, names, * , - / L W and #, or is a name such as @daily",
        ));
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).map_err(|error| invalid("cron_expr", &error.to_string()))
}
