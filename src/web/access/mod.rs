//! Who asks, and what they may do. On loopback nobody is asked unless the configuration says so; elsewhere every
//! request is somebody's: by a token, by a session that a token opened, or by the user that a trusted proxy names.
//! What isn't listed in `Need::of` takes an admin.

pub mod forms;
pub mod session;
pub mod tokens;

use crate::core::time::Timestamp;
use crate::keys::Keys;
use axum::http::{HeaderMap, HeaderName, Method, header};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::Arc;
use tokens::Tokens;

/// The longest name of a user that a proxy may give, in bytes.
const USER_BYTES_MAX: usize = 200;

/// What somebody may do; each may what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks.
    Viewer,
    /// Takes incidents, snoozes, opens windows, notes events.
    Responder,
    /// Reads the audit log, reloads the configuration.
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Responder, Role::Admin];

    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Responder => "responder",
            Role::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing: it tells nothing, or proves itself by a signature.
    Nothing,
    Role(Role),
}

impl Need {
    /// What this request takes. A route that nobody has thought of takes an admin to change and a viewer to read.
    pub fn of(method: &Method, path: &str) -> Need {
        let reads = matches!(*method, Method::GET | Method::HEAD);
        match path {
            "/healthz" | "/readyz" | "/login" => Need::Nothing,
            super::pagerduty::PATH => Need::Nothing,
            path if path.starts_with(crate::keys::ACK_PATH) || path.starts_with("/assets/") => Need::Nothing,
            path if path.starts_with("/api/v1/audit") => Need::Role(Role::Admin),
            _ if reads => Need::Role(Role::Viewer),
            "/logout" => Need::Role(Role::Viewer),
            "/api/v1/snoozes" | "/api/v1/windows" | "/api/v1/events" => Need::Role(Role::Responder),
            path if path.starts_with("/api/v1/incidents/") || path.starts_with("/api/v1/quiets/") => {
                Need::Role(Role::Responder)
            }
            path if path.starts_with("/incidents/") => Need::Role(Role::Responder),
            _ => Need::Role(Role::Admin),
        }
    }
}

/// Somebody who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub role: Role,
    pub via: Via,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// A program or a browser on this machine, where nobody is asked.
    Here,
    /// A token, in the request itself.
    Token { id: i64, name: String },
    /// A browser's session, which a token opened.
    Session { id: i64, name: String },
    /// The user whom a trusted proxy names.
    Proxy { user: String },
}

impl Who {
    /// The name that goes into the record; `None` where nobody has said it.
    pub fn name(&self) -> Option<&str> {
        match &self.via {
            Via::Here => None,
            Via::Token { name, .. } | Via::Session { name, .. } => Some(name),
            Via::Proxy { user } => Some(user),
        }
    }

    /// Whether a browser sends the proof along by itself, so that another site's page could make it act.
    pub fn is_of_a_browser(&self) -> bool {
        !matches!(self.via, Via::Token { .. })
    }

    /// What tells one asker from another, for limits and for forms.
    pub fn key(&self) -> String {
        match &self.via {
            Via::Here => "here".to_owned(),
            Via::Token { id, .. } | Via::Session { id, .. } => format!("token {id}"),
            Via::Proxy { user } => format!("user {user}"),
        }
    }
}

/// Why somebody isn't let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody has said who they are, or not truly.
    Unknown,
    /// Known, and without a role.
    NoRole,
    /// Asked for under a name that isn't this monitor's, as a page does that rebinds its own.
    WrongHost,
}

/// How people are told apart.
#[derive(Clone)]
pub struct Access {
    /// Whether somebody who isn't named is let in nowhere.
    pub required: bool,
    /// Addresses whose word on the user is believed.
    pub proxies: Vec<IpAddr>,
    pub user_header: Option<HeaderName>,
    /// Patterns of users with their roles; the highest that matches holds.
    pub roles: Vec<(String, Role)>,
    /// The host of the public url, where it is known.
    pub public_host: Option<String>,
    /// Sessions are sent over TLS alone.
    pub secure_cookies: bool,
    pub tokens: Arc<dyn Tokens>,
}

impl Access {
    /// Everybody on this machine may everything.
    pub fn open(tokens: Arc<dyn Tokens>) -> Access {
        Access {
            required: false,
            proxies: Vec::new(),
            user_header: None,
            roles: Vec::new(),
            public_host: None,
            secure_cookies: false,
            tokens,
        }
    }

