//! Reading a PostgreSQL report database: a session that can only read, is bounded in time, and knows
//! the type of every mapped column before it reads a row.

use super::decode::{Cell, Decoder};
use super::fault::{Fault, cause, is_schema, listed};
use super::line::{
    Answer, LOCK_TIMEOUT_MS, Mapping, Request, STATEMENT_TIMEOUT_MS, Session, decode_rows, reject_without_id,
    settle_read,
};
use super::postgres_types::{Column, IdKind, Kind, learn_types, parts};
use super::settings::RowsFrom;
use super::sql::{self, Which};
use super::{Batch, ColumnFound, ScanPosition, Vitals};
use crate::core::id::ReportId;
use crate::core::sight::Lag;
use crate::core::time::{Span, Timestamp};
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::types::Uuid;
use sqlx::{AssertSqlSafe, Column as _, ConnectOptions, Executor, PgConnection, Row, SqlSafeStr, Statement};
use std::str::FromStr;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Fault>;

#[derive(Debug)]
pub struct PostgresSession {
    conn: PgConnection,
    decoder: Decoder,
    columns: Vec<Column>,
    id: IdKind,
    statements: Statements,
    server: String,
}

/// Each text lives as long as the session, so that the driver prepares it once.
#[derive(Debug)]
struct Statements {
    /// From the start, next page, and rows without an id; for the open rows and for all.
    open: [Arc<str>; 3],
    all: [Arc<str>; 3],
    by_ids: Arc<str>,
    categories: Arc<str>,
}

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
        let mut conn = connect(mapping.settings.url.expose()).await.map_err(|reason| mapping.unreachable(reason))?;
        let found = match learn_types(&mut conn, &relation).await {
            Ok(found) => found,
            Err(error) => return Err(explain(mapping, &mut conn, error).await),
        };
        let columns = super::postgres_types::mapped(mapping, &found)?;
        let (parts, id) = parts(mapping, relation, &columns)?;
        let selection = &mapping.selection;
        let id_column = sql::column(selection.name(selection.id)).map_err(|bad| mapping.wrong(bad.to_string()))?;
        let pages = |which| -> [Arc<str>; 3] {
            [parts.first_page(which).into(), parts.next_page(which).into(), parts.without_id(which, &id_column).into()]
        };
        let statements = Statements {
            open: pages(Which::Open),
            all: pages(Which::All),
            by_ids: parts.by_ids(&id.matches(&id_column)).into(),
            categories: parts.categories().into(),
        };
        let server = sqlx::query_scalar("SELECT 'PostgreSQL ' || current_setting('server_version')")
            .fetch_one(&mut conn)
            .await
            .map_err(Fault::statement("reading the server's version"))?;
        Ok(PostgresSession { conn, decoder: mapping.decoder(), columns, id, statements, server })
    }

    async fn answer(&mut self, request: &Request<'_>) -> Result<Answer> {
        match request {
            Request::Page { which, after, limit } => self.page(*which, *after, *limit).await,
            Request::Rows(ids) => self.rows(ids).await,
            Request::Categories => self.categories().await,
            Request::Vitals => self.vitals().await,
            Request::Describe => {
                let types = self.columns.iter().map(|column| (column.name.clone(), column.type_name.clone()));
                Ok(Answer { server: self.server.clone(), column_types: types.collect(), ..Answer::default() })
            }
        }
    }
}

