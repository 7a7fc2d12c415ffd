//! A project with one WhatsApp line whose history is imported, on any store.

use super::gateway::{Gateway, Memory, Said};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use ventros::engine::{Crm, Project, Settings};
use ventros::kernel::{Error, ErrorCode, Kind, ProjectId, Timestamp};
use ventros::storage::{EventQuery, EventRecord, Scope, Storage};
use ventros::testing::{ManualClock, SeededIds, World, block_on};
use ventros::vault::StaticKey;

pub const PROJECT: ProjectId = ProjectId::from_uuid(uuid::Uuid::from_u128(0xA11));

/// Seconds of a moment of 2025-01-05, one day before the line is connected.
pub fn on_the_day_before(hour: i64, minute: i64) -> i64 {
    1_736_035_200 + hour * 3_600 + minute * 60
}

/// A chat of this number with messages of the contact.
pub fn chat(number: u32, times: &[i64]) -> (String, Vec<Said>) {
    let id = format!("55119{number:08}@c.us");
    let said = times.iter().enumerate().map(|(place, at)| Said {
        id: format!("M{number:04}{place:06}"),
        at: *at,
        from_me: place % 3 == 2,
        by: None,
    });
    (id, said.collect())
}

pub struct House {
    pub world: World,
    pub shop: Project,
    pub gateway: Arc<Gateway>,
    pub channel: Value,
    store: Arc<dyn Storage>,
    clock: Arc<ManualClock>,
}

impl House {
    /// An active line, its sessions end after an hour of silence, at 10:00.
    pub fn on(store: Arc<dyn Storage>, memory: Memory) -> House {
        House::with(store, memory, json!({"session_timeout_minutes": 60}))
    }

    pub fn with(store: Arc<dyn Storage>, memory: Memory, settings: Value) -> House {
        let gateway = Gateway::new(memory);
        let world = World::with_http(store.clone(), gateway.clone());
        let shop = world.found(PROJECT);
        let clock = world.clock.clone();
        let mut house = House { world, shop, gateway, channel: Value::Null, store, clock };
        let mut channel = json!({
            "name": "Line", "type": "waha", "external_id": "session-one", "history_import_enabled": true,
            "config": {"base_url": "https://waha.example.com/", "api_key": "k-0123456789abcdef"},
        });
        channel.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        house.channel = house.ok("channels.create", channel)["id"].clone();
        house.ok("channels.activate", json!({"id": house.channel}));
        let own = json!({"wid": "551150000001", "lid": null, "jid": "551150000001"});
        let connected = json!({"id": house.channel, "connection": "connected", "identity": own});
        house.ok("channels.report_connection", connected);
        house.clock.set("2025-01-06T10:00:00Z");
        house
    }

    /// Another process takes the place of this one, which died.
    pub fn succeeded(self, seed: u64) -> House {
        let store = self.store.clone();
        self.succeeded_on(store, seed)
    }

    /// The same, with the store opened again.
    pub fn succeeded_on(self, store: Arc<dyn Storage>, seed: u64) -> House {
        self.opened(store, seed, |settings| settings)
    }

    /// As [`succeeded`](Self::succeeded), opened otherwise.
    pub fn succeeded_with(self, seed: u64, change: impl FnOnce(Settings) -> Settings) -> House {
        let store = self.store.clone();
        self.opened(store, seed, change)
    }

    fn opened(self, store: Arc<dyn Storage>, seed: u64, change: impl FnOnce(Settings) -> Settings) -> House {
        let keys = StaticKey::new([7; 32]).unwrap();
        let settings = Settings::new(store.clone(), self.clock.clone(), SeededIds::new(seed))
            .with_keys(Arc::new(keys))
            .with_http(self.gateway.clone());
        let crm = block_on(Crm::open(change(settings))).unwrap();
        self.gateway.hangs.store(false, Ordering::SeqCst);
        let shop = crm.project(PROJECT);
        House { world: World { crm, clock: self.clock.clone() }, shop, store, ..self }
    }

    pub fn call(&self, operation: &str, input: Value) -> Result<Value, Error> {
        let answer = block_on(self.world.crm.call(operation, self.shop.context(), input.to_string().as_bytes()));
        answer.map(|text| serde_json::from_str(&text).unwrap())
    }

