//! A seed's weeks, over any store: the platform lives, the process looks and wakes, is lost and started, is
//! given another policy, and its clock is set forward and back. Whoever wants to know follows as a witness.

use super::office;
use super::platform::Platform;
use crate::driver::{Life, Table, World};
use crate::kit::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tocsin::core::bulk::BulkBound;
use tocsin::core::observation::{EventName, Row};
use tocsin::core::policy::{Due, Policy, Target};
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::clock::Clock;
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

/// Whoever follows a history.
pub trait Witness {
    /// The platform has lived, and the process is about to look.
    fn lives(&mut self, _step: &Step, _before: &BTreeMap<i64, Row>, _rows: &BTreeMap<i64, Row>) {}
    /// The process has looked at the table, which could be seen.
    fn looks(&mut self, _rows: &BTreeMap<i64, Row>, _now: Timestamp) {}
    /// The process was lost.
    fn loses(&mut self) {}
    /// Another policy holds.
    fn reloads(&mut self, _promises: Promises, _now: Timestamp) {}
    /// Nothing more happens in this step.
    fn ends<St: Store>(&mut self, _step: &Step, _life: &Life<St, Table>) {}
}

/// Nobody follows.
impl Witness for () {}

/// Plays the history of a seed over a store.
pub async fn live<St: Store>(seed: u64, store: Arc<St>, witness: &mut impl Witness) {
    let mut history = History::new(seed, store);
    let mut life = history.start().await;
    for _ in 0..STEPS {
        let step = history.platform.step();
        history.play(step, &mut life, witness).await;
        while let Some(again) = history.platform.step_again() {
            history.play(again, &mut life, witness).await;
        }
    }
}

struct History<St: Store> {
    world: World,
    store: Arc<St>,
    platform: Platform,
    promises: Promises,
}

impl<St: Store> History<St> {
    fn new(seed: u64, store: Arc<St>) -> Self {
        let history = History { world: World::new(), store, platform: Platform::new(seed), promises: Promises::FIRST };
        history.world.clock.set(minute(history.platform.now));
        history
    }

    async fn start(&self) -> Life<St, Table> {
        let World { table, clock, .. } = &self.world;
        Life::start(Arc::new(self.promises.policy()), self.store.clone(), table.clone(), clock.clone()).await
    }

    async fn play(&mut self, step: Step, life: &mut Life<St, Table>, witness: &mut impl Witness) {
        let end = minute(step.until);
        self.world.clock.set(minute(step.from));
        self.world.table.away.store(step.blind, Ordering::SeqCst);
        if step.kind == Kind::Live {
            let before = self.world.table.rows.lock().unwrap().clone();
            self.platform.live(&mut self.world.table.rows.lock().unwrap(), step.from);
            witness.lives(&step, &before, &self.world.table.rows.lock().unwrap());
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
                Some(wake) => self.world.clock.set(wake),
                None => break,
            }
        }
        witness.ends(&step, life);
    }

    /// Now and then another policy is given to the process that runs.
    async fn reload(&mut self, life: &mut Life<St, Table>, witness: &mut impl Witness) {
        let Some(promises) = self.platform.reloads(self.promises) else { return };
        self.promises = promises;
        life.engine.adopt(Arc::new(promises.policy()));
        while life.engine.core().stale() != (0, 0) {
            life.step().await;
        }
        witness.reloads(promises, self.world.clock.now());
    }

    /// The process looks at the table, and so does the witness.
    async fn look(&self, step: Step, life: &mut Life<St, Table>, witness: &mut impl Witness) {
        // What is read while the clock is behind the last look tells nothing.
        if life.scan().await.is_ok() && step.kind != Kind::Again {
            witness.looks(&self.world.table.rows.lock().unwrap(), self.world.clock.now());
        }
    }
}
