//! Reading a MySQL or MariaDB report database: a session that can only read, is bounded in time, runs in UTC
//! whatever the server's zone is, and relies on no sql_mode.

use super::decode::{Cell, Decoder};
use super::fault::{Fault, cause, mysql_number};
use super::feed::Moment;
use super::line::{
    Answer, LOCK_TIMEOUT_MS, Mapping, Request, STATEMENT_TIMEOUT_MS, Session, decode_rows, reject_without_id,
    settle_read,
};
use super::mysql_feed::HistoryTable;
use super::mysql_standing::Standing;
use super::mysql_text::{Query, Value, list, query, texts};
use super::mysql_types::{Column, IdKind, Kind, learn_columns, mapped, parts};
use super::settings::RowsFrom;
use super::sql::{self, BACKTICK, Parts, Which};
use super::{Batch, ColumnFound, ScanPosition, Vitals, mysql_plans};
use crate::core::id::ReportId;
use crate::core::time::Timestamp;
use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor, MySqlConnection};
use std::str::FromStr;

type Result<T> = std::result::Result<T, Fault>;

#[derive(Debug)]
pub struct MysqlSession {
    pub(super) conn: MySqlConnection,
    pub(super) decoder: Decoder,
    pub(super) table: Table,
    first: Value,
    pub(super) history: Option<HistoryTable>,
    server: String,
    pub(super) standing: Standing,
}

/// A relation as it is read: its columns' types, how its ids compare, the texts of its statements.
#[derive(Debug)]
pub struct Table {
    pub columns: Vec<Column>,
    pub id: IdKind,
    pub id_column: String,
    pub parts: Parts,
}

/// A connection that refuses to write and gives up in time. TLS where the server has it, unless the url's
/// ssl-mode says otherwise.
pub async fn connect(url: &str) -> std::result::Result<MySqlConnection, String> {
    let options = MySqlConnectOptions::from_str(url)
        .map_err(|_| "the url is not of the form mysql://user:password@host:port/database".to_owned())?;
    let options = options.timezone(Some("+00:00".to_owned())).charset("utf8mb4");
    let options = options.pipes_as_concat(false).no_engine_substitution(false).disable_statement_logging();
    let mut conn = options.connect().await.map_err(|error| cause(&error))?;
    let server = version(&mut conn).await.map_err(|error| cause(&error))?;
    // MariaDB counts in seconds, MySQL in milliseconds.
    let bound = if server.starts_with("MariaDB") {
        format!("max_statement_time = {}", STATEMENT_TIMEOUT_MS / 1_000)
    } else {
        format!("max_execution_time = {STATEMENT_TIMEOUT_MS}")
    };
    let lock_secs = LOCK_TIMEOUT_MS / 1_000;
    // The driver adds to the server's own sql_mode; a platform's query may count on that alone.
    let bounds = format!(
        "SET SESSION {bound}, lock_wait_timeout = {lock_secs}, innodb_lock_wait_timeout = {lock_secs}, \
         sql_mode = @@global.sql_mode"
    );
    for sql in ["SET SESSION TRANSACTION READ ONLY", &bounds] {
        conn.execute(sqlx::raw_sql(AssertSqlSafe(sql))).await.map_err(|error| cause(&error))?;
    }
    Ok(conn)
}

/// "MariaDB 10.11.19" or "MySQL 8.0.36".
async fn version(conn: &mut MySqlConnection) -> sqlx::Result<String> {
    let row = sqlx::query("SELECT CAST(VERSION() AS CHAR)").fetch_one(conn).await?;
    let Cell::Text(version) = Kind::Text.cell(&row, 0) else { return Ok("MySQL".to_owned()) };
    let number = version.split('-').next().unwrap_or(version);
    let kind = if version.contains("MariaDB") { "MariaDB" } else { "MySQL" };
    Ok(format!("{kind} {number}"))
}

/// Tables and views that the role can see, those outside of the url's database with theirs.
pub async fn tables(conn: &mut MySqlConnection) -> sqlx::Result<Vec<String>> {
    let sql = "SELECT CAST(CASE WHEN table_schema = DATABASE() THEN table_name \
               ELSE CONCAT(table_schema, '.', table_name) END AS CHAR) AS name FROM information_schema.tables \
               WHERE table_schema NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys') \
               ORDER BY table_schema <> DATABASE(), name LIMIT 1000";
    let rows = sqlx::query(sql).fetch_all(conn).await?;
    let name = |row: &MySqlRow| match Kind::Text.cell(row, 0) {
        Cell::Text(name) => Some(name.to_owned()),
        _ => None,
    };
    Ok(rows.iter().filter_map(name).collect())
}

