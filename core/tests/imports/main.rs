//! History imports, from what a host or a gateway tells to chats, messages and sessions: the acceptance cases of the inbound flow and
//! workflow pages that are about them, by number.
#![cfg(feature = "testing")]
#![expect(clippy::unwrap_used, reason = "a test stops where it goes wrong")]

mod fetched;
mod gateway;
mod house;
mod stored;
