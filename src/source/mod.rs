//! Report databases, read only. Rows are parsed here, at the edge, into observations; what can't be
//! parsed becomes a reject and its row the strictest that it could be. No value of a cell, an id
//! excepted, leaves this module in a log line or an error.

mod actors;
pub mod cursor;
mod decode;
mod fault;
pub mod feed;
pub mod gaps;
mod history;
mod horizon;
mod line;
mod mysql;
mod mysql_feed;
mod mysql_plans;
mod mysql_standing;
mod mysql_text;
mod mysql_types;
mod plans;
mod postgres;
mod postgres_feed;
mod postgres_types;
mod selection;
pub mod settings;
mod sql;
mod sqlite;
mod sqlite_feed;

use self::feed::{Begin, Changes, FeedKind, Moment, Replayed};
use self::history::HistoryMapping;
use self::line::{Answer, Line, Mapping, Request};
use self::mysql::MysqlSession;
pub use self::plans::PlanFound;
use self::postgres::PostgresSession;
use self::selection::Selection;
use self::settings::{CategoryFrom, Settings};
use self::sql::Which;
use self::sqlite::SqliteSession;
use crate::core::id::ReportId;
use crate::core::observation::{Observation, Received, Reject};
use crate::core::sight::{BlindKind, Lag};
use crate::core::time::{Span, Timestamp};
use crate::keys::Keys;
use crate::secret::Secret;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

/// Rows of one read.
#[derive(Debug, Default)]
pub struct Batch {
    pub rows: Vec<Observation>,
    pub rejects: Vec<Reject>,
}

impl Batch {
    pub fn append(&mut self, mut other: Batch) {
        self.rows.append(&mut other.rows);
        self.rejects.append(&mut other.rejects);
    }

    /// The reports of which a row is there.
    pub fn ids_there(&self) -> Vec<ReportId> {
        self.rows.iter().filter(|seen| seen.row.is_some()).map(|seen| seen.id.clone()).collect()
    }
}

/// What a scan continues after: the last id it has seen, as the database orders ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanPosition {
    Id(ReportId),
    /// An id that is not UTF-8. No report can have it, but a scan must get past it.
    Bytes(Box<[u8]>),
}

/// Printed, it names its source first.
#[derive(Debug)]
pub enum SourceError {
    /// The database can't be reached, or refused the connection; the true cause, not "pool timed out".
    Unreachable { source_name: String, cause: String },
    /// A statement failed; `slow` where it took longer, or waited longer, than the monitor allows itself.
    Failed { source_name: String, operation: &'static str, cause: String, slow: bool },
    /// The mapping doesn't fit the database: a table or column is missing or of the wrong type.
    Mapping { source_name: String, what: String },
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (SourceError::Unreachable { source_name, .. }
        | SourceError::Failed { source_name, .. }
        | SourceError::Mapping { source_name, .. }) = self;
        write!(f, "source {source_name}: {}", self.complaint())
    }
}

impl std::error::Error for SourceError {}

impl SourceError {
    /// What is wrong, for whoever has named the source already.
    pub fn complaint(&self) -> String {
        match self {
            SourceError::Unreachable { cause, .. } => format!("cannot connect: {cause}"),
            SourceError::Failed { operation, cause, .. } => format!("{operation} failed: {cause}"),
            SourceError::Mapping { what, .. } => what.clone(),
        }
    }

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
    /// What could not be asked about it, and what would let it.
    pub unchecked: Option<&'static str>,
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

    /// How it is to be watched. By default everything is read at every poll.
    fn watching(&self) -> Watching {
        Watching::default()
    }

    /// The clock and the transactions of now, before whatever is read next by anything but `read`.
    fn moment(&self) -> impl Future<Output = Result<Moment>> + Send {
        async { Ok(Moment::default()) }
    }

    /// What the answers of `read` can prove from now on, where they come from a replica.
    fn currency(&self) -> impl Future<Output = Result<Option<Replayed>>> + Send {
        async { Ok(None) }
    }

    /// One page of a feed, at most `limit` of its rows; `clock` is the database's of the last moment.
    fn changes(
        &self,
        _feed: FeedKind,
        _begin: &Begin,
        _clock: Timestamp,
        _limit: u32,
    ) -> impl Future<Output = Result<Changes>> + Send {
        async { Ok(Changes::default()) }
    }

