//! Small values of a channel.

use crate::channels::gateway::ChallengeKind;
use crate::kernel::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

crate::text_enum! {
    /// Whether a channel sends and receives.
    pub enum ChannelStatus {
        /// Off: never switched on, or switched off by a person.
        Inactive = "inactive",
        /// Switched on; the connection is being checked.
        Activating = "activating",
        /// Accepted; waits for the provider or for a person to pair it.
        Connecting = "connecting",
        /// Sends and receives.
        Active = "active",
        /// The provider lost the line; it comes back by itself.
        Disconnected = "disconnected",
        /// Needs a person.
        Error = "error",
    }
}

crate::text_enum! {
    /// How well a channel works.
    pub enum HealthState {
        Healthy = "healthy",
        /// Some failures in a row, or suspicious silence.
        Degraded = "degraded",
        Down = "down",
        Unknown = "unknown",
    }
}

/// How well a channel works, and since when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelHealth {
    pub state: HealthState,
    pub reason: Option<String>,
    pub consecutive_failures: u32,
    pub changed_at: Option<Timestamp>,
}

impl Default for ChannelHealth {
    fn default() -> Self {
        ChannelHealth { state: HealthState::Unknown, reason: None, consecutive_failures: 0, changed_at: None }
    }
}

/// A pairing challenge that was issued. What it says is a secret and never kept here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IssuedChallenge {
    pub kind: ChallengeKind,
    /// 1 for the first since the channel was switched on.
    pub attempt: u32,
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
}
