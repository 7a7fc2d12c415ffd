//! A person whose data is everywhere that data can be, and is taken out again. Whoever calls this looks for what is left.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;
use ventros::engine::Context;
use ventros::kernel::{ActorRef, Component, Error, ProjectId, UserId};
use ventros::testing::{World, block_on};

pub const PROJECT: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));

/// What nobody but the person has, in the notations in which it is stored.
pub const PERSONAL: [&str; 14] = [
    "Quixotina",
    "quixotina",
    "Zanzibarro",
    "5511987650001",
    "11987650001",
    "551187650001",
    "quix@zanzi.example",
    "segredogrotesco",
    "Ruadolimbo",
    "ruadolimbo",
    "valor-intimo",
    "motivo-intimo",
    "resposta-intima",
    "198.51.100.77",
];
/// Whoever stays.
pub const OTHER: &str = "Bartolomeu";

pub struct House<'w> {
    pub world: &'w World,
}

impl House<'_> {
    pub fn attempt(&self, operation: &str, input: &Value, key: Option<&str>) -> Result<Value, Error> {
        let mut context = Context::new(Some(PROJECT), ActorRef::system(Component::Host));
        context.idempotency_key = key.map(str::to_owned);
        // Where calls come from that are about the person alone.
        if ["inbound.ingest", "contacts.block", "messages.send"].contains(&operation) {
            context.metadata = json!({"ip": "198.51.100.77"}).as_object().cloned();
        }
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()));
        answer.map(|text| serde_json::from_str(&text).unwrap())
    }

    #[track_caller]
    pub fn ok(&self, operation: &str, input: Value) -> Value {
        self.attempt(operation, &input, None).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    pub fn system(&self, operation: &str, input: Value) -> Value {
        let context = Context::new(None, ActorRef::system(Component::Host));
        let answer = block_on(self.world.crm.call(operation, context, input.to_string().as_bytes()));
        let text = answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
        serde_json::from_str(&text).unwrap()
    }

    /// Runs what is due, without a failure.
    #[track_caller]
    pub fn run(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        let report = block_on(self.world.crm.run_pending()).unwrap();
        let jobs = || self.ok("jobs.list", json!({"limit": 100}));
        assert_eq!(report.failures, 0, "{}", jobs());
    }

    /// How many events of each type there are.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        let found = self.ok("events.count", json!({"group_by": "type"}));
        let groups = found["groups"].as_array().unwrap_or_else(|| panic!("{found}"));
        groups
            .iter()
            .map(|group| (group["key"].as_str().unwrap().to_owned(), group["count"].as_u64().unwrap()))
            .collect()
    }
}

