//! Sealing and opening inside a call: new secrets enter the unit of work and are committed with the events that name them.

use super::reader::Reader;
use super::work::UnitOfWork;
use crate::kernel::{Error, ErrorCode, ProjectId, Result, SecretBytes, SecretId, SecretRef};
use crate::storage::{SecretRecord, SecretWrite};
use crate::vault::{
    DATA_KEY, FINGERPRINT_KEY, KEY_BYTES, KeyProvider, MAX_SECRET_BYTES, NONCE_BYTES, SecretPlace, data_key_name,
    data_key_version, open, seal,
};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;

/// What a unit of work does to the vault.
#[derive(Default)]
pub(super) struct SecretWork {
    pub writes: Vec<SecretWrite>,
    /// The current data key of each project that secrets were sealed for.
    data_keys: BTreeMap<ProjectId, (u32, SecretBytes)>,
    fingerprint_keys: BTreeMap<ProjectId, SecretBytes>,
}

/// What became of secrets that were to be sealed anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Resealed {
    pub rows: u64,
    /// Those that their own key does not open: they were of no use before, and stay as they are.
    pub unreadable: u64,
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
        let secret = self.seal_beside(place, replaces, value).await?;
        if let Some(old) = replaces {
            self.shred(place.project_id, old);
        }
        Ok(secret)
    }

    /// As [`seal`](Self::seal), but the old value stays: whoever asks for it destroys it later, with [`shred`](Self::shred).
    pub async fn seal_beside(
        &mut self,
        place: &SecretPlace,
        older: Option<SecretRef>,
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
        let secret = match older {
            Some(old) => SecretRef { revision: old.revision + 1, ..old },
            None => SecretRef { secret_id: self.new_id(), revision: 1 },
        };
        self.put(place, secret, &key, data_key_name(version), value)?;
        Ok(secret)
    }

    /// Destroys a secret with all its earlier revisions.
    pub fn shred(&mut self, project_id: ProjectId, secret: SecretRef) {
        let (id, revision) = (secret.secret_id.uuid(), secret.revision);
        self.secrets.writes.push(SecretWrite::Shred { project_id, id, revision });
    }

    /// Destroys all secrets of a project and its data keys. Sealed values in backups open no more: their key is gone.
    pub fn shred_all(&mut self, project_id: ProjectId) {
        self.secrets.writes.push(SecretWrite::ShredAll { project_id });
    }

    /// Tells whether two secrets of a project are the same, and nothing else of them: 16 hexadecimal digits of a keyed hash.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub async fn fingerprint(&mut self, project: ProjectId, value: &SecretBytes) -> Result<String> {
        let key = self.fingerprint_key(project).await?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.expose())
            .map_err(|_| Error::internal("a fingerprint key of another length"))?;
        mac.update(value.expose());
        Ok(crate::channels::gateway::hex(&mac.finalize().into_bytes()[..8]))
    }

    async fn fingerprint_key(&mut self, project: ProjectId) -> Result<SecretBytes> {
        if let Some(known) = self.secrets.fingerprint_keys.get(&project) {
            return Ok(known.clone());
        }
        let place = SecretPlace::of_fingerprint_key(project);
        let secret = SecretRef { secret_id: FINGERPRINT_KEY, revision: 1 };
        let key = match self.reader().open_secret(&place, secret).await? {
            Some(key) => key,
            None => {
                let (version, data_key) = self.data_key(project).await?;
                let key = SecretBytes::new(self.random::<KEY_BYTES>());
                self.put(&place, secret, &data_key, data_key_name(version), &key)?;
                key
            }
        };
        self.secrets.fingerprint_keys.insert(project, key.clone());
        Ok(key)
    }

    /// Gives the project another data key, which everything is sealed under from now on, and tells its version; `None` for a
    /// project that has none yet.
    pub(crate) async fn renew_data_key(&mut self, project: ProjectId) -> Result<Option<u32>> {
        let keys = self.reader().keys()?;
        let Some(current) = self.reader().storage().secret(project, DATA_KEY.uuid(), None).await? else {
            return Ok(None);
        };
        let version = current.revision + 1;
        self.put_data_key(keys, project, version).await?;
        Ok(Some(version))
    }

    /// Seals secrets of a project anew under its current data key.
    pub(crate) async fn reseal(&mut self, project: ProjectId, records: &[SecretRecord]) -> Result<Resealed> {
        let (version, key) = self.data_key(project).await?;
        let mut old_keys: BTreeMap<&str, SecretBytes> = BTreeMap::new();
        let mut told = Resealed::default();
        for record in records {
            let old = match old_keys.get(record.key_id.as_str()) {
                Some(known) => known.clone(),
                None => {
                    let old = self.reader().data_key_of(record).await?;
                    old_keys.insert(&record.key_id, old.clone());
                    old
                }
            };
            let (place, secret) = (SecretPlace::of(record), reference(record));
            match open(&old, &record.key_id, &place.bind(secret), &record.sealed) {
                Ok(value) => {
                    self.replace_sealed(record, &place, &key, data_key_name(version), &value)?;
                    told.rows += 1;
                }
                Err(error) if matches!(error.code(), ErrorCode::SecretTampered | ErrorCode::CorruptData) => {
                    told.unreadable += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(told)
    }

    /// Seals the data keys of a project anew under the current master key, and tells under which others they were.
    pub(crate) async fn rewrap(&mut self, project: ProjectId) -> Result<Vec<String>> {
        let keys = self.reader().keys()?;
        let master = keys.current().await?;
        let storage = self.reader().storage();
        let newest = storage.secret(project, DATA_KEY.uuid(), None).await?.map_or(0, |record| record.revision);
        let mut replaced = Vec::new();
        for version in 1..=newest {
            let Some(record) = storage.secret(project, DATA_KEY.uuid(), Some(version)).await? else { continue };
            if record.key_id != master.id() {
                let key = unwrap(keys, &record).await?;
                let place = SecretPlace::of_data_key(project);
                self.replace_sealed(&record, &place, master.bytes(), master.id().to_owned(), &key)?;
                replaced.push(record.key_id);
            }
        }
        Ok(replaced)
    }

    /// The project's current data key; its first secret makes one. Nothing is committed that was sealed under a key that another
    /// has replaced meanwhile, so once it has been replaced, nothing new comes under it.
    async fn data_key(&mut self, project: ProjectId) -> Result<(u32, SecretBytes)> {
        if let Some(known) = self.secrets.data_keys.get(&project) {
            return Ok(known.clone());
        }
        let keys = self.reader().keys()?;
        let stored = self.reader().storage().secret(project, DATA_KEY.uuid(), None).await?;
        let current = match stored {
            Some(record) => {
                let (id, revision, owner) = (record.id, record.revision, SecretPlace::of_data_key(project).owner);
                self.secrets.writes.push(SecretWrite::Newest { project_id: project, id, revision, owner });
                (revision, unwrap(keys, &record).await?)
            }
            None => (1, self.put_data_key(keys, project, 1).await?),
        };
        self.secrets.data_keys.insert(project, current.clone());
        Ok(current)
    }

    async fn put_data_key(&mut self, keys: &dyn KeyProvider, project: ProjectId, version: u32) -> Result<SecretBytes> {
        let key = SecretBytes::new(self.random::<KEY_BYTES>());
        let master = keys.current().await?;
        let secret = SecretRef { secret_id: DATA_KEY, revision: version };
        self.put(&SecretPlace::of_data_key(project), secret, master.bytes(), master.id().to_owned(), &key)?;
        Ok(key)
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
            owner: place.owner,
            field: place.field.clone().into_owned(),
            sealed: seal(key, &key_id, nonce, &place.bind(secret), value)?,
            key_id,
            created_at: self.now(),
        };
        self.secrets.writes.push(SecretWrite::Put(record));
        Ok(())
    }

    fn replace_sealed(
        &mut self,
        old: &SecretRecord,
        place: &SecretPlace,
        key: &SecretBytes,
        key_id: String,
        value: &SecretBytes,
    ) -> Result<()> {
        let nonce = self.random::<NONCE_BYTES>();
        let sealed = seal(key, &key_id, nonce, &place.bind(reference(old)), value)?;
        let replaces = old.key_id.clone();
        self.secrets
            .writes
            .push(SecretWrite::Reseal { record: SecretRecord { key_id, sealed, ..old.clone() }, replaces });
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
        self.keys()?;
        let stored = self.storage().secret(place.project_id, secret.secret_id.uuid(), Some(secret.revision)).await?;
        let Some(record) = stored else { return Ok(None) };
        let key = self.data_key_of(&record).await?;
        open(&key, &record.key_id, &place.bind(secret), &record.sealed).map(Some)
    }

    /// The data key that a secret is sealed under.
    async fn data_key_of(&self, record: &SecretRecord) -> Result<SecretBytes> {
        let unknown = || Error::corrupt("a secret is sealed under an unknown key");
        let version = data_key_version(&record.key_id).ok_or_else(unknown)?;
        let wrapped = self.storage().secret(record.project_id, DATA_KEY.uuid(), Some(version)).await?;
        unwrap(self.keys()?, &wrapped.ok_or_else(unknown)?).await
    }

    pub(crate) fn keys(&self) -> Result<&'e dyn KeyProvider> {
        self.core().keys.as_deref().ok_or_else(|| ErrorCode::EncryptionNotConfigured.into())
    }
}

fn reference(record: &SecretRecord) -> SecretRef {
    SecretRef { secret_id: SecretId::from_uuid(record.id), revision: record.revision }
}

/// A data key from its sealed form.
async fn unwrap(keys: &dyn KeyProvider, record: &SecretRecord) -> Result<SecretBytes> {
    let master = keys.key(&record.key_id).await?;
    let unknown = || Error::new(ErrorCode::EncryptionKeyNotFound).with("key_id", record.key_id.as_str());
    let master = master.ok_or_else(unknown)?;
    let place = SecretPlace::of_data_key(record.project_id);
    open(master.bytes(), &record.key_id, &place.bind(reference(record)), &record.sealed)
}
