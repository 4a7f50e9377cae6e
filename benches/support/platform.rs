//! The report table that benches read, in SQLite and in PostgreSQL, and its mapping.

use super::{SOURCE, postgres_url};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, QueryBuilder, Sqlite};
use std::str::FromStr;
use tocsin::core::observation::EventName;
use tocsin::core::time::{Span, Timestamp};
use tocsin::secret::Secret;
use tocsin::source::settings::{Actors, CategoryFrom, Columns, EventColumn, Reading, RowsFrom, Settings, States, Unit};
use tocsin::zone::Zone;

const ROWS_PER_INSERT: usize = 1_000;
/// Rows as wide as a platform's: nobody's monitor reads this column.
const CONTENT: &str = "words that the monitor never reads; here only to give a row the length of a real one";

pub struct PlatformRow {
    pub id: i64,
    pub category: &'static str,
    /// To the millisecond.
    pub received: Timestamp,
}

/// A report database of either kind; made anew.
pub struct Platform {
    pub url: String,
    pub is_postgres: bool,
}

impl Platform {
    pub async fn sqlite(url: &str, rows: &[PlatformRow]) -> Platform {
        let options = SqliteConnectOptions::from_str(url).unwrap().create_if_missing(true);
        let mut conn: SqliteConnection = options.connect().await.unwrap();
        let table = "CREATE TABLE reports (id INTEGER PRIMARY KEY, category TEXT NOT NULL, content TEXT, \
             received_ms INTEGER NOT NULL, responded_ms INTEGER, acted_ms INTEGER, closed_ms INTEGER)";
        conn.execute(table).await.unwrap();
        let mut tx = conn.begin().await.unwrap();
        for rows in rows.chunks(ROWS_PER_INSERT) {
            let head = "INSERT INTO reports (id, category, content, received_ms) ";
            let mut insert = QueryBuilder::<Sqlite>::new(head);
            insert.push_values(rows, |mut values, row| {
                let millis = row.received.micros() / 1_000;
                values.push_bind(row.id).push_bind(row.category).push_bind(CONTENT).push_bind(millis);
            });
            insert.build().execute(&mut *tx).await.unwrap();
        }
        tx.commit().await.unwrap();
        conn.close().await.unwrap();
        Platform { url: url.to_owned(), is_postgres: false }
    }

    /// `None` where there is no server.
    pub async fn postgres(name: &str, rows: &[PlatformRow]) -> Option<Platform> {
        let url = postgres_url(name).await?;
        let mut conn = PgConnection::connect(&url).await.unwrap();
        let table = "CREATE TABLE reports (id BIGINT PRIMARY KEY, category TEXT NOT NULL, content TEXT, \
             received_at TIMESTAMPTZ NOT NULL, responded_at TIMESTAMPTZ, acted_at TIMESTAMPTZ, closed_at TIMESTAMPTZ)";
        conn.execute(table).await.unwrap();
        let insert = "INSERT INTO reports (id, category, content, received_at) SELECT id, category, $4, \
             TIMESTAMPTZ 'epoch' + micros * INTERVAL '1 microsecond' \
             FROM UNNEST($1::bigint[], $2::text[], $3::bigint[]) AS t (id, category, micros)";
        for rows in rows.chunks(10 * ROWS_PER_INSERT) {
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let categories: Vec<&str> = rows.iter().map(|row| row.category).collect();
            let micros: Vec<i64> = rows.iter().map(|row| row.received.micros()).collect();
            let insert = sqlx::query(insert).bind(ids).bind(categories).bind(micros).bind(CONTENT);
            insert.execute(&mut conn).await.unwrap();
        }
        conn.execute(AssertSqlSafe("VACUUM ANALYZE reports".to_owned())).await.unwrap();
        conn.close().await.unwrap();
        Some(Platform { url, is_postgres: true })
    }

    pub fn name(&self) -> &'static str {
        if self.is_postgres { "PostgreSQL" } else { "SQLite" }
    }

    /// Five mapped columns: id, category, received and the events of the three targets.
    pub fn settings(&self, poll: Span) -> Settings {
        let (suffix, unit) = if self.is_postgres { ("at", None) } else { ("ms", Some(Unit::Milliseconds)) };
        let event = |name, column: &str| EventColumn { name, column: format!("{column}_{suffix}"), by: None, unit };
        Settings {
            name: SOURCE.into(),
            url: Secret::new(self.url.clone()),
            poll,
            timezone: Zone::UTC,
            rows: RowsFrom::Table("reports".to_owned()),
            columns: Columns {
                id: "id".to_owned(),
                case: Vec::new(),
                category: CategoryFrom::Column("category".to_owned()),
            },
            events: vec![
                event(EventName::Received, "received"),
                event(EventName::FirstResponse, "responded"),
                event(EventName::ReviewerAction, "acted"),
                event(EventName::Closed, "closed"),
            ],
            dues: Vec::new(),
            facts: Vec::new(),
            actors: Actors::default(),
            states: States::default(),
            reading: Reading::default(),
        }
    }
}
