//! What logins leave behind: when somebody came in, failures, and the lock after too many of them.

use crate::engine::Root;
use crate::kernel::Timestamp;
use crate::tenancy::user::{LoginMethod, User, UserEvent};

/// A login is recorded at most once in this many seconds, by method.
const LOGIN_SECONDS: i64 = 15 * 60;
/// From how many failed passwords on there is a lock.
const LOCK_FROM: u32 = 5;
/// The first lock, in seconds; each further failure doubles it, up to a day.
const FIRST_LOCK: i64 = 15 * 60;
const LONGEST_LOCK: i64 = 86_400;

impl Root<User> {
    /// Somebody proved to be the user. Kept at most every 15 minutes by method, and always when there is something to reset.
    pub fn login_succeeded(&mut self, method: LoginMethod, issuer: Option<String>) {
        let at = self.now();
        let recent = self.last_login_at.is_some_and(|last| at < last.plus_seconds(LOGIN_SECONDS));
        let dirty = self.failed_logins > 0 || self.locked_until.is_some();
        if dirty || !recent || self.last_login_method != Some(method) {
            self.record(UserEvent::LoginRecorded { method, at, issuer });
        }
    }

    /// Somebody did not prove it. The fifth wrong password locks for 15 minutes, each further one twice as long as the last.
    pub fn login_failed(&mut self, method: LoginMethod) {
        let failed_logins = self.failed_logins.saturating_add(1);
        let locked_until = lock(method, failed_logins, self.now()).or(self.locked_until);
        self.record(UserEvent::LoginFailed { method, failed_logins, locked_until });
    }
}

fn lock(method: LoginMethod, failures: u32, now: Timestamp) -> Option<Timestamp> {
    let beyond = failures.checked_sub(LOCK_FROM).filter(|_| method == LoginMethod::Password)?;
    let seconds = FIRST_LOCK.saturating_mul(1 << beyond.min(10)).min(LONGEST_LOCK);
    Some(now.plus_seconds(seconds))
}
