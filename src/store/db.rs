//! One SQL text for two databases: parameters `$1..$N`, and only whole numbers and text go in and come
//! out. A transaction that doesn't end in COMMIT takes its connection with it, so nothing half-done
//! can reach whoever uses the connection next.

use crate::core::time::Timestamp;
use sqlx::pool::PoolConnection;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection, PgPool, Postgres, Row as _, Sqlite, SqlitePool, TypeInfo,
    ValueRef,
};
use std::borrow::Cow;
use std::future::Future;
use std::time::Duration;

/// How long one statement may take before the database counts as silent.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// How a writing transaction begins, in SQLite and in PostgreSQL, and whether its COMMIT waits for the disk.
/// Set per transaction and not per session, because behind a transaction pooler sessions are shared.
/// A frozen process may hold the row that its successor needs for two seconds at most.
const BEGIN_WRITING: [&str; 2] = [
    "PRAGMA synchronous = FULL; BEGIN IMMEDIATE",
    "BEGIN; SET LOCAL synchronous_commit = on; SET LOCAL statement_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '2s'",
];
const BEGIN_FORGETTABLE: [&str; 2] = [
    "PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE",
    "BEGIN; SET LOCAL synchronous_commit = off; SET LOCAL statement_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '2s'",
];
const BEGIN_READING: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '5s'; \
     SET LOCAL idle_in_transaction_session_timeout = '2s'";

pub type Answer<T> = Result<T, sqlx::Error>;
pub type Sql = Cow<'static, str>;

/// The pools of one store.
#[derive(Debug)]
pub enum Db {
    /// SQLite has one writer; more would only wait for each other.
    Sqlite { write: SqlitePool, read: SqlitePool, options: SqliteConnectOptions },
    Postgres {
        pool: PgPool,
        options: PgConnectOptions,
        /// A pooler stands before the server and may give each transaction another session: nothing may be left in
        /// one, so statements aren't kept prepared and reads are transactions too.
        is_pooled: bool,
    },
}

