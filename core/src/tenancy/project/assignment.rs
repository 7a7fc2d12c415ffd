//! How sessions find their agent: the settings of a project, the choice of the next agent, and when to choose again.

use super::business_hours::BusinessHours;
use crate::kernel::{AgentId, Error, ErrorCode, Patch, Result, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How many agents a project may assign to.
pub const MAX_AGENTS: usize = 500;
/// How many reassignment rules a project may have.
pub const MAX_RULES: usize = 20;
/// The longest timeout of a reassignment rule, in minutes: a week.
pub const MAX_RULE_MINUTES: u32 = 10_080;
/// The most open sessions per agent that a project may allow.
pub const MAX_OPEN_SESSIONS: u32 = 1_000;

crate::typed_id!(
    /// A reassignment rule of a project.
    ReassignmentRuleId,
);

crate::text_enum! {
    /// Who gets the next session.
    pub enum AssignmentStrategy {
        /// The agents take turns.
        RoundRobin = "round_robin",
        /// Whoever has the fewest open sessions.
        LeastSessions = "least_sessions",
        /// Nobody automatically.
        Manual = "manual",
    }
}

crate::text_enum! {
    /// What makes a session look for another agent.
    pub enum ReassignmentTrigger {
        /// Nothing happened in the session.
        Inactivity = "inactivity",
        /// The contact wrote and the agent did not answer.
        NoResponse = "no_response",
        /// A person reassigns; never fires by itself.
        Manual = "manual",
        /// The balancer evens out; never fires by time.
        WorkloadBalance = "workload_balance",
    }
}

impl ReassignmentTrigger {
    /// Fires when time passes.
    pub fn is_timed(self) -> bool {
        matches!(self, ReassignmentTrigger::Inactivity | ReassignmentTrigger::NoResponse)
    }
}

crate::text_enum! {
    /// What changed in the settings of assignment.
    pub enum AssignmentChange {
        Replaced = "replaced",
        AgentAdded = "agent_added",
        AgentRemoved = "agent_removed",
    }
}

/// When a session looks for another agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReassignmentRule {
    pub id: ReassignmentRuleId,
    pub enabled: bool,
    pub trigger: ReassignmentTrigger,
    /// 1 to 10080 for timed triggers; ignored otherwise.
    pub inactivity_timeout_minutes: u32,
    /// Per session; 0 = unlimited.
    pub max_reassignments: u32,
    pub notify_previous_agent: bool,
    /// Time outside business hours does not count, and the rule does not fire then.
    pub only_during_business_hours: bool,
}

impl ReassignmentRule {
    /// Whether a session whose last activity was then, reassigned so often already, looks for another agent now.
    pub fn fires(
        &self,
        last_activity_at: Timestamp,
        reassignments: u32,
        hours: Option<&BusinessHours>,
        now: Timestamp,
    ) -> bool {
        let spent = self.max_reassignments != 0 && reassignments >= self.max_reassignments;
        if !self.enabled || spent || !self.trigger.is_timed() {
            return false;
        }
        let timeout = u64::from(self.inactivity_timeout_minutes);
        match hours.filter(|_| self.only_during_business_hours) {
            Some(hours) => hours.is_open(now) && hours.open_minutes_between(last_activity_at, now) >= timeout,
            None => u64::try_from(now.seconds_since(last_activity_at)).is_ok_and(|seconds| seconds >= timeout * 60),
        }
    }
}

/// A reassignment rule as a caller gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReassignmentRuleInput {
    /// Keeps the identity of a known rule; a rule without id is a new one.
    #[serde(default)]
    pub id: Option<ReassignmentRuleId>,
    /// True unless told.
    #[serde(default)]
    pub enabled: Option<bool>,
    pub trigger: ReassignmentTrigger,
    /// Required for `inactivity` and `no_response`.
    #[serde(default)]
    pub inactivity_timeout_minutes: Option<u32>,
    /// 3 unless told; 0 = unlimited.
    #[serde(default)]
    pub max_reassignments: Option<u32>,
    /// True unless told.
    #[serde(default)]
    pub notify_previous_agent: Option<bool>,
    #[serde(default)]
    pub only_during_business_hours: Option<bool>,
}

