//! Events in the form that other systems understand: CloudEvents 1.0, structured JSON mode. What maps, maps both ways.

use crate::kernel::{Actor, ActorKind, ActorRef, Error, ErrorCode, Kind, ProjectId, Result, Subject, Timestamp};
use crate::storage::{EventRecord, ProjectIdOrNil};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use uuid::Uuid;

/// An event as a CloudEvent. Attributes without a value are left out, never empty.
///
/// What stays inside Ventros has no attribute: `position`, `recorded_at`, `commit_id`, `command`, `subjects`, `source`,
/// the particulars of the actor and all metadata but the trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudEvent {
    /// `1.0`
    pub specversion: String,
    pub id: Uuid,
    /// `urn:ventros:project:<project id>`, or `urn:ventros:platform` for the system log.
    pub source: String,
    /// `io.ventros.<type>.v<schema version>`
    #[serde(rename = "type")]
    pub event_type: String,
    /// `<aggregate kind>/<aggregate id>`
    pub subject: String,
    pub time: Timestamp,
    pub datacontenttype: String,
    /// `urn:ventros:schema:<type>:<schema version>`
    pub dataschema: String,
    pub data: Box<RawValue>,
    /// `seq` with 20 digits, so that it sorts as text; unique within `source`.
    pub sequence: String,
    /// The aggregate id.
    pub partitionkey: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projectid: Option<ProjectId>,
    pub aggregatekind: Kind,
    pub aggregateversion: u64,
    pub correlationid: Uuid,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causationid: Option<Uuid>,
    pub actorkind: ActorKind,
    /// The id of the actor; of the system, its component.
    pub actorid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracestate: Option<String>,
}

const TYPE_PREFIX: &str = "io.ventros.";
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// The mapping, with the name that an installation gives itself.
#[derive(Debug, Clone)]
pub struct CloudEvents {
    prefix: String,
}

impl Default for CloudEvents {
    fn default() -> Self {
        CloudEvents::named("urn:ventros")
    }
}

impl CloudEvents {
    /// `prefix` is what `source` begins with: `urn:ventros` unless the host has an address of its own.
    pub fn named(prefix: impl Into<String>) -> Self {
        CloudEvents { prefix: prefix.into() }
    }

    /// The event as others see it.
    pub fn write(&self, event: &EventRecord) -> Result<CloudEvent> {
        let EventRecord { event_type, schema_version, aggregate_kind, aggregate_id, .. } = event;
        let actor: ActorRef = serde_json::from_str(event.actor.get())
            .map_err(|e| Error::corrupt(format!("an actor cannot be read: {e}")))?;
        let metadata: Map<String, Value> = match &event.metadata {
            Some(metadata) => serde_json::from_str(metadata.get())
                .map_err(|e| Error::corrupt(format!("metadata cannot be read: {e}")))?,
            None => Map::new(),
        };
        let [traceparent, tracestate] = TRACE.map(|name| metadata.get(name).and_then(Value::as_str).map(str::to_owned));
        let project = Some(event.project_id.0).filter(|project| !project.is_system());
        Ok(CloudEvent {
            specversion: "1.0".to_owned(),
            id: event.id,
            source: self.source(project),
            event_type: format!("{TYPE_PREFIX}{event_type}.v{schema_version}"),
            subject: format!("{aggregate_kind}/{aggregate_id}"),
            time: event.occurred_at,
            datacontenttype: "application/json".to_owned(),
            dataschema: schema(event_type, *schema_version),
            data: event.data.clone(),
            sequence: format!("{:020}", event.seq),
            partitionkey: *aggregate_id,
            projectid: project,
            aggregatekind: *aggregate_kind,
            aggregateversion: event.aggregate_version,
            correlationid: event.correlation_id,
            causationid: event.causation_id,
            actorkind: actor.kind(),
            actorid: match (actor.id(), actor.component()) {
                (Some(id), _) => id.to_string(),
                (None, component) => component.map(|component| component.as_str().to_owned()).unwrap_or_default(),
            },
            traceparent,
            tracestate,
        })
    }

    /// The envelope of a CloudEvent of this mapping. What has no attribute is neutral: nil, none, or 0; `recorded_at` is
    /// `occurred_at`, and the aggregate is its own only subject.
    pub fn read(&self, event: &CloudEvent) -> Result<EventRecord> {
        let (event_type, schema_version) = event
            .event_type
            .strip_prefix(TYPE_PREFIX)
            .and_then(|rest| rest.rsplit_once(".v"))
            .and_then(|(name, version)| Some((name, version.parse::<u16>().ok()?)))
            .ok_or_else(|| foreign("type"))?;
        let seq = event.sequence.parse().map_err(|_| foreign("sequence"))?;
        let stands = [
            ("specversion", event.specversion == "1.0"),
            ("source", event.source == self.source(event.projectid)),
            ("subject", event.subject == format!("{}/{}", event.aggregatekind, event.partitionkey)),
            ("dataschema", event.dataschema == schema(event_type, schema_version)),
        ];
        if let Some((attribute, _)) = stands.iter().find(|(_, stands)| !stands) {
            return Err(foreign(attribute));
        }
        let trace: Map<String, Value> = TRACE
            .into_iter()
            .zip([&event.traceparent, &event.tracestate])
            .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value.as_deref()?))))
            .collect();
        let metadata = Some(trace).filter(|trace| !trace.is_empty()).map(|trace| raw(&trace)).transpose()?;
        Ok(EventRecord {
            id: event.id,
            event_type: event_type.to_owned(),
            schema_version,
            aggregate_kind: event.aggregatekind,
            aggregate_id: event.partitionkey,
            aggregate_version: event.aggregateversion,
            project_id: ProjectIdOrNil(event.projectid.unwrap_or(ProjectId::SYSTEM)),
            seq,
            position: 0,
            commit_id: Uuid::nil(),
            occurred_at: event.time,
            recorded_at: event.time,
            actor: raw(&actor(event.actorkind, &event.actorid)?)?,
            source: String::new(),
            command: None,
            correlation_id: event.correlationid,
            causation_id: event.causationid,
            subjects: vec![Subject::new(event.aggregatekind, event.partitionkey)],
            data: event.data.clone(),
            metadata,
            redacted_at: None,
        })
    }

    fn source(&self, project: Option<ProjectId>) -> String {
        match project {
            Some(project) => format!("{}:project:{project}", self.prefix),
            None => format!("{}:platform", self.prefix),
        }
    }
}

fn schema(event_type: &str, version: u16) -> String {
    format!("urn:ventros:schema:{event_type}:{version}")
}

fn actor(kind: ActorKind, id: &str) -> Result<ActorRef> {
    let uuid = || id.parse::<Uuid>().map_err(|_| foreign("actorid"));
    Ok(ActorRef::new(match kind {
        ActorKind::User => Actor::User(uuid()?.into()),
        ActorKind::Agent => Actor::Agent(uuid()?.into()),
        ActorKind::ApiKey => Actor::ApiKey(uuid()?.into()),
        ActorKind::Contact => Actor::Contact(uuid()?.into()),
        ActorKind::System => Actor::System(crate::kernel::Component::parse(id).map_err(|e| e.at("actorid"))?),
    }))
}

fn foreign(attribute: &str) -> Error {
    Error::new(ErrorCode::InputInvalid).message("this is no CloudEvent of this installation").at(attribute)
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(value).map_err(|e| Error::internal(e.to_string()))
}
