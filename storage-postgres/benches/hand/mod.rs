//! The same rows by a program without the product: it knows the tables, sends its statements together and computes nothing. Every
//! message is one row of `messages` with its unique key and its search words, three updated parents, one event with four subjects.
//!
//! Two round trips: who it is about, then everything that is written, with the end of the transaction.

#![expect(clippy::unwrap_used, reason = "a measurement is a program")]

use crate::shop::phone;
use chrono::{DateTime, Utc};
use futures_util::future::{try_join, try_join_all};
use std::sync::Arc;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Statement};
use uuid::Uuid;

/// What all connections of the program know.
pub struct Hand {
    address: String,
    schema: String,
    project: Uuid,
    channel: String,
    message_state: String,
    event_data: String,
    words: Vec<String>,
    states: [String; 3],
    insert_message: String,
    insert_event: String,
}

/// One connection with its statements.
pub struct Line {
    hand: Arc<Hand>,
    client: Client,
    holders: Statement,
    message: Statement,
    key: Statement,
    words: Statement,
    contact: Statement,
    chat: Statement,
    session: Statement,
    head: Statement,
    event: Statement,
    subjects: Statement,
}

async fn connect(address: &str, schema: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(address, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute(&format!("SET search_path = {schema}; SET jit = off")).await.unwrap();
    client
}

impl Hand {
    /// Takes over a schema that the product has made and filled with customers, each with a chat and an active session.
    pub async fn open(address: &str, schema: &str) -> Arc<Hand> {
        let client = connect(address, schema).await;
        client.batch_execute("SET ventros.system = 'on'").await.unwrap();
        let text = async |sql: &str| -> String { client.query_one(sql, &[]).await.unwrap().get(0) };
        let state = async |table: &str| {
            text(&format!("SELECT state::text FROM {table} WHERE id IN (SELECT id FROM unique_keys) LIMIT 1")).await
        };
        Arc::new(Hand {
            project: client.query_one("SELECT project_id FROM messages LIMIT 1", &[]).await.unwrap().get(0),
            channel: text("SELECT scope FROM unique_keys WHERE space = 'message.external' LIMIT 1").await,
            message_state: text("SELECT state::text FROM messages LIMIT 1").await,
            event_data: text("SELECT data::text FROM events WHERE type = 'message.received' LIMIT 1").await,
            words: "5 50123456789abcdef could for list me message next please price saturday send the you"
                .split(' ')
                .map(str::to_owned)
                .collect(),
            states: [state("contacts").await, state("chats").await, state("sessions").await],
            insert_message: like(
                &client,
                "messages",
                "true",
                &[
                    ("project_id", "$1"),
                    ("id", "$2"),
                    ("state", "$3::text::json"),
                    ("chat_id", "$4"),
                    ("contact_id", "$5"),
                    ("session_id", "$6"),
                    ("timestamp", "$7"),
                    ("created_at", "$7"),
                    ("updated_at", "$7"),
                ],
            )
            .await,
            insert_event: like(
                &client,
                "events",
                "type = 'message.received'",
                &[
                    ("position", ""),
                    ("project_id", "$1"),
                    ("seq", "(SELECT head FROM log_heads WHERE project_id = $1)"),
                    ("id", "$2"),
                    ("aggregate_id", "$2"),
                    ("commit_id", "$2"),
                    ("correlation_id", "$2"),
                    ("occurred_at", "$3"),
                    ("recorded_at", "$3"),
                    ("data", "$4::text::json"),
                ],
            )
            .await,
            address: address.to_owned(),
            schema: schema.to_owned(),
        })
    }

    pub async fn line(self: &Arc<Self>) -> Line {
        let client = connect(&self.address, &self.schema).await;
        let prepare = async |sql: &str| client.prepare(sql).await.unwrap();
        let holders =
            "WITH chat AS (SELECT id FROM unique_keys WHERE space = 'chat.external' AND scope = $1 AND key = $2)
            SELECT chat.id,
                (SELECT id FROM unique_keys WHERE space = 'contact.phone' AND scope = '' AND key = $3),
                (SELECT id FROM unique_keys WHERE space = 'session.active_chat' AND scope = '' AND key = chat.id::text)
            FROM chat";
        Line {
            holders: prepare(holders).await,
            message: prepare(&self.insert_message).await,
            key: prepare("INSERT INTO unique_keys VALUES ('message.external', $1, $2, $3, $3, 'message', $4)").await,
            words: prepare("INSERT INTO search_words SELECT $1, 'message', word, $2 FROM unnest($3::text[]) word")
                .await,
            contact: prepare(
                "UPDATE contacts SET revision = revision + 1, state = $3::text::json, last_interaction_at = $4,
                    last_inbound_at = $4 WHERE project_id = $1 AND id = $2",
            )
            .await,
            chat: prepare(
                "UPDATE chats SET revision = revision + 1, state = $3::text::json, unread_count = unread_count + 1,
                    last_message_at = $4, last_inbound_at = $4 WHERE project_id = $1 AND id = $2",
            )
            .await,
            session: prepare(
                "UPDATE sessions SET revision = revision + 1, state = $3::text::json, last_activity_at = $4,
                    message_count = message_count + 1, messages_from_contact = messages_from_contact + 1,
                    duration_seconds = duration_seconds + 1 WHERE project_id = $1 AND id = $2",
            )
            .await,
            head: prepare("UPDATE log_heads SET head = head + 1 WHERE project_id = $1").await,
            event: prepare(&self.insert_event).await,
            subjects: prepare(
                "INSERT INTO event_subjects SELECT $1, kind, id, (SELECT head FROM log_heads WHERE project_id = $1)
                    FROM unnest(ARRAY['message', 'session', 'chat', 'contact'], $2::uuid[]) AS s (kind, id)",
            )
            .await,
            hand: self.clone(),
            client,
        }
    }
}

/// A statement that writes a row like the first one of its kind: what is not given stays as it is there.
async fn like(client: &Client, table: &str, filter: &str, given: &[(&str, &str)]) -> String {
    let select = "SELECT attname::text FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped";
    let columns: Vec<String> = client.query(select, &[&table]).await.unwrap().iter().map(|row| row.get(0)).collect();
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in columns {
        let value = match given.iter().find(|(name, _)| *name == column) {
            Some((_, "")) => continue,
            Some((_, value)) => (*value).to_owned(),
            None => {
                let select = format!("SELECT quote_nullable(\"{column}\"::text) FROM {table} WHERE {filter} LIMIT 1");
                client.query_one(&select, &[]).await.unwrap().get(0)
            }
        };
        names.push(format!("\"{column}\""));
        values.push(value);
    }
    format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "))
}

impl Line {
    /// One transaction with these messages: the customer and the number of each.
    pub async fn messages(&self, messages: &[(usize, usize)]) {
        let begin = format!("BEGIN; SET LOCAL ventros.project_id = '{}'", self.hand.project);
        self.client.batch_execute(&begin).await.unwrap();
        for (place, (customer, number)) in messages.iter().enumerate() {
            self.message(*customer, *number, place + 1 == messages.len()).await;
        }
    }

    /// One message in a transaction of its own.
    pub async fn message_alone(&self, customer: usize, number: usize) {
        let begin = format!("BEGIN; SET LOCAL ventros.project_id = '{}'", self.hand.project);
        let (_, ids) =
            try_join(self.client.batch_execute(&begin), async { Ok(self.find(customer).await) }).await.unwrap();
        self.write(ids, customer, number, true).await;
    }

    async fn message(&self, customer: usize, number: usize, is_last: bool) {
        let ids = self.find(customer).await;
        self.write(ids, customer, number, is_last).await;
    }

    /// The chat, the contact and the session.
    async fn find(&self, customer: usize) -> [Uuid; 3] {
        let phone = phone(customer);
        let chat = format!("{phone}@c.us");
        let row = self.client.query_one(&self.holders, &[&self.hand.channel, &chat, &phone]).await.unwrap();
        [row.get(0), row.get(1), row.get(2)]
    }

    async fn write(&self, [chat, contact, session]: [Uuid; 3], customer: usize, number: usize, is_last: bool) {
        let (hand, now) = (&self.hand, Utc::now());
        let id = Uuid::from_u64_pair(now.timestamp_micros() as u64, number as u64);
        let external = format!("false_{}@c.us_3EB0{number:016X}", phone(customer));
        let subjects = vec![id, session, chat, contact];
        let project = &hand.project;
        let parent = |id, state| -> [&(dyn ToSql + Sync); 4] { [project, id, state, &now] };
        let parents = [
            (&self.contact, parent(&contact, &hand.states[0])),
            (&self.chat, parent(&chat, &hand.states[1])),
            (&self.session, parent(&session, &hand.states[2])),
        ];
        let message: [&(dyn ToSql + Sync); 7] =
            [project, &id, &hand.message_state, &chat, &contact, &session, &now as &DateTime<Utc>];
        let mut calls: Vec<(&Statement, &[&(dyn ToSql + Sync)])> = Vec::new();
        let head: [&(dyn ToSql + Sync); 1] = [project];
        calls.push((&self.head, &head));
        calls.push((&self.message, &message));
        let key: [&(dyn ToSql + Sync); 4] = [&hand.channel, &external, project, &id];
        calls.push((&self.key, &key));
        let words: [&(dyn ToSql + Sync); 3] = [project, &id, &hand.words];
        calls.push((&self.words, &words));
        calls.extend(parents.iter().map(|(statement, values)| (*statement, &values[..])));
        let event: [&(dyn ToSql + Sync); 4] = [project, &id, &now, &hand.event_data];
        calls.push((&self.event, &event));
        let about: [&(dyn ToSql + Sync); 2] = [project, &subjects];
        calls.push((&self.subjects, &about));
        let sent = calls.iter().map(|(statement, values)| self.client.execute(*statement, values));
        let end = async { if is_last { self.client.batch_execute("COMMIT").await } else { Ok(()) } };
        let (counts, ()) = try_join(try_join_all(sent), end).await.unwrap();
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }
}
