//! The clock port: the one place that reads the wall clock. Every loop takes its time from here, so
//! that a test can drive it.

use crate::core::time::Timestamp;
use std::future::Future;

pub trait Clock: Clone + Send + Sync + 'static {
    fn now(&self) -> Timestamp;
    /// Returns once `now` has reached `at`.
    fn sleep_until(&self, at: Timestamp) -> impl Future<Output = ()> + Send;
}

/// The machine's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp::from_micros(since_epoch.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps")]
    async fn sleep_until(&self, at: Timestamp) {
        // In stretches of at most a second, because the wall clock may be set while we sleep.
        loop {
            let left = at.since(self.now());
            if left.micros() <= 0 {
                return;
            }
            tokio::time::sleep(left.to_std().min(std::time::Duration::from_secs(1))).await;
        }
    }
}
