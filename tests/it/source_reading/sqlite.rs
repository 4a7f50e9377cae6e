//! A SQLite file as report database.

use super::*;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection, Executor};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A database file of one test, removed with it.
struct File {
    path: PathBuf,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl File {
    async fn with(sql: &'static str) -> File {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tocsin-source-{}-{n}.db", std::process::id()));
        let file = File { path };
        file.run(sql).await;
        file
    }

    async fn writer(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .connect()
            .await
            .expect("a database that can be written")
    }

    async fn run(&self, sql: &'static str) {
        let mut conn = self.writer().await;
        conn.execute(sql).await.expect("the test's own statement");
        conn.close().await.expect("a closed database");
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }
}

impl Drop for File {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut path = self.path.clone().into_os_string();
            path.push(end);
            let _gone_already = std::fs::remove_file(path);
        }
    }
}

#[tokio::test]
async fn every_time_encoding_is_read_as_its_instant() {
    let file = File::with(
        "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, iso TEXT, local_time TEXT, secs INTEGER, ms INTEGER, real_secs REAL, secs_text TEXT);
         INSERT INTO reports VALUES (1, 'spam', '2025-06-15T15:06:40Z', '2025-06-15 11:06:40', 1750000000, 1750000000000, 1750000000.0, '1750000000');",
    )
    .await;
    let events = vec![
        event(EventName::Received, "iso", None),
        event(EventName::ValidRequest, "local_time", None),
        event(EventName::Confirmed, "secs", Some(Unit::Seconds)),
        event(EventName::Removed, "ms", Some(Unit::Milliseconds)),
        event(EventName::Filed, "real_secs", Some(Unit::Seconds)),
        event(EventName::SecondReview, "secs_text", Some(Unit::Seconds)),
    ];
    let source = open(Settings { events, ..settings(&file.url(), "reports") });
    let seen = scan(&source, 10).await;
    assert_eq!(seen.rejects, []);
    let row = row(&seen.rows[0]);
    assert_eq!(row.received, tocsin::core::observation::Received::At(INSTANT));
    assert_eq!(row.events.iter().map(|event| event.at).collect::<Vec<_>>(), [INSTANT; 5]);
}

#[tokio::test]
async fn an_empty_text_is_open_and_only_what_is_surely_a_time_is_closed() {
    let file =
        File::with("CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT)").await;
    let mut conn = file.writer().await;
    for (id, closed) in WRITTEN_TIMES.iter().enumerate() {
        sqlx::query("INSERT INTO reports VALUES ($1, 'spam', '2025-06-15T15:06:40Z', $2)")
            .bind(id as i64)
            .bind(*closed)
            .execute(&mut conn)
            .await
            .expect("a row");
    }
    conn.close().await.expect("a closed database");
    let closed = ["2025-06-15T15:06:40Z", "2025-06-15 15:06:40", "2025-06-15T15:06", "2025-12-31T23:59:59Z"];
    let source = open(settings(&file.url(), "reports"));
    assert_nothing_unreadable_leaves_the_queue(&source, &closed).await;
    let with_unit =
        vec![event(EventName::Received, "created", None), event(EventName::Closed, "closed", Some(Unit::Seconds))];
    let source = open(Settings { events: with_unit, ..settings(&file.url(), "reports") });
    assert_nothing_unreadable_leaves_the_queue(&source, &["1750000000"]).await;
}

