//! The log of actions: what happens more than once and by whom, joined to the reports at every kind of read.

use super::{Desk, settings, with_updated};
use crate::kit::minute;
use crate::source_reading::postgres::Database;
use crate::support::{ScratchDir, open_sqlite};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor};
use std::collections::BTreeMap;
use tocsin::config::{Config, Need};
use tocsin::core::id::ReportId;
use tocsin::core::observation::{Actor, EventName};
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::run::clock::Clock;
use tocsin::source::settings::{Actors, History, Reading, RowsFrom, Settings, TimeColumn};
use tocsin::source::{AnySource, Source};
use tocsin::zone::rfc3339;

fn with_history(settings: Settings) -> Settings {
    let events = [
        ("reply", EventName::FirstResponse),
        ("label", EventName::FirstResponse),
        ("review2", EventName::SecondReview),
        ("7", EventName::ReporterNotified),
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

/// What was seen of a report: each event's name and who did it.
fn told(desk: &Desk, id: &str) -> Vec<(EventName, Actor)> {
    let row = desk.seen[id].as_ref().unwrap();
    row.events.iter().map(|event| (event.name, event.by.clone())).collect()
}

fn person(name: &str) -> Actor {
    Actor::Person(name.into())
}

#[tokio::test]
async fn actions_are_joined_at_every_kind_of_read_and_a_new_one_makes_its_report_be_read_again() {
    use EventName::{FirstResponse, ReporterNotified, SecondReview};
    for ids in ["bigint", "text", "uuid"] {
        let id = |n: i64| match ids {
            "uuid" => format!("00000000-0000-0000-0000-00000000000{n}"),
            _ => n.to_string(),
        };
        let database = Database::with(&format!(
            "CREATE TABLE reports (id {ids} PRIMARY KEY, reason text, created timestamptz, closed timestamptz, updated timestamptz);
             CREATE TABLE actions (id bigserial PRIMARY KEY, report_id {ids}, created_at timestamptz, actor text, kind text, note text);
             INSERT INTO reports SELECT ('{}')::{ids}, 'spam', now() - interval '3 hours', NULL, now() - interval '2 hours';
             INSERT INTO reports SELECT ('{}')::{ids}, 'spam', now() - interval '3 hours', NULL, now() - interval '2 hours';
             INSERT INTO actions (report_id, created_at, actor, kind) VALUES
               ('{}', now() - interval '2 hours', 'bot-9', 'reply'), ('{}', now() - interval '1 hour', 'mod-1', 'label'),
               ('{}', now() - interval '1 hour', 'mod-1', 'assign'), ('{}', now() - interval '1 hour', NULL, '7')",
            id(1), id(2), id(1), id(1), id(1), id(2)
        ))
        .await;
        for settings in [settings(&database.url()), with_updated(&database.url(), Span::ZERO)] {
            let mut desk = Desk::new(with_history(settings));
            desk.poll().await.unwrap();
            let first = [(FirstResponse, Actor::Automated), (FirstResponse, person("mod-1"))];
            assert_eq!(told(&desk, &id(1)), first, "{ids}");
            assert_eq!(told(&desk, &id(2)), [(ReporterNotified, Actor::Unknown)], "{ids}");
        }
        let mut desk = Desk::new(with_history(with_updated(&database.url(), Span::ZERO)));
        desk.poll().await.unwrap();
        desk.poll_after(Span::from_secs(1)).await;
        assert!(desk.came.is_empty(), "{ids}: {:?}", desk.came);
        let act = "INSERT INTO actions (report_id, created_at, actor, kind) VALUES ('ID', clock_timestamp(), 'mod-2', 'review2')";
        database.run(&act.replace("ID", &id(2))).await;
        desk.poll_after(Span::from_secs(1)).await;
        assert_eq!(desk.came, [id(2)], "{ids}");
        assert_eq!(told(&desk, &id(2)), [(ReporterNotified, Actor::Unknown), (SecondReview, person("mod-2"))], "{ids}");
        desk.poll_after(Span::from_secs(1)).await;
        assert!(desk.came.is_empty(), "{ids}: an action is told once");
        // An action that means nothing here, and a change of the row itself.
        database.run(&act.replace("ID", &id(1)).replace("review2", "assign")).await;
        desk.poll_after(Span::from_secs(1)).await;
        assert!(desk.came.is_empty(), "{ids}");
        database.run(&format!("UPDATE reports SET updated = clock_timestamp() WHERE id = '{}'", id(1))).await;
        desk.poll_after(Span::from_secs(1)).await;
        assert_eq!(told(&desk, &id(1)).len(), 2, "{ids}: a changed row comes with its actions");
        database.end().await;
    }
}

#[tokio::test]
async fn a_sqlite_log_is_joined_too_and_what_it_says_wrongly_is_rejected() {
    let scratch = ScratchDir::new("history_lite");
    let url = scratch.sqlite_url("reports.db");
    let mut platform = open_sqlite(&url).await;
    for sql in [
        "CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT)",
        "CREATE TABLE actions (id INTEGER PRIMARY KEY, report_id INTEGER, created_at TEXT, actor TEXT, kind)",
        "INSERT INTO reports VALUES (1, 'spam', '2025-06-15T15:06:40Z', ''), (2, 'spam', '2025-06-15T15:06:40Z', '')",
        "INSERT INTO actions VALUES (1, 1, '2025-06-15T16:00:00Z', 'mod-1', 'reply'), (2, 1, 'yesterday', 'mod-1', 'reply'),
         (3, 2, '2025-06-15T16:00:00Z', 'mod-1', 7), (4, 99, '2025-06-15T16:00:00Z', 'mod-1', 'reply')",
    ] {
        platform.execute(sql).await.unwrap();
    }
    let mut desk = Desk::new(with_history(settings(&url)));
    desk.poll().await.unwrap();
    assert_eq!(told(&desk, "1"), [(EventName::FirstResponse, person("mod-1"))]);
    assert_eq!(told(&desk, "2"), [(EventName::ReporterNotified, person("mod-1"))]);
    let rejects = desk.plans.iter().flat_map(|plan| &plan.rejects);
    let columns: Vec<String> = rejects.map(|(_, reject)| format!("{} {:?}", reject.column, reject.id)).collect();
    assert_eq!(columns, [format!("created_at {:?}", Some(ReportId::Int(1)))]);
    platform
        .execute(AssertSqlSafe(format!(
            "INSERT INTO actions VALUES (5, 2, '{}', 'mod-2', 'label')",
            "2030-01-01T00:00:00Z"
        )))
        .await
        .unwrap();
    desk.poll_after(Span::from_secs(1)).await;
    assert_eq!(told(&desk, "2").len(), 2);
    platform.close().await.unwrap();
}

#[tokio::test]
async fn a_read_by_key_brings_the_actions_and_a_very_long_log_is_cut_to_its_ends() {
    let database = Database::with(
        "CREATE TABLE reports (id bigint PRIMARY KEY, reason text, created timestamptz, closed timestamptz);
         CREATE TABLE actions (id bigserial PRIMARY KEY, report_id int, created_at timestamptz, actor text, kind text);
         INSERT INTO reports VALUES (1, 'spam', now() - interval '9 hours', NULL);
         INSERT INTO actions (report_id, created_at, actor, kind)
           SELECT 1, now() - interval '8 hours' + n * interval '1 second', 'mod-' || n % 3, 'reply' FROM generate_series(1, 3000) n",
    )
    .await;
    let source = AnySource::open(with_history(settings(&database.url())), Keys::new(b"a secret of a test")).unwrap();
    let read = source.read(&[ReportId::Int(1), ReportId::Int(2)]).await.unwrap();
    let events = &read.rows[0].row.as_ref().unwrap().events;
    assert_eq!(events.len(), 200);
    assert!(events.is_sorted_by_key(|event| event.at));
    database.end().await;
}

const OBLIGED: &str = r#"
mode = "shadow"
[[sources]]
name = "reports"
url = "URL"
table = "reports"
columns = { id = "id", category = "reason" }
[sources.events]
received = "created"
closed = "closed"
[sources.history]
table = "actions"
id = "id"
report = "report_id"
at = "created_at"
by = "actor"
name = "kind"
events = { EVENTS }
[sources.actors]
people = ["mod-*"]
[categories]
minor_safety = ["csam"]
other = ["ncii"]
[minor_safety]
targets = { closed = "90d" }
escalation = "minor-safety"
[[rules]]
name = "the rest"
categories = ["*"]
priority = "P3"
targets = { closed = "90d" }
[[obligations]]
name = "take it down"
target = { from = "valid_request", until = "removed", within = "48h" }
escalation = "minor-safety"
[[escalations]]
name = "minor-safety"
steps = [{ at = "0m", notify = ["log"] }]
"#;

/// What is known of the obligation's clock of each report: since when it runs, in hours, and whether it was met.
fn obliged(desk: &Desk, began: Timestamp) -> Vec<(String, Option<i64>, bool)> {
    let clocks = desk.core.cases().flat_map(|case| {
        let id = case.first_report().unwrap().0.id.to_string();
        let of_law: Vec<_> = case.clocks.into_iter().filter(|clock| clock.obligation).collect();
        of_law.into_iter().map(move |clock| (id.clone(), clock))
    });
    let hours = |at: Timestamp| at.since(began).secs() / 3_600;
    let mut told: Vec<_> = clocks.map(|(id, clock)| (id, clock.started.map(hours), clock.met_at().is_some())).collect();
    told.sort();
    told
}

#[tokio::test]
async fn an_obligation_runs_between_two_actions_of_a_log_and_is_refused_where_the_log_names_one_of_them_not() {
    let scratch = ScratchDir::new("history_obliged");
    let url = scratch.sqlite_url("reports.db");
    let mut platform = open_sqlite(&url).await;
    let file = scratch.path().join("tocsin.toml");
    let load = |events: &str| {
        std::fs::write(&file, OBLIGED.replace("URL", &url).replace("EVENTS", events)).unwrap();
        Config::load_for(&file, &|_| None, Need::All, minute(0)).map_err(|errors| errors.0.problems()[0].what.clone())
    };
    assert_eq!(
        load("removed = [\"takedown\"]").err().unwrap(),
        "\"take it down\" would never start: the source \"reports\" doesn't map `valid_request`"
    );
    assert_eq!(
        load("valid_request = [\"request\"]").err().unwrap(),
        "\"take it down\" could never be met: the source \"reports\" doesn't map `removed`"
    );
    let config = load("valid_request = [\"request\"], removed = [\"takedown\"]").unwrap();
    assert!(config.warnings.problems().iter().all(|warning| !warning.what.contains("take it down")));

    platform
        .execute("CREATE TABLE reports (id INTEGER PRIMARY KEY, reason TEXT, created TEXT, closed TEXT)")
        .await
        .unwrap();
    let actions =
        "CREATE TABLE actions (id INTEGER PRIMARY KEY, report_id INTEGER, created_at TEXT, actor TEXT, kind TEXT)";
    platform.execute(actions).await.unwrap();
    let mut desk = Desk::with(config.sources[0].clone(), config.policy.clone());
    let began = desk.clock.now().minus(Span::from_hours(10));
    let at = |hours: i64| rfc3339(began.plus(Span::from_hours(hours)));
    let act = async |platform: &mut SqliteConnection, report: i64, hours: i64, kind: &str| {
        let insert = "INSERT INTO actions (report_id, created_at, actor, kind) VALUES ($1, $2, 'mod-1', $3)";
        sqlx::query(insert).bind(report).bind(at(hours)).bind(kind).execute(&mut *platform).await.unwrap();
    };
    for id in [1, 2, 3] {
        let insert = "INSERT INTO reports VALUES ($1, 'ncii', $2, NULL)";
        sqlx::query(insert).bind(id).bind(at(0)).execute(&mut platform).await.unwrap();
    }
    act(&mut platform, 1, 4, "request").await;
    act(&mut platform, 1, 9, "request").await;
    act(&mut platform, 2, 4, "request").await;
    desk.poll().await.unwrap();
    let running = |id: &str, since: i64, met: bool| (id.to_owned(), Some(since), met);
    assert_eq!(obliged(&desk, began), [running("1", 4, false), running("2", 4, false)], "the third was not requested");
    desk.poll_after(Span::from_hours(10)).await;
    act(&mut platform, 3, 19, "request").await;
    act(&mut platform, 2, 20, "takedown").await;
    desk.poll_after(Span::from_mins(20)).await;
    desk.sweep().await;
    assert_eq!(obliged(&desk, began), [running("1", 4, false), running("2", 4, true), running("3", 19, false)]);
    desk.poll_after(Span::from_hours(33)).await;
    desk.sweep().await;
    let breaches = desk.plans.iter().flat_map(|plan| &plan.breaches);
    let broken: Vec<_> =
        breaches.map(|breach| (breach.first_report.id.to_string(), breach.target.to_string())).collect();
    assert_eq!(broken, [("1".to_owned(), "take it down".to_owned())]);
    platform.close().await.unwrap();
}
