//! The event sum types: one enum per aggregate, one closed enum over all of them, and the macros that declare them.

use crate::kernel::{ActorRef, EventId, Kind, ProjectId, Subject, Timestamp};
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

    /// The aggregates this event is about beside its own.
    fn subjects(&self, _about: &mut Vec<Subject>) {}
}

/// Declares the events of an aggregate.
///
/// ```ignore
/// events! {
///     /// What can happen to a contact.
///     pub enum ContactEvent: Contact {
///         /// One more tag.
///         "contact.tag_added" TagAdded { tag: Tag },
///     }
///     subjects(event, about) { /* push Subject::new(Kind::Chat, id) */ }
/// }
/// ```
#[macro_export]
macro_rules! events {
    (
        $(#[$doc:meta])*
        pub enum $name:ident: $kind:ident {
            $( $(#[$vdoc:meta])* $type:literal $variant:ident $body:tt ),* $(,)?
        }
        $( subjects($event:ident, $about:ident) $subjects:block )?
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(tag = "type")]
        pub enum $name {
            $( $(#[$vdoc])* #[serde(rename = $type)] $variant $body, )*
        }

        impl $crate::engine::EventSet for $name {
            const KIND: $crate::kernel::Kind = $crate::kernel::Kind::$kind;
            const TYPES: &'static [(&'static str, u16)] = &[$(($type, 1),)*];

            fn type_name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $type, )* }
            }

            $(
                fn subjects(&self, $about: &mut Vec<$crate::kernel::Subject>) {
                    let $event = self;
                    $subjects
                }
            )?
        }
    };
}
