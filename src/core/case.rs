//! A case: its reports, its clocks, and what a new look at them changes. Everything a clock needs is
//! derived here from the reports as last read, by one function, `Case::refresh`, so that a poll, a
//! deadline, a restart and a reload are one path.

mod again;
mod closures;
mod evidence;
mod owed;
mod remembered;
mod report;
mod said;
mod spread;

pub use closures::closing;
pub use report::{Look, Read, Report, seen};

use super::bulk::Closed;
use super::calendar::Interval;
use super::clock::{Clock, Turn};
use super::id::{EpisodeKey, IncidentNo, Name, ReportKey};
use super::obligation::{Matched, Obligation};
use super::observation::{Actor, Event, EventName, Row, Verdict};
use super::policy::{Assessment, DeletedMeans, Policy, Priority, Standing, Target, either};
use super::rank::Rank;
use super::reports::Reports;
use super::time::{Span, Timestamp};
use super::told::Told;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Growth is measured over at least this long, so that a single view between two polls is no spread.
pub const SPREAD_WINDOW: Span = Span::from_mins(6);

/// How an episode ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conclusion {
    Violation,
    NoViolation,
    /// The source maps no outcome.
    Closed,
    /// Gone while open. Ends a P0 only once a named person has looked into it.
    Vanished,
}

impl Conclusion {
    pub const fn as_str(self) -> &'static str {
        match self {
            Conclusion::Violation => "violation",
            Conclusion::NoViolation => "no_violation",
            Conclusion::Closed => "closed",
            Conclusion::Vanished => "vanished",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    pub key: EpisodeKey,
    pub priority: Priority,
    pub standing: Standing,
    pub raised: bool,
    pub spread: u8,
    /// The category of the report that decides, which is the earliest of the highest standing.
    pub category: Name,
    pub rule: Name,
    pub escalation: Option<Name>,
    pub reports: Reports,
    pub clocks: Vec<Clock>,
    /// Credited pauses, none of them from its time as a P0; on P0 they count for nothing.
    pub pauses: Vec<Interval>,
    /// The P0 episode's incident, once it has one.
    pub incident: Option<IncidentNo>,
    pub ended: Option<(Timestamp, Conclusion)>,
    /// Times a row that was closed was seen open again.
    pub reopenings: u32,
    /// F20: who closed reports of this P0 case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub closed_by: Vec<Closed>,
    /// Ended, but for so long its closures may still turn out to be part of a bulk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<Timestamp>,
    /// F4: the number of reports that a repeat has rung for: 2, 4, 8 and so on.
    #[serde(default)]
    pub repeats_told: u32,
    /// A report of it was certainly raised; stays for the episode.
    #[serde(default)]
    pub raise_seen: bool,
    /// When a read first saw it spread faster than the policy bears; stays for the episode.
    #[serde(default)]
    pub crossed: Option<Timestamp>,
    /// The store holds it, so its end must be written there.
    #[serde(default)]
    pub stored: bool,
}

/// The reports' facts that decide about a case, counted by the rules of its priority.
struct Facts {
    anchor: Timestamp,
    first_seen: Timestamp,
    joined: Timestamp,
    read_began: Timestamp,
    /// Every report has a closure that counts, or of a P0 with one was looked into when it vanished: the latest.
    closed: Option<Timestamp>,
    conclusion: Option<(Timestamp, Conclusion)>,
    /// The first closure that waits for a second review: of "no violation", or in bulk.
    no_violation: Option<Timestamp>,
}

impl Case {
    /// An empty case; `refresh` fills it in once it has a report.
    pub fn new(key: EpisodeKey, assessment: &Assessment<'_>, category: Name) -> Self {
        Case {
            key,
            priority: assessment.priority,
            standing: assessment.standing,
            raised: false,
            spread: 0,
            category,
            rule: assessment.rule.clone(),
            escalation: assessment.escalation.cloned(),
            reports: Reports::new(),
            clocks: Vec::new(),
            pauses: Vec::new(),
            incident: None,
            ended: None,
            reopenings: 0,
            closed_by: Vec::new(),
            held_until: None,
            repeats_told: 0,
            raise_seen: false,
            crossed: None,
            stored: false,
        }
    }

