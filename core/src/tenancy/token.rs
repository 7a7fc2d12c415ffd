//! Secrets that are shown once: only their hash is kept.

use crate::engine::UnitOfWork;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// A new token of 32 random bytes as 43 characters, and its hash.
pub fn new(work: &UnitOfWork<'_>) -> (String, String) {
    let token = text(work);
    let hash = hash(&token);
    (token, hash)
}

/// 32 random bytes as 43 characters.
pub fn text(work: &UnitOfWork<'_>) -> String {
    URL_SAFE_NO_PAD.encode(work.random::<32>())
}

/// SHA-256 in lower-case hex.
pub fn hash(token: &str) -> String {
    Sha256::digest(token).iter().fold(String::with_capacity(64), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a string takes every write");
        hex
    })
}

/// Compares in a time that does not tell where the difference is.
pub fn equal(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b)) == 0
}
