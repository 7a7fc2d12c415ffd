//! What may be sent: the rules of the message page, checked before anything reaches a queue.

use super::{Content, Interactive, Media, TemplateRef};
use crate::kernel::{Error, ErrorCode, Result};
use serde_json::Value;

const MAX_URL: usize = 2_048;
const MAX_FILENAME: usize = 255;
const MAX_CARDS: usize = 10;
const MAX_OPTIONS: usize = 10;

/// The limits of one send: those of every message, narrowed by the channel and the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundLimits {
    /// Characters of a text or caption; the channel may allow fewer than 4 096.
    pub max_text: usize,
    /// Refuse media behind plain `http`.
    pub https_only: bool,
}

impl Default for OutboundLimits {
    fn default() -> Self {
        OutboundLimits { max_text: 4_096, https_only: false }
    }
}

impl Content {
    /// Fails with the first rule that a content to be sent breaks, the field named relative to the content:
    /// `text_required`, `text_too_long`, `media_required`, `url_invalid`, `url_scheme_unsupported`,
    /// `media_url_insecure`, `mime_invalid`, `name_too_long`, `coordinates_out_of_range`, `contact_card_required`,
    /// `vcard_invalid`, `template_required`, `template_variable_invalid`, `limit_out_of_range`, `content_not_allowed`.
    pub fn validate_outbound(&self, limits: &OutboundLimits) -> Result<()> {
        match self {
            Content::Text { body } if body.trim().is_empty() => Err(Error::new(ErrorCode::TextRequired).at("body")),
            Content::Text { body } => at_most(body, limits.max_text, "body"),
            Content::Image { media, caption }
            | Content::Video { media, caption }
            | Content::Audio { media, caption }
            | Content::Document { media, caption } => {
                at_most(caption.as_deref().unwrap_or_default(), limits.max_text, "caption")?;
                check_media(media, limits)
            }
            Content::Voice { media, caption } | Content::Sticker { media, caption } => match caption {
                Some(_) => Err(Error::new(ErrorCode::ContentNotAllowed).at("caption")),
                None => check_media(media, limits),
            },
            Content::Location { location, .. } if !location.in_range() => {
                Err(Error::new(ErrorCode::CoordinatesOutOfRange).at("location"))
            }
            Content::Location { .. } => Ok(()),
            Content::Contact { cards } if cards.is_empty() => {
                Err(Error::new(ErrorCode::ContactCardRequired).at("cards"))
            }
            Content::Contact { cards } if cards.len() > MAX_CARDS => Err(over("cards", MAX_CARDS)),
            Content::Contact { cards } => cards
                .iter()
                .enumerate()
                .try_for_each(|(i, card)| card.check().map_err(|e| e.at(format!("[{i}]")).at("cards"))),
            Content::Template { template } => check_template(template).map_err(|e| e.at("template")),
            Content::Interactive { interactive } => check_interactive(interactive).map_err(|e| e.at("interactive")),
            Content::System { .. } | Content::Unsupported { .. } => Err(ErrorCode::ContentNotAllowed.into()),
        }
    }
}

fn check_media(media: &Media, limits: &OutboundLimits) -> Result<()> {
    if media.url.is_none() && media.storage_key.is_none() {
        return Err(Error::new(ErrorCode::MediaRequired).at("media"));
    }
    if let Some(address) = &media.url {
        check_url(address, limits).map_err(|e| e.at("media.url"))?;
    }
    if let Some(mime) = &media.mime
        && !is_mime(mime)
    {
        return Err(Error::new(ErrorCode::MimeInvalid).at("media.mime"));
    }
    match &media.filename {
        Some(name) if name.chars().count() > MAX_FILENAME => {
            Err(Error::new(ErrorCode::NameTooLong).at("media.filename").with("max", MAX_FILENAME))
        }
        _ => Ok(()),
    }
}

fn check_url(address: &str, limits: &OutboundLimits) -> Result<()> {
    if address.chars().count() > MAX_URL {
        return Err(Error::new(ErrorCode::UrlInvalid).with("max", MAX_URL));
    }
    let url = url::Url::parse(address).map_err(|_| Error::new(ErrorCode::UrlInvalid))?;
    match url.scheme() {
        "https" => Ok(()),
        "http" if limits.https_only => Err(ErrorCode::MediaUrlInsecure.into()),
        "http" => Ok(()),
        _ => Err(ErrorCode::UrlSchemeUnsupported.into()),
    }
}

/// `type/subtype` with optional parameters.
fn is_mime(text: &str) -> bool {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b));
    essence.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

fn check_template(template: &TemplateRef) -> Result<()> {
    let named = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.trim().is_empty());
    if !named(&template.template_id) && !named(&template.name) {
        return Err(Error::new(ErrorCode::TemplateRequired).at("name"));
    }
    for (name, value) in &template.variables {
        let mut letters = name.chars();
        let starts = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
        let named = starts && name.len() <= 50 && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
        let valued = match value {
            Value::String(text) => text.chars().count() <= 1_000,
            Value::Number(_) | Value::Bool(_) => true,
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        };
        if !(named && valued) {
            return Err(Error::new(ErrorCode::TemplateVariableInvalid).at(format!("variables.{name}")));
        }
    }
    Ok(())
}

fn check_interactive(interactive: &Interactive) -> Result<()> {
    if interactive.options.is_empty() || interactive.options.len() > MAX_OPTIONS {
        return Err(over("options", MAX_OPTIONS));
    }
    for (i, option) in interactive.options.iter().enumerate() {
        let inside = |e: Error| e.at(format!("options[{i}]"));
        if option.title.trim().is_empty() {
            return Err(inside(Error::new(ErrorCode::TextRequired).at("title")));
        }
        at_most(&option.title, 24, "title").map_err(inside)?;
        at_most(&option.id, 256, "id").map_err(inside)?;
    }
    Ok(())
}

fn at_most(text: &str, max: usize, field: &str) -> Result<()> {
    let length = text.chars().count();
    if length <= max {
        return Ok(());
    }
    Err(Error::new(ErrorCode::TextTooLong).at(field).with("max", max).with("length", length))
}

fn over(field: &str, max: usize) -> Error {
    Error::new(ErrorCode::LimitOutOfRange).at(field).with("min", 1).with("max", max)
}
