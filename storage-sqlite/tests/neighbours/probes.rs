//! Inputs with what belongs to a neighbour, made from what the catalogue says of an operation.

use super::known::Known;
use crate::furnished::{OURS, THEIRS};
use crate::schema::{Place, Schemas, Step, forms, types};
use serde_json::{Value, json};
use ventros::catalogue::{Catalogue, OperationDoc};
use ventros::engine::OperationKind;
use ventros::kernel::Kind;

/// An id that nobody has.
pub const UNKNOWN: &str = "0190b6f0-0000-7000-8000-00000000dead";
/// Of so many things of one type a few are tried.
const MOST: usize = 4;

/// One place of an operation's input, with what is put there.
pub struct Probe {
    pub operation: String,
    pub path: String,
    pub is_query: bool,
    /// What is the neighbour's, and the input with it.
    pub theirs: Vec<(String, String)>,
    /// The same of our own.
    pub ours: Vec<(String, String)>,
    /// With an id that nobody has.
    pub nobody: Option<String>,
    /// What a refusal must say; empty when anything may be said.
    pub codes: Vec<String>,
}

/// Identifiers without a type of their own, by what they name.
const UNTYPED: &[(&str, &str)] =
    &[("chats.remove_participant", "ContactId"), ("chats.set_participant_role", "ContactId")];

/// One of our own people.
const FOUNDER: &str = r#"{"id": "ContactId", "type": "contact"}"#;

/// An operation, the path of a place in its input, and for each further field a value or the name of the type of one of our own ids.
type Beside = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// What an operation needs beside the place that is tried, where the schema does not say so.
const BESIDE: &[Beside] = &[
    ("chats.add_participant", "participant.id contact", &[("id", "GroupId")]),
    ("chats.create", "creator.id contact", &[("chat_type", "group"), ("subject", "Us")]),
    ("chats.create", "participants[0].id contact", &[("chat_type", "group"), ("subject", "Us"), ("creator", FOUNDER)]),
    ("chats.find", "channel_id", &[("contact_id", "PeerId")]),
    ("chats.remove_participant", "participant_id", &[("id", "GroupId")]),
    ("chats.set_participant_role", "participant_id", &[("id", "GroupId")]),
    ("consumers.discard_dead_letters", "event_ids[0]", &[("name", "reader")]),
    ("consumers.retry_dead_letters", "event_ids[0]", &[("name", "reader")]),
    ("events.record", "subjects[0].id contact", &[("type", "custom.visit")]),
    ("events.record", "subjects[0].id message", &[("type", "custom.visit")]),
    ("events.record", "subjects[0].id session", &[("type", "custom.visit")]),
    ("members.revoke_api_key", "user_id", &[("api_key_id", "ApiKeyId")]),
    ("messages.find", "channel_id", &[("channel_message_id", "M1")]),
    ("messages.search", "filter", &[("text", "Hi")]),
    ("messages.thread", "channel_id", &[("contact_id", "PeerId")]),
    ("messages.report_delivery", "channel_id", &[("channel_message_id", "M1")]),
    ("messages.send", "channel_id", &[("contact_id", "ContactId")]),
    ("messages.send", "contact_id", &[("channel_id", "ChannelId")]),
    ("messages.send", "mentions[0].contact_id", &[("chat_id", "ChatId")]),
    ("messages.send", "reply_to_id", &[("chat_id", "ChatId")]),
    ("sessions.end", "id", &[("reason", "manual_close")]),
    ("sessions.find", "channel_id", &[("contact_id", "PeerId")]),
    ("sessions.find", "contact_id", &[("channel_id", "ChannelId")]),
];

/// Ids of what is not part of the product yet; they are kept as they are given.
const NAME_NOTHING: &[(&str, &str)] = &[
    ("import_id", "a name that the caller gives"),
    ("origin.import_id", "contacts are not imported"),
    ("origin.link_id", "there are no tracking links"),
];

/// The codes of some types and places are not named after them.
const CODES: &[(&str, &[&str])] = &[
    ("JobId", &["job_not_found", "inbound_item_not_found"]),
    ("EventId", &["event_not_found", "dead_letter_not_found"]),
    ("messages.send reply_to_id", &["reply_target_mismatch"]),
    ("members.permissions user_id", &["not_a_member"]),
    ("members.revoke_api_key user_id", &["api_key_not_found"]),
    ("projects.transfer_ownership new_owner_user_id", &["owner_must_be_admin_member"]),
];

