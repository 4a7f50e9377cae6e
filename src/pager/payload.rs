//! The one payload from which every channel renders. It is frozen as JSON when the page is created, and
//! has no field that could hold content, an identity, a URL or a report's own id.

use crate::core::plan::{News, Notice, Page, PageKind};
use crate::core::sight::BlindKind;
use crate::core::time::Span;
use crate::core::trouble::TroubleKind;
use crate::keys::{AckLink, Keys};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payload {
    pub kind: PageKind,
    /// "I-42"; of a warning, which is no incident, "W-42".
    pub incident: String,
    pub round: u32,
    pub step: u32,
    pub priority: String,
    /// RFC 3339, UTC.
    pub created_at: String,
    pub part: Option<(u32, u32)>,
    /// Set where the page tells that the monitor itself can't see a source, and of no case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blind: Option<PayloadBlind>,
    #[serde(default, skip_serializing_if = "News::is_overdue")]
    pub news: News,
    /// Set where the page tells of something else than a breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<PayloadNotice>,
    /// Where a person takes the incident, without the host while it is frozen; a channel puts the board's before
    /// it, or leaves it out where nobody can reach that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<String>,
    /// Set where the page tells what the auditor found: counts, in one sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The channel that failed, where this page rings in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_of: Option<String>,
    /// A test of the way that pages take: nothing is overdue.
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_test: bool,
    /// Cases in the incident that it tells of; `cases` lists the most urgent of them. Of a warning, the deadlines
    /// that come near.
    pub count: u64,
    pub cases: Vec<PayloadCase>,
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
#[serde(tag = "about", rename_all = "snake_case")]
pub enum PayloadNotice {
    /// Deadlines that come near: the cases are not overdue.
    Warning,
    /// Something that the operators must see to, and no case.
    Trouble {
        what: TroubleKind,
        /// The source, the channel or the configuration.
        subject: String,
        /// RFC 3339, UTC.
        since: String,
        /// Categories that no list names.
        names: Vec<String>,
        /// Whether there are more.
        more: bool,
    },
}

impl PayloadNotice {
    fn of(notice: &Notice) -> Self {
        match notice {
            Notice::Warning => PayloadNotice::Warning,
            Notice::Trouble(trouble) => PayloadNotice::Trouble {
                what: trouble.kind,
                subject: trouble.subject.to_string(),
                since: crate::zone::rfc3339(trouble.since),
                names: trouble.names.iter().map(|name| name.to_string()).collect(),
                more: trouble.more,
            },
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadCase {
    /// tocsin's own reference, such as "C-7F3KQ-9QXMA".
    pub case: String,
    pub source: String,
    pub category: String,
    pub priority: String,
    /// In a category that nobody has named: presumed minor safety.
    pub presumed: bool,
    pub reports: u32,
    pub target: String,
    /// RFC 3339, UTC.
    pub deadline: String,
    /// Paged without proof, because the database could not be seen at the deadline.
    pub unverified: bool,
    /// Already overdue when first seen.
    pub inherited: bool,
}

/// How long the link of a page acknowledges.
const LINK_HOLDS: Span = Span::from_hours(24);

/// A warning asks nobody to take it, and what is over is over.
fn acknowledge(page: &Page, keys: &Keys) -> Option<String> {
    let asks = page.kind == PageKind::Ring && page.notice != Some(Notice::Warning);
    let link = || AckLink { incident: page.incident, round: page.round, expires: page.created_at.plus(LINK_HOLDS) };
    asks.then(|| link().path(keys))
}

impl Payload {
    pub fn freeze(page: &Page, keys: &Keys) -> Self {
        let case = |case: &crate::core::plan::PageCase| PayloadCase {
            case: keys.reference(&case.episode.case),
            source: case.episode.case.source().to_string(),
            category: case.category.to_string(),
            priority: case.priority.to_string(),
            presumed: case.standing == crate::core::policy::Standing::Presumed,
            reports: case.reports,
            target: case.target.to_string(),
            deadline: crate::zone::rfc3339(case.deadline),
            unverified: case.unverified,
            inherited: case.inherited,
        };
        Payload {
            kind: page.kind,
            incident: match &page.notice {
                Some(Notice::Warning) => format!("W-{}", page.incident.0),
                Some(Notice::Trouble(_)) | None => page.incident.to_string(),
            },
            round: page.round,
            step: page.step,
            priority: page.priority.to_string(),
            created_at: crate::zone::rfc3339(page.created_at),
            part: page.part,
            blind: page.blind.as_ref().map(|blind| PayloadBlind {
                source: blind.source.to_string(),
                since: crate::zone::rfc3339(blind.since),
                state: blind.what,
            }),
            news: page.news,
            notice: page.notice.as_ref().map(PayloadNotice::of),
            acknowledge: acknowledge(page, keys),
            found: page.found.map(|found| found.to_string()),
            in_place_of: None,
            is_test: page.is_test,
            count: page.count,
            cases: page.cases.iter().map(case).collect(),
        }
    }

    /// The body that `render` makes of the payload; where it would be longer than `bytes_max`, without the
    /// least urgent cases. `count` still counts them. `None` where `render` fails.
    pub fn fit(mut self, bytes_max: usize, render: impl Fn(&Payload) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
        loop {
            let bytes = render(&self)?;
            if bytes.len() <= bytes_max || self.cases.pop().is_none() {
                return Some(bytes);
            }
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}
