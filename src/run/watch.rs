//! Compares clocks, and asks a replica how far it is behind: every now and then, beside the polls. It only
//! measures; the core judges.

use crate::core::id::Name;
use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::source::AnySource;
use crate::status::StatusHandle;
use crate::store::SqlStore;
use std::sync::Arc;
use tokio::sync::watch;

/// How often it asks.
const EVERY: Span = Span::from_secs(15);
/// An answer that took longer says too little about the instant that it is of.
const ANSWER_WITHIN: Span = Span::from_secs(1);

/// Asks one source until the process is told to stop. What fails here is told by the polls.
pub async fn source<C: Clock>(
    name: Name,
    source: Arc<AnySource>,
    status: StatusHandle,
    clock: C,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        let asked = clock.now();
        if let Ok(vitals) = source.vitals().await {
            let answered = clock.now();
            let ahead = vitals.clock.and_then(|theirs| ahead(theirs, asked, answered));
            status.update_source(&name, |source| {
                source.lag = vitals.lag.map(|lag| (answered, lag));
                source.clock = ahead.map(|ahead| (answered, ahead)).or(source.clock);
            });
        }
        if rested(&clock, asked, &mut shutdown).await.is_none() {
            return;
        }
    }
}

/// Asks the store until the process is told to stop.
pub async fn store<C: Clock>(
    store: Arc<SqlStore>,
    status: StatusHandle,
    clock: C,
    mut shutdown: watch::Receiver<bool>,
) {
    loop {
        let asked = clock.now();
        if let Ok(Some(theirs)) = store.clock().await {
            let answered = clock.now();
            if let Some(ahead) = ahead(theirs, asked, answered) {
                status.update(|status| status.store.clock = Some((answered, ahead)));
            }
        }
        if rested(&clock, asked, &mut shutdown).await.is_none() {
            return;
        }
    }
}

/// Another clock less ours, at the middle between question and answer.
fn ahead(theirs: Timestamp, asked: Timestamp, answered: Timestamp) -> Option<Span> {
    let took = answered.since(asked);
    let middle = asked.plus(Span::from_micros(took.micros() / 2));
    (Span::ZERO..=ANSWER_WITHIN).contains(&took).then(|| theirs.since(middle))
}

/// `None` once the process is told to stop.
async fn rested<C: Clock>(clock: &C, from: Timestamp, shutdown: &mut watch::Receiver<bool>) -> Option<()> {
    tokio::select! {
        biased;
        _ = shutdown.wait_for(|stop| *stop) => None,
        () = clock.sleep_until(from.plus(EVERY)) => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_middle_and_a_slow_one_says_nothing() {
        let at = |millis: i64| Timestamp::from_micros(1_000_000_000 + millis * 1_000);
        assert_eq!(ahead(at(5_200), at(100), at(300)), Some(Span::from_secs(5)));
        assert_eq!(ahead(at(200), at(100), at(300)), Some(Span::ZERO));
        assert_eq!(ahead(at(200), at(100), at(1_200)), None);
        assert_eq!(ahead(at(200), at(300), at(100)), None, "our own clock was set meanwhile");
    }
}
