//! A plan in the making: the core's state with one input's changes laid over it. Nothing is changed
//! but the draft, so a plan that isn't committed leaves no trace.

mod begun;
mod bulk;
mod effect;
mod episodes;
mod incidents;
mod lines;
mod page;
mod repeats;
mod told;
mod turns;

pub use bulk::Closer;

use super::case::{Case, Read, Report};
use super::clock::{Clock, Turn};
use super::engine::Core;
use super::facts::Predicate;
use super::few::Few;
use super::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportId, ReportKey};
use super::lines::{Said, Slot};
use super::observation::{EventName, Observation, Row};
use super::plan::{Alarm, Home, Plan, Rows};
use super::policy::{Assessment, Priority, Standing};
use super::time::{Span, Timestamp};
use effect::Derived;
use episodes::Past;
use std::collections::{BTreeMap, BTreeSet};

/// A case's place among the overdue cases of an incident: the most urgent first.
pub type MemberKey = (Priority, Timestamp, EpisodeKey);

/// What clocks of a case did, by their places.
type Turns = Vec<(usize, Turn)>;

pub struct Draft<'c> {
    pub(super) core: &'c Core,
    pub(super) now: Timestamp,
    pub plan: Plan,
    /// Cases of the input that the store remembered, by the case they are of.
    recalled: BTreeMap<CaseKey, Case>,
    /// In which remembered episodes each of their reports was.
    seen_in: BTreeMap<ReportKey, Vec<EpisodeKey>>,
    touched: BTreeSet<EpisodeKey>,
    /// Cases that are derived already.
    derived: Vec<Derived>,
    /// Cases that this draft settled, as they were then: a page may still tell of them.
    freed: BTreeMap<EpisodeKey, Box<Case>>,
    pub next_incident: u64,
    /// Open groups that this draft rang in or opened, by escalation and by category.
    groups: BTreeMap<Name, BTreeMap<Name, IncidentNo>>,
    joined: BTreeMap<IncidentNo, Few<MemberKey>>,
    left: BTreeMap<IncidentNo, Few<MemberKey>>,
    /// Incidents of cases that this draft looked at: they may be over.
    looked_at: BTreeSet<IncidentNo>,
    /// The rows of the input don't bear on each other.
    stand_alone: bool,
}

