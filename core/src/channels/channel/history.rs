//! The history import of a channel: what was asked for, how far it has come, and how it ended.

use super::{Channel, ChannelEvent};
use crate::channels::channel_type::Capabilities;
use crate::engine::Root;
use crate::kernel::{AgentId, Error, ErrorCode, ImportJobId, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const DAY: i64 = 86_400;
/// How far back a first import of recent messages reaches, in days.
const RECENT_DAYS: i64 = 7;

crate::text_enum! {
    /// How far an import has come.
    pub enum HistoryImportStatus {
        Idle = "idle",
        /// Waits for a worker.
        Requested = "requested",
        Importing = "importing",
        Completed = "completed",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl HistoryImportStatus {
    /// Still has work to do.
    pub const fn is_open(self) -> bool {
        matches!(self, HistoryImportStatus::Requested | HistoryImportStatus::Importing)
    }
}

/// Which part of the history to fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportStrategy {
    /// The last days, as many as the request says.
    TimeRange,
    /// Since the last import, or the last 7 days.
    Recent,
    #[serde(alias = "all", alias = "maximum")]
    Full,
}

/// What an import is to fetch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportRequest {
    pub strategy: ImportStrategy,
    pub time_range_days: Option<u32>,
    /// 0 = no limit.
    pub limit_per_chat: u32,
    pub session_timeout_minutes: Option<u32>,
    /// Nothing before this; none = everything. Fixed when the import is requested.
    pub from_date: Option<Timestamp>,
    pub include_groups: bool,
    /// Owns the sessions that the import makes.
    pub agent_id: Option<AgentId>,
}

crate::text_enum! {
    /// Whether an import got everything.
    pub enum ImportOutcome {
        Complete = "complete",
        /// Some chats failed.
        Partial = "partial",
    }
}

/// The counts of an import.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ImportStats {
    pub chats_total: u64,
    pub chats_done: u64,
    pub chats_failed: u64,
    pub chats_skipped: u64,
    pub messages_seen: u64,
    pub imported: u64,
    pub duplicate: u64,
    pub ignored: u64,
    pub failed: u64,
    pub contacts_created: u64,
    pub sessions_created: u64,
    /// Once it has ended well.
    pub outcome: Option<ImportOutcome>,
}

impl ImportStats {
    /// Counts never decrease, whatever order reports arrive in.
    fn at_least(&self, other: &ImportStats) -> ImportStats {
        ImportStats {
            chats_total: self.chats_total.max(other.chats_total),
            chats_done: self.chats_done.max(other.chats_done),
            chats_failed: self.chats_failed.max(other.chats_failed),
            chats_skipped: self.chats_skipped.max(other.chats_skipped),
            messages_seen: self.messages_seen.max(other.messages_seen),
            imported: self.imported.max(other.imported),
            duplicate: self.duplicate.max(other.duplicate),
            ignored: self.ignored.max(other.ignored),
            failed: self.failed.max(other.failed),
            contacts_created: self.contacts_created.max(other.contacts_created),
            sessions_created: self.sessions_created.max(other.sessions_created),
            outcome: self.outcome.or(other.outcome),
        }
    }
}

/// The current or last import of a channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportRun {
    pub job_id: ImportJobId,
    pub status: HistoryImportStatus,
    pub request: ImportRequest,
    pub stats: ImportStats,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub error: Option<String>,
}

impl ImportRequest {
    /// The latest of what the strategy, the last import and the channel's limit allow.
    pub fn from_date(
        strategy: ImportStrategy,
        time_range_days: Option<u32>,
        max_days: Option<u32>,
        last_import: Option<Timestamp>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let ago = |days: i64| now.plus_seconds(-days * DAY);
        let by_strategy = match strategy {
            ImportStrategy::TimeRange => time_range_days.map(|days| ago(days.into())),
            ImportStrategy::Recent => Some(last_import.map_or(ago(RECENT_DAYS), |last| last.plus_seconds(-DAY))),
            ImportStrategy::Full => None,
        };
        by_strategy.max(max_days.map(|days| ago(days.into())))
    }
}

