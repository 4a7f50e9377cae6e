//! How old what is open is, when it falls due next, and how long answers took: kept up case by case as plans
//! are taken in, so that nobody has to walk the queue to know it.

use super::case::{Case, Conclusion};
use super::clock::{Clock, ClockState, Ending};
use super::draft::MemberKey;
use super::id::{EpisodeKey, IncidentNo, Name};
use super::incident::Incident;
use super::lines::Lines;
use super::plan::{BreachRecord, Outcome, Plan, TargetOutcome};
use super::policy::Priority;
use super::time::{Span, Timestamp};
use super::view::Group;
use super::waiting::Waiting;
use hashbrown::HashMap;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// Lengths that a promise is made of, in seconds: one minute to seven days.
pub const SLA_SECS: [i64; 12] = [60, 300, 900, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 172_800, 259_200, 604_800];

/// A distribution over `SLA_SECS`; what is longer is in `count` alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Lengths {
    /// Those no longer than each, but longer than the one before.
    pub up_to: [u64; SLA_SECS.len()],
    pub count: u64,
    pub sum: Span,
}

/// What is open in a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Open {
    /// When the oldest came in, to the minute, rounded towards older.
    pub oldest: Timestamp,
    /// The nearest unmet deadline, to the second; past when it is overdue.
    pub next_due: Option<Timestamp>,
    /// By age: open cases no older than each of `SLA_SECS`.
    pub within: [u64; SLA_SECS.len()],
    pub count: u64,
}

/// What is told of it to the rest of the house.
#[derive(Clone, Debug, Default, Serialize)]
pub struct PaceView {
    /// Groups in which anything is open.
    pub open: BTreeMap<Group, Open>,
    /// From receipt to the first response and to the closing, of what happened since the process started.
    pub first_response: BTreeMap<Group, Lengths>,
    pub closing: BTreeMap<Group, Lengths>,
    /// From a deadline that passed unmet to an acknowledgement, and to the target's being met.
    pub acknowledged: BTreeMap<Priority, Lengths>,
    pub acted: BTreeMap<Priority, Lengths>,
    /// Targets met in time since the process started, by group and target.
    pub met_total: BTreeMap<(Group, Name), u64>,
}

/// What a read told of the answers to a case that nobody had heard of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    group: Group,
    /// From receipt.
    first_response: Option<Span>,
    closing: Option<Span>,
    /// Targets met in time.
    met: Vec<Name>,
}

#[derive(Debug, Default)]
pub struct Pace {
    open: BTreeMap<Group, Slots>,
    first_response: BTreeMap<Group, Lengths>,
    closing: BTreeMap<Group, Lengths>,
    acknowledged: BTreeMap<Priority, Lengths>,
    acted: BTreeMap<Priority, Lengths>,
    met: BTreeMap<(Group, Name), u64>,
}

/// Whole cases that are open by their ages, and by the second of their next deadline.
#[derive(Debug, Default)]
struct Slots {
    ages: Ages,
    due_secs: BTreeMap<i64, u32>,
}

/// Open cases by the hour of their receipt, and the minute in it. As many hours as cases at most.
#[derive(Debug, Default)]
pub struct Ages(HashMap<i64, Box<[u32; 60]>>);

impl Lengths {
    pub fn add(&mut self, length: Span) {
        let length = length.max(Span::ZERO);
        if let Some(place) = SLA_SECS.iter().position(|secs| length <= Span::from_secs(*secs)) {
            self.up_to[place] += 1;
        }
        self.count += 1;
        self.sum = self.sum.plus(length);
    }

    /// The sum of both.
    pub fn merge(&mut self, other: &Lengths) {
        for (ours, theirs) in self.up_to.iter_mut().zip(other.up_to) {
            *ours += theirs;
        }
        self.count += other.count;
        self.sum = self.sum.plus(other.sum);
    }
}

