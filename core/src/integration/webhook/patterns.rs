//! Which events a webhook wants: exact types, prefixes, everything; and the entries of a contact's timeline.

use super::{TimelineCategory, Webhook};
use crate::catalogue::event_types;
use crate::contacts::contact_event::entry_of;
use crate::kernel::{Error, ErrorCode, Result, Source};
use crate::storage::EventRecord;
use serde::Deserialize;

/// The most patterns of one list.
const MAX_PATTERNS: usize = 100;
/// Delivered to nobody: a webhook that hears of webhooks calls itself for ever.
const NEVER: &str = "webhook.";
/// Delivered only to who names the very type.
const INFRASTRUCTURE: [&str; 4] = ["job.", "consumer.", "dead_letter.", "audit."];
/// What other systems called events, and what they are called here.
const ALIASES: &[(&str, &str)] = &[
    ("session.created", "session.started"),
    ("session.closed", "session.ended"),
    ("pipeline.status.created", "status.created"),
    ("pipeline.status.updated", "status.updated"),
    ("pipeline.status.activated", "status.activated"),
    ("pipeline.status.deactivated", "status.deactivated"),
    ("pipeline.status.added", "pipeline.status_added"),
    ("pipeline.status.removed", "pipeline.status_removed"),
    ("pipeline.status.changed", "contact.pipeline_status_changed"),
    ("channel.pipeline_associated", "channel.pipeline.associated"),
    ("channel.pipeline_disassociated", "channel.pipeline.disassociated"),
];
/// Names of a provider's own notices, which are no events of the project.
const FOREIGN: [&str; 5] = ["call.", "label.", "group.", "presence.", "event.response."];

/// Patterns in their stored form: canonical names, sorted, each once.
///
/// # Errors
/// `webhook_event_pattern_invalid`, `webhook_event_unknown`, `webhook_event_not_deliverable`, `webhook_pattern_limit`.
pub(super) fn canonical(patterns: &[String]) -> Result<Vec<String>> {
    if patterns.len() > MAX_PATTERNS {
        return Err(Error::new(ErrorCode::WebhookPatternLimit)
            .with("max", MAX_PATTERNS)
            .with("current", patterns.len()));
    }
    let read = |(place, text): (usize, &String)| one(text).map_err(|e| e.at(format!("[{place}]")));
    let mut canonical = patterns.iter().enumerate().map(read).collect::<Result<Vec<String>>>()?;
    canonical.sort();
    canonical.dedup();
    Ok(canonical)
}

fn one(text: &str) -> Result<String> {
    let text = text.trim();
    let pattern = ALIASES.iter().find(|(alias, _)| *alias == text).map_or(text, |(_, name)| *name);
    let fail = |code: ErrorCode| Error::new(code).with("pattern", pattern);
    if pattern == "*" {
        return Ok(pattern.to_owned());
    }
    let stem = pattern.strip_suffix(".*").unwrap_or(pattern);
    let word = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if !stem.split('.').all(word) || pattern.len() > 100 {
        return Err(fail(ErrorCode::WebhookEventPatternInvalid));
    }
    let dotted = format!("{stem}.");
    if dotted.starts_with(NEVER) {
        return Err(fail(ErrorCode::WebhookEventNotDeliverable).message("events of webhooks are never delivered"));
    }
    if FOREIGN.iter().any(|family| dotted.starts_with(family)) {
        let hint =
            "a provider's notice is no event of the project: see channel.label.*, chat.* and the timeline of contacts";
        return Err(fail(ErrorCode::WebhookEventNotDeliverable).message(hint));
    }
    let is_prefix = stem.len() != pattern.len();
    if is_prefix && INFRASTRUCTURE.iter().any(|family| dotted.starts_with(family)) {
        return Err(fail(ErrorCode::WebhookEventNotDeliverable)
            .message("events of the engine are delivered by their exact type"));
    }
    let is_known = is_prefix || stem.starts_with("custom.") || event_types().any(|(name, _)| name == stem);
    if is_known { Ok(pattern.to_owned()) } else { Err(fail(ErrorCode::WebhookEventUnknown)) }
}

/// Whether a pattern names a type.
pub(super) fn matches(pattern: &str, event_type: &str) -> bool {
    if event_type.starts_with(NEVER) {
        return false;
    }
    if pattern == event_type {
        return true;
    }
    if INFRASTRUCTURE.iter().any(|family| event_type.starts_with(family)) {
        return false;
    }
    match pattern.strip_suffix('*') {
        // What is left ends with the dot, so that `contact.*` is not about `contact_event.created`.
        Some(prefix) => event_type.len() > prefix.len() && event_type.starts_with(prefix),
        None => false,
    }
}

/// Types and categories of timeline entries in their stored form.
///
/// # Errors
/// `enum_unknown`, `webhook_event_pattern_invalid`, `webhook_pattern_limit`.
pub(super) fn canonical_entries(types: &[String], categories: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let fits = |text: &String| {
        text == "*"
            || text.starts_with(|c: char| c.is_ascii_lowercase())
                && text.len() <= 100
                && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    if types.len() > MAX_PATTERNS {
        return Err(Error::new(ErrorCode::WebhookPatternLimit).with("max", MAX_PATTERNS).at("contact_event_types"));
    }
    if let Some(place) = types.iter().position(|text| !fits(text)) {
        return Err(Error::new(ErrorCode::WebhookEventPatternInvalid).at(format!("contact_event_types[{place}]")));
    }
    for (place, text) in categories.iter().enumerate().filter(|(_, text)| *text != "*") {
        TimelineCategory::parse(text).map_err(|e| e.at(format!("contact_event_categories[{place}]")))?;
    }
    let sorted = |list: &[String]| {
        let mut list = list.to_vec();
        list.sort();
        list.dedup();
        list
    };
    Ok((sorted(types), sorted(categories)))
}

/// What an entry of the timeline says of itself.
#[derive(Deserialize)]
struct Entry {
    event_type: String,
    category: String,
}

/// Whether a webhook wants an event of its project. Whether the webhook is on and old enough is another question.
pub fn wants(webhook: &Webhook, event: &EventRecord) -> bool {
    let is_history = event.event_type == "message.imported" || event.source == Source::Import.as_str();
    if is_history && !webhook.include_historical {
        return false;
    }
    let names = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, &event.event_type));
    if names(&webhook.exclude_event_types) {
        return false;
    }
    names(&webhook.event_types) || (webhook.contact_events && wants_entry(webhook, event))
}

/// An entry goes out as the event behind it: the one that somebody wrote down, or the one that it follows from.
fn wants_entry(webhook: &Webhook, event: &EventRecord) -> bool {
    let entry = match event.event_type.as_str() {
        "contact_event.recorded" => serde_json::from_str::<Entry>(event.data.get()).ok(),
        _ => entry_of(event).map(|(event_type, category)| Entry { event_type, category: category.as_str().to_owned() }),
    };
    let Some(entry) = entry else { return false };
    let (types, categories) = (&webhook.contact_event_types, &webhook.contact_event_categories);
    if types.is_empty() && categories.is_empty() {
        return true;
    }
    let among = |list: &[String], own: &str| list.iter().any(|text| text == "*" || text == own);
    among(types, &entry.event_type) || among(categories, &entry.category)
}