/// A parameter. NULL keeps its type, because PostgreSQL asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    Int(Option<i64>),
    Text(Option<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Cell {
    Null,
    Int(i64),
    Text(String),
}

/// A row of an answer; cells are asked for by position.
#[derive(Clone, Debug)]
pub struct Row(Vec<Cell>);

#[derive(Debug)]
enum Conn {
    Sqlite(PoolConnection<Sqlite>),
    /// And whether its statements stay prepared.
    Postgres(PoolConnection<Postgres>, bool),
}

/// An open transaction. Dropped without `commit`, it never happened.
#[derive(Debug)]
pub struct Tx(Option<Conn>);

/// Why a COMMIT failed.
#[derive(Debug)]
pub enum CommitError {
    /// The database said no: nothing happened.
    Refused(sqlx::Error),
    /// It said nothing that settles it.
    Unknown(sqlx::Error),
}

impl CommitError {
    pub fn into_source(self) -> sqlx::Error {
        match self {
            CommitError::Refused(source) | CommitError::Unknown(source) => source,
        }
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Self {
        Arg::Int(Some(value))
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Self {
        Arg::Int(Some(value.into()))
    }
}

impl From<u64> for Arg {
    /// Numbers that count from 0 never come near the limit; one that does stays at it.
    fn from(value: u64) -> Self {
        Arg::Int(Some(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Arg::Int(Some(value.into()))
    }
}

impl From<Timestamp> for Arg {
    fn from(value: Timestamp) -> Self {
        Arg::Int(Some(value.micros()))
    }
}

impl From<Option<Timestamp>> for Arg {
    fn from(value: Option<Timestamp>) -> Self {
        Arg::Int(value.map(Timestamp::micros))
    }
}

impl From<&str> for Arg {
    fn from(value: &str) -> Self {
        Arg::Text(Some(value.to_owned()))
    }
}

impl From<String> for Arg {
    fn from(value: String) -> Self {
        Arg::Text(Some(value))
    }
}

impl Row {
    pub fn int(&self, at: usize) -> Answer<i64> {
        self.opt_int(at)?.ok_or_else(|| unexpected(at, "NULL where a number belongs"))
    }

    pub fn opt_int(&self, at: usize) -> Answer<Option<i64>> {
        match self.0.get(at) {
            Some(Cell::Int(value)) => Ok(Some(*value)),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Text(_)) => Err(unexpected(at, "text where a number belongs")),
            None => Err(unexpected(at, "no such column")),
        }
    }

    pub fn count(&self, at: usize) -> Answer<u64> {
        u64::try_from(self.int(at)?).map_err(|_| unexpected(at, "a negative number where a count belongs"))
    }

    pub fn small(&self, at: usize) -> Answer<u32> {
        u32::try_from(self.int(at)?).map_err(|_| unexpected(at, "a number beyond 32 bits"))
    }

    pub fn text(&self, at: usize) -> Answer<&str> {
        self.opt_text(at)?.ok_or_else(|| unexpected(at, "NULL where text belongs"))
    }

    pub fn opt_text(&self, at: usize) -> Answer<Option<&str>> {
        match self.0.get(at) {
            Some(Cell::Text(value)) => Ok(Some(value)),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Int(_)) => Err(unexpected(at, "a number where text belongs")),
            None => Err(unexpected(at, "no such column")),
        }
    }

    pub fn at(&self, at: usize) -> Answer<Timestamp> {
        Ok(Timestamp::from_micros(self.int(at)?))
    }

    pub fn opt_at(&self, at: usize) -> Answer<Option<Timestamp>> {
        Ok(self.opt_int(at)?.map(Timestamp::from_micros))
    }
}

/// The parameters of one statement, each converted by `Arg::from`.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::store::db::Arg::from($value)),*] };
}
pub(super) use args;

macro_rules! query {
    ($sql:expr, $args:expr, $stays:expr) => {{
        let mut query = sqlx::query(AssertSqlSafe($sql)).persistent($stays);
        for arg in $args {
            query = match arg {
                Arg::Int(value) => query.bind(value),
                Arg::Text(value) => query.bind(value.map(without_nul)),
            };
        }
        query
    }};
}

macro_rules! cells {
    ($row:expr) => {{
        let row = $row;
        let cell = |at: usize| -> Answer<Cell> {
            let raw = row.try_get_raw(at)?;
            if raw.is_null() {
                return Ok(Cell::Null);
            }
            let kind = raw.type_info().name().to_owned();
            match kind.as_str() {
                "INTEGER" | "INT8" => row.try_get::<i64, _>(at).map(Cell::Int),
                "TEXT" => row.try_get::<String, _>(at).map(|text| Cell::Text(with_nul(text))),
                _ => Err(sqlx::Error::ColumnDecode {
                    index: row.column(at).name().to_owned(),
                    source: format!("the type {kind} is neither a whole number nor text").into(),
                }),
            }
        };
        (0..row.len()).map(cell).collect::<Answer<Vec<Cell>>>().map(Row)
    }};
}

impl Db {
    /// Begins a transaction that may write.
    pub async fn begin(&self) -> Answer<Tx> {
        self.begin_with(BEGIN_WRITING).await
    }

    /// As `begin`, for what may be forgotten when the machine fails: COMMIT doesn't wait for the disk.
    /// Nothing else is weaker: no other process sees less, and what was committed before stays.
    pub async fn begin_forgettable(&self) -> Answer<Tx> {
        self.begin_with(BEGIN_FORGETTABLE).await
    }

    async fn begin_with(&self, [sqlite, postgres]: [&'static str; 2]) -> Answer<Tx> {
        match self {
            Db::Sqlite { write, .. } => Tx::begin(self.sqlite(write).await?, sqlite).await,
            Db::Postgres { .. } => Tx::begin(self.postgres().await?, postgres).await,
        }
    }

    /// Begins a transaction whose every statement sees the same state.
    pub async fn begin_reading(&self) -> Answer<Tx> {
        match self {
            Db::Sqlite { read, .. } => Tx::begin(self.sqlite(read).await?, "BEGIN").await,
            Db::Postgres { .. } => Tx::begin(self.postgres().await?, BEGIN_READING).await,
        }
    }

    /// Reads once.
    pub async fn fetch(&self, sql: impl Into<Sql>, args: Vec<Arg>) -> Answer<Vec<Row>> {
        if let Db::Postgres { is_pooled: true, .. } = self {
            let mut tx = self.begin_reading().await?;
            let rows = tx.fetch(sql, args).await?;
            // Nothing was written: how a reading transaction ends is no matter.
            let _ = tx.commit().await;
            return Ok(rows);
        }
        let mut conn = match self {
            Db::Sqlite { read, .. } => self.sqlite(read).await?,
            Db::Postgres { .. } => self.postgres().await?,
        };
        match conn.fetch(sql.into(), args).await {
            Ok(rows) => Ok(rows),
            Err(error) => {
                conn.discard();
                Err(error)
            }
        }
    }

    /// A list of so many parameters, for `IN`; it must be the statement's only parameters.
    pub fn list(&self, count: usize) -> String {
        placeholders(1, count, matches!(self, Db::Postgres { .. }))
    }

    pub async fn close(&self) {
        match self {
            Db::Sqlite { write, read, .. } => {
                read.close().await;
                write.close().await;
            }
            Db::Postgres { pool, .. } => pool.close().await,
        }
    }

    async fn sqlite(&self, pool: &SqlitePool) -> Answer<Conn> {
        let acquired = pool.acquire().await;
        self.named(acquired).await.map(Conn::Sqlite)
    }

    async fn postgres(&self) -> Answer<Conn> {
        let Db::Postgres { pool, is_pooled, .. } = self else { return Err(sqlx::Error::PoolClosed) };
        let acquired = pool.acquire().await;
        self.named(acquired).await.map(|conn| Conn::Postgres(conn, !is_pooled))
    }

    /// The pool says only that it timed out: a connection of its own tells why.
    async fn named<T>(&self, acquired: Answer<T>) -> Answer<T> {
        if !matches!(acquired, Err(sqlx::Error::PoolTimedOut)) {
            return acquired;
        }
        match self {
            Db::Sqlite { options, .. } => answered(options.connect()).await?.close().await?,
            Db::Postgres { options, .. } => answered(options.connect()).await?.close().await?,
        }
        acquired
    }
}

impl Conn {
    async fn run(&mut self, sql: &'static str) -> Answer<()> {
        match self {
            Conn::Sqlite(conn) => answered(sqlx::raw_sql(sql).execute(&mut **conn)).await.map(drop),
            Conn::Postgres(conn, _) => answered(sqlx::raw_sql(sql).execute(&mut **conn)).await.map(drop),
        }
    }

    async fn execute(&mut self, sql: Sql, args: Vec<Arg>) -> Answer<u64> {
        match self {
            Conn::Sqlite(conn) => {
                answered(query!(sql, args, true).execute(&mut **conn)).await.map(|done| done.rows_affected())
            }
            Conn::Postgres(conn, stays) => {
                answered(query!(sql, args, *stays).execute(&mut **conn)).await.map(|done| done.rows_affected())
            }
        }
    }

    async fn fetch(&mut self, sql: Sql, args: Vec<Arg>) -> Answer<Vec<Row>> {
        match self {
            Conn::Sqlite(conn) => {
                let rows = answered(query!(sql, args, true).fetch_all(&mut **conn)).await?;
                rows.iter().map(|row| cells!(row)).collect()
            }
            Conn::Postgres(conn, stays) => {
                let rows = answered(query!(sql, args, *stays).fetch_all(&mut **conn)).await?;
                rows.iter().map(|row| cells!(row)).collect()
            }
        }
    }

    /// Closes the connection without a word: the database rolls back what was open.
    fn discard(self) {
        match self {
            Conn::Sqlite(conn) => drop(conn.detach()),
            Conn::Postgres(conn, _) => drop(conn.detach()),
        }
    }
}

impl Tx {
    async fn begin(conn: Conn, sql: &'static str) -> Answer<Tx> {
        let mut tx = Tx(Some(conn));
        tx.conn()?.run(sql).await?;
        Ok(tx)
    }

    fn conn(&mut self) -> Answer<&mut Conn> {
        self.0.as_mut().ok_or(sqlx::Error::WorkerCrashed)
    }

    /// Gives the number of rows that it changed.
    pub async fn execute(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Answer<u64> {
        self.conn()?.execute(sql.into(), args).await
    }

    pub async fn fetch(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Answer<Vec<Row>> {
        self.conn()?.fetch(sql.into(), args).await
    }

    /// The only row of an answer that must have one.
    pub async fn fetch_one(&mut self, sql: impl Into<Sql>, args: Vec<Arg>) -> Answer<Row> {
        self.fetch(sql, args).await?.pop().ok_or(sqlx::Error::RowNotFound)
    }

    /// `head VALUES (..), (..) tail` for any number of rows. Statements take a power of two of rows,
    /// so that the few texts there are stay prepared.
    pub async fn insert(&mut self, head: &str, tail: &str, mut rows: Vec<Vec<Arg>>) -> Answer<u64> {
        const ROWS_PER_STATEMENT_MAX: usize = 128;
        let mut changed = 0;
        while let Some(columns) = rows.first().map(Vec::len) {
            let largest = 1 << rows.len().ilog2();
            let rest = rows.split_off(largest.min(ROWS_PER_STATEMENT_MAX));
            let numbered = matches!(self.conn()?, Conn::Postgres(..));
            let sql = format!("{head} VALUES {} {tail}", placeholders(rows.len(), columns, numbered));
            changed += self.execute(sql, rows.into_iter().flatten().collect()).await?;
            rows = rest;
        }
        Ok(changed)
    }

    pub async fn commit(mut self) -> Result<(), CommitError> {
        let done = match self.conn() {
            Ok(conn) => conn.run("COMMIT").await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => {
                // Back into the pool: nothing is open on it.
                drop(self.0.take());
                Ok(())
            }
            Err(error) if is_refusal(&error) => Err(CommitError::Refused(error)),
            Err(error) => Err(CommitError::Unknown(error)),
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(conn) = self.0.take() {
            conn.discard();
        }
    }
}

/// Whether a database that answered COMMIT like this has surely not committed. What an operator's
/// shutdown or a disk's error cut off may have happened.
fn is_refusal(error: &sqlx::Error) -> bool {
    const SQLITE_BUSY: i64 = 5;
    const SQLITE_READONLY: i64 = 8;
    const SQLITE_FULL: i64 = 13;
    const SQLITE_CONSTRAINT: i64 = 19;
    let sqlx::Error::Database(error) = error else { return false };
    let Some(code) = error.code() else { return false };
    if error.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_some() {
        let primary = code.parse::<i64>().map(|code| code & 0xff);
        return primary
            .is_ok_and(|code| matches!(code, SQLITE_BUSY | SQLITE_READONLY | SQLITE_FULL | SQLITE_CONSTRAINT));
    }
    // Integrity, transaction state and serialization: the server's own reasons to roll back.
    ["23", "25", "40"].iter().any(|class| code.starts_with(class)) && code != "40003"
}

/// `($1,$2),($3,$4)`, or `(?,?),(?,?)`: to SQLite `$1` is a name, and each bind of a named parameter
/// walks the list of all names, which for 2,000 of them takes longer than the writing.
fn placeholders(rows: usize, columns: usize, numbered: bool) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for row in 0..rows {
        text.push_str(if row == 0 { "(" } else { ",(" });
        for column in 0..columns {
            text.push_str(if column == 0 { "" } else { "," });
            if numbered {
                text.push_str(&format!("${}", row * columns + column + 1));
            } else {
                text.push('?');
            }
        }
        text.push(')');
    }
    text
}

/// Waits for an answer, but not for ever: a silent network answers nothing at all.
pub(super) async fn answered<T>(answer: impl Future<Output = Answer<T>>) -> Answer<T> {
    match tokio::time::timeout(ANSWER_WITHIN, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            let silence = format!("the database gave no answer within {} s", ANSWER_WITHIN.as_secs());
            Err(sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, silence)))
        }
    }
}

fn unexpected(at: usize, what: &str) -> sqlx::Error {
    sqlx::Error::ColumnDecode { index: at.to_string(), source: what.into() }
}

/// PostgreSQL's text can't hold a NUL character. It is written as ESC 0, and ESC itself as ESC 1, in
/// both databases alike; JSON holds neither, so what people read stays as it is.
fn without_nul(text: String) -> String {
    // Two searches for one character each are several times faster than one for either.
    if !text.contains('\0') && !text.contains('\u{1b}') {
        return text;
    }
    text.replace('\u{1b}', "\u{1b}1").replace('\0', "\u{1b}0")
}

fn with_nul(text: String) -> String {
    if !text.contains('\u{1b}') {
        return text;
    }
    text.replace("\u{1b}0", "\0").replace("\u{1b}1", "\u{1b}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_survives_the_way_through_a_database_without_nul() {
        for text in ["", "plain", "a\0b", "\u{1b}0", "\u{1b}", "\0\u{1b}1\0", "\u{1b}\u{1b}0"] {
            let stored = without_nul(text.to_owned());
            assert!(!stored.contains('\0'));
            assert_eq!(with_nul(stored), text);
        }
        assert_ne!(without_nul("\0".to_owned()), without_nul("\u{1b}0".to_owned()));
    }

    #[test]
    fn placeholders_are_numbered_through_all_rows() {
        assert_eq!(placeholders(2, 3, true), "($1,$2,$3),($4,$5,$6)");
        assert_eq!(placeholders(1, 1, true), "($1)");
        assert_eq!(placeholders(2, 2, false), "(?,?),(?,?)");
    }
}
