//! Who may speak: the signature over the raw body.

use super::*;
use crate::channels::gateway::{Rejection, SecretBytes, Verification};

const BODY: &[u8] = br#"{"event":"message","session":"default","engine":"WEBJS"}"#;
const MAC: &str = "208f8a55dde9e05519e898b10b89bf0d0b3b0fdf11fdbf09b6b90476301b98d8097c462b2b17a6ce93b6b47a136cf2e78a33a63f6752c2c1631777076153fa89";

fn keyed() -> GatewayContext {
    let mut context = GatewayContext::new("default", at("2025-01-01T12:00:00Z"));
    context.webhook_hmac_key = Some(SecretBytes::new("my-secret-key"));
    context
}

fn signed(mac: &str, algorithm: &str) -> Headers {
    [("x-webhook-hmac", mac), ("X-Webhook-Hmac-Algorithm", algorithm)].into_iter().collect()
}

#[test]
fn case_21_the_signature_of_the_test_vector() {
    let headers = signed(MAC, "sha512");
    assert_eq!(Waha.verify(&keyed(), &headers, BODY), Verification::Verified);
    let mut changed = BODY.to_vec();
    changed[3] ^= 1;
    let invalid = Verification::Rejected { reason: Rejection::InvalidSignature };
    assert_eq!(Waha.verify(&keyed(), &headers, &changed), invalid);
    assert_eq!(Waha.verify(&keyed(), &signed(&MAC[2..], "sha512"), BODY), invalid);
    assert_eq!(Waha.verify(&keyed(), &signed("zz", "sha512"), BODY), invalid);
    assert_eq!(Waha.verify(&keyed(), &signed(MAC, "sha256"), BODY), invalid);
    let missing = Verification::Rejected { reason: Rejection::MissingSignature };
    assert_eq!(Waha.verify(&keyed(), &Headers::default(), BODY), missing);
    let open = GatewayContext::new("default", at("2025-01-01T12:00:00Z"));
    assert_eq!(Waha.verify(&open, &Headers::default(), BODY), Verification::NotRequired);
}

#[test]
fn deliveries_are_keyed_by_event_id_request_id_or_digest() {
    let context = line_one("session-one");
    let body = event("chat.archive", json!({"id": "551190000001@c.us", "archived": true}));
    assert_eq!(read(&context, body.to_string()).dedupe_key, "evt_01jgh000000000000000000099");
    let headers: Headers = [("X-Webhook-Request-Id", "req-7")].into_iter().collect();
    assert_eq!(Waha.normalise(&context, &headers, b"{}").dedupe_key, "req-7");
    let digest = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
    assert_eq!(read(&context, "{}").dedupe_key, digest);
}
