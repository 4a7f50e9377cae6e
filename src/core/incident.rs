//! What people are paged about: a P0 episode, a group of lesser breaches, or a bundle of P0 incidents
//! that would ring at once. Each answers two questions: when does it ring next, and is it over.

use super::id::{EpisodeKey, IncidentNo, Name};
use super::observation::Actor;
use super::policy::{Escalation, Priority, Step};
use super::selfcheck::Findings;
use super::sight::BlindKind;
use super::time::{Span, Timestamp};
use super::trouble::Trouble;
use super::warning::Nearing;
use serde::{Deserialize, Serialize};

/// In a lesser incident, breaches of equal or lower priority ring together at most this often.
pub const RING_AGAIN_AFTER: Span = Span::from_mins(5);
/// How long a lesser incident waits for the first look at a source to end, so that a first start on a
/// backlog rings once with the whole count. P0 never waits.
pub const HOLD_AT_START: Span = Span::from_mins(1);
/// More P0 incidents than this that ring at one instant ring as one bundle.
pub const BUNDLE_ABOVE: usize = 10;
/// Cases listed in one page; what is beyond is counted, and listed on the board.
pub const CASES_PER_PAGE: usize = 50;
/// Rounds, counted per channel, that one incident leaves open at receivers; older ones are closed, so that an
/// incident that rings for months doesn't grow without end.
pub const ROUNDS_OPEN_MAX: usize = 100;
/// Numbered parts of one bundle. A larger bundle is one page with the count and the most urgent.
pub const PARTS_PER_BUNDLE: usize = 4;

/// The channel that is always there and wakes nobody.
pub const LOG_CHANNEL: &str = "log";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A P0 episode has one incident, whatever happens in it.
    Episode(EpisodeKey),
    /// Lesser breaches of one category under one escalation.
    Group {
        category: Name,
    },
    /// P0 incidents that rang at one instant; over when all of them are.
    Bundle {
        members: Vec<IncidentNo>,
    },
    /// The monitor can't see a source, or can't trust what it sees; over when it can.
    /// F20: one actor closed many P0 cases at once; over when no closure of these waits for its review.
    Bulk {
        source: Name,
        by: Actor,
    },
    Blind(Blind),
    /// Deadlines that come near: no incident that anybody must take, and over when they were met or have passed.
    Warning(Nearing),
    /// Something that the operators must see to; over when its cause is gone.
    Trouble(Trouble),
    /// What the auditor found that should have rung and did not; over when nothing is left of it.
    Audit {
        found: Findings,
    },
    /// A test of the way that pages take: it tells of no report, stands in no figure, and is over by itself.
    Test {
        until: Timestamp,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blind {
    pub source: Name,
    pub since: Timestamp,
    #[serde(default)]
    pub what: BlindKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub no: IncidentNo,
    pub kind: IncidentKind,
    pub escalation: Name,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// Rounds rung so far; the next ring opens round `rounds`.
    pub rounds: u32,
    pub rung_at: Option<Timestamp>,
    /// The highest priority that the last ring told of.
    pub rung_priority: Option<Priority>,
    /// When it rings next; `None` when nothing new has happened.
    pub ring_at: Option<Timestamp>,
    /// The highest step of the escalation that has rung.
    pub step: u32,
    /// The next step, or the next repeat of the last one; `None` once acknowledged.
    pub next_step: Option<NextStep>,
    pub acknowledged: Option<Acknowledgement>,
    /// When an acknowledgement is no longer believed unless a reviewer has acted.
    pub act_by: Option<Timestamp>,
    /// When a target in it was last met: an action, where the source maps none.
    pub acted_at: Option<Timestamp>,
    /// The rounds' pages that a resolve must close again.
    pub rung: Vec<(u32, Name)>,
    /// The bundle that told of this incident last.
    pub bundle: Option<IncidentNo>,
    /// Bundles that told of it before, and close with it.
    #[serde(default)]
    pub told_by: Vec<IncidentNo>,
    /// The first round that told of its last breach; whoever takes an earlier one doesn't know of that.
    #[serde(default)]
    pub news_round: u32,
    /// When time alone ends it; `None` where only evidence does.
    #[serde(default)]
    pub over_at: Option<Timestamp>,
    /// What the keys of its pages are made of, where they must be the same for whoever opens it, the store or
    /// none at hand: of P0, and of the store's own absence. Such an incident rings in an emergency too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub named: Option<Name>,
    /// F4: what reports that came again did to it.
    #[serde(default)]
    pub repeats: Repeats,
}

/// F4: a repeat rings one step up, at most once in the time that an acknowledgement is believed; what comes
/// earlier waits for that, and is not lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repeats {
    /// When a repeat rang last: until a person acts after it, the incident is not over.
    pub rang_at: Option<Timestamp>,
    /// When the next one rings.
    pub ring_at: Option<Timestamp>,
    /// The ring that is due is a repeat's.
    pub due: bool,
    /// The repeat that waits opened the incident: whatever rings first is its ring.
    pub opens: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextStep {
    pub at: Timestamp,
    pub step: u32,
}

/// A named person took the incident. It stops the escalation, never the clock of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acknowledgement {
    pub by: Name,
    pub at: Timestamp,
    /// A program acknowledged it, such as a pager product: nobody is known to have taken it.
    #[serde(default)]
    pub integration: bool,
}

