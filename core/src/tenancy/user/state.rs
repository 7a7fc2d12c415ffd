//! A user as it stands.

use super::api_key::ApiKey;
use super::events::NewApiKey;
use super::{NewUser, PasswordInfo, UserEvent};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{
    ApiKeyId, Email, ErrorCode, Kind, Language, Patch, Phone, PlatformRole, ProjectId, Timestamp, Timezone, Url,
    UserId, pii,
};
use crate::storage::{Column, FieldKind, Index};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// How many revoked keys are remembered, newest first.
const REVOKED_KEYS: usize = 20;

crate::text_enum! {
    /// Whether a user may act.
    pub enum UserStatus {
        Active = "active",
        /// Closed, or not opened yet.
        Inactive = "inactive",
        /// Blocked by the platform.
        Suspended = "suspended",
    }
}

crate::text_enum! {
    /// How somebody proved to be a user.
    pub enum LoginMethod {
        Oidc = "oidc",
        ApiKey = "api_key",
        Password = "password",
        /// The host decided by its own means.
        Host = "host",
    }
}

crate::text_enum! {
    /// Why a user is gone.
    pub enum UserDeletionReason {
        OwnWish = "self",
        Admin = "admin",
        Duplicate = "duplicate",
        Retention = "retention",
    }
}

/// The user as an identity provider knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalIdentity {
    /// The provider: 1 to 255 characters, usually a URL.
    pub issuer: String,
    /// Whom the provider means, such as the OIDC `sub`; case matters.
    pub subject: String,
    pub linked_at: Timestamp,
}

/// A person who can act in projects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    pub id: UserId,
    /// The system log.
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
    pub erased_at: Option<Timestamp>,
    /// 1 to 120 characters; `[erased]` after erasure.
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "name"))]
    pub name: String,
    /// Unique among users that are not deleted; null only after erasure.
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "email"))]
    pub email: Option<Email>,
    pub email_verified_at: Option<Timestamp>,
    pub status: UserStatus,
    pub platform_role: PlatformRole,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "phone"))]
    pub phone: Option<Phone>,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "media"))]
    pub avatar_url: Option<Url>,
    pub language: Language,
    pub timezone: Timezone,
    /// Preferences of the host; Ventros never reads them.
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "free"))]
    pub settings: Map<String, Value>,
    /// A project where the user is an active member.
    pub default_project_id: Option<ProjectId>,
    /// At most 10.
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "free"))]
    pub identities: Vec<ExternalIdentity>,
    /// At most 20 that work, and the last 20 revoked ones.
    pub api_keys: Vec<ApiKey>,
    /// Local password; its hash is in the vault.
    pub password: Option<PasswordInfo>,
    /// Failures since the last login.
    pub failed_logins: u32,
    pub locked_until: Option<Timestamp>,
    /// Kept at most every 15 minutes.
    pub last_login_at: Option<Timestamp>,
    pub last_login_method: Option<LoginMethod>,
    /// Set exactly while suspended.
    pub suspended_at: Option<Timestamp>,
    #[schemars(extend("x-pii" = "user", "x-pii-kind" = "text"))]
    pub suspension_reason: Option<String>,
}

impl User {
    /// The space of unique keys that finds a user by its e-mail.
    pub const BY_EMAIL: &'static str = "user.email";
    /// The space of unique keys that finds a user by an identity; its scope is the issuer.
    pub const BY_IDENTITY: &'static str = "user.identity";
    /// The space of unique keys that finds a user by a key's lookup id.
    pub const BY_API_KEY: &'static str = "user.api_key";
    /// The space of unique keys that keeps hashes of keys apart.
    const KEY_HASH: &'static str = "user.api_key_hash";

    /// May be an actor.
    pub fn may_act(&self) -> bool {
        self.status == UserStatus::Active && self.deleted_at.is_none()
    }

    pub fn api_key(&self, id: ApiKeyId) -> Option<&ApiKey> {
        self.api_keys.iter().find(|key| key.id == id)
    }

