//! The deployment secret: from environment or file where it is configured; otherwise a random one, written
//! once beside the store for its owner alone. Losing it makes every key of every page a different one.

use crate::cli::CliError;
use crate::config::Config;
use crate::core::time::Span;
use crate::keys::Keys;
use crate::run::clock::{Clock, SystemClock};
use crate::status::StatusHandle;
use crate::store::Claim;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

const SECRET_BYTES: usize = 32;

/// The keys of this deployment; makes the secret at the first start of one that configures none.
///
/// # Errors
/// When the file of the secret can be neither read nor made.
pub fn keys(config: &Config) -> Result<Keys, CliError> {
    if let Some(secret) = &config.deployment_secret {
        return Ok(Keys::new(secret.expose().as_bytes()));
    }
    let path = secret_file(config);
    let failed = |cause| CliError::Write { path: path.clone(), cause };
    if let Some(secret) = read(&path).map_err(failed)? {
        return Ok(Keys::new(secret.as_bytes()));
    }
    let mut bytes = [0u8; SECRET_BYTES];
    let no_randomness =
        |error: getrandom::Error| CliError::Failed { operation: "make a deployment secret", cause: error.to_string() };
    getrandom::fill(&mut bytes).map_err(no_randomness)?;
    let secret = STANDARD.encode(bytes);
    write(&path, &secret).map_err(failed)?;
    tracing::warn!(
        path = %path.display(),
        "no deployment secret is configured: made one; keep this file with the store, or set deployment_secret_env"
    );
    Ok(Keys::new(secret.as_bytes()))
}

/// The keys of this deployment where it has a secret already; makes none.
///
/// # Errors
/// When the file of the secret can't be read.
pub fn existing_keys(config: &Config) -> Result<Option<Keys>, CliError> {
    if let Some(secret) = &config.deployment_secret {
        return Ok(Some(Keys::new(secret.expose().as_bytes())));
    }
    let path = secret_file(config);
    let secret = read(&path).map_err(|cause| CliError::Write { path: path.clone(), cause })?;
    Ok(secret.map(|secret| Keys::new(secret.as_bytes())))
}

/// Keys for a look that stores and sends nothing.
pub fn throwaway_keys() -> Keys {
    Keys::new(b"nothing made with this is kept")
}

/// What a store must fit to: see `store::adoption`.
pub fn claim(config: &Config, keys: &Keys) -> Claim {
    let sources = config.sources.iter();
    let sources = sources.map(|source| (source.name.clone(), keys.source(address(source.url.expose()))));
    Claim { fingerprint: keys.fingerprint(), sources: sources.collect(), mark: mark(config, &keys.fingerprint()) }
}

/// A database's url without who reads it and how.
fn address(url: &str) -> &str {
    let url = url.split('?').next().unwrap_or(url);
    url.rsplit_once('@').map_or(url, |(_, address)| address)
}

/// How far the store of this deployment had come, by a file that isn't in it. What can't be read is no mark.
fn mark(config: &Config, fingerprint: &str) -> Option<u64> {
    let text = std::fs::read_to_string(mark_file(config)).ok()?;
    let (whose, sequence) = text.trim().split_once(' ')?;
    if whose == fingerprint { sequence.parse().ok() } else { None }
}

/// After an adoption the store is as far as it is.
///
/// # Errors
/// Where the file is there and can't be removed.
pub fn forget_mark(config: &Config) -> Result<(), CliError> {
    let path = mark_file(config);
    match std::fs::remove_file(&path) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(CliError::Write { path, cause }),
        _ => Ok(()),
    }
}

/// Keeps the mark, for as long as the process leads. A directory that can't be written costs the notice of a
/// restored store and nothing else.
pub async fn keep_mark(file: PathBuf, fingerprint: String, status: StatusHandle) {
    const EVERY: Span = Span::from_secs(10);
    let (mut written, mut failing) = (None, false);
    loop {
        let now = status.load();
        let sequence = now.store.sequence;
        if now.leader && written != Some(sequence) {
            match write_mark(&file, &format!("{fingerprint} {sequence}")) {
                Ok(()) => (written, failing) = (Some(sequence), false),
                Err(error) if !failing => {
                    tracing::warn!(file = %file.display(), %error, "the mark can't be written: a store restored from a backup that tocsin didn't make may not be noticed");
                    failing = true;
                }
                Err(_) => {}
            }
        }
        SystemClock.sleep_until(SystemClock.now().plus(EVERY)).await;
    }
}

/// Notes how far a process that stops has come, where it led.
pub fn last_mark(file: &Path, fingerprint: &str, status: &StatusHandle) {
    let sequence = status.load().store.sequence;
    if sequence > 0
        && let Err(error) = write_mark(file, &format!("{fingerprint} {sequence}"))
    {
        tracing::warn!(file = %file.display(), %error, "the mark can't be written at the end");
    }
}

fn write_mark(file: &Path, text: &str) -> std::io::Result<()> {
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    write(Path::new(&partial), text)?;
    std::fs::rename(partial, file)
}

/// `tocsin.db.secret` beside an SQLite store; beside the configuration where the store is elsewhere.
pub fn secret_file(config: &Config) -> PathBuf {
    beside_the_store(config, ".secret")
}

pub fn mark_file(config: &Config) -> PathBuf {
    beside_the_store(config, ".mark")
}

fn beside_the_store(config: &Config, suffix: &str) -> PathBuf {
    let url = config.store.url.expose();
    let file = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    let file = file.map(|file| file.split('?').next().unwrap_or(file));
    let path = file.map_or_else(|| config.file.clone(), PathBuf::from);
    let mut name = path.into_os_string();
    name.push(suffix);
    PathBuf::from(name)
}

fn read(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn write(path: &Path, secret: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    writeln!(file, "{secret}")?;
    file.sync_all()
}
