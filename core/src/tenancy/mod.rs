//! Who may do what: users, projects, members, and the rules that decide.

pub mod access;
mod json_patch;
pub mod project;

pub use json_patch::JsonPatch;
