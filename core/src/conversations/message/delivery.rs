//! The way of a message to its provider: tries under a lease, reports of what became of them, tries again.

use super::{Failure, FailureCode, Message, MessageEvent, MessageStatus, Metrics, QueuedCause};
use crate::conversations::content::ContentType;
use crate::engine::Root;
use crate::kernel::{Error, ErrorCode, Result, Timestamp};

/// A message is handed to its provider this often at most.
pub const MAX_ATTEMPTS: u16 = 5;
/// How long a try may take before somebody else may try again, in seconds.
const LEASE_SECONDS: i64 = 60;
/// Videos take longer.
const VIDEO_LEASE_SECONDS: i64 = 5 * 60;
/// A provider that takes no more now is left alone for so long, unless it says how long.
const PUT_OFF_SECONDS: i64 = 60;
/// For so long that costs no try.
const MAX_PUT_OFF_SECONDS: i64 = 24 * 3_600;
/// The longest that a provider may ask to be left alone, in seconds.
pub(super) const MAX_RETRY_AFTER: i64 = 24 * 3_600;
const FIRST_RETRY_MICROS: i64 = 5_000_000;
const LAST_RETRY_MICROS: i64 = 300_000_000;

/// The pause after failed try `attempt` (from 1): 5 s, doubled each time, at most 5 min, give or take a fifth by `chance`.
pub fn retry_delay_micros(attempt: u16, chance: u16) -> i64 {
    let doublings = u32::from(attempt.saturating_sub(1).min(10));
    let pause = (FIRST_RETRY_MICROS << doublings).min(LAST_RETRY_MICROS);
    let per_mille = 800 + 400 * i64::from(chance) / i64::from(u16::MAX);
    pause / 1_000 * per_mille
}

impl Message {
    /// Its time to go out is over.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|until| until <= now)
    }

    /// It has been due for so long that being put off counts as a try.
    pub(super) fn was_put_off_too_long(&self, now: Timestamp) -> bool {
        let since = self.scheduled_at.map_or(self.created_at, |at| at.max(self.created_at));
        now.seconds_since(since) >= MAX_PUT_OFF_SECONDS
    }

    /// Nobody has tried to send it yet, or the last try failed and another is due.
    pub fn is_unsent(&self) -> bool {
        matches!(self.status, MessageStatus::Scheduled | MessageStatus::Queued)
    }

    /// The error of a command that the present status forbids.
    pub(super) fn wrong_status(&self) -> Error {
        Error::new(ErrorCode::InvalidState).with("id", self.id.to_string()).with("status", self.status.as_str())
    }
}

impl Root<Message> {
    /// Starts a try; whoever makes it has to report before the lease ends.
    pub fn start_sending(&mut self) {
        let is_video = self.content.content_type() == ContentType::Video;
        let at = self.now();
        let lease_until = at.plus_seconds(if is_video { VIDEO_LEASE_SECONDS } else { LEASE_SECONDS });
        let attempt = self.attempts.saturating_add(1);
        self.record(MessageEvent::SendStarted { attempt, at, lease_until });
    }

    /// Puts it back into the queue after a failure that may pass; not before the provider wants it, `pause` seconds from now.
    pub fn retry_later(&mut self, failure: Failure, pause: Option<i64>, chance: u16) {
        let attempt = self.attempts;
        let delay = retry_delay_micros(attempt, chance).max(pause.unwrap_or(0) * 1_000_000);
        let next_attempt_at = self.now().plus_micros(delay);
        self.record(MessageEvent::RetryScheduled { failure, attempt, next_attempt_at });
    }

    /// Puts it back into the queue as if it had not been tried: the provider takes no more now.
    pub fn put_off(&mut self, failure: Failure, pause: Option<i64>, chance: u16) {
        let attempt = self.attempts.saturating_sub(1);
        let per_mille = 800 + 400 * i64::from(chance) / i64::from(u16::MAX);
        let delay = (PUT_OFF_SECONDS * 1_000 * per_mille).max(pause.unwrap_or(0) * 1_000_000);
        let next_attempt_at = self.now().plus_micros(delay);
        self.record(MessageEvent::RetryScheduled { failure, attempt, next_attempt_at });
    }

    /// Ends its way without success.
    pub fn give_up(&mut self, failure: Failure, failed_at: Timestamp, session_metrics: Option<Metrics>) {
        let (attempt, session_id) = (self.attempts, self.session_id);
        self.record(MessageEvent::Failed { failure, failed_at, attempt, session_id, session_metrics });
    }

    /// Learns the provider's id of a message whose status needs no change.
    pub fn learn_external_id(&mut self, channel_message_id: String) {
        let sent_at = self.sent_at.unwrap_or_else(|| self.now());
        let session_id = self.session_id;
        let channel_message_id = Some(channel_message_id);
        self.record(MessageEvent::Sent { channel_message_id, sent_at, session_id, session_metrics: None });
    }

    /// The provider took it. `session_metrics` as in [`acknowledge`](Self::acknowledge).
    pub fn confirm_sent(
        &mut self,
        channel_message_id: Option<String>,
        sent_at: Timestamp,
        session_metrics: Option<Metrics>,
    ) {
        let session_id = self.session_id;
        self.record(MessageEvent::Sent { channel_message_id, sent_at, session_id, session_metrics });
    }

    /// Withdraws it before it goes out.
    ///
    /// # Errors
    /// `invalid_state` unless it is scheduled or queued.
    pub fn cancel(&mut self, reason: Option<String>, session_metrics: Option<Metrics>) -> Result<()> {
        if !self.is_unsent() {
            return Err(self.wrong_status());
        }
        let (at, session_id) = (self.now(), self.session_id);
        self.record(MessageEvent::Cancelled { reason, at, session_id, session_metrics });
        Ok(())
    }

    /// Its time passed before it went out.
    pub fn expire(&mut self, session_metrics: Option<Metrics>) {
        let (at, session_id) = (self.now(), self.session_id);
        self.record(MessageEvent::Expired { at, session_id, session_metrics });
    }

    /// Tries a failed one again, from the first attempt.
    ///
    /// # Errors
    /// `invalid_state` unless it failed.
    pub fn queue_again(&mut self, session_metrics: Option<Metrics>) -> Result<()> {
        if self.status != MessageStatus::Failed {
            return Err(self.wrong_status());
        }
        let queued_at = self.now();
        let (session_id, chat_id, contact_id) = (self.session_id, self.chat_id, self.contact_id);
        self.record(MessageEvent::Queued {
            queued_at,
            cause: QueuedCause::Retried,
            session_id,
            placement: None,
            session_metrics,
            chat_id,
            contact_id,
            released: None,
        });
        Ok(())
    }
}

impl Failure {
    /// A failure of our own making, retried or not as its code says.
    pub(super) fn of(code: FailureCode, reason: &str) -> Failure {
        Failure { code, reason: reason.to_owned(), retryable: code.is_retryable(), provider_code: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_wait_longer_each_time_up_to_five_minutes() {
        let middle = u16::MAX / 2;
        let seconds: Vec<i64> = (1..=8).map(|n| (retry_delay_micros(n, middle) + 500_000) / 1_000_000).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn chance_moves_a_retry_by_a_fifth_at_most() {
        assert_eq!(retry_delay_micros(1, 0), 4_000_000);
        assert_eq!(retry_delay_micros(1, u16::MAX), 6_000_000);
        assert_eq!(retry_delay_micros(u16::MAX, u16::MAX), 360_000_000);
    }
}
