//! The engine: one input at a time goes through the core, into the store, and only then into memory.
//! A plan that can't be committed is discarded and decided anew, so nothing is lost and nothing happens
//! twice. It runs on a thread of its own; everything else reaches it through bounded channels.

use crate::core::act::{Act, Deed};
use crate::core::case::Case;
use crate::core::engine::{Core, Decision};
use crate::core::id::{CaseKey, Name, ReportKey};
use crate::core::plan::{Alarm, Input, PageKind, Plan, Rows};
use crate::core::policy::{Policy, Priority};
use crate::core::segments::Recalled;
use crate::core::sight::{Blindness, Looked};
use crate::core::time::{Span, Timestamp};
use crate::core::trouble::TroubleKind;
use crate::keys::Keys;
use crate::pager::payload::Payload;
use crate::run::beside::{Alone, Beside};
use crate::run::clock::Clock;
use crate::status::{Failure, StatusHandle};
use crate::store::{Commit, NewPage, Spool, Store, StoreError};
use crate::zone::rfc3339;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long a failed commit waits before it is tried again: at first, and at most.
const RETRY_FIRST: Span = Span::from_micros(50_000);
const RETRY_MOST: Span = Span::from_secs(1);
/// How often the store must have refused a value before the input that holds it is changed.
const REFUSALS_MIN: u32 = 2;

pub struct Engine<S: Store, C: Clock> {
    core: Core,
    store: Arc<S>,
    clock: C,
    keys: Keys,
    status: StatusHandle,
    token: u64,
    sequence: u64,
    /// The last commit before this process, and of each source the last of its segments that was taken up.
    began_after: u64,
    recalled: BTreeMap<Name, Option<u64>>,
    /// Until when each source was in sight before this process.
    seen_until: BTreeMap<Name, Timestamp>,
    /// What rang while the store was away, and of which it must be told.
    spool: Option<Arc<Spool>>,
    /// Whether it stands in for one whose store is away.
    stands_in: bool,
}

/// What one input led to.
#[derive(Debug, Default)]
pub struct Fed {
    /// Reports to read again by key.
    pub asks: Vec<(Priority, ReportKey)>,
    /// Whether pages were added to the P0 lane and to the other.
    pub pages_p0: bool,
    pub pages_lesser: bool,
    /// How long the commit took that the store took; `None` where there was nothing to commit.
    pub commit_took: Option<Span>,
}

impl<S: Store, C: Clock> Engine<S, C> {
    /// Starts from what the store remembers, under the token of this process's lead: P0 is back before any
    /// source is read.
    ///
    /// # Errors
    /// When the store can't be read.
    pub async fn start(
        policy: Arc<Policy>,
        store: Arc<S>,
        clock: C,
        keys: Keys,
        status: StatusHandle,
        token: u64,
    ) -> Result<Self, StoreError> {
        let (mut core, mut cases) = (Core::new(policy), 0);
        let restore = |part: Vec<Case>| {
            cases += part.len();
            core.restore_cases(part);
        };
        let stored = store.load_in_parts(restore).await?;
        tracing::info!(
            sequence = stored.sequence,
            token,
            cases,
            incidents = stored.incidents.len(),
            "leading the store"
        );
        core.restore_incidents(stored.incidents, stored.next_incident);
        core.remember_quiets(stored.quiets);
        core.remember(stored.arrived, stored.watched);
        status.update(|status| {
            status.leader = true;
            status.store.sequence = stored.sequence;
        });
        let seen_until = stored.seen_until;
        Ok(Engine { token, seen_until, ..Engine::of(core, store, clock, keys, status, stored.sequence) })
    }

    fn of(core: Core, store: Arc<S>, clock: C, keys: Keys, status: StatusHandle, sequence: u64) -> Self {
        Engine {
            core,
            store,
            clock,
            keys,
            status,
            token: 0,
            sequence,
            began_after: sequence,
            recalled: BTreeMap::new(),
            seen_until: BTreeMap::new(),
            spool: None,
            stands_in: false,
        }
    }

    /// An engine for as long as the store is away: it decides by `core`, and what it decides is thrown away.
    pub fn stand_in(core: Core, spool: Arc<S>, clock: C, keys: Keys, status: StatusHandle) -> Self {
        Engine { stands_in: true, ..Engine::of(core, spool, clock, keys, status, 0) }
    }

    /// Tells the store from now on what rang in an emergency.
    pub fn remember_spool(&mut self, spool: Arc<Spool>) {
        self.core.remember_rings(spool.left().clone());
        self.spool = Some(spool);
    }

