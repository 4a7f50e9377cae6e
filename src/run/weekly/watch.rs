//! Notes once a minute what is in sight, so that a later report can say in which hours nobody watched. The
//! note is the leader's: a process that doesn't lead watches nothing.

use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::status::StatusHandle;
use crate::store::SqlStore;
use crate::store::told::{Stretch, THE_MONITOR};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

/// How often it is noted. A gap is told from a note that comes late by `sight::TOLERATED`.
const NOTED_EVERY: Span = Span::from_secs(30);

/// Runs until `shutdown` turns true.
pub async fn run<C: Clock>(store: Arc<SqlStore>, status: StatusHandle, clock: C, mut shutdown: watch::Receiver<bool>) {
    let mut stretches = BTreeMap::new();
    loop {
        let noted = note(&mut stretches, &status, clock.now());
        if !noted.is_empty()
            && let Err(error) = store.watch(&noted).await
        {
            // The next note covers it too.
            tracing::debug!(%error, "what is in sight can't be noted");
        }
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = clock.sleep_until(clock.now().plus(NOTED_EVERY)) => {}
        }
    }
}

/// The stretches as they are now. One that was broken begins anew.
fn note(stretches: &mut BTreeMap<String, Stretch>, status: &StatusHandle, now: Timestamp) -> Vec<Stretch> {
    let status = status.load();
    if !status.leader {
        stretches.clear();
        return Vec::new();
    }
    let mut seen: BTreeMap<String, Timestamp> = BTreeMap::from([(THE_MONITOR.to_owned(), now)]);
    for source in &status.sources {
        if source.sight(status.started_at, now).is_seen()
            && let Some(last) = source.last_ok
        {
            seen.insert(source.name.to_string(), last);
        }
    }
    stretches.retain(|name, _| seen.contains_key(name));
    for (name, at) in seen {
        let fresh = || Stretch { source: name.as_str().into(), began: at, ended: at };
        let stretch = stretches.entry(name.clone()).or_insert_with(fresh);
        stretch.ended = stretch.ended.max(at);
    }
    stretches.values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::{Failure, Mode, SourceStatus, Status, StoreStatus};

    #[test]
    fn a_stretch_grows_while_the_source_is_seen_and_begins_anew_after_it_was_not() {
        let at = Timestamp::from_secs;
        let mut source = SourceStatus::new("reports".into(), Span::from_secs(1), Span::from_secs(60));
        source.last_ok = Some(at(10));
        let status = StatusHandle::new(Status {
            version: "0",
            mode: Mode::Live,
            deployment: "d".into(),
            leader: true,
            started_at: at(0),
            engine_alive_at: None,
            sources: vec![source],
            store: StoreStatus::default(),
        });
        let mut stretches = BTreeMap::new();
        let mut of_source = |status: &StatusHandle, now| {
            let noted = note(&mut stretches, status, at(now));
            noted.into_iter().find(|stretch| &*stretch.source == "reports").map(|s| (s.began, s.ended))
        };
        assert_eq!(of_source(&status, 11), Some((at(10), at(10))));
        status.update_source("reports", |source| source.last_ok = Some(at(40)));
        assert_eq!(of_source(&status, 41), Some((at(10), at(40))));
        status.update_source("reports", |source| {
            source.last_error = Some(Failure { at: at(42), cause: "refused".into() });
        });
        assert_eq!(of_source(&status, 200), None, "blind");
        status.update_source("reports", |source| source.last_ok = Some(at(300)));
        assert_eq!(of_source(&status, 301), Some((at(300), at(300))));
        status.update(|status| status.leader = false);
        assert_eq!(of_source(&status, 302), None);
    }
}
