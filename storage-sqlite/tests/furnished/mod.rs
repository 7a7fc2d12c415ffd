//! Two projects with some of everything in them, and the ids that each of them knows.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;
use ventros::catalogue::tables;
use ventros::engine::{Crm, OperationScope};
use ventros::kernel::{Kind, ProjectId};
use ventros::storage::{Scope, Storage};
use ventros::testing::block_on;

/// The project that calls are bound to, and its neighbour.
pub const OURS: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xA11));
pub const THEIRS: ProjectId = ProjectId::from_uuid(Uuid::from_u128(0xB11));

/// The kind of saga that [`furnish`] starts: who opens a store defines it there.
pub fn define(crm: &Crm) {
    let steps = json!([{"id": "approval", "run": {"type": "wait", "signal": "approved"}}]);
    let definition = json!({"kind": "host.setup", "steps": steps}).to_string();
    crm.define_saga_json(definition.as_bytes()).unwrap();
}

/// Some of everything, so that calls have something to work on. `call` runs an operation in a project, or in none.
pub fn furnish(call: &dyn Fn(Option<ProjectId>, &str, Value) -> Value, project: ProjectId, number: u32) {
    let system = |operation: &str, input: Value| call(None, operation, input);
    let ok = |operation: &str, input: Value| call(Some(project), operation, input);
    let user = system("users.create", json!({"name": "Eva", "email": format!("eva{number}@example.com")}));
    ok("members.add", json!({"user_id": user["id"], "role": "admin"}));
    system("users.create_api_key", json!({"id": user["id"], "name": "key", "project_id": project}));
    ok("members.invite", json!({"email": format!("new{number}@example.com"), "role": "agent"}));
    let definition = json!({"key": "plan", "type": "select", "label": "Plan", "options": ["free", "pro"]});
    ok("projects.define_custom_field", json!({"target": "contact", "definition": definition}));
    fill(call, project, number);
    let line = ok("channels.find", json!({"type": "whatsapp_business", "external_id": format!("line{number}")}));
    ok("channels.update", json!({"id": line["id"], "history_import_enabled": true}));
    ok("imports.request", json!({"channel_id": line["id"], "strategy": "full"}));
    ok("sagas.start", json!({"kind": "host.setup", "key": "acct", "input": {"number": number}}));
    ok("schedules.create", json!({"kind": "host.report", "recurrence": {"type": "daily", "hour": 1}}));
}

/// Lines, people and what they say.
pub fn fill(call: &dyn Fn(Option<ProjectId>, &str, Value) -> Value, project: ProjectId, number: u32) {
    let ok = |operation: &str, input: Value| call(Some(project), operation, input);
    let person = format!("551199999000{number}");
    let line =
        json!({"name": format!("Line {number}"), "type": "whatsapp_business", "external_id": format!("line{number}")});
    let channel = ok("channels.create", line);
    ok("channels.activate", json!({"id": channel["id"]}));
    ok("channels.report_connection", json!({"id": channel["id"], "connection": "connected"}));
    ok("channels.upsert_label", json!({"id": channel["id"], "label": {"id": "L1", "name": "New"}}));
    ok("contacts.create", json!({"name": "Bruno", "email": format!("bruno{number}@example.com"), "tags": ["vip"]}));
    let them = json!({"wid": person, "display_name": "Ana"});
    let says = |id: &str, at: &str| {
        let item = json!({
            "type": "message", "channel_message_id": id, "from_me": false, "sender": them, "peer": them,
            "chat": {"external_id": format!("{person}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
            "timestamp": at, "content": {"type": "text", "body": "Olá"},
        });
        ok("inbound.ingest", json!({"channel_id": channel["id"], "item": item}))
    };
    let heard = says("M1", "2025-01-06T08:59:00Z");
    let visit = json!({"contact_id": heard[0]["contact_id"], "session_id": heard[0]["session_id"],
        "event_type": "visit", "category": "general"});
    ok("timeline.record", visit);
    let content = json!({"type": "text", "body": "Hi"});
    let token = format!("c{number}");
    ok("messages.send", json!({"chat_id": heard[0]["chat_id"], "content": content, "client_token": token}));
    says("M2", "2025-01-06T09:00:30Z");
    let founder = json!({"id": heard[0]["contact_id"], "type": "contact"});
    let group = json!({"chat_type": "group", "channel_id": channel["id"], "subject": format!("Team {number}"),
        "external_id": format!("g{number}@g.us"), "creator": founder});
    ok("chats.create", group);
    let key = ok(
        "credentials.create",
        json!({"name": format!("Key {number}"), "credential_type": "waha_instance", "value": "k"}),
    );
    let gate = json!({"name": format!("Gate {number}"), "type": "waha", "credential_id": key["id"]});
    let gateway = ok("channels.create", gate);
    let delivery = json!({"id": format!("evt_{number}"), "event": "nonsense"});
    ok("inbound.accept", json!({"channel_id": gateway["id"], "raw": delivery}));
}

/// Ids by project and kind, as they were at the start.
#[derive(Default)]
pub struct Ids(BTreeMap<(ProjectId, Kind), Vec<Uuid>>);

impl Ids {
    /// What is in a store now.
    pub fn gather(storage: &dyn Storage) -> Ids {
        let mut ids = Ids::default();
        for project in [OURS, THEIRS, ProjectId::SYSTEM] {
            for kind in tables().iter().map(|table| table.kind) {
                let found = block_on(storage.scan(Scope::Project(project), kind, None, 100)).unwrap();
                ids.0.insert((project, kind), found.iter().map(|snapshot| snapshot.id).collect());
            }
        }
        ids
    }

    /// The id of an aggregate by the name of its type, `ContactId`; a made-up one where there is none.
    pub fn id(&self, project: ProjectId, name: &str) -> String {
        let kind = tables().iter().map(|table| table.kind).find(|kind| type_name(*kind) == name);
        let known = match (name, kind) {
            ("ProjectId", _) => Some(project.uuid()),
            (_, Some(kind)) => [project, ProjectId::SYSTEM]
                .into_iter()
                .find_map(|at| self.0.get(&(at, kind)).and_then(|ids| ids.first().copied())),
            (_, None) => None,
        };
        known.unwrap_or(Uuid::from_u128(0x0190_b6f0_0000_7000_8000_0000_0000_0001)).to_string()
    }

    /// The aggregates of a project alone, by the name of the type of their ids.
    pub fn of(&self, project: ProjectId, name: &str) -> &[Uuid] {
        let is_it = |(at, kind): &&(ProjectId, Kind)| *at == project && type_name(*kind) == name;
        self.0.iter().find(|(key, _)| is_it(key)).map_or(&[], |(_, ids)| ids.as_slice())
    }
}

/// `ContactId`, `MemberId` and the like.
pub fn type_name(kind: Kind) -> String {
    let word = if kind == Kind::ProjectMember { "member" } else { kind.as_str() };
    let parts = word.split('_').map(|part| part[..1].to_uppercase() + &part[1..]);
    parts.collect::<String>() + "Id"
}

/// Where an operation of this scope is called.
pub fn place(scope: OperationScope) -> Option<ProjectId> {
    (scope == OperationScope::Project).then_some(OURS)
}
