//! Polls one source: follows its cursors, reads again what nothing tells of, and sweeps. What is read goes
//! on to the engine as it comes, while more is read; a poll that fails is made again from where it began.

use crate::core::id::ReportId;
use crate::core::plan::{BATCH, Input};
use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use crate::core::watch::{Reread, RestPlace, ToReread};
use crate::run::clock::Clock;
use crate::run::lists::Lists;
use crate::run::poller::{PollError, Poller, proof, send};
use crate::run::rounds::{BY_KEY_MAX, Rounds};
use crate::source::cursor::Cursor;
use crate::source::feed::{Begin, Changes, FeedKind, Moment, Replayed};
use crate::source::{Batch, PAGE_MAX, Part, ScanPosition, Source, SourceError};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Batches that a poll reads ahead of the engine: at a start, whose P0 are decided and committed before anything else
/// is, the database is not kept waiting for that.
const AHEAD: usize = 64;
/// How far behind what has been read a change may still be stamped, unless the configuration says: where
/// transactions can be seen, and elsewhere.
const OVERLAP_SEEN: Span = Span::from_secs(2);
const OVERLAP_UNSEEN: Span = Span::from_secs(30);
/// How often rows are looked for that a scan of the open ones leaves out.
const STRAYS_EVERY: Span = Span::from_mins(15);
/// So many times as long as that took the database is left alone at least: it may have read the whole table.
const STRAYS_REST: i64 = 1_000;
/// How far a replica may be behind that doesn't say how far.
const UNKNOWN_LAG: Span = Span::from_hours(1);
/// How far back a start looks for what came and was closed unseen.
const UNSEEN_MAX: Span = Span::from_hours(7 * 24);

pub struct Watcher<S: Source, C: Clock> {
    poller: Arc<Poller<S, C>>,
    lists: Lists,
    overlap: Option<Span>,
    cursors: BTreeMap<FeedKind, Cursor>,
    follows: BTreeSet<FeedKind>,
    rounds: Rounds,
    tells_changes: bool,
    /// Until when the source was in sight before this process.
    seen_until: Option<Timestamp>,
    /// Of a replica, up to when it was known to have come last.
    replayed: Option<Timestamp>,
    /// The categories that come first have been asked for.
    asked_first: bool,
    /// Where the lap under way stands, and the round of the rest.
    lap_after: Option<ScanPosition>,
    rest_from: RestPlace,
    strays_due: Option<Timestamp>,
    /// Database time of the poll under way.
    spent: Span,
}

/// What one poll did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Polled {
    pub began: Timestamp,
    pub ended: Timestamp,
    /// Time spent waiting for the database.
    pub database: Span,
    /// Rows that the lap saw which came to its end.
    pub rows: Option<u64>,
    /// Whether all of it has been read once.
    pub has_looked: bool,
    pub looked_at: BTreeMap<Priority, Timestamp>,
}

/// The poll under way: the database as it was at its beginning.
struct Look {
    began: Timestamp,
    until: Timestamp,
    /// The database's clock, of a replica its primary's as far as it has come.
    clock: Timestamp,
    moment: Moment,
    /// Where what is read waits for the engine.
    ahead: mpsc::Sender<Input>,
}

/// A page of rows, where the next begins, and what it took.
struct Page {
    batch: Batch,
    next: Option<ScanPosition>,
    read_began: Timestamp,
    took: Span,
}

impl<S: Source, C: Clock> Watcher<S, C> {
    pub fn new(poller: Arc<Poller<S, C>>, lists: Lists) -> Self {
        let watching = poller.source.watching();
        let tells = watching.tells_changes.then_some(FeedKind::Changed);
        let history = watching.has_history.then_some(FeedKind::History);
        Watcher {
            poller,
            lists,
            overlap: watching.overlap,
            cursors: BTreeMap::new(),
            follows: tells.into_iter().chain(history).collect(),
            tells_changes: watching.tells_changes,
            seen_until: None,
            replayed: None,
            rounds: Rounds::new(watching),
            asked_first: false,
            lap_after: None,
            rest_from: RestPlace::default(),
            strays_due: None,
            spent: Span::ZERO,
        }
    }

