//! A credential, folded from its events.

use super::{
    CredentialEvent, CredentialPatch, CredentialSecret, CredentialStatus, CredentialType, OAuthGrant, OAuthState,
    ProviderAccount, RetiringSecret, Verification,
};
use crate::engine::{Aggregate, Event, Meta};
use crate::kernel::{CredentialId, ErrorCode, Kind, ProjectId, SecretRef, Timestamp, fold};
use crate::storage::{Column, FieldKind, Index, Value as Indexed};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// How many purposes are remembered, the newest.
const PURPOSES: usize = 50;

/// A secret that the project needs at an outside service. The secret itself is in the vault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Credential {
    pub id: CredentialId,
    pub project_id: ProjectId,
    pub version: u64,
    pub revision: u64,
    pub credential_type: CredentialType,
    /// 1 to 255 characters, unique in the project whatever its case.
    pub name: String,
    /// At most 2 000 characters.
    pub description: String,
    pub status: CredentialStatus,
    /// Why it is not active.
    pub status_reason: Option<String>,
    /// The value, where the type has one.
    pub value: Option<SecretRef>,
    /// The same for equal values of the project, and nothing else can be told from it.
    pub fingerprint: Option<String>,
    /// The last 4 characters of a value that has at least 16.
    pub hint: Option<String>,
    /// Tokens that a person granted; only where the type has such.
    pub oauth: Option<OAuthState>,
    /// When it ends; null = never, or when its tokens are renewed by themselves.
    pub expires_at: Option<Timestamp>,
    /// The least days of which a warning was given before this end.
    pub warned_days: Option<u32>,
    /// Earlier secrets that open for work under way.
    pub retiring: Vec<RetiringSecret>,
    pub last_used_at: Option<Timestamp>,
    pub use_count: u64,
    /// When openings were last recorded, by purpose; the newest 50.
    pub recorded_uses: BTreeMap<String, Timestamp>,
    pub last_verified_at: Option<Timestamp>,
    pub last_verification: Option<Verification>,
    /// The account at the provider.
    pub provider_account: Option<ProviderAccount>,
    /// Notes that are no secrets, such as `base_url`.
    pub metadata: Map<String, Value>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub deleted_at: Option<Timestamp>,
}

impl Credential {
    /// The unique-key space of names.
    pub const NAME_SPACE: &'static str = "credential.name";

    /// Whether its time is over.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Whether its tokens are to be renewed now.
    pub fn needs_refresh(&self, now: Timestamp) -> bool {
        let due = self.oauth.as_ref().filter(|oauth| oauth.refresh.is_some()).and_then(|oauth| oauth.next_refresh_at);
        self.status == CredentialStatus::Active && due.is_some_and(|due| now >= due)
    }

    /// Scopes that the type asks for and that were not granted; none where the provider did not tell.
    pub fn missing_scopes(&self) -> Vec<String> {
        self.oauth.as_ref().map_or_else(Vec::new, |oauth| missing_scopes(self.credential_type, &oauth.scopes))
    }

    /// Whether there is anything to open: a granted token, or a value that is of use by itself.
    pub fn is_authorised(&self) -> bool {
        use super::ValueForm::ClientSecret;
        self.oauth.is_some() || (self.value.is_some() && self.credential_type.form() != ClientSecret)
    }

    /// Which of its secrets is meant unless told: the token where there is one.
    pub fn default_secret(&self) -> CredentialSecret {
        if self.oauth.is_some() { CredentialSecret::Access } else { CredentialSecret::Value }
    }

    /// The present form of one of its secrets.
    pub fn secret(&self, which: CredentialSecret) -> Option<SecretRef> {
        match which {
            CredentialSecret::Value => self.value,
            CredentialSecret::Access => self.oauth.as_ref().map(|oauth| oauth.access),
        }
    }

    fn grant(&mut self, grant: OAuthGrant) {
        let OAuthGrant { access, refresh, token_type, scopes, issued_at, expires_at } = grant;
        // Where tokens renew themselves the credential has no end.
        self.set_expiry(expires_at.filter(|_| refresh.is_none()));
        self.oauth = Some(OAuthState {
            access,
            refresh,
            token_type,
            scopes,
            issued_at,
            expires_at,
            refresh_failures: 0,
            next_refresh_at: OAuthState::due_at(refresh.is_some(), issued_at, expires_at),
            refresh_lease_until: None,
        });
    }

