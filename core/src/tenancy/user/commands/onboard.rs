//! A user with a project of its own, in one commit.

use super::create::{CreateUser, register};
use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::kernel::{Currency, Error, ErrorCode, Language, Permission, Region, Result, Timezone};
use crate::tenancy::project::commands::{CreateProject, found};
use crate::tenancy::project::{Project, Slug};
use crate::tenancy::project_member::ProjectMember;
use crate::tenancy::user::User;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The project of somebody who is onboarded.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardProject {
    /// 2 to 100 characters.
    pub name: String,
    /// Made from `name` unless told.
    #[serde(default)]
    pub slug: Option<Slug>,
    #[serde(default)]
    pub description: Option<String>,
    /// `BR` unless told.
    #[serde(default)]
    pub default_region: Option<Region>,
    #[serde(default)]
    pub default_language: Option<Language>,
    #[serde(default)]
    pub default_timezone: Option<Timezone>,
    #[serde(default)]
    pub default_currency: Option<Currency>,
}

/// Creates a user with a project that it owns. All or nothing; idempotent through the idempotency key only.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OnboardUser {
    pub user: CreateUser,
    pub project: OnboardProject,
}

/// Who and what onboarding made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Onboarded {
    pub user: User,
    pub project: Project,
    pub member: ProjectMember,
}

impl Command for OnboardUser {
    const NAME: &'static str = "users.onboard";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::NameRequired,
        ErrorCode::NameTooShort,
        ErrorCode::NameTooLong,
        ErrorCode::EmailRequired,
        ErrorCode::EmailInvalid,
        ErrorCode::PasswordWeak,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::PhoneInvalid,
        ErrorCode::PhoneRegionRequired,
        ErrorCode::JsonKeyInvalid,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonTooLarge,
        ErrorCode::UserEmailTaken,
        ErrorCode::IdentityTaken,
        ErrorCode::PermissionDenied,
        ErrorCode::SlugInvalid,
        ErrorCode::ProjectSlugTaken,
        ErrorCode::RegionInvalid,
        ErrorCode::CurrencyInvalid,
    ];
    type Output = Onboarded;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Onboarded> {
        let user = register(work, self.user).await.map_err(|e| e.at("user"))?;
        let OnboardProject {
            name,
            slug,
            description,
            default_region,
            default_language,
            default_timezone,
            default_currency,
        } = self.project;
        let input = CreateProject {
            name,
            slug,
            description,
            default_region,
            default_language,
            default_timezone,
            default_currency,
            ..CreateProject::default()
        };
        let project = found(work, input, Some(user.id)).await.map_err(|e| e.at("project"))?;
        let member = work.by_key::<ProjectMember>(ProjectMember::BY_USER, "", &user.id.to_string()).await?;
        let member = member.ok_or_else(|| Error::internal("an owner who just joined is no member"))?;
        Ok(Onboarded { user, project, member: member.state().clone() })
    }
}