impl Pace {
    /// A case of a group begins or ceases to be open.
    pub fn count(&mut self, group: &Group, received: Timestamp, due: Option<Timestamp>, by: i64) {
        let slots = match self.open.get_mut(group) {
            Some(slots) => slots,
            None => self.open.entry(group.clone()).or_default(),
        };
        slots.ages.count(received, by);
        if let Some(deadline) = due {
            shift(&mut slots.due_secs, deadline.micros().div_euclid(1_000_000), by);
        }
    }

    /// What a plan tells of answers, before it is taken in. A first look at a source finds old answers, which
    /// are no news.
    pub fn hear(
        &mut self,
        plan: &Plan,
        held: &BTreeMap<EpisodeKey, Box<Case>>,
        lines: &Lines,
        incidents: &BTreeMap<IncidentNo, Box<Incident>>,
        most_urgent: impl Fn(IncidentNo) -> Option<MemberKey>,
        caught_up: &BTreeSet<Name>,
    ) {
        let before = |key: &EpisodeKey| {
            let whole = held.get(key).map(|case| Cow::Borrowed(&**case));
            whole.or_else(|| lines.answered(key).map(Cow::Owned))
        };
        let outcomes: BTreeMap<&EpisodeKey, &Outcome> =
            plan.outcomes.iter().map(|outcome| (&outcome.episode, outcome)).collect();
        let freed = plan.kept.iter().filter(|kept| kept.settled);
        let freed: BTreeMap<&EpisodeKey, &Case> = freed.map(|kept| (&kept.case.key, &*kept.case)).collect();
        for (key, after) in &plan.cases {
            let before = before(key);
            let told = after.as_deref().or_else(|| freed.get(key).copied());
            // What is only recalled was told before.
            let is_news = caught_up.contains(key.case.source()) && told.is_none_or(is_new);
            if before.is_some() || is_news || lines.slot_of(key).is_some() {
                let outcome = outcomes.get(key).copied();
                if let Some(answers) = Answers::between(before.as_deref(), after.as_deref(), outcome) {
                    self.answered(&answers);
                }
            }
        }
        plan.answers.iter().for_each(|answers| self.answered(answers));
        for breach in plan.breaches.iter().filter(|breach| !breach.inherited) {
            if let Some(Ending::Met { at }) = breach.ended
                && !was_met(before(&breach.episode).as_deref(), breach)
            {
                self.acted.entry(breach.priority).or_default().add(at.since(breach.deadline));
            }
        }
        for incident in plan.incidents.values() {
            let before = incidents.get(&incident.no).and_then(|incident| incident.acknowledged.as_ref());
            let Some(taken) = incident.acknowledged.as_ref().filter(|taken| Some(*taken) != before) else { continue };
            let Some((priority, deadline, _)) = most_urgent(incident.no) else { continue };
            self.acknowledged.entry(priority).or_default().add(taken.at.since(deadline));
        }
    }

    fn answered(&mut self, answers: &Answers) {
        let Answers { group, first_response, closing, met } = answers;
        if let Some(length) = first_response {
            self.first_response.entry(group.clone()).or_default().add(*length);
        }
        if let Some(length) = closing {
            self.closing.entry(group.clone()).or_default().add(*length);
        }
        for target in met {
            *self.met.entry((group.clone(), target.clone())).or_default() += 1;
        }
    }

    /// With what is open of the cases of which no more than a line is held.
    pub fn view(&self, now: Timestamp, lines: impl Iterator<Item = (Group, Open)>) -> PaceView {
        let whole = self.open.iter().filter_map(|(group, slots)| Some((group.clone(), slots.open(now)?)));
        let mut open: BTreeMap<Group, Open> = whole.collect();
        for (group, of_lines) in lines {
            let merged = open.remove(&group).map_or(of_lines.clone(), |of_cases| of_cases.with(&of_lines));
            open.insert(group, merged);
        }
        PaceView {
            open,
            first_response: self.first_response.clone(),
            closing: self.closing.clone(),
            acknowledged: self.acknowledged.clone(),
            acted: self.acted.clone(),
            met_total: self.met.clone(),
        }
    }
}

