//! A MySQL or MariaDB report database: types, names, order, collations, zero dates.

use super::*;
use crate::support::mysql_admin_url;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};

/// A database of one test on the server that TOCSIN_TEST_MYSQL names.
pub struct Database {
    admin_url: String,
    pub name: String,
}

/// Held by tests that change or read the server's own sql_mode.
pub static MODE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Database {
    /// Its statements end in a semicolon each; nothing in them but their ends does.
    pub async fn with(sql: &str) -> Database {
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("tocsin_source_{}_{n}", std::process::id());
        let database = Database { admin_url: mysql_admin_url(), name };
        database.admin(&format!("CREATE DATABASE {} CHARACTER SET utf8mb4", database.name)).await;
        database.run(sql).await;
        database
    }

    /// The server's url with this database and another user.
    pub fn url_as(&self, user: Option<(&str, &str)>) -> String {
        let (server, _) = self.admin_url.rsplit_once('/').expect("a url with a database");
        let server = match user {
            Some((user, password)) => {
                let (_, host) = server.rsplit_once('@').expect("a url with a user");
                format!("mysql://{user}:{password}@{host}")
            }
            None => server.to_owned(),
        };
        format!("{server}/{}", self.name)
    }

    pub fn url(&self) -> String {
        self.url_as(None)
    }

    /// As a platform of a strictness of its own writes: zero dates are kept as they are.
    pub async fn writer(&self) -> MySqlConnection {
        let options = MySqlConnectOptions::from_str(&self.url()).expect("a url");
        let mut conn = options.connect().await.expect("the test's database");
        conn.execute("SET SESSION sql_mode = ''").await.expect("a session's mode");
        conn
    }

    pub async fn run(&self, sql: &str) {
        let mut conn = self.writer().await;
        for statement in sql.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut conn).await;
            done.unwrap_or_else(|error| panic!("{error}, in: {statement}"));
        }
        conn.close().await.expect("a closed connection");
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let mut conn = self.writer().await;
        let count = sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_one(&mut conn).await;
        conn.close().await.expect("a closed connection");
        count.expect("the test's own query")
    }

    pub async fn is_mariadb(&self) -> bool {
        self.count("SELECT VERSION() LIKE '%MariaDB%'").await == 1
    }

    pub async fn admin(&self, sql: &str) {
        let mut conn = MySqlConnection::connect(&self.admin_url).await.expect("the server of TOCSIN_TEST_MYSQL");
        conn.execute(sqlx::raw_sql(AssertSqlSafe(sql.to_owned()))).await.expect("the test's own statement");
        conn.close().await.expect("a closed connection");
    }

    pub async fn end(self) {
        self.admin(&format!("DROP DATABASE {}", self.name)).await;
    }
}

/// The numbers from 1 on as `seq`, as what follows FROM on every server.
pub fn seq_to(last: u32) -> String {
    let digits = (1..10).fold("SELECT 0".to_owned(), |digits, digit| format!("{digits} UNION ALL SELECT {digit}"));
    format!(
        "(WITH digits (n) AS ({digits}) SELECT 1 + a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n AS seq \
         FROM digits a, digits b, digits c, digits d, digits e) AS numbers WHERE seq <= {last}"
    )
}

pub const REPORTS: &str = "CREATE TABLE reports (id bigint unsigned PRIMARY KEY, reason varchar(64), \
       created timestamp(6) NULL, closed timestamp(6) NULL);
    INSERT INTO reports VALUES (1, 'spam', '2025-06-15 20:51:40', NULL), (2, 'csam', '2025-06-15 20:51:40', NULL), \
      (3, 'spam', '2025-06-15 20:51:40', '2025-06-15 20:51:41')";

