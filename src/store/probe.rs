//! A look at a store that changes nothing: is it there, what is it, what does its clock show. For `doctor`,
//! which must not migrate or claim what it looks at.

use super::db::answered;
use crate::core::time::Timestamp;
use crate::secret::Secret;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, Row};
use std::str::FromStr;

/// What a look at a store has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// As "PostgreSQL 15.14"; for a file that isn't there yet what the first start will make.
    pub server: String,
    /// The newest migration; `None` in a store that no monitor has used yet.
    pub schema: Option<i64>,
    /// What its clock shows; `None` for a file.
    pub clock: Option<Timestamp>,
}

const SCHEMA: &str = "SELECT MAX(version) FROM _sqlx_migrations";

/// Looks over a bare connection, so that the true cause shows.
///
/// # Errors
/// Why it can't be used, without its url.
pub async fn probe(url: &Secret) -> Result<Probe, String> {
    match url.expose().split_once(':').map(|(scheme, _)| scheme) {
        Some("sqlite") => sqlite(url.expose()).await,
        Some("postgres" | "postgresql") => postgres(url.expose()).await,
        _ => Err("its url is neither sqlite nor postgres".to_owned()),
    }
}

async fn sqlite(url: &str) -> Result<Probe, String> {
    let options = SqliteConnectOptions::from_str(url).map_err(|_| "its sqlite url can't be read".to_owned())?;
    let file = options.get_filename();
    if !file.exists() {
        let directory = file.parent().filter(|directory| !directory.as_os_str().is_empty());
        return match directory.filter(|directory| !directory.is_dir()) {
            Some(missing) => Err(format!("the directory {} doesn't exist; create it", missing.display())),
            None => Ok(Probe { server: "SQLite, a new file at the first start".to_owned(), schema: None, clock: None }),
        };
    }
    let options = options.read_only(true).create_if_missing(false).disable_statement_logging();
    let mut conn = answered(options.connect()).await.map_err(|error| error.to_string())?;
    let version = answered(sqlx::query("SELECT sqlite_version()").fetch_one(&mut conn)).await;
    let version: String = version.and_then(|row| row.try_get(0)).map_err(|error| error.to_string())?;
    // A file without the table is a store that no monitor has used yet.
    let schema = answered(sqlx::query(SCHEMA).fetch_one(&mut conn)).await.ok();
    let schema = schema.and_then(|row| row.try_get::<Option<i64>, _>(0).ok()).flatten();
    let _ = conn.close().await;
    Ok(Probe { server: format!("SQLite {version}"), schema, clock: None })
}

async fn postgres(url: &str) -> Result<Probe, String> {
    const ASK: &str = "SELECT 'PostgreSQL ' || current_setting('server_version'), \
         CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS bigint), \
         to_regclass('_sqlx_migrations') IS NOT NULL, \
         has_schema_privilege(current_schema(), 'CREATE'), pg_is_in_recovery()";
    let options = PgConnectOptions::from_str(url).map_err(|_| "its postgres url can't be read".to_owned())?;
    let options = options.application_name("tocsin").disable_statement_logging();
    let text = |error: sqlx::Error| error.to_string();
    let mut conn = answered(options.connect()).await.map_err(text)?;
    let asked = sqlx::query_as::<_, (String, i64, bool, Option<bool>, bool)>(ASK).fetch_one(&mut conn);
    let (server, clock, used, may_create, is_replica) = answered(asked).await.map_err(text)?;
    if is_replica {
        return Err("it is a replica, which takes no writes; name the primary".to_owned());
    }
    let mut schema = None;
    if used {
        schema = answered(sqlx::query_scalar::<_, Option<i64>>(SCHEMA).fetch_one(&mut conn)).await.map_err(text)?;
    } else if may_create != Some(true) {
        return Err("its role may not create the tables at the first start; grant CREATE on its schema".to_owned());
    }
    let _ = conn.close().await;
    Ok(Probe { server, schema, clock: Some(Timestamp::from_micros(clock)) })
}
