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
use tocsin::run::poller::{Inputs, PollError, Poller};
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

/// Lets everything go on that can while nobody takes anything in.
async fn settle() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn pages_are_read_ahead_of_the_engine_and_a_poll_ends_when_all_were_taken_in() {
    let (mut watcher, source, mut scans) = watching(scripted(3, 4 * BATCH as i64, Span::ZERO));
    let polling = tokio::spawn(async move { watcher.poll().await });
    settle().await;
    assert_eq!(source.asked(), ["open from 0", "open from 4000", "open from 8000", "strays"]);
    assert!(!polling.is_finished(), "most of it waits");
    let mut ids = Vec::new();
    while let Some(Input::Rows(rows)) = scans.recv().await {
        ids.extend(rows.rows.into_iter().map(|seen| seen.id));
    }
    assert_eq!(ids, (0..12_000).map(ReportId::Int).collect::<Vec<_>>(), "every row once, in order");
    assert_eq!(polling.await.expect("no panic").expect("a poll").rows, Some(12_000));
}

#[tokio::test]
async fn no_more_than_64_batches_are_read_ahead() {
    let (mut watcher, source, mut scans) = watching(scripted(40, 4 * BATCH as i64, Span::ZERO));
    let polling = tokio::spawn(async move { watcher.poll().await });
    settle().await;
    // Two wait at the engine, one is being handed to it, and of the last page three are ahead and one is not.
    assert_eq!(source.asked().len() * 4, 64 + 2 + 1 + 1);
    let mut rows = 0;
    while let Some(Input::Rows(seen)) = scans.recv().await {
        rows += seen.rows.len();
    }
    assert_eq!(rows, 160_000);
    assert_eq!(polling.await.expect("no panic").expect("a poll").rows, Some(160_000));
}

#[tokio::test]
async fn a_poll_whose_engine_has_gone_stops() {
    let (mut watcher, source, scans) = watching(scripted(40, 4 * BATCH as i64, Span::ZERO));
    drop(scans);
    assert!(matches!(watcher.poll().await, Err(PollError::Stopped)));
    assert!(source.asked().len() < 40, "nothing is read that nobody takes in");
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
