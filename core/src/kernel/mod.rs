//! Words that every room uses: ids, time, errors, value objects, actors and filters. Pure: no clock, no chance, no I/O.

#[macro_use]
mod text_enum;

mod actor;
mod color;
mod custom_field;
mod date;
mod email;
pub mod error;
mod error_code;
mod id;
pub mod input;
mod kind;
mod language;
mod language_codes;
mod mime;
mod mime_registry;
mod money;
mod patch;
mod permission;
mod phone;
pub mod pii;
mod region;
mod secret;
pub mod shape;
mod tag;
pub mod text;
mod time;
mod timezone;
mod timezone_links;
mod url;

pub use actor::{Actor, ActorKind, ActorRef, Component, Source, Via, refuse_reserved};
pub use color::HexColor;
pub use custom_field::{
    CustomField, CustomFieldDefinition, CustomFieldInput, CustomFieldKey, CustomFieldRules, CustomFieldType,
    CustomFields, CustomValue, DateValue,
};
pub use date::CalendarDate;
pub use email::Email;
pub use error::{Error, ErrorCode, ErrorKind, Errors, Result};
pub use id::*;
pub use kind::{Kind, Subject};
pub use language::Language;
pub use mime::{MimeAnalysis, MimeCategory, MimeInfo, MimeType};
pub use money::{Currency, Money};
pub use patch::Patch;
pub use permission::{AgentPreset, MemberRole, Permission, PermissionSet, PlatformRole};
pub use phone::{ParsedPhone, Phone, PhoneKind};
pub use region::Region;
pub use secret::{RevealedText, SecretBytes, SecretRef, SecretText, secret_hint};
pub use tag::{Tag, TagSet};
pub use text::{ExternalId, fold, name};
pub(crate) use text_enum::text_value;
pub use time::{Clock, IdGenerator, Timestamp};
pub use timezone::Timezone;
pub use url::{Url, is_public_address};
