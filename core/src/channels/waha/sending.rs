//! Messages of ours as WAHA takes them, and what it answers.

use super::Waha;
use crate::channels::gateway::{
    ChannelSender, GatewayError, GatewayErrorKind as Kind, GatewayLine, OutboundMessage, Receipt, ReplyTarget,
};
use crate::conversations::content::{Content, Media};
use crate::engine::Answer;
use crate::http::{HttpFailure, HttpMethod, HttpRequest, HttpResponse};
use crate::kernel::Phone;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How long a call may take, one that hands a file over, and one whose file is converted first. Each ends before its message is
/// given to somebody else.
const TIMEOUT: Duration = Duration::from_secs(30);
const MEDIA_TIMEOUT: Duration = Duration::from_secs(55);
const VIDEO_TIMEOUT: Duration = Duration::from_secs(295);
/// Engines answer with the whole message, thumbnails included: what is cut off says nothing of whether it was taken.
const MAX_ANSWER: usize = 10 * 1024 * 1024;
/// Longest id of a message, in characters.
const MAX_ID: usize = 255;
/// Voice messages that need not be converted.
const VOICE_MIME: &str = "audio/ogg; codecs=opus";

impl ChannelSender for Waha {
    fn code(&self) -> &'static str {
        "waha"
    }

    fn is_reachable(&self, line: &GatewayLine) -> bool {
        line.external_id.is_some() && line.setting("base_url").is_some()
    }

    fn resolve(&self, line: &GatewayLine, phone: &Phone) -> Result<HttpRequest, GatewayError> {
        let digits = phone.as_str().trim_start_matches('+');
        let session = session(line)?;
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("phone", digits)
            .append_pair("session", session)
            .finish();
        request(line, HttpMethod::Get, &format!("/api/contacts/check-exists?{query}"), TIMEOUT)
    }

    fn read_resolved(&self, answer: &Answer) -> Result<Option<String>, GatewayError> {
        let body = read(answer, false)?;
        match (body.get("numberExists").and_then(Value::as_bool), text(&body, "chatId")) {
            (Some(true), Some(chat)) => Ok(Some(chat.to_owned())),
            (Some(false), _) => Err(GatewayError::new(Kind::InvalidRecipient, "the number is not on WhatsApp")),
            _ => Ok(None),
        }
    }

    fn send(&self, line: &GatewayLine, message: &OutboundMessage<'_>) -> Result<HttpRequest, GatewayError> {
        let (path, mut body) = content(message)?;
        body.insert("session".to_owned(), session(line)?.into());
        body.insert("chatId".to_owned(), message.chat.into());
        if let Some(target) = &message.reply_to {
            body.insert("reply_to".to_owned(), full_id(message.chat, target).into());
        }
        let timeout = match message.content {
            Content::Video { .. } => VIDEO_TIMEOUT,
            content if content.content_type().is_media() => MEDIA_TIMEOUT,
            _ => TIMEOUT,
        };
        let mut request = request(line, HttpMethod::Post, path, timeout)?
            .header("content-type", "application/json")
            // WAHA itself does not look at it; what stands before it may, and says so by `idempotent_send` of its channel type.
            .header("idempotency-key", message.id.to_string());
        request.body = Value::Object(body).to_string().into_bytes();
        request.max_response = MAX_ANSWER;
        Ok(request)
    }

    fn read_sent(&self, answer: &Answer) -> Result<Receipt, GatewayError> {
        let body = read(answer, true)?;
        let id = ["id", "key"].iter().find_map(|name| match body.get(*name) {
            Some(Value::String(id)) => Some(id.clone()),
            Some(Value::Object(id)) => {
                ["_serialized", "id"].iter().find_map(|key| id.get(*key)?.as_str().map(str::to_owned))
            }
            _ => None,
        });
        Ok(Receipt { channel_message_id: id.map(|id| bare_id(&id).to_owned()).filter(|id| is_id(id)) })
    }
}

fn text<'b>(body: &'b Value, key: &str) -> Option<&'b str> {
    body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Where a content goes, and the part of the body that is its own.
fn content(message: &OutboundMessage<'_>) -> Result<(&'static str, Map<String, Value>), GatewayError> {
    let (path, body) = match message.content {
        Content::Text { body } => {
            let mentions: Vec<&str> = message.mentions.iter().map(|mention| mention.external_id.as_str()).collect();
            (
                "/api/sendText",
                json!({"text": body, "mentions": mentions, "linkPreview": true, "linkPreviewHighQuality": false}),
            )
        }
        Content::Image { media, caption } => ("/api/sendImage", json!({"file": file(media)?, "caption": caption})),
        Content::Video { media, caption } => {
            ("/api/sendVideo", json!({"file": file(media)?, "caption": caption, "asNote": false, "convert": true}))
        }
        Content::Voice { media, .. } => {
            let convert = media.mime.as_deref() != Some(VOICE_MIME);
            ("/api/sendVoice", json!({"file": file(media)?, "convert": convert}))
        }
        Content::Audio { media, caption } | Content::Document { media, caption } => {
            ("/api/sendFile", json!({"file": file(media)?, "caption": caption}))
        }
        Content::Sticker { media, .. } => ("/api/sendFile", json!({"file": file(media)?})),
        Content::Location { location, .. } => (
            "/api/sendLocation",
            json!({"latitude": location.latitude, "longitude": location.longitude, "title": location.name}),
        ),
        Content::Contact { cards } => {
            let contacts: Vec<Value> = cards.iter().map(|card| json!({"vcard": card.vcard})).collect();
            ("/api/sendContactVcard", json!({"contacts": contacts}))
        }
        other => {
            let told = format!("WAHA cannot send a content of type {}", other.content_type());
            return Err(GatewayError::new(Kind::Unsupported, &told));
        }
    };
    let mut body = body.as_object().cloned().unwrap_or_default();
    // What is not said is left out: the gateway does not know null everywhere.
    body.retain(|_, value| !value.is_null() && !value.as_array().is_some_and(Vec::is_empty));
    Ok((path, body))
}

