//! The report as Markdown: tables that read well as plain text, for a ticket or a wiki.

use super::figures::{Figures, GroupFigures};
use super::words;

pub fn page(figures: &Figures) -> String {
    let mut out = format!("# SLA report {}\n\n", figures.week);
    out += &format!(
        "{} to {} ({}), as of {}, made {}.\n\n",
        figures.first_day, figures.last_day, figures.timezone, figures.as_of, figures.made_at
    );
    for warning in words::warnings(figures) {
        out += &format!("> **{}**\n>\n", cell(&warning));
    }
    for limit in &figures.limits {
        out += &format!("> Can't be enforced: {}\n>\n", cell(limit));
    }
    out += "\n## Deadlines\n\n";
    out += "| priority | kept | four weeks before | breaches | inherited | contradicted | received | closed | open | oldest |\n";
    out += "|---|---|---|---:|---:|---:|---:|---:|---:|---:|\n";
    for group in &figures.priorities {
        out += &format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            words::priority(&group.priority),
            words::kept(&group.deadlines),
            words::kept_before(&group.before),
            words::against(group.breaches.happened(), group.before.breaches_mean, &group.before),
            group.breaches.inherited,
            group.breaches.contradicted,
            words::against(group.received, group.before.received_mean, &group.before),
            words::against(group.closed, group.before.closed_mean, &group.before),
            words::grouped(group.open),
            group.oldest_secs.map_or_else(|| "–".to_owned(), words::span),
        );
    }
    out += "\n## How long it took\n\nOf the cases received in the week; those still open count until the end, \"> 3d\" is longer than that.\n\n";
    out += "| priority | category | first response | closing |\n|---|---|---|---|\n";
    for group in &figures.categories {
        out += &format!(
            "| {} | {} | {} | {} |\n",
            group.priority,
            cell(words::category(group)),
            words::times(&group.first_response),
            words::times(&group.closing)
        );
    }
    out += "\n## Worth a look\n\n";
    let looks: Vec<String> = figures.categories.iter().filter_map(look).collect();
    if looks.is_empty() {
        out += "Nothing.\n";
    }
    for line in looks {
        out += &format!("* {line}\n");
    }
    let lanes = [("P0", 0), ("the rest", 1)];
    out += "\n## Paging\n\n| | deadline to page | opening to acknowledgement | deadline to met |\n|---|---|---|---|\n";
    for (name, lane) in lanes {
        let paging = &figures.paging;
        out += &format!(
            "| {name} | {} | {} | {} |\n",
            words::times(&paging.to_page[lane]),
            words::times(&paging.to_acknowledge[lane]),
            words::times(&paging.to_act[lane])
        );
    }
    out
}

/// What stands out in a group, if anything does.
fn look(group: &GroupFigures) -> Option<String> {
    let counts = [
        (group.unreviewed, "closed as \"no violation\" without a second review"),
        (group.vanished, "vanished"),
        (group.bulk_closed, "closed in bulk"),
        (group.overturned, "overturned"),
        (group.reopenings, "reopened"),
        (group.repeats, "repeat reports"),
    ];
    let said: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    let name = format!("{} {}", group.priority, cell(words::category(group)));
    (!said.is_empty()).then(|| format!("{name}: {}", said.join(", ")))
}

/// A text that can't end its cell or begin markup.
fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' => out.extend(['\\', c]),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
