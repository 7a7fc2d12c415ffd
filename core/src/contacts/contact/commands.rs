//! What can be asked of a contact beside its profile: tags, identifiers, consent, interactions, deletion.

use super::behaviour::load_active;
use super::identity::{Identifier, IdentifierKind};
use super::policy::Policy;
pub use super::profile_commands::{CreateContact, Enrichment, UpdateContact, UpsertContact, Upserted};
use super::state::Contact;
use super::values::{ChannelFamily, ConsentStatus, ContactStatus, InteractionType};
use super::{ContactEvent, ErasureMode, LegalBasis, RestoreReason};
use crate::engine::{Command, Reader, UnitOfWork};
use crate::infrastructure::privacy;
use crate::kernel::text::text;
use crate::kernel::{ChannelId, ContactId, Error, ErrorCode, Kind, Permission, Result, Subject, Tag, Timestamp};
use crate::operations;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Adds a tag to a contact. Adding a tag it already has changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddTag {
    pub id: ContactId,
    pub tag: Tag,
}

impl Command for AddTag {
    const NAME: &'static str = "contacts.add_tag";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactNotFound, ErrorCode::ContactNotActive, ErrorCode::TagInvalid, ErrorCode::TagLimit];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let mut contact = load_active(work, self.id).await?;
        contact.add_tag(self.tag).map_err(|e| e.at("tag"))?;
        work.save(contact)
    }
}

/// Takes a tag off a contact. Taking off a tag it does not have changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveTag {
    pub id: ContactId,
    pub tag: Tag,
}

impl Command for RemoveTag {
    const NAME: &'static str = "contacts.remove_tag";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactNotFound, ErrorCode::ContactNotActive, ErrorCode::TagInvalid];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let mut contact = load_active(work, self.id).await?;
        contact.remove_tag(&self.tag);
        work.save(contact)
    }
}

/// Adds an id under which a contact is known: one of WhatsApp's, or an alternate beside its primary phone, e-mail or
/// external id. At most 20 alternates.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddIdentifier {
    pub id: ContactId,
    pub kind: IdentifierKind,
    /// The system of an `external` id, the channel type of a `channel_user`.
    #[serde(default)]
    pub scope: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub value: String,
}

impl Command for AddIdentifier {
    const NAME: &'static str = "contacts.add_identifier";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactNotFound,
        ErrorCode::ContactNotActive,
        ErrorCode::IdentifierLimit,
        ErrorCode::IdentifierTaken,
        ErrorCode::NameTooLong,
        ErrorCode::TextTooLong,
        ErrorCode::EmailInvalid,
        ErrorCode::EmailRequired,
        ErrorCode::EmailTooLong,
        ErrorCode::PhoneInvalid,
        ErrorCode::PhoneRegionRequired,
        ErrorCode::WhatsappIdInvalid,
        ErrorCode::WhatsappGroupId,
        ErrorCode::FieldRequired,
    ];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let policy = Policy::of(work.reader()).await?;
        let mut contact = load_active(work, self.id).await?;
        let identifier = Identifier::parse(self.kind, self.scope.as_deref(), &self.value, policy.region)
            .map_err(|e| e.at_least("value"))?;
        let mut whatsapp = contact.whatsapp.clone().unwrap_or_default();
        if identifier.is_whatsapp() && whatsapp.get(identifier.kind).is_none() {
            whatsapp.set(identifier.kind, Some(identifier.value));
            contact.set_whatsapp(whatsapp);
        } else {
            contact.add_identifier(identifier)?;
        }
        work.save(contact)
    }
}

/// Takes away an id that [`contacts.add_identifier`](AddIdentifier) gave or a channel reported. The primary phone, e-mail
/// and external id are changed by `contacts.update`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveIdentifier {
    pub id: ContactId,
    pub kind: IdentifierKind,
    #[serde(default)]
    pub scope: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub value: String,
}