    /// Who asks.
    ///
    /// # Errors
    /// Where nobody is to be let in.
    pub async fn who(
        &self,
        peer: Option<IpAddr>,
        headers: &HeaderMap,
        keys: &Keys,
        now: Timestamp,
    ) -> Result<Who, Refused> {
        if let Some(token) = bearer(headers) {
            let found = self.tokens.by_token(token, now).await.ok_or(Refused::Unknown)?;
            return Ok(Who { role: found.role, via: Via::Token { id: found.id, name: found.name } });
        }
        if let Some(user) = self.proxied_user(peer, headers)? {
            let role = self.role_of(&user).ok_or(Refused::NoRole)?;
            return Ok(Who { role, via: Via::Proxy { user } });
        }
        if let Some(id) = session::of(headers, keys, now) {
            let found = self.tokens.by_id(id, now).await.ok_or(Refused::Unknown)?;
            return Ok(Who { role: found.role, via: Via::Session { id: found.id, name: found.name } });
        }
        if self.required || headers.contains_key(header::AUTHORIZATION) {
            return Err(Refused::Unknown);
        }
        if !self.is_own_host(headers) {
            return Err(Refused::WrongHost);
        }
        Ok(Who { role: Role::Admin, via: Via::Here })
    }

    /// The user that the proxy names. A header from anywhere else, or twice, is a forgery.
    fn proxied_user(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<Option<String>, Refused> {
        let Some(name) = &self.user_header else { return Ok(None) };
        let mut given = headers.get_all(name).iter();
        let Some(user) = given.next() else { return Ok(None) };
        let trusted = peer.is_some_and(|peer| self.proxies.contains(&peer));
        if !trusted || given.next().is_some() {
            return Err(Refused::Unknown);
        }
        let user = user.to_str().map_err(|_| Refused::Unknown)?.trim();
        let plain = !user.is_empty() && user.len() <= USER_BYTES_MAX && !user.contains(char::is_control);
        if plain { Ok(Some(user.to_owned())) } else { Err(Refused::Unknown) }
    }

    fn role_of(&self, user: &str) -> Option<Role> {
        self.roles.iter().filter(|(pattern, _)| matches(pattern, user)).map(|(_, role)| *role).max()
    }

    /// Where nobody is asked who they are, a page of another site could point a name of its own here.
    fn is_own_host(&self, headers: &HeaderMap) -> bool {
        let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) else { return true };
        let name = host_name(host);
        let here = name.eq_ignore_ascii_case("localhost")
            || name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        here || self.public_host.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(name))
    }

    /// The address that a request comes from, as far as it can be believed.
    pub fn address(&self, peer: Option<IpAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let peer = peer?;
        if !self.proxies.contains(&peer) {
            return Some(peer);
        }
        let forwarded = headers.get_all("x-forwarded-for").iter().next_back().and_then(|list| list.to_str().ok());
        let nearest = forwarded.and_then(|list| list.rsplit(',').next()?.trim().parse().ok());
        Some(nearest.unwrap_or(peer))
    }
}

/// The host without its port.
pub fn host_name(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let given = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = given.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a name is of a pattern, in which `*` stands for anything.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut left) = name.strip_prefix(first) else { return false };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return left.ends_with(part);
        }
        match left.find(part) {
            Some(at) => left = &left[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_whole_names_only() {
        for (pattern, name, holds) in [
            ("*", "ada", true),
            ("ada", "ada", true),
            ("ada", "adam", false),
            ("*@example.org", "ada@example.org", true),
            ("*@example.org", "ada@example.org.evil", false),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
        ] {
            assert_eq!(matches(pattern, name), holds, "{pattern} {name}");
        }
    }

    #[test]
    fn a_host_loses_its_port_and_nothing_else() {
        for (host, name) in [("a.b:80", "a.b"), ("[::1]:80", "[::1]"), ("::1", "::1"), ("a.b", "a.b")] {
            assert_eq!(host_name(host), name);
        }
    }

    #[test]
    fn what_nobody_has_thought_of_takes_an_admin_to_change() {
        assert_eq!(Need::of(&Method::POST, "/api/v1/new"), Need::Role(Role::Admin));
        assert_eq!(Need::of(&Method::GET, "/api/v1/new"), Need::Role(Role::Viewer));
        assert_eq!(Need::of(&Method::GET, "/api/v1/audit"), Need::Role(Role::Admin));
        assert_eq!(Need::of(&Method::POST, "/incidents/I-1"), Need::Role(Role::Responder));
    }
}
