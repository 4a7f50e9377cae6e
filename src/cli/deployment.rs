//! The deployment secret: from environment or file where it is configured; otherwise a random one, written
//! once beside the store for its owner alone. Losing it makes every key of every page a different one.

use crate::cli::CliError;
use crate::config::Config;
use crate::keys::Keys;
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
    let path = beside_the_store(config);
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
    let path = beside_the_store(config);
    let secret = read(&path).map_err(|cause| CliError::Write { path: path.clone(), cause })?;
    Ok(secret.map(|secret| Keys::new(secret.as_bytes())))
}

/// Keys for a look that stores and sends nothing.
pub fn throwaway_keys() -> Keys {
    Keys::new(b"nothing made with this is kept")
}

/// `tocsin.db.secret` beside an SQLite store; beside the configuration where the store is elsewhere.
fn beside_the_store(config: &Config) -> PathBuf {
    let url = config.store.url.expose();
    let file = url.strip_prefix("sqlite:").map(|rest| rest.strip_prefix("//").unwrap_or(rest));
    let file = file.map(|file| file.split('?').next().unwrap_or(file));
    let path = file.map_or_else(|| config.file.clone(), PathBuf::from);
    let mut name = path.into_os_string();
    name.push(".secret");
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