impl Command for RemoveIdentifier {
    const NAME: &'static str = "contacts.remove_identifier";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactNotFound,
        ErrorCode::ContactNotActive,
        ErrorCode::IdentifierNotFound,
        ErrorCode::NameTooLong,
        ErrorCode::TextTooLong,
        ErrorCode::EmailInvalid,
        ErrorCode::EmailRequired,
        ErrorCode::EmailTooLong,
        ErrorCode::PhoneInvalid,
        ErrorCode::PhoneRegionRequired,
        ErrorCode::WhatsappIdInvalid,
        ErrorCode::WhatsappGroupId,
        ErrorCode::FieldRequired,
    ];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let policy = Policy::of(work.reader()).await?;
        let mut contact = load_active(work, self.id).await?;
        let identifier = Identifier::parse(self.kind, self.scope.as_deref(), &self.value, policy.region)
            .map_err(|e| e.at_least("value"))?;
        contact.remove_identifier(&identifier)?;
        work.save(contact)
    }
}

/// Keeps bulk senders away from a contact. Blocking one that is blocked changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockContact {
    pub id: ContactId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for BlockContact {
    const NAME: &'static str = "contacts.block";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactNotFound, ErrorCode::ContactNotActive, ErrorCode::TextTooLong];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let mut contact = load_active(work, self.id).await?;
        contact.block(optional_text("reason", self.reason, 500)?);
        work.save(contact)
    }
}

/// Lets bulk senders write to a contact again.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnblockContact {
    pub id: ContactId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for UnblockContact {
    const NAME: &'static str = "contacts.unblock";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactNotFound, ErrorCode::ContactNotActive, ErrorCode::TextTooLong];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let mut contact = load_active(work, self.id).await?;
        contact.unblock(optional_text("reason", self.reason, 500)?);
        work.save(contact)
    }
}

/// Stores whether a contact agreed to be written to on a family of channels. Who opted out comes back only by an
/// explicit opt-in with a source.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetConsent {
    pub id: ContactId,
    pub family: ChannelFamily,
    pub status: ConsentStatus,
    /// Where it was said: a form, a keyword, an agent. At most 100 characters.
    #[serde(default)]
    pub source: Option<String>,
    /// What proves it; at most 500 characters.
    #[serde(default)]
    pub evidence: Option<String>,
}

impl Command for SetConsent {
    const NAME: &'static str = "contacts.set_consent";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactNotFound,
        ErrorCode::ContactNotActive,
        ErrorCode::ConsentSourceRequired,
        ErrorCode::TextTooLong,
    ];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let mut contact = load_active(work, self.id).await?;
        let source = optional_text("source", self.source, 100)?;
        let evidence = optional_text("evidence", self.evidence, 500)?;
        contact.set_consent(self.family, self.status, source, evidence)?;
        work.save(contact)
    }
}

/// Notes something between us and a contact that was no message: a call, a visit, a purchase.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordInteraction {
    pub id: ContactId,
    #[serde(rename = "type")]
    pub interaction_type: InteractionType,
    /// When it was; now unless told, at most 5 minutes ahead.
    #[serde(default)]
    pub at: Option<Timestamp>,
    #[serde(default)]
    pub channel_id: Option<ChannelId>,
    /// It came from the contact.
    #[serde(default)]
    pub inbound: Option<bool>,
}

impl Command for RecordInteraction {
    const NAME: &'static str = "contacts.record_interaction";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactNotFound,
        ErrorCode::ContactNotActive,
        ErrorCode::ChannelNotFound,
        ErrorCode::TimestampInFuture,
    ];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let mut contact = load_active(work, self.id).await?;
        if let Some(channel) = self.channel_id
            && !exists(work.reader(), Kind::Channel, channel.uuid()).await?
        {
            return Err(crate::kernel::Error::new(ErrorCode::ChannelNotFound).at("channel_id"));
        }
        let at = self.at.unwrap_or(work.now());
        contact.note_interaction(self.interaction_type, at, self.inbound.unwrap_or(false), self.channel_id)?;
        work.save(contact)
    }
}

/// Takes a contact away. Its identifiers are free for others; it can be restored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteContact {
    pub id: ContactId,
    /// At most 500 characters.
    #[serde(default)]
    pub reason: Option<String>,
}

