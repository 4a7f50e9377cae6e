//! What the core tells of ages, deadlines and answers, as families: gauges of what is open now, histograms of
//! what was answered. Every promise of the policy has its series from the first scrape on.

use super::{Family, Labels, Metrics, Scrape, seconds};
use crate::core::id::Name;
use crate::core::pace::{Lengths, Open, SLA_SECS};
use crate::core::policy::{Categories, CategoryClass, Policy, Priority};
use crate::core::time::Timestamp;
use crate::core::view::{Group, View};
use crate::status::Status;
use prometheus::proto::{Bucket, Histogram, MetricFamily};
use std::collections::{BTreeMap, BTreeSet};

/// A target that cases of a category may have: its counters are there before the first breach, because what
/// appears at 1 has never risen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Promise {
    pub category: Name,
    pub priority: Priority,
    pub target: Name,
}

impl Promise {
    /// All of a policy.
    pub fn all(policy: &Policy) -> Vec<Promise> {
        let mut promises = BTreeSet::new();
        let of = |class| policy.categories.iter().filter(move |(_, of)| **of == class).map(|(name, _)| name);
        let mut promise = |category: &Name, priority, target: &Name| {
            promises.insert(Promise { category: category.clone(), priority, target: target.clone() });
        };
        for target in &policy.minor_safety.targets {
            of(CategoryClass::MinorSafety).for_each(|category| promise(category, Priority::P0, &target.name));
        }
        for rule in &policy.rules {
            let named: Vec<&Name> = match &rule.categories {
                Categories::AllNamed => of(CategoryClass::Other).collect(),
                Categories::Listed(listed) => listed.iter().collect(),
            };
            for (category, target) in named.iter().flat_map(|name| rule.targets.iter().map(move |t| (*name, t))) {
                promise(category, rule.priority, &target.name);
            }
        }
        promises.into_iter().collect()
    }
}

/// Source, category and priority, as labels.
type Place = (Name, Name, Priority);

impl Metrics {
    /// What is open in sources that are seen.
    pub(super) fn ages(&self, scrape: &mut Scrape, view: &View, status: &Status, now: Timestamp) {
        let mut merged: BTreeMap<Place, Open> = BTreeMap::new();
        for (group, open) in view.pace.open.iter().filter(|(group, _)| status.sees(&group.source, now)) {
            match merged.entry(self.place(group)) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(open.clone());
                }
                std::collections::btree_map::Entry::Occupied(mut place) => place.get_mut().merge(open),
            }
        }
        for ((source, category, priority), open) in merged {
            let labels = [("source", &*source), ("category", &*category), ("priority", priority.as_str())];
            let help = "Age of the oldest open case, to the minute.";
            let age = seconds(now.since(open.oldest)).max(0.0);
            scrape.gauge("tocsin_oldest_open_age_seconds", help, &labels, age);
            if let Some(due) = open.next_due {
                let help = "Time until the nearest unmet deadline; negative once it has passed.";
                scrape.gauge("tocsin_nearest_deadline_seconds", help, &labels, seconds(due.since(now)));
            }
            let help = "Open cases no older than `le` seconds, undecided ones included; histogram_quantile takes it.";
            let bounds = SLA_SECS.iter().map(ToString::to_string).zip(open.within);
            for (le, count) in bounds.chain([("+Inf".to_owned(), open.count)]) {
                let labels = [labels[0], labels[1], labels[2], ("le", &le)];
                scrape.gauge("tocsin_open_cases_by_age", help, &labels, count as f64);
            }
        }
    }

    /// What was answered, and how long it took.
    pub(super) fn lengths(&self, view: &View) -> Vec<MetricFamily> {
        let mut first_response: BTreeMap<Place, Lengths> = BTreeMap::new();
        for (source, promise) in self.known.load().promised() {
            first_response.entry((source.clone(), promise.category.clone(), promise.priority)).or_default();
        }
        let mut closing = first_response.clone();
        for (places, told) in [(&mut first_response, &view.pace.first_response), (&mut closing, &view.pace.closing)] {
            told.iter().for_each(|(group, lengths)| places.entry(self.place(group)).or_default().merge(lengths));
        }
        let by_place = |places: BTreeMap<Place, Lengths>| {
            let labelled = places.into_iter().map(|((source, category, priority), lengths)| {
                let labels = vec![
                    ("source", source.to_string()),
                    ("category", category.to_string()),
                    ("priority", priority.to_string()),
                ];
                (labels, lengths)
            });
            labelled.collect()
        };
        let by_priority = |told: &BTreeMap<Priority, Lengths>| {
            let labelled = Priority::ALL.into_iter().map(|priority| {
                (vec![("priority", priority.to_string())], told.get(&priority).cloned().unwrap_or_default())
            });
            labelled.collect()
        };
        vec![
            histogram(
                "tocsin_first_response_seconds",
                "From receipt to the first response of a person, of responses seen since the process started.",
                by_place(first_response),
            ),
            histogram(
                "tocsin_closing_seconds",
                "From receipt to closing, of closings seen since the process started.",
                by_place(closing),
            ),
            histogram(
                "tocsin_deadline_to_acknowledgement_seconds",
                "From a deadline that passed unmet to a person's taking its incident.",
                by_priority(&view.pace.acknowledged),
            ),
            histogram(
                "tocsin_deadline_to_action_seconds",
                "From a deadline that passed unmet to its target's being met.",
                by_priority(&view.pace.acted),
            ),
        ]
    }

    /// Zeros of every promise, for a counter of deadlines.
    pub(super) fn promised(&self, scrape: &mut Scrape, name: &'static str, help: &'static str) {
        for (source, promise) in self.known.load().promised() {
            let labels = [
                ("source", &**source),
                ("category", &*promise.category),
                ("priority", promise.priority.as_str()),
                ("target", &*promise.target),
            ];
            scrape.counter(name, help, &labels, 0.0);
        }
    }

    fn place(&self, group: &Group) -> Place {
        (group.source.clone(), self.category(&group.category), group.priority)
    }
}

impl Open {
    /// Both together, as under one label value.
    fn merge(&mut self, other: &Open) {
        self.oldest = self.oldest.min(other.oldest);
        self.next_due = self.next_due.into_iter().chain(other.next_due).min();
        for (ours, theirs) in self.within.iter_mut().zip(other.within) {
            *ours += theirs;
        }
        self.count += other.count;
    }
}

fn histogram(name: &'static str, help: &'static str, samples: Vec<(Labels, Lengths)>) -> MetricFamily {
    let filled = samples.into_iter().map(|(labels, lengths)| {
        let mut histogram = Histogram::default();
        let mut sum = 0;
        let buckets = SLA_SECS.iter().zip(lengths.up_to).map(|(secs, count)| {
            sum += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*secs as f64);
            bucket.set_cumulative_count(sum);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        histogram.set_sample_count(lengths.count);
        histogram.set_sample_sum(seconds(lengths.sum));
        (labels, histogram)
    });
    Family::histogram(name, help, filled)
}
