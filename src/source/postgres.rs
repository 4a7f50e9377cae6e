//! Reading a PostgreSQL report database: a session that can only read, is bounded in time, and knows
//! the type of every mapped column before it reads a row.

use super::decode::{Cell, Decoder};
use super::fault::{Fault, cause, is_schema, listed};
use super::feed::FeedKind;
use super::line::{
    Answer, LOCK_TIMEOUT_MS, Mapping, Request, STATEMENT_TIMEOUT_MS, Session, decode_rows, reject_without_id,
    settle_read,
};
use super::postgres_feed::{FeedStatements, HistoryTable};
use super::postgres_types::{Column, IdKind, Kind, learn_types, parts};
use super::settings::RowsFrom;
use super::sql::{self, Parts, Which};
use super::{Batch, ColumnFound, PAGE_MAX, ScanPosition, Vitals, plans};
use crate::core::id::ReportId;
use crate::core::sight::Lag;
use crate::core::time::{Span, Timestamp};
use futures_util::{TryStream, TryStreamExt};
use sqlx::postgres::{PgArguments, PgConnectOptions, PgRow};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Executor, PgConnection, Postgres, Row, SqlSafeStr, Statement};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;
use tokio::sync::mpsc;

type Result<T> = std::result::Result<T, Fault>;

#[derive(Debug)]
pub struct PostgresSession {
    pub(super) conn: PgConnection,
    pub(super) decoder: Decoder,
    pub(super) table: Table,
    by_ids: Arc<str>,
    categories: Arc<str>,
    pages: BTreeMap<Which, Pages>,
    first: Vec<String>,
    pub(super) history: Option<HistoryTable>,
    parts: Parts,
    server: String,
    /// The server only replays what another one does.
    pub(super) is_replica: bool,
}

/// A relation as it is read: its columns' types, how its ids compare, the feeds that it has.
#[derive(Debug)]
pub struct Table {
    pub columns: Arc<[Column]>,
    pub id: IdKind,
    pub feeds: BTreeMap<FeedKind, FeedStatements>,
}

/// Each text lives as long as the session, so that the driver prepares it once.
#[derive(Debug)]
struct Pages {
    first: Arc<str>,
    next: Arc<str>,
    without_id: Arc<str>,
}

/// So many rows are decoded where they were read; more of them on a thread of their own, in parts of so many, of which so
/// many may wait.
const FEW: usize = 1_000;
const PART: usize = 250;
const PARTS_WAITING: usize = 8;

/// Microseconds: the clock; on a replica how old what it shows is, and whether nothing comes any more. One
/// that has replayed all that it received is not behind while something still comes: its last transaction
/// only ages, as on any quiet primary. A role that may only select sees a receiver by its pid alone.
const VITALS: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint), \
     CASE WHEN NOT pg_is_in_recovery() THEN NULL \
     WHEN receives AND pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
     ELSE CAST(EXTRACT(EPOCH FROM clock_timestamp() - \
       COALESCE(pg_last_xact_replay_timestamp(), pg_postmaster_start_time())) * 1000000 AS bigint) END, \
     pg_is_in_recovery() AND NOT receives \
     FROM (SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver WHERE pid IS NOT NULL) AS receives) AS r";

/// A connection that refuses to write and gives up in time.
pub async fn connect(url: &str) -> std::result::Result<PgConnection, String> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|_| "the url is not of the form postgres://user:password@host:port/database".to_owned())?;
    let options = options.application_name("tocsin").disable_statement_logging();
    let mut conn = options.connect().await.map_err(|error| cause(&error))?;
    // Set after connecting and not as startup options, which connection poolers refuse.
    let bounds = format!(
        "SET default_transaction_read_only = on; SET statement_timeout = {STATEMENT_TIMEOUT_MS}; \
         SET lock_timeout = {LOCK_TIMEOUT_MS}; SET idle_in_transaction_session_timeout = {STATEMENT_TIMEOUT_MS}"
    );
    conn.execute(AssertSqlSafe(bounds)).await.map_err(|error| cause(&error))?;
    // No statement takes workers beside its own connection; and the few rows that come first are found by their index, not
    // by passing over all open ones, which is thought to cost as much where a page out of order costs four times one in
    // order. A server that doesn't know these goes without.
    if let Err(error) = conn.execute("SET max_parallel_workers_per_gather = 0; SET random_page_cost = 1.1").await {
        tracing::debug!(error = %cause(&error), "the planner keeps its own settings");
    }
    Ok(conn)
}

