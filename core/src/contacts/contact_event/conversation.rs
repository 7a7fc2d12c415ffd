//! A contact's messages and the entries of its timeline as one story.

use super::queries::{present, shown};
use super::state::TimelineEntry;
use super::values::Audience;
use crate::contacts::contact::Contact;
use crate::conversations::message::{Message, resolve_quotes};
use crate::conversations::visibility::reach;
use crate::engine::{Aggregate, Query, Reader, decode};
use crate::kernel::{ContactId, Error, ErrorCode, Kind, Language, Permission, Result, Timestamp};
use crate::storage::{FieldKind, Filter, Find, FoundRow, Page, Sort, Value, id_value, limit_within};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What was said with a contact and what happened to it, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadConversation {
    pub contact_id: ContactId,
    /// The language of the titles of projected entries: `en`, `pt-BR`. English unless told.
    #[serde(default)]
    pub locale: Option<Language>,
    /// 1 to 100; 50 unless told.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before, for the same contact.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A message, or an entry of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ConversationItem {
    Message { at: Timestamp, message: Box<Message> },
    Entry { at: Timestamp, entry: Box<TimelineEntry> },
}

/// How far both stories are told: the sort values and the id of the last item of each.
#[derive(Default, Serialize, Deserialize)]
struct Place {
    contact: Option<ContactId>,
    message: Option<(Timestamp, Uuid)>,
    entry: Option<(Timestamp, Uuid, Uuid)>,
}

impl Query for ReadConversation {
    const NAME: &'static str = "timeline.conversation";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactNotFound, ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid, ErrorCode::CursorMismatch];
    type Output = Page<ConversationItem>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<ConversationItem>> {
        read.get::<Contact>(self.contact_id).await.map_err(|e| e.at("contact_id"))?;
        let limit = limit_within(self.limit, 50, 100)?;
        let mut place = match &self.cursor {
            Some(cursor) => Place::read(cursor).ok_or_else(|| Error::new(ErrorCode::CursorInvalid).at("cursor"))?,
            None => Place::default(),
        };
        if place.contact.is_some_and(|contact| contact != self.contact_id) {
            return Err(Error::new(ErrorCode::CursorMismatch).at("cursor"));
        }
        place.contact = Some(self.contact_id);
        let messages = self.messages(read, &place, limit).await?;
        let entries = self.entries(read, &place, limit).await?;
        let is_more = messages.len() + entries.len() > limit;
        let (mut messages, mut entries) = (messages.into_iter().peekable(), entries.into_iter().peekable());
        let mut items = Vec::new();
        while items.len() < limit {
            let is_message = match (messages.peek(), entries.peek()) {
                (Some((message, _)), Some((entry, _))) => message.timestamp >= entry.occurred_at,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => break,
            };
            if is_message {
                let Some((message, id)) = messages.next() else { break };
                place.message = Some((message.timestamp, id));
                items.push(ConversationItem::Message { at: message.timestamp, message: Box::new(message) });
            } else {
                let Some((entry, id)) = entries.next() else { break };
                place.entry = Some((entry.occurred_at, entry.source_event_id.uuid(), id));
                items.push(ConversationItem::Entry { at: entry.occurred_at, entry: Box::new(entry) });
            }
        }
        let next_cursor = if is_more { Some(place.write()?) } else { None };
        Ok(Page { items, has_more: is_more, next_cursor, prev_cursor: None, total: None })
    }
}

impl ReadConversation {
    async fn messages(&self, read: &Reader<'_>, place: &Place, limit: usize) -> Result<Vec<(Message, Uuid)>> {
        let filter = reach(read).await?.messages();
        let sort = vec![newest("timestamp", FieldKind::Instant)];
        let after = place.message.map(|(at, id)| (vec![Value::Instant(at)], id));
        let rows = self.rows(read, Kind::Message, filter, sort, after, limit).await?;
        let mut messages: Vec<Message> = rows.iter().map(|row| decode(&row.snapshot)).collect::<Result<_>>()?;
        resolve_quotes(read, &mut messages).await?;
        Ok(messages.into_iter().zip(rows.iter().map(|row| row.snapshot.id)).collect())
    }

    async fn entries(&self, read: &Reader<'_>, place: &Place, limit: usize) -> Result<Vec<(TimelineEntry, Uuid)>> {
        let filter = shown(Some(Audience::Agent), None, read.now());
        let sort = vec![newest("occurred_at", FieldKind::Instant), newest("source_event_id", FieldKind::Id)];
        let after = place.entry.map(|(at, event, id)| (vec![Value::Instant(at), Value::Id(event)], id));
        let rows = self.rows(read, TimelineEntry::KIND, filter, sort, after, limit).await?;
        let mut entries: Vec<TimelineEntry> = rows.iter().map(|row| decode(&row.snapshot)).collect::<Result<_>>()?;
        present(read, &mut entries, self.locale.as_ref()).await?;
        Ok(entries.into_iter().zip(rows.iter().map(|row| row.snapshot.id)).collect())
    }

    /// One more than the page holds, so that whoever looks knows whether there is more.
    async fn rows(
        &self,
        read: &Reader<'_>,
        kind: Kind,
        filter: Filter,
        sort: Vec<Sort>,
        after: Option<(Vec<Value>, Uuid)>,
        limit: usize,
    ) -> Result<Vec<FoundRow>> {
        let of_contact = Filter::eq("contact_id", FieldKind::Id, id_value(self.contact_id));
        let filter = Filter::All(vec![of_contact, filter]);
        let limit = limit + 1;
        let find = Find { filter, sort, after, backward: false, limit, include_hidden: false, with_total: false };
        Ok(read.storage().find(read.scope_of(kind), kind, &find).await?.rows)
    }
}

fn newest(field: &str, kind: FieldKind) -> Sort {
    Sort { field: field.to_owned(), kind, descending: true }
}

impl Place {
    fn write(&self) -> Result<String> {
        Ok(URL_SAFE_NO_PAD.encode(crate::engine::encode(self)?))
    }

    fn read(text: &str) -> Option<Place> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.trim()).ok()?).ok()
    }
}
