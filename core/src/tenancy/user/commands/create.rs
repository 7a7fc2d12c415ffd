//! Creating a user.

use crate::engine::{Command, OperationScope, UnitOfWork};
#[cfg(feature = "local_auth")]
use crate::kernel::SecretText;
use crate::kernel::{
    Email, Error, ErrorCode, Errors, Language, Permission, Phone, PlatformRole, Result, Timezone, Url, UserId, name,
    text,
};
use crate::tenancy::access;
use crate::tenancy::user::{ExternalIdentity, NewUser, User, UserEvent, UserStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// An identity at a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IdentityInput {
    /// The provider: 1 to 255 characters, usually a URL.
    pub issuer: String,
    /// 1 to 255 characters; case matters.
    pub subject: String,
}

impl IdentityInput {
    pub(super) fn check(&self) -> Result<()> {
        let mut errors = Errors::new();
        errors.take("issuer", crate::kernel::ExternalId::parse(&self.issuer));
        errors.take("subject", crate::kernel::ExternalId::parse(&self.subject));
        errors.check()
    }
}

/// Creates a user. The host authenticates people; Ventros knows who they are and what they may.
///
/// A platform role other than `user` is given by platform administrators and the host only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// 1 to 120 characters.
    pub name: String,
    /// Unique among users that are not deleted.
    pub email: String,
    /// `user` unless told.
    #[serde(default)]
    pub platform_role: Option<PlatformRole>,
    /// `active` unless told, or `inactive`.
    #[serde(default)]
    pub status: Option<UserStatus>,
    /// `en` unless told.
    #[serde(default)]
    pub language: Option<Language>,
    /// `UTC` unless told.
    #[serde(default)]
    pub timezone: Option<Timezone>,
    /// In international form: a user belongs to no region.
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub avatar_url: Option<Url>,
    /// Preferences of the host, at most 16 KiB.
    #[serde(default)]
    pub settings: Option<Map<String, Value>>,
    #[serde(default)]
    pub identity: Option<IdentityInput>,
    /// 10 to 128 characters; neither the name nor the e-mail address. Needs a vault.
    #[cfg(feature = "local_auth")]
    #[serde(default)]
    pub password: Option<SecretText>,
}

impl Command for CreateUser {
    const NAME: &'static str = "users.create";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::EmailRequired,
        ErrorCode::EmailInvalid,
        ErrorCode::EmailTooLong,
        ErrorCode::PhoneInvalid,
        ErrorCode::PhoneRegionRequired,
        ErrorCode::UserEmailTaken,
        ErrorCode::IdentityTaken,
        ErrorCode::PermissionDenied,
        ErrorCode::EnumUnknown,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::PasswordWeak,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
        ErrorCode::SecretTampered,
    ];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        register(work, self).await
    }
}

/// Creates a user; shared with onboarding.
pub(super) async fn register(work: &mut UnitOfWork<'_>, input: CreateUser) -> Result<User> {
    if input.platform_role.is_some_and(|role| role != PlatformRole::User) {
        // Platform administrators alone hold this one.
        access::platform_rights(work.reader()).await?.require(Permission::PlatformOperate)?;
    }
    #[cfg(feature = "local_auth")]
    let given = input.password.clone();
    let new = input.into_event(work)?;
    let id: UserId = work.new_id();
    #[cfg_attr(not(feature = "local_auth"), expect(unused_mut, reason = "only a password changes it"))]
    let mut user = work.create::<User>(id, UserEvent::Created(Box::new(new)))?;
    #[cfg(feature = "local_auth")]
    if let Some(given) = given {
        crate::tenancy::user::password::set(work, &mut user, &given, false).await?;
    }
    work.save(user)
}

impl CreateUser {
    fn into_event(self, work: &UnitOfWork<'_>) -> Result<NewUser> {
        let mut errors = Errors::new();
        let name = errors.take("name", name(&self.name, 1, 120));
        let email = errors.take("email", Email::parse(&self.email));
        let phone = self.phone.map(|phone| Phone::parse(&phone, None)).transpose();
        let phone = errors.take("phone", phone).flatten().map(|parsed| parsed.phone);
        let settings = self.settings.unwrap_or_default();
        errors.take("settings", text::json_object(&Value::Object(settings.clone())).map(drop));
        errors.take("identity", self.identity.as_ref().map_or(Ok(()), IdentityInput::check));
        if self.status == Some(UserStatus::Suspended) {
            let allowed = vec![UserStatus::Active.as_str(), UserStatus::Inactive.as_str()];
            errors.push(Error::new(ErrorCode::EnumUnknown).at("status").with("allowed", allowed));
        }
        #[cfg(feature = "local_auth")]
        if let Some(password) = &self.password {
            errors.take("password", crate::tenancy::user::password::check(password, &self.name, &self.email));
        }
        errors.check()?;
        let linked_at = work.now();
        let identity =
            self.identity.map(|IdentityInput { issuer, subject }| ExternalIdentity { issuer, subject, linked_at });
        Ok(NewUser {
            name: name.unwrap_or_default(),
            email,
            platform_role: self.platform_role.unwrap_or(PlatformRole::User),
            status: self.status.unwrap_or(UserStatus::Active),
            language: self.language.map_or_else(|| Language::parse("en"), Ok)?,
            timezone: self.timezone.unwrap_or(Timezone::UTC),
            phone,
            avatar_url: self.avatar_url,
            settings,
            identities: identity.into_iter().collect(),
        })
    }
}
