//! What `tocsin check` asks of a source's database: does the mapping fit, and can its rows be read.

use crate::cli::deployment;
use crate::config::Config;
use crate::source::settings::Settings;
use crate::source::{AnySource, SourceError};
use std::collections::BTreeMap;

/// What a replica can't do alone.
const REPLICA: &str = "warning: this is a replica, and what it doesn't show may have happened: a breach is proved only \
     once it has replayed a commit from after the deadline, and until then P0 pages unverified; name the primary in \
     verify_url_env";

/// One line on what was found.
///
/// # Errors
/// When the database can't be reached or the mapping doesn't fit it; the text says what to change.
pub async fn inspect(config: &Config, settings: &Settings) -> Result<String, SourceError> {
    let source = AnySource::open(settings.clone(), deployment::throwaway_keys())?;
    let checked = source.check().await?;
    let categories = source.categories().await?;
    let unnamed = categories.iter().filter(|(name, _)| !config.policy.categories.contains_key(name.as_str()));
    let unnamed: Vec<String> = unnamed.map(|(name, count)| format!("{name} ({count})")).collect();
    let replica = source.is_replica().await?;
    let mut rejects: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for reject in &checked.sample.rejects {
        *rejects.entry((&reject.column, reject.flaw.as_str())).or_default() += 1;
    }
    let mut found = format!("{}, {} of the first open rows read", checked.server, checked.sample.rows.len());
    for ((column, flaw), count) in rejects {
        found.push_str(&format!("; {count} with {column} {}", flaw.replace('_', " ")));
    }
    if replica && settings.reading.verify_url.is_none() {
        found.push_str("; ");
        found.push_str(REPLICA);
    }
    if !unnamed.is_empty() {
        found.push_str(&format!("; in neither list and therefore presumed minor safety: {}", unnamed.join(", ")));
    }
    Ok(found)
}