#[tokio::test]
async fn every_time_encoding_is_read_as_its_instant_whatever_the_servers_zone() {
    // The server's zone is Kathmandu's, 5:45 ahead; the datetime is New York's, as the settings say.
    let database = Database::with(
        "CREATE TABLE reports (id int, reason text, ts timestamp NULL, ts6 timestamp(6) NULL, local_time datetime, \
           local6 datetime(6), iso varchar(40), secs int, ms bigint unsigned, exact decimal(20,3), real_secs double, \
           millis_text text);
         SET time_zone = '+00:00';
         INSERT INTO reports VALUES (1, 'spam', '2025-06-15 15:06:40', '2025-06-15 15:06:40', '2025-06-15 11:06:40', \
           '2025-06-15 11:06:40.000000', '2025-06-15T15:06:40Z', 1750000000, 1750000000000, 1750000000.000, 1750000000, \
           '1750000000000');
         INSERT INTO reports VALUES (2, 'spam', 0, 0, '0000-00-00 00:00:00', '2025-00-10 11:06:40', 'soon', -1, \
           18446744073709551615, -1, -1, '1e99')",
    )
    .await;
    let (s, ms) = (Some(Unit::Seconds), Some(Unit::Milliseconds));
    let events = vec![
        event(EventName::Received, "ts", None),
        event(EventName::ValidRequest, "ts6", None),
        event(EventName::AuthorityOrder, "local_time", None),
        event(EventName::Confirmed, "local6", None),
        event(EventName::FirstResponse, "iso", None),
        event(EventName::ReviewerAction, "secs", s),
        event(EventName::DecisionSent, "ms", ms),
        event(EventName::Removed, "exact", s),
        event(EventName::SecondReview, "real_secs", s),
        event(EventName::Overturned, "millis_text", ms),
    ];
    let source = open(Settings { events, ..settings(&database.url(), "reports") });
    let seen = scan(&source, 10).await;
    let first = row(&seen.rows[0]);
    assert_eq!(first.received, tocsin::core::observation::Received::At(INSTANT));
    assert_eq!(first.events.iter().map(|event| event.at).collect::<Vec<_>>(), [INSTANT; 9]);
    // Zero dates and numbers that are no time are rejects of their row, counted and listed.
    assert_eq!(row(&seen.rows[1]).events, []);
    assert_eq!(seen.rejects.len(), 10);
    assert!(seen.rejects.iter().all(|reject| reject.id == Some(ReportId::Int(2))));
    database.end().await;
}

#[tokio::test]
async fn ids_of_every_type_are_scanned_in_the_order_of_the_database_and_read_by_key() {
    let database = Database::with("").await;
    let types = [
        ("smallint", "(9),(10),(-1)", "-1,9,10"),
        ("int unsigned", "(9),(10),(4294967295)", "9,10,4294967295"),
        ("bigint", "(9),(10),(9007199254740993)", "9,10,9007199254740993"),
        (
            "bigint unsigned",
            "(9),(10),(18446744073709551615),(9223372036854775808)",
            "9,10,9223372036854775808,18446744073709551615",
        ),
        (
            "decimal(30,2)",
            "(9),(10),(-1.50),(1234567890123456789012345678)",
            "-1.50,9.00,10.00,1234567890123456789012345678.00",
        ),
        ("varchar(9) COLLATE utf8mb4_bin", "('b'),('B'),('a'),('é')", "B,a,b,é"),
        ("varchar(9) COLLATE utf8mb4_general_ci", "('b'),('B'),('a'),('Z'),('é'),('E ')", "a,B,b,E ,é,Z"),
        ("varchar(9) CHARACTER SET latin1", "('b'),('B'),('a'),('é')", "a,B,b,é"),
        ("char(5)", "('b'),('a'),('ab')", "a,ab,b"),
        ("varbinary(9)", "('b'),('B'),('a')", "B,a,b"),
        ("varchar(36) PRIMARY KEY", "('b'),('Ba'),('a')", "a,b,Ba"),
        (
            "binary(16)",
            "(x'0000000000000000000000000000000b'),(x'ff00000000000000000000000000000a')",
            "00000000-0000-0000-0000-00000000000b,ff000000-0000-0000-0000-00000000000a",
        ),
    ];
    for (kind, values, expected) in types {
        database.run("DROP TABLE IF EXISTS reports").await;
        database
            .run(&format!(
                "CREATE TABLE reports (id {kind}, reason text, created datetime, closed datetime);
                 INSERT INTO reports (id) VALUES {values};
                 UPDATE reports SET reason = 'spam', created = '2025-06-15 15:06:40'"
            ))
            .await;
        let from_a_table = open(settings(&database.url(), "reports"));
        let from_a_query = open(query_settings(&database.url(), "SELECT id, reason, created, closed FROM reports"));
        for source in [&from_a_table, &from_a_query] {
            for limit in [1, 2, 100] {
                assert_eq!(ids(&scan(source, limit).await).join(","), expected, "{kind} by pages of {limit}");
            }
            let mut asked: Vec<ReportId> = scan(source, 100).await.rows.into_iter().map(|seen| seen.id).collect();
            let there = asked.len();
            asked.extend([ReportId::Int(77), text_id("none"), text_id("ü☃"), ReportId::Uuid([7; 16])]);
            let read = source.read(&asked).await.expect("rows by key");
            assert_eq!(read.rows.len(), asked.len(), "{kind}");
            assert_eq!(read.rows.iter().filter(|seen| seen.row.is_some()).count(), there, "{kind}");
        }
    }
    database.end().await;
}

