//! What can be asked about credentials. No answer holds a secret.

use super::Credential;
use crate::engine::{Query, Reader};
use crate::kernel::{CredentialId, ErrorCode, Permission, Result, fold};
use crate::storage::{Page, PageRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A credential by its id, without its secrets.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetCredential {
    pub id: CredentialId,
}

impl Query for GetCredential {
    const NAME: &'static str = "credentials.get";
    const PERMISSION: Permission = Permission::CredentialsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::CredentialNotFound];
    type Output = Credential;

    async fn run(self, read: &Reader<'_>) -> Result<Credential> {
        read.get(self.id).await
    }
}

/// The credential of a name, whatever its case; null when there is none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindCredential {
    pub name: String,
}

impl Query for FindCredential {
    const NAME: &'static str = "credentials.find";
    const PERMISSION: Permission = Permission::CredentialsView;
    type Output = Option<Credential>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Credential>> {
        read.by_key(Credential::NAME_SPACE, "", &fold(&self.name)).await
    }
}

/// Credentials, without their secrets. Filter: name, credential_type, status, expires_at, last_used_at, `metadata.<key>`. Sort:
/// name, created_at, expires_at, last_used_at.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListCredentials {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListCredentials {
    const NAME: &'static str = "credentials.list";
    const PERMISSION: Permission = Permission::CredentialsView;
    type Output = Page<Credential>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Credential>> {
        read.page(&self.page).await
    }
}

crate::operations![queries: GetCredential, FindCredential, ListCredentials];
