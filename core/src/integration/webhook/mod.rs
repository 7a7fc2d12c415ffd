//! Webhooks: events of a project, posted to an address of an outside system, signed, with retries and a log of every delivery.
//!
//! Deliveries are jobs. One that cannot be brought holds back the later ones of the same aggregate to the same webhook, so that a
//! receiver hears of an aggregate in order; nothing else waits for it.

mod body;
pub mod commands;
mod deliver;
mod delivery;
mod endpoint;
mod events;
mod expiry;
mod headers;
mod outcome;
mod patterns;
pub mod queries;
pub mod reactions;
mod replaying;
mod rules;
mod secrets;
mod signing;
mod state;
mod values;

pub use deliver::OUTSIDE_JOBS;
pub use delivery::{DeliveryAttempt, WebhookDelivery};
pub use endpoint::WebhookEndpoint;
pub use events::{HeaderSecret, NewWebhook, WebhookEvent, WebhookPatch};
pub use patterns::wants;
pub use signing::{SigningKey, sign};
pub use state::Webhook;
pub use values::{AttemptErrorKind, BodyMode, DeliveryKind, DeliveryStatus, DisabledReason, TimelineCategory};

#[cfg(test)]
mod tests;
