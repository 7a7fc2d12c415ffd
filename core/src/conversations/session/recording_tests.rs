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

/// The counters after messages arrived in this order: counted on, or all anew.
fn counted(messages: &[Counted]) -> SessionMetrics {
    let arrived = |number: usize| MessageId::from_uuid(Uuid::from_u128(number as u128));
    let mut metrics = SessionMetrics::default();
    for (number, message) in messages.iter().enumerate() {
        if metrics.can_count_on(*message) {
            metrics.count(*message);
        } else {
            let all = messages[..=number].iter().enumerate().map(|(number, message)| (arrived(number), *message));
            metrics = SessionMetrics::of(all, 0);
        }
    }
    metrics
}

proptest! {
    /// Whatever the order of arrival: the same counters, as long as no two messages are of one moment.
    #[test]
    fn the_order_of_arrival_changes_no_counter(
        (messages, shuffled) in prop::collection::btree_map(0i64..1_000, writer(), 0..30)
            .prop_map(|list| list.into_iter().map(|(s, by)| Counted { at: at(s), by }).collect::<Vec<_>>())
            .prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
    ) {
        let mut in_order = SessionMetrics::default();
        messages.iter().for_each(|message| in_order.count(*message));
        prop_assert_eq!(counted(&messages), in_order.clone());
        prop_assert_eq!(counted(&shuffled), in_order);
    }

    /// Messages of one moment count in the order of their arrival, and counting on agrees with counting anew.
    #[test]
    fn counting_on_is_counting_anew(
        messages in prop::collection::vec((0i64..20, writer()), 0..30)
            .prop_map(|list| list.into_iter().map(|(s, by)| Counted { at: at(s), by }).collect::<Vec<_>>()),
    ) {
        let all = messages.iter().enumerate();
        let anew = SessionMetrics::of(all.map(|(n, m)| (MessageId::from_uuid(Uuid::from_u128(n as u128)), *m)), 0);
        prop_assert_eq!(counted(&messages), anew);
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
