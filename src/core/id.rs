//! Names of things: sources, reports, cases, incidents. Every key orders totally and prints
//! canonically, because stores, HMAC keys and tie-breaks are built on the printed form.

mod name;

pub use name::Name;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::fmt;

/// A report's id as its table has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ReportId {
    Int(i64),
    Uuid([u8; 16]),
    /// One of up to 23 bytes, as most are, lies in here and needs no memory of its own.
    Text(SmolStr),
}

/// One report, ordered by source first. `incarnation` counts from 0 and grows when a platform gives an id a second time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ReportKey {
    pub source: Name,
    pub id: ReportId,
    pub incarnation: u32,
}

/// A reported item as a keyed 128-bit hash: enough to join reports about it, useless to anyone else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subject(pub [u8; 16]);

/// One case: all P0 reports about one item, or a single report. Subjects come before reports, each by source first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CaseKey {
    Subject { source: Name, subject: Subject },
    Report(ReportKey),
}

/// One episode of a case: what the core holds, the store keeps and an outcome is written of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EpisodeKey {
    pub case: CaseKey,
    /// Counts from 0; a new one begins when a report arrives after an episode of P0 has ended.
    pub episode: u32,
}

/// An incident's number within one deployment, given in order of opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncidentNo(pub u64);

impl ReportId {
    /// What a text may be as an id, whose type only its table knows: a number, a uuid, or itself.
    pub fn readings(text: &str) -> impl Iterator<Item = ReportId> {
        let number = text.parse().ok().map(ReportId::Int);
        let digits: String = text.chars().filter(|c| *c != '-').collect();
        let uuid = (digits.len() == 32).then(|| u128::from_str_radix(&digits, 16).ok()).flatten();
        let uuid = uuid.map(|value| ReportId::Uuid(value.to_be_bytes()));
        number.into_iter().chain(uuid).chain([ReportId::Text(text.into())])
    }
}

impl CaseKey {
    #[inline]
    pub fn source(&self) -> &Name {
        match self {
            CaseKey::Subject { source, .. } => source,
            CaseKey::Report(report) => &report.source,
        }
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReportId::Int(id) => write!(f, "{id}"),
            ReportId::Uuid(bytes) => {
                for (i, byte) in bytes.iter().enumerate() {
                    let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                    write!(f, "{dash}{byte:02x}")?;
                }
                Ok(())
            }
            ReportId::Text(id) => write!(f, "{id}"),
        }
    }
}

impl fmt::Display for ReportKey {
    /// `source#incarnation:id`. Source names hold neither mark, and the id comes last, so two
    /// different keys of one source never print alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}:{}", self.source, self.incarnation, self.id)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({self})")
    }
}

impl fmt::Display for CaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CaseKey::Subject { source, subject } => write!(f, "{source}@{subject}"),
            CaseKey::Report(report) => write!(f, "{report}"),
        }
    }
}

impl fmt::Display for EpisodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.episode, self.case)
    }
}

impl fmt::Display for IncidentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I-{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cmp::Ordering;

    #[test]
    fn a_report_id_is_as_small_as_it_was_made_for() {
        assert_eq!(size_of::<ReportId>(), 24);
    }

    #[test]
    fn keys_order_by_the_letters_of_their_source_however_often_those_are_held() {
        let key = |source: &str, id| ReportKey { source: source.into(), id: ReportId::Int(id), incarnation: 0 };
        let subject = |source: &str| CaseKey::Subject { source: source.into(), subject: Subject([9; 16]) };
        assert_eq!(key("a", 1).cmp(&key("a", 1)), Ordering::Equal);
        let sorted = [
            subject("a"),
            subject("b"),
            CaseKey::Report(key("a", 2)),
            CaseKey::Report(ReportKey { incarnation: 1, ..key("a", 2) }),
            CaseKey::Report(key("a", 10)),
            CaseKey::Report(key("b", 1)),
        ];
        assert!(sorted.is_sorted_by(|a, b| a < b));
    }
}
