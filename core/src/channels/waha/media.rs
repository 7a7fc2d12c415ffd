//! The file of a message: the gateway's copy, described by the engine's node.

use super::json::Json;
use crate::channels::gateway::normalised::hex;
use crate::channels::gateway::{MediaFetch, MediaRef};
use crate::conversations::content::{Media, MediaState};
use crate::kernel::Timestamp;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::NaiveDateTime;
use url::Url;

const MOST_THUMBNAIL_BYTES: usize = 16 * 1024;
const MOST_URL_CHARS: usize = 2_048;
const MOST_WAVEFORM_CHARS: usize = 1_024;

/// Reads the file of a payload. `node` is the engine's node, or null. Its own address and keys are those of an encrypted
/// copy and are left alone, and so is a file that is written into the body itself.
pub(super) fn read(payload: &Json<'_>, node: &Json<'_>, base_urls: &[String]) -> (Media, MediaRef) {
    let given = payload.get("media");
    let url = given.get("url").text().and_then(address);
    let error = match (&url, failure(given.get("error"))) {
        (Some(_), _) => None,
        (None, Some(error)) => Some(error),
        (None, None) => Some("not_downloaded".to_owned()),
    };
    let state = match (&url, error.as_deref()) {
        (Some(_), _) => MediaState::Remote,
        (None, Some("not_downloaded")) => MediaState::Pending,
        (None, _) => MediaState::Unavailable,
    };
    let mime = given.get("mimetype").text().or_else(|| node.get("mimetype").text()).map(|m| m.trim().to_lowercase());
    let media = Media {
        url: url.as_ref().map(|(text, _)| text.clone()),
        filename: filename(given, node, mime.as_deref()),
        mime,
        size_bytes: node.get("fileLength").count(),
        duration_ms: node.get("seconds").count().map(|seconds| seconds.saturating_mul(1_000)),
        width: node.get("width").small().filter(|pixels| *pixels > 0),
        height: node.get("height").small().filter(|pixels| *pixels > 0),
        sha256: node.get("fileSHA256").text().and_then(|text| STANDARD.decode(text).ok()).and_then(|digest| {
            let whole = digest.len() == 32;
            whole.then(|| hex(&digest))
        }),
        storage_key: None,
        thumbnail_url: None,
        state,
    };
    let animated = ["gifPlayback", "isAnimated", "isLottie"].iter().any(|name| node.get(name).is_true());
    let media_ref = MediaRef {
        fetch: url.as_ref().map_or(MediaFetch::ByProviderId, |(_, url)| fetch(url, base_urls)),
        provider_media_id: None,
        url_expires_at: url.as_ref().and_then(|(_, url)| expiry(url)),
        pages: node.get("pageCount").small().filter(|pages| *pages > 0),
        animated: animated.then_some(true),
        waveform: node.get("waveform").text().filter(|wave| wave.len() <= MOST_WAVEFORM_CHARS).map(str::to_owned),
        thumbnail: node.get("JPEGThumbnail").text().filter(|text| is_small(text)).map(str::to_owned),
        error,
    };
    (media, media_ref)
}

fn address(text: &str) -> Option<(String, Url)> {
    let text = text.trim();
    let url = Url::parse(text).ok()?;
    let usable = matches!(url.scheme(), "http" | "https") && text.chars().count() <= MOST_URL_CHARS;
    usable.then(|| (text.to_owned(), url))
}

fn failure(error: &Json<'_>) -> Option<String> {
    let text = error.text().or_else(|| error.get("message").text())?;
    Some(text.chars().take(500).collect())
}

/// Only the gateway's own files are fetched with its key: a key shown to a bucket would be lost.
fn fetch(url: &Url, base_urls: &[String]) -> MediaFetch {
    let same = |base: &String| Url::parse(base).is_ok_and(|base| base.origin() == url.origin());
    let signed = query(url, "X-Amz-Signature").is_some();
    if !signed && base_urls.iter().any(same) { MediaFetch::GatewayAuth } else { MediaFetch::Public }
}

fn expiry(url: &Url) -> Option<Timestamp> {
    let signed_at = NaiveDateTime::parse_from_str(&query(url, "X-Amz-Date")?, "%Y%m%dT%H%M%SZ").ok()?;
    let seconds = query(url, "X-Amz-Expires")?.parse::<u32>().ok()?;
    Some(Timestamp::from_datetime(signed_at.and_utc()).plus_seconds(i64::from(seconds)))
}

fn query(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
}

fn is_small(base64: &str) -> bool {
    base64.len() / 4 * 3 <= MOST_THUMBNAIL_BYTES
}

fn filename(given: &Json<'_>, node: &Json<'_>, mime: Option<&str>) -> Option<String> {
    let name = given.get("filename").string().or_else(|| node.get("fileName").string());
    let titled = || {
        let title = node.get("title").text()?.trim().trim_end_matches('.');
        match extension(mime.unwrap_or_default()) {
            Some(end) if !title.to_ascii_lowercase().ends_with(&format!(".{end}")) => Some(format!("{title}.{end}")),
            _ => Some(title.to_owned()),
        }
    };
    name.or_else(titled).map(|name| name.trim().chars().take(255).collect())
}

fn extension(mime: &str) -> Option<&'static str> {
    Some(match mime.split(';').next().unwrap_or_default().trim() {
        "application/pdf" => "pdf",
        "application/msword" => "doc",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => "docx",
        "application/vnd.ms-excel" => "xls",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => "xlsx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation" => "pptx",
        "application/zip" => "zip",
        "text/plain" => "txt",
        "text/csv" => "csv",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/heic" => "heic",
        "video/mp4" => "mp4",
        "audio/mpeg" => "mp3",
        _ => return None,
    })
}
