//! A connected line of communication: its connection and live state, and the rules by which its messages are treated.

mod ai;
pub mod commands;
mod connection;
mod events;
mod history;
mod label;
mod lifecycle;
pub mod queries;
pub mod reactions;
mod secrets;
mod settings;
mod state;
mod token;
mod values;

pub use ai::{AiContentType, AiProcessingConfig};
pub use connection::{change_identity, change_label, record_challenge, report_connection, sync_labels};
pub use events::{ChannelEvent, ChannelPatch, NewChannel};
pub use history::{HistoryImportStatus, ImportOutcome, ImportRequest, ImportRun, ImportStats, ImportStrategy};
pub use label::ChannelLabel;
pub use lifecycle::Report;
pub use secrets::{ChannelSecret, ConfigValues, SecretValues};
pub use settings::{EffectiveSettings, MessageGrouping, SessionTimeout, TimeoutSource, session_timeout};
pub use state::Channel;
pub use token::WebhookToken;
pub use values::{ChannelHealth, ChannelStatus, HealthState, IssuedChallenge};

#[cfg(test)]
mod tests;
