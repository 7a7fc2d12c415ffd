//! Under which circumstances a call runs: who, for which project, caused by what.

use crate::kernel::{ActorRef, CorrelationId, EventId, ProjectId, Source};
use crate::storage::{EventRecord, JobRecord};
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

    /// The same as a consequence: in the flow of its cause, and with the event that it reacts to.
    #[must_use]
    pub fn caused_by(self, cause: impl Into<Cause>) -> Self {
        let Cause { correlation_id, event } = cause.into();
        Context { correlation_id: Some(correlation_id), causation_id: event, ..self }
    }
}

/// What led to a call: an event that was heard, or a job that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cause {
    /// The flow that both belong to.
    pub correlation_id: CorrelationId,
    /// None when a job does it that no event led to.
    pub event: Option<EventId>,
}

impl From<&EventRecord> for Cause {
    fn from(event: &EventRecord) -> Self {
        Cause {
            correlation_id: CorrelationId::from_uuid(event.correlation_id),
            event: Some(EventId::from_uuid(event.id)),
        }
    }
}

impl From<&JobRecord> for Cause {
    /// A job that was made outside of every flow begins one.
    fn from(job: &JobRecord) -> Self {
        Cause {
            correlation_id: CorrelationId::from_uuid(job.correlation_id.unwrap_or(job.id)),
            event: job.causation_id.map(EventId::from_uuid),
        }
    }
}
