//! How much of one kind may wait to be done. Who makes work in bulk asks before, so that a queue that nobody works off does not grow
//! without end. Nothing else is held up by it: single messages are sent, and what happened is stored, however much waits.

use crate::engine::UnitOfWork;
use crate::kernel::{Error, ErrorCode, ProjectId, Result, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Due jobs of one project and kind that have not ended, unless a [`Crm`](crate::engine::Crm) is opened with another number.
pub(crate) const MAX_BACKLOG: usize = 100_000;
/// What was counted is believed for so long, in seconds.
const BELIEVED: i64 = 60;
/// More projects and kinds than this are not remembered for longer.
const REMEMBERED: usize = 4_096;

/// What this process knows of the room that is left. A count is not repeated before half of it is used up, or a minute has passed: two
/// processes that fill one queue stop a little late.
#[derive(Default)]
pub(crate) struct Backlogs(Mutex<HashMap<(ProjectId, String), Room>>);

#[derive(Clone, Copy)]
struct Room {
    /// So many more are taken without counting.
    left: usize,
    until: Timestamp,
}

impl Backlogs {
    fn rooms(&self) -> MutexGuard<'_, HashMap<(ProjectId, String), Room>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room that is known to be there.
    fn takes(&self, place: &(ProjectId, String), more: usize, now: Timestamp) -> bool {
        let mut rooms = self.rooms();
        let Some(room) = rooms.get_mut(place).filter(|room| room.until > now && room.left >= more) else {
            return false;
        };
        room.left -= more;
        true
    }

    fn learn(&self, place: (ProjectId, String), left: usize, now: Timestamp) {
        let mut rooms = self.rooms();
        if rooms.len() >= REMEMBERED {
            rooms.retain(|_, room| room.until > now);
            if rooms.len() >= REMEMBERED {
                rooms.clear();
            }
        }
        rooms.insert(place, Room { left: left / 2, until: now.plus_seconds(BELIEVED) });
    }
}

/// Refuses to make `more` jobs of this kind when too many are due already.
///
/// # Errors
/// `job_backlog_full` with `max` and `current`.
pub(crate) async fn check_backlog(work: &UnitOfWork<'_>, kind: &str, more: usize) -> Result<()> {
    let (core, now) = (work.reader().core(), work.now());
    let place = (work.project(), kind.to_owned());
    if core.backlogs.takes(&place, more, now) {
        return Ok(());
    }
    let max = core.max_backlog;
    let stored = core.storage.backlog(work.project(), kind, now, max).await?;
    let current = stored + work.new_jobs_of(kind);
    if current + more > max {
        let full = Error::new(ErrorCode::JobBacklogFull).with("max", max).with("current", current);
        return Err(full.with("job_kind", kind));
    }
    core.backlogs.learn(place, max - current - more, now);
    Ok(())
}
