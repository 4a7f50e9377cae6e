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
        // Connection exceptions, and a server that shuts down, crashed or starts up.
        sqlx::Error::Database(error) => {
            error.code().is_some_and(|code| code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03"))
        }
        _ => false,
    }
}

/// A statement that was cut off at its time limit, or that waited too long for a lock.
fn is_slow(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    // 5 is SQLite's busy, which lasts for its whole timeout.
    error.code().is_some_and(|code| matches!(&*code, "57014" | "55P03" | "5"))
}

/// Whether a table or column is not what it was: gone, renamed or of another type.
pub fn is_schema(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(error) = error else { return false };
    let known_code = error.code().is_some_and(|code| {
        matches!(&*code, "42P01" | "42703" | "3F000" | "42804" | "42883")
            || (*code == *"0A000" && error.message().contains("cached plan"))
    });
    known_code || error.message().starts_with("no such ")
}

/// A cause that may be logged and shown.
pub fn cause(error: &sqlx::Error) -> String {
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
