//! A large report table in each database that can be read: some closed rows for each open report, the same drawn values at
//! every run, but for the times, which count back from now.

use super::{MINOR_SAFETY, SOURCE, Scratch, mysql_url, postgres_url};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, MySqlConnection, PgConnection, Row, SqliteConnection};
use std::str::FromStr;
use tocsin::core::observation::EventName;
use tocsin::core::time::Span;
use tocsin::secret::Secret;
use tocsin::source::settings::{
    Actors, CategoryFrom, Columns, EventColumn, Reading, RowsFrom, Settings, States, TimeColumn, Unit,
};
use tocsin::zone::Zone;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postgres,
    Mysql,
    Sqlite,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Postgres, Kind::Mysql, Kind::Sqlite];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Postgres => "PostgreSQL",
            Kind::Mysql => "MySQL",
            Kind::Sqlite => "SQLite",
        }
    }

    /// Why it isn't there.
    pub fn without(self) -> &'static str {
        match self {
            Kind::Postgres => super::NO_POSTGRES,
            Kind::Mysql => "TOCSIN_TEST_MYSQL is not set",
            Kind::Sqlite => "it needs nothing",
        }
    }
}

enum Conn {
    Postgres(PgConnection),
    Mysql(MySqlConnection),
    Sqlite(SqliteConnection),
}

pub struct Base {
    pub kind: Kind,
    pub server: String,
    url: String,
    conn: Conn,
}

/// Drawn are the category, whether the report is old, and how old to the second.
const POSTGRES: &str = "
    CREATE TABLE reports (id bigint PRIMARY KEY, category text NOT NULL, received_at timestamptz NOT NULL,
      responded_at timestamptz, acted_at timestamptz, closed_at timestamptz, updated_at timestamptz NOT NULL, body text);
    INSERT INTO reports
      SELECT n, (ARRAY['grooming','threat','ncii','doxxing','hate','harassment','fraud','nudity','spam','copyright'])
               [1 + CASE WHEN draw < 2 THEN 0 ELSE 1 + draw % 9 END],
        now() - age, NULL, NULL, CASE WHEN n % (1 + CLOSED) > 0 THEN now() - age / 2 END, now() - age / 2, repeat('x', 200)
      FROM (SELECT n, (hashint8extended(n, 2020) & 1023)::int % 100 AS draw,
              CASE WHEN (hashint8extended(n, 2021) & 1023)::int % 100 < 13 THEN interval '4 days' ELSE interval '1 hour' END
                + (hashint8extended(n, 2022) & 1023) * interval '1 second' AS age
            FROM generate_series(1, TOTAL) n) drawn;
    CREATE INDEX ON reports (updated_at, id);
    CREATE INDEX ON reports (received_at, id);
    CREATE INDEX ON reports (id) WHERE closed_at IS NULL;
    CREATE INDEX ON reports (category, id) WHERE closed_at IS NULL;
    ANALYZE reports";

const MYSQL: &str = "
    CREATE TABLE reports (id bigint PRIMARY KEY, category varchar(40) NOT NULL, received_at datetime(6) NOT NULL,
      responded_at datetime(6), acted_at datetime(6), closed_at datetime(6), updated_at datetime(6) NOT NULL, body text);
    INSERT INTO reports
      WITH digits (n) AS (SELECT 0 UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL
          SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9),
        thousand (n) AS (SELECT a.n + 10 * b.n + 100 * c.n FROM digits a, digits b, digits c),
        numbers (seq) AS (SELECT 1 + a.n + 1000 * b.n + 1000000 * c.n FROM thousand c, thousand b, thousand a
          WHERE c.n <= TOTAL DIV 1000000 AND 1000 * b.n <= TOTAL AND 1 + a.n + 1000 * b.n + 1000000 * c.n <= TOTAL)
      SELECT n, ELT(1 + IF(draw < 2, 0, 1 + draw % 9),
          'grooming','threat','ncii','doxxing','hate','harassment','fraud','nudity','spam','copyright'),
        UTC_TIMESTAMP(6) - INTERVAL age SECOND, NULL, NULL,
        IF(n % (1 + CLOSED) > 0, UTC_TIMESTAMP(6) - INTERVAL age DIV 2 SECOND, NULL),
        UTC_TIMESTAMP(6) - INTERVAL age DIV 2 SECOND, REPEAT('x', 200)
      FROM (SELECT seq AS n, CRC32(CONCAT(seq, '-2020')) % 1024 % 100 AS draw,
              IF(CRC32(CONCAT(seq, '-2021')) % 1024 % 100 < 13, 345600, 3600) + CRC32(CONCAT(seq, '-2022')) % 1024 AS age
            FROM numbers) AS drawn;
    CREATE INDEX by_change ON reports (updated_at, id);
    CREATE INDEX by_receipt ON reports (received_at, id);
    CREATE INDEX open_reports ON reports (closed_at, id);
    CREATE INDEX by_category ON reports (category, closed_at, id);
    ANALYZE TABLE reports";

