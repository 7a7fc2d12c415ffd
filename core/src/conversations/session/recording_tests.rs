//! The laws of the counters.

use super::recording::{Counted, Writer};
use crate::conversations::{Awaiting, SessionMetrics};
use crate::kernel::{MessageId, Timestamp};
use proptest::prelude::*;
use uuid::Uuid;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_736_150_400 + seconds).unwrap()
}

fn writer() -> impl Strategy<Value = Writer> {
    let agent = |(is_response, human): (bool, bool)| Writer::Agent { is_response, is_human: is_response && human };
    prop_oneof![Just(Writer::Contact), any::<(bool, bool)>().prop_map(agent)]
}

fn contact(seconds: i64) -> Counted {
    Counted { at: at(seconds), by: Writer::Contact }
}

fn agent(seconds: i64) -> Counted {
    Counted { at: at(seconds), by: Writer::Agent { is_response: true, is_human: true } }
}

fn counted(messages: &[Counted]) -> SessionMetrics {
    let mut metrics = SessionMetrics::default();
    messages.iter().for_each(|message| metrics.count(*message));
    metrics
}

proptest! {
    /// Whatever the order of arrival: counts, firsts, lasts and what is measured between firsts are the same.
    #[test]
    fn the_order_of_arrival_changes_no_count(
        (messages, shuffled) in prop::collection::vec((0i64..1_000, writer()), 0..30)
            .prop_map(|list| list.into_iter().map(|(s, by)| Counted { at: at(s), by }).collect::<Vec<_>>())
            .prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
    ) {
        let order_free = |messages: &[Counted]| {
            let metrics = counted(messages);
            SessionMetrics {
                response_count: 0,
                response_time_total_seconds: 0,
                response_time_max_seconds: 0,
                awaiting: Awaiting::Nobody,
                awaiting_since: None,
                ..metrics
            }
        };
        prop_assert_eq!(order_free(&messages), order_free(&shuffled));
    }

    /// Counting from scratch sorts first, so it does not matter in which order messages are handed over.
    #[test]
    fn counting_from_scratch_is_order_free(
        (messages, shuffled) in prop::collection::vec((0i64..1_000, writer()), 0..30)
            .prop_map(|list| list.into_iter().enumerate()
                .map(|(n, (s, by))| (MessageId::from_uuid(Uuid::from_u128(n as u128)), Counted { at: at(s), by }))
                .collect::<Vec<_>>())
            .prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
    ) {
        prop_assert_eq!(SessionMetrics::of(messages, 2), SessionMetrics::of(shuffled, 2));
    }
}

#[test]
fn a_response_is_measured_from_the_oldest_unanswered_message() {
    let metrics = counted(&[contact(0), contact(30), agent(90), agent(95), contact(100), agent(110)]);
    assert_eq!((metrics.response_count, metrics.response_time_total_seconds), (2, 100));
    assert_eq!((metrics.response_time_max_seconds, metrics.awaiting_since), (90, Some(at(110))));
}

#[test]
fn a_response_that_arrives_late_leaves_the_newer_question_open() {
    let metrics = counted(&[contact(0), contact(50), agent(20)]);
    assert_eq!((metrics.response_count, metrics.response_time_total_seconds), (1, 20));
    assert_eq!((metrics.awaiting, metrics.awaiting_since), (Awaiting::Agent, Some(at(50))));
}

#[test]
fn case_13_without_the_failed_reply_the_agent_is_awaited_again() {
    let id = |number| MessageId::from_uuid(Uuid::from_u128(number));
    let metrics = SessionMetrics::of([(id(1), contact(0))], 0);
    assert_eq!((metrics.first_agent_response_at, metrics.messages_from_agent), (None, 0));
    assert_eq!(metrics.awaiting, Awaiting::Agent);
}
