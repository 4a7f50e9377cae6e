//! `tocsin token`: who may look at the board and use the API. A token is shown once, when it is made; the store keeps its
//! hash. Making and revoking one stands in the audit log.

use crate::cli::out::{aside, say};
use crate::cli::{CliError, deployment, load_config};
use crate::config::Need;
use crate::core::time::{Span, Timestamp, WrittenSpan};
use crate::run::clock::{Clock, SystemClock};
use crate::store::{NewToken, Noted, SqlStore};
use crate::web::access::{Role, tokens};
use crate::web::desk::person;
use crate::zone::{parse_rfc3339, rfc3339};
use std::path::{Path, PathBuf};

/// No token lasts longer: what nobody renews, nobody needs.
const LONGEST: Span = Span::from_hours(24 * 366);

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token and print it, once.
    Create(CreateArgs),
    /// List the tokens that were made, the newest first.
    List(ListArgs),
    /// End a token before its time.
    Revoke(RevokeArgs),
}

#[derive(Debug, clap::Args)]
struct CreateArgs {
    /// Whose it is; stands in the record of what is done with it.
    #[arg(long)]
    name: String,
    /// viewer looks; responder takes incidents, snoozes and notes events; admin reloads and reads the audit log.
    #[arg(long, value_parser = ["viewer", "responder", "admin"])]
    role: String,
    /// For how long: 12h, 90d; or until when, RFC 3339. A year at most.
    #[arg(long, value_name = "D")]
    expires: String,
    /// Who makes it; the name goes into the record.
    #[arg(long)]
    by: Option<String>,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

#[derive(Debug, clap::Args)]
struct RevokeArgs {
    /// Its number in the list, such as 3.
    id: i64,
    /// Who ends it; the name goes into the record.
    #[arg(long)]
    by: Option<String>,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

fn refused(cause: impl Into<String>) -> CliError {
    CliError::Failed { operation: "manage tokens", cause: cause.into() }
}

async fn store(config: &Path) -> Result<SqlStore, CliError> {
    let config = load_config(config, Need::Sources)?;
    let keys = deployment::keys(&config)?;
    Ok(SqlStore::open(&config.store.url, &keys.fingerprint()).await?)
}

pub async fn run(args: Args) -> Result<(), CliError> {
    match args.what {
        What::Create(args) => create(args).await,
        What::List(args) => list(args).await,
        What::Revoke(args) => revoke(args).await,
    }
}

/// The token alone goes to standard output.
async fn create(args: CreateArgs) -> Result<(), CliError> {
    let name = person(&args.name).ok_or_else(|| refused("--name must be one line of at most 256 bytes"))?;
    let role = Role::parse(&args.role).ok_or_else(|| refused("--role must be viewer, responder or admin"))?;
    let now = SystemClock.now();
    let expires_at = expires(&args.expires, now)?;
    let by = by(args.by.as_deref())?;
    let store = store(&args.config).await?;
    let (token, hash) = tokens::make().map_err(|error| refused(error.to_string()))?;
    let new = NewToken { name, role: role.as_str(), hash: &hash, created_at: now, created_by: &by, expires_at };
    let id = store.put_token(&new).await?;
    let subject = format!("{id} {name}, {}", role.as_str());
    note(&store, "token_create", &subject, &by, now).await?;
    aside!("token {id} of {name}, {}, until {}; it is shown this once:", role.as_str(), rfc3339(expires_at));
    say!("{token}");
    Ok(())
}

fn expires(text: &str, now: Timestamp) -> Result<Timestamp, CliError> {
    let at = match text.parse::<WrittenSpan>() {
        Ok(written) => Some(now.plus(written.span)),
        Err(_) => parse_rfc3339(text),
    };
    let at = at.ok_or_else(|| refused(format!("--expires \"{text}\": write 12h, 90d or 2026-12-31T00:00:00Z")))?;
    if at <= now || at > now.plus(LONGEST) {
        return Err(refused(format!("--expires \"{text}\" must lie ahead, by a year at most")));
    }
    Ok(at)
}

fn by(given: Option<&str>) -> Result<String, CliError> {
    match given {
        None => Ok("whoever may run tocsin".to_owned()),
        Some(name) => person(name)
            .map(str::to_owned)
            .ok_or_else(|| refused("--by must name a person, on one line of at most 256 bytes")),
    }
}

async fn note(store: &SqlStore, kind: &str, subject: &str, by: &str, at: Timestamp) -> Result<(), CliError> {
    store.note(&Noted { at, by, kind, subject, effect: "done", origin: "command line" }).await?;
    Ok(())
}

async fn list(args: ListArgs) -> Result<(), CliError> {
    let tokens = store(&args.config).await?.tokens().await?;
    let now = SystemClock.now();
    if tokens.is_empty() {
        say!("no token was ever made");
    }
    for token in tokens {
        let state = match token.revoked_at {
            Some(at) => format!("revoked at {} by {}", rfc3339(at), token.revoked_by.as_deref().unwrap_or("nobody")),
            None if token.expires_at <= now => format!("expired at {}", rfc3339(token.expires_at)),
            None => format!("in force until {}", rfc3339(token.expires_at)),
        };
        say!(
            "{:>4}  {}  {}  {state}; made {} by {}",
            token.id,
            token.role,
            token.name,
            rfc3339(token.created_at),
            token.created_by
        );
    }
    Ok(())
}

async fn revoke(args: RevokeArgs) -> Result<(), CliError> {
    let (now, by) = (SystemClock.now(), by(args.by.as_deref())?);
    let store = store(&args.config).await?;
    if !store.revoke_token(args.id, &by, now).await? {
        return Err(refused(format!("{} is no token that is in force; `tocsin token list` lists them", args.id)));
    }
    note(&store, "token_revoke", &args.id.to_string(), &by, now).await?;
    say!("{} is revoked; a running monitor refuses it within seconds", args.id);
    Ok(())
}
