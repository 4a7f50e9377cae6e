//! What a database error may say. A message can quote a cell ("invalid input syntax for type integer:
//! ..."), a detail usually does, and a configuration error can quote the url: none of those gets out.

use super::SourceError;
use crate::core::id::Name;

/// What failed inside of one call.
#[derive(Debug)]
pub enum Fault {
    /// Ready to be reported: the mapping, or a connection that could not be made.
    Final(SourceError),
    /// A statement failed.
    Statement { operation: &'static str, error: sqlx::Error },
}

impl Fault {
    pub fn statement(operation: &'static str) -> impl FnOnce(sqlx::Error) -> Fault {
        move |error| Fault::Statement { operation, error }
    }

    /// Whether a new connection may do better: the old one is lost, or what it knew of the tables is
    /// out of date.
    pub fn is_cured_by_reconnecting(&self) -> bool {
        match self {
            Fault::Final(_) => false,
            Fault::Statement { error, .. } => is_lost(error) || is_schema(error),
        }
    }

    pub fn into_error(self, source_name: &Name) -> SourceError {
        match self {
            Fault::Final(error) => error,
            Fault::Statement { operation, error } => {
                let (source_name, slow) = (source_name.to_string(), is_slow(&error));
                SourceError::Failed { source_name, operation, cause: cause(&error), slow }
            }
        }
    }
}

fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions, and a server that shuts down, crashed or starts up, or ended the session.
        sqlx::Error::Database(reason) => {
            let code = reason.code().unwrap_or_default();
            code.starts_with("08")
                || matches!(&*code, "57P01" | "57P02" | "57P03")
                || matches!(mysql_number(error), Some(1053 | 1927 | 3169 | 4031))
        }
        _ => false,
    }
}

/// A statement that was cut off at its time limit, or that waited too long for a lock.
fn is_slow(error: &sqlx::Error) -> bool {
    if let Some(number) = mysql_number(error) {
        return matches!(number, mysql::LOCK_WAIT | mysql::TOO_LONG | mysql::MARIADB_TOO_LONG);
    }
    let sqlx::Error::Database(error) = error else { return false };
    // 5 is SQLite's busy, which lasts for its whole timeout.
    error.code().is_some_and(|code| matches!(&*code, "57014" | "55P03" | "5"))
}

/// Whether a table or column is not what it was: gone, renamed or of another type.
pub fn is_schema(error: &sqlx::Error) -> bool {
    if let Some(number) = mysql_number(error) {
        return matches!(number, 1049 | 1051 | 1054 | 1146 | 1356 | 1412 | 1615);
    }
    let sqlx::Error::Database(error) = error else { return false };
    let known_code = error.code().is_some_and(|code| {
        matches!(&*code, "42P01" | "42703" | "3F000" | "42804" | "42883")
            || (*code == *"0A000" && error.message().contains("cached plan"))
    });
    known_code || error.message().starts_with("no such ")
}

/// The number that MySQL and MariaDB give to an error; none of another database's.
pub fn mysql_number(error: &sqlx::Error) -> Option<u16> {
    let reason = error.as_database_error()?.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()?;
    Some(reason.number())
}

/// Numbers of MySQL's and MariaDB's errors.
mod mysql {
    pub const LOCK_WAIT: u16 = 1205;
    pub const TOO_LONG: u16 = 3024;
    pub const MARIADB_TOO_LONG: u16 = 1969;
    /// Of errors that name objects, privileges and limits, and never what stands in a cell.
    pub const TELLING: &[u16] = &[
        1040,
        1041,
        1046,
        1049,
        1053,
        1054,
        1059,
        1060,
        1064,
        1115,
        1129,
        1142,
        1143,
        1146,
        1203,
        1226,
        1227,
        1248,
        1267,
        1317,
        1356,
        1370,
        1412,
        1461,
        1524,
        1615,
        1792,
        1820,
        1862,
        1927,
        3032,
        3159,
        3169,
        LOCK_WAIT,
        TOO_LONG,
        MARIADB_TOO_LONG,
        4031,
    ];
}

/// What an error of MySQL's may say. Most of its messages can quote a cell, and no class of codes tells which.
fn mysql_cause(number: u16, code: &str, message: &str) -> String {
    let hint = match number {
        // The message names who asked and from where.
        1044 | 1045 | 1130 | 1698 | 3118 | 3955 | 4151 => {
            return format!(
                "access denied (code {number}): the user, its password, the database, or the machine that it may come \
                 from is wrong"
            );
        }
        1142 | 1143 => "; grant the monitor's role SELECT on the mapped columns",
        mysql::LOCK_WAIT => "; another session holds a lock on the table",
        mysql::TOO_LONG | mysql::MARIADB_TOO_LONG => {
            "; the statement took longer than the monitor allows itself: look for a missing index"
        }
        number if mysql::TELLING.contains(&number) => "",
        _ => return format!("code {number}, SQLSTATE {code}; its text is withheld, because it can quote a cell"),
    };
    format!("{message} (code {number}){hint}")
}

/// A cause that may be logged and shown.
pub fn cause(error: &sqlx::Error) -> String {
    if let (Some(number), sqlx::Error::Database(reason)) = (mysql_number(error), error) {
        return mysql_cause(number, &reason.code().unwrap_or_default(), reason.message());
    }
    match error {
        sqlx::Error::Database(error) => {
            let code = error.code().unwrap_or_default();
            // Data exceptions, broken constraints and errors that functions raise quote what they read.
            if code.len() == 5 && ["22", "23", "P0"].iter().any(|class| code.starts_with(class)) {
                return format!("SQLSTATE {code}; its text is withheld, because it can quote a cell");
            }
            let hint = match &*code {
                "42501" => "; grant the monitor's role SELECT on the mapped columns",
                "57014" => "; the statement took longer than the monitor allows itself: look for a missing index",
                "55P03" => "; another session holds a lock on the table",
                _ => "",
            };
            format!("{} (code {code}){hint}", error.message())
        }
        sqlx::Error::Io(error) => error.to_string(),
        sqlx::Error::Tls(error) => format!("TLS: {error}"),
        sqlx::Error::Configuration(_) => "the url can't be used; check its form".to_owned(),
        sqlx::Error::Protocol(_) => "the answer broke the database's protocol".to_owned(),
        sqlx::Error::WorkerCrashed => "the connection's thread is gone".to_owned(),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            "a value is not in the form that its type promises".to_owned()
        }
        sqlx::Error::TypeNotFound { type_name } => format!("the database doesn't know its own type {type_name}"),
        _ => "the driver failed".to_owned(),
    }
}

/// A list for a message, short enough to read.
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN_MAX: usize = 20;
    let names: Vec<&str> = names.into_iter().collect();
    match names.len() {
        0 => "none".to_owned(),
        n if n <= SHOWN_MAX => names.join(", "),
        n => format!("{} and {} more", names[..SHOWN_MAX].join(", "), n - SHOWN_MAX),
    }
}