    fn set_expiry(&mut self, expires_at: Option<Timestamp>) {
        if self.expires_at != expires_at {
            self.expires_at = expires_at;
            self.warned_days = None;
        }
    }

    fn set_status(&mut self, status: CredentialStatus, reason: Option<String>) {
        self.status = status;
        self.status_reason = reason;
    }

    /// Keeps what was replaced until its time, and what it had replaced itself no longer than that. Forgets what has had its
    /// time.
    fn retire(&mut self, secret: Option<SecretRef>, until: Option<Timestamp>, now: Timestamp) {
        self.retiring.retain(|old| old.valid_until > now);
        let Some(secret) = secret else { return };
        let is_same = |old: &RetiringSecret| old.secret.secret_id == secret.secret_id;
        let Some(valid_until) = until else { return self.retiring.retain(|old| !is_same(old)) };
        for old in self.retiring.iter_mut().filter(|old| is_same(old)) {
            old.valid_until = old.valid_until.min(valid_until);
        }
        self.retiring.push(RetiringSecret { secret, valid_until });
    }

    fn take_in(&mut self, patch: CredentialPatch) {
        let CredentialPatch { name, description, provider_account, metadata_set, metadata_unset } = patch;
        if let Some(name) = name {
            self.name = name;
        }
        if let Some(description) = description {
            self.description = description;
        }
        if let Some(account) = provider_account.into_change() {
            self.provider_account = account;
        }
        self.metadata.retain(|key, _| !metadata_unset.contains(key));
        self.metadata.extend(metadata_set);
    }

    fn note_use(&mut self, purpose: String, used_at: Timestamp, recorded_at: Timestamp, uses: u64) {
        self.use_count += uses;
        self.last_used_at = self.last_used_at.max(Some(used_at));
        self.recorded_uses.insert(purpose, recorded_at);
        while self.recorded_uses.len() > PURPOSES {
            let oldest = self.recorded_uses.iter().min_by_key(|(_, at)| **at).map(|(purpose, _)| purpose.clone());
            oldest.map(|purpose| self.recorded_uses.remove(&purpose));
        }
    }
}

/// Scopes that a type asks for and that are not among these; none where the provider names no scopes.
pub(super) fn missing_scopes(credential_type: CredentialType, scopes: &[String]) -> Vec<String> {
    if scopes.is_empty() {
        return Vec::new();
    }
    let wanted = credential_type.default_scopes().iter().map(|scope| (*scope).to_owned());
    wanted.filter(|scope| !scopes.contains(scope)).collect()
}

