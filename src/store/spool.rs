//! What stands in for the store while it is away, so that P0 goes on ringing: a port of the same contract in
//! memory, with every page that rings and every answer in a file on this machine's disk before the next step.
//! It keeps nothing else: what is decided meanwhile is decided again, with the same keys, once the store is back.

use super::{
    Attempt, Commit, Delivery, InboxEntry, Lane, Lead, LeasedPage, NewPage, PageCount, PageRow, Result, Sent, Store,
    StoreError, Stored,
};
use crate::core::case::Case;
use crate::core::id::{CaseKey, Name};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;
use crate::core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

const OPERATION: &str = "write the spool";

/// One line of the file. Neither a report's id nor a payload stands in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// A page that rings from now on. `incident` is the incident's name, which needs no store.
    Page { incident: Option<Name>, round: u32, channel: Name, delivery_key: String, created_at: Timestamp },
    /// What became of an attempt at one.
    Answer { delivery_key: String, began: Timestamp, ended: Timestamp, accepted: bool, answer: String },
}

/// The stand-in. The file is for its owner alone.
#[derive(Debug)]
pub struct Spool {
    inner: Mutex<Inner>,
    /// The highest round of each incident, by name, that rang in an emergency whose process didn't live to tell
    /// the store.
    left: BTreeMap<Name, u32>,
    /// What is over is told from here: no store will.
    tells_ends: bool,
}

#[derive(Debug)]
struct Inner {
    /// `None` where there is no place for one.
    file: Option<File>,
    pages: Vec<Held>,
    /// Whether a page is written of which the store hasn't been told.
    dirty: bool,
}

#[derive(Debug)]
struct Held {
    page: NewPage,
    state: State,
    attempts: u32,
    failing: bool,
    sent: Option<Sent>,
    /// The store has a ring for it.
    told: bool,
}

/// Pages of an emergency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolCounts {
    pub pages: usize,
    pub accepted: usize,
    /// Accepted, and the store was never told.
    pub untold: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Due(Timestamp),
    LeasedUntil(Timestamp),
    Accepted,
    Parked,
}