#[tokio::test]
async fn a_closing_time_of_any_kind_of_value_is_judged_as_it_is_decoded() {
    let file = File::with(
        "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed);
         INSERT INTO reports VALUES (1, 'spam', '2025-06-15T15:06:40Z', NULL), (2, 'spam', '2025-06-15T15:06:40Z', 0),
         (3, 'spam', '2025-06-15T15:06:40Z', -5), (4, 'spam', '2025-06-15T15:06:40Z', 1750000000),
         (5, 'spam', '2025-06-15T15:06:40Z', 1750000000000), (6, 'spam', '2025-06-15T15:06:40Z', 1750000000.5),
         (7, 'spam', '2025-06-15T15:06:40Z', 9e999), (8, 'spam', '2025-06-15T15:06:40Z', x'00ff'),
         (9, 'spam', '2025-06-15T15:06:40Z', '2025-06-15T15:06:40Z' || char(0) || 'x'),
         (10, 'spam', '2025-06-15T15:06:40Z', CAST(x'ff' AS TEXT));",
    )
    .await;
    let events =
        vec![event(EventName::Received, "created", None), event(EventName::Closed, "closed", Some(Unit::Seconds))];
    let source = open(Settings { events, ..settings(&file.url(), "reports") });
    assert_eq!(ids(&scan(&source, 3).await), ["1", "2", "3", "5", "7", "8", "9", "10"]);
    let all = scan_all(&source, 3).await;
    let closed = all.rows.iter().filter(|seen| row(seen).event(EventName::Closed).is_some());
    assert_eq!(closed.map(|seen| seen.id.to_string()).collect::<Vec<_>>(), ["4", "6"]);
}

#[tokio::test]
async fn garbage_in_any_column_is_a_reject_and_no_row_is_lost() {
    let file = File::with(
        "CREATE TABLE reports (id, reason, created, closed);
         INSERT INTO reports VALUES ('good', 'spam', '2025-06-15T15:06:40Z', NULL),
         (NULL, 'spam', '2025-06-15T15:06:40Z', ''), (1.5, 'spam', '2025-06-15T15:06:40Z', ''),
         (x'0102', 'spam', '2025-06-15T15:06:40Z', ''), ('', 'spam', '2025-06-15T15:06:40Z', ''),
         ('a' || char(0) || 'b', 'spam', '2025-06-15T15:06:40Z', ''),
         (CAST(x'ff' AS TEXT), 'spam', '2025-06-15T15:06:40Z', ''),
         (CAST(x'fffe' AS TEXT), 'spam', '2025-06-15T15:06:40Z', ''),
         (printf('%300s', 'x'), 'spam', '2025-06-15T15:06:40Z', ''),
         ('no category', NULL, '2025-06-15T15:06:40Z', ''), ('nul category', 'a' || char(0), '2025-06-15T15:06:40Z', ''),
         ('no time', 'spam', NULL, ''), ('words', 'spam', 'yesterday', ''), ('number', 'spam', 17, ''),
         ('bad close', 'spam', '2025-06-15T15:06:40Z', 'done'), (5, 'spam', '2025-06-15T15:06:40Z', '');",
    )
    .await;
    let source = open(settings(&file.url(), "reports"));
    for limit in [1, 2, 3, 100] {
        let seen = scan(&source, limit).await;
        let good = ["5", "bad close", "good", "no category", "no time", "nul category", "number", "words"];
        assert_eq!(ids(&seen), good, "by pages of {limit}");
        let expected = BTreeMap::from([
            (("closed".to_owned(), Flaw::NotATime), 1),
            (("created".to_owned(), Flaw::Missing), 1),
            (("created".to_owned(), Flaw::NotATime), 2),
            (("id".to_owned(), Flaw::BadText), 4),
            (("id".to_owned(), Flaw::NoId), 2),
            (("id".to_owned(), Flaw::WrongType), 2),
            (("reason".to_owned(), Flaw::BadText), 1),
            (("reason".to_owned(), Flaw::Missing), 1),
        ]);
        assert_eq!(flaws(&seen), expected, "by pages of {limit}");
    }
}

