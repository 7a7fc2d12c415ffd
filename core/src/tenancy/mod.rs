//! Who may do what: users, projects, members, and the rules that decide.

pub mod access;
