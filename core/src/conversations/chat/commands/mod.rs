//! What people do with chats.

mod create;
mod labels;
mod lifecycle;
mod participants;
mod read;
mod update;

pub use create::{CreateChat, OpenedChat};
pub use labels::{AddLabel, RemoveLabel};
pub use lifecycle::{ArchiveChat, CloseChat, DeleteChat, UnarchiveChat};
pub use participants::{AddParticipant, NewParticipant, RemoveParticipant, SetParticipantRole};
pub use read::MarkChatRead;
pub use update::{MetadataChange, UpdateChat};

crate::operations![commands:
    CreateChat, UpdateChat, AddParticipant, RemoveParticipant, SetParticipantRole, ArchiveChat, UnarchiveChat, CloseChat,
    AddLabel, RemoveLabel, MarkChatRead, DeleteChat,
];
