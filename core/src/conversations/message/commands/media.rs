//! What becomes known of a file after its message.

use crate::conversations::content::{Media, MediaState};
use crate::conversations::message::{Message, MessageEvent};
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, MessageId, MimeType, Patch, Permission, Result, Url, text::text};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const MAX_FILENAME: usize = 255;
const MAX_STORAGE_KEY: usize = 1_024;
const SHA256_DIGITS: usize = 64;

/// Changes of a file's particulars: what is absent stays, null clears.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MediaPatch {
    /// `http` or `https`, at most 2 048 characters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub url: Patch<Url>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub mime: Patch<String>,
    /// At most 255 characters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub filename: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub size_bytes: Patch<u64>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub duration_ms: Patch<u64>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub width: Patch<u32>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub height: Patch<u32>,
    /// Of the file, 64 hexadecimal digits.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub sha256: Patch<String>,
    /// The host's own name of its copy, at most 1 024 characters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub storage_key: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub thumbnail_url: Patch<Url>,
    /// Unless told: `stored` with a new `storage_key`, `remote` with the first `url`.
    pub state: Option<MediaState>,
}

/// Notes what became known of a message's file: its link, its size, the host's copy.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachMedia {
    pub id: MessageId,
    pub media: MediaPatch,
}

impl Command for AttachMedia {
    const NAME: &'static str = "messages.attach_media";
    const PERMISSION: Permission = Permission::MessagesSend;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::MessageNotFound,
        ErrorCode::ContentNotAllowed,
        ErrorCode::UrlInvalid,
        ErrorCode::UrlSchemeUnsupported,
        ErrorCode::MimeInvalid,
        ErrorCode::TextTooLong,
        ErrorCode::TextControlChar,
        ErrorCode::InputInvalid,
    ];
    type Output = Message;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Message> {
        let mut message = work.load::<Message>(self.id).await?;
        let Some(known) = message.content.media().cloned() else {
            return Err(Error::new(ErrorCode::ContentNotAllowed).at("media"));
        };
        let media = self.media.applied_to(known.clone()).map_err(|e| e.at("media"))?;
        if media != known {
            let contact_id = message.contact_id;
            message.record(MessageEvent::MediaAttached { media, contact_id });
        }
        work.save(message)
    }
}

impl MediaPatch {
    fn applied_to(self, known: Media) -> Result<Media> {
        let mut media = known.clone();
        put(&mut media.url, self.url, |url| Ok(url.as_str().to_owned()))?;
        put(&mut media.thumbnail_url, self.thumbnail_url, |url| Ok(url.as_str().to_owned()))?;
        put(&mut media.mime, self.mime, |mime| {
            Ok(MimeType::parse(&mime).map_err(|e| e.at("mime"))?.as_str().to_owned())
        })?;
        put(&mut media.filename, self.filename, |name| text(&name, MAX_FILENAME).map_err(|e| e.at("filename")))?;
        put(&mut media.storage_key, self.storage_key, |key| {
            text(&key, MAX_STORAGE_KEY).map_err(|e| e.at("storage_key"))
        })?;
        put(&mut media.sha256, self.sha256, |digest| sha256(&digest))?;
        put(&mut media.size_bytes, self.size_bytes, Ok)?;
        put(&mut media.duration_ms, self.duration_ms, Ok)?;
        put(&mut media.width, self.width, Ok)?;
        put(&mut media.height, self.height, Ok)?;
        let is_copied = media.storage_key.is_some() && media.storage_key != known.storage_key;
        media.state = match (self.state, known.state) {
            (Some(state), _) => state,
            (None, _) if is_copied => MediaState::Stored,
            (None, MediaState::Pending | MediaState::Unavailable) if media.url.is_some() && media.url != known.url => {
                MediaState::Remote
            }
            (None, state) => state,
        };
        Ok(media)
    }
}

fn put<T, U>(field: &mut Option<T>, patch: Patch<U>, read: impl FnOnce(U) -> Result<T>) -> Result<()> {
    if let Some(change) = patch.into_change() {
        *field = change.map(read).transpose()?;
    }
    Ok(())
}

fn sha256(digest: &str) -> Result<String> {
    let digest = digest.trim().to_ascii_lowercase();
    if digest.len() == SHA256_DIGITS && digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(digest);
    }
    Err(Error::new(ErrorCode::InputInvalid).message("a SHA-256 has 64 hexadecimal digits").at("sha256"))
}
