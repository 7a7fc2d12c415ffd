//! A shop on a file, with a line to a gateway of this machine.

use crate::server::FakeWaha;
use async_trait::async_trait;
use futures_util::future::{Either, select};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use ventros::engine::{Context, Crm, Settings};
use ventros::http::{Guard, HttpFailure, HttpRequest, HttpResponse, HttpTransport};
use ventros::kernel::{ActorRef, Component, ProjectId};
use ventros::testing::{ManualClock, SeededIds, block_on};
use ventros::vault::StaticKey;
use ventros_http::{Http, HttpOptions};
use ventros_sqlite::SqliteStorage;

const NAME: &str = "waha.example.com";
/// Who has not answered by then is not waited for: nobody here is slow on purpose.
const PATIENCE: Duration = Duration::from_millis(600);

/// The real transport, with less patience.
struct Hasty(Http);

#[async_trait]
impl HttpTransport for Hasty {
    async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpFailure> {
        request.timeout = request.timeout.min(PATIENCE);
        self.0.send(request).await
    }

    fn guard(&self) -> Guard {
        self.0.guard()
    }
}

/// A directory that goes with its test.
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub struct Shop {
    pub waha: FakeWaha,
    pub clock: Arc<ManualClock>,
    crm: Crm,
    project: ProjectId,
    channel: Value,
    contacts: RefCell<BTreeMap<String, Value>>,
    engines: u64,
    /// Dropped when the process dies.
    runtime: Option<Runtime>,
    directory: Directory,
}

impl Shop {
    /// With a line of WAHA.
    pub fn new(waha: FakeWaha) -> Shop {
        Shop::founded(waha, false)
    }

    /// With a line of a kind whose gateway recognises repetitions.
    pub fn keyed(waha: FakeWaha) -> Shop {
        Shop::founded(waha, true)
    }

