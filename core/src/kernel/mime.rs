//! Media types, and the registry of those that messages carry.

use super::error::{Error, ErrorCode, Result};
use super::mime_registry::REGISTRY;

/// A media type such as `audio/ogg; codecs=opus`, lower case; equality looks at the essence (`audio/ogg`) alone.
#[derive(Clone)]
pub struct MimeType {
    essence: Box<str>,
    parameters: Box<str>,
    /// Both, as they are written.
    text: Box<str>,
}

crate::text_enum! {
    /// What kind of medium it is.
    pub enum MimeCategory {
        Pdf = "pdf",
        Office = "office",
        Presentation = "presentation",
        Spreadsheet = "spreadsheet",
        Text = "text",
        Image = "image",
        Audio = "audio",
        Video = "video",
        ContactCard = "contact_card",
        Archive = "archive",
        Other = "other",
    }
}

crate::text_enum! {
    /// Which reading of the content makes it text.
    pub enum MimeAnalysis {
        /// Text in an image.
        Ocr = "ocr",
        /// Text of a document.
        Document = "document",
        /// Speech.
        Transcription = "transcription",
        /// Nothing to read.
        None = "none",
    }
}

/// What the registry knows of a media type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct MimeInfo {
    pub essence: &'static str,
    pub category: MimeCategory,
    /// With a leading dot, the usual one first; none for unspecified bytes.
    pub extensions: &'static [&'static str],
    /// The largest file that enrichment takes.
    pub max_size_mb: Option<u32>,
    pub description: &'static str,
}

impl MimeInfo {
    /// The usual extension, with its dot.
    pub fn extension(&self) -> Option<&'static str> {
        self.extensions.first().copied()
    }

    /// What enrichment suits the medium.
    pub fn analysis(&self) -> MimeAnalysis {
        match self.category {
            // A drawing made of shapes has no pixels to read.
            MimeCategory::Image if self.essence == "image/svg+xml" => MimeAnalysis::None,
            MimeCategory::Image => MimeAnalysis::Ocr,
            MimeCategory::Pdf
            | MimeCategory::Office
            | MimeCategory::Presentation
            | MimeCategory::Spreadsheet
            | MimeCategory::Text => MimeAnalysis::Document,
            MimeCategory::Audio | MimeCategory::Video => MimeAnalysis::Transcription,
            MimeCategory::ContactCard | MimeCategory::Archive | MimeCategory::Other => MimeAnalysis::None,
        }
    }
}

/// Names that mean the same as another.
const ALIASES: &[(&str, &str)] = &[
    ("application/x-pdf", "application/pdf"),
    ("audio/m4a", "audio/mp4"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/wave", "audio/wav"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/x-wav", "audio/wav"),
    ("image/jpg", "image/jpeg"),
    ("text/rtf", "application/rtf"),
    ("text/xml", "application/xml"),
];

