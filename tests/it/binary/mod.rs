//! The program itself, as people run it: real processes over real databases that page a real receiver, and are killed,
//! stopped, fed nonsense and cut off. Nothing sleeps: conditions are looked at until they hold or their time is up.

mod bad_input;
mod canaries;
mod closed_pipes;
mod commands;
mod crash;
mod demo;
mod emergency;
mod hostile;
mod observed;
mod outages;
mod page_command;
mod paging;
mod people;
mod platform;
mod pooler;
mod power;
pub mod process;
pub mod proxy;
mod reloading;
mod replica;
mod restoring;
pub mod rig;
mod said;
mod sight;
mod source_faults;
mod sources;
mod standby;
mod stopping;
mod store_faults;
mod tokens;

use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::{Clock, SystemClock};

/// How often a condition is looked at.
const LOOK_EVERY: Span = Span::from_micros(50_000);

fn now() -> Timestamp {
    SystemClock.now()
}

fn secs(secs: i64) -> Span {
    Span::from_secs(secs)
}

/// Looks until `look` gives a value, at most `within`; what it gave instead is told when the time is up.
async fn eventually<T>(what: &str, within: Span, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let until = now().plus(within);
    loop {
        match look().await {
            Ok(value) => return value,
            Err(instead) if now() >= until => panic!("not within {within}: {what}; instead {instead}"),
            Err(_) => SystemClock.sleep_until(now().plus(LOOK_EVERY)).await,
        }
    }
}

/// Looks for as long as `lasting` whether `look` finds nothing to object to.
async fn throughout(what: &str, lasting: Span, mut look: impl AsyncFnMut() -> Result<(), String>) {
    let until = now().plus(lasting);
    while now() < until {
        if let Err(instead) = look().await {
            panic!("not for {lasting}: {what}; instead {instead}");
        }
        SystemClock.sleep_until(now().plus(LOOK_EVERY)).await;
    }
}

/// `Ok` when the condition holds; `found` tells what there is otherwise.
fn hold(condition: bool, found: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(found()) }
}
