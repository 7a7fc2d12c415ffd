//! What can be asked about sessions.

use super::{ACTIVE_IN_CHAT, ACTIVE_WITH_CONTACT, Session, SessionStatus};
use crate::contacts::contact::Contact;
use crate::conversations::Awaiting;
use crate::conversations::chat::Chat;
use crate::conversations::visibility::{Reach, reach};
use crate::engine::{Query, Reader, not_found};
use crate::kernel::{
    AgentId, ChannelId, ChatId, ContactId, Error, ErrorCode, Permission, Phone, Result, SessionId, Timestamp,
};
use crate::operations;
use crate::storage::{
    FieldKind, Filter, FilterExpression, Find, Leaf, Page, PageRequest, Sort, SortKey, Test, Value, id_value,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One session.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSession {
    pub id: SessionId,
}

impl Query for GetSession {
    const NAME: &'static str = "sessions.get";
    const PERMISSION: Permission = Permission::SessionsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::SessionNotFound];
    type Output = Session;

    async fn run(self, read: &Reader<'_>) -> Result<Session> {
        let session: Session = read.get(self.id).await?;
        match reach(read).await?.sees(&session) {
            true => Ok(session),
            false => Err(not_found::<Session>(self.id)),
        }
    }
}

/// The active session of a chat, or of a contact on a channel.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindSession {
    #[serde(default)]
    pub chat_id: Option<ChatId>,
    /// Together with `channel_id`.
    #[serde(default)]
    pub contact_id: Option<ContactId>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
}

impl Query for FindSession {
    const NAME: &'static str = "sessions.find";
    const PERMISSION: Permission = Permission::SessionsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FieldRequired];
    type Output = Option<Session>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Session>> {
        let found: Option<Session> = match (self.chat_id, self.contact_id, self.channel_id) {
            (Some(chat), _, _) => read.by_key(ACTIVE_IN_CHAT, "", &chat.to_string()).await?,
            (None, Some(contact), Some(channel)) => {
                read.by_key(ACTIVE_WITH_CONTACT, &channel.to_string(), &contact.to_string()).await?
            }
            (None, None, _) => return Err(Error::new(ErrorCode::FieldRequired).at("chat_id")),
            (None, Some(_), None) => return Err(Error::new(ErrorCode::FieldRequired).at("channel_id")),
        };
        let reach = reach(read).await?;
        Ok(found.filter(|session| reach.sees(session)))
    }
}

/// Sessions that satisfy a filter; those that started last come first unless told.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct ListSessions {
    pub page: PageRequest,
}

impl Query for ListSessions {
    const NAME: &'static str = "sessions.list";
    const PERMISSION: Permission = Permission::SessionsView;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::FilterFieldUnknown,
        ErrorCode::FilterOpUnsupported,
        ErrorCode::SortFieldUnknown,
        ErrorCode::LimitOutOfRange,
        ErrorCode::CursorInvalid,
        ErrorCode::CursorMismatch,
    ];
    type Output = Page<Session>;

    async fn run(mut self, read: &Reader<'_>) -> Result<Page<Session>> {
        if self.page.sort.is_empty() {
            self.page.sort = vec![SortKey::Text("-started_at".to_owned())];
        }
        read.page_where(&self.page, reach(read).await?.sessions()).await
    }
}

/// How many sessions satisfy a filter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountSessions {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
}

impl Query for CountSessions {
    const NAME: &'static str = "sessions.count";
    const PERMISSION: Permission = Permission::SessionsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::FilterFieldUnknown, ErrorCode::FilterOpUnsupported];
    type Output = u64;

    async fn run(self, read: &Reader<'_>) -> Result<u64> {
        read.count::<Session>(self.filter.as_ref(), reach(read).await?.sessions()).await
    }
}

/// Active sessions where somebody is awaited, longest waiting first.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionQueue {
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    /// `agent` unless told: those who wait for us.
    #[serde(default)]
    pub awaiting: Option<Awaiting>,
    #[serde(default)]
    pub min_waiting_seconds: Option<u32>,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// One session of the queue, with what a list of work shows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QueuedSession {
    pub session: Session,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub contact_name: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub contact_phone: Option<Phone>,
    pub unread_count: u32,
    pub waiting_seconds: u32,
    /// From its start until now.
    pub open_seconds: u32,
}

