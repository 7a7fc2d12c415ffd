//! Forgetting: what a commit takes back, and what the file keeps of it beside its rows.

use crate::SqliteStorage;
use crate::baselines;
use crate::connection::allow_waiting;
use crate::errors::Carry;
use crate::values::integer;
use rusqlite::{Connection, params};
use std::time::Duration;
use ventros::kernel::Result;
use ventros::storage::{ERASED_OUTCOME, Erasure, Scope};

/// Pages of the search index that are merged in one transaction.
const MERGED_PAGES: i64 = 256;
/// How long a checkpoint waits for those who read.
const CHECKPOINT_WAIT: Duration = Duration::from_millis(500);

pub(crate) fn write(connection: &Connection, erasures: &[Erasure]) -> Result<()> {
    for erasure in erasures {
        match erasure {
            Erasure::Event(event) => {
                let sql = "UPDATE events SET schema_version = ?3, data = ?4, metadata = NULL, redacted_at = ?5
                    WHERE project_id = ?1 AND seq = ?2";
                let project = event.project_id.uuid();
                let values = params![
                    project.as_bytes(),
                    integer(event.seq),
                    event.schema_version,
                    event.data.get(),
                    event.redacted_at.micros()
                ];
                connection.prepare_cached(sql).carry()?.execute(values).carry()?;
            }
            Erasure::Baseline(baseline) => baselines::put(connection, baseline)?,
            Erasure::Events(removal) => baselines::remove_events(connection, removal)?,
            Erasure::Jobs { project_id, ids } => {
                let sql = "DELETE FROM jobs WHERE id = ?2 AND project_id = ?1 AND finished_at IS NOT NULL";
                let mut statement = connection.prepare_cached(sql).carry()?;
                let project = project_id.uuid();
                for id in ids {
                    statement.execute(params![project.as_bytes(), id.as_bytes()]).carry()?;
                }
            }
            Erasure::Outcomes { scope, texts } => {
                let everywhere = "UPDATE idempotency_keys SET result = ?1 WHERE instr(result, ?2) > 0";
                for text in texts {
                    match scope {
                        Scope::Project(project) => {
                            let sql = format!("{everywhere} AND scope = ?3");
                            let of = project.uuid();
                            let values = params![ERASED_OUTCOME, text, of.as_bytes()];
                            connection.prepare_cached(&sql).carry()?.execute(values).carry()?;
                        }
                        Scope::Installation => {
                            let values = params![ERASED_OUTCOME, text];
                            connection.prepare_cached(everywhere).carry()?.execute(values).carry()?;
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Merges the search index, whose removed rows stay in it until then, and moves the write-ahead log into the file, which is cleared as it
/// is freed. Whoever reads an old state of the file keeps its part of the log alive.
pub(crate) async fn scrub(store: &SqliteStorage) -> Result<()> {
    // A negative number takes all parts of the index in hand, a positive one goes on.
    let mut pages = -MERGED_PAGES;
    loop {
        let step = pages;
        let changed = store.writer.write(move |transaction| {
            let before = transaction.total_changes();
            let sql = "INSERT INTO search (search, rank) VALUES ('merge', ?1)";
            transaction.prepare_cached(sql).carry()?.execute([step]).carry()?;
            Ok::<_, ventros::kernel::Error>(transaction.total_changes() - before)
        });
        // The statement itself counts as one change.
        if changed.await? < 2 {
            break;
        }
        pages = MERGED_PAGES;
    }
    let slot = store.writer.connection()?;
    let Some(connection) = slot.as_ref() else { return Ok(()) };
    allow_waiting(CHECKPOINT_WAIT);
    let moved = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    allow_waiting(store.writer.busy_timeout());
    // Readers in the way are no failure: the next checkpoint goes further.
    match moved.carry() {
        Err(error) if error.code() == ventros::kernel::ErrorCode::StoreLocked => Ok(()),
        moved => moved,
    }
}
