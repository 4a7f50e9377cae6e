//! What a service manager is told: that the process is ready, that it is alive, that it stops. systemd hears it as
//! datagrams on the socket that it names; without one nothing is sent.

use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::status::StatusHandle;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use tokio::sync::watch;

/// How often it is looked at whether the process is ready.
const LOOK_EVERY: Span = Span::from_secs(1);

/// Where the manager listens, and how often it wants to hear.
pub struct Manager {
    socket: UnixDatagram,
    to: SocketAddr,
    watchdog: Option<Span>,
}

impl Manager {
    /// As the environment names it: NOTIFY_SOCKET and WATCHDOG_USEC.
    pub fn of(env: &dyn Fn(&str) -> Option<String>) -> Option<Manager> {
        let name = env("NOTIFY_SOCKET")?;
        let to = match name.strip_prefix('@') {
            Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name).ok()?,
            None => SocketAddr::from_pathname(Path::new(&name)).ok()?,
        };
        let socket = UnixDatagram::unbound().ok()?;
        let usec = env("WATCHDOG_USEC").and_then(|usec| usec.parse::<i64>().ok()).filter(|usec| *usec > 0);
        Some(Manager { socket, to, watchdog: usec.map(Span::from_micros) })
    }

    fn tell(&self, state: &str) {
        if let Err(error) = self.socket.send_to_addr(state.as_bytes(), &self.to) {
            tracing::debug!(%error, "the service manager doesn't hear");
        }
    }

    /// Tells until the process is told to stop. The watchdog hears of an engine that works: one that is stuck is
    /// restarted, as /healthz would have it.
    pub async fn keep_told<C: Clock>(self, status: StatusHandle, clock: C, mut shutdown: watch::Receiver<bool>) {
        let every =
            self.watchdog.map(|span| Span::from_micros(span.micros() / 3)).unwrap_or(LOOK_EVERY).min(LOOK_EVERY);
        let (mut ready, mut told) = (false, String::new());
        loop {
            let now = clock.now();
            let status = status.load();
            if !ready && status.leader {
                ready = true;
                self.tell("READY=1");
            }
            if self.watchdog.is_some() && status.engine_silent(now).is_none() {
                self.tell("WATCHDOG=1");
            }
            let words = words(&status, now);
            if words != told {
                self.tell(&format!("STATUS={words}"));
                told = words;
            }
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => break,
                () = clock.sleep_until(now.plus(every)) => {}
            }
        }
        self.tell("STOPPING=1");
    }
}

/// One line, in which nothing is of a report.
fn words(status: &crate::status::Status, now: Timestamp) -> String {
    match status.unready(now).len() {
        0 => "watching".to_owned(),
        1 => "not ready for 1 reason; see tocsin status".to_owned(),
        reasons => format!("not ready for {reasons} reasons; see tocsin status"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::clock::SystemClock;
    use crate::status::{Mode, Reload, Status, StoreStatus};

    #[tokio::test]
    async fn the_manager_hears_of_readiness_life_and_the_end() {
        let path = std::env::temp_dir().join(format!("tocsin-notify-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let hears = UnixDatagram::bind(&path).unwrap();
        hears.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let env = |name: &str| match name {
            "NOTIFY_SOCKET" => Some(path.display().to_string()),
            "WATCHDOG_USEC" => Some("3000000".to_owned()),
            _ => None,
        };
        let clock = SystemClock;
        let status = StatusHandle::new(Status {
            version: "0",
            mode: Mode::Live,
            deployment: String::new(),
            leader: true,
            started_at: clock.now(),
            engine_alive_at: Some(clock.now()),
            sources: Vec::new(),
            store: StoreStatus::default(),
            reload: Reload::default(),
        });
        let (stop, stopping) = watch::channel(false);
        let told = tokio::spawn(Manager::of(&env).unwrap().keep_told(status, clock, stopping));
        tokio::task::yield_now().await;
        stop.send_replace(true);
        told.await.unwrap();
        let mut heard = Vec::new();
        let mut bytes = [0; 256];
        while heard.last().is_none_or(|last| last != "STOPPING=1") {
            let length = hears.recv(&mut bytes).unwrap();
            heard.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        assert_eq!(heard, ["READY=1", "WATCHDOG=1", "STATUS=watching", "STOPPING=1"]);
        let _ = std::fs::remove_file(&path);
        assert!(Manager::of(&|_| None).is_none(), "without a manager nobody is told");
    }
}