    #[track_caller]
    pub fn ok(&self, operation: &str, input: Value) -> Value {
        self.call(operation, input).unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    #[track_caller]
    pub fn refused(&self, operation: &str, input: Value) -> ErrorCode {
        self.call(operation, input).expect_err("it is refused").code()
    }

    /// Asks for everything.
    #[track_caller]
    pub fn request(&self) -> Value {
        self.ok("imports.request", json!({"channel_id": self.channel, "strategy": "full"}))["id"].clone()
    }

    #[track_caller]
    pub fn import(&self, id: &Value) -> Value {
        self.ok("imports.get", json!({"id": id}))
    }

    pub fn run(&self) {
        block_on(self.world.crm.run_pending()).unwrap();
    }

    pub fn wait(&self, seconds: i64) {
        self.clock.advance_seconds(seconds);
        self.run();
    }

    /// Works until the import has ended.
    #[track_caller]
    pub fn finish(&self, id: &Value) -> Value {
        for _ in 0..2_000 {
            self.run();
            let import = self.import(id);
            let status = import["status"].as_str().unwrap();
            if !["requested", "planning", "running", "paused"].contains(&status) {
                self.run();
                return self.import(id);
            }
            self.clock.advance_seconds(1);
        }
        panic!("it never ends: {:#}", self.import(id));
    }

    /// Imports everything.
    #[track_caller]
    pub fn import_all(&self) -> Value {
        let id = self.request();
        self.finish(&id)
    }

    /// Has a call begin that never comes back, and dies with it.
    pub fn die_in_a_call(&self) {
        self.gateway.hangs.store(true, Ordering::SeqCst);
        let before = self.gateway.hung.load(Ordering::SeqCst);
        let mut run = pin!(self.world.crm.run_pending());
        let mut context = Context::from_waker(Waker::noop());
        while self.gateway.hung.load(Ordering::SeqCst) == before {
            if let Poll::Ready(report) = run.as_mut().poll(&mut context) {
                panic!("nothing was called: {report:?}");
            }
            std::thread::yield_now();
        }
    }

    pub fn states(&self, kind: Kind) -> Vec<Value> {
        let found = block_on(self.store.scan(Scope::Project(PROJECT), kind, None, 100_000)).unwrap();
        found.iter().map(|snapshot| serde_json::from_str(&snapshot.state).unwrap()).collect()
    }

    pub fn events(&self, pattern: &str) -> Vec<EventRecord> {
        let query = EventQuery { limit: 100_000, types: vec![pattern.to_owned()], ..EventQuery::default() };
        block_on(self.store.events(Scope::Project(PROJECT), &query)).unwrap()
    }

    pub fn count(&self, pattern: &str) -> usize {
        self.events(pattern).len()
    }

    /// Where the sessions are cut and how many messages each has, in their order.
    pub fn sessions(&self) -> Vec<(String, String, Value, u64)> {
        let text = |session: &Value, name: &str| session[name].as_str().unwrap().to_owned();
        let mut sessions: Vec<(String, String, Value, u64)> = self
            .states(Kind::Session)
            .iter()
            .filter(|session| session["status"] != "merged")
            .map(|session| {
                let count = session["metrics"]["message_count"].as_u64().unwrap();
                (text(session, "started_at"), text(session, "last_activity_at"), session["ended_at"].clone(), count)
            })
            .collect();
        sessions.sort_by_key(|session| json!(session).to_string());
        sessions
    }

    /// All that people see of it, without ids and moments of processing.
    pub fn picture(&self) -> Value {
        let mut rows: Vec<String> = Vec::new();
        self.rows(|row| rows.push(row));
        rows.sort();
        json!(rows)
    }

    /// A hash of the same, in one pass whatever the size: the sum of the hashes of all rows, so that their order says nothing.
    pub fn digest(&self) -> String {
        let mut sum = [0_u64; 4];
        self.rows(|row| {
            let hash = Sha256::digest(row.as_bytes());
            for (part, bytes) in sum.iter_mut().zip(hash.chunks_exact(8)) {
                *part = part.wrapping_add(u64::from_be_bytes(bytes.try_into().unwrap()));
            }
        });
        sum.iter().map(|part| format!("{part:016x}")).collect()
    }

    fn each(&self, kind: Kind, mut take: impl FnMut(Value)) {
        let mut after = None;
        loop {
            let found = block_on(self.store.scan(Scope::Project(PROJECT), kind, after, 1_000)).unwrap();
            let Some(last) = found.last() else { return };
            after = Some(last.id);
            found.iter().for_each(|snapshot| take(serde_json::from_str(&snapshot.state).unwrap()));
        }
    }

    fn rows(&self, mut take: impl FnMut(String)) {
        let pick = |state: &Value, names: &[&str]| -> Vec<Value> {
            names.iter().map(|name| name.split('.').fold(state, |value, part| &value[part]).clone()).collect()
        };
        let mut begins: HashMap<String, Value> = HashMap::new();
        self.each(Kind::Session, |session| {
            begins.insert(session["id"].as_str().unwrap().to_owned(), session["started_at"].clone());
            if session["status"] != "merged" {
                let names =
                    ["started_at", "last_activity_at", "ended_at", "status", "origin", "metrics", "timeout_seconds"];
                take(json!(["session", pick(&session, &names)]).to_string());
            }
        });
        self.each(Kind::Message, |message| {
            let names = [
                "channel_message_id",
                "timestamp",
                "direction",
                "source",
                "status",
                "historical",
                "content",
                "sent_at",
                "delivered_at",
                "read_at",
            ];
            let mut row = pick(&message, &names);
            row.push(json!(message["session_id"].as_str().and_then(|id| begins.get(id))));
            take(json!(["message", row]).to_string());
        });
        self.each(Kind::Chat, |chat| {
            let names =
                ["external_id", "chat_type", "unread_count", "message_count", "last_message.at", "last_inbound_at"];
            take(json!(["chat", pick(&chat, &names)]).to_string());
        });
        self.each(Kind::Contact, |contact| {
            let names = ["name", "phone", "first_interaction_at", "last_interaction_at", "last_inbound_at"];
            take(json!(["contact", pick(&contact, &names)]).to_string());
        });
    }

    /// A live message of the contact of a chat.
    #[track_caller]
    pub fn hears(&self, number: u32, id: &str, at: &str) -> Value {
        let wid = format!("55119{number:08}");
        let item = json!({
            "type": "message", "channel_message_id": id, "from_me": false, "timestamp": at,
            "chat": {"external_id": format!("{wid}@c.us"), "class": "individual", "kind_detail": "direct"},
            "sender": {"wid": wid}, "content": {"type": "text", "body": id},
        });
        self.ok("inbound.ingest", json!({"channel_id": self.channel, "item": item}))[0].clone()
    }
}

/// The moment of so many seconds, as it is written.
pub fn moment(seconds: i64) -> String {
    let at = Timestamp::from_seconds(seconds).unwrap();
    serde_json::to_value(at).unwrap().as_str().unwrap().to_owned()
}
