//! Ventros: a CRM that lives inside your program.

pub mod channels;
pub mod conversations;
pub mod kernel;
pub mod storage;