impl ReassignmentRuleInput {
    fn into_rule(self, new_id: impl FnOnce() -> Uuid) -> ReassignmentRule {
        ReassignmentRule {
            id: self.id.unwrap_or_else(|| ReassignmentRuleId::from_uuid(new_id())),
            enabled: self.enabled.unwrap_or(true),
            trigger: self.trigger,
            inactivity_timeout_minutes: self.inactivity_timeout_minutes.unwrap_or(0),
            max_reassignments: self.max_reassignments.unwrap_or(3),
            notify_previous_agent: self.notify_previous_agent.unwrap_or(true),
            only_during_business_hours: self.only_during_business_hours.unwrap_or(false),
        }
    }
}

/// How sessions of a project find their agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AgentAssignmentConfig {
    pub enabled: bool,
    /// At most 500, in the order of the list.
    pub agent_ids: Vec<AgentId>,
    pub strategy: AssignmentStrategy,
    pub only_human_agents: bool,
    /// Always true: virtual agents cannot send.
    pub exclude_virtual_agents: bool,
    /// While enabled, `agent_ids` is not empty.
    pub require_at_least_one_agent: bool,
    /// Only agents whose status is `available`.
    pub require_available: bool,
    /// 1 to 1000; an agent's own maximum applies too, the lower wins.
    pub max_open_sessions_per_agent: Option<u32>,
    /// Used when nobody else qualifies.
    pub fallback_agent_id: Option<AgentId>,
    /// At most 20; the first that fires wins.
    pub reassignment_rules: Vec<ReassignmentRule>,
}

impl Default for AgentAssignmentConfig {
    fn default() -> Self {
        AgentAssignmentConfig {
            enabled: false,
            agent_ids: Vec::new(),
            strategy: AssignmentStrategy::Manual,
            only_human_agents: false,
            exclude_virtual_agents: true,
            require_at_least_one_agent: true,
            require_available: false,
            max_open_sessions_per_agent: None,
            fallback_agent_id: None,
            reassignment_rules: Vec::new(),
        }
    }
}

/// Changes to the settings of assignment; lists are replaced whole.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentAssignmentPatch {
    pub enabled: Option<bool>,
    pub agent_ids: Option<Vec<AgentId>>,
    pub strategy: Option<AssignmentStrategy>,
    pub only_human_agents: Option<bool>,
    pub exclude_virtual_agents: Option<bool>,
    pub require_at_least_one_agent: Option<bool>,
    pub require_available: Option<bool>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub max_open_sessions_per_agent: Patch<u32>,
    #[serde(skip_serializing_if = "Patch::is_absent")]
    pub fallback_agent_id: Patch<AgentId>,
    pub reassignment_rules: Option<Vec<ReassignmentRuleInput>>,
}

/// An agent as the choice of the next one sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssignmentCandidate {
    pub id: AgentId,
    /// Exists in this project, is active, and is neither virtual nor a system agent.
    pub can_attend: bool,
    pub is_human: bool,
    /// Its status is `available`, inside its own working hours.
    pub is_available: bool,
    pub open_sessions: u32,
    pub max_open_sessions: Option<u32>,
    /// When it was last given a session of this project.
    pub last_assigned_at: Option<Timestamp>,
}

impl AgentAssignmentConfig {
    /// The settings after a patch, checked.
    ///
    /// # Errors
    /// `assignment_agents_required`, `virtual_agents_cannot_attend`, `reassignment_rule_limit`,
    /// `reassignment_timeout_invalid`, `value_out_of_range`, `agent_already_in_assignment` for an agent listed twice.
    pub fn patched(&self, patch: AgentAssignmentPatch, mut new_id: impl FnMut() -> Uuid) -> Result<Self> {
        let mut config = self.clone();
        set(&mut config.enabled, patch.enabled);
        set(&mut config.agent_ids, patch.agent_ids);
        set(&mut config.strategy, patch.strategy);
        set(&mut config.only_human_agents, patch.only_human_agents);
        set(&mut config.exclude_virtual_agents, patch.exclude_virtual_agents);
        set(&mut config.require_at_least_one_agent, patch.require_at_least_one_agent);
        set(&mut config.require_available, patch.require_available);
        set(&mut config.max_open_sessions_per_agent, patch.max_open_sessions_per_agent.into_change());
        set(&mut config.fallback_agent_id, patch.fallback_agent_id.into_change());
        let rules = patch.reassignment_rules;
        set(
            &mut config.reassignment_rules,
            rules.map(|rules| rules.into_iter().map(|rule| rule.into_rule(&mut new_id)).collect()),
        );
        config.check()?;
        Ok(config)
    }