#[tokio::test]
async fn a_long_scan_is_complete_and_without_repeats_whatever_the_size_of_its_pages() {
    let database = Database::with(&format!(
        "CREATE TABLE reports (id varchar(80), reason text, created datetime, closed datetime, KEY (id));
         INSERT INTO reports SELECT CONCAT(SHA2(seq DIV 2, 256), IF(seq % 2 = 0, 'É', 'e')), 'spam', NOW(), IF(seq % 3 = 0, NOW(), NULL) \
           FROM {}",
        seq_to(3_000)
    ))
    .await;
    let source = open(settings(&database.url(), "reports"));
    let expected: BTreeSet<String> = ids(&scan(&source, 10_000).await).into_iter().collect();
    assert_eq!(expected.len(), 2_000);
    for limit in [7, 1_000] {
        let found = ids(&scan(&source, limit).await);
        assert_eq!((found.len(), found.into_iter().collect::<BTreeSet<_>>()), (2_000, expected.clone()));
    }
    let asked: Vec<ReportId> = expected.iter().map(|id| text_id(id)).collect();
    let read = source.read(&asked).await.expect("rows by key, in several statements");
    assert_eq!(read.rows.iter().filter(|seen| seen.row.is_some()).count(), 2_000);
    database.end().await;
}

#[tokio::test]
async fn garbage_in_any_column_is_a_reject_and_no_row_is_lost() {
    let database = Database::with(
        "CREATE TABLE reports (id varchar(300), reason varbinary(300), created text, closed text);
         INSERT INTO reports VALUES ('good', 'spam', '2025-06-15T15:06:40Z', NULL), (NULL, 'spam', '2025-06-15T15:06:40Z', ''), \
           (NULL, 'spam', '2025-06-15T15:06:40Z', ''), ('', 'spam', '2025-06-15T15:06:40Z', ''), \
           (REPEAT('x', 257), 'spam', '2025-06-15T15:06:40Z', ''), ('no category', NULL, '2025-06-15T15:06:40Z', ''), \
           ('no utf-8', x'ff', '2025-06-15T15:06:40Z', ''), ('no time', 'spam', NULL, ''), \
           ('words', 'spam', 'yesterday', ''), ('bad close', 'spam', '2025-06-15T15:06:40Z', 'done'), \
           (NULL, 'spam', '', '2025-06-15T15:06:40Z')",
    )
    .await;
    let source = open(settings(&database.url(), "reports"));
    for limit in [1, 2, 100] {
        let seen = scan(&source, limit).await;
        let mut found = ids(&seen);
        found.sort();
        assert_eq!(found, ["bad close", "good", "no category", "no time", "no utf-8", "words"]);
        let expected = BTreeMap::from([
            (("closed".to_owned(), Flaw::NotATime), 1),
            (("created".to_owned(), Flaw::Missing), 1),
            (("created".to_owned(), Flaw::NotATime), 1),
            (("id".to_owned(), Flaw::BadText), 1),
            (("id".to_owned(), Flaw::NoId), 3),
            (("reason".to_owned(), Flaw::BadText), 1),
            (("reason".to_owned(), Flaw::Missing), 1),
        ]);
        assert_eq!(flaws(&seen), expected);
    }
    database.end().await;
}

