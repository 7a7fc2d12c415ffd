//! The kinds of channel that an installation offers: what each needs to be configured and what it can do, as data, so
//! that a host shows forms, checks input and gates features without code per provider.

mod built_in;
mod capabilities;
pub mod commands;
mod config;
mod definition;
mod events;
mod field;
pub mod queries;
mod seed;
mod state;

pub use built_in::built_in;
pub use capabilities::{Capabilities, MediaKind, RateLimits};
pub(in crate::channels) use config::missing;
pub use config::{ConfigInput, Stage, ValidConfig, validate_config};
pub use events::{ChannelTypeEvent, ChannelTypeTexts, Configuration, NewChannelType};
pub use field::{ConfigField, ConfigFieldType, ConfigFormat, ExternalIdRule, RequiredOn};
pub use seed::{seed, seed_with};
pub use state::{ChannelFamily, ChannelType, ConnectionMode};

#[cfg(test)]
mod tests;
