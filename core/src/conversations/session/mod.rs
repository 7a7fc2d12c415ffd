//! A bounded stretch of conversation in one chat: the unit of work of a service team.

mod ending;
mod events;
mod placement;
mod recording;
mod state;
mod step;
mod timeout;
mod timer;
mod values;

pub use ending::{Ending, MAX_MESSAGE_IDS, SUMMARY_MIN_MESSAGES, end_session, want_summary};
pub use events::{SessionEnd, SessionEvent, SessionRecut, SessionStart, SessionSummary};
pub use placement::{Placement, SessionSpan, SpanEnd, place};
pub use recording::{Counted, Writer};
pub use state::{ACTIVE_IN_CHAT, ACTIVE_WITH_CONTACT, Session};
pub use step::{Placed, PlacementFacts, place_message};
pub use timeout::{
    DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS, MIN_TIMEOUT_SECONDS, Timeout, TimeoutSettings, check_timeout,
};
pub use timer::SESSION_TIMEOUT;
pub use values::*;

#[cfg(test)]
mod placement_tests;
