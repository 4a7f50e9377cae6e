//! Tokens: 32 random bytes of which the store keeps only the hash. What is in force is held for two seconds, so that a
//! revocation counts almost at once and a guess costs no query; while the store is away, what was last known holds.

use super::Role;
use crate::core::time::{Span, Timestamp};
use crate::keys::{hex, same};
use crate::store::{SqlStore, TokenRow};
use crate::web::PagesFuture;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long a list of tokens is believed.
const BELIEVED_FOR: Span = Span::from_secs(2);
/// A store that takes longer changes nothing about who is let in.
const READ_WITHIN: Duration = Duration::from_secs(2);
const TOKEN_BYTES: usize = 32;
/// What every token begins with, so that one that leaks is found by whoever looks for secrets.
const PREFIX: &str = "tocsin_";

/// What a token says of its bearer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub id: i64,
    pub name: String,
    pub role: Role,
}

pub type Found<'a> = Pin<Box<dyn Future<Output = Option<Known>> + Send + 'a>>;

/// Where tokens are looked up.
pub trait Tokens: Send + Sync + 'static {
    fn by_token<'a>(&'a self, token: &'a str, now: Timestamp) -> Found<'a>;
    /// For a session; of a token that is still in force.
    fn by_id(&self, id: i64, now: Timestamp) -> Found<'_>;
}

/// Where the tokens in force are kept.
pub trait TokenStore: Send + Sync + 'static {
    fn in_force(&self, now: Timestamp) -> PagesFuture<'_, Vec<TokenRow>>;
}

impl TokenStore for SqlStore {
    fn in_force(&self, now: Timestamp) -> PagesFuture<'_, Vec<TokenRow>> {
        Box::pin(self.tokens_in_force(now))
    }
}

/// A new token and what the store keeps of it.
pub fn make() -> Result<(String, String), getrandom::Error> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    getrandom::fill(&mut bytes)?;
    let token = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes));
    let hash = hash(&token);
    Ok((token, hash))
}

/// What the store keeps. A token is random throughout, so a plain hash can't be guessed back.
pub fn hash(token: &str) -> String {
    hex(&Sha256::digest(token.as_bytes()))
}

/// The tokens of a store, held for a moment.
pub struct HeldTokens {
    store: Arc<dyn TokenStore>,
    held: Mutex<Held>,
}

struct Held {
    read_at: Timestamp,
    tokens: Arc<Vec<TokenRow>>,
}

impl HeldTokens {
    pub fn new(store: Arc<dyn TokenStore>) -> HeldTokens {
        HeldTokens { store, held: Mutex::new(Held { read_at: Timestamp::MIN, tokens: Arc::default() }) }
    }

    async fn tokens(&self, now: Timestamp) -> Arc<Vec<TokenRow>> {
        let mut held = self.held.lock().await;
        if now >= held.read_at.plus(BELIEVED_FOR) || now < held.read_at {
            // A store that doesn't answer is asked again only after as long.
            held.read_at = now;
            match tokio::time::timeout(READ_WITHIN, self.store.in_force(now)).await {
                Ok(Ok(tokens)) => held.tokens = Arc::new(tokens),
                Ok(Err(error)) => tracing::warn!(%error, "the tokens can't be read; those last known hold"),
                Err(_) => tracing::warn!("the tokens can't be read in time; those last known hold"),
            }
        }
        held.tokens.clone()
    }
}

impl Tokens for HeldTokens {
    fn by_token<'a>(&'a self, token: &'a str, now: Timestamp) -> Found<'a> {
        Box::pin(async move {
            if !token.starts_with(PREFIX) {
                return None;
            }
            let hash = hash(token);
            let tokens = self.tokens(now).await;
            let row = tokens.iter().find(|row| same(row.hash.as_bytes(), hash.as_bytes()));
            row.and_then(|row| known(row, now))
        })
    }

    fn by_id(&self, id: i64, now: Timestamp) -> Found<'_> {
        Box::pin(async move {
            let tokens = self.tokens(now).await;
            tokens.iter().find(|row| row.id == id).and_then(|row| known(row, now))
        })
    }
}

fn known(row: &TokenRow, now: Timestamp) -> Option<Known> {
    let role = Role::parse(&row.role)?;
    let in_force = row.revoked_at.is_none() && now < row.expires_at;
    in_force.then(|| Known { id: row.id, name: row.name.clone(), role })
}
