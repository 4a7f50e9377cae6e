//! What a page says where it tells of no breach: that a deadline comes near, or that the operators must see to
//! something. Its words can't be taken for those of a breach, because it begins with what it is.

use super::payload::{Payload, PayloadCase, PayloadNotice};
use super::title::{NAME_CHARS_MAX, one_line};
use crate::core::plan::PageKind;
use crate::core::time::Span;
use crate::core::trouble::TroubleKind;
use crate::zone::parse_rfc3339;

/// The title of a page that carries a notice; `subject` is what a title calls its cases.
pub(super) fn title(payload: &Payload, notice: &PayloadNotice, subject: &str) -> String {
    match (notice, payload.kind) {
        (PayloadNotice::Warning, PageKind::Ring) => warning(payload, subject),
        (PayloadNotice::Warning, PageKind::Resolve) => {
            format!("OVER, {}: what this warned of was met or has passed", payload.incident)
        }
        (PayloadNotice::Trouble { what, subject, names, more, .. }, PageKind::Ring) => {
            let text = trouble(*what, &one_line(subject, NAME_CHARS_MAX));
            format!("OPERATORS: {text}{}", listed(names, *more))
        }
        (PayloadNotice::Trouble { what, subject, .. }, PageKind::Resolve) => {
            format!("RESOLVED, {}: {}", payload.incident, trouble_over(*what, &one_line(subject, NAME_CHARS_MAX)))
        }
    }
}

/// What a receiver of webhooks calls it.
pub(super) fn webhook_type(notice: Option<&PayloadNotice>, kind: PageKind) -> &'static str {
    match (notice, kind) {
        (Some(PayloadNotice::Warning), PageKind::Ring) => "deadline.warning",
        (Some(PayloadNotice::Warning), PageKind::Resolve) => "deadline.warning_over",
        (Some(PayloadNotice::Trouble { .. }) | None, PageKind::Ring) => "incident.ring",
        (Some(PayloadNotice::Trouble { .. }) | None, PageKind::Resolve) => "incident.resolved",
    }
}

/// What is wrong, and what to do about it.
fn trouble(what: TroubleKind, subject: &str) -> String {
    match what {
        TroubleKind::PresumedCategories => {
            format!("source {subject} writes categories that no list names, presumed minor safety: name them")
        }
        TroubleKind::RowsWithoutId => format!("source {subject} has rows without an id: no deadline of theirs is kept"),
        TroubleKind::WrongZone => {
            format!("reports of source {subject} are stated for the future or unreadably: is its timezone right?")
        }
        TroubleKind::PagesParked => format!("channel {subject} refuses pages for good: nobody gets them there"),
        TroubleKind::ReloadFailed => format!("the {subject} can't be taken over: the one before still runs"),
        TroubleKind::RowRefused => {
            format!("the store refuses a row of source {subject}: no deadline of it is kept, the log names it")
        }
        TroubleKind::StoreAway => format!("the {subject} takes nothing: only minor safety rings until it is back"),
        TroubleKind::NoStoreAtStart => {
            format!("the {subject} can't be reached by a start: no deadline is watched here until it can")
        }
    }
}

fn trouble_over(what: TroubleKind, subject: &str) -> String {
    match what {
        TroubleKind::PresumedCategories => format!("no open case of source {subject} is presumed any more"),
        TroubleKind::RowsWithoutId => format!("source {subject} has shown no row without an id for an hour"),
        TroubleKind::WrongZone => format!("reports of source {subject} have come with readable times for an hour"),
        TroubleKind::PagesParked => format!("channel {subject} holds back no page any more"),
        TroubleKind::ReloadFailed => format!("the {subject} was taken over"),
        TroubleKind::RowRefused => format!("the store has refused no row of source {subject} for an hour"),
        TroubleKind::StoreAway => format!("the {subject} is back: what rang meanwhile is recorded"),
        TroubleKind::NoStoreAtStart => format!("the {subject} was reached: the start goes on"),
    }
}

