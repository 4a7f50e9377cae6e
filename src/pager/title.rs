//! The one short line of a page: what a person woken by it reads first. It says the priority, whether
//! something is overdue or resolved, which case and how late, and can't break into a second line.

use super::about::PayloadBlind;
use super::notice;
use super::payload::{Payload, PayloadAbout, PayloadCase};
use crate::core::plan::PageKind;
use crate::core::time::Span;
use crate::zone::parse_rfc3339;

/// No title is longer, in characters: a lock screen shows fewer.
pub const TITLE_CHARS_MAX: usize = 160;

/// How long a name out of the configuration or the report database may be in a title, in characters.
pub(super) const NAME_CHARS_MAX: usize = 40;

/// The title of a page, which calls P0 `minor_safety`. Lateness is as of the page's creation, so that every
/// attempt says the same.
pub fn title(payload: &Payload, minor_safety: &str) -> String {
    let subject = subject(payload, minor_safety);
    let text = match &payload.about {
        PayloadAbout::Test => test(payload),
        PayloadAbout::Blind(blind) => of_blind(payload, blind),
        PayloadAbout::BulkClosures => bulk(payload),
        PayloadAbout::Warning => notice::of_warning(payload, &subject),
        PayloadAbout::Trouble(trouble) => notice::of_trouble(payload, trouble),
        PayloadAbout::Audit(found) => of_audit(payload, found),
        PayloadAbout::Overdue | PayloadAbout::Repeat => of_cases(payload, &subject),
    };
    one_line(&text, TITLE_CHARS_MAX)
}

/// A monitor that can't see says so, and counts no cases: what it can't see may be overdue.
fn of_blind(payload: &Payload, blind: &PayloadBlind) -> String {
    let source = one_line(&blind.source, NAME_CHARS_MAX);
    match payload.kind {
        PageKind::Ring => {
            let state = blind.state.words();
            format!("MONITOR BLIND: source {source}, {state}, since {}; deadlines may pass unseen", blind.since)
        }
        PageKind::Resolve => {
            format!("RESOLVED, {}: source {source}, no longer so: {}", payload.incident, blind.state.words())
        }
    }
}

/// Marked from its first word on: nobody is to look for a report.
fn test(payload: &Payload) -> String {
    match payload.kind {
        PageKind::Ring => format!("TEST {} of tocsin's pages: nothing is overdue", payload.incident),
        PageKind::Resolve => format!("RESOLVED, TEST {} of tocsin's pages is over", payload.incident),
    }
}

/// A monitor that let something pass says how much.
fn of_audit(payload: &Payload, found: &str) -> String {
    match payload.kind {
        PageKind::Ring => format!("MONITOR AT FAULT: {found}; look at the board and at the log"),
        PageKind::Resolve => format!("RESOLVED, {}: the auditor finds nothing any more", payload.incident),
    }
}

/// Closures that nobody can have looked at, one by one.
fn bulk(payload: &Payload) -> String {
    let closed = match payload.count {
        1 => "1 P0 case was".to_owned(),
        count => format!("{count} P0 cases were"),
    };
    match payload.kind {
        PageKind::Ring => {
            format!("BULK CLOSURE: {closed} closed at once under one account; each waits for a second review")
        }
        PageKind::Resolve => format!("RESOLVED, {}: no P0 closed in bulk waits for its review", payload.incident),
    }
}

fn of_cases(payload: &Payload, subject: &str) -> String {
    if payload.kind == PageKind::Resolve {
        return format!("RESOLVED, {} {subject}: no longer overdue", payload.incident);
    }
    let what = if payload.about == PayloadAbout::Repeat { "reported again" } else { "overdue" };
    let mut text = format!("{subject} {what}: ");
    match payload.cases.first() {
        None => text += &format!("{} in {}", cases(payload.count), payload.incident),
        Some(first) if payload.count <= 1 => text += &case(first, payload),
        Some(first) => text += &format!("{}, most urgent {}", cases(payload.count), case(first, payload)),
    }
    if let Some((part, parts)) = payload.part {
        text += &format!(" (part {part} of {parts})");
    }
    text
}

