//! A seed's weeks, over any store and any report database: the platform lives, the process looks and wakes, is lost and started, is
//! given another policy, and its clock is set forward and back. Whoever wants to know follows as a witness.

use super::office;
use super::platform::Platform;
use crate::driver::{Life, Table};
use crate::kit::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tocsin::core::bulk::BulkBound;
use tocsin::core::observation::{Event, EventName, Row};
use tocsin::core::policy::{Due, Policy, Target};
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::source::Source;
use tocsin::store::Store;

/// Steps of one history: most take a minute, some hours.
const STEPS: usize = 420;
/// Inputs of one step beyond which the engine is held to be busy with nothing.
const INPUTS_PER_STEP: usize = 2_000;

/// What the policy of the moment promises, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Promises {
    pub first_response: i64,
    pub closed: i64,
    pub second_review: i64,
    pub threat: i64,
    pub ncii: i64,
    /// Of office hours.
    pub spam: i64,
}

impl Promises {
    pub const FIRST: Promises =
        Promises { first_response: 15, closed: 60, second_review: 240, threat: 30, ncii: 75, spam: 600 };

    pub fn policy(self) -> Policy {
        let mut policy = policy();
        policy.minor_safety.targets = vec![
            target(EventName::FirstResponse, self.first_response),
            target(EventName::Closed, self.closed),
            target(EventName::SecondReview, self.second_review),
        ];
        for (rule, within) in policy.rules.iter_mut().zip([self.threat, self.ncii, self.spam]) {
            rule.targets = vec![target(EventName::Closed, within)];
        }
        let due = Due::Within { span: Span::from_mins(self.spam), calendar: Some("office".into()) };
        policy.rules[2].targets = vec![Target { due, ..target(EventName::Closed, self.spam) }];
        policy.calendars.insert("office".into(), office::compiled());
        let bulk = BulkBound { cases_max: super::model::BULK_CASES as u32, within: super::model::BULK_WITHIN };
        policy.minor_safety.bulk = bulk;
        for source in policy.sources.values_mut() {
            source.blind_after = Some(super::model::BLIND_AFTER);
        }
        policy
    }
}

/// What a step of a history begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The platform lives.
    Live,
    /// The platform rests: the process's clock has been set forward, and will be set back.
    Ahead,
    /// The platform rests until the clock, set back, has come to where it was.
    Again,
}

/// A stretch of a history, in minutes.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub from: i64,
    pub until: i64,
    pub kind: Kind,
    pub blind: bool,
}

/// The platform's rows by id.
pub type Rows = BTreeMap<i64, Row>;

/// The report database in which the platform's rows stand.
pub trait Database {
    type Source: Source;

    fn source(&self) -> Arc<Self::Source>;
    /// The time that it shows where it has a clock of its own: the platform's, whatever is done to the process's.
    fn be_at(&mut self, at: Timestamp);
    fn write(&mut self, written: &Written, at: Timestamp) -> impl Future<Output = ()>;
    /// From now on nobody can read it, or everybody can.
    fn be_away(&mut self, away: bool) -> impl Future<Output = ()>;
}

impl Database for Arc<Table> {
    type Source = Table;

    fn source(&self) -> Arc<Table> {
        self.clone()
    }

    fn be_at(&mut self, _at: Timestamp) {}

    async fn write(&mut self, written: &Written, _at: Timestamp) {
        let mut rows = self.rows.lock().unwrap();
        rows.retain(|id, _| !written.gone.contains(id));
        rows.extend(written.rows.clone());
    }

    async fn be_away(&mut self, away: bool) {
        self.away.store(away, Ordering::SeqCst);
    }
}

/// What the platform writes in one instant.
#[derive(Clone, Debug, Default)]
pub struct Written {
    /// Rows that came, came back or changed.
    pub rows: Rows,
    /// Those of them that were never there before.
    pub arrived: BTreeSet<i64>,
    /// Those of them that changed in more than what a log of actions holds.
    pub changed: BTreeSet<i64>,
    /// What is new in a log of actions.
    pub actions: Vec<(i64, Event)>,
    pub gone: BTreeSet<i64>,
}

