//! The acceptance cases of messages, by their numbers on the page; those of the conversation flow are named `flow_case`.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod changes;
mod delivery;
mod lists;
mod received;
mod sending;

use serde_json::{Value, json};
use ventros::engine::Context;
use ventros::kernel::{Actor, ActorRef, ProjectId, UserId, parse_uuid};
use ventros::storage::{EventQuery, Scope};
use ventros::testing::{World, block_on};

const ANA: &str = "5511999998888";
const BRUNO: &str = "5521988887777";

/// A project with one WhatsApp line that is connected.
struct Shop {
    world: World,
    project: ProjectId,
    channel: String,
}

impl Shop {
    #[track_caller]
    fn new() -> Shop {
        let world = World::new();
        let project = system(&world, "projects.create", json!({"name": "Acme"}));
        let project = ProjectId::from_uuid(parse_uuid(text(&project["id"])).unwrap());
        let mut shop = Shop { world, project, channel: String::new() };
        shop.channel = shop.line("whatsapp_business", "Sales");
        shop
    }

    /// A channel of a kind, connected.
    #[track_caller]
    fn line(&self, kind: &str, name: &str) -> String {
        let channel = self.ok("channels.create", json!({"name": name, "type": kind}));
        let id = text(&channel["id"]).to_owned();
        self.ok("channels.activate", json!({"id": id}));
        self.ok("channels.report_connection", json!({"id": id, "connection": "connected"}));
        id
    }

    /// A kind of channel with abilities of its own.
    #[track_caller]
    fn kind(&self, code: &str, family: &str, capabilities: Value) {
        let mut all = json!({
            "outbound_types": ["text", "image", "voice", "document", "template"],
            "inbound_types": ["text"],
        });
        merge(&mut all, &capabilities);
        let kind = json!({
            "code": code, "display_name": code, "provider": "test", "family": family, "gateway": "waha",
            "capabilities": all,
        });
        system(&self.world, "channel_types.create", kind);
    }

    fn call(&self, operation: &str, input: Value) -> Result<Value, ventros::kernel::Error> {
        self.call_as(self.world.crm.project(self.project).context(), operation, input)
    }

    fn call_as(&self, context: Context, operation: &str, input: Value) -> Result<Value, ventros::kernel::Error> {
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()))?;
        Ok(serde_json::from_str(&answer).unwrap())
    }

    #[track_caller]
    fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    fn refused(&self, operation: &str, input: Value, code: &str, field: &str) {
        let error = self.call(operation, input).expect_err(operation);
        assert_eq!((error.code().as_str(), error.field().unwrap_or_default()), (code, field), "{error:?}");
    }

    #[track_caller]
    fn hear_on(&self, channel: &str, who: &str, id: &str, body: &str) -> Value {
        let item = json!({
            "type": "message", "channel_message_id": id, "from_me": false,
            "chat": {"external_id": format!("{who}@c.us"), "class": "individual", "kind_detail": "direct"},
            "sender": {"wid": who}, "timestamp": self.now(), "content": {"type": "text", "body": body},
        });
        self.ingest(channel, item)
    }

    /// An inbound text on the line; its outcome.
    #[track_caller]
    fn hear(&self, who: &str, id: &str, body: &str) -> Value {
        self.hear_on(&self.channel, who, id, body)
    }

    /// A text of ours that was written on the paired phone.
    #[track_caller]
    fn echo(&self, who: &str, id: &str, body: &str) -> Value {
        let item = json!({
            "type": "message", "channel_message_id": id, "from_me": true,
            "chat": {"external_id": format!("{who}@c.us"), "class": "individual", "kind_detail": "direct"},
            "sender": {}, "peer": {"wid": who}, "timestamp": self.now(), "content": {"type": "text", "body": body},
        });
        self.ingest(&self.channel, item)
    }

    #[track_caller]
    fn ingest(&self, channel: &str, item: Value) -> Value {
        self.ok("inbound.ingest", json!({"channel_id": channel, "item": item}))[0].clone()
    }

    #[track_caller]
    fn ack(&self, id: &str, status: &str) -> Value {
        self.ok(
            "messages.report_delivery",
            json!({"channel_id": self.channel, "channel_message_id": id, "status": status}),
        )
    }

    /// Ana's chat, with one message of hers.
    #[track_caller]
    fn chat(&self) -> String {
        text(&self.hear(ANA, "A1", "Oi")["chat_id"]).to_owned()
    }

    #[track_caller]
    fn say(&self, chat: &str, body: &str) -> Value {
        self.ok("messages.send", json!({"chat_id": chat, "content": {"type": "text", "body": body}}))
    }

    #[track_caller]
    fn claim(&self) -> Vec<Value> {
        let Value::Array(claimed) = self.ok("messages.claim_due", json!({})) else { panic!("a list") };
        claimed
    }

    #[track_caller]
    fn report(&self, message: &Value, more: Value) -> Value {
        let mut input = json!({"id": message["id"]});
        merge(&mut input, &more);
        self.ok("messages.report_delivery", input)
    }

    /// A message that the provider has taken under an id.
    #[track_caller]
    fn sent(&self, chat: &str, body: &str, id: &str) -> Value {
        let message = self.say(chat, body);
        assert_eq!(self.claim().len(), 1);
        self.report(&message, json!({"status": "sent", "channel_message_id": id}))["message"].clone()
    }

    #[track_caller]
    fn get(&self, message: &Value) -> Value {
        self.ok("messages.get", json!({"id": message["id"]}))
    }

    #[track_caller]
    fn session(&self, message: &Value) -> Value {
        let id = parse_uuid(text(&message["session_id"])).unwrap();
        let scope = Scope::Project(self.project);
        let found =
            block_on(self.world.crm.core().storage().get(scope, ventros::kernel::Kind::Session, &[id])).unwrap();
        serde_json::from_str(&found[0].state).unwrap()
    }

    /// Everything that was recorded about a message itself, in order.
    #[track_caller]
    fn events(&self, message: &Value) -> Vec<Value> {
        let subject =
            ventros::kernel::Subject::new(ventros::kernel::Kind::Message, parse_uuid(text(&message["id"])).unwrap());
        let query = EventQuery { stream: Some(subject), limit: 1_000, ..EventQuery::default() };
        let found = block_on(self.world.crm.core().storage().events(Scope::Project(self.project), &query)).unwrap();
        found.iter().map(|event| serde_json::from_str(event.data.get()).unwrap()).collect()
    }

    #[track_caller]
    fn types(&self, message: &Value) -> Vec<String> {
        self.events(message).iter().map(|event| text(&event["type"]).to_owned()).collect()
    }

    fn now(&self) -> Value {
        json!(self.world.crm.core().now())
    }

    fn wait(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        block_on(self.world.crm.run_pending()).unwrap();
    }
}

#[track_caller]
fn system(world: &World, operation: &str, input: Value) -> Value {
    let context = Context::new(None, ActorRef::system(ventros::kernel::Component::Host));
    let answer = block_on(world.crm.call(operation, context, input.to_string().as_bytes()));
    serde_json::from_str(&answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))).unwrap()
}

#[track_caller]
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        into[key] = value.clone();
    }
}
