//! A platform's report database, in SQLite, PostgreSQL or MySQL, as its own people write it. On a server the monitor
//! reads as a role that may select the mapped columns and nothing else.

use super::now;
use crate::support::{
    ScratchDir, fresh_mysql_database, fresh_postgres_database, mysql_admin_url, open_sqlite, postgres_admin_url,
};
use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection};
use tocsin::core::time::Timestamp;
use tocsin::zone::{parse_rfc3339, rfc3339};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Sqlite,
    Postgres,
    Mysql,
}

/// The last three columns are mapped to nothing.
const TABLE: &str = "create table reports (
  id            text,
  item          text not null,
  reason        text,
  created_at    TIME,
  responded_at  TIME,
  responded_by  text,
  resolved_at   TIME,
  resolved_by   text,
  resolution    text,
  state         text,
  body          text,
  reporter_mail text,
  item_url      text
)";

const READER: &str = "
create role READER login password 'READER';
grant usage on schema public to READER;
grant select (id, item, reason, created_at, responded_at, responded_by, resolved_at, resolved_by, resolution, state)
  on reports to READER;
";

const MYSQL_READER: &str = "
create user 'READER'@'%' identified by 'READER';
grant select (id, item, reason, created_at, responded_at, responded_by, resolved_at, resolved_by, resolution, state)
  on reports to 'READER'@'%';
";

pub struct Platform {
    base: Base,
    /// As its own people open it.
    owner_url: String,
    /// As the monitor opens it.
    pub reader_url: String,
}

impl Platform {
    /// A platform with an empty table `reports`.
    pub async fn new(base: Base, scratch: &ScratchDir, hint: &str) -> Platform {
        match base {
            Base::Sqlite => {
                let url = scratch.sqlite_url("reports.db");
                let platform = Platform { base, reader_url: url.clone(), owner_url: url };
                platform.sql(&TABLE.replace("TIME", "text")).await;
                platform
            }
            Base::Postgres => Platform::in_postgres(fresh_postgres_database(hint).await).await,
            Base::Mysql => {
                let owner_url = fresh_mysql_database(hint).await;
                let (server, database) = owner_url.rsplit_once('/').unwrap();
                let (_, server) = server.rsplit_once('@').unwrap();
                let reader = mysql_reader(database);
                let reader_url = format!("mysql://{reader}:{reader}@{server}/{database}");
                let platform = Platform { base, owner_url: owner_url.clone(), reader_url };
                let table = TABLE.replace("TIME", "timestamp(6) null");
                platform.sql(&table.replace("id            text", "id            varchar(190)")).await;
                platform.sql(&MYSQL_READER.replace("READER", &reader)).await;
                platform
            }
        }
    }

    /// A platform in an empty PostgreSQL database, wherever that is.
    pub async fn in_postgres(owner_url: String) -> Platform {
        let (_, database) = owner_url.rsplit_once('/').unwrap();
        let reader = format!("{database}_reader");
        let (_, server) = owner_url.rsplit_once('@').unwrap();
        let reader_url = format!("postgres://{reader}:{reader}@{server}");
        let platform = Platform { base: Base::Postgres, owner_url, reader_url };
        platform.sql(&TABLE.replace("TIME", "timestamptz")).await;
        platform.sql(&READER.replace("READER", &reader)).await;
        platform
    }

    /// Its own people write elsewhere from now on.
    pub fn moves_to(&mut self, owner_url: String) {
        self.owner_url = owner_url;
    }

