//! The lines that people write to: what a provider must deliver, and the adapters that read one provider each.

pub mod channel;
pub mod channel_type;
pub mod gateway;
pub mod waha;
