//! What concerns the process itself: mode, deployment secret and store.

use super::read::{Reader, Table};
use super::secrets::{Found, Purpose, resolve_sqlite, secret};
use super::sources::{Role, database_url};
use super::{Mode, StoreSettings};
use crate::secret::Secret;
use std::path::Path;

const STORE_DEFAULT: &str = "sqlite:tocsin.db";
const KEEP_MONTHS_DEFAULT: u32 = 25;
const DEPLOYMENT_SECRET_BYTES_MIN: usize = 16;

pub fn mode(r: &Reader, root: &Table) -> Option<Mode> {
    let text = root.require(r, "mode", "mode = \"shadow\"")?.text(r, "mode = \"shadow\"")?;
    match text.value {
        "shadow" => Some(Mode::Shadow),
        "live" => Some(Mode::Live),
        other => {
            let advice = "write \"shadow\" to page only the log, or \"live\" to page people";
            r.refuse(&text.place, format!("there is no mode \"{other}\""), advice);
            None
        }
    }
}

pub fn deployment_secret(r: &Reader, root: &Table) -> Option<Secret> {
    let found = secret(r, root, "deployment_secret", Purpose::Other, None)?;
    let length = found.secret.expose().len();
    if length == 0 {
        return None;
    }
    if length < DEPLOYMENT_SECRET_BYTES_MIN {
        let what = format!("the deployment secret has {length} bytes, but must have at least 16");
        r.refuse(&found.place, what, "make one with: openssl rand -base64 32");
        return None;
    }
    Some(found.secret)
}

pub fn store(r: &Reader, root: &Table) -> Option<StoreSettings> {
    const EXAMPLE: &str = "url = \"sqlite:/var/lib/tocsin/tocsin.db\"";
    let mut keep_months = KEEP_MONTHS_DEFAULT;
    let found = match root.get("store") {
        None => Found { secret: Secret::new(STORE_DEFAULT), place: 0..0, written_here: true },
        Some(entry) => {
            let table = entry.table(r, "[store]", &["url", "url_env", "url_file", "keep_months"], EXAMPLE)?;
            keep_months = months(r, &table)?;
            secret(r, &table, "url", Purpose::Other, Some(EXAMPLE))?
        }
    };
    database_url(r, &found, "the store's url", Role::Store)?;
    if found.secret.expose().contains(":memory:") {
        let what = "a store in memory forgets every breach and every page when the process ends";
        r.refuse(&found.place, what, format!("write: {EXAMPLE}"));
        return None;
    }
    let from = if found.written_here { r.surroundings.directory } else { Path::new("") };
    Some(StoreSettings { url: Secret::new(resolve_sqlite(found.secret.expose(), from)), keep_months })
}

/// At least two: the weekly report looks back over the weeks before.
fn months(r: &Reader, table: &Table) -> Option<u32> {
    const EXAMPLE: &str = "keep_months = 25";
    let Some(entry) = table.get("keep_months") else { return Some(KEEP_MONTHS_DEFAULT) };
    let months = entry.whole_number(r, EXAMPLE)?;
    match u32::try_from(months).ok().filter(|months| (2..=1_200).contains(months)) {
        Some(months) => Some(months),
        None => {
            r.refuse(&entry.place, "`keep_months` must be from 2 to 1200", format!("write: {EXAMPLE}"));
            None
        }
    }
}
