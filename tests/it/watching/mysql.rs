//! Watching a MySQL report database: changes in every encoding, the log of actions, late commits, what is behind.

use super::{Desk, event, settings, with_updated};
use crate::source_reading::mysql::{Database, seq_to};
use sqlx::Executor;
use std::collections::BTreeMap;
use tocsin::core::observation::{Actor, EventName};
use tocsin::core::time::Span;
use tocsin::source::settings::{Actors, EventColumn, History, Reading, RowsFrom, Settings, TimeColumn, Unit};

const SECOND: Span = Span::from_secs(1);

#[tokio::test]
async fn with_a_column_of_changes_an_idle_poll_yields_nothing_and_a_change_yields_its_row_in_every_encoding() {
    let secs = "UNIX_TIMESTAMP(@)";
    let encodings = [
        ("timestamp(6) NULL", "@".to_owned(), None),
        ("datetime(3)", "@".to_owned(), None),
        ("varchar(40)", "DATE_FORMAT(@, '%Y-%m-%dT%H:%i:%s.%fZ')".to_owned(), None),
        ("bigint unsigned", format!("FLOOR({secs} * 1000)"), Some(Unit::Milliseconds)),
        ("int unsigned", format!("FLOOR({secs})"), Some(Unit::Seconds)),
        ("decimal(20,6)", secs.to_owned(), Some(Unit::Seconds)),
        ("double", secs.to_owned(), Some(Unit::Seconds)),
        ("varchar(20) CHARACTER SET latin1", format!("FLOOR({secs})"), Some(Unit::Seconds)),
    ];
    for (kind, form, unit) in encodings {
        let (now, ago) = (form.replace('@', "SYSDATE(6)"), form.replace('@', "NOW(6) - INTERVAL 1 HOUR"));
        let database = Database::with(&format!(
            "CREATE TABLE reports (id bigint unsigned PRIMARY KEY, reason varchar(20), created {kind}, \
               closed datetime(6), updated {kind});
             INSERT INTO reports SELECT seq, 'spam', {ago}, IF(seq % 2 = 0, NOW(6), NULL), {ago} FROM {}",
            seq_to(2_000)
        ))
        .await;
        let updated = Some(TimeColumn { column: "updated".into(), unit });
        let created = EventColumn { unit, ..event(EventName::Received, "created") };
        let events = vec![created, event(EventName::Closed, "closed")];
        let reading = Reading { updated, overlap: Some(Span::from_secs(2)), ..Reading::default() };
        let mut desk = Desk::new(Settings { events, reading, ..settings(&database.url()) });
        desk.poll().await.unwrap();
        assert_eq!(desk.seen.len(), 1_000, "{kind}");
        desk.poll_after(SECOND).await;
        assert!(desk.came.is_empty(), "{kind}: {:?}", desk.came.len());
        for (sql, came) in [
            (format!("UPDATE reports SET reason = 'threat', updated = {now} WHERE id = 7"), vec!["7"]),
            (format!("INSERT INTO reports VALUES (2001, 'csam', {now}, NULL, {now})"), vec!["2001"]),
            (format!("UPDATE reports SET closed = NOW(6), updated = {now} WHERE id IN (7, 9)"), vec!["7", "9"]),
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

fn with_history(settings: Settings) -> Settings {
    let events = [
        ("reply", EventName::FirstResponse),
        ("review2", EventName::SecondReview),
        ("7", EventName::ReporterNotified),
        ("☃", EventName::Removed),
    ];
    let history = History {
        rows: RowsFrom::Table("actions".into()),
        id: "id".into(),
        report: "report_id".into(),
        at: TimeColumn { column: "created_at".into(), unit: None },
        by: Some("actor".into()),
        name: "kind".into(),
        events: events.into_iter().map(|(word, event)| (word.to_owned(), event)).collect::<BTreeMap<_, _>>(),
    };
    let actors = Actors { automated: vec!["bot-*".into()], people: vec!["mod-*".into()] };
    let reading = Reading { history: Some(history), ..settings.reading };
    Settings { actors, reading, ..settings }
}

fn told(desk: &Desk, id: &str) -> Vec<(EventName, Actor)> {
    let row = desk.seen[id].as_ref().unwrap();
    row.events.iter().map(|event| (event.name, event.by.clone())).collect()
}

#[tokio::test]
async fn actions_are_joined_at_every_kind_of_read_and_a_new_one_makes_its_report_be_read_again() {
    use EventName::{FirstResponse, ReporterNotified, SecondReview};
    for (ids, kind) in [
        ("bigint unsigned", "varchar(20)"),
        ("varchar(20)", "varchar(20) CHARACTER SET latin1"),
        ("binary(16)", "text"),
    ] {
        let is_binary = ids == "binary(16)";
        let id = |n: u8| if is_binary { format!("x'{n:032x}'") } else { format!("'{n}'") };
        let known = |n: u8| if is_binary { format!("00000000-0000-0000-0000-{n:012x}") } else { n.to_string() };
        let database = Database::with(&format!(
            "CREATE TABLE reports (id {ids} PRIMARY KEY, reason text, created datetime(6), closed datetime(6), updated datetime(6));
             CREATE TABLE actions (id bigint AUTO_INCREMENT PRIMARY KEY, report_id {ids}, created_at datetime(6), actor text, kind {kind});
             INSERT INTO reports VALUES ({0}, 'spam', NOW(6) - INTERVAL 3 HOUR, NULL, NOW(6) - INTERVAL 2 HOUR), \
               ({1}, 'spam', NOW(6) - INTERVAL 3 HOUR, NULL, NOW(6) - INTERVAL 2 HOUR);
             INSERT INTO actions (report_id, created_at, actor, kind) VALUES ({0}, NOW(6) - INTERVAL 2 HOUR, 'bot-9', 'reply'), \
               ({0}, NOW(6) - INTERVAL 1 HOUR, 'mod-1', 'reply'), ({0}, NOW(6) - INTERVAL 1 HOUR, 'mod-1', 'assign'), \
               ({1}, NOW(6) - INTERVAL 1 HOUR, NULL, '7')",
            id(1), id(2)
        ))
        .await;
        let mut desk = Desk::new(with_history(with_updated(&database.url(), Span::from_secs(1))));
        desk.poll().await.unwrap();
        let person = |name: &str| Actor::Person(name.into());
        assert_eq!(
            told(&desk, &known(1)),
            [(FirstResponse, Actor::Automated), (FirstResponse, person("mod-1"))],
            "{ids}"
        );
        assert_eq!(told(&desk, &known(2)), [(ReporterNotified, Actor::Unknown)], "{ids}");
        desk.poll_after(SECOND).await;
        assert!(desk.came.is_empty(), "{ids}: {:?}", desk.came);
        database
            .run(&format!(
                "INSERT INTO actions (report_id, created_at, actor, kind) VALUES ({}, SYSDATE(6), 'mod-2', 'review2')",
                id(2)
            ))
            .await;
        desk.poll_after(SECOND).await;
        assert_eq!(desk.came, [known(2)], "{ids}");
        assert_eq!(
            told(&desk, &known(2)),
            [(ReporterNotified, Actor::Unknown), (SecondReview, person("mod-2"))],
            "{ids}"
        );
        desk.poll_after(SECOND).await;
        assert!(desk.came.is_empty(), "{ids}: an action is told once");
        database.end().await;
    }
}

#[tokio::test]
async fn an_id_that_the_logs_character_set_lacks_costs_no_other_report_its_actions() {
    let database = Database::with(
        "CREATE TABLE reports (id varchar(20) PRIMARY KEY, reason text, created datetime(6), closed datetime(6), updated datetime(6));
         CREATE TABLE actions (id bigint AUTO_INCREMENT PRIMARY KEY, report_id varchar(20), created_at datetime(6), actor text, kind text) \
           CHARACTER SET latin1;
         INSERT INTO reports VALUES ('ü☃', 'spam', NOW(6), NULL, NOW(6)), ('é', 'spam', NOW(6), NULL, NOW(6));
         INSERT INTO actions (report_id, created_at, actor, kind) VALUES ('é', NOW(6), 'mod-1', 'reply')",
    )
    .await;
    let mut desk = Desk::new(with_history(with_updated(&database.url(), SECOND)));
    desk.poll().await.unwrap();
    assert_eq!(told(&desk, "é"), [(EventName::FirstResponse, Actor::Person("mod-1".into()))]);
    assert_eq!(told(&desk, "ü☃"), []);
    database.end().await;
}

#[tokio::test]
async fn a_commit_that_comes_late_within_the_overlap_is_seen_and_a_later_one_by_the_next_sweep() {
    let database = Database::with(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created datetime(6), closed datetime(6), updated datetime(6), KEY (updated));
         INSERT INTO reports VALUES (1, 'spam', NOW(6), NULL, NOW(6) - INTERVAL 1 HOUR)",
    )
    .await;
    let mut desk = Desk::new(with_updated(&database.url(), Span::from_secs(30)));
    desk.poll().await.unwrap();
    let mut late = database.writer().await;
    late.execute("BEGIN").await.unwrap();
    late.execute("INSERT INTO reports VALUES (2, 'csam', SYSDATE(6), NULL, SYSDATE(6))").await.unwrap();
    database.run("INSERT INTO reports VALUES (3, 'spam', SYSDATE(6), NULL, SYSDATE(6))").await;
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["3"]);
    late.execute("COMMIT").await.unwrap();
    desk.poll_after(SECOND).await;
    assert_eq!(desk.came, ["2"], "stamped before what was read already");
    database
        .run("INSERT INTO reports VALUES (4, 'csam', NOW(6) - INTERVAL 1 HOUR, NULL, NOW(6) - INTERVAL 1 HOUR)")
        .await;
    desk.poll_after(SECOND).await;
    assert!(desk.came.is_empty(), "{:?}", desk.came);
    desk.sweep().await;
    assert!(desk.holds(4), "what is stamped before the overlap is found by the sweep");
    database.end().await;
}

#[tokio::test]
async fn a_row_that_goes_has_vanished_and_one_closed_at_the_zero_date_is_held() {
    let database = Database::with(&format!(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created datetime, closed datetime NOT NULL DEFAULT '0000-00-00 00:00:00');
         INSERT INTO reports (id, reason, created) SELECT seq, IF(seq > 50, 'csam', 'spam'), UTC_TIMESTAMP() FROM {}",
        seq_to(60)
    ))
    .await;
    let mut desk = Desk::new(settings(&database.url()));
    desk.poll().await.unwrap();
    assert_eq!(desk.held().len(), 60);
    let rejects: usize = desk.plans.iter().map(|plan| plan.rejects.len()).sum();
    assert!(rejects >= 60, "each zero date is counted: {rejects}");
    database.run("DELETE FROM reports WHERE id IN (7, 55)").await;
    desk.poll_after(SECOND).await;
    assert!(!desk.holds(7) && desk.holds(55), "a P0 that is gone is still owed an answer");
    database.end().await;
}