impl MimeType {
    /// Reads `type/subtype` with parameters in any case; other names of a type become its own.
    ///
    /// # Errors
    /// `mime_required` when empty, `mime_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ErrorCode::MimeRequired.into());
        }
        let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
        let essence = essence.trim().to_ascii_lowercase();
        let (kind, subtype) = essence.split_once('/').ok_or(ErrorCode::MimeInvalid)?;
        if !is_name(kind) || !is_name(subtype) {
            return Err(ErrorCode::MimeInvalid.into());
        }
        let essence = ALIASES.iter().find(|(alias, _)| *alias == essence).map_or(essence.as_str(), |(_, own)| own);
        let parameters = read_parameters(parameters).ok_or(ErrorCode::MimeInvalid)?;
        let text = if parameters.is_empty() { essence.to_owned() } else { format!("{essence}; {parameters}") };
        Ok(MimeType { essence: essence.into(), parameters: parameters.into(), text: text.into() })
    }

    /// `type/subtype`.
    pub fn essence(&self) -> &str {
        &self.essence
    }

    /// What stands behind the essence, such as `codecs=opus`; empty when nothing does.
    pub fn parameters(&self) -> &str {
        &self.parameters
    }

    /// The whole, with its parameters.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the registry knows of it.
    ///
    /// # Errors
    /// `mime_unsupported`.
    pub fn info(&self) -> Result<&'static MimeInfo> {
        REGISTRY
            .iter()
            .find(|info| *info.essence == *self.essence)
            .ok_or_else(|| Error::new(ErrorCode::MimeUnsupported).with("mime", &*self.essence))
    }

    pub fn is_supported(&self) -> bool {
        self.info().is_ok()
    }

    /// # Errors
    /// `mime_unsupported`.
    pub fn category(&self) -> Result<MimeCategory> {
        self.info().map(|info| info.category)
    }

    /// What enrichment suits it; none for unknown types.
    pub fn analysis(&self) -> MimeAnalysis {
        self.info().map_or(MimeAnalysis::None, MimeInfo::analysis)
    }

    /// Everything that the registry knows, sorted by essence.
    pub fn all() -> &'static [MimeInfo] {
        REGISTRY
    }

    pub fn by_category(category: MimeCategory) -> impl Iterator<Item = &'static MimeInfo> {
        REGISTRY.iter().filter(move |info| info.category == category)
    }

    /// All extensions of the registry, sorted.
    pub fn extensions() -> Vec<&'static str> {
        let mut extensions: Vec<_> = REGISTRY.iter().flat_map(|info| info.extensions).copied().collect();
        extensions.sort_unstable();
        extensions.dedup();
        extensions
    }

    /// The type of a file by its extension, with or without the dot, in any case. `hint` decides where two types share it (`.webm`);
    /// without a hint it is audio.
    ///
    /// # Errors
    /// `mime_unsupported`.
    pub fn from_extension(extension: &str, hint: Option<MimeCategory>) -> Result<Self> {
        let wanted = extension.trim().trim_start_matches('.').to_ascii_lowercase();
        let found: Vec<_> =
            REGISTRY.iter().filter(|info| info.extensions.iter().any(|own| own[1..] == wanted)).collect();
        let hinted = found.iter().find(|info| Some(info.category) == hint);
        // The registry is sorted, and audio comes before video.
        match hinted.or(found.first()) {
            Some(info) => MimeType::parse(info.essence),
            None => Err(Error::new(ErrorCode::MimeUnsupported).with("extension", wanted)),
        }
    }
}

/// A restricted name of RFC 6838: 1–127 characters, the first a letter or digit.
fn is_name(name: &str) -> bool {
    (1..=127).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
}

/// Parameters with lower-case names, parted by `; `; their values are kept.
fn read_parameters(text: &str) -> Option<String> {
    let mut parameters = String::new();
    for parameter in split_parameters(text) {
        let parameter = parameter.trim();
        if parameter.is_empty() {
            continue;
        }
        let (name, value) = parameter.split_once('=')?;
        let (name, value) = (name.trim(), value.trim());
        let is_quoted = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
        let is_token =
            !value.is_empty() && value.bytes().all(|b| b.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&b));
        if !is_name(name) || value.chars().any(char::is_control) || !(is_quoted || is_token) {
            return None;
        }
        if !parameters.is_empty() {
            parameters.push_str("; ");
        }
        parameters.push_str(&name.to_ascii_lowercase());
        parameters.push('=');
        parameters.push_str(value);
    }
    (parameters.len() <= 255).then_some(parameters)
}

