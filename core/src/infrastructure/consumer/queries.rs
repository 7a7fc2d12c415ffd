//! Questions about consumers.

use super::{Consumer, ParkedEvent};
use crate::engine::{Query, Reader};
use crate::kernel::{Error, ErrorCode, Permission, Result};
use crate::operations;
use crate::storage::{ConsumerRecord, ConsumerStatus, DeadLetterQuery, Page, Scope, limit_within};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A consumer by its name: how far it is, what it failed at.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetConsumer {
    pub name: String,
}

impl Query for GetConsumer {
    const NAME: &'static str = "consumers.get";
    const PERMISSION: Permission = Permission::EventsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::ConsumerNotFound];
    type Output = Consumer;

    async fn run(self, read: &Reader<'_>) -> Result<Consumer> {
        let record = find(read, &self.name).await?;
        Consumer::of(read, record).await
    }
}

/// The consumer of a name.
pub(super) async fn find(read: &Reader<'_>, name: &str) -> Result<ConsumerRecord> {
    let known = read.storage().consumers(Scope::Project(read.project())).await?;
    known.into_iter().find(|consumer| consumer.name == name).ok_or_else(|| {
        Error::new(ErrorCode::ConsumerNotFound).at("name").with("resource", "consumer").with("name", name)
    })
}

/// The consumers of the project, by name: the host's and the library's own, whose names begin with `ventros.`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListConsumers {
    #[serde(default)]
    pub status: Option<ConsumerStatus>,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for ListConsumers {
    const NAME: &'static str = "consumers.list";
    const PERMISSION: Permission = Permission::EventsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange];
    type Output = Page<Consumer>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<Consumer>> {
        let limit = limit_within(self.limit, 20, 100)?;
        let after = self.cursor.unwrap_or_default();
        let mut known = read.storage().consumers(Scope::Project(read.project())).await?;
        known.retain(|consumer| self.status.is_none_or(|status| consumer.status == status) && consumer.name > after);
        known.sort_by(|a, b| a.name.cmp(&b.name));
        let has_more = known.len() > limit;
        known.truncate(limit);
        let next_cursor = known.last().filter(|_| has_more).map(|last| last.name.clone());
        let mut items = Vec::with_capacity(known.len());
        for record in known {
            items.push(Consumer::of(read, record).await?);
        }
        Ok(Page { items, has_more, next_cursor, prev_cursor: None, total: None })
    }
}

/// The events that a consumer gave up on, in log order.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeadLetters {
    /// Of the consumer.
    pub name: String,
    /// Only those that are to be tried again, or only the others.
    #[serde(default)]
    pub retrying: Option<bool>,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for ListDeadLetters {
    const NAME: &'static str = "consumers.dead_letters";
    const PERMISSION: Permission = Permission::EventsView;
    const ERRORS: &'static [ErrorCode] =
        &[ErrorCode::ConsumerNotFound, ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid];
    type Output = Page<ParkedEvent>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<ParkedEvent>> {
        let limit = limit_within(self.limit, 20, 100)?;
        let after = match &self.cursor {
            Some(cursor) => cursor.parse().map_err(|_| Error::new(ErrorCode::CursorInvalid).at("cursor"))?,
            None => 0,
        };
        let record = find(read, &self.name).await?;
        let query =
            DeadLetterQuery { after, retrying: self.retrying, given_up: true, limit: limit + 1, ..Default::default() };
        let mut letters = read.storage().dead_letters(read.project(), &record.name, &query).await?;
        let has_more = letters.len() > limit;
        letters.truncate(limit);
        let next_cursor = letters.last().filter(|_| has_more).map(|last| last.seq.to_string());
        let items = letters.into_iter().map(ParkedEvent::from).collect();
        Ok(Page { items, has_more, next_cursor, prev_cursor: None, total: None })
    }
}

operations![queries: GetConsumer, ListConsumers, ListDeadLetters];
