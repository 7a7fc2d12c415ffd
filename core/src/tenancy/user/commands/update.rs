//! Changing a user's own facts.

use super::target;
use crate::engine::{Aggregate, Command, OperationScope, Root, UnitOfWork};
use crate::kernel::{
    Email, Error, ErrorCode, Language, Patch, Permission, Phone, ProjectId, Result, Timezone, Url, UserId, name,
};
use crate::storage::Scope;
use crate::tenancy::JsonPatch;
use crate::tenancy::project_member::ProjectMember;
use crate::tenancy::user::{User, UserEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes a profile: one's own, or with `users.manage` anybody's. What is absent stays.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct UpdateUser {
    /// The acting user unless told.
    pub id: Option<UserId>,
    /// 1 to 120 characters.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub name: Patch<String>,
    /// In international form.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub phone: Patch<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub avatar_url: Patch<Url>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub language: Patch<Language>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub timezone: Patch<Timezone>,
    /// A new address is not verified.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub email: Patch<Email>,
    /// A project where the user is an active member.
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub default_project_id: Patch<ProjectId>,
    /// Keys of the host's preferences to set and to remove.
    pub settings: Option<JsonPatch>,
}

impl Command for UpdateUser {
    const NAME: &'static str = "users.update";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::UserNotFound,
        ErrorCode::FieldRequired,
        ErrorCode::NameRequired,
        ErrorCode::NameTooLong,
        ErrorCode::EmailInvalid,
        ErrorCode::UserEmailTaken,
        ErrorCode::PhoneInvalid,
        ErrorCode::PhoneRegionRequired,
        ErrorCode::UrlInvalid,
        ErrorCode::LanguageInvalid,
        ErrorCode::TimezoneInvalid,
        ErrorCode::NotAMember,
        ErrorCode::JsonTooLarge,
        ErrorCode::JsonTooDeep,
        ErrorCode::JsonKeyInvalid,
    ];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let id = target(work, self.id, Some(Permission::UsersManage)).await?;
        let mut user = work.load::<User>(id).await?;
        user.change_profile(self.name, self.phone, self.avatar_url, self.language, self.timezone)?;
        if let Some(email) = required("email", self.email)? {
            user.change_email(email);
        }
        if let Some(patch) = self.settings {
            user.change_settings(patch)?;
        }
        if let Some(project) = self.default_project_id.into_change() {
            if let Some(project) = project {
                require_member(work, id, project).await.map_err(|e| e.at("default_project_id"))?;
            }
            user.change_default_project(project);
        }
        work.save(user)
    }
}

/// Refuses a project where the user is no active member.
pub(super) async fn require_member(work: &UnitOfWork<'_>, user: UserId, project: ProjectId) -> Result<()> {
    let at = Scope::Project(project);
    let member = work.reader().by_key_in::<ProjectMember>(at, ProjectMember::BY_USER, "", &user.to_string()).await?;
    let active = member.is_some_and(|member| !member.is_hidden() && member.is_active_at(work.now()));
    if active { Ok(()) } else { Err(Error::new(ErrorCode::NotAMember).with("project_id", project.to_string())) }
}

/// Says that the current address is the user's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyUserEmail {
    pub id: UserId,
    /// What was verified; refused when it is not the current address any more.
    pub email: Email,
}

impl Command for VerifyUserEmail {
    const NAME: &'static str = "users.verify_email";
    const PERMISSION: Permission = Permission::UsersManage;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::UserNotFound, ErrorCode::EmailMismatch, ErrorCode::EmailInvalid];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let mut user = work.load::<User>(self.id).await?;
        if user.email.as_ref() != Some(&self.email) {
            return Err(Error::new(ErrorCode::EmailMismatch).at("email"));
        }
        if user.email_verified_at.is_none() {
            let verified_at = user.now();
            user.record(UserEvent::EmailVerified { email: Some(self.email), verified_at });
        }
        work.save(user)
    }
}

fn required<T>(field: &str, patch: Patch<T>) -> Result<Option<T>> {
    match patch.into_change() {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => Err(Error::new(ErrorCode::FieldRequired).at(field)),
    }
}

fn changed<T: PartialEq>(new: Option<T>, current: &T) -> Patch<T> {
    new.filter(|new| new != current).map_or(Patch::Absent, Patch::Value)
}

fn changed_option<T: PartialEq>(new: Patch<T>, current: &Option<T>) -> Patch<T> {
    match &new {
        Patch::Null if current.is_none() => Patch::Absent,
        Patch::Value(value) if current.as_ref() == Some(value) => Patch::Absent,
        _ => new,
    }
}

impl Root<User> {
    /// Records what of the profile differs.
    pub fn change_profile(
        &mut self,
        new_name: Patch<String>,
        phone: Patch<String>,
        avatar_url: Patch<Url>,
        language: Patch<Language>,
        timezone: Patch<Timezone>,
    ) -> Result<()> {
        let new_name = required("name", new_name)?.map(|text| name(&text, 1, 120)).transpose();
        let name = changed(new_name.map_err(|e| e.at("name"))?, &self.name);
        let phone = match phone {
            Patch::Value(text) => Patch::Value(Phone::parse(&text, None).map_err(|e| e.at("phone"))?.phone),
            Patch::Null => Patch::Null,
            Patch::Absent => Patch::Absent,
        };
        let phone = changed_option(phone, &self.phone);
        let avatar_url = changed_option(avatar_url, &self.avatar_url);
        let language = changed(required("language", language)?, &self.language);
        let timezone = changed(required("timezone", timezone)?, &self.timezone);
        let same = [name.is_absent(), phone.is_absent(), avatar_url.is_absent(), language.is_absent()];
        if !(same.into_iter().all(|same| same) && timezone.is_absent()) {
            self.record(UserEvent::ProfileUpdated { name, phone, avatar_url, language, timezone });
        }
        Ok(())
    }

    /// Another address, not verified yet.
    pub fn change_email(&mut self, email: Email) {
        if self.email.as_ref() != Some(&email) {
            self.record(UserEvent::EmailChanged { old_email: self.email.clone(), new_email: Some(email) });
        }
    }

    /// Changes keys of the host's preferences.
    pub fn change_settings(&mut self, patch: JsonPatch) -> Result<()> {
        if let Some(patch) = patch.change(&self.settings).map_err(|e| e.at("settings"))? {
            self.record(UserEvent::SettingsChanged { set: patch.set, unset: patch.unset });
        }
        Ok(())
    }

    /// Another project to see first.
    pub fn change_default_project(&mut self, new: Option<ProjectId>) {
        let old = self.default_project_id;
        if new != old {
            self.record(UserEvent::DefaultProjectChanged { old, new });
        }
    }
}
