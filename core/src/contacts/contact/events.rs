//! What can happen to a contact.

use super::identity::{Identifier, IdentifierKind, WhatsAppIdentifiers};
use super::values::{
    Address, AddressId, Birthday, ChannelFamily, Consent, ConsentStatus, DuplicateReason, FullName, InteractionType,
    KnownAddress, NameSource, Origin, ScoreKind, or_default,
};
use crate::kernel::{
    AgentId, ChannelId, ContactId, CustomFieldKey, CustomFieldType, CustomFields, Email, Language, Phone, Tag, TagSet,
    Timestamp, Timezone, Url,
};
use crate::{events, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The full initial state of a contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NewContact {
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub name: String,
    pub name_source: NameSource,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub full_name: Option<FullName>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
    pub push_name: Option<String>,
    /// When the channel reported it.
    pub push_name_at: Option<Timestamp>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
    pub email: Option<Email>,
    pub email_verified: bool,
    /// The project wants e-mail addresses unique.
    pub email_unique: bool,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub phone: Option<Phone>,
    pub phone_verified: bool,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub external_id: Option<String>,
    pub external_source: Option<String>,
    #[serde(deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub identifiers: Vec<Identifier>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
    pub whatsapp: Option<WhatsAppIdentifiers>,
    pub source_channel: Option<String>,
    pub origin: Origin,
    pub language: Language,
    pub timezone: Option<Timezone>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub company: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
    pub job_title: Option<String>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "date"))]
    pub birthday: Option<Birthday>,
    #[serde(deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "address"))]
    pub addresses: Vec<KnownAddress>,
    pub tags: TagSet,
    #[serde(deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub custom_fields: CustomFields,
    pub owner_id: Option<AgentId>,
    #[serde(deserialize_with = "or_default")]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub consents: BTreeMap<ChannelFamily, Consent>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
    pub profile_picture_url: Option<Url>,
    pub profile_picture_fetched_at: Option<Timestamp>,
    pub first_interaction_at: Option<Timestamp>,
    pub last_interaction_at: Option<Timestamp>,
    pub last_inbound_at: Option<Timestamp>,
}

impl NewContact {
    /// Nothing but a name and where it comes from.
    pub fn named(name: impl Into<String>, name_source: NameSource, origin: Origin, language: Language) -> Self {
        NewContact {
            name: name.into(),
            name_source,
            full_name: None,
            push_name: None,
            push_name_at: None,
            email: None,
            email_verified: false,
            email_unique: true,
            phone: None,
            phone_verified: false,
            external_id: None,
            external_source: None,
            identifiers: Vec::new(),
            whatsapp: None,
            source_channel: None,
            origin,
            language,
            timezone: None,
            company: None,
            job_title: None,
            birthday: None,
            addresses: Vec::new(),
            tags: TagSet::new(),
            custom_fields: CustomFields::new(),
            owner_id: None,
            consents: BTreeMap::new(),
            profile_picture_url: None,
            profile_picture_fetched_at: None,
            first_interaction_at: None,
            last_interaction_at: None,
            last_inbound_at: None,
        }
    }
}

text_enum! {
    /// Fields of the profile that change without an event of their own.
    pub enum ProfileField {
        FullName = "full_name",
        PushName = "push_name",
        Company = "company",
        JobTitle = "job_title",
        Birthday = "birthday",
    }
}

/// One field of `contact.updated`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfileChange {
    pub field: ProfileField,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub old: Option<Value>,
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub new: Option<Value>,
    /// When a channel reported it; only for `push_name`.
    pub at: Option<Timestamp>,
}

/// A field that an enrichment could not set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RejectedField {
    pub field: String,
    pub code: String,
}

text_enum! {
    /// Why a contact is back.
    pub enum RestoreReason {
        /// Its deletion was undone.
        Undelete = "undelete",
        /// Its merge was undone.
        Unmerge = "unmerge",
    }
}

text_enum! {
    /// How a contact is erased.
    pub enum ErasureMode {
        /// Personal data goes; ids, times and counts stay.
        Anonymize = "anonymize",
    }
}

text_enum! {
    /// What obliges or allows to erase.
    pub enum LegalBasis {
        GdprArt17 = "gdpr_art17",
        LgpdArt18 = "lgpd_art18",
        RetentionPolicy = "retention_policy",
        UserRequest = "user_request",
        Other = "other",
    }
}

