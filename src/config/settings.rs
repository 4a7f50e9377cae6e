//! What concerns the process itself: mode, deployment secret, store and board.

use super::read::{Empty, Reader, Table};
use super::secrets::{Found, Purpose, resolve_sqlite, secret};
use super::sources::{Role, database_url, secrets_of};
use super::{Mode, StoreSettings, WebSettings};
use crate::secret::Secret;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

const STORE_DEFAULT: &str = "sqlite:tocsin.db";
const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
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
    let found = match root.get("store") {
        None => Found { secret: Secret::new(STORE_DEFAULT), place: 0..0, written_here: true },
        Some(entry) => {
            let table = entry.table(r, "[store]", &["url", "url_env", "url_file"], EXAMPLE)?;
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
    Some(StoreSettings { url: Secret::new(resolve_sqlite(found.secret.expose(), from)) })
}

pub fn web(r: &Reader, root: &Table) -> Option<WebSettings> {
    const EXAMPLE: &str = "listen = \"127.0.0.1:8080\"";
    const SECRETS: &str = "pagerduty_webhook_secrets_env = [\"PAGERDUTY_WEBHOOK_SECRET\"]";
    let Some(entry) = root.get("web") else {
        return Some(WebSettings { listen: LISTEN_DEFAULT, public_url: None, pagerduty_webhook_secrets: Vec::new() });
    };
    let table = entry.table(r, "[web]", &["listen", "public_url", "pagerduty_webhook_secrets_env"], EXAMPLE)?;
    let secrets = table.get("pagerduty_webhook_secrets_env").map(|entry| entry.texts(r, Empty::Refused, SECRETS));
    let secrets = secrets_of(r, &secrets.unwrap_or_default(), Purpose::Other);
    let listen = match table.get("listen") {
        None => Some(LISTEN_DEFAULT),
        Some(entry) => entry.text(r, EXAMPLE).and_then(|text| match text.value.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Some(address),
            Ok(_) => {
                let what = "`listen` must be a loopback address: the board has no authentication yet";
                r.refuse(&text.place, what, format!("write: {EXAMPLE}, and put a proxy that asks who it is before it"));
                None
            }
            Err(_) => {
                r.refuse(&text.place, "`listen` must be an address of digits and a port", format!("write: {EXAMPLE}"));
                None
            }
        }),
    };
    let public_url = match table.get("public_url") {
        None => Some(None),
        Some(entry) => entry.text(r, "public_url = \"https://tocsin.example.org\"").and_then(|text| {
            let host = text.value.strip_prefix("https://").or_else(|| text.value.strip_prefix("http://"));
            if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
                let advice = "write: public_url = \"https://tocsin.example.org\"";
                r.refuse(&text.place, "`public_url` must begin with https:// or http:// and name a host", advice);
                return None;
            }
            Some(Some(text.value.trim_end_matches('/').to_owned()))
        }),
    };
    // One that is missing where it isn't needed is empty, and would be a secret that everybody knows.
    let secrets = secrets.into_iter().map(|found| found.secret).filter(|secret| !secret.expose().is_empty());
    Some(WebSettings { listen: listen?, public_url: public_url?, pagerduty_webhook_secrets: secrets.collect() })
}
