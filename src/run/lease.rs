//! The lead of the store, as a process takes and keeps it. A standby waits here and starts by the same path
//! as any start. A leader renews its lease every two seconds, and so notices within them that it was
//! replaced while it had nothing to commit.

use crate::core::time::Span;
use crate::run::clock::Clock;
use crate::status::{Failure, StatusHandle};
use crate::store::{Lead, Store, StoreError};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a standby looks whether it may lead.
const LOOK_EVERY: Span = Span::from_micros(250_000);
/// How often a leader renews, and how long one try may take: three tries fit into a lease.
const RENEW_EVERY: Duration = Duration::from_secs(2);

/// Waits until this process leads, and gives its token; `None` when it is told to stop before.
///
/// # Errors
/// When the store can't be read by this version. One that is away is asked again.
pub async fn take<S: Store, C: Clock>(
    store: &S,
    holder: &str,
    clock: &C,
    status: &StatusHandle,
    shutdown: &mut watch::Receiver<bool>,
) -> Result<Option<u64>, StoreError> {
    let (mut gone, mut told) = (None, String::new());
    loop {
        let now = clock.now();
        status.update(|status| status.engine_alive_at = Some(now));
        match store.lead(holder, now, gone).await {
            Ok(Lead::Taken { token, released }) => {
                if released > 0 {
                    tracing::warn!(pages = released, "pages that were parked by a permanent error are sent again");
                }
                status.update(|status| {
                    // What was not seen by a process that didn't look is not blindness.
                    (status.started_at, status.store.last_error) = (now, None);
                });
                return Ok(Some(token));
            }
            Ok(Lead::Held { token, holder: theirs, left }) => {
                let is_dead = theirs == holder || is_gone(&theirs);
                if is_dead && gone != Some(token) {
                    gone = Some(token);
                    continue;
                }
                if told != theirs {
                    let leader = theirs.split(' ').next().unwrap_or_default();
                    tracing::info!(leader, %left, "standby: another process leads this store");
                    told = theirs;
                }
                status.update(|status| status.store.last_error = None);
            }
            Err(error @ (StoreError::Unreadable { .. } | StoreError::Fenced { .. })) => return Err(error),
            Err(error) => {
                let failure = Failure { at: now, cause: error.to_string() };
                if status.load().store.last_error.is_none() {
                    tracing::error!(%error, "the store doesn't say who leads; asking until it does");
                }
                status.update(|status| status.store.last_error = Some(failure.clone()));
            }
        }
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return Ok(None),
            () = clock.sleep_until(clock.now().plus(LOOK_EVERY)) => {}
        }
    }
}

/// Renews until somebody else leads, and returns what the store said then.
pub async fn keep<S: Store>(store: Arc<S>, token: u64) -> StoreError {
    let mut failing = false;
    loop {
        pause().await;
        match tokio::time::timeout(RENEW_EVERY, store.renew(token)).await {
            Ok(Ok(())) => failing = false,
            Ok(Err(error @ StoreError::Fenced { .. })) => return error,
            failed => {
                let cause = failed.map_or_else(
                    |_| "no answer".to_owned(),
                    |answer| answer.map_or_else(|error| error.to_string(), |()| String::new()),
                );
                if !failing {
                    tracing::warn!(cause, "the lease is not renewed; a standby may take the lead");
                }
                failing = true;
            }
        }
    }
}

/// Not by the wall clock: the store's own judges the lease, and one that is set back here must not stop
/// its renewal.
#[expect(clippy::disallowed_methods, reason = "the length of a pause, whatever the wall clock is set to meanwhile")]
async fn pause() {
    tokio::time::sleep(RENEW_EVERY).await;
}

/// This process, as the lease names it: host and process for people, and behind a space what tells whether
/// it still runs: the machine's boot, the space of process ids, and when the process began.
pub fn this_process() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "host".to_owned());
    let pid = std::process::id();
    let began = began(pid).map_or_else(String::new, |began| began.at);
    format!("{}:{pid} {}/{began}", host.trim(), machine())
}

/// Whether a leader surely doesn't run any more: it ran on this very machine, and its process is gone. Its
/// successor needn't wait for its lease. Of a process elsewhere nothing is known.
fn is_gone(holder: &str) -> bool {
    let parts = || {
        let (name, mark) = holder.split_once(' ')?;
        let (machine, began) = mark.rsplit_once('/')?;
        let pid: u32 = name.rsplit_once(':')?.1.parse().ok()?;
        Some((pid, machine, began))
    };
    let Some((pid, theirs, start)) = parts() else { return false };
    if start.is_empty() || theirs != machine() || theirs.starts_with('/') {
        return false;
    }
    began(pid).is_none_or(|now| now.at != start || now.is_dead)
}

/// Empty before the slash where the system doesn't say.
fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let space = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), space.display())
}

struct Began {
    /// In ticks since the machine's boot.
    at: String,
    /// Ended, and not yet collected by its parent.
    is_dead: bool,
}

fn began(pid: u32) -> Option<Began> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last bracket may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    Some(Began { at: fields.nth(18)?.to_owned(), is_dead })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_runs_is_not_gone_and_one_that_ended_is() {
        let this = this_process();
        assert!(!is_gone(&this), "{this}");
        let (name, mark) = this.split_once(' ').expect("two parts");
        let (machine, start) = mark.rsplit_once('/').expect("a start");
        assert!(start.parse::<u64>().is_ok(), "{this}");
        assert!(is_gone(&format!("{name} {machine}/{start}1")), "another process under the same number");
        assert!(is_gone(&format!("host:4194305 {machine}/7")), "beyond the largest number of a process");
    }

    #[test]
    fn of_a_process_elsewhere_nothing_is_known() {
        let this = this_process();
        let (name, mark) = this.split_once(' ').expect("two parts");
        let start = mark.rsplit_once('/').expect("a start").1;
        for holder in ["", "host:1", "bench", "host:1 other/boot/7", &format!("{name} /ns/{start}1")] {
            assert!(!is_gone(holder), "{holder}");
        }
    }
}
