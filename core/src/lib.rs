//! Ventros: a CRM that lives inside your program.

pub mod kernel;
pub mod storage;
