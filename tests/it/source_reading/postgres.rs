//! A PostgreSQL report database: types, names, order, privileges.

use super::*;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::sync::atomic::{AtomicU32, Ordering};

/// A database of one test on the server that TOCSIN_TEST_POSTGRES names.
pub struct Database {
    admin_url: String,
    pub name: String,
}

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Database {
    pub async fn with(sql: &str) -> Database {
        let admin_url = std::env::var("TOCSIN_TEST_POSTGRES").expect("TOCSIN_TEST_POSTGRES is not set: run tests/run");
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let database = Database { admin_url, name: format!("tocsin_source_{}_{n}", std::process::id()) };
        database.admin(&format!("CREATE DATABASE {}", database.name)).await;
        database.run(sql).await;
        database
    }

    /// The server's url with another database and another role.
    pub fn url_as(&self, role: Option<(&str, &str)>) -> String {
        let (server, options) = self.admin_url.split_once('?').unwrap_or((&self.admin_url, ""));
        let (server, _database) = server.rsplit_once('/').expect("a url with a database");
        let server = match role {
            Some((user, password)) => {
                let host = server.rsplit_once('@').map_or(server.trim_start_matches("postgres://"), |(_, host)| host);
                format!("postgres://{user}:{password}@{host}")
            }
            None => server.to_owned(),
        };
        let mark = if options.is_empty() { "" } else { "?" };
        format!("{server}/{}{mark}{options}", self.name)
    }

    pub fn url(&self) -> String {
        self.url_as(None)
    }

    pub async fn run(&self, sql: &str) {
        let mut conn = PgConnection::connect(&self.url()).await.expect("the test's database");
        conn.execute(AssertSqlSafe(sql)).await.expect("the test's own statement");
        conn.close().await.expect("a closed connection");
    }

    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let mut conn = PgConnection::connect(&self.url()).await.expect("the test's database");
        let texts = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&mut conn).await.expect("the test's own query");
        conn.close().await.expect("a closed connection");
        texts
    }

    pub async fn admin(&self, sql: &str) {
        let mut conn = PgConnection::connect(&self.admin_url).await.expect("the server of TOCSIN_TEST_POSTGRES");
        conn.execute(AssertSqlSafe(sql)).await.expect("the test's own statement");
        conn.close().await.expect("a closed connection");
    }

    pub async fn end(self) {
        self.admin(&format!("DROP DATABASE {} WITH (FORCE)", self.name)).await;
    }
}

pub const REPORTS: &str =
    "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz);
    INSERT INTO reports VALUES (1, 'spam', '2025-06-15T15:06:40Z', NULL), (2, 'csam', '2025-06-15T15:06:40Z', NULL),
    (3, 'spam', '2025-06-15T15:06:40Z', '2025-06-15T15:06:41Z')";

#[tokio::test]
async fn every_time_encoding_is_read_as_its_instant() {
    let database = Database::with(
        "CREATE DOMAIN moment AS timestamptz;
         CREATE TABLE reports (id int, reason text, tz timestamptz, local_time timestamp, iso varchar(40), secs int, ms bigint,
                               exact numeric, real_secs float8, padded char(40), dom moment, millis_text text);
         INSERT INTO reports VALUES (1, 'spam', '2025-06-15T15:06:40Z', '2025-06-15 11:06:40', '2025-06-15T15:06:40Z', 1750000000,
           1750000000000, 1750000000.000, 1750000000, '2025-06-15T15:06:40Z', '2025-06-15T15:06:40Z', '1750000000000'),
         (2, 'spam', 'infinity', '-infinity', 'soon', -1, 9223372036854775807, 'NaN', 'NaN', 'x', '0044-03-15 BC', '1e99')",
    )
    .await;
    let (s, ms) = (Some(Unit::Seconds), Some(Unit::Milliseconds));
    let events = vec![
        event(EventName::Received, "tz", None),
        event(EventName::ValidRequest, "local_time", None),
        event(EventName::AuthorityOrder, "iso", None),
        event(EventName::Confirmed, "secs", s),
        event(EventName::FirstResponse, "ms", ms),
        event(EventName::ReviewerAction, "exact", s),
        event(EventName::DecisionSent, "real_secs", s),
        event(EventName::Removed, "padded", None),
        event(EventName::SecondReview, "dom", None),
        event(EventName::Overturned, "millis_text", ms),
    ];
    let source = open(Settings { events, ..settings(&database.url(), "reports") });
    let seen = scan(&source, 10).await;
    let first = row(&seen.rows[0]);
    assert_eq!(first.received, tocsin::core::observation::Received::At(INSTANT));
    assert_eq!(first.events.iter().map(|event| event.at).collect::<Vec<_>>(), [INSTANT; 9]);
    assert_eq!(row(&seen.rows[1]).events, []);
    assert_eq!(seen.rejects.len(), 10);
    assert!(seen.rejects.iter().all(|reject| reject.id == Some(ReportId::Int(2))));
    database.end().await;
}

