//! `[web]`: where the board listens and who is let in. Off loopback it listens only where the configuration says how
//! people are told apart.

use super::WebSettings;
use super::read::{Empty, Entry, Reader, Table, Text};
use super::secrets::Purpose;
use super::sources::secrets_of;
use crate::web::access::Role;
use axum::http::HeaderName;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const LISTEN_DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
const LISTEN: &str = "listen = \"127.0.0.1:8080\"";
const SECRETS: &str = "pagerduty_webhook_secrets_env = [\"PAGERDUTY_WEBHOOK_SECRET\"]";
const ACCESS: &str = "access = \"tokens\"";
const PROXIES: &str = "trusted_proxies = [\"127.0.0.1\"]";
const HEADER: &str = "user_header = \"X-Forwarded-User\"";
const ROLES: &str = "roles = { responder = [\"*@example.org\"], admin = [\"ada@example.org\"] }";
const KEYS: &[&str] =
    &["listen", "public_url", "pagerduty_webhook_secrets_env", "access", "trusted_proxies", "user_header", "roles"];

pub fn web(r: &Reader, root: &Table) -> Option<WebSettings> {
    let Some(entry) = root.get("web") else {
        return Some(WebSettings {
            listen: LISTEN_DEFAULT,
            public_url: None,
            pagerduty_webhook_secrets: Vec::new(),
            access_required: false,
            trusted_proxies: Vec::new(),
            user_header: None,
            roles: Vec::new(),
        });
    };
    let table = entry.table(r, "[web]", KEYS, LISTEN)?;
    let secrets = table.get("pagerduty_webhook_secrets_env").map(|entry| entry.texts(r, Empty::Refused, SECRETS));
    let secrets = secrets_of(r, &secrets.unwrap_or_default(), Purpose::Other);
    let trusted_proxies = table.get("trusted_proxies").map(|entry| proxies(r, &entry)).unwrap_or_default();
    let user_header = table.get("user_header").and_then(|entry| user_header(r, &entry));
    let roles = table.get("roles").map(|entry| roles(r, &entry)).unwrap_or_default();
    hold_proxy_together(r, &table);
    let tokens = match table.get("access") {
        None => false,
        Some(entry) => access(r, &entry)?,
    };
    let access_required = tokens || !trusted_proxies.is_empty();
    let listen = match table.get("listen") {
        None => Some(LISTEN_DEFAULT),
        Some(entry) => entry.text(r, LISTEN).and_then(|text| listen(r, &text, access_required)),
    };
    let public_url = match table.get("public_url") {
        None => Some(None),
        Some(entry) => {
            entry.text(r, "public_url = \"https://tocsin.example.org\"").and_then(|text| public_url(r, &text))
        }
    };
    // One that is missing where it isn't needed is empty, and would be a secret that everybody knows.
    let secrets = secrets.into_iter().map(|found| found.secret).filter(|secret| !secret.expose().is_empty());
    Some(WebSettings {
        listen: listen?,
        public_url: public_url?,
        pagerduty_webhook_secrets: secrets.collect(),
        access_required,
        trusted_proxies,
        user_header,
        roles,
    })
}

fn listen(r: &Reader, text: &Text<'_>, access_required: bool) -> Option<SocketAddr> {
    match text.value.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() || access_required => Some(address),
        Ok(_) => {
            let what = "`listen` is no loopback address, and nothing says who may come in";
            let advice = format!(
                "write {ACCESS} and make some with `tocsin token create`, or trusted_proxies, user_header and roles; \
                 or stay on loopback: {LISTEN}"
            );
            r.refuse(&text.place, what, advice);
            None
        }
        Err(_) => {
            r.refuse(&text.place, "`listen` must be an address of digits and a port", format!("write: {LISTEN}"));
            None
        }
    }
}

fn public_url(r: &Reader, text: &Text<'_>) -> Option<Option<String>> {
    let host = text.value.strip_prefix("https://").or_else(|| text.value.strip_prefix("http://"));
    if host.is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        let advice = "write: public_url = \"https://tocsin.example.org\"";
        r.refuse(&text.place, "`public_url` must begin with https:// or http:// and name a host", advice);
        return None;
    }
    Some(Some(text.value.trim_end_matches('/').to_owned()))
}

fn access(r: &Reader, entry: &Entry<'_>) -> Option<bool> {
    let text = entry.text(r, ACCESS)?;
    match text.value {
        "open" => Some(false),
        "tokens" => Some(true),
        other => {
            let advice = "write \"tokens\", or \"open\" where whoever is on this machine may do everything";
            r.refuse(&text.place, format!("there is no access \"{other}\""), advice);
            None
        }
    }
}

fn proxies(r: &Reader, entry: &Entry<'_>) -> Vec<IpAddr> {
    let texts = entry.texts(r, Empty::Refused, PROXIES);
    let parsed = texts.iter().filter_map(|text| {
        let parsed = text.value.parse().ok();
        if parsed.is_none() {
            let what = format!("\"{}\" is no address", text.value);
            r.refuse(&text.place, what, format!("name each proxy by the address it comes from: {PROXIES}"));
        }
        parsed
    });
    parsed.collect()
}

fn user_header(r: &Reader, entry: &Entry<'_>) -> Option<HeaderName> {
    // What tocsin itself reads, and what any client may send, names nobody.
    const OTHERS: [&str; 5] = ["authorization", "cookie", "host", "origin", "x-forwarded-for"];
    let text = entry.text(r, HEADER)?;
    let name = HeaderName::from_bytes(text.value.as_bytes()).ok();
    let name = name.filter(|name| !OTHERS.contains(&name.as_str()));
    if name.is_none() {
        r.refuse(
            &text.place,
            format!("\"{}\" is no header that could name a user", text.value),
            format!("write: {HEADER}"),
        );
    }
    name
}

fn roles(r: &Reader, entry: &Entry<'_>) -> Vec<(String, Role)> {
    let Some(table) = entry.table(r, "[web] roles", &["viewer", "responder", "admin"], ROLES) else {
        return Vec::new();
    };
    let mut roles = Vec::new();
    for role in Role::ALL {
        let Some(entry) = table.get(role.as_str()) else { continue };
        roles.extend(entry.texts(r, Empty::Refused, ROLES).iter().map(|text| (text.value.to_owned(), role)));
    }
    roles
}

/// A proxy that is believed, the header that it writes and the roles of those whom it names belong together.
fn hold_proxy_together(r: &Reader, table: &Table) {
    let keys = [("trusted_proxies", PROXIES), ("user_header", HEADER), ("roles", ROLES)];
    let Some(given) = keys.iter().find_map(|(key, _)| table.get(key)) else { return };
    for (key, example) in keys.iter().filter(|(key, _)| table.get(key).is_none() && !table.has_misspelt(key)) {
        let what = format!("`{}` says nothing without `{key}`", given.key.value);
        r.refuse(&given.key.place, what, format!("add: {example}"));
    }
}
