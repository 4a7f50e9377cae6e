//! What a poll reads: changes by their column, the urgent and the rest where there is none, and now and then everything.

use super::{Desk, event, settings, with_updated};
use crate::kit;
use crate::source_reading::postgres::Database;
use crate::support::{ScratchDir, open_sqlite};
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::collections::BTreeSet;
use tocsin::core::observation::EventName;
use tocsin::core::policy::Priority;
use tocsin::core::time::Span;
use tocsin::source::settings::{EventColumn, Reading, Settings, TimeColumn, Unit};

const SECOND: Span = Span::from_secs(1);

/// A thousand open reports and as many closed ones, last changed an hour ago; `TIME` is a time's type, `NOW` and
/// `AGO` are times in it.
const REPORTS: &str = "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created TIME, closed timestamptz, updated TIME);
     INSERT INTO reports SELECT n, 'spam', AGO, CASE WHEN n % 2 = 0 THEN now() END, AGO FROM generate_series(1, 2000) n";

#[tokio::test]
async fn with_a_column_of_changes_an_idle_poll_yields_nothing_and_a_change_yields_its_row_in_every_encoding() {
    let secs = "extract(epoch FROM @)";
    let iso = "to_char(@ AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')";
    let encodings = [
        ("timestamptz", "@".to_owned(), None),
        ("timestamp", "(@ AT TIME ZONE 'UTC')".to_owned(), None),
        ("text", iso.to_owned(), None),
        ("bigint", format!("({secs} * 1000)::bigint"), Some(Unit::Milliseconds)),
        ("integer", format!("{secs}::integer"), Some(Unit::Seconds)),
        ("numeric", secs.to_owned(), Some(Unit::Seconds)),
        ("double precision", secs.to_owned(), Some(Unit::Seconds)),
        ("varchar(20)", format!("({secs}::bigint)::varchar"), Some(Unit::Seconds)),
    ];
    for (kind, form, unit) in encodings {
        let time = |at: &str| form.replace('@', at);
        let (now, ago) = (time("clock_timestamp()"), time("(now() - interval '1 hour')"));
        let database = Database::with(&REPORTS.replace("TIME", kind).replace("AGO", &ago)).await;
        let updated = Some(TimeColumn { column: "updated".into(), unit });
        let created = EventColumn { unit, ..event(EventName::Received, "created") };
        let events = vec![created, event(EventName::Closed, "closed")];
        let reading = Reading { updated, ..Reading::default() };
        let mut desk = Desk::new(Settings { events, reading, ..settings(&database.url()) });
        desk.poll().await.unwrap();
        assert_eq!(desk.seen.len(), 1_000, "{kind}");
        desk.poll_after(SECOND).await;
        assert!(desk.came.is_empty(), "{kind}: {:?}", desk.came.len());
        for (sql, came) in [
            (format!("UPDATE reports SET reason = 'threat', updated = {now} WHERE id = 7"), vec!["7"]),
            (format!("INSERT INTO reports VALUES (2001, 'csam', {now}, NULL, {now})"), vec!["2001"]),
            (format!("UPDATE reports SET closed = now(), updated = {now} WHERE id IN (7, 9)"), vec!["7", "9"]),
            // Again within the same second, which a column of seconds can't tell.
            (format!("UPDATE reports SET reason = 'ncii', updated = {now} WHERE id = 7"), vec!["7"]),
        ] {
            database.run(&sql).await;
            desk.poll_after(SECOND).await;
            let mut seen = desk.came.clone();
            seen.sort();
            assert_eq!(seen, came, "{kind}: {sql}");
        }
        let plans = desk.plans.len();
        desk.poll_after(SECOND).await;
        assert_eq!((desk.came.len(), desk.plans.len()), (0, plans), "{kind}: what was read before is left out");
        database.end().await;
    }
}