/// A file that the gateway fetches by itself.
fn file(media: &Media) -> Result<Value, GatewayError> {
    let Some(url) = &media.url else {
        return Err(GatewayError::new(
            Kind::Unsupported,
            "the file has no address that the gateway could fetch it from",
        ));
    };
    let mut file = Map::from_iter([("url".to_owned(), url.as_str().into())]);
    file.extend(media.mime.as_ref().map(|mime| ("mimetype".to_owned(), mime.as_str().into())));
    file.extend(media.filename.as_ref().map(|name| ("filename".to_owned(), name.as_str().into())));
    Ok(Value::Object(file))
}

pub(super) fn session(line: &GatewayLine) -> Result<&str, GatewayError> {
    let missing = || GatewayError::new(Kind::NotConnected, "the channel has no session");
    line.external_id.as_deref().ok_or_else(missing)
}

pub(super) fn request(
    line: &GatewayLine,
    method: HttpMethod,
    path: &str,
    timeout: Duration,
) -> Result<HttpRequest, GatewayError> {
    let missing = || GatewayError::new(Kind::NotConnected, "the channel does not say where its gateway is");
    let base = line.setting("base_url").ok_or_else(missing)?;
    let request = HttpRequest::new(method, format!("{}{path}", base.trim_end_matches('/')));
    let request = HttpRequest { timeout, ..request }.header("accept", "application/json");
    Ok(match line.secret("api_key") {
        Some(key) => request.header("x-api-key", key),
        None => request,
    })
}

/// What is no id is none: the message was taken all the same, and its echo may tell the true one.
fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.chars().count()) && !id.chars().any(char::is_control) && !id.trim().is_empty()
}

/// The id by which the gateway names a message in a request.
fn full_id(chat: &str, target: &ReplyTarget) -> String {
    if target.channel_message_id.contains('_') {
        return target.channel_message_id.clone();
    }
    format!("{}_{chat}_{}", target.from_me, target.channel_message_id)
}

/// `true_551190000001@c.us_3EB0` and `3EB0` are one message.
fn bare_id(id: &str) -> &str {
    let mut parts = id.splitn(3, '_');
    match (parts.next(), parts.next(), parts.next()) {
        (Some("true" | "false"), Some(_), Some(rest)) => rest.split('_').next().unwrap_or(rest),
        _ => id,
    }
}

/// The body of an answer, or what went wrong. What may have been sent although nothing says so is ambiguous.
fn read(answer: &Answer, is_send: bool) -> Result<Value, GatewayError> {
    let response = match answer {
        Ok(response) => response,
        Err(HttpFailure::Blocked { reason }) => return Err(GatewayError::new(Kind::BlockedTarget, reason)),
        Err(failure) => {
            let kind = if is_send && failure.was_sent() { Kind::Ambiguous } else { Kind::Unavailable };
            return Err(GatewayError::new(kind, failure.as_str()));
        }
    };
    let body = serde_json::from_slice::<Value>(&response.body).ok().filter(Value::is_object);
    match body {
        Some(body) if response.is_success() => Ok(body),
        None if response.is_success() => {
            let kind = if is_send { Kind::Ambiguous } else { Kind::Unavailable };
            Err(GatewayError::new(kind, "the gateway's answer cannot be read").coded(response.status))
        }
        body => Err(refused(response, body.as_ref())),
    }
}

pub(super) fn refused(response: &HttpResponse, body: Option<&Value>) -> GatewayError {
    let said = body.and_then(|body| text(body, "message").or_else(|| text(body, "error"))).unwrap_or("no reason given");
    let lower = said.to_ascii_lowercase();
    let is_stranger = lower.contains("not registered") || lower.contains("no lid") || lower.contains("not on whatsapp");
    let kind = match response.status {
        401 | 403 => Kind::Auth,
        404 => Kind::NotFound,
        413 => Kind::TooLarge,
        429 => Kind::RateLimited,
        _ if lower.contains("rate-overlimit") => Kind::RateLimited,
        422 if body.is_some_and(|body| text(body, "status").is_some()) => Kind::NotConnected,
        400 | 500 if is_stranger => Kind::InvalidRecipient,
        500.. => Kind::Unavailable,
        _ => Kind::InvalidRequest,
    };
    let retry_after = response.header("retry-after").and_then(|text| text.trim().parse::<u32>().ok());
    GatewayError { retry_after: retry_after.map(i64::from), ..GatewayError::new(kind, said).coded(response.status) }
}