const SQLITE: &str = "
    CREATE TABLE reports (id INTEGER PRIMARY KEY, category TEXT NOT NULL, received_at INTEGER NOT NULL,
      responded_at INTEGER, acted_at INTEGER, closed_at INTEGER, updated_at INTEGER NOT NULL, body TEXT);
    INSERT INTO reports
      WITH RECURSIVE ns(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM ns WHERE n < TOTAL),
        drawn AS (SELECT n, ((n * 2654435761) >> 7 & 1023) % 100 AS draw,
          (CASE WHEN ((n * 2246822519) >> 9 & 1023) % 100 < 13 THEN 345600 ELSE 3600 END
            + ((n * 3266489917) >> 11 & 1023)) * 1000 AS age FROM ns),
        clock(now) AS (SELECT CAST(unixepoch('subsec') * 1000 AS INTEGER))
      SELECT n, json_extract('[\"grooming\",\"threat\",\"ncii\",\"doxxing\",\"hate\",\"harassment\",\"fraud\",\"nudity\",\"spam\",\"copyright\"]',
          '$[' || CASE WHEN draw < 2 THEN 0 ELSE 1 + draw % 9 END || ']'),
        now - age, NULL, NULL, CASE WHEN n % (1 + CLOSED) > 0 THEN now - age / 2 END, now - age / 2,
        'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
      FROM drawn, clock;
    CREATE INDEX by_change ON reports (updated_at, id);
    CREATE INDEX by_receipt ON reports (received_at, id);
    ANALYZE";

impl Base {
    /// `None` where there is no server.
    pub async fn fill(kind: Kind, scratch: &Scratch, open: usize, closed_for_each: usize) -> Option<Base> {
        let (total, closed) = ((open * (1 + closed_for_each)).to_string(), closed_for_each.to_string());
        let filled = |sql: &str| sql.replace("TOTAL", &total).replace("CLOSED", &closed);
        let name = format!("source_scale_{open}");
        let (url, conn) = match kind {
            Kind::Postgres => {
                let url = postgres_url(&name).await?;
                let conn = PgConnection::connect(&url).await.unwrap();
                (url, Conn::Postgres(conn))
            }
            Kind::Mysql => {
                let url = mysql_url(&name).await?;
                let conn = MySqlConnection::connect(&url).await.unwrap();
                (url, Conn::Mysql(conn))
            }
            Kind::Sqlite => {
                let url = scratch.sqlite_url("reports.db");
                let options = SqliteConnectOptions::from_str(&url).unwrap().create_if_missing(true);
                let options = options.journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
                (url, Conn::Sqlite(options.connect().await.unwrap()))
            }
        };
        let mut base = Base { kind, server: String::new(), url, conn };
        match kind {
            Kind::Postgres => {
                base.run(&filled(POSTGRES)).await;
                base.run("VACUUM ANALYZE reports").await;
            }
            Kind::Mysql => base.run(&filled(MYSQL)).await,
            Kind::Sqlite => base.run(&filled(SQLITE)).await,
        }
        let version = match kind {
            Kind::Postgres => "SELECT 'PostgreSQL ' || current_setting('server_version')",
            Kind::Mysql => "SELECT CONCAT(IF(VERSION() LIKE '%MariaDB%', 'MariaDB ', 'MySQL '), VERSION())",
            Kind::Sqlite => "SELECT 'SQLite ' || sqlite_version()",
        };
        base.server = base.text(version).await;
        Some(base)
    }

    /// Gives back the room that its rows took on a server.
    pub async fn end(mut self) {
        if self.kind != Kind::Sqlite {
            self.run("DROP TABLE reports").await;
        }
    }

    async fn run(&mut self, sql: &str) {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match &mut self.conn {
            Conn::Postgres(conn) => conn.execute(sql).await.map(drop),
            Conn::Mysql(conn) => conn.execute(sql).await.map(drop),
            Conn::Sqlite(conn) => conn.execute(sql).await.map(drop),
        }
        .unwrap();
    }

    async fn text(&mut self, sql: &'static str) -> String {
        match &mut self.conn {
            Conn::Postgres(conn) => sqlx::query_scalar(sql).fetch_one(conn).await,
            Conn::Mysql(conn) => sqlx::query_scalar(sql).fetch_one(conn).await,
            Conn::Sqlite(conn) => sqlx::query_scalar(sql).fetch_one(conn).await,
        }
        .unwrap()
    }

