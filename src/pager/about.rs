//! What a page tells of, in the payload: one thing alone. Receivers read it in a field for each, and so do the
//! pages that the store holds already; whatever those fields say, it is read as one of these.

use super::payload::is_false;
use crate::core::plan::About;
use crate::core::sight::BlindKind;
use crate::core::trouble::TroubleKind;
use serde::{Deserialize, Serialize};

/// As [`About`], in words that a receiver may have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Fields", into = "Fields")]
pub enum PayloadAbout {
    Overdue,
    Repeat,
    BulkClosures,
    Warning,
    Blind(PayloadBlind),
    Trouble(PayloadTrouble),
    /// Counts, in one sentence.
    Audit(String),
    Test,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadBlind {
    pub source: String,
    /// RFC 3339, UTC.
    pub since: String,
    /// In which way it is blind.
    #[serde(default)]
    pub state: BlindKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadTrouble {
    pub what: TroubleKind,
    /// The source, the channel or the configuration.
    pub subject: String,
    /// RFC 3339, UTC.
    pub since: String,
    /// Categories that no list names.
    pub names: Vec<String>,
    /// Whether there are more.
    pub more: bool,
}

/// How it is written: at most one of them is there, and none where something is overdue.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    /// The monitor itself can't see a source; the page lists no case.
    #[serde(skip_serializing_if = "Option::is_none")]
    blind: Option<PayloadBlind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    news: Option<News>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<Notice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    is_test: bool,
}

/// News of cases.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum News {
    Overdue,
    Repeat,
    BulkClosures,
}

/// Something else than a breach.
#[derive(Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
enum Notice {
    Warning,
    Trouble(PayloadTrouble),
}

impl From<Fields> for PayloadAbout {
    fn from(fields: Fields) -> Self {
        // Earlier versions wrote that an open P0 was reported again beside what a page is about.
        match fields {
            Fields { is_test: true, .. } => PayloadAbout::Test,
            Fields { blind: Some(blind), .. } => PayloadAbout::Blind(blind),
            Fields { notice: Some(Notice::Warning), .. } => PayloadAbout::Warning,
            Fields { notice: Some(Notice::Trouble(trouble)), .. } => PayloadAbout::Trouble(trouble),
            Fields { found: Some(found), .. } => PayloadAbout::Audit(found),
            Fields { news: Some(News::BulkClosures), .. } => PayloadAbout::BulkClosures,
            Fields { news: Some(News::Repeat), .. } => PayloadAbout::Repeat,
            Fields { news: Some(News::Overdue) | None, .. } => PayloadAbout::Overdue,
        }
    }
}

impl From<PayloadAbout> for Fields {
    fn from(about: PayloadAbout) -> Self {
        let none = Fields::default();
        match about {
            PayloadAbout::Overdue => none,
            PayloadAbout::Repeat => Fields { news: Some(News::Repeat), ..none },
            PayloadAbout::BulkClosures => Fields { news: Some(News::BulkClosures), ..none },
            PayloadAbout::Warning => Fields { notice: Some(Notice::Warning), ..none },
            PayloadAbout::Blind(blind) => Fields { blind: Some(blind), ..none },
            PayloadAbout::Trouble(trouble) => Fields { notice: Some(Notice::Trouble(trouble)), ..none },
            PayloadAbout::Audit(found) => Fields { found: Some(found), ..none },
            PayloadAbout::Test => Fields { is_test: true, ..none },
        }
    }
}

impl PayloadAbout {
    pub fn of(about: &About) -> Self {
        match about {
            About::Overdue => PayloadAbout::Overdue,
            About::Repeat => PayloadAbout::Repeat,
            About::BulkClosures => PayloadAbout::BulkClosures,
            About::Warning => PayloadAbout::Warning,
            About::Blind(blind) => PayloadAbout::Blind(PayloadBlind {
                source: blind.source.to_string(),
                since: crate::zone::rfc3339(blind.since),
                state: blind.what,
            }),
            About::Trouble(trouble) => PayloadAbout::Trouble(PayloadTrouble {
                what: trouble.kind,
                subject: trouble.subject.to_string(),
                since: crate::zone::rfc3339(trouble.since),
                names: trouble.names.iter().map(|name| name.to_string()).collect(),
                more: trouble.more,
            }),
            About::Audit(found) => PayloadAbout::Audit(found.to_string()),
            About::Test => PayloadAbout::Test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::payload::Payload;
    use crate::pager::samples;
    use serde_json::{Value, json};

    /// The frozen payload of a version that had a field for each, with these in it.
    fn stored(fields: &Value) -> String {
        let mut payload = serde_json::to_value(samples::payload(1)).unwrap();
        for (name, value) in fields.as_object().unwrap() {
            payload[name] = value.clone();
        }
        payload.to_string()
    }

    fn each() -> [(Value, PayloadAbout); 8] {
        let since = "2026-11-23T08:00:00Z";
        let blind = PayloadBlind { source: "reports".into(), since: since.into(), state: BlindKind::Refused };
        let trouble = PayloadTrouble {
            what: TroubleKind::PagesParked,
            subject: "pager".into(),
            since: since.into(),
            names: vec!["a".into()],
            more: true,
        };
        let of_trouble = json!({ "about": "trouble", "what": "pages_parked", "subject": "pager", "since": since,
            "names": ["a"], "more": true });
        [
            (json!({}), PayloadAbout::Overdue),
            (json!({ "news": "repeat" }), PayloadAbout::Repeat),
            (json!({ "news": "bulk_closures" }), PayloadAbout::BulkClosures),
            (json!({ "notice": { "about": "warning" } }), PayloadAbout::Warning),
            (
                json!({ "blind": { "source": "reports", "since": since, "state": "refused" } }),
                PayloadAbout::Blind(blind),
            ),
            (json!({ "notice": of_trouble }), PayloadAbout::Trouble(trouble)),
            (json!({ "found": "1 page unsent" }), PayloadAbout::Audit("1 page unsent".into())),
            (json!({ "is_test": true }), PayloadAbout::Test),
        ]
    }

    #[test]
    fn pages_that_the_store_holds_from_before_say_what_they_said_and_receivers_read_the_same_fields() {
        for (fields, about) in each() {
            let text = stored(&fields);
            let payload: Payload = serde_json::from_str(&text).unwrap();
            assert_eq!(payload.about, about);
            assert_eq!(payload.cases.len(), 1);
            let written: Value = serde_json::to_value(&payload).unwrap();
            assert_eq!(written, serde_json::from_str::<Value>(&text).unwrap());
        }
    }

    #[test]
    fn of_several_fields_the_one_is_taken_that_a_title_was_made_of() {
        let read = |fields: &Value| serde_json::from_str::<Payload>(&stored(fields)).unwrap().about;
        let warning = json!({ "news": "repeat", "notice": { "about": "warning" } });
        assert_eq!(read(&warning), PayloadAbout::Warning);
        assert_eq!(read(&json!({ "news": "overdue", "is_test": true })), PayloadAbout::Test);
        assert_eq!(read(&json!({ "news": "overdue", "is_test": false, "found": null })), PayloadAbout::Overdue);
        let stale: PayloadAbout =
            read(&json!({ "blind": { "source": "reports", "since": "2026-11-23T08:00:00Z" }, "news": "repeat" }));
        assert!(matches!(stale, PayloadAbout::Blind(blind) if blind.state == BlindKind::default()));
    }
}
