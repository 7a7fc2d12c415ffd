//! What became of one delivered item.

use crate::kernel::{ChatId, ContactId, Error, MessageId, SessionId};
use crate::text_enum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

text_enum! {
    /// Why an item was left out on purpose.
    pub enum IgnoredBecause {
        /// The channel does not take groups.
        GroupDisabled = "group_disabled",
        /// The channel does not take newsletters and broadcast lists.
        NewsletterDisabled = "newsletter_disabled",
        /// A story.
        StatusBroadcast = "status_broadcast",
        /// Talk between devices, or a kind that means nothing to a CRM.
        ProtocolMessage = "protocol_message",
        /// Belongs to another line of the same gateway.
        WrongSession = "wrong_session",
        /// The sender is blocked.
        ContactBlocked = "contact_blocked",
        /// The chat or contact it is about does not exist, and it does not make one.
        NothingToChange = "nothing_to_change",
    }
}

text_enum! {
    /// Why an item waits.
    pub enum ParkedBecause {
        /// A person switched the channel off; the item is worked off when it is activated.
        ChannelInactive = "channel_inactive",
        /// The project is switched off, and the item belongs to no session that is still open; it is worked off when the
        /// project is activated.
        ProjectInactive = "project_inactive",
        /// It may be the echo of a send that is under way.
        OwnSendInFlight = "own_send_in_flight",
        /// What it is about has not arrived yet.
        TargetUnknown = "target_unknown",
    }
}

/// What a recorded message brought into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    pub contact: bool,
    pub chat: bool,
    pub session: bool,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Outcome {
    /// A message that was not known.
    Recorded {
        message_id: MessageId,
        /// None for our own message in a group.
        contact_id: Option<ContactId>,
        chat_id: ChatId,
        /// None in newsletters and for notices.
        session_id: Option<SessionId>,
        created: Created,
    },
    /// The message was recorded before; nothing was touched.
    Duplicate {
        message_id: MessageId,
    },
    /// One of our own sends came back.
    Echo {
        message_id: MessageId,
    },
    /// An acknowledgement, reaction, edit, label or the like was taken in, or was known.
    Applied {},
    /// Waits, and is worked off by itself.
    Parked {
        reason: ParkedBecause,
    },
    Ignored {
        reason: IgnoredBecause,
    },
    /// It can not be read. `inbound.accept` keeps such a delivery as dead, replayable.
    Rejected {
        code: String,
        message: String,
    },
}

impl Outcome {
    pub(in crate::conversations) fn rejected(error: &Error) -> Outcome {
        Outcome::Rejected { code: error.code().as_str().to_owned(), message: error.to_string() }
    }
}
