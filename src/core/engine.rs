//! The core as a whole: `decide` turns an input into a plan without changing anything, `apply` takes a
//! committed plan in. Deadlines wait in an ordered index, so a decision touches only what changed and
//! what is due.

pub(super) mod closures;

use super::act::{Audited, Effect};
use super::arrivals::Arrivals;
use super::by_report::ByReport;
use super::case::Case;
use super::draft::{Closer, Draft};
use super::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportId, ReportKey};
use super::incident::{Incident, IncidentKind};
use super::lines::{Lines, Slot};
use super::members::Members;
use super::pace::Pace;
use super::plan::{Alarm, BATCH, Home, Input, Plan, Rows};
use super::policy::{Policy, Priority};
use super::quiet::Quiet;
use super::rank::Rank;
use super::rejected::Rejected;
use super::reload::Stale;
use super::segments::{Remembered, Segmenting};
use super::sight::Sight;
use super::time::Timestamp;
use super::trouble::TroubleKind;
use super::view::{Counts, Group};
use super::watch::{GONE_MANY, Watch};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

pub struct Core {
    pub(super) policy: Arc<Policy>,
    /// Boxed, because a node of the map holds room for several that aren't there.
    pub(super) cases: BTreeMap<EpisodeKey, Box<Case>>,
    /// Cases of which no more than a line is held.
    pub(super) lines: Lines,
    /// Where each report of a whole case lives.
    pub(super) homes: ByReport<Home>,
    /// Boxed as cases are.
    pub(super) incidents: BTreeMap<IncidentNo, Box<Incident>>,
    /// Open groups by (escalation, category).
    pub(super) groups: BTreeMap<(Name, Name), IncidentNo>,
    /// Overdue cases of each open incident.
    pub(super) members: Members,
    pub(super) next_incident: u64,
    pub(super) queue: BTreeSet<Rank>,
    /// When each case wakes: P0 apart, so that a pass takes all of it first.
    pub(super) due: [BTreeSet<(Timestamp, EpisodeKey)>; 2],
    pub(super) rings: BTreeSet<(Timestamp, IncidentNo)>,
    /// F20: closures of P0 cases in memory, by account.
    pub(super) closers: BTreeMap<Closer, BTreeSet<(Timestamp, EpisodeKey)>>,
    /// Cases of each bulk that wait for a review.
    pub(super) waiting: BTreeMap<IncidentNo, BTreeSet<EpisodeKey>>,
    pub(super) open_warnings: BTreeSet<IncidentNo>,
    /// Operators' incidents, open or over.
    pub(super) troubles: BTreeMap<(TroubleKind, Name), IncidentNo>,
    pub(super) quiets: BTreeMap<i64, Quiet>,
    pub(super) caught_up: BTreeSet<Name>,
    pub(super) watch: Watch,
    pub(super) sights: BTreeMap<Name, Sight>,
    pub(super) arrivals: Arrivals,
    pub(super) rejected: BTreeMap<Name, Rejected>,
    pub(super) stale: Stale,
    /// Lines that a change of policy has left to be judged anew.
    pub(super) stale_lines: Range<Slot>,
    pub(super) segments: BTreeMap<Name, Segmenting>,
    /// Reports that were open before the start, until they are read.
    pub(super) expected: ByReport<Remembered>,
    pub(super) tally: Tally,
    /// The highest rounds that rang in an emergency of which the store was never told, by the incidents' names.
    pub(super) rang: BTreeMap<Name, u32>,
}

