//! The email channel: SMTP, over TLS unless the server is this very machine. Each recipient gets a message of
//! plain text, under one Message-ID in every attempt; one whose address fails holds back nobody else's.

use super::details::details;
use super::http::{io_cause, timed_out};
use super::letter::Letter;
use super::{Answer, AnswerVerdict, REQUEST_TIMEOUT, Rendering};
use crate::core::time::Timestamp;
use crate::secret::Secret;
use lettre::address::Envelope;
use lettre::message::header::ContentType;
use lettre::message::{Attachment, Mailbox, MultiPart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reqwest::Url;
use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::task::JoinSet;

const TEXT_CHARS_MAX: usize = 20_000;

/// Each recipient takes a connection of its own.
pub const RECIPIENTS_MAX: usize = 20;

/// Pages of which it is remembered who has them already. One forgotten goes to everybody once more, under
/// the same Message-ID.
const REMEMBERED_MAX: usize = 1_000;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// Recipients, by their places in `to`, with their final answers.
type Settled = BTreeMap<usize, Answer>;

/// One list of recipients behind one mail server.
pub struct Email {
    transport: Transport,
    from: Address,
    to: Vec<Address>,
    settled: Mutex<BTreeMap<String, Settled>>,
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

impl Email {
    /// Without `from`, "tocsin" at the first recipient's domain writes.
    ///
    /// # Errors
    /// What is wrong with the url or an address, without showing the url.
    pub fn new(smtp_url: &Secret, from: Option<&str>, to: &[String]) -> Result<Email, String> {
        let parse = |text: &str| text.parse::<Address>().map_err(|_| format!("\"{text}\" is no address"));
        let to: Vec<Address> = to.iter().map(|text| parse(text)).collect::<Result<_, _>>()?;
        let Some(first) = to.first().filter(|_| to.len() <= RECIPIENTS_MAX) else {
            return Err(format!("a channel of mail has 1 to {RECIPIENTS_MAX} recipients"));
        };
        let from = match from {
            Some(from) => parse(from)?,
            None => parse(&format!("tocsin@{}", first.domain()))?,
        };
        let hello = ClientId::Domain(from.domain().to_owned());
        let url = server_url(smtp_url)?;
        // The error could show the url.
        let builder = Transport::from_url(url.as_str())
            .map_err(|_| "the connection to its server can't be set up; is ca-certificates installed?".to_owned())?;
        let transport = builder.timeout(Some(REQUEST_TIMEOUT.to_std())).hello_name(hello).build();
        Ok(Email { transport, from, to, settled: Mutex::default() })
    }

    /// One attempt, at every recipient whose answer isn't final yet.
    pub async fn send(&self, rendering: Rendering<'_>) -> Answer {
        match message(&rendering, &self.from, &self.to) {
            Some(message) => self.deliver(rendering.page.delivery_key, message.into()).await,
            None => Answer::permanent("the message can't be written"),
        }
    }

    /// One attempt to send a letter, as text, as a page and with its files.
    pub async fn post(&self, letter: &Letter) -> Answer {
        match letter_message(letter, &self.from, &self.to) {
            Some(message) => self.deliver(&letter.key, message.into()).await,
            None => Answer::permanent("the message can't be written"),
        }
    }

    async fn deliver(&self, key: &str, message: Arc<[u8]>) -> Answer {
        let mut settled = self.lock().get(key).cloned().unwrap_or_default();
        let mut attempts = JoinSet::new();
        for (place, to) in self.to.iter().enumerate().filter(|(place, _)| !settled.contains_key(place)) {
            let Ok(envelope) = Envelope::new(Some(self.from.clone()), vec![to.clone()]) else { continue };
            let (transport, message) = (self.transport.clone(), Arc::clone(&message));
            attempts.spawn(async move { (place, transport.send_raw(&envelope, &message).await) });
        }
        let mut failed = None;
        while let Some(ended) = attempts.join_next().await {
            let Ok((place, result)) = ended else {
                failed = Some(Answer::retry("an attempt broke off"));
                continue;
            };
            let answer = result.map_or_else(|error| judge(&error), |_| Answer::accepted("250"));
            if matches!(answer.verdict, AnswerVerdict::Retry { .. }) {
                failed = Some(answer);
            } else {
                settled.insert(place, answer);
                // At once: the whole attempt may be given up before the slowest recipient answers.
                self.remember(key, &settled);
            }
        }
        let answer = summary(failed, &settled, self.to.len());
        if !matches!(answer.verdict, AnswerVerdict::Retry { .. }) {
            self.lock().remove(key);
        }
        answer
    }

    fn remember(&self, key: &str, settled: &Settled) {
        let mut all = self.lock();
        while all.len() >= REMEMBERED_MAX && !all.contains_key(key) {
            all.pop_first();
        }
        all.insert(key.to_owned(), settled.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Settled>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page is tried again while anybody's answer may change, and accepted once somebody has it.
fn summary(failed: Option<Answer>, settled: &Settled, recipients: usize) -> Answer {
    let accepted = settled.values().filter(|answer| answer.verdict == AnswerVerdict::Accepted).count();
    let refused = settled.values().find(|answer| answer.verdict == AnswerVerdict::Permanent);
    let counted = |text: &str| match accepted {
        0 => text.to_owned(),
        _ => format!("{text}; {accepted} of {recipients} recipients have it"),
    };
    match (failed, refused) {
        (Some(failed), _) => Answer { text: counted(&failed.text), ..failed },
        (None, Some(refused)) if accepted == 0 => refused.clone(),
        (None, Some(refused)) => Answer::accepted(counted(&refused.text)),
        (None, None) => Answer::accepted("250"),
    }
}

/// The server's url in the words of the mail library. smtps:// is TLS from the first byte, smtp:// begins with
/// STARTTLS or not at all; "?tls=none" is plain text and for loopback alone.
///
/// # Errors
/// Where it is none of these; the text doesn't show it.
pub fn server_url(url: &Secret) -> Result<Url, String> {
    let wrong =
        || "its url can't be used; write smtps://user:password@host or smtp://user:password@host:587".to_owned();
    let mut url = Url::parse(url.expose().trim()).map_err(|_| wrong())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(wrong)?.to_owned();
    let tls = match (url.scheme(), url.query()) {
        ("smtps", None) => None,
        ("smtp", None | Some("tls=required")) => Some("tls=required"),
        ("smtp", Some("tls=none")) if is_loopback(&host) => None,
        ("smtp", Some("tls=none")) => {
            return Err("mail without TLS goes to loopback only; remove tls=none from its url".to_owned());
        }
        _ => return Err(wrong()),
    };
    url.set_query(tls);
    Ok(url)
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn message(rendering: &Rendering<'_>, from: &Address, to: &[Address]) -> Option<Vec<u8>> {
    let (page, domain) = (rendering.page, from.domain());
    let mut builder = Message::builder()
        .from(Mailbox::new(Some("tocsin".to_owned()), from.clone()))
        .subject(rendering.title.as_str())
        .message_id(Some(format!("<{}@{domain}>", page.delivery_key)))
        // Shows the pages of one round as one conversation.
        .references(format!("<{}@{domain}>", page.alert_key))
        .date(system_time(page.created_at))
        .header(ContentType::TEXT_PLAIN);
    for address in to {
        builder = builder.to(Mailbox::new(None, address.clone()));
    }
    let text = format!("{}\n\n{}\n", rendering.title, details(rendering, TEXT_CHARS_MAX, str::to_owned));
    builder.body(text).ok().map(|message| message.formatted())
}

fn letter_message(letter: &Letter, from: &Address, to: &[Address]) -> Option<Vec<u8>> {
    let link = letter.url.as_ref().map_or_else(String::new, |url| format!("\n{url}\n"));
    let bodies = MultiPart::alternative_plain_html(format!("{}{link}", letter.summary), letter.html.clone());
    let mut whole = MultiPart::mixed().boundary(format!("mixed-{}", letter.key)).multipart(bodies);
    for file in &letter.files {
        let media_type = ContentType::parse(file.media_type).ok()?;
        whole = whole.singlepart(Attachment::new(file.name.clone()).body(file.text.clone(), media_type));
    }
    let mut builder = Message::builder()
        .from(Mailbox::new(Some("tocsin".to_owned()), from.clone()))
        .subject(letter.title.as_str())
        .message_id(Some(format!("<{}@{}>", letter.key, from.domain())))
        .date(system_time(letter.written_at));
    for address in to {
        builder = builder.to(Mailbox::new(None, address.clone()));
    }
    builder.multipart(whole).ok().map(|message| message.formatted())
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(u64::try_from(at.micros()).unwrap_or(0))
}

/// What a failure means. The server's own words are left out: it may repeat the message in them.
fn judge(error: &Error) -> Answer {
    if let Some(code) = error.status() {
        let text = code.to_string();
        return if error.is_permanent() { Answer::permanent(text) } else { Answer::retry(text) };
    }
    if error.is_timeout() {
        return Answer::retry(timed_out());
    }
    let mut next = error.source();
    while let Some(link) = next {
        if let Some(text) = link.downcast_ref::<io::Error>().and_then(io_cause) {
            return Answer::retry(text);
        }
        next = link.source();
    }
    Answer::retry(if error.is_tls() {
        "tls: handshake failed"
    } else if error.is_client() {
        "the server offers no STARTTLS, or no login that we know"
    } else if error.is_response() {
        "the server doesn't speak smtp"
    } else {
        "connection failed"
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::samples;

    fn url(text: &str) -> Result<String, String> {
        server_url(&Secret::new(text)).map(String::from)
    }

    #[test]
    fn mail_goes_over_tls_but_for_loopback_where_the_url_says_so() {
        assert_eq!(url("smtps://u:p@mail.example.org").unwrap(), "smtps://u:p@mail.example.org");
        assert_eq!(url("smtp://u:p@mail.example.org:587").unwrap(), "smtp://u:p@mail.example.org:587?tls=required");
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            assert_eq!(url(&format!("smtp://{host}:25?tls=none")).unwrap(), format!("smtp://{host}:25"));
            assert!(url(&format!("smtp://{host}:25")).unwrap().ends_with("?tls=required"));
        }
        for refused in [
            "smtp://u:hidden@mail.example.org?tls=none",
            "smtp://u:hidden@127.0.0.1.example.org?tls=none",
            "smtp://u:hidden@mail.example.org?tls=opportunistic",
            "https://hidden.example.org",
            "hidden",
            "smtps:hidden",
        ] {
            assert!(!url(refused).unwrap_err().contains("hidden"), "{refused}");
        }
    }

    #[test]
    fn a_message_is_plain_text_and_the_same_in_every_attempt() {
        let (from, to) = ("tocsin@example.org".parse().unwrap(), ["a@example.org".parse().unwrap()]);
        let write = || samples::rendered(samples::payload(1), None, |page| message(&page, &from, &to)).unwrap();
        let text = String::from_utf8(write()).unwrap();
        assert_eq!(text.as_bytes(), write());
        for line in [
            "From: tocsin <tocsin@example.org>",
            "Message-ID: <dddd@example.org>",
            "References: <aaaa@example.org>",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
            "Content-Type: text/plain; charset=utf-8",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.contains("Subject: P0 minor safety overdue: C-00000-00000"));
    }

    #[test]
    fn no_name_writes_a_header_of_its_own() {
        let (from, to) = ("tocsin@example.org".parse().unwrap(), ["a@example.org".parse().unwrap()]);
        let mut payload = samples::payload(1);
        payload.priority = "P2".into();
        payload.cases[0].category = "a\r\nBcc: b@example.org".into();
        let text = samples::rendered(payload, None, |page| message(&page, &from, &to)).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
    }
}