impl<'c> Draft<'c> {
    pub fn new(core: &'c Core, now: Timestamp) -> Self {
        Draft {
            core,
            now,
            plan: Plan::default(),
            recalled: BTreeMap::new(),
            seen_in: BTreeMap::new(),
            touched: BTreeSet::new(),
            derived: Vec::new(),
            freed: BTreeMap::new(),
            next_incident: core.next_incident,
            groups: BTreeMap::new(),
            joined: BTreeMap::new(),
            left: BTreeMap::new(),
            looked_at: BTreeSet::new(),
            stand_alone: false,
        }
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    pub fn case(&self, key: &EpisodeKey) -> Option<&Case> {
        match self.plan.cases.get(key) {
            Some(changed) => changed.as_deref(),
            None => self.core.cases.get(key).map(|case| &**case),
        }
    }

    /// The case to change: laid over the core's own at the first touch.
    pub(super) fn case_mut(&mut self, key: &EpisodeKey) -> Option<&mut Case> {
        let core = self.core;
        let held = || core.cases.get(key).cloned();
        self.plan.cases.entry(key.clone()).or_insert_with(held).as_deref_mut()
    }

    pub(super) fn home(&self, source: &Name, id: &ReportId) -> Option<Home> {
        self.home_over(self.core.homes.get(source, id), source, id)
    }

    /// The same beside the one that the core is known to hold.
    fn home_over(&self, held: Option<&Home>, source: &Name, id: &ReportId) -> Option<Home> {
        match self.plan.homes.get(source, id) {
            Some(changed) => changed.clone(),
            None => held.cloned(),
        }
    }

    /// Takes in the rows of one read.
    pub fn see(&mut self, rows: &Rows) {
        self.recall(&rows.recalled);
        self.see_rejects(rows);
        let doubted = self.core.doubted(rows, self.now);
        let gone = doubted.as_ref().map(|(gone, _)| gone);
        self.stand_alone = self.stand_alone(rows);
        let mut homes = self.core.homes.finder(&rows.source);
        for (seen, said) in rows.rows.iter().zip(self.core.lines.said(rows)) {
            if gone.is_none_or(|gone| !gone.contains(&seen.id)) {
                let home = if said.is_none() { homes.get(&seen.id) } else { None };
                self.see_one(&rows.source, seen, said, home, rows.read_began);
            }
        }
        if let Some((_, alarm)) = doubted.filter(|_| self.core.watch.doubted_since(&rows.source).is_none()) {
            self.plan.alarms.insert(alarm);
            self.plan.doubts.push((rows.source.clone(), Some(self.now)));
        }
        self.judge_closures(&rows.source, rows.read_began);
        self.refresh_touched();
    }

    /// What the store remembers of cases that this input may continue.
    pub fn recall(&mut self, cases: &[Case]) {
        for case in cases {
            for report in case.reports.keys() {
                self.seen_in.entry(report.clone()).or_default().push(case.key.clone());
            }
            let latest = self.recalled.entry(case.key.case.clone()).or_insert_with(|| case.clone());
            if latest.key < case.key {
                *latest = case.clone();
            }
        }
    }

    /// Judges a case anew from its reports as last read: those that belong elsewhere now, move.
    pub fn reassess(&mut self, key: &EpisodeKey) {
        self.touched.insert(key.clone());
        let Some(case) = self.case(key) else { return };
        let (latched, own) = (case.is_latched(), case.key.case.clone());
        let live = case.reports.iter().filter(|(_, report)| !report.is_superseded());
        let reports: Vec<(ReportKey, Report)> = live.map(|(key, report)| (key.clone(), report.clone())).collect();
        for (key_of_report, known) in reports {
            let row = known.row.clone();
            let assessment = self.core.policy.assess(&row);
            if !latched && case_key(&key_of_report, &row, &assessment) != own {
                let read_began = known.read_began;
                self.move_out(key, &key_of_report);
                self.place(key_of_report, &row, Some(known), read_began);
            }
        }
    }

    fn see_one(
        &mut self,
        source: &Name,
        observation: &Observation,
        said: Option<(Slot, Said)>,
        held: Option<&Home>,
        read_began: Timestamp,
    ) {
        let home = match said.filter(|(slot, _)| self.is_line(*slot)) {
            Some((_, Said::Older)) => return,
            Some((slot, Said::Nothing)) => {
                self.plan.lines.seen.push((slot, read_began));
                return;
            }
            Some((slot, Said::Something))
                if self.stand_alone && self.change_line(slot, observation.row.as_ref(), read_began) =>
            {
                return;
            }
            Some((slot, Said::Something)) => self.make_whole(slot),
            None if self.stand_alone => {
                debug_assert_eq!(held, self.home(source, &observation.id).as_ref(), "no row before has moved this one");
                held.cloned()
            }
            None => self.home_over(held, source, &observation.id),
        };
        if home.is_none() {
            self.find_expected(source, observation, read_began);
        }
        match (home, &observation.row) {
            (None, None) => {}
            (None, Some(row)) => {
                let id = &observation.id;
                if !(self.stand_alone && self.begin_alone((source, id), row, read_began)) {
                    let report = ReportKey { source: source.clone(), id: id.clone(), incarnation: 0 };
                    self.place(report, row, None, read_began);
                }
            }
            (Some(home), row) => {
                let id = observation.id.clone();
                let report = ReportKey { source: source.clone(), id, incarnation: home.incarnation };
                self.see_known(&home.episode, report, row.as_ref(), read_began);
            }
        }
    }

    fn see_known(&mut self, episode: &EpisodeKey, report: ReportKey, row: Option<&Row>, read_began: Timestamp) {
        let (blind_after, read) = (self.blind_after(&report.source), self.read(read_began));
        let Some(case) = self.case(episode) else { return };
        let Some(known) = case.reports.get(&report).filter(|known| known.read_began <= read_began) else { return };
        if row.is_some_and(|row| is_another_report(known, row, self.now)) {
            let next = ReportKey { incarnation: report.incarnation + 1, ..report.clone() };
            if let Some(case) = self.case_mut(episode) {
                case.supersede(&report, read_began);
                self.touched.insert(episode.clone());
            }
            if let Some(row) = row {
                self.place(next, row, None, read_began);
            }
            return;
        }
        if is_unchanged(case, known, row, read_began) && !self.touched.contains(episode) {
            self.plan.seen.push((episode.clone(), report, read_began));
            return;
        }
        let (mut is_p0, mut stays_p0) = (false, true);
        if let Some(row) = row {
            let assessment = self.core.policy.assess(row);
            is_p0 = assessment.priority == Priority::P0;
            let latched = case.is_latched() && !known.is_released();
            stays_p0 = latched || is_p0;
            let belongs = latched || case_key(&report, row, &assessment) == case.key.case;
            let renamed = row.category != known.row.category;
            let moves = (!belongs).then(|| known.clone());
            self.plan.alarms.extend(assessment.undecided.map(|when| undecided_alarm(&report.source, when)));
            let unnamed = || !self.core.policy.categories.contains_key(&row.category);
            if renamed && assessment.standing == Standing::Presumed && unnamed() {
                let (source, category) = (report.source.clone(), row.category.clone());
                self.plan.alarms.insert(Alarm::PresumedCategory { source, category });
            }
            if let Some(known) = moves {
                self.move_out(episode, &report);
                self.place(report, row, Some(known), read_began);
                return;
            }
        }
        if let Some(case) = self.case_mut(episode) {
            case.see(&report, row.cloned(), read, blind_after);
            if is_p0 {
                case.note_closure_of_p0(&report);
            } else if !stays_p0 {
                // The read that brought a closure may say as well that the case is no P0: nobody judges that.
                case.closed_by.clear();
            }
            self.touched.insert(episode.clone());
        }
    }

    fn move_out(&mut self, episode: &EpisodeKey, report: &ReportKey) {
        self.touched.insert(episode.clone());
        if let Some(case) = self.case_mut(episode) {
            case.reports.remove(report);
        }
    }

    /// Finds a case for a report that has none, or makes one. `known` is the report as the case that it
    /// leaves knew it.
    pub(super) fn place(&mut self, report: ReportKey, row: &Row, known: Option<Report>, read_began: Timestamp) {
        let policy = self.core.policy.clone();
        let report = self.incarnation_of(report, row, read_began);
        let (blind_after, read) = (self.blind_after(&report.source), self.read(read_began));
        let assessment = policy.assess(row);
        let case_key = case_key(&report, row, &assessment);
        let is_p0 = assessment.priority == Priority::P0;
        let unseen = is_p0 && known.is_none();
        let past = unseen.then(|| self.past(&case_key, &report, row, &assessment, read_began)).flatten();
        if let Some(Past::Settled) = past {
            return;
        }
        self.alarm((&report.source, &report.id, report.incarnation), row, &assessment);
        if known.is_none() {
            self.count_arrival(&report.source, row);
        }
        let episode = match past {
            Some(Past::OfItsOwn { ended }) => self.episode_of_its_own(case_key, row, &assessment, ended),
            _ => self.episode_for(case_key, &report, row, &assessment),
        };
        let place = (report.source.clone(), report.id.clone());
        let home = Home { incarnation: report.incarnation, episode: episode.clone() };
        self.plan.homes.insert(place, Some(home));
        if self.case(&episode).is_none() {
            let fresh = Case::new(episode.clone(), &assessment, row.category.clone());
            self.plan.cases.insert(episode.clone(), Some(Box::new(fresh)));
        }
        if let Some(case) = self.case_mut(&episode) {
            if let Some(known) = known {
                case.reports.insert(report.clone(), known.moved(row.clone(), read_began));
            }
            case.see(&report, Some(row.clone()), read, blind_after);
            if is_p0 {
                case.note_closure_of_p0(&report);
            }
        }
        self.touched.insert(episode);
    }

    /// A read that began then, and is taken in now.
    pub(super) fn read(&self, began: Timestamp) -> Read {
        Read { began, taken_in: self.now }
    }

    fn blind_after(&self, source: &Name) -> Option<Span> {
        self.core.policy.sources.get(source).and_then(|source| source.blind_after)
    }

    /// The episode that a new report joins: the one in memory, else the one that the store remembers;
    /// a new one when that had ended. The same row seen again continues its own, ended or not.
    fn episode_for(&mut self, case: CaseKey, report: &ReportKey, row: &Row, assessment: &Assessment<'_>) -> EpisodeKey {
        let recalled = self.recalled.remove(&case);
        let known = self.latest_episode(&case);
        let held = known.as_ref().and_then(|key| self.case(key)).or(recalled.as_ref());
        let Some(latest) = held else { return EpisodeKey { case, episode: 0 } };
        if latest.reports.is_empty() {
            // All its reports left it: what comes now begins it anew, after the incident that it had.
            let (key, incident) = (latest.key.clone(), latest.incident);
            if known.is_none() {
                let anew = Case::new(key.clone(), assessment, row.category.clone());
                self.plan.cases.insert(key.clone(), Some(Box::new(Case { incident, ..anew })));
            }
            return key;
        }
        let known_and_closed = latest.reports.contains_key(report) && row.event(EventName::Closed).is_some();
        let p0 = latest.is_p0() || assessment.priority == Priority::P0;
        if latest.ended.is_some() && p0 && !known_and_closed {
            let episode = self.next_number(&case).max(recalled.map_or(0, |recalled| recalled.key.episode + 1));
            return EpisodeKey { case, episode };
        }
        let key = latest.key.clone();
        if let (None, Some(recalled)) = (known, recalled) {
            for report in recalled.reports.keys() {
                if self.home(&report.source, &report.id).is_none() {
                    let home = Home { incarnation: report.incarnation, episode: key.clone() };
                    self.plan.homes.insert((report.source.clone(), report.id.clone()), Some(home));
                }
            }
            self.plan.cases.insert(key.clone(), Some(Box::new(recalled)));
        }
        key
    }

    fn alarm(&mut self, (source, id, incarnation): (&Name, &ReportId, u32), row: &Row, assessment: &Assessment<'_>) {
        self.plan.alarms.extend(assessment.undecided.map(|when| undecided_alarm(source, when)));
        if assessment.standing == Standing::Presumed && !self.core.policy.categories.contains_key(&row.category) {
            let (source, category) = (source.clone(), row.category.clone());
            self.plan.alarms.insert(Alarm::PresumedCategory { source, category });
        }
        let report = || ReportKey { source: source.clone(), id: id.clone(), incarnation };
        match row.received.stated(self.now) {
            Some(at) if row.events.iter().any(|event| event.at < at) => {
                self.plan.alarms.insert(Alarm::Skew { report: report() });
            }
            Some(_) => {}
            None => {
                self.plan.alarms.insert(Alarm::AnchoredAtFirstSight { report: report() });
            }
        }
    }
}

/// The incidents that an overdue case stands in, with its place in each, which its earliest deadline there
/// gives it. More than one where an obligation tells others than the rule does.
pub fn members_of(case: &Case) -> Vec<(IncidentNo, MemberKey)> {
    let mut members: Vec<(IncidentNo, MemberKey)> = Vec::new();
    for breach in case.clocks.iter().filter(|clock| clock.is_overdue()).filter_map(Clock::breach) {
        let Some(no) = breach.incident else { continue };
        match members.iter_mut().find(|(held, _)| *held == no) {
            Some((_, (_, deadline, _))) => *deadline = breach.deadline.min(*deadline),
            None => members.push((no, (case.priority, breach.deadline, case.key.clone()))),
        }
    }
    members
}

fn undecided_alarm(source: &Name, when: &Predicate) -> Alarm {
    Alarm::Undecided { source: source.clone(), predicate: when.text().clone() }
}

/// P0 reports about one item are one case; everything else is its own.
fn case_key(report: &ReportKey, row: &Row, assessment: &Assessment<'_>) -> CaseKey {
    match row.subject {
        Some(subject) if assessment.priority == Priority::P0 => {
            CaseKey::Subject { source: report.source.clone(), subject }
        }
        _ => CaseKey::Report(report.clone()),
    }
}

/// Whether a read says nothing new of a report: the same row, or still none, while no clock waits for proof
/// and no pause is to be credited.
fn is_unchanged(case: &Case, known: &Report, row: Option<&Row>, read_began: Timestamp) -> bool {
    let same = match row {
        Some(row) => *row == known.row && known.gone.is_none(),
        None => known.gone.is_some(),
    };
    let awaits_proof = || {
        case.clocks.iter().any(|clock| {
            let open = clock.is_open().then(|| clock.unmet_deadline()).flatten();
            open.is_some_and(|deadline| deadline < read_began)
        })
    };
    same && (case.is_p0() || !known.is_paused()) && !awaits_proof()
}

/// A platform that gives an id a second time: the row's own `received` has changed, to after the last
/// time the earlier report was seen.
fn is_another_report(known: &Report, row: &Row, now: Timestamp) -> bool {
    known.row.received != row.received && row.received.stated(now).is_some_and(|at| at > known.read_began)
}
