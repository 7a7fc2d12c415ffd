//! What connects a project with systems outside.

pub mod webhook;
