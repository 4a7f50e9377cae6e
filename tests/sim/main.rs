//! The simulations, one binary: the real core and loops over modelled databases and receivers, in time
//! that only a test moves.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails loudly, and says what it measured")]

mod crash;
mod driver;
mod faults;
#[path = "../it/kit.rs"]
#[expect(dead_code, reason = "the workbench of the integration tests, of which a part is used here")]
mod kit;
mod model_store;
mod storm;
mod truth;
