//! What every delivered item needs to know about its line.

use crate::channels::channel::{AiContentType, Channel};
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

    /// Whether the channel wants this file looked at by AI. In a project that does not work nothing automatic runs.
    pub fn wants_ai(&self, content: ContentType, media: Option<&Media>) -> bool {
        let Some(media) = media.filter(|_| self.project.is_active()) else { return false };
        let Ok(kind) = AiContentType::parse(content.as_str()) else { return false };
        let wanted = self.channel.ai_for(kind);
        let is_reachable = media.url.is_some() || media.storage_key.is_some();
        is_reachable && wanted.enabled && media.size_bytes.is_none_or(|size| size <= wanted.max_size_bytes)
    }
}