#[tokio::test]
async fn an_empty_text_is_open_and_only_what_is_surely_a_time_is_closed() {
    for charset in ["utf8mb4", "latin1"] {
        let table = "CREATE TABLE reports (id int, reason text, created text, closed text CHARACTER SET CHARSET)";
        let database = Database::with(&table.replace("CHARSET", charset)).await;
        let mut conn = database.writer().await;
        for (id, closed) in WRITTEN_TIMES.iter().enumerate() {
            let insert = sqlx::query("INSERT INTO reports VALUES (?, 'spam', '2025-06-15T15:06:40Z', ?)");
            insert.bind(id as i64).bind(*closed).execute(&mut conn).await.expect("a row");
        }
        conn.close().await.expect("a closed connection");
        let closed = ["2025-06-15T15:06:40Z", "2025-06-15 15:06:40", "2025-06-15T15:06", "2025-12-31T23:59:59Z"];
        let source = open(settings(&database.url(), "reports"));
        assert_nothing_unreadable_leaves_the_queue(&source, &closed).await;
        let with_unit =
            vec![event(EventName::Received, "created", None), event(EventName::Closed, "closed", Some(Unit::Seconds))];
        let source = open(Settings { events: with_unit, ..settings(&database.url(), "reports") });
        assert_nothing_unreadable_leaves_the_queue(&source, &["1750000000"]).await;
        database.end().await;
    }
}

