//! Opening a store: the true cause where it can't be had, migrations, proof that what is committed
//! stays committed, and the check that the store is this deployment's own.

use super::db::{Answer, Arg, Db, answered, args};
use super::sql::SqlStore;
use crate::secret::Secret;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// The oldest schema that a program must know to use a store that this one made.
const SCHEMA_VERSION: i64 = 1;
const READERS: u32 = 2;
const POSTGRES_CONNECTIONS: u32 = 8;
const BUSY_FOR: Duration = Duration::from_secs(5);
const ACQUIRE_WITHIN: Duration = Duration::from_secs(5);

/// Why a store can't be used. `place` is its url without user, password and parameters.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("open the store: {what}; write sqlite:/path/to/tocsin.db or postgres://user@host/database")]
    BadUrl { what: String },
    #[error("open the store {place}: the directory {directory} doesn't exist; create it, or name another file")]
    NoDirectory { place: String, directory: String },
    #[error("open the store {place}: {source}")]
    Unreachable { place: String, source: sqlx::Error },
    #[error("migrate the store {place}: {source}")]
    Migration { place: String, source: Box<MigrateError> },
    #[error(
        "open the store {place}: another version of tocsin has changed its schema (change {theirs}; this version knows \
         others, up to {ours}); start the newer tocsin that wrote it, or restore the backup from before the upgrade"
    )]
    NewerSchema { place: String, theirs: i64, ours: i64 },
    #[error(
        "open the store {place}: it doesn't keep what it has committed ({setting} is {value}, and must be {needed}); \
         a page could be lost when the machine fails"
    )]
    NotDurable { place: String, setting: &'static str, value: String, needed: &'static str },
    #[error(
        "open the store {place}: it belongs to another deployment (fingerprint {theirs}, the deployment secret given \
         here has {ours}); give the secret that this store was made with, or name a store of this deployment's own. \
         If that secret is lost: tocsin store adopt --by YOUR-NAME; every open incident then rings again under new keys"
    )]
    OtherDeployment { place: String, theirs: String, ours: String },
}

impl OpenError {
    /// The database can't be reached or doesn't answer; it may by itself.
    pub fn is_away(&self) -> bool {
        let OpenError::Unreachable { source, .. } = self else { return false };
        match source {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::Protocol(_) => true,
            // It starts up, shuts down, recovers, or has no connection left.
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "53300")
            }
            _ => false,
        }
    }
}

/// A store that can be connected to, by its url.
enum Target {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl SqlStore {
    /// Opens the store at `url`, creates or migrates its schema, and makes it this deployment's own if
    /// it is new. `fingerprint` is that of the deployment secret.
    pub async fn open(url: &Secret, fingerprint: &str) -> Result<SqlStore, OpenError> {
        let (store, theirs) = SqlStore::open_of_any(url, fingerprint).await?;
        if theirs != fingerprint {
            let place = Target::of(url)?.place();
            return Err(OpenError::OtherDeployment { place, theirs, ours: fingerprint.to_owned() });
        }
        Ok(store)
    }

    /// As `open`, but whichever deployment the store belongs to; gives the fingerprint that it has.
    pub async fn open_of_any(url: &Secret, fingerprint: &str) -> Result<(SqlStore, String), OpenError> {
        let target = Target::of(url)?;
        let place = target.place();
        let unreachable = |source| OpenError::Unreachable { place: place.clone(), source };
        let db = match target {
            Target::Sqlite(options) => open_sqlite(options, &place).await?,
            Target::Postgres(options) => open_postgres(options, is_pooled(url), &place).await?,
        };
        if let Some((setting, value, needed)) = durability_flaw(&db).await.map_err(unreachable)? {
            return Err(OpenError::NotDurable { place, setting, value, needed });
        }
        let (theirs, schema) = identity(&db, fingerprint).await.map_err(unreachable)?;
        if schema > SCHEMA_VERSION {
            return Err(OpenError::NewerSchema { place, theirs: schema, ours: SCHEMA_VERSION });
        }
        Ok((SqlStore::of(db), theirs))
    }
}

/// Whether the url says, as sqlx has it, that a pooler stands before the server.
fn is_pooled(url: &Secret) -> bool {
    url.expose().split(['?', '&']).skip(1).any(|parameter| parameter == "statement-cache-capacity=0")
}

/// Opens a file that holds a store already.
pub(super) async fn sqlite_file(file: &Path) -> Result<Db, OpenError> {
    let place = format!("sqlite:{}", file.display());
    open_sqlite(SqliteConnectOptions::new().filename(file), &place).await
}

/// Where a store is, by its url, without user, password and parameters.
///
/// # Errors
/// Where the url names no store.
pub fn place(url: &Secret) -> Result<String, OpenError> {
    Target::of(url).map(|target| target.place())
}

/// The file of a store in SQLite; `None` where it is elsewhere.
///
/// # Errors
/// Where the url names no store.
pub fn file(url: &Secret) -> Result<Option<std::path::PathBuf>, OpenError> {
    Ok(match Target::of(url)? {
        Target::Sqlite(options) => Some(options.get_filename().to_owned()),
        Target::Postgres(_) => None,
    })
}

impl Target {
    fn of(url: &Secret) -> Result<Target, OpenError> {
        let bad = |what: &str| OpenError::BadUrl { what: what.to_owned() };
        let url = url.expose();
        // A parser's message may quote what it was given, and that may be the password: it isn't shown.
        match url.split_once(':').map(|(scheme, _)| scheme) {
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(url).map_err(|_| bad("its sqlite url can't be read"))?;
                let in_memory = url.contains(":memory:") || url.contains("mode=memory");
                if in_memory || options.get_filename().as_os_str().is_empty() {
                    return Err(bad("a store in memory forgets its pages"));
                }
                Ok(Target::Sqlite(options))
            }
            Some("postgres" | "postgresql") => {
                let options = PgConnectOptions::from_str(url).map_err(|_| bad("its postgres url can't be read"))?;
                Ok(Target::Postgres(options))
            }
            _ => Err(bad("its url is neither sqlite nor postgres")),
        }
    }

