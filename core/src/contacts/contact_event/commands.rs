//! What hosts write into a timeline themselves: entries beside those that follow from the log.

use super::events::{EntryChange, EntryField, NewEntry, TimelineEvent};
pub use super::marking::{MarkDelivered, MarkRead, MarkedEntries};
use super::projection::is_reserved;
use super::reactions::arm_purge;
use super::state::{DEDUP, TimelineEntry};
use super::values::{Category, EntryPriority, EntrySource};
use crate::contacts::contact::Contact;
use crate::conversations::session::Session;
use crate::engine::{Aggregate, Command, UnitOfWork, not_found};
use crate::kernel::text::{json_limits, text};
use crate::kernel::{ContactEventId, ContactId, Error, ErrorCode, Patch, Permission, Result, SessionId, Timestamp};
use crate::operations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The job that empties what expired.
pub(super) const PURGE: &str = "timeline.purge";

const MAX_TITLE: usize = 255;
const MAX_DESCRIPTION: usize = 4_000;
const MAX_INTEGRATION: usize = 64;
const MAX_KEY: usize = 128;
const MAX_PAYLOAD: usize = 16 * 1024;
const MAX_METADATA: usize = 8 * 1024;
const MAX_DEPTH: usize = 8;
/// How far the clocks of other programs may be ahead, in seconds.
const AHEAD_SECONDS: i64 = 300;

/// Writes an entry into the timeline of a contact. Types that follow from the log, such as `tag_added`, are not for the taking.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordEntry {
    pub contact_id: ContactId,
    /// What happened: `a-z`, `0-9` and `_`, beginning with a letter, at most 100 characters.
    pub event_type: String,
    pub category: Category,
    /// Default: normal.
    #[serde(default)]
    pub priority: Option<EntryPriority>,
    /// Default: whose doing the call is.
    #[serde(default)]
    pub source: Option<EntrySource>,
    /// At most 255 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub title: Option<String>,
    /// At most 4 000 characters.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub description: Option<String>,
    /// At most 16 KiB.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub payload: Option<Map<String, Value>>,
    /// At most 8 KiB.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub metadata: Option<Map<String, Value>>,
    /// A session of this contact.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// The other system that it came from; at most 64 characters.
    #[serde(default)]
    pub integration_source: Option<String>,
    /// Default: true.
    #[serde(default)]
    pub is_realtime: Option<bool>,
    /// Default: false.
    #[serde(default)]
    pub visible_to_client: Option<bool>,
    /// Default: true.
    #[serde(default)]
    pub visible_to_agent: Option<bool>,
    /// Nobody is shown it afterwards; its content is gone a week later.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// Default: now. The past is open, the future by five minutes.
    #[serde(default)]
    pub occurred_at: Option<Timestamp>,
    /// The entry that was recorded first under this key is returned instead of a second one; for ever.
    #[serde(default)]
    pub dedup_key: Option<String>,
}

