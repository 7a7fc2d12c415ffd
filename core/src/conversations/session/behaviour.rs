//! What may be done with a session, and when.

use super::ending::not_active;
use super::timeout::check_timeout;
use super::{AssignmentSource, ReopenCause, Session, SessionEvent, TimeoutSource};
use crate::conversations::is_system_agent;
use crate::engine::Root;
use crate::kernel::{AgentId, CustomFieldInput, CustomFieldRules, Error, ErrorCode, Money, Result, Tag, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The most outcome tags of a session.
pub const MAX_OUTCOME_TAGS: usize = 20;
/// The most custom fields of a session.
pub const MAX_CUSTOM_FIELDS: usize = 100;
/// How far ahead a session can be kept open, in seconds: 7 days.
pub const MAX_EXTENSION_SECONDS: i64 = 7 * 86_400;
/// The highest level of escalation.
pub const MAX_ESCALATION_LEVEL: u8 = 5;

/// Who gets a session, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    pub agent_id: AgentId,
    pub source: AssignmentSource,
    /// A code such as `round_robin`.
    pub strategy: Option<String>,
    /// Required when the session goes from one agent to another.
    pub reason: Option<String>,
    pub assigned_by_agent_id: Option<AgentId>,
}

impl Assignment {
    /// An assignment that needs no words.
    pub fn of(agent_id: AgentId, source: AssignmentSource) -> Assignment {
        Assignment { agent_id, source, strategy: None, reason: None, assigned_by_agent_id: None }
    }
}

impl Root<Session> {
    fn need_active(&self) -> Result<()> {
        if self.is_active() { Ok(()) } else { Err(not_active(self)) }
    }

    /// Gives the session to an agent; `false` when it has it already. An earlier agent may return.
    ///
    /// Agents are known by the host: any id is taken, except those of the system's own agents, which attend nobody.
    ///
    /// # Errors
    /// `session_not_active`, `agent_cannot_attend`, `field_required` without a reason from agent to agent.
    pub fn give_to(&mut self, assignment: Assignment) -> Result<bool> {
        self.need_active()?;
        if is_system_agent(self.project_id, assignment.agent_id) {
            return Err(Error::new(ErrorCode::AgentCannotAttend).at("agent_id"));
        }
        let previous_agent_id = self.current_agent_id;
        if previous_agent_id == Some(assignment.agent_id) {
            return Ok(false);
        }
        if previous_agent_id.is_some() && assignment.reason.is_none() {
            return Err(Error::new(ErrorCode::FieldRequired).at("reason"));
        }
        self.record(SessionEvent::AgentAssigned {
            chat_id: self.chat_id,
            contact_id: self.contact_id,
            agent_id: assignment.agent_id,
            source: assignment.source,
            assigned_by_agent_id: assignment.assigned_by_agent_id,
            previous_agent_id,
            reassignment_reason: assignment.reason,
            assignment_strategy: assignment.strategy,
            reassignment_count: self.agent_transfers.saturating_add(u16::from(previous_agent_id.is_some())),
            assigned_at: self.now(),
        });
        Ok(true)
    }

    /// Takes the session from its agent, if it has one.
    ///
    /// # Errors
    /// `session_not_active`.
    pub fn take_from_agent(&mut self, reason: Option<String>) -> Result<()> {
        self.need_active()?;
        if let Some(agent_id) = self.current_agent_id {
            let (chat_id, contact_id) = (self.chat_id, self.contact_id);
            self.record(SessionEvent::AgentUnassigned { chat_id, contact_id, agent_id, reason });
        }
        Ok(())
    }

    /// Is active again, because a message turned up that belongs to it.
    pub(super) fn come_back(&mut self) {
        self.record(SessionEvent::Reopened {
            chat_id: self.chat_id,
            contact_id: self.contact_id,
            cause: ReopenCause::LateMessage,
            reason: None,
            previous_ended_at: self.ended_at,
            previous_end_reason: self.end_reason,
            extended_until: None,
            current_agent_id: self.current_agent_id,
        });
    }

    /// # Errors
    /// `session_active`: an active one is resolved by ending it.
    pub fn resolve(&mut self) -> Result<()> {
        self.need_ended()?;
        if !self.resolved {
            let (chat_id, contact_id, at, by) = (self.chat_id, self.contact_id, self.now(), self.actor().clone());
            self.record(SessionEvent::Resolved { chat_id, contact_id, at, by });
        }
        Ok(())
    }

    /// # Errors
    /// `session_active`.
    pub fn unresolve(&mut self) -> Result<()> {
        self.need_ended()?;
        if self.resolved {
            let (chat_id, contact_id, at, by) = (self.chat_id, self.contact_id, self.now(), self.actor().clone());
            self.record(SessionEvent::Unresolved { chat_id, contact_id, at, by });
        }
        Ok(())
    }

    pub(super) fn need_ended(&self) -> Result<()> {
        if self.is_active() {
            return Err(Error::new(ErrorCode::SessionActive).with("id", self.id.to_string()));
        }
        Ok(())
    }

    /// Calls for somebody higher up; the same level again changes nothing.
    ///
    /// # Errors
    /// `session_not_active`, `escalation_level_invalid`.
    pub fn escalate(&mut self, level: u8, reason: String, to_agent_id: Option<AgentId>) -> Result<()> {
        self.need_active()?;
        if !(1..=MAX_ESCALATION_LEVEL).contains(&level) {
            let error = Error::new(ErrorCode::EscalationLevelInvalid).at("level");
            return Err(error.with("min", 1).with("max", MAX_ESCALATION_LEVEL));
        }
        if self.escalation.as_ref().is_some_and(|escalation| escalation.level == level) {
            return Ok(());
        }
        let (chat_id, contact_id, at) = (self.chat_id, self.contact_id, self.now());
        let assigned = to_agent_id.map(|agent_id| Assignment {
            reason: Some(reason.clone()),
            ..Assignment::of(agent_id, AssignmentSource::Manual)
        });
        self.record(SessionEvent::Escalated { chat_id, contact_id, level, reason, to_agent_id, at });
        assigned.map_or(Ok(false), |assignment| self.give_to(assignment))?;
        Ok(())
    }

