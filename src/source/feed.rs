//! What a cursor follows and where it stands: rows in the order of a time column and an id, both as the
//! database holds them, so that it compares them as they are and can use an index.

use super::decode::Cell;
use super::settings::Unit;
use super::{Batch, ScanPosition};
use crate::core::id::{Name, ReportId};
use crate::core::observation::{Observation, Reject};
use crate::core::time::{Span, Timestamp};
use crate::zone::Zone;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// What a cursor follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeedKind {
    /// Rows by the column that every change moves forward.
    Changed,
    /// Rows by when the report came in.
    Received,
    /// The log of actions.
    History,
}

/// A time in the encoding of its column.
#[derive(Clone, Debug, PartialEq)]
pub enum Stamp {
    /// Microseconds since 1970 UTC.
    Instant(i64),
    /// A wall clock's reading, in microseconds as if it were UTC.
    Local(i64),
    Int(i64),
    Float(f64),
    Text(String),
}

/// Behind the row of this stamp and id; without an id, before every row of the stamp.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    pub stamp: Stamp,
    pub id: Option<ScanPosition>,
}

/// Where a page begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Begin {
    /// At what is stamped with this instant.
    Since(Timestamp),
    Behind(Place),
}

/// A row that a feed yields.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The row's own id, by which it is known again; of a history it is the action's.
    pub entry: Option<ReportId>,
    /// The report that it is about. `None`: its id can't be read.
    pub report: Option<ReportId>,
    /// Of everything that was read of the row.
    pub fingerprint: u64,
    /// The report as the row shows it; of a history there is none.
    pub seen: Option<Observation>,
    pub rejects: Vec<Reject>,
}

/// One page of a feed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    pub rows: Vec<Change>,
    /// Where the page began, as the column writes it.
    pub began: Option<Place>,
    /// Behind the last row whose stamp isn't ahead of the database's clock.
    pub settled: Option<Place>,
    /// Behind the last row; `None` when there was none.
    pub next: Option<Place>,
    /// The column isn't of the type that the cursor knew: it must begin anew.
    pub lost: bool,
}

/// The database's clock and transactions at one moment. Everything that isn't among the transactions and
/// wrote before has been committed, and every statement from now on sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// `None` where the database's clock is the monitor's own.
    pub clock: Option<Timestamp>,
    /// `None` where nobody can see them.
    pub live: Option<Live>,
    /// Set where the answers come from a replica: the commit that it has replayed last, if it knows one.
    pub replica: Option<Replayed>,
    /// A row was read whose stamp of its last change is missing.
    pub lacks_stamps: bool,
}

/// When the last transaction was committed that a replica has replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replayed(pub Option<Timestamp>);

/// Transactions that have not ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    pub running: BTreeSet<Name>,
    pub prepared: BTreeSet<Name>,
}

impl Changes {
    /// Takes the reports out, so that what a log says of them can be merged in.
    pub fn take_seen(&mut self) -> Batch {
        Batch { rows: self.rows.iter_mut().filter_map(|change| change.seen.take()).collect(), rejects: Vec::new() }
    }

    /// Puts the reports back that were taken out, in their order, with what was rejected meanwhile.
    pub fn give_back(&mut self, batch: Batch) {
        let mut seen = batch.rows.into_iter();
        for change in self.rows.iter_mut().filter(|change| change.entry.is_some()) {
            change.seen = seen.next();
        }
        if let Some(change) = self.rows.first_mut() {
            change.rejects.extend(batch.rejects);
        }
    }
}

impl Stamp {
    /// A cell of a time column; `None` where it holds no time.
    pub fn of(cell: Cell<'_>) -> Option<Stamp> {
        match cell {
            Cell::Time(micros) => Some(Stamp::Instant(micros)),
            Cell::LocalTime(micros) => Some(Stamp::Local(micros)),
            Cell::Int(number) => Some(Stamp::Int(number)),
            Cell::Float(number) => Some(Stamp::Float(number)),
            Cell::Text(text) => Some(Stamp::Text(text.to_owned())),
            Cell::Null | Cell::Large(_) | Cell::Bool(_) | Cell::BadText | Cell::Uuid(_) | Cell::Other => None,
        }
    }

    /// An instant as a number of this unit, rounded down.
    pub fn number(at: Timestamp, unit: Unit) -> i64 {
        match unit {
            Unit::Seconds => at.micros().div_euclid(1_000_000),
            Unit::Milliseconds => at.micros().div_euclid(1_000),
        }
    }

