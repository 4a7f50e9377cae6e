//! `[channels]`: where pages go, in the pagers' own settings. The channel "log" is always there.

use super::later;
use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table, nearest};
use super::secrets::{Found, Purpose, secret};
use super::sources::secrets_of;
use crate::core::id::Name;
use crate::pager::ChannelSettings;
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};

/// The channel that needs no definition: the process's own log.
pub const LOG_CHANNEL: &str = "log";

const LOG_EXAMPLE: &str = "log = { kind = \"log\" }";
const WEBHOOK_EXAMPLE: &str = "{ kind = \"webhook\", url_env = \"PAGE_URL\", secret_env = \"PAGE_SECRET\" }";
const WEBHOOK_KEYS: &[&str] =
    &["kind", "url", "url_env", "url_file", "secret", "secret_env", "secret_file", "secrets_env"];

/// The channels and the places of their names. `names` holds the faulty ones too, so that a page that
/// names one isn't refused for it as well.
pub struct ChannelsRead<'t> {
    pub settings: BTreeMap<Name, ChannelSettings>,
    pub names: BTreeSet<&'t str>,
    pub places: BTreeMap<Name, Place>,
}

pub fn read<'t>(r: &Reader, root: &Table<'t>) -> ChannelsRead<'t> {
    let mut read = ChannelsRead { settings: BTreeMap::new(), names: BTreeSet::new(), places: BTreeMap::new() };
    read.settings.insert(LOG_CHANNEL.into(), ChannelSettings::Log);
    read.names.insert(LOG_CHANNEL);
    let Some(table) = root.get("channels").and_then(|entry| entry.free_table(r, "[channels]", LOG_EXAMPLE)) else {
        return read;
    };
    for entry in table.entries() {
        read.names.insert(entry.key.value);
        read.places.insert(entry.key.name(), entry.key.place.clone());
        if let Some(settings) = read_one(r, &entry) {
            read.settings.insert(entry.key.name(), settings);
        }
    }
    read
}

fn read_one(r: &Reader, entry: &Entry) -> Option<ChannelSettings> {
    let name = entry.key.value;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        let advice = "use at most 64 letters, digits, '-' and '_', as in \"on-call\"";
        r.refuse(&entry.key.place, "the channel's name can't stand in keys and metrics", advice);
        return None;
    }
    let example = format!("{name} = {WEBHOOK_EXAMPLE}");
    let table = entry.free_table(r, "a channel", &example)?;
    let kind = table.require(r, "kind", "kind = \"webhook\", or: kind = \"log\"")?;
    let kind = kind.text(r, "kind = \"webhook\"")?;
    match kind.value {
        "log" => entry.table(r, "a log channel", &["kind"], LOG_EXAMPLE).map(|_| ChannelSettings::Log),
        "webhook" if name == LOG_CHANNEL => {
            let what = "the channel \"log\" is always the process's own log";
            r.refuse(&kind.place, what, "give the webhook another name");
            None
        }
        "webhook" => webhook(r, &entry.table(r, "a webhook channel", WEBHOOK_KEYS, &example)?),
        later if later::CHANNEL_KINDS.contains(&later) => {
            let advice = "use kind = \"webhook\" towards a receiver that passes pages on, or kind = \"log\", for now";
            r.refuse(&kind.place, format!("channels of kind \"{later}\" are not built yet"), advice);
            None
        }
        other => {
            let meant = nearest(other, ["log", "webhook"]).map(|near| format!("did you mean \"{near}\"? "));
            let advice = format!("{}write kind = \"webhook\" or kind = \"log\"", meant.unwrap_or_default());
            r.refuse(&kind.place, format!("there is no channel of kind \"{other}\""), advice);
            None
        }
    }
}

fn webhook(r: &Reader, table: &Table) -> Option<ChannelSettings> {
    let url = secret(r, table, "url", Purpose::Other, Some("url_env = \"PAGE_URL\"")).and_then(|url| judge_url(r, url));
    let secrets: Vec<Secret> =
        read_secrets(r, table).into_iter().filter_map(|secret| judge_secret(r, secret)).collect();
    (!secrets.is_empty()).then_some(())?;
    Some(ChannelSettings::Webhook { url: url?, secrets })
}

fn judge_url(r: &Reader, url: Found) -> Option<Secret> {
    let text = url.secret.expose();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if !text.is_empty() && host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        let what = "a webhook's url must begin with https:// or http:// and name a host";
        r.refuse(&url.place, what, "write: https://pages.example.org/tocsin");
        return None;
    }
    Some(url.secret)
}

/// One secret, or several by `secrets_env` while one rotates.
fn read_secrets(r: &Reader, table: &Table) -> Vec<Found> {
    const EXAMPLE: &str = "secrets_env = [\"PAGE_SECRET_NEW\", \"PAGE_SECRET_OLD\"]";
    let Some(several) = table.get("secrets_env") else {
        return secret(r, table, "secret", Purpose::Other, Some("secret_env = \"PAGE_SECRET\"")).into_iter().collect();
    };
    if let Some(single) = ["secret", "secret_env", "secret_file"].iter().find_map(|key| table.get(key)) {
        let what = format!("`{}` and `secrets_env` both give the secret", single.key.value);
        r.refuse(&single.key.place, what, "keep one of the two; the newest stands first in `secrets_env`");
    }
    secrets_of(r, &several.texts(r, Empty::Refused, EXAMPLE), Purpose::Other)
}

/// A secret of Standard Webhooks: "whsec_" and base64 of 24 to 64 bytes.
fn judge_secret(r: &Reader, found: Found) -> Option<Secret> {
    let text = found.secret.expose();
    let decoded = text.strip_prefix("whsec_").and_then(|key| STANDARD.decode(key).ok());
    let flaw = match decoded {
        _ if text.is_empty() => return Some(found.secret),
        Some(key) if (24..=64).contains(&key.len()) => return Some(found.secret),
        Some(key) => format!("holds {} bytes, but must hold 24 to 64", key.len()),
        None if text.starts_with("whsec_") => "is not base64 behind \"whsec_\"".to_owned(),
        None => "doesn't begin with \"whsec_\"".to_owned(),
    };
    let advice = "make one with: echo \"whsec_$(openssl rand -base64 32)\"";
    r.refuse(&found.place, format!("the webhook's secret {flaw}"), advice);
    None
}
