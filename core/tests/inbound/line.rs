//! A project with one WhatsApp line, and the items that arrive on it.

use serde_json::{Value, json};
use std::sync::Arc;
use ventros::contacts::contact::Contact;
use ventros::conversations::inbound::{Ingest, Outcome, ParkedBecause};
use ventros::engine::{Aggregate, Context, Project};
use ventros::kernel::{ChannelId, Error, ProjectId, input, parse_uuid};
use ventros::storage::{EventQuery, EventRecord, MemoryStorage, Scope};
use ventros::testing::{WatchedStorage, World, block_on};

/// The line of the cases, and its world. Cheap to clone, so that another writer can act beside a call.
#[derive(Clone)]
pub struct Line {
    pub world: Arc<World>,
    pub store: Arc<WatchedStorage>,
    pub shop: Project,
    pub channel: ChannelId,
}

impl Line {
    /// A line that nobody ever switched on or off, at 10:00.
    pub fn new() -> Line {
        Line::with(json!({}))
    }

    pub fn with(settings: Value) -> Line {
        let store = WatchedStorage::around(Arc::new(MemoryStorage::default()));
        let world = World::on(store.clone()).unwrap();
        let mut input = json!({"name": "W1", "type": "waha"});
        input.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        Line::opened(world, store, input)
    }

    /// In a world that is open.
    pub fn of(world: World, store: Arc<WatchedStorage>) -> Line {
        Line::opened(world, store, json!({"name": "W1", "type": "waha"}))
    }

    /// With a vault, for a channel that has secrets.
    pub fn sealed(channel: Value) -> Line {
        let store = WatchedStorage::around(Arc::new(MemoryStorage::default()));
        let world = World::with_keys(store.clone(), [7; 32]).unwrap();
        Line::opened(world, store, channel)
    }

    fn opened(world: World, store: Arc<WatchedStorage>, channel: Value) -> Line {
        let shop = found(&world, "Acme");
        let channel = open_channel(&world, &shop, channel);
        world.clock.set("2025-01-06T10:00:00Z");
        Line { world: Arc::new(world), store, shop, channel }
    }

    /// A line that is connected.
    pub fn connected() -> Line {
        let line = Line::with(json!({"type": "whatsapp_business"}));
        line.ok("channels.activate", json!({"id": line.channel}));
        line.ok("channels.report_connection", json!({"id": line.channel, "connection": "connected"}));
        line
    }

    /// Another channel of the same project.
    pub fn beside(&self, name: &str) -> Line {
        let channel = open_channel(&self.world, &self.shop, json!({"name": name, "type": "waha"}));
        Line { channel, ..self.clone() }
    }

    pub fn call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        self.call_in(self.shop.context(), operation, input)
    }

    pub fn call_in(&self, context: Context, operation: &str, input: Value) -> Result<Value, Error> {
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    #[track_caller]
    pub fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    pub fn try_item(&self, item: Value) -> Result<Outcome, Error> {
        let command = input::parse_value::<Ingest>(json!({"channel_id": self.channel, "item": item})).unwrap();
        let mut outcomes = block_on(self.shop.execute(command))?;
        assert_eq!(outcomes.len(), 1, "{outcomes:?}");
        Ok(outcomes.remove(0))
    }

    #[track_caller]
    pub fn item(&self, item: Value) -> Outcome {
        self.try_item(item).unwrap_or_else(|error| panic!("{error:?}"))
    }

    #[track_caller]
    pub fn says(&self, id: &str, at: &str, text: &str) -> Outcome {
        self.item(message(id, at, text))
    }

    pub fn all<A: Aggregate>(&self) -> Vec<A> {
        let scope = Scope::Project(self.shop.id());
        let found = block_on(self.world.crm.core().storage().scan(scope, A::KIND, None, 20_000)).unwrap();
        found.iter().map(|snapshot| serde_json::from_str(&snapshot.state).unwrap()).collect()
    }

    #[track_caller]
    pub fn one<A: Aggregate>(&self) -> A {
        let mut all = self.all::<A>();
        assert_eq!(all.len(), 1, "{}", serde_json::to_string_pretty(&all).unwrap());
        all.remove(0)
    }

    #[track_caller]
    pub fn contact(&self) -> Contact {
        self.one()
    }

    /// The log from an event on, without what happened to the project and its channels.
    pub fn log(&self) -> Vec<EventRecord> {
        let query = EventQuery { limit: 100_000, ..EventQuery::default() };
        let events = block_on(self.world.crm.core().storage().events(Scope::Project(self.shop.id()), &query)).unwrap();
        let is_told =
            |event: &EventRecord| !event.event_type.starts_with("project") && !event.event_type.starts_with("channel");
        events.into_iter().filter(is_told).collect()
    }

    pub fn events(&self) -> Vec<String> {
        self.log().into_iter().map(|event| event.event_type).collect()
    }

    pub fn run(&self) {
        block_on(self.world.crm.run_pending()).unwrap();
    }

    pub fn set(&self, time: &str) {
        self.world.clock.set(&at(time));
    }
}