#[tokio::test]
async fn ids_of_every_kind_are_scanned_in_order_and_read_by_key() {
    let file = File::with(
        "CREATE TABLE reports (id, reason, created, closed);
         INSERT INTO reports VALUES (10, 'a', '2025-06-15T15:06:40Z', ''), (9, 'b', '2025-06-15T15:06:40Z', ''),
         ('10', 'c', '2025-06-15T15:06:40Z', ''), ('B', 'd', '2025-06-15T15:06:40Z', ''), ('a', 'e', '2025-06-15T15:06:40Z', '2025-06-15T15:06:40Z'),
         (x'00112233445566778899aabbccddeeff', 'f', '2025-06-15T15:06:40Z', '');",
    )
    .await;
    let source = open(settings(&file.url(), "reports"));
    let uuid =
        ReportId::Uuid([0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff]);
    for limit in [1, 2, 10] {
        let seen = scan(&source, limit).await;
        let found: Vec<ReportId> = seen.rows.into_iter().map(|seen| seen.id).collect();
        let expected = [ReportId::Int(9), ReportId::Int(10), text_id("10"), text_id("B"), uuid.clone()];
        assert_eq!(found, expected);
    }
    let asked = [text_id("a"), ReportId::Int(10), ReportId::Int(11), text_id("10"), text_id("A"), uuid.clone(), uuid];
    let read = source.read(&asked).await.expect("rows by key");
    let found: Vec<(String, bool)> = read.rows.iter().map(|seen| (seen.id.to_string(), seen.row.is_some())).collect();
    let uuid = "00112233-4455-6677-8899-aabbccddeeff".to_owned();
    let expected = [("10", true), ("11", false)].map(|(id, there)| (id.to_owned(), there));
    let texts = [("10", true), ("A", false), ("a", true)].map(|(id, there)| (id.to_owned(), there));
    assert_eq!(found, [&expected[..], &[(uuid, true)], &texts].concat());
}

#[tokio::test]
async fn ids_that_a_collation_holds_for_equal_are_all_scanned() {
    let file = File::with(
        "CREATE TABLE reports (id TEXT COLLATE NOCASE, reason, created, closed);
         INSERT INTO reports VALUES ('a', 'x', '2025-06-15T15:06:40Z', ''), ('A', 'x', '2025-06-15T15:06:40Z', ''),
         ('b', 'x', '2025-06-15T15:06:40Z', ''), ('B', 'x', '2025-06-15T15:06:40Z', '');",
    )
    .await;
    let source = open(settings(&file.url(), "reports"));
    assert_eq!(ids(&scan(&source, 1).await), ["A", "B", "a", "b"]);
    let read = source.read(&[text_id("a")]).await.expect("a row by key");
    assert_eq!(ids(&read), ["a"]);
}

#[tokio::test]
async fn names_may_hold_anything_and_a_query_may_end_in_a_comment() {
    let file = File::with(
        "CREATE TABLE \"Order \"\"x\"\"\" (\"the id\" INTEGER PRIMARY KEY, \"group\" TEXT, \"a;b\" TEXT, \"closed\" TEXT);
         INSERT INTO \"Order \"\"x\"\"\" VALUES (1, 'spam', '2025-06-15T15:06:40Z', '');",
    )
    .await;
    let odd = |rows| Settings {
        rows,
        columns: Columns { id: "the id".into(), case: vec![], category: CategoryFrom::Column("group".into()) },
        events: vec![event(EventName::Received, "a;b", None), event(EventName::Closed, "closed", None)],
        ..settings(&file.url(), "unused")
    };
    let query = "SELECT * FROM \"Order \"\"x\"\"\" -- every row;\n;";
    let tables = ["Order \"x\"", "main.Order \"x\""].map(|name| RowsFrom::Table(name.into()));
    for rows in tables.into_iter().chain([RowsFrom::Query(query.into())]) {
        assert_eq!(ids(&scan(&open(odd(rows)), 10).await), ["1"]);
    }
}

#[tokio::test]
async fn a_mapping_that_does_not_fit_is_told_with_what_is_there() {
    let file =
        File::with("CREATE TABLE complaints (id INTEGER PRIMARY KEY, reason TEXT, created INTEGER, closed TEXT)").await;
    let url = file.url();
    let what = mapping_error(settings(&url, "reports")).await;
    assert_eq!(what, "there is no table reports; the tables are: complaints");
    let mut missing = settings(&url, "complaints");
    missing.columns.id = "uid".into();
    let what = mapping_error(missing).await;
    assert_eq!(what, "table complaints has no column uid; its columns are: id, reason, created, closed");
    let what = mapping_error(settings(&url, "complaints")).await;
    assert_eq!(
        what,
        "column created of table complaints holds numbers: say what they count, as { column = \"created\", unit = \"s\" } \
         or unit = \"ms\""
    );
    let what = mapping_error(query_settings(&url, "SELEC 1")).await;
    assert!(what.starts_with("the query can't be prepared: "), "{what}");
    let what = mapping_error(query_settings(&url, "SELECT id, reason, created, closed, 1 AS id FROM complaints")).await;
    assert_eq!(what, "the query yields two columns id; give one of them another name with AS");
}

