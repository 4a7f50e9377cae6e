//! `tocsin store`: what people do with the store itself. Copies say that they are copies, nothing is
//! overwritten, and a store that was restored, moved or cloned pages once a named person has adopted it.

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::{Config, Need};
use crate::run::clock::{Clock, SystemClock};
use crate::secret::Secret;
use crate::store::{self, SqlStore, backup};
use crate::zone;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml", global = true)]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make this store, restored, moved or under a new secret, the one that pages.
    Adopt {
        /// Who decides it; the name goes into the record.
        #[arg(long)]
        by: String,
    },
    /// Copy a store in SQLite while it is in use, its secret beside it.
    Backup {
        /// The file to write; it must not be there.
        #[arg(long)]
        to: PathBuf,
    },
    /// Put a copy where the configuration has its store; nothing may be there.
    Restore {
        /// The file that `backup` wrote.
        #[arg(long)]
        from: PathBuf,
    },
    /// Move everything into another, empty store.
    Migrate {
        /// The store as it is: sqlite:PATH or postgres://..; stop the monitor first.
        #[arg(long)]
        from: String,
        #[arg(long)]
        to: String,
    },
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let config = load_config(&args.config, Need::Sources)?;
    match args.command {
        Command::Adopt { by } => adopt(&config, by.trim()).await,
        Command::Backup { to } => take_backup(&config, to).await,
        Command::Restore { from } => restore(&config, from),
        Command::Migrate { from, to } => migrate(&config, Secret::new(from), Secret::new(to)).await,
    }
}

async fn adopt(config: &Config, by: &str) -> Result<(), CliError> {
    if by.is_empty() || by.len() > 256 {
        let cause = "--by must name a person, in at most 256 bytes".to_owned();
        return Err(CliError::Failed { operation: "adopt the store", cause });
    }
    let keys = deployment::keys(config)?;
    let claim = deployment::claim(config, &keys);
    let (store, _) = SqlStore::open_of_any(&config.store.url, &keys.fingerprint()).await?;
    let why = store.adopt(&claim, by, SystemClock.now()).await?;
    deployment::forget_mark(config)?;
    store.close().await;
    if why.is_empty() {
        say!("nothing stands against this store; it needs no adoption");
        return Ok(());
    }
    for why in why {
        say!("adopted by {by}, although {why}");
    }
    say!("whatever is open and was paged since this state was saved may ring once more; start the monitor now");
    Ok(())
}

async fn take_backup(config: &Config, to: PathBuf) -> Result<(), CliError> {
    let keys = deployment::keys(config)?;
    let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
    let taken = format!("it is a backup of {}", zone::rfc3339(SystemClock.now()));
    store.backup(&to, &taken).await?;
    store.close().await;
    if config.deployment_secret.is_some() {
        say!("{}: written; the deployment secret is where the configuration has it: keep that too", to.display());
        return Ok(());
    }
    let secret = backup::beside(&to, ".secret");
    backup::copy_private(&deployment::secret_file(config), &secret)?;
    say!("{} and {}: written; keep both where only their owner reads them", to.display(), secret.display());
    Ok(())
}

fn restore(config: &Config, from: PathBuf) -> Result<(), CliError> {
    let Some(to) = store::file(&config.store.url)? else { return Err(store::BackupError::NotAFile.into()) };
    backup::restore(&from, &to)?;
    say!("{}: restored; when nothing else pages from it, run: tocsin store adopt --by YOUR-NAME", to.display());
    Ok(())
}

async fn migrate(config: &Config, from: Secret, to: Secret) -> Result<(), CliError> {
    let fingerprint = deployment::keys(config)?.fingerprint();
    let old = SqlStore::open(&from, &fingerprint).await?;
    let new = SqlStore::open(&to, &fingerprint).await?;
    let place = store::place(&to)?;
    let rows = store::move_store(&old, &new, &place, SystemClock.now()).await?;
    old.close().await;
    new.close().await;
    say!("{rows} rows moved to {place}; name it under [store] and start the monitor");
    Ok(())
}