    pub fn is_p0(&self) -> bool {
        self.priority == Priority::P0
    }

    /// Known minor safety stays for the whole episode, unless people release it; presumption lasts only while
    /// nobody names it.
    pub fn is_latched(&self) -> bool {
        self.is_p0() && self.standing == Standing::Known && !self.reports.values().all(Report::is_released)
    }

    pub fn is_overdue(&self) -> bool {
        self.clocks.iter().any(Clock::is_overdue)
    }

    /// Ended for good, and no target runs or is overdue: its outcome can be written and its memory freed.
    pub fn is_settled(&self) -> bool {
        let rests = |clock: &Clock| !clock.is_open() && !clock.is_overdue();
        self.ended.is_some() && self.held_until.is_none() && self.clocks.iter().all(rests)
    }

    /// What the store must keep because no report database can repeat it.
    pub fn must_be_kept(&self) -> bool {
        self.is_p0()
            || !self.pauses.is_empty()
            || self.reopenings > 0
            || self.raise_seen
            || self.crossed.is_some()
            || (self.ended.is_some() && !self.is_settled())
            || self.reports.values().any(|r| r.anchored_at_first_sight || r.is_paused() || !r.told.is_empty())
            || self.clocks.iter().any(|clock| clock.breach().is_some() || clock.warned_of.is_some())
    }

    /// The earliest report: what a page and the board call the case by.
    pub fn first_report(&self) -> Option<(&ReportKey, &Report)> {
        self.reports.iter().min_by_key(|(key, report)| (report.received, *key))
    }

    pub fn received(&self) -> Timestamp {
        self.first_report().map_or(Timestamp::MAX, |(_, report)| report.received)
    }

    /// Whether a person has done anything to it since this instant.
    pub fn was_acted_on(&self, since: Timestamp) -> bool {
        let by_people = |event: &&Event| matches!(event.by, Actor::Person(_) | Actor::Unmapped);
        let mut rows = self.reports.values().flat_map(|report| &report.row.events).filter(by_people);
        let mut told = self.reports.values().flat_map(|report| &report.told);
        rows.any(|event| event.at >= since) || told.any(|told| told.at() >= since)
    }

    /// The earliest first response that counts, a closure that counts included.
    pub fn first_response(&self) -> Option<Timestamp> {
        self.earliest(EventName::FirstResponse, None, DeletedMeans::Vanished)
    }

    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.clocks.iter().filter_map(Clock::unmet_deadline).min()
    }

