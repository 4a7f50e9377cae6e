//! Whose a store is (F21). It knows its deployment by the fingerprint of the secret, its home by what the
//! database says of itself, its sources by their addresses, and a mark that is kept outside of it knows how
//! far it had come. Where one of them doesn't fit, the store is a clone, a restored backup or fed from
//! another platform, and nothing is paged from it until a person adopts it: a clone would page a second
//! time what production pages, and a store of yesterday would give new incidents the numbers, and so the
//! keys, of incidents that receivers have already seen, and stay silent.
//!
//! What it can't notice: a copy of a whole disk, mark and all, and a physical copy of a whole PostgreSQL
//! server, which have the identity of what they copy.

use super::db::{Answer, Db, Tx, args};
use super::sql::{committed, failed};
use super::{Result, SqlStore, StoreError};
use crate::core::id::Name;
use crate::core::time::{Span, Timestamp};

/// After an adoption incidents are numbered from the next multiple of this: beyond every number that was
/// given since the store's state was saved.
const NUMBERS_SKIPPED: u64 = 1_000_000;

/// A store that lost less than this fell back with its database, as when a replica took over: its incidents
/// are numbered anew and it goes on. Whatever lost more is a restore.
const FALLEN_BACK_MAX: Span = Span::from_mins(10);

/// What is said of a store from outside.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    pub fingerprint: String,
    /// Each source with the fingerprint of where it is read.
    pub sources: Vec<(Name, String)>,
    /// The sequence number that the mark outside has, where there is one.
    pub mark: Option<u64>,
}

/// Why a store isn't used without a person's word.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "this store may not page: {0}; if this process is to page from it, and nothing else does any more, run: \
         tocsin store adopt --by YOUR-NAME"
    )]
    NotAdopted(String),
}

struct Identity {
    home: Option<String>,
    unadopted: Option<String>,
    sequence: u64,
    /// How long ago a leader was last heard of, by the store's clock.
    silent: Option<Span>,
}

impl SqlStore {
    /// Makes a new store this deployment's own, and refuses one that isn't.
    ///
    /// # Errors
    /// `NotAdopted` where a person must decide; of the store otherwise.
    pub async fn claim(&self, claim: &Claim, now: Timestamp) -> std::result::Result<(), ClaimError> {
        const OPERATION: &str = "claim the store";
        let home = home(&self.db).await.map_err(failed(OPERATION))?;
        let mut tx = self.db.begin().await.map_err(failed(OPERATION))?;
        let identity = identity(&mut tx, &self.db).await.map_err(failed(OPERATION))?;
        if let Some(why) = mismatch(&identity, &home, claim) {
            return Err(ClaimError::NotAdopted(why));
        }
        if let Some(why) = foreign_source(&mut tx, claim).await.map_err(failed(OPERATION))? {
            return Err(ClaimError::NotAdopted(why));
        }
        let fell_back = claim.mark.is_some_and(|mark| mark > identity.sequence);
        let settle = async {
            if fell_back {
                skip_numbers(&mut tx).await?;
            }
            if identity.home.is_none() {
                tx.execute("UPDATE deployment SET home = $1 WHERE id = 1", args![home]).await?;
            }
            write_sources(&mut tx, claim, now).await
        };
        settle.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        if fell_back {
            tracing::error!(
                mark = claim.mark,
                sequence = identity.sequence,
                "the store has lost its last plans, as when a replica takes over: incidents are numbered anew, and what was paged meanwhile may ring again"
            );
        }
        Ok(())
    }

    /// Makes this store the one that pages, by the word of a person. Gives what stood against it.
    ///
    /// # Errors
    /// Where the store can't be read or written.
    pub async fn adopt(&self, claim: &Claim, by: &str, now: Timestamp) -> Result<Vec<String>> {
        const OPERATION: &str = "adopt the store";
        let home = home(&self.db).await.map_err(failed(OPERATION))?;
        let adopted = async {
            let mut tx = self.db.begin().await?;
            let identity = identity(&mut tx, &self.db).await?;
            let mut why: Vec<String> = mismatch(&identity, &home, claim).into_iter().collect();
            why.extend(foreign_source(&mut tx, claim).await?);
            let theirs = tx.fetch_one("SELECT fingerprint FROM deployment WHERE id = 1", args![]).await?;
            if theirs.text(0)? != claim.fingerprint {
                why.push("it was made with another deployment secret".to_owned());
            }
            if why.is_empty() {
                return Ok((tx, why));
            }
            // Whoever still leads it is fenced.
            const OURS: &str = "UPDATE deployment SET fingerprint = $1, home = $2, unadopted = NULL, \
                 leader_token = leader_token + 1, leader_lease_until = NULL WHERE id = 1";
            tx.execute(OURS, args![claim.fingerprint.as_str(), home]).await?;
            skip_numbers(&mut tx).await?;
            tx.execute("DELETE FROM sources", args![]).await?;
            write_sources(&mut tx, claim, now).await?;
            let record = vec![args![now, by, why.join("; ")]];
            tx.insert("INSERT INTO adoptions (at, by_whom, why)", "", record).await?;
            Ok((tx, why))
        };
        let (tx, why) = adopted.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await?;
        Ok(why)
    }
}

