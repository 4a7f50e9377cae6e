//! What the monitor may do to a MySQL report database, and what becomes of it when that fails.

use super::mysql::{Database, MODE, REPORTS};
use super::*;
use sqlx::Executor;
use std::time::Duration;

async fn failure(settings: Settings) -> String {
    match open(settings).check().await {
        Err(error) => error.to_string(),
        Ok(checked) => panic!("expected a failure: {checked:?}"),
    }
}

#[tokio::test]
async fn nothing_can_be_written_over_a_connection_of_the_monitor() {
    let database = Database::with(REPORTS).await;
    database
        .run(
            "CREATE FUNCTION sneak() RETURNS int DETERMINISTIC MODIFIES SQL DATA BEGIN INSERT INTO reports (id) VALUES (9); RETURN 1; END",
        )
        .await;
    let error =
        failure(query_settings(&database.url(), "SELECT id, reason, created, closed FROM reports WHERE sneak() = 1"))
            .await;
    assert!(error.contains("READ ONLY transaction"), "{error}");
    assert_eq!(database.count("SELECT COUNT(*) FROM reports").await, 3);
    database.end().await;
}

#[tokio::test]
async fn a_session_is_bounded_in_time_runs_in_utc_and_leaves_the_servers_sql_mode_alone() {
    let database = Database::with(REPORTS).await;
    let (bounds, expected) = if database.is_mariadb().await {
        ("@@tx_read_only, @@max_statement_time", "ON 10.000000 2 +00:00 1")
    } else {
        ("@@transaction_read_only, @@max_execution_time", "1 10000 2 +00:00 1")
    };
    let shown = format!(
        "SELECT 1 AS id, NOW() AS created, CAST(NULL AS datetime) AS closed, CONCAT_WS(' ', {bounds}, \
         @@lock_wait_timeout, @@time_zone, @@sql_mode = @@global.sql_mode) AS reason"
    );
    let alone = MODE.lock().await;
    let source = open(query_settings(&database.url(), &shown));
    let seen = scan(&source, 1).await;
    assert_eq!(&*row(&seen.rows[0]).category, expected);
    drop(alone);
    for _ in 0..5 {
        let keys = [ReportId::Int(1)];
        let (scanned, read) = tokio::join!(source.scan_open(None, 10), source.read(&keys));
        assert_eq!((scanned.expect("a page").0.rows.len(), read.expect("a row").rows.len()), (1, 1));
    }
    let count = format!("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}'", database.name);
    // Two, and the one that counts.
    assert_eq!(database.count(&count).await, 3);
    database.end().await;
}

#[tokio::test]
async fn a_server_that_reads_double_quotes_as_names_or_keeps_padding_is_read_all_the_same() {
    let database = Database::with(REPORTS).await;
    database.run("ALTER TABLE reports MODIFY reason char(20)").await;
    let _alone = MODE.lock().await;
    for mode in ["ANSI", "PAD_CHAR_TO_FULL_LENGTH,NO_BACKSLASH_ESCAPES", "TRADITIONAL,ONLY_FULL_GROUP_BY", ""] {
        database.admin(&format!("SET GLOBAL sql_mode = '{mode}'")).await;
        let source = open(settings(&database.url(), "reports"));
        let seen = scan(&source, 1).await;
        let found = source.categories().await;
        let plans = source.plans().await;
        database.admin("SET GLOBAL sql_mode = DEFAULT").await;
        assert_eq!(
            (ids(&seen), &*row(&seen.rows[1]).category),
            (vec!["1".to_owned(), "2".to_owned()], "csam"),
            "{mode}"
        );
        assert_eq!(found.expect("categories").len(), 2, "{mode}");
        assert!(plans.expect("plans").iter().all(|plan| plan.lacks.is_none()), "{mode}");
    }
    database.end().await;
}

#[tokio::test]
async fn a_user_that_may_select_the_mapped_columns_only_is_enough() {
    let database = Database::with(REPORTS).await;
    let user = format!("reader_{}", &database.name[database.name.len() - 10..]);
    database.run("ALTER TABLE reports ADD reporter text").await;
    let table = format!("{}.reports", database.name);
    database.admin(&format!("CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'")).await;
    database.admin(&format!("GRANT SELECT (id, reason, created, closed) ON {table} TO '{user}'@'%'")).await;
    let url = database.url_as(Some((&user, "pw")));
    let source = open(settings(&url, "reports"));
    source.check().await.expect("four columns suffice");
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    assert_eq!(source.read(&[ReportId::Int(3)]).await.expect("a row by key").rows.len(), 1);
    assert!(source.plans().await.expect("plans").iter().all(|plan| plan.lacks.is_none()));
    let vitals = source.vitals().await.expect("the server's clock");
    assert!(vitals.clock.is_some() && vitals.lag.is_none());
    assert!(vitals.unchecked.is_some_and(|what| what.contains("GRANT")), "{vitals:?}");
    database.admin(&format!("REVOKE SELECT (reason) ON {table} FROM '{user}'@'%'")).await;
    let what = mapping_error(settings(&url, "reports")).await;
    assert!(what.contains("no column reason that this role may select; it may select: id, created, closed"), "{what}");
    database.admin(&format!("REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{user}'@'%'")).await;
    database.admin(&format!("GRANT USAGE ON {}.* TO '{user}'@'%'", database.name)).await;
    let error = failure(settings(&url, "reports")).await;
    assert!(error.contains("access denied") && !error.contains(&user), "{error}");
    database.admin(&format!("DROP USER '{user}'@'%'")).await;
    database.end().await;
}

