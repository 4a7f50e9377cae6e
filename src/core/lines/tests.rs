//! Two cores live one history: one holds as lines what it can, the other every case whole. Nothing that anybody may
//! see of them differs.

use super::*;
use crate::core::act::{Act, Deed};
use crate::core::clock::{Breach, Clock};
use crate::core::draft::members_of;
use crate::core::engine::{Core, Decision};
use crate::core::incident::{Incident, IncidentKind};
use crate::core::obligation::Obligation;
use crate::core::observation::{Actor, Event, EventName, Observation, Verdict};
use crate::core::plan::{Input, KeptCase, Plan, Rows};
use crate::core::policy::{
    Categories, CategoryClass, Due, Escalation, Index, MinorSafety, Rule, SourcePolicy, Step, Target,
};
use crate::core::quiet::Scope;
use crate::core::sight::CLOCKS_APART_MAX;
use crate::core::told::Word;
use proptest::prelude::*;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

thread_local! {
    static HOLDS_ALL_WHOLE: Cell<bool> = const { Cell::new(false) };
}

/// Whether the core at work is the one without lines.
pub fn holds_all_whole() -> bool {
    HOLDS_ALL_WHOLE.get()
}

const SOURCE: &str = "reports";
const CATEGORIES: [&str; 6] = ["csam", "threat", "ncii", "spam", "hate", "unruled"];

fn minute(n: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000).plus(Span::from_mins(n))
}

fn target(from: EventName, until: EventName, mins: i64) -> Target {
    let due = Due::Within { span: Span::from_mins(mins), calendar: None };
    Target { name: format!("{until} after {from}").into(), from, until, due, warn: None, repeat: None }
}

/// `variant` 0 and 1 promise other things to the same categories; `legal` hears of the obligation apart.
fn policy(variant: i64, legal: Option<bool>) -> Arc<Policy> {
    use EventName::{Closed, DecisionSent, Filed, FirstResponse, Received, Removed, ValidRequest};
    let rule = |name: &str, categories: &[&str], priority, escalation: Option<&str>, targets: Vec<Target>| Rule {
        name: name.into(),
        categories: Categories::Listed(categories.iter().map(|name| Name::from(*name)).collect()),
        when: None,
        priority,
        targets,
        escalation: escalation.map(Name::from),
        raised_when: None,
        spread: None,
    };
    let escalation = |channel: &str| Escalation {
        steps: vec![Step { at: Span::ZERO, notify: vec![channel.into()] }],
        repeat: Some(Span::from_mins(45)),
        act_within: Some(Span::from_mins(20)),
        warn: None,
    };
    let threat = vec![target(Received, FirstResponse, 30 + 40 * variant), target(Received, Closed, 120)];
    let ncii = vec![
        target(Received, FirstResponse, 60),
        target(Received, Closed, 60),
        target(Received, DecisionSent, 400 - 300 * variant),
        target(ValidRequest, Filed, 10),
    ];
    let obligation = |own: bool| Obligation {
        target: target(Received, Removed, 90),
        when: None,
        sources: None,
        assumed: BTreeSet::new(),
        escalation: own.then(|| "legal".into()),
        in_force: Default::default(),
    };
    let classes = CATEGORIES.map(|name| {
        let class = if name == "csam" { CategoryClass::MinorSafety } else { CategoryClass::Other };
        (Name::from(name), class)
    });
    let others = if variant == 0 { &["ncii", "hate"][..] } else { &["ncii"] };
    Arc::new(Policy {
        hash: format!("variant {variant}").into(),
        categories: classes.into(),
        facts: BTreeMap::new(),
        minor_when: None,
        raised_when: None,
        minor_safety: MinorSafety {
            targets: vec![target(Received, FirstResponse, 15), target(Received, Closed, 60)],
            escalation: "minor-safety".into(),
            spread: None,
            bulk: Default::default(),
        },
        rules: vec![
            rule("threat", &["threat"], Priority::P1, Some("on-call"), threat),
            rule("ncii", others, Priority::P2, Some("on-call"), ncii),
            rule("spam", &["spam", "hate"], Priority::P4, None, vec![target(Received, Closed, 200)]),
        ],
        obligations: legal.map(obligation).into_iter().collect(),
        escalations: ["minor-safety", "on-call", "legal"].map(|name| (name.into(), escalation(name))).into(),
        operators: None,
        sources: BTreeMap::from([(SOURCE.into(), SourcePolicy::default())]),
        calendars: BTreeMap::new(),
        index: Index::default(),
    })
}

