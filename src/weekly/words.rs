//! How a report says its figures, the same in every format: small numbers as numbers, what isn't known as
//! such, and what changed as a difference that can be read aloud.

use super::figures::{Before, Figures, GroupFigures, Kept, Length, Times};
use crate::core::time::Span;

/// Fewer decided deadlines than this are told as "3 of 4" alone.
const ENOUGH_FOR_PERCENT: u64 = 20;

pub fn span(secs: i64) -> String {
    Span::from_secs(secs).to_string()
}

/// "4h 12m", or "> 3d" where nobody knows by how much.
pub fn length(length: Length) -> String {
    let said = span(length.secs);
    if length.beyond { format!("> {said}") } else { said }
}

/// A percentile as a cell: "–" where there are too few for one.
pub fn percentile(percentile: Option<Length>) -> String {
    percentile.map_or_else(|| "–".to_owned(), length)
}

/// "12m, 40m, > 3d": every length where there are few.
pub fn few(times: &Times) -> String {
    times.few.iter().map(|each| length(*each)).collect::<Vec<_>>().join(", ")
}

/// All that is said of lengths in one cell.
pub fn times(times: &Times) -> String {
    if times.count == 0 {
        return "none".to_owned();
    }
    if times.p50.is_none() {
        return few(times);
    }
    let mut said = format!("p50 {}, p90 {}", percentile(times.p50), percentile(times.p90));
    if times.p99.is_some() {
        said += &format!(", p99 {}", percentile(times.p99));
    }
    said
}

/// "97.2 %", rounded down so that a missed deadline never reads as 100 %.
pub fn percent(share: f64) -> String {
    let tenths = (share * 1_000.0 + 1e-9).floor() / 10.0;
    format!("{tenths:.1} %")
}

/// "311 of 320 (97.1 %)"
pub fn kept(kept: &Kept) -> String {
    match kept.share() {
        None => "none fell due".to_owned(),
        Some(_) if kept.decided() < ENOUGH_FOR_PERCENT => format!("{} of {}", kept.met, kept.decided()),
        Some(share) => format!("{} of {} ({})", kept.met, kept.decided(), percent(share)),
    }
}

/// How the kept share stands against the four weeks before: "before: 95.0 %".
pub fn kept_before(before: &Before) -> String {
    match before.weeks {
        0 => "nothing known before".to_owned(),
        _ => kept(&before.deadlines),
    }
}

/// "1,204 (+12 %)", "3 (mean 0.5)": a number against the mean of the weeks before.
pub fn against(count: u64, mean: f64, before: &Before) -> String {
    let said = grouped(count);
    if before.weeks == 0 {
        return said;
    }
    if mean < ENOUGH_FOR_PERCENT as f64 {
        return format!("{said} (mean {mean:.1})");
    }
    let change = ((count as f64 - mean) / mean * 100.0).round();
    format!("{said} ({change:+.0} %)")
}

/// 11,125
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut said = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            said.push(',');
        }
        said.push(digit);
    }
    said
}

/// "12 h 30 m of 168 h": a part of the week in hours.
pub fn hours(secs: i64) -> String {
    let tenths = (secs as f64 / 360.0).ceil() / 10.0;
    if secs == 0 { "0 h".to_owned() } else { format!("{tenths:.1} h") }
}

/// "P0 minor safety"
pub fn priority(priority: &str) -> String {
    if priority == "P0" { "P0 minor safety".to_owned() } else { priority.to_owned() }
}

pub fn category(group: &GroupFigures) -> &str {
    match group.category.as_str() {
        "" => "(none)",
        named => named,
    }
}

pub const AGE_LABELS: [&str; 9] = ["≤ 15m", "≤ 1h", "≤ 4h", "≤ 1d", "≤ 3d", "≤ 7d", "≤ 14d", "≤ 30d", "> 30d"];

/// Sentences that nobody may overlook: what the figures can't know.
pub fn warnings(figures: &Figures) -> Vec<String> {
    let sight = &figures.sight;
    let mut said = Vec::new();
    if !figures.complete {
        said.push(format!("The week is not over: figures until {}.", figures.as_of));
    }
    if let Some(first) = &sight.first_run {
        said.push(format!(
            "tocsin first ran at {first}. What was before is known from final rows only: no pauses, no reopenings, no pages."
        ));
    }
    if sight.down_secs > 0 {
        said.push(format!(
            "The monitor was down for {} of the week: nobody was paged then, and a breach in it was found late.",
            hours(sight.down_secs)
        ));
    }
    for source in sight.sources.iter().filter(|source| source.blind_secs > 0) {
        said.push(format!(
            "The monitor could not see \"{}\" for {}: a figure over a gap is not a figure.",
            source.source,
            hours(source.blind_secs)
        ));
    }
    for source in &sight.unread {
        said.push(format!(
            "\"{source}\" could not be read when this was made: its open cases below P0 that had not been breached are missing."
        ));
    }
    if figures.mode == "shadow" {
        said.push("Shadow mode: pages went to the log alone.".to_owned());
    }
    if !figures.unknown_categories.is_empty() {
        said.push(format!("Categories in no list, presumed minor safety: {}.", figures.unknown_categories.join(", ")));
    }
    said
}

/// The report in a few lines of plain text: for a mail's body, a message, a log.
pub fn summary(figures: &Figures) -> String {
    let mut lines = vec![format!("SLA report {} ({} to {})", figures.week, figures.first_day, figures.last_day)];
    if figures.priorities.is_empty() {
        lines.push("No reports, no deadlines, nothing open.".to_owned());
    }
    for group in &figures.priorities {
        lines.push(format!(
            "{}: deadlines kept {}, breaches {}, received {}, open {}{}",
            priority(&group.priority),
            kept(&group.deadlines),
            grouped(group.breaches.happened()),
            grouped(group.received),
            grouped(group.open),
            group.oldest_secs.map_or_else(String::new, |secs| format!(", oldest {}", span(secs))),
        ));
    }
    lines.extend(warnings(figures).into_iter().map(|warning| format!("! {warning}")));
    lines.extend(figures.limits.iter().map(|limit| format!("! {limit}")));
    lines.join("\n") + "\n"
}