    /// Takes a policy that was validated: decided by from now on, and every case is judged anew by it.
    pub fn adopt(&mut self, policy: Arc<Policy>) {
        self.core.adopt(policy);
    }

    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Until when a source was in sight before this process; `None` where it never was.
    pub fn seen_until(&self, source: &Name) -> Option<Timestamp> {
        self.seen_until.get(source).copied()
    }

    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Takes one input all the way. Returns once it is committed, however long the store is away.
    ///
    /// # Errors
    /// Only `Fenced` and `Unreadable`: this process must stop writing.
    pub async fn feed(&mut self, input: Input) -> Result<Fed, StoreError> {
        self.feed_beside(input, &mut Alone).await
    }

    /// As `feed`; while the store is away, `beside` does what can be done without it.
    ///
    /// # Errors
    /// As `feed`.
    pub async fn feed_beside(&mut self, mut input: Input, beside: &mut impl Beside) -> Result<Fed, StoreError> {
        beside.asks();
        let strangers = match &input {
            Input::Rows(rows) => self.core.strangers(rows),
            Input::Reassess { .. } => self.core.strangers_of_reassess(),
            Input::ScanEnded { .. }
            | Input::Sight { .. }
            | Input::Recalled(_)
            | Input::Trouble { .. }
            | Input::Act(_)
            | Input::Tick => Vec::new(),
        };
        let remembered = self.recall(strangers, &input, beside).await?;
        if let Input::Rows(Rows { recalled, .. }) | Input::Reassess { recalled } = &mut input {
            *recalled = remembered;
        }
        let (mut failed, mut wait) = (0, RETRY_FIRST);
        loop {
            let (decision, now) = match beside.taken_up_at() {
                Some(at) => (self.core.decide_urgent(&input, at), at),
                None => {
                    let now = self.clock.now();
                    (self.core.decide(&input, now), now)
                }
            };
            let error = match self.commit(&input, &decision, now, beside).await {
                Ok(()) => return Ok(self.apply(decision, now)),
                Err(error @ (StoreError::Fenced { .. } | StoreError::Unreadable { .. })) => return Err(error),
                Err(StoreError::Ambiguous { source, .. }) if self.was_committed(&input, beside).await? => {
                    tracing::warn!(error = %source, "a commit's answer was lost; the store has it");
                    return Ok(self.apply(decision, now));
                }
                Err(error) => error,
            };
            if failed == 0 {
                tracing::error!(%error, "the store does not take a plan; trying until it does");
            }
            failed += 1;
            if let Some((first, second)) = self.halves(&input, &error, failed) {
                return self.feed_halves(first, second, beside).await;
            }
            if let Some(without) = without_effect(&input, &error, failed) {
                input = without;
            }
            self.wait_for_the_store(&input, &error, &mut wait, beside).await;
        }
    }

    /// Tells that the store fails and that the engine is alive all the same, and waits, longer each time.
    async fn wait_for_the_store(&self, input: &Input, error: &StoreError, wait: &mut Span, beside: &mut impl Beside) {
        self.tell_failure(error);
        let pause = self.clock.sleep_until(self.clock.now().plus(*wait));
        beside.during(&self.core, Some(input), pause).await;
        *wait = wait.plus(*wait).min(RETRY_MOST);
    }

    fn tell_failure(&self, error: &StoreError) {
        let failure = Failure { at: self.clock.now(), cause: error.to_string() };
        self.status.update(|status| {
            status.engine_alive_at = Some(failure.at);
            status.store.last_error = Some(failure.clone());
        });
    }

    /// From now on the reports that were open before the start are taken up: the first look at the source is
    /// complete, so what it didn't see must be read by key.
    pub fn begin_recall(&mut self, source: &Name) {
        self.recalled.entry(source.clone()).or_insert(Some(0));
    }

    /// The next segment of each source, to be fed. A store that doesn't answer is asked again at the next look.
    pub async fn next_segments(&mut self, beside: &mut impl Beside) -> Vec<Input> {
        let waiting = self.recalled.iter().filter_map(|(source, after)| Some((source.clone(), (*after)?)));
        let mut next_ones = Vec::new();
        for (source, after) in waiting.collect::<Vec<_>>() {
            beside.asks();
            let segment = self.store.segment(&source, after, self.began_after);
            let (next, reports) = match beside.during(&self.core, None, segment).await {
                Ok(Some((no, segment))) => (Some(no), segment.reports),
                Ok(None) => (None, Vec::new()),
                Err(error @ StoreError::Unreadable { .. }) => {
                    tracing::error!(%error, "what was open before the start is not all known");
                    (None, Vec::new())
                }
                Err(error) => {
                    tracing::debug!(%error, "a segment can't be read; asking again");
                    continue;
                }
            };
            self.recalled.insert(source.clone(), next);
            let last = next.is_none();
            next_ones.push(Input::Recalled(Recalled { source, reports, last }));
        }
        next_ones
    }

