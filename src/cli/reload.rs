//! SIGHUP: the configuration is read again. It is taken as a whole or refused as a whole: while anything in it
//! is wrong, the one before it holds, and the status and a metric say so. Once in ten years its calendars are compiled
//! again, for the years to come. The engine never stops for it.

use crate::cli::serve::known_labels;
use crate::config::{Config, Need, rolls_at};
use crate::core::policy::Policy;
use crate::core::time::Timestamp;
use crate::metrics::Metrics;
use crate::pager::Channels;
use crate::run::PolicyInForce;
use crate::run::clock::Clock;
use crate::run::outbox::OutboxStats;
use crate::status::{Failure, StatusHandle};
use crate::store::SqlStore;
use crate::web::Reload;
use arc_swap::ArcSwap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};

/// What a reload changes.
pub struct Reloader<C: Clock> {
    pub file: PathBuf,
    /// The configuration that holds: what only a start reads must stay as it is there.
    pub running: Config,
    pub store: Arc<SqlStore>,
    pub channels: Arc<ArcSwap<Channels>>,
    /// Where the engine takes another policy from.
    pub policies: mpsc::Sender<Arc<Policy>>,
    /// Where everybody else finds it: the auditor, the weekly report.
    pub in_force: PolicyInForce,
    pub metrics: Arc<Metrics>,
    pub outbox_stats: OutboxStats,
    pub status: StatusHandle,
    pub clock: C,
}

impl<C: Clock> Reloader<C> {
    /// Reads the file, and hands policy and channels over if all of it holds.
    ///
    /// # Errors
    /// Why it is refused; the log and the status say so too.
    pub async fn reload(&mut self) -> Result<(), String> {
        let now = self.clock.now();
        let read = Config::load_for(&self.file, &|name| std::env::var(name).ok(), Need::All, now);
        let taken = match read {
            Ok(config) => self.take(config, now).await,
            Err(errors) => {
                let problems = errors.0.problems();
                for problem in problems {
                    tracing::error!("configuration: {}; {}", problem.what, problem.advice);
                }
                Err(format!("{} problems, the first: {}", problems.len(), problems.first().map_or("", |p| &p.what)))
            }
        };
        if let Err(cause) = taken {
            tracing::error!(cause, "the configuration is refused, and the one before it holds; see `tocsin check`");
            let refused = Failure { at: now, cause };
            let cause = refused.cause.clone();
            self.status.update(|status| {
                status.reload.refused = Some(refused.clone());
                status.reload.refused_total += 1;
            });
            return Err(cause);
        }
        Ok(())
    }

    /// Hands over the policy that holds, with its calendars compiled for the horizon of now.
    pub async fn roll(&mut self) {
        if let Err(error) = self.running.roll(self.clock.now()) {
            tracing::error!(%error, "a calendar can't be compiled for the years to come: mend it and send SIGHUP");
            return;
        }
        if let Err(error) = self.hand_over().await {
            tracing::error!(error, "the calendars of the years to come reach nobody");
        }
    }

    async fn take(&mut self, config: Config, now: Timestamp) -> Result<(), String> {
        judge(&self.running, &config)?;
        let channels = Channels::new(config.channels.clone(), config.web.public_url.clone());
        let channels = channels.map_err(|error| error.to_string())?;
        for warning in config.warnings.problems() {
            tracing::warn!("configuration: {}; {}", warning.what, warning.advice);
        }
        // Channels first: what the new policy pages must find its own.
        self.channels.store(Arc::new(channels));
        if let Err(error) = super::serve::release_parked(&self.store, now).await {
            tracing::error!(%error, "pages that were parked can't be sent again yet; the next reload tries anew");
        }
        // Series before what counts in them: what appears at 1 has never risen.
        self.metrics.know(&known_labels(&config));
        self.outbox_stats.know(config.channels.keys());
        self.running = config;
        self.hand_over().await
    }

    /// Gives the policy that holds to the engine, and to everybody else.
    async fn hand_over(&self) -> Result<(), String> {
        let policy = Arc::new(self.running.effective_policy());
        let sent = self.policies.send(policy.clone()).await;
        sent.map_err(|_| "the engine has stopped".to_owned())?;
        self.status.update(|status| {
            for source in &mut status.sources {
                source.stale_after = policy.sources.get(&source.name).cloned().unwrap_or_default().stale_after();
            }
        });
        self.in_force.store(policy);
        Ok(())
    }
}

/// A reload that somebody asks for by the web, with where the answer goes.
pub struct AskedFor(oneshot::Sender<Result<(), String>>);

/// How the web asks, and where it is heard.
pub fn asked() -> (Reload, mpsc::Receiver<AskedFor>) {
    let (ask, asked) = mpsc::channel::<AskedFor>(1);
    let reload: Reload = Arc::new(move || {
        let ask = ask.clone();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let gone = || "the process is stopping".to_owned();
            ask.send(AskedFor(answer)).await.map_err(|_| gone())?;
            answered.await.map_err(|_| gone())?
        })
    });
    (reload, asked)
}

