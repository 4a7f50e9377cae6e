//! Looks at one source: a scan of its open rows every `poll`, and reads by key whenever the core asks.
//! The two run side by side, so that a long scan never delays proof of a breach.

use crate::core::id::Name;
use crate::core::plan::{BATCH, Input, Rows};
use crate::core::time::{Span, Timestamp};
use crate::run::asks::Asks;
use crate::run::clock::Clock;
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

/// What one scan did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scanned {
    pub began: Timestamp,
    pub ended: Timestamp,
    pub rows: u64,
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
    /// Reads every open row once, batch by batch.
    ///
    /// # Errors
    /// Of the source; what was read before the error has been handed on.
    #[tracing::instrument(name = "poll", level = "debug", skip_all, fields(source = %self.name))]
    pub async fn scan(&self) -> Result<Scanned, PollError> {
        let began = self.clock.now();
        let (mut after, mut rows) = (None, 0);
        loop {
            let read_began = self.clock.now();
            let (batch, next) = self.source.scan_open(after.as_ref(), BATCH as u32).await?;
            rows += batch.rows.len() as u64;
            if !batch.rows.is_empty() || !batch.rejects.is_empty() {
                send(&self.inputs.scan, self.rows(batch, read_began)).await?;
            }
            match next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        send(&self.inputs.scan, Input::ScanEnded { source: self.name.clone(), began }).await?;
        Ok(Scanned { began, ended: self.clock.now(), rows })
    }

    /// Reads what the core asked for, until nothing is waiting. A failed read is left to the next scan:
    /// the core pages a P0 without proof after two seconds.
    ///
    /// # Errors
    /// Of the source.
    pub async fn answer(&self) -> Result<(), PollError> {
        loop {
            let ids = self.asks.take();
            if ids.is_empty() {
                return Ok(());
            }
            let read_began = self.clock.now();
            let batch = self.source.read(&ids).await?;
            send(&self.inputs.proof, self.rows(batch, read_began)).await?;
        }
    }

    fn rows(&self, batch: Batch, read_began: Timestamp) -> Input {
        let Batch { rows, rejects } = batch;
        Input::Rows(Rows { source: self.name.clone(), read_began, rows, rejects, recalled: Vec::new() })
    }
}

async fn send(inputs: &mpsc::Sender<Input>, input: Input) -> Result<(), PollError> {
    inputs.send(input).await.map_err(|_| PollError::Stopped)
}
