//! Reading a SQLite report database: opened read only, and decoded value by value, because a column of
//! SQLite can hold anything.

use super::decode::{Cell, Decoder};
use super::fault::{Fault, cause, is_schema, listed};
use super::feed::{FeedKind, Moment};
use super::line::{Answer, LOCK_TIMEOUT_MS, Mapping, Request, Session, decode_rows, reject_without_id, settle_read};
use super::selection::{CategoryAt, Purpose};
use super::settings::{RowsFrom, Unit};
use super::sql::{self, FeedParts, Parts, Which, not_surely, unit_ceiling, unit_digits};
use super::sqlite_feed::HistoryTable;
use super::{Batch, ColumnFound, ScanPosition, plans};
use crate::core::id::ReportId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Decode, Executor, Row, SqlSafeStr, Sqlite, SqliteConnection, Statement,
    TypeInfo, ValueRef,
};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

type Result<T> = std::result::Result<T, Fault>;

#[derive(Debug)]
pub struct SqliteSession {
    pub(super) conn: SqliteConnection,
    pub(super) decoder: Decoder,
    pub(super) columns: Vec<ColumnFound>,
    pub(super) parts: Parts,
    id_column: String,
    pages: BTreeMap<Which, Pages>,
    /// The categories that come first, as a list in JSON.
    first: String,
    pub(super) history: Option<HistoryTable>,
    server: String,
    /// The file that was opened; `None` where there is none to compare.
    file: Option<(PathBuf, FileId)>,
    /// Set when the session is dropped: a statement that still runs ends soon after.
    abandoned: Arc<AtomicBool>,
}

/// Device and inode: the same name may come to mean another file.
type FileId = (u64, u64);

/// Each text lives as long as the session, so that the driver prepares it once.
#[derive(Debug)]
struct Pages {
    first: Arc<str>,
    next: Arc<str>,
    /// Behind an id that is bound as bytes, because it isn't UTF-8.
    next_of_bytes: Arc<str>,
    without_id: Arc<str>,
}

impl Drop for SqliteSession {
    fn drop(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

/// Rows that the database's thread reads ahead of us: enough that the two rarely wait for each other.
const ROWS_AHEAD: usize = 1_024;

/// A connection that can't write, twice over: the file is opened read only, and the session refuses.
pub async fn connect(url: &str) -> std::result::Result<SqliteConnection, String> {
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|_| "the url is not of the form sqlite:/path/to/file.db".to_owned())?;
    let options = options
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(Duration::from_millis(LOCK_TIMEOUT_MS))
        .pragma("query_only", "ON")
        .row_buffer_size(ROWS_AHEAD)
        .disable_statement_logging();
    options.connect().await.map_err(|error| match &error {
        // SQLITE_CANTOPEN in its forms.
        sqlx::Error::Database(reason) if reason.message().contains("unable to open") => {
            format!("{}; the file must exist and be readable", cause(&error))
        }
        _ => cause(&error),
    })
}

/// Tables and views of the main database.
pub async fn tables(conn: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
               ORDER BY name LIMIT 1000";
    sqlx::query_scalar(sql).fetch_all(conn).await
}

/// The columns of a relation with their declared types. The statement is prepared and never run.
pub async fn columns_of(conn: &mut SqliteConnection, relation: &str) -> sqlx::Result<Vec<ColumnFound>> {
    let statement = conn.prepare(AssertSqlSafe(format!("SELECT * FROM {relation} AS r")).into_sql_str()).await?;
    let column = |column: &sqlx::sqlite::SqliteColumn| {
        let declared = column.type_info();
        let type_name = if declared.is_null() { "ANY".to_owned() } else { declared.name().to_owned() };
        ColumnFound { name: column.name().to_owned(), type_name }
    };
    Ok(statement.columns().iter().map(column).collect())
}

impl Session for SqliteSession {
    async fn connect(mapping: &Mapping) -> Result<Self> {
        let relation = sql::relation(&mapping.settings.rows).map_err(|bad| mapping.wrong(bad.to_string()))?;
        // Looked at before it is opened: one that is replaced in between is noticed at the first request.
        let file = file_of(mapping.url().expose());
        let mut conn = connect(mapping.url().expose()).await.map_err(|reason| mapping.unreachable(reason))?;
        let abandoned = Arc::new(AtomicBool::new(false));
        stop_when(&mut conn, abandoned.clone()).await.map_err(Fault::statement("opening the database"))?;
        let found = match columns_of(&mut conn, &relation).await {
            Ok(found) => found,
            Err(error) => return Err(explain(mapping, &mut conn, error).await),
        };
        let columns = mapped(mapping, &found)?;
        let parts = parts(mapping, relation)?;
        refuse_numbers_without_unit(mapping, &mut conn, &parts, &columns).await?;
        let id_column = parts.select[mapping.selection.id].clone();
        let bytes = Parts { after: parts.after.replace("$1", "CAST($1 AS TEXT)"), ..parts.clone() };
        let pages = |which| Pages {
            first: parts.first_page(which).into(),
            next: parts.next_page(which).into(),
            next_of_bytes: bytes.next_page(which).into(),
            without_id: parts.without_id(which, &id_column).into(),
        };
        let server = sqlx::query_scalar("SELECT 'SQLite ' || sqlite_version()")
            .fetch_one(&mut conn)
            .await
            .map_err(Fault::statement("reading the database's version"))?;
        let first_too = parts.first.is_some().then_some(Which::First);
        let kinds = [Which::Open, Which::All].into_iter().chain(first_too);
        let pages = kinds.map(|which| (which, pages(which))).collect();
        let history = match &mapping.history {
            Some(history) => Some(HistoryTable::learn(history, &mut conn).await?),
            None => None,
        };
        let first: Vec<&str> = mapping.settings.reading.first.iter().map(|name| &**name).collect();
        // A list of texts is always JSON.
        let first = serde_json::to_string(&first).unwrap_or_default();
        let decoder = mapping.decoder();
        Ok(SqliteSession { conn, decoder, columns, parts, id_column, pages, first, history, server, file, abandoned })
    }

