//! The settings of a channel: how they change, and what is in force after project and kind have had their say.

use super::{AiContentType, AiProcessingConfig, Channel, ChannelEvent, ChannelPatch};
use crate::channels::channel_type::ChannelType;
use crate::engine::Root;
use crate::kernel::{Error, ErrorCode, Patch, PipelineId, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Minutes of silence that end a session when nobody says otherwise.
pub const DEFAULT_SESSION_TIMEOUT: u32 = 30;
/// How long grouping waits for further messages when nobody says otherwise, in milliseconds.
pub const DEFAULT_DEBOUNCE_MS: u32 = 15_000;
const MAX_DEBOUNCE_MS: u32 = 300_000;

crate::text_enum! {
    /// Who decided on a session timeout.
    pub enum TimeoutSource {
        Pipeline = "pipeline",
        Channel = "channel",
        Project = "project",
        SystemDefault = "system_default",
    }
}

/// The silence that ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionTimeout {
    pub minutes: u32,
    pub source: TimeoutSource,
}

/// The timeout in force: the associated pipeline's, else the channel's, else the project's, else 30 minutes.
pub fn session_timeout(pipeline: Option<u32>, channel: Option<u32>, project: Option<u32>) -> SessionTimeout {
    let given =
        [(pipeline, TimeoutSource::Pipeline), (channel, TimeoutSource::Channel), (project, TimeoutSource::Project)];
    given
        .into_iter()
        .find_map(|(minutes, source)| minutes.map(|minutes| SessionTimeout { minutes, source }))
        .unwrap_or(SessionTimeout { minutes: DEFAULT_SESSION_TIMEOUT, source: TimeoutSource::SystemDefault })
}

/// Whether messages that follow each other closely are answered together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageGrouping {
    pub enabled: bool,
    /// How long after the last message a group closes; 0 = with its first message.
    pub wait_ms: u32,
}

/// What is in force for a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EffectiveSettings {
    pub session_timeout: SessionTimeout,
    pub message_grouping: MessageGrouping,
    /// Every kind of content; `enabled` only where AI is on for the channel, too.
    pub ai: BTreeMap<AiContentType, AiProcessingConfig>,
    pub allow_groups: bool,
    pub allow_newsletters: bool,
}

impl Channel {
    /// Whether and how long messages wait for further ones.
    pub fn message_grouping(&self) -> MessageGrouping {
        MessageGrouping {
            enabled: self.ai_enabled && self.ai_agents_enabled,
            wait_ms: self.debounce_timeout_ms.unwrap_or(DEFAULT_DEBOUNCE_MS),
        }
    }

    /// How contents of a kind are read, `enabled` only where AI is on for the channel, too.
    pub fn ai_for(&self, content: AiContentType) -> AiProcessingConfig {
        let config = self.ai_processing.get(&content).cloned();
        let config = config.unwrap_or_else(|| AiProcessingConfig::default_for(content));
        AiProcessingConfig { enabled: config.enabled && self.ai_enabled, ..config }
    }

    /// What is in force, given the project's session timeout. A kind that lost an ability makes the setting ineffective.
    pub fn effective(&self, channel_type: &ChannelType, project_timeout: Option<u32>) -> EffectiveSettings {
        EffectiveSettings {
            session_timeout: session_timeout(None, self.session_timeout_minutes, project_timeout),
            message_grouping: self.message_grouping(),
            ai: AiContentType::ALL.iter().map(|content| (*content, self.ai_for(*content))).collect(),
            allow_groups: self.allow_groups && channel_type.capabilities.groups,
            allow_newsletters: self.allow_newsletters && channel_type.capabilities.newsletters,
        }
    }

    pub(super) fn take_in(&mut self, changes: ChannelPatch) {
        if let Some(name) = changes.name {
            self.name = name;
        }
        self.allow_groups = changes.allow_groups.unwrap_or(self.allow_groups);
        self.allow_newsletters = changes.allow_newsletters.unwrap_or(self.allow_newsletters);
        self.tracking_enabled = changes.tracking_enabled.unwrap_or(self.tracking_enabled);
        if let Some(minutes) = changes.session_timeout_minutes.into_change() {
            self.session_timeout_minutes = minutes;
        }
        if let Some(debounce) = changes.debounce_timeout_ms.into_change() {
            self.debounce_timeout_ms = debounce;
        }
        if let Some(agent) = changes.default_agent_id.into_change() {
            self.default_agent_id = agent;
        }
    }
}

/// `session_timeout_out_of_range` unless 1 to 1 440.
pub(super) fn check_timeout(minutes: u32) -> Result<u32> {
    if (1..=1_440).contains(&minutes) {
        return Ok(minutes);
    }
    Err(Error::new(ErrorCode::SessionTimeoutOutOfRange).at("session_timeout_minutes").with("min", 1).with("max", 1_440))
}

/// `channel_debounce_out_of_range` unless 0 to 300 000.
pub(super) fn check_debounce(milliseconds: u32) -> Result<u32> {
    if milliseconds <= MAX_DEBOUNCE_MS {
        return Ok(milliseconds);
    }
    Err(Error::new(ErrorCode::ChannelDebounceOutOfRange).at("debounce_timeout_ms").with("max", MAX_DEBOUNCE_MS))
}

/// `import_limit_invalid` unless greater than 0.
pub(super) fn check_limit(field: &str, limit: Option<u32>) -> Result<()> {
    if limit == Some(0) { Err(Error::new(ErrorCode::ImportLimitInvalid).at(field).with("min", 1)) } else { Ok(()) }
}

