//! The acceptance cases of chats, by their numbers on the page.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod groups;
mod inbox;
mod individual;
mod labels;

use serde_json::{Value, json};
use ventros::conversations::chat::Chat;
use ventros::engine::{Context, Event, Meta, fold};
use ventros::kernel::{
    ActorRef, Component, Error, ErrorCode, EventId, Kind, MemberRole, ProjectId, Subject, Timestamp, UserId, parse_uuid,
};
use ventros::storage::{EventQuery, Scope};
use ventros::testing::{World, block_on};

/// Two agents of the host.
const A1: &str = "0199d1c2-0000-7000-8000-0000000000a1";
const A2: &str = "0199d1c2-0000-7000-8000-0000000000a2";
const ANA: &str = "5511999998888";
const GROUP: &str = "120363000000000001@g.us";

/// A project with a WhatsApp line that takes groups. It is 2025-01-06T12:00:00Z.
struct Shop {
    world: World,
    project: ProjectId,
    w1: String,
}

impl Shop {
    #[track_caller]
    fn new() -> Shop {
        let world = World::new();
        world.clock.set("2025-01-06T12:00:00Z");
        let acme = host(&world, "projects.create", json!({"name": "Acme", "default_region": "BR"}));
        let mut shop = Shop { world, project: ProjectId::from_uuid(parse_uuid(id(&acme)).unwrap()), w1: String::new() };
        shop.w1 = shop.line("W1");
        shop
    }

    #[track_caller]
    fn line(&self, name: &str) -> String {
        let channel =
            self.ok("channels.create", json!({"name": name, "type": "whatsapp_business", "allow_groups": true}));
        for (operation, more) in
            [("channels.activate", json!({})), ("channels.report_connection", json!({"connection": "connected"}))]
        {
            self.ok(operation, merged(json!({"id": channel["id"]}), more));
        }
        id(&channel).to_owned()
    }

    #[track_caller]
    fn contact(&self, name: &str) -> String {
        id(&self.ok("contacts.create", json!({"name": name}))).to_owned()
    }

    fn context(&self) -> Context {
        self.world.crm.project(self.project).context()
    }

    fn call(&self, context: Context, operation: &str, input: Value) -> Result<Value, Error> {
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    #[track_caller]
    fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(self.context(), operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    fn refused(&self, operation: &str, input: Value, code: ErrorCode, field: &str) {
        let error = self.call(self.context(), operation, input).expect_err(operation);
        assert_eq!((error.code(), error.field().unwrap_or_default()), (code, field), "{error:?}");
    }

    /// The individual chat of a contact on a line.
    #[track_caller]
    fn individual(&self, channel: &str, contact: &str) -> Value {
        self.ok("chats.create", json!({"chat_type": "individual", "channel_id": channel, "contact_id": contact}))
    }

    /// A group that a contact made.
    #[track_caller]
    fn group(&self, creator: &str) -> Value {
        let creator = json!({"id": creator, "type": "contact"});
        let group = json!({"chat_type": "group", "channel_id": self.w1, "subject": "Festa", "creator": creator});
        self.ok("chats.create", group)["chat"].clone()
    }

    #[track_caller]
    fn get(&self, chat: &Value) -> Value {
        self.ok("chats.get", json!({"id": chat["id"]}))
    }

    #[track_caller]
    fn item(&self, channel: &str, item: Value) -> Value {
        self.ok("inbound.ingest", json!({"channel_id": channel, "item": item}))[0].clone()
    }

    /// Ana writes on W1 at a moment of the day.
    #[track_caller]
    fn says(&self, message: &str, time: &str) -> Value {
        self.item(&self.w1, text_of_ana(message, time))
    }

    /// The chat that an outcome names.
    #[track_caller]
    fn chat_of(&self, outcome: &Value) -> Value {
        self.ok("chats.get", json!({"id": outcome["chat_id"]}))
    }

    /// What was recorded about a chat itself, in order.
    #[track_caller]
    fn events(&self, chat: &Value) -> Vec<Value> {
        self.events_of(Kind::Chat, id(chat))
    }

    #[track_caller]
    fn events_of(&self, kind: Kind, id: &str) -> Vec<Value> {
        let stream = Some(Subject::new(kind, parse_uuid(id).unwrap()));
        let query = EventQuery { stream, limit: 1_000, ..EventQuery::default() };
        let found = block_on(self.world.crm.core().storage().events(Scope::Project(self.project), &query)).unwrap();
        found.iter().map(|event| serde_json::from_str(event.data.get()).unwrap()).collect()
    }

    #[track_caller]
    fn types(&self, chat: &Value) -> Vec<String> {
        self.events(chat).iter().map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    }

    /// What was recorded when a message was received.
    #[track_caller]
    fn data_of(&self, outcome: &Value) -> Value {
        self.events_of(Kind::Message, outcome["message_id"].as_str().unwrap()).remove(0)
    }

    /// A chat after one more event of a message.
    #[track_caller]
    fn observed(&self, chat: &Value, data: &Value) -> Chat {
        let mut chat: Chat = serde_json::from_value(chat.clone()).unwrap();
        let event = Event::decode(Kind::Message, "message.imported", 1, &data.to_string()).unwrap();
        let actor = ActorRef::system(Component::Host);
        let meta = Meta {
            event_id: EventId::from_uuid(uuid::Uuid::from_u128(1)),
            kind: Kind::Message,
            aggregate_id: uuid::Uuid::from_u128(2),
            project_id: self.project,
            occurred_at: chat.updated_at,
            actor: &actor,
        };
        fold(&mut chat, &event, &meta);
        chat
    }

    /// Somebody with a role in the project.
    #[track_caller]
    fn member(&self, role: MemberRole) -> Context {
        let email = format!("{}@acme.com", role.as_str());
        let user = host(&self.world, "users.create", json!({"name": "Rui", "email": email}));
        self.ok("members.add", json!({"user_id": user["id"], "role": role}));
        let user = UserId::from_uuid(parse_uuid(id(&user)).unwrap());
        Context::new(Some(self.project), ActorRef::user(user))
    }

    fn clock(&self, time: &str) {
        self.world.clock.set(&at(time).to_string());
    }

    fn pending(&self) {
        block_on(self.world.crm.run_pending()).unwrap();
    }
}

#[track_caller]
fn host(world: &World, operation: &str, input: Value) -> Value {
    let context = Context::new(None, ActorRef::system(Component::Host));
    let answer = block_on(world.crm.call(operation, context, input.to_string().as_bytes()));
    serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))).unwrap()
}

#[track_caller]
fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("{value} has no id"))
}

fn at(time: &str) -> Timestamp {
    Timestamp::parse(&format!("2025-01-06T{time}:00Z")).unwrap()
}

fn merged(mut value: Value, more: Value) -> Value {
    value.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    value
}

fn text_of_ana(message: &str, time: &str) -> Value {
    json!({
        "type": "message", "channel_message_id": message, "from_me": false, "timestamp": at(time),
        "chat": {"external_id": format!("{ANA}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
        "sender": {"wid": ANA, "display_name": "Ana"}, "content": {"type": "text", "body": message},
    })
}
