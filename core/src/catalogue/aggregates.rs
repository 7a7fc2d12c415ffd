//! The list of aggregates, and of what has events without a state: adding one adds one line here.

use crate::engine::{Aggregate, EventSet, Meta, Stored, begin, decode, index_of, lift, read_event, read_state};
use crate::kernel::{Error, ErrorCode, Kind, Result, Subject};
use crate::storage::{Column, EventRecord, Index, Snapshot, Table};
use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What the engine must know of an aggregate's type.
pub struct AggregateType {
    pub kind: Kind,
    pub not_found: ErrorCode,
    pub columns: &'static [Column],
    pub sets: &'static [&'static str],
    pub custom: Option<&'static str>,
    pub decode: fn(&Snapshot) -> Result<Arc<dyn Stored>>,
    /// As `decode`, for folding on.
    pub revive: fn(&Snapshot) -> Result<Box<dyn Stored>>,
    pub create: fn(&Event, &Meta<'_>) -> Option<Box<dyn Stored>>,
    pub observes: fn(&Event) -> bool,
    /// The reaction that writes lives which other aggregates' events begin.
    pub derived_by: Option<&'static str>,
    /// The life that an event of another aggregate begins.
    pub derive: fn(&EventRecord, &Event) -> Option<Box<dyn Stored>>,
    /// The event that a stored life was derived from.
    pub derived_from: fn(&Snapshot) -> Result<Option<uuid::Uuid>>,
    pub table: fn() -> Table,
    pub schema: fn(&mut SchemaGenerator) -> Schema,
    pub event_types: &'static [(&'static str, u16)],
    pub event_schema: fn(&mut SchemaGenerator) -> Schema,
}

impl AggregateType {
    /// Grows with every new event type and every new version of one. A snapshot with a greater number was written by a
    /// newer program; this one reads it, if it can, and never writes it.
    pub fn schema(&self) -> u32 {
        self.event_types.iter().map(|(_, version)| u32::from(*version)).sum()
    }
}

fn index_text<A: Aggregate>(state: &str) -> Result<Index> {
    read_state::<A>(state).map(|state| index_of(&state))
}

fn table<A: Aggregate>() -> Table {
    Table {
        kind: A::KIND,
        columns: A::COLUMNS,
        sets: A::SETS,
        custom: A::CUSTOM,
        indexes: A::INDEXES,
        index: index_text::<A>,
        version: A::INDEX_VERSION,
    }
}

/// Events of a kind whose state is kept elsewhere, or nowhere.
pub struct Journal {
    pub kind: Kind,
    pub event_types: &'static [(&'static str, u16)],
    pub event_schema: fn(&mut SchemaGenerator) -> Schema,
}

