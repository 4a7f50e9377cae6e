//! Any value of any type in every column of a table that has no types: each row is an observation or a reject, and
//! every scan and every cursor comes to its end.

use crate::bytes::{Bytes, text};
use crate::kit::minute;
use crate::support::{ScratchDir, open_sqlite};
use crate::{BYTES_MAX, INPUTS};
use bolero::check;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Executor};
use std::sync::{Mutex, PoisonError};
use tocsin::config::{Config, Need};
use tocsin::core::id::ReportId;
use tocsin::core::time::Span;
use tocsin::keys::Keys;
use tocsin::source::cursor::Cursor;
use tocsin::source::feed::{Begin, FeedKind, Moment};
use tocsin::source::settings::TimeColumn;
use tocsin::source::{AnySource, Source};

const COLUMNS: [&str; 8] =
    ["id", "reason", "created_at", "responded_at", "responded_by", "resolved_at", "resolved_by", "resolution"];
const ROWS_MAX: usize = 6;
const PAGE: u32 = 2;

enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

fn value(bytes: &mut Bytes<'_>) -> Option<Value> {
    const PIECES: &[&str] = &[
        "spam",
        "csam",
        "mod-1",
        "removed",
        "2026-11-23T08:00:00Z",
        "2026-11-23 08:00:00",
        "9999-12-31T23:59:59Z",
        "10000-01-01",
        "-0001-01-01",
        "1750000000",
        "1750000000.5",
        "1e308",
        "infinity",
        "+05:45",
        "\u{0}",
        "\u{1F514}",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        " ",
    ];
    let known = [0, -1, 1, i64::MAX, i64::MIN, 1_750_000_000, 1_750_000_000_000, 1_750_000_000_000_000];
    Some(match bytes.one()? % 7 {
        0 => Value::Null,
        1 => Value::Int(bytes.number()?),
        2 => Value::Int(bytes.one_of(&known)?),
        3 => Value::Real(f64::from_bits(bytes.number()?.cast_unsigned())),
        4 => Value::Blob(bytes.some().to_vec()),
        _ => Value::Text(text(bytes.some(), PIECES)),
    })
}

struct Table {
    owner: SqliteConnection,
    source: AnySource,
    runtime: tokio::runtime::Runtime,
    _scratch: ScratchDir,
}

impl Table {
    fn new() -> Self {
        let scratch = ScratchDir::new("fuzz-rows");
        let url = scratch.sqlite_url("reports.db");
        let file = scratch.path().join("tocsin.toml");
        std::fs::write(&file, tocsin::cli::init::template(Some(&url))).expect("a temporary file can be written");
        let config = Config::load_for(&file, &|_| None, Need::Sources, minute(0)).expect("the template loads");
        let mut settings = config.sources[0].clone();
        settings.reading.updated = Some(TimeColumn { column: "responded_at".into(), unit: None });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let owner = runtime.block_on(async {
            let mut owner = open_sqlite(&url).await;
            let table = format!("PRAGMA synchronous = OFF; CREATE TABLE reports ({})", COLUMNS.join(", "));
            owner.execute(AssertSqlSafe(table)).await.expect("a table");
            owner
        });
        let source = AnySource::open(settings, Keys::new(b"fuzz")).expect("it opens");
        // Both connections are made before there is a row: a column that holds numbers then would be refused as a whole.
        runtime.block_on(async {
            source.scan_open(None, PAGE).await.expect("an empty table is read");
            source.read(&[ReportId::Int(0)]).await.expect("a row that isn't there is read");
        });
        Table { owner, source, runtime, _scratch: scratch }
    }

    fn hold(&mut self, rows: &[Vec<Value>]) {
        let Table { owner, runtime, .. } = self;
        runtime.block_on(async {
            owner.execute("BEGIN; DELETE FROM reports").await.expect("an empty table");
            for row in rows {
                let mut insert = sqlx::query("INSERT INTO reports VALUES ($1, $2, $3, $4, $5, $6, $7, $8)");
                for value in row {
                    insert = match value {
                        Value::Null => insert.bind(None::<i64>),
                        Value::Int(number) => insert.bind(number),
                        Value::Real(number) => insert.bind(number),
                        Value::Text(text) => insert.bind(text),
                        Value::Blob(blob) => insert.bind(blob),
                    };
                }
                insert.execute(&mut *owner).await.expect("a row of any kind");
            }
            owner.execute("COMMIT").await.expect("the rows stand");
        });
    }

    fn is_read_to_its_end(&self, rows: usize) {
        self.runtime.block_on(async {
            let (mut after, mut seen) = (None::<tocsin::source::ScanPosition>, 0);
            for step in 0.. {
                assert!(step <= rows, "a scan comes to its end");
                let (batch, next) =
                    self.source.scan_open(after.as_ref(), PAGE).await.expect("a row is read or rejected");
                assert!(batch.rows.iter().all(|seen| seen.row.is_some()));
                seen += batch.rows.len();
                let ids: Vec<ReportId> = batch.rows.iter().map(|seen| seen.id.clone()).collect();
                let again = self.source.read(&ids).await.expect("what was read is read by its key");
                assert!(again.rows.len() >= ids.len(), "{ids:?}");
                match next {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert!(seen <= rows);
            for kind in [FeedKind::Changed, FeedKind::Received] {
                self.follow(kind, rows).await;
            }
        });
    }

    /// A cursor over a column of anything comes to its end, and a second poll goes on from there.
    async fn follow(&self, kind: FeedKind, rows: usize) {
        let (mut cursor, moment) = (Cursor::new(kind, Span::from_secs(30)), Moment::default());
        for clock in [minute(0), minute(1)] {
            let mut begin = cursor.begin(clock, minute(-60 * 24 * 365 * 40), &moment);
            for step in 0.. {
                assert!(step <= rows, "a poll comes to its end");
                let changes = self.source.changes(kind, &begin, clock, PAGE).await;
                let mut page = changes.expect("a row is read or rejected");
                let (is_full, next) = (page.rows.len() >= PAGE as usize, page.next.take());
                cursor.take(&mut page, &moment);
                match next.filter(|_| is_full && !page.lost) {
                    Some(next) => begin = Begin::Behind(next),
                    None => break,
                }
            }
            cursor.end(clock, &moment);
        }
    }
}

#[test]
fn a_row_of_anything_is_an_observation_or_a_reject() {
    // After a failure the next input begins with another table.
    let table = Mutex::new(None);
    check!(name = "row").with_iterations(INPUTS).with_max_len(BYTES_MAX).for_each(|bytes| {
        let mut bytes = Bytes::new(bytes);
        let mut rows = Vec::new();
        while rows.len() < ROWS_MAX
            && let Some(first) = value(&mut bytes)
        {
            let mut row = vec![first];
            row.resize_with(COLUMNS.len(), || value(&mut bytes).unwrap_or(Value::Null));
            rows.push(row);
        }
        let mut held = table.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = held.take().unwrap_or_else(Table::new);
        table.hold(&rows);
        table.is_read_to_its_end(rows.len());
        *held = Some(table);
    });
}
