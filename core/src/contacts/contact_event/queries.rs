//! What is asked of a timeline. Every condition holds in the query itself, before the page is cut.

pub use super::conversation::ReadConversation;
use super::marking::numbers;
use super::state::TimelineEntry;
use super::titles::put_into_words;
use super::values::{Audience, EntryPriority};
use crate::contacts::contact::Contact;
use crate::engine::{Query, Reader, not_found};
use crate::kernel::{ContactEventId, ErrorCode, Kind, Language, Permission, Result, Timestamp};
use crate::operations;
use crate::storage::{FieldKind, Filter, FilterExpression, Leaf, Page, PageRequest, SortKey, Test, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Entries of one page unless told.
const PAGE: i64 = 50;

/// One entry of a timeline.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetEntry {
    pub id: ContactEventId,
    /// The language of the titles of projected entries: `en`, `pt-BR`. English unless told.
    #[serde(default)]
    pub locale: Option<Language>,
}

impl Query for GetEntry {
    const NAME: &'static str = "timeline.get";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ContactEventNotFound];
    type Output = TimelineEntry;

    async fn run(self, read: &Reader<'_>) -> Result<TimelineEntry> {
        let entry: TimelineEntry = read.get(self.id).await?;
        let contact = read.find_shared::<Contact>(entry.contact_id).await?;
        if contact.is_none_or(|contact| crate::engine::Aggregate::is_hidden(&*contact)) {
            return Err(not_found::<TimelineEntry>(self.id));
        }
        let mut entries = vec![entry];
        present(read, &mut entries, self.locale.as_ref()).await?;
        entries.pop().ok_or_else(|| not_found::<TimelineEntry>(self.id))
    }
}

/// Entries of timelines, the newest first: by when it happened, and at the same moment by the order of the log.
///
/// Filter: contact_id, session_id, kind, event_type, category, priority, priority_rank, source, triggered_by,
/// integration_source, is_realtime, visible_to_client, visible_to_agent, delivered, read, occurred_at, expires_at.
/// Sort: occurred_at, created_at. Expired entries and those of deleted contacts are shown to nobody. 50 entries unless told.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ListEntries {
    /// For whose eyes; people of the project unless told.
    pub audience: Option<Audience>,
    /// Only entries that matter at least so much.
    pub min_priority: Option<EntryPriority>,
    /// The language of the titles of projected entries: `en`, `pt-BR`. English unless told.
    pub locale: Option<Language>,
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListEntries {
    const NAME: &'static str = "timeline.list";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FilterFieldUnknown,
        ErrorCode::FilterOpUnsupported,
        ErrorCode::SortFieldUnknown,
        ErrorCode::LimitOutOfRange,
        ErrorCode::CursorInvalid,
        ErrorCode::CursorMismatch,
    ];
    type Output = Page<TimelineEntry>;

    async fn run(mut self, read: &Reader<'_>) -> Result<Page<TimelineEntry>> {
        newest_first(&mut self.page);
        let shown = shown(self.audience, self.min_priority, read.now());
        let mut page = read.page_where::<TimelineEntry>(&self.page, shown).await?;
        present(read, &mut page.items, self.locale.as_ref()).await?;
        Ok(page)
    }
}

/// How many entries satisfy a filter; the fields are those of `timeline.list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CountEntries {
    /// For whose eyes; people of the project unless told.
    pub audience: Option<Audience>,
    /// Only entries that matter at least so much.
    pub min_priority: Option<EntryPriority>,
    pub filter: Option<FilterExpression>,
}

impl Query for CountEntries {
    const NAME: &'static str = "timeline.count";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FilterFieldUnknown, ErrorCode::FilterOpUnsupported];
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        let shown = shown(self.audience, self.min_priority, read.now());
        read.count::<TimelineEntry>(self.filter.as_ref(), shown).await
    }
}

pub(super) fn leaf(field: &str, kind: FieldKind, test: Test) -> Filter {
    Filter::Leaf(Leaf { field: field.to_owned(), kind, is_attribute: false, test })
}

fn unexpired(now: Timestamp) -> Filter {
    let missing = leaf("expires_at", FieldKind::Instant, Test::Missing);
    Filter::Any(vec![missing, leaf("expires_at", FieldKind::Instant, Test::GreaterOrEqual(Value::Instant(now)))])
}

/// What a contact may see of its timeline.
pub(super) fn client_sees(now: Timestamp) -> Filter {
    Filter::eq("visible_to_client", FieldKind::Bool, true).and(unexpired(now))
}

/// What an audience is shown: not what expired, nothing of deleted contacts.
pub(super) fn shown(audience: Option<Audience>, at_least: Option<EntryPriority>, now: Timestamp) -> Filter {
    let flag = match audience.unwrap_or(Audience::Agent) {
        Audience::Agent => "visible_to_agent",
        Audience::Client => "visible_to_client",
    };
    let mut parts = vec![
        Filter::eq(flag, FieldKind::Bool, true),
        unexpired(now),
        leaf("purged_at", FieldKind::Instant, Test::Missing),
        Filter::among("contact_id", Kind::Contact, Filter::everything()),
    ];
    if let Some(priority) = at_least {
        let rank = Test::GreaterOrEqual(Value::from(priority.rank()));
        parts.push(leaf("priority_rank", FieldKind::Number, rank));
    }
    Filter::All(parts)
}

fn newest_first(page: &mut PageRequest) {
    page.limit = page.limit.or(Some(PAGE));
    if page.sort.is_empty() {
        page.sort.push(SortKey::Text("-occurred_at".to_owned()));
    }
    let descending = page.sort.last().is_some_and(|key| key.parts().1);
    if page.sort.len() < crate::storage::SORT_MAX {
        let order = if descending { "-source_event_id" } else { "source_event_id" };
        page.sort.push(SortKey::Text(order.to_owned()));
    }
}

/// Fills in what a reader is shown and the stored entry does not say: titles, and numbers in the log.
pub(super) async fn present(read: &Reader<'_>, entries: &mut [TimelineEntry], locale: Option<&Language>) -> Result<()> {
    let numbers = numbers(read, entries).await?;
    for entry in entries {
        entry.seq = entry.seq.or_else(|| numbers.get(&entry.source_event_id.uuid()).copied());
        put_into_words(entry, locale);
    }
    Ok(())
}

operations![queries: GetEntry, ListEntries, CountEntries, ReadConversation];
