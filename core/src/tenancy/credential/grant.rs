//! When tokens are refreshed, and what follows from a refresh that failed.

use super::values::OAuthState;
use crate::kernel::Timestamp;

/// How long one refresh may take before another may begin, in seconds.
pub const REFRESH_LEASE_SECONDS: i64 = 60;
/// How long a secret opens after it was replaced, in seconds: a day.
pub(super) const DEFAULT_GRACE_SECONDS: i64 = 24 * 3600;
/// The longest time before its end that a token is refreshed, in seconds.
const MAX_SKEW_SECONDS: i64 = 30 * 60;
/// The longest wait after a failure, in seconds.
const MAX_BACKOFF_SECONDS: i64 = 3600;
/// Failures after which a token that has ended is given up.
const MAX_FAILURES: u32 = 10;

/// Words of providers for: a person has to authorise again.
const FINAL: &[&str] =
    &["invalid_grant", "invalid_client", "unauthorized_client", "access_denied", "consent_revoked", "token_revoked"];

/// How long before its end a token of this life is refreshed, in seconds: a fifth of its life, at most 30 minutes.
pub fn refresh_skew_seconds(life_seconds: i64) -> i64 {
    (life_seconds / 5).clamp(0, MAX_SKEW_SECONDS)
}

/// Whether this failure of a provider cannot pass by itself.
pub fn is_final(error_code: &str) -> bool {
    FINAL.contains(&error_code)
}

/// How long to wait after so many failures in a row: 1, 2, 4, ... minutes, at most an hour.
pub(super) fn backoff_seconds(failures: u32) -> i64 {
    let minutes = 1_i64 << failures.saturating_sub(1).min(6);
    (minutes * 60).min(MAX_BACKOFF_SECONDS)
}

impl OAuthState {
    /// When tokens issued then are refreshed; never without a refresh token or without an end.
    pub(super) fn due_at(has_refresh: bool, issued_at: Timestamp, expires_at: Option<Timestamp>) -> Option<Timestamp> {
        let end = expires_at.filter(|_| has_refresh)?;
        Some(end.plus_seconds(-refresh_skew_seconds(end.seconds_since(issued_at))))
    }

    /// Whether the access token is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| now >= end)
    }

    /// Whether somebody is refreshing.
    pub fn is_leased(&self, now: Timestamp) -> bool {
        self.refresh_lease_until.is_some_and(|until| now < until)
    }

    /// Whether a failure that may pass is one too many: the token is over, and that many tries have failed.
    pub(super) fn gives_up(&self, failures: u32, now: Timestamp) -> bool {
        failures >= MAX_FAILURES && self.is_over(now)
    }
}