    /// A session of its own people, in PostgreSQL.
    pub async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.owner_url).await.unwrap()
    }

    /// Does what the platform's own people do.
    pub async fn sql(&self, text: &str) {
        let done = match self.base {
            Base::Mysql => {
                let mut mysql = mysql_of_its_own_mode(&self.owner_url).await;
                let text = sqlx::raw_sql(AssertSqlSafe(as_mysql_writes(text)));
                let done = mysql.execute(text).await.map(drop);
                mysql.close().await.unwrap();
                done
            }
            Base::Sqlite => {
                let mut sqlite = open_sqlite(&self.owner_url).await;
                let done = sqlite.execute(AssertSqlSafe(text.to_owned())).await.map(drop);
                sqlite.close().await.unwrap();
                done
            }
            Base::Postgres => {
                let mut postgres = PgConnection::connect(&self.owner_url).await.unwrap();
                let done = postgres.execute(AssertSqlSafe(text.to_owned())).await.map(drop);
                postgres.close().await.unwrap();
                done
            }
        };
        done.unwrap_or_else(|e| panic!("{e}, in: {text}"));
    }

    /// The ids of the reports of which a condition is true.
    pub async fn ids(&self, condition: &str) -> Vec<String> {
        let query = AssertSqlSafe(format!("select id from reports where {condition} order by id"));
        match self.base {
            Base::Sqlite => {
                let mut sqlite = open_sqlite(&self.owner_url).await;
                sqlx::query_scalar(query).fetch_all(&mut sqlite).await.unwrap()
            }
            Base::Postgres => {
                let mut postgres = PgConnection::connect(&self.owner_url).await.unwrap();
                sqlx::query_scalar(query).fetch_all(&mut postgres).await.unwrap()
            }
            Base::Mysql => {
                let mut mysql = mysql_of_its_own_mode(&self.owner_url).await;
                sqlx::query_scalar(query).fetch_all(&mut mysql).await.unwrap()
            }
        }
    }

    /// Somebody reports the item "item-ID".
    pub async fn file(&self, id: &str, reason: &str, received: Timestamp) {
        self.sql(&filing(id, reason, received)).await;
    }

    pub async fn respond(&self, id: &str, at: Timestamp) {
        let at = rfc3339(at);
        self.sql(&format!("update reports set responded_at = '{at}', responded_by = 'mod-1' where id = '{id}'")).await;
    }

    /// A person closes it for a violation.
    pub async fn close(&self, id: &str) {
        let at = rfc3339(now());
        self.sql(&format!(
            "update reports set resolved_at = '{at}', resolved_by = 'mod-1', resolution = 'removed' where id = '{id}'"
        ))
        .await;
    }

    /// The database is gone: the file is somewhere else, the server ends every session and takes no new one.
    pub async fn goes_away(&mut self) {
        match self.base {
            Base::Sqlite => self.move_to(&format!("{}.away", self.owner_url)),
            Base::Postgres => {
                let database = self.database().to_owned();
                in_the_server(&format!("alter database \"{database}\" allow_connections false")).await;
                in_the_server(&format!(
                    "select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'"
                ))
                .await;
            }
            Base::Mysql => {
                let reader = mysql_reader(self.database());
                in_the_mysql_server(&format!("alter user '{reader}'@'%' account lock")).await;
                end_mysql_sessions_of(&reader).await;
            }
        }
    }

    pub async fn comes_back(&mut self) {
        match self.base {
            Base::Sqlite => self.move_to(&self.reader_url.clone()),
            Base::Postgres => {
                in_the_server(&format!("alter database \"{}\" allow_connections true", self.database())).await;
            }
            Base::Mysql => {
                let reader = mysql_reader(self.database());
                in_the_mysql_server(&format!("alter user '{reader}'@'%' account unlock")).await;
            }
        }
    }

    fn move_to(&mut self, url: &str) {
        let file = |url: &str| url.strip_prefix("sqlite:").unwrap().to_owned();
        std::fs::rename(file(&self.owner_url), file(url)).unwrap();
        self.moves_to(url.to_owned());
    }

    fn database(&self) -> &str {
        self.owner_url.rsplit_once('/').unwrap().1
    }
}

/// What files a report of the item "item-ID".
pub fn filing(id: &str, reason: &str, received: Timestamp) -> String {
    let received = rfc3339(received);
    format!("insert into reports (id, item, reason, created_at) values ('{id}', 'item-{id}', '{reason}', '{received}')")
}

async fn in_the_server(text: &str) {
    let mut server = PgConnection::connect(&postgres_admin_url()).await.unwrap();
    server.execute(AssertSqlSafe(text.to_owned())).await.unwrap();
    server.close().await.unwrap();
}

async fn in_the_mysql_server(text: &str) {
    let mut server = MySqlConnection::connect(&mysql_admin_url()).await.unwrap();
    server.execute(sqlx::raw_sql(AssertSqlSafe(text.to_owned()))).await.unwrap();
    server.close().await.unwrap();
}

/// Not longer than the 32 letters that MySQL allows.
fn mysql_reader(database: &str) -> String {
    format!("{database}_r")
}

async fn end_mysql_sessions_of(user: &str) {
    let mut server = MySqlConnection::connect(&mysql_admin_url()).await.unwrap();
    let ask = format!("select cast(id as signed) from information_schema.processlist where user = '{user}'");
    let sessions: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(ask)).fetch_all(&mut server).await.unwrap();
    for session in sessions {
        // One may have ended by itself.
        let _ = server.execute(AssertSqlSafe(format!("kill {session}"))).await;
    }
    server.close().await.unwrap();
}

/// A session that takes zero dates, as old platforms write them.
async fn mysql_of_its_own_mode(url: &str) -> MySqlConnection {
    let mut mysql = MySqlConnection::connect(url).await.unwrap();
    mysql.execute("set session sql_mode = 'PIPES_AS_CONCAT'").await.unwrap();
    mysql
}

/// The same statement with its times in the form that MySQL takes; the session runs in UTC.
fn as_mysql_writes(text: &str) -> String {
    let written = |part: &str| match parse_rfc3339(part) {
        Some(_) => part.replace('T', " ").replace('Z', ""),
        None => part.to_owned(),
    };
    text.split('\'').map(written).collect::<Vec<_>>().join("'")
}
