//! The report as CSV by RFC 4180: CRLF, quotes where needed, UTF-8, one header line. Empty where nothing is
//! known, `beyond` columns where a length is only known to be longer.

use super::figures::{AGES_SECS, Figures, GroupFigures, Kept, Length, Times};

/// A row a group: whole priorities first, their category empty.
pub fn groups(figures: &Figures) -> String {
    let mut header: Vec<String> =
        ["week", "priority", "category", "received", "closed", "open", "oldest_open_secs"].map(String::from).to_vec();
    for what in ["first_response", "closing"] {
        header.extend(["count", "ended"].map(|part| format!("{what}_{part}")));
        for percent in ["p50", "p90", "p99"] {
            header.extend(["secs", "beyond"].map(|part| format!("{what}_{percent}_{part}")));
        }
    }
    header.extend(KEPT.map(String::from));
    header.extend(
        [
            "breaches_verified",
            "breaches_unverified",
            "breaches_withdrawn",
            "breaches_inherited",
            "breaches_contradicted",
        ]
        .map(String::from),
    );
    header.extend(
        ["repeats", "reopenings", "no_violation_unreviewed", "overturned", "vanished", "bulk_closed", "from_rows"]
            .map(String::from),
    );
    header.extend(AGES_SECS.iter().map(|up_to| format!("open_up_to_{up_to}_secs")));
    header.push("open_older".to_owned());
    header.extend(
        [
            "before_weeks",
            "before_received_mean",
            "before_closed_mean",
            "before_breaches_mean",
            "before_met",
            "before_missed",
        ]
        .map(String::from),
    );
    let rows = figures.priorities.iter().chain(&figures.categories).map(|group| group_row(figures, group));
    write(std::iter::once(header).chain(rows))
}

const KEPT: [&str; 4] = ["deadlines_met", "deadlines_missed", "deadlines_undecided", "deadlines_moot"];

fn group_row(figures: &Figures, group: &GroupFigures) -> Vec<String> {
    let mut row = vec![figures.week.clone(), group.priority.clone(), group.category.clone()];
    row.extend([group.received, group.closed, group.open].map(|count| count.to_string()));
    row.push(group.oldest_secs.map_or_else(String::new, |secs| secs.to_string()));
    row.extend(times(&group.first_response));
    row.extend(times(&group.closing));
    row.extend(kept(&group.deadlines));
    let breaches = group.breaches;
    let breaches =
        [breaches.verified, breaches.unverified, breaches.withdrawn, breaches.inherited, breaches.contradicted];
    row.extend(breaches.map(|count| count.to_string()));
    let counts = [
        group.repeats,
        group.reopenings,
        group.unreviewed,
        group.overturned,
        group.vanished,
        group.bulk_closed,
        group.from_rows,
    ];
    row.extend(counts.map(|count| count.to_string()));
    row.extend(group.open_ages.iter().map(ToString::to_string));
    let before = &group.before;
    row.push(before.weeks.to_string());
    row.extend([before.received_mean, before.closed_mean, before.breaches_mean].map(|mean| mean.to_string()));
    row.extend([before.deadlines.met, before.deadlines.missed].map(|count| count.to_string()));
    row
}

/// A row a target of a category.
pub fn targets(figures: &Figures) -> String {
    let header = ["week", "priority", "category", "target"].into_iter().chain(KEPT).map(String::from).collect();
    let rows = figures.targets.iter().map(|target| {
        let names = [&figures.week, &target.priority, &target.category, &target.target].map(String::clone);
        names.into_iter().chain(kept(&target.deadlines)).collect()
    });
    write(std::iter::once(header).chain(rows))
}

/// What article 15(1) of the Digital Services Act asks for: notices by category, and the median time to
/// action, open ones censored. Minutes are rounded up.
pub fn dsa15(figures: &Figures) -> String {
    let header = [
        "period_start",
        "period_end",
        "category",
        "notices_received",
        "notices_acted_on",
        "median_time_to_action_minutes",
        "median_is_a_lower_bound",
    ];
    let header = header.map(String::from).to_vec();
    let rows = figures.categories.iter().map(|group| {
        let median = group.closing.p50.or_else(|| median_of_few(&group.closing));
        vec![
            figures.first_day.clone(),
            figures.last_day.clone(),
            group.category.clone(),
            (group.received + group.repeats).to_string(),
            group.closed.to_string(),
            median.map_or_else(String::new, |median| ((median.secs + 59) / 60).to_string()),
            median.map_or_else(String::new, |median| median.beyond.to_string()),
        ]
    });
    write(std::iter::once(header).chain(rows))
}

/// The law asks for a median of however few.
fn median_of_few(times: &Times) -> Option<Length> {
    let mut survival = super::survival::Survival::exact();
    for each in &times.few {
        survival.add(crate::core::time::Span::from_secs(each.secs), !each.beyond);
    }
    survival.quantile(50).map(Length::from)
}

fn times(times: &Times) -> Vec<String> {
    let mut row = vec![times.count.to_string(), times.ended.to_string()];
    for percentile in [times.p50, times.p90, times.p99] {
        row.push(percentile.map_or_else(String::new, |length| length.secs.to_string()));
        row.push(percentile.map_or_else(String::new, |length| length.beyond.to_string()));
    }
    row
}

fn kept(kept: &Kept) -> [String; 4] {
    [kept.met, kept.missed, kept.undecided, kept.moot].map(|count| count.to_string())
}

fn write(rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| quoted(cell)).collect();
        out += &cells.join(",");
        out += "\r\n";
    }
    out
}

/// A category comes out of a database: one that begins like a formula must not become one in a spreadsheet.
fn quoted(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']) && cell.parse::<f64>().is_err();
    let cell = if formula { format!("'{cell}") } else { cell.to_owned() };
    if cell.contains(['"', ',', '\r', '\n']) { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell }
}
