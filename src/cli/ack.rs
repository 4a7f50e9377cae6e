//! `tocsin ack`: a named person takes an incident. It stops the escalation, never the clocks; the running
//! monitor takes it up within a second or two.

use crate::cli::out::say;
use crate::cli::{CliError, deployment, load_config};
use crate::config::Need;
use crate::core::act::Deed;
use crate::core::id::IncidentNo;
use crate::run::clock::{Clock, SystemClock};
use crate::run::inbox;
use crate::store::SqlStore;
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The incident, as pages and the board name it: I-42.
    incident: String,
    /// Who takes it; the name goes into the record.
    #[arg(long)]
    by: String,
    #[arg(long, value_name = "FILE", default_value = "tocsin.toml")]
    config: PathBuf,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let refused = |cause: String| CliError::Failed { operation: "acknowledge", cause };
    let digits = args.incident.strip_prefix("I-").unwrap_or(&args.incident);
    let number = digits.parse().map(IncidentNo);
    let no = number.map_err(|_| refused(format!("{} is not an incident; write it as I-42", args.incident)))?;
    if args.by.trim().is_empty() || args.by.len() > 256 {
        return Err(refused("--by must name a person, in at most 256 bytes".to_owned()));
    }
    let config = load_config(&args.config, Need::Sources)?;
    let keys = deployment::keys(&config)?;
    let store = SqlStore::open(&config.store.url, &keys.fingerprint()).await?;
    if !store.is_incident_open(no).await? {
        return Err(refused(format!("{no} is not open; `tocsin queue` shows the cases and their incidents")));
    }
    let deed = Deed::Acknowledge { incident: no };
    let body = inbox::body(&deed).map_err(|error| refused(error.to_string()))?;
    store.put_inbox(deed.kind(), &body, args.by.trim(), SystemClock.now()).await?;
    say!("{no} is acknowledged by {}; its targets still run until they are met", args.by.trim());
    Ok(())
}
