//! Messages of ours as WAHA takes them, what is done with messages afterwards, and what it answers.

use super::Waha;
use super::identifiers::{Jid, MessageId};
use crate::channels::gateway::{
    ChannelSender, ChatClass, GatewayError, GatewayErrorKind as Kind, GatewayLine, MessageTarget, OutboundMessage,
    Receipt,
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
            body.insert("reply_to".to_owned(), full_id(target).into());
        }
        let timeout = match message.content {
            Content::Video { .. } => VIDEO_TIMEOUT,
            content if content.content_type().is_media() => MEDIA_TIMEOUT,
            _ => TIMEOUT,
        };
        let request = request(line, HttpMethod::Post, path, timeout)?
            // WAHA itself does not look at it; what stands before it may, and says so by `idempotent_send` of its channel type.
            .header("idempotency-key", message.id.to_string());
        Ok(HttpRequest { max_response: MAX_ANSWER, ..with_body(request, &Value::Object(body)) })
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

    fn edit(&self, line: &GatewayLine, target: &MessageTarget, text: &str) -> Result<HttpRequest, GatewayError> {
        let request = request(line, HttpMethod::Put, &path_of(line, target)?, TIMEOUT)?;
        Ok(with_body(request, &json!({"text": text})))
    }

    fn revoke(&self, line: &GatewayLine, target: &MessageTarget) -> Result<HttpRequest, GatewayError> {
        request(line, HttpMethod::Delete, &path_of(line, target)?, TIMEOUT)
    }

    fn react(
        &self,
        line: &GatewayLine,
        target: &MessageTarget,
        emoji: Option<&str>,
    ) -> Result<HttpRequest, GatewayError> {
        let body =
            json!({"session": session(line)?, "messageId": full_id(target), "reaction": emoji.unwrap_or_default()});
        Ok(with_body(request(line, HttpMethod::Put, "/api/reaction", TIMEOUT)?, &body))
    }

    fn mark_read(&self, line: &GatewayLine, targets: &[MessageTarget]) -> Result<HttpRequest, GatewayError> {
        let nothing = || GatewayError::new(Kind::InvalidRequest, "no message is named");
        let first = targets.first().ok_or_else(nothing)?;
        let ids: Vec<String> = targets.iter().map(full_id).collect();
        let mut body = json!({"session": session(line)?, "chatId": first.chat, "messageIds": ids});
        if let Some(author) = author_in_group(first) {
            body["participant"] = author.into();
        }
        Ok(with_body(request(line, HttpMethod::Post, "/api/sendSeen", TIMEOUT)?, &body))
    }

    fn read_done(&self, answer: &Answer) -> Result<(), GatewayError> {
        match answer {
            // Engines answer with a message, with true, or with nothing.
            Ok(response) if response.is_success() => Ok(()),
            _ => read(answer, false).map(drop),
        }
    }
}

fn with_body(request: HttpRequest, body: &Value) -> HttpRequest {
    HttpRequest { body: body.to_string().into_bytes(), ..request.header("content-type", "application/json") }
}

/// Where a message is found.
fn path_of(line: &GatewayLine, target: &MessageTarget) -> Result<String, GatewayError> {
    let (session, chat, id) = (segment(session(line)?)?, segment(&target.chat)?, segment(&full_id(target))?);
    Ok(format!("/api/{session}/chats/{chat}/messages/{id}"))
}

/// One segment of a path, which stays one whatever is in it.
pub(super) fn segment(text: &str) -> Result<String, GatewayError> {
    // Escaped or not, dots alone lead to another place.
    if matches!(text, "" | "." | "..") {
        return Err(GatewayError::new(Kind::InvalidRequest, "this id cannot be part of an address"));
    }
    Ok(url::form_urlencoded::Serializer::new(String::new()).append_key_only(text).finish().replace('+', "%20"))
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

/// The id by which the gateway names a message in a request: the one that came with it, or one put together in its form.
fn full_id(target: &MessageTarget) -> String {
    let id = &target.channel_message_id;
    if let Some(told) = told_id(target) {
        return told;
    }
    if id.contains('_') {
        return id.clone();
    }
    let start = format!("{}_{}_{id}", target.from_me, target.chat);
    author_in_group(target).map_or(start.clone(), |author| format!("{start}_{author}"))
}

/// The long id that came with a message. Only if it is of that very message: people can write into its metadata.
fn told_id(target: &MessageTarget) -> Option<String> {
    let told = target.metadata.get("waha_id")?.as_str()?;
    let read = MessageId::parse(told)?;
    let is_same = read.stanza == target.channel_message_id && read.from_me == Some(target.from_me);
    read.full.filter(|_| is_same)
}

/// In a group messages are also known by their author.
fn author_in_group(target: &MessageTarget) -> Option<String> {
    if Jid::parse(&target.chat)?.chat().class != ChatClass::Group {
        return None;
    }
    let told = told_id(target).and_then(|told| MessageId::parse(&told)).and_then(|told| told.participant);
    let author = told.or_else(|| target.author.as_deref().and_then(Jid::parse))?;
    Some(author.external_id())
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
