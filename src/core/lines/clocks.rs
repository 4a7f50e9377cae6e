//! The clocks of a line of which a target is overdue or was met, packed. What a breach was found by, and what was met in
//! time, can't be derived from the policy of now, so all of its clocks are kept as they are.

use super::table::{Number, Table};
use crate::core::clock::{Breach, Clock, ClockState, Ending};
use crate::core::id::{IncidentNo, Name};
use crate::core::observation::EventName;
use crate::core::time::Timestamp;
use crate::core::waiting::{Awaited, Waiting};
use std::num::NonZeroU32;

/// What clocks of many lines have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Promise {
    target: Name,
    until: EventName,
    obligation: bool,
}

/// One clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packed {
    /// `Timestamp::MAX` where it has none.
    deadline: Timestamp,
    /// When the breach was detected, or the target met.
    at: Timestamp,
    incident: Option<NonZeroU32>,
    promise: u16,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NotStarted,
    Running,
    Breached,
    /// Overdue already when its case was first seen.
    Inherited,
    /// Stands behind a breach: its target was met at last.
    MetLate,
    Met,
}

/// All clocks of a line; none where all of them run, and follow from the policy.
pub type Clocks = Box<[Packed]>;

/// Whether a clock says nothing but what became of its first deadline, and of no report apart. Each field is named, so that
/// a new one can't be forgotten here.
pub fn is_plain(clock: &Clock) -> bool {
    let Clock {
        target: _,
        until: _,
        report,
        obligation: _,
        started: _,
        deadline: _,
        warns_at,
        warned_of,
        since,
        state: _,
    } = clock;
    report.is_none() && warns_at.is_none() && warned_of.is_none() && since.is_none()
}

/// Gives what these clocks promise its numbers.
pub fn learn(clocks: &[Clock], promises: &mut Table<Promise>) {
    for clock in clocks {
        promises.number_of(Promise::of(clock));
    }
}

/// The clocks of a case whose report came in then; `None` where one says more than this can hold, or promises what has no
/// number.
pub fn pack(clocks: &[Clock], received: Timestamp, promises: &Table<Promise>) -> Option<Clocks> {
    let mut packed = Vec::with_capacity(clocks.len());
    for clock in clocks {
        let of_it = Packed::of(clock, received, promises)?;
        let met_late = clock.met_at().filter(|_| of_it.state != State::Met);
        packed.push(of_it);
        packed.extend(met_late.map(|at| Packed { at, incident: None, state: State::MetLate, ..of_it }));
    }
    Some(packed.into_boxed_slice())
}

/// The same of a report that only waits.
pub fn pack_waiting(waiting: &Waiting<'_>, promises: &Table<Promise>) -> Option<Clocks> {
    if waiting.targets.iter().all(|awaited| awaited.met_at.is_none()) {
        return Some(Clocks::default());
    }
    let mut packed = Vec::with_capacity(waiting.targets.len());
    for awaited in &waiting.targets {
        packed.push(Packed::of_awaited(awaited, promises)?);
    }
    Some(packed.into_boxed_slice())
}

/// The same clocks.
pub fn unpack(clocks: &[Packed], received: Timestamp, promises: &Table<Promise>) -> Vec<Clock> {
    let mut whole: Vec<Clock> = Vec::with_capacity(clocks.len());
    for packed in clocks {
        match (packed.state, whole.last_mut().map(|clock| &mut clock.state)) {
            (State::MetLate, Some(ClockState::Breached { ended, .. })) => *ended = Some(Ending::Met { at: packed.at }),
            _ => whole.extend(packed.whole(received, promises)),
        }
    }
    whole
}

/// Who is told of what is overdue.
pub fn incident(clocks: &[Packed]) -> Option<IncidentNo> {
    let met_late = clocks.iter().skip(1).map(|next| next.state == State::MetLate).chain([false]);
    clocks.iter().zip(met_late).filter(|(_, met_late)| !met_late).find_map(|(clock, _)| clock.incident())
}

