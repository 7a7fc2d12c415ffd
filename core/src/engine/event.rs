//! The event sum types: one enum per aggregate, one closed enum over all of them, and the macros that declare them.

use crate::kernel::{ActorRef, Error, ErrorCode, EventId, Kind, ProjectId, Result, Subject, Timestamp};
use crate::storage::EventRecord;
use serde_json::{Map, Value};
use uuid::Uuid;

pub use crate::catalogue::Event;

/// What `apply` may know of an event beside its content.
#[derive(Debug, Clone, Copy)]
pub struct Meta<'a> {
    pub event_id: EventId,
    pub kind: Kind,
    pub aggregate_id: Uuid,
    pub project_id: ProjectId,
    pub occurred_at: Timestamp,
    pub actor: &'a ActorRef,
}

/// The enum of one aggregate's events; declared with [`events!`](crate::events).
pub trait EventSet:
    serde::Serialize + serde::de::DeserializeOwned + schemars::JsonSchema + Clone + Into<Event>
{
    const KIND: Kind;
    /// Every type with its schema version.
    const TYPES: &'static [(&'static str, u16)];

    fn type_name(&self) -> &'static str;

    /// Turns the data of a type's version `from` into that of the next one. Pure and total; stored bytes never change.
    fn upcast(_event_type: &str, _from: u16, _data: &mut Map<String, Value>) {}

    /// The aggregates this event is about beside its own.
    fn subjects(&self, _about: &mut Vec<Subject>) {}
}

/// Reads stored data of an event type: older versions are lifted step by step, newer ones and unknown types refused with
/// `unknown_event_version`, never guessed.
pub fn read_event<E: EventSet>(event_type: &str, version: u16, data: &str) -> Result<E> {
    let broken = |e: serde_json::Error| Error::corrupt(format!("a stored {event_type} cannot be read: {e}"));
    let known = E::TYPES.iter().find(|(name, _)| *name == event_type).map_or(0, |(_, known)| *known);
    if version > known {
        return Err(Error::new(ErrorCode::UnknownEventVersion)
            .with("type", event_type)
            .with("version", version)
            .with("known", known));
    }
    if version == known && !data.contains(REDACTED) {
        return serde_json::from_str(data).map_err(broken);
    }
    let data = lifted::<E>(event_type, version, known, data)?;
    let mut data = Value::Object(data);
    crate::catalogue::personal::restore(event_type, &mut data);
    serde_json::from_value(data).map_err(broken)
}

/// An event as those hear it who know its type: where personal data was, there is null, or what comes nearest to nothing where
/// something is required. The log itself shows the markers.
pub(crate) fn readable(record: EventRecord) -> EventRecord {
    if record.redacted_at.is_none() {
        return record;
    }
    let data = serde_json::from_str::<Value>(record.data.get()).and_then(|mut data| {
        crate::catalogue::personal::restore(&record.event_type, &mut data);
        serde_json::value::to_raw_value(&data)
    });
    // What cannot be read is for the listener to find out.
    match data {
        Ok(data) => EventRecord { data, ..record },
        Err(_) => record,
    }
}

/// What the data of an event contains from which personal data was taken.
const REDACTED: &str = "\"$redacted\"";

/// Stored data in the form of the version that is known now.
fn lifted<E: EventSet>(event_type: &str, version: u16, known: u16, data: &str) -> Result<Map<String, Value>> {
    let broken = |e: serde_json::Error| Error::corrupt(format!("a stored {event_type} cannot be read: {e}"));
    let mut data: Map<String, Value> = serde_json::from_str(data).map_err(broken)?;
    (version..known).for_each(|from| E::upcast(event_type, from, &mut data));
    Ok(data)
}

/// Stored data of an event as the newest version of its type has them, and that version.
///
/// # Errors
/// `unknown_event_version` as [`read_event`].
pub(crate) fn lift<E: EventSet>(event_type: &str, version: u16, data: &str) -> Result<(Map<String, Value>, u16)> {
    let known = E::TYPES.iter().find(|(name, _)| *name == event_type).map_or(0, |(_, known)| *known);
    if version > known {
        return Err(Error::new(ErrorCode::UnknownEventVersion)
            .with("type", event_type)
            .with("version", version)
            .with("known", known));
    }
    Ok((lifted::<E>(event_type, version, known, data)?, known))
}

/// The version that a declaration names, or 1.
pub const fn declared_version(named: &[u16]) -> u16 {
    match named {
        [] => 1,
        [version, ..] => *version,
    }
}

/// Declares the events of an aggregate.
///
/// A type whose data changed says its version after an `@`, and `upcast` says how older data become newer.
///
/// ```ignore
/// events! {
///     /// What can happen to a contact.
///     pub enum ContactEvent: Contact {
///         /// One more tag.
///         "contact.tag_added" @2 TagAdded { tag: Tag },
///     }
///     subjects(event, about) { /* push Subject::new(Kind::Chat, id) */ }
///     upcast(event_type, from, data) { /* insert into data what version from + 1 has */ }
/// }
/// ```
#[macro_export]
macro_rules! events {
    (
        $(#[$doc:meta])*
        pub enum $name:ident: $kind:ident {
            $( $(#[$vdoc:meta])* $type:literal $(@ $version:literal)? $variant:ident $body:tt ),* $(,)?
        }
        $( subjects($event:ident, $about:ident) $subjects:block )?
        $( upcast($name_of:ident, $from:ident, $data:ident) $upcast:block )?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "type")]
        pub enum $name {
            $( $(#[$vdoc])* #[serde(rename = $type)] $variant $body, )*
        }

        impl $crate::engine::EventSet for $name {
            const KIND: $crate::kernel::Kind = $crate::kernel::Kind::$kind;
            const TYPES: &'static [(&'static str, u16)] = &[$(($type, $crate::engine::declared_version(&[$($version)?])),)*];

            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $type, )* }
            }

            $(
                fn subjects(&self, $about: &mut Vec<$crate::kernel::Subject>) {
                    let $event = self;
                    $subjects
                }
            )?

            $(
                fn upcast($name_of: &str, $from: u16, $data: &mut serde_json::Map<String, serde_json::Value>) {
                    $upcast
                }
            )?
        }
    };
}
