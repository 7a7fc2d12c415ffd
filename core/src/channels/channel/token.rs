//! The secret last segment of the address that a provider delivers to. Rows and events hold its hash, the vault the rest.

use crate::channels::gateway::normalised::hex;
use crate::kernel::{RevealedText, SecretBytes};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

/// A token in plain text, on its way to the one who asked for it.
pub struct WebhookToken(String);

impl WebhookToken {
    /// From 128 random bits.
    pub fn new(random: [u8; 16]) -> Self {
        WebhookToken(URL_SAFE_NO_PAD.encode(random))
    }

    /// As a provider sent it.
    pub fn given(text: &str) -> Self {
        WebhookToken(text.to_owned())
    }

    /// What is kept: the SHA-256 in hexadecimal.
    pub fn hash(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }

    /// The text itself, to be sealed.
    pub fn secret(&self) -> SecretBytes {
        SecretBytes::new(self.0.as_str())
    }

    /// The text itself, to be shown.
    pub fn reveal(self) -> RevealedText {
        RevealedText::new(self.0)
    }
}