/// Tables and views that the role can see, those outside of `public` with their schema.
pub async fn tables(conn: &mut PgConnection) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT CASE WHEN n.nspname = 'public' THEN c.relname::text ELSE n.nspname || '.' || c.relname END \
               FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT LIKE 'pg\\_%' \
               AND n.nspname <> 'information_schema' ORDER BY 1 LIMIT 1000";
    sqlx::query_scalar(sql).fetch_all(conn).await
}

/// The columns of a relation with their types. The statement is prepared and never run, so it needs no
/// privilege on the columns.
pub async fn columns_of(conn: &mut PgConnection, relation: &str) -> sqlx::Result<Vec<ColumnFound>> {
    let columns = learn_types(conn, relation).await?;
    Ok(columns.into_iter().map(|column| ColumnFound { name: column.name, type_name: column.type_name }).collect())
}

impl Session for PostgresSession {
    async fn connect(mapping: &Mapping) -> Result<Self> {
        let relation = sql::relation(&mapping.settings.rows).map_err(|bad| mapping.wrong(bad.to_string()))?;
        let mut conn = connect(mapping.url().expose()).await.map_err(|reason| mapping.unreachable(reason))?;
        let found = match learn_types(&mut conn, &relation).await {
            Ok(found) => found,
            Err(error) => return Err(explain(mapping, &mut conn, error).await),
        };
        let columns = super::postgres_types::mapped(mapping, &found)?;
        let (parts, id) = parts(mapping, relation, &columns)?;
        let selection = &mapping.selection;
        let id_column = sql::column(selection.name(selection.id)).map_err(|bad| mapping.wrong(bad.to_string()))?;
        let mut kinds = vec![Which::Open, Which::All];
        kinds.extend(parts.first.is_some().then_some(Which::First));
        kinds.extend(parts.strays.is_some().then_some(Which::Strays));
        let pages = |which| Pages {
            first: parts.first_page(which).into(),
            next: parts.next_page(which).into(),
            without_id: parts.without_id(which, &id_column).into(),
        };
        let pages = kinds.into_iter().map(|which| (which, pages(which))).collect();
        let (by_ids, categories) = (parts.by_ids(&id.matches(&id_column)).into(), parts.categories().into());
        let table = Table { columns: columns.into(), id, feeds: FeedStatements::all(&parts) };
        let history = match &mapping.history {
            Some(history) => Some(HistoryTable::learn(history, &mut conn).await?),
            None => None,
        };
        let first = mapping.settings.reading.first.iter().map(|name| name.to_string()).collect();
        let is_replica = sqlx::query_scalar("SELECT pg_is_in_recovery()")
            .fetch_one(&mut conn)
            .await
            .map_err(Fault::statement("asking whether this is a replica"))?;
        let server = sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
            .fetch_one(&mut conn)
            .await
            .map_err(Fault::statement("reading the server's version"))?;
        let decoder = mapping.decoder();
        Ok(PostgresSession {
            conn,
            decoder,
            table,
            by_ids,
            categories,
            pages,
            first,
            history,
            parts,
            server,
            is_replica,
        })
    }

    async fn answer(&mut self, request: &Request<'_>) -> Result<Answer> {
        match request {
            Request::Page { which, after, limit } => self.page(*which, *after, *limit).await,
            Request::Rows(ids) => self.rows(ids).await,
            Request::Changes { feed, begin, clock, limit } => {
                let changes = self.changes(*feed, begin, *clock, *limit).await?;
                Ok(Answer { changes, ..Answer::default() })
            }
            Request::Moment => Ok(Answer { moment: self.moment().await?, ..Answer::default() }),
            Request::Currency => Ok(Answer { moment: self.currency().await?, ..Answer::default() }),
            Request::Categories => self.categories().await,
            Request::Vitals => self.vitals().await,
            Request::Plans => self.plans().await,
            Request::Newest => self.newest().await,
            Request::Describe => {
                let types = self.table.columns.iter().map(|column| (column.name.clone(), column.type_name.clone()));
                Ok(Answer { server: self.server.clone(), column_types: types.collect(), ..Answer::default() })
            }
        }
    }
}

