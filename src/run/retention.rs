//! Lets the store forget what is over, in the background of a process that leads: a little every second for
//! as long as there is something, then nothing for an hour.

use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::status::StatusHandle;
use crate::store::SqlStore;
use std::sync::Arc;

const PAUSE: Span = Span::from_secs(1);
const IDLE: Span = Span::from_hours(1);
/// A month of retention: no month is longer, so nothing is forgotten early.
const MONTH: Span = Span::from_hours(31 * 24);

/// Runs until it is dropped.
pub async fn forget<C: Clock>(store: Arc<SqlStore>, keep_months: u32, status: StatusHandle, clock: C) {
    let mut next = clock.now().plus(PAUSE);
    loop {
        clock.sleep_until(next).await;
        let now = clock.now();
        next = now.plus(PAUSE);
        if !status.load().leader {
            continue;
        }
        match store.forget(before(now, keep_months)).await {
            Ok(0) => next = now.plus(IDLE),
            Ok(rows) => tracing::debug!(rows, "forgot what is over"),
            Err(error) => {
                tracing::warn!(%error, "what is over can't be forgotten; trying again in an hour");
                next = now.plus(IDLE);
            }
        }
    }
}

fn before(now: Timestamp, keep_months: u32) -> Timestamp {
    now.minus(Span::from_micros(MONTH.micros() * i64::from(keep_months)))
}