/// A core and its store.
struct Life {
    core: Core,
    holds_all_whole: bool,
    kept: BTreeMap<EpisodeKey, Case>,
    recall: BTreeMap<CaseKey, Case>,
    incidents: BTreeMap<IncidentNo, Incident>,
    asks: Vec<ReportId>,
}

impl Life {
    fn new(policy: &Arc<Policy>, holds_all_whole: bool) -> Life {
        let core = Core::new(policy.clone());
        let (kept, recall, incidents) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Life { core, holds_all_whole, kept, recall, incidents, asks: Vec::new() }
    }

    /// Decides and applies; gives what others hear of it.
    fn feed(&mut self, mut input: Input, now: Timestamp) -> String {
        HOLDS_ALL_WHOLE.set(self.holds_all_whole);
        let recalled = |keys: Vec<CaseKey>| keys.iter().filter_map(|key| self.recall.get(key).cloned()).collect();
        match &mut input {
            Input::Rows(rows) => rows.recalled = recalled(self.core.strangers(rows)),
            Input::Reassess { recalled: cases } => *cases = recalled(self.core.strangers_of_reassess()),
            _ => {}
        }
        let decision = self.core.decide(&input, now);
        let plan = decision.plan.clone();
        for KeptCase { case, settled } in &plan.kept {
            self.recall.insert(case.key.case.clone(), Case::clone(case));
            self.kept.insert(case.key.clone(), Case::clone(case));
            if *settled {
                self.kept.remove(&case.key);
            }
        }
        self.incidents.extend(plan.incidents.clone());
        self.asks.extend(plan.asks.iter().map(|key| key.id.clone()));
        self.core.apply(Decision { ..decision });
        told(&plan)
    }

    fn restart(&mut self, policy: &Arc<Policy>) {
        HOLDS_ALL_WHOLE.set(self.holds_all_whole);
        let stays = |incident: &&Incident| incident.is_open() || matches!(incident.kind, IncidentKind::Episode(_));
        let incidents = self.incidents.values().filter(stays).cloned().collect();
        let cases = self.kept.values().cloned().collect();
        let quiets = self.core.quiets.values().cloned().collect();
        self.core = Core::restore(policy.clone(), cases, incidents, self.core.next_incident);
        self.core.remember_quiets(quiets);
    }

    fn shows(&self, now: Timestamp) -> String {
        let rows = self.core.rows_after(None, usize::MAX);
        let mut cases: Vec<Case> = self.core.cases().map(unasked).collect();
        cases.sort_by(|one, other| one.key.cmp(&other.key));
        let view = self.core.view(now);
        let incident = |of: &crate::core::view::IncidentRow| self.core.open_incident(of.incident.no, 2);
        let incidents: Vec<_> = view.incidents.iter().map(incident).collect();
        format!("{:#?}", (rows, cases, incidents, view))
    }
}

/// Which clocks wait for proof is known to their own core alone.
fn unasked(mut case: Case) -> Case {
    for clock in &mut case.clocks {
        if clock.is_being_proved() {
            clock.state = ClockState::Running;
        }
    }
    case
}

fn told(plan: &Plan) -> String {
    let kept: Vec<_> = plan.kept.iter().map(|kept| (unasked(Case::clone(&kept.case)), kept.settled)).collect();
    let durable = (kept, &plan.observed, &plan.outcomes, &plan.incidents, &plan.breaches, &plan.pages);
    let said = (&plan.warnings, &plan.alarms, &plan.incurred, &plan.refused, &plan.audited, &plan.quiets);
    format!("{:#?}", (durable, said, &plan.doubts, &plan.counted))
}