/// Counters since the start, for the view.
#[derive(Default)]
pub(super) struct Tally {
    /// Of whole cases.
    pub(super) open: BTreeMap<Group, Counts>,
    pub(super) breaches: BTreeMap<(Group, Name), u64>,
    pub(super) rejects: BTreeMap<(Name, &'static str), u64>,
    pub(super) presumed: BTreeSet<(Name, Name)>,
    pub(super) pace: Pace,
}

impl Core {
    /// A core that knows nothing but its policy.
    pub fn new(policy: Arc<Policy>) -> Self {
        Core {
            policy,
            cases: BTreeMap::new(),
            lines: Lines::default(),
            homes: ByReport::default(),
            incidents: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: Members::default(),
            next_incident: 1,
            queue: BTreeSet::new(),
            due: [BTreeSet::new(), BTreeSet::new()],
            rings: BTreeSet::new(),
            closers: BTreeMap::new(),
            waiting: BTreeMap::new(),
            open_warnings: BTreeSet::new(),
            troubles: BTreeMap::new(),
            quiets: BTreeMap::new(),
            caught_up: BTreeSet::new(),
            watch: Watch::default(),
            sights: BTreeMap::new(),
            arrivals: Arrivals::default(),
            rejected: BTreeMap::new(),
            stale: Stale::default(),
            stale_lines: 0..0,
            segments: BTreeMap::new(),
            expected: ByReport::default(),
            tally: Tally::default(),
            rang: BTreeMap::new(),
        }
    }

    /// When time alone changes something: the next deadline, overdue proof or ring.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let due = self.due.iter().filter_map(|due| due.first()).map(|(at, _)| *at);
        due.chain(self.lines.wakes_at()).chain(self.rings.first().map(|(at, _)| *at)).min()
    }

    /// Cases that the core would have to be told of before it takes in these rows: reports that it
    /// doesn't hold, or holds below P0 only, may continue something that only the store remembers.
    pub fn strangers(&self, rows: &Rows) -> Vec<CaseKey> {
        let (mut subjects, mut reports) = (Vec::new(), Vec::with_capacity(rows.rows.len()));
        let mut homes = self.homes.finder(&rows.source);
        for (observation, line) in rows.rows.iter().zip(self.lines.slots(rows)) {
            let Some(row) = &observation.row else { continue };
            let home = if line.is_some() { None } else { homes.get(&observation.id) };
            if home.and_then(|home| self.cases.get(&home.episode)).is_some_and(|case| case.is_p0()) {
                continue;
            }
            if let Some(subject) = row.subject.filter(|_| self.policy.assess(row).priority == Priority::P0) {
                subjects.push(CaseKey::Subject { source: rows.source.clone(), subject });
            }
            if home.is_none() && line.is_none() {
                let id = observation.id.clone();
                reports.push(CaseKey::Report(ReportKey { source: rows.source.clone(), id, incarnation: 0 }));
            }
        }
        // Apart, because the reports are in order already where the rows are. Subjects come before them.
        subjects.sort_unstable();
        reports.sort_unstable();
        let mut keys = subjects;
        keys.append(&mut reports);
        keys.dedup();
        keys
    }

    pub(super) fn is_caught_up(&self, source: &Name) -> bool {
        self.caught_up.contains(source)
    }

    /// What this input means at `now`. Changes nothing.
    pub fn decide(&self, input: &Input, now: Timestamp) -> Decision {
        self.decide_of(input, now, false)
    }

