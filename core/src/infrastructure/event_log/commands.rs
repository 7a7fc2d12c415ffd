//! Free events of the host.

use crate::catalogue::CustomEvent;
use crate::contacts::contact::Contact;
use crate::conversations::message::Message;
use crate::conversations::session::Session;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::text::{check_keys, json_limits};
use crate::kernel::{Error, ErrorCode, EventId, Kind, Permission, Result, Source, Subject, Timestamp};
use crate::{operations, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

/// The longest type of an event.
const MAX_TYPE: usize = 100;
/// How deep the data of an event may nest.
const MAX_DEPTH: usize = 8;
/// The most things that a free event is about.
const MAX_SUBJECTS: usize = 20;
/// How far in the future an event may have happened, in seconds: clocks differ.
const MAX_AHEAD_SECONDS: i64 = 300;

/// Writes an event of the host's own into the log: it is kept, read, replayed and delivered like any other, and changes no state.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordEvent {
    /// `custom.` and one to three words of `a-z`, `0-9` and `_`, such as `custom.page_view`; at most 100 characters.
    #[serde(rename = "type")]
    pub event_type: String,
    /// At most 256 KiB, eight levels deep; keys of 1–64 `A-Z`, `a-z`, `0-9`, `_`, `.`, `-`, but not `type`.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub data: Map<String, Value>,
    /// How it came; as the call unless told.
    #[serde(default)]
    pub source: Option<Source>,
    /// When it happened; now unless told, and at most 5 minutes ahead.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// What it is about, at most 20 things of the project.
    #[serde(default)]
    pub subjects: Vec<CustomSubject>,
}

/// Something that a free event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomSubject {
    pub kind: CustomSubjectKind,
    pub id: Uuid,
}

text_enum! {
    /// What a free event can be about.
    pub enum CustomSubjectKind {
        Contact = "contact",
        Session = "session",
        Message = "message",
    }
}

/// The event that was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomEventRecorded {
    pub id: EventId,
    pub occurred_at: Timestamp,
}

impl Command for RecordEvent {
    const NAME: &'static str = "events.record";
    const PERMISSION: Permission = Permission::EventsRecord;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::EventTypeUnknown,
        ErrorCode::EventTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::TimestampInFuture,
        ErrorCode::BatchTooLarge,
        ErrorCode::ContactNotFound,
        ErrorCode::SessionNotFound,
        ErrorCode::MessageNotFound,
    ];
    type Output = CustomEventRecorded;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<CustomEventRecorded> {
        check_type(&self.event_type).map_err(|error| error.at("type"))?;
        check_data(&self.data).map_err(|error| error.at("data"))?;
        let occurred_at = self.occurred_at.unwrap_or(work.now());
        if occurred_at > work.now().plus_seconds(MAX_AHEAD_SECONDS) {
            return Err(Error::new(ErrorCode::TimestampInFuture).at("occurred_at"));
        }
        if self.subjects.len() > MAX_SUBJECTS {
            return Err(Error::new(ErrorCode::BatchTooLarge).at("subjects").with("max", MAX_SUBJECTS));
        }
        let mut subjects = Vec::with_capacity(self.subjects.len());
        for (number, subject) in self.subjects.iter().enumerate() {
            let found = subject.find(work).await.map_err(|error| error.at(format!("subjects[{number}].id")))?;
            if !subjects.contains(&found) {
                subjects.push(found);
            }
        }
        let event = CustomEvent { event_type: self.event_type, data: self.data, subjects };
        let id = EventId::from_uuid(work.record_custom(event, occurred_at, self.source)?);
        Ok(CustomEventRecorded { id, occurred_at })
    }
}

impl CustomSubject {
    async fn find(self, work: &UnitOfWork<'_>) -> Result<Subject> {
        let read = work.reader();
        let kind = match self.kind {
            CustomSubjectKind::Contact => read.get::<Contact>(self.id.into()).await.map(|_| Kind::Contact),
            CustomSubjectKind::Session => read.get::<Session>(self.id.into()).await.map(|_| Kind::Session),
            CustomSubjectKind::Message => read.get::<Message>(self.id.into()).await.map(|_| Kind::Message),
        };
        Ok(Subject::new(kind?, self.id))
    }
}

fn check_type(name: &str) -> Result<()> {
    let is_word = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let words: Vec<&str> = name.split('.').collect();
    let fits = words[0] == "custom" && (2..=4).contains(&words.len()) && words.into_iter().all(is_word);
    if fits && name.len() <= MAX_TYPE {
        return Ok(());
    }
    Err(Error::new(ErrorCode::EventTypeUnknown)
        .message("types of the host's own are custom. and one to three words of a-z, 0-9 and _")
        .with("type", name))
}

fn check_data(data: &Map<String, Value>) -> Result<()> {
    if data.contains_key("type") {
        return Err(Error::new(ErrorCode::JsonKeyInvalid)
            .message("the type is named beside the data")
            .with("key", "type"));
    }
    let data = Value::Object(data.clone());
    // The whole event is measured when it is written.
    json_limits(&data, usize::MAX, MAX_DEPTH)?;
    check_keys(&data)
}

operations![commands: RecordEvent];
