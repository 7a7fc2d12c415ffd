//! Typed ids: one newtype per aggregate over a UUID, so that ids of different aggregates never mix.

use super::error::{Error, ErrorCode, Result};
use uuid::Uuid;

/// A typed id over a UUID.
pub trait Id:
    Copy + Eq + std::hash::Hash + Ord + Into<Uuid> + From<Uuid> + std::fmt::Display + Send + Sync + 'static
{
    const NAME: &'static str;
    /// The nil id is a value of its own: the system log.
    const HAS_NIL: bool;
}

/// Reads the hyphenated or 32-hex form in any case; the nil id is refused.
pub fn parse_uuid(text: &str) -> Result<Uuid> {
    let text = text.trim();
    let plain = matches!(text.len(), 32 | 36) && !text.starts_with(['{', 'u', 'U']);
    let id = plain.then(|| Uuid::try_parse(text).ok()).flatten().ok_or_else(|| Error::new(ErrorCode::IdInvalid))?;
    if id.is_nil() { Err(ErrorCode::IdNil.into()) } else { Ok(id) }
}

/// Declares a typed id. Its JSON form is the lower-case hyphenated text.
#[macro_export]
macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident $([$nil:ident])?),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(uuid::Uuid);

        impl $crate::kernel::Id for $name {
            const NAME: &'static str = stringify!($name);
            const HAS_NIL: bool = !stringify!($($nil)?).is_empty();
        }
        impl From<uuid::Uuid> for $name { fn from(id: uuid::Uuid) -> Self { Self(id) } }
        impl From<$name> for uuid::Uuid { fn from(id: $name) -> Self { id.0 } }
        impl From<$name> for serde_json::Value { fn from(id: $name) -> Self { id.0.to_string().into() } }
        impl $name {
            pub const fn from_uuid(id: uuid::Uuid) -> Self { Self(id) }
            pub const fn uuid(self) -> uuid::Uuid { self.0 }
            pub fn parse(text: &str) -> $crate::kernel::Result<Self> { $crate::kernel::parse_uuid(text).map(Self) }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { write!(f, "{}({})", stringify!($name), self.0) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { serde::Serialize::serialize(&self.0, s) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                $crate::kernel::input::text(d, |text| match Self::parse(text) {
                    Err(error) if error.code() == $crate::kernel::ErrorCode::IdNil && <Self as $crate::kernel::Id>::HAS_NIL => {
                        Ok(Self(uuid::Uuid::nil()))
                    }
                    other => other,
                })
            }
        }
        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "format": "uuid", "x-id": stringify!($name)})
            }
        }
    )*};
}

typed_id!(
    /// A person who can act.
    UserId,
    /// The tenant. The nil id is the system log.
    ProjectId [nil],
    /// A user's membership in a project.
    MemberId,
    /// An API key of a user.
    ApiKeyId,
    /// Who pays for projects.
    BillingAccountId,
    /// A sealed set of secrets.
    CredentialId,
    /// A value in the vault.
    SecretId,
    /// An address of an outside system that events are posted to.
    WebhookId,
    /// One event on its way to one webhook.
    WebhookDeliveryId,
    /// A person of a project.
    ContactId,
    /// An entry of a contact's timeline.
    ContactEventId,
    /// One unit of conversation.
    MessageId,
    /// A bounded stretch of conversation.
    SessionId,
    /// The place where messages happen.
    ChatId,
    /// A connected line of communication.
    ChannelId,
    /// An import of the history of a channel.
    ImportJobId,
    /// A chat of an import.
    ImportChatId,
    /// A kind of channel.
    ChannelTypeId,
    /// Somebody or something that attends.
    AgentId,
    /// A sales or service pipeline.
    PipelineId,
    /// An event of the log.
    EventId,
    /// The events of one transaction.
    CommitId,
    /// A whole business flow.
    CorrelationId,
    /// Durable work outside a call.
    JobId,
    /// A procedure of several steps.
    SagaId,
    /// Work that comes again and again.
    ScheduleId,
    /// A named reader of the log.
    ConsumerId,
    /// An event that a consumer gave up on.
    DeadLetterId,
);

impl ProjectId {
    /// The system log: users, channel types, products, billing.
    pub const SYSTEM: ProjectId = ProjectId::from_uuid(Uuid::nil());

    pub fn is_system(self) -> bool {
        self == Self::SYSTEM
    }

    /// Reads the project of a state that may live in the system log. Callers' ids never stand for it, so plain reading
    /// refuses it; states of system kinds say `#[serde(deserialize_with = "ProjectId::or_system")]`.
    pub fn or_system<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<ProjectId, D::Error> {
        <Uuid as serde::Deserialize>::deserialize(deserializer).map(ProjectId::from_uuid)
    }
}
