//! A workbench for the core: a small policy, rows by hand, and a driver that commits every plan at
//! once, so that a test reads as a history.

use std::collections::BTreeMap;
use std::sync::Arc;
use tocsin::core::act::{Act, Deed};
use tocsin::core::case::Case;
use tocsin::core::engine::{Core, Decision};
use tocsin::core::id::{CaseKey, EpisodeKey, Name, ReportId};
use tocsin::core::observation::{Actor, Event, EventName, Observation, Received, Row, Verdict};
use tocsin::core::plan::{About, Input, Page, PageKind, Plan, Rows};
use tocsin::core::policy::*;
use tocsin::core::sight::Measured;
use tocsin::core::time::{Span, Timestamp};
use tocsin::core::told::Word;

/// Minutes after the beginning of every test's time.
pub fn minute(n: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000).plus(Span::from_mins(n))
}

/// Entry `inbox` of the inbox: what Ada did.
pub fn by_ada(inbox: i64, deed: Deed) -> Input {
    did(inbox, "ada", deed)
}

/// Entry `inbox` of the inbox: what somebody did.
pub fn did(inbox: i64, by: &str, deed: Deed) -> Input {
    Input::Act(Act { inbox, by: by.into(), at: minute(0), integration: false, deed })
}

/// What somebody says of report 1.
pub fn said(by: &str, word: &str, at: Timestamp) -> Input {
    let word = Word::parse(word).expect("a word");
    did(1, by, Deed::Tell { source: "reports".into(), report: "1".into(), word, at })
}

/// What the shell measures of a source that was last read to its end then.
pub fn measured(last_ok: Timestamp) -> Measured {
    Measured { watched_since: minute(0), last_ok: Some(last_ok), fault: None, clock: None, lag: None }
}

pub fn target(until: EventName, within_mins: i64) -> Target {
    let from = match until {
        EventName::SecondReview => EventName::Closed,
        EventName::Filed => EventName::Confirmed,
        _ => EventName::Received,
    };
    let due = Due::Within { span: Span::from_mins(within_mins), calendar: None };
    Target { name: until.as_str().into(), from, until, due, warn: None, repeat: None }
}

/// P0: first response 15 min, closed 60, second review 240. "threat" is P1, "ncii" P2, "spam" P4.
pub fn policy() -> Policy {
    let names = |list: &[&str]| list.iter().map(|name| Name::from(*name)).collect();
    let rule = |name: &str, categories: &[&str], priority, mins| Rule {
        name: name.into(),
        categories: Categories::Listed(names(categories)),
        when: None,
        priority,
        targets: vec![target(EventName::Closed, mins)],
        escalation: Some("on-call".into()),
        raised_when: None,
        spread: None,
    };
    let escalation = |channel: &str| Escalation {
        steps: vec![Step { at: Span::ZERO, notify: vec![channel.into()] }],
        repeat: None,
        act_within: None,
        warn: None,
    };
    let mut categories = BTreeMap::new();
    for name in ["csam", "grooming"] {
        categories.insert(name.into(), CategoryClass::MinorSafety);
    }
    for name in ["threat", "ncii", "spam"] {
        categories.insert(name.into(), CategoryClass::Other);
    }
    Policy {
        hash: "test".into(),
        categories,
        facts: BTreeMap::new(),
        minor_when: None,
        raised_when: None,
        minor_safety: MinorSafety {
            targets: vec![
                target(EventName::FirstResponse, 15),
                target(EventName::Closed, 60),
                target(EventName::SecondReview, 240),
            ],
            escalation: "minor-safety".into(),
            spread: None,
            bulk: Default::default(),
        },
        rules: vec![
            rule("threat", &["threat"], Priority::P1, 30),
            rule("ncii", &["ncii"], Priority::P2, 60),
            rule("spam", &["spam"], Priority::P4, 600),
        ],
        obligations: Vec::new(),
        escalations: BTreeMap::from([
            ("minor-safety".into(), escalation("p0-pager")),
            ("on-call".into(), escalation("pager")),
        ]),
        operators: None,
        sources: BTreeMap::from([("reports".into(), SourcePolicy::default())]),
        calendars: BTreeMap::new(),
        index: Index::default(),
    }
}

pub fn row(category: &str, received: Timestamp) -> Row {
    Row::bare(Received::At(received), category.into())
}

pub trait RowExt {
    fn about(self, subject: u8) -> Row;
    fn with(self, name: EventName, at: Timestamp, by: Actor) -> Row;
    fn closed(self, at: Timestamp, by: Actor, verdict: Verdict) -> Row;
    fn paused(self) -> Row;
}

impl RowExt for Row {
    fn about(mut self, subject: u8) -> Row {
        self.subject = Some(tocsin::core::id::Subject([subject; 16]));
        self
    }

    fn with(mut self, name: EventName, at: Timestamp, by: Actor) -> Row {
        self.events.push(Event { at, name, by });
        self.events.sort();
        self
    }

