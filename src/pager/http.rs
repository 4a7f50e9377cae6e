//! The one HTTP client of all channels, and what its answers and errors mean. It follows no redirect, keeps
//! no cookie, takes no proxy from the environment, and never reads the body of an answer.

use super::{Answer, AnswerVerdict, REQUEST_TIMEOUT};
use crate::core::time::{Span, Timestamp};
use crate::secret::Secret;
use chrono::DateTime;
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use std::error::Error;
use std::io;

/// What a receiver may ask us to wait, at least and at most.
const RETRY_AFTER_MIN: Span = Span::from_secs(1);
const RETRY_AFTER_MAX: Span = Span::from_secs(300);

/// Connections are kept and shared by all channels; a clone is the same client.
#[derive(Clone, Debug)]
pub struct Client {
    inner: reqwest::Client,
    /// The machine has no root certificates, so no https receiver can be trusted.
    rootless: bool,
}

impl Client {
    /// Trusts the machine's root certificates, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`. On a
    /// machine without any, plain http still works and https says what is missing.
    pub fn new() -> Result<Client, String> {
        // An error means that one is installed already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            reqwest::Client::builder()
                .user_agent(concat!("tocsin/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .timeout(REQUEST_TIMEOUT.to_std())
                .pool_max_idle_per_host(32)
        };
        if let Ok(inner) = builder().build() {
            return Ok(Client { inner, rootless: false });
        }
        match builder().tls_certs_only([]).build() {
            Ok(inner) => Ok(Client { inner, rootless: true }),
            Err(error) => Err(format!("build the http client: {}", cause(&error))),
        }
    }

    /// One POST of JSON, see `post`.
    pub async fn post_json(&self, url: &Url, body: Vec<u8>, now: Timestamp) -> Answer {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        self.post(url, headers, body, now).await
    }

    /// Whether a receiver's host is there: a connection alone, or over TLS one HEAD of its root; whatever it
    /// answers, it was reached.
    pub async fn reach(&self, url: &Url) -> Answer {
        if url.scheme() == "http" {
            return connect(url).await;
        }
        let mut root = url.clone();
        root.set_path("/");
        root.set_query(None);
        root.set_fragment(None);
        match self.inner.head(root).send().await {
            Ok(response) => Answer::accepted(format!("reached, HTTP {}", response.status().as_u16())),
            Err(error) if self.rootless && is_tls(&error) => {
                Answer::retry("tls: this machine has no root certificates; install ca-certificates")
            }
            Err(error) => Answer::retry(cause(&error)),
        }
    }

    /// One POST. Whatever goes wrong on the way is an answer.
    pub async fn post(&self, url: &Url, headers: HeaderMap, body: Vec<u8>, now: Timestamp) -> Answer {
        match self.inner.post(url.clone()).headers(headers).body(body).send().await {
            Ok(response) => {
                let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                judge(response.status().as_u16(), retry_after, now)
            }
            Err(error) if self.rootless && is_tls(&error) => {
                Answer::retry("tls: this machine has no root certificates; install ca-certificates")
            }
            Err(error) => Answer::retry(cause(&error)),
        }
    }
}

async fn connect(url: &Url) -> Answer {
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Answer::permanent("its url names no host");
    };
    let connecting = tokio::net::TcpStream::connect((host.trim_matches(['[', ']']), port));
    match tokio::time::timeout(REQUEST_TIMEOUT.to_std(), connecting).await {
        Ok(Ok(_)) => Answer::accepted("reached"),
        Ok(Err(error)) => Answer::retry(io_cause(&error).unwrap_or_else(|| error.kind().to_string())),
        Err(_) => Answer::retry(timed_out()),
    }
}

/// A receiver's url.
///
/// # Errors
/// Where it isn't an http or https url; the text doesn't show it.
pub fn parse_url(url: &Secret) -> Result<Url, String> {
    let wrong = || "its url can't be used; write https://host/path".to_owned();
    let url = Url::parse(url.expose().trim()).map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() { Ok(url) } else { Err(wrong()) }
}

