//! Which event of the log makes which entry: the rules of the timeline.
//!
//! A rule looks at nothing but the event, so the same event always makes the same entry, under the same id.

use super::state::TimelineEntry;
use super::values::{Category, EntryKind, EntryPriority, EntrySource};
use crate::contacts::contact::{ContactEvent, InteractionType, NewContact, ProfileChange, RestoreReason};
use crate::conversations::session::{SessionEnd, SessionEvent};
use crate::engine::Event;
use crate::kernel::{ActorRef, AgentId, ContactEventId, ContactId, EventId, Kind, SessionId};
use crate::storage::EventRecord;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// The events that make entries, as the reaction hears them.
pub(super) const EVENTS: &[&str] = &[
    "contact.created",
    "contact.updated",
    "contact.name_changed",
    "contact.email_set",
    "contact.phone_set",
    "contact.external_id_set",
    "contact.language_changed",
    "contact.timezone_set",
    "contact.whatsapp_identifiers_set",
    "contact.address_set",
    "contact.address_removed",
    "contact.profile_picture_updated",
    "contact.blocked",
    "contact.unblocked",
    "contact.deleted",
    "contact.restored",
    "contact.consent_changed",
    "contact.owner_changed",
    "contact.tag_added",
    "contact.tag_removed",
    "contact.tags_cleared",
    "contact.custom_field_set",
    "contact.custom_field_cleared",
    "contact.enriched",
    "contact.interaction_recorded",
    "session.started",
    "session.ended",
    "session.agent_assigned",
    "session.agent_unassigned",
    "session.resolved",
    "session.escalated",
];

/// Types of projected entries beside the types of interactions: no entry that somebody writes down may have them.
const RESERVED: &[&str] = &[
    "contact_created",
    "contact_updated",
    "profile_picture_updated",
    "status_changed",
    "entered_pipeline",
    "pipeline_stage_changed",
    "exited_pipeline",
    "agent_assigned",
    "agent_transferred",
    "agent_unassigned",
    "tag_added",
    "tag_removed",
    "note_added",
    "note_updated",
    "note_deleted",
    "session_started",
    "session_ended",
    "custom_field_set",
    "custom_field_cleared",
    "contact_merged",
    "contact_unmerged",
    "contact_enriched",
    "ad_conversion_tracked",
    "tracking_created",
    "conversion_recorded",
    "lead_qualified",
    "list_joined",
    "list_left",
    "session_resolved",
    "session_escalated",
    "flow_enrolled",
    "flow_completed",
    "flow_exited",
];

/// Whether entries of this type come from the log alone.
pub fn is_reserved(event_type: &str) -> bool {
    RESERVED.contains(&event_type) || InteractionType::ALL.iter().any(|kind| kind.as_str() == event_type)
}

/// What a rule says of an entry.
struct Rule {
    event_type: &'static str,
    title_key: &'static str,
    category: Category,
    priority: EntryPriority,
    /// Whose doing it is, where that is not the actor's.
    source: Option<EntrySource>,
    integration_source: Option<String>,
    is_realtime: bool,
    visible_to_client: bool,
    payload: Value,
}

impl Rule {
    /// An entry that is told at once.
    fn told(event_type: &'static str, category: Category, priority: EntryPriority, payload: Value) -> Rule {
        Rule {
            event_type,
            title_key: event_type,
            category,
            priority,
            source: None,
            integration_source: None,
            is_realtime: true,
            visible_to_client: false,
            payload,
        }
    }

    /// An entry of low priority that is only listed.
    fn listed(event_type: &'static str, category: Category, payload: Value) -> Rule {
        Rule { is_realtime: false, ..Rule::told(event_type, category, EntryPriority::Low, payload) }
    }

    fn by(self, source: EntrySource) -> Rule {
        Rule { source: Some(source), ..self }
    }

    fn by_integration(self, integration: &str) -> Rule {
        let integration_source = Some(integration.chars().take(64).collect()).filter(|text: &String| !text.is_empty());
        Rule { source: Some(EntrySource::Integration), integration_source, ..self }
    }

    fn shown(self) -> Rule {
        Rule { visible_to_client: true, ..self }
    }

    fn titled(self, title_key: &'static str) -> Rule {
        Rule { title_key, ..self }
    }
}

/// The type and the category of the entry that an event makes, if any.
pub fn entry_of(record: &EventRecord) -> Option<(String, Category)> {
    if !EVENTS.contains(&record.event_type.as_str()) {
        return None;
    }
    let event = Event::read(record).ok()?;
    project(record, &event).map(|entry| (entry.event_type, entry.category))
}