    /// # Errors
    /// `session_not_escalated`.
    pub fn deescalate(&mut self, reason: Option<String>) -> Result<()> {
        if !self.escalated {
            return Err(Error::new(ErrorCode::SessionNotEscalated).with("id", self.id.to_string()));
        }
        let (chat_id, contact_id, at) = (self.chat_id, self.contact_id, self.now());
        self.record(SessionEvent::Deescalated { chat_id, contact_id, reason, at });
        Ok(())
    }

    /// Notes that something came of it; a second time replaces the first.
    pub fn convert(&mut self, value: Option<Money>, note: Option<String>) {
        let same = self.conversion.as_ref().is_some_and(|known| known.value == value && known.note == note);
        if !same {
            let (chat_id, contact_id, at) = (self.chat_id, self.contact_id, self.now());
            self.record(SessionEvent::Converted { chat_id, contact_id, value, note, at });
        }
    }

    /// Replaces the outcome tags; they are kept in lower case.
    ///
    /// # Errors
    /// `outcome_tag_limit`.
    pub fn tag_outcome(&mut self, tags: impl IntoIterator<Item = Tag>) -> Result<()> {
        let tags: BTreeSet<String> = tags.into_iter().map(|tag| tag.as_str().to_lowercase()).collect();
        self.set_outcome_tags(tags)
    }

    /// Adds outcome tags to those it has.
    ///
    /// # Errors
    /// `outcome_tag_limit`.
    pub fn add_outcome_tags(&mut self, tags: impl IntoIterator<Item = Tag>) -> Result<()> {
        let mut all = self.outcome_tags.clone();
        all.extend(tags.into_iter().map(|tag| tag.as_str().to_lowercase()));
        self.set_outcome_tags(all)
    }

    fn set_outcome_tags(&mut self, tags: BTreeSet<String>) -> Result<()> {
        if tags.len() > MAX_OUTCOME_TAGS {
            let error = Error::new(ErrorCode::OutcomeTagLimit);
            return Err(error.with("max", MAX_OUTCOME_TAGS).with("current", tags.len()));
        }
        if tags != self.outcome_tags {
            let previous_tags = self.outcome_tags.iter().cloned().collect();
            let (chat_id, contact_id) = (self.chat_id, self.contact_id);
            let tags = tags.into_iter().collect();
            self.record(SessionEvent::OutcomeTagged { chat_id, contact_id, tags, previous_tags });
        }
        Ok(())
    }

    /// Lets an active session be silent for longer, or not as long.
    ///
    /// # Errors
    /// `session_not_active`, `timeout_out_of_range`.
    pub fn change_timeout(&mut self, seconds: u32) -> Result<()> {
        check_timeout(seconds)?;
        self.need_active()?;
        if seconds != self.timeout_seconds {
            self.record(SessionEvent::TimeoutChanged {
                chat_id: self.chat_id,
                contact_id: self.contact_id,
                timeout_seconds: seconds,
                previous_seconds: self.timeout_seconds,
                source: TimeoutSource::Manual,
            });
        }
        Ok(())
    }

    /// Keeps an active session open until then, whatever the silence; `None` takes that back.
    ///
    /// # Errors
    /// `session_not_active`, `extension_in_past`, `extension_too_long`.
    pub fn extend(&mut self, until: Option<Timestamp>) -> Result<()> {
        self.need_active()?;
        if let Some(until) = until {
            let latest = self.now().plus_seconds(MAX_EXTENSION_SECONDS);
            if until <= self.now() {
                return Err(Error::new(ErrorCode::ExtensionInPast).at("extended_until"));
            }
            if until > latest {
                let error = Error::new(ErrorCode::ExtensionTooLong).at("extended_until");
                return Err(error.with("max", latest.to_string()));
            }
        }
        if until != self.extended_until {
            let previous_until = self.extended_until;
            let (chat_id, contact_id) = (self.chat_id, self.contact_id);
            self.record(SessionEvent::TimeoutExtended { chat_id, contact_id, until, previous_until });
        }
        Ok(())
    }

    /// Sets custom fields, one event per change; null removes one.
    ///
    /// # Errors
    /// The codes of custom fields, each with the key.
    pub fn change_custom_fields(
        &mut self,
        given: &BTreeMap<String, CustomFieldInput>,
        rules: &CustomFieldRules<'_>,
    ) -> Result<()> {
        let (chat_id, contact_id) = (self.chat_id, self.contact_id);
        for (key, input) in given {
            let previous = self.custom_fields.get(key).map(|value| value.to_json());
            if input.is_clear() {
                let key = self.custom_fields.removal(key, rules)?;
                let previous = previous.unwrap_or_default();
                self.record(SessionEvent::CustomFieldRemoved { chat_id, contact_id, key, previous });
            } else if let Some(field) = self.custom_fields.change(key, input, rules)? {
                if previous.is_none() && self.custom_fields.count() >= MAX_CUSTOM_FIELDS {
                    return Err(Error::new(ErrorCode::CustomFieldLimit)
                        .at(key.as_str())
                        .with("max", MAX_CUSTOM_FIELDS));
                }
                self.record(SessionEvent::CustomFieldSet {
                    chat_id,
                    contact_id,
                    key: field.key,
                    field_type: field.value.kind(),
                    value: field.value.to_json(),
                    previous,
                });
            }
        }
        Ok(())
    }
}