/// Splits at semicolons outside quotes.
fn split_parameters(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    let mut escaped = false;
    text.split(move |c| {
        let ends = c == ';' && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

impl PartialEq for MimeType {
    fn eq(&self, other: &Self) -> bool {
        self.essence == other.essence
    }
}

impl Eq for MimeType {}

impl std::hash::Hash for MimeType {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.essence.hash(state);
    }
}

impl Ord for MimeType {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.essence.cmp(&other.essence)
    }
}

impl PartialOrd for MimeType {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

super::text_enum::text_value!(MimeType, {
    "type": "string", "format": "media-type", "description": "A media type, for example audio/ogg; codecs=opus."
});

#[cfg(test)]
mod tests {
    use super::*;

    fn mime(text: &str) -> MimeType {
        MimeType::parse(text).unwrap()
    }

    #[test]
    fn case_12_media_types() {
        let voice = mime("Audio/OGG; codecs=opus");
        assert_eq!((voice.essence(), voice.parameters()), ("audio/ogg", "codecs=opus"));
        assert_eq!(voice.category().unwrap(), MimeCategory::Audio);
        assert_eq!(mime("image/jpg"), mime("image/jpeg"));
        for text in ["pdf", "a/b/c", "/x"] {
            assert_eq!(MimeType::parse(text).unwrap_err().code(), ErrorCode::MimeInvalid, "{text}");
        }
        let video = mime("video/mp4").info().unwrap();
        assert_eq!((video.category, video.max_size_mb), (MimeCategory::Video, Some(20)));
        assert_eq!(MimeType::from_extension(".TIF", None).unwrap().as_str(), "image/tiff");
    }

    #[test]
    fn the_registry_is_sorted_and_reads_itself() {
        assert!(MimeType::all().is_sorted_by(|a, b| a.essence < b.essence));
        assert_eq!(MimeType::all().len(), 39 + 11);
        for info in MimeType::all() {
            assert_eq!(mime(info.essence).info().unwrap(), info);
            assert!(info.extensions.iter().all(|extension| extension.starts_with('.')), "{}", info.essence);
            if let Some(extension) = info.extension() {
                let found = MimeType::from_extension(extension, Some(info.category)).unwrap();
                assert_eq!(found.essence(), info.essence);
            }
        }
        for (alias, own) in ALIASES {
            assert_eq!(mime(alias).as_str(), *own);
            assert!(mime(alias).is_supported());
        }
    }

    #[test]
    fn a_shared_extension_needs_a_hint() {
        let of = |hint| MimeType::from_extension("webm", hint).unwrap().to_string();
        assert_eq!(of(None), "audio/webm");
        assert_eq!(of(Some(MimeCategory::Video)), "video/webm");
        assert_eq!(MimeType::from_extension(".exe", None).unwrap_err().code(), ErrorCode::MimeUnsupported);
        assert!(MimeType::extensions().is_sorted() && MimeType::extensions().contains(&".opus"));
    }

    #[test]
    fn enrichment_suits_the_medium() {
        assert_eq!(mime("image/png").analysis(), MimeAnalysis::Ocr);
        assert_eq!(mime("image/svg+xml").analysis(), MimeAnalysis::None);
        assert_eq!(mime("text/csv").analysis(), MimeAnalysis::Document);
        assert_eq!(mime("video/3gpp").analysis(), MimeAnalysis::Transcription);
        assert_eq!(mime("application/zip").analysis(), MimeAnalysis::None);
        assert_eq!(mime("application/x-unheard-of").analysis(), MimeAnalysis::None);
        assert_eq!(mime("application/x-unheard-of").category().unwrap_err().code(), ErrorCode::MimeUnsupported);
    }

    #[test]
    fn parameters_are_kept_apart() {
        let text = mime("text/plain;Charset=UTF-8 ; name=\"a;b\"");
        assert_eq!(text.as_str(), "text/plain; charset=UTF-8; name=\"a;b\"");
        assert_eq!(mime(text.as_str()).as_str(), text.as_str());
        assert_eq!(MimeType::parse("").unwrap_err().code(), ErrorCode::MimeRequired);
        for text in
            ["text/plain; x", "text/plain; a=b\"", "text /plain", "text/*", &format!("text/{}", "a".repeat(128))]
        {
            assert!(MimeType::parse(text).is_err(), "{text}");
        }
    }
}
