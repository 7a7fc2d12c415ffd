//! Signatures after the Standard Webhooks specification: HMAC-SHA256 over id, moment and body. Pure.

use crate::kernel::{Error, ErrorCode, Result, SecretBytes};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

const PREFIX: &str = "whsec_";
/// How many random bytes a new key has.
pub(super) const KEY_BYTES: usize = 32;

/// A key that deliveries are signed with: `whsec_` and 24 to 64 bytes in base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey(SecretBytes);

impl SigningKey {
    /// From random bytes.
    pub fn new(random: [u8; KEY_BYTES]) -> Self {
        SigningKey(SecretBytes::new(random))
    }

    /// Reads the form that receivers are given.
    ///
    /// # Errors
    /// `webhook_secret_invalid`.
    pub fn parse(text: &str) -> Result<Self> {
        let invalid = || Error::new(ErrorCode::WebhookSecretInvalid);
        let bytes = STANDARD.decode(text.strip_prefix(PREFIX).ok_or_else(invalid)?).map_err(|_| invalid())?;
        if (24..=64).contains(&bytes.len()) { Ok(SigningKey(SecretBytes::new(bytes))) } else { Err(invalid()) }
    }

    /// The form that receivers are given.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0.expose()))
    }
}

/// The signature of one attempt, as one of the parts of the header `webhook-signature`.
pub fn sign(key: &SigningKey, message_id: &str, unix_seconds: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.0.expose()).expect("HMAC takes keys of any length");
    mac.update(format!("{message_id}.{unix_seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn signed(key: &str, id: &str, at: i64, body: &str, expected: &str) {
        let key = SigningKey::parse(key).unwrap();
        assert_eq!(sign(&key, id, at, body.as_bytes()), expected);
    }

    #[test]
    fn case_01_a_signature_of_our_own() {
        let key = "whsec_AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";
        let body = r#"{"specversion":"1.0","id":"evt1"}"#;
        signed(key, "msg_0001", 1_735_732_800, body, "v1,CCmSD5o1AckQnWBSx3ufswyGKVTR/dsMK75cm+zbpSo=");
    }

    #[test]
    fn case_02_the_public_vector() {
        let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = r#"{"test": 2432232314}"#;
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, expected);
    }

    #[test]
    fn a_key_survives_its_text_and_is_never_printed() {
        let key = SigningKey::new([7; KEY_BYTES]);
        assert_eq!(SigningKey::parse(&key.reveal()), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "SigningKey([redacted])");
    }

    #[test]
    fn case_22_what_is_no_key() {
        for text in ["abc", "whsec_", "whsec_AQID", "whsec_!!!!", "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="] {
            assert_eq!(SigningKey::parse(text).map_err(|e| e.code()), Err(ErrorCode::WebhookSecretInvalid), "{text}");
        }
    }
}