/// The entry that an event makes, if any.
pub(super) fn project(record: &EventRecord, event: &Event) -> Option<TimelineEntry> {
    let (contact_id, session_id, rule) = match event {
        Event::Contact(event) => (ContactId::from_uuid(record.aggregate_id), None, of_contact(event)?),
        Event::Session(event) => {
            let (_, contact_id) = event.place();
            (contact_id?, Some(SessionId::from_uuid(record.aggregate_id)), of_session(event, record.aggregate_id)?)
        }
        _ => return None,
    };
    let actor: Option<ActorRef> = serde_json::from_str(record.actor.get()).ok();
    let source = match (rule.source, &actor) {
        (Some(source), _) => source,
        (None, Some(actor)) => EntrySource::of(actor, &record.source),
        (None, None) => EntrySource::System,
    };
    Some(TimelineEntry {
        id: entry_id(record.id, rule.event_type, contact_id),
        project_id: record.project_id.0,
        version: 0,
        revision: 1,
        created_at: record.occurred_at,
        updated_at: record.occurred_at,
        kind: EntryKind::Projected,
        contact_id,
        origin_contact_id: contact_id,
        session_id,
        event_type: rule.event_type.to_owned(),
        category: rule.category,
        priority: rule.priority,
        title: None,
        title_key: Some(rule.title_key.to_owned()),
        description: None,
        payload: without_nulls(rule.payload),
        metadata: Map::new(),
        source,
        triggered_by: actor.and_then(|actor| actor.actor.id()),
        integration_source: rule.integration_source,
        is_realtime: rule.is_realtime,
        visible_to_client: rule.visible_to_client,
        visible_to_agent: true,
        delivered: false,
        delivered_at: None,
        read: false,
        read_at: None,
        expires_at: None,
        occurred_at: record.occurred_at,
        seq: Some(record.seq),
        source_event_id: EventId::from_uuid(record.id),
        dedup_key: None,
        deleted_at: None,
        purged_at: None,
    })
}

/// The id of what an event makes of a contact: always the same.
fn entry_id(event: Uuid, event_type: &str, contact: ContactId) -> ContactEventId {
    ContactEventId::from_uuid(Uuid::new_v5(&event, format!("{}:{event_type}:{contact}", Kind::ContactEvent).as_bytes()))
}

fn without_nulls(payload: Value) -> Map<String, Value> {
    match payload {
        Value::Object(object) => object.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    }
}

