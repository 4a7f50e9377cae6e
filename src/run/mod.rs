//! The loops: they read, hand to the core, commit, apply and send.

pub mod clock;
pub mod outbox;
