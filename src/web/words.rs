//! How the monitor speaks of itself, in one place for the page, the API and the terminal: what is
//! overdue, what can't be seen, and how long until when. It never says "nothing overdue" of what it
//! can't see.

use crate::core::incident::IncidentKind;
use crate::core::policy::{Priority, Standing};
use crate::core::time::{Span, Timestamp};
use crate::core::trouble::{Trouble, TroubleKind};
use crate::core::view::View;
use crate::status::{Sight, SourceStatus, Status};
use crate::zone;
use serde::{Deserialize, Serialize};

/// What an incident that isn't about single cases is about.
pub fn about_no_case(kind: &IncidentKind) -> String {
    match kind {
        IncidentKind::Episode(_) | IncidentKind::Group { .. } => "cases that are overdue".to_owned(),
        IncidentKind::Bundle { members } => format!("bundle of {} incidents", members.len()),
        IncidentKind::Blind(blind) => format!("the monitor is blind: {}, {}", blind.source, blind.what.words()),
        IncidentKind::Bulk { source, .. } => format!("P0 cases of {source} closed in bulk"),
        IncidentKind::Warning(_) => "deadlines that come near".to_owned(),
        IncidentKind::Trouble(trouble) => trouble_words(trouble),
        IncidentKind::Audit { found } => format!("the auditor found: {found}"),
        IncidentKind::Test { .. } => "a test of pages".to_owned(),
    }
}

/// How bad it is, for the colour beside the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Minor safety is overdue, or the monitor can't do its work.
    Alarm,
    /// Something below P0 is overdue.
    Warning,
    /// Nothing has been read yet.
    Unknown,
    Calm,
}

impl Level {
    pub const fn as_str(self) -> &'static str {
        match self {
            Level::Alarm => "alarm",
            Level::Warning => "warning",
            Level::Unknown => "unknown",
            Level::Calm => "calm",
        }
    }
}

/// The first line of every answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Summary {
    /// "2 P0 overdue · 5 others overdue"
    pub headline: String,
    pub level: Level,
    pub open: u64,
    pub p0_overdue: u64,
    pub others_overdue: u64,
    pub sources_unseen: usize,
}

impl Summary {
    pub fn of(view: &View, status: &Status, now: Timestamp) -> Self {
        let (mut open, mut p0_overdue, mut others_overdue) = (0, 0, 0);
        for (group, counts) in &view.open {
            open += counts.open;
            match group.priority {
                Priority::P0 => p0_overdue += counts.overdue,
                _ => others_overdue += counts.overdue,
            }
        }
        let sight = |source: &SourceStatus| source.sight(status.started_at, now);
        let blind = status.sources.iter().filter(|source| matches!(sight(source), Sight::Blind { .. })).count();
        let doubted = status.sources.iter().filter(|source| matches!(sight(source), Sight::Doubted { .. })).count();
        let unseen = status.sources.iter().filter(|source| !sight(source).is_seen()).count();
        let stuck = status.engine_silent(now).is_some();
        let none_seen = unseen == status.sources.len();

        let mut parts = Vec::new();
        if stuck {
            parts.push("The monitor is stuck".to_owned());
        }
        match (p0_overdue, others_overdue) {
            (0, 0) if none_seen => parts.push("Not known whether anything is overdue".to_owned()),
            (0, 0) if stuck || unseen > 0 || doubted > 0 => parts.push("Nothing known to be overdue".to_owned()),
            (0, 0) => parts.push("Nothing overdue".to_owned()),
            (0, others) => parts.extend(["No P0 overdue".to_owned(), others_words(others)]),
            (p0, 0) => parts.push(format!("{} P0 overdue", counted(p0))),
            (p0, others) => parts.extend([format!("{} P0 overdue", counted(p0)), others_words(others)]),
        }
        if blind > 0 {
            let of = if status.sources.len() > 1 { format!(" of {}", status.sources.len()) } else { String::new() };
            let sources = if status.sources.len() == 1 { "source" } else { "sources" };
            parts.push(format!("{blind}{of} {sources} can't be seen"));
        } else if unseen > 0 {
            parts.push("still reading".to_owned());
        }
        if doubted > 0 {
            let of = if status.sources.len() > 1 { format!(" of {}", status.sources.len()) } else { String::new() };
            let sources = if status.sources.len() == 1 { "source" } else { "sources" };
            parts.push(format!("{doubted}{of} {sources} can't be trusted"));
        }
        let level = match () {
            () if p0_overdue > 0 || stuck || blind > 0 || doubted > 0 => Level::Alarm,
            () if others_overdue > 0 => Level::Warning,
            () if unseen > 0 || none_seen => Level::Unknown,
            () => Level::Calm,
        };
        Summary { headline: parts.join(" · "), level, open, p0_overdue, others_overdue, sources_unseen: unseen }
    }
}