impl Answers {
    /// What is news of a case as it was before, if anybody has heard of it, and is now, or ended.
    pub fn between(before: Option<&Case>, after: Option<&Case>, outcome: Option<&Outcome>) -> Option<Answers> {
        let (group, received, response, ended) = match (after, outcome) {
            (Some(case), _) => (Group::of(case), case.received(), case.first_response(), case.ended),
            (None, Some(outcome)) => {
                let source = outcome.episode.case.source().clone();
                let group = Group { source, category: outcome.category.clone(), priority: outcome.priority };
                (group, outcome.received, outcome.first_response, Some((outcome.ended_at, outcome.conclusion)))
            }
            (None, None) => return None,
        };
        let response = response.filter(|_| before.and_then(Case::first_response).is_none());
        let closed =
            ended.filter(|(_, how)| *how != Conclusion::Vanished && before.is_none_or(|case| case.ended.is_none()));
        Some(Answers {
            group,
            first_response: response.map(|at| at.since(received)),
            closing: closed.map(|(at, _)| at.since(received)),
            met: Answers::met(before, after, outcome),
        })
    }

    /// What is news of a report that only waits, and of which nobody has heard.
    pub fn of_waiting(source: &Name, waiting: &Waiting<'_>) -> Answers {
        let Waiting { row, assessment, received, first_response, .. } = *waiting;
        let (source, category) = (source.clone(), row.category.clone());
        let met = waiting.targets.iter().filter(|awaited| awaited.met_at.is_some());
        Answers {
            group: Group { source, category, priority: assessment.priority },
            first_response: first_response.map(|at| at.since(received)),
            closing: None,
            met: met.map(|awaited| awaited.target.name.clone()).collect(),
        }
    }

    /// Targets that are met in time now and weren't before. A case that settles is told by its outcome.
    fn met(before: Option<&Case>, after: Option<&Case>, outcome: Option<&Outcome>) -> Vec<Name> {
        let met_before = |place: usize, target: &Name| {
            let clock = before.and_then(|case| case.clocks.get(place)).filter(|clock| clock.target == *target);
            clock.is_some_and(|clock| matches!(clock.state, ClockState::Met { .. }))
        };
        let is_news = |(place, told): (usize, TargetOutcome)| {
            let in_time = told.deadline.zip(told.met_at).is_some_and(|(deadline, at)| at <= deadline);
            (in_time && !told.breached && !met_before(place, &told.target)).then_some(told.target)
        };
        match (after, outcome) {
            (Some(case), _) => case.clocks.iter().map(TargetOutcome::of).enumerate().filter_map(is_news).collect(),
            (None, Some(outcome)) => outcome.targets.iter().cloned().enumerate().filter_map(is_news).collect(),
            (None, None) => Vec::new(),
        }
    }
}

impl Slots {
    fn open(&self, now: Timestamp) -> Option<Open> {
        self.ages.open(self.due_secs.first_key_value().map(|(due, _)| Timestamp::from_secs(*due)), now)
    }
}

impl Ages {
    /// A case that came in then begins or ceases to be open.
    pub fn count(&mut self, received: Timestamp, by: i64) {
        let minute = minute_of(received);
        let hour = minute.div_euclid(60);
        let minutes = self.0.entry(hour).or_insert_with(|| Box::new([0; 60]));
        let Some(count) = minutes.get_mut(minute.rem_euclid(60) as usize) else { return };
        *count = shifted(*count, by);
        if *count == 0 && minutes.iter().all(|count| *count == 0) {
            self.0.remove(&hour);
        }
    }

