//! A WhatsApp line that is fed with random histories, and what is seen of it.

use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use ventros::catalogue::{AGGREGATES, AggregateType};
use ventros::channels::channel::commands::CreateChannel;
use ventros::contacts::contact::Contact;
use ventros::conversations::SessionMetrics;
use ventros::conversations::chat::Chat;
use ventros::conversations::inbound::Ingest;
use ventros::conversations::message::Message;
use ventros::conversations::session::Session;
use ventros::engine::{Aggregate, Project};
use ventros::kernel::{ChannelId, Timestamp, input};
use ventros::storage::{EventQuery, Scope, Storage};
use ventros::tenancy::project::commands::CreateProject;
use ventros::testing::{World, block_on};

pub struct Line {
    pub world: World,
    shop: Project,
    channel: ChannelId,
}

impl Line {
    pub fn on(storage: Arc<dyn Storage>) -> Line {
        Line::with(storage, json!({"name": "W1", "type": "waha"}))
    }

    pub fn with(storage: Arc<dyn Storage>, channel: Value) -> Line {
        let world = World::on(storage).unwrap();
        let acme = input::parse_value::<CreateProject>(json!({"name": "Acme", "default_region": "BR"})).unwrap();
        let shop = world.crm.project(block_on(world.crm.execute(acme)).unwrap().id);
        let channel = input::parse_value::<CreateChannel>(channel).unwrap();
        let channel = block_on(shop.execute(channel)).unwrap().channel.id;
        world.clock.set("2025-01-06T23:00:00Z");
        Line { world, shop, channel }
    }

    pub fn feed(&self, items: &[Value]) {
        for item in items {
            let command = input::parse_value::<Ingest>(json!({"channel_id": self.channel, "item": item})).unwrap();
            block_on(self.shop.execute(command)).unwrap();
        }
        // Whatever was parked beside its message looks again.
        self.world.clock.advance_seconds(60);
        block_on(self.world.crm.run_pending()).unwrap();
    }

    pub fn all<A: Aggregate>(&self) -> Vec<A> {
        let storage = self.world.crm.core().storage();
        let found = block_on(storage.scan(Scope::Project(self.shop.id()), A::KIND, None, 1_000)).unwrap();
        found.iter().map(|snapshot| serde_json::from_str(&snapshot.state).unwrap()).collect()
    }

    pub fn log(&self) -> Vec<String> {
        let query = EventQuery { limit: 10_000, ..EventQuery::default() };
        let events = block_on(self.world.crm.core().storage().events(Scope::Project(self.shop.id()), &query)).unwrap();
        events.iter().map(|event| serde_json::to_string(event).unwrap()).collect()
    }

    /// Every snapshot as it is stored.
    pub fn states(&self) -> Vec<String> {
        let storage = self.world.crm.core().storage();
        let of_kind = |aggregate: &AggregateType| {
            let found = block_on(storage.scan(Scope::Project(self.shop.id()), aggregate.kind, None, 10_000)).unwrap();
            found.into_iter().map(|snapshot| format!("{} {}", snapshot.revision, snapshot.state)).collect::<Vec<_>>()
        };
        AGGREGATES.iter().flat_map(of_kind).collect()
    }

    /// The course of each session, and its counters, without how many messages came late.
    pub fn sessions(&self) -> Vec<Value> {
        let course = |session: Session| {
            let metrics = SessionMetrics { late_count: 0, ..session.metrics };
            json!([session.started_at, session.last_activity_at, session.duration_seconds, session.status, metrics])
        };
        let mut sessions: Vec<Value> = self.all::<Session>().into_iter().map(course).collect();
        sessions.sort_by_key(Value::to_string);
        sessions
    }