struct Twins {
    packed: Life,
    whole: Life,
    policy: Arc<Policy>,
    table: BTreeMap<i64, Row>,
    now: Timestamp,
    blind: bool,
    inbox: i64,
    /// How long reads take.
    takes: Span,
}

impl Twins {
    fn new(policy: Arc<Policy>) -> Twins {
        let (packed, whole) = (Life::new(&policy, false), Life::new(&policy, true));
        let (table, now, takes) = (BTreeMap::new(), minute(0), Span::ZERO);
        let mut twins = Twins { packed, whole, policy, table, now, blind: false, inbox: 0, takes };
        twins.scan_ended();
        twins
    }

    fn feed(&mut self, input: Input) {
        let told = [&mut self.packed, &mut self.whole].map(|life| life.feed(input.clone(), self.now));
        assert_eq!(told[0], told[1], "the same decisions of {input:?}");
        let asks: BTreeSet<ReportId> =
            [&mut self.packed, &mut self.whole].into_iter().flat_map(|life| std::mem::take(&mut life.asks)).collect();
        if !asks.is_empty() && !self.blind {
            self.read(asks);
        }
    }

    fn scan_ended(&mut self) {
        self.feed(Input::ScanEnded { source: SOURCE.into(), began: self.now });
    }

    fn read(&mut self, ids: impl IntoIterator<Item = ReportId>) {
        let row = |id: &ReportId| self.table.get(&number_of(id)).cloned();
        let rows = ids.into_iter().map(|id| Observation { row: row(&id), id }).collect();
        let (source, read_began) = (SOURCE.into(), self.now.minus(self.takes));
        self.feed(Input::Rows(Rows { source, read_began, rows, rejects: Vec::new(), recalled: Vec::new() }));
    }

    fn poll(&mut self) {
        if !self.blind {
            self.read(self.table.keys().map(|number| id_of(*number)).collect::<Vec<_>>());
        }
    }