    /// The rules that the settings keep, whatever agents exist.
    pub fn check(&self) -> Result<()> {
        if !self.exclude_virtual_agents {
            return Err(Error::new(ErrorCode::VirtualAgentsCannotAttend).at("exclude_virtual_agents"));
        }
        if self.enabled && self.require_at_least_one_agent && self.agent_ids.is_empty() {
            return Err(Error::new(ErrorCode::AssignmentAgentsRequired).at("agent_ids"));
        }
        if self.agent_ids.len() > MAX_AGENTS {
            return Err(Error::new(ErrorCode::ValueOutOfRange).at("agent_ids").with("max", MAX_AGENTS));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.agent_ids.iter().find(|id| !seen.insert(**id)) {
            return Err(Error::new(ErrorCode::AgentAlreadyInAssignment).at("agent_ids").with("id", twice.to_string()));
        }
        if self.max_open_sessions_per_agent.is_some_and(|max| !(1..=MAX_OPEN_SESSIONS).contains(&max)) {
            return Err(Error::new(ErrorCode::ValueOutOfRange)
                .at("max_open_sessions_per_agent")
                .with("min", 1)
                .with("max", MAX_OPEN_SESSIONS));
        }
        if self.reassignment_rules.len() > MAX_RULES {
            return Err(Error::new(ErrorCode::ReassignmentRuleLimit).at("reassignment_rules").with("max", MAX_RULES));
        }
        for (number, rule) in self.reassignment_rules.iter().enumerate() {
            if rule.trigger.is_timed() && !(1..=MAX_RULE_MINUTES).contains(&rule.inactivity_timeout_minutes) {
                return Err(Error::new(ErrorCode::ReassignmentTimeoutInvalid)
                    .at(format!("reassignment_rules[{number}].inactivity_timeout_minutes"))
                    .with("min", 1)
                    .with("max", MAX_RULE_MINUTES));
            }
        }
        Ok(())
    }

    /// Sessions are given to agents without anybody asking.
    pub fn should_auto_assign(&self) -> bool {
        self.enabled && !self.agent_ids.is_empty() && self.strategy != AssignmentStrategy::Manual
    }

    /// The agent that gets the next session. `candidates` holds what is known of `agent_ids` and of the fallback;
    /// `exclude` is the one that loses the session.
    ///
    /// # Errors
    /// `assignment_not_enabled`; `no_eligible_agent`, and then the session opens unassigned: it is never refused.
    pub fn next_agent(&self, candidates: &[AssignmentCandidate], exclude: Option<AgentId>) -> Result<AgentId> {
        if !self.should_auto_assign() {
            return Err(ErrorCode::AssignmentNotEnabled.into());
        }
        let find = |id: AgentId| candidates.iter().find(|candidate| candidate.id == id && Some(id) != exclude);
        let eligible = self.agent_ids.iter().filter_map(|id| find(*id)).filter(|candidate| self.is_eligible(candidate));
        // Of equals, `min_by_key` takes the first: the order of the list decides.
        let chosen = match self.strategy {
            AssignmentStrategy::LeastSessions => {
                eligible.min_by_key(|candidate| (candidate.open_sessions, candidate.last_assigned_at))
            }
            AssignmentStrategy::RoundRobin | AssignmentStrategy::Manual => {
                eligible.min_by_key(|candidate| candidate.last_assigned_at)
            }
        };
        let fallback = || self.fallback_agent_id.and_then(find).filter(|candidate| candidate.can_attend);
        chosen.or_else(fallback).map(|candidate| candidate.id).ok_or_else(|| ErrorCode::NoEligibleAgent.into())
    }

    fn is_eligible(&self, candidate: &AssignmentCandidate) -> bool {
        let limits = [self.max_open_sessions_per_agent, candidate.max_open_sessions];
        candidate.can_attend
            && (candidate.is_human || !self.only_human_agents)
            && (candidate.is_available || !self.require_available)
            && limits.into_iter().flatten().all(|limit| candidate.open_sessions < limit)
    }

    /// The first rule by which a session looks for another agent now.
    pub fn reassignment_due(
        &self,
        last_activity_at: Timestamp,
        reassignments: u32,
        hours: Option<&BusinessHours>,
        now: Timestamp,
    ) -> Option<&ReassignmentRule> {
        self.reassignment_rules.iter().find(|rule| rule.fires(last_activity_at, reassignments, hours, now))
    }
}

fn set<T>(field: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *field = value;
    }
}
