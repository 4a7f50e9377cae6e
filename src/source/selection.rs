//! Which columns a mapping reads and what each is for. A column that serves two purposes is read once;
//! one that serves none is never read.

use super::settings::{CategoryFrom, Settings, Unit};
use crate::core::facts::FactType;
use crate::core::id::Name;
use crate::core::observation::EventName;

/// What a column has to be able to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Id,
    Time(Option<Unit>),
    /// A code, a state, an actor, a fact, part of a subject: anything that has a text.
    Text,
}

#[derive(Clone, Debug)]
pub enum CategoryAt {
    Column(usize),
    Value(Name),
}

#[derive(Clone, Debug)]
pub struct EventAt {
    pub name: EventName,
    pub at: usize,
    pub by: Option<usize>,
    pub unit: Option<Unit>,
}

#[derive(Clone, Debug)]
pub struct DueAt {
    pub name: Name,
    pub at: usize,
    pub unit: Option<Unit>,
}

#[derive(Clone, Debug)]
pub struct FactAt {
    pub name: Name,
    pub at: usize,
    pub kind: FactType,
}

/// The mapping by index into the columns that are read.
#[derive(Clone, Debug)]
pub struct Selection {
    pub columns: Vec<Name>,
    /// Every purpose that the mapping has for a column, with its index.
    pub purposes: Vec<(usize, Purpose)>,
    pub id: usize,
    pub category: CategoryAt,
    pub case: Vec<usize>,
    pub received: Option<EventAt>,
    /// Every event but `received`.
    pub events: Vec<EventAt>,
    pub dues: Vec<DueAt>,
    pub facts: Vec<FactAt>,
    pub state: Option<usize>,
    pub outcome: Option<usize>,
    /// The column of changes.
    pub updated: Option<(usize, Option<Unit>)>,
}

#[derive(Default)]
struct Columns {
    names: Vec<Name>,
    purposes: Vec<(usize, Purpose)>,
}

impl Columns {
    fn add(&mut self, name: &str, purpose: Purpose) -> usize {
        let at = self.names.iter().position(|known| &**known == name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        });
        self.purposes.push((at, purpose));
        at
    }
}

impl Selection {
    pub fn of(settings: &Settings) -> Selection {
        let mut columns = Columns::default();
        let id = columns.add(&settings.columns.id, Purpose::Id);
        let category = match &settings.columns.category {
            CategoryFrom::Column(name) => CategoryAt::Column(columns.add(name, Purpose::Text)),
            CategoryFrom::Value(value) => CategoryAt::Value(value.clone()),
        };
        let case = settings.columns.case.iter().map(|name| columns.add(name, Purpose::Text)).collect();
        let all: Vec<EventAt> = settings
            .events
            .iter()
            .map(|event| EventAt {
                name: event.name,
                at: columns.add(&event.column, Purpose::Time(event.unit)),
                by: event.by.as_ref().map(|by| columns.add(by, Purpose::Text)),
                unit: event.unit,
            })
            .collect();
        let dues = settings
            .dues
            .iter()
            .map(|due| DueAt {
                name: due.name.clone(),
                at: columns.add(&due.column, Purpose::Time(due.unit)),
                unit: due.unit,
            })
            .collect();
        let state = settings.states.column.as_ref().map(|name| columns.add(name, Purpose::Text));
        let outcome = settings.states.outcome.as_ref().map(|outcome| columns.add(&outcome.column, Purpose::Text));
        let facts = settings
            .facts
            .iter()
            .map(|fact| FactAt {
                name: fact.name.clone(),
                at: columns.add(&fact.column, Purpose::Text),
                kind: fact.kind,
            })
            .collect();
        let updated = settings.reading.updated.as_ref();
        let updated = updated.map(|at| (columns.add(&at.column, Purpose::Time(at.unit)), at.unit));
        let (received, events): (Vec<_>, Vec<_>) = all.into_iter().partition(|event| event.name == EventName::Received);
        let Columns { names: columns, purposes } = columns;
        let received = received.into_iter().next();
        Selection { columns, purposes, id, category, case, received, events, dues, facts, state, outcome, updated }
    }

    /// The column that says when a report was closed.
    pub fn closed(&self) -> Option<&EventAt> {
        self.events.iter().find(|event| event.name == EventName::Closed)
    }

    pub fn name(&self, at: usize) -> &Name {
        &self.columns[at]
    }
}