impl Aggregate for Credential {
    const KIND: Kind = Kind::Credential;
    const NOT_FOUND: ErrorCode = ErrorCode::CredentialNotFound;
    const COLUMNS: &'static [Column] = &[
        Column::new("name", FieldKind::Text).sortable(),
        Column::new("credential_type", FieldKind::Enum),
        Column::new("status", FieldKind::Enum),
        Column::new("expires_at", FieldKind::Instant).sortable(),
        Column::new("last_used_at", FieldKind::Instant).sortable(),
        Column::new("created_at", FieldKind::Instant).sortable(),
        Column::new("updated_at", FieldKind::Instant).sortable(),
        Column::new("metadata.*", FieldKind::Text).many(),
    ];
    const INDEXES: &'static [&'static [&'static str]] = &[&["credential_type", "status"], &["name"]];
    type Id = CredentialId;

    fn create(event: &Event, meta: &Meta<'_>) -> Option<Self> {
        let Event::Credential(CredentialEvent::Created(new)) = event else { return None };
        let new = new.as_ref().clone();
        let mut credential = Credential {
            id: meta.aggregate_id.into(),
            project_id: meta.project_id,
            version: 0,
            revision: 0,
            credential_type: new.credential_type,
            name: new.name,
            description: new.description,
            status: new.status,
            status_reason: None,
            value: new.value,
            fingerprint: new.fingerprint,
            hint: new.hint,
            oauth: None,
            expires_at: new.expires_at,
            warned_days: None,
            retiring: Vec::new(),
            last_used_at: None,
            use_count: 0,
            recorded_uses: BTreeMap::new(),
            last_verified_at: None,
            last_verification: None,
            provider_account: new.provider_account,
            metadata: new.metadata,
            created_at: meta.occurred_at,
            updated_at: meta.occurred_at,
            deleted_at: None,
        };
        if let Some(grant) = new.oauth {
            credential.grant(grant);
        }
        Some(credential)
    }

    fn apply(&mut self, event: &Event, meta: &Meta<'_>) {
        let Event::Credential(event) = event else { return };
        match event.clone() {
            CredentialEvent::Created(_) => {}
            CredentialEvent::Updated(patch) => self.take_in(patch),
            CredentialEvent::ValueRotated {
                old_value,
                new_value,
                fingerprint,
                hint,
                expires_at,
                old_valid_until,
                ..
            } => {
                self.retire(old_value, old_valid_until, meta.occurred_at);
                self.value = Some(new_value);
                self.fingerprint = Some(fingerprint);
                self.hint = hint;
                self.set_expiry(expires_at);
                self.set_status(CredentialStatus::Active, None);
            }
            CredentialEvent::OAuthAuthorized {
                access,
                refresh,
                token_type,
                scopes,
                issued_at,
                expires_at,
                provider_account,
                ..
            } => {
                if let Some(old) = self.oauth.take() {
                    self.retire(Some(old.access), None, meta.occurred_at);
                    self.retire(old.refresh, None, meta.occurred_at);
                }
                self.grant(OAuthGrant { access, refresh, token_type, scopes, issued_at, expires_at });
                self.provider_account = provider_account.or(self.provider_account.take());
                self.set_status(CredentialStatus::Active, None);
            }
            CredentialEvent::OAuthRefreshStarted { lease_until } => {
                if let Some(oauth) = &mut self.oauth {
                    oauth.refresh_lease_until = Some(lease_until);
                }
            }
            CredentialEvent::OAuthRefreshed {
                access,
                refresh,
                refresh_rotated,
                scopes,
                issued_at,
                expires_at,
                old_access_until,
                old_refresh_until,
            } => {
                if let Some(old) = self.oauth.take() {
                    self.retire(Some(old.access), old_access_until, meta.occurred_at);
                    self.retire(old.refresh.filter(|_| refresh_rotated), old_refresh_until, meta.occurred_at);
                    let token_type = old.token_type;
                    self.grant(OAuthGrant { access, refresh, token_type, scopes, issued_at, expires_at });
                }
                if self.status == CredentialStatus::Expired {
                    self.set_status(CredentialStatus::Active, None);
                }
            }
            CredentialEvent::OAuthRefreshFailed { error_code, refresh_failures, next_refresh_at, status, .. } => {
                if let Some(oauth) = &mut self.oauth {
                    oauth.refresh_failures = refresh_failures;
                    oauth.next_refresh_at = next_refresh_at;
                    oauth.refresh_lease_until = None;
                }
                if status != self.status {
                    self.set_status(status, Some(error_code));
                }
            }
            CredentialEvent::ExpiryChanged { new, .. } => self.set_expiry(new),
            CredentialEvent::Expiring { days_left, .. } => self.warned_days = Some(days_left),
            CredentialEvent::Expired { cause, .. } => {
                self.set_status(CredentialStatus::Expired, Some(cause.as_str().to_owned()));
            }
            CredentialEvent::Activated { status, .. } => self.set_status(status, None),
            CredentialEvent::Deactivated { status, reason } => self.set_status(status, reason),
            CredentialEvent::Used { purpose, used_at, uses } => {
                self.note_use(purpose, used_at, meta.occurred_at, uses);
            }
            CredentialEvent::Verified { ok, code, verified_at } => {
                self.last_verified_at = Some(verified_at);
                self.last_verification = Some(Verification { ok, code });
            }
            CredentialEvent::Deleted { deleted_at, .. } => {
                self.deleted_at = Some(deleted_at);
                self.value = None;
                self.fingerprint = None;
                self.hint = None;
                self.oauth = None;
                self.retiring.clear();
            }
        }
    }

    fn index(&self, index: &mut Index) {
        index.column("name", self.name.as_str());
        index.column("credential_type", self.credential_type.as_str());
        index.column("status", self.status.as_str());
        index.column("expires_at", self.expires_at);
        index.column("last_used_at", self.last_used_at);
        index.column("created_at", self.created_at);
        index.column("updated_at", self.updated_at);
        for (key, value) in &self.metadata {
            index.attribute(format!("metadata.{key}"), Indexed::of_note(value));
        }
        if self.deleted_at.is_none() {
            index.unique(Self::NAME_SPACE, "", fold(&self.name), ErrorCode::CredentialNameTaken);
            index.search("name", 1.0, self.name.as_str());
        }
    }

    fn is_hidden(&self) -> bool {
        self.deleted_at.is_some()
    }

    crate::base_fields!();
}