    async fn answer(&mut self, request: &Request<'_>) -> Result<Answer> {
        self.is_still_the_file()?;
        match request {
            Request::Page { which, after, limit } => self.page(*which, *after, *limit).await,
            Request::Rows(ids) => self.rows(ids).await,
            Request::Changes { feed, begin, clock, limit } => {
                let changes = self.changes(*feed, begin, *clock, *limit).await?;
                Ok(Answer { changes, ..Answer::default() })
            }
            // Its clock is ours, and nobody can see who writes.
            Request::Moment | Request::Currency => {
                let moment = Moment { lacks_stamps: self.decoder.lacks_stamps(), ..Moment::default() };
                Ok(Answer { moment, ..Answer::default() })
            }
            Request::Categories => self.categories().await,
            Request::Vitals => Ok(Answer::default()),
            Request::Plans => {
                let table = !self.parts.relation.starts_with('(');
                let plans = plans::of_sqlite(&mut self.conn, &self.parts, &self.id_column, table).await;
                let plans = plans.map_err(Fault::statement("explaining the polling statements"))?;
                Ok(Answer { plans, ..Answer::default() })
            }
            Request::Newest => self.newest().await,
            Request::Describe => {
                let types = self.columns.iter().map(|column| (column.name.clone(), column.type_name.clone()));
                Ok(Answer { server: self.server.clone(), column_types: types.collect(), ..Answer::default() })
            }
        }
    }
}

impl SqliteSession {
    /// A file that was moved, deleted or replaced can still be read through an open connection, but
    /// nothing new will ever stand in it.
    fn is_still_the_file(&self) -> Result<()> {
        let Some((path, opened)) = &self.file else { return Ok(()) };
        if file_id(path) == Some(*opened) {
            return Ok(());
        }
        let moved = std::io::Error::new(std::io::ErrorKind::NotFound, "its file was moved, deleted or replaced");
        Err(Fault::statement("looking for the database's file")(sqlx::Error::Io(moved)))
    }

    async fn page(&mut self, which: Which, after: Option<&ScanPosition>, limit: u32) -> Result<Answer> {
        let Some(pages) = self.pages.get(&which) else { return Ok(Answer::default()) };
        let limit = i64::from(limit);
        let mut counts = Vec::new();
        let query = match after {
            None => {
                if which != Which::First {
                    let counting = sqlx::query_as(AssertSqlSafe(pages.without_id.clone()));
                    counts = counting
                        .fetch_all(&mut self.conn)
                        .await
                        .map_err(Fault::statement("counting rows without an id"))?;
                }
                sqlx::query(AssertSqlSafe(pages.first.clone()))
            }
            Some(ScanPosition::Bytes(bytes)) => {
                sqlx::query(AssertSqlSafe(pages.next_of_bytes.clone())).bind(bytes.to_vec())
            }
            Some(ScanPosition::Id(id)) => bind_id(sqlx::query(AssertSqlSafe(pages.next.clone())), id),
        };
        let query = query.bind(limit);
        let query = if which == Which::First { query.bind(self.first.clone()) } else { query };
        let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading a page of rows"))?;
        let mut batch = self.decode(&rows);
        reject_without_id(&mut batch, self.decoder.selection(), &counts);
        self.add_history(&mut batch).await?;
        let next = rows.last().and_then(|row| position(row, self.decoder.selection().id));
        Ok(Answer { batch, next, ..Answer::default() })
    }

