//! How one report table is mapped into the monitor's terms.

use super::actors::Classifier;
use crate::core::facts::FactType;
use crate::core::id::Name;
use crate::core::observation::{Actor, EventName};
use crate::core::policy::DeletedMeans;
use crate::core::time::Span;
use crate::secret::Secret;
use crate::zone::Zone;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Lower-case letters, digits, '-' and '_': it stands in keys, logs and metrics.
    pub name: Name,
    /// postgres://, postgresql://, mysql://, mariadb:// or sqlite:
    pub url: Secret,
    pub poll: Span,
    /// Of columns that carry no zone.
    pub timezone: Zone,
    pub rows: RowsFrom,
    pub columns: Columns,
    /// Every mapped event; `received` is always among them.
    pub events: Vec<EventColumn>,
    /// Due dates that the source states, by the name that targets use.
    pub dues: Vec<DueColumn>,
    /// What predicates may read, by the name that they use.
    pub facts: Vec<FactColumn>,
    pub actors: Actors,
    pub states: States,
    pub reading: Reading,
}

impl Settings {
    /// A source whose last complete read is older than this is not seen: a minute, or two polls.
    pub fn stale_after(&self) -> Span {
        Span::from_mins(1).max(self.poll.plus(self.poll))
    }

    /// Whether it shows this event, in a column of the row or in its log of actions.
    pub fn maps(&self, event: EventName) -> bool {
        let logged = self.reading.history.iter().flat_map(|history| history.events.values());
        self.events.iter().map(|mapped| &mapped.name).chain(logged).any(|mapped| *mapped == event)
    }

    /// Whether it tells of any event who did it.
    pub fn maps_actors(&self) -> bool {
        let log_tells = self.reading.history.as_ref().is_some_and(|history| history.by.is_some());
        log_tells || self.events.iter().any(|event| event.by.is_some())
    }

    /// Who somebody is by this source's patterns.
    pub fn classify(&self, actor: &str) -> Actor {
        Classifier::new(self.actors.clone()).classify(actor)
    }

    /// Database time that one poll may spend on reading again what it already knows: a quarter of the
    /// time between two polls.
    pub fn budget(&self) -> Span {
        self.reading.budget.unwrap_or(Span::from_micros(self.poll.micros() / 4))
    }

    /// How often every open row is read, whatever the cursors have seen.
    pub fn sweep(&self) -> Span {
        self.reading.sweep.unwrap_or(Span::from_mins(15))
    }
}

/// How the table is read, beyond what its columns mean.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// The column that every change of a row moves forward; `None` where there is none to rely on.
    pub updated: Option<TimeColumn>,
    /// How far behind what has been read a change may still be stamped. `None`: as the database needs it.
    pub overlap: Option<Span>,
    pub budget: Option<Span>,
    pub sweep: Option<Span>,
    /// Where deadlines are verified, where the rows are read from a replica.
    pub verify_url: Option<Secret>,
    /// Files from which the urls are read anew for every connection: a password that was rotated is found.
    pub url_file: Option<PathBuf>,
    pub verify_url_file: Option<PathBuf>,
    pub history: Option<History>,
    /// Categories that a start asks for before all others.
    pub first: Vec<Name>,
}

#[derive(Clone, Debug)]
pub struct TimeColumn {
    pub column: String,
    pub unit: Option<Unit>,
}

/// A log of what happens to reports, one row an action.
#[derive(Clone, Debug)]
pub struct History {
    pub rows: RowsFrom,
    pub id: String,
    /// The column with the report's id.
    pub report: String,
    pub at: TimeColumn,
    pub by: Option<String>,
    /// The column that says what was done.
    pub name: String,
    /// What its values mean; any other value means nothing here.
    pub events: BTreeMap<String, EventName>,
}

#[derive(Clone, Debug)]
pub enum RowsFrom {
    /// `name` or `schema.name`; each part is quoted.
    Table(String),
    /// A select statement that yields the mapped columns; used as a derived table.
    Query(String),
}

#[derive(Clone, Debug)]
pub struct Columns {
    pub id: String,
    /// The reported item; empty makes each report its own case.
    pub case: Vec<String>,
    pub category: CategoryFrom,
}

#[derive(Clone, Debug)]
pub enum CategoryFrom {
    Column(String),
    /// The whole table is one category.
    Value(Name),
}

#[derive(Clone, Debug)]
pub struct EventColumn {
    pub name: EventName,
    pub column: String,
    /// The column that says who did it.
    pub by: Option<String>,
    pub unit: Option<Unit>,
}

#[derive(Clone, Debug)]
pub struct DueColumn {
    pub name: Name,
    pub column: String,
    pub unit: Option<Unit>,
}

#[derive(Clone, Debug)]
pub struct FactColumn {
    pub name: Name,
    pub column: String,
    pub kind: FactType,
}

/// The unit of a time column that is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
}

/// Patterns in which `*` stands for any run of characters.
#[derive(Clone, Debug, Default)]
pub struct Actors {
    pub automated: Vec<String>,
    pub people: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct States {
    pub column: Option<String>,
    /// Values of `column` in which the clocks of what is not P0 pause.
    pub paused: Vec<String>,
    pub outcome: Option<OutcomeFrom>,
    pub deleted_means: DeletedMeans,
}

#[derive(Clone, Debug)]
pub struct OutcomeFrom {
    pub column: String,
    /// Values that mean a violation; anything else, NULL included, means none.
    pub violation: Vec<String>,
}
