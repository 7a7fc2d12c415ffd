//! The record of one chat of an import: where it stands in the history of the chat, and what it found there.

use crate::channels::channel::ImportStats;
use crate::channels::gateway::{ChatRef, HistoryChat, HistoryEntry};
use crate::engine::{Aggregate, Event, Meta, Record};
use crate::kernel::pii::ERASED;
use crate::kernel::{ChannelId, ChatId, ErrorCode, ImportChatId, ImportJobId, Kind, ProjectId, Timestamp};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How many ids of one second are remembered.
const MAX_EDGE: usize = 2_000;
/// Messages of one page, and what pages shrink to when one is too large.
pub(super) const PAGE_SIZES: [u32; 3] = [500, 100, 50];

crate::text_enum! {
    /// How far a chat of an import has come.
    pub enum ImportChatStatus {
        /// Waits for its turn.
        Pending = "pending",
        Fetching = "fetching",
        /// Its messages are stored, and are put into sessions.
        Recut = "recut",
        Done = "done",
        Failed = "failed",
        /// It is not wanted, or its import was called off before its end.
        Skipped = "skipped",
    }
}

/// What was found in a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ImportCounts {
    pub messages_seen: u64,
    pub imported: u64,
    /// Known already.
    pub duplicate: u64,
    /// Left out on purpose.
    pub ignored: u64,
    /// Could not be read.
    pub failed: u64,
    pub contacts_created: u64,
    pub sessions_created: u64,
}

impl ImportCounts {
    pub(super) fn add_to(&self, totals: &mut ImportStats) {
        totals.messages_seen += self.messages_seen;
        totals.imported += self.imported;
        totals.duplicate += self.duplicate;
        totals.ignored += self.ignored;
        totals.failed += self.failed;
        totals.contacts_created += self.contacts_created;
        totals.sessions_created += self.sessions_created;
    }

    pub(super) fn take_from(&self, totals: &mut ImportStats) {
        totals.messages_seen = totals.messages_seen.saturating_sub(self.messages_seen);
        totals.imported = totals.imported.saturating_sub(self.imported);
        totals.duplicate = totals.duplicate.saturating_sub(self.duplicate);
        totals.ignored = totals.ignored.saturating_sub(self.ignored);
        totals.failed = totals.failed.saturating_sub(self.failed);
        totals.contacts_created = totals.contacts_created.saturating_sub(self.contacts_created);
        totals.sessions_created = totals.sessions_created.saturating_sub(self.sessions_created);
    }
}

/// One chat of an import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportChat {
    pub id: ImportChatId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub job_id: ImportJobId,
    pub channel_id: ChannelId,
    /// Its place in the list of chats; the busiest is 1.
    pub number: u64,
    /// The chat as the provider names it.
    pub chat: ChatRef,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub name: Option<String>,
    pub status: ImportChatStatus,
    /// What becomes of it when its sessions are cut.
    pub ends_as: ImportChatStatus,
    /// The chat that its messages are in; null while none is stored.
    pub chat_id: Option<ChatId>,
    /// Everything newer has been fetched; what was said at this second is asked for again.
    pub until: Option<Timestamp>,
    /// So many messages up to `until` have been fetched, when they are more than a page.
    pub offset: u64,
    /// Ids of what was said at the second of `until`.
    pub edge: Vec<String>,
    pub page_size: u32,
    /// Up to here its messages are in sessions.
    pub cut_until: Option<Timestamp>,
    pub counts: ImportCounts,
    /// The round of the import that it was fetched in last.
    pub round: u32,
    /// Failed tries in a row.
    pub attempts: u32,
    /// Why the last of them failed.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub ended_at: Option<Timestamp>,
}

/// What a page brought.
pub(super) struct News<'p> {
    /// Not seen before, in the order of the page.
    pub entries: Vec<&'p HistoryEntry>,
    /// There is nothing left to ask for.
    pub is_over: bool,
}

impl ImportChat {
    /// The id of a chat of an import: there is one per chat.
    pub(super) fn id_of(job: ImportJobId, chat: &ChatRef) -> ImportChatId {
        ImportChatId::from_uuid(Uuid::new_v5(&job.uuid(), chat.external_id.as_bytes()))
    }

    pub(super) fn new(
        job: (ImportJobId, ProjectId, ChannelId),
        found: HistoryChat,
        number: u64,
        is_wanted: bool,
        now: Timestamp,
    ) -> Self {
        let (job_id, project_id, channel_id) = job;
        let status = if is_wanted { ImportChatStatus::Pending } else { ImportChatStatus::Skipped };
        ImportChat {
            id: Self::id_of(job_id, &found.chat),
            project_id,
            version: 0,
            revision: 0,
            job_id,
            channel_id,
            number,
            chat: found.chat,
            name: found.name,
            status,
            ends_as: ImportChatStatus::Done,
            chat_id: None,
            until: None,
            offset: 0,
            edge: Vec::new(),
            page_size: PAGE_SIZES[0],
            cut_until: None,
            counts: ImportCounts::default(),
            round: 0,
            attempts: 0,
            error: None,
            created_at: now,
            updated_at: now,
            ended_at: (!is_wanted).then_some(now),
        }
    }

