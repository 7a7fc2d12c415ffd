//! What people ask about chats.

use super::{Chat, ChatStatus};
use crate::contacts::contact::Contact;
use crate::conversations::Awaiting;
use crate::conversations::session::{ACTIVE_IN_CHAT, Session};
use crate::conversations::visibility::reach;
use crate::engine::{Query, Reader};
use crate::kernel::{
    AgentId, ChannelId, ChatId, ContactId, Error, ErrorCode, Kind, Permission, Result, SessionId, Timestamp, fold,
};
use crate::operations;
use crate::storage::{FieldKind, Filter, FilterExpression, Find, Leaf, Page, PageRequest, Sort, SortKey, Test, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Unread chats that a summary reads at a time.
const SUMMARY_PAGE: usize = 500;

/// A chat by its id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetChat {
    pub id: ChatId,
}

impl Query for GetChat {
    const NAME: &'static str = "chats.get";
    const PERMISSION: Permission = Permission::ChatsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ChatNotFound];
    type Output = Chat;

    async fn run(self, read: &Reader<'_>) -> Result<Chat> {
        read.get(self.id).await
    }
}

/// The open chat of a channel by its id there, or by its contact. Null when there is none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindChat {
    pub channel_id: ChannelId,
    #[serde(default)]
    pub external_id: Option<String>,
    #[serde(default)]
    pub contact_id: Option<ContactId>,
}

impl Query for FindChat {
    const NAME: &'static str = "chats.find";
    const PERMISSION: Permission = Permission::ChatsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FieldRequired];
    type Output = Option<Chat>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Chat>> {
        let channel = self.channel_id.to_string();
        match (self.external_id, self.contact_id) {
            (Some(id), None) => read.by_key("chat.external", &channel, &id).await,
            (None, Some(id)) => read.by_key("chat.contact", &channel, &id.to_string()).await,
            _ => Err(Error::new(ErrorCode::FieldRequired)
                .message("give either external_id or contact_id")
                .at("external_id")),
        }
    }
}

/// Chats by filter, newest message first.
///
/// Filter fields: channel_id, chat_type, status, contact_id, participant (a current one), labels, unread_count,
/// assigned_agent_id (who attends the active session), last_message.at, last_inbound_at, subject, created_at, updated_at.
/// Sort fields: last_message.at, last_inbound_at, created_at, updated_at, subject.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListChats {
    pub page: PageRequest,
}

impl Query for ListChats {
    const NAME: &'static str = "chats.list";
    const PERMISSION: Permission = Permission::ChatsView;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FilterFieldUnknown,
        ErrorCode::FilterOpUnsupported,
        ErrorCode::SortFieldUnknown,
        ErrorCode::LimitOutOfRange,
        ErrorCode::CursorInvalid,
        ErrorCode::CursorMismatch,
    ];
    type Output = Page<Chat>;

    async fn run(mut self, read: &Reader<'_>) -> Result<Page<Chat>> {
        newest_first(&mut self.page);
        read.page(&self.page).await
    }
}

/// Chats that have a label.
pub(super) fn with_label(label_id: &str) -> Filter {
    Filter::Leaf(Leaf {
        field: "labels".to_owned(),
        kind: FieldKind::Set,
        is_attribute: true,
        test: Test::In(vec![fold(label_id).into()]),
    })
}

fn newest_first(page: &mut PageRequest) {
    if page.sort.is_empty() {
        page.sort = vec![SortKey::Text("-last_message.at".to_owned())];
    }
}

/// How many chats satisfy a filter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountChats {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
}

impl Query for CountChats {
    const NAME: &'static str = "chats.count";
    const PERMISSION: Permission = Permission::ChatsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FilterFieldUnknown, ErrorCode::FilterOpUnsupported];
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        read.count::<Chat>(self.filter.as_ref(), Filter::everything()).await
    }
}

/// One row of the inbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InboxEntry {
    pub chat: Chat,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub contact_name: Option<String>,
    pub active_session_id: Option<SessionId>,
    /// Since when the contact waits for an answer.
    pub waiting_since: Option<Timestamp>,
}

