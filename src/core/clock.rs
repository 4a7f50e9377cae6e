//! One target's clock: when it started, when it is due, what became of it. `tick` is the only way a
//! clock changes state; it is told what is known and how good that knowledge is.

use super::calendar::{Calendar, Interval, due_with_pauses};
use super::id::{IncidentNo, Name, ReportKey};
use super::observation::EventName;
use super::policy::{Due, Target};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a read at a deadline may take before a P0 pages without proof.
pub const PROOF_WITHIN: Span = Span::from_secs(2);

/// The clock of one target in one episode; with `report`, of one report in it (`reporter_notified`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    pub target: Name,
    pub until: EventName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReportKey>,
    /// The target is an obligation's: nothing pauses it, and no recategorisation ends it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub obligation: bool,
    /// When `from` happened; `None` while it hasn't.
    pub started: Option<Timestamp>,
    /// `None` while the clock hasn't started, and for a stated due date that is NULL.
    pub deadline: Option<Timestamp>,
    /// When it warns of its deadline; `None` where it doesn't, or has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warns_at: Option<Timestamp>,
    /// The deadline that it has warned of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned_of: Option<Timestamp>,
    /// Of a target that repeats, the occurrence that it counts from; `None` the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    pub state: ClockState,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockState {
    /// Not started, or running towards its deadline.
    Running,
    /// The deadline passed and the row is being read for proof.
    Asked {
        at: Timestamp,
    },
    /// No proof came in time: a P0 has paged, and the clock still waits for the first answer.
    Unverified {
        breach: Breach,
    },
    Met {
        at: Timestamp,
    },
    /// Verified and immutable; later evidence is appended.
    Breached {
        breach: Breach,
        ended: Option<Ending>,
        contradicted_at: Option<Timestamp>,
    },
    /// The episode ended in a way that leaves nothing to wait for.
    Moot,
}

/// How an overdue target stopped being overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Met {
        at: Timestamp,
    },
    /// The episode ended without it, such as `removed` after a decision of no violation.
    Moot {
        at: Timestamp,
    },
}

impl Ending {
    /// A closure ends with a reopening, and what an ended episode left moot is owed again with it.
    fn can_be_undone(self, until: EventName) -> bool {
        until == EventName::Closed || matches!(self, Ending::Moot { .. })
    }
}

/// The fact that a deadline passed unmet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breach {
    pub deadline: Timestamp,
    pub detected_at: Timestamp,
    /// Already overdue when the case was first seen: pages like any other, counted apart.
    pub inherited: bool,
    /// Who is told; `None` where the rule names no escalation.
    pub incident: Option<IncidentNo>,
}

/// What is known about a target's two events at an instant.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// When `from` happened.
    pub started: Option<Timestamp>,
    /// When `until` happened.
    pub happened: Option<Timestamp>,
    /// What all that is known makes the deadline; a breach keeps the one that it was found by.
    pub due: Option<Timestamp>,
    /// Everything known of the case comes from reads that began no earlier than this.
    pub read_began: Timestamp,
    /// Since when the episode's end leaves nothing to wait for.
    pub moot: Option<Timestamp>,
    /// A deadline before this was already missed when the monitor first saw the case.
    pub first_seen: Timestamp,
    /// When the latest of its reports was first seen.
    pub joined: Timestamp,
    pub p0: bool,
}

impl Evidence {
    /// Whether a target that was met, at this instant, is no longer. A closure is undone by a reopening,
    /// or on P0 by a report that joins; a second review doesn't cover a later "no violation". On P0 an
    /// earlier report moves the deadline in, and what came after that was no timely answer to it.
    fn undoes(&self, met_at: Timestamp, deadline: Timestamp, until: EventName) -> bool {
        let open_again = self.happened.is_none() && self.moot.is_none();
        match until {
            EventName::Closed if open_again => true,
            EventName::Closed if self.p0 => self.happened.is_some() && (self.joined > met_at || met_at > deadline),
            EventName::SecondReview if open_again => self.started.is_some_and(|started| started > met_at),
            _ => self.p0 && met_at > deadline,
        }
    }
}

/// What a step of a clock did that others must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Nothing,
    /// The deadline comes near.
    Warn,
    /// The deadline passed: read the row again.
    Ask,
    /// A breach without proof, for a P0.
    BreachUnverified,
    Breach,
    /// A breach without proof was proved; nothing rings anew.
    Verify,
    /// Proof that an unverified breach never was.
    Withdraw,
    /// An overdue target was met at last, or nothing is left to wait for.
    End,
    /// What had met the target was undone, and its deadline has passed: overdue once more.
    Relapse,
    /// Evidence of an event before the deadline of a verified breach.
    Contradict,
}

