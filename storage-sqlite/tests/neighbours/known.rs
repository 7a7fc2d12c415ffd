//! What a project has that another one must not learn: its ids, and the words that are its alone.

use crate::furnished::{Ids, OURS, THEIRS};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;
use ventros::catalogue::AGGREGATES;
use ventros::kernel::{Kind, ProjectId};
use ventros::storage::{EventQuery, JobQuery, Scope, Storage};
use ventros::testing::block_on;

/// Shorter words stand in other texts by chance.
const SHORTEST: usize = 6;

/// Two projects as seen from outside.
pub struct Known {
    pub ids: Ids,
    /// By the name of their type, those that are no aggregates' ids.
    others: BTreeMap<(ProjectId, &'static str), Vec<Uuid>>,
    /// The neighbour's own words, by the key that they stand under.
    pub words: BTreeSet<(String, String)>,
    /// All that the neighbour alone has.
    marks: BTreeSet<String>,
    /// Types of ids that were asked for and that the neighbour has none of.
    pub missing: RefCell<BTreeSet<String>>,
}

impl Known {
    pub fn gather(storage: &dyn Storage) -> Known {
        let mut known = Known {
            ids: Ids::gather(storage),
            others: BTreeMap::new(),
            words: BTreeSet::new(),
            marks: BTreeSet::new(),
            missing: RefCell::default(),
        };
        let mut texts: BTreeMap<ProjectId, BTreeSet<(String, String)>> = BTreeMap::new();
        for project in [OURS, THEIRS, ProjectId::SYSTEM] {
            let texts = texts.entry(project).or_default();
            let scope = Scope::Project(project);
            let mut all: Vec<Value> = Vec::new();
            for aggregate in AGGREGATES {
                let found = block_on(storage.scan(scope, aggregate.kind, None, 1_000)).unwrap();
                all.extend(found.iter().map(|snapshot| serde_json::from_str::<Value>(&snapshot.state).unwrap()));
            }
            let every = EventQuery { limit: 10_000, ..EventQuery::default() };
            let events = block_on(storage.events(scope, &every)).unwrap();
            all.extend(events.iter().map(|event| serde_json::to_value(event).unwrap()));
            let jobs = block_on(storage.jobs(scope, &JobQuery { limit: 1_000, ..JobQuery::default() })).unwrap();
            for job in &jobs {
                let key = Value::from(job.unique_key.clone());
                all.push(serde_json::json!({"id": job.id, "unique_key": key, "payload": job.payload}));
            }
            let consumers = block_on(storage.consumers(scope)).unwrap();
            all.extend(consumers.iter().map(|consumer| serde_json::json!({"name": consumer.name})));
            all.iter().for_each(|value| leaves("", value, texts));
            let members = texts.iter().filter(|(key, _)| key == "user_id").map(|(_, id)| id.parse().unwrap());
            // Users belong to the installation; these are members of the project, and their keys for it.
            let members: Vec<Uuid> = members.collect();
            let users = block_on(storage.get(Scope::Project(ProjectId::SYSTEM), Kind::User, &members)).unwrap();
            let keys = users
                .iter()
                .map(|user| serde_json::from_str::<Value>(&user.state).unwrap()["api_keys"][0]["id"].clone());
            let keys = keys.filter_map(|id| id.as_str()?.parse().ok());
            let chats = block_on(storage.scan(scope, Kind::Chat, None, 100)).unwrap();
            let groups = chats.iter().filter(|chat| chat.state.contains(r#""chat_type":"group""#)).map(|chat| chat.id);
            let peers = texts.iter().filter(|(key, _)| key == "contact_id").map(|(_, id)| id.parse().unwrap());
            known.others.insert((project, "PeerId"), peers.collect());
            known.others.insert((project, "GroupId"), groups.collect());
            known.others.insert((project, "ApiKeyId"), keys.collect());
            known.others.insert((project, "UserId"), members);
            known.others.insert((project, "JobId"), jobs.iter().map(|job| job.id).collect());
            known.others.insert((project, "EventId"), events.iter().map(|event| event.id).collect());
            known.others.insert((project, "CorrelationId"), events.iter().map(|event| event.correlation_id).collect());
        }
        let is_also_elsewhere = |text: &String| {
            [OURS, ProjectId::SYSTEM].iter().any(|other| texts[other].iter().any(|(_, known)| known == text))
        };
        let theirs: Vec<&(String, String)> =
            texts[&THEIRS].iter().filter(|(_, text)| !is_also_elsewhere(text)).collect();
        known.marks = theirs.iter().map(|(_, text)| text.clone()).filter(|text| text.len() >= SHORTEST).collect();
        let is_word = |(_, text): &&&(String, String)| Uuid::parse_str(text).is_err();
        known.words = theirs.iter().filter(is_word).map(|word| (*word).clone()).collect();
        assert!(known.marks.len() > 50 && known.words.len() > 10, "the neighbour has too little: {:?}", known.words);
        known
    }

    /// The things of a type that a project has; remembered as missing when the neighbour has none.
    pub fn of(&self, project: ProjectId, name: &str) -> Vec<String> {
        let found: Vec<Uuid> = match name {
            "ProjectId" => vec![project.uuid()],
            _ => match self.others.iter().find(|((at, other), _)| *at == project && *other == name) {
                Some((_, ids)) => ids.clone(),
                None => self.ids.of(project, name).to_vec(),
            },
        };
        if found.is_empty() && project == THEIRS {
            self.missing.borrow_mut().insert(name.to_owned());
        }
        found.iter().map(Uuid::to_string).collect()
    }

    /// As [`of`](Self::of), by kind.
    pub fn of_kind(&self, project: ProjectId, kind: Kind) -> Vec<String> {
        self.ids.of(project, &crate::furnished::type_name(kind)).iter().map(Uuid::to_string).collect()
    }

    /// The first thing of the neighbour that a text shows, other than what the caller named itself.
    pub fn shown<'k>(&'k self, text: &str, named: Option<&str>) -> Option<&'k str> {
        // A number of a phone is written in several ways.
        let is_named = |mark: &str| {
            named.is_some_and(|named| {
                named.contains(mark)
                    || mark.contains(named)
                    || (digits(mark).is_some() && digits(named) == digits(mark))
            })
        };
        self.marks.iter().map(String::as_str).find(|mark| text.contains(mark) && !is_named(mark))
    }

    /// The first id of the neighbour's own things that a text shows.
    pub fn id_shown<'k>(&'k self, text: &str) -> Option<&'k str> {
        let members = self.of(THEIRS, "UserId");
        let is_own = |mark: &&str| {
            Uuid::parse_str(mark).is_ok_and(|id| id != THEIRS.uuid()) && !members.contains(&(*mark).to_owned())
        };
        self.marks.iter().map(String::as_str).filter(is_own).find(|mark| text.contains(mark))
    }
}

/// All texts in a value, with the key that each stands under. Text that is JSON itself is looked into.
fn leaves(key: &str, value: &Value, found: &mut BTreeSet<(String, String)>) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => leaves(key, &inner, found),
            _ => drop(found.insert((key.to_owned(), text.clone()))),
        },
        Value::Array(items) => items.iter().for_each(|item| leaves(key, item, found)),
        Value::Object(fields) => fields.iter().for_each(|(key, inner)| leaves(key, inner, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn digits(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= SHORTEST && digits.len() + 1 >= text.len()).then_some(digits)
}
