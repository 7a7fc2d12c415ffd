//! What a project decides about its contacts: the defaults and the options.

use crate::engine::Reader;
use crate::kernel::{Language, Region, Result};

/// The settings of a project that the rules for contacts ask for.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The region of phone numbers without country code.
    pub region: Option<Region>,
    pub language: Language,
    /// At most one active contact has an e-mail address.
    pub unique_email: bool,
    /// A contact that a channel brings gets a tag with the name of the channel family.
    pub channel_tag: bool,
}

impl Policy {
    /// The settings of the project of a call.
    pub async fn of(_read: &Reader<'_>) -> Result<Policy> {
        Ok(Policy {
            region: Region::parse("BR").ok(),
            language: Language::default(),
            unique_email: true,
            channel_tag: true,
        })
    }
}
