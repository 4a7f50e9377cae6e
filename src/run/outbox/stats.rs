//! What the outbox counts while it sends. The counters are prometheus' own, so that whoever serves the
//! metrics needs only a registry and not this module.

use crate::core::id::Name;
use crate::core::incident::RING_AGAIN_AFTER;
use crate::core::plan::PageKind;
use crate::core::time::{Span, Timestamp};
use crate::pager::payload::Payload;
use crate::store::{Delivery, Lane, NewPage};
use crate::zone::parse_rfc3339;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

/// From the creation of a page to its acceptance; a page that had to be retried all night lies in the last.
const ACCEPTANCE_SECS: [f64; 12] = [0.005, 0.02, 0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 1_800.0, 7_200.0];

const RESULTS: [&str; 3] = ["accepted", "failed", "parked"];

/// Counters of one process; clones count together.
#[derive(Clone, Debug)]
pub struct OutboxStats {
    attempts: IntCounterVec,
    acceptance: HistogramVec,
    since_deadline: HistogramVec,
}

impl OutboxStats {
    /// Every label value is there from the start, so that zero is visible.
    ///
    /// # Errors
    /// Never for names that prometheus takes, which these are.
    pub fn new<'a>(channels: impl IntoIterator<Item = &'a Name>) -> prometheus::Result<OutboxStats> {
        let attempts = IntCounterVec::new(
            Opts::new("tocsin_page_attempts_total", "Attempts to send a page, by channel and result."),
            &["channel", "result"],
        )?;
        let acceptance = HistogramVec::new(
            HistogramOpts::new(
                "tocsin_page_acceptance_seconds",
                "Seconds from the creation of a page to its acceptance by the channel, by lane.",
            )
            .buckets(ACCEPTANCE_SECS.to_vec()),
            &["lane"],
        )?;
        let since_deadline = HistogramVec::new(
            HistogramOpts::new(
                "tocsin_deadline_to_acceptance_seconds",
                "Seconds from a missed deadline to the first acceptance of a page that tells of it, by lane.",
            )
            .buckets(ACCEPTANCE_SECS.to_vec()),
            &["lane"],
        )?;
        for lane in [Lane::P0, Lane::Lesser] {
            acceptance.with_label_values(&[lane_label(lane)]);
            since_deadline.with_label_values(&[lane_label(lane)]);
        }
        let stats = OutboxStats { attempts, acceptance, since_deadline };
        stats.know(channels);
        Ok(stats)
    }

    /// Channels that a reload adds; those before them stay.
    pub fn know<'a>(&self, channels: impl IntoIterator<Item = &'a Name>) {
        for channel in channels {
            for result in RESULTS {
                self.attempts.with_label_values(&[&**channel, result]);
            }
        }
    }

    /// # Errors
    /// Where the registry has such metrics already.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.attempts.clone()))?;
        registry.register(Box::new(self.acceptance.clone()))?;
        registry.register(Box::new(self.since_deadline.clone()))
    }

    /// A page that was accepted at `at`. Only what tells of a new breach counts: a repeat tells of an old one.
    pub(super) fn count_deadline(&self, lane: Lane, page: &NewPage, at: Timestamp) {
        let Some(deadline) = news_of(page) else { return };
        let age = at.since(deadline).max(Span::ZERO);
        self.since_deadline.with_label_values(&[lane_label(lane)]).observe(age.to_std().as_secs_f64());
    }

    /// Attempts on a channel so far that ended as `result`: accepted, failed or parked.
    pub fn attempts(&self, channel: &str, result: &str) -> u64 {
        self.attempts.with_label_values(&[channel, result]).get()
    }

    pub(super) fn count(&self, lane: Lane, channel: &str, delivery: &Delivery, age: Span) {
        let result = match delivery {
            Delivery::Accepted => RESULTS[0],
            Delivery::Retry { .. } => RESULTS[1],
            Delivery::Parked => RESULTS[2],
        };
        self.attempts.with_label_values(&[channel, result]).inc();
        if *delivery == Delivery::Accepted {
            self.acceptance.with_label_values(&[lane_label(lane)]).observe(age.to_std().as_secs_f64());
        }
    }
}

/// The latest deadline that a ring tells of, where it is the incident's first ring or the deadline is news.
fn news_of(page: &NewPage) -> Option<Timestamp> {
    if page.kind != PageKind::Ring || page.step > 0 {
        return None;
    }
    let payload: Payload = serde_json::from_str(&page.payload).ok()?;
    let watched = payload.cases.iter().filter(|case| !case.inherited);
    let latest = watched.filter_map(|case| parse_rfc3339(&case.deadline)).max()?;
    let longest = RING_AGAIN_AFTER.plus(Span::from_mins(1));
    (page.round == 0 || page.created_at.since(latest) <= longest).then_some(latest)
}

const fn lane_label(lane: Lane) -> &'static str {
    match lane {
        Lane::P0 => "P0",
        Lane::Lesser => "lesser",
    }
}