    /// As `read`, over the connection of the scans.
    fn reread(&self, ids: &[ReportId]) -> impl Future<Output = Result<Batch>> + Send {
        self.read(ids)
    }

    /// As `scan_open`, but only of the categories that come first, or only of the rows that `scan_open`
    /// leaves out although their closing time is none.
    fn scan_part(
        &self,
        _part: Part,
        _after: Option<&ScanPosition>,
        _limit: u32,
    ) -> impl Future<Output = Result<(Batch, Option<ScanPosition>)>> + Send {
        async { Ok((Batch::default(), None)) }
    }
}

/// Rows that are asked for apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Open rows of the categories that come first.
    First,
    /// Rows whose closing time is infinite, which an index on the open rows can't find.
    Strays,
}

/// How a source is to be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watching {
    /// Whether it has a column that every change moves forward.
    pub tells_changes: bool,
    pub has_history: bool,
    /// How far behind what has been read a change may still be stamped; `None` as the database needs it.
    pub overlap: Option<Span>,
    /// Database time that a poll may spend on what it has read before; `None` sets no limit, and every poll
    /// reads everything.
    pub budget: Option<Span>,
    /// How often every open row is read, where changes are told.
    pub sweep: Span,
}

/// Rows of one page at most.
pub const PAGE_MAX: u32 = 10_000;

/// A report database of any kind that can be read. Connects when it is first asked, with at most two
/// connections: one for scans, one kept for `read`.
#[derive(Debug)]
pub enum AnySource {
    Postgres(Lines<PostgresSession>),
    Mysql(Lines<MysqlSession>),
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
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Postgres,
    Mysql,
    Sqlite,
}