impl PostgresSession {
    async fn page(&mut self, which: Which, after: Option<&ScanPosition>, limit: u32) -> Result<Answer> {
        let Some(pages) = self.pages.get(&which) else { return Ok(Answer::default()) };
        let failed = || Fault::statement("reading a page of rows");
        let mut counts = Vec::new();
        let query = match after {
            None => {
                if matches!(which, Which::Open | Which::All) {
                    let counting = sqlx::query_as(AssertSqlSafe(pages.without_id.clone()));
                    counts = counting
                        .fetch_all(&mut self.conn)
                        .await
                        .map_err(Fault::statement("counting rows without an id"))?;
                }
                sqlx::query(AssertSqlSafe(pages.first.clone()))
            }
            // Ids that changed their type during a scan leave unknown what comes after.
            Some(position) => self
                .table
                .id
                .bind_position(sqlx::query(AssertSqlSafe(pages.next.clone())), position)
                .ok_or_else(|| failed()(sqlx::Error::RowNotFound))?,
        };
        let query = query.bind(i64::from(limit));
        let query = if which == Which::First { query.bind(&self.first) } else { query };
        let (mut batch, last) = self.decode_as_they_come(query).await.map_err(failed())?;
        reject_without_id(&mut batch, self.decoder.selection(), &counts);
        self.add_history(&mut batch).await?;
        let next = last.as_ref().map(|row| self.position(row)).transpose()?;
        Ok(Answer { batch, next, ..Answer::default() })
    }

    async fn rows(&mut self, ids: &[ReportId]) -> Result<Answer> {
        let query = self.table.id.bind_ids(sqlx::query(AssertSqlSafe(self.by_ids.clone())), ids);
        let decoded = self.decode_as_they_come(query).await;
        let (mut batch, _) = decoded.map_err(Fault::statement("reading rows by id"))?;
        self.add_history(&mut batch).await?;
        settle_read(&mut batch, ids);
        Ok(Answer { batch, ..Answer::default() })
    }

    async fn categories(&mut self) -> Result<Answer> {
        let query = sqlx::query_as::<_, (Option<String>, i64)>(AssertSqlSafe(self.categories.clone()));
        let found = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("counting categories"))?;
        let categories = found.into_iter().map(|(name, count)| (name.unwrap_or_default(), count.unsigned_abs()));
        Ok(Answer { categories: categories.collect(), ..Answer::default() })
    }

    async fn plans(&mut self) -> Result<Answer> {
        let selection = self.decoder.selection();
        let (name, table) = (selection.name(selection.id).clone(), !self.parts.relation.starts_with('('));
        let by_ids = self.by_ids.clone();
        let plans = plans::of_postgres(&mut self.conn, &self.parts, (&self.table.id, &name), &by_ids, table).await;
        let plans = plans.map_err(Fault::statement("explaining the polling statements"))?;
        Ok(Answer { plans, ..Answer::default() })
    }

    async fn newest(&mut self) -> Result<Answer> {
        let Some(received) = &self.decoder.selection().received else { return Ok(Answer::default()) };
        let column = sql::column(self.decoder.selection().name(received.at));
        let Ok(column) = column else { return Ok(Answer::default()) };
        let sql = AssertSqlSafe(self.parts.newest(&column));
        let decoded = self.decode_as_they_come(sqlx::query(sql)).await;
        let (batch, _) = decoded.map_err(Fault::statement("reading the newest rows"))?;
        Ok(Answer { batch, ..Answer::default() })
    }

    async fn vitals(&mut self) -> Result<Answer> {
        let query = sqlx::query_as::<_, (i64, Option<i64>, bool)>(VITALS);
        let (clock, behind, cut_off) =
            query.fetch_one(&mut self.conn).await.map_err(Fault::statement("reading the database's clock"))?;
        let lag = behind.map(|behind| Lag { behind: Span::from_micros(behind.max(0)), cut_off });
        let vitals = Vitals { clock: Some(Timestamp::from_micros(clock)), lag, unchecked: None };
        Ok(Answer { vitals, ..Answer::default() })
    }

    /// The rows of a query, and the last of them. Many are decoded on a thread of their own while the server goes on sending:
    /// what reads them has enough to do, and shares its processor with the server more often than not.
    async fn decode_as_they_come(&mut self, query: Query<'_>) -> sqlx::Result<(Batch, Option<PgRow>)> {
        let mut rows = query.fetch(&mut self.conn);
        let mut few = Vec::new();
        let is_all = take(&mut rows, FEW, &mut few).await?;
        let columns = self.table.columns.clone();
        if is_all {
            let mut batch = Batch::default();
            decode_rows(&mut self.decoder, &few, |row, cells| cells_of(row, &columns, cells), &mut batch);
            return Ok((batch, few.pop()));
        }
        let (parts, coming) = mpsc::channel(PARTS_WAITING);
        let decoder = self.decoder.clone();
        let decoding = tokio::task::spawn_blocking(move || decode_parts(decoder, &columns, few, coming));
        let mut is_all = false;
        while !is_all {
            let mut part = Vec::with_capacity(PART);
            is_all = take(&mut rows, PART, &mut part).await?;
            if parts.send(part).await.is_err() {
                break;
            }
        }
        drop(parts);
        let (decoder, batch, last) = decoding.await.map_err(|_| sqlx::Error::WorkerCrashed)?;
        self.decoder = decoder;
        Ok((batch, last))
    }

    fn position(&self, row: &PgRow) -> Result<ScanPosition> {
        let at = self.decoder.selection().id;
        position_of(cell(row, at, self.table.columns[at].kind))
            .ok_or_else(|| Fault::statement("reading a page's last id")(sqlx::Error::RowNotFound))
    }
}

