//! Durable readers of the log, open to those who look after them: how far they are, what they gave up on, and how to mend it.

pub mod commands;
mod events;
pub mod queries;
mod view;

pub use events::ConsumerEvent;
pub use view::{Consumer, ConsumerStart, ParkedEvent};

use crate::kernel::{Kind, ProjectId, Subject};
use uuid::Uuid;

/// The stream of a consumer's events. Its id follows from its name, so that it is the same when it is made again.
pub(crate) fn stream_of(project: ProjectId, name: &str) -> Subject {
    Subject::new(Kind::Consumer, Uuid::new_v5(&project.uuid(), format!("consumer:{name}").as_bytes()))
}

#[cfg(test)]
mod stream_tests;
#[cfg(test)]
mod tests;