#[tokio::test]
async fn a_sqlite_table_is_followed_by_text_and_by_numbers() {
    let scratch = ScratchDir::new("feed_lite");
    for (file, form, unit) in [
        ("text.db", "strftime('%Y-%m-%d %H:%M:%f', 'now', @)", None),
        ("ms.db", "CAST((julianday('now', @) - 2440587.5) * 86400000 AS INTEGER)", Some(Unit::Milliseconds)),
    ] {
        let url = scratch.sqlite_url(file);
        let mut platform = open_sqlite(&url).await;
        let (now, ago) = (form.replace('@', "'0 days'"), form.replace('@', "'-1 hour'"));
        let create = "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT, updated)";
        platform.execute(create).await.unwrap();
        let fill = format!(
            "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 500) \
             INSERT INTO reports SELECT n, 'spam', '2025-06-15T15:06:40Z', '', {ago} FROM n"
        );
        platform.execute(AssertSqlSafe(fill)).await.unwrap();
        let updated = Some(TimeColumn { column: "updated".into(), unit });
        let reading = Reading { updated, ..Reading::default() };
        let mut desk = Desk::new(Settings { reading, ..settings(&url) });
        desk.poll().await.unwrap();
        assert_eq!(desk.seen.len(), 500, "{file}");
        desk.poll_after(SECOND).await;
        assert!(desk.came.is_empty(), "{file}");
        let change = format!("UPDATE reports SET reason = 'threat', updated = {now} WHERE id = 7");
        platform.execute(AssertSqlSafe(change)).await.unwrap();
        desk.poll_after(SECOND).await;
        assert_eq!(desk.came, ["7"], "{file}");
        desk.poll_after(SECOND).await;
        assert!(desk.came.is_empty(), "{file}");
        platform.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_table_whose_changes_stand_nowhere_until_the_first_is_followed_by_what_comes_in_too() {
    let database =
        Database::with(&REPORTS.replace("TIME", "timestamptz").replace("AGO", "now() - interval '1 hour'")).await;
    database.run("UPDATE reports SET updated = NULL WHERE id > 1000").await;
    let mut desk = Desk::new(with_updated(&database.url(), Span::ZERO));
    desk.poll().await.unwrap();
    desk.poll_after(SECOND).await;
    database.run("INSERT INTO reports VALUES (3001, 'csam', clock_timestamp(), NULL, NULL)").await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["3001"]);
    database.end().await;
}

#[tokio::test]
async fn without_a_column_of_changes_what_comes_and_is_closed_between_two_polls_is_seen() {
    let database =
        Database::with(&REPORTS.replace("TIME", "timestamptz").replace("AGO", "now() - interval '1 hour'")).await;
    let mut desk = Desk::new(settings(&database.url()));
    desk.poll().await.unwrap();
    desk.poll_after(SECOND).await;
    let at = "clock_timestamp()";
    database.run(&format!("INSERT INTO reports VALUES (3001, 'csam', {at}, {at}, {at})")).await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.category("3001"), Some("csam"));
    assert_eq!(desk.came.iter().filter(|id| *id == "3001").count(), 1);
    database.end().await;
}

#[tokio::test]
async fn without_a_column_of_changes_a_small_table_is_read_whole_at_every_poll() {
    let database =
        Database::with(&REPORTS.replace("TIME", "timestamptz").replace("AGO", "now() - interval '1 hour'")).await;
    let mut desk = Desk::new(settings(&database.url()));
    for _ in 0..3 {
        assert_eq!(desk.poll_after(SECOND).await.rows, Some(1_000));
        assert_eq!(desk.came.len(), 1_000);
    }
    database.run("DELETE FROM reports WHERE id = 7; UPDATE reports SET closed = now() WHERE id = 9").await;
    desk.poll_after(SECOND).await;
    assert!(!desk.holds(7) && !desk.holds(9) && desk.holds(11));
    database.end().await;
}

#[tokio::test]
async fn p0_and_p1_are_read_at_every_poll_where_the_whole_is_too_much_and_what_comes_in_too() {
    let database =
        Database::with(&REPORTS.replace("TIME", "timestamptz").replace("AGO", "now() - interval '1 hour'")).await;
    database
        .run("UPDATE reports SET reason = 'csam' WHERE id IN (1, 3); UPDATE reports SET reason = 'threat' WHERE id = 5")
        .await;
    let mut desk = Desk::ticking(settings(&database.url()), kit::policy(), SECOND);
    desk.sweep().await;
    let polled = desk.poll_after(SECOND).await;
    assert_eq!(polled.looked_at[&Priority::P0], polled.began);
    for _ in 0..3 {
        database.run("UPDATE reports SET reason = 'csam', closed = NULL WHERE id = 5").await;
        let polled = desk.poll_after(SECOND).await;
        let came: BTreeSet<&str> = desk.came.iter().map(String::as_str).collect();
        assert!(["1", "3", "5"].iter().all(|id| came.contains(id)), "{came:?}");
        assert_eq!(polled.looked_at[&Priority::P1], polled.began);
    }
    database.end().await;
}