#[tokio::test]
async fn ids_of_every_type_are_scanned_in_the_order_of_the_database_and_read_by_key() {
    let database = Database::with("CREATE EXTENSION citext; CREATE DOMAIN short AS varchar(9)").await;
    let types = [
        ("smallint", "'9','10','-1'", "-1,9,10"),
        ("integer", "'9','10','-1'", "-1,9,10"),
        ("bigint", "'9','10','9007199254740993'", "9,10,9007199254740993"),
        ("numeric", "'9','10','-1.50','123456789012345678901234567890'", "-1.50,9,10,123456789012345678901234567890"),
        ("text COLLATE \"C\"", "'b','B','a','é'", "B,a,b,é"),
        ("text COLLATE \"en-x-icu\"", "'b','B','a','Z','é'", "a,b,B,é,Z"),
        ("short", "'b','a'", "a,b"),
        ("char(5)", "'b','a','ab'", "a,ab,b"),
        ("citext", "'b','B','a','A','c'", "A,a,B,b,c"),
        ("name", "'b','a'", "a,b"),
        (
            "uuid",
            "'00000000-0000-0000-0000-00000000000b','00000000-0000-0000-0000-00000000000a'",
            "00000000-0000-0000-0000-00000000000a,00000000-0000-0000-0000-00000000000b",
        ),
    ];
    for (kind, values, expected) in types {
        let sql = format!(
            "DROP TABLE IF EXISTS reports; CREATE TABLE reports (id {kind}, reason text, created timestamptz, closed timestamptz);
             INSERT INTO reports SELECT v::{}, 'spam', '2025-06-15T15:06:40Z', NULL FROM unnest(ARRAY[{values}]) v",
            kind.split(" COLLATE").next().expect("a type")
        );
        database.run(&sql).await;
        let source = open(settings(&database.url(), "reports"));
        for limit in [1, 2, 100] {
            assert_eq!(ids(&scan(&source, limit).await).join(","), expected, "{kind} by pages of {limit}");
        }
        let mut asked: Vec<ReportId> = scan(&source, 100).await.rows.into_iter().map(|seen| seen.id).collect();
        let there = asked.len();
        asked.extend([ReportId::Int(77), text_id("none"), text_id("nul\0"), ReportId::Uuid([7; 16])]);
        let read = source.read(&asked).await.expect("rows by key");
        assert_eq!(read.rows.len(), asked.len(), "{kind}");
        assert_eq!(read.rows.iter().filter(|seen| seen.row.is_some()).count(), there, "{kind}");
    }
    database.end().await;
}

#[tokio::test]
async fn a_long_scan_is_complete_and_without_repeats_whatever_the_size_of_its_pages() {
    let database = Database::with(
        "CREATE TABLE reports (id text COLLATE \"en-x-icu\" PRIMARY KEY, reason text, created timestamptz, closed timestamptz);
         INSERT INTO reports SELECT md5(n::text) || CASE WHEN n % 2 = 0 THEN '-É' ELSE '_e' END, 'spam', now(),
           CASE WHEN n % 3 = 0 THEN now() END FROM generate_series(1, 3000) n",
    )
    .await;
    let expected = database.texts("SELECT id FROM reports WHERE closed IS NULL ORDER BY id").await;
    let source = open(settings(&database.url(), "reports"));
    for limit in [7, 1000, 5000] {
        assert_eq!(ids(&scan(&source, limit).await), expected);
    }
    let asked: Vec<ReportId> = expected.iter().map(|id| text_id(id)).collect();
    let read = source.read(&asked).await.expect("rows by key, in several statements");
    assert_eq!(read.rows.iter().filter(|seen| seen.row.is_some()).count(), 2000);
    database.end().await;
}

