//! Ends a credential.

use super::super::{Credential, CredentialEvent};
use super::save;
use crate::channels::channel::queries::connected_through;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{CredentialId, Error, ErrorCode, Permission, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Deletes a credential; its secrets are destroyed at once and for good.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeleteCredential {
    pub id: CredentialId,
    /// Also when a channel that is on needs it; the channel goes to error.
    #[serde(default)]
    pub force: bool,
}

impl Command for DeleteCredential {
    const NAME: &'static str = "credentials.delete";
    const PERMISSION: Permission = Permission::CredentialsManage;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::CredentialNotFound, ErrorCode::CredentialInUse];
    type Output = Credential;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Credential> {
        let mut credential = work.load::<Credential>(self.id).await?;
        if !self.force
            && let Some(channel) = connected_through(work.reader(), self.id).await?.into_iter().find(|c| c.is_on())
        {
            return Err(Error::new(ErrorCode::CredentialInUse).with("channel_id", channel.id.to_string()));
        }
        for secret in credential.secrets() {
            work.shred(credential.project_id, secret);
        }
        let deleted_at = work.now();
        credential.record(CredentialEvent::Deleted { deleted_at, shredded: true });
        save(work, credential)
    }
}