/// `groups_not_supported`, `newsletters_not_supported`.
pub(super) fn check_reach(channel_type: &ChannelType, groups: Option<bool>, newsletters: Option<bool>) -> Result<()> {
    let can = &channel_type.capabilities;
    if groups == Some(true) && !can.groups {
        return Err(Error::new(ErrorCode::GroupsNotSupported).at("allow_groups"));
    }
    if newsletters == Some(true) && !can.newsletters {
        return Err(Error::new(ErrorCode::NewslettersNotSupported).at("allow_newsletters"));
    }
    Ok(())
}

impl Root<Channel> {
    /// Takes over the settings that differ, as one event. Values are checked by the caller.
    pub fn change_settings(&mut self, given: ChannelPatch) {
        let mut changes = ChannelPatch::default();
        let mut previous = ChannelPatch::default();
        let now = self.state();
        differ(given.name, &now.name, &mut changes.name, &mut previous.name);
        differ(given.allow_groups, &now.allow_groups, &mut changes.allow_groups, &mut previous.allow_groups);
        let newsletters = (&mut changes.allow_newsletters, &mut previous.allow_newsletters);
        differ(given.allow_newsletters, &now.allow_newsletters, newsletters.0, newsletters.1);
        let tracking = (&mut changes.tracking_enabled, &mut previous.tracking_enabled);
        differ(given.tracking_enabled, &now.tracking_enabled, tracking.0, tracking.1);
        let timeout = (&mut changes.session_timeout_minutes, &mut previous.session_timeout_minutes);
        patch(given.session_timeout_minutes, now.session_timeout_minutes, timeout.0, timeout.1);
        let debounce = (&mut changes.debounce_timeout_ms, &mut previous.debounce_timeout_ms);
        patch(given.debounce_timeout_ms, now.debounce_timeout_ms, debounce.0, debounce.1);
        let agent = (&mut changes.default_agent_id, &mut previous.default_agent_id);
        patch(given.default_agent_id, now.default_agent_id, agent.0, agent.1);
        if changes != ChannelPatch::default() {
            self.record(ChannelEvent::Updated { changes, previous });
        }
    }

    /// Turns AI on or off, or changes what it reads.
    ///
    /// # Errors
    /// `ai_required` when agents may answer while AI is off.
    pub fn configure_ai(
        &mut self,
        ai_enabled: bool,
        ai_agents_enabled: bool,
        ai_processing: BTreeMap<AiContentType, AiProcessingConfig>,
    ) -> Result<()> {
        check_ai(ai_enabled, ai_agents_enabled)?;
        let same = self.ai_enabled == ai_enabled
            && self.ai_agents_enabled == ai_agents_enabled
            && self.ai_processing == ai_processing;
        if !same {
            self.record(ChannelEvent::AiConfigured { ai_enabled, ai_agents_enabled, ai_processing });
        }
        Ok(())
    }

    /// Lets new contacts and sessions enter a pipeline, or no longer.
    pub fn associate_pipeline(&mut self, pipeline: Option<PipelineId>) {
        match (self.pipeline_id, pipeline) {
            (before, Some(pipeline_id)) if before != pipeline => {
                self.record(ChannelEvent::PipelineAssociated { pipeline_id, previous_pipeline_id: before });
            }
            (Some(pipeline_id), None) => self.record(ChannelEvent::PipelineDisassociated { pipeline_id }),
            _ => {}
        }
    }

    /// Allows history imports within limits, or forbids them.
    ///
    /// # Errors
    /// `import_not_supported` to allow them on a kind without history, `import_limit_invalid`, `import_running` to
    /// forbid them during one.
    pub fn configure_history_import(
        &mut self,
        channel_type: &ChannelType,
        enabled: bool,
        max_days: Option<u32>,
        max_messages_per_chat: Option<u32>,
    ) -> Result<()> {
        check_limit("history_import_max_days", max_days)?;
        check_limit("history_import_max_messages_per_chat", max_messages_per_chat)?;
        let limits = (self.history_import_max_days, self.history_import_max_messages_per_chat);
        let same_limits = limits == (max_days, max_messages_per_chat);
        if enabled == self.history_import_enabled && same_limits {
            return Ok(());
        }
        if enabled && !channel_type.capabilities.history_import {
            return Err(Error::new(ErrorCode::ImportNotSupported).at("history_import_enabled"));
        }
        if !enabled && self.open_import().is_some() {
            return Err(Error::new(ErrorCode::ImportRunning).at("history_import_enabled"));
        }
        if enabled || !same_limits {
            self.record(ChannelEvent::HistoryImportEnabled { max_days, max_messages_per_chat });
        }
        if !enabled {
            self.record(ChannelEvent::HistoryImportDisabled {});
        }
        Ok(())
    }
}

/// `ai_required` when agents may answer while AI is off.
pub(super) fn check_ai(ai_enabled: bool, ai_agents_enabled: bool) -> Result<()> {
    if ai_agents_enabled && !ai_enabled {
        return Err(Error::new(ErrorCode::AiRequired).at("ai_agents_enabled"));
    }
    Ok(())
}

fn differ<T: PartialEq + Clone>(given: Option<T>, now: &T, change: &mut Option<T>, previous: &mut Option<T>) {
    if let Some(given) = given.filter(|given| given != now) {
        *change = Some(given);
        *previous = Some(now.clone());
    }
}

fn patch<T: PartialEq>(given: Patch<T>, now: Option<T>, change: &mut Patch<T>, previous: &mut Patch<T>) {
    let as_patch = |value: Option<T>| value.map_or(Patch::Null, Patch::Value);
    if let Some(given) = given.into_change().filter(|given| *given != now) {
        *change = as_patch(given);
        *previous = as_patch(now);
    }
}
