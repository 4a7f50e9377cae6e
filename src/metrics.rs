//! What Prometheus scrapes. Figures of the queue are read from the view at each scrape, so a drained
//! combination reports 0 and a source that can't be seen has no gauges at all; only durations are
//! counted live. The number of label values is bounded by the configuration and `CATEGORIES_MAX`.

pub mod pace;

use crate::core::id::Name;
use crate::core::observation::Flaw;
use crate::core::policy::Priority;
use crate::core::sight::BlindKind;
use crate::core::time::{Span, Timestamp};
use crate::core::view::View;
use crate::status::{Mode, SourceStatus, Status};
use pace::Promise;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Histogram, HistogramOpts, HistogramVec, Registry, TextEncoder};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

/// The content type of what `Metrics::render` gives.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Categories with a label value of their own. They come out of a database, which may write anything:
/// those the configuration names always have one, further ones in the order in which they were first
/// scraped until there are this many, and the rest are summed as `OTHER`.
pub const CATEGORIES_MAX: usize = 200;
/// The label value of all categories beyond `CATEGORIES_MAX`.
pub const OTHER: &str = "(other)";
/// The label value of an empty category: an empty value would be the same as no label.
pub const EMPTY: &str = "(none)";

const PAGE_STATES: [&str; 5] = ["queued", "leased", "accepted", "parked", "superseded"];
const FLAWS: [Flaw; 6] =
    [Flaw::NoId, Flaw::Missing, Flaw::NotATime, Flaw::TimeOutOfRange, Flaw::WrongType, Flaw::BadText];
const POLL_BUCKETS: [f64; 13] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
const COMMIT_BUCKETS: [f64; 13] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];
/// The label values that the configuration gives, so that each of them reports from the first scrape.
#[derive(Clone, Debug, Default)]
pub struct KnownLabels {
    pub sources: Vec<Name>,
    pub channels: Vec<Name>,
    pub categories: Vec<Name>,
    /// See `Promise::all`.
    pub promises: Vec<Promise>,
}

/// Pages in one state on one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageTotal {
    pub channel: Name,
    pub state: String,
    pub count: u64,
}

/// The instruments of one process, in a registry of their own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    known: KnownLabels,
    /// Categories that have a label value of their own; it only grows, so that no counter goes back.
    named_categories: Mutex<BTreeSet<Name>>,
    poll: HistogramVec,
    database: HistogramVec,
    commit: Histogram,
}

