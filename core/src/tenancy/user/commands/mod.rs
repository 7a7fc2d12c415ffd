//! What can be done to users. All of it runs outside a project.

mod api_keys;
mod authenticate;
mod create;
mod end;
mod identities;
mod login;
mod onboard;
#[cfg(feature = "local_auth")]
mod password;
mod status;
mod update;

pub use api_keys::{CreateApiKey, IssuedApiKey, RevokeApiKey, RotateApiKey};
pub use authenticate::{AuthenticateUser, Authentication, RecordLogin};
pub use create::{CreateUser, IdentityInput};
pub use end::{DeleteUser, EraseUser};
pub use identities::{LinkIdentity, UnlinkIdentity};
pub use onboard::{OnboardProject, OnboardUser, Onboarded};
#[cfg(feature = "local_auth")]
pub use password::SetPassword;
pub use status::{ActivateUser, ChangeUserRole, DeactivateUser, SuspendUser};
pub use update::{UpdateUser, VerifyUserEmail};

use crate::engine::UnitOfWork;
use crate::kernel::{Actor, Error, ErrorCode, Permission, Result, UserId, text};
use crate::tenancy::access;

/// The commands of local passwords.
#[cfg(feature = "local_auth")]
pub const PASSWORD_COMMANDS: &[crate::engine::Operation] = &[crate::engine::Operation::command::<SetPassword>()];

crate::operations![commands:
    CreateUser,
    UpdateUser,
    VerifyUserEmail,
    ChangeUserRole,
    ActivateUser,
    DeactivateUser,
    SuspendUser,
    LinkIdentity,
    UnlinkIdentity,
    AuthenticateUser,
    RecordLogin,
    CreateApiKey,
    RotateApiKey,
    RevokeApiKey,
    DeleteUser,
    EraseUser,
    OnboardUser,
];

/// Whose record is meant: the acting user's own, or the named one's, which needs `permission` or, where there is none, the
/// host itself.
async fn target(work: &UnitOfWork<'_>, told: Option<UserId>, permission: Option<Permission>) -> Result<UserId> {
    let acting = match work.actor().actor {
        Actor::User(id) => Some(id),
        _ => None,
    };
    let id = told.or(acting).ok_or_else(|| Error::new(ErrorCode::FieldRequired).at("id"))?;
    if Some(id) == acting {
        return Ok(id);
    }
    let rights = access::platform_rights(work.reader()).await?;
    match permission {
        Some(permission) => rights.require(permission)?,
        None if acting.is_some() => return Err(access::denied(Permission::UsersManage)),
        None => rights.require(Permission::UsersManage)?,
    }
    Ok(id)
}

/// Refuses a change of one's own role or status.
fn not_self(work: &UnitOfWork<'_>, id: UserId) -> Result<()> {
    if work.actor().actor == Actor::User(id) { Err(ErrorCode::CannotChangeSelf.into()) } else { Ok(()) }
}

/// A reason of at most 500 characters.
fn reason(reason: Option<String>) -> Result<Option<String>> {
    let reason = reason.map(|reason| text::text(&reason, 500)).transpose().map_err(|e| e.at("reason"))?;
    Ok(reason.filter(|reason| !reason.trim().is_empty()))
}
