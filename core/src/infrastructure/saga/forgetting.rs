//! What is stored of a saga is removed when it has ended long ago. Its events stay, as the retention of the project says.

use super::{Saga, SagaStatus};
use crate::engine::{Sweep, UnitOfWork};
use crate::kernel::{Component, Kind, Result, SagaId, Timestamp};
use crate::storage::{FieldKind, Filter, Find, Leaf, Sort, Test, Value};
use uuid::Uuid;

/// How long an ended saga is kept, in seconds: 90 days after its last change.
const KEEP: i64 = 90 * 24 * 3_600;
/// Sagas removed in one commit.
const BATCH: usize = 500;

/// Once a day.
pub const SWEEPS: &[Sweep] =
    &[Sweep { name: "sagas.ended", component: Component::Retention, run: |work| Box::pin(forget_ended(work)) }];

/// Whether it has ended for so long that it need not be stored any more.
pub(super) fn is_forgotten(saga: &Saga, now: Timestamp) -> bool {
    saga.status.has_ended() && saga.updated_at < now.plus_seconds(-KEEP)
}

async fn forget_ended(work: &mut UnitOfWork<'_>) -> Result<bool> {
    for status in SagaStatus::ALL.iter().copied().filter(|status| status.has_ended()) {
        let mut after = None;
        loop {
            let find = Find {
                filter: Filter::eq("status", FieldKind::Enum, status.as_str()).and(older(work.now())),
                sort: vec![Sort { field: "updated_at".to_owned(), kind: FieldKind::Instant, descending: false }],
                after,
                backward: false,
                limit: BATCH,
                include_hidden: true,
                with_total: false,
            };
            let found = work.reader().find_states::<Saga>(&find).await?;
            let is_last = found.len() < BATCH;
            after = found.last().map(|saga| (vec![Value::Instant(saga.updated_at)], saga.id.uuid()));
            let ids = unawaited(work, &found).await?;
            if !ids.is_empty() {
                work.remove_stored(Kind::Saga, &ids).await?;
                return Ok(true);
            }
            if is_last {
                break;
            }
        }
    }
    Ok(false)
}

fn older(now: Timestamp) -> Filter {
    let test = Test::Less(Value::Instant(now.plus_seconds(-KEEP)));
    Filter::Leaf(Leaf { field: "updated_at".to_owned(), kind: FieldKind::Instant, is_attribute: false, test })
}

/// Without those whose parent may have yet to look at how they ended.
async fn unawaited(work: &UnitOfWork<'_>, sagas: &[Saga]) -> Result<Vec<Uuid>> {
    let parents: Vec<SagaId> = sagas.iter().filter_map(|saga| saga.parent_id).collect();
    let going: Vec<SagaId> = work
        .reader()
        .get_many::<Saga>(&parents)
        .await?
        .into_iter()
        .filter(|parent| !parent.status.has_ended())
        .map(|parent| parent.id)
        .collect();
    let is_free = |saga: &&Saga| saga.parent_id.is_none_or(|parent| !going.contains(&parent));
    Ok(sagas.iter().filter(is_free).map(|saga| saga.id.uuid()).collect())
}