impl Metrics {
    /// # Errors
    /// Only when two instruments here are given one name.
    pub fn new(known: KnownLabels) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let opts = |name: &str, help: &str, buckets: &[f64]| HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let poll = HistogramVec::new(
            opts("tocsin_poll_duration_seconds", "Time that one complete read of a source took.", &POLL_BUCKETS),
            &["source"],
        )?;
        let help = "Time that one poll of a source waited for its database.";
        let database = HistogramVec::new(opts("tocsin_poll_database_seconds", help, &POLL_BUCKETS), &["source"])?;
        let commit = Histogram::with_opts(opts(
            "tocsin_commit_duration_seconds",
            "Time that one commit to the store took.",
            &COMMIT_BUCKETS,
        ))?;
        registry.register(Box::new(poll.clone()))?;
        registry.register(Box::new(database.clone()))?;
        registry.register(Box::new(commit.clone()))?;
        for source in &known.sources {
            poll.get_metric_with_label_values(&[source])?;
            database.get_metric_with_label_values(&[source])?;
        }
        let named_categories = Mutex::new(known.categories.iter().cloned().collect());
        Ok(Metrics { registry, known, named_categories, poll, database, commit })
    }

    /// What a poll took, and how much of it the database.
    pub fn observe_poll(&self, source: &str, took: Span, database: Span) {
        for (instrument, took) in [(&self.poll, took), (&self.database, database)] {
            if let Ok(histogram) = instrument.get_metric_with_label_values(&[source]) {
                histogram.observe(seconds(took));
            }
        }
    }

    pub fn observe_commit(&self, took: Span) {
        self.commit.observe(seconds(took));
    }

    /// For instruments that are counted elsewhere and shown here.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The whole exposition as text, families in the order of their names. `pages` is `None` when the
    /// store didn't answer: then there are no figures of pages, rather than zeros.
    ///
    /// # Errors
    /// When the encoder refuses a family; the scrape must then fail, not look like an empty queue.
    pub fn render(
        &self,
        view: &View,
        status: &Status,
        pages: Option<&[PageTotal]>,
        now: Timestamp,
    ) -> Result<String, prometheus::Error> {
        let mut scrape = Scrape::default();
        scrape.process(status, now);
        scrape.sources(view, status, now);
        self.queue(&mut scrape, view, status, now);
        self.ages(&mut scrape, view, status, now);
        self.counters(&mut scrape, view);
        if let Some(pages) = pages {
            self.pages(&mut scrape, pages);
        }
        // The encoder refuses a family without samples, such as a histogram of no source.
        let mut families = self.registry.gather();
        families.retain(|family| !family.get_metric().is_empty());
        families.extend(scrape.families.into_values().map(Family::into_proto));
        families.extend(self.lengths(view).into_iter().filter(|family| !family.get_metric().is_empty()));
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new().encode_to_string(&families)
    }

    fn queue(&self, scrape: &mut Scrape, view: &View, status: &Status, now: Timestamp) {
        for (group, counts) in view.open.iter().filter(|(group, _)| status.trusts(&group.source, &group.category, now))
        {
            let category = self.category(&group.category);
            let labels = [("source", &*group.source), ("category", &*category), ("priority", group.priority.as_str())];
            scrape.gauge("tocsin_open_cases", "Open cases.", &labels, counts.open as f64);
            let help = "Open cases with a verified breach whose target is still unmet.";
            scrape.gauge("tocsin_overdue_cases", help, &labels, counts.overdue as f64);
        }
    }

    fn counters(&self, scrape: &mut Scrape, view: &View) {
        let breaches = "Breaches since the process started, counted when they happen.";
        let met = "Targets that were met in time since the process started.";
        for (name, help, counts) in [
            ("tocsin_breaches_total", breaches, &view.breaches_total),
            ("tocsin_deadlines_met_total", met, &view.pace.met_total),
        ] {
            self.promised(scrape, name, help);
            for ((group, target), count) in counts {
                let category = self.category(&group.category);
                let labels = [
                    ("source", &*group.source),
                    ("category", &*category),
                    ("priority", group.priority.as_str()),
                    ("target", &**target),
                ];
                scrape.counter(name, help, &labels, *count as f64);
            }
        }
        let help = "Values of rows that could not be read, by kind of flaw.";
        for source in &self.known.sources {
            for flaw in FLAWS {
                let labels = [("source", &**source), ("flaw", flaw.as_str())];
                scrape.counter("tocsin_rejects_total", help, &labels, 0.0);
            }
        }
        for ((source, flaw), count) in &view.rejects_total {
            let labels = [("source", &**source), ("flaw", *flaw)];
            scrape.counter("tocsin_rejects_total", help, &labels, *count as f64);
        }
    }

    fn pages(&self, scrape: &mut Scrape, pages: &[PageTotal]) {
        let help = "Pages in the store by channel and state.";
        for channel in &self.known.channels {
            for state in PAGE_STATES {
                scrape.gauge("tocsin_pages", help, &[("channel", channel), ("state", state)], 0.0);
            }
        }
        for total in pages {
            let labels = [("channel", &*total.channel), ("state", &*total.state)];
            scrape.gauge("tocsin_pages", help, &labels, total.count as f64);
        }
    }

    fn category(&self, category: &Name) -> Name {
        if category.is_empty() {
            return EMPTY.into();
        }
        let mut named = self.named_categories.lock().unwrap_or_else(PoisonError::into_inner);
        if named.contains(category) {
            return category.clone();
        }
        if named.len() >= CATEGORIES_MAX {
            return OTHER.into();
        }
        named.insert(category.clone());
        category.clone()
    }
}

fn seconds(span: Span) -> f64 {
    span.micros() as f64 / 1e6
}

/// Label values, in the order of the family's label names.
type Labels = Vec<(&'static str, String)>;

struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: BTreeMap<Labels, f64>,
}

/// The families that one scrape is made of. Values under equal labels add up, as those of the
/// categories that share `OTHER`.
#[derive(Default)]
struct Scrape {
    families: BTreeMap<&'static str, Family>,
}

