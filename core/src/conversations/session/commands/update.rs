//! The patch of what a person may change of a session.

use super::with_custom_field_rules;
use crate::conversations::session::Session;
use crate::conversations::session::timer::move_timer;
use crate::engine::{Command, UnitOfWork};
use crate::kernel::{CustomFieldInput, ErrorCode, Patch, Permission, Result, SessionId, Tag, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Changes a session's timeout, extension, outcome tags and custom fields, one event per difference. The timeout and the
/// extension are those of an active session; the rest can be changed at any time.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdateSession {
    pub id: SessionId,
    /// 60 to 86 400.
    #[serde(default)]
    pub timeout_seconds: Option<u32>,
    /// In the future, at most 7 days ahead; null takes an extension back.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub extended_until: Patch<Timestamp>,
    /// All of them, at most 20; null clears them.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    pub outcome_tags: Patch<Vec<Tag>>,
    /// By key; null removes a field, keys that are not named stay.
    #[serde(default)]
    #[schemars(extend("x-pii" = "contact", "x-pii-kind" = "free"))]
    pub custom_fields: BTreeMap<String, CustomFieldInput>,
}

impl Command for UpdateSession {
    const NAME: &'static str = "sessions.update";
    const PERMISSION: Permission = Permission::SessionsManage;
    const ERRORS: &'static [ErrorCode] = &[
        ErrorCode::SessionNotFound,
        ErrorCode::SessionNotActive,
        ErrorCode::TimeoutOutOfRange,
        ErrorCode::ExtensionInPast,
        ErrorCode::ExtensionTooLong,
        ErrorCode::OutcomeTagLimit,
        ErrorCode::TagInvalid,
        ErrorCode::CustomFieldKeyInvalid,
        ErrorCode::CustomFieldKeyRequired,
        ErrorCode::CustomFieldValueInvalid,
        ErrorCode::CustomFieldTypeMismatch,
        ErrorCode::CustomFieldTypeInvalid,
        ErrorCode::CustomFieldUndefined,
        ErrorCode::CustomFieldReadOnly,
        ErrorCode::CustomFieldSystem,
        ErrorCode::CustomFieldFixed,
        ErrorCode::CustomFieldRequired,
        ErrorCode::CustomFieldNotFound,
        ErrorCode::CustomFieldLimit,
    ];
    type Output = Session;

    async fn run(self, work: &mut UnitOfWork<'_>) -> Result<Session> {
        let mut session = work.load::<Session>(self.id).await?;
        let deadline = session.deadline();
        if let Some(seconds) = self.timeout_seconds {
            session.change_timeout(seconds)?;
        }
        if let Some(until) = self.extended_until.into_change() {
            session.extend(until)?;
        }
        if let Some(tags) = self.outcome_tags.into_change() {
            session.tag_outcome(tags.unwrap_or_default()).map_err(|e| e.at("outcome_tags"))?;
        }
        if !self.custom_fields.is_empty() {
            let given = &self.custom_fields;
            with_custom_field_rules(work.reader(), |rules| session.change_custom_fields(given, rules))
                .await?
                .map_err(|e| e.at("custom_fields"))?;
        }
        // A later deadline is found when the timer fires early; an earlier one would be missed.
        if session.deadline() < deadline {
            move_timer(work, session.id, session.deadline());
        }
        work.save(session)
    }
}
