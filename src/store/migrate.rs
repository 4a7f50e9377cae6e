//! Moves everything that one store holds into another, empty one, in either direction between SQLite and
//! PostgreSQL. The tables are read off the schema, so that none is forgotten. The old store says afterwards
//! that it was moved, and pages no more.

use super::adoption::{home, set_unadopted};
use super::db::{Answer, Arg, Db, Row, Tx, args};
use super::sql::{committed, failed};
use super::{Lead, SqlStore, Store, StoreError};
use crate::core::time::Timestamp;

const OPERATION: &str = "move the store";
const ROWS_PER_READ: usize = 1_000;

/// Why nothing was moved.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error("the store to move to is in use: it has committed {0} plans; name an empty one")]
    NotEmpty(u64),
    #[error("the store to move is led by {0}; stop that process first")]
    Led(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

struct Table {
    name: String,
    columns: Vec<Column>,
}

struct Column {
    name: String,
    is_number: bool,
    /// Part of the primary key: its place in it, from 1.
    key: Option<i64>,
}

/// Moves `from` to `to` and gives the number of rows. `to_place` is what the old store says of where it went.
///
/// # Errors
/// Where the target isn't empty, somebody leads the old store, or a database fails: nothing has been moved
/// then.
pub async fn move_store(
    from: &SqlStore,
    to: &SqlStore,
    to_place: &str,
    now: Timestamp,
) -> std::result::Result<u64, MoveError> {
    let token = match from.lead("tocsin store migrate", now, None).await? {
        Lead::Taken { token, .. } => token,
        Lead::Held { holder, .. } => {
            return Err(MoveError::Led(holder.split(' ').next().unwrap_or_default().to_owned()));
        }
    };
    let moved = copy(from, to).await;
    // Without a lease the old store is free again, whatever became of the move.
    from.hand_over(token).await?;
    let moved = moved?;
    set_unadopted(&from.db, &format!("everything in it was moved to {to_place}")).await?;
    Ok(moved)
}

async fn copy(from: &SqlStore, to: &SqlStore) -> std::result::Result<u64, MoveError> {
    let home = home(&to.db).await.map_err(failed(OPERATION))?;
    let mut tx = to.db.begin().await.map_err(failed(OPERATION))?;
    let sequence = tx.fetch_one("SELECT sequence FROM deployment WHERE id = 1", args![]).await;
    let sequence = sequence.and_then(|row| row.count(0)).map_err(failed(OPERATION))?;
    if sequence > 0 {
        return Err(MoveError::NotEmpty(sequence));
    }
    let moved = async {
        tx.execute("DELETE FROM deployment", args![]).await?;
        let mut moved = 0;
        for table in tables(&to.db).await? {
            moved += table.copy(&from.db, &mut tx, matches!(to.db, Db::Postgres { .. })).await?;
        }
        const SETTLE: &str = "UPDATE deployment SET home = $1, unadopted = NULL, leader_token = leader_token + 1, \
             leader_holder = NULL, leader_lease_until = NULL WHERE id = 1";
        tx.execute(SETTLE, args![home]).await?;
        Ok::<_, sqlx::Error>(moved)
    };
    let moved = moved.await.map_err(failed(OPERATION))?;
    committed(tx, OPERATION).await?;
    Ok(moved)
}

/// Every table of ours, in the order in which the migrations made them: what a row refers to comes first.
async fn tables(db: &Db) -> Answer<Vec<Table>> {
    const SQLITE: &str = "SELECT t.name, c.name, CAST(c.type = 'INTEGER' AS INTEGER), c.pk FROM sqlite_master t, \
         pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' \
         AND t.name <> '_sqlx_migrations' ORDER BY t.rowid, c.cid";
    const POSTGRES: &str = "SELECT t.relname::text, c.attname::text, (c.atttypid = 'int8'::regtype)::int::int8, \
         COALESCE(array_position(k.indkey::int2[], c.attnum), -1)::int8 + 1 \
         FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped \
         LEFT JOIN pg_index k ON k.indrelid = t.oid AND k.indisprimary \
         WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace \
         AND t.relname <> '_sqlx_migrations' ORDER BY t.oid, c.attnum";
    let sql = match db {
        Db::Sqlite { .. } => SQLITE,
        Db::Postgres { .. } => POSTGRES,
    };
    let mut tables: Vec<Table> = Vec::new();
    for row in db.fetch(sql, args![]).await? {
        let name = row.text(0)?;
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table { name: name.to_owned(), columns: Vec::new() });
        }
        let key = Some(row.int(3)?).filter(|place| *place > 0);
        let column = Column { name: row.text(1)?.to_owned(), is_number: row.int(2)? == 1, key };
        if let Some(table) = tables.last_mut() {
            table.columns.push(column);
        }
    }
    Ok(tables)
}

impl Table {
    /// Reads in the order of the primary key, which every table has, a bounded number of rows at a time.
    async fn copy(&self, from: &Db, to: &mut Tx, to_postgres: bool) -> Answer<u64> {
        let names: Vec<String> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let names = names.join(", ");
        let mut key: Vec<(i64, usize)> =
            self.columns.iter().enumerate().filter_map(|(at, column)| Some((column.key?, at))).collect();
        key.sort_unstable();
        let key: Vec<usize> = key.into_iter().map(|(_, at)| at).collect();
        let keys: Vec<String> = key.iter().map(|at| format!("\"{}\"", self.columns[*at].name)).collect();
        let keys = keys.join(", ");
        let values: Vec<String> = (1..=key.len()).map(|n| format!("${n}")).collect();
        let values = values.join(", ");
        let overriding = if to_postgres { " OVERRIDING SYSTEM VALUE" } else { "" };
        let head = format!("INSERT INTO \"{}\" ({names}){overriding}", self.name);
        let (mut moved, mut after) = (0, Vec::new());
        loop {
            let beyond = if after.is_empty() { String::new() } else { format!("WHERE ({keys}) > ({values})") };
            let sql = format!("SELECT {names} FROM \"{}\" {beyond} ORDER BY {keys} LIMIT {ROWS_PER_READ}", self.name);
            let rows = from.fetch(sql, after).await?;
            let rows: Vec<Vec<Arg>> = rows.iter().map(|row| self.args(row)).collect::<Answer<_>>()?;
            let read = rows.len();
            after = rows.last().map(|row| key.iter().map(|at| row[*at].clone()).collect()).unwrap_or_default();
            moved += to.insert(&head, "", rows).await?;
            if read < ROWS_PER_READ {
                break;
            }
        }
        if to_postgres {
            self.move_counter(to).await?;
        }
        Ok(moved)
    }

    fn args(&self, row: &Row) -> Answer<Vec<Arg>> {
        let arg = |(at, column): (usize, &Column)| match column.is_number {
            true => row.opt_int(at).map(Arg::Int),
            false => row.opt_text(at).map(|text| Arg::Text(text.map(str::to_owned))),
        };
        self.columns.iter().enumerate().map(arg).collect()
    }

    /// A number that PostgreSQL gives by itself goes on behind the largest that was moved.
    async fn move_counter(&self, to: &mut Tx) -> Answer<()> {
        if !self.columns.iter().any(|column| column.name == "id" && column.is_number) {
            return Ok(());
        }
        let table = &self.name;
        let sql = format!(
            "SELECT COALESCE(setval(pg_get_serial_sequence('\"{table}\"', 'id'), (SELECT MAX(id) FROM \"{table}\")), 0)"
        );
        to.fetch(sql, args![]).await.map(drop)
    }
}
