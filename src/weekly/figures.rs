//! The figures of one week as they are kept, published as JSON and rendered: plain records of numbers and
//! names. `schema.json` describes them; a field that changes its meaning gets another name.

use super::survival::{Quantile, Survival};
use crate::core::time::Span;
use serde::{Deserialize, Serialize};

/// What `Figures::schema` says.
pub const SCHEMA_NAME: &str = "tocsin.weekly/1";

/// With fewer lengths than this the lengths themselves are told, no percentiles.
pub const FEW: u64 = 10;
/// A 99th percentile of fewer is only the longest under another name.
const ENOUGH_FOR_P99: u64 = 100;

/// The ages into which open cases fall, in seconds: up to each of these, and beyond the last.
pub const AGES_SECS: [i64; 8] = [900, 3_600, 14_400, 86_400, 259_200, 604_800, 1_209_600, 2_592_000];

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub schema: String,
    /// "2026-W46"
    pub week: String,
    /// The week's Monday and Sunday.
    pub first_day: String,
    pub last_day: String,
    pub timezone: String,
    /// RFC 3339, as all instants here. What happened after `as_of` doesn't count.
    pub from: String,
    pub until: String,
    pub as_of: String,
    /// When the figures were made: what was known then.
    pub made_at: String,
    /// Whether the week was over.
    pub complete: bool,
    /// The first characters of the deployment's fingerprint.
    pub deployment: String,
    /// Whether people were paged: "live" or "shadow".
    pub mode: String,
    /// SHA-256 of the policy by which open cases were judged.
    pub policy: String,
    /// What can't be enforced for want of a column.
    pub limits: Vec<String>,
    pub sight: Sight,
    /// By priority, P0 first; those of which there is something to tell.
    pub priorities: Vec<GroupFigures>,
    /// By priority and category.
    pub categories: Vec<GroupFigures>,
    pub targets: Vec<TargetFigures>,
    pub paging: Paging,
    /// Categories in no list that reports of the week stood in: presumed minor safety.
    pub unknown_categories: Vec<String>,
}

/// What the monitor saw of the week.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sight {
    /// Seconds of the week until `as_of`.
    pub week_secs: i64,
    /// The monitor itself was not running.
    pub down_secs: i64,
    /// When it first ran, where that is later than the week's begin.
    pub first_run: Option<String>,
    pub sources: Vec<SourceSight>,
    /// The longest gaps, in their order.
    pub gaps: Vec<Gap>,
    /// Sources that couldn't be read when the figures were made: their open cases below P0 are missing.
    pub unread: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceSight {
    pub source: String,
    /// Seconds in which the monitor ran and didn't see the source.
    pub blind_secs: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gap {
    /// Empty where the monitor itself was down.
    pub source: String,
    pub from: String,
    pub until: String,
    pub secs: i64,
}

/// A group of cases: a priority, or a category within it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GroupFigures {
    pub priority: String,
    /// Empty for the whole priority.
    pub category: String,
    pub received: u64,
    pub closed: u64,
    /// Open at `as_of`, and how old.
    pub open: u64,
    pub oldest_secs: Option<i64>,
    /// Open cases by age: up to each of `AGES_SECS`, and older.
    pub open_ages: Vec<u64>,
    /// Of the cases received in the week: from receipt to the first response of a person.
    pub first_response: Times,
    /// Of the cases received in the week: from receipt to their closing.
    pub closing: Times,
    pub deadlines: Kept,
    pub breaches: Breaches,
    /// Further reports about a case that was received in the week.
    pub repeats: u64,
    pub reopenings: u64,
    /// Closed as "no violation" without a second review.
    pub unreviewed: u64,
    pub overturned: u64,
    pub vanished: u64,
    /// Closed in the same second as at least nine others of the group.
    pub bulk_closed: u64,
    /// Known from their final rows only.
    pub from_rows: u64,
    pub before: Before,
}

/// What became of the deadlines that fell in the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub met: u64,
    pub missed: u64,
    /// Passed, and it isn't known yet whether in time.
    pub undecided: u64,
    /// Nothing was left to wait for.
    pub moot: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaches {
    /// Deadlines that passed unmet while the monitor watched, proved by a read.
    pub verified: u64,
    /// Paged without proof, and still without.
    pub unverified: u64,
    /// Paged without proof, and then proved to be none.
    pub withdrawn: u64,
    /// Already overdue when the case was first seen in the week.
    pub inherited: u64,
    /// Verified, and contradicted in the week by what the database said later.
    pub contradicted: u64,
}

/// The same of the four weeks before, where there are any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// Weeks of them in which anything is known of the group; 0 to 4.
    pub weeks: u32,
    pub received_mean: f64,
    pub closed_mean: f64,
    pub breaches_mean: f64,
    /// Of all four together.
    pub deadlines: Kept,
    /// Breaches of each of them, the latest first.
    pub breaches: [u64; 4],
}

/// How long something takes, open ones censored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    pub count: u64,
    /// How many of them had ended by `as_of`.
    pub ended: u64,
    pub p50: Option<Length>,
    pub p90: Option<Length>,
    pub p99: Option<Length>,
    /// All of them in place of percentiles, where there are few.
    pub few: Vec<Length>,
}

/// A length of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Length {
    pub secs: i64,
    /// It is longer than this, nobody knows by how much.
    pub beyond: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TargetFigures {
    pub priority: String,
    pub category: String,
    pub target: String,
    pub deadlines: Kept,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Paging {
    pub incidents_opened: u64,
    pub channels: Vec<ChannelFigures>,
    /// Of P0, then of the rest: from the deadline to the first page that a channel accepted.
    pub to_page: [Times; 2],
    /// From an incident's opening to its acknowledgement.
    pub to_acknowledge: [Times; 2],
    /// From the deadline to the overdue target's being met.
    pub to_act: [Times; 2],
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ChannelFigures {
    pub channel: String,
    /// Pages created in the week, and what had become of them when the figures were made.
    pub rings: u64,
    pub resolves: u64,
    pub accepted: u64,
    pub parked: u64,
    pub waiting: u64,
}

impl Kept {
    /// Deadlines of which it is decided whether they were kept.
    pub fn decided(&self) -> u64 {
        self.met + self.missed
    }

    /// The share that was kept, from 0 to 1; `None` where none is decided.
    pub fn share(&self) -> Option<f64> {
        (self.decided() > 0).then(|| self.met as f64 / self.decided() as f64)
    }

    pub fn add(&mut self, other: &Kept) {
        self.met += other.met;
        self.missed += other.missed;
        self.undecided += other.undecided;
        self.moot += other.moot;
    }
}

impl Times {
    pub fn of(survival: &Survival) -> Times {
        let count = survival.count();
        let quantile = |percent, at_least| match survival.quantile(percent) {
            Some(quantile) if count >= at_least => Some(quantile.into()),
            _ => None,
        };
        let few = if count < FEW { survival.each().into_iter().map(Length::from).collect() } else { Vec::new() };
        Times {
            count,
            ended: survival.ended(),
            p50: quantile(50, FEW),
            p90: quantile(90, FEW),
            p99: quantile(99, ENOUGH_FOR_P99),
            few,
        }
    }
}

impl From<Quantile> for Length {
    fn from(quantile: Quantile) -> Length {
        let whole = |length: Span| length.secs();
        match quantile {
            Quantile::Reached(length) => Length { secs: whole(length), beyond: false },
            Quantile::Beyond(length) => Length { secs: whole(length), beyond: true },
        }
    }
}
