//! People: who they are, what is known of them, and how an inbound message finds its person.

pub mod contact;