impl Command for DeleteContact {
    const NAME: &'static str = "contacts.delete";
    const PERMISSION: Permission = Permission::ContactsDelete;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactNotFound, ErrorCode::ContactDeleted, ErrorCode::ContactNotActive, ErrorCode::TextTooLong];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let reason = optional_text("reason", self.reason, 500)?;
        let mut contact = match work.find::<Contact>(self.id).await? {
            Some(contact) if !contact.is_active() => contact,
            _ => work.load(self.id).await?,
        };
        contact.delete(reason)?;
        work.save(contact)
    }
}

/// Erases a contact for good: its name reads `[erased]`, its identifiers are free, and a job takes personal data out of everything that
/// is stored about it: events, states, the timeline, the inbox, jobs. Ids, times and counts stay. The job ends with
/// `event_log.redacted`.
///
/// What the installation cannot reach is left to the host: files in its own storage, backups, what webhooks have delivered.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseContact {
    pub id: ContactId,
    /// The id of the contact once more, because it cannot be undone.
    pub confirm: String,
    pub legal_basis: LegalBasis,
    /// A number or name of the request, without personal data; at most 255 characters.
    #[serde(default)]
    pub request_ref: Option<String>,
    /// `anonymize` unless told.
    #[serde(default)]
    pub mode: Option<ErasureMode>,
}

impl Command for EraseContact {
    const NAME: &'static str = "contacts.erase";
    const PERMISSION: Permission = Permission::ContactsErase;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ContactNotFound,
        ErrorCode::ConfirmationMismatch,
        ErrorCode::ContactErased,
        ErrorCode::ContactMerged,
        ErrorCode::TextTooLong,
        ErrorCode::EnumUnknown,
    ];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let request_ref = optional_text("request_ref", self.request_ref, 255)?;
        let mut contact = match work.find::<Contact>(self.id).await? {
            Some(contact) if !contact.is_active() => contact,
            _ => work.load(self.id).await?,
        };
        if self.confirm != self.id.to_string() {
            return Err(Error::new(ErrorCode::ConfirmationMismatch).at("confirm"));
        }
        contact.erase(self.legal_basis, request_ref)?;
        privacy::redact_later(work, Subject::new(Kind::Contact, self.id), self.legal_basis.as_str())?;
        work.save(contact)
    }
}

/// Brings a deleted contact back with its identifiers, unless somebody else has them by now.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreContact {
    pub id: ContactId,
}

impl Command for RestoreContact {
    const NAME: &'static str = "contacts.restore";
    const PERMISSION: Permission = Permission::ContactsManage;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ContactNotFound, ErrorCode::ContactNotActive, ErrorCode::IdentifierTaken];
    type Output = Contact;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Contact> {
        let Some(mut contact) = work.find::<Contact>(self.id).await? else {
            return Err(crate::kernel::Error::new(ErrorCode::ContactNotFound).with("id", self.id.to_string()));
        };
        match contact.status {
            ContactStatus::Active => {}
            ContactStatus::Deleted => contact.record(ContactEvent::Restored {
                reason: RestoreReason::Undelete,
                merge_id: None,
                reclaimed_identifiers: contact.all_identifiers(),
            }),
            _ => return Err(super::behaviour::not_active(&contact, ErrorCode::ContactNotActive)),
        }
        work.save(contact)
    }
}

/// Whether an aggregate of this id exists in the project of the call.
pub(super) async fn exists(read: &Reader<'_>, kind: Kind, id: Uuid) -> Result<bool> {
    if crate::catalogue::aggregate_type(kind).is_none() {
        return Ok(false);
    }
    Ok(!read.storage().get(read.scope_of(kind), kind, &[id]).await?.is_empty())
}

fn optional_text(field: &str, value: Option<String>, max: usize) -> Result<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    let value = text(&value, max).map_err(|e| e.at(field))?;
    Ok(Some(value).filter(|value| !value.trim().is_empty()))
}

operations![commands:
    CreateContact,
    UpsertContact,
    UpdateContact,
    AddTag,
    RemoveTag,
    AddIdentifier,
    RemoveIdentifier,
    BlockContact,
    UnblockContact,
    SetConsent,
    RecordInteraction,
    DeleteContact,
    RestoreContact,
    EraseContact,
];
