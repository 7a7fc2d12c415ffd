//! Decides whether the actor of a call holds the permission that an operation names. Fails closed.

use crate::engine::Reader;
use crate::kernel::{Actor, Error, ErrorCode, Permission, Result};

/// Refuses the call unless its actor holds `permission` in its project.
pub async fn authorise(read: &Reader<'_>, permission: Permission) -> Result<()> {
    let allowed = match read.context().actor.actor {
        Actor::System(component) => component.permissions().contains(permission),
        _ => false,
    };
    if allowed { Ok(()) } else { Err(denied(permission)) }
}

fn denied(permission: Permission) -> Error {
    Error::new(ErrorCode::PermissionDenied).with("permission", permission.as_str())
}