#[tokio::test]
async fn numbers_in_a_column_of_no_declared_type_need_a_unit() {
    let file = File::with(
        "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created DATETIME, closed TEXT);
         INSERT INTO reports VALUES (1, 'spam', NULL, ''), (2, 'spam', 1750000000, '');",
    )
    .await;
    let what = mapping_error(settings(&file.url(), "reports")).await;
    assert!(what.starts_with("column created of table reports holds numbers"), "{what}");
}

#[tokio::test]
async fn the_database_cannot_be_written_and_a_missing_file_is_not_made() {
    let file = File::with(
        "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT);
         INSERT INTO reports VALUES (1, 'spam', '2025-06-15T15:06:40Z', '');",
    )
    .await;
    let write =
        query_settings(&file.url(), "SELECT * FROM reports) AS r; DELETE FROM reports; SELECT * FROM (SELECT 1");
    assert!(open(write).check().await.is_err());
    // Even a url that asks for writing gets none.
    let source = open(settings(&format!("{}?mode=rwc", file.url()), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["1"]);
    let missing = open(settings("sqlite:/nonexistent/reports.db?mode=rwc", "reports"));
    match missing.check().await {
        Err(SourceError::Unreachable { cause, .. }) => assert!(cause.contains("unable to open"), "{cause}"),
        other => panic!("expected that the file can't be opened: {other:?}"),
    }
}

#[tokio::test]
async fn a_file_that_appears_and_a_table_that_changes_are_noticed_without_a_restart() {
    let file =
        File::with("CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT)").await;
    let source = open(settings(&file.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), [""; 0]);
    file.run("ALTER TABLE reports RENAME COLUMN reason TO cause").await;
    match source.scan_open(None, 10).await {
        Err(SourceError::Mapping { what, .. }) => assert!(what.contains("no column reason"), "{what}"),
        other => panic!("expected a mapping error: {other:?}"),
    }
    file.run(
        "ALTER TABLE reports RENAME COLUMN cause TO reason;
         INSERT INTO reports VALUES (1, 'spam', '2025-06-15T15:06:40Z', '')",
    )
    .await;
    assert_eq!(ids(&scan(&source, 10).await), ["1"]);
    let read = source.read(&[ReportId::Int(1)]).await.expect("a row by key");
    assert!(read.rows[0].row.is_some());
}

#[tokio::test]
async fn categories_tables_and_columns_are_listed_for_whoever_writes_a_mapping() {
    let file = File::with(
        "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT);
         CREATE VIEW shown AS SELECT id FROM reports;
         INSERT INTO reports VALUES (1, 'spam', '', ''), (2, 'csam', '', ''), (3, 'spam', '', 'x'), (4, NULL, '', '');",
    )
    .await;
    let found = open(settings(&file.url(), "reports")).categories().await.expect("categories");
    assert_eq!(found, [("spam".to_owned(), 2), (String::new(), 1), ("csam".to_owned(), 1)]);
    let url = Secret::new(file.url());
    assert_eq!(tocsin::source::tables(&url).await.expect("tables"), ["reports", "shown"]);
    let columns = tocsin::source::columns_of(&url, "reports").await.expect("columns");
    let columns: Vec<_> = columns.iter().map(|column| (&*column.name, &*column.type_name)).collect();
    assert_eq!(columns, [("id", "INTEGER"), ("reason", "TEXT"), ("created", "TEXT"), ("closed", "TEXT")]);
    let checked = open(settings(&file.url(), "reports")).check().await.expect("a mapping that fits");
    assert!(checked.server.starts_with("SQLite 3."), "{}", checked.server);
    assert_eq!(checked.sample.rows.len(), 4);
    assert_eq!(checked.sample.rejects.len(), 6);
}