    /// The store's memory of cases that an input may continue.
    async fn recall(
        &self,
        strangers: Vec<CaseKey>,
        input: &Input,
        beside: &mut impl Beside,
    ) -> Result<Vec<Case>, StoreError> {
        if strangers.is_empty() {
            return Ok(Vec::new());
        }
        let (mut failing, mut wait) = (false, RETRY_FIRST);
        loop {
            let error = match beside.during(&self.core, Some(input), self.store.recall(&strangers)).await {
                Ok(cases) => {
                    // What is recalled may lead to no commit, which would tell that the store is back.
                    if failing {
                        self.status.update(|status| status.store.last_error = None);
                    }
                    return Ok(cases);
                }
                Err(error @ (StoreError::Fenced { .. } | StoreError::Unreadable { .. })) => return Err(error),
                Err(error) => error,
            };
            if !failing {
                tracing::error!(%error, "the store does not recall; trying until it does");
            }
            failing = true;
            self.wait_for_the_store(input, &error, &mut wait, beside).await;
        }
    }

    #[tracing::instrument(name = "commit", level = "debug", skip_all, fields(sequence = self.sequence + 1))]
    async fn commit(
        &self,
        input: &Input,
        decision: &Decision,
        now: Timestamp,
        beside: &mut impl Beside,
    ) -> Result<(), StoreError> {
        let plan = &decision.plan;
        if !plan.is_durable() {
            return Ok(());
        }
        let pages = plan.pages.iter().map(|page| self.new_page(page, plan)).collect::<Result<Vec<_>, _>>()?;
        let sent = self.spool.as_ref().map(|spool| spool.sent(&pages)).unwrap_or_default();
        let commit = Commit {
            sequence: self.sequence + 1,
            token: self.token,
            at: now,
            plan,
            pages,
            next_incident: decision.next_incident,
            sent,
        };
        beside.during(&self.core, Some(input), self.store.commit(&commit)).await
    }

    fn new_page(&self, page: &crate::core::plan::Page, plan: &Plan) -> Result<NewPage, StoreError> {
        let payload = Payload::freeze(page, &self.keys);
        let payload = if self.stands_in { payload.without_a_store() } else { payload };
        let payload = serde_json::to_string(&payload)
            .map_err(|error| StoreError::Unreadable { operation: "freeze a page", what: error.to_string() })?;
        let incident = plan.incidents.get(&page.incident).or_else(|| self.core.incident(page.incident));
        let alert_key = incident.map(|of| self.keys.alert_of(of, page.round));
        let numbered = || self.keys.alert(page.incident, page.round);
        let of_round = alert_key.clone().unwrap_or_else(numbered);
        Ok(NewPage {
            incident: page.incident,
            round: page.round,
            step: page.step,
            channel: page.channel.clone(),
            kind: page.kind,
            priority: page.priority,
            created_at: page.created_at,
            delivery_key: self.keys.delivery(&of_round, page.step, &page.channel, page.kind),
            alert_key: match page.kind {
                PageKind::Ring => of_round,
                PageKind::Resolve => alert_key.unwrap_or_default(),
            },
            payload,
            fallbacks: page.fallbacks.clone(),
            in_place_of: None,
            is_test: page.is_test(),
        })
    }

    /// Whether a commit whose answer was lost happened. Asked until the store says so, because nothing else
    /// may be decided before: what is committed is what is applied.
    async fn was_committed(&self, input: &Input, beside: &mut impl Beside) -> Result<bool, StoreError> {
        let (mut failing, mut wait) = (false, RETRY_FIRST);
        loop {
            let error = match beside.during(&self.core, Some(input), self.store.settle(self.token)).await {
                Ok(sequence) => return Ok(sequence > self.sequence),
                Err(error @ (StoreError::Fenced { .. } | StoreError::Unreadable { .. })) => return Err(error),
                Err(error) => error,
            };
            if !failing {
                tracing::error!(%error, "the store does not say what it has; asking until it does");
            }
            failing = true;
            self.wait_for_the_store(input, &error, &mut wait, beside).await;
        }
    }

    fn apply(&mut self, decision: Decision, now: Timestamp) -> Fed {
        let plan = &decision.plan;
        let mut commit_took = None;
        if plan.is_durable() {
            self.sequence += 1;
            let (sequence, committed) = (self.sequence, self.clock.now());
            commit_took = Some(committed.since(now));
            self.status.update(|status| {
                (status.store.sequence, status.store.last_commit) = (sequence, Some(committed));
            });
        }
        if let Some(refusal) = plan.refused {
            tracing::warn!(inbox = plan.taken_up, refusal, "what was asked for has no effect");
        }
        for alarm in &plan.alarms {
            tell(alarm);
        }
        for warning in &plan.warnings {
            tracing::warn!(
                case = self.keys.reference(&warning.episode.case),
                priority = %warning.priority, category = %warning.category, target = %warning.target,
                left = %warning.deadline.since(now),
                "a deadline comes near"
            );
        }
        let fed = Fed {
            asks: asks(&self.core, plan),
            pages_p0: plan.pages.iter().any(|page| page.priority == Priority::P0),
            pages_lesser: plan.pages.iter().any(|page| page.priority != Priority::P0),
            commit_took,
        };
        if let Some(looked) = &plan.looked {
            tell_sight(self.core.blindness(&looked.source), looked);
        }
        self.core.apply(decision);
        fed
    }

