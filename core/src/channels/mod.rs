//! The lines that people write to: what a provider must deliver, and the adapters that read one provider each.

pub mod gateway;
pub mod waha;