impl Root<Channel> {
    /// Asks for an import; `from_date` is fixed here.
    ///
    /// # Errors
    /// `import_not_supported`, `history_import_not_enabled`, `channel_not_active` (it must be active or connecting),
    /// `time_range_days_required`, `import_running`.
    pub fn request_import(
        &mut self,
        can: &Capabilities,
        job_id: ImportJobId,
        mut request: ImportRequest,
    ) -> Result<()> {
        self.check_import(can)?;
        if request.strategy == ImportStrategy::TimeRange && request.time_range_days.is_none_or(|days| days == 0) {
            return Err(Error::new(ErrorCode::TimeRangeDaysRequired).at("time_range_days"));
        }
        if self.open_import().is_some() {
            return Err(ErrorCode::ImportRunning.into());
        }
        request.from_date = ImportRequest::from_date(
            request.strategy,
            request.time_range_days,
            self.history_import_max_days,
            self.last_import_date,
            self.now(),
        );
        request.agent_id = request.agent_id.or(self.default_agent_id);
        let channel_type = self.channel_type.clone();
        self.record(ChannelEvent::HistoryImportRequested { job_id, channel_type, request });
        Ok(())
    }

    /// Asks for what an import left undone, as it was asked for the first time.
    ///
    /// # Errors
    /// As [`request_import`](Self::request_import).
    pub fn repeat_import(&mut self, can: &Capabilities, job_id: ImportJobId, request: ImportRequest) -> Result<()> {
        if self.open_import().is_some() {
            return Err(ErrorCode::ImportRunning.into());
        }
        self.check_import(can)?;
        let channel_type = self.channel_type.clone();
        self.record(ChannelEvent::HistoryImportRequested { job_id, channel_type, request });
        Ok(())
    }

    fn check_import(&self, can: &Capabilities) -> Result<()> {
        use super::ChannelStatus::{Active, Connecting};
        if !can.history_import {
            return Err(ErrorCode::ImportNotSupported.into());
        }
        if !matches!(self.status, Active | Connecting) {
            return Err(Error::new(ErrorCode::ChannelNotActive).with("status", self.status.as_str()));
        }
        if !self.history_import_enabled {
            return Err(ErrorCode::HistoryImportNotEnabled.into());
        }
        Ok(())
    }

    /// The worker has planned. A job that is not the requested one changes nothing.
    pub fn start_import(&mut self, job_id: ImportJobId, stats: ImportStats) {
        if self.open_import().is_some_and(|run| run.job_id == job_id && run.status == HistoryImportStatus::Requested) {
            let started_at = self.now();
            self.record(ChannelEvent::HistoryImportStarted { job_id, stats, started_at });
        }
    }

    /// Counts of a running job; the same counts again change nothing.
    pub fn progress_import(&mut self, job_id: ImportJobId, stats: &ImportStats) {
        if let Some(run) = self.running(job_id) {
            let stats = run.stats.at_least(stats);
            if stats != run.stats {
                self.record(ChannelEvent::HistoryImportProgressed { job_id, stats });
            }
        }
    }

    /// The job has ended; messages after its start came live, so that is where the next import begins.
    pub fn complete_import(&mut self, job_id: ImportJobId, stats: &ImportStats) {
        let Some(run) = self.running(job_id) else { return };
        let ended_at = self.now();
        let last_import_date = run.started_at.unwrap_or(ended_at);
        let mut stats = run.stats.at_least(stats);
        let outcome = if stats.chats_failed > 0 { ImportOutcome::Partial } else { ImportOutcome::Complete };
        stats.outcome = Some(outcome);
        self.record(ChannelEvent::HistoryImportCompleted { job_id, stats, ended_at, last_import_date });
    }

    /// The job gave up.
    pub fn fail_import(&mut self, job_id: ImportJobId, reason: &str) {
        let Some(stats) = self.open_stats(job_id) else { return };
        let ended_at = self.now();
        let reason = super::lifecycle::shorten(reason);
        self.record(ChannelEvent::HistoryImportFailed {
            job_id,
            last_error: reason.clone(),
            reason,
            stats,
            ended_at,
            last_error_at: ended_at,
        });
    }

    /// Somebody called it off, or the channel goes. Without an open import nothing happens.
    pub fn cancel_import(&mut self) {
        let Some(run) = self.open_import() else { return };
        let (job_id, stats) = (run.job_id, run.stats.clone());
        let ended_at = self.now();
        self.record(ChannelEvent::HistoryImportCancelled { job_id, stats, ended_at });
    }

    fn running(&self, job_id: ImportJobId) -> Option<ImportRun> {
        let run = self.open_import()?;
        (run.job_id == job_id && run.status == HistoryImportStatus::Importing).then(|| run.clone())
    }

    fn open_stats(&self, job_id: ImportJobId) -> Option<ImportStats> {
        let run = self.open_import()?;
        (run.job_id == job_id).then(|| run.stats.clone())
    }
}

impl Channel {
    /// The import that still has work to do.
    pub fn open_import(&self) -> Option<&ImportRun> {
        self.history_import.as_ref().filter(|run| run.status.is_open())
    }
}