    /// `is_urgent`: time moves P0 alone.
    pub(super) fn decide_of(&self, input: &Input, now: Timestamp, is_urgent: bool) -> Decision {
        let mut draft = Draft::new(self, now);
        match input {
            Input::Rows(rows) => draft.see(rows),
            Input::ScanEnded { source, began } => self.end_scan(&mut draft, source, *began),
            Input::Reassess { recalled } => {
                draft.recall(recalled);
                self.reassess(&mut draft);
            }
            Input::Trouble { kind, subject, holds: true } => self.trouble(&mut draft, (*kind, subject), None, now),
            Input::Trouble { kind, subject, holds: false } => self.trouble_over(&mut draft, *kind, subject, now),
            Input::Tick if is_urgent => self.urgent_cases(now).iter().for_each(|key| draft.refresh(key)),
            Input::Tick => {
                let due = self.due_cases(now);
                for key in &due {
                    draft.refresh(key);
                }
                draft.ask_lines(self.lines.due(now).take(BATCH - due.len()));
            }
            Input::Sight { source, measured } => self.look(&mut draft, source, measured, now),
            Input::Recalled(recalled) => self.recall(&mut draft, recalled),
            Input::Act(act) => {
                let effect = match self.take_up(&mut draft, act, now) {
                    Ok(effect) => effect,
                    Err(refusal) => {
                        draft.plan.refused = Some(refusal);
                        Effect::Refused
                    }
                };
                draft.plan.taken_up = Some(act.inbox);
                draft.plan.audited = Audited::new(act, effect, now);
            }
        }
        self.tell_troubles(&mut draft, now);
        self.tell_warnings(&mut draft, now);
        self.wake_incidents(&mut draft, now, is_urgent);
        self.ring_and_resolve(&mut draft, now);
        self.settle_warnings(&mut draft, now);
        let next_incident = draft.next_incident;
        Decision { plan: draft.plan, next_incident }
    }

    /// At most `BATCH` cases that are due, all of P0 before anything else.
    fn due_cases(&self, now: Timestamp) -> Vec<EpisodeKey> {
        let due = self.due.iter().flat_map(|due| due.iter().take_while(|(at, _)| *at <= now));
        due.take(BATCH).map(|(_, key)| key.clone()).collect()
    }

    /// Reports that a complete scan of the open rows didn't see must be read by key: closed, or gone.
    fn end_scan(&self, draft: &mut Draft<'_>, source: &Name, began: Timestamp) {
        let of_source = self.cases.values().filter(|case| case.key.case.source() == source);
        let unseen =
            of_source.flat_map(|case| case.reports.iter().map(move |(key, report)| (case.priority, key, report)));
        let unseen = unseen.filter(|(_, _, report)| report.read_began < began);
        let unseen = unseen.map(|(priority, key, _)| (priority, key.clone()));
        let mut unseen: Vec<_> = unseen.chain(self.lines.unseen(source, began)).collect();
        unseen.sort_unstable();
        if unseen.len() < GONE_MANY && self.watch.doubted_since(source).is_some() {
            draft.plan.doubts.push((source.clone(), None));
        }
        draft.plan.asks.extend(unseen.into_iter().map(|(_, key)| key));
        draft.plan.caught_up = Some(source.clone());
        self.look_for_presumed(draft, source, draft.now());
        draft.plan.scan_began = Some(began);
    }

    /// Whether a case is open in a category of this source that no list names.
    pub(super) fn has_unnamed(&self, source: &Name) -> bool {
        let unnamed = |group: &Group| {
            let named = self.policy.categories.contains_key(&group.category);
            group.source == *source && group.priority == Priority::P0 && !named
        };
        self.tally.open.iter().any(|(group, counts)| counts.open > 0 && unnamed(group))
    }

