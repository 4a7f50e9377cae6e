//! How large the store grows in a day, printed; run with `--ignored --nocapture`. A day of reports goes through the
//! real core and the real commits; the figures for busier days are multiples of it, which is what they are called.

use super::home::{Home, Led};
use crate::kit::{RowExt, minute, person, policy, row};
use std::collections::BTreeMap;
use std::sync::Arc;
use tocsin::core::engine::Core;
use tocsin::core::id::{ReportId, ReportKey, Subject};
use tocsin::core::observation::{EventName, Observation, Row, Verdict};
use tocsin::core::plan::{Input, Plan, Rows};
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::pager::payload::Payload;
use tocsin::run::clock::{Clock, SystemClock};
use tocsin::store::{Attempt, Delivery, Lane, NewPage, Store};

const MINUTES: i64 = 24 * 60;
const PER_MINUTE: i64 = 10;
const REPORTS: i64 = MINUTES * PER_MINUTE;

#[tokio::test]
#[ignore = "a measurement: a day of 14,400 reports"]
async fn a_day_in_sqlite_takes_so_much_room() {
    let home = Home::sqlite("size");
    let file = home.directory.as_ref().unwrap().path().join("tocsin.db");
    let size = async || i64::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
    measure("SQLite", &home, size).await;
}

#[tokio::test]
#[ignore = "a measurement: a day of 14,400 reports"]
async fn a_day_in_postgres_takes_so_much_room() {
    let home = Home::postgres("size").await;
    let size = async || {
        home.run("VACUUM").await;
        home.number("SELECT pg_database_size(current_database())").await
    };
    measure("PostgreSQL", &home, size).await;
}

async fn measure(name: &str, home: &Home, mut size: impl AsyncFnMut() -> i64) {
    let led = home.lead().await;
    led.store.close().await;
    let before = size().await;
    let began = SystemClock.now();
    let mut day = Day { led: home.lead().await, core: Core::new(Arc::new(policy())), shown: BTreeMap::new() };
    for at in 0..=MINUTES + 600 {
        day.minute(at).await;
    }
    let outcomes = home.number("SELECT COUNT(*) FROM outcomes").await;
    assert_eq!(outcomes, REPORTS, "every report has ended");
    day.led.store.close().await;
    let grown = size().await - before;
    let (per_report, took) = (grown as f64 / REPORTS as f64, SystemClock.now().since(began));
    println!(
        "{name}: {REPORTS} reports, measured in {took}: {:.1} MB, {per_report:.0} bytes a report",
        grown as f64 / 1e6
    );
    for (times, reports) in [(100_000.0, "100,000"), (1_000_000.0, "1,000,000")] {
        println!("{name}: multiplied to {reports} reports a day: {:.0} MB a day", per_report * times / 1e6);
    }
    for table in ["cases", "outcomes", "breaches", "incidents", "pages", "attempts", "observations", "segments"] {
        println!("{name}: {table}: {} rows", home.number(&format!("SELECT COUNT(*) FROM {table}")).await);
    }
    assert!(per_report < 5_000.0, "{per_report}");
}

/// One in a hundred is P0 and answered in time; one in ten is P1, and one in ten of those is late; the rest is spam.
struct Day {
    led: Led,
    core: Core,
    shown: BTreeMap<i64, Row>,
}

impl Day {
    async fn minute(&mut self, at: i64) {
        let now = minute(at);
        let arrived = if at < MINUTES { at * PER_MINUTE..(at + 1) * PER_MINUTE } else { 0..0 };
        let arrived = arrived.map(|id| (id, row(category(id), now))).collect::<Vec<_>>();
        let arrived =
            arrived.into_iter().map(|(id, row)| if category(id) == "csam" { (id, about(row, id)) } else { (id, row) });
        let mut changed: BTreeMap<i64, Row> = arrived.collect();
        for (after, answers) in [(10, true), (20, false), (40, false), (45, false), (300, false)] {
            let then = at - after;
            if !(0..MINUTES).contains(&then) {
                continue;
            }
            for id in then * PER_MINUTE..(then + 1) * PER_MINUTE {
                let is_p0 = category(id) == "csam";
                let Some(row) = self.shown.get(&id).cloned() else { continue };
                if answers && is_p0 {
                    changed.insert(id, row.with(EventName::FirstResponse, now, person("ada")));
                } else if !answers && closes_after(id) == after {
                    changed.insert(id, row.closed(now, person("ada"), Verdict::Violation));
                }
            }
        }
        self.shown.extend(changed.clone());
        if !changed.is_empty() {
            self.feed(rows(changed, now), now).await;
        }
        while self.core.next_wake().is_some_and(|wake| wake <= now) {
            self.feed(Input::Tick, now).await;
        }
        self.send(now).await;
    }

    /// What the core asks for is read at once.
    async fn feed(&mut self, input: Input, now: Timestamp) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let decision = self.core.decide(&input, now);
            if decision.plan.is_durable() {
                let pages = pages(&decision.plan);
                self.led.commit_with(&decision.plan, pages).await.unwrap();
            }
            let asked = decision.plan.asks.iter().filter_map(|ReportKey { id, .. }| match id {
                ReportId::Int(id) => Some((*id, self.shown.get(id)?.clone())),
                _ => None,
            });
            let asked: BTreeMap<i64, Row> = asked.collect();
            self.core.apply(decision);
            if !asked.is_empty() {
                inputs.push(rows(asked, now.plus(Span::from_micros(1))));
            }
        }
    }

    async fn send(&mut self, now: Timestamp) {
        for lane in [Lane::P0, Lane::Lesser] {
            for leased in self.led.store.lease_pages(lane, now, now.plus(Span::from_secs(30)), 64, &[]).await.unwrap() {
                let (page, delivery, answer) = (leased.id, Delivery::Accepted, "202".to_owned());
                let attempt = Attempt { page, began: now, ended: now, delivery, answer, fallbacks: Vec::new() };
                self.led.store.record(&attempt).await.unwrap();
            }
        }
    }
}

fn category(id: i64) -> &'static str {
    match id % 100 {
        0 => "csam",
        1..=10 => "threat",
        _ => "spam",
    }
}

fn closes_after(id: i64) -> i64 {
    match category(id) {
        "csam" => 40,
        "threat" if id / 100 % 10 == 0 => 45,
        "threat" => 20,
        _ => 300,
    }
}

fn about(row: Row, id: i64) -> Row {
    Row { subject: Some(Subject(i128::from(id).to_be_bytes())), ..row }
}

fn rows(rows: BTreeMap<i64, Row>, read_began: Timestamp) -> Input {
    let rows = rows.into_iter().map(|(id, row)| Observation { id: ReportId::Int(id), row: Some(row) }).collect();
    Input::Rows(Rows { source: "reports".into(), read_began, rows, rejects: Vec::new(), recalled: Vec::new() })
}

fn pages(plan: &Plan) -> Vec<NewPage> {
    let keys = Keys::new(b"a deployment's secret");
    let page = |page: &tocsin::core::plan::Page| {
        let alert_key = keys.alert(page.incident, page.round);
        NewPage {
            incident: page.incident,
            round: page.round,
            step: page.step,
            channel: page.channel.clone(),
            kind: page.kind,
            priority: page.priority,
            created_at: page.created_at,
            delivery_key: keys.delivery(&alert_key, page.step, &page.channel, page.kind),
            alert_key,
            payload: serde_json::to_string(&Payload::freeze(page, &keys)).unwrap(),
            fallbacks: page.fallbacks.clone(),
            in_place_of: None,
            is_test: page.is_test(),
        }
    };
    plan.pages.iter().map(page).collect()
}
