//! The acceptance cases of the webhook page, by number, against a receiver that answers as each test tells it.

mod bodies;
mod delivering;
mod expiring;
mod many;
mod people;
mod replaying;
mod rules;

use super::{DeliveryStatus, WebhookDelivery};
use crate::engine::{Crm, Project, Settings};
use crate::http::{Guard, HttpFailure, HttpRequest, HttpResponse, HttpTransport};
use crate::kernel::{ErrorCode, ProjectId, Timestamp};
use crate::seeded::SeededIds;
use crate::storage::{EventQuery, EventRecord, MemoryStorage, Scope, Storage};
use crate::testing::{ManualClock, World, block_on};
use crate::vault::StaticKey;
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};

type Answer = Result<HttpResponse, HttpFailure>;
type Script = dyn FnMut(&HttpRequest, usize) -> Answer + Send;

/// Takes what is posted, and answers by a script that may be changed.
pub(super) struct Receiver {
    script: Mutex<Box<Script>>,
    pub taken: Mutex<Vec<HttpRequest>>,
    guard: Guard,
    clock: Arc<ManualClock>,
    /// How many seconds an answer takes.
    takes: Mutex<i64>,
}

#[async_trait]
impl HttpTransport for Receiver {
    async fn send(&self, request: HttpRequest) -> Answer {
        let number = {
            let mut taken = self.taken.lock().unwrap();
            taken.push(request.clone());
            taken.len()
        };
        self.clock.advance_seconds(*self.takes.lock().unwrap());
        // A test may let the process die in the middle of a call.
        let mut script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        script(&request, number)
    }

    fn guard(&self) -> Guard {
        self.guard.clone()
    }
}

impl Receiver {
    pub fn answers(&self, script: impl FnMut(&HttpRequest, usize) -> Answer + Send + 'static) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(script);
    }

    pub fn says(&self, status: u16) {
        self.answers(move |_, _| Ok(HttpResponse::new(status, "")));
    }

    pub fn count(&self) -> usize {
        self.taken.lock().unwrap().len()
    }

    /// The last request, with its body.
    #[track_caller]
    pub fn last(&self) -> (HttpRequest, Value) {
        let taken = self.taken.lock().unwrap();
        let request = taken.last().expect("something was posted").clone();
        let body = serde_json::from_slice(&request.body).expect("a body is JSON");
        (request, body)
    }

    /// The short types of all bodies, in the order of their arrival.
    pub fn types(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        let short = |request: &HttpRequest| {
            let body: Value = serde_json::from_slice(&request.body).expect("a body is JSON");
            let text = body["type"].as_str().unwrap_or_default().trim_start_matches("io.ventros.");
            text.rsplit_once(".v").map_or(String::new(), |(name, _)| name.to_owned())
        };
        taken.iter().map(short).collect()
    }
}

#[track_caller]
pub(super) fn header(request: &HttpRequest, name: &str) -> String {
    let found = request.headers.iter().find(|(known, _)| known == name);
    found.unwrap_or_else(|| panic!("no header {name}")).1.clone()
}

/// An installation with one project and a receiver.
pub(super) struct House {
    pub world: World,
    pub project: Project,
    pub receiver: Arc<Receiver>,
}

pub(super) const PROJECT: &str = "0199d1c2-0000-7000-8000-0000000000aa";
pub(super) const OTHER: &str = "0199d1c2-0000-7000-8000-0000000000bb";
pub(super) const URL: &str = "https://n8n.example.com/hook";

impl House {
    pub fn new() -> House {
        House::on(Arc::new(MemoryStorage::default()), Guard::default())
    }

    pub fn on(storage: Arc<dyn Storage>, guard: Guard) -> House {
        House::with(storage, guard, |settings| settings)
    }

    pub fn with(storage: Arc<dyn Storage>, guard: Guard, change: impl FnOnce(Settings) -> Settings) -> House {
        let clock = ManualClock::at("2025-01-06T12:00:00Z");
        let receiver = Arc::new(Receiver {
            script: Mutex::new(Box::new(|_, _| Ok(HttpResponse::new(200, "")))),
            taken: Mutex::default(),
            guard,
            clock: clock.clone(),
            takes: Mutex::new(0),
        });
        let settings = Settings::new(storage, clock.clone(), SeededIds::new(1)).with_http(receiver.clone());
        let settings = settings.with_keys(Arc::new(StaticKey::new([7; 32]).unwrap()));
        let world = World { crm: block_on(Crm::open(change(settings))).unwrap(), clock };
        let project = world.found(ProjectId::parse(PROJECT).unwrap());
        House { world, project, receiver }
    }

