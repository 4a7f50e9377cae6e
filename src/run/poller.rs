//! Reads one source: by key whenever the core asks, side by side with the polls (`watcher`), so that a long
//! scan never delays proof of a breach.

use crate::core::id::{Name, ReportId};
use crate::core::observation::{Observation, Received};
use crate::core::plan::{Input, Rows};
use crate::core::time::{Span, Timestamp};
use crate::run::asks::Asks;
use crate::run::clock::Clock;
use crate::source::feed::Replayed;
use crate::source::{Batch, Source, SourceError};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Where a poller's inputs go: proof overtakes the rows of a scan.
#[derive(Clone, Debug)]
pub struct Inputs {
    pub proof: mpsc::Sender<Input>,
    pub scan: mpsc::Sender<Input>,
}

pub struct Poller<S: Source, C: Clock> {
    pub name: Name,
    pub every: Span,
    pub source: Arc<S>,
    pub clock: C,
    pub inputs: Inputs,
    pub asks: Arc<Asks>,
}

#[derive(Debug, thiserror::Error)]
pub enum PollError {
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The engine is gone: the process is stopping.
    #[error("the engine has stopped")]
    Stopped,
}

impl<S: Source, C: Clock> Poller<S, C> {
    /// Reads what the core asked for, until nothing is waiting. What can't be read goes on waiting: a P0 has paged
    /// without proof after two seconds and still owes it, and of a lesser report nothing else may ever tell that it
    /// is overdue. One read that fails keeps none of the others from being tried, but for a database that is away.
    ///
    /// # Errors
    /// Of the source: the last one.
    pub async fn answer(&self) -> Result<(), PollError> {
        let (mut unanswered, mut failed) = (Vec::new(), Ok(()));
        loop {
            let asked = self.asks.take();
            if asked.is_empty() {
                break;
            }
            let ids: Vec<ReportId> = asked.iter().map(|(_, id)| id.clone()).collect();
            match self.read(&ids).await {
                Ok(input) => send(&self.inputs.proof, input).await?,
                Err(error) => {
                    unanswered.extend(asked);
                    let is_away = matches!(error, SourceError::Unreachable { .. });
                    failed = Err(error.into());
                    if is_away {
                        break;
                    }
                }
            }
        }
        self.asks.put_back(unanswered);
        failed
    }

    async fn read(&self, ids: &[ReportId]) -> Result<Input, SourceError> {
        let read_began = self.clock.now();
        let replica = self.source.currency().await?;
        let batch = self.source.read(ids).await?;
        Ok(self.rows(batch, read_began, replica))
    }

    pub(super) fn rows(&self, batch: Batch, read_began: Timestamp, replica: Option<Replayed>) -> Input {
        let Batch { rows, rejects } = batch;
        let read_began = proof(read_began, replica, &rows);
        Input::Rows(Rows { source: self.name.clone(), read_began, rows, rejects, recalled: Vec::new() })
    }
}

/// Up to when a read proves that nothing else has happened. Of a replica that is the last commit which it
/// has replayed: an event that it shows has happened, one that it doesn't show may have. What its rows say
/// was written counts too, as far as a clock may run ahead.
pub(super) fn proof(read_began: Timestamp, replica: Option<Replayed>, rows: &[Observation]) -> Timestamp {
    const AHEAD_MOST: Span = Span::from_secs(1);
    let Some(Replayed(replayed)) = replica else { return read_began };
    let received = rows.iter().filter_map(|seen| match seen.row.as_ref()?.received {
        Received::At(at) => Some(at).filter(|at| *at <= read_began),
        Received::Unreadable => None,
    });
    let written = received.max().unwrap_or(Timestamp::MIN);
    let known = replayed.map_or(written, |at| at.max(written.min(at.plus(AHEAD_MOST))));
    known.min(read_began)
}

pub(super) async fn send(inputs: &mpsc::Sender<Input>, input: Input) -> Result<(), PollError> {
    inputs.send(input).await.map_err(|_| PollError::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::observation::Row;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn received(secs: i64) -> Observation {
        let row = Row::bare(Received::At(at(secs)), "spam".into());
        Observation { id: ReportId::Int(1), row: Some(row) }
    }

    #[test]
    fn a_primary_proves_up_to_the_beginning_of_the_read_and_a_replica_up_to_its_last_commit() {
        assert_eq!(proof(at(100), None, &[]), at(100));
        assert_eq!(proof(at(100), Some(Replayed(Some(at(90)))), &[]), at(90));
        assert_eq!(proof(at(100), Some(Replayed(Some(at(130)))), &[]), at(100));
    }

    #[test]
    fn a_row_that_a_replica_shows_was_written_before_whatever_its_clock_says() {
        let lagging = Some(Replayed(Some(at(90))));
        assert_eq!(proof(at(100), lagging, &[received(50), received(91)]), at(91));
        assert_eq!(proof(at(100), lagging, &[received(99)]), at(91), "a clock may run ahead, but not for long");
        assert_eq!(proof(at(100), Some(Replayed(None)), &[received(50)]), at(50));
        assert_eq!(proof(at(100), Some(Replayed(None)), &[]), Timestamp::MIN);
    }
}