impl Incident {
    pub fn open(no: IncidentNo, kind: IncidentKind, escalation: Name, now: Timestamp) -> Self {
        Incident {
            no,
            kind,
            escalation,
            opened_at: now,
            resolved_at: None,
            rounds: 0,
            rung_at: None,
            rung_priority: None,
            ring_at: None,
            step: 0,
            next_step: None,
            acknowledged: None,
            act_by: None,
            acted_at: None,
            rung: Vec::new(),
            bundle: None,
            told_by: Vec::new(),
            news_round: 0,
            repeats: Repeats::default(),
            over_at: None,
            named: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// A new breach in it. P0 rings at once. A lesser one rings at once when it is the first or of
    /// higher priority than what has rung, else together with others; `hold_until` delays a first ring.
    pub fn breach(&mut self, priority: Priority, hold_until: Option<Timestamp>, now: Timestamp) {
        (self.resolved_at, self.news_round) = (None, self.rounds);
        let at = match (&self.kind, self.rung_at) {
            (IncidentKind::Group { .. } | IncidentKind::Bulk { .. }, None) => hold_until.unwrap_or(now),
            (IncidentKind::Group { .. } | IncidentKind::Bulk { .. }, Some(rung_at)) => {
                let higher = self.rung_priority.is_none_or(|rung| priority < rung);
                if higher { now } else { now.max(rung_at.plus(RING_AGAIN_AFTER)) }
            }
            _ => now,
        };
        self.ring_at = Some(self.ring_at.map_or(at, |held| held.min(at)));
    }

    /// A new breach of a case that is snoozed: it rings when the snooze ends, if nothing else does before.
    pub fn breach_while_snoozed(&mut self, until: Timestamp) {
        (self.resolved_at, self.news_round) = (None, self.rounds);
        self.ring_at = Some(self.ring_at.map_or(until, |held| held.min(until)));
    }

    /// What it is about, where the monitor is blind.
    pub fn blind(&self) -> Option<Blind> {
        match &self.kind {
            IncidentKind::Blind(blind) => Some(blind.clone()),
            _ => None,
        }
    }

    /// F4: a repeat of the case that it is about. Where nothing has rung yet it is the first ring, unless a
    /// deadline that is being proved rings by `proved_by`; else it rings one step up: at once, or when the last
    /// repeat's time to act is over.
    pub fn repeat(&mut self, act_within: Option<Span>, steps: usize, proved_by: Timestamp, now: Timestamp) {
        let opens = !self.is_open() || self.rung_at.is_none();
        self.resolved_at = None;
        let rested = self.repeats.rang_at.zip(act_within).map_or(now, |(rang_at, within)| rang_at.plus(within));
        let at = if opens { proved_by } else { rested };
        (self.repeats.ring_at, self.repeats.opens) = (Some(at.max(now)), opens);
        self.take_repeat(steps, now);
    }

    /// A repeat that is due makes it ring at `now`, one step up.
    pub fn take_repeat(&mut self, steps: usize, now: Timestamp) {
        if self.repeats.ring_at.take_if(|at| *at <= now).is_some() {
            if !self.repeats.opens {
                let last = u32::try_from(steps.saturating_sub(1)).unwrap_or(u32::MAX);
                self.step = self.step.max(self.step.saturating_add(1).min(last));
                // The steps that follow count from this one.
                self.next_step = None;
            }
            (self.repeats.rang_at, self.repeats.due) = (Some(now), true);
            self.ring_at = Some(now);
        }
    }

    /// What the auditor found, where it is about that.
    pub fn found(&self) -> Option<Findings> {
        match &self.kind {
            IncidentKind::Audit { found } => Some(*found),
            _ => None,
        }
    }

    pub fn is_test(&self) -> bool {
        matches!(self.kind, IncidentKind::Test { .. })
    }

    /// When a test is over by itself.
    pub fn ends_at(&self) -> Option<Timestamp> {
        match self.kind {
            IncidentKind::Test { until } => Some(until).filter(|_| self.is_open()),
            _ => None,
        }
    }

    /// Whether a breach has come that a page of this round didn't tell of.
    pub fn has_news_since(&self, round: u32) -> bool {
        round < self.news_round
    }

    /// Whether nothing may keep it from ringing.
    pub fn is_p0(&self) -> bool {
        matches!(self.kind, IncidentKind::Episode(_) | IncidentKind::Bundle { .. })
    }

    /// Whether people should have been told of it by now and only the log was, as in shadow mode.
    pub fn was_rehearsed(&self, escalation: Option<&Escalation>) -> bool {
        let is_log = |channel: &Name| **channel == *LOG_CHANNEL;
        let told = self.is_open() && self.is_taken() && !self.rung.is_empty();
        let tells_people = |step: &Step| step.notify.iter().any(|channel| !is_log(channel));
        let reached = escalation.map(|escalation| escalation.steps.iter().take(self.step as usize + 1));
        let people = reached.is_some_and(|mut steps| steps.any(tells_people));
        told && people && self.rung.iter().all(|(_, channel)| is_log(channel))
    }

    /// Rings anew from the first step, whoever has acknowledged.
    pub fn begin_anew(&mut self) {
        (self.step, self.next_step, self.ring_at) = (0, None, Some(self.opened_at));
    }

    /// Whether it is something that people take, and that climbs until somebody does.
    pub fn is_taken(&self) -> bool {
        !matches!(self.kind, IncidentKind::Warning(_))
    }

    /// Whom its page at this step tells.
    pub fn notified(&self, escalation: Option<&Escalation>) -> Vec<Name> {
        let Some(escalation) = escalation else { return Vec::new() };
        if !self.is_taken() {
            return escalation.warned().to_vec();
        }
        let step = escalation.steps.get(self.step as usize).or(escalation.steps.last());
        step.map(|step| step.notify.clone()).unwrap_or_default()
    }

    /// When time alone makes it ring or asks whether somebody has acted.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let step = self.next_step.map(|next| next.at);
        let times = [self.ring_at, step, self.act_by, self.over_at, self.ends_at(), self.repeats.ring_at];
        times.into_iter().flatten().min()
    }

    /// A step or repeat that is due makes it ring at `now`, on that step.
    pub fn take_step(&mut self, now: Timestamp) {
        if let Some(next) = self.next_step.take_if(|next| next.at <= now) {
            self.step = next.step;
            self.ring_at = Some(now);
        }
    }

    /// Rings: gives the round that its pages carry. What rings is news, so whoever had acknowledged is
    /// asked again, and the escalation goes on from the highest step reached.
    pub fn ring(&mut self, priority: Priority, escalation: Option<&Escalation>, now: Timestamp) -> u32 {
        let round = self.rounds;
        self.rounds += 1;
        let was_acknowledged = self.acknowledged.take().is_some();
        let rests = was_acknowledged || self.next_step.is_none();
        if rests {
            self.next_step = escalation.and_then(|escalation| next_step(escalation, self.step, now));
        }
        (self.rung_at, self.rung_priority, self.ring_at, self.act_by) = (Some(now), Some(priority), None, None);
        self.repeats.due = false;
        if self.repeats.opens && self.repeats.ring_at.take().is_some() {
            self.repeats.rang_at = Some(now);
        }
        self.repeats.opens = false;
        round
    }

    /// A named person takes it. Breaches that have not rung yet still will.
    pub fn acknowledge(&mut self, by: Name, integration: bool, act_within: Option<Span>, now: Timestamp) {
        self.acknowledged = Some(Acknowledgement { by, at: now, integration });
        self.next_step = None;
        self.act_by = act_within.map(|within| now.plus(within));
    }

    /// Another bundle tells of its cases now: it rings no more, and stays open until all of them are over.
    pub fn hush(&mut self) {
        (self.ring_at, self.next_step, self.act_by) = (None, None, None);
    }

    /// Takes up a bundle that tells of this incident from now on.
    pub fn join_bundle(&mut self, bundle: IncidentNo) {
        self.told_by.extend(self.bundle.replace(bundle));
    }

    /// The rounds that stand open at receivers beyond what may: the oldest, to be closed.
    pub fn surplus_rounds(&mut self) -> Vec<(u32, Name)> {
        let surplus = self.rung.len().saturating_sub(ROUNDS_OPEN_MAX);
        self.rung.drain(..surplus).collect()
    }

    /// Nobody acted on the acknowledgement in time: it rings anew, at the highest step reached.
    pub fn forgotten(&mut self, now: Timestamp) {
        self.act_by = None;
        self.ring_at = Some(now);
    }

    /// Over, on evidence. Gives back the (round, channel) pairs that a resolve must close.
    pub fn resolve(&mut self, now: Timestamp) -> Vec<(u32, Name)> {
        self.resolved_at = Some(now);
        (self.ring_at, self.next_step, self.acknowledged, self.act_by) = (None, None, None, None);
        (self.step, self.over_at, self.repeats) = (0, None, Repeats::default());
        std::mem::take(&mut self.rung)
    }
}

/// What follows when `step` has rung at `now`: the next step by its distance, or the last one again.
fn next_step(escalation: &Escalation, step: u32, now: Timestamp) -> Option<NextStep> {
    let steps = &escalation.steps;
    let rung = steps.get(step as usize).or(steps.last())?;
    match steps.get(step as usize + 1) {
        Some(next) => Some(NextStep { at: now.plus(next.at.minus(rung.at)), step: step + 1 }),
        None => escalation.repeat.map(|every| NextStep { at: now.plus(every), step }),
    }
}