fn found(world: &World, name: &str) -> Project {
    let input = json!({"name": name, "default_region": "BR"}).to_string();
    let host = ventros::kernel::ActorRef::system(ventros::kernel::Component::Host);
    let answer = block_on(world.crm.call("projects.create", Context::new(None, host), input.as_bytes())).unwrap();
    let project: Value = serde_json::from_str(&answer).unwrap();
    world.crm.project(ProjectId::from_uuid(parse_uuid(project["id"].as_str().unwrap()).unwrap()))
}

fn open_channel(world: &World, shop: &Project, input: Value) -> ChannelId {
    let answer = block_on(world.crm.call("channels.create", shop.context(), input.to_string().as_bytes())).unwrap();
    let channel: Value = serde_json::from_str(&answer).unwrap();
    ChannelId::from_uuid(parse_uuid(channel["id"].as_str().unwrap()).unwrap())
}

impl Line {
    /// A line of another project in the same world.
    pub fn elsewhere(&self) -> Line {
        let shop = found(&self.world, "Other");
        let channel = open_channel(&self.world, &shop, json!({"name": "W1", "type": "waha"}));
        Line { shop, channel, ..self.clone() }
    }
}

/// A time of the day of the cases.
pub fn at(time: &str) -> String {
    format!("2025-01-06T{time}Z")
}

/// An inbound text of Ana.
pub fn message(id: &str, time: &str, text: &str) -> Value {
    json!({
        "type": "message",
        "channel_message_id": id,
        "chat": {"external_id": "5511999998888@c.us", "class": "individual", "kind_detail": "direct", "subject": null},
        "from_me": false,
        "sender": {"wid": "5511999998888", "display_name": "Ana"},
        "peer": {"wid": "5511999998888", "display_name": "Ana"},
        "timestamp": at(time),
        "content": {"type": "text", "body": text},
    })
}

/// An inbound text of somebody else.
pub fn message_of(who: &str, id: &str, time: &str) -> Value {
    let mut item = message(id, time, "Oi");
    item["chat"]["external_id"] = json!(format!("{who}@c.us"));
    item["sender"] = json!({"wid": who});
    item["peer"] = json!({"wid": who});
    item
}

/// A text of ours to Ana that was written on the paired phone.
pub fn from_me(id: &str, time: &str, text: &str) -> Value {
    let mut item = message(id, time, text);
    item["from_me"] = json!(true);
    item["sender"] = json!({"wid": "5511000000000"});
    item
}

/// The same in a group.
pub fn in_group(mut item: Value) -> Value {
    item["chat"] =
        json!({"external_id": "120363000000000001@g.us", "class": "group", "kind_detail": "group", "subject": null});
    item["peer"] = Value::Null;
    item
}

pub fn ack(id: &str, time: &str, signal: &str) -> Value {
    json!({"type": "ack", "channel_message_id": id, "signal": signal, "at": at(time)})
}

pub fn recorded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Recorded { .. })
}

pub fn waits(outcome: &Outcome) -> bool {
    *outcome == Outcome::Parked { reason: ParkedBecause::TargetUnknown }
}
