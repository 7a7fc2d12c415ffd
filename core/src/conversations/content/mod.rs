//! What a message says: exactly one content of thirteen kinds, with the values that the kinds are made of.

mod card;
mod limits;
mod media;
mod values;

pub use card::{CardPhone, ContactCard, ContactCardInput};
pub use limits::OutboundLimits;
pub use media::{Media, MediaState};
pub use values::{
    Attribution, Forward, Interactive, InteractiveKind, InteractiveOption, Location, Mention, NoticeKind, SystemNotice,
    TemplateRef,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Longest text of an inbound or imported message, in characters; more is cut, never refused.
pub const MAX_INBOUND_TEXT: usize = 65_536;

/// The kind of a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ContentType {
    Text,
    Image,
    Video,
    /// A sound file.
    Audio,
    /// A push-to-talk recording.
    Voice,
    Document,
    Location,
    /// Shared contact cards.
    Contact,
    Sticker,
    /// A notice of the system: a call, a change in a group.
    System,
    /// A text the provider approved beforehand.
    Template,
    /// Buttons or a list to choose from.
    Interactive,
    /// A kind that no adapter maps yet; recorded, never refused.
    Unsupported,
}

impl ContentType {
    pub const ALL: &'static [ContentType] = &[
        ContentType::Text,
        ContentType::Image,
        ContentType::Video,
        ContentType::Audio,
        ContentType::Voice,
        ContentType::Document,
        ContentType::Location,
        ContentType::Contact,
        ContentType::Sticker,
        ContentType::System,
        ContentType::Template,
        ContentType::Interactive,
        ContentType::Unsupported,
    ];

    /// The wire form, for example `voice`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ContentType::Text => "text",
            ContentType::Image => "image",
            ContentType::Video => "video",
            ContentType::Audio => "audio",
            ContentType::Voice => "voice",
            ContentType::Document => "document",
            ContentType::Location => "location",
            ContentType::Contact => "contact",
            ContentType::Sticker => "sticker",
            ContentType::System => "system",
            ContentType::Template => "template",
            ContentType::Interactive => "interactive",
            ContentType::Unsupported => "unsupported",
        }
    }

    /// Carries a file.
    pub const fn is_media(self) -> bool {
        matches!(
            self,
            ContentType::Image
                | ContentType::Video
                | ContentType::Audio
                | ContentType::Voice
                | ContentType::Document
                | ContentType::Sticker
        )
    }

    /// May carry a caption beside its file.
    pub const fn is_captioned(self) -> bool {
        matches!(self, ContentType::Image | ContentType::Video | ContentType::Audio | ContentType::Document)
    }

    /// Can be played, so that an acknowledgement may say so.
    pub const fn is_playable(self) -> bool {
        matches!(self, ContentType::Voice | ContentType::Audio)
    }

    /// The kind for an adapter that knows nothing but a mime type. Voice is never guessed: only a provider knows it.
    pub fn from_mime(mime: Option<&str>) -> ContentType {
        let Some(mime) = mime else { return ContentType::Text };
        let mime = mime.trim().to_ascii_lowercase();
        let essence = mime.split(';').next().unwrap_or_default().trim();
        match essence.split('/').next().unwrap_or_default() {
            "image" if essence.contains("webp") => ContentType::Sticker,
            "image" => ContentType::Image,
            "video" => ContentType::Video,
            "audio" => ContentType::Audio,
            _ if essence.contains("vcard") || essence.contains("contact") => ContentType::Contact,
            _ => ContentType::Document,
        }
    }
}