impl Kind {
    fn of(url: &Secret, source_name: &str) -> Result<Kind> {
        match url.expose().split_once(':').map(|(scheme, _)| scheme) {
            Some("postgres" | "postgresql") => Ok(Kind::Postgres),
            Some("mysql" | "mariadb") => Ok(Kind::Mysql),
            Some("sqlite") => Ok(Kind::Sqlite),
            _ => Err(SourceError::Mapping {
                source_name: source_name.to_owned(),
                what: "the url names no database that can be read; write postgres://, mysql:// or sqlite:".into(),
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
        let verify = verifying(&settings)?;
        let mapping = |settings: Settings| {
            let history = HistoryMapping::of(&settings, &keys).map(Arc::new);
            Arc::new(Mapping { settings, selection: selection.clone(), keys: keys.clone(), history })
        };
        let (scan, read) = (mapping(settings), mapping(verify));
        Ok(match kind {
            Kind::Postgres => AnySource::Postgres(Lines { scan: Line::new(scan), read: Line::new(read) }),
            Kind::Mysql => AnySource::Mysql(Lines { scan: Line::new(scan), read: Line::new(read) }),
            Kind::Sqlite => AnySource::Sqlite(Lines { scan: Line::new(scan), read: Line::new(read) }),
        })
    }

    /// Whether its rows come from a replica that replays another server.
    ///
    /// # Errors
    /// As `scan_open`.
    pub async fn is_replica(&self) -> Result<bool> {
        Ok(self.moment().await?.replica.is_some())
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
        let mut found = self.scan(&Request::Categories).await?.categories;
        if let CategoryFrom::Value(value) = &self.settings().columns.category {
            found.iter_mut().for_each(|(name, _)| *name = value.to_string());
        }
        Ok(found)
    }

    /// How the database would run the polling statements, and which index they lack.
    pub async fn plans(&self) -> Result<Vec<PlanFound>> {
        Ok(self.scan(&Request::Plans).await?.plans)
    }

    /// When the newest few reports were received, the newest first.
    pub async fn newest(&self) -> Result<Vec<Timestamp>> {
        let rows = self.scan(&Request::Newest).await?.batch.rows;
        let received = rows.into_iter().filter_map(|seen| match seen.row?.received {
            Received::At(at) => Some(at),
            Received::Unreadable => None,
        });
        Ok(received.collect())
    }

    /// The database's clock, and how far behind it is where it is a replica. Over the connection that is kept
    /// for `read`, because a scan would keep the answer waiting; it takes well under a millisecond.
    pub async fn vitals(&self) -> Result<Vitals> {
        match self {
            AnySource::Postgres(lines) => Ok(lines.read.ask(&Request::Vitals).await?.vitals),
            AnySource::Mysql(lines) => Ok(lines.read.ask(&Request::Vitals).await?.vitals),
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
            AnySource::Mysql(lines) => lines.scan.ask(request).await,
            AnySource::Sqlite(lines) => lines.scan.ask(request).await,
        }
    }

    async fn prove(&self, request: &Request<'_>) -> Result<Answer> {
        match self {
            AnySource::Postgres(lines) => lines.read.ask(request).await,
            AnySource::Mysql(lines) => lines.read.ask(request).await,
            AnySource::Sqlite(lines) => lines.read.ask(request).await,
        }
    }

    fn settings(&self) -> &Settings {
        match self {
            AnySource::Postgres(lines) => &lines.scan.mapping().settings,
            AnySource::Mysql(lines) => &lines.scan.mapping().settings,
            AnySource::Sqlite(lines) => &lines.scan.mapping().settings,
        }
    }
}

/// The settings of the connection over which deadlines are verified.
fn verifying(settings: &Settings) -> Result<Settings> {
    let Some(url) = &settings.reading.verify_url else { return Ok(settings.clone()) };
    if Kind::of(url, &settings.name)? != Kind::of(&settings.url, &settings.name)? {
        return Err(SourceError::Mapping {
            source_name: settings.name.to_string(),
            what: "verify_url names a database of another kind than url; both must be the same".into(),
        });
    }
    let url_file = settings.reading.verify_url_file.clone();
    let reading = settings::Reading { url_file, ..settings.reading.clone() };
    Ok(Settings { url: url.clone(), reading, ..settings.clone() })
}

impl Source for AnySource {
    async fn scan_open(&self, after: Option<&ScanPosition>, limit: u32) -> Result<(Batch, Option<ScanPosition>)> {
        self.page(Which::Open, after, limit).await
    }

    async fn read(&self, ids: &[ReportId]) -> Result<Batch> {
        let mut batch = Batch::default();
        for ids in line::chunks(ids) {
            batch.append(self.prove(&Request::Rows(&ids)).await?.batch);
        }
        Ok(batch)
    }

    fn watching(&self) -> Watching {
        let settings = self.settings();
        Watching {
            tells_changes: settings.reading.updated.is_some(),
            has_history: settings.reading.history.is_some(),
            overlap: settings.reading.overlap,
            budget: Some(settings.budget()),
            sweep: settings.sweep(),
        }
    }

    async fn moment(&self) -> Result<Moment> {
        Ok(self.scan(&Request::Moment).await?.moment)
    }

    async fn currency(&self) -> Result<Option<Replayed>> {
        Ok(self.prove(&Request::Currency).await?.moment.replica)
    }

    async fn changes(&self, feed: FeedKind, begin: &Begin, clock: Timestamp, limit: u32) -> Result<Changes> {
        let limit = limit.clamp(1, PAGE_MAX);
        Ok(self.scan(&Request::Changes { feed, begin, clock, limit }).await?.changes)
    }

    async fn reread(&self, ids: &[ReportId]) -> Result<Batch> {
        let mut batch = Batch::default();
        for ids in line::chunks(ids) {
            batch.append(self.scan(&Request::Rows(&ids)).await?.batch);
        }
        Ok(batch)
    }

    async fn scan_part(
        &self,
        part: Part,
        after: Option<&ScanPosition>,
        limit: u32,
    ) -> Result<(Batch, Option<ScanPosition>)> {
        let which = match part {
            Part::First if self.settings().reading.first.is_empty() => return Ok((Batch::default(), None)),
            Part::First => Which::First,
            Part::Strays => Which::Strays,
        };
        self.page(which, after, limit).await
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
        Kind::Mysql => {
            let mut conn = line::in_time(mysql::connect(url.expose())).await.map_err(refused)?;
            mysql::tables(&mut conn).await.map_err(failed)
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
        Kind::Mysql => {
            let mut conn = line::in_time(mysql::connect(url.expose())).await.map_err(refused)?;
            mysql::columns_of(&mut conn, table).await.map_err(failed)
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
