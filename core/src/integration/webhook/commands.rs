//! What people do with webhooks.

mod create;
mod replay;
mod rotate;
mod status;
mod test;
mod update;

pub use create::{CreateWebhook, CreatedWebhook};
pub use replay::{ReplayWebhook, ReplayedWebhook};
pub use rotate::{RotateWebhookSecret, RotatedWebhookSecret};
pub(super) use status::remove;
pub use status::{ActivateWebhook, DeactivateWebhook, DeleteWebhook};
pub(super) use test::sample_of;
pub use test::{TestWebhook, TestedWebhook};
pub use update::UpdateWebhook;

crate::operations![
    commands: CreateWebhook,
    UpdateWebhook,
    ActivateWebhook,
    DeactivateWebhook,
    DeleteWebhook,
    RotateWebhookSecret,
    TestWebhook,
    ReplayWebhook
];