/// Fields of events that hold ids.
const EVENT_FIELDS: &[&str] = &["aggregate_id", "correlation_id", "subject"];

/// All probes of an operation.
pub fn of(catalogue: &Catalogue, operation: &OperationDoc, known: &Known) -> Vec<Probe> {
    let schemas = Schemas { definitions: &catalogue.definitions, id: Box::new(|name| own(known, name)) };
    let writer = Writer { catalogue, operation, known, schemas };
    let mut probes = Vec::new();
    for place in writer.schemas.places(&operation.input) {
        let schema = writer.schemas.resolve(&place.schema);
        // A condition inside another one is looked up as the one outside.
        let is_filter = place.path() == "filter" && is_filter(&schema);
        if let Some(name) = schema["x-id"].as_str() {
            probes.extend(writer.link(&place, name));
        } else if schema["format"] == "uuid" {
            probes.extend(writer.untyped(&place));
        } else if is_filter {
            probes.extend(writer.filters(&place));
        } else if types(&schema).iter().any(|kind| kind == "string") && schema.get("enum").is_none() {
            probes.extend(writer.words(&place));
        }
    }
    probes
}

/// A cursor of the neighbour's list in ours; `call` runs the operation there.
pub fn cursor(
    catalogue: &Catalogue,
    operation: &OperationDoc,
    known: &Known,
    call: impl Fn(&str) -> Option<String>,
) -> Option<Probe> {
    let schemas = Schemas { definitions: &catalogue.definitions, id: Box::new(|name| own(known, name)) };
    let writer = Writer { catalogue, operation, known, schemas };
    let places = writer.schemas.places(&operation.input);
    let has = |path: &str| places.iter().any(|place| place.path() == path);
    if !has("cursor") || !has("limit") {
        return None;
    }
    let mut input = writer.base();
    input["limit"] = json!(1);
    let first: Value = serde_json::from_str(&call(&input.to_string())?).unwrap();
    let cursor = first["next_cursor"].as_str()?;
    input["cursor"] = json!(cursor);
    Some(writer.probe("cursor", vec![(cursor.to_owned(), input.to_string())]))
}

/// A query as it is, with everything that it can count.
pub fn plain(catalogue: &Catalogue, operation: &OperationDoc, known: &Known) -> Probe {
    let schemas = Schemas { definitions: &catalogue.definitions, id: Box::new(|name| own(known, name)) };
    let writer = Writer { catalogue, operation, known, schemas };
    let mut input = writer.base();
    for place in writer.schemas.places(&operation.input) {
        if ["with_total", "include_deleted"].contains(&place.path().as_str()) {
            input[place.path()] = json!(true);
        }
    }
    writer.probe("", vec![(String::new(), input.to_string())])
}

struct Writer<'c> {
    catalogue: &'c Catalogue,
    operation: &'c OperationDoc,
    known: &'c Known,
    schemas: Schemas<'c>,
}

