//! The rules of a webhook's settings, one function each.

use crate::http::Guard;
use crate::kernel::{Error, ErrorCode, Result, Url, text};

/// The most webhooks of a project.
pub(super) const MAX_WEBHOOKS: u64 = 50;

/// # Errors
/// `url_scheme_unsupported`, `url_invalid`, `url_not_public` with its reason.
pub(super) fn check_url(guard: &Guard, url: &Url) -> Result<()> {
    guard.check_url(url).map_err(Error::from)
}

fn within(value: i64, min: i64, max: i64, code: ErrorCode) -> Result<()> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(Error::new(code).with("min", min).with("max", max)) }
}

/// 1 to 20 attempts.
pub(super) fn check_attempts(value: u32) -> Result<u8> {
    within(value.into(), 1, 20, ErrorCode::WebhookRetryOutOfRange).map(|()| value as u8)
}

/// 1 to 30 seconds.
pub(super) fn check_timeout(value: u32) -> Result<u8> {
    within(value.into(), 1, 30, ErrorCode::WebhookTimeoutOutOfRange).map(|()| value as u8)
}

/// 1 to 100 a second.
pub(super) fn check_rate(value: u32) -> Result<u16> {
    within(value.into(), 1, 100, ErrorCode::WebhookRateOutOfRange).map(|()| value as u16)
}

/// 1 to 20 at a time.
pub(super) fn check_concurrency(value: u32) -> Result<u8> {
    within(value.into(), 1, 20, ErrorCode::WebhookRateOutOfRange).map(|()| value as u8)
}

/// At most 500 characters; nothing is none.
pub(super) fn check_description(value: &str) -> Result<Option<String>> {
    Ok(Some(text::text(value, 500)?).filter(|text| !text.is_empty()))
}

/// # Errors
/// `webhook_events_required`.
pub(super) fn check_wanted(event_types: &[String], contact_events: bool) -> Result<()> {
    let is_empty = event_types.is_empty() && !contact_events;
    if is_empty { Err(Error::new(ErrorCode::WebhookEventsRequired).at("event_types")) } else { Ok(()) }
}

/// # Errors
/// `webhook_contact_filter_unused`.
pub(super) fn check_entries(contact_events: bool, types: &[String], categories: &[String]) -> Result<()> {
    let unused = match (types.is_empty(), categories.is_empty()) {
        (false, _) => "contact_event_types",
        (_, false) => "contact_event_categories",
        _ => return Ok(()),
    };
    if contact_events { Ok(()) } else { Err(Error::new(ErrorCode::WebhookContactFilterUnused).at(unused)) }
}