/// "P0 minor safety", "P0 presumed minor safety", "P2 ncii", or "P2" where the cases' categories differ.
fn subject(payload: &Payload, minor_safety: &str) -> String {
    let priority = one_line(&payload.priority, NAME_CHARS_MAX);
    let first = payload.cases.first();
    if priority == "P0" {
        let presumed = first.is_some_and(|case| case.presumed);
        return format!("P0 {}{}", if presumed { "presumed " } else { "" }, one_line(minor_safety, NAME_CHARS_MAX));
    }
    match first {
        Some(first) if payload.cases.iter().all(|case| case.category == first.category) => {
            format!("{priority} {}", one_line(&first.category, NAME_CHARS_MAX))
        }
        _ => priority,
    }
}

fn case(case: &PayloadCase, payload: &Payload) -> String {
    let reports =
        if payload.about == PayloadAbout::Repeat { format!(", {} reports", case.reports) } else { String::new() };
    let mut text = format!(
        "{}{reports}, {} {}",
        one_line(&case.case, NAME_CHARS_MAX),
        one_line(&case.target, NAME_CHARS_MAX),
        lateness(&case.deadline, &payload.created_at)
    );
    if case.unverified {
        text += ", UNVERIFIED: the database can't be seen";
    } else if case.inherited {
        text += ", overdue when first seen";
    }
    text
}

fn lateness(deadline: &str, created_at: &str) -> String {
    match (parse_rfc3339(deadline), parse_rfc3339(created_at)) {
        (Some(deadline), Some(created_at)) if created_at.since(deadline) >= Span::from_secs(1) => {
            format!("{} late", created_at.since(deadline))
        }
        (Some(deadline), Some(created_at)) if deadline > created_at => {
            format!("due in {}", deadline.since(created_at))
        }
        (Some(_), Some(_)) => "late since just now".to_owned(),
        _ => "late".to_owned(),
    }
}

fn cases(count: u64) -> String {
    if count == 1 { "1 case".to_owned() } else { format!("{count} cases") }
}