    /// When time alone changes the case. Below P0 a pause stops that but for obligations: each poll that
    /// sees it credits it and looks at the clocks.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let paused = !self.is_p0() && self.reports.values().any(Report::is_paused);
        let awake = self.clocks.iter().filter(|clock| clock.obligation || !paused);
        awake.filter_map(|clock| clock.wakes_at(self.is_p0())).chain(self.held_until).min()
    }

    pub fn rank(&self) -> Rank {
        Rank {
            priority: self.priority,
            standing: self.standing,
            raised: Reverse(self.raised),
            deadline: self.next_deadline().unwrap_or(Timestamp::MAX),
            spread: Reverse(self.spread),
            received: self.received(),
            key: self.key.clone(),
        }
    }

    /// The pauses that move its deadlines: none on P0.
    pub fn credited(&self) -> &[Interval] {
        if self.is_p0() { &[] } else { &self.pauses }
    }

    /// The id of a report was given to another: it is gone, and what is known of it is final.
    pub fn supersede(&mut self, key: &ReportKey, read_began: Timestamp) {
        if let Some(report) = self.reports.get_mut(key) {
            report.gone.get_or_insert(read_began);
            report.read_began = Timestamp::MAX;
        }
    }

    /// Takes in what a read saw of one of its reports. Pauses are credited only between two reads
    /// that both saw one, no further apart than `blind_after`, and never on P0.
    pub fn see(&mut self, key: &ReportKey, row: Option<Row>, read: Read, blind_after: Option<Span>) {
        let (p0, read_began) = (self.is_p0(), read.began);
        let Some(report) = self.reports.get_mut(key) else {
            if let Some(row) = row {
                self.reports.insert(key.clone(), Report::first_sight(row, read));
                self.note_closure(key, true, None);
            }
            return;
        };
        if read_began < report.read_began {
            return;
        }
        let (was_paused, seen_before) = (report.is_paused(), report.read_began);
        report.read_began = read_began;
        let Some(row) = row else {
            report.gone.get_or_insert(read_began);
            return;
        };
        let measured = report.base.as_ref().filter(|base| seen_before.since(base.at) >= SPREAD_WINDOW);
        if measured.is_some() && report.row.facts != row.facts {
            report.base = Some(Look { at: seen_before, facts: report.row.facts.clone() });
        }
        let was_closed = report.row.event(EventName::Closed).is_some();
        let closing = report.closing(p0).cloned();
        report.gone = None;
        // It is there again: whoever looked into its vanishing looked at something else.
        report.told.retain(|told| !matches!(told, Told::LookedInto { .. }));
        report.row = row;
        report.anchor();
        if was_closed && report.row.event(EventName::Closed).is_none() {
            self.reopenings += 1;
        }
        let in_sight = blind_after.is_none_or(|longest| read_began.since(seen_before) <= longest);
        if was_paused && report.is_paused() && !p0 && seen_before < read_began && in_sight {
            credit(&mut self.pauses, Interval { from: seen_before, until: read_began });
        }
        let changed = self.reports.get(key).is_some_and(|report| report.closing(p0) != closing.as_ref());
        let open_until = closing.is_none().then_some(seen_before);
        self.note_closure(key, changed, open_until);
    }

    /// Derives standing, rule, clocks and end anew from the reports, and says what each clock did.
    pub fn refresh(&mut self, policy: &Policy, now: Timestamp) -> Vec<(usize, Turn)> {
        let Some((assessment, category)) = self.assess(policy) else { return Vec::new() };
        self.standing = assessment.standing;
        self.raise_seen |= assessment.raised == Some(true);
        self.raised = self.raise_seen || assessment.raised.is_none();
        self.category = category;
        if self.is_p0() != (assessment.priority == Priority::P0) {
            // What was promised as the one is neither met nor broken as the other; a breach that has
            // happened stays in the store. An obligation holds for both.
            self.clocks.retain(|clock| clock.obligation);
            // Closures of what is no P0 are judged by nobody; one that becomes P0 has noted its own.
            if self.is_p0() {
                self.closed_by.clear();
            }
            // How fast is too fast is another question now.
            self.crossed = None;
        }
        if self.priority != assessment.priority || self.rule != *assessment.rule {
            (self.priority, self.rule) = (assessment.priority, assessment.rule.clone());
        }
        self.escalation = assessment.escalation.cloned();
        self.measure_spread(assessment.spread);
        let deleted_means = self.deleted_means(policy);
        let facts = self.facts(deleted_means);
        self.ended = facts.conclusion;
        let within = policy.minor_safety.bulk.within;
        let bulk_until = self.closed_by.iter().map(|closed| closed.seen.plus(within)).max();
        self.held_until = bulk_until.filter(|at| self.is_p0() && self.ended.is_some() && *at > now);
        let owed = self.owed(policy, assessment.obligations, &facts, deleted_means);
        self.match_clocks_to(assessment.targets, &owed);
        let mut turns = Vec::new();
        for index in 0..self.clocks.len() {
            let clock = &self.clocks[index];
            let (warn, mut evidence, deadline) = if clock.obligation {
                let Some(obligation) = owed.iter().find(|owed| *owed.name() == clock.target) else { continue };
                let evidence = self.evidence_of_obligation(obligation, clock, &facts, deleted_means);
                let warn = policy.warns_before(&obligation.target, obligation.escalation.as_ref());
                (warn, evidence, Case::obligation_due(obligation, &evidence))
            } else {
                let left_over;
                let promised = |t: &&Target| (&t.name, t.until) == (&clock.target, clock.until);
                let target = match assessment.targets.iter().find(promised) {
                    Some(target) => target,
                    None => {
                        left_over = clock.left_over();
                        &left_over
                    }
                };
                let evidence = self.evidence(target, clock, &facts, deleted_means);
                let warn = policy.warns_before(target, self.escalation.as_ref());
                (warn, evidence, self.deadline(target, clock, &evidence, policy))
            };
            evidence.due = deadline;
            let clock = &mut self.clocks[index];
            clock.set_deadline(&evidence, deadline, warn, now);
            let turn = clock.step(&evidence, now);
            if turn != Turn::Nothing {
                turns.push((index, turn));
            }
        }
        turns
    }

    /// The strictest of what the policy says of its reports; a known P0 is latched whatever they say.
    fn assess<'p>(&self, policy: &'p Policy) -> Option<(Assessment<'p>, Name)> {
        let (mut raised, mut obligations) = (Some(false), Matched::default());
        let assessed = self.reports.iter().map(|(key, report)| {
            let assessment = policy.assess(&report.row);
            obligations = obligations.with(assessment.obligations);
            raised = either(raised, assessment.raised);
            (assessment, report, key)
        });
        let (strictest, report, _) = assessed.min_by_key(|(a, r, key)| (a.priority, a.standing, r.received, *key))?;
        if self.is_latched() && (strictest.priority != Priority::P0 || strictest.standing == Standing::Presumed) {
            let latched = Assessment { raised, obligations, ..policy.assess_p0(Standing::Known) };
            return Some((latched, self.category.clone()));
        }
        Some((Assessment { raised, obligations, ..strictest }, report.row.category.clone()))
    }

    fn facts(&self, deleted_means: DeletedMeans) -> Facts {
        let p0 = self.is_p0();
        let closure = |report: &Report| report.closure(p0, deleted_means);
        let closed = latest_of_all(self.reports.values().map(closure));
        let over = latest_of_all(self.reports.values().map(|report| closure(report).or(report.looked_into())));
        let vanished = over.filter(|_| self.reports.values().all(|report| closure(report).is_none()));
        let closed = if p0 { over.filter(|_| vanished.is_none()) } else { closed };
        let waits = |r: &&Report| r.row.verdict == Verdict::NoViolation || self.is_in_bulk(r).is_some();
        let no_violation = self.reports.values().filter(waits).filter_map(closure).min();
        Facts {
            anchor: self.received(),
            first_seen: self.reports.values().map(|r| r.first_seen).min().unwrap_or(Timestamp::MAX),
            joined: self.reports.values().map(|r| r.first_seen).max().unwrap_or(Timestamp::MIN),
            read_began: self.reports.values().map(|r| r.read_began).min().unwrap_or(Timestamp::MIN),
            closed,
            conclusion: match vanished.filter(|_| p0) {
                Some(at) => Some((at, Conclusion::Vanished)),
                None => self.conclusion(closed, no_violation),
            },
            no_violation,
        }
    }

    /// P0 ends at a violation closure, or one of "no violation" or in bulk that a second reviewer confirmed;
    /// below P0 any closure ends it, and so does vanishing.
    fn conclusion(
        &self,
        closed: Option<Timestamp>,
        no_violation: Option<Timestamp>,
    ) -> Option<(Timestamp, Conclusion)> {
        let verdicts = || self.reports.values().map(|report| report.row.verdict);
        let how = if verdicts().any(|v| v == Verdict::Violation) {
            Conclusion::Violation
        } else if no_violation.is_some() {
            Conclusion::NoViolation
        } else {
            Conclusion::Closed
        };
        if !self.is_p0() {
            let gone = self.reports.values().map(|report| report.gone).max().flatten();
            return closed.map(|at| (at, how)).or(gone.map(|at| (at, Conclusion::Vanished)));
        }
        let in_bulk = self.reports.values().any(|report| self.is_in_bulk(report).is_some());
        match how {
            _ if how == Conclusion::NoViolation || in_bulk => {
                let reviewed = self.second_review(no_violation?)?;
                closed.map(|at| (at.max(reviewed), how))
            }
            _ => closed.map(|at| (at, how)),
        }
    }

    /// F3: only a known human who had closed none of the reports by then meets a second review: what a
    /// reviewer closes later doesn't take the review back. Where the source maps no actor, difference
    /// can't be enforced and the event alone counts.
    pub(super) fn second_review(&self, no_violation: Timestamp) -> Option<Timestamp> {
        let had_closed = |review: &Event| {
            let mut events = self.reports.values().flat_map(|report| &report.row.events);
            events.any(|event| event.name == EventName::Closed && event.by == review.by && event.at <= review.at)
        };
        let reviews = self.reports.values().flat_map(Report::events);
        let reviews = reviews.filter(|event| event.name == EventName::SecondReview && event.at >= no_violation);
        let valid = reviews.filter(|event| match &event.by {
            Actor::Unmapped => true,
            Actor::Person(_) => !had_closed(event),
            Actor::Automated | Actor::Unknown => false,
        });
        valid.map(|event| event.at).min()
    }

    /// One clock a target, for `reporter_notified` of P0 one a report. A clock whose target is no
    /// longer promised goes, unless it is overdue.
    fn match_clocks_to(&mut self, targets: &[Target], owed: &[&Obligation]) {
        let promised = targets.iter().map(|target| (target, false)).chain(owed.iter().map(|owed| (&owed.target, true)));
        let (p0, reports) = (self.is_p0(), &self.reports);
        let wanted = promised.flat_map(|(target, obligation)| {
            let of_each = p0 && target.until == EventName::ReporterNotified;
            let each = reports.keys().filter(move |_| of_each).map(Some);
            each.chain((!of_each).then_some(None)).map(move |report| (target, obligation, report))
        });
        let mut held = self.clocks.iter();
        let mut is_next = |(target, obligation, report): (&Target, bool, Option<&ReportKey>)| {
            held.next().is_some_and(|clock| {
                (clock.obligation, &clock.target, clock.until) == (obligation, &target.name, target.until)
                    && clock.report.as_ref() == report
            })
        };
        if wanted.clone().all(&mut is_next) && held.next().is_none() {
            return;
        }
        let new = |(target, obligation, report): (&Target, bool, Option<&ReportKey>)| {
            let new = if obligation { Clock::of_obligation } else { Clock::new };
            new(target, report.cloned())
        };
        let mut fresh = Vec::with_capacity(wanted.clone().count());
        fresh.extend(wanted.map(new));
        let name = |clock: &Clock| (clock.obligation, clock.target.clone(), clock.until, clock.report.clone());
        if self.clocks.is_empty() {
            self.clocks = fresh;
            return;
        }
        let held = std::mem::take(&mut self.clocks).into_iter();
        let mut held: BTreeMap<_, Clock> = held.map(|clock| (name(&clock), clock)).collect();
        self.clocks.reserve_exact(fresh.len());
        self.clocks.extend(fresh.into_iter().map(|clock| held.remove(&name(&clock)).unwrap_or(clock)));
        // What was broken as a promise stays overdue until it is met, whatever is promised now.
        self.clocks.extend(held.into_values().filter(|clock| !clock.obligation && clock.is_overdue()));
    }
}

/// Adds a stretch to the credited pauses, joining it to the last where they touch.
fn credit(pauses: &mut Vec<Interval>, stretch: Interval) {
    match pauses.last_mut() {
        Some(last) if last.until >= stretch.from => last.until = last.until.max(stretch.until),
        _ => pauses.push(stretch),
    }
}

/// The latest of some instants; `None` where one is missing.
fn latest_of_all(mut instants: impl Iterator<Item = Option<Timestamp>>) -> Option<Timestamp> {
    let first = instants.next()?;
    instants.fold(first, |latest, at| Some(latest?.max(at?)))
}

/// How long ago an instant was, never negative.
pub fn age(of: Timestamp, now: Timestamp) -> Span {
    now.since(of).max(Span::ZERO)
}