fn mismatch(identity: &Identity, home: &str, claim: &Claim) -> Option<String> {
    if let Some(why) = &identity.unadopted {
        return Some(why.clone());
    }
    if identity.home.as_ref().is_some_and(|theirs| theirs != home) {
        return Some("it is a copy of the store that it was made from, or was moved".to_owned());
    }
    let mark = claim.mark.filter(|mark| *mark > identity.sequence)?;
    let fell_back = identity.silent.is_some_and(|silent| silent <= FALLEN_BACK_MAX);
    (!fell_back).then(|| {
        let lost = mark - identity.sequence;
        format!("it has gone back by {lost} plans, as when it is restored from a backup")
    })
}

async fn foreign_source(tx: &mut Tx, claim: &Claim) -> Answer<Option<String>> {
    let known = tx.fetch("SELECT source, fingerprint FROM sources", args![]).await?;
    for row in &known {
        let (name, theirs) = (row.text(0)?, row.text(1)?);
        let ours = claim.sources.iter().find(|(source, _)| **source == *name);
        if ours.is_some_and(|(_, ours)| ours != theirs) {
            return Ok(Some(format!("it was fed from another database than that of the source {name}")));
        }
    }
    Ok(None)
}

async fn write_sources(tx: &mut Tx, claim: &Claim, now: Timestamp) -> Answer<()> {
    let rows = claim.sources.iter().map(|(name, fingerprint)| args![&**name, fingerprint.as_str(), now]).collect();
    let head = "INSERT INTO sources (source, fingerprint, first_seen)";
    tx.insert(head, "ON CONFLICT (source) DO NOTHING", rows).await.map(drop)
}

async fn skip_numbers(tx: &mut Tx) -> Answer<()> {
    const SKIP: &str = "UPDATE deployment SET next_incident = (next_incident / $1 + 1) * $1 + 1 WHERE id = 1";
    tx.execute(SKIP, args![NUMBERS_SKIPPED]).await.map(drop)
}

async fn identity(tx: &mut Tx, db: &Db) -> Answer<Identity> {
    let sql = format!(
        "SELECT home, unadopted, sequence, {} - leader_lease_until FROM deployment WHERE id = 1",
        super::lease::clock(db)
    );
    let row = tx.fetch_one(sql, args![]).await?;
    Ok(Identity {
        home: row.opt_text(0)?.map(str::to_owned),
        unadopted: row.opt_text(1)?.map(str::to_owned),
        sequence: row.count(2)?,
        silent: row.opt_int(3)?.map(Span::from_micros),
    })
}

/// What the database says of itself that a copy doesn't say: for SQLite the file's own number and birth, for
/// PostgreSQL the server's identifier, which a replica keeps, and the database's number.
pub(super) async fn home(db: &Db) -> Answer<String> {
    match db {
        Db::Sqlite { options, .. } => file_identity(options.get_filename()).map_err(sqlx::Error::Io),
        Db::Postgres { .. } => {
            const DATABASE: &str = "SELECT oid::text FROM pg_database WHERE datname = current_database()";
            let rows = db.fetch(DATABASE, args![]).await?;
            let database = rows.first().ok_or(sqlx::Error::RowNotFound)?.text(0)?.to_owned();
            // A server may keep this one to itself; the database's number then stands alone.
            let server = db.fetch("SELECT system_identifier::text FROM pg_control_system()", args![]).await;
            let server = match server.as_deref() {
                Ok([row]) => row.text(0)?.to_owned(),
                Ok(_) | Err(sqlx::Error::Database(_)) => "unknown".to_owned(),
                Err(_) => server?.is_empty().to_string(),
            };
            Ok(format!("postgres {server}/{database}"))
        }
    }
}

fn file_identity(file: &std::path::Path) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(file)?;
    let born = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let born = born.map_or_else(|| "unknown".to_owned(), |born| born.as_micros().to_string());
    Ok(format!("file {}/{born}", metadata.ino()))
}

/// Tells a copy that it is one: it pages only once a person has adopted it.
pub(super) async fn set_unadopted(db: &Db, why: &str) -> Result<()> {
    const OPERATION: &str = "mark a copy";
    let set = async {
        let mut tx = db.begin().await?;
        tx.execute("UPDATE deployment SET unadopted = $1 WHERE id = 1", args![why]).await?;
        Ok(tx)
    };
    committed(set.await.map_err(failed(OPERATION))?, OPERATION).await
}
