//! Every command and query of the product under one name: `use ventros::operations::*`.

pub use crate::channels::channel::commands::*;
pub use crate::channels::channel::queries::*;
pub use crate::channels::channel_type::commands::*;
pub use crate::channels::channel_type::queries::*;
pub use crate::contacts::contact::commands::*;
pub use crate::contacts::contact::queries::*;
pub use crate::conversations::chat::commands::*;
pub use crate::conversations::chat::queries::*;
pub use crate::conversations::inbound::inbox::*;
pub use crate::conversations::inbound::*;
pub use crate::conversations::message::commands::*;
pub use crate::conversations::message::queries::*;
pub use crate::conversations::session::commands::*;
pub use crate::conversations::session::queries::*;
pub use crate::infrastructure::event_log::catalogue::*;
pub use crate::infrastructure::event_log::commands::*;
pub use crate::infrastructure::event_log::history::*;
pub use crate::infrastructure::event_log::queries::*;
pub use crate::infrastructure::event_log::verify::*;
pub use crate::tenancy::project::commands::*;
pub use crate::tenancy::project::queries::*;
pub use crate::tenancy::project_member::commands::*;
pub use crate::tenancy::project_member::queries::*;
pub use crate::tenancy::user::commands::*;
pub use crate::tenancy::user::queries::*;
