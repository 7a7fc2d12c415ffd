//! Sessions inside the whole product: opened by hand and by messages, ended with their chat, their contact, their channel.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use serde_json::{Value, json};
use ventros::conversations::session::{EndReason, Session, SessionStatus};
use ventros::engine::{Aggregate, Project};
use ventros::kernel::{Error, ErrorCode, Kind};
use ventros::storage::Scope;
use ventros::testing::{World, block_on};

struct Shop {
    world: World,
    project: Project,
    channel: String,
}

impl Shop {
    fn new() -> Shop {
        let world = World::new();
        let acme = json!({"name": "Acme", "default_region": "BR"});
        let acme = serde_json::from_value::<ventros::tenancy::project::commands::CreateProject>(acme).unwrap();
        let project = world.crm.project(block_on(world.crm.execute(acme)).unwrap().id);
        let mut shop = Shop { world, project, channel: String::new() };
        let created = shop.call("channels.create", json!({"name": "W1", "type": "waha"}));
        shop.channel = created["id"].as_str().unwrap().to_owned();
        shop
    }

    fn try_call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        let input = input.to_string();
        let output = block_on(self.world.crm.call(operation, self.project.context(), input.as_bytes()))?;
        Ok(serde_json::from_str(&output).unwrap())
    }

    #[track_caller]
    fn call(&self, operation: &str, input: Value) -> Value {
        self.try_call(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    fn says(&self, id: &str, time: &str) -> Value {
        let item = json!({
            "type": "message",
            "channel_message_id": id,
            "chat": {"external_id": "5511999998888@c.us", "class": "individual", "kind_detail": "direct", "subject": null},
            "from_me": false,
            "sender": {"wid": "5511999998888", "display_name": "Ana"},
            "peer": {"wid": "5511999998888", "display_name": "Ana"},
            "timestamp": format!("2025-01-06T{time}Z"),
            "content": {"type": "text", "body": "Oi"},
        });
        self.call("inbound.ingest", json!({"channel_id": self.channel, "item": item}))[0].clone()
    }

    fn pending(&self) {
        block_on(self.world.crm.run_pending()).unwrap();
    }

    fn sessions(&self) -> Vec<Session> {
        let scope = Scope::Project(self.project.id());
        let found = block_on(self.world.crm.core().storage().scan(scope, Session::KIND, None, 100)).unwrap();
        found.iter().map(|snapshot| serde_json::from_str(&snapshot.state).unwrap()).collect()
    }

    #[track_caller]
    fn only(&self) -> Session {
        let mut sessions = self.sessions();
        assert_eq!(sessions.len(), 1, "{sessions:#?}");
        sessions.remove(0)
    }
}

#[test]
fn case_08_two_first_messages_at_once_make_one_session() {
    let shop = Shop::new();
    std::thread::scope(|threads| {
        for id in ["A", "B"] {
            let shop = &shop;
            threads.spawn(move || shop.says(id, "09:00:00"));
        }
    });
    assert_eq!(shop.only().metrics.message_count, 2);
    shop.world.assert_log_matches();
}

#[test]
fn a_session_is_opened_by_hand_once() {
    let shop = Shop::new();
    shop.says("A", "09:00:00");
    let first = shop.only();
    let again = shop.call("sessions.start", json!({"chat_id": first.chat_id}));
    assert_eq!((&again["created"], &again["session"]["id"]), (&json!(false), &json!(first.id)));
    shop.call("sessions.end", json!({"id": first.id, "reason": "agent_close"}));
    shop.world.clock.advance_seconds(60);
    let agent = "0199d1c2-0000-7000-8000-000000000001";
    let second = shop.call("sessions.start", json!({"chat_id": first.chat_id, "agent_id": agent}));
    let session = &second["session"];
    assert_eq!((&second["created"], &session["origin"]), (&json!(true), &json!("manual")));
    assert_eq!((&session["timeout_seconds"], &session["timeout_source"]), (&json!(1_800), &json!("project")));
    assert_eq!((&session["current_agent_id"], &session["contact_id"]), (&json!(agent), &json!(first.contact_id)));
    shop.world.clock.advance_seconds(1_801);
    shop.pending();
    assert!(shop.sessions().iter().all(|session| session.status == SessionStatus::Ended));
    let short = shop.try_call("sessions.start", json!({"chat_id": first.chat_id, "timeout_seconds": 59})).unwrap_err();
    assert_eq!((short.code(), short.field()), (ErrorCode::TimeoutOutOfRange, Some("timeout_seconds")));
    shop.world.assert_log_matches();
}

#[test]
fn a_session_ends_with_its_chat() {
    let shop = Shop::new();
    shop.says("A", "09:00:00");
    let chat = shop.only().chat_id;
    shop.call("chats.close", json!({"id": chat}));
    shop.pending();
    let session = shop.only();
    assert_eq!((session.status, session.end_reason), (SessionStatus::Ended, Some(EndReason::ChatClosed)));
    let closed = shop.try_call("sessions.start", json!({"chat_id": chat})).unwrap_err();
    assert_eq!(closed.code(), ErrorCode::ChatClosed);
    shop.world.assert_log_matches();
}

#[test]
fn a_contact_talks_in_one_session_of_a_line_at_a_time() {
    let shop = Shop::new();
    shop.says("A", "09:00:00");
    let first = shop.only();
    shop.call("chats.close", json!({"id": first.chat_id}));
    shop.pending();
    shop.says("B", "09:00:00");
    let reopen = json!({"id": first.id, "reason": "called back"});
    let error = shop.try_call("sessions.reopen", reopen).unwrap_err();
    assert_eq!((error.code(), error.kind().as_str()), (ErrorCode::ActiveSessionExists, "conflict"));
}

#[test]
fn a_session_ends_with_its_contact() {
    let shop = Shop::new();
    shop.says("A", "09:00:00");
    shop.call("contacts.delete", json!({"id": shop.only().contact_id}));
    shop.pending();
    assert_eq!(shop.only().end_reason, Some(EndReason::ContactRemoved));
}

#[test]
fn the_queue_names_who_waits() {
    let shop = Shop::new();
    shop.says("A", "09:00:00");
    shop.world.clock.advance_seconds(120);
    let queue = shop.call("sessions.queue", json!({}));
    let row = &queue[0];
    assert_eq!((&row["contact_name"], &row["contact_phone"]), (&json!("Ana"), &json!("+5511999998888")));
    assert_eq!((&row["unread_count"], &row["waiting_seconds"]), (&json!(1), &json!(120)));
}

#[test]
fn sessions_are_filtered_and_found() {
    let shop = Shop::new();
    shop.says("A", "09:00:00");
    let session = shop.only();
    let find = shop.call("sessions.find", json!({"contact_id": session.contact_id, "channel_id": session.channel_id}));
    assert_eq!(find["id"], json!(session.id));
    let nobody = shop.try_call("sessions.find", json!({"contact_id": session.contact_id})).unwrap_err();
    assert_eq!((nobody.code(), nobody.field()), (ErrorCode::FieldRequired, Some("channel_id")));
    let awaiting = json!({"field": "awaiting", "op": "eq", "value": "agent"});
    assert_eq!(shop.call("sessions.count", json!({"filter": awaiting})), json!(1));
    let listed = shop.call("sessions.list", json!({"filter": awaiting, "sort": ["-awaiting_since"]}));
    assert_eq!(listed["items"][0]["id"], json!(session.id));
    let unknown = shop.try_call("sessions.get", json!({"id": shop.channel})).unwrap_err();
    assert_eq!(unknown.code(), ErrorCode::SessionNotFound);
    assert_eq!(Session::KIND, Kind::Session);
}