    /// A value that the store refuses is found by halving the batch that holds it; other failures pass.
    fn halves(&self, input: &Input, error: &StoreError, failed: u32) -> Option<(Input, Input)> {
        let Input::Rows(rows) = input else { return None };
        if !error.is_refused_value() || failed < REFUSALS_MIN {
            return None;
        }
        if rows.rows.len() < 2 {
            let id = rows.rows.first().map(|row| row.id.to_string());
            tracing::error!(%error, source = %rows.source, report = id, "the store refuses what this row holds; the row is left out until it changes");
            let nothing = Rows { rows: Vec::new(), rejects: Vec::new(), ..rows.clone() };
            let (kind, subject) = (TroubleKind::RowRefused, rows.source.clone());
            return Some((Input::Rows(nothing), Input::Trouble { kind, subject, holds: true }));
        }
        let (first, second) = rows.rows.split_at(rows.rows.len() / 2);
        let first = Rows { rows: first.to_vec(), ..rows.clone() };
        let second = Rows { rows: second.to_vec(), rejects: Vec::new(), ..rows.clone() };
        Some((Input::Rows(first), Input::Rows(second)))
    }

    async fn feed_halves(&mut self, first: Input, second: Input, beside: &mut impl Beside) -> Result<Fed, StoreError> {
        let mut fed = Box::pin(self.feed_beside(first, beside)).await?;
        let more = Box::pin(self.feed_beside(second, beside)).await?;
        fed.asks.extend(more.asks);
        fed.pages_p0 |= more.pages_p0;
        fed.pages_lesser |= more.pages_lesser;
        Ok(fed)
    }
}

/// What a person did and the store refuses to keep is taken up without effect: it must not hold up a child's
/// case. An acknowledgement that has no effect lets the incident ring on.
fn without_effect(input: &Input, error: &StoreError, failed: u32) -> Option<Input> {
    let Input::Act(act) = input else { return None };
    if !error.is_refused_value() || failed < REFUSALS_MIN || act.deed == Deed::Unknown {
        return None;
    }
    tracing::error!(%error, inbox = act.inbox, kind = act.deed.kind(), "the store refuses what this entry leads to; it is taken up without effect");
    Some(Input::Act(Act { deed: Deed::Unknown, ..act.clone() }))
}

fn asks(core: &Core, plan: &Plan) -> Vec<(Priority, ReportKey)> {
    plan.asks.iter().map(|report| (core.priority_of(report), report.clone())).collect()
}

/// Each way to be blind as it begins and as it ends.
fn tell_sight(before: &[Blindness], looked: &Looked) {
    let source = &looked.source;
    for now in &looked.blindness {
        let known = before.iter().find(|before| before.kind == now.kind);
        if known.is_none_or(|known| known.categories != now.categories) {
            let since = rfc3339(now.since);
            tracing::error!(%source, kind = %now.kind, since, why = %now.why, "blind: {}", now.kind.words());
        }
    }
    for over in before.iter().filter(|before| looked.blindness.iter().all(|now| now.kind != before.kind)) {
        let since = rfc3339(over.since);
        tracing::info!(%source, kind = %over.kind, since, "no longer blind: it was that {}", over.kind.words());
    }
}

/// The operators' log; names, categories and ids only.
fn tell(alarm: &Alarm) {
    match alarm {
        Alarm::PresumedCategory { source, category } => tracing::warn!(
            %source, %category,
            "a category that the configuration does not name: presumed minor safety (P0); add it to [categories]"
        ),
        Alarm::ManyGone { source, count } => {
            tracing::error!(%source, count, "{}", crate::core::watch::MANY_GONE);
        }
        Alarm::RowsWithoutId { source, count } => {
            tracing::error!(%source, count, "rows without an id: no case can be made of them");
        }
        Alarm::Undecided { source, predicate } => tracing::warn!(
            %source, %predicate,
            "an expression can't be decided for a report: the stricter side was taken; is its fact a column of that type?"
        ),
        Alarm::AnchoredAtFirstSight { report } => tracing::warn!(
            %report,
            "received is unreadable or in the future: its clocks count from now; is the source's timezone right?"
        ),
        Alarm::Skew { report } => tracing::debug!(%report, "an event before received counts as happening at it"),
    }
}
