//! The simulations, one binary: the real core and loops over modelled databases and receivers, in time
//! that only a test moves.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails loudly, and says what it measured")]

mod crash;
mod driver;
mod faults;
#[path = "../it/kit.rs"]
#[expect(dead_code, reason = "the workbench of the integration tests, of which a part is used here")]
mod kit;
mod model_contract;
mod model_store;
#[path = "../it/port.rs"]
mod port;
mod storm;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "what integration tests share, of which a part is used here")]
mod support;
mod truth;