    pub fn takes(&self, seconds: i64) {
        *self.receiver.takes.lock().unwrap() = seconds;
    }

    #[track_caller]
    pub fn call(&self, operation: &str, input: Value) -> Value {
        call(&self.project, operation, input)
    }

    #[track_caller]
    pub fn refused(&self, operation: &str, input: Value) -> (ErrorCode, String) {
        refused(&self.project, operation, input)
    }

    /// A webhook; what is not told is as in case 3.
    #[track_caller]
    pub fn webhook(&self, more: Value) -> Value {
        let mut input = json!({"name": "N8N", "url": URL, "event_types": ["contact.*"]});
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.call("webhooks.create", input)
    }

    #[track_caller]
    pub fn contact(&self, name: &str) -> Value {
        self.call("contacts.create", json!({"name": name}))
    }

    /// Does everything that is due.
    #[track_caller]
    pub fn run(&self) {
        block_on(self.world.crm.run_pending()).expect("work is done");
    }

    #[track_caller]
    pub fn after(&self, seconds: i64) {
        self.world.clock.advance_seconds(seconds);
        self.run();
    }

    /// Goes on until nothing waits any more, from one due moment to the next, for at most so many seconds.
    #[track_caller]
    pub fn run_for(&self, seconds: i64) {
        let end = self.now().plus_seconds(seconds);
        loop {
            self.run();
            let next = block_on(self.world.crm.next_due()).expect("due times are known");
            match next.filter(|next| *next <= end) {
                Some(next) => {
                    let ahead = (next.micros() - self.now().micros()).div_euclid(1_000_000) + 1;
                    self.world.clock.advance_seconds(ahead.max(1));
                }
                None => return,
            }
        }
    }

    pub fn now(&self) -> Timestamp {
        self.world.crm.core().now()
    }

    /// Deliveries, oldest first.
    #[track_caller]
    pub fn deliveries(&self) -> Vec<WebhookDelivery> {
        let mut all = Vec::new();
        let mut input = json!({"sort": ["created_at"], "limit": 100});
        loop {
            let page = self.call("webhooks.list_deliveries", input.clone());
            let items = page["items"].as_array().unwrap().iter();
            all.extend(items.map(|item| serde_json::from_value::<WebhookDelivery>(item.clone()).unwrap()));
            if page["has_more"] == false {
                return all;
            }
            input["cursor"] = page["next_cursor"].clone();
        }
    }

    #[track_caller]
    pub fn delivery(&self) -> WebhookDelivery {
        let mut all = self.deliveries();
        assert_eq!(all.len(), 1, "{all:#?}");
        all.remove(0)
    }

    pub fn statuses(&self) -> Vec<DeliveryStatus> {
        self.deliveries().into_iter().map(|delivery| delivery.status).collect()
    }

    /// Events of webhooks in the log, oldest first.
    pub fn events(&self) -> Vec<EventRecord> {
        let query = EventQuery { types: vec!["webhook.*".to_owned()], limit: 1_000, ..EventQuery::default() };
        block_on(self.world.crm.core().storage().events(Scope::Project(self.project.id()), &query)).unwrap()
    }

    pub fn event_types(&self) -> Vec<String> {
        self.events().into_iter().map(|event| event.event_type).collect()
    }
}

#[track_caller]
pub(super) fn call(project: &Project, operation: &str, input: Value) -> Value {
    let output = block_on(project.crm().call(operation, project.context(), input.to_string().as_bytes()));
    let output = output.unwrap_or_else(|error| panic!("{operation}: {error:?}"));
    serde_json::from_str(&output).expect("an output is JSON")
}

/// Why an operation is refused, and where.
#[track_caller]
pub(super) fn refused(project: &Project, operation: &str, input: Value) -> (ErrorCode, String) {
    match block_on(project.crm().call(operation, project.context(), input.to_string().as_bytes())) {
        Ok(output) => panic!("{operation} gave {output}"),
        Err(error) => (error.code(), error.field().unwrap_or_default().to_owned()),
    }
}