impl PostgresSession {
    async fn page(&mut self, which: Which, after: Option<&ScanPosition>, limit: u32) -> Result<Answer> {
        let [first, next, without_id] = match which {
            Which::Open => &self.statements.open,
            Which::All => &self.statements.all,
        };
        let limit = i64::from(limit);
        let failed = || Fault::statement("reading a page of rows");
        let mut counts = Vec::new();
        let rows = match after {
            None => {
                let counting = sqlx::query_as(AssertSqlSafe(without_id.clone()));
                counts = counting
                    .fetch_all(&mut self.conn)
                    .await
                    .map_err(Fault::statement("counting rows without an id"))?;
                sqlx::query(AssertSqlSafe(first.clone())).bind(limit).fetch_all(&mut self.conn).await
            }
            Some(position) => {
                let query = sqlx::query(AssertSqlSafe(next.clone()));
                let query = match (&self.id, position) {
                    (IdKind::Int, ScanPosition::Id(ReportId::Int(id))) => query.bind(*id),
                    (IdKind::Uuid, ScanPosition::Id(ReportId::Uuid(id))) => query.bind(Uuid::from_bytes(*id)),
                    (IdKind::Text { .. } | IdKind::Numeric, ScanPosition::Id(ReportId::Text(id))) => {
                        query.bind(id.to_string())
                    }
                    // The ids changed their type during a scan, so what comes after is unknown.
                    _ => return Err(failed()(sqlx::Error::RowNotFound)),
                };
                query.bind(limit).fetch_all(&mut self.conn).await
            }
        }
        .map_err(failed())?;
        let mut batch = self.decode(&rows);
        reject_without_id(&mut batch, self.decoder.selection(), &counts);
        let next = rows.last().map(|row| self.position(row)).transpose()?;
        Ok(Answer { batch, next, ..Answer::default() })
    }

    async fn rows(&mut self, ids: &[ReportId]) -> Result<Answer> {
        let query = sqlx::query(AssertSqlSafe(self.statements.by_ids.clone()));
        let texts = ids.iter().filter_map(|id| match id {
            ReportId::Text(id) if !id.contains('\0') => Some(id.to_string()),
            _ => None,
        });
        let query = match self.id {
            IdKind::Int => {
                let ints = ids.iter().filter_map(|id| if let ReportId::Int(id) = id { Some(*id) } else { None });
                query.bind(ints.collect::<Vec<i64>>())
            }
            IdKind::Uuid => {
                let uuids = ids.iter().filter_map(|id| match id {
                    ReportId::Uuid(id) => Some(Uuid::from_bytes(*id)),
                    _ => None,
                });
                query.bind(uuids.collect::<Vec<Uuid>>())
            }
            IdKind::Text { .. } => query.bind(texts.collect::<Vec<String>>()),
            IdKind::Numeric => query.bind(texts.filter(|id| is_number(id)).collect::<Vec<String>>()),
        };
        let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading rows by id"))?;
        let mut batch = self.decode(&rows);
        settle_read(&mut batch, ids);
        Ok(Answer { batch, ..Answer::default() })
    }

    async fn categories(&mut self) -> Result<Answer> {
        let query = sqlx::query_as::<_, (Option<String>, i64)>(AssertSqlSafe(self.statements.categories.clone()));
        let found = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("counting categories"))?;
        let categories = found.into_iter().map(|(name, count)| (name.unwrap_or_default(), count.unsigned_abs()));
        Ok(Answer { categories: categories.collect(), ..Answer::default() })
    }

    async fn vitals(&mut self) -> Result<Answer> {
        let query = sqlx::query_as::<_, (i64, Option<i64>, bool)>(VITALS);
        let (clock, behind, cut_off) =
            query.fetch_one(&mut self.conn).await.map_err(Fault::statement("reading the database's clock"))?;
        let lag = behind.map(|behind| Lag { behind: Span::from_micros(behind.max(0)), cut_off });
        let vitals = Vitals { clock: Some(Timestamp::from_micros(clock)), lag };
        Ok(Answer { vitals, ..Answer::default() })
    }

    fn decode(&mut self, rows: &[PgRow]) -> Batch {
        let kinds: Vec<Kind> = self.columns.iter().map(|column| column.kind).collect();
        decode_rows(&mut self.decoder, rows, |row, cells| {
            cells.extend(kinds.iter().enumerate().map(|(at, kind)| cell(row, at, *kind)));
        })
    }

    fn position(&self, row: &PgRow) -> Result<ScanPosition> {
        let at = self.decoder.selection().id;
        match cell(row, at, self.columns[at].kind) {
            Cell::Int(id) => Ok(ScanPosition::Id(ReportId::Int(id))),
            Cell::Uuid(id) => Ok(ScanPosition::Id(ReportId::Uuid(id))),
            Cell::Text(id) => Ok(ScanPosition::Id(ReportId::Text(id.into()))),
            _ => Err(Fault::statement("reading a page's last id")(sqlx::Error::RowNotFound)),
        }
    }
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
async fn explain(mapping: &Mapping, conn: &mut PgConnection, error: sqlx::Error) -> Fault {
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
