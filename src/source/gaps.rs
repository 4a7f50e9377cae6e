//! What can't be enforced with the columns that a source maps: said by `check` and `doctor` in the same words.

use super::settings::{CategoryFrom, Settings};
use crate::core::observation::EventName;

/// A behaviour that lacks its column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// What to map, as the configuration calls it.
    pub lacks: &'static str,
    /// What therefore can't be enforced.
    pub behaviour: &'static str,
}

/// In the order in which they hurt.
pub fn gaps(settings: &Settings) -> Vec<Gap> {
    let history = settings.reading.history.as_ref();
    let in_log = |name: EventName| history.is_some_and(|log| log.events.values().any(|event| *event == name));
    let maps = |name: EventName| in_log(name) || settings.events.iter().any(|event| event.name == name);
    let named = history.is_some_and(|log| log.by.is_some()) || settings.events.iter().any(|event| event.by.is_some());
    let actor = named && !settings.actors.people.is_empty();
    let all = [
        (
            maps(EventName::Closed),
            "events.closed",
            "a report counts as open until its row is gone, and no deadline on `closed` can be met",
        ),
        (
            actor,
            "`by` of an event, and actors.people",
            "F2, F3: that a script answered or closed a minor's report can't be told from a person",
        ),
        (
            settings.states.outcome.is_some(),
            "states.outcome",
            "F3: a closure of a minor's report as \"no violation\" isn't seen, so nobody must review it",
        ),
        (
            !settings.columns.case.is_empty(),
            "columns.case",
            "F1, F4, F5: reports about one item are not joined, so a repeated report changes nothing",
        ),
        (maps(EventName::Filed), "events.filed", "F9: that what was confirmed is also filed can't be seen"),
        (
            maps(EventName::ReporterNotified),
            "events.reporter_notified",
            "F10: that the reporter was told can't be seen",
        ),
        (
            maps(EventName::ReviewerAction),
            "events.reviewer_action",
            "F16: whether somebody acts after an acknowledgement is judged by met targets alone",
        ),
        (
            matches!(settings.columns.category, CategoryFrom::Column(_)),
            "columns.category",
            "F11, F19: the whole table is one category, so a new or a missing one can't be seen",
        ),
    ];
    let lacking = all.into_iter().filter(|(mapped, _, _)| !mapped);
    lacking.map(|(_, lacks, behaviour)| Gap { lacks, behaviour }).collect()
}