    fn add_key(&mut self, new: &NewApiKey, at: Timestamp) {
        self.api_keys.push(ApiKey {
            id: new.api_key_id,
            name: new.name.clone(),
            prefix: new.prefix.clone(),
            key_hash: new.key_hash.clone(),
            project_id: new.project_id,
            scopes: new.scopes,
            expires_at: new.expires_at,
            last_used_at: None,
            created_at: at,
            revoked_at: None,
        });
    }

    fn revoke_key(&mut self, id: ApiKeyId, at: Timestamp) {
        for key in self.api_keys.iter_mut().filter(|key| key.id == id) {
            key.revoked_at = Some(key.revoked_at.map_or(at, |known| known.min(at)));
        }
        let revoked = self.api_keys.iter().filter(|key| key.revoked_at.is_some()).count();
        let mut surplus = revoked.saturating_sub(REVOKED_KEYS);
        self.api_keys.retain(|key| {
            let forget = surplus > 0 && key.revoked_at.is_some();
            surplus -= usize::from(forget);
            !forget
        });
    }

    fn erase(&mut self, at: Timestamp) {
        self.erased_at = Some(at);
        self.name = pii::ERASED.to_owned();
        self.email = None;
        self.email_verified_at = None;
        self.phone = None;
        self.avatar_url = None;
        self.settings = Map::new();
        self.identities = Vec::new();
        self.api_keys = Vec::new();
        self.suspension_reason = None;
    }
}

