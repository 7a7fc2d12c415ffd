//! Questions about the log: one event, lists, counts, and what reads it how far.

use super::filter::EventFilter;
use crate::engine::{OperationScope, Query, Reader};
use crate::kernel::{Error, ErrorCode, EventId, Permission, Result, Timestamp};
use crate::storage::{EventQuery, EventRecord, FilterExpression, Page, Scope, SortKey, limit_within};
use crate::{operations, text_enum};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 500;
/// Events read at a time while few of them are wanted.
const BATCH: usize = 500;
/// Events looked at for one page; when few of them are wanted, the page is short and another one follows.
const MAX_SCAN: usize = 10_000;
/// The longest stretch of the log that is counted, in seconds: 366 days.
const MAX_COUNT_SECONDS: i64 = 366 * 24 * 3600;

/// An event by its id.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetEvent {
    pub id: EventId,
}

impl Query for GetEvent {
    const NAME: &'static str = "events.get";
    const PERMISSION: Permission = Permission::EventsView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::EventNotFound];
    type Output = EventRecord;

    async fn run(self, read: &Reader<'_>) -> Result<EventRecord> {
        let query = EventQuery { ids: vec![self.id.uuid()], limit: 1, ..EventQuery::default() };
        let found = read.storage().events(Scope::Project(read.project()), &query).await?;
        found.into_iter().next().ok_or_else(|| {
            Error::new(ErrorCode::EventNotFound).with("resource", "event").with("id", self.id.to_string())
        })
    }
}

/// Events of the project in the order of their `seq`. Filter: id, type, aggregate_kind, aggregate_id, subject (`contact/<id>`), source,
/// actor_kind, actor_id, command, correlation_id, occurred_at, recorded_at, seq. Sort: seq.
///
/// A subject, an aggregate, a flow, a type and stretches of `seq` and `recorded_at` are looked up; everything else is compared on the
/// way through the log, so that a page may be shorter than `limit`, or empty, while `has_more` is true. Looking up by `recorded_at`
/// supposes a clock that was never set back by an hour or more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListEvents {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
    /// `["seq"]`, oldest first, unless it is `["-seq"]`.
    #[serde(default)]
    pub sort: Vec<SortKey>,
    /// 1 to 500; 20 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for ListEvents {
    const NAME: &'static str = "events.list";
    const PERMISSION: Permission = Permission::EventsView;
    type Output = Page<EventRecord>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<EventRecord>> {
        let limit = limit_within(self.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
        let backward = newest_first(&self.sort)?;
        let cursor = self.cursor.as_deref().map(read_cursor).transpose()?;
        let scope = Scope::Project(read.project());
        let head = read.storage().head(read.project()).await?;
        let wanted = EventFilter::new(read.storage(), scope, head, self.filter.as_ref(), read.now()).await?;
        let least = wanted.query.after;
        let most = wanted.query.until.unwrap_or(head);
        let batch = if wanted.is_everything() { limit + 1 } else { BATCH };
        let mut query = EventQuery { backward, limit: batch, ..wanted.query.clone() };
        query.after = match (backward, cursor) {
            (false, cursor) => least.max(cursor.unwrap_or(0)),
            (true, cursor) => cursor.unwrap_or(u64::MAX).min(most.saturating_add(1)),
        };
        let (mut items, mut last, mut looked) = (Vec::with_capacity(limit), None, 0);
        // Backward, 0 would mean the end of the log.
        while query.after > 0 || !backward {
            let events = read.storage().events(scope, &query).await?;
            let is_last = events.len() < batch;
            for event in events {
                if backward && event.seq <= least {
                    return Ok(page(items, None));
                }
                if items.len() == limit {
                    return Ok(page(items, last));
                }
                last = Some(event.seq);
                looked += 1;
                if wanted.matches(&event)? {
                    items.push(event);
                }
            }
            if is_last {
                break;
            }
            if looked >= MAX_SCAN {
                return Ok(page(items, last));
            }
            query.after = last.unwrap_or(0);
        }
        Ok(page(items, None))
    }
}

fn newest_first(sort: &[SortKey]) -> Result<bool> {
    let unknown = || Error::new(ErrorCode::SortFieldUnknown).at("sort").with("allowed", vec!["seq"]);
    match sort {
        [] => Ok(false),
        [key] => {
            Some(key.parts()).filter(|(field, _)| *field == "seq").map(|(_, descending)| descending).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

fn read_cursor(text: &str) -> Result<u64> {
    text.parse().map_err(|_| Error::new(ErrorCode::CursorInvalid).at("cursor"))
}

/// With `last`, the last event that was looked at, more may follow.
fn page(items: Vec<EventRecord>, last: Option<u64>) -> Page<EventRecord> {
    let next_cursor = last.map(|seq| seq.to_string());
    Page { items, has_more: next_cursor.is_some(), next_cursor, prev_cursor: None, total: None }
}

text_enum! {
    /// What events are counted by.
    pub enum EventGrouping {
        Type = "type",
        Source = "source",
        /// The day in UTC on which it was recorded.
        Day = "day",
    }
}

/// How many events satisfy a condition, as `events.list` has it.
///
/// It reads what it counts. Without a subject, an aggregate or a flow it counts at most 366 days of the log; narrow it by `recorded_at`
/// or `seq`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CountEvents {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
    #[serde(default)]
    pub group_by: Option<EventGrouping>,
}

/// Numbers of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCounts {
    pub total: u64,
    /// By key, in its order; empty when nothing was to be grouped by.
    pub groups: Vec<EventGroup>,
}

/// The events of one type, source or day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventGroup {
    pub key: String,
    pub count: u64,
}

