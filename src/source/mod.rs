//! Report databases, read only. Rows are parsed here, at the edge, into observations; what can't be
//! parsed becomes a reject and its row the strictest that it could be. No value of a cell, an id
//! excepted, leaves this module in a log line or an error.

pub mod settings;

use crate::core::id::ReportId;
use crate::core::observation::{Observation, Reject};
use std::future::Future;

/// Rows of one read.
#[derive(Debug, Default)]
pub struct Batch {
    pub rows: Vec<Observation>,
    pub rejects: Vec<Reject>,
}

/// What a scan continues after: the last id it has seen, as the database orders ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanPosition(pub ReportId);

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database can't be reached, or refused the connection; the true cause, not "pool timed out".
    #[error("source {source_name}: cannot connect: {cause}")]
    Unreachable { source_name: String, cause: String },
    /// A statement failed.
    #[error("source {source_name}: {operation} failed: {cause}")]
    Failed { source_name: String, operation: &'static str, cause: String },
    /// The mapping doesn't fit the database: a table or column is missing or of the wrong type.
    #[error("source {source_name}: {what}")]
    Mapping { source_name: String, what: String },
}

pub type Result<T> = std::result::Result<T, SourceError>;

/// The port. Tests decorate it.
pub trait Source: Send + Sync + 'static {
    /// Reads open rows in id order, at most `limit`, after `after`. An empty `Batch` with `None` ends
    /// the scan.
    fn scan_open(
        &self,
        after: Option<&ScanPosition>,
        limit: u32,
    ) -> impl Future<Output = Result<(Batch, Option<ScanPosition>)>> + Send;
    /// Reads rows by key, open or not, at most `limit` of `BATCH`; an id without a row comes back with
    /// `row: None`. Runs on a connection of its own, so that a scan can't delay proof.
    fn read(&self, ids: &[ReportId]) -> impl Future<Output = Result<Batch>> + Send;
}