/// SIGHUP, or somebody at the web, makes the configuration be read again, one at a time; the calendars roll by
/// themselves.
pub async fn whenever_asked<C: Clock>(mut reloader: Reloader<C>, mut asked: mpsc::Receiver<AskedFor>) {
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        tracing::error!("SIGHUP can't be caught: it will end the process instead of reading the configuration");
        return;
    };
    loop {
        let answer = tokio::select! {
            hung_up = hangup.recv() => match hung_up {
                Some(()) => None,
                None => return,
            },
            Some(AskedFor(answer)) = asked.recv() => Some(answer),
            () = reloader.clock.sleep_until(rolls_at(reloader.clock.now())) => {
                reloader.roll().await;
                continue;
            }
        };
        let taken = reloader.reload().await;
        if let Some(answer) = answer {
            // Whoever asked may have gone; the log and the status say what became of it.
            let _ = answer.send(taken);
        }
    }
}

/// Refuses what a running process can't take up, and a policy that fails its own tests.
fn judge(held: &Config, new: &Config) -> Result<(), String> {
    let sources = |config: &Config| {
        let mut sources = config.sources.clone();
        // Which categories are read first follows from the policy.
        sources.iter_mut().for_each(|source| source.reading.first.clear());
        let sources = sources.iter().map(|source| format!("{source:?}{}", source.url.expose()));
        sources.collect::<Vec<_>>()
    };
    let secret = |config: &Config| config.deployment_secret.as_ref().map(|secret| secret.expose().to_owned());
    let heartbeat = |config: &Config| {
        let heartbeat = config.heartbeat.as_ref()?;
        Some((heartbeat.url.expose().to_owned(), heartbeat.method, heartbeat.every))
    };
    let differs = [
        ("mode", held.mode != new.mode),
        ("[[sources]]", sources(held) != sources(new) || held.links != new.links),
        ("[store]", held.store.url.expose() != new.store.url.expose()),
        ("[web]", held.web != new.web),
        ("[weekly]", held.weekly != new.weekly),
        ("[heartbeat]", heartbeat(held) != heartbeat(new)),
        ("[canary]", held.canary != new.canary),
        ("the deployment secret", secret(held) != secret(new)),
    ];
    let changed: Vec<&str> = differs.iter().filter(|(_, differs)| *differs).map(|(name, _)| *name).collect();
    if !changed.is_empty() {
        return Err(format!("{} changed, which only a start reads: restart tocsin", changed.join(" and ")));
    }
    let failing = new.tests.iter().filter(|test| test.failure(&new.policy).is_some()).count();
    if failing > 0 {
        return Err(format!("{failing} of its own {} [[tests]] fail", new.tests.len()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::TEMPLATE;

    fn config(name: &str, text: &str) -> Config {
        let file = std::env::temp_dir().join(format!("tocsin-reload-{}-{name}.toml", std::process::id()));
        std::fs::write(&file, text).expect("a temporary file can be written");
        let config = Config::load(&file, &|_| None, Timestamp::from_secs(1_795_000_000)).expect("it loads");
        std::fs::remove_file(&file).expect("the temporary file is still there");
        config
    }

    #[test]
    fn a_reload_takes_another_policy_and_refuses_what_only_a_start_reads() {
        let held = config("held", TEMPLATE);
        let judged = |name: &str, from: &str, to: &str| {
            assert!(TEMPLATE.contains(from), "{from}");
            judge(&held, &config(name, &TEMPLATE.replacen(from, to, 1)))
        };
        assert_eq!(judged("targets", "closed = \"1h\"", "closed = \"2h\""), Ok(()));
        let refused = |what: &str| Err(format!("{what} changed, which only a start reads: restart tocsin"));
        assert_eq!(judged("mode", "mode = \"shadow\"", "mode = \"live\""), refused("mode"));
        assert_eq!(judged("poll", "poll     = \"1s\"", "poll     = \"2s\""), refused("[[sources]]"));
        let canary = "[canary]\nescalation = \"minor-safety\"\nevery = \"24h\"\n\n[minor_safety]";
        assert_eq!(judged("canary", "[minor_safety]", canary), refused("[canary]"));
    }

    #[test]
    fn a_policy_that_fails_its_own_tests_is_not_taken() {
        let held = config("untested", TEMPLATE);
        let test = "\n[[tests]]\ngiven = { category = \"never_seen\" }\nexpect = { priority = \"P1\" }\n";
        let failing = config("failing", &format!("{TEMPLATE}{test}"));
        assert_eq!(judge(&held, &failing), Err("1 of its own 1 [[tests]] fail".to_owned()));
    }
}