impl Aggregate for User {
    const KIND: Kind = Kind::User;
    const NOT_FOUND: ErrorCode = ErrorCode::UserNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("status", FieldKind::Enum),
        Column::new("platform_role", FieldKind::Enum),
        Column::new("default_project_id", FieldKind::Id),
        Column::new("name", FieldKind::Text).sortable(),
        Column::new("email", FieldKind::Text).sortable(),
        Column::new("last_login_at", FieldKind::Instant).sortable(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["status", "created_at"]];
    const OFTEN_READ: bool = true;
    type Id = UserId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::User(UserEvent::Created(new)) = event else { return None };
        let NewUser { name, email, platform_role, status, language, timezone, phone, avatar_url, settings, identities } =
            (**new).clone();
        Some(User {
            id: UserId::from_uuid(meta.aggregate_id),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            deleted_at: None,
            erased_at: None,
            name,
            email,
            email_verified_at: None,
            status,
            platform_role,
            phone,
            avatar_url,
            language,
            timezone,
            settings,
            default_project_id: None,
            identities,
            api_keys: Vec::new(),
            password: None,
            failed_logins: 0,
            locked_until: None,
            last_login_at: None,
            last_login_method: None,
            suspended_at: None,
            suspension_reason: None,
        })
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let Event::User(event) = event else { return };
        match event {
            UserEvent::Created(_) => {}
            UserEvent::ProfileUpdated { name, phone, avatar_url, language, timezone } => {
                put(&mut self.name, name);
                put(&mut self.language, language);
                put(&mut self.timezone, timezone);
                patch(&mut self.phone, phone);
                patch(&mut self.avatar_url, avatar_url);
            }
            UserEvent::EmailChanged { new_email, .. } => {
                self.email = new_email.clone();
                self.email_verified_at = None;
            }
            UserEvent::EmailVerified { verified_at, .. } => self.email_verified_at = Some(*verified_at),
            UserEvent::SettingsChanged { set, unset } => {
                self.settings.retain(|key, _| !unset.contains(key));
                self.settings.extend(set.clone());
            }
            UserEvent::RoleChanged { new_role, .. } => self.platform_role = *new_role,
            UserEvent::Activated { .. } => self.set_status(UserStatus::Active),
            UserEvent::Deactivated { .. } => self.set_status(UserStatus::Inactive),
            UserEvent::Suspended { reason, suspended_at } => {
                self.set_status(UserStatus::Suspended);
                self.suspended_at = Some(*suspended_at);
                self.suspension_reason = reason.clone();
            }
            UserEvent::IdentityLinked { issuer, subject, linked_at } => {
                let (issuer, subject) = (issuer.clone(), subject.clone());
                self.identities.push(ExternalIdentity { issuer, subject, linked_at: *linked_at });
            }
            UserEvent::IdentityUnlinked { issuer, subject } => {
                self.identities.retain(|known| !(known.issuer == *issuer && known.subject == *subject));
            }
            UserEvent::PasswordChanged { secret_ref, algorithm, must_change, changed_at } => {
                let (secret_ref, algorithm, must_change, changed_at) =
                    (*secret_ref, *algorithm, *must_change, *changed_at);
                self.password = Some(PasswordInfo { secret_ref, algorithm, changed_at, must_change });
                self.failed_logins = 0;
                self.locked_until = None;
            }
            UserEvent::LoginRecorded { method, at, .. } => {
                self.last_login_at = Some(*at);
                self.last_login_method = Some(*method);
                self.failed_logins = 0;
                self.locked_until = None;
            }
            UserEvent::LoginFailed { failed_logins, locked_until, .. } => {
                self.failed_logins = *failed_logins;
                self.locked_until = *locked_until;
            }
            UserEvent::ApiKeyCreated(new) => self.add_key(new, meta.occurred_at),
            UserEvent::ApiKeyRotated(rotated) => {
                self.revoke_key(rotated.old_api_key_id, rotated.old_valid_until);
                self.add_key(&rotated.new, meta.occurred_at);
            }
            UserEvent::ApiKeyRevoked { api_key_id, revoked_at, .. } => self.revoke_key(*api_key_id, *revoked_at),
            UserEvent::ApiKeyUsed { api_key_id, used_at } => {
                for key in self.api_keys.iter_mut().filter(|key| key.id == *api_key_id) {
                    key.last_used_at = Some(*used_at);
                }
            }
            UserEvent::DefaultProjectChanged { new, .. } => self.default_project_id = *new,
            UserEvent::Deleted { deleted_at, .. } => {
                self.deleted_at = Some(*deleted_at);
                self.password = None;
            }
            UserEvent::Erased { erased_at, .. } => self.erase(*erased_at),
        }
    }

    fn index(&self, index: &mut Index) {
        index.column("status", self.status.as_str());
        index.column("platform_role", self.platform_role.as_str());
        index.id("default_project_id", self.default_project_id);
        index.column("name", self.name.as_str());
        index.column("email", self.email.as_ref().map(Email::as_str));
        index.column("last_login_at", self.last_login_at);
        index.search("name", 1.0, self.name.as_str());
        if let Some(email) = &self.email {
            index.search("email", 1.0, email.as_str());
        }
        if self.deleted_at.is_some() {
            return;
        }
        if let Some(email) = &self.email {
            index.unique(Self::BY_EMAIL, "", email.as_str(), ErrorCode::UserEmailTaken);
        }
        for identity in &self.identities {
            let (issuer, subject) = (identity.issuer.as_str(), identity.subject.as_str());
            index.unique(Self::BY_IDENTITY, issuer, subject, ErrorCode::IdentityTaken);
        }
        for key in &self.api_keys {
            index.unique(Self::BY_API_KEY, "", key.lookup(), ErrorCode::Conflict);
            index.unique(Self::KEY_HASH, "", key.key_hash.as_str(), ErrorCode::Conflict);
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }

    crate::base_fields!();
}

impl User {
    fn set_status(&mut self, status: UserStatus) {
        self.status = status;
        self.suspended_at = None;
        self.suspension_reason = None;
    }
}

fn put<T: Clone>(field: &mut T, change: &Patch<T>) {
    if let Patch::Value(value) = change {
        *field = value.clone();
    }
}

fn patch<T: Clone>(field: &mut Option<T>, change: &Patch<T>) {
    if let Some(value) = change.clone().into_change() {
        *field = value;
    }
}