impl Query for SessionQueue {
    const NAME: &'static str = "sessions.queue";
    const PERMISSION: Permission = Permission::SessionsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange];
    type Output = Vec<QueuedSession>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<QueuedSession>> {
        let limit = self.limit.unwrap_or(20);
        if !(1..=100).contains(&limit) {
            return Err(Error::new(ErrorCode::LimitOutOfRange).at("limit").with("min", 1).with("max", 100));
        }
        let mut find = self.find(read.now(), limit);
        find.filter = find.filter.and(reach(read).await?.sessions());
        let sessions: Vec<Session> = read.find_states(&find).await?;
        let chats: Vec<ChatId> = sessions.iter().map(|session| session.chat_id).collect();
        let contacts: Vec<ContactId> = sessions.iter().filter_map(|session| session.contact_id).collect();
        let chats = read.get_many::<Chat>(&chats).await?;
        let contacts = read.get_many::<Contact>(&contacts).await?;
        let seconds = |since: Timestamp| u32::try_from(read.now().seconds_since(since)).unwrap_or(0);
        let rows = sessions.into_iter().map(|session| {
            let contact = contacts.iter().find(|contact| Some(contact.id) == session.contact_id);
            let chat = chats.iter().find(|chat| chat.id == session.chat_id);
            QueuedSession {
                contact_name: contact.map(|contact| contact.name.to_string()),
                contact_phone: contact.and_then(|contact| contact.phone.clone()),
                unread_count: chat.map_or(0, |chat| chat.unread_count),
                waiting_seconds: session.metrics.awaiting_since.map_or(0, seconds),
                open_seconds: seconds(session.started_at),
                session,
            }
        });
        Ok(rows.collect())
    }
}

impl SessionQueue {
    fn find(&self, now: Timestamp, limit: usize) -> Find {
        let awaiting = self.awaiting.unwrap_or(Awaiting::Agent);
        let mut filter = vec![
            Filter::eq("status", FieldKind::Enum, SessionStatus::Active.as_str()),
            Filter::eq("awaiting", FieldKind::Enum, awaiting.as_str()),
        ];
        filter.extend(self.channel_id.map(|id| Filter::eq("channel_id", FieldKind::Id, id_value(id))));
        filter.extend(self.agent_id.map(|id| Filter::eq("current_agent_id", FieldKind::Id, id_value(id))));
        filter.extend(self.min_waiting_seconds.map(|seconds| {
            let since = now.plus_seconds(-i64::from(seconds));
            Filter::Leaf(Leaf {
                field: "awaiting_since".to_owned(),
                kind: FieldKind::Instant,
                is_attribute: false,
                test: Test::LessOrEqual(Value::Instant(since)),
            })
        }));
        Find {
            filter: Filter::All(filter),
            sort: vec![Sort { field: "awaiting_since".to_owned(), kind: FieldKind::Instant, descending: false }],
            after: None,
            backward: false,
            limit,
            include_hidden: false,
            with_total: false,
        }
    }
}

/// Finds sessions by the words of their summary, topics, outcome tags, next steps and entities; the best first. Fewer than
/// 2 characters find nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchSessions {
    pub text: String,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// A session that was found, and how well it fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SessionHit {
    pub session: Session,
    /// Higher fits better; comparable inside one answer only.
    pub score: f64,
}

impl Query for SearchSessions {
    const NAME: &'static str = "sessions.search";
    const PERMISSION: Permission = Permission::SessionsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange];
    type Output = Vec<SessionHit>;

    async fn run(self, read: &Reader<'_>) -> Result<Vec<SessionHit>> {
        let limit = self.limit.unwrap_or(20);
        let reach = reach(read).await?;
        let looked_at = if reach == Reach::Everything { limit } else { limit.max(100) };
        let hits = read.search::<Session>(&self.text, looked_at).await?;
        let seen = hits.into_iter().filter(|(session, _)| reach.sees(session)).take(limit);
        Ok(seen.map(|(session, hit)| SessionHit { session, score: hit.score }).collect())
    }
}

/// How many sessions there are, by status.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionStats {}

/// Numbers of sessions; merged ones are part of the session that absorbed them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionCounts {
    pub active: u64,
    pub ended: u64,
    pub total: u64,
}

impl Query for SessionStats {
    const NAME: &'static str = "sessions.stats";
    const PERMISSION: Permission = Permission::SessionsView;
    type Output = SessionCounts;

    async fn run(self, read: &Reader<'_>) -> Result<SessionCounts> {
        let reach = reach(read).await?;
        let by = |status: SessionStatus| Filter::eq("status", FieldKind::Enum, status.as_str()).and(reach.sessions());
        let active = read.count::<Session>(None, by(SessionStatus::Active)).await?;
        let ended = read.count::<Session>(None, by(SessionStatus::Ended)).await?;
        Ok(SessionCounts { active, ended, total: active + ended })
    }
}

operations![queries: GetSession, FindSession, ListSessions, CountSessions, SessionQueue, SearchSessions, SessionStats];
