//! A week of Boston's records: what the report counts, against figures that SQL counts by itself.

use crate::kit::minute;
use crate::support::{ScratchDir, data_file, load_csv_into_sqlite, open_sqlite};
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, Executor, Row as _};
use std::collections::BTreeMap;
use std::sync::Arc;
use tocsin::config::{Config, Need};
use tocsin::core::time::Timestamp;
use tocsin::keys::Keys;
use tocsin::run::clock::VirtualClock;
use tocsin::run::weekly::backfill::Backfill;
use tocsin::run::weekly::gather::Reporter;
use tocsin::run::weekly::limits::limits;
use tocsin::secret::Secret;
use tocsin::source::AnySource;
use tocsin::store::SqlStore;
use tocsin::weekly::figures::{Figures, GroupFigures, Length, Times};
use tocsin::weekly::{Format, documents};
use tocsin::zone::parse_local_or_rfc3339;

const ZONE: &str = "America/New_York";
/// 2015-W48 in Boston's own time, as the records have it.
const FROM: &str = "2015-11-23T00:00:00";
const UNTIL: &str = "2015-11-30T00:00:00";

/// A closure before the opening counts as at the opening; what is closed later is open.
const REPORTS: &str = "(select department, opened_at, due_at, \
     case when closed_at <> '' then max(closed_at, opened_at) else '' end as closed_at from reports)";

struct Records {
    scratch: ScratchDir,
    url: String,
    config: Config,
    reporter: Reporter<AnySource, VirtualClock>,
}

impl Records {
    /// Boston's records behind a monitor that starts on 13 January 2016 and has never run before.
    async fn read_back() -> Records {
        let scratch = ScratchDir::new("boston-weekly");
        let url = scratch.sqlite_url("source.db");
        load_csv_into_sqlite(&data_file("boston311/reports.csv.gz"), &url, "reports").await;
        let env = |name: &str| (name == "TOCSIN_SOURCE_URL").then(|| url.clone());
        let config = Config::load_for(&data_file("boston311/tocsin.toml"), &env, Need::Sources, minute(0));
        let config = config.map_err(|errors| errors.to_string()).unwrap();
        let clock = VirtualClock::new(local("2016-01-13T00:00:00"));
        let store = Secret::new(scratch.sqlite_url("store.db"));
        let store = Arc::new(SqlStore::open(&store, "boston").await.unwrap());
        let source = AnySource::open(config.sources[0].clone(), Keys::new(b"a secret of this test")).unwrap();
        let sources = vec![("boston".into(), Arc::new(source))];
        let reporter = Reporter {
            store,
            policy: Arc::new(config.policy.clone()),
            sources,
            clock,
            zone: ZONE.parse().unwrap(),
            deployment: "boston".to_owned(),
            mode: "shadow",
            limits: limits(&config.sources, &config.policy),
        };
        let records = Records { scratch, url, config, reporter };
        records.backfill().await;
        records
    }

    async fn backfill(&self) -> Option<u64> {
        let Reporter { store, policy, sources, clock, .. } = &self.reporter;
        let (store, policy, clock) = (store.clone(), policy.clone(), clock.clone());
        let backfill = Backfill { store, policy, sources: sources.clone(), clock: clock.clone() };
        let reading = backfill.source(&sources[0].0, &sources[0].1);
        let waking = async {
            loop {
                let next = clock.somebody_sleeps().await;
                clock.set(next);
            }
        };
        tokio::select! {
            read = reading => read.unwrap(),
            () = waking => None,
        }
    }

    async fn sql(&self) -> SqliteConnection {
        open_sqlite(&self.url).await
    }
}

fn local(text: &str) -> Timestamp {
    parse_local_or_rfc3339(text, ZONE.parse().unwrap()).unwrap()
}

