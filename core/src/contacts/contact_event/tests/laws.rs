//! Laws: the timeline is the projection of the log, whatever happened, and making it again changes nothing.

use super::*;
use proptest::prelude::*;

/// One arbitrary thing that happens.
#[derive(Debug, Clone)]
enum Step {
    Create,
    Rename(usize, u8),
    Tag(usize, u8, bool),
    Clear(usize),
    Delete(usize),
    Restore(usize),
    Interact(usize),
    Record(usize, bool),
    Read(usize),
    Work,
    SetBack,
    Wait(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let one = 0..3usize;
    prop_oneof![
        2 => Just(Step::Create),
        2 => (one.clone(), any::<u8>()).prop_map(|(at, n)| Step::Rename(at, n)),
        3 => (one.clone(), 0..4u8, any::<bool>()).prop_map(|(at, n, on)| Step::Tag(at, n, on)),
        1 => one.clone().prop_map(Step::Clear),
        1 => one.clone().prop_map(Step::Delete),
        1 => one.clone().prop_map(Step::Restore),
        1 => one.clone().prop_map(Step::Interact),
        2 => (one.clone(), any::<bool>()).prop_map(|(at, shown)| Step::Record(at, shown)),
        2 => one.prop_map(Step::Read),
        2 => Just(Step::Work),
        1 => Just(Step::SetBack),
        1 => (1..100u8).prop_map(Step::Wait),
    ]
}

impl Desk {
    /// Takes a step; that it may be refused is part of the game.
    fn take(&self, step: &Step, contacts: &mut Vec<Value>) {
        let call = |operation: &str, input: Value| self.as_actor(None, operation, input);
        let pick = |at: &usize| contacts.get(at % contacts.len().max(1)).cloned().unwrap_or(json!(Uuid::from_u128(9)));
        let outcome = match step {
            Step::Create => {
                call("contacts.create", json!({"name": "Ana"})).map(|made| contacts.push(made["id"].clone()))
            }
            Step::Rename(at, n) => call("contacts.update", json!({"id": pick(at), "name": format!("N{n}")})).map(drop),
            Step::Tag(at, n, true) => {
                call("contacts.add_tag", json!({"id": pick(at), "tag": format!("t{n}")})).map(drop)
            }
            Step::Tag(at, n, _) => {
                call("contacts.remove_tag", json!({"id": pick(at), "tag": format!("t{n}")})).map(drop)
            }
            Step::Clear(at) => call("contacts.update", json!({"id": pick(at), "tags": []})).map(drop),
            Step::Delete(at) => call("contacts.delete", json!({"id": pick(at)})).map(drop),
            Step::Restore(at) => call("contacts.restore", json!({"id": pick(at)})).map(drop),
            Step::Interact(at) => {
                call("contacts.record_interaction", json!({"id": pick(at), "type": "call"})).map(drop)
            }
            Step::Record(at, shown) => {
                let expires_at = self.world.clock_text(60);
                let input = json!({
                    "contact_id": pick(at), "event_type": "offer", "category": "general", "visible_to_client": shown,
                    "expires_at": expires_at,
                });
                call("timeline.record", input).map(drop)
            }
            Step::Read(at) => call("timeline.mark_read", json!({"contact_id": pick(at)})).map(drop),
            Step::Work => block_on(self.world.crm.run_pending()).map(drop),
            Step::SetBack => call("consumers.reset", json!({"name": REACTION, "to": {"type": "beginning"}})).map(drop),
            Step::Wait(hours) => {
                self.world.clock.advance_seconds(i64::from(*hours) * 3600);
                Ok(())
            }
        };
        if let Err(error) = outcome {
            assert_ne!(error.code(), ErrorCode::Internal, "{step:?}: {error:?}");
        }
    }

    /// The projection of the log, without what contacts have seen of it.
    fn projection(&self) -> Vec<(Uuid, String)> {
        let entries = self
            .log("*")
            .into_iter()
            .filter_map(|record| projection::project(&record, &crate::engine::Event::read(&record).unwrap()));
        let mut entries: Vec<_> = entries.map(|entry| (entry.id.uuid(), entry.event_type)).collect();
        entries.sort();
        entries
    }
}

impl World {
    fn clock_text(&self, seconds: i64) -> String {
        use crate::kernel::Clock;
        self.clock.now().plus_seconds(seconds).to_string()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_timeline_is_the_projection_of_the_log(steps in prop::collection::vec(step(), 1..30)) {
        let desk = Desk::new();
        let mut contacts = Vec::new();
        for step in &steps {
            desk.take(step, &mut contacts);
            desk.world.assert_log_matches();
        }
        desk.pending();
        let rows = desk.rows();
        let mut stored: Vec<(Uuid, String)> = rows
            .iter()
            .map(|(id, state)| (*id, serde_json::from_str::<TimelineEntry>(state).unwrap()))
            .filter(|(_, entry)| entry.is_projected())
            .map(|(id, entry)| (id, entry.event_type))
            .collect();
        stored.sort();
        prop_assert_eq!(stored, desk.projection());
        desk.world.assert_log_matches();
        prop_assert_eq!(&desk.call("events.verify", json!({"limit": 1000}))["problems"], &json!([]));
        // Made again, it is the same, byte for byte.
        desk.take(&Step::SetBack, &mut contacts);
        desk.pending();
        prop_assert_eq!(desk.rows(), rows);
    }
}