/// Takes rows until there are so many, or no more come; which of the two it is.
async fn take(
    rows: &mut (impl TryStream<Ok = PgRow, Error = sqlx::Error> + Unpin),
    many: usize,
    taken: &mut Vec<PgRow>,
) -> sqlx::Result<bool> {
    while taken.len() < many {
        match rows.try_next().await? {
            Some(row) => taken.push(row),
            None => return Ok(true),
        }
    }
    Ok(false)
}

/// Decodes the first rows of a page and all that comes after them. Gives back the decoder, and the last row.
fn decode_parts(
    mut decoder: Decoder,
    columns: &[Column],
    first: Vec<PgRow>,
    mut coming: mpsc::Receiver<Vec<PgRow>>,
) -> (Decoder, Batch, Option<PgRow>) {
    let (mut batch, mut last, mut part) = (Batch::default(), None, Some(first));
    batch.rows.reserve_exact(PAGE_MAX as usize);
    while let Some(mut rows) = part {
        decode_rows(&mut decoder, &rows, |row, cells| cells_of(row, columns, cells), &mut batch);
        last = rows.pop().or(last);
        part = coming.blocking_recv();
    }
    (decoder, batch, last)
}

pub(super) type Query<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

impl IdKind {
    /// Binds the id behind which a page begins; `None` where ids are of another type now.
    pub(super) fn bind_position<'q>(&self, query: Query<'q>, position: &ScanPosition) -> Option<Query<'q>> {
        match (self, position) {
            (IdKind::Int, ScanPosition::Id(ReportId::Int(id))) => Some(query.bind(*id)),
            (IdKind::Uuid, ScanPosition::Id(ReportId::Uuid(id))) => Some(query.bind(Uuid::from_bytes(*id))),
            (IdKind::Text { .. } | IdKind::Numeric, ScanPosition::Id(ReportId::Text(id))) => {
                Some(query.bind(id.to_string()))
            }
            _ => None,
        }
    }

    /// Binds those of some ids that a column of this kind can hold.
    pub(super) fn bind_ids<'q>(&self, query: Query<'q>, ids: &[ReportId]) -> Query<'q> {
        let texts = ids.iter().map(ReportId::to_string).filter(|id| !id.contains('\0'));
        match self {
            IdKind::Int => {
                let int = |id: &ReportId| match id {
                    ReportId::Int(id) => Some(*id),
                    ReportId::Text(id) => id.parse().ok(),
                    ReportId::Uuid(_) => None,
                };
                query.bind(ids.iter().filter_map(int).collect::<Vec<i64>>())
            }
            IdKind::Uuid => {
                let uuid = |id: &ReportId| match id {
                    ReportId::Uuid(id) => Some(Uuid::from_bytes(*id)),
                    ReportId::Text(id) => Uuid::parse_str(id).ok(),
                    ReportId::Int(_) => None,
                };
                query.bind(ids.iter().filter_map(uuid).collect::<Vec<Uuid>>())
            }
            IdKind::Text { .. } => query.bind(texts.collect::<Vec<String>>()),
            IdKind::Numeric => query.bind(texts.filter(|id| is_number(id)).collect::<Vec<String>>()),
        }
    }

    /// What a column of this kind calls the report that another column calls so.
    pub(super) fn known_as(&self, id: ReportId) -> Option<ReportId> {
        match (self, id) {
            (IdKind::Int, ReportId::Text(id)) => id.parse().ok().map(ReportId::Int),
            (IdKind::Uuid, ReportId::Text(id)) => Uuid::parse_str(&id).ok().map(|id| ReportId::Uuid(*id.as_bytes())),
            (IdKind::Int, id @ ReportId::Int(_)) | (IdKind::Uuid, id @ ReportId::Uuid(_)) => Some(id),
            (IdKind::Int | IdKind::Uuid, _) => None,
            (IdKind::Text { .. } | IdKind::Numeric, id) => Some(ReportId::Text(id.to_string().into())),
        }
    }
}