    fn place(&self) -> String {
        match self {
            Target::Sqlite(options) => format!("sqlite:{}", options.get_filename().display()),
            Target::Postgres(options) => {
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                format!("postgres://{}:{}/{database}", options.get_host(), options.get_port())
            }
        }
    }
}

async fn open_sqlite(options: SqliteConnectOptions, place: &str) -> Result<Db, OpenError> {
    let unreachable = |source| OpenError::Unreachable { place: place.to_owned(), source };
    create_private(options.get_filename(), place)?;
    let options = options
        .read_only(false)
        .immutable(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_FOR)
        .statement_cache_capacity(256);
    let mut first = answered(options.connect()).await.map_err(unreachable)?;
    migrated(SQLITE.run(&mut first).await, &SQLITE, place)?;
    first.close().await.map_err(unreachable)?;

    let pool = |size| {
        SqlitePoolOptions::new()
            .max_connections(size)
            .acquire_timeout(ACQUIRE_WITHIN)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
    };
    Ok(Db::Sqlite {
        write: pool(1).connect_lazy_with(options.clone()),
        read: pool(READERS).connect_lazy_with(options.clone().pragma("query_only", "ON")),
        options,
    })
}

/// Cases name reports and actors: the file, and what SQLite puts beside it, is for its owner alone.
fn create_private(file: &Path, place: &str) -> Result<(), OpenError> {
    let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
    if let Some(directory) = directory.filter(|directory| !directory.is_dir()) {
        let directory = directory.display().to_string();
        return Err(OpenError::NoDirectory { place: place.to_owned(), directory });
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(OpenError::Unreachable { place: place.to_owned(), source: sqlx::Error::Io(error) })
        }
        _ => Ok(()),
    }
}

async fn open_postgres(options: PgConnectOptions, is_pooled: bool, place: &str) -> Result<Db, OpenError> {
    let unreachable = |source| OpenError::Unreachable { place: place.to_owned(), source };
    let options = options.application_name("tocsin");
    // A pooler refuses what it doesn't track, and decoding asks for whole numbers and text alone.
    let options = match is_pooled {
        true => options.statement_cache_capacity(0).extra_float_digits(None),
        false => options.statement_cache_capacity(256),
    };
    let mut first = answered(options.connect()).await.map_err(unreachable)?;
    let migrated_to = match is_pooled {
        true => migrate_in_one(&mut first).await.map_err(unreachable)?,
        false => {
            // The migrator and its "already exists, skipping" notices aside, nothing here may wait for ever.
            const PATIENCE: &str = "SET lock_timeout = '5s'; SET client_min_messages = warning";
            answered(first.execute(PATIENCE)).await.map_err(unreachable)?;
            POSTGRES.run(&mut first).await
        }
    };
    migrated(migrated_to, &POSTGRES, place)?;
    first.close().await.map_err(unreachable)?;

    let pool = PgPoolOptions::new().max_connections(POSTGRES_CONNECTIONS).acquire_timeout(ACQUIRE_WITHIN);
    Ok(Db::Postgres { pool: pool.connect_lazy_with(options.clone()), options, is_pooled })
}