#[tokio::test]
async fn garbage_in_any_column_is_a_reject_and_no_row_is_lost() {
    let database = Database::with(
        "CREATE TABLE reports (id text, reason text, created text, closed text);
         INSERT INTO reports VALUES ('good', 'spam', '2025-06-15T15:06:40Z', NULL), (NULL, 'spam', '2025-06-15T15:06:40Z', ''),
         (NULL, 'spam', '2025-06-15T15:06:40Z', ''), ('', 'spam', '2025-06-15T15:06:40Z', ''),
         (repeat('x', 257), 'spam', '2025-06-15T15:06:40Z', ''), ('no category', NULL, '2025-06-15T15:06:40Z', ''),
         ('long category', repeat('x', 257), '2025-06-15T15:06:40Z', ''), ('no time', 'spam', NULL, ''),
         ('words', 'spam', 'yesterday', ''), ('bad close', 'spam', '2025-06-15T15:06:40Z', 'done'),
         (NULL, 'spam', '', '2025-06-15T15:06:40Z')",
    )
    .await;
    let source = open(settings(&database.url(), "reports"));
    for limit in [1, 2, 100] {
        let seen = scan(&source, limit).await;
        let mut found = ids(&seen);
        found.sort();
        assert_eq!(found, ["bad close", "good", "long category", "no category", "no time", "words"]);
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
    let database = Database::with("CREATE TABLE reports (id int, reason text, created text, closed text)").await;
    for (id, closed) in WRITTEN_TIMES.iter().enumerate() {
        database.run(&format!("INSERT INTO reports VALUES ({id}, 'spam', '2025-06-15T15:06:40Z', '{closed}')")).await;
    }
    let closed = ["2025-06-15T15:06:40Z", "2025-06-15 15:06:40", "2025-06-15T15:06", "2025-12-31T23:59:59Z"];
    let source = open(settings(&database.url(), "reports"));
    assert_nothing_unreadable_leaves_the_queue(&source, &closed).await;
    let with_unit =
        vec![event(EventName::Received, "created", None), event(EventName::Closed, "closed", Some(Unit::Milliseconds))];
    let source = open(Settings { events: with_unit, ..settings(&database.url(), "reports") });
    assert_nothing_unreadable_leaves_the_queue(&source, &["1750000000000"]).await;
    database.end().await;
}

#[tokio::test]
async fn a_report_closed_at_infinity_or_at_zero_is_open() {
    let database = Database::with(
        "CREATE TABLE reports (id int, reason text, created timestamptz, closed timestamptz, secs bigint);
         INSERT INTO reports VALUES (1, 'spam', now(), 'infinity', 0), (2, 'spam', now(), '-infinity', -7),
         (3, 'spam', now(), now(), 1750000000), (4, 'spam', now(), NULL, 1750000000000000)",
    )
    .await;
    // An index on the open rows can't find an infinity, so those are asked for apart.
    let source = open(settings(&database.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["4"]);
    let (strays, _) = source.scan_part(Part::Strays, None, 10).await.expect("strays");
    assert_eq!(ids(&strays), ["1", "2"]);
    let events =
        vec![event(EventName::Received, "created", None), event(EventName::Closed, "secs", Some(Unit::Seconds))];
    let source = open(Settings { events, ..settings(&database.url(), "reports") });
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2", "4"]);
    database.end().await;
}

#[tokio::test]
async fn names_may_hold_anything_and_codes_may_have_any_type() {
    let database = Database::with(
        "CREATE SCHEMA \"Mod Team\"; CREATE TYPE why AS ENUM ('spam', 'csam');
         CREATE TABLE \"Mod Team\".\"Order \"\"x\"\"\" (\"the id\" int, \"group\" why, \"a;b\" timestamptz, \"Closed\" timestamptz, code int, flag bool);
         INSERT INTO \"Mod Team\".\"Order \"\"x\"\"\" VALUES (1, 'csam', now(), NULL, 1000, true)",
    )
    .await;
    let odd = |rows, category: &str| Settings {
        rows,
        columns: Columns { id: "the id".into(), case: vec![], category: CategoryFrom::Column(category.into()) },
        events: vec![event(EventName::Received, "a;b", None), event(EventName::Closed, "Closed", None)],
        ..settings(&database.url(), "unused")
    };
    let table = || RowsFrom::Table("Mod Team.Order \"x\"".into());
    let query = RowsFrom::Query("SELECT * FROM \"Mod Team\".\"Order \"\"x\"\"\" -- every row;\n ;".into());
    for (rows, column, category) in
        [(table(), "group", "csam"), (query, "group", "csam"), (table(), "code", "1000"), (table(), "flag", "true")]
    {
        let source = open(odd(rows, column));
        let seen = scan(&source, 10).await;
        assert_eq!((ids(&seen), &*row(&seen.rows[0]).category), (vec!["1".to_owned()], category));
        assert_eq!(source.categories().await.expect("categories"), [(category.to_owned(), 1)]);
    }
    let whole = Settings {
        columns: Columns { id: "the id".into(), case: vec![], category: CategoryFrom::Value("event".into()) },
        ..odd(table(), "group")
    };
    assert_eq!(open(whole).categories().await.expect("one category"), [("event".to_owned(), 1)]);
    database.end().await;
}

#[tokio::test]
async fn a_mapping_that_does_not_fit_is_told_with_what_is_there() {
    let database = Database::with(
        "CREATE TABLE complaints (id jsonb, uid int, reason text, created date, ticks bigint, closed timestamp)",
    )
    .await;
    let url = database.url();
    let what = mapping_error(settings(&url, "reports")).await;
    assert_eq!(what, "there is no table reports; the tables are: complaints");
    assert!(mapping_error(settings(&url, "no.complaints")).await.starts_with("there is no table no.complaints"));
    let with = |id: &str, created: &str| {
        let mut settings = settings(&url, "complaints");
        settings.columns.id = id.into();
        settings.events[0].column = created.into();
        settings
    };
    let what = mapping_error(with("number", "ticks")).await;
    assert_eq!(what, "table complaints has no column number; its columns are: id, uid, reason, created, ticks, closed");
    let what = mapping_error(with("id", "closed")).await;
    assert_eq!(
        what,
        "column id of table complaints has type jsonb, which can't be an id: ids are whole numbers, text, uuid or numeric"
    );
    let what = mapping_error(with("uid", "created")).await;
    assert!(what.starts_with("column created of table complaints has type date, which isn't an instant"), "{what}");
    let what = mapping_error(with("uid", "ticks")).await;
    assert_eq!(
        what,
        "column ticks of table complaints has type bigint: say what it counts, as { column = \"ticks\", unit = \"s\" } \
         or unit = \"ms\""
    );
    let what = mapping_error(query_settings(&url, "SELEC 1")).await;
    assert!(what.starts_with("the query can't be prepared: syntax error"), "{what}");
    database.end().await;
}

#[tokio::test]
async fn a_role_that_may_select_the_mapped_columns_only_is_enough() {
    let database = Database::with(REPORTS).await;
    let role = format!("{}_reader", database.name);
    database
        .run(&format!(
            "ALTER TABLE reports ADD reporter text; CREATE ROLE {role} LOGIN PASSWORD 'pw';
             GRANT SELECT (id, reason, created, closed) ON reports TO {role}"
        ))
        .await;
    let url = database.url_as(Some((&role, "pw")));
    let source = open(settings(&url, "reports"));
    source.check().await.expect("four columns suffice");
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    assert_eq!(source.read(&[ReportId::Int(3)]).await.expect("a row by key").rows.len(), 1);
    database.run(&format!("REVOKE SELECT (reason) ON reports FROM {role}")).await;
    match source.check().await {
        Err(SourceError::Failed { cause, .. }) => {
            assert!(cause.contains("permission denied") && cause.contains("grant"), "{cause}");
        }
        other => panic!("expected that a privilege is missing: {other:?}"),
    }
    database.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    database.end().await;
}

#[tokio::test]
async fn tables_and_columns_are_listed_for_whoever_writes_a_mapping() {
    let database = Database::with("CREATE SCHEMA mod; CREATE TABLE mod.flags (id uuid, at timestamp)").await;
    database.run(REPORTS).await;
    let url = Secret::new(database.url());
    assert_eq!(tocsin::source::tables(&url).await.expect("tables"), ["mod.flags", "reports"]);
    let columns = tocsin::source::columns_of(&url, "mod.flags").await.expect("columns");
    let columns: Vec<_> = columns.iter().map(|column| (&*column.name, &*column.type_name)).collect();
    assert_eq!(columns, [("id", "uuid"), ("at", "timestamp without time zone")]);
    let found = open(settings(&database.url(), "reports")).categories().await.expect("categories");
    assert_eq!(found, [("spam".to_owned(), 2), ("csam".to_owned(), 1)]);
    database.end().await;
}

#[tokio::test]
async fn a_page_of_thousands_is_read_whole_and_in_order_with_what_is_wrong_in_it() {
    let database = Database::with(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz);
         INSERT INTO reports SELECT n, CASE WHEN n % 1500 = 0 THEN repeat('x', 300) ELSE 'spam' END, now(),
           CASE WHEN n > 12000 THEN now() END FROM generate_series(1, 12345) n",
    )
    .await;
    let source = open(settings(&database.url(), "reports"));
    let of = |end: i64| (1..=end).map(ReportId::Int).collect::<Vec<_>>();
    let read = |batch: &Batch| batch.rows.iter().map(|seen| seen.id.clone()).collect::<Vec<_>>();
    let bad: Vec<_> = (1..=8).map(|n| Some(ReportId::Int(1_500 * n))).collect();
    // Fewer than are decoded apart, exactly so many, and more; a last part that is empty, and one that is not.
    for limit in [999, 1_000, 1_001, 1_250, 4_000, 10_000] {
        let (open, all) = (scan(&source, limit).await, scan_all(&source, limit).await);
        assert_eq!(read(&open), of(12_000), "{limit}");
        assert_eq!(read(&all), of(12_345), "{limit}");
        assert_eq!(all.rejects.iter().map(|reject| reject.id.clone()).collect::<Vec<_>>(), bad, "{limit}");
    }
    database.run("UPDATE reports SET created = NULL WHERE id = 11999").await;
    assert_eq!(scan(&source, 10_000).await.rejects.len(), bad.len() + 1, "the connection serves on");
    database.end().await;
}

#[tokio::test]
async fn a_statement_that_ends_in_the_middle_of_a_page_of_thousands_fails_and_the_next_is_answered() {
    let database = Database::with(
        "CREATE TABLE numbers (n bigint PRIMARY KEY); INSERT INTO numbers SELECT generate_series(1, 5000);
         CREATE TABLE broken (here boolean); INSERT INTO broken VALUES (true)",
    )
    .await;
    let query = "SELECT n AS id, 'spam' AS reason, now() AS created, CAST(NULL AS timestamptz) AS closed, \
                 1 / CASE WHEN n = 4000 AND (SELECT here FROM broken) THEN 0 ELSE 1 END AS weight FROM numbers";
    let mut settings = query_settings(&database.url(), query);
    settings.facts.push(tocsin::source::settings::FactColumn {
        name: "weight".into(),
        column: "weight".into(),
        kind: tocsin::core::facts::FactType::Int,
    });
    let source = open(settings);
    let failed = source.scan_open(None, 10_000).await.expect_err("it divides by zero");
    assert!(failed.to_string().contains("22012"), "{failed}");
    database.run("DELETE FROM broken").await;
    assert_eq!(scan(&source, 10_000).await.rows.len(), 5_000);
    database.end().await;
}

#[tokio::test]
async fn what_comes_first_is_found_whatever_type_its_column_has_by_one_category_or_several() {
    let database =
        Database::with("CREATE EXTENSION citext; CREATE TYPE kind AS ENUM ('spam', 'csam', 'grooming')").await;
    for column in ["text", "varchar(20)", "char(20)", "citext", "kind", "text COLLATE \"en-x-icu\""] {
        let kind = column.split(" COLLATE").next().expect("a type");
        let made = format!(
            "DROP TABLE IF EXISTS reports;
             CREATE TABLE reports (id bigint PRIMARY KEY, reason {column}, created timestamptz, closed timestamptz);
             INSERT INTO reports SELECT n, CAST((ARRAY['spam', 'csam', 'grooming'])[1 + n % 3] AS {kind}), now(),
               CASE WHEN n > 30 THEN now() END FROM generate_series(1, 40) n"
        );
        database.run(&made).await;
        for (categories, expected) in [(&["csam"][..], 10), (&["csam", "grooming"], 20), (&["csam", "\u{2603}"], 10)] {
            let mut settings = settings(&database.url(), "reports");
            settings.reading.first = categories.iter().map(|name| (*name).into()).collect();
            let (source, mut seen, mut after) = (open(settings), Vec::new(), None);
            loop {
                let (page, next) = source.scan_part(Part::First, after.as_ref(), 7).await.expect("what comes first");
                seen.extend(page.rows);
                after = next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen.len(), expected, "{column}, {categories:?}");
            assert!(seen.is_sorted_by(|one, next| one.id < next.id), "{column}");
            assert!(seen.iter().all(|seen| categories.contains(&&*row(seen).category)), "{column}");
        }
    }
    database.end().await;
}
