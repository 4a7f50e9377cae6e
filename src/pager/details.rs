//! The long text of a page, for channels that show text: one line a case, most urgent first. References
//! only, as in the payload.

use super::Rendering;
use super::payload::{PayloadAbout, PayloadCase};
use super::title::{NAME_CHARS_MAX, one_line};
use crate::core::plan::PageKind;

/// At most `chars_max` characters, counted after `escape`; of what doesn't fit the number is said. The
/// first line names the incident, the last ones the board.
pub fn details(rendering: &Rendering<'_>, chars_max: usize, escape: fn(&str) -> String) -> String {
    let payload = &rendering.payload;
    let warns = payload.about == PayloadAbout::Warning;
    let state = match payload.kind {
        PageKind::Ring => "",
        PageKind::Resolve if warns => ", over",
        PageKind::Resolve => ", resolved",
    };
    let incident = one_line(&payload.incident, NAME_CHARS_MAX);
    let what = if warns { "Warning" } else { "Incident" };
    let mut text = format!("{what} {incident}{state}, as of {}", one_line(&payload.created_at, NAME_CHARS_MAX));
    if let PayloadAbout::Trouble(_) = &payload.about {
        text += &format!("\n{}", escape(&rendering.title));
    }
    let taken = payload.acknowledge.as_ref().map(|url| format!("\nAcknowledge: {}", escape(url)));
    if payload.without_store {
        text +=
            "\nThe monitor's store is away: acknowledge where this rings; the board shows it once the store is back";
    }
    if let Some(channel) = &payload.in_place_of {
        text += &format!("\nHere because channel {} did not accept it", escape(&one_line(channel, NAME_CHARS_MAX)));
    }
    let board = rendering.public_url.map(|url| format!("\nBoard: {}", escape(url))).unwrap_or_default();
    let board = taken.unwrap_or_default() + &board;
    let room = chars_max.saturating_sub(board.chars().count() + MORE_CHARS_MAX);
    let (mut chars, mut listed) = (text.chars().count(), 0_u64);
    for case in &payload.cases {
        let line = format!("\n{}", escape(&case_line(case)));
        chars += line.chars().count();
        if chars > room {
            break;
        }
        text += &line;
        listed += 1;
    }
    let more = payload.count.saturating_sub(listed);
    if more > 0 && payload.kind == PageKind::Ring {
        text += &format!("\nand {more} more on the board");
    }
    text + &board
}

/// Room for the line that counts what isn't listed.
const MORE_CHARS_MAX: usize = 50;

fn case_line(case: &PayloadCase) -> String {
    let name = |text: &str| one_line(text, NAME_CHARS_MAX);
    let reports = if case.reports == 1 { "1 report".to_owned() } else { format!("{} reports", case.reports) };
    let mut line = format!(
        "{}: {} {}, {} due {}, {reports} in {}",
        name(&case.case),
        name(&case.priority),
        name(&case.category),
        name(&case.target),
        name(&case.deadline),
        name(&case.source)
    );
    for (said, holds) in [
        ("presumed: no list names the category", case.presumed),
        ("UNVERIFIED: the database can't be seen", case.unverified),
        ("overdue when first seen", case.inherited),
    ] {
        if holds {
            line += ", ";
            line += said;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::payload::Payload;
    use crate::pager::samples;

    fn text(payload: Payload, chars_max: usize) -> String {
        samples::rendered(payload, Some("https://tocsin.example.org"), |page| details(&page, chars_max, str::to_owned))
    }

    #[test]
    fn each_case_is_a_line_and_the_board_is_the_last() {
        let mut payload = samples::payload(2);
        (payload.cases[1].presumed, payload.cases[1].reports) = (true, 7);
        let expected = "\
            Incident I-42, as of 2026-11-23T08:04:00Z\n\
            C-00000-00000: P0 grooming, first_response due 2026-11-23T08:00:00Z, 1 report in reports\n\
            C-00000-00001: P0 grooming, first_response due 2026-11-23T08:00:00Z, 7 reports in reports, \
            presumed: no list names the category\n\
            Board: https://tocsin.example.org";
        assert_eq!(text(payload, 3_000), expected);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut payload = samples::payload(50);
        payload.count = 4_711;
        payload.cases.iter_mut().for_each(|case| case.category = "ä\n".repeat(500));
        let text = text(payload, 3_000);
        assert!(text.chars().count() <= 3_000, "{}", text.chars().count());
        let listed = text.lines().filter(|line| line.starts_with("C-")).count();
        assert!((10..50).contains(&listed), "{listed}");
        assert!(text.contains(&format!("\nand {} more on the board\nBoard: ", 4_711 - listed)), "{text}");
    }
}
