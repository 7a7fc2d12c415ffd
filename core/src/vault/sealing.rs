//! The cipher and the text form of a sealed value: `v1.<key id>.<nonce>.<ciphertext>`, the last two in base64url.
//!
//! XChaCha20-Poly1305: its 24-byte nonces can be drawn at random for as many secrets as anybody has.

use crate::kernel::{Error, ErrorCode, Result, SecretBytes};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 24;
const FORM: &str = "v1";

/// Seals `value` under `key`, bound to `place`.
pub(crate) fn seal(
    key: &SecretBytes,
    key_id: &str,
    nonce: [u8; NONCE_BYTES],
    place: &[u8],
    value: &SecretBytes,
) -> Result<String> {
    let payload = Payload { msg: value.expose(), aad: place };
    let sealed = cipher(key)?.encrypt(XNonce::from_slice(&nonce), payload);
    let sealed = sealed.map_err(|_| Error::internal("a secret is too long for its cipher"))?;
    Ok(format!("{FORM}.{key_id}.{}.{}", URL_SAFE_NO_PAD.encode(nonce), URL_SAFE_NO_PAD.encode(sealed)))
}

/// Opens a sealed text that was bound to `place`.
///
/// # Errors
/// `corrupt_data` when it has not the form of one sealed under `key_id`, `secret_tampered` when key, place or text differ.
pub(crate) fn open(key: &SecretBytes, key_id: &str, place: &[u8], sealed: &str) -> Result<SecretBytes> {
    let unreadable = || Error::corrupt("a sealed secret has an unknown form");
    let mut parts = sealed.split('.');
    let form = (parts.next(), parts.next());
    if form != (Some(FORM), Some(key_id)) {
        return Err(unreadable());
    }
    let mut bytes = || parts.next().and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let (nonce, sealed) = bytes().zip(bytes()).ok_or_else(unreadable)?;
    if nonce.len() != NONCE_BYTES || parts.next().is_some() {
        return Err(unreadable());
    }
    let opened = cipher(key)?.decrypt(XNonce::from_slice(&nonce), Payload { msg: &sealed, aad: place });
    opened.map(SecretBytes::new).map_err(|_| ErrorCode::SecretTampered.into())
}

fn cipher(key: &SecretBytes) -> Result<XChaCha20Poly1305> {
    let bytes = key.expose();
    if bytes.len() != KEY_BYTES {
        return Err(Error::corrupt("a data key has another length"));
    }
    Ok(XChaCha20Poly1305::new(Key::from_slice(bytes)))
}
