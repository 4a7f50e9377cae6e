//! `[channels]`: where pages go, in the pagers' own settings. The channel "log" is always there.

use super::pagers;
use super::problem::Place;
use super::read::{Empty, Entry, Reader, Table, Text, nearest};
use super::secrets::{Found, Purpose, secret};
use super::sources::secrets_of;
use crate::core::id::Name;
use crate::pager::{ChannelKind, ChannelSettings};
use crate::secret::Secret;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::{BTreeMap, BTreeSet};

/// The channel that needs no definition: the process's own log.
pub const LOG_CHANNEL: &str = "log";

const LOG_EXAMPLE: &str = "log = { kind = \"log\" }";
const DIRECTORY_EXAMPLE: &str = "{ kind = \"directory\", path = \"/var/lib/tocsin/weekly\" }";
const WEBHOOK_EXAMPLE: &str = "{ kind = \"webhook\", url_env = \"PAGE_URL\", secret_env = \"PAGE_SECRET\" }";
const WEBHOOK_KEYS: &[&str] = &["url", "url_env", "url_file", "secret", "secret_env", "secret_file", "secrets_env"];

const KINDS: &[&str] = &["alertmanager", "directory", "email", "goalert", "log", "pagerduty", "slack", "webhook"];

/// What every channel may have.
const COMMON_KEYS: &[&str] = &["kind", "codename", "codenames"];

/// The channels and the places of their names. `names` holds the faulty ones too, so that a page that
/// names one isn't refused for it as well.
pub struct ChannelsRead<'t> {
    pub settings: BTreeMap<Name, ChannelSettings>,
    pub names: BTreeSet<&'t str>,
    pub places: BTreeMap<Name, Place>,
    /// The categories that have codenames.
    pub codenamed: Vec<Text<'t>>,
}

pub fn read<'t>(r: &Reader, root: &Table<'t>) -> ChannelsRead<'t> {
    let mut read = ChannelsRead {
        settings: BTreeMap::new(),
        names: BTreeSet::new(),
        places: BTreeMap::new(),
        codenamed: Vec::new(),
    };
    read.settings.insert(LOG_CHANNEL.into(), ChannelKind::Log.into());
    read.names.insert(LOG_CHANNEL);
    let Some(table) = root.get("channels").and_then(|entry| entry.free_table(r, "[channels]", LOG_EXAMPLE)) else {
        return read;
    };
    for entry in table.entries() {
        read.names.insert(entry.key.value);
        read.places.insert(entry.key.name(), entry.key.place.clone());
        if let Some(settings) = read_one(r, &entry, &mut read.codenamed) {
            read.settings.insert(entry.key.name(), settings);
        }
    }
    read
}

fn read_one<'t>(r: &Reader, entry: &Entry<'t>, codenamed: &mut Vec<Text<'t>>) -> Option<ChannelSettings> {
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
    if name == LOG_CHANNEL && kind.value != "log" && KINDS.contains(&kind.value) {
        let what = "the channel \"log\" is always the process's own log";
        r.refuse(&kind.place, what, format!("give the {} channel another name", kind.value));
        return None;
    }
    let known = |title, example: &str, keys: &[&str]| {
        let keys: Vec<&str> = keys.iter().chain(COMMON_KEYS).copied().collect();
        entry.table(r, title, &keys, example)
    };
    let (table, kind) = match kind.value {
        "log" => (known("a log channel", LOG_EXAMPLE, &[])?, Some(ChannelKind::Log)),
        "webhook" => {
            let table = known("a webhook channel", &example, WEBHOOK_KEYS)?;
            let kind = webhook(r, &table);
            (table, kind)
        }
        "pagerduty" => {
            let table = known("a pagerduty channel", pagers::PAGERDUTY_EXAMPLE, pagers::PAGERDUTY_KEYS)?;
            let kind = pagers::pagerduty(r, &table);
            (table, kind)
        }
        "slack" => {
            let table = known("a slack channel", pagers::SLACK_EXAMPLE, pagers::SLACK_KEYS)?;
            let kind = pagers::slack(r, &table);
            (table, kind)
        }
        "goalert" => {
            let table = known("a goalert channel", pagers::GOALERT_EXAMPLE, pagers::GOALERT_KEYS)?;
            let kind = pagers::goalert(r, &table);
            (table, kind)
        }
        "alertmanager" => {
            let keys = pagers::ALERTMANAGER_KEYS;
            let table = known("an alertmanager channel", pagers::ALERTMANAGER_EXAMPLE, keys)?;
            let kind = pagers::alertmanager(r, &table);
            (table, kind)
        }
        "email" => {
            let table = known("an email channel", pagers::EMAIL_EXAMPLE, pagers::EMAIL_KEYS)?;
            let kind = pagers::email(r, &table);
            (table, kind)
        }
        "directory" => {
            let table = known("a directory channel", DIRECTORY_EXAMPLE, &["path"])?;
            let kind = directory(r, &table);
            (table, kind)
        }
        other => {
            let meant = nearest(other, KINDS.iter().copied()).map(|near| format!("did you mean \"{near}\"? "));
            let kinds = KINDS.join("\", \"");
            let advice = format!("{}the kinds are \"{kinds}\"", meant.unwrap_or_default());
            r.refuse(&kind.place, format!("there is no channel of kind \"{other}\""), advice);
            return None;
        }
    };
    let codenames = pagers::codenames(r, &table, codenamed);
    Some(ChannelSettings { kind: kind?, codenames })
}

/// A path starts from the directory of the configuration.
fn directory(r: &Reader, table: &Table) -> Option<ChannelKind> {
    const EXAMPLE: &str = "path = \"/var/lib/tocsin/weekly\"";
    let path = table.require(r, "path", EXAMPLE)?.text(r, EXAMPLE)?;
    if path.value.is_empty() {
        r.refuse(&path.place, "the path is empty", format!("write: {EXAMPLE}"));
        return None;
    }
    Some(ChannelKind::Directory { path: r.surroundings.directory.join(path.value) })
}

fn webhook(r: &Reader, table: &Table) -> Option<ChannelKind> {
    let url = secret(r, table, "url", Purpose::Other, Some("url_env = \"PAGE_URL\""))
        .and_then(|url| judge_url(r, url, "a webhook's url", "https://pages.example.org/tocsin"));
    let secrets: Vec<Secret> =
        read_secrets(r, table).into_iter().filter_map(|secret| judge_secret(r, secret)).collect();
    (!secrets.is_empty()).then_some(())?;
    Some(ChannelKind::Webhook { url: url?, secrets })
}

/// `whose` begins the sentence that refuses it.
pub fn judge_url(r: &Reader, url: Found, whose: &str, example: &str) -> Option<Secret> {
    let text = url.secret.expose();
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    if !text.is_empty() && host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        let what = format!("{whose} must begin with https:// or http:// and name a host");
        r.refuse(&url.place, what, format!("write: {example}"));
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
