//! Identities at providers.

use super::create::IdentityInput;
use super::target;
use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Permission, Result, UserId};
use crate::tenancy::user::{User, UserEvent};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many identities a user has at most.
const MAX_IDENTITIES: usize = 10;

/// Says that an identity at a provider is the user's. Linking it twice changes nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkIdentity {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
    /// The provider: 1 to 255 characters, usually a URL.
    pub issuer: String,
    /// 1 to 255 characters; case matters.
    pub subject: String,
}

impl Command for LinkIdentity {
    const NAME: &'static str = "users.link_identity";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::UserNotFound,
        ErrorCode::FieldRequired,
        ErrorCode::TextTooLong,
        ErrorCode::IdentityTaken,
        ErrorCode::IdentityLimit,
    ];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let id = target(work, self.id, Some(Permission::UsersManage)).await?;
        let LinkIdentity { issuer, subject, .. } = self;
        IdentityInput { issuer: issuer.clone(), subject: subject.clone() }.check()?;
        let mut user = work.load::<User>(id).await?;
        if user.identities.iter().any(|known| known.issuer == issuer && known.subject == subject) {
            return work.save(user);
        }
        if user.identities.len() >= MAX_IDENTITIES {
            return Err(Error::new(ErrorCode::IdentityLimit).with("max", MAX_IDENTITIES));
        }
        let linked_at = user.now();
        user.record(UserEvent::IdentityLinked { issuer, subject, linked_at });
        work.save(user)
    }
}

/// Takes an identity away. The last way in stays: the last identity of a user without password and working
/// keys cannot go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnlinkIdentity {
    /// The acting user unless told.
    #[serde(default)]
    pub id: Option<UserId>,
    pub issuer: String,
    pub subject: String,
}

impl Command for UnlinkIdentity {
    const NAME: &'static str = "users.unlink_identity";
    const PERMISSION: Permission = Permission::Authenticated;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::UserNotFound, ErrorCode::IdentityNotFound, ErrorCode::LastLoginMethod];
    type Output = User;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<User> {
        let id = target(work, self.id, Some(Permission::UsersManage)).await?;
        let mut user = work.load::<User>(id).await?;
        let UnlinkIdentity { issuer, subject, .. } = self;
        if !user.identities.iter().any(|known| known.issuer == issuer && known.subject == subject) {
            return Err(Error::new(ErrorCode::IdentityNotFound).at("subject"));
        }
        let now = work.now();
        let other_ways = user.password.is_some() || user.api_keys.iter().any(|key| key.is_live(now));
        if user.identities.len() == 1 && !other_ways {
            return Err(ErrorCode::LastLoginMethod.into());
        }
        user.record(UserEvent::IdentityUnlinked { issuer, subject });
        work.save(user)
    }
}