events! {
    /// What can happen to a contact.
    pub enum ContactEvent: Contact {
        /// A contact exists; its full initial state.
        "contact.created" Created(Box<NewContact>),
        /// Fields without an event of their own changed.
        "contact.updated" Updated { changes: Vec<ProfileChange> },
        /// It has another name.
        "contact.name_changed" NameChanged {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
            old_name: String,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "name"))]
            new_name: String,
            name_source: NameSource,
            changed_by: Option<Uuid>,
        },
        /// The e-mail address was set, verified or cleared.
        "contact.email_set" EmailSet {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
            email: Option<Email>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "email"))]
            previous: Option<Email>,
            verified: bool,
            unique: bool,
        },
        /// The phone number was set, verified or cleared.
        "contact.phone_set" PhoneSet {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            phone: Option<Phone>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            previous: Option<Phone>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            match_key: Option<String>,
            verified: bool,
        },
        /// The id in another system was set or cleared.
        "contact.external_id_set" ExternalIdSet {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            external_id: Option<String>,
            source: Option<String>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            previous: Option<String>,
        },
        /// One more id is known.
        "contact.identifier_added" IdentifierAdded {
            kind: IdentifierKind,
            scope: String,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            value: String,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            match_key: String,
        },
        /// An id no longer belongs to it.
        "contact.identifier_removed" IdentifierRemoved {
            kind: IdentifierKind,
            scope: String,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            value: String,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            match_key: String,
        },
        /// The WhatsApp ids are these now.
        "contact.whatsapp_identifiers_set" WhatsappIdentifiersSet {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            wid: Option<String>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            lid: Option<String>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            jid: Option<String>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "phone"))]
            previous: Option<WhatsAppIdentifiers>,
        },
        /// The channel it came from was set or cleared.
        "contact.source_channel_set" SourceChannelSet { source_channel: Option<String>, previous: Option<String> },
        /// It is to be addressed in another language.
        "contact.language_changed" LanguageChanged { old_language: Language, new_language: Language },
        /// The time zone was set or cleared.
        "contact.timezone_set" TimezoneSet { timezone: Option<Timezone>, previous: Option<Timezone> },
        /// One more tag.
        "contact.tag_added" TagAdded { tag: Tag },
        /// One tag less.
        "contact.tag_removed" TagRemoved { tag: Tag },
        /// All tags were taken off at once.
        "contact.tags_cleared" TagsCleared { cleared_tags: Vec<Tag> },
        /// A custom field has this value.
        "contact.custom_field_set" CustomFieldSet {
            key: CustomFieldKey,
            field_type: CustomFieldType,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            value: Value,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            previous: Option<Value>,
        },
        /// A custom field was removed.
        "contact.custom_field_cleared" CustomFieldCleared {
            key: CustomFieldKey,
            field_type: CustomFieldType,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            previous: Value,
        },
        /// An address was added or changed.
        "contact.address_set" AddressSet {
            address_id: AddressId,
            address: Address,
            previous: Option<Address>,
        },
        /// An address was removed.
        "contact.address_removed" AddressRemoved { address_id: AddressId, address: Address },
        /// The picture is another one, was looked at again, or was cleared.
        "contact.profile_picture_updated" ProfilePictureUpdated {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
            profile_picture_url: Option<Url>,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "media"))]
            previous_url: Option<Url>,
            fetched_at: Timestamp,
            source: String,
            /// False when only the query of the link rotated: the picture is the same.
            changed: bool,
        },
        /// Another agent is responsible, or none.
        "contact.owner_changed" OwnerChanged { old_owner_id: Option<AgentId>, new_owner_id: Option<AgentId> },
        /// A score changed.
        "contact.score_changed" ScoreChanged {
            kind: ScoreKind,
            old: Option<u8>,
            new: Option<u8>,
            breakdown: Option<BTreeMap<String, i16>>,
            formula: Option<String>,
        },
        /// It gets no messages from bulk senders.
        "contact.blocked" Blocked {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reason: Option<String>,
        },
        /// It is no longer blocked.
        "contact.unblocked" Unblocked {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reason: Option<String>,
        },
        /// It agreed or disagreed to be written to.
        "contact.consent_changed" ConsentChanged {
            family: ChannelFamily,
            old_status: ConsentStatus,
            new_status: ConsentStatus,
            source: String,
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            evidence: Option<String>,
        },
        /// Something between it and us that was no message.
        "contact.interaction_recorded" InteractionRecorded {
            interaction_type: InteractionType,
            is_first_interaction: bool,
            interacted_at: Timestamp,
            inbound: bool,
            channel_id: Option<ChannelId>,
        },
        /// Another system told more about it; the changes themselves are in the events of the fields.
        "contact.enriched" Enriched {
            enrichment_source: String,
            #[serde(deserialize_with = "or_default")]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            enriched_data: Map<String, Value>,
            applied: Vec<String>,
            rejected: Vec<RejectedField>,
            enriched_at: Timestamp,
        },
        /// Another contact may be the same person.
        "contact.duplicate_suspected" DuplicateSuspected {
            other_contact_id: ContactId,
            score: u8,
            reasons: Vec<DuplicateReason>,
        },
        /// It was taken away; its identifiers are free.
        "contact.deleted" Deleted {
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "text"))]
            reason: Option<String>,
            #[serde(deserialize_with = "or_default")]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            released_identifiers: Vec<Identifier>,
        },
        /// It is back, with its identifiers.
        "contact.restored" Restored {
            reason: RestoreReason,
            merge_id: Option<Uuid>,
            #[serde(deserialize_with = "or_default")]
            #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
            reclaimed_identifiers: Vec<Identifier>,
        },
        /// It is anonymous for good; personal data is being taken out of everything that is stored about it.
        "contact.erased" Erased {
            mode: ErasureMode,
            legal_basis: LegalBasis,
            request_ref: Option<String>,
            /// Contacts that were merged into it, erased in the same commit.
            #[serde(default)]
            also_erased_ids: Vec<ContactId>,
        },
    }
}