/// One number for each department.
async fn by_department(sqlite: &mut SqliteConnection, what: &str, condition: &str) -> BTreeMap<String, i64> {
    let sql = format!("select department, {what} from {REPORTS} where {condition} group by department");
    let rows = sqlx::query(AssertSqlSafe(sql)).fetch_all(sqlite).await.unwrap();
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn ours(figures: &Figures, count: impl Fn(&GroupFigures) -> i64) -> BTreeMap<String, i64> {
    let counts = figures.categories.iter().map(|group| (group.category.clone(), count(group)));
    counts.filter(|(_, count)| *count != 0).collect()
}

#[tokio::test]
async fn a_week_of_boston_has_the_figures_that_sql_counts() {
    let records = Records::read_back().await;
    let figures = records.reporter.report("2015-W48".parse().unwrap(), false).await.unwrap();
    let mut sqlite = records.sql().await;
    let in_week = |column: &str| format!("{column} >= '{FROM}' and {column} < '{UNTIL}'");
    let open = format!("opened_at < '{UNTIL}' and (closed_at = '' or closed_at >= '{UNTIL}')");
    let due = in_week("due_at");
    let met = format!("{due} and closed_at <> '' and closed_at <= due_at");
    let missed = format!("{due} and (closed_at = '' or closed_at > due_at)");
    let age = format!(
        "strftime('%s', '{UNTIL}') - strftime('%s', min(opened_at)) \
         + case when min(opened_at) < '2015-11-01T02:00:00' then 3600 else 0 end"
    );
    type Count = fn(&GroupFigures) -> i64;
    let counted: [(&str, &str, String, Count); 6] = [
        ("received", "count(*)", in_week("opened_at"), |group| group.received.cast_signed()),
        ("closed", "count(*)", in_week("closed_at"), |group| group.closed.cast_signed()),
        ("open", "count(*)", open.clone(), |group| group.open.cast_signed()),
        ("met", "count(*)", met, |group| group.deadlines.met.cast_signed()),
        ("missed", "count(*)", missed, |group| group.deadlines.missed.cast_signed()),
        ("oldest", &age, open, |group| group.oldest_secs.unwrap_or(0)),
    ];
    for (name, what, condition, count) in counted {
        let theirs = by_department(&mut sqlite, what, &condition).await;
        assert!(theirs.len() >= 5, "{name}: {theirs:?}");
        assert_eq!(ours(&figures, count), theirs, "{name}");
    }
    let whole = &figures.priorities[0];
    assert_eq!((whole.priority.as_str(), figures.priorities.len()), ("P3", 1));
    assert!(whole.from_rows > 1_000 && whole.deadlines.undecided == 0, "{whole:?}");
    let before = by_department(
        &mut sqlite,
        "count(*)",
        "opened_at >= '2015-10-26T00:00:00' and opened_at < '2015-11-23T00:00:00'",
    )
    .await;
    let mean = before.values().sum::<i64>() as f64 / 4.0;
    assert!((whole.before.received_mean - mean).abs() <= 0.05, "{} {mean}", whole.before.received_mean);
    sqlite.close().await.unwrap();
}

#[tokio::test]
async fn the_percentiles_of_a_week_of_boston_are_those_of_kaplan_and_meier_over_sql_counts() {
    let records = Records::read_back().await;
    let figures = records.reporter.report("2015-W48".parse().unwrap(), false).await.unwrap();
    let mut sqlite = records.sql().await;
    for group in figures.categories.iter().filter(|group| group.received >= 10) {
        let sql = format!(
            "select strftime('%s', case when closed_at <> '' and closed_at < '{UNTIL}' then closed_at else '{UNTIL}' end) \
             - strftime('%s', opened_at) as length, \
             sum(closed_at <> '' and closed_at < '{UNTIL}') as ended, count(*) as all_of_it from {REPORTS} \
             where department = $1 and opened_at >= '{FROM}' and opened_at < '{UNTIL}' group by length order by length"
        );
        let rows = sqlx::query(AssertSqlSafe(sql)).bind(&group.category).fetch_all(&mut sqlite).await.unwrap();
        let lengths: Vec<(i64, i64, i64)> = rows.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let expected = |share: f64| {
            let (mut at_risk, mut surviving) = (lengths.iter().map(|row| row.2).sum::<i64>(), 1.0);
            for (length, ended, all) in &lengths {
                surviving *= 1.0 - *ended as f64 / at_risk as f64;
                at_risk -= all;
                if *ended > 0 && surviving <= 1.0 - share + 1e-9 {
                    return Length { secs: *length, beyond: false };
                }
            }
            Length { secs: lengths.last().unwrap().0, beyond: true }
        };
        let Times { p50, p90, p99, count, .. } = &group.closing;
        assert_eq!((*p50, *p90), (Some(expected(0.5)), Some(expected(0.9))), "{}", group.category);
        assert_eq!(*p99, (*count >= 100).then(|| expected(0.99)), "{}", group.category);
    }
    let reached = figures.categories.iter().filter(|group| group.closing.p50.is_some_and(|p50| !p50.beyond)).count();
    let beyond = figures.categories.iter().filter(|group| group.closing.p90.is_some_and(|p90| p90.beyond)).count();
    assert!(reached >= 3 && beyond >= 3, "{reached} reached, {beyond} beyond: both kinds are held");
    sqlite.close().await.unwrap();
}

#[tokio::test]
async fn the_same_week_twice_gives_the_same_bytes_whatever_the_database_says_later() {
    let records = Records::read_back().await;
    assert_eq!(records.backfill().await, None, "read back once");
    let week = "2015-W48".parse().unwrap();
    let first = documents(&records.reporter.report(week, false).await.unwrap(), &Format::ALL);
    let mut sqlite = records.sql().await;
    sqlite.execute("update reports set closed_at = '2015-11-24T00:00:00' where closed_at = ''").await.unwrap();
    sqlite.close().await.unwrap();
    records.reporter.clock.advance(tocsin::core::time::Span::from_hours(1_000));
    let second = documents(&records.reporter.report(week, false).await.unwrap(), &Format::ALL);
    assert_eq!(first, second);
    assert_eq!(first.len(), 6);
    let html = first.iter().find(|document| document.name == "tocsin-2015-W48.html").unwrap();
    assert!(html.text.contains("maps no actor") && html.text.contains("known from final rows only"));
    if let Some(directory) = std::env::var_os("TOCSIN_WRITE_REPORTS") {
        for document in &first {
            std::fs::write(std::path::Path::new(&directory).join(&document.name), &document.text).unwrap();
        }
    }
    assert_eq!(records.config.sources.len(), 1);
    assert!(records.scratch.path().is_dir());
}

#[tokio::test]
async fn a_week_that_is_not_over_is_not_kept_and_one_that_has_not_begun_is_refused() {
    let records = Records::read_back().await;
    let running = records.reporter.report("2016-W02".parse().unwrap(), true).await.unwrap();
    assert!(!running.complete && running.as_of.starts_with("2016-01-13T05:00:0"), "{}", running.as_of);
    assert_eq!(records.reporter.store.kept_report("2016-W02").await.unwrap(), None);
    let error = records.reporter.report("2016-W03".parse().unwrap(), true).await.unwrap_err().to_string();
    assert!(error.contains("2016-W03") && error.contains("not yet"), "{error}");
}
