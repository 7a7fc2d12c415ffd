//! Where master keys come from.

use super::KEY_BYTES;
use crate::kernel::{Error, ErrorCode, Result, SecretBytes};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use sha2::{Digest, Sha256};

/// A key that seals the data keys of projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKey {
    id: String,
    bytes: SecretBytes,
}

impl MasterKey {
    /// A key under a name of the host's: 1 to 64 letters, digits, `-` and `_`. One name never means two keys.
    ///
    /// # Errors
    /// `key_length_invalid` unless the key has 32 bytes, `id_invalid`.
    pub fn new(id: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Result<MasterKey> {
        let (id, bytes) = (id.into(), SecretBytes::new(bytes));
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if id.is_empty() || id.len() > 64 || !id.bytes().all(fits) {
            return Err(Error::new(ErrorCode::IdInvalid).message("a key's id is 1 to 64 of A-Z, a-z, 0-9, - and _"));
        }
        let length = bytes.expose().len();
        if length != KEY_BYTES {
            return Err(Error::new(ErrorCode::KeyLengthInvalid).with("expected", KEY_BYTES).with("current", length));
        }
        Ok(MasterKey { id, bytes })
    }

    /// The name that sealed data keys refer to.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn bytes(&self) -> &SecretBytes {
        &self.bytes
    }
}

/// Supplies master keys by id: from the environment, a file, a key service. Several ids make rotation possible.
#[async_trait]
pub trait KeyProvider: Send + Sync {
    /// The key that new data keys are sealed under.
    async fn current(&self) -> Result<MasterKey>;

    /// The key of an id, or `None` when the provider does not have it.
    async fn key(&self, id: &str) -> Result<Option<MasterKey>>;
}

/// One key, given at opening.
#[derive(Debug, Clone)]
pub struct StaticKey(MasterKey);

impl StaticKey {
    /// A key of 32 random bytes. It is named after its own hash, so that another key is told from a damaged secret.
    ///
    /// # Errors
    /// `key_length_invalid`.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<StaticKey> {
        let bytes = bytes.into();
        let hash = Sha256::new().chain_update(b"ventros.master-key-id").chain_update(&bytes).finalize();
        let id = format!("m{}", crate::channels::gateway::hex(&hash[..6]));
        MasterKey::new(id, bytes).map(StaticKey)
    }

    /// As [`new`](Self::new), from base64, plain or URL-safe.
    ///
    /// # Errors
    /// `input_invalid` when it is not base64, `key_length_invalid`.
    pub fn from_base64(text: &str) -> Result<StaticKey> {
        let text = text.trim();
        let bytes = STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text));
        let bytes = bytes.map_err(|_| Error::new(ErrorCode::InputInvalid).message("a key is 32 bytes in base64"))?;
        StaticKey::new(bytes)
    }
}

impl From<StaticKey> for MasterKey {
    fn from(key: StaticKey) -> MasterKey {
        key.0
    }
}

/// Several keys, given at opening: new data keys are sealed under the first, and the older ones open what is still sealed under
/// them. After `credentials.rotate_keys` nothing is, and they can be left out.
#[derive(Debug, Clone)]
pub struct KeyRing {
    current: MasterKey,
    older: Vec<MasterKey>,
}

impl KeyRing {
    /// The key in use, and those that were in use before.
    pub fn new(current: impl Into<MasterKey>, older: impl IntoIterator<Item = MasterKey>) -> KeyRing {
        KeyRing { current: current.into(), older: older.into_iter().collect() }
    }
}

#[async_trait]
impl KeyProvider for KeyRing {
    async fn current(&self) -> Result<MasterKey> {
        Ok(self.current.clone())
    }

    async fn key(&self, id: &str) -> Result<Option<MasterKey>> {
        Ok(std::iter::once(&self.current).chain(&self.older).find(|key| key.id == id).cloned())
    }
}

#[async_trait]
impl KeyProvider for StaticKey {
    async fn current(&self) -> Result<MasterKey> {
        Ok(self.0.clone())
    }

    async fn key(&self, id: &str) -> Result<Option<MasterKey>> {
        Ok((self.0.id == id).then(|| self.0.clone()))
    }
}
