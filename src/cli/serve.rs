//! `tocsin run`: the monitor over the configured databases, with the page, until SIGTERM or Ctrl-C.

use crate::cli::reload::{self, Reloader};
use crate::cli::watch::Watch;
use crate::cli::{CliError, deployment, event, load_config, weekly};
use crate::config::{Config, Need};
use crate::core::id::Name;
use crate::core::time::Timestamp;
use crate::core::view::View;
use crate::keys::Keys;
use crate::metrics::pace::Promise;
use crate::metrics::{KnownLabels, Metrics};
use crate::pager::{Channels, Sender};
use crate::run::PolicyInForce;
use crate::run::clock::{Clock, SystemClock};
use crate::run::lists::Lists;
use crate::run::monitor::{self, Parts, Reloads, WatchedSource};
use crate::run::opening::Opening;
use crate::run::outbox::OutboxStats;
use crate::run::service::Manager;
use crate::run::watch as watch_loop;
use crate::run::weekly::backfill::Backfill;
use crate::run::weekly::gather::Reporter;
use crate::run::weekly::sums::Summing;
use crate::run::weekly::tell::{Schedule, Teller};
use crate::run::weekly::watch as watched;
use crate::run::{lease, retention};
use crate::source::AnySource;
use crate::status::{SourceStatus, Status, StatusHandle, StoreStatus};
use crate::store::{OpenError, SqlStore};
use crate::web::access::tokens::HeldTokens;
use crate::web::access::{Access, host_name};
use crate::web::{self, Demo, WebState};
use crate::zone::Zone;
use arc_swap::ArcSwap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let config = load_config(&args.config, Need::All)?;
    for warning in config.warnings.problems() {
        tracing::warn!("configuration: {}; {}", warning.what, warning.advice);
    }
    let listener = listen(&config).await?;
    serve(config, listener, None).await
}

/// Binds the page's address.
///
/// # Errors
/// When the address is taken.
pub async fn listen(config: &Config) -> Result<TcpListener, CliError> {
    let address = config.web.listen;
    TcpListener::bind(address).await.map_err(|error| CliError::Failed {
        operation: "listen for the page",
        cause: format!("{address}: {error}; is another tocsin running? [web] listen sets the address"),
    })
}

/// Any free port on loopback, for the demo when its own is taken.
///
/// # Errors
/// When there is none.
pub async fn listen_anywhere() -> Result<TcpListener, CliError> {
    let bound = TcpListener::bind(("127.0.0.1", 0)).await;
    bound.map_err(|error| CliError::Failed { operation: "listen for the page", cause: error.to_string() })
}

