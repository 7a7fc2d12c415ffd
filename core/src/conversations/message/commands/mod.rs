//! What can be done with messages.

mod change;
mod claim;
mod edit;
mod forward;
mod media;
mod read;
mod report;
mod send;
mod withdraw;

pub use change::{DeleteMessage, React, UpdateMessage};
pub use claim::{ClaimDue, ClaimedMessage};
pub(super) use claim::{claim_turn, under_way};
pub use edit::{EditMessage, RevokeMessage};
pub use forward::ForwardMessage;
pub use media::{AttachMedia, MediaPatch};
pub use read::MarkMessageRead;
pub use report::{DeliveryResult, ReportDelivery, ReportOutcome, ReportedFailure, ReportedStatus};
pub use send::SendMessage;
pub use withdraw::{CancelMessage, RetryMessage};

use crate::kernel::{Result, text::text};

/// The longest reason, in characters.
const MAX_REASON: usize = 1_000;

crate::operations![commands:
    SendMessage, ForwardMessage, CancelMessage, RetryMessage, ClaimDue, ReportDelivery, MarkMessageRead, EditMessage,
    RevokeMessage, DeleteMessage, React, AttachMedia, UpdateMessage,
];

fn reason(given: Option<&str>) -> Result<Option<String>> {
    let clean = given.map(|reason| text(reason, MAX_REASON)).transpose().map_err(|e| e.at("reason"))?;
    Ok(clean.filter(|reason| !reason.is_empty()))
}