    fn wait(&mut self, mins: i64) {
        let until = self.now.plus(Span::from_mins(mins));
        while let Some(wake) = self.whole.core.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.feed(Input::Tick);
            let stuck = self.whole.core.next_wake() == Some(wake) && wake < self.now;
            assert!(!stuck, "wakes again and again at {wake:?}");
        }
        self.now = until;
    }

    fn act(&mut self, deed: Deed) {
        self.inbox += 1;
        let by = if self.inbox % 2 == 0 { "ada" } else { "grace" };
        self.feed(Input::Act(Act { inbox: self.inbox, by: by.into(), at: self.now, integration: false, deed }));
    }

    fn judge_all_anew(&mut self) {
        while [&self.packed, &self.whole].iter().any(|life| life.core.stale() != (0, 0)) {
            self.feed(Input::Reassess { recalled: Vec::new() });
        }
    }

    fn take(&mut self, step: &Happening) {
        match *step {
            Happening::Change(number, change) => {
                let row = self.table.remove(&number);
                let row = changed(row, change, self.now);
                self.table.extend(row.map(|row| (number, row)));
                if !self.blind {
                    self.read([id_of(number)]);
                }
            }
            Happening::Wait(mins) => {
                self.wait(mins);
                self.poll();
            }
            Happening::Blind(blind) => self.blind = blind,
            Happening::Slow(secs) => self.takes = Span::from_secs(secs),
            Happening::Scan => {
                self.poll();
                if !self.blind {
                    self.scan_ended();
                }
            }
            Happening::Say(number, word) => {
                let word = Word::parse(word).expect("a word");
                let report = id_of(number).to_string().into();
                self.act(Deed::Tell { source: SOURCE.into(), report, word, at: self.now });
            }
            Happening::Acknowledge(nth) => {
                let open: Vec<_> = self.whole.core.incidents.values().filter(|i| i.is_open()).map(|i| i.no).collect();
                if let Some(incident) = open.get(nth % open.len().max(1)) {
                    self.act(Deed::Acknowledge { incident: *incident });
                }
            }
            Happening::Snooze(number) => {
                let report = ReportKey { source: SOURCE.into(), id: id_of(number), incarnation: 0 };
                let (scope, until) = (Scope::Case(CaseKey::Report(report)), self.now.plus(Span::from_mins(30)));
                self.act(Deed::Snooze { scope, reason: "known".into(), until });
            }
            Happening::Adopt(variant, legal) => {
                self.policy = policy(variant, legal);
                for life in [&mut self.packed, &mut self.whole] {
                    life.core.adopt(self.policy.clone());
                }
                self.judge_all_anew();
            }
            Happening::Restart => {
                for life in [&mut self.packed, &mut self.whole] {
                    life.restart(&self.policy);
                }
                self.judge_all_anew();
                self.blind = false;
                self.poll();
                self.scan_ended();
            }
        }
        self.compare();
    }

    fn compare(&self) {
        assert_eq!(self.packed.shows(self.now), self.whole.shows(self.now));
        // A line that waits for proof asks no second time: the proof decides about all of its deadlines.
        let mut lesser = self.whole.core.cases.values().filter(|case| !case.is_p0());
        if !lesser.any(|case| case.clocks.iter().any(Clock::is_being_proved)) {
            assert_eq!(self.packed.core.next_wake(), self.whole.core.next_wake());
        }
        let kept = |life: &Life| format!("{:#?}", life.kept.values().cloned().map(unasked).collect::<Vec<_>>());
        assert_eq!(kept(&self.packed), kept(&self.whole), "the same is in the store");
        // Page by page the queue is the same as at once.
        let core = &self.packed.core;
        let mut paged = core.rows_after(None, 2);
        while let Some(last) = paged.last().map(|row| row.rank.clone()) {
            let further = core.rows_after(Some(&last), 2);
            if further.is_empty() {
                break;
            }
            paged.extend(further);
        }
        assert_eq!(format!("{paged:?}"), format!("{:?}", core.rows_after(None, usize::MAX)));
        self.unpack_all();
    }

    /// Each case that a line can hold comes out of it as it went in.
    fn unpack_all(&self) {
        HOLDS_ALL_WHOLE.set(false);
        let mut lines = Lines::default();
        for case in self.whole.core.cases() {
            let Ok(slot) = lines.take(Box::new(case.clone())) else { continue };
            assert_eq!(lines.whole(slot, &self.policy).as_ref(), Some(&case));
            assert_eq!(lines.slot_of(&case.key), Some(slot));
            let member = |no| Some((no, (case.priority, lines.slab().place(slot)?.1, lines.key(slot)?)));
            let stands_in: Vec<_> = lines.incident(slot).and_then(member).into_iter().collect();
            assert_eq!(stands_in, members_of(&case));
            assert_eq!(lines.after(None, 1)[0].0, case.rank());
            assert_eq!(lines.wakes_at(), case.wakes_at());
            assert_eq!(lines.is_overdue(slot), case.is_overdue());
            lines.remove(slot);
            assert_eq!((lines.slot_of(&case.key), lines.wakes_at(), lines.after(None, 1)), (None, None, Vec::new()));
        }
    }
}

fn id_of(number: i64) -> ReportId {
    if number % 2 == 0 { ReportId::Int(number) } else { ReportId::Text(format!("rpt_{number}").into()) }
}

fn number_of(id: &ReportId) -> i64 {
    id.to_string().trim_start_matches("rpt_").parse().expect("a number")
}