/// Runs the whole monitor until a signal ends it.
///
/// # Errors
/// When the store can't be opened or led, or another process takes the lead.
pub async fn serve(config: Config, listener: TcpListener, demo: Option<Arc<dyn Demo>>) -> Result<(), CliError> {
    let clock = SystemClock;
    let keys = deployment::keys(&config)?;
    let names: Vec<Name> = config.channels.keys().cloned().collect();
    let metrics_failed =
        |error: prometheus::Error| CliError::Failed { operation: "make the metrics", cause: error.to_string() };
    let outbox_stats = OutboxStats::new(&names).map_err(metrics_failed)?;
    let status = StatusHandle::new(status(&config, &keys, clock));
    let channels = Channels::new(config.channels.clone(), config.web.public_url.clone())?;
    let channels = Arc::new(ArcSwap::from_pointee(channels));
    let in_force: PolicyInForce = Arc::new(ArcSwap::from_pointee(config.effective_policy()));
    let opening = Opening {
        policy: in_force.load_full(),
        sender: channels.clone(),
        clock,
        keys: keys.clone(),
        status: status.clone(),
        stats: outbox_stats.clone(),
    };
    let store = Arc::new(open_store(&config, &keys, opening).await?);
    store.claim(&deployment::claim(&config, &keys), clock.now()).await?;
    let view = Arc::new(ArcSwap::from_pointee(View::default()));
    let (stop, stopping) = watch::channel(false);
    tokio::spawn(watch_loop::store(store.clone(), status.clone(), clock, stopping.clone()));
    let sources = watched_sources(&config, &keys, &status, &stopping)?;
    let metrics = Arc::new(Metrics::new(known_labels(&config)).map_err(metrics_failed)?);
    outbox_stats.register(metrics.registry()).map_err(metrics_failed)?;
    let lists = Lists::new();
    let (reload, reload_asked) = reload::asked();
    let web_state = WebState {
        view: view.clone(),
        status: status.clone(),
        keys: keys.clone(),
        pages: store.clone(),
        archive: store.clone(),
        engine: Arc::new(lists.0.clone()),
        desk: store.clone(),
        pagerduty_secrets: Arc::new(config.web.pagerduty_webhook_secrets.clone()),
        metrics: metrics.clone(),
        links: Arc::new(config.links.clone()),
        now: Arc::new(move || clock.now()),
        zone: config.weekly.as_ref().map_or(Zone::UTC, |weekly| weekly.timezone),
        access: Arc::new(access(&config, &store, &clock).await),
        limits: Arc::default(),
        live: Arc::default(),
        people: event::people(&config),
        reload: demo.is_none().then_some(reload),
        demo,
    };
    let watch = Watch::new(&config, in_force.clone(), &store, &channels, &status)?;
    let reporter = weekly::reporter_of(&config, &keys, store.clone(), clock)?;
    let reporter = Reporter { policy: in_force.clone(), ..reporter };
    let weekly = weekly_loops(&config, &keys, reporter, channels.clone(), &status, &stopping);
    let (policies, reloads) = Reloads::channel();
    let parts = Parts {
        policy: in_force.load_full(),
        sources,
        store: store.clone(),
        sender: channels.clone(),
        clock,
        keys,
        holder: lease::this_process(),
        status: status.clone(),
        view,
        outbox_stats: outbox_stats.clone(),
        metrics: metrics.clone(),
        spool: Some(deployment::spool(&config)),
        lists,
    };
    tokio::spawn(stop_at_a_signal(stop));
    if let Some(manager) = Manager::of(&|name| std::env::var(name).ok()) {
        tokio::spawn(manager.keep_told(status.clone(), clock, stopping.clone()));
    }
    let (mark, fingerprint) = (deployment::mark_file(&config), parts.keys.fingerprint());
    let mut background = JoinSet::new();
    background.spawn(deployment::keep_mark(mark.clone(), fingerprint.clone(), status.clone()));
    background.spawn(retention::forget(store.clone(), config.store.keep_months, status.clone(), clock));
    let (file, told) = (config.file.clone(), status.clone());
    let reloader =
        Reloader { file, running: config, store, channels, policies, in_force, metrics, outbox_stats, status, clock };
    tokio::spawn(reload::whenever_asked(reloader, reload_asked));
    let mut watching = watch.start(&stopping);
    let page = tokio::spawn(web::serve(listener, web_state, stopped(stopping.clone())));
    let ended = monitor::run_with(parts, reloads, stopping).await;
    background.shutdown().await;
    match &ended {
        Ok(()) => deployment::last_mark(&mark, &fingerprint, &told),
        Err(_) => page.abort(),
    }
    // What they were at is done again by whoever comes next.
    weekly.iter().for_each(tokio::task::JoinHandle::abort);
    // The page's own end changes nothing any more: the monitor has stopped.
    let _ = page.await;
    // None of them leaves anything half done.
    watching.shutdown().await;
    ended?;
    tracing::info!("stopped; nothing was left half done");
    Ok(())
}

async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone: stopped as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Opens the store. One that is away is waited for where this machine has led it before: whoever starts for the first
/// time is told at once, and a copy of the configuration on another machine rings nobody.
async fn open_store<P: Sender + Clone>(
    config: &Config,
    keys: &Keys,
    opening: Opening<P, SystemClock>,
) -> Result<SqlStore, OpenError> {
    let has_led = deployment::claim(config, keys).mark.is_some();
    let open = async || SqlStore::open(&config.store.url, &keys.fingerprint()).await;
    opening.wait_for(open, |error| has_led && error.is_away()).await
}

/// Opens every source, and watches over what can be measured of it.
fn watched_sources(
    config: &Config,
    keys: &Keys,
    status: &StatusHandle,
    stopping: &watch::Receiver<bool>,
) -> Result<Vec<WatchedSource<AnySource>>, CliError> {
    let mut sources = Vec::new();
    for settings in &config.sources {
        let source = Arc::new(AnySource::open(settings.clone(), keys.clone())?);
        let name = settings.name.clone();
        tokio::spawn(watch_loop::source(name.clone(), source.clone(), status.clone(), SystemClock, stopping.clone()));
        sources.push(WatchedSource { name, every: settings.poll, source });
    }
    Ok(sources)
}