impl Command for RecordEntry {
    const NAME: &'static str = "timeline.record";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactNotFound,
        ErrorCode::EventTypeRequired,
        ErrorCode::EventTypeInvalid,
        ErrorCode::EventTypeReserved,
        ErrorCode::EnumUnknown,
        ErrorCode::ExpiresAtInPast,
        ErrorCode::TimestampInFuture,
        ErrorCode::TextTooLong,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::SessionNotFound,
        ErrorCode::SessionContactMismatch,
    ];
    type Output = TimelineEntry;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<TimelineEntry> {
        let contact = work.find::<Contact>(self.contact_id).await?.filter(|contact| !contact.is_hidden());
        if contact.is_none() {
            return Err(not_found::<Contact>(self.contact_id).at("contact_id"));
        }
        let key = short(self.dedup_key, MAX_KEY).map_err(|e| e.at("dedup_key"))?;
        if let Some(key) = &key
            && let Some(first) = work.by_key::<TimelineEntry>(DEDUP, "", key).await?
        {
            return Ok(first.state().clone());
        }
        check_type(&self.event_type).map_err(|e| e.at("event_type"))?;
        if let Some(session) = self.session_id {
            check_session(work, session, self.contact_id).await?;
        }
        let now = work.now();
        let occurred_at = self.occurred_at.unwrap_or(now);
        if occurred_at > now.plus_seconds(AHEAD_SECONDS) {
            return Err(Error::new(ErrorCode::TimestampInFuture).at("occurred_at"));
        }
        check_expiry(self.expires_at, now)?;
        let source = EntrySource::of(work.actor(), work.context().source.as_str());
        let entry = NewEntry {
            contact_id: self.contact_id,
            session_id: self.session_id,
            event_type: self.event_type,
            category: self.category,
            priority: self.priority.unwrap_or(EntryPriority::Normal),
            title: short(self.title, MAX_TITLE).map_err(|e| e.at("title"))?,
            description: short(self.description, MAX_DESCRIPTION).map_err(|e| e.at("description"))?,
            payload: object(self.payload, MAX_PAYLOAD).map_err(|e| e.at("payload"))?,
            metadata: object(self.metadata, MAX_METADATA).map_err(|e| e.at("metadata"))?,
            source: self.source.unwrap_or(source),
            triggered_by: work.actor().actor.id(),
            integration_source: short(self.integration_source, MAX_INTEGRATION)
                .map_err(|e| e.at("integration_source"))?,
            is_realtime: self.is_realtime.unwrap_or(true),
            visible_to_client: self.visible_to_client.unwrap_or(false),
            visible_to_agent: self.visible_to_agent.unwrap_or(true),
            expires_at: self.expires_at,
            occurred_at,
            dedup_key: key,
        };
        if entry.expires_at.is_some() {
            arm_purge(work);
        }
        let id: ContactEventId = work.new_id();
        let entry = work.create::<TimelineEntry>(id, TimelineEvent::Recorded(Box::new(entry)))?;
        work.save(entry)
    }
}

/// Changes an entry that somebody wrote down. What follows from the log stays as it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateEntry {
    pub id: ContactEventId,
    /// At most 255 characters.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub title: Patch<String>,
    /// At most 4 000 characters.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub description: Patch<String>,
    #[serde(default)]
    pub visible_to_client: Option<bool>,
    #[serde(default)]
    pub visible_to_agent: Option<bool>,
    #[serde(default)]
    pub is_realtime: Option<bool>,
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub expires_at: Patch<Timestamp>,
    /// A session of the same contact.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub session_id: Patch<SessionId>,
}

impl Command for UpdateEntry {
    const NAME: &'static str = "timeline.update";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactEventNotFound,
        ErrorCode::EntryIsProjected,
        ErrorCode::ExpiresAtInPast,
        ErrorCode::TextTooLong,
        ErrorCode::SessionNotFound,
        ErrorCode::SessionContactMismatch,
    ];
    type Output = TimelineEntry;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<TimelineEntry> {
        use EntryField as F;
        let mut entry = work.load::<TimelineEntry>(self.id).await?;
        refuse_projected(&entry)?;
        let now = work.now();
        let mut changes = Vec::new();
        if let Some(title) = self.title.into_change() {
            let title = short(title, MAX_TITLE).map_err(|e| e.at("title"))?;
            changes.push((entry.title != title, EntryChange::text(F::Title, entry.title.clone(), title)));
        }
        if let Some(description) = self.description.into_change() {
            let new = short(description, MAX_DESCRIPTION).map_err(|e| e.at("description"))?;
            let old = entry.description.clone();
            changes.push((old != new, EntryChange::text(F::Description, old, new)));
        }
        for (field, old, new) in [
            (F::VisibleToClient, entry.visible_to_client, self.visible_to_client),
            (F::VisibleToAgent, entry.visible_to_agent, self.visible_to_agent),
            (F::IsRealtime, entry.is_realtime, self.is_realtime),
        ] {
            changes.extend(new.map(|new| (old != new, EntryChange::value(field, old, new))));
        }
        if let Some(new) = self.expires_at.into_change() {
            check_expiry(new, now)?;
            let told = |at: Option<Timestamp>| at.map(|at| at.to_string());
            changes
                .push((entry.expires_at != new, EntryChange::value(F::ExpiresAt, told(entry.expires_at), told(new))));
            if new.is_some() {
                arm_purge(work);
            }
        }
        if let Some(new) = self.session_id.into_change() {
            if let Some(session) = new {
                check_session(work, session, entry.contact_id).await?;
            }
            let told = |id: Option<SessionId>| id.map(|id| id.to_string());
            changes
                .push((entry.session_id != new, EntryChange::value(F::SessionId, told(entry.session_id), told(new))));
        }
        let changes: Vec<EntryChange> =
            changes.into_iter().filter_map(|(differs, change)| differs.then_some(change)).collect();
        if !changes.is_empty() {
            let contact_id = entry.contact_id;
            entry.record(TimelineEvent::Updated { contact_id, changes });
        }
        work.save(entry)
    }
}

