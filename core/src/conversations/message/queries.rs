//! Questions about messages.

use super::{Message, quotes};
use crate::conversations::session::Session;
use crate::conversations::visibility::{Reach, reach};
use crate::engine::{Query, Reader, index_of, not_found};
use crate::kernel::{ChannelId, ContactId, Error, ErrorCode, MessageId, Permission, Result, fold};
use crate::storage::{
    Document, FieldKind, Fields, Filter, FilterExpression, Find, Page, PageRequest, SearchHit, Sort, SortKey, id_value,
    matches,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A message by its id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetMessage {
    pub id: MessageId,
}

impl Query for GetMessage {
    const NAME: &'static str = "messages.get";
    const PERMISSION: Permission = Permission::MessagesView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::MessageNotFound];
    type Output = Message;

    async fn run(self, read: &Reader<'_>) -> Result<Message> {
        let found = vec![read.get::<Message>(self.id).await?];
        let mut found = reach(read).await?.choose(read, found).await?;
        quotes::resolve(read, &mut found).await?;
        found.pop().ok_or_else(|| not_found::<Message>(self.id))
    }
}

/// The message of a provider's id on a channel, or of a client token; null when there is none.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FindMessage {
    /// Goes with `channel_message_id`, which is unique on its channel only.
    pub channel_id: Option<ChannelId>,
    pub channel_message_id: Option<String>,
    pub client_token: Option<String>,
}

impl Query for FindMessage {
    const NAME: &'static str = "messages.find";
    const PERMISSION: Permission = Permission::MessagesView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FieldRequired];
    type Output = Option<Message>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Message>> {
        let missing = |field: &str| Err(Error::new(ErrorCode::FieldRequired).at(field));
        let found = match (self.client_token, self.channel_id, self.channel_message_id) {
            (Some(token), _, _) => read.by_key::<Message>("message.client_token", "", &token).await?,
            (None, Some(channel), Some(id)) => {
                read.by_key::<Message>("message.external", &channel.to_string(), &id).await?
            }
            (None, None, _) => return missing("channel_id"),
            (None, Some(_), None) => return missing("channel_message_id"),
        };
        let found: Vec<Message> = found.filter(|message| message.deleted_at.is_none()).into_iter().collect();
        let mut found = reach(read).await?.choose(read, found).await?;
        quotes::resolve(read, &mut found).await?;
        Ok(found.pop())
    }
}

/// Messages, the newest first unless told.
///
/// Filter: contact_id, session_id, chat_id, channel_id, channel_type, direction, content_type, status, agent_id, source,
/// language, has_media, historical, timestamp, scheduled_at, sent_at, delivered_at, read_at, played_at, failed_at,
/// created_at. Sort: timestamp, created_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListMessages {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListMessages {
    const NAME: &'static str = "messages.list";
    const PERMISSION: Permission = Permission::MessagesView;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FilterFieldUnknown,
        ErrorCode::FilterOpUnsupported,
        ErrorCode::SortFieldUnknown,
        ErrorCode::LimitOutOfRange,
        ErrorCode::CursorInvalid,
        ErrorCode::CursorMismatch,
    ];
    type Output = Page<Message>;

    async fn run(mut self, read: &Reader<'_>) -> Result<Page<Message>> {
        if self.page.sort.is_empty() {
            self.page.sort.push(SortKey::Text("-timestamp".to_owned()));
        }
        let mut page = read.page_where::<Message>(&self.page, reach(read).await?.messages()).await?;
        quotes::resolve(read, &mut page.items).await?;
        Ok(page)
    }
}

/// How many messages satisfy a filter; the fields are those of `messages.list`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CountMessages {
    pub filter: Option<FilterExpression>,
}

impl Query for CountMessages {
    const NAME: &'static str = "messages.count";
    const PERMISSION: Permission = Permission::MessagesView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FilterFieldUnknown, ErrorCode::FilterOpUnsupported];
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        read.count::<Message>(self.filter.as_ref(), reach(read).await?.messages()).await
    }
}

const SEARCH_DEFAULT: usize = 20;
/// The most hits that a search looks at.
const SEARCH_MAX: usize = 100;
/// Words of a snippet before and after the one that was found.
const SNIPPET_BEFORE: usize = 6;
const SNIPPET_AFTER: usize = 12;

/// Messages whose text, caption or file name has the words that are searched for, best first. Case and accents do not
/// count; fewer than 2 characters find nothing.
///
/// A filter chooses among the best 100 hits.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchMessages {
    pub text: String,
    #[serde(default)]
    pub filter: Option<FilterExpression>,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<usize>,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MessageHit {
    pub message: Message,
    /// Higher is better; comparable within one answer only.
    pub score: f64,
    /// Where it was found: `text` or `filename`.
    pub field: String,
    /// The words around the first that was found.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub snippet: String,
}

