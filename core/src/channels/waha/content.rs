//! What kind of content a message carries, and the content itself.
//!
//! The engine's own node decides where there is one: it tells a voice note from a sound and an image from an image
//! sent as a file. Without a node that we know, the gateway's normalised fields decide.

use super::json::Json;
use super::media;
use super::message::note;
use super::vcard;
use crate::channels::gateway::MediaRef;
use crate::conversations::content::{ContactCard, Content, ContentType, Location};
use serde_json::{Map, Value};

const MOST_CARDS: usize = 10;
/// Wrappers nest two or three deep; a hostile body might nest further.
const MOST_WRAPPERS: usize = 8;

/// Nodes around the real one.
const WRAPPERS: &[&str] = &[
    "ephemeralMessage",
    "viewOnceMessage",
    "viewOnceMessageV2",
    "viewOnceMessageV2Extension",
    "deviceSentMessage",
    "editedMessage",
    "documentWithCaptionMessage",
    "lottieStickerMessage",
    "groupMentionedMessage",
];

/// What the devices say to each other; reactions and votes have events of their own.
const PROTOCOL: &[&str] = &[
    "reactionMessage",
    "encReactionMessage",
    "protocolMessage",
    "senderKeyDistributionMessage",
    "fastRatchetKeySenderKeyDistributionMessage",
    "pollUpdateMessage",
    "messageContextInfo",
];

const MEDIA: &[(&str, ContentType)] = &[
    ("imageMessage", ContentType::Image),
    ("videoMessage", ContentType::Video),
    ("ptvMessage", ContentType::Video),
    ("audioMessage", ContentType::Audio),
    ("documentMessage", ContentType::Document),
    ("stickerMessage", ContentType::Sticker),
];

const ANSWERS: &[&str] =
    &["listResponseMessage", "buttonsResponseMessage", "templateButtonReplyMessage", "interactiveResponseMessage"];

/// A content and what was learnt on the way to it.
pub(super) struct Found<'p, 'a> {
    pub content: Content,
    pub media_ref: Option<MediaRef>,
    /// The `contextInfo` of whichever node has one.
    pub context_info: &'p Json<'a>,
    pub ephemeral: bool,
    pub view_once: bool,
    pub metadata: Map<String, Value>,
}

/// Reads the content of a message payload. Nothing: the payload is talk between devices.
pub(super) fn read<'p, 'a>(payload: &'p Json<'a>, base_urls: &[String]) -> Option<Found<'p, 'a>> {
    let data = payload.get("_data");
    let (node, wrappers) = unwrap(data.get("Message"));
    let wrapped = |start: &str| wrappers.iter().any(|name| name.starts_with(start));
    let flag = |name: &str| data.get(name).is_true();
    let mut metadata = Map::new();
    if raw_type(node).is_none() && PROTOCOL.iter().any(|name| !node.get(name).is_null()) {
        return None;
    }
    let (content, media_ref) = from_node(payload, node, base_urls, &mut metadata)
        .or_else(|| from_fields(payload, node, base_urls, &mut metadata))
        .or_else(|| unsupported(payload, node))?;
    if wrapped("edited") || flag("IsEdit") {
        metadata.insert("edited".to_owned(), true.into());
    }
    let once = node.members().iter().any(|(_, inner)| inner.get("viewOnce").is_true());
    Some(Found {
        content,
        media_ref,
        context_info: context_info(node),
        ephemeral: wrapped("ephemeral") || flag("IsEphemeral"),
        view_once: once
            || wrapped("viewOnce")
            || ["IsViewOnce", "IsViewOnceV2", "IsViewOnceV2Extension"].into_iter().any(flag),
        metadata,
    })
}

fn unwrap<'p, 'a>(message: &'p Json<'a>) -> (&'p Json<'a>, Vec<&'static str>) {
    let mut node = message;
    let mut seen = Vec::new();
    while seen.len() < MOST_WRAPPERS {
        let inside = WRAPPERS.iter().map(|name| (*name, node.get(name).get("message"))).find(|(_, n)| n.is_object());
        let Some((name, inner)) = inside else { break };
        seen.push(name);
        node = inner;
    }
    (node, seen)
}

fn context_info<'p, 'a>(node: &'p Json<'a>) -> &'p Json<'a> {
    let inner = node.members().iter().map(|(_, inner)| inner.get("contextInfo")).find(|info| info.is_object());
    inner.unwrap_or_else(|| node.get("contextInfo"))
}

type Reading = Option<(Content, Option<MediaRef>)>;

fn from_node(payload: &Json<'_>, node: &Json<'_>, base_urls: &[String], metadata: &mut Map<String, Value>) -> Reading {
    let has = |name: &str| !node.get(name).is_null();
    if has("conversation") || has("extendedTextMessage") {
        // A text node without any text says nothing; the fields may.
        return words(payload, node).map(|body| (Content::text(body), None));
    }
    if let Some((name, kind)) = MEDIA.iter().find(|(name, _)| has(name)) {
        let inner = node.get(name);
        let spoken = *kind == ContentType::Audio && (inner.get("PTT").is_true() || is_voice(payload));
        let kind = if spoken { ContentType::Voice } else { *kind };
        return media_content(payload, inner, kind, base_urls);
    }
    for (name, live) in [("locationMessage", false), ("liveLocationMessage", true)] {
        if has(name) {
            let inner = node.get(name);
            note(metadata, "location_url", inner.get("url").string());
            let live = live || inner.get("isLive").is_true();
            return place(inner.get("degreesLatitude"), inner.get("degreesLongitude"), |location| {
                location.name = inner.get("name").string();
                location.address = inner.get("address").string();
            })
            .map(|location| (Content::Location { location, live }, None));
        }
    }
    if has("contactMessage") || has("contactsArrayMessage") {
        let one = [node.get("contactMessage")];
        let many = node.at("contactsArrayMessage.contacts").items().iter();
        let cards = one.into_iter().filter(|card| card.is_object()).chain(many).filter_map(|card| {
            let text = card.get("vcard").text()?;
            Some(vcard::card(text, card.get("displayName").text()))
        });
        return cards_content(cards.collect());
    }
    let answer = ANSWERS.iter().find(|name| has(name)).map(|name| node.get(name))?;
    chosen(answer).or_else(|| payload.get("body").string()).map(|title| (Content::text(title), None))
}

