//! What hangs on a content: the quoted message, mentions, forwarding, disappearing, and the advertisement behind it.

use super::identifiers::{Jid, MessageId};
use super::json::Json;
use super::message::note;
use crate::conversations::content::{Attribution, Forward, Mention};
use serde_json::{Map, Value};

const MOST_MENTIONS: usize = 256;
const MOST_EXCERPT_CHARS: usize = 1_000;

/// The context of a content, in our words.
#[derive(Debug, Default)]
pub(super) struct ContextInfo {
    pub reply_to: Option<String>,
    pub reply_excerpt: Option<String>,
    pub mentions: Vec<Mention>,
    pub forward: Option<Forward>,
    pub ephemeral: bool,
    pub attribution: Option<Attribution>,
    pub metadata: Map<String, Value>,
}

impl ContextInfo {
    pub(super) fn read(payload: &Json<'_>, info: &Json<'_>) -> ContextInfo {
        let (reply_to, reply_excerpt) = reply(payload, info);
        let expiration = info.get("expiration").count().filter(|seconds| *seconds > 0);
        let mut metadata = Map::new();
        note(&mut metadata, "ephemeral_seconds", expiration);
        let attribution = Some(attribution(info)).filter(|attribution| !attribution.is_empty());
        if attribution.is_some() {
            let ad = info.get("externalAdReply");
            note(&mut metadata, "ad_media_type", ad.get("mediaType").count());
            note(&mut metadata, "ad_thumbnail_url", ad.get("thumbnailURL").string());
            note(&mut metadata, "ad_media_url", ad.get("mediaURL").string());
        }
        ContextInfo {
            reply_to,
            reply_excerpt,
            mentions: mentions(payload, info),
            forward: forward(info),
            ephemeral: expiration.is_some(),
            attribution,
            metadata,
        }
    }
}

fn reply(payload: &Json<'_>, info: &Json<'_>) -> (Option<String>, Option<String>) {
    let quoted = payload.get("replyTo");
    let id = MessageId::read(quoted).or_else(|| MessageId::read(info.get("stanzaID")));
    let Some(id) = id else { return (None, None) };
    let excerpt = quoted.get("body").text().or_else(|| excerpt(info.get("quotedMessage")));
    (Some(id.stanza), excerpt.map(|text| text.chars().take(MOST_EXCERPT_CHARS).collect()))
}

fn excerpt<'p>(quoted: &'p Json<'_>) -> Option<&'p str> {
    let text = quoted.get("conversation").text().or_else(|| quoted.at("extendedTextMessage.text").text());
    text.or_else(|| quoted.members().iter().find_map(|(_, node)| node.get("caption").text()))
}

fn mentions(payload: &Json<'_>, info: &Json<'_>) -> Vec<Mention> {
    let named = info.get("mentionedJID").items();
    let named = if named.is_empty() { payload.get("mentionedJid").items() } else { named };
    let mut mentions: Vec<Mention> = Vec::new();
    for jid in named.iter().filter_map(Json::text).filter_map(Jid::parse).filter(Jid::is_person) {
        let external_id = jid.external_id();
        if mentions.len() < MOST_MENTIONS && mentions.iter().all(|mention| mention.external_id != external_id) {
            mentions.push(Mention { external_id, contact_id: None });
        }
    }
    mentions
}

fn forward(info: &Json<'_>) -> Option<Forward> {
    let score = info.get("forwardingScore").count().unwrap_or(0);
    let forwarded = info.get("isForwarded").is_true() || score > 0;
    forwarded.then(|| Forward { score: u16::try_from(score).unwrap_or(u16::MAX), from_message_id: None })
}

fn attribution(info: &Json<'_>) -> Attribution {
    let ad = info.get("externalAdReply");
    Attribution {
        conversion_source: info
            .get("entryPointConversionSource")
            .string()
            .or_else(|| info.get("conversionSource").string()),
        conversion_app: info.get("entryPointConversionApp").string(),
        external_source: info.get("entryPointConversionExternalSource").string(),
        external_medium: info.get("entryPointConversionExternalMedium").string(),
        conversion_data: info.get("conversionData").string(),
        ad_source_type: ad.get("sourceType").string(),
        ad_source_id: ad.get("sourceID").word(),
        ad_source_app: ad.get("sourceApp").string(),
        ad_source_url: ad.get("sourceURL").string(),
        ctwa_clid: ad.get("ctwaClid").string(),
        headline: ad.get("title").string(),
        body: ad.get("body").string(),
        ctwa_payload: ad.get("ctwaPayload").string(),
    }
}