/// The columns of a table that the role may read, with their types.
pub async fn columns_of(conn: &mut MySqlConnection, table: &str) -> sqlx::Result<Vec<ColumnFound>> {
    let columns = learn_columns(conn, &RowsFrom::Table(table.to_owned()), "").await?;
    Ok(columns.into_iter().map(|column| ColumnFound { name: column.name, type_name: column.type_name }).collect())
}

impl Table {
    /// Learns a mapping's relation.
    pub async fn learn(mapping: &Mapping, conn: &mut MySqlConnection) -> Result<Table> {
        let rows = &mapping.settings.rows;
        let relation = sql::relation_in(rows, BACKTICK).map_err(|bad| mapping.wrong(bad.to_string()))?;
        let found = match learn_columns(conn, rows, &relation).await {
            Ok(found) => found,
            Err(error) => return Err(explain(mapping, conn, error).await),
        };
        if found.is_empty() {
            return Err(unseen(mapping, conn, &relation).await);
        }
        let columns = mapped(mapping, &found)?;
        let selection = &mapping.selection;
        let is_unique = is_unique(conn, rows, &columns[selection.id].name)
            .await
            .map_err(Fault::statement("reading the table's indexes"))?;
        let (parts, id) = parts(mapping, relation, &columns, is_unique)?;
        let id_column = parts.select[selection.id].clone();
        Ok(Table { columns, id, id_column, parts })
    }

    /// A statement of this table's parts.
    pub fn query(&self, sql: &str, values: &[Value]) -> Query {
        query(sql, &self.parts.relation, values)
    }

    pub fn cells_of<'r>(kinds: &[Kind], row: &'r MySqlRow, cells: &mut Vec<Cell<'r>>) {
        cells.extend(kinds.iter().enumerate().map(|(at, kind)| kind.cell(row, at)));
    }

    pub fn kinds(&self, rows: &[MySqlRow]) -> Vec<Kind> {
        rows.first().map(|row| Kind::of_row(row, &self.columns)).unwrap_or_default()
    }
}

/// Whether a unique index is of this column alone, so that no two ids can count as equal.
async fn is_unique(conn: &mut MySqlConnection, rows: &RowsFrom, column: &str) -> sqlx::Result<bool> {
    const ASK: &str = "SELECT CAST(COUNT(*) AS SIGNED) FROM (SELECT index_name FROM information_schema.statistics \
         WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? AND non_unique = 0 \
         GROUP BY index_name HAVING COUNT(*) = 1 AND MAX(column_name) = ? AND MAX(sub_part) IS NULL) AS i";
    let RowsFrom::Table(name) = rows else { return Ok(false) };
    let (schema, table) = name.split_once('.').map_or((None, &**name), |(schema, table)| (Some(schema), table));
    let row = sqlx::query(ASK).bind(schema).bind(table).bind(column).fetch_one(conn).await?;
    Ok(matches!(Kind::Int.cell(&row, 0), Cell::Int(1..)))
}

