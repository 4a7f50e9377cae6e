//! Rows that go: one by one they have vanished; many at once are not believed before people had time to look.

use super::{Desk, settings, with_updated};
use crate::source_reading::postgres::Database;
use tocsin::core::case::{Case, Conclusion};
use tocsin::core::plan::Alarm;
use tocsin::core::time::Span;

const SECOND: Span = Span::from_secs(1);
const REPORTS: &str = "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz, updated timestamptz);
     INSERT INTO reports SELECT n, CASE WHEN n <= 5 THEN 'csam' ELSE 'spam' END, now() - interval '1 minute', NULL,
       now() - interval '1 hour' FROM generate_series(1, 3000) n";

fn vanished(desk: &Desk) -> usize {
    let outcomes = desk.plans.iter().flat_map(|plan| &plan.outcomes);
    outcomes.filter(|outcome| outcome.conclusion == Conclusion::Vanished).count()
}

fn alarms(desk: &Desk) -> usize {
    let alarms = desk.plans.iter().flat_map(|plan| &plan.alarms);
    alarms.filter(|alarm| matches!(alarm, Alarm::ManyGone { .. })).count()
}

#[tokio::test]
async fn a_table_that_comes_back_with_fewer_rows_ends_nothing_in_silence() {
    let database = Database::with(REPORTS).await;
    let mut desk = Desk::new(settings(&database.url()));
    desk.poll().await.unwrap();
    database.run("DELETE FROM reports WHERE id = 100").await;
    desk.poll_after(SECOND).await;
    assert_eq!((vanished(&desk), alarms(&desk)), (1, 0), "one row may go at any time");

    database.run("CREATE TABLE kept AS SELECT * FROM reports; DELETE FROM reports WHERE id > 500 OR id <= 5").await;
    for _ in 0..3 {
        desk.poll_after(SECOND).await;
    }
    assert_eq!((vanished(&desk), alarms(&desk)), (1, 1), "one alarm, and nothing has ended");
    assert!((1..=3_000).all(|id| desk.holds(id) || id == 100));

    database.run("INSERT INTO reports SELECT * FROM kept WHERE id > 500 OR id <= 5").await;
    desk.poll_after(SECOND).await;
    database.run("DELETE FROM reports WHERE id = 101").await;
    desk.poll_after(SECOND).await;
    assert_eq!((vanished(&desk), alarms(&desk)), (2, 1), "what is back is believed again");
    database.end().await;
}

#[tokio::test]
async fn rows_that_stay_away_count_as_vanished_after_an_hour_and_p0_never_does() {
    let database = Database::with(REPORTS).await;
    let mut desk = Desk::new(with_updated(&database.url(), Span::ZERO));
    desk.poll().await.unwrap();
    database.run("DELETE FROM reports").await;
    desk.sweep().await;
    assert_eq!((vanished(&desk), alarms(&desk)), (0, 1));
    desk.sweep().await;
    desk.sweep().await;
    desk.sweep().await;
    assert_eq!(vanished(&desk), 2_995);
    assert_eq!(desk.core.cases().filter(|case| case.is_p0()).count(), 5, "a P0 that is gone is still owed an answer");
    database.end().await;
}

#[tokio::test]
async fn a_row_whose_id_changes_is_another_report_and_a_reused_id_too() {
    let database = Database::with(REPORTS).await;
    let mut desk = Desk::new(with_updated(&database.url(), Span::ZERO));
    desk.poll().await.unwrap();
    database
        .run(
            "UPDATE reports SET id = 9001 WHERE id = 50; DELETE FROM reports WHERE id = 60;
             INSERT INTO reports VALUES (60, 'threat', clock_timestamp(), NULL, clock_timestamp() - interval '2 hours')",
        )
        .await;
    desk.sweep().await;
    assert!(!desk.holds(50) && desk.holds(9_001));
    let keys = |case: Case| case.reports.keys().cloned().collect::<Vec<_>>();
    let reused = desk.core.cases().flat_map(keys).filter(|key| key.id.to_string() == "60");
    assert_eq!(reused.map(|key| key.incarnation).max(), Some(1));
    database.end().await;
}
