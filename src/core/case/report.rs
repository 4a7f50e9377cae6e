//! A report as the monitor knows it: its row as last read, what its clocks count from, and which of its events count.

use super::closing;
use crate::core::facts;
use crate::core::observation::{Actor, Event, EventName, Received, Row};
use crate::core::policy::DeletedMeans;
use crate::core::sight::CLOCKS_APART_MAX;
use crate::core::time::Timestamp;
use crate::core::told::Told;
use serde::{Deserialize, Serialize};

/// One report as the monitor knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// As last read; kept as it was when the row is gone.
    pub row: Row,
    /// The instant its clocks count from: the row's own, or the first sight of a row whose own is
    /// unreadable or in the future.
    pub received: Timestamp,
    pub anchored_at_first_sight: bool,
    pub first_seen: Timestamp,
    /// When the last read that answered for this report began.
    pub read_began: Timestamp,
    /// Since when the row is gone from its table.
    pub gone: Option<Timestamp>,
    /// An earlier look at its facts, from which their growth is measured; `None` where nobody asks for it.
    #[serde(default)]
    pub base: Option<Look>,
    /// What people said of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
}

/// A look at a report's row.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// What has happened before, it shows.
    pub began: Timestamp,
    /// What it shows has happened before.
    pub taken_in: Timestamp,
}

impl Read {
    /// One that took no time.
    pub fn at(now: Timestamp) -> Self {
        Read { began: now, taken_in: now }
    }
}

/// Facts and when they were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub at: Timestamp,
    pub facts: facts::Facts,
}

impl Report {
    /// A report as first seen. A `received` that can't be read, or is stated for the future, is anchored at the read
    /// itself.
    pub fn first_sight(row: Row, read: Read) -> Self {
        let stated = row.received.stated(read.taken_in);
        Report {
            received: stated.unwrap_or(read.began),
            anchored_at_first_sight: stated.is_none(),
            first_seen: stated.unwrap_or(read.began).max(read.began),
            read_began: read.began,
            gone: None,
            base: None,
            told: Vec::new(),
            row,
        }
    }

    /// The same report, read anew where it now belongs: what its clocks count from stays.
    pub fn moved(self, row: Row, read_began: Timestamp) -> Self {
        let mut moved = Report { read_began, gone: None, row, ..self };
        moved.anchor();
        moved
    }

    /// A `received` that is stated earlier than what the clocks count from moves them in; nothing moves
    /// them out.
    pub(super) fn anchor(&mut self) {
        if let Received::At(at) = self.row.received
            && at < self.received
        {
            (self.received, self.anchored_at_first_sight) = (at, false);
        }
    }

    /// Its id belongs to another report now: no read will ever tell more of it.
    pub fn is_superseded(&self) -> bool {
        self.read_began == Timestamp::MAX
    }

    /// The earliest event of this name that counts for the case.
    pub(super) fn event(&self, name: EventName, p0: bool) -> Option<Timestamp> {
        self.instants(name, p0).min()
    }

    /// When events of this name happened that count for the case, never before `received`: those of the row as [`seen`],
    /// and what people said as they said it.
    pub(super) fn instants(&self, name: EventName, p0: bool) -> impl Iterator<Item = Timestamp> {
        let told = self.told.iter().filter_map(Told::event).filter(counting(name, p0)).map(|event| event.at);
        seen(&self.row, name, p0, self.read_began).chain(told).map(|at| at.max(self.received))
    }

    /// The event of the closure that counts.
    pub(super) fn closing(&self, p0: bool) -> Option<&Event> {
        closing(&self.row, p0)
    }

    /// The closure that counts. Below P0, and only where the source says so, deletion is one.
    pub(super) fn closure(&self, p0: bool, deleted_means: DeletedMeans) -> Option<Timestamp> {
        let deleted = self.gone.filter(|_| !p0 && deleted_means == DeletedMeans::Closed);
        self.event(EventName::Closed, p0).or(deleted)
    }

    pub fn is_paused(&self) -> bool {
        self.row.paused && self.gone.is_none()
    }
}

/// When events of this name happened, of those that a row shows and that count. What is stated for later than its read, and
/// than clocks can explain, happened no later than that began.
pub fn seen(row: &Row, name: EventName, p0: bool, read_began: Timestamp) -> impl Iterator<Item = Timestamp> {
    let latest = read_began.plus(CLOCKS_APART_MAX);
    row.events.iter().filter(counting(name, p0)).map(move |event| if event.at > latest { read_began } else { event.at })
}

/// Events of this name that count.
fn counting(name: EventName, p0: bool) -> impl Fn(&&Event) -> bool {
    move |event| event.name == name && counts(event, p0)
}

/// F2: on P0 an automated actor, or one that nobody can name, satisfies only what a machine may do.
/// Below P0 an automated closure counts and an automated first response doesn't.
pub(super) fn counts(event: &Event, p0: bool) -> bool {
    let machine = match &event.by {
        Actor::Unmapped | Actor::Person(_) => false,
        Actor::Automated => true,
        Actor::Unknown => p0,
    };
    match event.name {
        EventName::Removed | EventName::Filed | EventName::ReporterNotified => true,
        // They only begin a clock: whoever took a request or an order down, it has come.
        EventName::ValidRequest | EventName::AuthorityOrder => true,
        EventName::FirstResponse | EventName::ReviewerAction | EventName::SecondReview => !machine,
        _ => !(machine && p0),
    }
}
