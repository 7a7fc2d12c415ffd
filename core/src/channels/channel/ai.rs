//! Which contents AI reads, by whom and within which limits.

use crate::kernel::{Error, ErrorCode, Patch, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const MB: u64 = 1_048_576;

crate::text_enum! {
    /// A kind of content that AI can read.
    pub enum AiContentType {
        Text = "text",
        Audio = "audio",
        Voice = "voice",
        Image = "image",
        Video = "video",
        Document = "document",
    }
}

/// How one kind of content is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AiProcessingConfig {
    pub enabled: bool,
    /// `openai`, `anthropic`, `google`, `deepgram`, `llamaparse`, or a name registered by the host.
    pub provider: String,
    pub model: Option<String>,
    /// 1 to 10; higher goes first.
    pub priority: u8,
    /// 0 to 300 000.
    pub debounce_ms: u32,
    /// Greater than 0; longer content is not read.
    pub max_size_bytes: u64,
    /// Cut long recordings at silence.
    pub split_long_audio: bool,
    /// 0.0 to 1.0.
    pub silence_threshold: f64,
}

impl AiProcessingConfig {
    /// What holds for a kind of content that was never configured.
    pub fn default_for(content: AiContentType) -> Self {
        let of = |enabled, provider: &str, model: Option<&str>, priority, debounce_ms, megabytes| AiProcessingConfig {
            enabled,
            provider: provider.to_owned(),
            model: model.map(str::to_owned),
            priority,
            debounce_ms,
            max_size_bytes: megabytes * MB,
            split_long_audio: false,
            silence_threshold: 0.3,
        };
        match content {
            AiContentType::Text => of(true, "anthropic", None, 5, 1_000, 1),
            AiContentType::Audio => {
                AiProcessingConfig { split_long_audio: true, ..of(true, "openai", Some("whisper-1"), 8, 500, 25) }
            }
            AiContentType::Voice => of(true, "openai", Some("whisper-1"), 10, 100, 25),
            AiContentType::Image => of(true, "google", Some("gemini-1.5-pro"), 7, 1_000, 10),
            AiContentType::Document => of(true, "llamaparse", None, 6, 2_000, 50),
            AiContentType::Video => of(false, "openai", None, 3, 5_000, 100),
        }
    }

    fn check(&self) -> Result<()> {
        let invalid = |field: &str, why: &str| {
            Err(Error::new(ErrorCode::AiProcessingInvalid).at(field).message(format!("{field} {why}")))
        };
        let provider = !self.provider.is_empty()
            && self.provider.len() <= 50
            && self.provider.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
        if !provider {
            return invalid("provider", "is 1 to 50 of a-z, 0-9, _ and -");
        }
        if self.model.as_ref().is_some_and(|model| model.is_empty() || model.chars().count() > 100) {
            return invalid("model", "has 1 to 100 characters");
        }
        if !(1..=10).contains(&self.priority) {
            return invalid("priority", "is 1 to 10");
        }
        if self.debounce_ms > 300_000 {
            return invalid("debounce_ms", "is 0 to 300000");
        }
        if self.max_size_bytes == 0 {
            return invalid("max_size_bytes", "is greater than 0");
        }
        if !(0.0..=1.0).contains(&self.silence_threshold) {
            return invalid("silence_threshold", "is 0.0 to 1.0");
        }
        Ok(())
    }
}

/// What to change of how one kind of content is read; the rest stays, or is the default.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AiProcessingPatch {
    pub enabled: Option<bool>,
    pub provider: Option<String>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub model: Patch<String>,
    pub priority: Option<u8>,
    pub debounce_ms: Option<u32>,
    pub max_size_bytes: Option<u64>,
    pub split_long_audio: Option<bool>,
    pub silence_threshold: Option<f64>,
}

impl AiProcessingPatch {
    fn over(self, current: AiProcessingConfig) -> AiProcessingConfig {
        AiProcessingConfig {
            enabled: self.enabled.unwrap_or(current.enabled),
            provider: self.provider.unwrap_or(current.provider),
            model: self.model.into_change().unwrap_or(current.model),
            priority: self.priority.unwrap_or(current.priority),
            debounce_ms: self.debounce_ms.unwrap_or(current.debounce_ms),
            max_size_bytes: self.max_size_bytes.unwrap_or(current.max_size_bytes),
            split_long_audio: self.split_long_audio.unwrap_or(current.split_long_audio),
            silence_threshold: self.silence_threshold.unwrap_or(current.silence_threshold),
        }
    }
}

/// Patches by kind of content; null takes a kind back to its default.
pub type AiProcessingChanges = BTreeMap<String, Option<AiProcessingPatch>>;

/// The configuration after `changes`, else `ai_processing_invalid` at the field.
pub(super) fn patch(
    current: &BTreeMap<AiContentType, AiProcessingConfig>,
    changes: AiProcessingChanges,
) -> Result<BTreeMap<AiContentType, AiProcessingConfig>> {
    let mut next = current.clone();
    for (name, change) in changes {
        let content = AiContentType::parse(&name).map_err(|error| {
            let allowed = error.details().get("allowed").cloned().unwrap_or_default();
            Error::new(ErrorCode::AiProcessingInvalid).at(name.as_str()).with("allowed", allowed)
        })?;
        match change {
            None => {
                next.remove(&content);
            }
            Some(change) => {
                let base = next.remove(&content).unwrap_or_else(|| AiProcessingConfig::default_for(content));
                let config = change.over(base);
                config.check().map_err(|e| e.at(name.as_str()))?;
                next.insert(content, config);
            }
        }
    }
    Ok(next)
}
