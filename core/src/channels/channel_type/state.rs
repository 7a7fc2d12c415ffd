//! A kind of channel: its form, its modes, its abilities, and whether new channels of it may be made.

use super::{Capabilities, ChannelTypeEvent, ConfigField, ExternalIdRule};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{ChannelTypeId, ErrorCode, Kind, ProjectId, Timestamp};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

crate::text_enum! {
    /// Which kinds of channel share identities: all of `whatsapp` know people by their phone.
    pub enum ChannelFamily {
        Whatsapp = "whatsapp",
        Social = "social",
        Chat = "chat",
        Sms = "sms",
        Email = "email",
        Web = "web",
    }
}

crate::text_enum! {
    /// Who keeps the connection to the provider.
    pub enum ConnectionMode {
        /// The user brings credentials and manages the provider's session.
        Manual = "manual",
        /// The system makes and manages the session; a person pairs it with a code.
        Auto = "auto",
    }
}

/// A kind of channel. Global: the same for all projects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelType {
    pub id: ChannelTypeId,
    /// The nil project: the system log.
    #[serde(deserialize_with = "ProjectId::or_system")]
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    /// What channels name as their `type`; never changes.
    pub code: String,
    /// Its number in catalogues of imported installations.
    pub legacy_id: Option<u32>,
    /// Other codes accepted on input.
    pub aliases: Vec<String>,
    pub display_name: String,
    pub description: String,
    pub provider: String,
    pub family: ChannelFamily,
    /// The name under which the adapter is registered.
    pub gateway: String,
    pub config_schema: Vec<ConfigField>,
    pub modes: BTreeSet<ConnectionMode>,
    pub default_mode: ConnectionMode,
    pub external_id_rule: ExternalIdRule,
    pub capabilities: Capabilities,
    /// The type of the credential that holds the secret fields.
    pub credential_type: Option<String>,
    /// Settings of the operator for all channels of the kind; never secret.
    pub settings: Map<String, Value>,
    /// Seeded by the library; cannot be deleted.
    pub built_in: bool,
    /// The fingerprint of the library's definition that was last taken over.
    pub seeded: Option<String>,
    /// New channels may be made.
    pub active: bool,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

impl ChannelType {
    /// The unique-key space of codes and aliases.
    pub const CODE_SPACE: &'static str = "channel_type.code";
    /// The unique-key space of legacy ids.
    pub const LEGACY_SPACE: &'static str = "channel_type.legacy_id";

    /// The id of a built-in type, equal in every installation.
    pub fn built_in_id(code: &str) -> ChannelTypeId {
        ChannelTypeId::from_uuid(Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("ventros.channel_type.{code}").as_bytes()))
    }

    /// The field that answers to a key or one of its aliases.
    pub fn field(&self, key: &str) -> Option<&ConfigField> {
        self.config_schema.iter().find(|field| field.is_called(key))
    }

    /// Whether a person pairs channels of this kind in this mode with a code.
    pub fn is_paired(&self, mode: ConnectionMode) -> bool {
        mode == ConnectionMode::Auto && (self.capabilities.qr || self.capabilities.pairing_code)
    }
}

impl Aggregate for ChannelType {
    const KIND: Kind = Kind::ChannelType;
    const NOT_FOUND: ErrorCode = ErrorCode::ChannelTypeNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("code", FieldKind::Enum).sortable(),
        Column::new("display_name", FieldKind::Text).sortable().unfiltered(),
        Column::new("active", FieldKind::Bool),
        Column::new("provider", FieldKind::Enum),
        Column::new("family", FieldKind::Enum),
        Column::new("built_in", FieldKind::Bool),
        Column::new("created_at", FieldKind::Instant).sortable().unfiltered(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["provider"], &["family"]];
    const OFTEN_READ: bool = true;
    type Id = ChannelTypeId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::ChannelType(ChannelTypeEvent::Created(new)) = event else { return None };
        let new = new.as_ref().clone();
        Some(ChannelType {
            id: meta.aggregate_id.into(),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            code: new.code,
            legacy_id: new.legacy_id,
            aliases: new.aliases,
            display_name: new.display_name,
            description: new.description,
            provider: new.provider,
            family: new.family,
            gateway: new.gateway,
            config_schema: new.config_schema,
            modes: new.modes,
            default_mode: new.default_mode,
            external_id_rule: new.external_id_rule,
            capabilities: new.capabilities,
            credential_type: new.credential_type,
            settings: new.settings,
            built_in: new.built_in,
            seeded: new.seeded,
            active: new.active,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            deleted_at: None,
        })
    }

    fn apply(&mut self, event: &Event, _meta: &Meta<'_>) {
        let Event::ChannelType(event) = event else { return };
        match event {
            ChannelTypeEvent::Created(_) => {}
            ChannelTypeEvent::Activated { .. } => self.active = true,
            ChannelTypeEvent::Deactivated { .. } => self.active = false,
            ChannelTypeEvent::Updated { changes, .. } => changes.apply_to(self),
            ChannelTypeEvent::Configured(configuration) => {
                let new = configuration.as_ref().clone();
                self.config_schema = new.config_schema;
                self.modes = new.modes;
                self.default_mode = new.default_mode;
                self.external_id_rule = new.external_id_rule;
                self.settings = new.settings;
                self.capabilities = new.capabilities;
                self.seeded = new.seeded;
            }
            ChannelTypeEvent::Deleted { deleted_at, .. } => self.deleted_at = Some(*deleted_at),
        }
    }

    fn index(&self, index: &mut Index) {
        index.column("code", self.code.as_str());
        index.column("display_name", self.display_name.as_str());
        index.column("active", self.active);
        index.column("provider", self.provider.as_str());
        index.column("family", self.family.as_str());
        index.column("built_in", self.built_in);
        index.column("created_at", self.created_at);
        if self.deleted_at.is_some() {
            return;
        }
        for code in std::iter::once(&self.code).chain(&self.aliases) {
            index.unique(Self::CODE_SPACE, "", code.as_str(), ErrorCode::ChannelTypeCodeTaken);
        }
        if let Some(legacy_id) = self.legacy_id {
            index.unique(Self::LEGACY_SPACE, "", legacy_id.to_string(), ErrorCode::ChannelTypeLegacyIdTaken);
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }

    crate::base_fields!();
}
