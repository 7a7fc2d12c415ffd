//! The keys that secrets are sealed under, for whoever looks after the installation.

use super::super::rotation;
use crate::engine::{Command, OperationScope, UnitOfWork};
use crate::infrastructure::audit::{AuditEvent, record};
use crate::kernel::{Error, ErrorCode, Permission, ProjectId, Result};
use crate::storage::{Scope, SecretQuery, Storage};
use crate::tenancy::access;
use crate::vault::{DATA_KEY, data_key_name, data_key_version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Has everything sealed under another key. It happens in the background, some at a time, and ends with
/// `encryption_key.rotated`; meanwhile everything opens.
///
/// With a project its data key is replaced, and its secrets are sealed under the new one. Without one, all data keys are sealed
/// under the master key that the installation was opened with as the current one; no secret itself is touched. The result of the
/// job (`keys.rewrap`, in `jobs.list`) names the keys that they were under: those can be given to `credentials.retire_key`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateKeys {
    /// Whose data key is replaced; the nil id for secrets of users. The master key unless told.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
}

/// A change of keys that has begun.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KeyRotation {
    /// The key that everything will be under.
    pub key_id: String,
}

impl Command for RotateKeys {
    const NAME: &'static str = "credentials.rotate_keys";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ProjectNotFound, ErrorCode::EncryptionNotConfigured, ErrorCode::EncryptionKeyNotFound];
    type Output = KeyRotation;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<KeyRotation> {
        let Some(project) = self.project_id else {
            let key_id = work.reader().keys()?.current().await?.id().to_owned();
            rotation::start_rewrapping(work, key_id.clone());
            return Ok(KeyRotation { key_id });
        };
        enter(work, project).await?;
        let version = work.renew_data_key(project).await?;
        let version = version.ok_or_else(|| unknown("the project has no secrets and no key yet"))?;
        rotation::start_resealing(work, version);
        Ok(KeyRotation { key_id: data_key_name(version) })
    }
}

/// Puts a key out of use for good. A data key is destroyed with those before it. A master key is the host's: when this has
/// succeeded, nothing is sealed under it and the host may destroy it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireKey {
    /// A master key, or with a project one of its data keys, such as `p1`.
    pub key_id: String,
    /// Whose data key it is; the nil id for secrets of users. A master key unless told.
    #[serde(default)]
    pub project_id: Option<ProjectId>,
}

/// A key that is out of use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RetiredKey {
    pub key_id: String,
    /// How many versions of the data key were destroyed.
    pub rows: u64,
}

impl Command for RetireKey {
    const NAME: &'static str = "credentials.retire_key";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::ProjectNotFound,
        ErrorCode::KeyInUse,
        ErrorCode::EncryptionNotConfigured,
        ErrorCode::EncryptionKeyNotFound,
    ];
    type Output = RetiredKey;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<RetiredKey> {
        let key_id = self.key_id;
        let rows = match self.project_id {
            Some(project) => {
                enter(work, project).await?;
                retire_data_key(work, project, &key_id).await?
            }
            None => {
                let keys = work.reader().keys()?;
                if keys.current().await?.id() == key_id {
                    return Err(in_use(&key_id));
                }
                refuse_used(work.reader().storage(), Scope::Installation, &key_id).await?;
                0
            }
        };
        let project_id = self.project_id;
        record(work, AuditEvent::EncryptionKeyRetired { project_id, key_id: key_id.clone(), rows }).await?;
        Ok(RetiredKey { key_id, rows })
    }
}

/// Works in a project from now on; the nil id stands for the system log.
async fn enter(work: &mut UnitOfWork<'_>, project: ProjectId) -> Result<()> {
    let is_there = project.is_system() || access::project_of(work.reader(), project).await?.is_some();
    if !is_there {
        return Err(Error::new(ErrorCode::ProjectNotFound).at("project_id").with("id", project.to_string()));
    }
    work.enter_project(project);
    Ok(())
}

/// Destroys a version of a data key with those before it, once nothing is sealed under any of them. Nothing new can come under
/// them, because every commit with a secret relies on the newest version.
async fn retire_data_key(work: &mut UnitOfWork<'_>, project: ProjectId, key_id: &str) -> Result<u64> {
    work.reader().keys()?;
    let storage = work.reader().storage();
    let newest = storage.secret(project, DATA_KEY.uuid(), None).await?.map_or(0, |record| record.revision);
    let version = data_key_version(key_id).filter(|version| (1..=newest).contains(version));
    let version = version.ok_or_else(|| unknown("the project has no such key").with("key_id", key_id))?;
    if version == newest {
        return Err(in_use(key_id));
    }
    let mut rows = 0;
    for earlier in 1..=version {
        let is_there = storage.secret(project, DATA_KEY.uuid(), Some(earlier)).await?.is_some();
        if is_there {
            refuse_used(storage, Scope::Project(project), &data_key_name(earlier)).await?;
            rows += 1;
        }
    }
    if rows == 0 {
        return Err(unknown("the key has been retired already").with("key_id", key_id));
    }
    work.shred(project, crate::kernel::SecretRef { secret_id: DATA_KEY, revision: version });
    Ok(rows)
}

async fn refuse_used(storage: &dyn Storage, scope: Scope, key_id: &str) -> Result<()> {
    let query = SecretQuery { key_id: key_id.to_owned(), after: None, limit: 1 };
    if storage.secrets_under(scope, &query).await?.is_empty() { Ok(()) } else { Err(in_use(key_id)) }
}

fn in_use(key_id: &str) -> Error {
    Error::new(ErrorCode::KeyInUse).at("key_id").with("key_id", key_id)
}

fn unknown(why: &str) -> Error {
    Error::new(ErrorCode::EncryptionKeyNotFound).message(why)
}