impl Scrape {
    fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.add(MetricType::GAUGE, name, help, labels, value);
    }

    fn counter(&mut self, name: &'static str, help: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.add(MetricType::COUNTER, name, help, labels, value);
    }

    fn add(
        &mut self,
        kind: MetricType,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: f64,
    ) {
        let family = self.families.entry(name).or_insert_with(|| Family { name, help, kind, samples: BTreeMap::new() });
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        *family.samples.entry(labels).or_default() += value;
    }

    fn process(&mut self, status: &Status, now: Timestamp) {
        let since_epoch = |at: Timestamp| seconds(at.since(Timestamp::from_secs(0)));
        let flag = f64::from;
        self.gauge("tocsin_build_info", "Always 1; the version is the label.", &[("version", status.version)], 1.0);
        self.gauge("tocsin_leader", "Whether this process leads, and so pages.", &[], flag(status.leader));
        let help = "Whether people are paged; 0 in shadow mode.";
        self.gauge("tocsin_live", help, &[], flag(status.mode == Mode::Live));
        let help = "When the process started, since 1970.";
        self.gauge("tocsin_start_time_seconds", help, &[], since_epoch(status.started_at));
        let silence = now.since(status.engine_alive_at.unwrap_or(status.started_at));
        let help = "Time since the engine last took up an input.";
        self.gauge("tocsin_engine_silence_seconds", help, &[], seconds(silence).max(0.0));
        if let Some((_, offset)) = status.store.clock {
            let help = "The store's clock less the monitor's.";
            self.gauge("tocsin_store_clock_offset_seconds", help, &[], seconds(offset));
        }
        let help = "Whether the last write to the store succeeded.";
        self.gauge("tocsin_store_writable", help, &[], flag(status.store.failing().is_none()));
        let help = "The sequence number of the last commit.";
        self.gauge("tocsin_store_sequence", help, &[], status.store.sequence as f64);
        let help = "Whether the last reload of the configuration was refused, so that the one before it holds.";
        self.gauge("tocsin_config_reload_refused", help, &[], flag(status.reload.refused.is_some()));
        if let Some(at) = status.reload.taken_at {
            let help = "When a reload of the configuration was last taken, since 1970.";
            self.gauge("tocsin_config_reload_timestamp_seconds", help, &[], since_epoch(at));
        }
        if let Some(at) = status.store.last_commit {
            let help = "When the store last committed, since 1970.";
            self.gauge("tocsin_store_last_commit_timestamp_seconds", help, &[], since_epoch(at));
        }
    }

    /// What is said of the sources themselves, blind ones included; but nothing that only a source
    /// that is seen can tell.
    fn sources(&mut self, view: &View, status: &Status, now: Timestamp) {
        for source in &status.sources {
            let seen = source.sight(status.started_at, now).is_seen();
            let labels = [("source", &*source.name)];
            let help = "Whether the source can be seen; without it, it has no gauges of its queue.";
            self.gauge("tocsin_source_seen", help, &labels, f64::from(seen));
            let blindness = source.blindness(status.started_at, now);
            for kind in BlindKind::ALL {
                let holds = blindness.iter().any(|blindness| blindness.kind == kind);
                let help = "In which ways the source is blind, by the name of each.";
                let labels = [("source", &*source.name), ("kind", kind.as_str())];
                self.gauge("tocsin_source_blind", help, &labels, f64::from(holds));
            }
            let age = now.since(source.last_ok.unwrap_or(status.started_at));
            let help = "Time since the last complete read began, or since the start of the process without one.";
            self.gauge("tocsin_poll_age_seconds", help, &labels, seconds(age).max(0.0));
            if source.fault.is_none() {
                self.measured(source);
            }
            if !seen || blindness.iter().any(|blindness| !blindness.kind.is_of_categories()) {
                continue;
            }
            let help = "Rows that the last complete read saw.";
            self.gauge("tocsin_source_rows", help, &labels, source.rows_last_scan as f64);
            for (priority, looked_at) in &source.looked_at {
                let help = "Time since which not every report of this priority has been read, or told as unchanged.";
                let labels = [("source", &*source.name), ("priority", priority.as_str())];
                let age = seconds(now.since(*looked_at)).max(0.0);
                self.gauge("tocsin_source_staleness_seconds", help, &labels, age);
            }
            let help = "Categories in no list of the configuration, presumed minor safety until somebody names them.";
            let presumed = view.presumed_categories.iter().filter(|(name, _)| *name == source.name).count();
            self.gauge("tocsin_presumed_categories", help, &labels, presumed as f64);
        }
        let help = "Open incidents by priority, lost sight of or not.";
        for priority in Priority::ALL {
            let counts = view.incidents.iter().filter(|row| !row.incident.is_test());
            let open = counts.filter(|row| row.priority == priority).count();
            self.gauge("tocsin_open_incidents", help, &[("priority", priority.as_str())], open as f64);
        }
    }

    /// What was last measured of a source that answers.
    fn measured(&mut self, source: &SourceStatus) {
        let labels = [("source", &*source.name)];
        if let Some((_, offset)) = source.clock {
            let help = "The source's clock less the monitor's.";
            self.gauge("tocsin_source_clock_offset_seconds", help, &labels, seconds(offset));
        }
        if let Some((_, lag)) = source.lag {
            let help = "How far the source, a replica, is behind its primary.";
            self.gauge("tocsin_source_lag_seconds", help, &labels, seconds(lag.behind));
        }
    }
}

impl Family {
    /// A family of histograms, each filled already.
    fn histogram(
        name: &str,
        help: &str,
        samples: impl Iterator<Item = (Labels, prometheus::proto::Histogram)>,
    ) -> MetricFamily {
        let metrics = samples.map(|(labels, histogram)| {
            let mut metric = labelled(labels);
            metric.set_histogram(histogram);
            metric
        });
        family(name, help, MetricType::HISTOGRAM, metrics.collect())
    }

    fn into_proto(self) -> MetricFamily {
        let kind = self.kind;
        let metrics = self.samples.into_iter().map(|(labels, value)| {
            let mut metric = labelled(labels);
            if kind == MetricType::COUNTER {
                let mut counter = Counter::default();
                counter.set_value(value);
                metric.set_counter(counter);
            } else {
                let mut gauge = Gauge::default();
                gauge.set_value(value);
                metric.set_gauge(gauge);
            }
            metric
        });
        family(self.name, self.help, kind, metrics.collect())
    }
}

fn labelled(labels: Labels) -> Metric {
    let pairs = labels.into_iter().map(|(name, value)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value);
        pair
    });
    Metric::from_label(pairs.collect())
}

fn family(name: &str, help: &str, kind: MetricType, metrics: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_metric(metrics);
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family
}