impl std::fmt::Display for ContentType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Exactly one content. The wire form names its kind: `{"type": "text", "body": "Oi"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    Text {
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
        body: String,
    },
    Image {
        media: Media,
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
        caption: Option<String>,
    },
    Video {
        media: Media,
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
        caption: Option<String>,
    },
    Audio {
        media: Media,
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
        caption: Option<String>,
    },
    Voice {
        media: Media,
        /// Must be absent when sending; kept when a provider delivers one.
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
        caption: Option<String>,
    },
    Document {
        media: Media,
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
        caption: Option<String>,
    },
    Sticker {
        media: Media,
        /// Must be absent when sending; kept when a provider delivers one.
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
        caption: Option<String>,
    },
    Location {
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "location"))]
        location: Location,
        /// The sender shares a moving position; only its first point is known.
        #[serde(default)]
        live: bool,
    },
    Contact {
        /// 1 to 10 cards.
        #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
        cards: Vec<ContactCard>,
    },
    Template {
        template: TemplateRef,
    },
    Interactive {
        interactive: Interactive,
    },
    /// Only the system writes these.
    System {
        notice: SystemNotice,
    },
    /// Only adapters make these.
    Unsupported {
        /// The provider's own word for the kind, for example `pollCreationMessage`.
        raw_type: String,
    },
}

impl Content {
    pub fn text(body: impl Into<String>) -> Self {
        Content::Text { body: body.into() }
    }

    /// A content that carries a file, or nothing when `kind` is not a media kind.
    pub fn media_of(kind: ContentType, media: Media, caption: Option<String>) -> Option<Self> {
        match kind {
            ContentType::Image => Some(Content::Image { media, caption }),
            ContentType::Video => Some(Content::Video { media, caption }),
            ContentType::Audio => Some(Content::Audio { media, caption }),
            ContentType::Voice => Some(Content::Voice { media, caption }),
            ContentType::Document => Some(Content::Document { media, caption }),
            ContentType::Sticker => Some(Content::Sticker { media, caption }),
            _ => None,
        }
    }

    pub fn content_type(&self) -> ContentType {
        match self {
            Content::Text { .. } => ContentType::Text,
            Content::Image { .. } => ContentType::Image,
            Content::Video { .. } => ContentType::Video,
            Content::Audio { .. } => ContentType::Audio,
            Content::Voice { .. } => ContentType::Voice,
            Content::Document { .. } => ContentType::Document,
            Content::Sticker { .. } => ContentType::Sticker,
            Content::Location { .. } => ContentType::Location,
            Content::Contact { .. } => ContentType::Contact,
            Content::Template { .. } => ContentType::Template,
            Content::Interactive { .. } => ContentType::Interactive,
            Content::System { .. } => ContentType::System,
            Content::Unsupported { .. } => ContentType::Unsupported,
        }
    }

    /// The body of a text, the caption of a file.
    pub fn words(&self) -> Option<&str> {
        match self {
            Content::Text { body } => Some(body),
            Content::Image { caption, .. }
            | Content::Video { caption, .. }
            | Content::Audio { caption, .. }
            | Content::Voice { caption, .. }
            | Content::Document { caption, .. }
            | Content::Sticker { caption, .. } => caption.as_deref(),
            _ => None,
        }
    }

    /// The file, for the media kinds.
    pub fn media(&self) -> Option<&Media> {
        match self {
            Content::Image { media, .. }
            | Content::Video { media, .. }
            | Content::Audio { media, .. }
            | Content::Voice { media, .. }
            | Content::Document { media, .. }
            | Content::Sticker { media, .. } => Some(media),
            _ => None,
        }
    }

    /// The file, to be replaced when its stored copy is known.
    pub fn media_mut(&mut self) -> Option<&mut Media> {
        match self {
            Content::Image { media, .. }
            | Content::Video { media, .. }
            | Content::Audio { media, .. }
            | Content::Voice { media, .. }
            | Content::Document { media, .. }
            | Content::Sticker { media, .. } => Some(media),
            _ => None,
        }
    }

    /// Replaces the body of a text or the caption of a file; other contents have no words.
    pub fn set_words(&mut self, words: &str) {
        match self {
            Content::Text { body } => words.clone_into(body),
            Content::Image { caption, .. }
            | Content::Video { caption, .. }
            | Content::Audio { caption, .. }
            | Content::Voice { caption, .. }
            | Content::Document { caption, .. }
            | Content::Sticker { caption, .. } => *caption = Some(words.to_owned()),
            _ => {}
        }
    }

    /// Makes a received content storable: trailing NULs go, and words beyond [`MAX_INBOUND_TEXT`] are cut.
    /// Returns the length before the cut, in characters, when there was one.
    pub fn fit_inbound(&mut self) -> Option<usize> {
        let words = match self {
            Content::Text { body } => body,
            Content::Image { caption, .. }
            | Content::Video { caption, .. }
            | Content::Audio { caption, .. }
            | Content::Voice { caption, .. }
            | Content::Document { caption, .. }
            | Content::Sticker { caption, .. } => caption.as_mut()?,
            _ => return None,
        };
        words.truncate(words.trim_end_matches('\0').len());
        let (end, _) = words.char_indices().nth(MAX_INBOUND_TEXT)?;
        let length = words.chars().count();
        words.truncate(end);
        Some(length)
    }
}

#[cfg(test)]
mod tests;