    /// What came and was closed while nobody watched is found by following from where the source was last seen.
    pub fn since(self, seen_until: Option<Timestamp>) -> Self {
        Watcher { seen_until, ..self }
    }

    /// Polls once. It ends when the engine has been handed all that was read.
    ///
    /// # Errors
    /// Of the source; what was read before the error has been handed on.
    #[tracing::instrument(name = "poll", level = "debug", skip_all, fields(source = %self.poller.name))]
    pub async fn poll(&mut self) -> Result<Polled, PollError> {
        let (ahead, waiting) = mpsc::channel(AHEAD);
        // A task of its own, because reading holds its thread for as long as rows are there.
        let handing = tokio::spawn(hand_on(waiting, self.poller.inputs.scan.clone()));
        let read = self.read_round(ahead).await;
        let handed = handing.await;
        let (began, rows) = read?;
        handed.unwrap_or(Err(PollError::Stopped))?;
        Ok(Polled {
            began,
            ended: self.poller.clock.now(),
            database: self.spent,
            rows,
            has_looked: self.rounds.has_looked(),
            looked_at: self.rounds.looked_at().clone(),
        })
    }

    /// Reads what is due in this round; gives when it began, and how many rows the lap saw which came to its end.
    async fn read_round(&mut self, ahead: mpsc::Sender<Input>) -> Result<(Timestamp, Option<u64>), PollError> {
        self.spent = Span::ZERO;
        let began = self.poller.clock.now();
        let source = self.poller.source.clone();
        let moment = self.timed(source.moment()).await?;
        self.poller.asks.again();
        if moment.lacks_stamps {
            self.rounds.lacks_stamps();
        }
        let (until, clock) = (began.plus(self.poller.every), self.shown_at(&moment, began));
        let look = Look { began, until, clock, moment, ahead };
        let round = self.rounds.next(began, until);
        if !self.asked_first {
            self.part(&look, Part::First).await?;
            self.asked_first = true;
        }
        self.follow_all(&look, round.arrivals).await?;
        if round.urgent {
            self.read_urgent(&look).await?;
        }
        if let Some(slice) = round.rest {
            self.read_rest(&look, slice).await?;
        }
        let mut rows = None;
        if let Some(slice) = round.lap {
            rows = self.lap(&look, slice).await.inspect_err(|_| {
                self.lap_after = None;
                self.rounds.lap_failed();
            })?;
        }
        if rows.is_some() {
            self.look_for_strays(&look).await?;
        }
        Ok((began, rows))
    }

    /// When what the database shows was the present, by its clock. A replica's cursor waits for late commits in the
    /// primary's time: while the replay stands still nothing can come, and what was under way comes afterwards.
    fn shown_at(&mut self, moment: &Moment, began: Timestamp) -> Timestamp {
        let clock = moment.clock.unwrap_or(began);
        let Some(Replayed(replayed)) = moment.replica else { return clock };
        self.replayed = replayed.or(self.replayed);
        self.replayed.map_or(clock, |replayed| replayed.min(clock))
    }

    /// Follows every cursor to its end.
    async fn follow_all(&mut self, look: &Look, arrivals: bool) -> Result<(), PollError> {
        let kinds = self.follows.iter().copied().chain(arrivals.then_some(FeedKind::Received));
        for kind in kinds.collect::<Vec<_>>() {
            let unseen = || if look.moment.live.is_some() { OVERLAP_SEEN } else { OVERLAP_UNSEEN };
            let overlap = self.overlap.unwrap_or_else(unseen);
            let mut cursor = self.cursors.remove(&kind).unwrap_or_else(|| Cursor::new(kind, overlap));
            let spent_before = self.spent;
            let followed = self.follow(look, &mut cursor).await;
            if kind == FeedKind::Received {
                self.rounds.followed_arrivals(look.began, self.spent.minus(spent_before));
            }
            if cursor.has_missed() {
                self.rounds.sweep_soon();
            }
            self.cursors.insert(kind, cursor);
            followed?;
        }
        self.rounds.followed(proof(look.began, look.moment.replica, &[]));
        Ok(())
    }

