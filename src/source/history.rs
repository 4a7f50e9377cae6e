//! A log of what happens to reports: what happens more than once, and by whom. Its rows are merged into the
//! reports at every kind of read, and a new row makes its report be read again.

use super::Batch;
use super::decode::{Cell, Decoder, report_id, short_text};
use super::feed::{Change, fingerprint};
use super::line::Mapping;
use super::selection::{CategoryAt, Purpose, Selection};
use super::settings::{History, Settings, Unit};
use crate::core::id::{Name, ReportId};
use crate::core::observation::{Event, EventName, Reject};
use crate::keys::Keys;
use std::collections::BTreeMap;

/// Actions that one statement reads at most; where reports have more, fewer of them are asked for at once.
pub const ACTIONS_PER_READ: usize = 100_000;
/// Of the actions of one name on one report, the earliest and the latest that count, each at most.
const ACTIONS_PER_END: usize = 100;

/// How a log is read: a mapping of its own, whose column of changes is the time of the action.
#[derive(Debug)]
pub struct HistoryMapping {
    pub mapping: Mapping,
    pub report: usize,
    at: (usize, Option<Unit>),
    by: Option<usize>,
    name: usize,
    events: BTreeMap<String, EventName>,
}

/// What a log says of reports, by the report's id as it prints.
#[derive(Debug, Default)]
pub struct Actions {
    events: BTreeMap<String, Vec<Event>>,
    rejects: Vec<(String, Reject)>,
}

impl HistoryMapping {
    pub fn of(settings: &Settings, keys: &Keys) -> Option<HistoryMapping> {
        let history = settings.reading.history.as_ref()?;
        let History { rows, id, report, at, by, name, events } = history;
        let mut columns: Vec<Name> = Vec::new();
        let mut purposes = Vec::new();
        let mut add = |column: &str, purpose: Purpose| {
            let place = columns.iter().position(|known| &**known == column).unwrap_or_else(|| {
                columns.push(column.into());
                columns.len() - 1
            });
            purposes.push((place, purpose));
            place
        };
        let id = add(id, Purpose::Id);
        let report = add(report, Purpose::Id);
        let at = (add(&at.column, Purpose::Time(at.unit)), at.unit);
        let by = by.as_ref().map(|by| add(by, Purpose::Text));
        let name = add(name, Purpose::Text);
        let selection = Selection {
            columns,
            purposes,
            id,
            category: CategoryAt::Value("".into()),
            case: Vec::new(),
            received: None,
            events: Vec::new(),
            dues: Vec::new(),
            facts: Vec::new(),
            state: None,
            outcome: None,
            updated: Some(at),
        };
        let settings = Settings { rows: rows.clone(), ..settings.clone() };
        let mapping = Mapping { settings, selection, keys: keys.clone(), history: None };
        Some(HistoryMapping { mapping, report, at, by, name, events: events.clone() })
    }

    /// The names of actions that mean something.
    pub fn names(&self) -> Vec<String> {
        self.events.keys().cloned().collect()
    }

    pub fn name_column(&self) -> &Name {
        self.mapping.selection.name(self.name)
    }

    /// Takes in one row.
    pub fn read(&self, decoder: &mut Decoder, cells: &[Cell<'_>], actions: &mut Actions) {
        let Ok(report) = report_id(cells[self.report]) else { return };
        let mut buffer = String::new();
        let Ok(Some(name)) = short_text(cells[self.name], &mut buffer) else { return };
        let Some(name) = self.events.get(name) else { return };
        let (at, unit) = self.at;
        match decoder.action(*name, (cells[at], unit), self.by.map(|by| cells[by])) {
            Ok(event) => actions.events.entry(report.to_string()).or_default().push(event),
            Err(flaw) => {
                let column = self.mapping.selection.name(at).clone();
                actions.rejects.push((report.to_string(), Reject { id: None, column, flaw }));
            }
        }
    }

    /// One row of the feed; `known_as` makes of what the log calls a report that report's own id.
    pub fn change(&self, cells: &[Cell<'_>], known_as: impl Fn(ReportId) -> Option<ReportId>) -> Change {
        let report = report_id(cells[self.report]).ok().and_then(known_as);
        let entry = report_id(cells[self.mapping.selection.id]).ok();
        Change { entry, report, fingerprint: fingerprint(cells), seen: None, rejects: Vec::new() }
    }
}

impl Actions {
    /// Joins the reports' own events and these.
    pub fn merge_into(mut self, batch: &mut Batch) {
        for seen in &mut batch.rows {
            let Some(row) = &mut seen.row else { continue };
            let Some(mut actions) = self.events.remove(&seen.id.to_string()) else { continue };
            bound(&mut actions);
            row.events.append(&mut actions);
            row.events.sort_by(|a, b| (a.at, a.name, &a.by).cmp(&(b.at, b.name, &b.by)));
            row.events.dedup();
        }
        let ids: BTreeMap<String, &ReportId> = batch.rows.iter().map(|seen| (seen.id.to_string(), &seen.id)).collect();
        let of_a_report = |(report, reject): (String, Reject)| {
            let id = ids.get(&report).copied()?.clone();
            Some(Reject { id: Some(id), ..reject })
        };
        let rejects: Vec<Reject> = self.rejects.into_iter().filter_map(of_a_report).collect();
        batch.rejects.extend(rejects);
    }
}

/// Leaves the earliest and the latest of each name and actor's kind of a report with very many actions.
fn bound(actions: &mut Vec<Event>) {
    if actions.len() <= 2 * ACTIONS_PER_END {
        return;
    }
    actions.sort_by(|a, b| (a.name, a.at, &a.by).cmp(&(b.name, b.at, &b.by)));
    let mut kept = Vec::new();
    for of_name in actions.chunk_by(|a, b| a.name == b.name) {
        let (first, last) = (ACTIONS_PER_END, of_name.len().saturating_sub(ACTIONS_PER_END));
        kept.extend(of_name.iter().enumerate().filter(|(n, _)| *n < first || *n >= last).map(|(_, e)| e.clone()));
    }
    *actions = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::observation::Actor;
    use crate::core::time::Timestamp;

    #[test]
    fn of_very_many_actions_the_first_and_the_last_of_each_name_stay() {
        let event = |n: i64, name| Event { at: Timestamp::from_secs(n), name, by: Actor::Automated };
        let mut actions: Vec<Event> = (0..5_000).map(|n| event(n, EventName::FirstResponse)).collect();
        actions.push(event(7_000, EventName::SecondReview));
        bound(&mut actions);
        assert_eq!(actions.len(), 2 * ACTIONS_PER_END + 1);
        let first = actions.iter().find(|event| event.name == EventName::FirstResponse).map(|event| event.at);
        assert_eq!(first, Some(Timestamp::from_secs(0)));
        assert!(actions.contains(&event(4_999, EventName::FirstResponse)));
        assert!(actions.contains(&event(7_000, EventName::SecondReview)));
    }
}