    /// Takes in a plan that the store has.
    pub fn apply(&mut self, decision: Decision) {
        let Decision { mut plan, next_incident } = decision;
        self.next_incident = next_incident;
        let most_urgent = |no| self.members.of(no, &self.lines).next();
        self.tally.pace.hear(&plan, &self.cases, &self.lines, &self.incidents, most_urgent, &self.caught_up);
        for (source, reject) in &plan.rejects {
            *self.tally.rejects.entry((source.clone(), reject.flaw.as_str())).or_default() += 1;
        }
        self.count_incurred(&plan);
        for alarm in &plan.alarms {
            if let Alarm::PresumedCategory { source, category } = alarm {
                self.tally.presumed.insert((source.clone(), category.clone()));
            }
        }
        if let Some(rejections) = plan.rejections {
            self.rejected.entry(rejections.source.clone()).or_default().apply(rejections);
        }
        for (place, home) in plan.homes.into_each() {
            match home {
                Some(home) => {
                    if self.homes.insert(place.clone(), home).is_none() {
                        self.note_added(&place.0, &place.1, |lines| lines.slot(&place.0, &place.1).is_none());
                    }
                }
                None => {
                    self.homes.remove(&place.0, &place.1);
                    self.forget_rejects(&place);
                }
            }
        }
        for incident in plan.incidents.into_values() {
            self.put_incident(incident);
        }
        for (key, case) in plan.cases {
            self.put_case(key, case);
        }
        for slot in self.lines.put_all(std::mem::take(&mut plan.lines.begun)) {
            self.note_line(slot);
        }
        for (slot, line) in std::mem::take(&mut plan.lines.changed) {
            self.members.remove_line(slot, &self.lines);
            self.lines.change(slot, line);
            self.members.add_line(slot, &self.lines);
        }
        for (episode, report, read_began) in plan.seen {
            let report = self.cases.get_mut(&episode).and_then(|case| case.reports.get_mut(&report));
            if let Some(report) = report {
                report.read_began = report.read_began.max(read_began);
            }
        }
        if let Some(until) = plan.lines.judged_until {
            self.stale_lines.start = until.min(self.stale_lines.end);
        }
        self.lines.apply(plan.lines);
        if let (Some(source), Some(began)) = (&plan.caught_up, plan.scan_began) {
            self.end_rejects(source, began);
        }
        if plan.caught_up.is_some() {
            self.lines.settle();
        }
        self.caught_up.extend(plan.caught_up);
        for (source, since) in plan.doubts {
            self.watch.doubt(source, since);
        }
        self.put_expected(plan.expected, &plan.found);
        if let Some(segmented) = plan.segmented {
            self.put_segmented(segmented);
        }
        for (no, quiet) in plan.quiets {
            match quiet {
                Some(quiet) => self.quiets.insert(no, quiet),
                None => self.quiets.remove(&no),
            };
        }
        for seen in plan.counted {
            self.arrivals.add(seen);
        }
        if let Some(looked) = plan.looked {
            self.arrivals.told(&plan.arrived, &plan.watched, looked.at);
            self.put_sight(looked);
        }
    }

    /// Counts by reference first: of a backlog thousands of breaches are of a few groups.
    fn count_incurred(&mut self, plan: &Plan) {
        let mut counts: BTreeMap<_, u64> = BTreeMap::new();
        for breach in plan.incurred.iter().filter_map(|place| plan.breaches.get(*place)) {
            let group = (breach.episode.case.source(), &breach.category, breach.priority);
            *counts.entry((group, &breach.target)).or_default() += 1;
        }
        for (((source, category, priority), target), count) in counts {
            let group = Group { source: source.clone(), category: category.clone(), priority };
            *self.tally.breaches.entry((group, target.clone())).or_default() += count;
        }
    }

    pub(super) fn put_incident(&mut self, incident: Incident) {
        if let Some(at) = self.incident(incident.no).and_then(Incident::wakes_at) {
            self.rings.remove(&(at, incident.no));
        }
        if let Some(at) = incident.wakes_at() {
            self.rings.insert((at, incident.no));
        }
        if let IncidentKind::Group { category } = &incident.kind {
            let place = (incident.escalation.clone(), category.clone());
            if incident.is_open() {
                self.groups.insert(place, incident.no);
            } else if self.groups.get(&place) == Some(&incident.no) {
                self.groups.remove(&place);
            }
        }
        if incident.is_open() && matches!(incident.kind, IncidentKind::Warning(_)) {
            self.open_warnings.insert(incident.no);
        } else {
            self.open_warnings.remove(&incident.no);
        }
        if let IncidentKind::Trouble(trouble) = &incident.kind {
            self.troubles.insert((trouble.kind, trouble.subject.clone()), incident.no);
        }
        // An operators' incident that is over opens again, so that one cause can't ring without end.
        let stays = matches!(incident.kind, IncidentKind::Episode(_) | IncidentKind::Trouble(_));
        let of_memory = incident.is_open() || stays;
        if of_memory {
            self.incidents.insert(incident.no, Box::new(incident));
        } else {
            self.incidents.remove(&incident.no);
        }
    }