impl Writer<'_> {
    fn base(&self) -> Value {
        self.schemas.sample(&self.operation.input, "")
    }

    fn probe(&self, path: &str, theirs: Vec<(String, String)>) -> Probe {
        Probe {
            operation: self.operation.name.to_owned(),
            path: path.to_owned(),
            is_query: self.operation.kind == OperationKind::Query,
            theirs,
            ours: Vec::new(),
            nobody: None,
            codes: Vec::new(),
        }
    }

    /// An id of a type.
    fn link(&self, place: &Place, name: &str) -> Option<Probe> {
        let path = place.path();
        let input =
            |id: &str| self.complete(&path, self.schemas.build(&self.operation.input, &place.trail, Some(&json!(id))));
        let snake: String = name.trim_end_matches("Id").chars().flat_map(snake).collect();
        let here = format!("{} {path}", self.operation.name);
        let codes = CODES.iter().find(|(other, _)| *other == here || *other == name);
        let codes = match codes {
            Some((_, codes)) => codes.iter().map(|code| (*code).to_owned()).collect(),
            None => vec![format!("{}_not_found", snake.trim_start_matches('_'))],
        };
        self.ids(path.clone(), (self.known.of(THEIRS, name), self.known.of(OURS, name)), &codes, input)
    }

    /// The input with what the operation needs beside the place.
    fn complete(&self, path: &str, mut input: Value) -> String {
        let beside = BESIDE.iter().find(|(operation, at, _)| *operation == self.operation.name && *at == path);
        for (field, value) in beside.map(|(_, _, fields)| *fields).unwrap_or_default() {
            input[*field] = match *value {
                FOUNDER => serde_json::from_str(&FOUNDER.replace("ContactId", &own(self.known, "ContactId"))).unwrap(),
                id if id.ends_with("Id") => json!(own(self.known, id)),
                word => json!(word),
            };
        }
        input.to_string()
    }

    /// An id whose type another field says, or that is known by its operation.
    fn untyped(&self, place: &Place) -> Vec<Probe> {
        let named = UNTYPED.iter().find(|(operation, _)| *operation == self.operation.name);
        if let (Some((_, name)), "participant_id") = (named, place.path().as_str()) {
            let path = place.path();
            let input = |id: &str| {
                self.complete(&path, self.schemas.build(&self.operation.input, &place.trail, Some(&json!(id))))
            };
            let ids = (self.known.of(THEIRS, name), self.known.of(OURS, name));
            return self.ids(path.clone(), ids, &["participant_not_found".to_owned()], input).into_iter().collect();
        }
        let (Some(Step::Key(_)), parent) = (place.trail.last(), &place.trail[..place.trail.len() - 1]) else {
            return Vec::new();
        };
        if NAME_NOTHING.iter().any(|(path, _)| *path == place.path()) {
            return Vec::new();
        }
        let here = || panic!("{} {}: of what is this the id?", self.operation.name, place.path());
        let (key, kinds) = self.siblings(parent).unwrap_or_else(here);
        let mut probes = Vec::new();
        for kind in kinds.iter().filter_map(|kind| Kind::parse(kind)) {
            let word = if kind == Kind::ProjectMember { "member" } else { kind.as_str() };
            let path = format!("{} {word}", place.path());
            let ids = (self.known.of_kind(THEIRS, kind), self.known.of_kind(OURS, kind));
            let input = |id: &str| {
                let mut input = self.schemas.build(&self.operation.input, &place.trail, Some(&json!(id)));
                inside(&mut input, parent)[&key] = json!(kind.as_str());
                self.complete(&path, input)
            };
            // An aggregate that nobody has has no events.
            let codes = [format!("{word}_not_found"), "event_not_found".to_owned(), "aggregate_not_found".to_owned()];
            probes.extend(self.ids(path.clone(), ids, &codes, input));
        }
        probes
    }

    /// The field beside an id that says of which kind it is, and its words.
    fn siblings(&self, parent: &[Step]) -> Option<(String, Vec<String>)> {
        let mut schema = self.schemas.resolve(&self.operation.input);
        for step in parent {
            schema = self.schemas.resolve(&match step {
                Step::Key(key) => schema["properties"][key].clone(),
                Step::Item => schema["items"].clone(),
                Step::Entry => schema["additionalProperties"].clone(),
                Step::Form(number) => forms(&schema)[*number].clone(),
            });
        }
        ["kind", "type"].iter().find_map(|key| {
            let sibling = self.schemas.resolve(schema["properties"].get(key)?);
            let consts = forms(&sibling).iter().filter_map(|form| form["const"].as_str().map(str::to_owned)).collect();
            let words = sibling["enum"]
                .as_array()
                .map(|words| words.iter().filter_map(Value::as_str).map(str::to_owned).collect());
            Some(((*key).to_owned(), words.unwrap_or(consts)))
        })
    }

    fn ids(
        &self,
        path: String,
        (theirs, ours): (Vec<String>, Vec<String>),
        codes: &[String],
        input: impl Fn(&str) -> String,
    ) -> Option<Probe> {
        let several =
            |ids: Vec<String>| ids.into_iter().take(MOST).map(|id| (id.clone(), input(&id))).collect::<Vec<_>>();
        let (theirs, ours) = (several(theirs), several(ours));
        let probe = Probe { ours, nobody: Some(input(UNKNOWN)), codes: codes.to_vec(), ..self.probe(&path, theirs) };
        (!probe.theirs.is_empty()).then_some(probe)
    }

    /// A filter by each field that holds an id or text.
    fn filters(&self, place: &Place) -> Vec<Probe> {
        let collection = self.operation.name.split('.').next().unwrap_or_default();
        let aggregate = self.catalogue.aggregates.iter().find(|aggregate| aggregate.collection == collection);
        let fields: Vec<String> = match (aggregate, self.operation.name) {
            (Some(aggregate), _) => aggregate.filterable.clone(),
            // Records are no aggregates.
            (None, "imports.list") => vec!["channel_id".to_owned()],
            (None, "imports.list_chats") => Vec::new(),
            (None, _) => EVENT_FIELDS.iter().map(|field| (*field).to_owned()).collect(),
        };
        let mut probes = Vec::new();
        for field in fields {
            let input = |value: &str| {
                let filter =
                    json!({"field": field, "op": if value.contains('/') { "contains" } else { "eq" }, "value": value});
                self.complete("filter", self.schemas.build(&self.operation.input, &place.trail, Some(&filter)))
            };
            let path = format!("{} {field}", place.path());
            let kind = match (field.as_str(), aggregate) {
                ("aggregate_id", _) => Some("ContactId"),
                ("correlation_id", _) => Some("CorrelationId"),
                ("channel_id", None) => Some("ChannelId"),
                _ => None,
            };
            if field == "subject" && aggregate.is_none() {
                let name = |id: &str| input(&format!("contact/{id}"));
                let ids = (self.known.of(THEIRS, "ContactId"), self.known.of(OURS, "ContactId"));
                probes.extend(self.ids(path, ids, &[], name));
            } else if let Some(kind) = kind {
                probes.extend(self.ids(path, (self.known.of(THEIRS, kind), self.known.of(OURS, kind)), &[], input));
            } else if let Some(name) = field.strip_suffix("_id").filter(|_| is_id(aggregate, &field)) {
                let name: String = name.rsplit('_').next().unwrap_or_default().to_owned();
                let name = if name == "owner" { "agent".to_owned() } else { name };
                let name = name[..1].to_uppercase() + &name[1..] + "Id";
                probes.extend(self.ids(path, (self.known.of(THEIRS, &name), self.known.of(OURS, &name)), &[], input));
            } else {
                let under = |(key, _): &&(String, String)| *key == field;
                let words = self.known.words.iter().filter(under).take(MOST);
                let theirs: Vec<_> = words.map(|(_, word)| (word.clone(), input(word))).collect();
                probes.extend((!theirs.is_empty()).then(|| self.probe(&path, theirs)));
            }
        }
        probes
    }

    /// The neighbour's own words, where a word of that name belongs; what searches for text is given all of them.
    fn words(&self, place: &Place) -> Option<Probe> {
        let key = match place.trail.iter().rev().find(|step| matches!(step, Step::Key(_)))? {
            Step::Key(key) => key.as_str(),
            _ => return None,
        };
        let searches =
            ["q", "text", "values", "unique_key_prefix"].contains(&key) && self.operation.kind == OperationKind::Query;
        let is_fit = |(under, _): &&(String, String)| searches || under == key;
        let words: Vec<_> = self
            .known
            .words
            .iter()
            .filter(is_fit)
            .map(|(_, word)| {
                let input = self.schemas.build(&self.operation.input, &place.trail, Some(&json!(word)));
                (word.clone(), input.to_string())
            })
            .collect();
        (!words.is_empty()).then(|| self.probe(&place.path(), words))
    }
}

fn own(known: &Known, name: &str) -> String {
    known.of(OURS, name).first().cloned().unwrap_or_else(|| known.ids.id(OURS, name))
}

fn is_id(aggregate: Option<&ventros::catalogue::AggregateDoc>, field: &str) -> bool {
    let fields = aggregate.map(|aggregate| aggregate.fields.as_slice()).unwrap_or_default();
    fields.iter().any(|known| known.name == field && known.kind == ventros::storage::FieldKind::Id)
}

fn is_filter(schema: &Value) -> bool {
    forms(schema).iter().any(|form| form["properties"]["all"].is_object())
}

/// The value that a trail leads to.
fn inside<'v>(value: &'v mut Value, trail: &[Step]) -> &'v mut Value {
    trail.iter().fold(value, |value, step| match step {
        Step::Key(key) => &mut value[key],
        Step::Item => &mut value[0],
        Step::Entry => &mut value["entry"],
        Step::Form(_) => value,
    })
}

fn snake(letter: char) -> impl Iterator<Item = char> {
    letter.is_uppercase().then_some('_').into_iter().chain(letter.to_lowercase())
}