/// Somebody with a name, numbers, an address, fields, consents, a history, messages, sessions, a timeline, answers, jobs.
pub fn live(house: &House<'_>) -> Value {
    let line = json!({"name": "Line", "type": "whatsapp_business", "external_id": "line"});
    let line = house.ok("channels.create", line);
    house.ok("channels.activate", json!({"id": line["id"]}));
    house.ok("channels.report_connection", json!({"id": line["id"], "connection": "connected"}));
    let definition = json!({"key": "hobby", "type": "text", "label": "Hobby"});
    house.ok("projects.define_custom_field", json!({"target": "contact", "definition": definition}));
    let person = json!({"wid": "5511987650001", "display_name": "Quixotina"});
    let group =
        json!({"external_id": "120363000000000001@g.us", "class": "group", "kind_detail": "group", "subject": "Todos"});
    let direct =
        json!({"external_id": "5511987650001@c.us", "class": "individual", "kind_detail": "direct", "subject": null});
    let says = |id: &str, at: &str, chat: &Value, content: Value| {
        let item = json!({"type": "message", "channel_message_id": id, "from_me": false, "sender": person, "peer": person,
            "chat": chat, "timestamp": at, "content": content});
        house.ok("inbound.ingest", json!({"channel_id": line["id"], "item": item}))
    };
    let text = |body: &str| json!({"type": "text", "body": body});
    let heard = says("M1", "2025-01-06T08:59:00Z", &direct, text("segredogrotesco um"));
    says("false_5511987650001@c.us_3EB0A2", "2025-01-06T08:59:30Z", &group, text("segredogrotesco dois"));
    let place = json!({"type": "location", "location": {"latitude": -23.5, "longitude": -46.6, "name": "Ruadolimbo"}});
    says("M3", "2025-01-06T08:59:40Z", &direct, place);
    let id = &heard[0]["contact_id"];
    let changed = json!({
        "id": id, "name": "Quixotina Zanzibarro", "email": "quix@zanzi.example", "company": "Zanzibarro Ltda",
        "birthday": "1990-05-17", "custom_fields": {"hobby": {"type": "text", "value": "valor-intimo"}},
        "addresses": [{"address": {"label": "home", "street": "Ruadolimbo 7", "city": "Limbo", "country": "BR"}}],
        "full_name": {"first": "Quixotina", "last": "Zanzibarro"}, "keep_previous": true,
    });
    house.attempt("contacts.update", &changed, Some("change")).unwrap();
    house.ok("contacts.add_identifier", json!({"id": id, "kind": "email", "value": "two.quix@zanzi.example"}));
    house.ok("contacts.block", json!({"id": id, "reason": "motivo-intimo"}));
    house.ok("contacts.unblock", json!({"id": id, "reason": "motivo-intimo"}));
    let consent =
        json!({"id": id, "family": "whatsapp", "status": "opted_in", "source": "form", "evidence": "motivo-intimo"});
    house.ok("contacts.set_consent", consent);
    let visit = json!({"contact_id": id, "session_id": heard[0]["session_id"], "event_type": "visit", "category": "general",
        "title": "Quixotina came", "payload": {"note": "motivo-intimo"}});
    house.ok("timeline.record", visit);
    let sent = json!({"chat_id": heard[0]["chat_id"], "content": text("Oi Quixotina"), "client_token": "t1"});
    house.attempt("messages.send", &sent, Some("send")).unwrap();
    let subjects = json!([{"kind": "contact", "id": id}]);
    house.ok("events.record", json!({"type": "custom.visit", "data": {"who": "Quixotina"}, "subjects": subjects}));
    let gone = json!({"kind": "host.mail", "payload": {"to": "quix@zanzi.example", "contact_id": id}});
    let job = house.ok("jobs.enqueue", gone);
    house.ok("jobs.cancel", json!({"id": job["id"]}));
    let key = json!({"name": "Key", "credential_type": "waha_instance", "value": "k"});
    let key = house.ok("credentials.create", key);
    let gate = house.ok("channels.create", json!({"name": "Gate", "type": "waha", "credential_id": key["id"]}));
    let said = |id: &str, at: u64| {
        json!({"id": format!("evt_{id}"), "event": "message", "session": "default", "payload": {
            "id": format!("false_5511987650001@c.us_{id}"), "from": "5511987650001@c.us", "timestamp": at, "fromMe": false,
            "body": "segredogrotesco quatro", "_data": {"notifyName": "Quixotina"}}})
    };
    house.ok("inbound.accept", json!({"channel_id": gate["id"], "raw": said("3EB0A1", 1_736_154_000)}));
    house.ok(
        "inbound.accept",
        json!({"channel_id": gate["id"], "raw": {"event": "nonsense", "from": "5511987650001@c.us"}}),
    );
    let other = json!({"name": OTHER, "email": "bart@example.com"});
    house.ok("contacts.create", other);
    house.run(60);
    id.clone()
}

/// What says the same of a person before and after.
#[track_caller]
pub fn assert_statistics_stay(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) {
    for (name, count) in before {
        let now = after.get(name).copied().unwrap_or_default();
        assert!(now >= *count, "{name}: {count} became {now}");
    }
}

/// A user who did something.
pub fn work_there(house: &House<'_>) -> UserId {
    let user = json!({"name": "Quixotina Zanzibarro", "email": "quix@zanzi.example", "phone": "+5511987650001"});
    let user = house.system("users.create", user);
    let id = UserId::parse(user["id"].as_str().unwrap()).unwrap();
    house.ok("members.add", json!({"user_id": user["id"], "role": "admin"}));
    let mut context = Context::new(Some(PROJECT), ActorRef::user(id));
    context.metadata = json!({"ip": "198.51.100.77"}).as_object().cloned();
    let input = json!({"name": OTHER}).to_string();
    block_on(house.world.crm.call("contacts.create", context, input.as_bytes())).unwrap();
    house.system("users.update", json!({"id": user["id"], "name": "Quixotina"}));
    house.run(60);
    id
}
