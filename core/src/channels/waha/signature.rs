//! Proof that a webhook comes from our gateway: HMAC-SHA512 over the raw body, in hexadecimal.

use crate::channels::gateway::{GatewayContext, Headers, Rejection, Verification};
use hmac::{Hmac, Mac};
use sha2::Sha512;

const MAC: &str = "X-Webhook-Hmac";
const ALGORITHM: &str = "X-Webhook-Hmac-Algorithm";

/// With a key the header must be there and match. The MAC does not cover the delivery's time, so there is no time
/// window: a replay meets the dedupe key instead.
pub(super) fn verify(context: &GatewayContext, headers: &Headers, raw: &[u8]) -> Verification {
    let Some(key) = &context.webhook_hmac_key else { return Verification::NotRequired };
    let Some(given) = headers.get(MAC).filter(|given| !given.is_empty()) else {
        return Verification::Rejected { reason: Rejection::MissingSignature };
    };
    let known = headers.get(ALGORITHM).is_none_or(|name| name.eq_ignore_ascii_case("sha512"));
    let matches = match (unhex(given), Hmac::<Sha512>::new_from_slice(key.expose())) {
        (Some(given), Ok(mut mac)) if known => {
            mac.update(raw);
            // Compares in constant time.
            mac.verify_slice(&given).is_ok()
        }
        _ => false,
    };
    if matches { Verification::Verified } else { Verification::Rejected { reason: Rejection::InvalidSignature } }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}
