//! The same rows by a program without the product: it knows the tables, keeps its statements ready and computes nothing. Every
//! message is one row of `messages` with its unique key and its search words, three updated parents, one event with four subjects.

#![expect(clippy::unwrap_used, reason = "a measurement is a program")]

use crate::shop::phone;
use rusqlite::types::Value;
use rusqlite::{Connection, ToSql, params, params_from_iter};
use std::path::Path;
use uuid::Uuid;

pub struct Hand {
    db: Connection,
    insert_message: String,
    sample: Vec<Value>,
    /// The places of id, state, chat_id, contact_id, session_id, timestamp, created_at and updated_at.
    places: Vec<usize>,
    project: Vec<u8>,
    channel: String,
    message_state: String,
    event: Vec<Value>,
    words: String,
    states: Vec<String>,
}

impl Hand {
    /// Takes over a file that the product has made and filled with customers, each with a chat and an active session.
    pub fn open(path: &Path) -> Hand {
        let db = Connection::open(path).unwrap();
        db.set_prepared_statement_cache_capacity(64);
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
             PRAGMA wal_autocheckpoint = 10000; PRAGMA temp_store = MEMORY;",
        )
        .unwrap();
        let columns = |table: &str| -> Vec<String> {
            let mut statement = db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
            statement
                .query_map([], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .filter(|name| name != "row")
                .collect()
        };
        let first = |columns: &[String], table: &str, filter: &str| -> Vec<Value> {
            let sql = format!("SELECT {} FROM {table} WHERE {filter} LIMIT 1", quoted(columns));
            db.query_row(&sql, [], |row| (0..columns.len()).map(|place| row.get(place)).collect()).unwrap()
        };
        let names = columns("messages");
        let sample = first(&names, "messages", "1");
        let place = |name: &str| names.iter().position(|column| column == name).unwrap();
        let places = ["id", "state", "chat_id", "contact_id", "session_id", "timestamp", "created_at", "updated_at"];
        let insert_message = format!("INSERT INTO messages ({}) VALUES ({})", quoted(&names), marks(names.len()));
        let text = |sql: &str| -> String { db.query_row(sql, [], |row| row.get(0)).unwrap() };
        let event_columns = columns("events");
        let event: Vec<String> = event_columns.into_iter().filter(|name| name != "position").collect();
        let event = first(&event, "events", "type = 'message.received'");
        let state =
            |table: &str| text(&format!("SELECT state FROM {table} WHERE id IN (SELECT id FROM unique_keys) LIMIT 1"));
        let states = vec![state("contacts"), state("chats"), state("sessions")];
        let project = db.query_row("SELECT project_id FROM messages LIMIT 1", [], |row| row.get(0)).unwrap();
        let channel = text("SELECT scope FROM unique_keys WHERE space = 'message.external' LIMIT 1");
        Hand {
            insert_message,
            places: places.iter().map(|name| place(name)).collect(),
            message_state: text("SELECT state FROM messages LIMIT 1"),
            sample,
            project,
            channel,
            event,
            words: "_5 _5_0123456789abcdef0123456789abcdef could for list me message next please price saturday send the you"
                .to_owned(),
            states,
            db,
        }
    }

    pub fn begin(&self) {
        self.run("BEGIN IMMEDIATE", &[]);
    }

    pub fn commit(&self) {
        self.run("COMMIT", &[]);
    }

    pub fn message(&self, customer: usize, number: usize) {
        let (phone, now) = (phone(customer), std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros() as i64);
        let contact = self.holder("contact.phone", "", &phone);
        let chat = self.holder("chat.external", &self.channel, &format!("{phone}@c.us"));
        let session = self.holder("session.active_chat", "", &Uuid::from_slice(&chat).unwrap().to_string());
        let id = Uuid::from_u64_pair(now as u64, number as u64).as_bytes().to_vec();

        let mut values = self.sample.clone();
        let given: [Value; 8] = [
            id.clone().into(),
            self.message_state.clone().into(),
            chat.clone().into(),
            contact.clone().into(),
            session.clone().into(),
            now.into(),
            now.into(),
            now.into(),
        ];
        for (place, value) in self.places.iter().zip(given) {
            values[*place] = value;
        }
        self.db.prepare_cached(&self.insert_message).unwrap().execute(params_from_iter(values)).unwrap();
        let row = self.db.last_insert_rowid();
        let sql = "INSERT INTO unique_keys VALUES ('message.external', ?, ?, ?, ?, 'message', ?)";
        let external = format!("false_{phone}@c.us_3EB0{number:016X}");
        self.run(sql, params![self.channel, external, self.project, self.project, id]);
        self.run("INSERT INTO search (rowid, words) VALUES (?, ?)", params![row << 8 | 5, self.words]);

        let sql = "UPDATE contacts SET revision = revision + 1, state = ?, last_interaction_at = ?, last_inbound_at = ?
            WHERE project_id = ? AND id = ?";
        self.run(sql, params![self.states[0], now, now, self.project, contact]);
        let sql = "UPDATE chats SET revision = revision + 1, state = ?, unread_count = unread_count + 1,
            last_message_at = ?, last_inbound_at = ? WHERE project_id = ? AND id = ?";
        self.run(sql, params![self.states[1], now, now, self.project, chat]);
        let sql = "UPDATE sessions SET revision = revision + 1, state = ?, last_activity_at = ?, message_count = message_count + 1,
            messages_from_contact = messages_from_contact + 1, duration_seconds = duration_seconds + 1
            WHERE project_id = ? AND id = ?";
        self.run(sql, params![self.states[2], now, self.project, session]);

        let sql = "UPDATE log_heads SET head = head + 1 WHERE project_id = ? RETURNING head";
        let seq: i64 = self.db.prepare_cached(sql).unwrap().query_row(params![self.project], |row| row.get(0)).unwrap();
        let mut event = self.event.clone();
        event[1] = seq.into();
        event[2] = id.clone().into();
        event[6] = id.clone().into();
        event[8] = id.clone().into();
        (event[9], event[10]) = (now.into(), now.into());
        event[14] = id.clone().into();
        let sql = format!(
            "INSERT INTO events (project_id, seq, id, type, schema_version, aggregate_kind, aggregate_id,
                aggregate_version, commit_id, occurred_at, recorded_at, actor, source, command, correlation_id, causation_id,
                subjects, data, metadata) VALUES ({})",
            marks(event.len())
        );
        self.db.prepare_cached(&sql).unwrap().execute(params_from_iter(event)).unwrap();
        for (kind, subject) in [("message", &id), ("session", &session), ("chat", &chat), ("contact", &contact)] {
            let sql = "INSERT INTO event_subjects VALUES (?, ?, ?, ?)";
            self.run(sql, params![self.project, kind, subject, seq]);
        }
    }

    fn holder(&self, space: &str, scope: &str, key: &str) -> Vec<u8> {
        let sql = "SELECT id FROM unique_keys WHERE space = ? AND scope = ? AND key = ?";
        let mut statement = self.db.prepare_cached(sql).unwrap();
        statement
            .query_row([space, scope, key], |row| row.get(0))
            .unwrap_or_else(|e| panic!("{space} {scope} {key}: {e}"))
    }

    fn run(&self, sql: &str, values: &[&dyn ToSql]) {
        self.db.prepare_cached(sql).unwrap().execute(values).unwrap();
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

fn marks(count: usize) -> String {
    vec!["?"; count].join(", ")
}