#[tokio::test]
async fn a_report_closed_at_the_zero_date_is_open() {
    let database = Database::with(
        "CREATE TABLE reports (id int, reason text, created datetime, closed datetime NULL, secs bigint);
         INSERT INTO reports VALUES (1, 'spam', NOW(), '0000-00-00 00:00:00', 0), (2, 'spam', NOW(), '2025-00-00 00:00:00', -7), \
           (3, 'spam', NOW(), NOW(), 1750000000), (4, 'spam', NOW(), NULL, 1750000000000000)",
    )
    .await;
    // An index on the closing time can't find what is none, so those are asked for apart.
    let source = open(settings(&database.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["4"]);
    let (strays, _) = source.scan_part(Part::Strays, None, 10).await.expect("strays");
    assert!(["1"].iter().all(|id| ids(&strays).contains(&(*id).to_owned())), "{:?}", ids(&strays));
    assert!(strays.rejects.iter().all(|reject| &*reject.column == "closed"));
    let events =
        vec![event(EventName::Received, "created", None), event(EventName::Closed, "secs", Some(Unit::Seconds))];
    let source = open(Settings { events, ..settings(&database.url(), "reports") });
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2", "4"]);
    database.end().await;
}

#[tokio::test]
async fn names_may_hold_anything_and_codes_may_have_any_type_and_differ_in_their_bytes_alone() {
    let database = Database::with(
        "CREATE TABLE `Order \"x\"``` (`the id` int, `group` enum('spam', 'csam'), `a$1;b` datetime, `Closed` datetime, \
           code int, flag tinyint(1), word varchar(9), latin varchar(9) CHARACTER SET latin1, extra json);
         INSERT INTO `Order \"x\"``` VALUES (1, 'csam', NOW(), NULL, 1000, 1, 'Csam', 'é', '\"csam\"')",
    )
    .await;
    let odd = |rows, category: &str| Settings {
        rows,
        columns: Columns { id: "the id".into(), case: vec![], category: CategoryFrom::Column(category.into()) },
        events: vec![event(EventName::Received, "a$1;b", None), event(EventName::Closed, "Closed", None)],
        ..settings(&database.url(), "unused")
    };
    let table = || RowsFrom::Table("Order \"x\"`".into());
    let qualified = RowsFrom::Table(format!("{}.Order \"x\"`", database.name));
    let query = RowsFrom::Query("SELECT *, '$1 ?' AS price FROM `Order \"x\"``` -- every $1 row;\n ;".into());
    for (rows, column, category) in [
        (table(), "group", "csam"),
        (qualified, "group", "csam"),
        (query.clone(), "group", "csam"),
        (query, "extra", "\"csam\""),
        (table(), "code", "1000"),
        (table(), "flag", "1"),
        (table(), "word", "Csam"),
        (table(), "latin", "é"),
        (table(), "extra", "\"csam\""),
    ] {
        let mut settings = odd(rows, column);
        settings.reading.first = vec!["☃".into(), category.into()];
        let source = open(settings);
        let seen = scan(&source, 10).await;
        assert_eq!((ids(&seen), &*row(&seen.rows[0]).category), (vec!["1".to_owned()], category));
        assert_eq!(source.categories().await.expect("categories"), [(category.to_owned(), 1)]);
        let (first, _) = source.scan_part(Part::First, None, 10).await.expect("what comes first");
        assert_eq!(ids(&first), ["1"], "{column}");
    }
    database.run("INSERT INTO `Order \"x\"``` (`the id`, word) VALUES (2, 'csam'), (3, 'csam ')").await;
    let found = open(odd(table(), "word")).categories().await.expect("categories");
    assert_eq!(found.len(), 3, "letters' case and blanks tell codes apart: {found:?}");
    database.end().await;
}

#[tokio::test]
async fn a_mapping_that_does_not_fit_is_told_with_what_is_there() {
    let database = Database::with(
        "CREATE TABLE complaints (id float, uid int, reason text, created date, ticks bigint, closed datetime)",
    )
    .await;
    let url = database.url();
    let what = mapping_error(settings(&url, "reports")).await;
    assert!(what.starts_with("there is no table reports; the tables are: complaints"), "{what}");
    let with = |id: &str, created: &str| {
        let mut settings = settings(&url, "complaints");
        settings.columns.id = id.into();
        settings.events[0].column = created.into();
        settings
    };
    let what = mapping_error(with("number", "ticks")).await;
    assert_eq!(
        what,
        "table complaints has no column number that this role may select; it may select: id, uid, reason, created, ticks, closed"
    );
    let what = mapping_error(with("id", "closed")).await;
    assert!(what.starts_with("column id of table complaints has type float, which can't be an id"), "{what}");
    let what = mapping_error(with("uid", "created")).await;
    assert!(what.starts_with("column created of table complaints has type date, which isn't an instant"), "{what}");
    let what = mapping_error(with("uid", "ticks")).await;
    let is_mariadb = database.is_mariadb().await;
    let bigint = if is_mariadb { "bigint(20)" } else { "bigint" };
    assert!(what.contains(&format!("has type {bigint}: say what it counts")), "{what}");
    if !is_mariadb {
        // MariaDB has it as a text.
        let what = mapping_error(query_settings(
            &url,
            "SELECT JSON_EXTRACT('[7]', '$[0]') AS id, reason, created, closed FROM complaints",
        ))
        .await;
        assert!(what.starts_with("column id of the query has type json, which can't be an id"), "{what}");
    }
    let what = mapping_error(query_settings(&url, "SELEC 1")).await;
    assert!(what.starts_with("the query can't be prepared: ") && what.contains("syntax"), "{what}");
    database.end().await;
}

#[tokio::test]
async fn tables_and_columns_are_listed_for_whoever_writes_a_mapping() {
    let database = Database::with(REPORTS).await;
    database.run("CREATE VIEW shown AS SELECT id FROM reports").await;
    let url = Secret::new(database.url());
    let tables = tocsin::source::tables(&url).await.expect("tables");
    assert!(["reports", "shown"].iter().all(|name| tables.contains(&(*name).to_owned())), "{tables:?}");
    let columns = tocsin::source::columns_of(&url, "reports").await.expect("columns");
    let columns: Vec<_> = columns.iter().map(|column| (&*column.name, &*column.type_name)).collect();
    let id = if database.is_mariadb().await { "bigint(20) unsigned" } else { "bigint unsigned" };
    let expected = [("id", id), ("reason", "varchar(64)"), ("created", "timestamp(6)"), ("closed", "timestamp(6)")];
    assert_eq!(columns, expected);
    let found = open(settings(&database.url(), "reports")).categories().await.expect("categories");
    assert_eq!(found, [("spam".to_owned(), 2), ("csam".to_owned(), 1)]);
    database.end().await;
}