impl Spool {
    /// Opens the file, or makes it. What an emergency before left in it is kept until the next one is over.
    ///
    /// # Errors
    /// Of the file.
    pub fn open(path: &Path) -> io::Result<Spool> {
        let left = match std::fs::read_to_string(path) {
            Ok(text) => rounds(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        let mut options = OpenOptions::new();
        let file = options.create(true).append(true).mode(0o600).open(path)?;
        Ok(Spool::of(Some(file), left))
    }

    /// One that a crash empties.
    pub fn in_memory() -> Spool {
        Spool::of(None, BTreeMap::new())
    }

    /// One in memory for a start that has no store: it tells of ends as well, because no store will.
    pub fn of_a_start() -> Spool {
        Spool { tells_ends: true, ..Spool::in_memory() }
    }

    fn of(file: Option<File>, left: BTreeMap<Name, u32>) -> Spool {
        Spool { inner: Mutex::new(Inner { file, pages: Vec::new(), dirty: false }), left, tells_ends: false }
    }

    /// The highest round of each incident, by its name, of which the store may know nothing.
    pub fn left(&self) -> &BTreeMap<Name, u32> {
        &self.left
    }

    /// What was accepted under these delivery keys, for the store to be told.
    pub fn sent(&self, pages: &[NewPage]) -> Vec<Sent> {
        let mut inner = self.lock();
        if inner.pages.is_empty() {
            return Vec::new();
        }
        let keys: BTreeSet<&str> = pages.iter().map(|page| page.delivery_key.as_str()).collect();
        let asked = inner.pages.iter_mut().filter(|held| keys.contains(held.page.delivery_key.as_str()));
        let tell = |held: &mut Held| {
            held.told = true;
            held.sent.clone()
        };
        asked.filter_map(tell).collect()
    }

    /// The store knows it all.
    ///
    /// # Errors
    /// Of the file.
    pub fn clear(&self) -> io::Result<()> {
        let mut inner = self.lock();
        inner.pages.clear();
        match &inner.file {
            Some(file) if inner.dirty => file.set_len(0).and_then(|()| file.sync_all())?,
            Some(_) | None => {}
        }
        inner.dirty = false;
        Ok(())
    }

    pub fn counts(&self) -> SpoolCounts {
        let inner = self.lock();
        let accepted = || inner.pages.iter().filter(|held| held.state == State::Accepted);
        // One that rang in another's place is sent again in that one's, under the same key.
        let untold = accepted().filter(|held| !held.told && held.page.in_place_of.is_none()).count();
        SpoolCounts { pages: inner.pages.len(), accepted: accepted().count(), untold }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change is whole before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The highest round of each incident in the lines; a line that a failing machine cut off is none.
fn rounds(text: &str) -> BTreeMap<Name, u32> {
    let mut rounds = BTreeMap::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
        if let Line::Page { incident: Some(incident), round, .. } = line {
            let highest = rounds.entry(incident).or_insert(round);
            *highest = round.max(*highest);
        }
    }
    rounds
}

impl Inner {
    /// The lines are on the disk when this returns. A disk that takes nothing costs the memory of a crash, and
    /// must not cost the page.
    fn write(&mut self, lines: &[Line]) {
        let mut text = Vec::new();
        for line in lines {
            if serde_json::to_writer(&mut text, line).is_ok() {
                text.push(b'\n');
            }
        }
        self.dirty = true;
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.write_all(&text).and_then(|()| file.sync_data()) {
            tracing::error!(%error, "the spool can't be written: were this process to die now, its pages might ring once more");
        }
    }

    fn add(&mut self, page: NewPage) {
        let state = State::Due(page.created_at);
        self.pages.push(Held { page, state, attempts: 0, failing: false, sent: None, told: false });
    }

    fn held(&mut self, page: i64) -> Result<&mut Held> {
        let unknown = || StoreError::Unreadable { operation: OPERATION, what: format!("no page {page}") };
        usize::try_from(page).ok().and_then(|at| self.pages.get_mut(at)).ok_or_else(unknown)
    }

    /// As [`Store::fall_back`] has it.
    fn fall_back(&mut self, page: i64, fallbacks: &[NewPage]) -> Result<()> {
        let held = self.held(page)?;
        if held.state == State::Accepted {
            return Ok(());
        }
        held.failing = true;
        for next in fallbacks {
            let of_round = |held: &&Held| {
                let page = &held.page;
                (page.incident, page.round, &page.channel) == (next.incident, next.round, &next.channel)
            };
            match self.pages.iter().rfind(of_round) {
                Some(held) if held.failing || held.state == State::Parked => {}
                Some(_) => return Ok(()),
                None => {
                    self.write(&[line(next, None)]);
                    self.add(next.clone());
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn line(page: &NewPage, incident: Option<Name>) -> Line {
    let (round, channel, created_at) = (page.round, page.channel.clone(), page.created_at);
    Line::Page { incident, round, channel, delivery_key: page.delivery_key.clone(), created_at }
}

fn lane(page: &NewPage) -> Lane {
    if page.priority == Priority::P0 { Lane::P0 } else { Lane::Lesser }
}

fn due_at(held: &Held) -> Option<Timestamp> {
    match held.state {
        State::Due(at) | State::LeasedUntil(at) => Some(at),
        State::Accepted | State::Parked => None,
    }
}

impl Store for Spool {
    /// Takes up the rings of incidents that ring in an emergency, and of nothing else.
    async fn commit(&self, commit: &Commit<'_>) -> Result<()> {
        let named = |page: &NewPage| commit.plan.incidents.get(&page.incident).and_then(|of| of.named.clone());
        let rings = commit.pages.iter().filter(|page| page.kind == PageKind::Ring || self.tells_ends);
        let ringing: Vec<(&NewPage, Name)> = rings.filter_map(|page| Some((page, named(page)?))).collect();
        if ringing.is_empty() {
            return Ok(());
        }
        let mut inner = self.lock();
        let lines: Vec<Line> = ringing.iter().map(|(page, name)| line(page, Some(name.clone()))).collect();
        inner.write(&lines);
        ringing.into_iter().for_each(|(page, _)| inner.add(page.clone()));
        Ok(())
    }

    async fn lease_pages(
        &self,
        of: Lane,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
        full: &[Name],
    ) -> Result<Vec<LeasedPage>> {
        let mut inner = self.lock();
        let is_due = |held: &Held| due_at(held).is_some_and(|at| at <= now);
        let due = inner
            .pages
            .iter_mut()
            .enumerate()
            .filter(|(_, held)| lane(&held.page) == of && is_due(held) && !full.contains(&held.page.channel));
        let lease = |(at, held): (usize, &mut Held)| {
            held.state = State::LeasedUntil(until);
            LeasedPage { id: at as i64, page: held.page.clone(), attempts: held.attempts }
        };
        Ok(due.take(limit as usize).map(lease).collect())
    }

    async fn next_page_at(&self, of: Lane, full: &[Name]) -> Result<Option<Timestamp>> {
        let inner = self.lock();
        let waiting = inner.pages.iter().filter(|held| lane(&held.page) == of && !full.contains(&held.page.channel));
        Ok(waiting.filter_map(due_at).min())
    }

    async fn record(&self, attempt: &Attempt) -> Result<()> {
        let mut inner = self.lock();
        let held = inner.held(attempt.page)?;
        held.attempts += 1;
        let delivery_key = held.page.delivery_key.clone();
        let accepted = attempt.delivery == Delivery::Accepted;
        if held.state != State::Accepted {
            held.state = match attempt.delivery {
                Delivery::Accepted => State::Accepted,
                Delivery::Retry { at } => State::Due(at),
                Delivery::Parked => State::Parked,
            };
        }
        let (began, ended, answer) = (attempt.began, attempt.ended, attempt.answer.clone());
        if accepted {
            let (delivery_key, answer) = (delivery_key.clone(), answer.clone());
            held.sent.get_or_insert(Sent { delivery_key, began, ended, answer });
        }
        inner.write(&[Line::Answer { delivery_key, began, ended, accepted, answer }]);
        if attempt.fallbacks.is_empty() { Ok(()) } else { inner.fall_back(attempt.page, &attempt.fallbacks) }
    }

    async fn unanswered(&self, of: Lane, limit: u32) -> Result<Vec<LeasedPage>> {
        let inner = self.lock();
        let waits = |held: &Held| due_at(held).is_some() && !held.failing && !held.page.fallbacks.is_empty();
        let waiting = inner.pages.iter().enumerate().filter(|(_, held)| lane(&held.page) == of && waits(held));
        let leased =
            |(at, held): (usize, &Held)| LeasedPage { id: at as i64, page: held.page.clone(), attempts: held.attempts };
        Ok(waiting.map(leased).take(limit as usize).collect())
    }

    async fn fall_back(&self, page: i64, fallbacks: &[NewPage], _: Timestamp) -> Result<()> {
        self.lock().fall_back(page, fallbacks)
    }

    /// It remembers nothing of what was before.
    async fn recall(&self, _: &[CaseKey]) -> Result<Vec<Case>> {
        Ok(Vec::new())
    }

    async fn inbox(&self) -> Result<Vec<InboxEntry>> {
        Ok(Vec::new())
    }

    async fn load_in_parts(&self, _: impl FnMut(Vec<Case>) + Send) -> Result<Stored> {
        Ok(Stored::default())
    }

    /// Nobody else has it.
    async fn lead(&self, _: &str, _: Timestamp, _: Option<u64>) -> Result<Lead> {
        Ok(Lead::Taken { token: 0, released: 0 })
    }

    async fn renew(&self, _: u64) -> Result<()> {
        Ok(())
    }

    async fn hand_over(&self, _: u64) -> Result<()> {
        Ok(())
    }

    async fn settle(&self, _: u64) -> Result<u64> {
        Ok(0)
    }

    async fn pages(&self, _: u32) -> Result<Vec<PageRow>> {
        Ok(Vec::new())
    }

    async fn page_counts(&self) -> Result<Vec<PageCount>> {
        Ok(Vec::new())
    }
}