#[tokio::test]
async fn a_lost_connection_is_made_again_within_the_next_call() {
    let database = Database::with(REPORTS).await;
    let source = open(settings(&database.url(), "reports"));
    let keys = [ReportId::Int(1), ReportId::Int(4)];
    for _ in 0..3 {
        assert_eq!(ids(&scan(&source, 1).await), ["1", "2"]);
        let read = source.read(&keys).await.expect("rows by key");
        assert_eq!(read.rows.iter().map(|seen| seen.row.is_some()).collect::<Vec<_>>(), [true, false]);
        let mut writer = database.writer().await;
        let ask = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()";
        let threads: Vec<i64> = sqlx::query_scalar(ask).fetch_all(&mut writer).await.expect("the sessions");
        assert_eq!(threads.len(), 2);
        for thread in threads {
            writer.execute(sqlx::AssertSqlSafe(format!("KILL {thread}"))).await.expect("an end");
        }
    }
    database.end().await;
}

#[tokio::test]
async fn a_refused_connection_names_the_cause_and_never_the_url() {
    let error = failure(settings("mysql://watcher:hunter2@127.0.0.1:1/reports", "reports")).await;
    assert!(error.starts_with("source reports: cannot connect: ") && error.contains("refused"), "{error}");
    let bad = failure(settings("mysql://watcher:hunter2@[nowhere/reports?ssl-mode=hunter2", "reports")).await;
    let database = Database::with("").await;
    let wrong = failure(settings(&database.url_as(Some(("watcher", "hunter2"))), "reports")).await;
    assert!(wrong.contains("access denied"), "{wrong}");
    // MariaDB's server has no TLS here, MySQL's a certificate that nobody trusts.
    let (mode, cause) =
        if database.is_mariadb().await { ("REQUIRED", "TLS") } else { ("VERIFY_CA", "invalid peer certificate") };
    let untrusted = failure(settings(&format!("{}?ssl-mode={mode}", database.url()), "reports")).await;
    assert!(untrusted.contains(cause), "{untrusted}");
    for error in [error, bad, wrong, untrusted] {
        assert!(!["hunter2", "watcher", "nowhere", "127.0.0.1"].iter().any(|part| error.contains(part)), "{error}");
    }
    database.end().await;
}

#[tokio::test]
async fn no_error_quotes_a_cell() {
    let database = Database::with(
        "CREATE TABLE reports (id int, reason text, created datetime, closed datetime);
         INSERT INTO reports VALUES (1, 'canary-in-a-cell', NOW(), NULL)",
    )
    .await;
    database
        .run(
            "CREATE FUNCTION tell() RETURNS text READS SQL DATA BEGIN DECLARE word text; SELECT reason INTO word FROM \
             reports LIMIT 1; SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = word; RETURN word; END",
        )
        .await;
    for query in [
        "SELECT id, tell() AS reason, created, closed FROM reports",
        "SELECT id, extractvalue('<a/>', CONCAT('//$', reason)) AS reason, created, closed FROM reports",
    ] {
        let error = failure(query_settings(&database.url(), query)).await;
        assert!(error.contains("SQLSTATE") && !error.contains("canary"), "{error}");
    }
    database.end().await;
}

#[tokio::test]
async fn a_column_that_changes_while_running_is_told_and_its_return_is_noticed() {
    let database = Database::with(REPORTS).await;
    let source = open(settings(&database.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    database.run("ALTER TABLE reports CHANGE reason cause varchar(64)").await;
    match source.scan_open(None, 10).await {
        Err(SourceError::Mapping { what, .. }) => assert!(what.contains("no column reason"), "{what}"),
        other => panic!("expected a mapping error: {other:?}"),
    }
    database.run("ALTER TABLE reports CHANGE cause reason varchar(64)").await;
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    // A change of type under a prepared statement.
    database.run("ALTER TABLE reports MODIFY id varchar(20)").await;
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    database.end().await;
}

#[tokio::test]
async fn a_locked_table_ends_in_a_clear_error_and_a_call_that_is_given_up_blocks_nobody() {
    let database = Database::with(REPORTS).await;
    let source = open(settings(&database.url(), "reports"));
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    let mut locker = database.writer().await;
    locker.execute("LOCK TABLES reports WRITE").await.expect("a lock");
    // The caller gives up long before the lock's timeout.
    let given_up = tokio::time::timeout(Duration::from_millis(50), source.scan_open(None, 10)).await;
    assert!(given_up.is_err());
    match source.scan_open(None, 10).await {
        Err(SourceError::Failed { cause, slow, .. }) => assert!(slow && cause.contains("lock"), "{cause}"),
        other => panic!("expected a lock's timeout: {other:?}"),
    }
    locker.execute("UNLOCK TABLES").await.expect("the lock's end");
    assert_eq!(ids(&scan(&source, 10).await), ["1", "2"]);
    drop(locker);
    database.end().await;
}
