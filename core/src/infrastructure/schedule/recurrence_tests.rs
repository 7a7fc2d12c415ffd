//! The acceptance cases of the workflows page that are about recurrences, and the laws of `next`.

use super::Recurrence;
use crate::kernel::{ErrorCode, Timestamp, Timezone};
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a moment")
}

fn read(recurrence: Value) -> Recurrence {
    serde_json::from_value(recurrence).expect("a recurrence")
}

#[track_caller]
fn fires(recurrence: Value, after: &str, expected: &[&str]) {
    let (recurrence, first) = read(recurrence).settled(at(after), Timezone::UTC).expect("it fires");
    let times = std::iter::successors(Some(first), |last| recurrence.next(*last));
    let times: Vec<String> = times.take(expected.len()).map(|time| time.to_string()).collect();
    let expected: Vec<String> = expected.iter().map(|text| at(text).to_string()).collect();
    assert_eq!(times, expected);
}

#[track_caller]
fn refused(recurrence: Value, code: ErrorCode, field: Option<&str>) {
    let error = read(recurrence).settled(at("2026-02-02T00:00:00Z"), Timezone::UTC).expect_err("it is wrong");
    assert_eq!((error.code(), error.field()), (code, field), "{error:?}");
}

#[test]
fn case_7_daily_and_weekly_in_a_time_zone() {
    let daily = json!({"type": "daily", "hour": 9, "timezone": "America/Sao_Paulo"});
    fires(daily, "2026-02-02T12:00:00Z", &["2026-02-03T12:00:00Z", "2026-02-04T12:00:00Z"]);
    // Monday and Friday; 2 February 2026 is a Monday.
    let weekly = json!({"type": "weekly", "days_of_week": [5, 1, 5], "hour": 8, "minute": 30});
    fires(weekly, "2026-02-02T08:00:00Z", &["2026-02-02T08:30:00Z", "2026-02-06T08:30:00Z", "2026-02-09T08:30:00Z"]);
}

#[test]
fn case_8_a_month_without_the_day_takes_its_last_one() {
    let monthly = json!({"type": "monthly", "day_of_month": 31, "hour": 0});
    let expected = ["2026-04-30T00:00:00Z", "2026-05-31T00:00:00Z", "2026-06-30T00:00:00Z"];
    fires(monthly.clone(), "2026-04-01T00:00:00Z", &expected);
    fires(monthly, "2028-02-01T00:00:00Z", &["2028-02-29T00:00:00Z"]);
    refused(json!({"type": "cron", "cron_expr": "0 9 31 2 *"}), ErrorCode::ScheduleNeverFires, None);
    let leap = json!({"type": "cron", "cron_expr": "0 9 29 2 *"});
    fires(leap, "2026-02-02T00:00:00Z", &["2028-02-29T09:00:00Z"]);
}

