//! A large shop in short time: copies of what one delivery has made, written through the storage port with the states that the
//! product itself would write, 1 000 snapshots to a commit.

use super::{Shop, delivery, phone};
use serde_json::{Value, json};
use std::time::Instant;
use uuid::Uuid;
use ventros::catalogue::AGGREGATES;
use ventros::kernel::{Kind, Timestamp};
use ventros::storage::{Batch, IndexChange, Scope, Snapshot, SnapshotWrite};
use ventros::testing::block_on;

const TOGETHER: usize = 1_000;
/// All messages are younger than this: 2025-01-01T00:00:00Z.
const START: i64 = 1_735_689_600_000_000;

pub fn contact_id(number: usize) -> Uuid {
    Uuid::from_u64_pair(0x0190_0000_0000_7000 | (number as u64 >> 12) << 16, 1 << 63 | number as u64)
}

/// Chats have ids in no order, as those of people who write at different times.
pub fn chat_id(number: usize) -> Uuid {
    let mixed = (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    Uuid::from_u64_pair(mixed & !0xF000 | 0x7000, 1 << 63 | mixed >> 2)
}

fn message_id(number: usize) -> Uuid {
    Uuid::from_u64_pair(0x0191_0000_0000_7000 | (number as u64 >> 12) << 16, 1 << 63 | number as u64)
}

/// Fills a shop with copies of what one delivery has made of it.
pub struct Filler<'s> {
    shop: &'s Shop,
    contact: Value,
    message: Value,
}

impl Filler<'_> {
    pub fn of(shop: &Shop) -> Filler<'_> {
        shop.ingest(delivery(99_999_999, 0));
        let state = |kind| {
            let scope = Scope::Project(shop.project.id());
            let found = block_on(shop.crm.core().storage().scan(scope, kind, None, 1)).unwrap();
            serde_json::from_str(&found[0].state).unwrap()
        };
        Filler { shop, contact: state(Kind::Contact), message: state(Kind::Message) }
    }

    fn write(&self, kind: Kind, id: Uuid, state: &Value) -> SnapshotWrite {
        let aggregate = AGGREGATES.iter().find(|aggregate| aggregate.kind == kind).unwrap();
        let (project_id, schema) = (self.shop.project.id(), aggregate.schema());
        let snapshot = Snapshot { project_id, id, revision: 1, schema, state: state.to_string() };
        // The state as the product would write it, and what it derives from that.
        let state = (aggregate.decode)(&snapshot).unwrap();
        let (base, index) = (state.base(), state.index());
        SnapshotWrite {
            project_id,
            kind,
            id,
            loaded_revision: 0,
            revision: base.revision,
            version: base.version,
            schema,
            created_at: base.created_at,
            updated_at: base.updated_at,
            state: state.encode().unwrap(),
            changed: IndexChange::between(None, &index),
            index,
        }
    }

    pub fn contact(&self, number: usize) -> SnapshotWrite {
        let (id, mut state) = (contact_id(number), self.contact.clone());
        state["id"] = json!(id);
        state["name"] = json!(format!("Customer {number}"));
        state["push_name"] = state["name"].clone();
        state["phone"] = json!(format!("+{}", phone(number)));
        state["whatsapp"] = Value::Null;
        self.write(Kind::Contact, id, &state)
    }

    /// Chats take turns, so that the messages of one lie far apart.
    pub fn message(&self, number: usize, chats: usize) -> SnapshotWrite {
        let (id, mut state) = (message_id(number), self.message.clone());
        let at = Timestamp::from_micros(START + number as i64 * 1_000_000).unwrap();
        state["id"] = json!(id);
        state["chat_id"] = json!(chat_id(number % chats));
        state["session_id"] = json!(chat_id(number % chats + chats));
        state["contact_id"] = json!(contact_id(number % chats));
        state["channel_message_id"] = json!(format!("false_{}@c.us_3EB0{number:016X}", phone(number % chats)));
        state["timestamp"] = json!(at);
        self.write(Kind::Message, id, &state)
    }

    pub fn fill(&self, what: &str, count: usize, write: impl Fn(usize) -> SnapshotWrite) {
        let start = Instant::now();
        for chunk in 0..count.div_ceil(TOGETHER) {
            let snapshots = (chunk * TOGETHER..count.min((chunk + 1) * TOGETHER)).map(&write).collect();
            block_on(self.shop.crm.core().storage().commit(Batch { snapshots, ..Batch::default() })).unwrap();
        }
        println!("{what}: {count} in {:.0} s", start.elapsed().as_secs_f64());
    }
}
