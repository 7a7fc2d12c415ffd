//! The smaller values of a message: places, mentions, forwards, advertisements, notices, templates and choices.

use crate::kernel::input::carry;
use crate::kernel::{ContactId, Error, ErrorCode, MessageId};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A point on the map. Whatever field holds a `Location` marks the whole as personal data.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Location {
    /// Degrees, -90 to 90.
    pub latitude: f64,
    /// Degrees, -180 to 180.
    pub longitude: f64,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "location"))]
    pub name: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "location"))]
    pub address: Option<String>,
}

impl<'de> Deserialize<'de> for Location {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Given {
            latitude: Option<f64>,
            longitude: Option<f64>,
            name: Option<String>,
            address: Option<String>,
        }
        let Given { latitude, longitude, name, address } = Given::deserialize(reader)?;
        match (latitude, longitude) {
            (Some(latitude), Some(longitude)) => Ok(Location { latitude, longitude, name, address }),
            // A content is tagged by its type, which hides the name of the field from whoever reads the error.
            _ => Err(carry(Error::new(ErrorCode::LocationRequired).at("location"))),
        }
    }
}

impl Location {
    /// Both coordinates are numbers on the globe.
    pub fn in_range(&self) -> bool {
        (-90.0..=90.0).contains(&self.latitude) && (-180.0..=180.0).contains(&self.longitude)
    }
}

/// Somebody named in a text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Mention {
    /// The id on the channel, for example `5511999998888@c.us`.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub external_id: String,
    /// The contact behind it, once known.
    pub contact_id: Option<ContactId>,
}

/// The message was passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Forward {
    /// How often it was passed on before, as far as the provider tells; 0 = plainly forwarded.
    #[serde(default)]
    pub score: u16,
    /// The message of ours that it repeats.
    pub from_message_id: Option<MessageId>,
}

/// What a click-to-message advertisement left on the message, raw. Whether it counts as an ad is decided by tracking.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Attribution {
    pub conversion_source: Option<String>,
    pub conversion_app: Option<String>,
    pub external_source: Option<String>,
    pub external_medium: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub conversion_data: Option<String>,
    pub ad_source_type: Option<String>,
    pub ad_source_id: Option<String>,
    pub ad_source_app: Option<String>,
    pub ad_source_url: Option<String>,
    /// The click id that conversions are reported back with.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub ctwa_clid: Option<String>,
    pub headline: Option<String>,
    pub body: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub ctwa_payload: Option<String>,
}

impl Attribution {
    /// Nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Attribution::default()
    }
}

crate::text_enum! {
    /// What a notice of the system is about.
    pub enum NoticeKind {
        CallReceived = "call_received",
        CallAccepted = "call_accepted",
        CallRejected = "call_rejected",
        ParticipantJoined = "participant_joined",
        ParticipantLeft = "participant_left",
        SubjectChanged = "subject_changed",
        SessionStarted = "session_started",
        SessionEnded = "session_ended",
        AgentAssigned = "agent_assigned",
        Other = "other",
    }
}

/// A line in the chat that nobody wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemNotice {
    pub kind: NoticeKind,
    /// Particulars of the kind, for example `{"video": true}` for a call.
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub params: Map<String, Value>,
}

/// A template that the provider knows, by its id or by its name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
pub struct TemplateRef {
    pub template_id: Option<String>,
    pub name: Option<String>,
    pub language: Option<String>,
    /// Names match `[A-Za-z_][A-Za-z0-9_]*`, at most 50 characters; values are texts of at most 1 000 characters,
    /// numbers or booleans.
    #[serde(default, deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub variables: BTreeMap<String, Value>,
}

/// How the choices are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InteractiveKind {
    Buttons,
    List,
    /// The answer to buttons or a list.
    Reply,
}

/// One choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InteractiveOption {
    /// At most 256 characters.
    pub id: String,
    /// At most 24 characters.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub title: String,
}

/// Buttons, a list, or the answer to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Interactive {
    pub kind: InteractiveKind,
    /// 1 to 10.
    pub options: Vec<InteractiveOption>,
}

/// Reads null as empty: erased personal data reads as null.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(reader: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(reader)?.unwrap_or_default())
}