/// ": a, b and more"
fn listed(names: &[String], more: bool) -> String {
    let names: Vec<String> = names.iter().map(|name| one_line(name, NAME_CHARS_MAX)).collect();
    match (names.is_empty(), more) {
        (true, _) => String::new(),
        (false, true) => format!(": {} and more", names.join(", ")),
        (false, false) => format!(": {}", names.join(", ")),
    }
}

fn warning(payload: &Payload, subject: &str) -> String {
    let mut text = format!("WARNING, {subject} not overdue yet: ");
    match payload.cases.first() {
        None => text += &format!("{} come near", deadlines(payload.count)),
        Some(first) if payload.count <= 1 => text += &near(first, payload),
        Some(first) => text += &format!("{} come near, first {}", deadlines(payload.count), near(first, payload)),
    }
    text
}

fn deadlines(count: u64) -> String {
    if count == 1 { "1 deadline".to_owned() } else { format!("{count} deadlines") }
}

fn near(case: &PayloadCase, payload: &Payload) -> String {
    let name = |text: &str| one_line(text, NAME_CHARS_MAX);
    let left = match (parse_rfc3339(&case.deadline), parse_rfc3339(&payload.created_at)) {
        (Some(deadline), Some(created_at)) if deadline.since(created_at) >= Span::from_secs(1) => {
            format!("due in {}", deadline.since(created_at))
        }
        _ => "due now".to_owned(),
    };
    format!("{}, {} {left}", name(&case.case), name(&case.target))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::samples;

    fn titled(change: impl FnOnce(&mut Payload)) -> String {
        let mut payload =
            Payload { notice: Some(PayloadNotice::Warning), incident: "W-42".into(), ..samples::payload(2) };
        payload.cases.iter_mut().for_each(|case| case.deadline = "2026-11-23T08:09:00Z".into());
        change(&mut payload);
        crate::pager::title::title(&payload, "minor safety")
    }

    #[test]
    fn trouble_is_the_operators_and_says_what_to_see_to() {
        let of = |what, subject: &str, names: &[&str]| PayloadNotice::Trouble {
            what,
            subject: subject.into(),
            since: "2026-11-23T08:00:00Z".into(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            more: names.len() > 1,
        };
        let said = |notice: PayloadNotice, kind| {
            titled(|payload| {
                (payload.notice, payload.kind, payload.incident) = (Some(notice), kind, "I-42".into());
                (payload.cases, payload.count) = (Vec::new(), 0);
            })
        };
        assert_eq!(
            said(of(TroubleKind::PresumedCategories, "reports", &["a", "b"]), PageKind::Ring),
            "OPERATORS: source reports writes categories that no list names, presumed minor safety: name them: a, b and more"
        );
        let parked = of(TroubleKind::PagesParked, "pager", &[]);
        assert_eq!(
            said(parked.clone(), PageKind::Ring),
            "OPERATORS: channel pager refuses pages for good: nobody gets them there"
        );
        assert_eq!(said(parked, PageKind::Resolve), "RESOLVED, I-42: channel pager holds back no page any more");
    }

    #[test]
    fn a_warning_says_that_it_is_one_and_how_long_is_left() {
        let one = titled(|payload| payload.count = 1);
        assert_eq!(one, "WARNING, P0 minor safety not overdue yet: C-00000-00000, first_response due in 5m");
        let many = titled(|payload| payload.count = 4_711);
        assert_eq!(
            many,
            "WARNING, P0 minor safety not overdue yet: 4711 deadlines come near, first C-00000-00000, \
             first_response due in 5m"
        );
        let none = titled(|payload| payload.cases.clear());
        assert_eq!(none, "WARNING, P0 minor safety not overdue yet: 2 deadlines come near");
        assert_eq!(titled(|payload| payload.cases[0].deadline = "?".into()).matches("due now").count(), 1);
        let over = titled(|payload| payload.kind = PageKind::Resolve);
        assert_eq!(over, "OVER, W-42: what this warned of was met or has passed");
    }
}