impl Clock {
    pub fn new(target: &Target, report: Option<ReportKey>) -> Self {
        Clock {
            target: target.name.clone(),
            until: target.until,
            report,
            obligation: false,
            started: None,
            deadline: None,
            warns_at: None,
            warned_of: None,
            since: None,
            state: ClockState::Running,
        }
    }

    /// The clock of an obligation.
    pub fn of_obligation(target: &Target, report: Option<ReportKey>) -> Self {
        Clock { obligation: true, ..Clock::new(target, report) }
    }

    /// The target of a clock whose own is no longer promised: enough to see it met.
    pub fn left_over(&self) -> Target {
        let due = Due::Within { span: Span::ZERO, calendar: None };
        Target {
            name: self.target.clone(),
            from: EventName::Received,
            until: self.until,
            due,
            warn: None,
            repeat: None,
        }
    }

    /// Running, asked or unverified: the clock still has something to find out.
    pub fn is_open(&self) -> bool {
        match &self.state {
            ClockState::Running => self.deadline.is_some(),
            ClockState::Asked { .. } | ClockState::Unverified { .. } => true,
            ClockState::Met { .. } | ClockState::Breached { .. } | ClockState::Moot => false,
        }
    }

    /// Its deadline has passed and the row is being read for proof.
    pub fn is_being_proved(&self) -> bool {
        matches!(self.state, ClockState::Asked { .. })
    }

    /// When it was met, in time or late.
    pub fn met_at(&self) -> Option<Timestamp> {
        match &self.state {
            ClockState::Met { at } | ClockState::Breached { ended: Some(Ending::Met { at }), .. } => Some(*at),
            _ => None,
        }
    }

    /// What was met is owed again, counted from when it was.
    pub fn begin_anew(&mut self, since: Timestamp) {
        (self.since, self.started, self.state) = (Some(since), Some(since), ClockState::Running);
        (self.deadline, self.warns_at) = (None, None);
    }

    /// A breach, proved or not, whose target is still unmet.
    pub fn is_overdue(&self) -> bool {
        matches!(&self.state, ClockState::Unverified { .. } | ClockState::Breached { ended: None, .. })
    }

    pub fn breach(&self) -> Option<&Breach> {
        match &self.state {
            ClockState::Unverified { breach } | ClockState::Breached { breach, .. } => Some(breach),
            _ => None,
        }
    }

    pub fn breach_mut(&mut self) -> Option<&mut Breach> {
        match &mut self.state {
            ClockState::Unverified { breach } | ClockState::Breached { breach, .. } => Some(breach),
            _ => None,
        }
    }

    /// The deadline that ranks the case: the one it runs to or is overdue by.
    pub fn unmet_deadline(&self) -> Option<Timestamp> {
        match &self.state {
            ClockState::Running | ClockState::Asked { .. } => self.deadline,
            ClockState::Unverified { breach } | ClockState::Breached { breach, ended: None, .. } => {
                Some(breach.deadline)
            }
            ClockState::Met { .. } | ClockState::Breached { .. } | ClockState::Moot => None,
        }
    }

    /// When time alone changes this clock: just past its deadline, since a target met at the very
    /// instant is met; and for a P0 when proof is overdue.
    pub fn wakes_at(&self, p0: bool) -> Option<Timestamp> {
        match &self.state {
            ClockState::Running => {
                let passed = self.deadline.map(|at| at.plus(Span::from_micros(1)));
                passed.into_iter().chain(self.warns_at).min()
            }
            ClockState::Asked { at } if p0 => Some(at.plus(PROOF_WITHIN)),
            _ => None,
        }
    }

    /// Gives the clock the deadline that the evidence of now asks for. A breach keeps its own, and what was
    /// met is not judged by a shorter one: another policy doesn't reach into the past.
    pub fn set_deadline(
        &mut self,
        evidence: &Evidence,
        deadline: Option<Timestamp>,
        warn: Option<Span>,
        now: Timestamp,
    ) {
        let Evidence { started, happened, .. } = *evidence;
        let still_met = |at: Timestamp| happened == Some(at) && self.started == started;
        let is_past = matches!(self.state, ClockState::Met { at } if still_met(at));
        let tightens = deadline.zip(self.deadline).is_some_and(|(new, held)| new < held);
        if self.breach().is_some() || is_past && tightens {
            return;
        }
        (self.started, self.deadline) = (started, deadline);
        let unwarned = deadline.filter(|at| self.warned_of != Some(*at));
        self.warns_at = unwarned.zip(warn).map(|(at, before)| at.minus(before));
        let moved_out = deadline.is_none_or(|at| at >= now);
        if moved_out && matches!(self.state, ClockState::Asked { .. }) {
            self.state = ClockState::Running;
        }
    }