impl Session for MysqlSession {
    async fn connect(mapping: &Mapping) -> Result<Self> {
        let mut conn = connect(mapping.url().expose()).await.map_err(|reason| mapping.unreachable(reason))?;
        let table = Table::learn(mapping, &mut conn).await?;
        let history = match &mapping.history {
            Some(history) => Some(HistoryTable::learn(history, &mut conn).await?),
            None => None,
        };
        let server = version(&mut conn).await.map_err(Fault::statement("reading the server's version"))?;
        let mut standing = Standing::new(server.starts_with("MariaDB"));
        standing.look(&mut conn).await.map_err(Fault::statement("asking whether this is a replica"))?;
        let first = texts(mapping.settings.reading.first.iter().map(|name| &**name));
        Ok(MysqlSession { conn, decoder: mapping.decoder(), table, first, history, server, standing })
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
            // A primary isn't asked.
            Request::Currency if self.standing.is_primary() => Ok(Answer::default()),
            Request::Currency => Ok(Answer { moment: self.moment().await?, ..Answer::default() }),
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

impl MysqlSession {
    async fn page(&mut self, which: Which, after: Option<&ScanPosition>, limit: u32) -> Result<Answer> {
        let parts = &self.table.parts;
        let there = match which {
            Which::Open | Which::All => true,
            Which::First => parts.first.is_some(),
            Which::Strays => parts.strays.is_some(),
        };
        if !there {
            return Ok(Answer::default());
        }
        let failed = || Fault::statement("reading a page of rows");
        let limit = Value::Int(limit.into());
        let mut counts = Vec::new();
        let (sql, mut values) = match after {
            None => {
                if matches!(which, Which::Open | Which::All) {
                    counts = self.without_id(which).await?;
                }
                (self.table.parts.first_page(which), vec![limit])
            }
            // Ids that changed their type during a scan leave unknown what comes after.
            Some(position) => {
                let after = self.table.id.position(position).ok_or_else(|| failed()(sqlx::Error::RowNotFound))?;
                (parts.next_page(which), vec![after, limit])
            }
        };
        values.push(self.first.clone());
        let rows = self.table.query(&sql, &values).fetch_all(&mut self.conn).await.map_err(failed())?;
        let mut batch = self.decode(&rows);
        reject_without_id(&mut batch, self.decoder.selection(), &counts);
        self.add_history(&mut batch).await?;
        let next = rows.last().map(|row| self.position(row)).transpose()?;
        Ok(Answer { batch, next, ..Answer::default() })
    }

    async fn without_id(&mut self, which: Which) -> Result<Vec<(bool, i64)>> {
        let sql = self.table.parts.without_id(which, &self.table.id_column);
        let rows = self.table.query(&sql, &[]).fetch_all(&mut self.conn).await;
        let rows = rows.map_err(Fault::statement("counting rows without an id"))?;
        let count = |row: &MySqlRow| match (Kind::Int.cell(row, 0), Kind::Int.cell(row, 1)) {
            (Cell::Int(lacks), Cell::Int(count)) => Some((lacks != 0, count)),
            _ => None,
        };
        Ok(rows.iter().filter_map(count).collect())
    }

    async fn rows(&mut self, ids: &[ReportId]) -> Result<Answer> {
        let mut batch = Batch::default();
        if let Some(asked) = list(ids.iter().filter_map(|id| self.table.id.value(id)).collect()) {
            let sql = self.table.parts.by_ids(&self.table.id.matches(&self.table.id_column));
            let rows = self.table.query(&sql, &[asked]).fetch_all(&mut self.conn).await;
            batch = self.decode(&rows.map_err(Fault::statement("reading rows by id"))?);
            self.add_history(&mut batch).await?;
        }
        settle_read(&mut batch, ids);
        Ok(Answer { batch, ..Answer::default() })
    }

    async fn categories(&mut self) -> Result<Answer> {
        let found = self.table.query(&self.table.parts.categories(), &[]).fetch_all(&mut self.conn).await;
        let found = found.map_err(Fault::statement("counting categories"))?;
        let category = |row: &MySqlRow| {
            let name = if let Cell::Text(name) = Kind::Text.cell(row, 0) { name } else { "" };
            let count = if let Cell::Int(count) = Kind::Int.cell(row, 1) { count.unsigned_abs() } else { 0 };
            (name.to_owned(), count)
        };
        Ok(Answer { categories: found.iter().map(category).collect(), ..Answer::default() })
    }

    async fn plans(&mut self) -> Result<Answer> {
        let plans = mysql_plans::of_mysql(&mut self.conn, &self.table, self.decoder.selection()).await;
        let plans = plans.map_err(Fault::statement("explaining the polling statements"))?;
        Ok(Answer { plans, ..Answer::default() })
    }

    async fn newest(&mut self) -> Result<Answer> {
        let Some(received) = &self.decoder.selection().received else { return Ok(Answer::default()) };
        let sql = self.table.parts.newest(&self.table.parts.select[received.at]);
        let rows = self.table.query(&sql, &[]).fetch_all(&mut self.conn).await;
        let rows = rows.map_err(Fault::statement("reading the newest rows"))?;
        Ok(Answer { batch: self.decode(&rows), ..Answer::default() })
    }

    async fn clock(&mut self) -> Result<Timestamp> {
        let sql = "SELECT CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)";
        let row = sqlx::query(sql).fetch_one(&mut self.conn).await;
        let row = row.map_err(Fault::statement("reading the database's clock"))?;
        match Kind::Int.cell(&row, 0) {
            Cell::Int(micros) => Ok(Timestamp::from_micros(micros)),
            _ => Err(Fault::statement("reading the database's clock")(sqlx::Error::RowNotFound)),
        }
    }

    /// The clock of now. Nobody but an administrator can see who writes, so a stretch of time stands for it.
    async fn moment(&mut self) -> Result<Moment> {
        if !self.standing.is_primary() {
            self.standing.look(&mut self.conn).await.map_err(Fault::statement("asking how far the replica is"))?;
        }
        let clock = self.clock().await?;
        let lacks_stamps = self.decoder.lacks_stamps();
        Ok(Moment { clock: Some(clock), live: None, replica: self.standing.replayed(clock), lacks_stamps })
    }

    async fn vitals(&mut self) -> Result<Answer> {
        // A primary can become a replica while a session lasts.
        self.standing.look(&mut self.conn).await.map_err(Fault::statement("asking whether this is a replica"))?;
        let clock = self.clock().await?;
        let (lag, unchecked) = (self.standing.lag(clock), self.standing.unchecked());
        Ok(Answer { vitals: Vitals { clock: Some(clock), lag, unchecked }, ..Answer::default() })
    }

    fn decode(&mut self, rows: &[MySqlRow]) -> Batch {
        let (kinds, mut batch) = (self.table.kinds(rows), Batch::default());
        decode_rows(&mut self.decoder, rows, |row, cells| Table::cells_of(&kinds, row, cells), &mut batch);
        batch
    }

    fn position(&self, row: &MySqlRow) -> Result<ScanPosition> {
        let at = self.decoder.selection().id;
        let kinds = Kind::of_row(row, &self.table.columns);
        let position = kinds.get(at).and_then(|kind| position_of(kind.cell(row, at)));
        position.ok_or_else(|| Fault::statement("reading a page's last id")(sqlx::Error::RowNotFound))
    }
}

impl IdKind {
    /// The id behind which a page begins; `None` where ids are of another type now.
    pub(super) fn position(&self, position: &ScanPosition) -> Option<Value> {
        match position {
            ScanPosition::Id(id) => self.value(id),
            ScanPosition::Bytes(bytes) => Some(Value::Bytes(bytes.to_vec())),
        }
    }
}

pub(super) fn position_of(id: Cell<'_>) -> Option<ScanPosition> {
    match id {
        Cell::Int(id) => Some(ScanPosition::Id(ReportId::Int(id))),
        Cell::Large(id) => Some(ScanPosition::Id(ReportId::Text(id.to_string().into()))),
        Cell::Uuid(id) => Some(ScanPosition::Id(ReportId::Uuid(id))),
        Cell::Text(id) => Some(ScanPosition::Id(ReportId::Text(id.into()))),
        _ => None,
    }
}

/// Why the relation can't be described, with what is there instead.
async fn explain(mapping: &Mapping, conn: &mut MySqlConnection, error: sqlx::Error) -> Fault {
    match (&mapping.settings.rows, mysql_number(&error)) {
        // No such table.
        (RowsFrom::Table(name), Some(1146)) => match tables(conn).await {
            Ok(tables) => mapping.wrong(format!(
                "there is no table {name}; the tables are: {}",
                super::fault::listed(tables.iter().map(String::as_str))
            )),
            Err(error) => Fault::statement("listing the tables")(error),
        },
        // A privilege that is missing is not the query's fault, nor is a server that ends the session.
        (RowsFrom::Query(_), Some(number)) if !matches!(number, 1053 | 1142 | 1143 | 1927) => {
            mapping.wrong(format!("the query can't be prepared: {}", cause(&error)))
        }
        _ => Fault::statement("reading the columns' types")(error),
    }
}

/// Why the catalogue shows no column of a table: the server says it when the table is asked for nothing.
async fn unseen(mapping: &Mapping, conn: &mut MySqlConnection, relation: &str) -> Fault {
    let asked = sqlx::query(AssertSqlSafe(format!("SELECT 1 FROM {relation} AS r LIMIT 0"))).execute(&mut *conn).await;
    match asked {
        Ok(_) => mapping.wrong(format!("{} shows no column to this role", mapping.relation_name())),
        Err(error) => explain(mapping, conn, error).await,
    }
}