    async fn rows(&mut self, ids: &[ReportId]) -> Result<Answer> {
        let Some(last) = ids.last() else { return Ok(Answer::default()) };
        // A few lengths of list make a few statements; the last id fills up.
        let places = ids.len().next_power_of_two();
        // Without numbers, which SQLite would look up one among the others at every binding.
        let list = vec!["?"; places].join(", ");
        let sql = self.parts.by_ids(&format!("{} IN ({list})", self.id_column));
        let filled = ids.iter().chain(std::iter::repeat(last)).take(places);
        let query = filled.fold(sqlx::query(AssertSqlSafe(sql)), bind_id);
        let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading rows by id"))?;
        let mut batch = self.decode(&rows);
        self.add_history(&mut batch).await?;
        settle_read(&mut batch, ids);
        Ok(Answer { batch, ..Answer::default() })
    }

    async fn categories(&mut self) -> Result<Answer> {
        let sql = AssertSqlSafe(self.parts.categories());
        let found: Vec<SqliteRow> =
            sqlx::query(sql).fetch_all(&mut self.conn).await.map_err(Fault::statement("counting categories"))?;
        let category = |row: &SqliteRow| {
            let name = if let Cell::Text(name) = cell(row, 0) { name } else { "" };
            let count = if let Cell::Int(count) = cell(row, 1) { count.unsigned_abs() } else { 0 };
            (name.to_owned(), count)
        };
        Ok(Answer { categories: found.iter().map(category).collect(), ..Answer::default() })
    }

    async fn newest(&mut self) -> Result<Answer> {
        let Some(received) = &self.decoder.selection().received else { return Ok(Answer::default()) };
        let sql = AssertSqlSafe(self.parts.newest(&self.parts.select[received.at]));
        let rows: Vec<SqliteRow> =
            sqlx::query(sql).fetch_all(&mut self.conn).await.map_err(Fault::statement("reading the newest rows"))?;
        Ok(Answer { batch: self.decode(&rows), ..Answer::default() })
    }

    fn decode(&mut self, rows: &[SqliteRow]) -> Batch {
        let (width, mut batch) = (self.columns.len(), Batch::default());
        let cells_of = |row, cells: &mut Vec<_>| cells.extend((0..width).map(|at| cell(row, at)));
        decode_rows(&mut self.decoder, rows, cells_of, &mut batch);
        batch
    }
}

pub(super) type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

pub(super) fn bind_id<'q>(query: Query<'q>, id: &ReportId) -> Query<'q> {
    match id {
        ReportId::Int(id) => query.bind(*id),
        ReportId::Uuid(id) => query.bind(id.to_vec()),
        ReportId::Text(id) => query.bind(id.to_string()),
    }
}

fn file_of(url: &str) -> Option<(PathBuf, FileId)> {
    let path = SqliteConnectOptions::from_str(url).ok()?.get_filename().to_owned();
    let id = file_id(&path)?;
    Some((path, id))
}

fn file_id(path: &Path) -> Option<FileId> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.dev(), found.ino()))
}

/// A value by the type that it has, whatever the column's is.
pub(super) fn cell(row: &SqliteRow, at: usize) -> Cell<'_> {
    let Ok(raw) = row.try_get_raw(at) else { return Cell::Other };
    if raw.is_null() {
        return Cell::Null;
    }
    let kind = raw.type_info();
    match kind.name() {
        "INTEGER" => <i64 as Decode<Sqlite>>::decode(raw).map_or(Cell::Other, Cell::Int),
        "TEXT" => <&str as Decode<Sqlite>>::decode(raw).map_or(Cell::BadText, Cell::Text),
        "REAL" => <f64 as Decode<Sqlite>>::decode(raw).map_or(Cell::Other, Cell::Float),
        "BLOB" => {
            let bytes = <&[u8] as Decode<Sqlite>>::decode(raw).unwrap_or_default();
            bytes.try_into().map_or(Cell::Other, Cell::Uuid)
        }
        _ => Cell::Other,
    }
}