fn of_contact(event: &ContactEvent) -> Option<Rule> {
    use Category as C;
    use ContactEvent as E;
    use EntryPriority as P;
    Some(match event {
        E::Created(contact) => Rule::told("contact_created", C::System, P::Normal, created(contact)),
        E::Updated { changes } => updated(&changes.iter().map(field_name).collect::<Vec<_>>()),
        E::NameChanged { old_name, new_name, .. } => {
            let payload = json!({"fields": ["name"], "old": old_name, "new": new_name});
            Rule::listed("contact_updated", C::System, payload)
        }
        E::EmailSet { .. } => updated(&["email"]),
        E::PhoneSet { .. } => updated(&["phone"]),
        E::ExternalIdSet { .. } => updated(&["external_id"]),
        E::LanguageChanged { .. } => updated(&["language"]),
        E::TimezoneSet { .. } => updated(&["timezone"]),
        E::WhatsappIdentifiersSet { .. } => updated(&["whatsapp"]),
        E::AddressSet { .. } | E::AddressRemoved { .. } => updated(&["addresses"]),
        E::ProfilePictureUpdated { changed: false, .. } => return None,
        E::ProfilePictureUpdated { profile_picture_url, source, .. } => {
            let payload = json!({"profile_picture_url": profile_picture_url});
            Rule::listed("profile_picture_updated", C::System, payload).by_integration(source)
        }
        E::Blocked { reason } => status("blocked", false, true, reason).titled("contact_blocked"),
        E::Unblocked { reason } => status("blocked", true, false, reason).titled("contact_unblocked"),
        E::Erased { .. } => return None,
        E::Deleted { reason, .. } => status("status", "active", "deleted", reason).titled("contact_deleted"),
        E::Restored { reason, .. } => {
            let from = if *reason == RestoreReason::Unmerge { "merged" } else { "deleted" };
            status("status", from, "active", &Some(reason.to_string())).titled("contact_restored")
        }
        E::ConsentChanged { family, old_status, new_status, .. } => {
            let field = format!("consent.{family}");
            status(&field, old_status.as_str(), new_status.as_str(), &None).titled("consent_changed")
        }
        E::OwnerChanged { old_owner_id, new_owner_id } => responsible("contact", *old_owner_id, *new_owner_id)?,
        E::TagAdded { tag } => Rule::listed("tag_added", C::Tag, json!({"tag": tag})),
        E::TagRemoved { tag } => Rule::listed("tag_removed", C::Tag, json!({"tag": tag})),
        E::TagsCleared { cleared_tags } => {
            Rule::listed("tag_removed", C::Tag, json!({"tags": cleared_tags})).titled("tags_cleared")
        }
        E::CustomFieldSet { key, field_type, value, previous } => {
            let payload = json!({"key": key, "field_type": field_type, "value": value, "previous": previous});
            Rule::listed("custom_field_set", C::CustomField, payload)
        }
        E::CustomFieldCleared { key, previous, .. } => {
            Rule::listed("custom_field_cleared", C::CustomField, json!({"key": key, "previous": previous}))
        }
        E::Enriched { enrichment_source, applied, .. } => {
            let payload = json!({"enrichment_source": enrichment_source, "applied": applied});
            Rule::listed("contact_enriched", C::System, payload).by_integration(enrichment_source)
        }
        E::InteractionRecorded { interaction_type, channel_id, .. } => {
            let payload = json!({"channel_id": channel_id});
            Rule::told(interaction_type.as_str(), C::General, P::Normal, payload).by(EntrySource::Integration)
        }
        E::IdentifierAdded { .. }
        | E::IdentifierRemoved { .. }
        | E::SourceChannelSet { .. }
        | E::ScoreChanged { .. }
        | E::DuplicateSuspected { .. } => return None,
    })
}

fn created(contact: &NewContact) -> Value {
    json!({"contact_name": contact.name, "source_channel": contact.source_channel, "origin": contact.origin})
}

fn field_name(change: &ProfileChange) -> &'static str {
    change.field.as_str()
}

fn updated(fields: &[&str]) -> Rule {
    Rule::listed("contact_updated", Category::System, json!({"fields": fields}))
}

fn status(field: &str, from: impl Into<Value>, to: impl Into<Value>, reason: &Option<String>) -> Rule {
    let payload = json!({"field": field, "from": from.into(), "to": to.into(), "reason": reason});
    Rule::told("status_changed", Category::Status, EntryPriority::High, payload)
}

/// Who is responsible now, and who was before.
fn responsible(scope: &str, before: Option<AgentId>, now: Option<AgentId>) -> Option<Rule> {
    let event_type = match (before, now) {
        (None, Some(_)) => "agent_assigned",
        (Some(_), Some(_)) => "agent_transferred",
        (Some(_), None) => "agent_unassigned",
        (None, None) => return None,
    };
    let payload = json!({"scope": scope, "agent_id": now, "previous_agent_id": before});
    Some(Rule::told(event_type, Category::Assignment, EntryPriority::Normal, payload))
}

fn of_session(event: &SessionEvent, session: Uuid) -> Option<Rule> {
    use Category as C;
    use EntryPriority as P;
    use SessionEvent as E;
    Some(match event {
        E::Started(start) => {
            let payload = json!({"session_id": session, "channel_id": start.channel_id});
            Rule::told("session_started", C::Session, P::Normal, payload).by(EntrySource::System).shown()
        }
        E::Ended(end) => {
            let payload = ended(end, session);
            Rule::told("session_ended", C::Session, P::Low, payload).by(EntrySource::System).shown()
        }
        E::AgentAssigned { agent_id, previous_agent_id, .. } => {
            responsible("session", *previous_agent_id, Some(*agent_id))?
        }
        E::AgentUnassigned { agent_id, .. } => responsible("session", Some(*agent_id), None)?,
        E::Resolved { .. } => Rule::told("session_resolved", C::Session, P::Normal, json!({"session_id": session})),
        E::Escalated { .. } => Rule::told("session_escalated", C::Session, P::High, json!({"session_id": session})),
        _ => return None,
    })
}

fn ended(end: &SessionEnd, session: Uuid) -> Value {
    json!({"session_id": session, "reason": end.reason, "duration_seconds": end.duration_seconds})
}