    fn closed(self, at: Timestamp, by: Actor, verdict: Verdict) -> Row {
        Row { verdict, ..self.with(EventName::Closed, at, by) }
    }

    fn paused(self) -> Row {
        Row { paused: true, ..self }
    }
}

pub fn person(name: &str) -> Actor {
    Actor::Person(name.into())
}

/// The core with a store that never fails, and a table that answers every ask at once unless `blind`.
pub struct Bench {
    pub core: Core,
    pub now: Timestamp,
    pub pages: Vec<Page>,
    pub plans: Vec<Plan>,
    pub table: BTreeMap<i64, Row>,
    pub blind: bool,
    /// What a store would hold.
    pub kept: BTreeMap<EpisodeKey, Case>,
}

impl Bench {
    pub fn new() -> Self {
        Bench::with(policy())
    }

    pub fn with(policy: Policy) -> Self {
        let mut bench = Bench {
            core: Core::new(Arc::new(policy)),
            now: minute(0),
            pages: Vec::new(),
            plans: Vec::new(),
            table: BTreeMap::new(),
            blind: false,
            kept: BTreeMap::new(),
        };
        bench.feed(Input::ScanEnded { source: "reports".into(), began: minute(0) });
        bench
    }

    pub fn feed(&mut self, input: Input) -> Plan {
        let decision = self.core.decide(&input, self.now);
        let again = self.core.decide(&input, self.now);
        assert_eq!(format!("{:?}", decision.plan), format!("{:?}", again.plan), "same input, same plan");
        let plan = decision.plan.clone();
        for kept in &plan.kept {
            self.kept.insert(kept.case.key.clone(), Case::clone(&kept.case));
        }
        self.core.apply(Decision { ..decision });
        self.pages.extend(plan.pages.iter().cloned());
        self.plans.push(plan.clone());
        if !self.blind && !plan.asks.is_empty() {
            let ids: Vec<ReportId> = plan.asks.iter().map(|key| key.id.clone()).collect();
            self.read(ids);
        }
        plan
    }

    fn read(&mut self, ids: Vec<ReportId>) -> Plan {
        let row = |id: &ReportId| match id {
            ReportId::Int(id) => self.table.get(id).cloned(),
            _ => None,
        };
        let rows = ids.iter().map(|id| Observation { id: id.clone(), row: row(id) }).collect();
        self.rows(rows)
    }

    /// As a store recalls them.
    pub fn recall(&self, strangers: &[CaseKey]) -> Vec<Case> {
        self.kept.values().filter(|case| strangers.contains(&case.key.case)).cloned().collect()
    }

    pub fn rows(&mut self, rows: Vec<Observation>) -> Plan {
        let source: Name = "reports".into();
        let mut rows = Rows { source, read_began: self.now, rows, rejects: Vec::new(), recalled: Vec::new() };
        rows.recalled = self.recall(&self.core.strangers(&rows));
        self.feed(Input::Rows(rows))
    }

    /// The platform writes a row and a poll sees it.
    pub fn put(&mut self, id: i64, row: Row) -> Plan {
        self.table.insert(id, row);
        self.read(vec![ReportId::Int(id)])
    }

    /// The platform deletes a row and a poll notices.
    pub fn delete(&mut self, id: i64) -> Plan {
        self.table.remove(&id);
        self.read(vec![ReportId::Int(id)])
    }

    /// Time passes; the core wakes whenever it asked to.
    pub fn until(&mut self, at: Timestamp) {
        while let Some(wake) = self.core.next_wake().filter(|wake| *wake <= at) {
            assert!(wake >= self.now || self.core.next_wake() == Some(wake));
            self.now = self.now.max(wake);
            self.feed(Input::Tick);
            let stuck = self.core.next_wake() == Some(wake) && wake < self.now;
            assert!(!stuck, "the core wakes again and again at {wake:?}");
        }
        self.now = at;
    }

    /// Every row of the table is read again, as a poll does.
    pub fn poll(&mut self) -> Plan {
        let ids = self.table.keys().map(|id| ReportId::Int(*id)).collect();
        self.read(ids)
    }

    /// What rings for more than a deadline that comes near.
    pub fn rings(&self) -> Vec<&Page> {
        let warns = |page: &Page| page.about == About::Warning;
        self.pages.iter().filter(|page| page.kind == PageKind::Ring && !warns(page)).collect()
    }

    pub fn resolves(&self) -> Vec<&Page> {
        self.pages.iter().filter(|page| page.kind == PageKind::Resolve).collect()
    }

    pub fn breaches(&self) -> Vec<(String, Timestamp)> {
        let records = self.plans.iter().flat_map(|plan| &plan.breaches);
        let mut all: Vec<_> = records.map(|b| (b.target.to_string(), b.deadline)).collect();
        all.sort();
        all.dedup();
        all
    }
}