    /// A wall clock's reading in a zone.
    pub fn local(at: Timestamp, zone: Zone) -> Stamp {
        Stamp::Local(zone.local(at).and_utc().timestamp_micros())
    }

    /// An instant as text in ISO 8601, to the second and without an offset, in the form of a sample: with a
    /// 'T' or a space, in UTC where the sample names its offset, else in the zone.
    pub fn text_like(sample: &str, at: Timestamp, zone: Zone) -> Stamp {
        // The sample is what a database holds, so it may be any text.
        let names_offset = sample.bytes().skip(19).any(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-'));
        let reading = if names_offset { Zone::UTC.local(at) } else { zone.local(at) };
        let between = if sample.as_bytes().get(10) == Some(&b' ') { ' ' } else { 'T' };
        Stamp::Text(reading.format(&format!("%Y-%m-%d{between}%H:%M:%S")).to_string())
    }
}

/// When the clocks go back, a table of local times writes an hour for the second time: the place that was
/// reached lies ahead of the clock then, and what is new lies before it.
pub fn behind_the_fold(place: &Place, clock: Timestamp, zone: Zone) -> Place {
    const STRETCH: Span = Span::from_mins(1);
    match (&place.stamp, Stamp::local(clock, zone)) {
        (Stamp::Local(reached), Stamp::Local(now)) if *reached > now => {
            Place { stamp: Stamp::local(clock.minus(STRETCH), zone), id: None }
        }
        _ => place.clone(),
    }
}

/// A number by which a row is known to be the same as before.
pub fn fingerprint(cells: &[Cell<'_>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for cell in cells {
        std::mem::discriminant(cell).hash(&mut hasher);
        match cell {
            Cell::Null | Cell::BadText | Cell::Other => {}
            Cell::Int(value) | Cell::Time(value) | Cell::LocalTime(value) => value.hash(&mut hasher),
            Cell::Large(value) => value.hash(&mut hasher),
            Cell::Float(value) => value.to_bits().hash(&mut hasher),
            Cell::Bool(value) => value.hash(&mut hasher),
            Cell::Text(value) => value.hash(&mut hasher),
            Cell::Uuid(value) => value.hash(&mut hasher),
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_its_column_writes_times() {
        let at = Timestamp::from_micros(1_750_000_000_999_999);
        let new_york: Zone = "America/New_York".parse().expect("a zone");
        let like = |sample: &str| Stamp::text_like(sample, at, new_york);
        assert_eq!(like("2024-01-01T00:00:00.123Z"), Stamp::Text("2025-06-15T15:06:40".into()));
        assert_eq!(like("2024-01-01 00:00:00+00:00"), Stamp::Text("2025-06-15 15:06:40".into()));
        assert_eq!(like("2024-01-01 00:00:00"), Stamp::Text("2025-06-15 11:06:40".into()));
        assert_eq!(like(""), Stamp::Text("2025-06-15T11:06:40".into()));
        assert_eq!(like("éééééééééé until Zürich"), Stamp::Text("2025-06-15T15:06:40".into()));
        assert_eq!(Stamp::number(at, Unit::Milliseconds), 1_750_000_000_999);
        assert_eq!(Stamp::local(at, new_york), Stamp::Local(1_749_985_600_999_999));
    }

    #[test]
    fn in_the_hour_that_comes_twice_the_cursor_goes_back_with_the_clock() {
        let berlin: Zone = "Europe/Berlin".parse().expect("a zone");
        // 2025-10-26T00:59:00Z is 02:59 in summer time, a minute and a half later it is 02:00:30.
        let before = Timestamp::from_secs(1_761_440_340);
        let place = Place { stamp: Stamp::local(before, berlin), id: None };
        assert_eq!(behind_the_fold(&place, before.plus(Span::from_secs(30)), berlin), place);
        let back = behind_the_fold(&place, before.plus(Span::from_secs(90)), berlin);
        assert_eq!(back.stamp, Stamp::local(before.plus(Span::from_secs(30)), berlin));
    }

    #[test]
    fn a_row_is_known_again_by_every_cell_and_its_kind() {
        let row = [Cell::Int(1), Cell::Text("a"), Cell::Null];
        assert_eq!(fingerprint(&row), fingerprint(&[Cell::Int(1), Cell::Text("a"), Cell::Null]));
        for other in [[Cell::Int(2), row[1], row[2]], [row[0], Cell::Text("b"), row[2]], [row[0], row[1], Cell::Int(0)]]
        {
            assert_ne!(fingerprint(&row), fingerprint(&other));
        }
        assert_ne!(fingerprint(&[Cell::Time(5)]), fingerprint(&[Cell::Int(5)]));
    }
}
