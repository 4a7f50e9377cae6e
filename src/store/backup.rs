//! Copies of a store in SQLite, taken while it is written to and put back into place. A copy says in itself
//! that it is one, so that it never pages by mistake, wherever it is put. PostgreSQL has its own tools.

use super::adoption::set_unadopted;
use super::db::{Db, answered};
use super::sql::failed;
use super::{OpenError, SqlStore, StoreError, open};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("this store is in PostgreSQL: use pg_dump and pg_restore; the README says how")]
    NotAFile,
    #[error("{}: it is there already; name a file that isn't, or move it away first", .0.display())]
    Exists(PathBuf),
    #[error("{}: {cause}", file.display())]
    File { file: PathBuf, cause: io::Error },
    #[error("{} holds another deployment secret than the backup; move it away first, or name another store", .0.display())]
    OtherSecret(PathBuf),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl SqlStore {
    /// Writes a copy of this moment to `file`, for its owner alone and on the disk when this returns. `taken`
    /// is what the copy says of itself.
    ///
    /// # Errors
    /// Where the file is there already or can't be written.
    pub async fn backup(&self, file: &Path, taken: &str) -> std::result::Result<(), BackupError> {
        const OPERATION: &str = "back the store up";
        let Db::Sqlite { options, .. } = &self.db else { return Err(BackupError::NotAFile) };
        create_private(file)?;
        let name = file.display().to_string().replace('\'', "''");
        let mut conn = answered(options.connect()).await.map_err(failed(OPERATION))?;
        // Not bounded like other statements: a large store takes its time, and holds up no writer.
        let vacuum = sqlx::raw_sql(AssertSqlSafe(format!("VACUUM INTO '{name}'"))).execute(&mut conn).await;
        vacuum.map_err(failed(OPERATION))?;
        // The copy is what counts; the connection has nothing to lose.
        let _ = conn.close().await;
        let copy = open::sqlite_file(file).await?;
        let marked = set_unadopted(&copy, taken).await;
        copy.close().await;
        marked?;
        on_disk(file)
    }
}

/// Puts a copy, and the secret beside it, where a store is to be.
///
/// # Errors
/// Where something is there already: a store is never overwritten.
pub fn restore(from: &Path, to: &Path) -> std::result::Result<(), BackupError> {
    for there in [to.to_owned(), beside(to, "-wal"), beside(to, "-shm")] {
        if there.exists() {
            return Err(BackupError::Exists(there));
        }
    }
    restore_secret(&beside(from, ".secret"), &beside(to, ".secret"))?;
    let partial = beside(to, ".partial");
    copy_private(from, &partial)?;
    std::fs::rename(&partial, to).map_err(|cause| BackupError::File { file: to.to_owned(), cause })?;
    on_disk(to)
}

fn restore_secret(from: &Path, to: &Path) -> std::result::Result<(), BackupError> {
    if !from.exists() {
        return Ok(());
    }
    if to.exists() {
        let read =
            |file: &Path| std::fs::read(file).map_err(|cause| BackupError::File { file: file.to_owned(), cause });
        let same = read(from)? == read(to)?;
        return if same { Ok(()) } else { Err(BackupError::OtherSecret(to.to_owned())) };
    }
    copy_private(from, to)
}

/// `file` with something behind its name.
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn create_private(file: &Path) -> std::result::Result<File, BackupError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    made.map_err(|cause| match cause.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(file.to_owned()),
        _ => BackupError::File { file: file.to_owned(), cause },
    })
}

/// A copy for its owner alone, on the disk when this returns.
pub fn copy_private(from: &Path, to: &Path) -> std::result::Result<(), BackupError> {
    let mut source = File::open(from).map_err(|cause| BackupError::File { file: from.to_owned(), cause })?;
    let mut target = create_private(to)?;
    let copied = io::copy(&mut source, &mut target).and_then(|_| target.sync_all());
    copied.map_err(|cause| BackupError::File { file: to.to_owned(), cause })
}

/// The file and its name are there after a power cut.
fn on_disk(file: &Path) -> std::result::Result<(), BackupError> {
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(file).and_then(|file| file.sync_all());
    let synced = synced.and_then(|()| File::open(directory)?.sync_all());
    synced.map_err(|cause| BackupError::File { file: file.to_owned(), cause })
}