/// What the weekly report needs while the monitor runs: notes of what is in sight, the weeks before the first
/// start, and the sending of each week.
fn weekly_loops(
    config: &Config,
    keys: &Keys,
    reporter: Reporter<AnySource, SystemClock>,
    channels: Arc<ArcSwap<Channels>>,
    status: &StatusHandle,
    stopping: &watch::Receiver<bool>,
) -> Vec<JoinHandle<()>> {
    let (store, clock, zone) = (reporter.store.clone(), reporter.clock, reporter.zone);
    let (policy, sources) = (reporter.policy.clone(), reporter.sources.clone());
    let backfill = Backfill { store: store.clone(), policy, sources, clock };
    let summing = Summing { store: store.clone(), clock, zone, status: status.clone() };
    let (stopped, summing_stopped) = (stopping.clone(), stopping.clone());
    let mut loops = vec![
        tokio::spawn(async move { summing.run(summing_stopped).await }),
        tokio::spawn(watched::run(store, status.clone(), clock, stopping.clone())),
        tokio::spawn(async move { backfill.run(stopped).await }),
    ];
    if let Some(settings) = &config.weekly {
        let teller = Teller {
            reporter: Arc::new(reporter),
            schedule: Schedule {
                cron: settings.cron.clone(),
                zone: settings.timezone,
                deliver: settings.deliver.clone(),
            },
            post: channels,
            keys: keys.clone(),
            status: status.clone(),
            public_url: config.web.public_url.clone(),
        };
        let stopped = stopping.clone();
        loops.push(tokio::spawn(async move { teller.run(stopped).await }));
    }
    loops
}

/// Sends again what a permanent error parked: it may pass under the configuration of this start. Gives the
/// number of pages.
///
/// # Errors
/// Where the store can't be written.
pub async fn release_parked(store: &SqlStore, now: Timestamp) -> Result<u64, CliError> {
    let pages = store.release_parked(now).await?;
    store.release_deliveries(now).await?;
    if pages > 0 {
        tracing::warn!(pages, "pages that were parked by a permanent error are sent again");
    }
    Ok(pages)
}

/// How the web tells people apart. Where nobody could come in, it is said; the monitor runs all the same, because
/// pages must go out.
async fn access(config: &Config, store: &Arc<SqlStore>, clock: &SystemClock) -> Access {
    let web = &config.web;
    let host = web.public_url.as_ref().and_then(|url| Some(url.split_once("://")?.1.split('/').next()?.to_owned()));
    let in_force = store.tokens_in_force(clock.now()).await.map_or(0, |tokens| tokens.len());
    if web.access_required && web.trusted_proxies.is_empty() && in_force == 0 {
        tracing::warn!("nobody can look at the board: no token is in force; `tocsin token create` makes one");
    }
    Access {
        required: web.access_required,
        proxies: web.trusted_proxies.clone(),
        user_header: web.user_header.clone(),
        roles: web.roles.clone(),
        public_host: host.map(|host| host_name(&host).to_owned()),
        secure_cookies: web.public_url.as_ref().is_some_and(|url| url.starts_with("https://")),
        tokens: Arc::new(HeldTokens::new(store.clone())),
    }
}

/// SIGTERM and Ctrl-C drain; a second one ends the process as it is.
async fn stop_at_a_signal(stop: watch::Sender<bool>) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        tracing::error!("SIGTERM can't be caught: it will end the process without draining");
        return;
    };
    for last in [false, true] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
        if last {
            std::process::exit(130);
        }
        tracing::info!("stopping: finishing what is under way; a second signal ends it at once");
        stop.send_replace(true);
    }
}

/// The label values that a configuration gives.
pub fn known_labels(config: &Config) -> KnownLabels {
    KnownLabels {
        sources: config.sources.iter().map(|source| source.name.clone()).collect(),
        channels: config.channels.keys().cloned().collect(),
        categories: config.policy.categories.keys().cloned().collect(),
        promises: Promise::all(&config.policy),
    }
}

fn status(config: &Config, keys: &Keys, clock: SystemClock) -> Status {
    let sources = config.sources.iter();
    Status {
        version: env!("CARGO_PKG_VERSION"),
        mode: config.mode,
        deployment: keys.fingerprint().chars().take(8).collect(),
        leader: false,
        started_at: clock.now(),
        engine_alive_at: None,
        sources: sources
            .map(|source| {
                let policy = config.policy.sources.get(&source.name).cloned().unwrap_or_default();
                SourceStatus::new(source.name.clone(), source.poll, policy.stale_after())
            })
            .collect(),
        store: StoreStatus::default(),
        reload: crate::status::Reload::default(),
    }
}
