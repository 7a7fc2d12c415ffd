//! What a membership gives: a role, with permissions added and taken away.

use crate::kernel::{Error, ErrorCode, MemberRole, PermissionSet, Result};

/// A role with its exceptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grants {
    pub role: MemberRole,
    pub granted: PermissionSet,
    pub denied: PermissionSet,
}

impl Grants {
    /// Role and granted without denied.
    pub fn permissions(self) -> PermissionSet {
        self.role.permissions().union(self.granted).difference(self.denied)
    }

    /// # Errors
    /// `permission_not_grantable`, `permission_overlap`.
    pub fn check(self) -> Result<()> {
        if let Some(permission) = self.granted.iter().find(|permission| !permission.is_grantable_to_member()) {
            return Err(Error::new(ErrorCode::PermissionNotGrantable)
                .at("granted")
                .with("permission", permission.as_str()));
        }
        match self.granted.intersection(self.denied).iter().next() {
            Some(both) => Err(Error::new(ErrorCode::PermissionOverlap).at("denied").with("permission", both.as_str())),
            None => Ok(()),
        }
    }

    /// Refuses what would give `before` something that the actor, who holds `held`, does not have.
    pub fn check_held(self, before: PermissionSet, held: PermissionSet) -> Result<()> {
        match self.permissions().difference(before).difference(held).iter().next() {
            Some(unheld) => Err(Error::new(ErrorCode::CannotGrantUnheld).with("permission", unheld.as_str())),
            None => Ok(()),
        }
    }
}