/// Aggregates, and under `journals` the kinds that have events and no state of their own.
macro_rules! aggregates {
    ({ $($variant:ident: $state:ty, $events:ty;)* } journals { $($journal:ident: $notes:ty;)* }) => {
        /// Everything that can happen. Its JSON form is tagged by `type`.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event {
            $($variant($events),)*
            $($journal($notes),)*
            /// Recorded by the host; type `custom.*`.
            Custom(CustomEvent),
        }

        impl Event {
            pub fn kind(&self) -> Kind {
                match self {
                    $(Event::$variant(_) => Kind::$variant,)*
                    $(Event::$journal(_) => Kind::$journal,)*
                    Event::Custom(_) => Kind::Custom,
                }
            }

            pub fn type_name(&self) -> &str {
                match self {
                    $(Event::$variant(event) => event.type_name(),)*
                    $(Event::$journal(event) => event.type_name(),)*
                    Event::Custom(event) => &event.event_type,
                }
            }

            /// The aggregates it is about beside its own.
            pub fn subjects(&self, about: &mut Vec<Subject>) {
                match self {
                    $(Event::$variant(event) => event.subjects(about),)*
                    $(Event::$journal(event) => event.subjects(about),)*
                    Event::Custom(event) => about.extend(event.subjects.iter().copied()),
                }
            }

            /// The version of its data as this program writes it.
            pub fn schema_version(&self) -> u16 {
                let types = match self {
                    $(Event::$variant(_) => <$events as EventSet>::TYPES,)*
                    $(Event::$journal(_) => <$notes as EventSet>::TYPES,)*
                    Event::Custom(_) => &[],
                };
                types.iter().find(|(name, _)| *name == self.type_name()).map_or(1, |(_, version)| *version)
            }

            /// Reads a stored event; one that a newer program has written is `unknown_event_version`.
            pub fn read(record: &EventRecord) -> Result<Event> {
                Event::decode(record.aggregate_kind, &record.event_type, record.schema_version, record.data.get())
            }

            /// Reads the data of an event of an aggregate kind, as a version of its type wrote them.
            pub fn decode(kind: Kind, name: &str, version: u16, data: &str) -> Result<Event> {
                match kind {
                    $(Kind::$variant => read_event::<$events>(name, version, data).map(Event::$variant),)*
                    $(Kind::$journal => read_event::<$notes>(name, version, data).map(Event::$journal),)*
                    Kind::Custom => CustomEvent::decode(data).map(Event::Custom),
                    _ => Err(Error::new(ErrorCode::UnknownEventVersion).with("type", name).with("version", version)),
                }
            }
        }

        impl Event {
            /// The stored data of a record in the newest form that this program knows, and the version of that form.
            pub(crate) fn lift(record: &EventRecord) -> Result<(Map<String, Value>, u16)> {
                let (name, version, data) = (record.event_type.as_str(), record.schema_version, record.data.get());
                match record.aggregate_kind {
                    $(Kind::$variant => lift::<$events>(name, version, data),)*
                    $(Kind::$journal => lift::<$notes>(name, version, data),)*
                    Kind::Custom => serde_json::from_str(data).map(|data| (data, version)).map_err(|error| {
                        Error::corrupt(format!("a stored custom event cannot be read: {error}"))
                    }),
                    _ => Err(Error::new(ErrorCode::UnknownEventVersion).with("type", name).with("version", version)),
                }
            }
        }

        impl Serialize for Event {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                match self {
                    $(Event::$variant(event) => event.serialize(serializer),)*
                    $(Event::$journal(event) => event.serialize(serializer),)*
                    Event::Custom(event) => event.serialize(serializer),
                }
            }
        }

        $(impl From<$events> for Event { fn from(event: $events) -> Event { Event::$variant(event) } })*
        $(impl From<$notes> for Event { fn from(event: $notes) -> Event { Event::$journal(event) } })*

        /// All kinds that have events and no state of their own.
        pub const JOURNALS: &[Journal] = &[$(
            Journal {
                kind: Kind::$journal,
                event_types: <$notes as EventSet>::TYPES,
                event_schema: |generator| <$notes as schemars::JsonSchema>::json_schema(generator),
            },
        )*];

        /// All aggregates, in the order of their declaration.
        pub const AGGREGATES: &[AggregateType] = &[$(
            AggregateType {
                kind: Kind::$variant,
                not_found: <$state as Aggregate>::NOT_FOUND,
                columns: <$state as Aggregate>::COLUMNS,
                sets: <$state as Aggregate>::SETS,
                custom: <$state as Aggregate>::CUSTOM,
                decode: |snapshot| Ok(Arc::new(decode::<$state>(snapshot)?)),
                revive: |snapshot| Ok(Box::new(decode::<$state>(snapshot)?)),
                create: |event, meta| begin::<$state>(event, meta).map(|state| Box::new(state) as Box<dyn Stored>),
                observes: <$state as Aggregate>::observes,
                derived_by: <$state as Aggregate>::DERIVED_BY,
                derive: |record, event| <$state>::derive(record, event).map(|state| Box::new(state) as Box<dyn Stored>),
                derived_from: |snapshot| Ok(decode::<$state>(snapshot)?.derived_from()),
                table: table::<$state>,
                schema: |generator| generator.subschema_for::<$state>(),
                event_types: <$events as EventSet>::TYPES,
                event_schema: |generator| <$events as schemars::JsonSchema>::json_schema(generator),
            },
        )*];
    };
}

