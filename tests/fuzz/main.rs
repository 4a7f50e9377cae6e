//! Whatever comes in from outside is read or refused, and never ends the process: configurations, durations,
//! calendars, expressions, cursors, what the store holds, and rows of a database. Each target plays the inputs
//! that are kept beside it and a bounded number of random ones; a fuzzer that is guided by coverage plays the same
//! targets for as long as it is let (README). Bytes are read by hand here, so that a kept input stays what it was.

#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

mod bytes;
mod cursors;
#[path = "../it/kit.rs"]
#[expect(dead_code, reason = "the workbench of the integration tests, of which a part is used here")]
mod kit;
mod rows;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "what integration tests share, of which a part is used here")]
mod support;
mod texts;

/// Random inputs of a target in an ordinary run, and how long each is at most.
const INPUTS: usize = 400;
const BYTES_MAX: usize = 160;