pub(super) fn position_of(id: Cell<'_>) -> Option<ScanPosition> {
    match id {
        Cell::Int(id) => Some(ScanPosition::Id(ReportId::Int(id))),
        Cell::Uuid(id) => Some(ScanPosition::Id(ReportId::Uuid(id))),
        Cell::Text(id) => Some(ScanPosition::Id(ReportId::Text(id.into()))),
        _ => None,
    }
}

pub(super) fn cells_of<'r>(row: &'r PgRow, columns: &[Column], cells: &mut Vec<Cell<'r>>) {
    cells.extend(columns.iter().enumerate().map(|(at, column)| cell(row, at, column.kind)));
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// A value by its type in PostgreSQL's binary form.
fn cell(row: &PgRow, at: usize, kind: Kind) -> Cell<'_> {
    // Between 1970 and 2000, where PostgreSQL's time begins.
    const EPOCH_MICROS: i64 = 946_684_800_000_000;
    let Ok(raw) = row.try_get_raw(at) else { return Cell::Other };
    let Ok(bytes) = raw.as_bytes() else { return Cell::Null };
    let eight = || <[u8; 8]>::try_from(bytes).ok();
    let four = || <[u8; 4]>::try_from(bytes).ok();
    let read = match kind {
        Kind::Text => raw.as_str().ok().map(Cell::Text).or(Some(Cell::BadText)),
        Kind::Padded => raw.as_str().ok().map(|text| Cell::Text(text.trim_end_matches(' '))).or(Some(Cell::BadText)),
        Kind::Int8 => eight().map(|bytes| Cell::Int(i64::from_be_bytes(bytes))),
        Kind::Int4 => four().map(|bytes| Cell::Int(i32::from_be_bytes(bytes).into())),
        Kind::Int2 => <[u8; 2]>::try_from(bytes).ok().map(|bytes| Cell::Int(i16::from_be_bytes(bytes).into())),
        // The ends of the range are the infinities; they stay out of range.
        Kind::TimestampTz => eight().map(|bytes| Cell::Time(i64::from_be_bytes(bytes).saturating_add(EPOCH_MICROS))),
        Kind::Timestamp => eight().map(|bytes| Cell::LocalTime(i64::from_be_bytes(bytes).saturating_add(EPOCH_MICROS))),
        Kind::Uuid => bytes.try_into().ok().map(Cell::Uuid),
        Kind::Bool => bytes.first().map(|byte| Cell::Bool(*byte != 0)),
        Kind::Float8 => eight().map(|bytes| Cell::Float(f64::from_be_bytes(bytes))),
        Kind::Float4 => four().map(|bytes| Cell::Float(f32::from_be_bytes(bytes).into())),
    };
    read.unwrap_or(Cell::Other)
}

/// Why the relation can't be described, with what is there instead.
pub(super) async fn explain(mapping: &Mapping, conn: &mut PgConnection, error: sqlx::Error) -> Fault {
    let code = match &error {
        sqlx::Error::Database(error) => error.code().unwrap_or_default().into_owned(),
        _ => String::new(),
    };
    match &mapping.settings.rows {
        RowsFrom::Table(name) if is_schema(&error) => match tables(conn).await {
            Ok(tables) => mapping.wrong(format!(
                "there is no table {name}; the tables are: {}",
                listed(tables.iter().map(String::as_str))
            )),
            Err(error) => Fault::statement("listing the tables")(error),
        },
        RowsFrom::Query(_) if code.starts_with("42") => {
            mapping.wrong(format!("the query can't be prepared: {}", cause(&error)))
        }
        _ => Fault::statement("reading the columns' types")(error),
    }
}

/// The names and type numbers of what a relation yields.
pub(super) async fn prepared_columns(
    conn: &mut PgConnection,
    relation: &str,
) -> sqlx::Result<Vec<(String, sqlx::postgres::types::Oid)>> {
    let statement = conn.prepare(AssertSqlSafe(format!("SELECT * FROM {relation} AS r")).into_sql_str()).await?;
    let columns = statement.columns().iter();
    Ok(columns.map(|column| (column.name().to_owned(), column.type_info().oid().unwrap_or_default())).collect())
}