    /// `None` where nothing is open. `next_due` is told to the second.
    pub fn open(&self, next_due: Option<Timestamp>, now: Timestamp) -> Option<Open> {
        let now_minute = minute_of(now);
        let firsts = SLA_SECS.map(|up_to| now_minute.saturating_sub(up_to / 60).saturating_add(1));
        let (mut oldest, mut count, mut within) = (i64::MAX, 0, [0; SLA_SECS.len()]);
        for (hour, minutes) in &self.0 {
            for (minute, came) in (hour * 60..).zip(minutes.iter()).filter(|(_, came)| **came > 0) {
                oldest = oldest.min(minute);
                count += u64::from(*came);
                // Whatever is too old for one span is so for all that are shorter.
                let longest_first = firsts.iter().zip(&mut within).rev();
                let young = longest_first.take_while(|(first, _)| minute >= **first);
                young.for_each(|(_, sum)| *sum += u64::from(*came));
            }
        }
        if count == 0 {
            return None;
        }
        let oldest = Timestamp::from_secs(oldest.saturating_mul(60));
        let next_due = next_due.map(|due| Timestamp::from_secs(due.micros().div_euclid(1_000_000)));
        Some(Open { oldest, next_due, within, count })
    }
}

impl Open {
    /// Both together.
    fn with(&self, other: &Open) -> Open {
        let mut within = self.within;
        for (ours, theirs) in within.iter_mut().zip(other.within) {
            *ours += theirs;
        }
        Open {
            oldest: self.oldest.min(other.oldest),
            next_due: self.next_due.into_iter().chain(other.next_due).min(),
            within,
            count: self.count + other.count,
        }
    }
}

fn shift(slots: &mut BTreeMap<i64, u32>, slot: i64, by: i64) {
    let count = slots.entry(slot).or_default();
    *count = shifted(*count, by);
    if *count == 0 {
        slots.remove(&slot);
    }
}

fn shifted(count: u32, by: i64) -> u32 {
    u32::try_from((i64::from(count) + by).max(0)).unwrap_or(u32::MAX)
}

/// Since 1970.
fn minute_of(at: Timestamp) -> i64 {
    at.micros().div_euclid(60_000_000)
}

/// Whether no read has seen it before.
fn is_new(case: &Case) -> bool {
    case.reports.values().all(|report| report.first_seen >= report.read_began)
}

/// Whether the breach was over, by being met, before.
fn was_met(case: Option<&Case>, breach: &BreachRecord) -> bool {
    let same = |clock: &&Clock| (&clock.target, &clock.report) == (&breach.target, &breach.report);
    let clock = case.and_then(|case| case.clocks.iter().find(same));
    matches!(clock.map(|clock| &clock.state), Some(ClockState::Breached { ended: Some(Ending::Met { .. }), .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_counted_up_to_its_bucket_and_what_is_longer_only_in_all() {
        let mut lengths = Lengths::default();
        for secs in [0, 60, 61, 604_800, 604_801] {
            lengths.add(Span::from_secs(secs));
        }
        assert_eq!((lengths.up_to[0], lengths.up_to[1], lengths.up_to[11], lengths.count), (2, 1, 1, 5));
        let mut twice = lengths.clone();
        twice.merge(&lengths);
        assert_eq!((twice.up_to[0], twice.count, twice.sum), (4, 10, lengths.sum.plus(lengths.sum)));
    }

    #[test]
    fn open_cases_are_counted_by_age_and_a_closed_one_leaves_no_trace() {
        let mut ages = Ages::default();
        let now = Timestamp::from_secs(600_000);
        let came = |age_mins| now.minus(Span::from_mins(age_mins));
        for age_mins in [0, 4, 59, 60 * 24 * 30] {
            ages.count(came(age_mins), 1);
        }
        let open = ages.open(None, now).expect("something is open");
        assert_eq!((open.within[0], open.within[1], open.within[4], open.within[11], open.count), (1, 2, 3, 3, 4));
        assert_eq!(now.since(open.oldest), Span::from_hours(24 * 30));
        for age_mins in [0, 4, 59, 60 * 24 * 30] {
            ages.count(came(age_mins), -1);
        }
        assert!(ages.open(None, now).is_none() && ages.0.is_empty());
    }
}