impl Query for SearchMessages {
    const NAME: &'static str = "messages.search";
    const PERMISSION: Permission = Permission::MessagesView;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::LimitOutOfRange, ErrorCode::FilterFieldUnknown, ErrorCode::FilterOpUnsupported];
    type Output = Vec<MessageHit>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<MessageHit>> {
        let limit = self.limit.unwrap_or(SEARCH_DEFAULT);
        if !(1..=SEARCH_MAX).contains(&limit) {
            return Err(Error::new(ErrorCode::LimitOutOfRange).at("limit").with("min", 1).with("max", SEARCH_MAX));
        }
        let filter = match &self.filter {
            Some(filter) => filter.check(&fields(), read.now()).map_err(|e| e.at("filter"))?,
            None => Filter::everything(),
        };
        let reach = reach(read).await?;
        let is_chosen_from = self.filter.is_some() || reach != Reach::Everything;
        let looked_at = if is_chosen_from { SEARCH_MAX } else { limit };
        let found = read.search::<Message>(&self.text, looked_at).await?;
        let (messages, mut hits): (Vec<Message>, Vec<SearchHit>) = found.into_iter().unzip();
        let messages = reach.choose(read, messages).await?;
        hits.retain(|hit| messages.iter().any(|message| message.id.uuid() == hit.snapshot.id));
        let found = messages.into_iter().zip(hits);
        let hits = found.filter(|(message, _)| satisfies(&filter, message)).take(limit);
        Ok(hits
            .map(|(message, hit)| {
                let snippet = snippet(source_text(&message, &hit.field), &self.text);
                MessageHit { message, score: hit.score, field: hit.field, snippet }
            })
            .collect())
    }
}

fn fields() -> Fields {
    use crate::engine::Aggregate;
    Fields::new(Message::COLUMNS, Message::SETS, Message::CUSTOM)
}

fn satisfies(filter: &Filter, message: &Message) -> bool {
    let index = index_of(message);
    matches(
        filter,
        &Document {
            id: message.id.uuid(),
            version: message.version,
            created_at: message.created_at,
            updated_at: message.updated_at,
            index: &index,
        },
    )
}

fn source_text<'a>(message: &'a Message, field: &str) -> &'a str {
    let filename = message.content.media().and_then(|media| media.filename.as_deref());
    match field {
        "filename" => filename,
        _ => message.content.words(),
    }
    .unwrap_or_default()
}

/// The words around the first one that begins like a word of the search.
fn snippet(text: &str, searched: &str) -> String {
    let searched = fold(searched);
    let wanted: Vec<&str> = searched.split_whitespace().collect();
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_hit = |word: &&str| {
        let word = fold(word);
        wanted.iter().any(|wanted| word.contains(wanted))
    };
    let hit = words.iter().position(is_hit).unwrap_or(0);
    let (start, end) = (hit.saturating_sub(SNIPPET_BEFORE), words.len().min(hit + SNIPPET_AFTER));
    let mut snippet = words.get(start..end).unwrap_or_default().join(" ");
    if start > 0 {
        snippet.insert_str(0, "… ");
    }
    if end < words.len() {
        snippet.push_str(" …");
    }
    snippet
}

const THREAD_DEFAULT: usize = 50;
const THREAD_MAX: usize = 100;

/// What was said with a contact, session by session: the newest session first, the messages of each in their order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageThread {
    pub contact_id: ContactId,
    /// Only on this channel.
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    /// Sessions of a page, 1 to 100; 20 unless told.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<i64>,
    /// The newest messages of each session, 1 to 100; 50 unless told.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub messages_per_session: Option<usize>,
    #[serde(default)]
    pub cursor: Option<String>,
}

/// A session with its messages.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ThreadSession {
    pub session: Session,
    /// Oldest first.
    pub messages: Vec<Message>,
}

impl Query for MessageThread {
    const NAME: &'static str = "messages.thread";
    const PERMISSION: Permission = Permission::MessagesView;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid, ErrorCode::CursorMismatch];
    type Output = Page<ThreadSession>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<ThreadSession>> {
        let per_session = self.messages_per_session.unwrap_or(THREAD_DEFAULT);
        if !(1..=THREAD_MAX).contains(&per_session) {
            let error = Error::new(ErrorCode::LimitOutOfRange).at("messages_per_session");
            return Err(error.with("min", 1).with("max", THREAD_MAX));
        }
        let mut of_contact = Filter::eq("contact_id", FieldKind::Id, id_value(self.contact_id));
        if let Some(channel) = self.channel_id {
            of_contact = of_contact.and(Filter::eq("channel_id", FieldKind::Id, id_value(channel)));
        }
        let request = PageRequest {
            sort: vec![SortKey::Text("-started_at".to_owned())],
            limit: self.limit,
            cursor: self.cursor,
            ..PageRequest::default()
        };
        let of_contact = of_contact.and(reach(read).await?.sessions());
        let page = read.page_where::<Session>(&request, of_contact).await?;
        let mut threads = Vec::with_capacity(page.items.len());
        for session in &page.items {
            let find = Find {
                filter: Filter::eq("session_id", FieldKind::Id, id_value(session.id)),
                sort: vec![Sort { field: "timestamp".to_owned(), kind: FieldKind::Instant, descending: true }],
                after: None,
                backward: false,
                limit: per_session,
                include_hidden: false,
                with_total: false,
            };
            let mut messages = read.find_states::<Message>(&find).await?;
            messages.reverse();
            quotes::resolve(read, &mut messages).await?;
            threads.push(messages);
        }
        let mut threads = threads.into_iter();
        Ok(page.map(|session| ThreadSession { session, messages: threads.next().unwrap_or_default() }))
    }
}

crate::operations![queries:
    GetMessage, FindMessage, ListMessages, CountMessages, SearchMessages, MessageThread,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_shows_the_words_around_the_first_hit() {
        let text = "um dois três quatro cinco seis sete oito Orçamento nove dez";
        assert_eq!(snippet(text, "orcamento"), "… três quatro cinco seis sete oito Orçamento nove dez");
        assert_eq!(snippet("Oi, tudo bem?", "tudo"), "Oi, tudo bem?");
        assert_eq!(snippet("", "tudo"), "");
    }
}
