//! Giving a project to another owner.

use crate::engine::{Command, UnitOfWork};
use crate::kernel::{Error, ErrorCode, Permission, Result, UserId};
use crate::tenancy::project::{Project, ProjectEvent};
use crate::tenancy::project_member::ProjectMember;
use crate::tenancy::user::User;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Makes another member the owner: an active administrator whose access does not end. The old owner stays administrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TransferOwnership {
    pub new_owner_user_id: UserId,
}

impl Command for TransferOwnership {
    const NAME: &'static str = "projects.transfer_ownership";
    const PERMISSION: Permission = Permission::ProjectTransfer;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::OwnerMustBeAdminMember];
    type Output = Project;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Project> {
        let mut project = work.load::<Project>(work.project()).await?;
        let (old_owner_user_id, new_owner_user_id) = (project.owner_user_id, self.new_owner_user_id);
        if old_owner_user_id == Some(new_owner_user_id) {
            return work.save(project);
        }
        let refuse = || Error::new(ErrorCode::OwnerMustBeAdminMember).at("new_owner_user_id");
        let key = new_owner_user_id.to_string();
        let member = work.by_key::<ProjectMember>(ProjectMember::BY_USER, "", &key).await?.ok_or_else(refuse)?;
        let user = work.find::<User>(new_owner_user_id).await?.ok_or_else(refuse)?;
        if !member.is_lasting_admin() || !user.may_act() || !member.denied.is_empty() {
            return Err(refuse());
        }
        project.record(ProjectEvent::OwnershipTransferred { old_owner_user_id, new_owner_user_id });
        work.save(project)
    }
}