#[tokio::test]
async fn the_categories_of_minor_safety_are_read_before_all_others_at_the_start() {
    let database = Database::with(&REPORTS.replace("TIME", "timestamptz").replace("AGO", "now()")).await;
    database.run("UPDATE reports SET reason = 'csam', closed = NULL WHERE id > 1990; UPDATE reports SET reason = 'grooming' WHERE id = 1001").await;
    for reading in [Reading::default(), with_updated("", SECOND).reading] {
        let first = vec!["csam".into(), "grooming".into()];
        let mut desk = Desk::new(Settings { reading: Reading { first, ..reading }, ..settings(&database.url()) });
        desk.poll().await.unwrap();
        let wanted: Vec<String> = [1001].into_iter().chain(1991..=2000).map(|id| id.to_string()).collect();
        assert_eq!(desk.came[..wanted.len()], wanted);
        let p0 = desk.plans[0].cases.values().flatten().filter(|case| case.is_p0()).count();
        assert_eq!(p0, wanted.len(), "they are committed before anything else has been read");
    }
    database.end().await;
}

#[tokio::test]
async fn an_index_on_the_open_rows_serves_the_scan_and_an_infinite_closing_time_is_found_all_the_same() {
    let database = Database::with(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz, note text);
         INSERT INTO reports SELECT n, 'spam', now(), CASE WHEN n % 1000 > 0 THEN now() END, repeat('x', 200) FROM generate_series(1, 50000) n;
         INSERT INTO reports VALUES (50001, 'csam', now(), 'infinity'), (50002, 'csam', now(), '-infinity');
         CREATE INDEX open_reports ON reports (id) WHERE closed IS NULL; ANALYZE reports",
    )
    .await;
    let mut desk = Desk::new(settings(&database.url()));
    desk.poll().await.unwrap();
    assert_eq!(desk.held().len(), 52);
    assert!(desk.holds(50_001) && desk.holds(50_002));
    drop(desk);
    let used =
        "SELECT (coalesce(max(idx_scan), 0) > 0)::text FROM pg_stat_user_indexes WHERE indexrelname = 'open_reports'";
    let mut shown = database.texts(used).await;
    for _ in 0..100 {
        if shown == ["true"] {
            break;
        }
        // The server's own statistics come a moment late.
        database.run("SELECT pg_sleep(0.1)").await;
        shown = database.texts(used).await;
    }
    assert_eq!(shown, ["true"], "the scan of the open rows uses the partial index");
    database.end().await;
}

#[tokio::test]
async fn a_pause_is_credited_between_two_polls_that_both_saw_it_also_where_a_column_tells_of_changes() {
    let database = Database::with(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz, updated timestamptz, state text);
         INSERT INTO reports VALUES (1, 'spam', now(), NULL, now(), 'waiting'), (2, 'spam', now(), NULL, now(), 'new')",
    )
    .await;
    let mut settings = with_updated(&database.url(), Span::ZERO);
    settings.states.column = Some("state".into());
    settings.states.paused = vec!["waiting".into()];
    let mut policy = kit::policy();
    for source in policy.sources.values_mut() {
        source.blind_after = Some(Span::from_mins(1));
    }
    let mut desk = Desk::with(settings, policy);
    desk.poll().await.unwrap();
    for _ in 0..5 {
        desk.poll_after(SECOND).await;
        assert_eq!(desk.came, ["1"], "what pauses is read by key, and nothing else");
    }
    desk.clock.advance(Span::from_mins(10));
    desk.poll().await.unwrap();
    database.run("UPDATE reports SET state = 'new', updated = clock_timestamp() WHERE id = 1").await;
    desk.poll_after(SECOND).await;
    let case = desk.core.cases().find(|case| !case.pauses.is_empty()).unwrap();
    let credited: i64 = case.pauses.iter().map(|pause| pause.until.since(pause.from).secs()).sum();
    assert_eq!(credited, 5, "not the ten minutes that nobody looked, nor the last second, in which it ended");
    database.end().await;
}
