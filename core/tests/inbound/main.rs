//! The conversation flow end to end: inbound messages, acknowledgements, intake, faults and races, by the numbers of its page.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod contacts;
mod crowd;
mod faults;
mod intake;
mod line;
mod messages;
mod races;
mod sessions;
mod targets;