/// Takes away an entry that somebody wrote down. What follows from the log stays.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteEntry {
    pub id: ContactEventId,
}

impl Command for DeleteEntry {
    const NAME: &'static str = "timeline.delete";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ContactEventNotFound, ErrorCode::EntryIsProjected];
    type Output = TimelineEntry;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<TimelineEntry> {
        let mut entry = work.load::<TimelineEntry>(self.id).await?;
        refuse_projected(&entry)?;
        let (contact_id, deleted_by) = (entry.contact_id, work.actor().clone());
        entry.record(TimelineEvent::Deleted { contact_id, deleted_by });
        work.save(entry)
    }
}

fn refuse_projected(entry: &TimelineEntry) -> Result<()> {
    match entry.is_projected() {
        true => Err(Error::new(ErrorCode::EntryIsProjected).with("id", entry.id.to_string())),
        false => Ok(()),
    }
}

fn check_type(event_type: &str) -> Result<()> {
    if event_type.is_empty() {
        return Err(ErrorCode::EventTypeRequired.into());
    }
    let is_word = event_type.len() <= 100
        && event_type.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && event_type.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !is_word {
        return Err(ErrorCode::EventTypeInvalid.into());
    }
    if is_reserved(event_type) { Err(ErrorCode::EventTypeReserved.into()) } else { Ok(()) }
}

fn check_expiry(expires_at: Option<Timestamp>, now: Timestamp) -> Result<()> {
    match expires_at {
        Some(at) if at <= now => Err(Error::new(ErrorCode::ExpiresAtInPast).at("expires_at")),
        _ => Ok(()),
    }
}

async fn check_session(work: &mut UnitOfWork<'_>, id: SessionId, contact: ContactId) -> Result<()> {
    let session = work.find::<Session>(id).await?.filter(|session| !session.is_hidden());
    let session = session.ok_or_else(|| not_found::<Session>(id).at("session_id"))?;
    match session.contact_id == Some(contact) {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::SessionContactMismatch).at("session_id")),
    }
}

/// A text without control characters; nothing when nothing is left.
fn short(given: Option<String>, max: usize) -> Result<Option<String>> {
    let Some(given) = given else { return Ok(None) };
    let kept: String = given.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    Ok(Some(text(kept.trim_start(), max)?).filter(|text| !text.is_empty()))
}

fn object(given: Option<Map<String, Value>>, max: usize) -> Result<Map<String, Value>> {
    let value = Value::Object(given.unwrap_or_default());
    json_limits(&value, max, MAX_DEPTH)?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Ok(Map::new()),
    }
}

operations![commands: RecordEntry, UpdateEntry, MarkDelivered, MarkRead, DeleteEntry];