#[test]
fn case_9_the_clock_changes() {
    let daily = json!({"type": "daily", "hour": 2, "minute": 30, "timezone": "Europe/Berlin"});
    // 29 March: two o'clock becomes three.
    let spring = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    fires(daily.clone(), "2026-03-27T12:00:00Z", &spring);
    // 25 October: three o'clock becomes two.
    let autumn = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    fires(daily, "2026-10-23T12:00:00Z", &autumn);
    let cron = |text: &str| json!({"type": "cron", "cron_expr": text, "timezone": "America/New_York"});
    fires(cron("30 2 * * *"), "2026-03-07T12:00:00Z", &["2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"]);
    fires(cron("30 1 * * *"), "2026-10-31T12:00:00Z", &["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]);
}

#[test]
fn case_10_cron() {
    let work = read(json!({"type": "cron", "cron_expr": "*/15 9-17 * * 1-5"}));
    let (work, first) = work.settled(at("2026-02-02T00:00:00Z"), Timezone::UTC).expect("it fires");
    let of_the_day = std::iter::successors(Some(first), |last| work.next(*last));
    assert_eq!(of_the_day.take_while(|time| *time < at("2026-02-03T00:00:00Z")).count(), 36);
    let wrong = [
        "61 * * * *",
        "*/5 * * * * *",
        "0 9 * * * 2027",
        "@reboot",
        "0 9 ? * *",
        "@daily 1",
        "",
        "0 9 * * +1",
        "x y z a b",
    ];
    for text in wrong {
        refused(json!({"type": "cron", "cron_expr": text}), ErrorCode::ScheduleInvalid, Some("cron_expr"));
    }
    let last_friday = json!({"type": "cron", "cron_expr": "0 9 * * 5L"});
    fires(last_friday, "2026-02-02T00:00:00Z", &["2026-02-27T09:00:00Z", "2026-03-27T09:00:00Z"]);
    let second_monday = json!({"type": "cron", "cron_expr": "0 9 * * mon#2"});
    fires(second_monday, "2026-02-02T00:00:00Z", &["2026-02-09T09:00:00Z", "2026-03-09T09:00:00Z"]);
    fires(json!({"type": "cron", "cron_expr": "@weekly"}), "2026-02-02T00:00:00Z", &["2026-02-08T00:00:00Z"]);
}

#[test]
fn a_start_counts_and_so_does_an_end() {
    let every = json!({
        "type": "interval", "every_minutes": 90, "start_time": "2026-02-02T06:00:00Z", "end_time": "2026-02-02T09:00:00Z"
    });
    let times = ["2026-02-02T06:00:00Z", "2026-02-02T07:30:00Z", "2026-02-02T09:00:00Z"];
    fires(every.clone(), "2026-02-01T00:00:00Z", &times);
    assert_eq!(read(every).next(at("2026-02-02T09:00:00Z")), None);
    // Unless told it begins now.
    fires(json!({"type": "interval", "every_minutes": 1}), "2026-02-02T06:00:30Z", &["2026-02-02T06:01:30Z"]);
    fires(
        json!({"type": "once", "start_time": "2046-02-02T06:00:00Z"}),
        "2026-02-02T06:00:00Z",
        &["2046-02-02T06:00:00Z"],
    );
    let ended = json!({"type": "daily", "hour": 9, "end_time": "2026-02-02T08:00:00Z"});
    refused(ended, ErrorCode::ScheduleNeverFires, None);
}

#[test]
fn what_cannot_be_kept_to_is_refused_at_its_field() {
    let invalid = |recurrence: Value, field: &str| refused(recurrence, ErrorCode::ScheduleInvalid, Some(field));
    invalid(json!({"type": "once", "start_time": "2026-02-01T00:00:00Z"}), "start_time");
    invalid(json!({"type": "interval", "every_minutes": 0}), "every_minutes");
    invalid(json!({"type": "interval", "every_minutes": 525_601}), "every_minutes");
    invalid(json!({"type": "daily", "hour": 24}), "hour");
    invalid(json!({"type": "daily", "hour": 0, "minute": 60}), "minute");
    invalid(json!({"type": "weekly", "days_of_week": [], "hour": 0}), "days_of_week");
    invalid(json!({"type": "weekly", "days_of_week": [1, 7], "hour": 0}), "days_of_week[1]");
    invalid(json!({"type": "monthly", "day_of_month": 0, "hour": 0}), "day_of_month");
}

fn any_recurrence() -> impl Strategy<Value = Recurrence> {
    let zone = prop::sample::select(vec![
        "UTC",
        "Europe/Berlin",
        "America/Sao_Paulo",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Australia/Lord_Howe",
    ]);
    let clock = (0..24u32, 0..60u32, zone);
    let cron =
        prop::sample::select(vec!["*/15 9-17 * * 1-5", "30 2 * * *", "0 0 L * *", "0 12 15W * *", "5 4 * * sun#1"]);
    prop_oneof![
        (1..2_000u32).prop_map(
            |every| json!({"type": "interval", "every_minutes": every, "start_time": "2010-01-01T00:00:00Z"})
        ),
        clock.clone().prop_map(|(h, m, z)| json!({"type": "daily", "hour": h, "minute": m, "timezone": z})),
        (prop::collection::btree_set(0..7u32, 1..4), clock.clone()).prop_map(
            |(d, (h, m, z))| json!({"type": "weekly", "days_of_week": d, "hour": h, "minute": m, "timezone": z})
        ),
        (1..32u32, clock.clone()).prop_map(
            |(d, (h, m, z))| json!({"type": "monthly", "day_of_month": d, "hour": h, "minute": m, "timezone": z})
        ),
        (cron, clock).prop_map(|(c, (_, _, z))| json!({"type": "cron", "cron_expr": c, "timezone": z})),
    ]
    .prop_map(read)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A time is after what it was asked after, and asking from anywhere before it gives nothing earlier: no time is left out, and
    /// none comes twice.
    #[test]
    fn times_are_in_order_whoever_asks_from_where(
        recurrence in any_recurrence(),
        // 2010 to 2037.
        from in 1_262_304_000i64..2_114_380_800,
        back in 1i64..10_000_000,
    ) {
        let from = Timestamp::from_seconds(from).expect("a moment");
        let next = recurrence.next(from).expect("it fires");
        prop_assert!(next > from);
        prop_assert_eq!(recurrence.next(next.plus_micros(-1)), Some(next));
        let mut at = from.plus_seconds(-back % 200_000);
        while let Some(found) = recurrence.next(at).filter(|found| *found <= from) {
            prop_assert!(found > at);
            at = found;
        }
        prop_assert_eq!(recurrence.next(at), Some(next));
    }
}