/// Whether any of them was broken: the store holds it then.
pub fn is_stored(clocks: &[Packed]) -> bool {
    clocks.iter().any(|clock| matches!(clock.state, State::Breached | State::Inherited))
}

/// The number of what such a clock promises, where it has one.
fn number_of(clock: (&Name, EventName, bool), promises: &Table<Promise>) -> Option<u16> {
    let promise = promises.find(|held| (&held.target, held.until, held.obligation).cmp(&clock))?;
    u16::try_from(promise.get()).ok()
}

impl Promise {
    fn of(clock: &Clock) -> Promise {
        Promise { target: clock.target.clone(), until: clock.until, obligation: clock.obligation }
    }
}

impl Packed {
    fn of(clock: &Clock, received: Timestamp, promises: &Table<Promise>) -> Option<Packed> {
        let Clock { target, until, obligation, started, deadline, state, .. } = clock;
        if !is_plain(clock) || started.is_some_and(|at| at != received) || *deadline == Some(Timestamp::MAX) {
            return None;
        }
        let state = match state {
            ClockState::Running if started.is_none() => State::NotStarted,
            ClockState::Running => State::Running,
            ClockState::Breached { breach, ended: None | Some(Ending::Met { .. }), contradicted_at: None } => {
                let of_it = started.is_some() && *deadline == Some(breach.deadline);
                let state = if breach.inherited { State::Inherited } else { State::Breached };
                of_it.then_some(state)?
            }
            ClockState::Met { .. } if started.is_some() => State::Met,
            _ => return None,
        };
        let found_at = clock.breach().map(|breach| breach.detected_at);
        let incident = match clock.breach().and_then(|breach| breach.incident) {
            Some(IncidentNo(no)) => Some(NonZeroU32::new(u32::try_from(no).ok()?)?),
            None => None,
        };
        Some(Packed {
            deadline: deadline.unwrap_or(Timestamp::MAX),
            at: found_at.or(clock.met_at()).unwrap_or(Timestamp::MAX),
            incident,
            promise: number_of((target, *until, *obligation), promises)?,
            state,
        })
    }

    fn of_awaited(awaited: &Awaited<'_>, promises: &Table<Promise>) -> Option<Packed> {
        let Awaited { target, deadline, met_at } = awaited;
        let state = match met_at {
            Some(_) => State::Met,
            None if target.from == EventName::Received => State::Running,
            None => State::NotStarted,
        };
        Some(Packed {
            deadline: deadline.unwrap_or(Timestamp::MAX),
            at: met_at.unwrap_or(Timestamp::MAX),
            incident: None,
            promise: number_of((&target.name, target.until, false), promises)?,
            state,
        })
    }

    fn whole(&self, received: Timestamp, promises: &Table<Promise>) -> Option<Clock> {
        let Promise { target, until, obligation } = promises.get(Number::new(u32::from(self.promise))?)?.clone();
        let deadline = Some(self.deadline).filter(|at| *at < Timestamp::MAX);
        let breach = || Breach {
            deadline: self.deadline,
            detected_at: self.at,
            inherited: self.state == State::Inherited,
            incident: self.incident(),
        };
        let state = match self.state {
            State::MetLate => return None,
            State::Met => ClockState::Met { at: self.at },
            State::NotStarted | State::Running => ClockState::Running,
            State::Breached | State::Inherited => {
                ClockState::Breached { breach: breach(), ended: None, contradicted_at: None }
            }
        };
        Some(Clock {
            target,
            until,
            report: None,
            obligation,
            started: Some(received).filter(|_| self.state != State::NotStarted),
            deadline,
            warns_at: None,
            warned_of: None,
            since: None,
            state,
        })
    }

    fn incident(&self) -> Option<IncidentNo> {
        self.incident.map(|no| IncidentNo(u64::from(no.get())))
    }

    /// The deadline that it runs to.
    pub fn runs_to(&self) -> Option<Timestamp> {
        let runs = matches!(self.state, State::NotStarted | State::Running);
        Some(self.deadline).filter(|at| runs && *at < Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_clock_is_as_small_as_it_was_made_for() {
        assert_eq!(size_of::<Packed>(), 24);
    }
}
