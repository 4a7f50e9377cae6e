//! The one payload from which every channel renders. It is frozen as JSON when the page is created, and
//! has no field that could hold content, an identity, a URL or a report's own id.

pub use super::about::PayloadAbout;
use crate::core::plan::{About, Page, PageKind};
use crate::core::time::Span;
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
    #[serde(flatten)]
    pub about: PayloadAbout,
    /// Where a person takes the incident, without the host while it is frozen; a channel puts the board's before
    /// it, or leaves it out where nobody can reach that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<String>,
    /// The channel that failed, where this page rings in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_place_of: Option<String>,
    /// Sent while the store was away: nothing else is recorded yet, and nothing can be acknowledged here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub without_store: bool,
    /// Cases in the incident that it tells of; `cases` lists the most urgent of them. Of a warning, the deadlines
    /// that come near.
    pub count: u64,
    pub cases: Vec<PayloadCase>,
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
    let asks = page.kind == PageKind::Ring && page.about != About::Warning;
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
            incident: match &page.about {
                About::Warning => format!("W-{}", page.incident.0),
                _ => page.incident.to_string(),
            },
            round: page.round,
            step: page.step,
            priority: page.priority.to_string(),
            created_at: crate::zone::rfc3339(page.created_at),
            part: page.part,
            about: PayloadAbout::of(&page.about),
            acknowledge: acknowledge(page, keys),
            in_place_of: None,
            without_store: false,
            count: page.count,
            cases: page.cases.iter().map(case).collect(),
        }
    }

    /// As it is sent while the store is away: numbers of incidents are the store's to give, so it is named by its
    /// most urgent case, and it leads nowhere.
    pub fn without_a_store(self) -> Self {
        let incident = self.cases.first().map_or_else(|| "store".to_owned(), |first| first.case.clone());
        Payload { incident, acknowledge: None, without_store: true, ..self }
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
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}
