//! What an answer means, and when the next attempt is due. Pure.

use super::AttemptErrorKind;
use crate::engine::Answer;
use crate::http::{HttpFailure, HttpResponse};
use crate::kernel::Timestamp;
use chrono::DateTime;

/// The first delay, and the longest, in seconds.
const FIRST: i64 = 10;
const LONGEST: i64 = 6 * 3600;
/// A receiver that asks for more than a day gets a day.
const MAX_AFTER: i64 = 24 * 3600;

/// What becomes of a delivery after one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Succeeded,
    /// The receiver is gone for good.
    Gone,
    /// Not now, and it is nobody's fault.
    Later,
    Retry {
        /// Everything else for the receiver waits, too.
        throttles: bool,
    },
    Refused,
}

/// One attempt's answer, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judged {
    pub class: Class,
    pub error_kind: Option<AttemptErrorKind>,
    pub status: Option<u16>,
    /// How long the receiver asked to be left alone, in seconds, at most a day.
    pub after: Option<i64>,
}

/// Judges an answer.
pub(super) fn judge(result: &Answer, now: Timestamp) -> Judged {
    use AttemptErrorKind as Kind;
    let retry = Class::Retry { throttles: false };
    let (class, error_kind) = match result {
        Ok(response) => match response.status {
            200..=299 => (Class::Succeeded, None),
            300..=399 => (retry, Some(Kind::Redirect)),
            410 => (Class::Gone, Some(Kind::Status)),
            429 => (Class::Later, Some(Kind::Status)),
            502..=504 => (Class::Retry { throttles: true }, Some(Kind::Status)),
            408 | 425 | 500.. => (retry, Some(Kind::Status)),
            _ => (Class::Refused, Some(Kind::Status)),
        },
        Err(HttpFailure::Blocked { .. }) => (Class::Refused, Some(Kind::BlockedAddress)),
        Err(HttpFailure::Dns) => (retry, Some(Kind::Dns)),
        Err(HttpFailure::Connect) => (retry, Some(Kind::Connect)),
        Err(HttpFailure::Tls) => (retry, Some(Kind::Tls)),
        Err(HttpFailure::Timeout { .. }) => (retry, Some(Kind::Timeout)),
        Err(HttpFailure::Interrupted) => (retry, Some(Kind::Interrupted)),
    };
    let response = result.as_ref().ok();
    Judged { class, error_kind, status: response.map(|r| r.status), after: response.and_then(|r| asked_delay(r, now)) }
}

/// `Retry-After`, in seconds or as a date.
fn asked_delay(response: &HttpResponse, now: Timestamp) -> Option<i64> {
    let text = response.header("retry-after")?;
    let seconds = match text.parse::<u32>() {
        Ok(seconds) => seconds.into(),
        Err(_) => Timestamp::from_datetime(DateTime::parse_from_rfc2822(text).ok()?.to_utc()).seconds_since(now),
    };
    Some(seconds.clamp(0, MAX_AFTER))
}

/// How long to wait after attempt `n`, in microseconds: `random` takes or gives up to a fifth.
pub(super) fn delay_micros(n: u32, random: u16) -> i64 {
    let seconds = FIRST.saturating_mul(3i64.saturating_pow(n.saturating_sub(1))).min(LONGEST);
    seconds * (800_000 + i64::from(random) * 400_000 / i64::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(HttpResponse { status, headers, body: Vec::new(), is_cut: false, address: None })
    }

    fn now() -> Timestamp {
        Timestamp::parse("2025-01-06T09:00:00Z").unwrap()
    }

    #[test]
    fn every_answer_has_its_class() {
        let retry = |throttles| Class::Retry { throttles };
        for (status, class) in [
            (200, Class::Succeeded),
            (204, Class::Succeeded),
            (299, Class::Succeeded),
            (301, retry(false)),
            (400, Class::Refused),
            (404, Class::Refused),
            (408, retry(false)),
            (410, Class::Gone),
            (425, retry(false)),
            (429, Class::Later),
            (500, retry(false)),
            (502, retry(true)),
            (503, retry(true)),
            (504, retry(true)),
            (599, retry(false)),
            (101, Class::Refused),
        ] {
            assert_eq!(judge(&answer(status, &[]), now()).class, class, "{status}");
        }
        assert_eq!(judge(&answer(301, &[]), now()).error_kind, Some(AttemptErrorKind::Redirect));
        for (failure, kind) in [
            (HttpFailure::Dns, AttemptErrorKind::Dns),
            (HttpFailure::Connect, AttemptErrorKind::Connect),
            (HttpFailure::Tls, AttemptErrorKind::Tls),
            (HttpFailure::Timeout { was_sent: true }, AttemptErrorKind::Timeout),
            (HttpFailure::Interrupted, AttemptErrorKind::Interrupted),
        ] {
            let judged = judge(&Err(failure), now());
            assert_eq!((judged.class, judged.error_kind), (retry(false), Some(kind)));
        }
    }

    #[test]
    fn a_receiver_says_how_long_to_wait() {
        let after = |text: &str| judge(&answer(503, &[("Retry-After", text)]), now()).after;
        assert_eq!(after("120"), Some(120));
        assert_eq!(after("Mon, 06 Jan 2025 09:02:00 GMT"), Some(120));
        assert_eq!(after("Mon, 06 Jan 2025 08:00:00 GMT"), Some(0));
        assert_eq!(after("999999"), Some(MAX_AFTER));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-5"), None);
    }

    #[test]
    fn delays_grow_to_six_hours() {
        let middle = |n| (delay_micros(n, u16::MAX / 2) + 500_000) / 1_000_000;
        assert_eq!([1, 2, 3, 4].map(middle), [10, 30, 90, 270]);
        assert_eq!([8, 12, 20].map(middle), [21_600; 3]);
        let until = |attempts: u32| (1..attempts).map(middle).sum::<i64>();
        assert_eq!((until(8) / 3600, until(12) / 3600, until(16) / 3600), (3, 27, 51));
    }

    proptest! {
        #[test]
        fn a_delay_is_within_a_fifth(n in 1u32..30, random: u16) {
            let plain = FIRST.saturating_mul(3i64.saturating_pow(n - 1)).min(LONGEST) * 1_000_000;
            let delay = delay_micros(n, random);
            prop_assert!(delay >= plain * 8 / 10 && delay <= plain * 12 / 10);
        }
    }
}