/// The fields that every engine fills, first that fits.
fn from_fields(
    payload: &Json<'_>,
    node: &Json<'_>,
    base_urls: &[String],
    metadata: &mut Map<String, Value>,
) -> Reading {
    if raw_type(node).is_some_and(is_poll_or_event) {
        return None;
    }
    let cards = payload.get("vCards").items().iter().filter_map(Json::text).map(|text| vcard::card(text, None));
    if let Some(found) = cards_content(cards.collect()) {
        return Some(found);
    }
    let location = payload.get("location");
    if location.is_object() {
        note(metadata, "location_url", location.get("url").string());
        let found = place(location.get("latitude"), location.get("longitude"), |place| {
            // The gateway joins name and address by a line break.
            let mut lines = location.get("description").text().unwrap_or_default().splitn(2, '\n');
            let mut line = || lines.next().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned);
            place.name = location.get("name").string().or_else(&mut line);
            place.address = location.get("address").string().or_else(&mut line);
        });
        if let Some(location) = found {
            return Some((Content::Location { location, live: false }, None));
        }
    }
    let media = payload.get("media");
    if media.is_object() {
        let kind = match ContentType::from_mime(media.get("mimetype").text()) {
            ContentType::Audio if is_voice(payload) => ContentType::Voice,
            ContentType::Contact => match written_card(payload) {
                Some(found) => return Some(found),
                None => ContentType::Document,
            },
            ContentType::Text => ContentType::Document,
            kind => kind,
        };
        return media_content(payload, &Json::Null, kind, base_urls);
    }
    if payload.get("hasMedia").is_true() {
        return Some((Content::Unsupported { raw_type: "media_missing".to_owned() }, None));
    }
    written_card(payload).or_else(|| payload.get("body").string().map(|body| (Content::text(body), None)))
}

/// A message that says nothing we know, unless only devices were talking.
fn unsupported(payload: &Json<'_>, node: &Json<'_>) -> Reading {
    let told = || payload.at("_data.type").text().or_else(|| payload.at("_data.Info.Type").text());
    let kind = match raw_type(node) {
        Some(kind) => kind,
        None if node.is_object() => return None,
        None => told().unwrap_or("unknown"),
    };
    let raw_type = kind.chars().take(100).collect();
    Some((Content::Unsupported { raw_type }, None))
}

/// The name of the first node that is addressed to people.
fn raw_type<'p>(node: &'p Json<'_>) -> Option<&'p str> {
    let names = node.members().iter().filter(|(_, inner)| !inner.is_null()).map(|(name, _)| name.as_ref());
    let to_people = |name: &&str| !PROTOCOL.iter().any(|known| known.eq_ignore_ascii_case(name));
    names.into_iter().find(to_people)
}

fn is_poll_or_event(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("pollcreationmessage") || name == "eventmessage"
}

fn is_voice(payload: &Json<'_>) -> bool {
    let says = |path: &str| payload.at(path).text().is_some_and(|kind| kind.eq_ignore_ascii_case("ptt"));
    says("_data.Info.MediaType") || says("_data.type")
}

fn words(payload: &Json<'_>, node: &Json<'_>) -> Option<String> {
    ["conversation", "extendedTextMessage.text"]
        .iter()
        .fold(payload.get("body").string(), |found, path| found.or_else(|| node.at(path).string()))
}

fn media_content(payload: &Json<'_>, node: &Json<'_>, kind: ContentType, base_urls: &[String]) -> Reading {
    let (media, media_ref) = media::read(payload, node, base_urls);
    let caption = payload.get("body").text().or_else(|| node.get("caption").text());
    // One engine repeats the file's name as the body of a document without caption.
    let caption = caption.filter(|text| kind.is_captioned() && Some(*text) != media.filename.as_deref());
    let content = Content::media_of(kind, media, caption.map(str::to_owned))?;
    Some((content, Some(media_ref)))
}

fn place(latitude: &Json<'_>, longitude: &Json<'_>, describe: impl FnOnce(&mut Location)) -> Option<Location> {
    let (latitude, longitude) = (latitude.number()?, longitude.number()?);
    let mut location = Location { latitude, longitude, name: None, address: None };
    describe(&mut location);
    location.in_range().then_some(location)
}

fn cards_content(mut cards: Vec<ContactCard>) -> Reading {
    cards.truncate(MOST_CARDS);
    (!cards.is_empty()).then_some((Content::Contact { cards }, None))
}

/// One engine writes a shared card into the body.
fn written_card(payload: &Json<'_>) -> Reading {
    let body = payload.get("body").text()?;
    body.trim_start().starts_with("BEGIN:VCARD").then(|| cards_content(vec![vcard::card(body, None)]))?
}

/// The title that somebody chose from buttons or a list.
fn chosen(answer: &Json<'_>) -> Option<String> {
    ["title", "selectedDisplayText", "Response.SelectedDisplayText", "body.text", "selectedID", "selectedButtonID"]
        .iter()
        .find_map(|path| answer.at(path).string())
}