/// Behind a pooler only a transaction has a session to itself: all migrations are one, and what they leave prepared
/// in the session goes with it.
async fn migrate_in_one(conn: &mut PgConnection) -> Answer<Result<(), MigrateError>> {
    const BEGIN: &str = "SET LOCAL lock_timeout = '5s'; SET LOCAL client_min_messages = warning; DEALLOCATE ALL; \
         SELECT pg_advisory_xact_lock(7020261125)";
    let mut migrator = sqlx::migrate!("migrations/postgres");
    migrator.set_locking(false);
    let mut tx = conn.begin().await?;
    answered(tx.execute(BEGIN)).await?;
    let migrated = migrator.run(&mut *tx).await;
    if migrated.is_ok() {
        answered(tx.execute("DEALLOCATE ALL")).await?;
        answered(tx.commit()).await?;
    }
    Ok(migrated)
}

fn migrated(result: Result<(), MigrateError>, migrator: &Migrator, place: &str) -> Result<(), OpenError> {
    let place = place.to_owned();
    let newest = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
    match result {
        Ok(()) => Ok(()),
        Err(MigrateError::VersionMissing(theirs)) => Err(OpenError::NewerSchema { place, theirs, ours: newest }),
        Err(source) => Err(OpenError::Migration { place, source: Box::new(source) }),
    }
}

/// What in this database's settings could lose a commit or refuse a row, as it says itself.
async fn durability_flaw(db: &Db) -> Answer<Option<(&'static str, String, &'static str)>> {
    const SQLITE_FULL: i64 = 2;
    let mut tx = db.begin().await?;
    let flaw = match db {
        Db::Sqlite { .. } => {
            let synchronous = tx.fetch_one("PRAGMA synchronous", args![]).await?.int(0)?;
            let journal = tx.fetch_one("PRAGMA journal_mode", args![]).await?.text(0)?.to_owned();
            if synchronous < SQLITE_FULL {
                Some(("synchronous", synchronous.to_string(), "FULL"))
            } else {
                (journal != "wal").then_some(("journal_mode", journal, "wal"))
            }
        }
        Db::Postgres { .. } => {
            const ASK: &str = "SELECT current_setting('synchronous_commit'), current_setting('fsync', true), \
                 current_setting('server_encoding')";
            let row = tx.fetch_one(ASK, args![]).await?;
            let (commit, fsync, encoding) = (row.text(0)?, row.opt_text(1)?, row.text(2)?);
            if !matches!(commit, "on" | "remote_apply") {
                Some(("synchronous_commit", commit.to_owned(), "on"))
            } else if fsync == Some("off") {
                Some(("fsync", "off".to_owned(), "on"))
            } else {
                (encoding != "UTF8").then(|| ("server_encoding", encoding.to_owned(), "UTF8"))
            }
        }
    };
    Ok(flaw)
}

/// Makes a new store this deployment's; gives the fingerprint and the schema version it has.
async fn identity(db: &Db, fingerprint: &str) -> Answer<(String, i64)> {
    let mut tx = db.begin().await?;
    let columns = "id, schema_version, fingerprint, sequence, next_incident, leader_token";
    let new: Vec<Vec<Arg>> = vec![args![1_i64, SCHEMA_VERSION, fingerprint, 0_i64, 1_i64, 0_i64]];
    tx.insert(&format!("INSERT INTO deployment ({columns})"), "ON CONFLICT (id) DO NOTHING", new).await?;
    let row = tx.fetch_one("SELECT fingerprint, schema_version FROM deployment WHERE id = 1", args![]).await?;
    tx.commit().await.map_err(|error| error.into_source())?;
    Ok((row.text(0)?.to_owned(), row.int(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store in a directory of its own, removed with it.
    async fn with_synchronous(name: &str, synchronous: Option<SqliteSynchronous>) -> Option<(&'static str, String)> {
        let directory = std::env::temp_dir().join(format!("tocsin-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("create a directory");
        let options = SqliteConnectOptions::new().filename(directory.join("tocsin.db"));
        let mut db = open_sqlite(options, "here").await.expect("open");
        if let (Db::Sqlite { write, options, .. }, Some(synchronous)) = (&mut db, synchronous) {
            *write = SqlitePoolOptions::new().connect_lazy_with(options.clone().synchronous(synchronous));
        }
        let flaw = durability_flaw(&db).await.expect("ask");
        db.close().await;
        std::fs::remove_dir_all(&directory).expect("remove the directory");
        flaw.map(|(setting, value, _)| (setting, value))
    }

    #[tokio::test]
    async fn sqlite_syncs_every_commit_whatever_its_connections_were_set_to() {
        assert_eq!(with_synchronous("full", None).await, None);
        assert_eq!(with_synchronous("normal", Some(SqliteSynchronous::Normal)).await, None);
        assert_eq!(with_synchronous("off", Some(SqliteSynchronous::Off)).await, None);
    }
}