    fn founded(waha: FakeWaha, is_keyed: bool) -> Shop {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("ventros-waha-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (directory, clock) = (Directory(directory), ManualClock::at("2025-01-06T09:00:00Z"));
        let runtime = runtime();
        let crm = open(&directory, &clock, &runtime, 1);
        let host = Context::new(None, ActorRef::system(Component::Host));
        let founded = json!({"name": "Shop"}).to_string();
        let project = block_on(crm.call("projects.create", host.clone(), founded.as_bytes())).unwrap();
        let project: Value = serde_json::from_str(&project).unwrap();
        let project = serde_json::from_value(project["id"].clone()).unwrap();
        let (channel, contacts, runtime) = (Value::Null, RefCell::default(), Some(runtime));
        let mut shop = Shop { waha, clock, crm, project, channel, contacts, engines: 1, runtime, directory };
        if is_keyed {
            let kind = json!({
                "code": "keyed", "gateway": "waha", "display_name": "Keyed", "provider": "waha", "family": "whatsapp",
                "config_schema": [
                    {"key": "base_url", "type": "string", "label": "Address"},
                    {"key": "api_key", "type": "string", "label": "Key", "secret": true},
                ],
                "capabilities": {"outbound_types": ["text"], "inbound_types": ["text"], "idempotent_send": true},
            });
            block_on(shop.crm.call("channel_types.create", host, kind.to_string().as_bytes())).unwrap();
        }
        let channel = json!({
            "name": "Line", "type": if is_keyed { "keyed" } else { "waha" }, "external_id": "session-one",
            "config": {"base_url": format!("http://{NAME}:{}", shop.waha.port), "api_key": "k-0123456789abcdef"},
        });
        shop.channel = shop.call("channels.create", channel)["id"].clone();
        shop.call("channels.activate", json!({"id": shop.channel}));
        shop.call("channels.report_connection", json!({"id": shop.channel, "connection": "connected"}));
        shop
    }

    #[track_caller]
    pub fn call(&self, operation: &str, input: Value) -> Value {
        call(&self.crm, self.project, operation, input)
    }

    /// Sends a text to a number.
    #[track_caller]
    pub fn send(&self, phone: &str, text: &str) -> Value {
        let mut contacts = self.contacts.borrow_mut();
        let contact = contacts
            .entry(phone.to_owned())
            .or_insert_with(|| self.call("contacts.create", json!({"name": "Ana", "phone": phone}))["id"].clone());
        let content = json!({"type": "text", "body": text});
        let input = json!({"contact_id": contact, "channel_id": self.channel, "content": content});
        self.call("messages.send", input)["id"].clone()
    }

    #[track_caller]
    pub fn message(&self, id: &Value) -> Value {
        self.call("messages.get", json!({"id": id}))
    }

    /// Hands over what the gateway tells, as the host would.
    #[track_caller]
    pub fn deliver(&self, event: Value) {
        self.call("inbound.accept", json!({"channel_id": self.channel, "raw": event.to_string()}));
    }

    /// Takes in what the gateway tells while it is asked.
    pub fn listen(&self) {
        let (crm, project, channel) = (self.crm.clone(), self.project, self.channel.clone());
        self.waha.tell(Arc::new(move |event| {
            call(&crm, project, "inbound.accept", json!({"channel_id": channel, "raw": event.to_string()}));
            block_on(crm.run_reactions_and_jobs()).unwrap();
        }));
    }

    pub fn run(&self) {
        block_on(self.crm.run_pending()).unwrap();
    }

    pub fn wait(&self, seconds: i64) {
        self.clock.advance_seconds(seconds);
        self.run();
    }

    /// Runs, and goes on to whatever is due next, for half a day.
    pub fn drain(&self) {
        drain(&self.clock, &[&self.crm]);
    }

    /// The same, with another engine on the same file in a thread of its own.
    pub fn drain_with_another(&mut self) {
        self.engines += 1;
        let other = open(&self.directory, &self.clock, self.runtime.as_ref().unwrap(), self.engines);
        drain(&self.clock, &[&self.crm, &other]);
    }

    /// Ends as a killed process does: in the middle of a call, with nothing written after it.
    pub fn die_during_a_call(&mut self) {
        let crm = self.crm.clone();
        let calls = block_on(crm.claim_calls(16)).unwrap();
        assert_eq!(calls.len(), 1);
        let runtime = self.runtime.take().unwrap();
        let waha = &self.waha;
        let before = waha.happened();
        for call in calls {
            runtime.block_on(async {
                let arrived = async {
                    while waha.happened() == before {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                };
                match select(pin!(call.run()), pin!(arrived)).await {
                    Either::Left(_) => panic!("nobody answers"),
                    Either::Right(_) => {}
                }
            });
        }
        runtime.shutdown_background();
    }

    /// Another process on the same file.
    pub fn open_again(&mut self) {
        self.engines += 1;
        let runtime = runtime();
        self.crm = open(&self.directory, &self.clock, &runtime, self.engines);
        self.runtime = Some(runtime);
    }

    /// The jobs that tell the gateway what was done with messages, oldest first: states and errors.
    #[track_caller]
    pub fn telling(&self) -> Vec<(String, String)> {
        let page = self.call("jobs.list", json!({"limit": 100}));
        let mut jobs = page["items"].as_array().unwrap().clone();
        jobs.retain(|job| job["kind"].as_str().unwrap().starts_with("channel."));
        jobs.sort_by_key(|job| job["id"].to_string());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        jobs.iter().map(|job| (text(&job["state"]), text(&job["last_error"]))).collect()
    }

    /// Panics unless every snapshot is the fold of the log.
    #[track_caller]
    pub fn assert_folds(&self) {
        let differences = block_on(self.crm.differences(self.project)).unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
    }

    /// How many messages people see.
    #[track_caller]
    pub fn visible(&self) -> usize {
        self.call("messages.list", json!({}))["items"].as_array().unwrap().len()
    }

    /// How many events of each type a message has.
    #[track_caller]
    pub fn events(&self, id: &Value) -> BTreeMap<String, usize> {
        let own = json!({"field": "subject", "op": "contains", "value": format!("message/{}", id.as_str().unwrap())});
        let page = self.call("events.list", json!({"filter": own, "limit": 200}));
        let mut counts = BTreeMap::new();
        for event in page["items"].as_array().unwrap() {
            *counts.entry(event["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    }

    /// Panics unless the message ended once, every try is in the log once, and every snapshot is the fold of the log.
    #[track_caller]
    pub fn assert_once(&self, id: &Value) {
        let (message, events) = (self.message(id), self.events(id));
        let count = |name: &str| events.get(name).copied().unwrap_or_default();
        assert_eq!(count("message.created"), 1, "{events:?}");
        assert_eq!(count("message.sent") + count("message.failed"), 1, "{events:?}");
        assert!(count("message.send_started") as i64 >= message["attempts"].as_i64().unwrap(), "{events:?}");
        let differences = block_on(self.crm.differences(self.project)).unwrap();
        assert!(differences.is_empty(), "{differences:#?}");
        let jobs = self.call("jobs.list", json!({"kind": "message.send", "limit": 100}));
        for job in jobs["items"].as_array().unwrap() {
            assert_eq!(job["state"], "succeeded", "{job}");
        }
    }
}

fn drain(clock: &ManualClock, engines: &[&Crm]) {
    let end = engines[0].core().now().plus_seconds(12 * 3_600);
    loop {
        std::thread::scope(|scope| {
            for crm in engines {
                scope.spawn(|| block_on(crm.run_pending()).unwrap());
            }
        });
        let now = engines[0].core().now();
        let next = block_on(engines[0].next_due()).unwrap().filter(|next| *next < end);
        let Some(next) = next else { return };
        let seconds = next.seconds_since(now);
        clock.advance_seconds(seconds.max(1));
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn open(directory: &Directory, clock: &Arc<ManualClock>, runtime: &Runtime, seed: u64) -> Crm {
    let guard = Guard::default().allow_private(NAME).unwrap().allow_http(true);
    let known = [(NAME.to_owned(), vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])].into();
    let http = Http::new(runtime.handle().clone(), HttpOptions { guard, trusted: Vec::new(), known }).unwrap();
    let storage = Arc::new(SqliteStorage::open(directory.0.join("crm.db")).unwrap());
    let settings = Settings::new(storage, clock.clone(), SeededIds::new(seed))
        .with_keys(Arc::new(StaticKey::new([7; 32]).unwrap()))
        .with_http(Arc::new(Hasty(http)));
    block_on(Crm::open(settings)).unwrap()
}

#[track_caller]
fn call(crm: &Crm, project: ProjectId, operation: &str, input: Value) -> Value {
    let context = Context::new(Some(project), ActorRef::system(Component::Host));
    let output = block_on(crm.call(operation, context, input.to_string().as_bytes()));
    let output = output.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
    serde_json::from_str(&output).unwrap()
}