/// What a log of actions holds, and no column of the row.
fn is_logged(event: &Event) -> bool {
    matches!(event.name, EventName::FirstResponse | EventName::SecondReview)
}

impl Written {
    /// `ever` holds each row as it was written last, those that are gone too.
    fn of(ever: &Rows, before: &Rows, rows: &Rows) -> Written {
        let bare =
            |row: &Row| Row { events: row.events.iter().filter(|e| !is_logged(e)).cloned().collect(), ..row.clone() };
        let mut written = Written::default();
        for (id, row) in rows.iter().filter(|(id, row)| before.get(id) != Some(row)) {
            let known = |event: &&Event| ever.get(id).is_some_and(|was| was.events.contains(event));
            let actions = row.events.iter().filter(|event| is_logged(event) && !known(event));
            written.actions.extend(actions.map(|event| (*id, event.clone())));
            if before.get(id).map(bare) != Some(bare(row)) {
                written.changed.insert(*id);
            }
            if !ever.contains_key(id) {
                written.arrived.insert(*id);
            }
            written.rows.insert(*id, row.clone());
        }
        written.gone = before.keys().filter(|id| !rows.contains_key(id)).copied().collect();
        written
    }
}

/// Which reports one look at the database reads.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Those that each feed tells of, one feed after the other.
    pub feeds: Vec<BTreeSet<i64>>,
    /// What is known to pause.
    pub pausing: bool,
    /// Every open row, and then what else is known.
    pub whole: bool,
}

/// Whoever follows a history.
pub trait Witness {
    /// The platform has lived, and the process is about to look.
    fn lives(&mut self, _step: &Step, _before: &Rows, _rows: &Rows) {}
    /// The process has looked at the database, which could be seen.
    fn looks(&mut self, _rows: &Rows, _told: &Told, _now: Timestamp) {}
    /// The process was lost.
    fn loses(&mut self) {}
    /// Another policy holds.
    fn reloads(&mut self, _promises: Promises, _now: Timestamp) {}
    /// Nothing more happens in this step.
    fn ends<St: Store, So: Source>(&mut self, _step: &Step, _life: &Life<St, So>) {}
}

/// Nobody follows.
impl Witness for () {}

/// Plays the history of a seed over a store, its rows in memory.
pub async fn live<St: Store>(seed: u64, store: Arc<St>, witness: &mut impl Witness) {
    live_in(Arc::<Table>::default(), Platform::new(seed), store, witness).await;
}

/// Plays a platform's history over a report database and a store.
pub async fn live_in<D: Database, St: Store>(
    database: D,
    platform: Platform,
    store: Arc<St>,
    witness: &mut impl Witness,
) {
    let mut history = History {
        clock: VirtualClock::new(minute(platform.now)),
        database,
        store,
        platform,
        promises: Promises::FIRST,
        rows: Rows::new(),
        ever: Rows::new(),
        unread: Written::default(),
        of_step: Written::default(),
        come: BTreeSet::new(),
        is_first_look: true,
        is_away: false,
    };
    let mut life = history.start().await;
    for _ in 0..STEPS {
        let step = history.platform.step();
        history.play(step, &mut life, witness).await;
        while let Some(again) = history.platform.step_again() {
            history.play(again, &mut life, witness).await;
        }
    }
}

struct History<D, St> {
    clock: VirtualClock,
    database: D,
    store: Arc<St>,
    platform: Platform,
    promises: Promises,
    rows: Rows,
    /// Each row as it was written last, those that are gone too.
    ever: Rows,
    /// Written since the last look, and in the step under way.
    unread: Written,
    of_step: Written,
    /// What had come in before the last look: a feed reads it once more, and tells of it where it has changed.
    come: BTreeSet<i64>,
    is_first_look: bool,
    is_away: bool,
}

