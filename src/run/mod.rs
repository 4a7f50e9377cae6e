//! The loops: they read, hand to the core, commit, apply and send.

pub mod asks;
pub mod clock;
pub mod engine;
pub mod inbox;
pub mod lease;
pub mod monitor;
pub mod outbox;
pub mod poller;
pub mod repeat;
pub mod replay;
pub mod retention;
pub mod watch;
pub mod weekly;
