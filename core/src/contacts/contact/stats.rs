//! What conversations with a contact amount to.

use super::state::Contact;
use crate::conversations::message::Direction;
use crate::conversations::session::Session;
use crate::engine::{Query, Reader};
use crate::kernel::{ContactId, ErrorCode, Kind, Permission, Result, Timestamp};
use crate::operations;
use crate::storage::{FieldKind, Filter, Find, Sort, id_value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sessions read at a time.
const PAGE: usize = 500;

/// The figures of the conversations with a contact. Its messages in groups are counted, the sessions of groups are not.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetContactStats {
    pub id: ContactId,
}

/// How much was said with a contact, and how fast.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContactStats {
    pub sessions: u64,
    pub active_sessions: u64,
    pub messages: u64,
    pub messages_from_contact: u64,
    pub messages_to_contact: u64,
    /// Of the sessions that have ended.
    pub average_session_seconds: Option<u64>,
    /// How long the contact waited for an answer, on average.
    pub average_response_seconds: Option<u64>,
    pub first_interaction_at: Option<Timestamp>,
    pub last_interaction_at: Option<Timestamp>,
    pub last_session_started_at: Option<Timestamp>,
    pub last_session_ended_at: Option<Timestamp>,
}

impl Query for GetContactStats {
    const NAME: &'static str = "contacts.stats";
    const PERMISSION: Permission = Permission::ContactsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ContactNotFound];
    type Output = ContactStats;

    async fn run(self, read: &Reader<'_>) -> Result<ContactStats> {
        let contact = read.get::<Contact>(self.id).await?;
        let of_contact = Filter::eq("contact_id", FieldKind::Id, id_value(self.id));
        let messages = async |direction: Direction| {
            let filter = of_contact.clone().and(Filter::eq("direction", FieldKind::Enum, direction.as_str()));
            read.storage().count(read.scope_of(Kind::Message), Kind::Message, &filter, false).await
        };
        let mut stats = ContactStats {
            messages_from_contact: messages(Direction::Inbound).await?,
            messages_to_contact: messages(Direction::Outbound).await?,
            first_interaction_at: contact.first_interaction_at,
            last_interaction_at: contact.last_interaction_at,
            ..ContactStats::default()
        };
        stats.messages = stats.messages_from_contact + stats.messages_to_contact;
        stats.count_sessions(read, of_contact).await?;
        Ok(stats)
    }
}

impl ContactStats {
    async fn count_sessions(&mut self, read: &Reader<'_>, filter: Filter) -> Result<()> {
        let mut find = Find {
            filter,
            sort: vec![Sort { field: "started_at".to_owned(), kind: FieldKind::Instant, descending: false }],
            after: None,
            backward: false,
            limit: PAGE,
            include_hidden: false,
            with_total: false,
        };
        let (mut ended, mut seconds, mut answers, mut waited) = (0, 0, 0, 0);
        loop {
            let found = read.storage().find(read.scope_of(Kind::Session), Kind::Session, &find).await?;
            for row in &found.rows {
                let session: Session = crate::engine::decode(&row.snapshot)?;
                self.sessions += 1;
                self.last_session_started_at = self.last_session_started_at.max(Some(session.started_at));
                self.last_session_ended_at = self.last_session_ended_at.max(session.ended_at);
                if session.is_active() {
                    self.active_sessions += 1;
                } else {
                    ended += 1;
                    seconds += u64::from(session.duration_seconds);
                }
                answers += u64::from(session.metrics.response_count);
                waited += session.metrics.response_time_total_seconds;
            }
            match found.rows.last() {
                Some(last) if found.more => find.after = Some((last.keys.clone(), last.snapshot.id)),
                _ => break,
            }
        }
        self.average_session_seconds = seconds.checked_div(ended);
        self.average_response_seconds = waited.checked_div(answers);
        Ok(())
    }
}

operations![queries: GetContactStats];