aggregates! {
    {
        Channel: crate::channels::channel::Channel, crate::channels::channel::ChannelEvent;
        ChannelType: crate::channels::channel_type::ChannelType, crate::channels::channel_type::ChannelTypeEvent;
        Contact: crate::contacts::contact::Contact, crate::contacts::contact::ContactEvent;
        User: crate::tenancy::user::User, crate::tenancy::user::UserEvent;
        Project: crate::tenancy::project::Project, crate::tenancy::project::ProjectEvent;
        ProjectMember: crate::tenancy::project_member::ProjectMember, crate::tenancy::project_member::ProjectMemberEvent;
        Credential: crate::tenancy::credential::Credential, crate::tenancy::credential::CredentialEvent;
        Chat: crate::conversations::chat::Chat, crate::conversations::chat::ChatEvent;
        Message: crate::conversations::message::Message, crate::conversations::message::MessageEvent;
        Session: crate::conversations::session::Session, crate::conversations::session::SessionEvent;
        Webhook: crate::integration::webhook::Webhook, crate::integration::webhook::WebhookEvent;
        Saga: crate::infrastructure::saga::Saga, crate::infrastructure::saga::SagaEvent;
        Schedule: crate::infrastructure::schedule::Schedule, crate::infrastructure::schedule::ScheduleEvent;
        ContactEvent: crate::contacts::contact_event::TimelineEntry, crate::contacts::contact_event::TimelineEvent;
    }
    journals {
        Audit: crate::infrastructure::audit::AuditEvent;
        Consumer: crate::infrastructure::consumer::ConsumerEvent;
        EventLog: crate::infrastructure::event_log::EventLogEvent;
        Job: crate::infrastructure::job::JobEvent;
    }
}

/// The tables of records: rows that no event tells of.
const RECORDS: &[fn() -> Table] = &[
    table::<crate::integration::webhook::WebhookDelivery>,
    table::<crate::integration::webhook::WebhookEndpoint>,
    table::<crate::conversations::import::ImportJob>,
    table::<crate::conversations::import::ImportChat>,
];

/// Everything that a store keeps as snapshots: aggregates and records.
pub fn tables() -> Vec<Table> {
    AGGREGATES.iter().map(|aggregate| aggregate.table).chain(RECORDS.iter().copied()).map(|table| table()).collect()
}

/// How a store keeps a kind of aggregate or record, if it keeps it.
pub fn table_of(kind: Kind) -> Option<Table> {
    tables().into_iter().find(|table| table.kind == kind)
}

/// The type of an aggregate, if its kind is part of this build.
pub fn aggregate_type(kind: Kind) -> Option<&'static AggregateType> {
    AGGREGATES.iter().find(|aggregate| aggregate.kind == kind)
}

/// A free event of the host.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomEvent {
    /// Starts with `custom.`.
    pub event_type: String,
    pub data: Map<String, Value>,
    pub subjects: Vec<Subject>,
}

impl CustomEvent {
    fn decode(data: &str) -> Result<CustomEvent> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(rename = "type")]
            event_type: String,
            #[serde(flatten)]
            data: Map<String, Value>,
        }
        let wire: Wire = serde_json::from_str(data)
            .map_err(|e| Error::corrupt(format!("a stored custom event cannot be read: {e}")))?;
        Ok(CustomEvent { event_type: wire.event_type, data: wire.data, subjects: Vec::new() })
    }
}

impl Serialize for CustomEvent {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(self.data.len() + 1))?;
        map.serialize_entry("type", &self.event_type)?;
        for (key, value) in &self.data {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
