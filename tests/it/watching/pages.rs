//! In which order a lap asks for its pages, and what it leaves for later: with a source that only notes what it is asked.

use crate::kit;
use std::sync::{Arc, Mutex};
use tocsin::core::engine::Core;
use tocsin::core::id::ReportId;
use tocsin::core::observation::{Observation, Received, Row};
use tocsin::core::plan::{BATCH, Input};
use tocsin::core::time::{Span, Timestamp};
use tocsin::run::asks::Asks;
use tocsin::run::clock::VirtualClock;
use tocsin::run::lists::Lists;
use tocsin::run::poller::{Inputs, Poller};
use tocsin::run::watcher::Watcher;
use tocsin::source::{Batch, Part, Result, ScanPosition, Source, Watching};
use tokio::sync::mpsc;

/// Pages of so many open rows each; a look for strays takes a while.
struct Scripted {
    clock: VirtualClock,
    pages: i64,
    rows: i64,
    strays_take: Span,
    /// What was asked of it, in order.
    asked: Mutex<Vec<String>>,
}

impl Scripted {
    fn note(&self, what: String) {
        self.asked.lock().expect("nobody panics with it").push(what);
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("nobody panics with it").clone()
    }
}

impl Source for Scripted {
    async fn scan_open(&self, after: Option<&ScanPosition>, _: u32) -> Result<(Batch, Option<ScanPosition>)> {
        let first = match after {
            Some(ScanPosition::Id(ReportId::Int(last))) => last + 1,
            _ => 0,
        };
        self.note(format!("open from {first}"));
        let row = || Row::bare(Received::At(Timestamp::from_secs(0)), "spam".into());
        let rows = (first..first + self.rows).map(|id| Observation { id: ReportId::Int(id), row: Some(row()) });
        let last = first + self.rows - 1;
        let next = (last + 1 < self.pages * self.rows).then_some(ScanPosition::Id(ReportId::Int(last)));
        Ok((Batch { rows: rows.collect(), rejects: Vec::new() }, next))
    }

    async fn read(&self, _: &[ReportId]) -> Result<Batch> {
        Ok(Batch::default())
    }

    fn watching(&self) -> Watching {
        Watching::default()
    }

    async fn scan_part(&self, part: Part, _: Option<&ScanPosition>, _: u32) -> Result<(Batch, Option<ScanPosition>)> {
        if part == Part::Strays {
            self.note("strays".to_owned());
            self.clock.advance(self.strays_take);
        }
        Ok((Batch::default(), None))
    }
}

/// A watcher of this source, and what it hands on. Its core holds nothing.
fn watching(source: Scripted) -> (Watcher<Scripted, VirtualClock>, Arc<Scripted>, mpsc::Receiver<Input>) {
    let (clock, source) = (source.clock.clone(), Arc::new(source));
    let (proof, _) = mpsc::channel(1);
    let (scan, scans) = mpsc::channel(2);
    let (lists, mut questions) = Lists::new();
    tokio::spawn(async move {
        let core = Core::new(Arc::new(kit::policy()));
        while let Some(question) = questions.recv().await {
            question.answer(&core);
        }
    });
    let (asks, inputs) = (Arc::new(Asks::default()), Inputs { proof, scan });
    let every = Span::from_secs(10);
    let poller = Poller { name: "reports".into(), every, source: source.clone(), clock, inputs, asks };
    (Watcher::new(Arc::new(poller), lists), source, scans)
}

fn scripted(pages: i64, rows: i64, strays_take: Span) -> Scripted {
    let clock = VirtualClock::new(Timestamp::from_secs(1_700_000_000));
    Scripted { clock, pages, rows, strays_take, asked: Mutex::default() }
}

#[tokio::test]
async fn the_next_page_is_read_while_the_last_waits_to_be_taken_in() {
    let (mut watcher, source, mut scans) = watching(scripted(3, 4 * BATCH as i64, Span::ZERO));
    let polling = tokio::spawn(async move { watcher.poll().await });
    // Nobody takes anything in: the first page fills the way and waits.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(source.asked(), ["open from 0", "open from 4000"]);
    let mut ids = Vec::new();
    while let Some(Input::Rows(rows)) = scans.recv().await {
        ids.extend(rows.rows.into_iter().map(|seen| seen.id));
    }
    assert_eq!(ids, (0..12_000).map(ReportId::Int).collect::<Vec<_>>(), "every row once, in order");
    assert_eq!(polling.await.expect("no panic").expect("a poll").rows, Some(12_000));
}

#[tokio::test]
async fn strays_are_looked_for_behind_a_lap_and_then_not_for_a_thousand_times_as_long() {
    let (mut watcher, source, mut scans) = watching(scripted(1, 1, Span::from_secs(2)));
    tokio::spawn(async move { while scans.recv().await.is_some() {} });
    watcher.poll().await.expect("a poll");
    assert_eq!(source.asked(), ["open from 0", "strays"]);
    for (later, expected) in [(Span::from_mins(16), 1), (Span::from_secs(2_000), 2)] {
        source.clock.advance(later);
        watcher.poll().await.expect("a poll");
        let looks = source.asked().iter().filter(|what| *what == "strays").count();
        assert_eq!(looks, expected, "{later:?} later");
    }
}
