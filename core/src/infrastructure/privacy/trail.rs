//! Who did what that has to be accounted for.

use crate::catalogue::{AGGREGATES, JOURNALS};
use crate::engine::{Query, Reader};
use crate::infrastructure::event_log::filter::EventFilter;
use crate::infrastructure::event_log::prune::AUDITED;
use crate::kernel::{Error, ErrorCode, Permission, Result};
use crate::operations;
use crate::storage::{EventQuery, EventRecord, FilterExpression, Page, Scope, limit_within, type_matches};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

const LIMIT_DEFAULT: usize = 20;
const LIMIT_MAX: usize = 100;
/// Events of one type read at a time.
const BATCH: usize = 100;
/// How often more are read for one page, when few are wanted.
const MAX_ROUNDS: usize = 20;

/// What has to be accounted for, newest first: members and their rights, the project itself, credentials, redactions, exports, refused
/// calls. Filter: as `events.list`; a target is a `subject`, `contact/<id>`.
///
/// Each type is looked up by itself, however long the log is. A page may be shorter than `limit`, or empty, while `has_more` is true.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListAuditTrail {
    #[serde(default)]
    pub filter: Option<FilterExpression>,
    /// 1 to 100; 20 unless told.
    #[serde(default)]
    pub limit: Option<i64>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

impl Query for ListAuditTrail {
    const NAME: &'static str = "privacy.audit";
    const PERMISSION: Permission = Permission::AuditView;
    const ERRORS: &'static [ErrorCode] = &[ErrorCode::LimitOutOfRange, ErrorCode::CursorInvalid];
    type Output = Page<EventRecord>;

    async fn run(self, read: &Reader<'_>) -> Result<Page<EventRecord>> {
        let limit = limit_within(self.limit, LIMIT_DEFAULT, LIMIT_MAX)?;
        let cursor: Option<u64> = match &self.cursor {
            Some(text) => Some(text.parse().map_err(|_| Error::new(ErrorCode::CursorInvalid).at("cursor"))?),
            None => None,
        };
        let scope = Scope::Project(read.project());
        let head = read.storage().head(read.project()).await?;
        let wanted = EventFilter::new(read.storage(), scope, head, self.filter.as_ref(), read.now()).await?;
        let least = wanted.query.after;
        let most = wanted.query.until.unwrap_or(head).saturating_add(1);
        let mut below = cursor.unwrap_or(u64::MAX).min(most);
        let types: Vec<&str> = types(&wanted.query.types);
        let mut items = Vec::with_capacity(limit);
        for _ in 0..MAX_ROUNDS {
            let (found, known_down_to) = newest(read, scope, &types, below).await?;
            for event in found.into_iter().filter(|event| event.seq > least) {
                if items.len() == limit {
                    return Ok(page(items, Some(below)));
                }
                below = event.seq;
                if wanted.matches(&event)? {
                    items.push(event);
                }
            }
            if known_down_to <= least.saturating_add(1) {
                return Ok(page(items, None));
            }
            below = known_down_to;
        }
        Ok(page(items, Some(below)))
    }
}

/// The audited types that fit one of these patterns, or all.
fn types(patterns: &[String]) -> Vec<&'static str> {
    let of_aggregates = AGGREGATES.iter().map(|known| (known.kind, known.event_types));
    let of_journals = JOURNALS.iter().map(|known| (known.kind, known.event_types));
    let audited = of_aggregates.chain(of_journals).filter(|(kind, _)| AUDITED.contains(kind));
    let names = audited.flat_map(|(_, types)| types.iter().map(|(name, _)| *name));
    names.filter(|name| patterns.is_empty() || patterns.iter().any(|pattern| type_matches(pattern, name))).collect()
}

/// The newest events of these types below a number, in their order, and down to which number these are all of them.
async fn newest(read: &Reader<'_>, scope: Scope, types: &[&str], below: u64) -> Result<(Vec<EventRecord>, u64)> {
    let (mut found, mut known_down_to) = (Vec::new(), 0);
    if below == 0 {
        return Ok((found, 0));
    }
    for name in types {
        let types = vec![(*name).to_owned()];
        let query = EventQuery { types, after: below, backward: true, limit: BATCH, ..EventQuery::default() };
        let events = read.storage().events(scope, &query).await?;
        if events.len() == BATCH {
            known_down_to = known_down_to.max(events.last().map_or(0, |last| last.seq));
        }
        found.extend(events);
    }
    found.retain(|event| event.seq >= known_down_to);
    found.sort_by_key(|event| std::cmp::Reverse(event.seq));
    Ok((found, known_down_to))
}

fn page(items: Vec<EventRecord>, below: Option<u64>) -> Page<EventRecord> {
    let next_cursor = below.map(|seq| seq.to_string());
    Page { items, has_more: next_cursor.is_some(), next_cursor, prev_cursor: None, total: None }
}

operations![queries: ListAuditTrail];
