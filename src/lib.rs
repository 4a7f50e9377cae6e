//! tocsin polls a platform's report database, ranks the open reports with minor safety always first,
//! keeps every report's deadlines, and pages people when one passes.
//!
//! The map, in the only direction in which imports point:
//! `core` (pure) <- `zone`, `keys` <- `compile`, `source`, `store`, `pager`, `weekly` <- `web` <- `config` <- `run` <- `cli`.
//!
//! Invariants:
//! * `core` reads no clock and does no I/O: an input and `now` go in, a plan comes out.
//! * What is committed happened; nothing else did. The core applies a plan only after the store has it.
//! * Nothing here holds reported content: rows are parsed into times, names and keyed hashes at the edge.

pub mod cli;
pub mod compile;
pub mod config;
pub mod core;
pub mod keys;
pub mod metrics;
pub mod pager;
pub mod run;
pub mod secret;
pub mod source;
pub mod status;
pub mod store;
pub mod web;
pub mod weekly;
pub mod zone;

/// What a poll reads is freed by another thread than the one that read it, and lines come and go all over memory: with
/// the system's allocator a poll takes a quarter more of the processor. Without huge pages, which a million small things
/// fill badly.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
