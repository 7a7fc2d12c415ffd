//! What every delivered item needs to know about its line.

use crate::channels::channel::Channel;
use crate::channels::channel_type::ChannelType;
use crate::contacts::contact::resolution::Line;
use crate::conversations::content::{ContentType, Media};
use crate::conversations::session::TimeoutSource;
use crate::kernel::Timestamp;
use crate::tenancy::project::Project;

/// The line that an item arrived on, and how it arrived.
pub struct Intake<'a> {
    pub project: &'a Project,
    pub channel: &'a Channel,
    pub channel_type: &'a ChannelType,
    pub received_at: Timestamp,
    /// An echo is not waited for any longer.
    pub last_try: bool,
}

impl Intake<'_> {
    pub fn line(&self) -> Line<'_> {
        Line {
            channel_id: self.channel.id,
            channel_type: &self.channel.channel_type,
            family: self.channel_type.family.as_str(),
        }
    }

    /// The silence that ends a session of this line, in seconds: the channel's, else the project's.
    pub fn timeout(&self) -> (u32, TimeoutSource) {
        match self.channel.session_timeout_minutes.filter(|minutes| *minutes > 0) {
            Some(minutes) => (minutes * 60, TimeoutSource::Channel),
            None => (self.project.session_timeout_minutes * 60, TimeoutSource::Project),
        }
    }

    /// Whether the channel wants this file looked at by AI.
    pub fn wants_ai(&self, content: ContentType, media: Option<&Media>) -> bool {
        let reachable = media.is_some_and(|media| media.url.is_some() || media.storage_key.is_some());
        reachable && self.channel.ai_enabled && self.channel.ai_wants(content.as_str(), media.and_then(|media| media.size_bytes))
    }
}