    /// What people see, without the ids and moments of processing.
    pub fn picture(&self) -> Value {
        let names: BTreeMap<_, _> = self.all::<Contact>().into_iter().map(|c| (c.id, c)).collect();
        let mut contacts: Vec<Value> = names
            .values()
            .map(|c| json!([c.name, c.phone, c.first_interaction_at, c.last_interaction_at, c.last_inbound_at]))
            .collect();
        let mut chats: Vec<Value> = self
            .all::<Chat>()
            .iter()
            .map(|c| {
                json!([
                    c.external_id,
                    c.unread_count,
                    c.message_count,
                    c.last_message.as_ref().map(|l| (l.at, &l.preview))
                ])
            })
            .collect();
        let mut messages: Vec<Value> = self
            .all::<Message>()
            .iter()
            .map(|m| {
                let reactions: Vec<&str> = m.reactions.iter().map(|r| r.emoji.as_str()).collect();
                let contact = m.contact_id.map(|id| &names[&id].phone);
                json!([
                    m.channel_message_id,
                    m.status,
                    m.content,
                    reactions,
                    m.edit_count,
                    m.timestamp,
                    m.direction,
                    contact
                ])
            })
            .collect();
        for rows in [&mut contacts, &mut chats, &mut messages] {
            rows.sort_by_key(Value::to_string);
        }
        json!({"contacts": contacts, "chats": chats, "messages": messages})
    }
}

const PEOPLE: [(&str, &str); 3] = [("5511999990001", "Ana"), ("5521999990002", "Bruno"), ("5531999990003", "Carla")];

fn moment(second: u32) -> String {
    let start = Timestamp::parse("2025-01-06T10:00:00Z").unwrap();
    start.plus_seconds(i64::from(second)).to_string()
}

fn message(number: usize, person: usize, from_me: bool, second: u32) -> Value {
    let (wid, name) = PEOPLE[person];
    let them = json!({"wid": wid, "display_name": if from_me { Value::Null } else { json!(name) }});
    let sender = if from_me { json!({"wid": "5511000000000"}) } else { them.clone() };
    json!({
        "type": "message", "channel_message_id": format!("M{number}"), "from_me": from_me, "sender": sender, "peer": them,
        "chat": {"external_id": format!("{wid}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
        "timestamp": moment(second), "content": {"type": "text", "body": format!("text {number}")},
    })
}

#[derive(Debug, Clone)]
enum About {
    Ack(&'static str),
    Reaction(Option<&'static str>),
    Edit,
}

/// A history: messages at times of their own, then facts about them.
pub fn history() -> impl Strategy<Value = Vec<Value>> {
    let messages = prop::collection::vec((0usize..3, any::<bool>()), 1..12);
    let about = prop_oneof![
        prop::sample::select(vec!["sent", "delivered", "read"]).prop_map(About::Ack),
        prop::sample::select(vec![Some("👍"), Some("❤️"), None]).prop_map(About::Reaction),
        Just(About::Edit),
    ];
    let facts = prop::collection::vec((any::<prop::sample::Index>(), about), 0..12);
    (messages, facts).prop_map(|(messages, facts)| {
        let mut items: Vec<Value> = messages
            .iter()
            .enumerate()
            .map(|(number, (person, from_me))| message(number, *person, *from_me, number as u32 * 700))
            .collect();
        for (turn, (which, fact)) in facts.into_iter().enumerate() {
            let number = which.index(messages.len());
            let (id, at) = (format!("M{number}"), moment(20_000 + turn as u32));
            let by = json!({"wid": PEOPLE[messages[number].0].0});
            items.push(match fact {
                About::Ack(signal) => json!({"type": "ack", "channel_message_id": id, "signal": signal, "at": at}),
                About::Reaction(emoji) => json!({
                    "type": "reaction", "target_channel_message_id": id, "from_me": false, "by": by, "emoji": emoji, "at": at,
                }),
                About::Edit => json!({
                    "type": "edit", "target_channel_message_id": id, "from_me": messages[number].1, "by": by,
                    "text": format!("edited {turn}"), "at": at,
                }),
            });
        }
        items
    })
}

/// A history, and the same in another order with repetitions.
pub fn shuffled() -> impl Strategy<Value = (Vec<Value>, Vec<Value>)> {
    history().prop_flat_map(|items| {
        let repeated = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
        (Just(items.clone()), Just(items).prop_shuffle(), repeated).prop_map(|(items, mut other, repeated)| {
            for index in repeated {
                other.push(other[index.index(other.len())].clone());
            }
            (items, other)
        })
    })
}
