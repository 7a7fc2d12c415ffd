//! Who and where at the provider: people by every id they are known under, chats by theirs.

use crate::kernel::Phone;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What sort of place a chat is, as far as the flow treats it differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatClass {
    Individual,
    Group,
    /// One to many: newsletters and broadcast lists.
    Channel,
    /// Stories; never recorded.
    Status,
}

/// The provider's finer distinction inside a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatKind {
    Direct,
    Group,
    Newsletter,
    BroadcastList,
    Status,
}

impl ChatKind {
    pub const fn class(self) -> ChatClass {
        match self {
            ChatKind::Direct => ChatClass::Individual,
            ChatKind::Group => ChatClass::Group,
            ChatKind::Newsletter | ChatKind::BroadcastList => ChatClass::Channel,
            ChatKind::Status => ChatClass::Status,
        }
    }
}

/// A chat as the provider names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChatRef {
    /// The provider's id of the chat, for example `551190000001@c.us`.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub external_id: String,
    pub class: ChatClass,
    pub kind_detail: ChatKind,
    /// The name of a group, when the item tells it.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub subject: Option<String>,
}

impl ChatRef {
    pub fn new(external_id: impl Into<String>, kind: ChatKind) -> Self {
        ChatRef { external_id: external_id.into(), class: kind.class(), kind_detail: kind, subject: None }
    }
}

/// An id that is only unique inside a page, an account or a bot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ChannelUser {
    /// The id space, for example `messenger`.
    #[serde(rename = "type")]
    pub space: String,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub value: String,
}

/// Every id and name under which a provider knows a person. Ids come without domain and device part.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Identifiers {
    /// Only from ids that are phones.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phone: Option<Phone>,
    /// WhatsApp's phone-based id, digits; what messages are sent to. Not always the number that people dial.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub wid: Option<String>,
    /// WhatsApp's hidden id, digits. Not a phone.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub lid: Option<String>,
    /// The internal form of the WhatsApp id, digits.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub jid: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub channel_user: Option<ChannelUser>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
    pub email: Option<String>,
    /// Any other id of the provider.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub external_id: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub username: Option<String>,
    /// The name that the person chose.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub display_name: Option<String>,
    /// The business name that the provider verified.
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub verified_name: Option<String>,
}

impl Identifiers {
    /// Some id is known; names do not count.
    pub fn has_id(&self) -> bool {
        self.phone.is_some()
            || self.wid.is_some()
            || self.lid.is_some()
            || self.jid.is_some()
            || self.channel_user.is_some()
            || self.email.is_some()
            || self.external_id.is_some()
            || self.username.is_some()
    }
}