    /// Forgets whom the messages were from and to, once it has ended.
    pub(crate) fn forget(&mut self) {
        self.name = None;
        self.chat.external_id = ERASED.to_owned();
        self.chat.subject = None;
        self.edge.clear();
        self.error = None;
    }

    /// Takes its turn.
    pub(super) fn begin(&mut self, round: u32) {
        self.status = ImportChatStatus::Fetching;
        self.ends_as = ImportChatStatus::Done;
        self.round = round;
        self.attempts = 0;
        self.error = None;
        self.ended_at = None;
    }

    /// No more is fetched; what is stored is cut into sessions, and then it is that.
    pub(super) fn stop(&mut self, ends_as: ImportChatStatus) {
        self.status = ImportChatStatus::Recut;
        self.ends_as = ends_as;
        self.cut_until = None;
    }

    /// Moves past a page and tells what of it is new: nothing before `from`, and no more than `limit` messages of the chat (0 = any
    /// number). Messages of the second at which a page ends are asked for again, and are known then.
    pub(super) fn turn<'p>(&mut self, page: &'p [HistoryEntry], from: Option<Timestamp>, limit: u32) -> News<'p> {
        let (edge, until) = (std::mem::take(&mut self.edge), self.until);
        let known: BTreeSet<&str> = edge.iter().map(String::as_str).collect();
        let is_wanted = |entry: &&HistoryEntry| from.is_none_or(|from| entry.at.is_none_or(|at| at >= from));
        let is_new = |entry: &&HistoryEntry| match &entry.id {
            Some(id) => !known.contains(id.as_str()),
            None => until.is_none_or(|until| entry.at.is_none_or(|at| whole(at) < until)),
        };
        let mut entries: Vec<&HistoryEntry> = page.iter().filter(is_new).filter(is_wanted).collect();
        let seconds = || page.iter().filter_map(|entry| entry.at).map(whole);
        let (oldest, newest) = (seconds().min(), seconds().max());
        let is_one_second = oldest == newest;
        let is_full = page.len() >= self.page_size as usize;
        let mut is_over = page.is_empty()
            || (entries.is_empty() && !(is_full && is_one_second))
            || seconds().any(|at| from.is_some_and(|from| at < from));
        if limit > 0 {
            let room = u64::from(limit).saturating_sub(self.counts.messages_seen);
            is_over |= entries.len() as u64 >= room;
            entries.sort_by_key(|entry| std::cmp::Reverse(entry.at));
            entries.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        }
        let is_same_second = oldest.is_none() || oldest == until;
        let at_oldest = page.iter().filter(|entry| entry.at.map(whole) == oldest).filter_map(|entry| entry.id.clone());
        let mut ids: Vec<String> = if is_same_second { edge.clone() } else { Vec::new() };
        ids.extend(at_oldest.filter(|id| !is_same_second || !known.contains(id.as_str())));
        ids.truncate(MAX_EDGE);
        let seen_here = if is_one_second { page.len() as u64 } else { 0 };
        self.offset = if is_same_second { self.offset + seen_here } else { seen_here };
        self.until = oldest.or(until);
        self.edge = ids;
        self.counts.messages_seen += entries.len() as u64;
        News { entries, is_over }
    }
}

/// The end of the second of a moment: gateways compare whole ones.
fn whole(at: Timestamp) -> Timestamp {
    let micros = at.micros().rem_euclid(1_000_000);
    if micros == 0 { at } else { at.plus_micros(1_000_000 - micros) }
}

impl Aggregate for ImportChat {
    const KIND: Kind = Kind::ImportChat;
    const NOT_FOUND: ErrorCode = ErrorCode::ImportJobNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("job_id", FieldKind::Id),
        Column::new("channel_id", FieldKind::Id),
        Column::new("status", FieldKind::Enum),
        Column::new("round", FieldKind::Number).unfiltered(),
        Column::new("number", FieldKind::Number).sortable(),
        Column::new("created_at", FieldKind::Instant).sortable(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["job_id", "status", "number"], &["job_id", "number"]];
    type Id = ImportChatId;

    fn create(_event: &Event, _meta: &Meta<'_>) -> Option<Self> {
        None
    }

    fn apply(&mut self, _event: &Event, _meta: &Meta<'_>) {}

    fn index(&self, index: &mut Index) {
        index.id("job_id", Some(self.job_id));
        index.id("channel_id", Some(self.channel_id));
        index.column("status", self.status.as_str());
        index.column("round", u64::from(self.round));
        index.column("number", self.number);
        index.column("created_at", self.created_at);
    }

    crate::base_fields!();
}

impl Record for ImportChat {}