/// The url of a product's endpoint: `base`, where the product is served, with `path` behind it.
///
/// # Errors
/// As `parse_url`, and where the base has a query.
pub fn endpoint(base: &Secret, path: &str) -> Result<Url, String> {
    let mut url = parse_url(base)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err("its url can't be used; write https://host without a query".to_owned());
    }
    let whole = format!("{}{path}", url.path().trim_end_matches('/'));
    url.set_path(&whole);
    Ok(url)
}

/// An acceptance counts only under the one status that the product gives: a proxy or a page for browsers at the
/// same address says 200 to everything, and nobody's phone rings.
pub fn accepted_only_as(status: &str, answer: Answer) -> Answer {
    if answer.verdict == AnswerVerdict::Accepted && answer.text != status {
        return Answer::retry(format!("{} instead of {status}: is it the product's own url?", answer.text));
    }
    answer
}

/// What a status means. A redirect isn't followed, since it would carry a page to where nobody configured
/// it; like most of 4xx it stays wrong until somebody changes the configuration.
pub fn judge(status: u16, retry_after: Option<&str>, now: Timestamp) -> Answer {
    let (verdict, text) = match status {
        200..=299 => (AnswerVerdict::Accepted, status.to_string()),
        300..=399 => (AnswerVerdict::Permanent, format!("{status}: a redirect, not followed")),
        410 => (AnswerVerdict::Permanent, "410: the receiver is gone for good".to_owned()),
        // Timeouts, conflicts, locks, too early, too many: a matter of time.
        408 | 409 | 421 | 423 | 425 | 429 => (AnswerVerdict::Retry { after: None }, status.to_string()),
        400..=499 => (AnswerVerdict::Permanent, status.to_string()),
        _ => (AnswerVerdict::Retry { after: None }, status.to_string()),
    };
    match verdict {
        AnswerVerdict::Retry { .. } => {
            let after = retry_after.and_then(|value| parse_retry_after(value, now));
            Answer { verdict: AnswerVerdict::Retry { after }, text }
        }
        verdict => Answer { verdict, text },
    }
}

/// Seconds or a date of HTTP; within 1 s and 300 s, so that no receiver silences a page for long.
fn parse_retry_after(value: &str, now: Timestamp) -> Option<Span> {
    let value = value.trim();
    let asked = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        value.parse().map_or(RETRY_AFTER_MAX, Span::from_secs)
    } else {
        let at = DateTime::parse_from_rfc2822(value).ok()?;
        Timestamp::from_micros(at.timestamp_micros()).since(now)
    };
    Some(asked.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

/// The cause of a failed request in a few words. reqwest's own text holds the url, which is a secret.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return timed_out();
    }
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(link) = next {
        if let Some(tls) = link.downcast_ref::<rustls::Error>() {
            return format!("tls: {}", tls_cause(tls));
        }
        if let Some(text) = link.downcast_ref::<io::Error>().and_then(io_cause) {
            return text;
        }
        if link.to_string() == "dns error" {
            return "dns failure".to_owned();
        }
        next = link.source();
    }
    match (error.is_connect(), error.is_builder()) {
        (true, _) => "connection failed".to_owned(),
        (_, true) => "the request could not be built".to_owned(),
        // The peer closed the connection, or spoke something else than HTTP.
        _ => "connection closed without an answer".to_owned(),
    }
}

/// What an attempt says that no answer ended in time.
pub fn timed_out() -> String {
    format!("timed out after {} s", REQUEST_TIMEOUT.secs())
}

fn is_tls(error: &reqwest::Error) -> bool {
    cause(error).starts_with("tls: ")
}

/// An io::Error's source skips the error that it wraps, so what is wrapped is looked at here.
pub(super) fn io_cause(error: &io::Error) -> Option<String> {
    let mut innermost = error;
    while let Some(wrapped) = innermost.get_ref() {
        if let Some(tls) = wrapped.downcast_ref::<rustls::Error>() {
            return Some(format!("tls: {}", tls_cause(tls)));
        }
        match wrapped.downcast_ref::<io::Error>() {
            Some(inner) => innermost = inner,
            None => break,
        }
    }
    let text = match innermost.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionAborted => {
            "connection reset"
        }
        io::ErrorKind::UnexpectedEof => "connection closed without an answer",
        io::ErrorKind::HostUnreachable => "host unreachable",
        io::ErrorKind::NetworkUnreachable => "network unreachable",
        io::ErrorKind::AddrNotAvailable => "no local address or port to connect from",
        io::ErrorKind::TimedOut => "connection timed out",
        _ => return None,
    };
    Some(text.to_owned())
}

