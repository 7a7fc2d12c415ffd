//! Under which circumstances a call runs: who, for which project, caused by what.

use crate::kernel::{ActorRef, CorrelationId, EventId, ProjectId, Source};
use serde_json::{Map, Value};

/// The circumstances of one call.
#[derive(Debug, Clone)]
pub struct Context {
    /// `None` = outside a project: the system log.
    pub project: Option<ProjectId>,
    pub actor: ActorRef,
    pub source: Source,
    /// The name of the operation; filled in by the executor.
    pub command: String,
    /// Constant through a whole flow; fresh when the caller gives none.
    pub correlation_id: Option<CorrelationId>,
    /// The event whose reaction runs this command.
    pub causation_id: Option<EventId>,
    /// 1 to 128 characters; the same key and input give the stored result for 24 hours.
    pub idempotency_key: Option<String>,
    /// The `version` that the caller saw.
    pub expected_version: Option<u64>,
    /// At most 4 KiB: tracing, ip, user agent. Never read by the domain.
    pub metadata: Option<Map<String, Value>>,
}

impl Context {
    pub fn new(project: Option<ProjectId>, actor: ActorRef) -> Self {
        Context {
            project,
            actor,
            source: Source::Api,
            command: String::new(),
            correlation_id: None,
            causation_id: None,
            idempotency_key: None,
            expected_version: None,
            metadata: None,
        }
    }
}
