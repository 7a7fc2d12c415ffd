//! Time zones by their name, and the arithmetic of local time.

use super::error::{ErrorCode, Result};
use super::time::Timestamp;
use super::timezone_links::LINKS;
use chrono::{NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// A time zone such as `America/Sao_Paulo`; former names are stored as the present one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timezone(Tz);

impl Timezone {
    pub const UTC: Timezone = Timezone(Tz::UTC);

    /// Reads a name of the time zone database in any case. Bare offsets (`+03:00`, `GMT-3`) say nothing of summer time and are refused.
    ///
    /// # Errors
    /// `timezone_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let zone = Tz::from_str_insensitive(text).map_err(|_| ErrorCode::TimezoneInvalid)?;
        if zone.name().starts_with("GMT+") || zone.name().starts_with("GMT-") {
            return Err(ErrorCode::TimezoneInvalid.into());
        }
        let target = LINKS.iter().find(|(alias, _)| *alias == zone.name()).map(|(_, target)| *target);
        match target {
            None => Ok(Timezone(zone)),
            Some(target) => target.parse().map(Timezone).map_err(|_| ErrorCode::TimezoneInvalid.into()),
        }
    }

    pub fn as_str(&self) -> &'static str {
        self.0.name()
    }

    /// The wall clock there at an instant.
    pub fn local(self, instant: Timestamp) -> NaiveDateTime {
        instant.datetime().with_timezone(&self.0).naive_local()
    }

    /// An instant with the wall clock there.
    pub(crate) fn at(self, instant: Timestamp) -> chrono::DateTime<Tz> {
        instant.datetime().with_timezone(&self.0)
    }

    /// The instant at which the wall clock there shows `local`. Inside the gap of a spring change it is the first instant after the
    /// gap; of the two of an autumn change it is the earlier one.
    pub fn instant(self, local: NaiveDateTime) -> Timestamp {
        let found = match self.0.from_local_datetime(&local).earliest() {
            Some(found) => found.with_timezone(&Utc),
            None => self.after_gap(local),
        };
        Timestamp::from_datetime(found)
    }

    /// The clock jumps over `local`: the jump is the first instant that has the later offset.
    fn after_gap(self, local: NaiveDateTime) -> chrono::DateTime<Utc> {
        let utc = local.and_utc();
        // No offset is further from UTC than a day, so the jump lies between these two.
        let (mut before, mut after) = (utc - TimeDelta::days(1), utc + TimeDelta::days(1));
        let is_after = |instant: &chrono::DateTime<Utc>| {
            let offset = self.0.offset_from_utc_datetime(&instant.naive_utc()).fix();
            instant.naive_utc() + offset > local
        };
        while after - before > TimeDelta::seconds(1) {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            if is_after(&middle) {
                after = middle;
            } else {
                before = middle;
            }
        }
        after
    }
}

impl Default for Timezone {
    fn default() -> Self {
        Timezone::UTC
    }
}

impl Ord for Timezone {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl PartialOrd for Timezone {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

super::text_enum::text_value!(Timezone, {
    "type": "string", "format": "iana-timezone", "description": "A time zone of the IANA database, for example America/Sao_Paulo."
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        assert_eq!(Timezone::parse(text).unwrap().as_str(), expected);
    }

    #[track_caller]
    fn instant(zone: &str, local: &str, expected: &str) {
        let local = local.parse::<NaiveDateTime>().unwrap();
        assert_eq!(Timezone::parse(zone).unwrap().instant(local), Timestamp::parse(expected).unwrap());
    }

    #[test]
    fn case_07_time_zones() {
        reads("america/sao_paulo", "America/Sao_Paulo");
        reads("America/Buenos_Aires", "America/Argentina/Buenos_Aires");
        for text in ["GMT-3", "+03:00", "", "Brazil", "GMT+0"] {
            assert_eq!(Timezone::parse(text).unwrap_err().code(), ErrorCode::TimezoneInvalid, "{text}");
        }
    }

    #[test]
    fn former_names_give_way_to_present_ones() {
        reads("Brazil/East", "America/Sao_Paulo");
        reads("Asia/Calcutta", "Asia/Kolkata");
        reads("etc/utc", "UTC");
        reads("Zulu", "UTC");
        reads("Europe/Oslo", "Europe/Oslo");
        assert_eq!(Timezone::default().as_str(), "UTC");
    }

    #[test]
    fn every_link_is_known_and_ends_at_a_name_of_its_own() {
        for (alias, target) in LINKS {
            assert!(alias.parse::<Tz>().is_ok(), "{alias}");
            reads(alias, target);
            reads(target, target);
        }
        for zone in chrono_tz::TZ_VARIANTS {
            if let Ok(zone) = Timezone::parse(zone.name()) {
                reads(zone.as_str(), zone.as_str());
            }
        }
    }

    #[test]
    fn gaps_move_forward_and_overlaps_take_the_earlier() {
        instant("America/New_York", "2025-03-09T02:30:00", "2025-03-09T07:00:00Z");
        instant("America/New_York", "2025-11-02T01:30:00", "2025-11-02T05:30:00Z");
        instant("America/Sao_Paulo", "2018-11-04T00:00:00", "2018-11-04T03:00:00Z");
        instant("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z");
        instant("UTC", "2025-01-01T00:00:00", "2025-01-01T00:00:00Z");
    }
}