/// The text without line breaks or other marks that move the cursor, cut to `chars_max` characters.
pub(super) fn one_line(text: &str, chars_max: usize) -> String {
    let plain = |c: char| {
        if c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { ' ' } else { c }
    };
    if text.chars().count() <= chars_max {
        return text.chars().map(plain).collect();
    }
    let mut cut: String = text.chars().take(chars_max - 1).map(plain).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(payload: &Payload) -> String {
        super::title(payload, "minor safety")
    }

    fn overdue(deadline: &str) -> PayloadCase {
        PayloadCase {
            case: "C-7F3KQ-9QXMA".into(),
            source: "reports".into(),
            category: "grooming".into(),
            priority: "P0".into(),
            presumed: false,
            reports: 1,
            target: "first_response".into(),
            deadline: deadline.into(),
            unverified: false,
            inherited: false,
        }
    }

    fn page(kind: PageKind, priority: &str, count: u64, cases: Vec<PayloadCase>) -> Payload {
        Payload {
            kind,
            incident: "I-42".into(),
            round: 0,
            step: 0,
            priority: priority.into(),
            created_at: "2026-11-23T08:04:00Z".into(),
            part: None,
            about: PayloadAbout::Overdue,
            acknowledge: None,
            in_place_of: None,
            without_store: false,
            count,
            cases,
        }
    }

    const AT_EIGHT: &str = "2026-11-23T08:00:00Z";

    #[test]
    fn a_title_says_priority_case_target_and_lateness() {
        let one = page(PageKind::Ring, "P0", 1, vec![overdue(AT_EIGHT)]);
        assert_eq!(title(&one), "P0 minor safety overdue: C-7F3KQ-9QXMA, first_response 4m late");
        let just_now = page(PageKind::Ring, "P0", 1, vec![overdue("2026-11-23T08:03:59.5Z")]);
        assert_eq!(title(&just_now), "P0 minor safety overdue: C-7F3KQ-9QXMA, first_response late since just now");
        let resolved = page(PageKind::Resolve, "P0", 0, vec![]);
        assert_eq!(title(&resolved), "RESOLVED, I-42 P0 minor safety: no longer overdue");
    }

    #[test]
    fn whatever_is_overdue_says_its_priority_first_and_a_warning_names_it_too() {
        for priority in ["P0", "P1", "P2", "P3", "P4"] {
            let mut payload = page(PageKind::Ring, priority, 1, vec![overdue(AT_EIGHT)]);
            assert!(title(&payload).starts_with(&format!("{priority} ")), "{}", title(&payload));
            payload.about = PayloadAbout::Warning;
            assert!(title(&payload).starts_with(&format!("WARNING, {priority} ")), "{}", title(&payload));
        }
    }

    #[test]
    fn a_bundle_says_how_many_and_names_the_most_urgent() {
        let mut many = page(PageKind::Ring, "P0", 3, vec![overdue(AT_EIGHT), overdue("2026-11-23T08:01:00Z")]);
        many.part = Some((2, 3));
        let expected =
            "P0 minor safety overdue: 3 cases, most urgent C-7F3KQ-9QXMA, first_response 4m late (part 2 of 3)";
        assert_eq!(title(&many), expected);
        assert_eq!(title(&page(PageKind::Ring, "P2", 7, vec![])), "P2 overdue: 7 cases in I-42");
    }

    #[test]
    fn what_is_presumed_unverified_or_inherited_is_said() {
        let titled = |change: fn(&mut PayloadCase)| {
            let mut case = overdue(AT_EIGHT);
            change(&mut case);
            title(&page(PageKind::Ring, "P0", 1, vec![case]))
        };
        assert!(titled(|case| case.presumed = true).starts_with("P0 presumed minor safety overdue: "));
        assert!(titled(|case| case.unverified = true).ends_with("4m late, UNVERIFIED: the database can't be seen"));
        assert!(titled(|case| case.inherited = true).ends_with("4m late, overdue when first seen"));
    }

    #[test]
    fn lesser_pages_name_a_category_only_when_all_cases_share_it() {
        let of = |category: &str| PayloadCase { category: category.into(), ..overdue(AT_EIGHT) };
        let same = page(PageKind::Ring, "P2", 2, vec![of("ncii"), of("ncii")]);
        assert!(title(&same).starts_with("P2 ncii overdue: 2 cases"));
        let mixed = page(PageKind::Ring, "P2", 2, vec![of("ncii"), of("spam")]);
        assert!(title(&mixed).starts_with("P2 overdue: 2 cases"));
    }

    #[test]
    fn a_title_stays_one_short_line_whatever_the_names_hold() {
        let case = PayloadCase {
            category: format!("a\nb\r\u{202e}{}", "ä".repeat(500)),
            target: "x".repeat(500),
            ..overdue("not a time")
        };
        let title = title(&page(PageKind::Ring, "P2", 1, vec![case]));
        assert!(title.chars().count() <= TITLE_CHARS_MAX);
        assert!(!title.chars().any(|c| c.is_control() || c == '\u{202e}'));
        assert!(title.starts_with("P2 a b"));
    }

    #[test]
    fn f04_a_repeat_says_that_it_was_reported_again_and_what_is_due() {
        let case = PayloadCase { reports: 4, ..overdue("2026-11-23T08:15:00Z") };
        let mut page = page(PageKind::Ring, "P0", 1, vec![case]);
        page.about = PayloadAbout::Repeat;
        let expected = "P0 minor safety reported again: C-7F3KQ-9QXMA, 4 reports, first_response due in 11m";
        assert_eq!(title(&page), expected);
        page.cases[0].deadline = AT_EIGHT.into();
        assert!(title(&page).ends_with("C-7F3KQ-9QXMA, 4 reports, first_response 4m late"));
    }

    #[test]
    fn f20_a_bulk_closure_names_no_account() {
        let mut page = page(PageKind::Ring, "P0", 500, vec![overdue(AT_EIGHT)]);
        page.about = PayloadAbout::BulkClosures;
        let expected =
            "BULK CLOSURE: 500 P0 cases were closed at once under one account; each waits for a second review";
        assert_eq!(title(&page), expected);
        page.kind = PageKind::Resolve;
        assert!(title(&page).starts_with("RESOLVED, I-42: "));
    }

    #[test]
    fn a_blind_monitor_names_the_source_and_counts_no_cases() {
        let mut payload = page(PageKind::Ring, "P1", 0, Vec::new());
        let (source, since) = ("reports".to_owned(), "2026-11-23T02:14:00Z".to_owned());
        let state = crate::core::sight::BlindKind::Refused;
        payload.about = PayloadAbout::Blind(PayloadBlind { source, since, state });
        let expected = "MONITOR BLIND: source reports, the database can't be reached, since 2026-11-23T02:14:00Z; \
             deadlines may pass unseen";
        assert_eq!(title(&payload), expected);
        payload.kind = PageKind::Resolve;
        assert!(title(&payload).ends_with("source reports, no longer so: the database can't be reached"));
    }
}
