//! People: who they are, what is known of them, what happened to them, and how an inbound message finds its person.

pub mod contact;
pub mod contact_event;
