//! One project with one WhatsApp line in a store, the people who write to it, and what must hold afterwards.

use crate::store;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use ventros::channels::channel::commands::CreateChannel;
use ventros::conversations::inbound::{Ingest, Outcome};
use ventros::engine::{Aggregate, Crm, Project, Settings};
use ventros::kernel::{ChannelId, Clock, Error, ErrorCode, ProjectId, Result, input};
use ventros::storage::{EventQuery, EventRecord, Scope};
use ventros::tenancy::project::commands::CreateProject;
use ventros::testing::{SeededIds, block_on};

pub struct Shop {
    pub crm: Crm,
    pub project: Project,
    pub channel: ChannelId,
}

fn crm(place: &str, clock: Arc<dyn Clock>, seed: u64) -> Crm {
    let ids = SeededIds::new(seed);
    sure(|| block_on(Crm::open(Settings::new(store(place)?, clock.clone(), ids.clone()))))
}

impl Shop {
    pub fn found(place: &str, clock: Arc<dyn Clock>, seed: u64) -> Shop {
        let crm = crm(place, clock, seed);
        let acme = input::parse_value::<CreateProject>(json!({"name": "Acme", "default_region": "BR"})).unwrap();
        let project = crm.project(block_on(crm.execute(acme)).unwrap().id);
        let line = input::parse_value::<CreateChannel>(json!({"name": "W1", "type": "waha"})).unwrap();
        let channel = block_on(project.execute(line)).unwrap().channel.id;
        Shop { crm, project, channel }
    }

    /// The shop that another process has founded, as [`address`](Self::address) tells it.
    pub fn visit(place: &str, clock: Arc<dyn Clock>, seed: u64, address: &str) -> Shop {
        let crm = crm(place, clock, seed);
        let (project, channel) = address.split_once('/').unwrap();
        let project = crm.project(ProjectId::from_uuid(project.parse().unwrap()));
        Shop { crm, project, channel: ChannelId::from_uuid(channel.parse().unwrap()) }
    }

    pub fn address(&self) -> String {
        format!("{}/{}", self.project.id(), self.channel)
    }

    pub fn ingest(&self, item: &Value) -> Result<Vec<Outcome>> {
        let command = json!({"channel_id": self.channel, "item": item});
        block_on(self.project.execute(input::parse_value::<Ingest>(command).unwrap()))
    }

    pub fn all<A: Aggregate>(&self) -> Vec<A> {
        let scope = Scope::Project(self.project.id());
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let page = block_on(self.crm.core().storage().scan(scope, A::KIND, after, 1_000)).unwrap();
            let Some(last) = page.last() else { return all };
            after = Some(last.id);
            all.extend(page.iter().map(|snapshot| serde_json::from_str::<A>(&snapshot.state).unwrap()));
        }
    }

    pub fn log(&self) -> Vec<EventRecord> {
        let query = EventQuery { limit: usize::MAX >> 1, ..EventQuery::default() };
        block_on(self.crm.core().storage().events(Scope::Project(self.project.id()), &query)).unwrap()
    }

    /// Every log is dense and every snapshot is its fold.
    #[track_caller]
    pub fn check(&self) {
        for (project, head) in block_on(self.crm.core().storage().heads()).unwrap() {
            let differences = block_on(self.crm.differences(project)).unwrap();
            assert!(differences.is_empty(), "snapshots differ from the log: {differences:#?}");
            let query = EventQuery { limit: usize::MAX >> 1, ..EventQuery::default() };
            let events = block_on(self.crm.core().storage().events(Scope::Project(project), &query)).unwrap();
            assert!(events.iter().map(|event| event.seq).eq(1..=head), "the log of {project} has a hole");
        }
    }
}

/// A text message of a person to the shop, as a gateway hands it over.
pub fn message(id: &str, person: usize, at: &str) -> Value {
    let wid = format!("55119{:08}", 90_000_000 + person);
    let them = json!({"wid": wid, "display_name": format!("Person {person}")});
    json!({
        "type": "message", "channel_message_id": id, "from_me": false, "sender": them, "peer": them,
        "chat": {"external_id": format!("{wid}@c.us"), "class": "individual", "kind_detail": "direct", "subject": null},
        "timestamp": at, "content": {"type": "text", "body": format!("text {id}")},
    })
}

/// Calls until it is done: a call may lose too many races in a row, and a server may be away for a moment.
pub fn sure<T>(mut call: impl FnMut() -> Result<T>) -> T {
    loop {
        match call() {
            Err(error) if is_away(&error) => {}
            outcome if lost_the_race(&outcome) => {}
            outcome => return outcome.unwrap(),
        }
    }
}

/// True when a call lost too many races in a row, which its caller answers by calling again.
pub fn lost_the_race<T>(outcome: &Result<T>) -> bool {
    outcome.as_ref().is_err_and(|error| error.code() == ErrorCode::VersionConflict)
}

/// True when nobody answers, after a moment in which the server may come back.
pub fn is_away(error: &Error) -> bool {
    let is_away = error.code() == ErrorCode::Unavailable;
    if is_away {
        std::thread::sleep(Duration::from_millis(5));
    }
    is_away
}
