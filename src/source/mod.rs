//! Report databases, read only. Rows are parsed here, at the edge, into observations; what can't be
//! parsed becomes a reject and its row the strictest that it could be. No value of a cell, an id
//! excepted, leaves this module in a log line or an error.

mod actors;
mod decode;
mod fault;
mod line;
mod postgres;
mod postgres_types;
mod selection;
pub mod settings;
mod sql;
mod sqlite;

use self::line::{Answer, Line, Mapping, Request};
use self::postgres::PostgresSession;
use self::selection::Selection;
use self::settings::Settings;
use self::sql::Which;
use self::sqlite::SqliteSession;
use crate::core::id::ReportId;
use crate::core::observation::{Observation, Reject};
use crate::core::sight::{BlindKind, Lag};
use crate::core::time::Timestamp;
use crate::keys::Keys;
use crate::secret::Secret;
use std::future::Future;
use std::sync::Arc;

/// Rows of one read.
#[derive(Debug, Default)]
pub struct Batch {
    pub rows: Vec<Observation>,
    pub rejects: Vec<Reject>,
}

/// What a scan continues after: the last id it has seen, as the database orders ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanPosition {
    Id(ReportId),
    /// An id that is not UTF-8. No report can have it, but a scan must get past it.
    Bytes(Box<[u8]>),
}

#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The database can't be reached, or refused the connection; the true cause, not "pool timed out".
    #[error("source {source_name}: cannot connect: {cause}")]
    Unreachable { source_name: String, cause: String },
    /// A statement failed; `slow` where it took longer, or waited longer, than the monitor allows itself.
    #[error("source {source_name}: {operation} failed: {cause}")]
    Failed { source_name: String, operation: &'static str, cause: String, slow: bool },
    /// The mapping doesn't fit the database: a table or column is missing or of the wrong type.
    #[error("source {source_name}: {what}")]
    Mapping { source_name: String, what: String },
}

impl SourceError {
    /// The name of the blindness that this failure leads to when it lasts.
    pub fn blind_kind(&self) -> BlindKind {
        match self {
            SourceError::Unreachable { .. } => BlindKind::Refused,
            SourceError::Failed { slow: true, .. } => BlindKind::TimedOut,
            SourceError::Failed { slow: false, .. } | SourceError::Mapping { .. } => BlindKind::Failed,
        }
    }
}

/// How a database is, beside its reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// What its clock shows; `None` where it has none of its own.
    pub clock: Option<Timestamp>,
    /// Set on a replica.
    pub lag: Option<Lag>,
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

/// Rows of one page at most.
pub const PAGE_MAX: u32 = 10_000;

/// A report database of any kind that can be read. Connects when it is first asked, with at most two
/// connections: one for scans, one kept for `read`.
#[derive(Debug)]
pub enum AnySource {
    Postgres(Lines<PostgresSession>),
    Sqlite(Lines<SqliteSession>),
}

/// The two connections of one source.
#[derive(Debug)]
pub struct Lines<S> {
    scan: Line<S>,
    read: Line<S>,
}

/// What a look at a source has found.
#[derive(Debug)]
pub struct Checked {
    /// The kind and version of the database, as "PostgreSQL 15.14".
    pub server: String,
    /// The mapped columns with the types that the database gives them.
    pub columns: Vec<(String, String)>,
    /// The first open rows and what in them could not be read.
    pub sample: Batch,
}

/// A column of a table, for somebody who writes a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFound {
    pub name: String,
    pub type_name: String,
}

/// The kinds of database, by the scheme of their url.
#[derive(Clone, Copy)]
enum Kind {
    Postgres,
    Sqlite,
}

impl Kind {
    fn of(url: &Secret, source_name: &str) -> Result<Kind> {
        match url.expose().split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Kind::Postgres),
            Some("sqlite") => Ok(Kind::Sqlite),
            _ => Err(SourceError::Mapping {
                source_name: source_name.to_owned(),
                what: "the url names no database that can be read; write postgres://, postgresql:// or sqlite:".into(),
            }),
        }
    }
}

impl AnySource {
    /// A source that connects when it is first asked, so that a database which is away at the start stops
    /// nothing. Fails only on a url of an unknown kind.
    pub fn open(settings: Settings, keys: Keys) -> Result<AnySource> {
        let kind = Kind::of(&settings.url, &settings.name)?;
        let selection = Selection::of(&settings);
        let mapping = Arc::new(Mapping { settings, selection, keys });
        Ok(match kind {
            Kind::Postgres => AnySource::Postgres(Lines { scan: Line::new(mapping.clone()), read: Line::new(mapping) }),
            Kind::Sqlite => AnySource::Sqlite(Lines { scan: Line::new(mapping.clone()), read: Line::new(mapping) }),
        })
    }

