//! Pages for the tests of the channels.

use super::payload::{Payload, PayloadAbout, PayloadCase};
use super::{Outgoing, Rendering};
use crate::core::id::{IncidentNo, Name};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;
use crate::core::time::Timestamp;

/// A ring of P0 that lists `cases` cases of "grooming", four minutes late.
pub fn payload(cases: usize) -> Payload {
    let case = |n: usize| PayloadCase {
        case: format!("C-00000-{n:05}"),
        source: "reports".into(),
        category: "grooming".into(),
        priority: "P0".into(),
        presumed: false,
        reports: 1,
        target: "first_response".into(),
        deadline: "2026-11-23T08:00:00Z".into(),
        unverified: false,
        inherited: false,
    };
    Payload {
        kind: PageKind::Ring,
        incident: "I-42".into(),
        round: 1,
        step: 0,
        priority: "P0".into(),
        created_at: "2026-11-23T08:04:00Z".into(),
        part: None,
        about: PayloadAbout::Overdue,
        acknowledge: None,
        in_place_of: None,
        without_store: false,
        count: cases as u64,
        cases: (0..cases).map(case).collect(),
    }
}

/// Hands `read` the rendering of the payload for a channel without codenames.
pub fn rendered<T>(payload: Payload, public_url: Option<&str>, read: impl FnOnce(Rendering<'_>) -> T) -> T {
    let channel: Name = "hook".into();
    let page = Outgoing {
        channel: &channel,
        incident: IncidentNo(42),
        round: 1,
        kind: payload.kind,
        priority: *Priority::ALL.iter().find(|priority| priority.as_str() == payload.priority).unwrap_or(&Priority::P0),
        created_at: Timestamp::from_secs(0),
        alert_key: "aaaa",
        delivery_key: "dddd",
        payload: "",
    };
    read(Rendering::new(&page, payload, &super::Codenames::default(), public_url))
}
