//! What the contact has got and read of its own timeline.

use super::events::TimelineEvent;
use super::queries::{client_sees, leaf};
use super::state::TimelineEntry;
use super::values::EntryKind;
use crate::contacts::contact::Contact;
use crate::engine::{Command, Root, UnitOfWork};
use crate::kernel::{ContactEventId, ContactId, Error, ErrorCode, Kind, Permission, Result, Subject, Timestamp};
use crate::storage::{EventQuery, FieldKind, Filter, Find, Scope, Sort, Test, Value, id_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// Entries marked in one call.
const MAX_IDS: usize = 500;
/// Events read at a time.
const EVENTS: usize = 500;

/// How many entries were marked that were not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MarkedEntries {
    pub marked: u32,
    /// There may be more to mark: call again.
    pub has_more: bool,
}

/// The contact's own surface has got these entries. Those that it had before change nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkDelivered {
    /// At most 500, all visible to the contact.
    pub ids: Vec<ContactEventId>,
}

impl Command for MarkDelivered {
    const NAME: &'static str = "timeline.mark_delivered";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactEventNotFound, ErrorCode::NotVisibleToClient, ErrorCode::LimitOutOfRange];
    type Output = MarkedEntries;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<MarkedEntries> {
        let marked = mark(work, &self.ids, Mark::Delivered).await?;
        Ok(MarkedEntries { marked, has_more: false })
    }
}

/// The contact has read these entries, or all of its own up to a number of the log; so they are delivered, too.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MarkRead {
    /// At most 500, all visible to the contact.
    pub ids: Option<Vec<ContactEventId>>,
    /// Instead of ids: everything that this contact sees, 500 entries in a call.
    pub contact_id: Option<ContactId>,
    /// With `contact_id`: up to and including this `seq`.
    pub up_to_seq: Option<u64>,
}

impl Command for MarkRead {
    const NAME: &'static str = "timeline.mark_read";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactEventNotFound,
        ErrorCode::ContactNotFound,
        ErrorCode::NotVisibleToClient,
        ErrorCode::LimitOutOfRange,
        ErrorCode::FieldRequired,
    ];
    type Output = MarkedEntries;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<MarkedEntries> {
        let (ids, has_more) = match (self.ids, self.contact_id) {
            (Some(ids), None) => (ids, false),
            (None, Some(contact)) => unread(work, contact, self.up_to_seq).await?,
            _ => {
                let error = Error::new(ErrorCode::FieldRequired).at("ids");
                return Err(error.message("give either ids or contact_id"));
            }
        };
        Ok(MarkedEntries { marked: mark(work, &ids, Mark::Read).await?, has_more })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Delivered,
    Read,
}

impl Mark {
    fn is_on(self, entry: &TimelineEntry) -> bool {
        match self {
            Mark::Delivered => entry.delivered,
            Mark::Read => entry.read,
        }
    }

    fn event(self, contact_id: ContactId, entry_ids: Vec<ContactEventId>, at: Timestamp) -> TimelineEvent {
        match self {
            Mark::Delivered => TimelineEvent::Delivered { entry_ids, contact_id, delivered_at: at },
            Mark::Read => TimelineEvent::Read { entry_ids, contact_id, read_at: at },
        }
    }
}

/// Marks entries, with one event for each contact.
async fn mark(work: &mut UnitOfWork<'_>, ids: &[ContactEventId], mark: Mark) -> Result<u32> {
    if ids.len() > MAX_IDS {
        return Err(Error::new(ErrorCode::LimitOutOfRange).at("ids").with("max", MAX_IDS));
    }
    work.prefetch::<TimelineEntry>(ids).await?;
    let now = work.now();
    let mut of_contact: BTreeMap<ContactId, Vec<ContactEventId>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (place, id) in ids.iter().enumerate() {
        let at = |error: Error| error.at(format!("[{place}]")).at("ids");
        let entry: Root<TimelineEntry> = work.load(*id).await.map_err(at)?;
        if !entry.is_shown_to_client(now) {
            return Err(at(Error::new(ErrorCode::NotVisibleToClient).with("id", id.to_string())));
        }
        if !mark.is_on(&entry) && seen.insert(*id) {
            of_contact.entry(entry.contact_id).or_default().push(*id);
        }
    }
    for (contact, entry_ids) in of_contact {
        let mut first = work.load::<TimelineEntry>(entry_ids[0]).await?;
        first.record(mark.event(contact, entry_ids, now));
        work.keep(first)?;
    }
    u32::try_from(seen.len()).map_err(|_| ErrorCode::LimitOutOfRange.into())
}

/// What a contact sees and has not read, the oldest first, and whether there is more of it.
async fn unread(
    work: &mut UnitOfWork<'_>,
    contact: ContactId,
    up_to: Option<u64>,
) -> Result<(Vec<ContactEventId>, bool)> {
    work.reader().get::<Contact>(contact).await.map_err(|e| e.at("contact_id"))?;
    let mut parts = vec![
        Filter::eq("contact_id", FieldKind::Id, id_value(contact)),
        Filter::eq("read", FieldKind::Bool, false),
        client_sees(work.now()),
    ];
    if let Some(seq) = up_to {
        parts.push(up_to_event(work, contact, seq).await?);
    }
    let find = Find {
        filter: Filter::All(parts),
        sort: vec![Sort { field: "occurred_at".to_owned(), kind: FieldKind::Instant, descending: false }],
        after: None,
        backward: false,
        limit: MAX_IDS,
        include_hidden: false,
        with_total: false,
    };
    let found = work.reader().find_states::<TimelineEntry>(&find).await?;
    let is_full = found.len() == MAX_IDS;
    Ok((found.into_iter().map(|entry| entry.id).collect(), is_full))
}

/// Entries whose event has at most this number: of projected ones the entry knows it, of the others the log.
async fn up_to_event(work: &UnitOfWork<'_>, contact: ContactId, seq: u64) -> Result<Filter> {
    let mut query = EventQuery {
        subject: Some(Subject::new(Kind::Contact, contact)),
        types: vec!["contact_event.recorded".to_owned()],
        until: Some(seq),
        limit: EVENTS,
        ..EventQuery::default()
    };
    let mut recorded: Vec<Value> = Vec::new();
    loop {
        let events = work.reader().storage().events(Scope::Project(work.project()), &query).await?;
        let is_last = events.len() < EVENTS;
        query.after = events.last().map_or(query.after, |event| event.seq);
        recorded.extend(events.iter().map(|event| Value::Id(event.aggregate_id)));
        if is_last {
            break;
        }
    }
    let projected = Filter::eq("kind", FieldKind::Enum, EntryKind::Projected.as_str());
    let numbered = leaf("seq", FieldKind::Number, Test::LessOrEqual(Value::from(seq)));
    let mut ways = vec![Filter::All(vec![projected, numbered])];
    if !recorded.is_empty() {
        ways.push(leaf("id", FieldKind::Id, Test::In(recorded)));
    }
    Ok(Filter::Any(ways))
}

/// The numbers of the events that some entries come from, by event.
pub(super) async fn numbers(
    read: &crate::engine::Reader<'_>,
    entries: &[TimelineEntry],
) -> Result<BTreeMap<Uuid, u64>> {
    let ids: Vec<Uuid> =
        entries.iter().filter(|entry| entry.seq.is_none()).map(|entry| entry.source_event_id.uuid()).collect();
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let limit = ids.len();
    let query = EventQuery { ids, limit, ..EventQuery::default() };
    let events = read.storage().events(Scope::Project(read.project()), &query).await?;
    Ok(events.into_iter().map(|event| (event.id, event.seq)).collect())
}
