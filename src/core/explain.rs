//! Why a deadline is what it is: for each target the events it runs between, every stretch of time that
//! counted and every one that didn't, and the state of its clock. It looks at a case and changes nothing.

use super::calendar::{Calendar, Interval, Stretch, stretches};
use super::case::Case;
use super::clock::{Clock, ClockState, Ending};
use super::id::Name;
use super::observation::EventName;
use super::policy::{Due, Policy, Priority, Target};
use super::time::{Span, Timestamp};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub priority: Priority,
    pub rule: Name,
    pub targets: Vec<TargetExplained>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetExplained {
    pub name: Name,
    /// Imposed by a law or an authority: on wall time, never paused.
    pub obligation: bool,
    pub from: EventName,
    pub until: EventName,
    pub due: Due,
    /// When `from` happened; `None` while it hasn't.
    pub started: Option<Timestamp>,
    /// When `until` happened.
    pub met: Option<Timestamp>,
    pub deadline: Option<Timestamp>,
    /// What counted from the start until `until` happened, or until now: the sum of the counted walk.
    pub elapsed: Span,
    pub state: ExplainedState,
    /// From the start until `until` happened, or until now, without a gap.
    pub walk: Vec<(Interval, Stretch)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainedState {
    /// Its `from` hasn't happened, or no due date is stated.
    NotStarted,
    Running,
    /// Running, and standing still at this instant because the report is paused.
    Paused,
    Met,
    /// The deadline passed without proof yet.
    Due,
    Breached,
    /// Breached, and met since.
    MetLate,
    Moot,
}

impl ExplainedState {
    pub const fn as_str(self) -> &'static str {
        match self {
            ExplainedState::NotStarted => "not_started",
            ExplainedState::Running => "running",
            ExplainedState::Paused => "paused",
            ExplainedState::Met => "met",
            ExplainedState::Due => "due",
            ExplainedState::Breached => "breached",
            ExplainedState::MetLate => "met_late",
            ExplainedState::Moot => "moot",
        }
    }
}

/// Explains a case as it stood after `Case::refresh` at `now`.
pub fn explain(case: &Case, policy: &Policy, now: Timestamp) -> Explanation {
    let targets = policy.targets_of(case.priority, &case.rule);
    let explained = case.clocks.iter().filter_map(|clock| {
        let target = match clock.obligation {
            true => &policy.obligation(&clock.target)?.target,
            false => targets.iter().find(|target| target.name == clock.target)?,
        };
        Some(explain_target(case, target, clock, policy, now))
    });
    let not_begun = case.not_begun(policy).map(|obligation| {
        let clock = Clock::of_obligation(&obligation.target, None);
        explain_target(case, &obligation.target, &clock, policy, now)
    });
    let targets = explained.chain(not_begun).collect();
    Explanation { priority: case.priority, rule: case.rule.clone(), targets }
}

/// The calendar that a clock of this case counts on; none on wall time.
pub fn calendar_of<'p>(case: &Case, clock: &Clock, policy: &'p Policy) -> Option<&'p Calendar> {
    let targets = policy.targets_of(case.priority, &case.rule);
    targets.iter().find(|target| target.name == clock.target).and_then(|target| calendar_of_target(target, policy))
}

fn calendar_of_target<'p>(target: &Target, policy: &'p Policy) -> Option<&'p Calendar> {
    match &target.due {
        Due::Within { calendar: Some(name), .. } => policy.calendars.get(name).map(|calendar| &**calendar),
        Due::Within { calendar: None, .. } | Due::Stated { .. } => None,
    }
}

fn explain_target(case: &Case, target: &Target, clock: &Clock, policy: &Policy, now: Timestamp) -> TargetExplained {
    let calendar = calendar_of_target(target, policy);
    let (met, state) = state(case, clock);
    let stop = met.unwrap_or(now);
    let walk = match clock.started {
        Some(started) => {
            let pauses = if clock.obligation { &[] } else { case.credited() };
            stretches(calendar, started, stop.max(started), pauses)
        }
        None => Vec::new(),
    };
    let counted = walk.iter().filter(|(_, stretch)| *stretch == Stretch::Counted);
    let elapsed = counted.fold(Span::ZERO, |sum, (stretch, _)| sum.plus(stretch.until.since(stretch.from)));
    TargetExplained {
        name: clock.target.clone(),
        obligation: clock.obligation,
        from: target.from,
        until: target.until,
        due: target.due.clone(),
        started: clock.started,
        met,
        deadline: clock.breach().map(|breach| breach.deadline).or(clock.deadline),
        elapsed,
        state,
        walk,
    }
}

fn state(case: &Case, clock: &Clock) -> (Option<Timestamp>, ExplainedState) {
    let paused = !case.is_p0() && case.reports.values().any(|report| report.is_paused());
    match &clock.state {
        ClockState::Running if clock.deadline.is_none() => (None, ExplainedState::NotStarted),
        ClockState::Running if paused && !clock.obligation => (None, ExplainedState::Paused),
        ClockState::Running => (None, ExplainedState::Running),
        ClockState::Asked { .. } => (None, ExplainedState::Due),
        ClockState::Met { at } => (Some(*at), ExplainedState::Met),
        ClockState::Unverified { .. } | ClockState::Breached { ended: None, .. } => (None, ExplainedState::Breached),
        ClockState::Breached { ended: Some(Ending::Met { at }), .. } => (Some(*at), ExplainedState::MetLate),
        ClockState::Breached { ended: Some(Ending::Moot { .. }), .. } => (None, ExplainedState::Breached),
        ClockState::Moot => (None, ExplainedState::Moot),
    }
}
