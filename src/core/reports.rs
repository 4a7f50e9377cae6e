//! The reports of one case, in the order of their keys. Nearly every case has one, so they lie in a vector
//! of exactly their number: a map's smallest node would hold eleven.

use super::case::Report;
use super::id::ReportKey;
use serde::{Deserialize, Serialize};
use std::ops::Index;

/// As JSON a list of (key, report), because a key is no name that JSON could give a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<(ReportKey, Report)>")]
pub struct Reports(Vec<(ReportKey, Report)>);

impl Reports {
    pub fn new() -> Self {
        Reports::default()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get(&self, key: &ReportKey) -> Option<&Report> {
        self.place(key).ok().map(|place| &self.0[place].1)
    }

    pub fn get_mut(&mut self, key: &ReportKey) -> Option<&mut Report> {
        self.place(key).ok().map(|place| &mut self.0[place].1)
    }

    pub fn contains_key(&self, key: &ReportKey) -> bool {
        self.place(key).is_ok()
    }

    /// Puts a report in its place, over the one that has its key.
    pub fn insert(&mut self, key: ReportKey, report: Report) {
        match self.place(&key) {
            Ok(place) => self.0[place].1 = report,
            Err(place) => {
                if self.0.is_empty() {
                    self.0.reserve_exact(1);
                }
                self.0.insert(place, (key, report));
            }
        }
    }

    pub fn remove(&mut self, key: &ReportKey) -> Option<Report> {
        self.place(key).ok().map(|place| self.0.remove(place).1)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&ReportKey, &Report)> {
        self.0.iter().map(|(key, report)| (key, report))
    }

    pub fn keys(&self) -> impl Iterator<Item = &ReportKey> + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl Iterator<Item = &Report> {
        self.0.iter().map(|(_, report)| report)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Report> {
        self.0.iter_mut().map(|(_, report)| report)
    }

    fn place(&self, key: &ReportKey) -> Result<usize, usize> {
        self.0.binary_search_by(|(held, _)| held.cmp(key))
    }
}

impl From<Vec<(ReportKey, Report)>> for Reports {
    /// In any order; of two with one key the last counts.
    fn from(reports: Vec<(ReportKey, Report)>) -> Self {
        let mut sorted = Reports(Vec::with_capacity(reports.len()));
        for (key, report) in reports {
            sorted.insert(key, report);
        }
        sorted
    }
}

impl<const N: usize> From<[(ReportKey, Report); N]> for Reports {
    fn from(reports: [(ReportKey, Report); N]) -> Self {
        Reports::from(Vec::from(reports))
    }
}

impl Index<&ReportKey> for Reports {
    type Output = Report;

    /// # Panics
    /// Where there is no such report.
    fn index(&self, key: &ReportKey) -> &Report {
        &self.0[self.place(key).unwrap_or(usize::MAX)].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::case::Read;
    use crate::core::id::ReportId;
    use crate::core::observation::{Received, Row, Verdict};
    use crate::core::time::Timestamp;

    fn pair(id: i64, at: i64) -> (ReportKey, Report) {
        let row = Row {
            received: Received::At(Timestamp::from_secs(at)),
            category: "spam".into(),
            subject: None,
            events: Vec::new(),
            dues: Vec::new(),
            paused: false,
            verdict: Verdict::Unmapped,
            facts: Default::default(),
        };
        let key = ReportKey { source: "reports".into(), id: ReportId::Int(id), incarnation: 0 };
        (key, Report::first_sight(row, Read::at(Timestamp::from_secs(1_000))))
    }

    #[test]
    fn reports_stand_in_the_order_of_their_keys_whatever_the_order_of_their_coming() {
        let reports = Reports::from([pair(3, 1), pair(1, 2), pair(2, 3)]);
        let ids: Vec<String> = reports.keys().map(|key| key.id.to_string()).collect();
        assert_eq!(ids, ["1", "2", "3"]);
        assert_eq!(reports[&pair(2, 0).0].received, Timestamp::from_secs(3));
    }

    #[test]
    fn a_report_of_the_same_key_replaces_and_a_removed_one_is_gone() {
        let mut reports = Reports::from([pair(1, 1), pair(2, 2), pair(1, 9)]);
        assert_eq!(reports.len(), 2);
        assert_eq!(reports.get(&pair(1, 0).0).map(|report| report.received), Some(Timestamp::from_secs(9)));
        assert_eq!(reports.remove(&pair(1, 0).0).map(|report| report.received), Some(Timestamp::from_secs(9)));
        assert!(!reports.contains_key(&pair(1, 0).0) && reports.remove(&pair(1, 0).0).is_none());
    }
}
