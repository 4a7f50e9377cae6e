//! A replay as a library: real records from a real database through the core under a virtual clock.

use crate::kit::{RowExt, minute, person, policy, row};
use crate::support::{ScratchDir, data_file, load_csv_into_sqlite, open_sqlite};
use sqlx::{Connection, Row as _};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tocsin::config::{Config, Need};
use tocsin::core::id::{Name, ReportId};
use tocsin::core::observation::{EventName, Received, Row, Verdict};
use tocsin::core::plan::PageKind;
use tocsin::core::policy::{Due, Policy};
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::run::replay::{Replay, Replayed};
use tocsin::run::what_if::{Changed, changes};
use tocsin::source::AnySource;
use tocsin::zone::{Zone, parse_local_or_rfc3339};

type Rows = BTreeMap<(Name, ReportId), Row>;

/// The records of a directory of tests/data in a database of their own, under the configuration there.
struct Records {
    _scratch: ScratchDir,
    url: String,
    config: Config,
    rows: Rows,
}

impl Records {
    async fn of(directory: &str) -> Records {
        let scratch = ScratchDir::new(directory);
        let url = scratch.sqlite_url("source.db");
        load_csv_into_sqlite(&data_file(&format!("{directory}/reports.csv.gz")), &url, "reports").await;
        let env = |name: &str| (name == "TOCSIN_SOURCE_URL").then(|| url.clone());
        let file = data_file(&format!("{directory}/tocsin.toml"));
        let config =
            Config::load_for(&file, &env, Need::Sources, minute(0)).map_err(|errors| errors.to_string()).unwrap();
        let rows = all_rows(&config).await;
        Records { _scratch: scratch, url, config, rows }
    }

    fn replay(&self, from: Option<Timestamp>, until: Timestamp) -> Replayed {
        Replay::new(Arc::new(self.config.policy.clone()), self.rows.clone(), from).run(until)
    }
}

async fn all_rows(config: &Config) -> Rows {
    let settings = &config.sources[0];
    let source = AnySource::open(settings.clone(), Keys::new(b"a secret of this test")).unwrap();
    let (mut rows, mut after) = (Rows::new(), None);
    loop {
        let (batch, next) = source.all_rows(after.as_ref(), 1_000).await.unwrap();
        let read = batch.rows.into_iter().filter_map(|seen| Some((seen.id, seen.row?)));
        rows.extend(read.map(|(id, row)| ((settings.name.clone(), id), row)));
        match next {
            Some(next) => after = Some(next),
            None => return rows,
        }
    }
}

fn instant(text: &str, zone: &str) -> Timestamp {
    parse_local_or_rfc3339(text, zone.parse().unwrap()).unwrap()
}

/// A report's own name in the records.
fn text_of(id: &ReportId) -> &str {
    match id {
        ReportId::Text(id) => id,
        other => panic!("the records' ids are text: {other}"),
    }
}

fn end_of_boston() -> Timestamp {
    instant("2016-01-13T00:00:00", "America/New_York")
}

#[tokio::test]
async fn every_overdue_row_of_boston_is_a_breach_and_no_ontime_row_is_one_in_34292_of_34292() {
    let boston = Records::of("boston311").await;
    let replayed = boston.replay(None, end_of_boston());
    let broken: BTreeSet<String> =
        replayed.breaches.iter().map(|breach| text_of(&breach.first_report.id).to_owned()).collect();
    assert_eq!(broken.len(), replayed.breaches.len(), "each at most once");
    let mut sqlite = open_sqlite(&boston.url).await;
    let verdicts = sqlx::query("select report_id, sla_verdict from reports where sla_verdict <> ''");
    let verdicts = verdicts.fetch_all(&mut sqlite).await.unwrap();
    sqlite.close().await.unwrap();
    let agrees = |(id, verdict): &(String, String)| broken.contains(id) == (verdict == "OVERDUE");
    let judged: Vec<(String, String)> = verdicts.iter().map(|row| (row.get(0), row.get(1))).collect();
    let wrong: Vec<_> = judged.iter().filter(|judged| !agrees(judged)).take(5).collect();
    assert_eq!((wrong.len(), judged.len()), (0, 34_292), "{wrong:?}");
    let overdue = judged.iter().filter(|(_, verdict)| verdict == "OVERDUE").count();
    assert_eq!(overdue, 7_604);
}

