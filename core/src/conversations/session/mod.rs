//! A bounded stretch of conversation in one chat: the unit of work of a service team.
//!
//! `state` and `events` say what a session is and what can happen to it, `columns` how it is found. `placement` decides by time
//! alone which session a message belongs to, `step` does it, `recording` counts the message; `timer` and `ending` close, what
//! people may do is in `behaviour` and `commands`. `recut` (with `segments` and `extent`) cuts a stretch anew after an import,
//! `merging` lets one session absorb another.

mod behaviour;
mod columns;
pub mod commands;
mod ending;
mod events;
mod extent;
mod merging;
mod placement;
pub mod queries;
mod reactions;
mod recording;
mod recut;
mod segments;
mod state;
mod step;
mod timeout;
mod timer;
mod values;

pub use behaviour::{Assignment, MAX_CUSTOM_FIELDS, MAX_ESCALATION_LEVEL, MAX_EXTENSION_SECONDS, MAX_OUTCOME_TAGS};
pub use ending::{Ending, MAX_MESSAGE_IDS, SUMMARY_MIN_MESSAGES, end_session, want_summary};
pub use events::{SessionEnd, SessionEvent, SessionRecut, SessionStart, SessionSummary};
pub use merging::merge_sessions;
pub use placement::{Placement, SessionSpan, SpanEnd, place};
pub use reactions::REACTIONS;
pub use recording::{Counted, Writer};
pub use recut::{RecutFacts, recut_chat};
pub use state::{ACTIVE_IN_CHAT, ACTIVE_WITH_CONTACT, Session};
pub use step::{Placed, PlacementFacts, place_message};
pub use timeout::{
    DEFAULT_TIMEOUT_SECONDS, MAX_TIMEOUT_SECONDS, MIN_TIMEOUT_SECONDS, Timeout, TimeoutSettings, check_timeout,
};
pub use timer::{JOBS, SWEEPS};
pub use values::*;

#[cfg(test)]
mod placement_tests;
#[cfg(test)]
mod recording_tests;
#[cfg(test)]
mod tests;