impl<D: Database, St: Store> History<D, St> {
    async fn start(&mut self) -> Life<St, D::Source> {
        self.is_first_look = true;
        let (policy, source) = (Arc::new(self.promises.policy()), self.database.source());
        Life::start(policy, self.store.clone(), source, self.clock.clone()).await
    }

    async fn play(&mut self, step: Step, life: &mut Life<St, D::Source>, witness: &mut impl Witness) {
        let end = minute(step.until);
        self.clock.set(minute(step.from));
        if self.is_away != step.blind {
            self.is_away = step.blind;
            self.database.be_away(step.blind).await;
        }
        self.of_step = Written::default();
        if step.kind == Kind::Live {
            let before = self.rows.clone();
            self.platform.live(&mut self.rows, step.from);
            self.write(&before, minute(step.from)).await;
            witness.lives(&step, &before, &self.rows);
            self.reload(life, witness).await;
        }
        self.look(step, life, witness).await;
        let mut inputs = 0;
        loop {
            if life.step().await {
                inputs += 1;
                assert!(inputs < INPUTS_PER_STEP, "the engine is busy with nothing at minute {}", step.from);
                if step.kind != Kind::Again && self.platform.loses_the_process() {
                    *life = self.start().await;
                    witness.loses();
                    self.look(step, life, witness).await;
                }
                continue;
            }
            match life.next_wake_before(end) {
                Some(wake) => self.clock.set(wake),
                None => break,
            }
        }
        witness.ends(&step, life);
    }

    async fn write(&mut self, before: &Rows, at: Timestamp) {
        let written = Written::of(&self.ever, before, &self.rows);
        self.database.write(&written, at).await;
        self.ever.extend(written.rows.clone());
        self.unread.arrived.extend(&written.arrived);
        self.unread.changed.extend(&written.changed);
        self.unread.actions.extend(written.actions.clone());
        self.of_step = written;
    }

    /// Now and then another policy is given to the process that runs.
    async fn reload(&mut self, life: &mut Life<St, D::Source>, witness: &mut impl Witness) {
        let Some(promises) = self.platform.reloads(self.promises) else { return };
        self.promises = promises;
        life.engine.adopt(Arc::new(promises.policy()));
        while life.engine.core().stale() != (0, 0) {
            life.step().await;
        }
        witness.reloads(promises, self.clock.now());
    }

    /// The process looks at the database, and so does the witness.
    async fn look(&mut self, step: Step, life: &mut Life<St, D::Source>, witness: &mut impl Witness) {
        let now = self.clock.now();
        // The process's clock is set forward for the last minute of the platform's.
        self.database.be_at(if step.kind == Kind::Ahead { minute(self.platform.now - 1) } else { now });
        let polled = life.scan().await;
        assert_eq!(polled.is_err(), step.blind, "minute {}: {polled:?}", step.from);
        let Ok(polled) = polled else { return };
        let watching = self.database.source().watching();
        let mut told = Told {
            pausing: watching.tells_changes && !self.is_first_look,
            whole: polled.rows.is_some(),
            ..Told::default()
        };
        // A process that has just begun reads the feeds from the overlap on: the rest is in its first whole look.
        let is_fresh = now.since(minute(step.from)) <= watching.overlap.unwrap_or_default();
        let news = match self.is_first_look {
            true if is_fresh => &self.of_step,
            true => &Written::default(),
            false => &self.unread,
        };
        if watching.tells_changes {
            told.feeds.push(news.changed.clone());
        }
        if watching.has_history {
            told.feeds.push(news.actions.iter().map(|(id, _)| *id).collect());
        }
        if !watching.tells_changes && watching.budget.is_some() {
            told.feeds.push(news.arrived.iter().chain(self.come.intersection(&news.changed)).copied().collect());
        }
        self.come = std::mem::take(&mut self.unread).arrived;
        self.is_first_look = false;
        // What is read while the clock is behind the last look tells nothing.
        if step.kind != Kind::Again {
            witness.looks(&self.rows, &told, now);
        }
    }
}