#[tokio::test]
async fn a_replay_that_begins_later_finds_the_same_breaches_and_calls_the_old_ones_inherited() {
    let boston = Records::of("boston311").await;
    let from = instant("2015-11-15T00:00:00", "America/New_York");
    let (whole, late) = (boston.replay(None, end_of_boston()), boston.replay(Some(from), end_of_boston()));
    let keys = |replayed: &Replayed| -> BTreeSet<_> {
        replayed.breaches.iter().map(|breach| (breach.episode.clone(), breach.deadline)).collect()
    };
    assert_eq!(keys(&whole), keys(&late));
    assert!(whole.breaches.iter().all(|breach| breach.detected_at >= breach.deadline));
    for breach in &late.breaches {
        assert!(breach.detected_at >= from);
        let old = breach.deadline < from && breach.started.is_some_and(|started| started <= from);
        assert_eq!((breach.inherited, breach.detected_at == from), (old, old), "{breach:?}");
    }
    let inherited = late.breaches.iter().filter(|breach| breach.inherited).count();
    assert!((1_000..late.breaches.len()).contains(&inherited), "{inherited}");
}

#[tokio::test]
async fn a_local_time_that_came_twice_is_the_first_of_the_two() {
    let boston = Records::of("boston311").await;
    let row = boston.rows.iter().find(|((_, id), _)| text_of(id) == "B104242").map(|(_, row)| row).unwrap();
    let zone: Zone = "America/New_York".parse().unwrap();
    assert_eq!(row.received, Received::At(instant("2015-11-01T05:16:00Z", "UTC")), "01:16 with summer's offset");
    assert_eq!(row.received, Received::At(parse_local_or_rfc3339("2015-11-01T01:16:00", zone).unwrap()));
    assert_eq!(row.due("due_at"), Some(instant("2015-11-05T13:30:00Z", "UTC")), "08:30 with winter's");
}

#[tokio::test]
async fn a_first_start_on_11125_open_reports_rings_once_with_the_whole_count() {
    let urlhaus = Records::of("urlhaus").await;
    let start = instant("2025-04-21T12:30:00Z", "UTC");
    let replayed = urlhaus.replay(Some(start), start);
    assert_eq!((replayed.reports, replayed.breaches.len(), replayed.pages.len()), (11_125, 10_650, 1));
    assert!(replayed.breaches.iter().all(|breach| breach.inherited && breach.detected_at == start));
    let page = &replayed.pages[0];
    assert_eq!((page.kind, page.count, page.created_at), (PageKind::Ring, 10_650, start));
    let deadlines: Vec<Timestamp> = page.cases.iter().map(|case| case.deadline).collect();
    assert_eq!(deadlines.first(), Some(&instant("2018-11-28T23:40:04Z", "UTC")), "the longest overdue first");
    assert!(deadlines.is_sorted() && deadlines.len() == 50);

    let an_hour = urlhaus.replay(Some(start), instant("2025-04-21T13:30:00Z", "UTC"));
    assert!(an_hour.pages.len() <= 13, "at most one in five minutes, not {}", an_hour.pages.len());
    let last = an_hour.pages.last().unwrap();
    let known_then = an_hour.breaches.iter().filter(|breach| breach.detected_at <= last.created_at).count();
    assert_eq!((last.count, an_hour.breaches.len() > 10_650), (known_then as u64, true));
}

fn small(rows: Vec<(i64, Row)>, from: Option<Timestamp>, until: i64) -> Replayed {
    let rows = rows.into_iter().map(|(id, row)| (("reports".into(), ReportId::Int(id)), row)).collect();
    Replay::new(Arc::new(policy()), rows, from).run(minute(until))
}