/// The inbox: active chats, newest message first, with the contact's name and how long it waits.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    /// Only chats whose active session this agent attends.
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    /// Only chats with this label.
    #[serde(default)]
    pub label_id: Option<String>,
    /// Only chats with unread messages.
    #[serde(default)]
    pub unread: bool,
    /// 1 to 100, default 20.
    #[serde(default)]
    pub limit: Option<i64>,
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for Inbox {
    const NAME: &'static str = "chats.inbox";
    const PERMISSION: Permission = Permission::ChatsView;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid, ErrorCode::CursorMismatch];
    type Output = Page<InboxEntry>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<InboxEntry>> {
        let mut always = vec![Filter::eq("status", FieldKind::Enum, ChatStatus::Active.as_str())];
        always.extend(self.agent_id.map(|id| Filter::eq("assigned_agent_id", FieldKind::Id, id.uuid())));
        always.extend(self.channel_id.map(|id| Filter::eq("channel_id", FieldKind::Id, id.uuid())));
        always.extend(self.label_id.as_deref().map(with_label));
        if self.unread {
            always.push(Filter::eq("is_unread", FieldKind::Bool, true));
        }
        let mut request = PageRequest { limit: self.limit, cursor: self.cursor, ..PageRequest::default() };
        newest_first(&mut request);
        let page = read.page_where::<Chat>(&request, Filter::All(always)).await?;
        let contacts: Vec<ContactId> = page.items.iter().filter_map(|chat| chat.contact_id).collect();
        let contacts = read.get_many::<Contact>(&contacts).await?;
        let chats: Vec<String> = page.items.iter().map(|chat| chat.id.to_string()).collect();
        let mut sessions = read.by_keys::<Session>(ACTIVE_IN_CHAT, &chats).await?;
        let reach = reach(read).await?;
        sessions.retain(|session| reach.sees(session));
        Ok(page.map(|chat| {
            let session = sessions.iter().find(|session| session.chat_id == chat.id);
            InboxEntry {
                contact_name: contacts
                    .iter()
                    .find(|contact| Some(contact.id) == chat.contact_id)
                    .map(|c| c.name.clone()),
                active_session_id: session.map(|session| session.id),
                waiting_since: session
                    .filter(|s| s.metrics.awaiting == Awaiting::Agent)
                    .and_then(|s| s.metrics.awaiting_since),
                chat,
            }
        }))
    }
}

/// A chat that matches a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChatHit {
    pub chat: Chat,
    pub score: f64,
    /// The field that matched best: `subject`, or `contact` when the text is the contact's.
    pub match_field: String,
}

/// Chats whose subject, or whose contact's name or number, has all words of the text; best first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchChats {
    /// Fewer than 2 characters find nothing.
    pub text: String,
    /// 1 to 100, default 20.
    #[serde(default)]
    pub limit: Option<usize>,
}

impl Query for SearchChats {
    const NAME: &'static str = "chats.search";
    const PERMISSION: Permission = Permission::ChatsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange];
    type Output = Vec<ChatHit>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<ChatHit>> {
        let limit = self.limit.unwrap_or(20);
        let mut hits: Vec<ChatHit> = read
            .search::<Chat>(&self.text, limit)
            .await?
            .into_iter()
            .map(|(chat, hit)| ChatHit { chat, score: hit.score, match_field: hit.field })
            .collect();
        let contacts = read.search::<Contact>(&self.text, limit).await?;
        let one_of: Vec<Value> = contacts.iter().map(|(contact, _)| contact.id.uuid().into()).collect();
        if !one_of.is_empty() {
            let (field, kind, test) = ("contact_id".to_owned(), FieldKind::Id, Test::In(one_of));
            let find = Find {
                filter: Filter::Leaf(Leaf { field, kind, is_attribute: false, test }),
                sort: Vec::new(),
                after: None,
                backward: false,
                limit,
                include_hidden: false,
                with_total: false,
            };
            for chat in read.find_states::<Chat>(&find).await? {
                let score = contacts
                    .iter()
                    .find(|(contact, _)| Some(contact.id) == chat.contact_id)
                    .map_or(0.0, |(_, hit)| hit.score);
                hits.push(ChatHit { chat, score, match_field: "contact".to_owned() });
            }
        }
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.chat.id.cmp(&b.chat.id)));
        hits.truncate(limit);
        Ok(hits)
    }
}

/// Unread chats and messages, of the whole project, of a channel or of the sessions that an agent attends.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnreadSummary {
    /// Only chats whose active session this agent attends.
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
}

/// How much is unread in active chats.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnreadCounts {
    pub chats: u64,
    pub messages: u64,
}

impl Query for UnreadSummary {
    const NAME: &'static str = "chats.unread_summary";
    const PERMISSION: Permission = Permission::ChatsView;
    type Output = UnreadCounts;

    async fn run(self, read: &Reader<'_>) -> Result<UnreadCounts> {
        let mut unread = vec![
            Filter::eq("status", FieldKind::Enum, ChatStatus::Active.as_str()),
            Filter::eq("is_unread", FieldKind::Bool, true),
        ];
        unread.extend(self.agent_id.map(|id| Filter::eq("assigned_agent_id", FieldKind::Id, id.uuid())));
        unread.extend(self.channel_id.map(|id| Filter::eq("channel_id", FieldKind::Id, id.uuid())));
        let mut find = Find {
            filter: Filter::All(unread),
            sort: vec![Sort { field: "last_message.at".to_owned(), kind: FieldKind::Instant, descending: true }],
            after: None,
            backward: false,
            limit: SUMMARY_PAGE,
            include_hidden: false,
            with_total: false,
        };
        let mut counts = UnreadCounts::default();
        loop {
            let found = read.storage().find(read.scope_of(Kind::Chat), Kind::Chat, &find).await?;
            for row in &found.rows {
                let chat: Chat = crate::engine::decode(&row.snapshot)?;
                counts.chats += 1;
                counts.messages += u64::from(chat.unread_count);
            }
            match found.rows.last() {
                Some(last) if found.more => find.after = Some((last.keys.clone(), last.snapshot.id)),
                _ => return Ok(counts),
            }
        }
    }
}

operations![queries: GetChat, FindChat, ListChats, CountChats, Inbox, SearchChats, UnreadSummary];
