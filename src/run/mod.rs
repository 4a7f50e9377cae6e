//! The loops: they read, hand to the core, commit, apply and send.

pub mod asks;
pub mod auditor;
pub mod beside;
pub mod canary;
pub mod clock;
pub mod emergency;
pub mod engine;
pub mod heartbeat;
pub mod inbox;
pub mod lease;
pub mod lists;
pub mod monitor;
pub mod opening;
pub mod outbox;
pub mod poller;
pub mod repeat;
pub mod replay;
pub mod retention;
pub mod rounds;
pub mod service;
pub mod troubles;
pub mod watch;
pub mod watcher;
pub mod weekly;
pub mod what_if;

use crate::core::policy::Policy;
use arc_swap::ArcSwap;
use std::sync::Arc;

/// The policy that is in force, for whoever looks at it beside the engine: a reload puts the next one here.
pub type PolicyInForce = Arc<ArcSwap<Policy>>;
