//! Reading report databases: what the port promises, held against real databases.

pub mod mysql;
mod mysql_faults;
mod plans;
pub mod postgres;
mod postgres_faults;
mod sqlite;

use std::collections::{BTreeMap, BTreeSet};
use tocsin::core::id::ReportId;
use tocsin::core::observation::{EventName, Flaw, Observation, Row};
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::secret::Secret;
use tocsin::source::settings::{Actors, CategoryFrom, Columns, EventColumn, Reading, RowsFrom, Settings, States, Unit};
use tocsin::source::{AnySource, Batch, Part, ScanPosition, Source, SourceError};

/// 2025-06-15T15:06:40Z, the instant that the tests write in every encoding.
const INSTANT: Timestamp = Timestamp::from_secs(1_750_000_000);

fn event(name: EventName, column: &str, unit: Option<Unit>) -> EventColumn {
    EventColumn { name, column: column.into(), by: None, unit }
}

/// id, reason, created and closed of a table.
fn settings(url: &str, table: &str) -> Settings {
    Settings {
        name: "reports".into(),
        url: Secret::new(url),
        poll: Span::from_secs(1),
        timezone: "America/New_York".parse().expect("a zone"),
        rows: RowsFrom::Table(table.into()),
        columns: Columns { id: "id".into(), case: vec![], category: CategoryFrom::Column("reason".into()) },
        events: vec![event(EventName::Received, "created", None), event(EventName::Closed, "closed", None)],
        dues: vec![],
        facts: vec![],
        actors: Actors::default(),
        states: States::default(),
        reading: Reading::default(),
    }
}

fn query_settings(url: &str, query: &str) -> Settings {
    Settings { rows: RowsFrom::Query(query.into()), ..settings(url, "unused") }
}

fn open(settings: Settings) -> AnySource {
    AnySource::open(settings, Keys::new(b"a secret of a test")).expect("a known scheme")
}

/// Every open row, page by page, with what was rejected on the way.
async fn scan(source: &AnySource, limit: u32) -> Batch {
    gather(source, limit, false).await
}

async fn scan_all(source: &AnySource, limit: u32) -> Batch {
    gather(source, limit, true).await
}

async fn gather(source: &AnySource, limit: u32, all: bool) -> Batch {
    let mut gathered = Batch::default();
    let mut after: Option<ScanPosition> = None;
    for _page in 0..100_000 {
        let page = if all {
            source.all_rows(after.as_ref(), limit).await
        } else {
            source.scan_open(after.as_ref(), limit).await
        };
        let (batch, next) = page.expect("a page");
        assert!(batch.rows.len() <= limit as usize);
        gathered.rows.extend(batch.rows);
        gathered.rejects.extend(batch.rejects);
        match next {
            Some(next) => after = Some(next),
            None => return gathered,
        }
    }
    panic!("the scan doesn't end");
}

fn ids(batch: &Batch) -> Vec<String> {
    batch.rows.iter().map(|seen| seen.id.to_string()).collect()
}

fn row(seen: &Observation) -> &Row {
    seen.row.as_ref().expect("a row")
}

/// How often each flaw was found, by column.
fn flaws(batch: &Batch) -> BTreeMap<(String, Flaw), usize> {
    let mut counts = BTreeMap::new();
    for reject in &batch.rejects {
        *counts.entry((reject.column.to_string(), reject.flaw)).or_default() += 1;
    }
    counts
}

fn text_id(id: &str) -> ReportId {
    ReportId::Text(id.into())
}

async fn mapping_error(settings: Settings) -> String {
    match open(settings).check().await {
        Err(SourceError::Mapping { what, .. }) => what,
        other => panic!("expected a mapping error: {other:?}"),
    }
}

/// Texts that may stand in a column of closing times; the statements' and the decoder's idea of a time
/// must agree on each, or a report leaves the queue unseen.
const WRITTEN_TIMES: [&str; 41] = [
    "",
    " ",
    "soon",
    "0",
    "1750000000",
    "1750000000000",
    "2025-06-15",
    "2025-06-15T15:06:40Z",
    "2025-06-15 15:06:40",
    "2025-06-15T15:06",
    "2025-06-15T15:06:40.123456789Z",
    "2025-06-15T15:06:40.",
    "2025-06-15T15:06.5",
    "2025-06-15T15:06:40+02",
    "2025-06-15T15:06:40+0200",
    "2025-06-15T15:06:40+02:00",
    "2025-06-15T15:06:40 +02:00",
    "2025-06-15T15:06:40  +02:00",
    "2025-06-15T15:06:40+25:00",
    "2025-06-15T15:06:40+02:60",
    "2025-06-15T15:06:40 ",
    "2025-06-15T15:06:40\n",
    "2025-06-15T15:06:40\r",
    "2025-06-15T24:00:00",
    "2025-06-15T15:60:00",
    "2025-06-15T15:06:60",
    "2025-06-15T15:06:40garbage",
    "2025-06-15 15:06:40 UTC",
    "2025-02-29T12:00:00Z",
    "2024-02-29T12:00:00Z",
    "2025-02-30T12:00:00Z",
    "2025-04-31T12:00:00Z",
    "2025-12-31T23:59:59Z",
    "2025-13-01T12:00:00Z",
    "2025-00-10T12:00:00Z",
    "2025-10-00T12:00:00Z",
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00+05:00",
    "9999-12-31T23:59:59-05:00",
    "0000-00-00 00:00:00",
    "infinity",
];

/// A report that can't be shown to be closed is scanned, and one that is surely closed isn't.
async fn assert_nothing_unreadable_leaves_the_queue(source: &AnySource, surely_closed: &[&str]) {
    let all = scan_all(source, 7).await;
    assert_eq!(all.rows.len(), WRITTEN_TIMES.len());
    let without_closing = all.rows.iter().filter(|seen| row(seen).event(EventName::Closed).is_none());
    let must: BTreeSet<String> = without_closing.map(|seen| seen.id.to_string()).collect();
    let scanned: BTreeSet<String> = ids(&scan(source, 7).await).into_iter().collect();
    let lost: Vec<&String> = must.difference(&scanned).collect();
    assert!(lost.is_empty(), "open by decoding, yet not scanned: {lost:?}");
    for time in surely_closed {
        let at = WRITTEN_TIMES.iter().position(|written| written == time).expect("a written time");
        assert!(!scanned.contains(&at.to_string()), "{time} is closed, yet scanned");
    }
}