    /// Connects, holds the mapping against the tables, and reads a first page of open rows.
    pub async fn check(&self) -> Result<Checked> {
        const SAMPLE_ROWS: u32 = 1_000;
        let described = self.scan(&Request::Describe).await?;
        let page = self.scan(&Request::Page { which: Which::Open, after: None, limit: SAMPLE_ROWS }).await?;
        Ok(Checked { server: described.server, columns: described.column_types, sample: page.batch })
    }

    /// Reads every row, open or not, in id order; otherwise like `scan_open`.
    pub async fn all_rows(&self, after: Option<&ScanPosition>, limit: u32) -> Result<(Batch, Option<ScanPosition>)> {
        self.page(Which::All, after, limit).await
    }

    /// Every category of the table with its number of rows, the most frequent first, at most 1,000; NULL
    /// is the empty one.
    pub async fn categories(&self) -> Result<Vec<(String, u64)>> {
        Ok(self.scan(&Request::Categories).await?.categories)
    }

    /// The database's clock, and how far behind it is where it is a replica. Over the connection that is kept
    /// for `read`, because a scan would keep the answer waiting; it takes well under a millisecond.
    pub async fn vitals(&self) -> Result<Vitals> {
        match self {
            AnySource::Postgres(lines) => Ok(lines.read.ask(&Request::Vitals).await?.vitals),
            AnySource::Sqlite(_) => Ok(Vitals::default()),
        }
    }

    async fn page(
        &self,
        which: Which,
        after: Option<&ScanPosition>,
        limit: u32,
    ) -> Result<(Batch, Option<ScanPosition>)> {
        let answer = self.scan(&Request::Page { which, after, limit: limit.clamp(1, PAGE_MAX) }).await?;
        Ok((answer.batch, answer.next))
    }

    async fn scan(&self, request: &Request<'_>) -> Result<Answer> {
        match self {
            AnySource::Postgres(lines) => lines.scan.ask(request).await,
            AnySource::Sqlite(lines) => lines.scan.ask(request).await,
        }
    }
}

impl Source for AnySource {
    async fn scan_open(&self, after: Option<&ScanPosition>, limit: u32) -> Result<(Batch, Option<ScanPosition>)> {
        self.page(Which::Open, after, limit).await
    }

    async fn read(&self, ids: &[ReportId]) -> Result<Batch> {
        let mut batch = Batch::default();
        for ids in line::chunks(ids) {
            let request = Request::Rows(&ids);
            let mut answer = match self {
                AnySource::Postgres(lines) => lines.read.ask(&request).await?,
                AnySource::Sqlite(lines) => lines.read.ask(&request).await?,
            };
            batch.rows.append(&mut answer.batch.rows);
            batch.rejects.append(&mut answer.batch.rejects);
        }
        Ok(batch)
    }
}

/// The tables and views of a database, for somebody who writes a mapping; at most 1,000.
pub async fn tables(url: &Secret) -> Result<Vec<String>> {
    let failed = |error: sqlx::Error| fault::Fault::statement("listing the tables")(error).into_error(&NO_NAME.into());
    match Kind::of(url, NO_NAME)? {
        Kind::Postgres => {
            let mut conn = line::in_time(postgres::connect(url.expose())).await.map_err(refused)?;
            postgres::tables(&mut conn).await.map_err(failed)
        }
        Kind::Sqlite => {
            let mut conn = line::in_time(sqlite::connect(url.expose())).await.map_err(refused)?;
            sqlite::tables(&mut conn).await.map_err(failed)
        }
    }
}

/// The columns of a table, `name` or `schema.name`, with their types.
pub async fn columns_of(url: &Secret, table: &str) -> Result<Vec<ColumnFound>> {
    let bad = |bad: sql::BadName| SourceError::Mapping { source_name: NO_NAME.into(), what: bad.to_string() };
    let relation = sql::relation(&settings::RowsFrom::Table(table.to_owned())).map_err(bad)?;
    let failed = |error: sqlx::Error| fault::Fault::statement("listing the columns")(error).into_error(&NO_NAME.into());
    match Kind::of(url, NO_NAME)? {
        Kind::Postgres => {
            let mut conn = line::in_time(postgres::connect(url.expose())).await.map_err(refused)?;
            postgres::columns_of(&mut conn, &relation).await.map_err(failed)
        }
        Kind::Sqlite => {
            let mut conn = line::in_time(sqlite::connect(url.expose())).await.map_err(refused)?;
            sqlite::columns_of(&mut conn, &relation).await.map_err(failed)
        }
    }
}

/// What messages call a database that has no name in a configuration yet.
const NO_NAME: &str = "(new)";

fn refused(cause: String) -> SourceError {
    SourceError::Unreachable { source_name: NO_NAME.to_owned(), cause }
}