    async fn follow(&mut self, look: &Look, cursor: &mut Cursor) -> Result<(), PollError> {
        // What came in since the last lap began may have been missed by it, and so may whatever was closed before the
        // first one.
        let seen = self.rounds.last_shown().or(self.seen_until).unwrap_or(look.began);
        let least = if look.moment.replica == Some(Replayed(None)) { UNKNOWN_LAG } else { Span::ZERO };
        let since = look.began.since(seen).clamp(least, UNSEEN_MAX);
        let mut begin = cursor.begin(look.clock, look.clock.minus(since), &look.moment);
        loop {
            let (source, read_began) = (self.poller.source.clone(), self.poller.clock.now());
            let mut page = self.timed(source.changes(cursor.kind, &begin, look.clock, PAGE_MAX)).await?;
            let is_full = page.rows.len() >= PAGE_MAX as usize;
            let next = page.next.take();
            cursor.take(&mut page, &look.moment);
            if page.lost {
                self.rounds.sweep_soon();
                return Ok(());
            }
            self.hand_changes(look, cursor.kind, page, read_began).await?;
            match next {
                Some(next) if is_full => begin = Begin::Behind(next),
                _ => break,
            }
        }
        cursor.end(look.clock, &look.moment);
        Ok(())
    }

    /// Rows go on as they are; of actions, the reports that they are about are read.
    async fn hand_changes(
        &mut self,
        look: &Look,
        kind: FeedKind,
        page: Changes,
        read_began: Timestamp,
    ) -> Result<(), PollError> {
        if kind == FeedKind::History {
            let reports: BTreeSet<ReportId> = page.rows.into_iter().filter_map(|change| change.report).collect();
            return self.reread(look, &reports.into_iter().collect::<Vec<_>>()).await;
        }
        let mut batch = Batch::default();
        for change in page.rows {
            batch.rows.extend(change.seen);
            batch.rejects.extend(change.rejects);
        }
        self.hand(look, batch, read_began).await
    }

    async fn read_urgent(&mut self, look: &Look) -> Result<(), PollError> {
        let why = if self.tells_changes { Reread::Untold } else { Reread::Urgent };
        let ids = self.ask(why).await?.ids;
        if ids.len() as u64 <= BY_KEY_MAX {
            self.reread(look, &ids).await?;
            if !self.tells_changes {
                self.rounds.read_urgent(proof(look.began, look.moment.replica, &[]));
            }
        }
        Ok(())
    }

