//! Sealing and opening inside a call: new secrets enter the unit of work and are committed with the events that name them.

use super::reader::Reader;
use super::work::UnitOfWork;
use crate::kernel::{Error, ErrorCode, ProjectId, Result, SecretBytes, SecretId, SecretRef};
use crate::storage::{SecretRecord, SecretWrite};
use crate::vault::{
    DATA_KEY, KEY_BYTES, KeyProvider, MAX_SECRET_BYTES, NONCE_BYTES, SecretPlace, data_key_name, data_key_version,
    open, seal,
};
use std::collections::BTreeMap;

/// What a unit of work does to the vault.
#[derive(Default)]
pub(super) struct SecretWork {
    pub writes: Vec<SecretWrite>,
    /// The current data key of each project that secrets were sealed for.
    data_keys: BTreeMap<ProjectId, (u32, SecretBytes)>,
}

impl UnitOfWork<'_> {
    /// Whether secrets can be kept.
    pub fn has_vault(&self) -> bool {
        self.reader().has_vault()
    }

    /// Seals a value for its place. With `replaces` it is the next revision of that secret, and the old value is destroyed
    /// in the same commit.
    ///
    /// # Errors
    /// `encryption_not_configured`, `secret_empty`, `secret_too_large`; say which field with `.at(..)`.
    pub async fn seal(
        &mut self,
        place: &SecretPlace,
        replaces: Option<SecretRef>,
        value: &SecretBytes,
    ) -> Result<SecretRef> {
        let length = value.expose().len();
        if length == 0 {
            return Err(ErrorCode::SecretEmpty.into());
        }
        if length > MAX_SECRET_BYTES {
            return Err(Error::new(ErrorCode::SecretTooLarge).with("max", MAX_SECRET_BYTES).with("current", length));
        }
        let (version, key) = self.data_key(place.project_id).await?;
        let secret = match replaces {
            Some(old) => SecretRef { revision: old.revision + 1, ..old },
            None => SecretRef { secret_id: self.new_id(), revision: 1 },
        };
        if let Some(old) = replaces {
            self.shred(place.project_id, old);
        }
        self.put(place, secret, &key, data_key_name(version), value)?;
        Ok(secret)
    }

    /// Destroys a secret with all its earlier revisions.
    pub fn shred(&mut self, project_id: ProjectId, secret: SecretRef) {
        let (id, revision) = (secret.secret_id.uuid(), secret.revision);
        self.secrets.writes.push(SecretWrite::Shred { project_id, id, revision });
    }

    /// The project's current data key; its first secret makes one.
    async fn data_key(&mut self, project: ProjectId) -> Result<(u32, SecretBytes)> {
        if let Some(known) = self.secrets.data_keys.get(&project) {
            return Ok(known.clone());
        }
        let keys = self.reader().keys()?;
        let stored = self.reader().storage().secret(project, DATA_KEY.uuid(), None).await?;
        let current = match stored {
            Some(record) => (record.revision, unwrap(keys, &record).await?),
            None => {
                let key = SecretBytes::new(self.random::<KEY_BYTES>());
                let master = keys.current().await?;
                let first = SecretRef { secret_id: DATA_KEY, revision: 1 };
                let place = SecretPlace::of_data_key(project);
                self.put(&place, first, master.bytes(), master.id().to_owned(), &key)?;
                (first.revision, key)
            }
        };
        self.secrets.data_keys.insert(project, current.clone());
        Ok(current)
    }

    fn put(
        &mut self,
        place: &SecretPlace,
        secret: SecretRef,
        key: &SecretBytes,
        key_id: String,
        value: &SecretBytes,
    ) -> Result<()> {
        let nonce = self.random::<NONCE_BYTES>();
        let record = SecretRecord {
            project_id: place.project_id,
            id: secret.secret_id.uuid(),
            revision: secret.revision,
            sealed: seal(key, &key_id, nonce, &place.bind(secret), value)?,
            key_id,
            created_at: self.now(),
        };
        self.secrets.writes.push(SecretWrite::Put { record, owner: place.owner });
        Ok(())
    }
}

impl<'e> Reader<'e> {
    /// Whether secrets can be kept.
    pub fn has_vault(&self) -> bool {
        self.core().keys.is_some()
    }

    /// Opens a committed secret; `None` when it was destroyed.
    ///
    /// # Errors
    /// `encryption_not_configured`, `encryption_key_not_found` when it is sealed under a master key that was not given,
    /// `secret_tampered`, `corrupt_data`.
    pub async fn open_secret(&self, place: &SecretPlace, secret: SecretRef) -> Result<Option<SecretBytes>> {
        let keys = self.keys()?;
        let project = place.project_id;
        let stored = self.storage().secret(project, secret.secret_id.uuid(), Some(secret.revision)).await?;
        let Some(record) = stored else { return Ok(None) };
        let unknown = || Error::corrupt("a secret is sealed under an unknown key");
        let version = data_key_version(&record.key_id).ok_or_else(unknown)?;
        let wrapped = self.storage().secret(project, DATA_KEY.uuid(), Some(version)).await?;
        let key = unwrap(keys, &wrapped.ok_or_else(unknown)?).await?;
        open(&key, &record.key_id, &place.bind(secret), &record.sealed).map(Some)
    }

    fn keys(&self) -> Result<&'e dyn KeyProvider> {
        self.core().keys.as_deref().ok_or_else(|| ErrorCode::EncryptionNotConfigured.into())
    }
}

/// A data key from its sealed form.
async fn unwrap(keys: &dyn KeyProvider, record: &SecretRecord) -> Result<SecretBytes> {
    let master = keys.key(&record.key_id).await?;
    let unknown = || Error::new(ErrorCode::EncryptionKeyNotFound).with("key_id", record.key_id.as_str());
    let master = master.ok_or_else(unknown)?;
    let place = SecretPlace::of_data_key(record.project_id);
    let secret = SecretRef { secret_id: SecretId::from_uuid(record.id), revision: record.revision };
    open(master.bytes(), &record.key_id, &place.bind(secret), &record.sealed)
}