    /// One step of the clock, after `set_deadline` from the same evidence.
    pub fn step(&mut self, evidence: &Evidence, now: Timestamp) -> Turn {
        use ClockState::{Asked, Breached, Met, Moot, Running, Unverified};
        let Some(deadline) = self.breach().map(|breach| breach.deadline).or(self.deadline) else {
            return self.step_without_deadline(evidence);
        };
        // What came in time for a breach's own deadline was late all the same where an earlier report, seen
        // later, moved the deadline in.
        let is_breached = matches!(self.state, Breached { .. });
        let judged_by = evidence.due.filter(|due| is_breached && *due < deadline).unwrap_or(deadline);
        let in_time = evidence.happened.filter(|at| *at <= judged_by);
        let late = evidence.happened.filter(|at| *at > judged_by);
        let over = late.map(|at| Ending::Met { at }).or(evidence.moot.map(|at| Ending::Moot { at }));
        let moot = evidence.moot.is_some_and(|at| at <= deadline) && late.is_none();
        let proved = (now > deadline && evidence.read_began > deadline) || late.is_some();
        let inherited = evidence.first_seen > deadline;
        let fresh = || Breach { deadline, detected_at: now, inherited, incident: None };
        match (&mut self.state, in_time) {
            (Met { at }, None) if evidence.undoes(*at, deadline, self.until) => {
                self.state = Running;
                self.step(evidence, now)
            }
            (Moot, _) if evidence.moot.is_none() => {
                self.state = Running;
                self.step(evidence, now)
            }
            (Met { .. } | Moot, _) => Turn::Nothing,
            (Running | Asked { .. }, Some(at)) => {
                self.state = Met { at };
                Turn::Nothing
            }
            (Unverified { .. }, Some(at)) => {
                self.state = Met { at };
                Turn::Withdraw
            }
            (Breached { ended, contradicted_at: contradicted_at @ None, .. }, Some(at)) => {
                *contradicted_at = Some(now);
                *ended = ended.or(Some(Ending::Met { at }));
                Turn::Contradict
            }
            (Breached { ended: ended @ None, .. }, Some(at)) => {
                *ended = Some(Ending::Met { at });
                Turn::End
            }
            (Running | Asked { .. }, None) if moot => {
                self.state = Moot;
                Turn::Nothing
            }
            (Unverified { .. }, None) if moot => {
                self.state = Moot;
                Turn::Withdraw
            }
            (Running | Asked { .. }, None) if proved => {
                self.state = Breached { breach: fresh(), ended: over, contradicted_at: None };
                Turn::Breach
            }
            (Unverified { breach }, None) if proved => {
                self.state = Breached { breach: breach.clone(), ended: over, contradicted_at: None };
                if over.is_some() { Turn::End } else { Turn::Verify }
            }
            (Breached { ended: ended @ None, .. }, _) if over.is_some() => {
                *ended = over;
                Turn::End
            }
            (Breached { ended, .. }, None)
                if over.is_none() && ended.is_some_and(|was| was.can_be_undone(self.until)) =>
            {
                *ended = None;
                Turn::Relapse
            }
            (Running, None) if now <= deadline && self.warns_at.is_some_and(|at| at <= now) => {
                (self.warned_of, self.warns_at) = (Some(deadline), None);
                Turn::Warn
            }
            (Running, None) if now > deadline => {
                self.state = Asked { at: now };
                Turn::Ask
            }
            (Asked { at }, None) if evidence.p0 && now >= at.plus(PROOF_WITHIN) => {
                self.state = Unverified { breach: fresh() };
                Turn::BreachUnverified
            }
            (Running | Asked { .. } | Unverified { .. } | Breached { .. }, _) => Turn::Nothing,
        }
    }

    fn step_without_deadline(&mut self, evidence: &Evidence) -> Turn {
        if self.state == ClockState::Moot && evidence.moot.is_none() {
            self.state = ClockState::Running;
        }
        if self.state == ClockState::Running {
            match evidence.happened {
                Some(at) if evidence.started.is_some() => self.state = ClockState::Met { at },
                _ if evidence.moot.is_some() => self.state = ClockState::Moot,
                _ => {}
            }
        }
        Turn::Nothing
    }
}

/// When a target is due. `stated` is the due date the source gives, where the target asks for one.
/// `None`: the clock hasn't started, or no date is stated.
pub fn deadline(
    due: &Due,
    started: Option<Timestamp>,
    stated: Option<Timestamp>,
    calendar: Option<&Calendar>,
    pauses: &[Interval],
) -> Option<Timestamp> {
    match due {
        Due::Stated { .. } => started.and(stated),
        Due::Within { span, .. } => {
            // Outside the compiled table nothing is known; to ring early beats never.
            let horizon = calendar.map(Calendar::horizon);
            let started = started?;
            let from = horizon.map_or(started, |horizon| started.max(horizon.from));
            due_with_pauses(calendar, from, *span, pauses).or(horizon.map(|horizon| horizon.until))
        }
    }
}