    async fn read_rest(&mut self, look: &Look, slice: Span) -> Result<(), PollError> {
        let spent_before = self.spent;
        let began = proof(look.began, look.moment.replica, &[]);
        while self.spent.minus(spent_before) < slice {
            let ToReread { ids, next } = self.ask(Reread::Rest { from: self.rest_from.clone(), limit: BATCH }).await?;
            self.reread(look, &ids).await?;
            self.rounds.read_rest(began, next.is_none());
            self.rest_from = next.clone().unwrap_or_default();
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }

    async fn ask(&self, why: Reread) -> Result<ToReread, PollError> {
        self.lists.ask(&self.poller.name, why).await.ok_or(PollError::Stopped)
    }

    /// Reads reports by key, over the connection of the scans.
    async fn reread(&mut self, look: &Look, ids: &[ReportId]) -> Result<(), PollError> {
        for ids in ids.chunks(BATCH) {
            let (source, read_began) = (self.poller.source.clone(), self.poller.clock.now());
            let batch = self.timed(source.reread(ids)).await?;
            self.hand(look, batch, read_began).await?;
        }
        Ok(())
    }

    /// Reads open rows page by page, from where the last poll left off; gives how many there are when
    /// the last page has been read.
    async fn lap(&mut self, look: &Look, slice: Option<Span>) -> Result<Option<u64>, PollError> {
        let spent_before = self.spent;
        let began = self.rounds.lap_began(look.began, proof(look.began, look.moment.replica, &[]));
        let after = self.lap_after.take();
        let mut next = Some(after);
        while let Some(after) = next {
            let page = self.read(None, after).await?;
            self.spent = self.spent.plus(page.took);
            self.rounds.read_page(page.took, page.batch.rows.len() as u64);
            let out_of_time = !self.rounds.has_looked() && self.poller.clock.now() >= look.until;
            let is_spent = slice.is_some_and(|slice| out_of_time || self.spent.minus(spent_before) >= slice);
            self.hand(look, page.batch, page.read_began).await?;
            if is_spent && page.next.is_some() {
                self.lap_after = page.next;
                return Ok(None);
            }
            next = page.next.map(Some);
        }
        send(&look.ahead, Input::ScanEnded { source: self.poller.name.clone(), began }).await?;
        Ok(Some(self.rounds.lap_ended()))
    }

    /// Reads a page of a part, or of all open rows.
    async fn read(&self, part: Option<Part>, after: Option<ScanPosition>) -> Result<Page, PollError> {
        let (source, read_began) = (self.poller.source.clone(), self.poller.clock.now());
        let asked = async {
            match part {
                Some(part) => source.scan_part(part, after.as_ref(), PAGE_MAX).await,
                None => source.scan_open(after.as_ref(), PAGE_MAX).await,
            }
        };
        let (page, took) = timing(&self.poller.clock, asked).await;
        let (batch, next) = page?;
        Ok(Page { batch, next, read_began, took })
    }

    /// After a lap, because no index may lead to them. A table in which they can't be found in time is watched without
    /// them, and the log says so.
    async fn look_for_strays(&mut self, look: &Look) -> Result<(), PollError> {
        if self.strays_due.is_some_and(|due| look.began < due) {
            return Ok(());
        }
        let spent_before = self.spent;
        let looked = self.part(look, Part::Strays).await;
        let took = self.spent.minus(spent_before);
        let rest = Span::from_micros(took.micros().saturating_mul(STRAYS_REST));
        self.strays_due = Some(look.began.plus(rest.max(STRAYS_EVERY)));
        match looked {
            Err(PollError::Source(error @ SourceError::Failed { .. })) => {
                tracing::warn!(%error, "rows whose closing time is infinite can't be looked for");
                Ok(())
            }
            other => other,
        }
    }

    async fn part(&mut self, look: &Look, part: Part) -> Result<(), PollError> {
        let mut next = Some(None);
        while let Some(after) = next {
            let page = self.read(Some(part), after).await?;
            self.spent = self.spent.plus(page.took);
            self.hand(look, page.batch, page.read_began).await?;
            next = page.next.map(Some);
        }
        Ok(())
    }

    /// Hands on what one read saw, in batches that the core takes.
    async fn hand(&self, look: &Look, batch: Batch, read_began: Timestamp) -> Result<(), PollError> {
        if batch.rows.len() <= BATCH {
            let is_empty = batch.rows.is_empty() && batch.rejects.is_empty();
            return if is_empty { Ok(()) } else { self.send(look, batch, read_began).await };
        }
        let Batch { rows, mut rejects } = batch;
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            let part = Batch { rows: rows.by_ref().take(BATCH).collect(), rejects: std::mem::take(&mut rejects) };
            self.send(look, part, read_began).await?;
        }
        Ok(())
    }

    async fn send(&self, look: &Look, batch: Batch, read_began: Timestamp) -> Result<(), PollError> {
        send(&look.ahead, self.poller.rows(batch, read_began, look.moment.replica)).await
    }

    async fn timed<T>(&mut self, asked: impl Future<Output = T>) -> T {
        let (answer, took) = timing(&self.poller.clock, asked).await;
        self.spent = self.spent.plus(took);
        answer
    }
}

/// Hands the engine what waits, until no more comes.
async fn hand_on(mut waiting: mpsc::Receiver<Input>, scan: mpsc::Sender<Input>) -> Result<(), PollError> {
    while let Some(input) = waiting.recv().await {
        send(&scan, input).await?;
    }
    Ok(())
}

/// An answer, and what it took.
async fn timing<T>(clock: &impl Clock, asked: impl Future<Output = T>) -> (T, Span) {
    let began = clock.now();
    let answer = asked.await;
    (answer, clock.now().since(began).max(Span::ZERO))
}
