//! The record of an import: what was asked for, how far it has come, how it ended. It is written as the import goes on; the events of
//! its channel tell of what people must know.

use crate::channels::channel::{ImportRequest, ImportStats};
use crate::engine::{Aggregate, Event, Meta, Record};
use crate::kernel::{ChannelId, ErrorCode, ImportJobId, Kind, ProjectId, Timestamp};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

crate::text_enum! {
    /// How far an import has come.
    pub enum ImportStatus {
        /// Waits for a worker that has a way to the outside.
        Requested = "requested",
        /// Asks which chats there are.
        Planning = "planning",
        /// Fetches chats, up to 8 at once.
        Running = "running",
        /// Somebody stopped it for a while.
        Paused = "paused",
        Completed = "completed",
        /// Ended, without the chats that failed.
        Partial = "partial",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl ImportStatus {
    /// Still has work to do.
    pub const fn is_open(self) -> bool {
        matches!(self, ImportStatus::Requested | ImportStatus::Planning | ImportStatus::Running | ImportStatus::Paused)
    }
}

/// One import of the history of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ImportJob {
    pub id: ImportJobId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub channel_id: ChannelId,
    pub status: ImportStatus,
    pub request: ImportRequest,
    /// Files of the past are looked at by AI, where the channel has that on.
    pub enrichment: bool,
    /// What has been done, chats under way included.
    pub totals: ImportStats,
    /// 1, and one more for every time that failed chats were tried again.
    pub round: u32,
    /// Failed tries in a row to list the chats.
    pub attempts: u32,
    /// Chats that have been listed, in this look through the list.
    pub listed: u64,
    /// The list is looked through once more: who writes meanwhile changes its order.
    pub is_second_look: bool,
    /// When progress was told last.
    pub progressed_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When all chats were known.
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

impl ImportJob {
    pub(super) fn new(
        id: ImportJobId,
        project_id: ProjectId,
        channel_id: ChannelId,
        (request, enrichment): (ImportRequest, bool),
        now: Timestamp,
    ) -> Self {
        ImportJob {
            id,
            project_id,
            version: 0,
            revision: 0,
            channel_id,
            status: ImportStatus::Requested,
            request,
            enrichment,
            totals: ImportStats::default(),
            round: 1,
            attempts: 0,
            listed: 0,
            is_second_look: false,
            progressed_at: None,
            error: None,
            created_at: now,
            updated_at: now,
            started_at: None,
            ended_at: None,
        }
    }

    /// Nothing more happens by itself.
    pub(super) fn end(&mut self, status: ImportStatus, now: Timestamp) {
        self.status = status;
        self.ended_at = Some(now);
    }

    /// Begins again with what is left to do.
    pub(super) fn begin_again(&mut self) {
        self.status = if self.started_at.is_some() { ImportStatus::Running } else { ImportStatus::Requested };
        self.round += 1;
        self.attempts = 0;
        self.totals.chats_failed = 0;
        self.totals.outcome = None;
        self.error = None;
        self.ended_at = None;
    }

    /// How jobs of this import are named.
    pub(super) fn job_prefix(id: ImportJobId) -> String {
        format!("import:{id}:")
    }
}

impl Aggregate for ImportJob {
    const KIND: Kind = Kind::ImportJob;
    const NOT_FOUND: ErrorCode = ErrorCode::ImportJobNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("channel_id", FieldKind::Id),
        Column::new("status", FieldKind::Enum),
        Column::new("created_at", FieldKind::Instant).sortable(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["channel_id", "created_at"], &["status"]];
    type Id = ImportJobId;

    fn create(_event: &Event, _meta: &Meta<'_>) -> Option<Self> {
        None
    }

    fn apply(&mut self, _event: &Event, _meta: &Meta<'_>) {}

    fn index(&self, index: &mut Index) {
        index.id("channel_id", Some(self.channel_id));
        index.column("status", self.status.as_str());
        index.column("created_at", self.created_at);
    }

    crate::base_fields!();
}

impl Record for ImportJob {}
