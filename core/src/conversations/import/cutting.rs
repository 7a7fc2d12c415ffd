//! Makes the sessions of what an import stored: the chat is cut anew around it, a stretch at a time.

use crate::channels::channel::ImportRequest;
use crate::conversations::chat::{Chat, ChatType};
use crate::conversations::inbound::Intake;
use crate::conversations::session::{RecutFacts, SessionEvent, SessionKind, Timeout, TimeoutSource, recut_chat};
use crate::engine::{Event, UnitOfWork};
use crate::kernel::{Kind, Result, Source, Timestamp};
use crate::storage::{FieldKind, Filter, Find, Leaf, Sort, Test, Value, id_value};
use uuid::Uuid;

/// Messages of one stretch: each may get a session of its own, which is up to four events.
const STRETCH: usize = 2_000;

/// What sessions are made of.
pub(super) struct Cut<'c> {
    pub intake: &'c Intake<'c>,
    pub chat: &'c Chat,
    /// Minutes of silence, as the import asks; used only when the channel has none of its own.
    pub timeout_minutes: Option<u32>,
    pub import_id: Option<Uuid>,
}

impl<'c> Cut<'c> {
    pub(super) fn of(intake: &'c Intake<'c>, chat: &'c Chat, request: &ImportRequest, import_id: Uuid) -> Self {
        Cut { intake, chat, timeout_minutes: request.session_timeout_minutes, import_id: Some(import_id) }
    }

    /// Cuts around messages of these times and tells how many sessions that made.
    pub(super) async fn around(&self, work: &mut UnitOfWork<'_>, (from, to): (Timestamp, Timestamp)) -> Result<u64> {
        if self.chat.chat_type == ChatType::Channel {
            return Ok(0);
        }
        let is_direct = self.chat.chat_type == ChatType::Individual;
        let facts = RecutFacts {
            chat_id: self.chat.id,
            channel_id: self.chat.channel_id,
            channel_type: self.intake.channel.channel_type.clone(),
            kind: if is_direct { SessionKind::Direct } else { SessionKind::Group },
            contact_id: self.chat.contact_id.filter(|_| is_direct),
            pipeline_id: self.intake.channel.pipeline_id,
            timeout: self.timeout(),
            from,
            to,
            import_id: self.import_id,
        };
        let before = work.recorded().len();
        work.import_mode();
        work.set_source(Some(Source::Import));
        let cut = recut_chat(work, &facts).await;
        work.set_source(None);
        cut?;
        let made = work.recorded()[before..].iter();
        Ok(made.filter(|event| matches!(event.event, Event::Session(SessionEvent::Started(_)))).count() as u64)
    }

    /// Cuts the next stretch of stored messages that are in no session, after `after`. Tells up to when that was, `None` at the end.
    pub(super) async fn next(
        &self,
        work: &mut UnitOfWork<'_>,
        after: Option<Timestamp>,
    ) -> Result<(u64, Option<Timestamp>)> {
        let at = |test| {
            Filter::Leaf(Leaf { field: "timestamp".to_owned(), kind: FieldKind::Instant, is_attribute: false, test })
        };
        let mut filter = vec![
            Filter::eq("chat_id", FieldKind::Id, id_value(self.chat.id)),
            Filter::eq("session_id", FieldKind::Id, Value::Null),
            Filter::eq("historical", FieldKind::Bool, true),
        ];
        filter.extend(after.map(|after| at(Test::Greater(Value::Instant(after)))));
        let find = Find {
            filter: Filter::All(filter),
            sort: vec![Sort { field: "timestamp".to_owned(), kind: FieldKind::Instant, descending: false }],
            after: None,
            backward: false,
            limit: STRETCH,
            include_hidden: true,
            with_total: false,
        };
        let found = work.reader().storage().find(work.reader().scope_of(Kind::Message), Kind::Message, &find).await?;
        let time = |row: Option<&crate::storage::FoundRow>| match row.and_then(|row| row.keys.first()) {
            Some(Value::Instant(at)) => Some(*at),
            _ => None,
        };
        let (Some(from), Some(to)) = (time(found.rows.first()), time(found.rows.last())) else { return Ok((0, None)) };
        let made = self.around(work, (from, to)).await?;
        Ok((made, found.more.then_some(to)))
    }

    /// The channel's own silence, else the import's, else the project's.
    fn timeout(&self) -> Timeout {
        match (self.intake.timeout(), self.timeout_minutes) {
            ((_, TimeoutSource::Project), Some(minutes)) => {
                Timeout { seconds: minutes * 60, source: TimeoutSource::Import }
            }
            ((seconds, source), _) => Timeout { seconds, source },
        }
    }
}