#[test]
fn nothing_is_known_before_it_happened() {
    let answered = row("csam", minute(0)).with(EventName::FirstResponse, minute(20), person("ada"));
    let replayed = small(vec![(1, answered.closed(minute(50), person("ada"), Verdict::Violation))], None, 15);
    assert_eq!(replayed.breaches.len(), 0, "at the very instant of the deadline it can still be met");
    let answered = row("csam", minute(0)).with(EventName::FirstResponse, minute(20), person("ada"));
    let replayed = small(vec![(1, answered.closed(minute(50), person("ada"), Verdict::Violation))], None, 300);
    let found: Vec<_> = replayed.breaches.iter().map(|breach| (&*breach.target, breach.deadline)).collect();
    assert_eq!(found, [("first_response", minute(15))]);
    let kinds: Vec<_> = replayed.pages.iter().map(|page| page.kind).collect();
    assert_eq!(kinds, [PageKind::Ring, PageKind::Resolve]);
}

#[test]
fn what_happens_to_a_closed_report_does_not_answer_for_a_later_one_about_the_same_item() {
    let first = row("csam", minute(0)).about(7).closed(minute(5), person("ada"), Verdict::Violation);
    let first = first.with(EventName::Removed, minute(30), person("ada"));
    let second = row("csam", minute(20)).about(7);
    let replayed = small(vec![(1, first), (2, second)], None, 100);
    let found: Vec<_> = replayed.breaches.iter().map(|breach| (&*breach.target, breach.deadline)).collect();
    assert_eq!(found, [("first_response", minute(35)), ("closed", minute(80))]);
}

#[test]
fn an_instant_counts_at_the_end_of_a_replay_and_no_later_one() {
    let threat = || vec![(1, row("threat", minute(0)))];
    assert_eq!(small(threat(), None, 30).breaches.len(), 0);
    assert_eq!(small(threat(), None, 31).breaches.len(), 1);
    assert_eq!(small(threat(), Some(minute(40)), 40).breaches.len(), 1);
}

#[test]
fn a_change_of_policy_is_told_by_what_appears_disappears_and_moves() {
    let place = |id: i64| (Name::from("reports"), ReportId::Int(id));
    let rows = Rows::from([
        (place(1), row("threat", minute(0))),
        (place(2), row("ncii", minute(0))),
        (place(3), row("spam", minute(0)).with(EventName::Closed, minute(300), person("mod-1"))),
        (place(4), row("csam", minute(0)).with(EventName::Closed, minute(10), person("mod-1"))),
    ]);
    let old = policy();
    let mut new = old.clone();
    new.rules[0].targets[0].due = Due::Within { span: Span::from_mins(45), calendar: None };
    new.rules[1].targets.clear();
    new.rules[2].targets[0].due = Due::Within { span: Span::from_mins(200), calendar: None };
    let played = |policy: &Policy| Replay::new(Arc::new(policy.clone()), rows.clone(), None).run(minute(1_000));
    let changed = changes(&played(&old), &played(&new));
    let told: Vec<_> =
        changed.lines.iter().map(|((rule, _, target), line)| format!("{rule} {target}: {line}")).collect();
    assert_eq!(told, ["ncii closed: 1 disappear", "spam closed: 1 appear", "threat closed: 1 move"]);
    let threat = &changed.lines[&("threat".into(), "threat".into(), "closed".into())].cases;
    assert_eq!(threat[0].1, Changed::Moves { from: minute(30), to: minute(45) });
    let pages = changed.pages.iter().map(|((category, _), counts)| (category.to_string(), *counts));
    assert_eq!(pages.collect::<Vec<_>>(), [("ncii".to_owned(), (1, 0)), ("spam".to_owned(), (0, 1))]);
    assert_eq!(changes(&played(&old), &played(&old)), Default::default());
}