    /// Reads the mapped columns of the rows of a condition as plainly as the driver can. Gives what could rank them:
    /// whether each is below minor safety, when it came, and its id.
    pub async fn bare(&mut self, rows: &str) -> Vec<(bool, i64, i64)> {
        type Time = Option<chrono::NaiveDateTime>;
        type Bare = (i64, String, Time, Time, Time, Time);
        let columns = "id, category, received_at, responded_at, acted_at, closed_at";
        let sql = AssertSqlSafe(match self.kind {
            Kind::Postgres => format!(
                "SELECT id, category, received_at AT TIME ZONE 'UTC', responded_at AT TIME ZONE 'UTC', \
                 acted_at AT TIME ZONE 'UTC', closed_at AT TIME ZONE 'UTC' FROM reports {rows}"
            ),
            Kind::Mysql | Kind::Sqlite => format!("SELECT {columns} FROM reports {rows}"),
        });
        let key = |(id, category, received, ..): Bare| {
            let received = received.map_or(0, |at| at.and_utc().timestamp_micros());
            (category != MINOR_SAFETY, received, id)
        };
        match &mut self.conn {
            Conn::Postgres(conn) => {
                let rows: Vec<Bare> = sqlx::query_as(sql).fetch_all(conn).await.unwrap();
                rows.into_iter().map(key).collect()
            }
            Conn::Mysql(conn) => {
                let rows: Vec<Bare> = sqlx::query_as(sql).fetch_all(conn).await.unwrap();
                rows.into_iter().map(key).collect()
            }
            Conn::Sqlite(conn) => {
                let rows = sqlx::query(sql).fetch_all(conn).await.unwrap();
                let key = |row: &sqlx::sqlite::SqliteRow| {
                    let times = (2..6).map(|at| row.get::<Option<i64>, _>(at)).collect::<Vec<_>>();
                    (row.get::<String, _>(1) != MINOR_SAFETY, times[0].unwrap_or(0), row.get::<i64, _>(0))
                };
                rows.iter().map(key).collect()
            }
        }
    }

    /// Answers so many open reports, other ones in each round.
    pub async fn change(&mut self, round: usize, count: usize) {
        let change = match self.kind {
            Kind::Postgres => format!(
                "UPDATE reports SET responded_at = clock_timestamp(), updated_at = clock_timestamp() WHERE id IN \
                 (SELECT id FROM reports WHERE closed_at IS NULL AND category <> '{MINOR_SAFETY}' \
                  ORDER BY hashint8extended(id, {round}) LIMIT {count})"
            ),
            Kind::Mysql => format!(
                "UPDATE reports JOIN (SELECT id FROM reports WHERE closed_at IS NULL AND category <> '{MINOR_SAFETY}' \
                 ORDER BY CRC32(CONCAT(id, '-{round}')) LIMIT {count}) AS drawn USING (id) \
                 SET responded_at = UTC_TIMESTAMP(6), updated_at = UTC_TIMESTAMP(6)"
            ),
            Kind::Sqlite => format!(
                "UPDATE reports SET responded_at = CAST(unixepoch('subsec') * 1000 AS INTEGER), \
                 updated_at = CAST(unixepoch('subsec') * 1000 AS INTEGER) WHERE id IN \
                 (SELECT id FROM reports WHERE closed_at IS NULL AND category <> '{MINOR_SAFETY}' \
                  ORDER BY (id * 2654435761 + {round} * 40503) & 65535 LIMIT {count})"
            ),
        };
        self.run(&change).await;
    }

    pub fn settings(&self, tells_changes: bool) -> Settings {
        let unit = (self.kind == Kind::Sqlite).then_some(Unit::Milliseconds);
        let event = |name, column: &str| EventColumn { name, column: column.to_owned(), by: None, unit };
        let updated = tells_changes.then(|| TimeColumn { column: "updated_at".to_owned(), unit });
        // Without a pause between the changes and the polls an overlap would count them several times.
        let overlap = Some(Span::ZERO);
        Settings {
            name: SOURCE.into(),
            url: Secret::new(&*self.url),
            poll: Span::from_secs(1),
            timezone: Zone::UTC,
            rows: RowsFrom::Table("reports".to_owned()),
            columns: Columns {
                id: "id".to_owned(),
                case: Vec::new(),
                category: CategoryFrom::Column("category".to_owned()),
            },
            events: vec![
                event(EventName::Received, "received_at"),
                event(EventName::FirstResponse, "responded_at"),
                event(EventName::ReviewerAction, "acted_at"),
                event(EventName::Closed, "closed_at"),
            ],
            dues: Vec::new(),
            facts: Vec::new(),
            actors: Actors::default(),
            states: States::default(),
            reading: Reading { updated, overlap, first: vec![MINOR_SAFETY.into()], ..Reading::default() },
        }
    }
}
