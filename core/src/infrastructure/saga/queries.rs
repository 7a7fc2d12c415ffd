//! What can be asked about sagas.

use super::Saga;
use crate::engine::{Query, Reader};
use crate::kernel::{ErrorCode, Permission, Result, SagaId};
use crate::operations;
use crate::storage::{EventQuery, EventRecord, Page, PageRequest, Scope, limit_within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many events a timeline shows unless told, and at most.
const DEFAULT_EVENTS: usize = 200;
const MAX_EVENTS: usize = 500;

/// A saga by its id, with its steps.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSaga {
    pub id: SagaId,
}

impl Query for GetSaga {
    const NAME: &'static str = "sagas.get";
    const PERMISSION: Permission = Permission::SagasView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::SagaNotFound];
    type Output = Saga;

    async fn run(self, read: &Reader<'_>) -> Result<Saga> {
        read.get(self.id).await
    }
}

/// The saga under way of a kind and key, with its steps; null when there is none.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FindSaga {
    pub kind: String,
    pub key: String,
}

impl Query for FindSaga {
    const NAME: &'static str = "sagas.find";
    const PERMISSION: Permission = Permission::SagasView;
    type Output = Option<Saga>;

    async fn run(self, read: &Reader<'_>) -> Result<Option<Saga>> {
        read.by_key(Saga::BY_KEY, &self.kind, &self.key).await
    }
}

/// Sagas. Filter: kind, status, correlation_id, created_at, updated_at. Sort: created_at, updated_at. Those that are stuck have not
/// ended and were not updated for long.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListSagas {
    #[serde(flatten)]
    pub page: PageRequest,
}

impl Query for ListSagas {
    const NAME: &'static str = "sagas.list";
    const PERMISSION: Permission = Permission::SagasView;
    type Output = Page<Saga>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Saga>> {
        read.page(&self.page).await
    }
}

/// A saga with everything that it caused: the events of its flow, oldest first, those of its commands among them.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetSagaTimeline {
    pub id: SagaId,
    /// Events, 1 to 500; 200 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// Only events with a greater `seq`: the last one of the page before.
    #[serde(default)]
    pub after: Option<u64>,
}

/// What became of a saga.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct SagaTimeline {
    /// With each step's tries, times and error.
    pub saga: Saga,
    pub events: Vec<EventRecord>,
    /// There are more events.
    pub has_more: bool,
}

impl Query for GetSagaTimeline {
    const NAME: &'static str = "sagas.timeline";
    const PERMISSION: Permission = Permission::SagasView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::SagaNotFound, ErrorCode::LimitOutOfRange];
    type Output = SagaTimeline;

    async fn run(self, read: &Reader<'_>) -> Result<SagaTimeline> {
        let limit = limit_within(self.limit, DEFAULT_EVENTS, MAX_EVENTS)?;
        let saga = read.get::<Saga>(self.id).await?;
        let query = EventQuery {
            after: self.after.unwrap_or(0),
            correlation_id: Some(saga.correlation_id.uuid()),
            limit: limit + 1,
            ..EventQuery::default()
        };
        let mut events = read.storage().events(Scope::Project(read.project()), &query).await?;
        let has_more = events.len() > limit;
        events.truncate(limit);
        Ok(SagaTimeline { saga, events, has_more })
    }
}

operations![queries: GetSaga, FindSaga, ListSagas, GetSagaTimeline];
