//! Tokens of the board and the API in the store: a hash, a name, a role and an end. What was given out is never
//! deleted, only revoked, so that the record of who did what keeps its names.

use super::Result;
use super::db::{Answer, Row, args};
use super::sql::{SqlStore, committed, failed};
use crate::core::time::Timestamp;

/// As many can be in force at one time.
pub const TOKENS_MAX: usize = 1_000;

const COLUMNS: &str = "id, name, role, hash, created_at, created_by, expires_at, revoked_at, revoked_by";
const INSERT: &str = "INSERT INTO tokens (name, role, hash, created_at, created_by, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) RETURNING id";
const REVOKE: &str = "UPDATE tokens SET revoked_at = $2, revoked_by = $3 WHERE id = $1 AND revoked_at IS NULL";

/// A token as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    pub id: i64,
    /// Whose it is: stands in the record of what is done with it.
    pub name: String,
    /// viewer, responder or admin
    pub role: String,
    /// SHA-256 of the token, in hexadecimal digits.
    pub hash: String,
    pub created_at: Timestamp,
    pub created_by: String,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub revoked_by: Option<String>,
}

/// A token that is to be given out.
#[derive(Clone, Debug)]
pub struct NewToken<'a> {
    pub name: &'a str,
    pub role: &'a str,
    pub hash: &'a str,
    pub created_at: Timestamp,
    pub created_by: &'a str,
    pub expires_at: Timestamp,
}

impl SqlStore {
    /// Keeps a new token and gives its number.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn put_token(&self, token: &NewToken<'_>) -> Result<i64> {
        const OPERATION: &str = "keep a token";
        let put = async {
            let mut tx = self.db().begin().await?;
            let args = args![token.name, token.role, token.hash, token.created_at, token.created_by, token.expires_at];
            let id = tx.fetch_one(INSERT, args).await?.int(0)?;
            Ok((tx, id))
        };
        let (tx, id) = put.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await.map(|()| id)
    }

    /// Ends a token before its time: whether there was one to end.
    ///
    /// # Errors
    /// Where the store can't be written.
    pub async fn revoke_token(&self, id: i64, by: &str, at: Timestamp) -> Result<bool> {
        const OPERATION: &str = "revoke a token";
        let revoke = async {
            let mut tx = self.db().begin().await?;
            let revoked = tx.execute(REVOKE, args![id, at, by]).await? == 1;
            Ok((tx, revoked))
        };
        let (tx, revoked) = revoke.await.map_err(failed(OPERATION))?;
        committed(tx, OPERATION).await.map(|()| revoked)
    }

    /// Every token that was ever given out, the newest first.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>> {
        self.tokens_where("1 = 1", Timestamp::MIN).await
    }

    /// Those in force at `now`, the newest first, at most `TOKENS_MAX`.
    ///
    /// # Errors
    /// Where the store can't be read.
    pub async fn tokens_in_force(&self, now: Timestamp) -> Result<Vec<TokenRow>> {
        self.tokens_where("revoked_at IS NULL", now).await
    }

    async fn tokens_where(&self, condition: &str, now: Timestamp) -> Result<Vec<TokenRow>> {
        const OPERATION: &str = "read the tokens";
        let sql = format!(
            "SELECT {COLUMNS} FROM tokens WHERE {condition} AND expires_at > $1 ORDER BY id DESC LIMIT {TOKENS_MAX}"
        );
        let rows = self.db().fetch(sql, args![now]).await.map_err(failed(OPERATION))?;
        rows.iter().map(token).collect::<Answer<_>>().map_err(failed(OPERATION))
    }
}

fn token(row: &Row) -> Answer<TokenRow> {
    Ok(TokenRow {
        id: row.int(0)?,
        name: row.text(1)?.to_owned(),
        role: row.text(2)?.to_owned(),
        hash: row.text(3)?.to_owned(),
        created_at: row.at(4)?,
        created_by: row.text(5)?.to_owned(),
        expires_at: row.at(6)?,
        revoked_at: row.opt_at(7)?,
        revoked_by: row.opt_text(8)?.map(str::to_owned),
    })
}
