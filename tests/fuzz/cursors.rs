//! Where cursors stand, played against a table whose transactions write a stamp when they begin and are seen
//! when they commit: whatever they do, what they have committed is handed on, or a sweep is called for.

use crate::INPUTS;
use crate::bytes::{Bytes, text};
use bolero::check;
use std::collections::BTreeMap;
use tocsin::core::id::{Name, ReportId};
use tocsin::core::time::{Span, Timestamp};
use tocsin::source::ScanPosition;
use tocsin::source::cursor::Cursor;
use tocsin::source::feed::{Begin, Change, Changes, FeedKind, Live, Moment, Place, Stamp};

/// Rows of one page.
const PAGE: usize = 3;
const OVERLAP: Span = Span::from_secs(2);

#[derive(Clone, Copy)]
enum Deed {
    Begin { row: i64 },
    Commit { which: usize },
    Prepare { which: usize },
    Abort { which: usize },
    Poll,
}

struct Transaction {
    name: Name,
    is_prepared: bool,
    stamp: i64,
    row: i64,
    version: u64,
}

#[derive(Default)]
struct Table {
    now: i64,
    /// Of each row its stamp and version, as committed.
    rows: BTreeMap<i64, (i64, u64)>,
    open: Vec<Transaction>,
    versions: u64,
    /// The version of each row that was handed on last.
    handed: BTreeMap<i64, u64>,
}

impl Table {
    fn act(&mut self, deed: Deed, cursor: &mut Cursor) {
        let open = self.open.len();
        match deed {
            // A row is locked by whoever changes it.
            Deed::Begin { row } if self.open.iter().all(|transaction| transaction.row != row) => {
                self.versions += 1;
                let name = format!("3/{}", self.versions).into();
                let (stamp, version) = (self.now, self.versions);
                self.open.push(Transaction { name, is_prepared: false, stamp, row, version });
            }
            Deed::Commit { which } if open > 0 => {
                let done = self.open.remove(which % open);
                self.rows.insert(done.row, (done.stamp, done.version));
            }
            Deed::Prepare { which } if open > 0 => {
                let transaction = &mut self.open[which % open];
                (transaction.name, transaction.is_prepared) = (format!("{}", transaction.version).into(), true);
            }
            Deed::Abort { which } if open > 0 => drop(self.open.remove(which % open)),
            Deed::Poll => self.poll(cursor),
            _ => {}
        }
    }

    fn moment(&self) -> Moment {
        let names = |prepared: bool| {
            let of_kind = self.open.iter().filter(|transaction| transaction.is_prepared == prepared);
            of_kind.map(|transaction| transaction.name.clone()).collect()
        };
        Moment { live: Some(Live { running: names(false), prepared: names(true) }), ..Moment::default() }
    }

    fn poll(&mut self, cursor: &mut Cursor) {
        let (moment, clock) = (self.moment(), Timestamp::from_secs(self.now));
        let mut begin = cursor.begin(clock, clock, &moment);
        loop {
            let mut page = self.page(&begin);
            let (is_full, next) = (page.rows.len() == PAGE, page.next.take());
            cursor.take(&mut page, &moment);
            let rows = page.rows.iter().filter_map(|change| match change.entry {
                Some(ReportId::Int(id)) => Some((id, change.fingerprint)),
                _ => None,
            });
            self.handed.extend(rows);
            match next.filter(|_| is_full) {
                Some(next) => begin = Begin::Behind(next),
                None => break,
            }
        }
        cursor.end(clock, &moment);
        if cursor.has_missed() {
            self.sweep();
        }
    }

    fn sweep(&mut self) {
        self.handed.extend(self.rows.iter().map(|(id, (_, version))| (*id, *version)));
    }

    fn page(&self, begin: &Begin) -> Changes {
        let place = |stamp: i64, id: Option<i64>| Place {
            stamp: Stamp::Int(stamp),
            id: id.map(|id| ScanPosition::Id(ReportId::Int(id))),
        };
        let (from, began) = match begin {
            Begin::Since(at) => ((at.secs(), i64::MIN), place(at.secs(), None)),
            Begin::Behind(behind) => {
                let id = match behind.id {
                    Some(ScanPosition::Id(ReportId::Int(id))) => id + 1,
                    _ => i64::MIN,
                };
                let Stamp::Int(stamp) = behind.stamp else { unreachable!("this column holds numbers") };
                ((stamp, id), behind.clone())
            }
        };
        let mut ordered: Vec<(i64, i64, u64)> =
            self.rows.iter().map(|(id, (stamp, version))| (*stamp, *id, *version)).collect();
        ordered.sort_unstable();
        ordered.retain(|(stamp, id, _)| (*stamp, *id) >= from);
        ordered.truncate(PAGE);
        let change = |(_, id, version): &(i64, i64, u64)| {
            let id = Some(ReportId::Int(*id));
            Change { entry: id.clone(), report: id, fingerprint: *version, seen: None, rejects: Vec::new() }
        };
        let last = ordered.last().map(|(stamp, id, _)| place(*stamp, Some(*id)));
        Changes {
            rows: ordered.iter().map(change).collect(),
            began: Some(began),
            settled: last.clone(),
            next: last,
            lost: false,
        }
    }
}

/// A deed and what it is about, and how many seconds pass before it.
fn deed(bytes: &mut Bytes<'_>) -> Option<(Deed, i64)> {
    let (kind, about) = (bytes.one()?, bytes.one()?);
    let (seconds, which) = (i64::from(about / 64).min(2), usize::from(about % 9));
    let deed = match kind % 12 {
        0..=2 => Deed::Begin { row: i64::from(about % 6) },
        3..=5 => Deed::Commit { which },
        6 => Deed::Prepare { which },
        7 => Deed::Abort { which },
        _ => Deed::Poll,
    };
    Some((deed, seconds))
}

#[test]
fn nothing_that_is_committed_is_left_behind_a_cursor() {
    check!(name = "cursor").with_iterations(INPUTS * 4).with_max_len(120).for_each(|bytes| {
        let mut bytes = Bytes::new(bytes);
        let (mut table, mut cursor) = (Table::default(), Cursor::new(FeedKind::Changed, OVERLAP));
        // A start reads everything, beside its cursor.
        table.poll(&mut cursor);
        table.sweep();
        while let Some((deed, seconds)) = deed(&mut bytes) {
            table.now += seconds;
            table.act(deed, &mut cursor);
        }
        while !table.open.is_empty() {
            table.act(Deed::Commit { which: 0 }, &mut cursor);
        }
        for _ in 0..4 {
            table.now += 5;
            table.poll(&mut cursor);
        }
        let committed: BTreeMap<i64, u64> = table.rows.iter().map(|(id, (_, version))| (*id, *version)).collect();
        assert_eq!(table.handed, committed);
    });
}

/// What a column of text holds may be any text, and a cursor writes its own place like it.
#[test]
fn a_stamp_is_written_like_any_text() {
    let zone = "America/New_York".parse().expect("a zone");
    let pieces = ["2026-03-08", "T", " ", "02:30:00", ".5", "Z", "+02:00", "-05", "1750000000", "é", "\u{0}"];
    check!(name = "stamp").with_iterations(INPUTS).with_max_len(48).for_each(|bytes| {
        let mut bytes = Bytes::new(bytes);
        // Any second that four digits of a year can write.
        let secs = bytes.number().unwrap_or(0).rem_euclid(250_000_000_000);
        let written = Stamp::text_like(&text(bytes.rest(), &pieces), Timestamp::from_secs(secs), zone);
        assert!(matches!(&written, Stamp::Text(text) if text.len() == 19), "{written:?}");
    });
}
