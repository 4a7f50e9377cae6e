//! A browser's session: a cookie that names a token and proves that this deployment gave it. It ends after 12 hours,
//! and with its token; it says nothing else.

use crate::core::time::{Span, Timestamp};
use crate::keys::Keys;
use axum::http::{HeaderMap, HeaderValue, header};

/// How long a session lasts.
pub const SESSION_LASTS: Span = Span::from_hours(12);
const COOKIE: &str = "tocsin_session";

/// The cookie that opens a session of this token.
pub fn cookie(id: i64, keys: &Keys, now: Timestamp, secure: bool) -> Option<HeaderValue> {
    let expires = now.plus(SESSION_LASTS).secs();
    let value = keys.signed("session", &format!("{id}.{expires}"));
    set(&value, SESSION_LASTS.secs(), secure)
}

/// The cookie that ends it.
pub fn end(secure: bool) -> Option<HeaderValue> {
    set("", 0, secure)
}

fn set(value: &str, max_age_secs: i64, secure: bool) -> Option<HeaderValue> {
    let secure = if secure { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_secs}{secure}");
    HeaderValue::from_str(&cookie).ok()
}

/// The token whose session these headers carry, if it hasn't ended.
pub fn of(headers: &HeaderMap, keys: &Keys, now: Timestamp) -> Option<i64> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = cookies.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = values.find(|(name, _)| *name == COOKIE)?;
    let (id, expires) = keys.unsigned("session", value)?.split_once('.')?;
    let expires = Timestamp::from_secs(expires.parse().ok()?);
    (now < expires).then(|| id.parse().ok())?
}