#[derive(Clone, Copy, Debug)]
enum Happening {
    Change(i64, Change),
    Wait(i64),
    Blind(bool),
    /// From now on a read takes so many seconds.
    Slow(i64),
    Scan,
    Say(i64, &'static str),
    Acknowledge(usize),
    Snooze(i64),
    Adopt(i64, Option<bool>),
    Restart,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    /// A report of this category, received so many minutes ago, about an item.
    Comes(&'static str, i64, Option<u8>),
    IsOf(&'static str),
    Happens(EventName),
    IsDoneByMachine(EventName),
    Reopens,
    Pauses(bool),
    IsAnother,
    Goes,
}

/// What a change makes of a row.
fn changed(row: Option<Row>, change: Change, now: Timestamp) -> Option<Row> {
    let bare = |at: Timestamp, category: &str| Row::bare(Received::At(at), category.into());
    let Some(mut row) = row else {
        let Change::Comes(category, mins_ago, subject) = change else { return None };
        let subject = subject.map(|byte| crate::core::id::Subject([byte; 16]));
        return Some(Row { subject, ..bare(now.minus(Span::from_mins(mins_ago)), category) });
    };
    match change {
        Change::Comes(..) => {}
        Change::IsOf(category) => row.category = category.into(),
        Change::Happens(name) => {
            row.events.push(Event { at: now, name, by: Actor::Person("ada".into()) });
            row.events.sort();
            if name == EventName::Closed {
                row.verdict = Verdict::Violation;
            }
        }
        Change::IsDoneByMachine(name) => {
            row.events.push(Event { at: now, name, by: Actor::Automated });
            row.events.sort();
        }
        Change::Reopens => row.events.retain(|event| event.name != EventName::Closed),
        Change::Pauses(paused) => row.paused = paused,
        Change::IsAnother => row = bare(now, &row.category),
        Change::Goes => return None,
    }
    Some(row)
}

fn change() -> impl Strategy<Value = Change> {
    let comes = (prop::sample::select(CATEGORIES.to_vec()), 0i64..700, prop::option::weighted(0.3, 1u8..3));
    let names = vec![EventName::FirstResponse, EventName::Closed, EventName::ValidRequest, EventName::DecisionSent];
    prop_oneof![
        8 => comes.prop_map(|(category, age, subject)| Change::Comes(category, age, subject)),
        2 => prop::sample::select(CATEGORIES.to_vec()).prop_map(Change::IsOf),
        3 => prop::sample::select(names).prop_map(Change::Happens),
        1 => Just(Change::Reopens),
        1 => prop::bool::ANY.prop_map(Change::Pauses),
        1 => Just(Change::IsAnother),
        1 => Just(Change::Goes),
    ]
}

/// What leaves nearly every report waiting: it comes and is answered in time, or not yet.
fn quiet_change() -> impl Strategy<Value = Change> {
    let names =
        vec![EventName::FirstResponse, EventName::DecisionSent, EventName::ValidRequest, EventName::ReviewerAction];
    let machine = prop::sample::select(names.clone()).prop_map(Change::IsDoneByMachine);
    prop_oneof![
        4 => (prop::sample::select(CATEGORIES[1..].to_vec()), 0i64..40).prop_map(|(of, age)| Change::Comes(of, age, None)),
        6 => prop::sample::select(names).prop_map(Change::Happens),
        1 => machine,
    ]
}

fn quiet_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        12 => (0i64..8, quiet_change()).prop_map(|(number, change)| Happening::Change(number, change)),
        3 => (1i64..12).prop_map(Happening::Wait),
        1 => (0..=CLOCKS_APART_MAX.secs()).prop_map(Happening::Slow),
    ]
}

fn happening() -> impl Strategy<Value = Happening> {
    let words = vec!["first_response", "decision_sent", "looked_into", "released"];
    prop_oneof![
        16 => (0i64..12, change()).prop_map(|(number, change)| Happening::Change(number, change)),
        8 => (1i64..120).prop_map(Happening::Wait),
        1 => prop::bool::weighted(0.3).prop_map(Happening::Blind),
        1 => (0..=CLOCKS_APART_MAX.secs()).prop_map(Happening::Slow),
        2 => Just(Happening::Scan),
        1 => (0i64..12, prop::sample::select(words)).prop_map(|(number, word)| Happening::Say(number, word)),
        2 => (0usize..5).prop_map(Happening::Acknowledge),
        1 => (0i64..12).prop_map(Happening::Snooze),
        1 => (0i64..2, legal()).prop_map(|(variant, legal)| Happening::Adopt(variant, legal)),
        1 => Just(Happening::Restart),
    ]
}

/// Whether there is an obligation, and whether it tells others than the rule does.
fn legal() -> impl Strategy<Value = Option<bool>> {
    prop::option::of(prop::bool::ANY)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_core_with_lines_decides_and_shows_what_one_without_them_does(
        variant in 0i64..2, legal in legal(), happenings in prop::collection::vec(happening(), 1..60)
    ) {
        let mut twins = Twins::new(policy(variant, legal));
        happenings.iter().for_each(|happening| twins.take(happening));
    }

    #[test]
    fn reports_that_only_wait_come_to_what_their_cases_do(
        variant in 0i64..2, happenings in prop::collection::vec(quiet_happening(), 1..40)
    ) {
        let mut twins = Twins::new(policy(variant, None));
        happenings.iter().for_each(|happening| twins.take(happening));
    }
}

/// Lines whose clocks are kept beside.
fn with_clocks(core: &Core) -> usize {
    core.lines.iter().filter(|slot| !core.lines.clocks(*slot).is_empty()).count()
}

/// A core that has read a lesser report whose every deadline has passed.
fn overdue(category: &'static str) -> Twins {
    let mut twins = Twins::new(policy(0, None));
    twins.take(&Happening::Change(2, Change::Comes(category, 650, None)));
    twins
}

#[test]
fn an_overdue_case_is_a_line_once_its_breaches_are_decided() {
    for (category, incidents) in [("threat", 1), ("ncii", 1), ("spam", 0)] {
        let twins = overdue(category);
        let core = &twins.packed.core;
        assert_eq!((core.cases.len(), core.homes.iter().count()), (0, 0), "{category}");
        assert_eq!((with_clocks(core), core.view(twins.now).incidents.len()), (1, incidents), "{category}");
    }
}

#[test]
fn a_case_that_breaks_one_promise_wakes_for_the_next() {
    let mut twins = Twins::new(policy(0, None));
    twins.take(&Happening::Change(2, Change::Comes("threat", 31, None)));
    assert_eq!(with_clocks(&twins.packed.core), 1);
    assert_eq!(twins.packed.core.lines.wakes_at(), Some(past(minute(120 - 31))));
    twins.take(&Happening::Wait(120));
    let case = twins.packed.core.cases().next().expect("the case");
    assert!(twins.packed.core.cases.is_empty() && case.clocks.iter().all(Clock::is_overdue));
}

#[test]
fn what_an_overdue_case_broke_stays_with_it_under_another_policy() {
    let mut twins = Twins::new(policy(0, None));
    twins.take(&Happening::Change(2, Change::Comes("hate", 70, None)));
    twins.take(&Happening::Adopt(1, None));
    let case = twins.packed.core.cases().next().expect("the case");
    let broken = |clock: &Clock| clock.breach().map(|Breach { deadline, .. }| *deadline);
    assert_eq!((case.priority, case.clocks.len()), (Priority::P4, 2));
    assert_eq!(case.clocks.iter().filter_map(broken).collect::<Vec<_>>(), [minute(-10), minute(-10)]);
}

#[test]
fn a_report_that_is_answered_in_time_stays_a_line_and_its_answer_counts_once() {
    let mut twins = Twins::new(policy(0, None));
    twins.take(&Happening::Change(2, Change::Comes("threat", 10, None)));
    twins.take(&Happening::Change(2, Change::Happens(EventName::FirstResponse)));
    twins.take(&Happening::Change(2, Change::Happens(EventName::DecisionSent)));
    twins.take(&Happening::Adopt(1, None));
    let core = &twins.packed.core;
    assert_eq!((core.cases.len(), core.homes.iter().count(), with_clocks(core)), (0, 0, 1));
    let answered: u64 = core.view(twins.now).pace.first_response.values().map(|lengths| lengths.count).sum();
    assert_eq!(answered, 1);
    let case = core.cases().next().expect("the case");
    assert_eq!((case.clocks[0].met_at(), case.clocks[1].state.clone()), (Some(minute(0)), ClockState::Running));
}

#[test]
fn a_report_that_is_answered_late_stays_a_line_with_its_breaches() {
    let mut twins = overdue("threat");
    for happens in [EventName::FirstResponse, EventName::DecisionSent] {
        twins.take(&Happening::Wait(1));
        twins.take(&Happening::Change(2, Change::Happens(happens)));
        let core = &twins.packed.core;
        assert_eq!((core.cases.len(), core.homes.iter().count(), with_clocks(core)), (0, 0, 1));
        let case = core.cases().next().expect("the case");
        assert_eq!((case.clocks[0].met_at(), case.is_overdue(), case.stored), (Some(minute(1)), true, true));
        let breached = case.clocks.iter().filter(|clock| clock.breach().is_some()).count();
        assert_eq!(breached, 2, "what was broken stays broken");
    }
    twins.take(&Happening::Change(2, Change::Happens(EventName::Closed)));
    assert_eq!(twins.packed.core.cases().count(), 0);
}

#[test]
fn people_can_say_something_of_a_report_that_is_a_line() {
    let mut twins = Twins::new(policy(0, None));
    twins.take(&Happening::Change(2, Change::Comes("threat", 10, None)));
    assert!(twins.packed.core.cases.is_empty(), "a line");
    twins.take(&Happening::Say(2, "looked_into"));
    assert!(twins.packed.core.cases.is_empty(), "it is there, so nobody can have looked into its vanishing");
    twins.take(&Happening::Say(2, "first_response"));
    let case = twins.packed.core.cases().next().expect("the case");
    assert_eq!(case.clocks[0].met_at(), Some(twins.now));
}

#[test]
fn a_report_that_stands_twice_in_one_read_is_known_as_it_stands_last() {
    for (first, last) in [("spam", "threat"), ("threat", "csam"), ("csam", "spam"), ("spam", "spam")] {
        let mut twins = Twins::new(policy(0, None));
        let rows = [(2, first), (5, "hate"), (2, last)];
        let seen = rows.into_iter().map(|(number, category)| Observation {
            id: id_of(number),
            row: changed(None, Change::Comes(category, 5, None), twins.now),
        });
        let (source, read_began) = (SOURCE.into(), twins.now);
        let (rows, rejects, recalled) = (seen.collect(), Vec::new(), Vec::new());
        twins.feed(Input::Rows(Rows { source, read_began, rows, rejects, recalled }));
        twins.compare();
        let mut known: Vec<Case> = twins.packed.core.cases().collect();
        known.sort_by_key(|case| case.category != "hate".into());
        let [hate, twice] = &known[..] else { panic!("two reports: {known:#?}") };
        assert_eq!((&*hate.category, hate.reports.len(), twice.reports.len()), ("hate", 1, 1));
        // Known minor safety stays what it is, whatever a later row says.
        assert_eq!(&*twice.category, if first == "csam" { "csam" } else { last });
    }
}

#[test]
fn what_people_say_of_a_line_that_changes_nothing_is_nothing_to_keep() {
    // A breach that the policy of now doesn't promise any more is over: the next look would drop it.
    let mut twins = Twins::new(policy(0, None));
    for step in [
        Happening::Change(10, Change::Comes("hate", 210, None)),
        Happening::Wait(191),
        Happening::Adopt(1, None),
        Happening::Change(10, Change::Happens(EventName::DecisionSent)),
    ] {
        twins.take(&step);
    }
    twins.take(&Happening::Say(10, "looked_into"));
}
