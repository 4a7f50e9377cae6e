//! Instants on a page: a `time` element with its words, which the browser's script keeps up to date by itself, so that
//! the server sends a row anew only when something but the time has changed.

use super::words;
use crate::core::time::{Span, Timestamp};
use crate::zone;
use std::fmt;

/// How an instant is spoken of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    /// "4m 10s ago"
    Ago,
    /// "4m 10s", since then
    For,
    /// "4m 10s", until then
    In,
    /// "4m 10s overdue", "due in 12m"
    Due { overdue: bool, unverified: bool },
}

/// One instant with its words.
#[derive(Clone, Copy, Debug)]
pub struct When {
    at: Timestamp,
    spoken: Spoken,
    /// `None`: the browser says it.
    now: Option<Timestamp>,
}

impl When {
    pub fn new(at: Timestamp, spoken: Spoken, now: Option<Timestamp>) -> When {
        When { at, spoken, now }
    }

    fn words(&self, now: Timestamp) -> String {
        let passed = now.since(self.at);
        match self.spoken {
            Spoken::Ago => words::ago(self.at, now),
            Spoken::For => passed.max(Span::ZERO).to_string(),
            Spoken::In => Span::ZERO.minus(passed).max(Span::ZERO).to_string(),
            Spoken::Due { overdue, unverified } => {
                // Rounded as the API rounds, so that both say the same.
                let due_in = Span::from_secs(self.at.since(now).secs());
                words::due_words(due_in, overdue, unverified)
            }
        }
    }
}

/// As HTML: nothing in it but times and words of our own.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.spoken {
            Spoken::Ago => "ago",
            Spoken::For => "for",
            Spoken::In => "in",
            Spoken::Due { overdue: true, unverified: true } => "unverified",
            Spoken::Due { overdue: true, unverified: false } => "overdue",
            Spoken::Due { overdue: false, .. } => "due",
        };
        let said = self.now.map(|now| self.words(now)).unwrap_or_default();
        write!(f, "<time datetime=\"{}\" data-say=\"{kind}\">{said}</time>", zone::rfc3339(self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_said_by_the_server_or_left_to_the_browser() {
        let at = Timestamp::from_secs(1_000_000);
        let now = at.plus(Span::from_secs(250));
        let due = Spoken::Due { overdue: true, unverified: true };
        let said = When::new(at, due, Some(now)).to_string();
        assert_eq!(
            said,
            "<time datetime=\"1970-01-12T13:46:40Z\" data-say=\"unverified\">4m 10s overdue, unverified</time>"
        );
        assert_eq!(
            When::new(at, Spoken::Ago, None).to_string(),
            "<time datetime=\"1970-01-12T13:46:40Z\" data-say=\"ago\"></time>"
        );
        assert!(When::new(now, Spoken::In, Some(at)).to_string().contains(">4m 10s<"));
    }
}
