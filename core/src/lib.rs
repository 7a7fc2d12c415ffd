//! Ventros: a CRM that lives inside your program.

pub mod catalogue;
pub mod channels;
pub mod contacts;
pub mod conversations;
pub mod engine;
pub mod http;
pub mod infrastructure;
pub mod integration;
pub mod kernel;
pub mod operations;
pub mod seeded;
pub mod storage;
#[cfg(feature = "system")]
pub mod system;
pub mod tenancy;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod vault;

pub use engine::copy;