fn tls_cause(error: &rustls::Error) -> String {
    use rustls::CertificateError as Certificate;
    let text = match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::UnknownIssuer => "certificate unknown issuer",
            Certificate::Expired | Certificate::ExpiredContext { .. } => "certificate expired",
            Certificate::NotValidYet | Certificate::NotValidYetContext { .. } => "certificate not valid yet",
            Certificate::NotValidForName | Certificate::NotValidForNameContext { .. } => {
                "certificate not valid for this name"
            }
            Certificate::Revoked => "certificate revoked",
            _ => "certificate not accepted",
        },
        rustls::Error::AlertReceived(alert) => return format!("the receiver refused: {alert:?}"),
        rustls::Error::InvalidMessage(_) => "the receiver doesn't speak tls",
        _ => "handshake failed",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-23T08:00:00Z, a Monday.
    const NOW: Timestamp = Timestamp::from_secs(1_795_420_800);

    fn verdict(status: u16) -> AnswerVerdict {
        judge(status, None, NOW).verdict
    }

    fn waits(value: &str) -> Option<i64> {
        match judge(429, Some(value), NOW).verdict {
            AnswerVerdict::Retry { after } => after.map(Span::secs),
            other => panic!("429 is tried again, not {other:?}"),
        }
    }

    #[test]
    fn a_url_that_is_not_http_is_refused_without_showing_it() {
        let url = |text: &str| parse_url(&Secret::new(text));
        assert!(url("https://hooks.example.org/tocsin?token=1").is_ok());
        for text in ["hooks.example.org/tocsin", "ftp://example.org/", "file:///etc/passwd", "https://:80", ""] {
            let error = url(text).unwrap_err();
            assert!(text.is_empty() || !error.contains(text), "{error}");
        }
    }

    #[test]
    fn an_endpoint_lies_behind_its_base_with_or_without_a_path() {
        let whole = |base: &str| endpoint(&Secret::new(base), "/v2/enqueue").map(String::from);
        assert_eq!(whole("https://events.example.org").unwrap(), "https://events.example.org/v2/enqueue");
        assert_eq!(whole("https://h/pager/").unwrap(), "https://h/pager/v2/enqueue");
        assert!(!whole("https://h/?token=hidden").unwrap_err().contains("hidden"));
    }

    #[test]
    fn only_2xx_is_accepted() {
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(verdict(status), AnswerVerdict::Accepted, "{status}");
        }
    }

    #[test]
    fn what_waiting_does_not_mend_is_permanent() {
        for status in [301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 410, 413, 422] {
            assert_eq!(verdict(status), AnswerVerdict::Permanent, "{status}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504, 599, 600] {
            assert_eq!(verdict(status), AnswerVerdict::Retry { after: None }, "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_as_seconds_or_as_a_date_and_bounded() {
        assert_eq!(crate::zone::rfc3339(NOW), "2026-11-23T08:00:00Z");
        assert_eq!(waits("7"), Some(7));
        assert_eq!(waits(" 7 "), Some(7));
        assert_eq!(waits("0"), Some(1));
        assert_eq!(waits("86400"), Some(300));
        assert_eq!(waits("99999999999999999999999"), Some(300));
        assert_eq!(waits("Mon, 23 Nov 2026 08:00:42 GMT"), Some(42));
        assert_eq!(waits("Mon, 23 Nov 2026 07:00:00 GMT"), Some(1));
        assert_eq!(waits("Tue, 24 Nov 2026 08:00:00 GMT"), Some(300));
        for unreadable in ["", "-1", "1.5", "soon", "2026-11-23"] {
            assert_eq!(waits(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn retry_after_counts_for_503_too_and_for_nothing_permanent() {
        let busy = judge(503, Some("9"), NOW);
        assert_eq!(busy.verdict, AnswerVerdict::Retry { after: Some(Span::from_secs(9)) });
        assert_eq!(judge(404, Some("9"), NOW).verdict, AnswerVerdict::Permanent);
    }
}