impl Query for CountEvents {
    const NAME: &'static str = "events.count";
    const PERMISSION: Permission = Permission::EventsView;
    type Output = EventCounts;

    async fn run(self, read: &Reader<'_>) -> Result<EventCounts> {
        let scope = Scope::Project(read.project());
        let head = read.storage().head(read.project()).await?;
        let wanted = EventFilter::new(read.storage(), scope, head, self.filter.as_ref(), read.now()).await?;
        if !wanted.is_narrow {
            check_period(read, &wanted.query).await?;
        }
        let mut query = EventQuery { limit: BATCH, ..wanted.query.clone() };
        let (mut total, mut groups) = (0, BTreeMap::<String, u64>::new());
        loop {
            let events = read.storage().events(scope, &query).await?;
            for event in &events {
                if !wanted.matches(event)? {
                    continue;
                }
                total += 1;
                let key = self.group_by.map(|grouping| match grouping {
                    EventGrouping::Type => event.event_type.clone(),
                    EventGrouping::Source => event.source.clone(),
                    EventGrouping::Day => event.recorded_at.datetime().format("%Y-%m-%d").to_string(),
                });
                if let Some(key) = key {
                    *groups.entry(key).or_default() += 1;
                }
            }
            match events.last() {
                Some(last) if events.len() == BATCH => query.after = last.seq,
                _ => break,
            }
        }
        let groups = groups.into_iter().map(|(key, count)| EventGroup { key, count }).collect();
        Ok(EventCounts { total, groups })
    }
}

/// Refuses a stretch of the log that is too long to be read at once.
async fn check_period(read: &Reader<'_>, within: &EventQuery) -> Result<()> {
    let (first, last) = ends(read, within.after, within.until.unwrap_or(0)).await?;
    match first.zip(last) {
        Some((first, last)) if last.recorded_at.seconds_since(first.recorded_at) > MAX_COUNT_SECONDS => {
            Err(Error::new(ErrorCode::ValueOutOfRange).at("filter").with("max_days", 366))
        }
        _ => Ok(()),
    }
}

/// The first and the last event of a stretch of the log.
async fn ends(read: &Reader<'_>, after: u64, until: u64) -> Result<(Option<EventRecord>, Option<EventRecord>)> {
    let scope = Scope::Project(read.project());
    let first = EventQuery { after, until: Some(until), limit: 1, ..EventQuery::default() };
    let last = EventQuery { after: until.saturating_add(1), backward: true, limit: 1, ..EventQuery::default() };
    Ok((read.storage().events(scope, &first).await?.pop(), read.storage().events(scope, &last).await?.pop()))
}

/// How far the log reaches, and how far its readers are.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetLogStats {}

/// The log of a project in figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogStats {
    /// The number of the newest event; 0 when there is none.
    pub head: u64,
    /// The number of the oldest event that is kept.
    pub first_seq: u64,
    /// From this number on nothing was removed but noise; 1 unless something was.
    pub complete_from: u64,
    pub oldest_at: Option<Timestamp>,
    pub newest_at: Option<Timestamp>,
    /// Who reads it, the furthest behind first.
    pub readers: Vec<LogReader>,
}

/// How far one consumer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LogReader {
    pub name: String,
    /// The last event it is done with.
    pub checkpoint: u64,
    /// Events after it, whether it hears them or not.
    pub lag: u64,
}

impl Query for GetLogStats {
    const NAME: &'static str = "events.stats";
    const PERMISSION: Permission = Permission::EventsView;
    type Output = LogStats;

    async fn run(self, read: &Reader<'_>) -> Result<LogStats> {
        let scope = Scope::Project(read.project());
        let head = read.storage().head(read.project()).await?;
        let (first, last) = ends(read, 0, head).await?;
        let lag = |checkpoint: u64| head.saturating_sub(checkpoint);
        let mut readers: Vec<LogReader> = (read.storage().consumers(scope).await?.into_iter())
            .map(|consumer| LogReader {
                lag: lag(consumer.checkpoint),
                checkpoint: consumer.checkpoint,
                name: consumer.name,
            })
            .collect();
        readers.sort_by(|a, b| b.lag.cmp(&a.lag).then_with(|| a.name.cmp(&b.name)));
        Ok(LogStats {
            head,
            complete_from: read.storage().first_seq(read.project()).await?,
            first_seq: first.as_ref().map_or(0, |event| event.seq),
            oldest_at: first.map(|event| event.recorded_at),
            newest_at: last.map(|event| event.recorded_at),
            readers,
        })
    }
}

/// Events of all projects and of the system log in the order in which they were stored: for exports and analytics. Reading goes on later
/// from the last event's `position`, given as `cursor`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReadAllEvents {
    /// 1 to 500; 20 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before, or the `position` of the last event that is known.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for ReadAllEvents {
    const NAME: &'static str = "events.read_all";
    const PERMISSION: Permission = Permission::PlatformOperate;
    const SCOPE: OperationScope = OperationScope::System;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid];
    type Output = Page<EventRecord>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<EventRecord>> {
        let limit = limit_within(self.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
        let after = self.cursor.as_deref().map(read_cursor).transpose()?.unwrap_or(0);
        let query = EventQuery { after, limit: limit + 1, ..EventQuery::default() };
        let mut events = read.storage().events(Scope::Installation, &query).await?;
        let has_more = events.len() > limit;
        events.truncate(limit);
        let last = events.last().map(|event| event.position).filter(|_| has_more);
        Ok(page(events, last))
    }
}

operations![queries: GetEvent, ListEvents, CountEvents, GetLogStats, ReadAllEvents];