fn others_words(count: u64) -> String {
    if count == 1 { "1 other overdue".to_owned() } else { format!("{} others overdue", counted(count)) }
}

/// "11,125": digits in threes.
pub fn counted(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The priority with what it means: P0 is never a bare number, because its reader may be new and woken.
pub fn priority_words(priority: Priority, standing: Standing) -> &'static str {
    match (priority, standing) {
        (Priority::P0, Standing::Known) => "P0 minor safety",
        (Priority::P0, Standing::Presumed) => "P0 presumed",
        (lesser, _) => lesser.as_str(),
    }
}

/// Where a deadline stands: "4m 10s overdue", "due in 12m". One that has passed while the proof is
/// still awaited says so.
pub fn due_words(due_in: Span, overdue: bool, unverified: bool) -> String {
    let late = Span::ZERO.minus(due_in);
    match (overdue, due_in.micros() < 0) {
        (true, true) if unverified => format!("{late} overdue, unverified"),
        (true, true) => format!("{late} overdue"),
        (true, false) => "overdue".to_owned(),
        (false, true) => format!("passed {late} ago, being checked"),
        (false, false) => format!("due in {due_in}"),
    }
}

/// "4m 10s ago"; a clock that went back makes it "0s ago" rather than negative.
pub fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", now.since(at).max(Span::ZERO))
}

/// UTC for people: the time alone today, with the date otherwise.
pub fn utc_words(at: Timestamp, now: Timestamp) -> String {
    let (text, today) = (zone::rfc3339(at), zone::rfc3339(now));
    match (text.split_once('T'), today.split_once('T')) {
        (Some((date, time)), Some((today, _))) => {
            let time = time.get(..8).unwrap_or(time);
            if date == today { format!("{time} UTC") } else { format!("{date} {time} UTC") }
        }
        _ => text,
    }
}

/// A category as people read it; a report may come without one.
pub fn category_words(category: &str) -> &str {
    if category.is_empty() { "(no category)" } else { category }
}

