//! How long a session may be silent: the first setting that says so wins.

use super::TimeoutSource;
use crate::kernel::{Error, ErrorCode, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What applies when nothing is set: 30 minutes.
pub const DEFAULT_TIMEOUT_SECONDS: u32 = 30 * 60;
/// The shortest silence a session can end on.
pub const MIN_TIMEOUT_SECONDS: u32 = 60;
/// The longest silence a session can live through.
pub const MAX_TIMEOUT_SECONDS: u32 = 24 * 3600;

/// A timeout and the setting it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeout {
    pub seconds: u32,
    pub source: TimeoutSource,
}

/// Settings in minutes, by level. Absent, zero and less mean that the level says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeoutSettings {
    pub pipeline: Option<i64>,
    pub channel: Option<i64>,
    pub project: Option<i64>,
    /// Of an import; used only when no level says anything.
    pub import: Option<i64>,
}

impl TimeoutSettings {
    /// The timeout of a session that starts now; later changes of the settings do not touch it.
    pub fn resolve(&self) -> Timeout {
        [
            (self.pipeline, TimeoutSource::Pipeline),
            (self.channel, TimeoutSource::Channel),
            (self.project, TimeoutSource::Project),
            (self.import, TimeoutSource::Import),
        ]
        .into_iter()
        .find_map(|(minutes, source)| {
            let minutes = minutes.filter(|minutes| *minutes > 0)?;
            let seconds = u32::try_from(minutes.saturating_mul(60)).unwrap_or(MAX_TIMEOUT_SECONDS);
            Some(Timeout { seconds: seconds.min(MAX_TIMEOUT_SECONDS), source })
        })
        .unwrap_or(Timeout { seconds: DEFAULT_TIMEOUT_SECONDS, source: TimeoutSource::SystemDefault })
    }
}

/// Refuses what is shorter than a minute or longer than a day.
pub fn check_timeout(seconds: u32) -> Result<u32> {
    if (MIN_TIMEOUT_SECONDS..=MAX_TIMEOUT_SECONDS).contains(&seconds) {
        return Ok(seconds);
    }
    Err(Error::new(ErrorCode::TimeoutOutOfRange)
        .at("timeout_seconds")
        .with("min", MIN_TIMEOUT_SECONDS)
        .with("max", MAX_TIMEOUT_SECONDS))
}