    /// Replaces a case and its places in every index.
    pub(super) fn put_case(&mut self, key: EpisodeKey, case: Option<Box<Case>>) {
        match self.lines.slot_of(&key) {
            Some(slot) => self.remove_line(slot),
            None => self.take_out(&key, case.is_none()),
        }
        let Some(case) = case else { return };
        let case = match self.lines.take(case) {
            Ok(slot) => {
                self.members.add_line(slot, &self.lines);
                if let Some(report) = self.lines.report_key(slot) {
                    self.homes.remove(&report.source, &report.id);
                }
                return;
            }
            Err(case) => case,
        };
        self.count(&case, 1);
        if case.ended.is_none() || case.is_overdue() {
            self.queue.insert(case.rank());
        }
        if let Some(at) = case.wakes_at() {
            self.due[usize::from(!case.is_p0())].insert((at, key.clone()));
        }
        self.members.add(&case);
        self.watch.add(&case);
        self.index_closures(&case, true);
        self.cases.insert(key, case);
    }

    /// Takes a whole case out of every index.
    fn take_out(&mut self, key: &EpisodeKey, goes: bool) {
        let Some(held) = self.cases.remove(key) else { return };
        self.watch.remove(key);
        for stale in &mut self.stale {
            stale.remove(key);
        }
        self.queue.remove(&held.rank());
        if let Some(at) = held.wakes_at() {
            self.due[usize::from(!held.is_p0())].remove(&(at, key.clone()));
        }
        self.members.remove(&held);
        self.index_closures(&held, false);
        self.count(&held, -1);
        // A settled episode takes its resolved incident out of memory with it.
        let over = held.incident.filter(|no| self.incident(*no).is_some_and(|incident| !incident.is_open()));
        if let Some(no) = over.filter(|_| goes) {
            self.incidents.remove(&no);
        }
    }

    /// Takes in a case that has begun as a line.
    fn note_line(&mut self, slot: Slot) {
        self.members.add_line(slot, &self.lines);
        self.note_added_line(slot);
    }

    fn remove_line(&mut self, slot: Slot) {
        self.members.remove_line(slot, &self.lines);
        self.lines.remove(slot);
    }

    /// Whole cases that are open; lines are counted by where they stand.
    fn count(&mut self, case: &Case, by: i64) {
        if case.ended.is_some() && !case.is_overdue() {
            return;
        }
        let group = Group::of(case);
        self.tally.pace.count(&group, case.received(), case.next_deadline(), by);
        let counts = self.tally.open.entry(group).or_default();
        counts.open = counts.open.saturating_add_signed(by);
        if case.is_overdue() {
            counts.overdue = counts.overdue.saturating_add_signed(by);
        }
    }

    /// Open cases by group, each in parts.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Group, Counts)> {
        self.tally.open.iter().map(|(group, counts)| (group.clone(), *counts)).chain(self.lines.counts())
    }

    /// Whether a report of this id is under watch.
    pub fn holds(&self, source: &Name, id: &ReportId) -> bool {
        self.homes.get(source, id).is_some() || self.lines.slot(source, id).is_some()
    }

    /// The priority of the case that holds a report; the strictest when none does.
    pub fn priority_of(&self, report: &ReportKey) -> Priority {
        let home = self.homes.get(&report.source, &report.id);
        let whole = home.and_then(|home| self.cases.get(&home.episode)).map(|case| case.priority);
        let lines = || self.lines.priority(self.lines.slot(&report.source, &report.id)?);
        whole.or_else(lines).unwrap_or(Priority::P0)
    }
}

/// A plan and what the core needs to take it in.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    pub plan: Plan,
    pub next_incident: u64,
}
