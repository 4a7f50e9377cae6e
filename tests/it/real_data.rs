//! The real records under tests/data are whole, and the verdicts recorded in them follow the rule that their note
//! states: what a replay is judged by.

use sqlx::{Connection, PgConnection, Row};

use crate::support::{
    ScratchDir, data_file, fresh_postgres_database, load_csv_into_sqlite, open_sqlite, postgres_admin_url,
};

#[tokio::test]
async fn the_boston_verdicts_follow_from_the_stated_deadlines_in_34292_of_34292_rows() {
    let scratch = ScratchDir::new("boston311");
    let url = scratch.sqlite_url("source.db");
    let rows = load_csv_into_sqlite(&data_file("boston311/reports.csv.gz"), &url, "reports").await;
    assert_eq!(rows, 34_301);

    let mut sqlite = open_sqlite(&url).await;
    let verdicts = sqlx::query(
        "select sla_verdict,
                case when due_at = '' then 'ONTIME'
                     when coalesce(nullif(closed_at, ''), '2016-01-13T00:00:00') <= due_at then 'ONTIME'
                     else 'OVERDUE' end as by_rule,
                count(*) as reports
         from reports where sla_verdict <> '' group by 1, 2 order by 1, 2",
    )
    .fetch_all(&mut sqlite)
    .await
    .expect("count the verdicts");
    let counted: Vec<(String, String, i64)> = verdicts.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
    let expected = [("ONTIME", 26_688), ("OVERDUE", 7_604)].map(|(verdict, n)| (verdict.into(), verdict.into(), n));
    assert_eq!(counted, expected);
    sqlite.close().await.expect("close the database");
}

#[tokio::test]
async fn a_missing_value_of_the_boston_data_is_an_empty_string_and_no_null() {
    let scratch = ScratchDir::new("boston311-empty");
    let url = scratch.sqlite_url("source.db");
    load_csv_into_sqlite(&data_file("boston311/reports.csv.gz"), &url, "reports").await;

    let mut sqlite = open_sqlite(&url).await;
    let (nulls, without_due, open, closed_before_opening): (i64, i64, i64, i64) = sqlx::query_as(
        "select count(*) filter (where due_at is null or closed_at is null),
                count(*) filter (where due_at = ''),
                count(*) filter (where closed_at = ''),
                count(*) filter (where closed_at <> '' and closed_at < opened_at)
         from reports",
    )
    .fetch_one(&mut sqlite)
    .await
    .expect("count the missing values");
    assert_eq!((nulls, without_due, open, closed_before_opening), (0, 6_594, 6_946, 21));
    sqlite.close().await.expect("close the database");
}

#[tokio::test]
async fn the_urlhaus_backlog_is_11125_open_reports_of_one_category() {
    let scratch = ScratchDir::new("urlhaus");
    let url = scratch.sqlite_url("source.db");
    let rows = load_csv_into_sqlite(&data_file("urlhaus/reports.csv.gz"), &url, "reports").await;
    assert_eq!(rows, 11_125);

    let mut sqlite = open_sqlite(&url).await;
    let (ids, oldest, newest, online): (i64, String, String, i64) = sqlx::query_as(
        "select count(distinct report_id), min(reported_at), max(reported_at),
                count(*) filter (where status = 'online' and threat = 'malware_download')
         from reports",
    )
    .fetch_one(&mut sqlite)
    .await
    .expect("read the backlog");
    assert_eq!((ids, online), (11_125, 11_125));
    assert_eq!((oldest.as_str(), newest.as_str()), ("2018-11-27T23:40:04Z", "2025-04-21T12:35:06Z"));
    sqlite.close().await.expect("close the database");
}

#[tokio::test]
async fn every_test_gets_an_empty_postgres_database_of_its_own() {
    let (first, second) = (fresh_postgres_database("Own-1").await, fresh_postgres_database("Own-1").await);
    assert_ne!(first, second);
    assert_ne!(first, postgres_admin_url());

    let mut in_first = PgConnection::connect(&first).await.expect("connect to the first database");
    sqlx::query("create table only_here (id int)").execute(&mut in_first).await.expect("create a table");
    let mut in_second = PgConnection::connect(&second).await.expect("connect to the second database");
    let tables: i64 = sqlx::query_scalar("select count(*) from pg_tables where schemaname = 'public'")
        .fetch_one(&mut in_second)
        .await
        .expect("count the tables");
    assert_eq!(tables, 0);
}

#[tokio::test]
async fn the_test_server_keeps_the_durability_that_a_real_one_has() {
    let mut server = PgConnection::connect(&postgres_admin_url()).await.expect("connect to the test server");
    for (setting, expected) in [("fsync", "on"), ("synchronous_commit", "on"), ("max_prepared_transactions", "10")] {
        let value: String = sqlx::query_scalar("select current_setting($1)")
            .bind(setting)
            .fetch_one(&mut server)
            .await
            .expect("read a setting");
        assert_eq!(value, expected, "{setting}");
    }
}
