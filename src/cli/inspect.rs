//! What `tocsin check` asks of a source's database: does the mapping fit, and can its rows be read.

use crate::cli::deployment;
use crate::config::Config;
use crate::source::AnySource;
use crate::source::settings::Settings;
use std::collections::BTreeMap;

/// One line on what was found.
///
/// # Errors
/// When the database can't be reached or the mapping doesn't fit it; the text says what to change.
pub async fn inspect(config: &Config, settings: &Settings) -> Result<String, String> {
    let source = AnySource::open(settings.clone(), deployment::throwaway_keys()).map_err(|error| error.to_string())?;
    let checked = source.check().await.map_err(|error| error.to_string())?;
    let categories = source.categories().await.map_err(|error| error.to_string())?;
    let unnamed = categories.iter().filter(|(name, _)| !config.policy.categories.contains_key(name.as_str()));
    let unnamed: Vec<String> = unnamed.map(|(name, count)| format!("{name} ({count})")).collect();
    let mut rejects: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for reject in &checked.sample.rejects {
        *rejects.entry((&reject.column, reject.flaw.as_str())).or_default() += 1;
    }
    let mut found = format!("{}, {} of the first open rows read", checked.server, checked.sample.rows.len());
    for ((column, flaw), count) in rejects {
        found.push_str(&format!("; {count} with {column} {}", flaw.replace('_', " ")));
    }
    if !unnamed.is_empty() {
        found.push_str(&format!("; in neither list and therefore presumed minor safety: {}", unnamed.join(", ")));
    }
    Ok(found)
}