/// What an operators' incident is about.
pub fn trouble_words(trouble: &Trouble) -> String {
    let subject = &trouble.subject;
    match trouble.kind {
        TroubleKind::PresumedCategories => {
            let names: Vec<&str> = trouble.names.iter().map(|name| category_words(name)).collect();
            let more = if trouble.more { " and more" } else { "" };
            format!("categories of {subject} that nobody has named: {}{more}", names.join(", "))
        }
        TroubleKind::RowsWithoutId => format!("rows of {subject} without an id"),
        TroubleKind::WrongZone => format!("reports of {subject} stated for the future or unreadably"),
        TroubleKind::PagesParked => format!("pages that {subject} refuses for good"),
        TroubleKind::ReloadFailed => format!("{subject} that can't be taken over"),
        TroubleKind::RowRefused => format!("a row of {subject} that the store refuses"),
        TroubleKind::StoreAway => format!("the {subject} that takes nothing"),
        TroubleKind::NoStoreAtStart => format!("the {subject} that a start can't reach"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::view::{Counts, Group};
    use crate::status::{Mode, StoreStatus};

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    fn status(seen: &[bool]) -> Status {
        let source = |(i, seen): (usize, &bool)| {
            let mut source = SourceStatus::new(format!("s{i}").into(), Span::from_secs(1), Span::from_secs(60));
            source.last_ok = Some(if *seen { NOW } else { NOW.minus(Span::from_secs(61)) });
            source
        };
        Status {
            version: "0",
            mode: Mode::Live,
            deployment: String::new(),
            leader: true,
            started_at: NOW,
            engine_alive_at: Some(NOW),
            sources: seen.iter().enumerate().map(source).collect(),
            store: StoreStatus::default(),
            reload: crate::status::Reload::default(),
        }
    }

    fn view(overdue: &[(Priority, u64)]) -> View {
        let group = |priority| Group { source: "s0".into(), category: "c".into(), priority };
        let open =
            overdue.iter().map(|(priority, n)| (group(*priority), Counts { open: n + 1, overdue: *n })).collect();
        View { open, ..View::default() }
    }

    fn headline(overdue: &[(Priority, u64)], status: &Status) -> (String, Level) {
        let summary = Summary::of(&view(overdue), status, NOW);
        (summary.headline, summary.level)
    }

    #[test]
    fn the_headline_says_in_words_whether_anything_is_overdue() {
        let seen = status(&[true]);
        let says = |overdue: &[(Priority, u64)]| headline(overdue, &seen);
        assert_eq!(says(&[(Priority::P0, 0)]), ("Nothing overdue".into(), Level::Calm));
        let both = says(&[(Priority::P0, 2), (Priority::P1, 4), (Priority::P4, 1)]);
        assert_eq!(both, ("2 P0 overdue · 5 others overdue".into(), Level::Alarm));
        assert_eq!(says(&[(Priority::P2, 1)]), ("No P0 overdue · 1 other overdue".into(), Level::Warning));
    }

    #[test]
    fn nothing_is_called_fine_that_cannot_be_seen() {
        let one_of_two = headline(&[], &status(&[true, false]));
        assert_eq!(one_of_two, ("Nothing known to be overdue · 1 of 2 sources can't be seen".into(), Level::Alarm));
        let none = headline(&[], &status(&[false]));
        assert_eq!(none, ("Not known whether anything is overdue · 1 source can't be seen".into(), Level::Alarm));
        let mut starting = status(&[true]);
        starting.sources[0].last_ok = None;
        assert_eq!(headline(&[], &starting).1, Level::Unknown);
        let mut stuck = status(&[true]);
        stuck.engine_alive_at = Some(NOW.minus(Span::from_secs(31)));
        assert_eq!(headline(&[], &stuck), ("The monitor is stuck · Nothing known to be overdue".into(), Level::Alarm));
    }

    #[test]
    fn a_deadline_is_spoken_from_where_it_stands() {
        assert_eq!(due_words(Span::from_secs(-250), true, false), "4m 10s overdue");
        assert_eq!(due_words(Span::from_secs(-250), true, true), "4m 10s overdue, unverified");
        assert_eq!(due_words(Span::from_mins(12), false, false), "due in 12m");
        assert_eq!(due_words(Span::from_secs(-1), false, false), "passed 1s ago, being checked");
    }

    #[test]
    fn counts_are_written_with_their_digits_in_threes() {
        assert_eq!([0, 999, 1_000, 11_125, 1_000_000].map(counted), ["0", "999", "1,000", "11,125", "1,000,000"]);
    }

    #[test]
    fn a_time_of_another_day_carries_its_date() {
        assert_eq!(utc_words(NOW, NOW), "13:46:40 UTC");
        assert_eq!(utc_words(NOW, NOW.plus(Span::from_hours(24))), "1970-01-12 13:46:40 UTC");
    }
}
