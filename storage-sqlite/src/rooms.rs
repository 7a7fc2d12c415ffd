//! The lists that the pages of the rooms document are read along an index of their own: what is looked at are the statements that
//! the operations really run.

use crate::SqliteStorage;
use crate::plans::plans;
use serde_json::{Value, json};
use std::sync::Arc;
use ventros::engine::{Context, Project};
use ventros::kernel::{ActorRef, Component};
use ventros::testing::{World, block_on};

const ID: &str = "0194f5e6-0000-7000-8000-000000000001";

struct Shop {
    store: Arc<SqliteStorage>,
    project: Project,
}

impl Shop {
    fn new() -> Shop {
        let store = Arc::new(SqliteStorage::open_in_memory().unwrap());
        let world = World::on(store.clone()).unwrap();
        let host = Context::new(None, ActorRef::system(Component::Host));
        let founded = block_on(world.crm.call("projects.create", host, json!({"name": "Acme"}).to_string().as_bytes()));
        let founded: Value = serde_json::from_str(&founded.unwrap()).unwrap();
        let id = ventros::kernel::parse_uuid(founded["id"].as_str().unwrap()).unwrap();
        Shop { store, project: world.crm.project(ventros::kernel::ProjectId::from_uuid(id)) }
    }

    /// The query reads `table` along `index`, and sorts nothing. Rows without the sort value are few, and read by any index.
    #[track_caller]
    fn reads(&self, operation: &str, input: Value, table: &str, index: &str) {
        let input = input.to_string();
        let call = self.project.crm().call(operation, self.project.context(), input.as_bytes());
        let of_table = format!("FROM \"{table}\"");
        let all = plans(&self.store, call);
        let plans: Vec<&String> = all.iter().filter(|plan| plan.contains(&of_table)).collect();
        let first = plans.first().unwrap_or_else(|| panic!("{operation} {input} reads no {table}"));
        assert!(first.contains(&format!("USING INDEX {index} ")), "{operation} {input}\n{first}");
        for plan in plans {
            assert!(plan.starts_with("SEARCH t USING INDEX"), "{operation} {input}\n{plan}");
        }
    }

    #[track_caller]
    fn lists(&self, collection: &str, page: Value, index: &str) {
        self.reads(&format!("{collection}.list"), page, collection, &format!("{collection}_by_{index}"));
    }
}

fn by(field: &str, value: impl Into<Value>) -> Value {
    json!({"filter": {"field": field, "op": "eq", "value": value.into()}})
}

fn sorted(mut page: Value, sort: &str) -> Value {
    page["sort"] = json!([sort]);
    page
}

#[test]
fn messages_are_listed_along_an_index() {
    let shop = Shop::new();
    shop.lists("messages", json!({}), "timestamp");
    shop.lists("messages", sorted(json!({}), "timestamp"), "timestamp");
    shop.lists("messages", by("chat_id", ID), "chat_id_and_timestamp");
    shop.lists("messages", by("session_id", ID), "session_id_and_timestamp");
    shop.lists("messages", by("contact_id", ID), "contact_id_and_timestamp");
    shop.lists("messages", by("status", "failed"), "status_and_timestamp");
    shop.lists("messages", by("has_media", true), "has_media_and_timestamp");
    shop.lists("messages", sorted(json!({}), "-created_at"), "created_at");
    let month = json!({"all": [
        {"field": "timestamp", "op": "gte", "value": "2025-01-01T00:00:00Z"},
        {"field": "timestamp", "op": "lt", "value": "2025-02-01T00:00:00Z"},
    ]});
    shop.lists("messages", json!({"filter": month}), "timestamp");
    let hidden_too = json!({"include_deleted": true, "filter": {"field": "chat_id", "op": "eq", "value": ID}});
    shop.lists("messages", hidden_too, "chat_id_and_timestamp");
    shop.reads("messages.thread", json!({"contact_id": ID}), "sessions", "sessions_by_contact_id_and_started_at");
}

#[test]
fn chats_are_listed_along_an_index() {
    let shop = Shop::new();
    shop.lists("chats", json!({}), "last_message_at");
    shop.lists("chats", by("status", "active"), "status_and_last_message_at");
    shop.lists("chats", by("channel_id", ID), "channel_id_and_last_message_at");
    shop.lists("chats", by("assigned_agent_id", ID), "assigned_agent_id_and_last_message_at");
    let inbox = |more: Value, index: &str| shop.reads("chats.inbox", more, "chats", &format!("chats_by_{index}"));
    inbox(json!({}), "status_and_last_message_at");
    inbox(json!({"unread": true}), "status_and_is_unread_and_last_message_at");
    inbox(json!({"agent_id": ID}), "assigned_agent_id_and_last_message_at");
    inbox(json!({"channel_id": ID}), "channel_id_and_last_message_at");
    shop.reads("chats.unread_summary", json!({}), "chats", "chats_by_status_and_is_unread_and_last_message_at");
}

#[test]
fn sessions_are_listed_along_an_index() {
    let shop = Shop::new();
    shop.lists("sessions", json!({}), "started_at");
    shop.lists("sessions", by("status", "active"), "status_and_started_at");
    shop.lists("sessions", by("chat_id", ID), "chat_id_and_started_at");
    shop.lists("sessions", by("contact_id", ID), "contact_id_and_started_at");
    shop.lists("sessions", by("current_agent_id", ID), "current_agent_id_and_started_at");
    let mine = json!({"filter": {"all": [
        {"field": "current_agent_id", "op": "eq", "value": ID}, {"field": "status", "op": "eq", "value": "active"},
    ]}});
    shop.lists("sessions", mine, "current_agent_id_and_status_and_started_at");
    let queue = |more: Value| {
        shop.reads("sessions.queue", more, "sessions", "sessions_by_status_and_awaiting_and_awaiting_since");
    };
    queue(json!({}));
    queue(json!({"min_waiting_seconds": 60}));
}