pub(super) fn position(row: &SqliteRow, at: usize) -> Option<ScanPosition> {
    match cell(row, at) {
        Cell::Int(id) => Some(ScanPosition::Id(ReportId::Int(id))),
        Cell::Text(id) => Some(ScanPosition::Id(ReportId::Text(id.into()))),
        Cell::Uuid(id) => Some(ScanPosition::Id(ReportId::Uuid(id))),
        _ => {
            let raw = row.try_get_raw(at).ok()?;
            let bytes = <&[u8] as Decode<Sqlite>>::decode(raw).ok()?;
            Some(ScanPosition::Bytes(bytes.into()))
        }
    }
}

/// Ends a running statement once the flag is set.
async fn stop_when(conn: &mut SqliteConnection, flag: Arc<AtomicBool>) -> sqlx::Result<()> {
    // Instructions of SQLite's machine between two looks: well under a millisecond.
    const STEPS: i32 = 10_000;
    let mut handle = conn.lock_handle().await?;
    handle.set_progress_handler(STEPS, move || !flag.load(Ordering::Relaxed));
    Ok(())
}

/// The mapped columns in the order of the selection.
pub(super) fn mapped(mapping: &Mapping, found: &[ColumnFound]) -> Result<Vec<ColumnFound>> {
    let relation = mapping.relation_name();
    let mut columns = Vec::new();
    for name in &mapping.selection.columns {
        // SQLite's names have no case.
        let mut same = found.iter().filter(|column| is_named(&column.name, name));
        let Some(column) = same.next() else {
            let there = listed(found.iter().map(|column| column.name.as_str()));
            return Err(mapping.wrong(format!("{relation} has no column {name}; its columns are: {there}")));
        };
        if same.next().is_some() || !column.name.eq_ignore_ascii_case(name) {
            let what = format!("{relation} yields two columns {name}; give one of them another name with AS");
            return Err(mapping.wrong(what));
        }
        columns.push(column.clone());
    }
    Ok(columns)
}

/// Of two columns of one name SQLite calls the second "name:1".
fn is_named(found: &str, name: &str) -> bool {
    let is_number = |end: &str| end.bytes().all(|b| b.is_ascii_digit()) && !end.is_empty();
    found.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        && (found.len() == name.len() || found[name.len()..].strip_prefix(':').is_some_and(is_number))
}

pub(super) fn parts(mapping: &Mapping, relation: String) -> Result<Parts> {
    let selection = &mapping.selection;
    let column = |at: usize| sql::column(selection.name(at)).map_err(|bad| mapping.wrong(bad.to_string()));
    let select = (0..selection.columns.len()).map(column).collect::<Result<Vec<String>>>()?;
    let id = &select[selection.id];
    let has_id = format!("(typeof({id}) IN ('integer', 'text') OR (typeof({id}) = 'blob' AND length({id}) = 16))");
    let closed = selection.closed();
    let open = closed.map(|closed| not_surely(&select[closed.at], &surely_a_time(&select[closed.at], closed.unit)));
    let category = match &selection.category {
        CategoryAt::Value(_) => None,
        CategoryAt::Column(at) => Some(format!("CAST({} AS TEXT)", select[*at])),
    };
    // By bytes, so that ids which a column's own collation holds for equal still have an order.
    let (id_order, after) = (format!("{id} COLLATE BINARY"), format!("{id} COLLATE BINARY > $1"));
    let first = match &selection.category {
        CategoryAt::Value(_) => None,
        CategoryAt::Column(at) => Some(format!("{} IN (SELECT value FROM json_each($C))", select[*at])),
    };
    let updated = selection.updated.map(|(at, unit)| (FeedKind::Changed, at, unit));
    let received = selection.received.as_ref().map(|event| (FeedKind::Received, event.at, event.unit));
    let feed = |(kind, at, unit): (FeedKind, usize, Option<Unit>)| {
        let stamp = select[at].clone();
        let is_time = format!("({})", surely_a_time(&stamp, unit));
        (kind, FeedParts { stamp, bound: "$S".to_owned(), is_time })
    };
    let feeds = updated.into_iter().chain(received).map(feed).collect();
    // A column can hold anything, so what is open is judged value by value, and nothing strays.
    Ok(Parts { relation, id_order, after, has_id, open, category, first, strays: None, feeds, select })
}

