//! The core as a whole: `decide` turns an input into a plan without changing anything, `apply` takes a
//! committed plan in. Deadlines wait in an ordered index, so a decision touches only what changed and
//! what is due.

use super::act::{Act, Deed};
use super::arrivals::{Arrivals, Arrived, Watched};
use super::case::Case;
use super::draft::{Draft, MemberKey, members_of};
use super::fallback::fallbacks;
use super::id::{CaseKey, EpisodeKey, IncidentNo, Name, ReportId, ReportKey};
use super::incident::{BUNDLE_ABOVE, CASES_PER_PAGE, Incident, IncidentKind, PARTS_PER_BUNDLE};
use super::lines::Lines;
use super::plan::{Alarm, BATCH, Home, Input, Page, PageCase, PageKind, Plan, Rows};
use super::policy::{Policy, Priority};
use super::rank::Rank;
use super::rejected::Rejected;
use super::selfcheck;
use super::sight::Sight;
use super::time::Timestamp;
use super::view::{Counts, Group, IncidentRow, NextDeadline, QueueRow, VIEW_ROWS, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub struct Core {
    pub(super) policy: Arc<Policy>,
    /// Boxed, because a node of the map holds room for several that aren't there.
    pub(super) cases: BTreeMap<EpisodeKey, Box<Case>>,
    /// Cases of which no more than a line is held.
    pub(super) lines: Lines,
    /// Where each report of a whole case lives.
    pub(super) homes: BTreeMap<(Name, ReportId), Home>,
    pub(super) incidents: BTreeMap<IncidentNo, Incident>,
    /// Open groups by (escalation, category).
    pub(super) groups: BTreeMap<(Name, Name), IncidentNo>,
    /// Overdue cases of each open incident.
    pub(super) members: BTreeMap<IncidentNo, BTreeSet<MemberKey>>,
    pub(super) next_incident: u64,
    queue: BTreeSet<Rank>,
    /// When each case wakes: P0 apart, so that a pass takes all of it first.
    due: [BTreeSet<(Timestamp, EpisodeKey)>; 2],
    rings: BTreeSet<(Timestamp, IncidentNo)>,
    pub(super) open_warnings: BTreeSet<IncidentNo>,
    caught_up: BTreeSet<Name>,
    pub(super) sights: BTreeMap<Name, Sight>,
    pub(super) arrivals: Arrivals,
    pub(super) rejected: BTreeMap<Name, Rejected>,
    tally: Tally,
}

/// A monitor that can't see may be missing a child's report.
const BLIND_PRIORITY: Priority = Priority::P1;

/// Counters since the start, for the view.
#[derive(Default)]
struct Tally {
    open: BTreeMap<Group, Counts>,
    breaches: BTreeMap<(Group, Name), u64>,
    rejects: BTreeMap<(Name, &'static str), u64>,
    presumed: BTreeSet<(Name, Name)>,
}

impl Core {
    /// A core that knows nothing but its policy.
    pub fn new(policy: Arc<Policy>) -> Self {
        Core {
            policy,
            cases: BTreeMap::new(),
            lines: Lines::default(),
            homes: BTreeMap::new(),
            incidents: BTreeMap::new(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            next_incident: 1,
            queue: BTreeSet::new(),
            due: [BTreeSet::new(), BTreeSet::new()],
            rings: BTreeSet::new(),
            open_warnings: BTreeSet::new(),
            caught_up: BTreeSet::new(),
            sights: BTreeMap::new(),
            arrivals: Arrivals::default(),
            rejected: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// A core as the store remembers it: starting, restarting and taking over are this.
    pub fn restore(policy: Arc<Policy>, cases: Vec<Case>, incidents: Vec<Incident>, next_incident: u64) -> Self {
        let mut core = Core::new(policy);
        core.next_incident = next_incident.max(1);
        for incident in incidents {
            core.restore_sight(&incident);
            core.put_incident(incident);
        }
        for case in cases {
            for report in case.reports.keys() {
                let home = Home { incarnation: report.incarnation, episode: case.key.clone() };
                let held = core.homes.entry((report.source.clone(), report.id.clone())).or_insert_with(|| home.clone());
                // An id's latest report is what the next row of that id is about.
                if held.incarnation < home.incarnation {
                    *held = home;
                }
            }
            core.put_case(case.key.clone(), Some(Case { stored: true, ..case }));
        }
        core
    }

    /// How many reports came in the weeks before, as the store remembers it.
    pub fn remember(&mut self, arrived: Vec<Arrived>, watched: Vec<Watched>) {
        self.arrivals.restore(arrived, watched);
    }

    /// When time alone changes something: the next deadline, overdue proof or ring.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let due = self.due.iter().filter_map(|due| due.first()).map(|(at, _)| *at);
        due.chain(self.lines.wakes_at()).chain(self.rings.first().map(|(at, _)| *at)).min()
    }

    /// Cases that the core would have to be told of before it takes in these rows: reports that it
    /// doesn't hold, or holds below P0 only, may continue something that only the store remembers.
    pub fn strangers(&self, rows: &Rows) -> Vec<CaseKey> {
        let mut keys = BTreeSet::new();
        for observation in &rows.rows {
            let Some(row) = &observation.row else { continue };
            let home = self.homes.get(&(rows.source.clone(), observation.id.clone()));
            if home.and_then(|home| self.cases.get(&home.episode)).is_some_and(|case| case.is_p0()) {
                continue;
            }
            if let (Some(subject), Priority::P0) = (row.subject, self.policy.assess(row).priority) {
                keys.insert(CaseKey::Subject { source: rows.source.clone(), subject });
            }
            if home.is_none() && self.lines.slot(&rows.source, &observation.id).is_none() {
                let id = observation.id.clone();
                keys.insert(CaseKey::Report(ReportKey { source: rows.source.clone(), id, incarnation: 0 }));
            }
        }
        keys.into_iter().collect()
    }

    pub(super) fn is_caught_up(&self, source: &Name) -> bool {
        self.caught_up.contains(source)
    }

    /// What this input means at `now`. Changes nothing.
    pub fn decide(&self, input: &Input, now: Timestamp) -> Decision {
        let mut draft = Draft::new(self, now);
        match input {
            Input::Rows(rows) => draft.see(rows),
            Input::ScanEnded { source, began } => self.end_scan(&mut draft, source, *began),
            Input::Tick => {
                let due = self.due_cases(now);
                for key in &due {
                    draft.refresh(key);
                }
                draft.ask_lines(self.lines.due(now).take(BATCH - due.len()));
            }
            Input::Sight { source, measured } => self.look(&mut draft, source, measured, now),
            Input::Act(act) => {
                self.take_up(&mut draft, act, now);
                draft.plan.taken_up = Some(act.inbox);
            }
        }
        self.tell_warnings(&mut draft, now);
        self.wake_incidents(&mut draft, now);
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
        draft.plan.asks.extend(unseen.into_iter().map(|(_, key)| key));
        draft.plan.caught_up = Some(source.clone());
        draft.plan.scan_began = Some(began);
    }

    /// What time alone does to incidents: held rings, steps, repeats, and acknowledgements that nobody
    /// acted on. Lesser rings are held until the first look at a source is complete.
    fn wake_incidents(&self, draft: &mut Draft<'_>, now: Timestamp) {
        let looked = draft.plan.caught_up.is_some();
        let held = self.incidents.values().filter(|i| looked && i.rung_at.is_none() && i.ring_at.is_some());
        let held: Vec<IncidentNo> = held.map(|incident| incident.no).collect();
        for no in &held {
            if let Some(incident) = draft.incident_mut(*no) {
                incident.ring_at = Some(now);
            }
        }
        let due: Vec<IncidentNo> = self.rings.iter().take_while(|(at, _)| *at <= now).map(|(_, no)| *no).collect();
        for no in due {
            let Some(incident) = draft.incident(no) else { continue };
            if incident.over_at.is_some_and(|at| at <= now) {
                self.resolve(draft, no, now);
                continue;
            }
            let forgotten = incident.act_by.is_some_and(|at| at <= now);
            let acted = forgotten && draft.was_acted_on(no);
            let Some(incident) = draft.incident_mut(no) else { continue };
            incident.take_step(now);
            match (forgotten, acted) {
                (true, true) => incident.act_by = None,
                (true, false) => incident.forgotten(now),
                (false, _) => {}
            }
        }
    }

    fn take_up(&self, draft: &mut Draft<'_>, act: &Act, now: Timestamp) {
        match &act.deed {
            Deed::Acknowledge { incident } => self.acknowledge(draft, *incident, &act.by, now),
            Deed::FellBack { incident, round, channel, priority } => {
                fell_back(draft, *incident, (*round, channel.clone()), *priority, now);
            }
            Deed::TestPage { escalation } => selfcheck::test(&self.policy, draft, escalation, now),
            Deed::Audit { found } => {
                let mut open = self.incidents.values().filter(|incident| incident.is_open());
                let open = open.find(|incident| incident.found().is_some());
                if let Some(over) = selfcheck::audit(&self.policy, draft, open, *found, now) {
                    self.resolve(draft, over, now);
                }
            }
            Deed::Unknown => {}
        }
    }

    /// An acknowledgement of a bundle covers the incidents that it told of.
    fn acknowledge(&self, draft: &mut Draft<'_>, no: IncidentNo, by: &Name, now: Timestamp) {
        let members = match draft.incident(no).map(|incident| &incident.kind) {
            Some(IncidentKind::Bundle { members }) => members.clone(),
            _ => Vec::new(),
        };
        for no in members.into_iter().chain([no]) {
            let Some(incident) = draft.incident(no).filter(|incident| incident.is_open()) else { continue };
            let act_within = self.policy.escalations.get(&incident.escalation).and_then(|e| e.act_within);
            // The incidents of a bundle are asked about through the bundle.
            let act_within = act_within.filter(|_| incident.bundle.is_none() || incident.next_step.is_some());
            if let Some(incident) = draft.incident_mut(no) {
                incident.acknowledge(by.clone(), act_within, now);
            }
        }
    }

    /// Resolves what is over, rings what is due, P0 in bundles where there are many.
    fn ring_and_resolve(&self, draft: &mut Draft<'_>, now: Timestamp) {
        let mut p0 = Vec::new();
        for no in draft.incidents_to_settle() {
            let (count, first) = draft.members(no, CASES_PER_PAGE);
            let Some(incident) = draft.incident(no) else { continue };
            let rings = incident.ring_at.is_some_and(|at| at <= now);
            match &incident.kind {
                IncidentKind::Bundle { .. } if rings => self.ring_bundle(draft, no, now),
                IncidentKind::Blind(_) if rings => self.page(draft, no, BLIND_PRIORITY, (0, Vec::new()), None, now),
                IncidentKind::Warning(_) if rings => self.ring_warning(draft, no, now),
                IncidentKind::Audit { .. } | IncidentKind::Test { .. } if rings => {
                    let priority = selfcheck::priority_of(&self.policy, incident);
                    self.page(draft, no, priority, (0, Vec::new()), None, now);
                }
                IncidentKind::Test { until } if *until <= now => self.resolve(draft, no, now),
                IncidentKind::Bundle { .. }
                | IncidentKind::Blind(_)
                | IncidentKind::Warning(_)
                | IncidentKind::Audit { .. }
                | IncidentKind::Test { .. } => {}
                IncidentKind::Episode(_) if rings => p0.push(no),
                IncidentKind::Group { .. } if rings && count > 0 => self.ring_group(draft, no, count, &first, now),
                IncidentKind::Episode(_) | IncidentKind::Group { .. } if count == 0 => self.resolve(draft, no, now),
                IncidentKind::Episode(_) | IncidentKind::Group { .. } => {}
            }
        }
        self.ring_p0(draft, &p0, now);
        for no in p0 {
            if draft.members(no, 1).0 == 0 {
                self.resolve(draft, no, now);
            }
        }
    }

    fn ring_group(&self, draft: &mut Draft<'_>, no: IncidentNo, count: u64, first: &[MemberKey], now: Timestamp) {
        let priority = first.first().map_or(Priority::P4, |(priority, _, _)| *priority);
        let cases = first.iter().filter_map(|(_, _, key)| draft.page_case(no, key)).collect();
        self.page(draft, no, priority, (count, cases), None, now);
    }

    fn ring_p0(&self, draft: &mut Draft<'_>, ringing: &[IncidentNo], now: Timestamp) {
        if ringing.len() <= BUNDLE_ABOVE {
            for no in ringing {
                let cases = cases_of(draft, &[*no]);
                self.page(draft, *no, Priority::P0, (1, cases), None, now);
            }
            return;
        }
        let first = draft.incident(ringing[0]).map(|incident| incident.escalation.clone());
        let Some(escalation) = first else { return };
        let bundle = draft.open_incident(IncidentKind::Bundle { members: ringing.to_vec() }, escalation);
        let (mut step, mut earlier) = (0, BTreeSet::new());
        for no in ringing {
            if let Some(incident) = draft.incident_mut(*no) {
                step = step.max(incident.step);
                incident.ring(Priority::P0, None, now);
                earlier.extend(incident.bundle);
                incident.join_bundle(bundle);
            }
        }
        for bundle in earlier {
            if !tells_of_any(draft, bundle, |incident| incident.bundle == Some(bundle))
                && let Some(incident) = draft.incident_mut(bundle)
            {
                incident.hush();
            }
        }
        if let Some(incident) = draft.incident_mut(bundle) {
            incident.step = step;
        }
        self.ring_bundle(draft, bundle, now);
    }

    /// Tells of a bundle's open incidents: in numbered parts, or with the count and the most urgent.
    fn ring_bundle(&self, draft: &mut Draft<'_>, bundle: IncidentNo, now: Timestamp) {
        let Some(IncidentKind::Bundle { members }) = draft.incident(bundle).map(|b| b.kind.clone()) else { return };
        let open = |no: &IncidentNo| draft.incident(*no).is_some_and(|i| i.is_open() && i.bundle == Some(bundle));
        let open: Vec<IncidentNo> = members.into_iter().filter(open).collect();
        let mut cases = cases_of(draft, &open);
        if cases.is_empty()
            && let Some(incident) = draft.incident_mut(bundle)
        {
            incident.hush();
        }
        let count = cases.len() as u64;
        let parts = cases.len().div_ceil(CASES_PER_PAGE);
        if parts > PARTS_PER_BUNDLE {
            cases.truncate(CASES_PER_PAGE);
            self.page(draft, bundle, Priority::P0, (count, cases), None, now);
            return;
        }
        let total = u32::try_from(parts).unwrap_or(u32::MAX);
        for (part, listed) in (1..).zip(cases.chunks(CASES_PER_PAGE)) {
            let part = (total > 1).then_some((part, total));
            self.page(draft, bundle, Priority::P0, (count, listed.to_vec()), part, now);
        }
    }

    /// Opens a round of an incident: one page a channel of the step that it has reached.
    pub(super) fn page(
        &self,
        draft: &mut Draft<'_>,
        no: IncidentNo,
        priority: Priority,
        (count, cases): (u64, Vec<PageCase>),
        part: Option<(u32, u32)>,
        now: Timestamp,
    ) {
        let Some(incident) = draft.incident_mut(no) else { return };
        let escalation = self.policy.escalations.get(&incident.escalation);
        let round = incident.ring(priority, escalation.filter(|_| incident.is_taken()), now);
        let step = incident.step;
        let channels = incident.notified(escalation);
        let (blind, notice) = (incident.blind(), incident.notice());
        let (found, is_test) = (incident.found(), incident.is_test());
        if is_test {
            // Its first step rings, once.
            incident.next_step = None;
        }
        incident.rung.extend(channels.iter().map(|channel| (round, channel.clone())));
        let page = |channel: Name| Page {
            incident: no,
            round,
            step,
            fallbacks: escalation.map(|of| fallbacks(of, step, &channel)).unwrap_or_default(),
            channel,
            kind: PageKind::Ring,
            priority,
            created_at: now,
            part,
            blind: blind.clone(),
            notice: notice.clone(),
            found,
            is_test,
            count,
            cases: cases.clone(),
        };
        let surplus = incident.surplus_rounds();
        draft.plan.pages.extend(channels.into_iter().map(page));
        close_rounds(draft, no, surplus, now);
    }

    /// Ends an incident on evidence and closes every round that it opened; a bundle ends with its last
    /// member.
    pub(super) fn resolve(&self, draft: &mut Draft<'_>, no: IncidentNo, now: Timestamp) {
        let Some(incident) = draft.incident_mut(no) else { return };
        if !incident.is_open() {
            return;
        }
        let bundles: Vec<IncidentNo> = incident.told_by.drain(..).chain(incident.bundle.take()).collect();
        let closing = incident.resolve(now);
        close_rounds(draft, no, closing, now);
        for bundle in bundles {
            if !tells_of_any(draft, bundle, |i| i.bundle == Some(bundle) || i.told_by.contains(&bundle)) {
                self.resolve(draft, bundle, now);
            }
        }
    }

    /// Takes in a plan that the store has.
    pub fn apply(&mut self, decision: Decision) {
        let Decision { plan, next_incident } = decision;
        self.next_incident = next_incident;
        for (source, reject) in &plan.rejects {
            *self.tally.rejects.entry((source.clone(), reject.flaw.as_str())).or_default() += 1;
        }
        for (group, target) in &plan.incurred {
            *self.tally.breaches.entry((group.clone(), target.clone())).or_default() += 1;
        }
        for alarm in &plan.alarms {
            if let Alarm::PresumedCategory { source, category } = alarm {
                self.tally.presumed.insert((source.clone(), category.clone()));
            }
        }
        if let Some(rejections) = plan.rejections {
            self.rejected.entry(rejections.source.clone()).or_default().apply(rejections);
        }
        for (place, home) in plan.homes {
            match home {
                Some(home) => {
                    self.homes.insert(place, home);
                }
                None => {
                    if let Some(rejected) = self.rejected.get_mut(&place.0) {
                        rejected.forget(&place.1);
                    }
                    self.homes.remove(&place);
                }
            }
        }
        for incident in plan.incidents.into_values() {
            self.put_incident(incident);
        }
        for (key, case) in plan.cases {
            self.put_case(key, case);
        }
        for (episode, report, read_began) in plan.seen {
            let report = self.cases.get_mut(&episode).and_then(|case| case.reports.get_mut(&report));
            if let Some(report) = report {
                report.read_began = report.read_began.max(read_began);
            }
        }
        self.lines.apply(plan.lines);
        if let (Some(source), Some(began)) = (&plan.caught_up, plan.scan_began)
            && let Some(rejected) = self.rejected.get_mut(source)
        {
            rejected.end_scan(began);
        }
        self.caught_up.extend(plan.caught_up);
        for (place, seen) in plan.counted {
            self.arrivals.add(place, seen);
        }
        if let Some(looked) = plan.looked {
            self.arrivals.told(&plan.arrived, &plan.watched, looked.at);
            self.put_sight(looked);
        }
    }

    fn put_incident(&mut self, incident: Incident) {
        if let Some(at) = self.incidents.get(&incident.no).and_then(Incident::wakes_at) {
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
        let of_memory = incident.is_open() || matches!(incident.kind, IncidentKind::Episode(_));
        if of_memory {
            self.incidents.insert(incident.no, incident);
        } else {
            self.incidents.remove(&incident.no);
        }
    }

    /// Replaces a case and its places in every index.
    fn put_case(&mut self, key: EpisodeKey, case: Option<Case>) {
        if let Some(held) = self.cases.remove(&key) {
            self.queue.remove(&held.rank());
            if let Some(at) = held.wakes_at() {
                self.due[usize::from(!held.is_p0())].remove(&(at, key.clone()));
            }
            for (no, member) in members_of(&held) {
                let members = self.members.entry(no).or_default();
                members.remove(&member);
                if members.is_empty() {
                    self.members.remove(&no);
                }
            }
            self.count(&held, -1);
            // A settled episode takes its resolved incident out of memory with it.
            let over = held.incident.filter(|no| self.incidents.get(no).is_some_and(|incident| !incident.is_open()));
            if let (None, Some(no)) = (&case, over) {
                self.incidents.remove(&no);
            }
        }
        if let CaseKey::Report(report) = &key.case
            && let Some(slot) = self.lines.slot(&report.source, &report.id)
            && self.lines.key(slot).as_ref() == Some(&key)
        {
            let group = self.lines.group(slot);
            self.lines.remove(slot);
            self.tally_open(group, -1, false);
        }
        let Some(case) = case else { return };
        self.count(&case, 1);
        let case = match self.lines.take(case) {
            Ok(place) => {
                self.homes.remove(&place);
                return;
            }
            Err(case) => case,
        };
        if case.ended.is_none() || case.is_overdue() {
            self.queue.insert(case.rank());
        }
        if let Some(at) = case.wakes_at() {
            self.due[usize::from(!case.is_p0())].insert((at, key.clone()));
        }
        for (no, member) in members_of(&case) {
            self.members.entry(no).or_default().insert(member);
        }
        self.cases.insert(key, case);
    }

    fn count(&mut self, case: &Case, by: i64) {
        if case.ended.is_some() && !case.is_overdue() {
            return;
        }
        let source = case.key.case.source().clone();
        let group = Group { source, category: case.category.clone(), priority: case.priority };
        self.tally_open(Some(group), by, case.is_overdue());
    }

    fn tally_open(&mut self, group: Option<Group>, by: i64, overdue: bool) {
        let Some(group) = group else { return };
        let counts = self.tally.open.entry(group).or_default();
        counts.open = counts.open.saturating_add_signed(by);
        if overdue {
            counts.overdue = counts.overdue.saturating_add_signed(by);
        }
    }

    /// What the rest of the house may see.
    pub fn view(&self, now: Timestamp) -> View {
        let queue = self.head(VIEW_ROWS).map(|case| queue_row(&case));
        let open = self.incidents.values().rev().filter(|incident| incident.is_open() && incident.is_taken());
        View {
            as_of: Some(now),
            queue: queue.collect(),
            open: self.tally.open.clone(),
            incidents: open.take(VIEW_ROWS).map(|incident| self.incident_row(incident)).collect(),
            breaches_total: self.tally.breaches.clone(),
            rejects_total: self.tally.rejects.clone(),
            presumed_categories: self.tally.presumed.iter().cloned().collect(),
        }
    }

    fn incident_row(&self, incident: &Incident) -> IncidentRow {
        let members = self.members.get(&incident.no);
        let category = match &incident.kind {
            IncidentKind::Group { category } => category.clone(),
            IncidentKind::Episode(key) => self.cases.get(key).map_or_else(|| "".into(), |case| case.category.clone()),
            IncidentKind::Bundle { .. } => "several".into(),
            IncidentKind::Blind(_) => "monitor blind".into(),
            IncidentKind::Warning(_) => "warning".into(),
            IncidentKind::Audit { .. } => "monitor at fault".into(),
            IncidentKind::Test { .. } => "test".into(),
        };
        let count = match &incident.kind {
            IncidentKind::Bundle { members } => {
                members.iter().filter(|no| self.incidents.get(no).is_some_and(Incident::is_open)).count()
            }
            IncidentKind::Blind(_)
            | IncidentKind::Warning(_)
            | IncidentKind::Audit { .. }
            | IncidentKind::Test { .. } => 0,
            IncidentKind::Episode(_) | IncidentKind::Group { .. } => members.map_or(0, BTreeSet::len),
        };
        IncidentRow {
            incident: incident.clone(),
            priority: incident.rung_priority.unwrap_or(Priority::P4),
            category,
            count: count as u64,
        }
    }

    /// Open cases of a source.
    pub(super) fn open_cases(&self, source: &Name) -> u64 {
        let of_source = self.tally.open.iter().filter(|(group, _)| group.source == *source);
        of_source.map(|(_, counts)| counts.open).sum()
    }

    /// Whether a report of this id is under watch.
    pub fn holds(&self, source: &Name, id: &ReportId) -> bool {
        self.homes.contains_key(&(source.clone(), id.clone())) || self.lines.slot(source, id).is_some()
    }

    /// The priority of the case that holds a report; the strictest when none does.
    pub fn priority_of(&self, report: &ReportKey) -> Priority {
        let home = self.homes.get(&(report.source.clone(), report.id.clone()));
        let whole = home.and_then(|home| self.cases.get(&home.episode)).map(|case| case.priority);
        let lines = || self.lines.priority(self.lines.slot(&report.source, &report.id)?);
        whole.or_else(lines).unwrap_or(Priority::P0)
    }

    /// Cases held, in no order that means anything, for tests and the log.
    pub fn cases(&self) -> impl Iterator<Item = Case> {
        let lines = self.lines.iter().filter_map(|slot| self.lines.whole(slot, &self.policy));
        self.cases.values().map(|case| Case::clone(case)).chain(lines)
    }

    /// The queue in rank order.
    pub fn queue(&self) -> impl Iterator<Item = Case> {
        self.head(usize::MAX).map(Cow::into_owned)
    }

    fn head(&self, limit: usize) -> impl Iterator<Item = Cow<'_, Case>> {
        let mut whole = self.queue.iter().take(limit).peekable();
        let mut lines = self.lines.head(limit).into_iter().peekable();
        let next = move || {
            let is_line = match (whole.peek(), lines.peek()) {
                (Some(one), Some((other, _))) => other < one,
                (one, _) => one.is_none(),
            };
            if is_line {
                let (_, slot) = lines.next()?;
                return self.lines.whole(slot, &self.policy).map(Cow::Owned);
            }
            self.cases.get(&whole.next()?.key).map(|case| Cow::Borrowed(&**case))
        };
        std::iter::from_fn(next).take(limit)
    }
}

/// Whether any open incident that a bundle lists still looks to it.
fn tells_of_any(draft: &Draft<'_>, bundle: IncidentNo, looks_to_it: impl Fn(&Incident) -> bool) -> bool {
    match draft.incident(bundle).map(|incident| &incident.kind) {
        Some(IncidentKind::Bundle { members }) => {
            let open = |no: &IncidentNo| draft.incident(*no).filter(|incident| incident.is_open());
            members.iter().filter_map(open).any(looks_to_it)
        }
        _ => false,
    }
}

/// Tells the receivers that these rounds of an incident are over.
fn close_rounds(draft: &mut Draft<'_>, no: IncidentNo, rounds: Vec<(u32, Name)>, now: Timestamp) {
    let Some(incident) = draft.incident(no) else { return };
    let (priority, blind) = (incident.rung_priority.unwrap_or(Priority::P4), incident.blind());
    let (notice, found, is_test) = (incident.notice(), incident.found(), incident.is_test());
    let page = |rung| {
        let (blind, notice) = (blind.clone(), notice.clone());
        Page { blind, notice, found, is_test, ..resolve_page(no, rung, priority, now) }
    };
    draft.plan.pages.extend(rounds.into_iter().map(page));
}

fn resolve_page(no: IncidentNo, (round, channel): (u32, Name), priority: Priority, now: Timestamp) -> Page {
    Page {
        incident: no,
        round,
        step: 0,
        channel,
        kind: PageKind::Resolve,
        priority,
        created_at: now,
        fallbacks: Vec::new(),
        part: None,
        blind: None,
        notice: None,
        found: None,
        is_test: false,
        count: 0,
        cases: Vec::new(),
    }
}

/// A round rang on one more channel. An incident that is over by now is closed there at once.
fn fell_back(draft: &mut Draft<'_>, no: IncidentNo, rung: (u32, Name), priority: Priority, now: Timestamp) {
    match draft.incident(no) {
        Some(incident) if incident.is_open() => {
            if let Some(incident) = draft.incident_mut(no) {
                incident.rung.push(rung);
            }
        }
        _ => draft.plan.pages.push(resolve_page(no, rung, priority, now)),
    }
}

/// The cases of these P0 incidents, the most urgent first.
fn cases_of(draft: &Draft<'_>, incidents: &[IncidentNo]) -> Vec<PageCase> {
    let case = |no: &IncidentNo| match draft.incident(*no).map(|incident| &incident.kind) {
        Some(IncidentKind::Episode(key)) => draft.page_case(*no, key),
        _ => None,
    };
    let mut cases: Vec<PageCase> = incidents.iter().filter_map(case).collect();
    cases.sort_by(|a, b| (a.standing, a.deadline, &a.episode).cmp(&(b.standing, b.deadline, &b.episode)));
    cases
}

/// A plan and what the core needs to take it in.
#[derive(Clone, Debug, Default)]
pub struct Decision {
    pub plan: Plan,
    pub next_incident: u64,
}

fn queue_row(case: &Case) -> QueueRow {
    let first = case.clocks.iter().filter(|clock| clock.unmet_deadline().is_some());
    let next = first.min_by_key(|clock| clock.unmet_deadline());
    let none = || ReportKey { source: case.key.case.source().clone(), id: ReportId::Int(0), incarnation: 0 };
    QueueRow {
        episode: case.key.clone(),
        first_report: case.first_report().map_or_else(none, |(key, _)| key.clone()),
        reports: u32::try_from(case.reports.len()).unwrap_or(u32::MAX),
        category: case.category.clone(),
        priority: case.priority,
        standing: case.standing,
        rule: case.rule.clone(),
        received: case.received(),
        next: next.and_then(|clock| {
            let deadline = clock.unmet_deadline()?;
            Some(NextDeadline { target: clock.target.clone(), until: clock.until, deadline })
        }),
        overdue: case.is_overdue(),
        unverified: case.clocks.iter().any(|c| matches!(c.state, super::clock::ClockState::Unverified { .. })),
        incident: members_of(case).into_iter().min_by(|a, b| a.1.cmp(&b.1)).map(|(no, _)| no).or(case.incident),
    }
}