/// True only of values that decode as a time.
fn surely_a_time(c: &str, unit: Option<Unit>) -> String {
    // SQLite's functions end a text at a NUL byte; ours don't.
    let whole = format!("typeof({c}) = 'text' AND length(CAST({c} AS BLOB)) = length({c})");
    match unit {
        Some(unit) => {
            let (ceiling, digits) = (unit_ceiling(unit), unit_digits(unit));
            format!(
                "(typeof({c}) IN ('integer', 'real') AND {c} > 0 AND {c} < {ceiling}) OR \
                 ({whole} AND {c} GLOB '[1-9]*' AND {c} NOT GLOB '*[^0-9]*' AND length({c}) <= {digits})"
            )
        }
        // SQLite takes 30 February and 24:00 for times; we don't.
        None => format!(
            "{whole} AND {c} GLOB '[12][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9][T ][0-2][0-9]:[0-5][0-9]*' \
             AND {c} >= '1971' AND substr({c}, 12, 2) < '24' AND {c} NOT GLOB '*  *' AND julianday({c}) IS NOT NULL \
             AND strftime('%d', substr({c}, 1, 10), '+0 days') = substr({c}, 9, 2)"
        ),
    }
}

/// A number without a unit is refused before a row is read: by the declared type, and where that says
/// nothing, by the first rows.
async fn refuse_numbers_without_unit(
    mapping: &Mapping,
    conn: &mut SqliteConnection,
    parts: &Parts,
    columns: &[ColumnFound],
) -> Result<()> {
    const PROBED_ROWS: u32 = 100;
    for (at, purpose) in &mapping.selection.purposes {
        if *purpose != Purpose::Time(None) {
            continue;
        }
        let (column, ColumnFound { name, type_name }) = (&parts.select[*at], &columns[*at]);
        let sql = format!(
            "SELECT coalesce(min(typeof(c) IN ('integer', 'real')), 0) FROM \
             (SELECT {column} AS c FROM {} AS r LIMIT {PROBED_ROWS}) WHERE c IS NOT NULL",
            parts.relation
        );
        let declared = matches!(type_name.as_str(), "INTEGER" | "REAL");
        let probed: i64 = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut *conn)
            .await
            .map_err(Fault::statement("reading the columns' types"))?;
        if declared || probed == 1 {
            return Err(mapping.wrong(format!(
                "column {name} of {} holds numbers: say what they count, as {{ column = \"{name}\", unit = \"s\" }} \
                 or unit = \"ms\"",
                mapping.relation_name()
            )));
        }
    }
    Ok(())
}

/// Why the relation can't be described, with what is there instead.
pub(super) async fn explain(mapping: &Mapping, conn: &mut SqliteConnection, error: sqlx::Error) -> Fault {
    match &mapping.settings.rows {
        RowsFrom::Table(name) if is_schema(&error) => match tables(conn).await {
            Ok(tables) => mapping.wrong(format!(
                "there is no table {name}; the tables are: {}",
                listed(tables.iter().map(String::as_str))
            )),
            Err(error) => Fault::statement("listing the tables")(error),
        },
        // SQLITE_ERROR: the text of the query itself is wrong.
        RowsFrom::Query(_) if error.as_database_error().is_some_and(|error| error.code().as_deref() == Some("1")) => {
            mapping.wrong(format!("the query can't be prepared: {}", cause(&error)))
        }
        _ => Fault::statement("reading the columns' types")(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::Connection;

    #[tokio::test]
    async fn a_connection_of_ours_refuses_every_write() {
        let path = std::env::temp_dir().join(format!("tocsin-read-only-{}.db", std::process::id()));
        let url = format!("sqlite:{}", path.display());
        let writer = SqliteConnectOptions::new().filename(&path).create_if_missing(true);
        let mut writer = writer.connect().await.expect("a new file");
        writer.execute("CREATE TABLE t (n)").await.expect("a table");
        writer.close().await.expect("a closed file");
        let mut conn = connect(&url).await.expect("a connection");
        for write in ["INSERT INTO t VALUES (1)", "DROP TABLE t", "PRAGMA user_version = 7"] {
            let error = conn.execute(write).await.expect_err(write);
            assert!(error.to_string().contains("readonly"), "{write}: {error}");
        }
        // Nor does it write when the session's own refusal is lifted: the file is open for reading only.
        conn.execute("PRAGMA query_only = OFF").await.expect("a pragma of the session");
        assert!(conn.execute("INSERT INTO t VALUES (1)").await.is_err());
        conn.close().await.expect("a closed file");
        std::fs::remove_file(path).expect("the test's own file");
    }
}
