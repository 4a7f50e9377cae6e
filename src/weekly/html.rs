//! The report as one self-contained page: no script, nothing loaded, light and dark, and made to be printed
//! and mailed. What the figures can't know stands before the figures.

use super::figures::{Figures, GroupFigures, TargetFigures, Times};
use super::{svg, words};
use std::fmt::Write;

/// The style sheet inside every page.
pub const STYLE: &str = include_str!("style.css");

pub fn page(figures: &Figures) -> String {
    let mut out = head(figures);
    out += &first_page(figures);
    out += &durations(figures);
    out += &targets(figures);
    out += &looks(figures);
    out += &paging(figures);
    out += &gaps(figures);
    out += &method(figures);
    out += "</main>\n</body>\n</html>\n";
    out
}

pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

fn head(figures: &Figures) -> String {
    let (first, last) = (&figures.first_day, &figures.last_day);
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>SLA report {week}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<svg width=\"0\" height=\"0\" aria-hidden=\"true\" class=\"defs\"><defs>\
         <pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect width=\"6\" height=\"6\" class=\"hatch-ground\"/><rect width=\"2.4\" height=\"6\" class=\"hatch-line\"/>\
         </pattern></defs></svg>\n<header>\n\
         <p class=\"brand\">tocsin · deployment {deployment} · {mode}</p>\n<h1>SLA report {week}</h1>\n\
         <p>{first} to {last} ({zone}) · as of {as_of} · made {made}</p>\n</header>\n<main>\n",
        week = escaped(&figures.week),
        deployment = escaped(&figures.deployment),
        mode = escaped(&figures.mode),
        zone = escaped(&figures.timezone),
        as_of = escaped(&figures.as_of),
        made = escaped(&figures.made_at),
    )
}

fn first_page(figures: &Figures) -> String {
    let mut out = String::new();
    let warnings = words::warnings(figures);
    if !warnings.is_empty() {
        out += "<ul class=\"warnings\">\n";
        warnings.iter().for_each(|warning| out += &format!("<li>{}</li>\n", escaped(warning)));
        out += "</ul>\n";
    }
    out += &headline(figures);
    if !figures.limits.is_empty() {
        out += "<section class=\"limits\">\n<h2>What can't be enforced</h2>\n<ul>\n";
        figures.limits.iter().for_each(|limit| out += &format!("<li>{}</li>\n", escaped(limit)));
        out += "</ul>\n</section>\n";
    }
    out += "<section>\n<h2>Deadlines</h2>\n";
    out += &svg::deadlines(figures);
    if figures.priorities.iter().any(|group| group.deadlines.decided() > 0) {
        out += "<p class=\"legend\"><span class=\"swatch kept\"></span> kept in time \
                <span class=\"swatch missed\"></span> missed</p>\n";
    }
    let header = [
        "Priority",
        "#Kept",
        "#Four weeks before",
        "#Breaches",
        "#Inherited",
        "#Contradicted",
        "#Received",
        "#Closed",
        "#Open",
        "#Oldest open",
    ];
    let rows = figures.priorities.iter().map(priority_row).collect();
    out += &table("Each priority; in brackets the change against the mean of the four weeks before.", &header, rows);
    out += &svg::breaches(figures);
    out += "</section>\n<section>\n<h2>Still open</h2>\n";
    let ages = svg::ages(figures);
    out += if ages.is_empty() { "<p>Nothing was open.</p>\n" } else { &ages };
    if !ages.is_empty() {
        let labels: Vec<String> = words::AGE_LABELS.iter().map(|label| format!("#{label}")).collect();
        let header: Vec<&str> = ["Priority"].into_iter().chain(labels.iter().map(String::as_str)).collect();
        let open = figures.priorities.iter().filter(|group| group.open > 0);
        let rows = open.map(|group| {
            let ages = group.open_ages.iter().map(|count| words::grouped(*count));
            [words::priority(&group.priority)].into_iter().chain(ages).collect()
        });
        out += &table("Open cases by age.", &header, rows.collect());
    }
    out + "</section>\n"
}

/// The one line that must not be misread.
fn headline(figures: &Figures) -> String {
    let p0 = figures.priorities.iter().find(|group| group.priority == "P0");
    let others: u64 =
        figures.priorities.iter().filter(|group| group.priority != "P0").map(|group| group.breaches.happened()).sum();
    let (class, said) = match p0 {
        Some(group) if group.deadlines.missed + group.breaches.happened() > 0 => {
            let missed = group.deadlines.missed.max(group.breaches.happened());
            ("alarm", format!("Minor safety: {} missed", plural(missed, "deadline")))
        }
        Some(group) if group.deadlines.undecided > 0 => {
            ("warning", format!("Minor safety: {} undecided", plural(group.deadlines.undecided, "deadline")))
        }
        Some(group) => ("calm", format!("Minor safety: deadlines kept {}", words::kept(&group.deadlines))),
        None => ("calm", "Minor safety: no reports".to_owned()),
    };
    format!("<p class=\"headline {class}\">{} · {} below it</p>\n", escaped(&said), plural(others, "breach"))
}

fn plural(count: u64, what: &str) -> String {
    let ending = match (count, what.ends_with("ch")) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{} {what}{ending}", words::grouped(count))
}

fn priority_row(group: &GroupFigures) -> Vec<String> {
    let before = &group.before;
    let mut kept = words::kept(&group.deadlines);
    if group.deadlines.undecided > 0 {
        let _ = write!(kept, ", {} undecided", group.deadlines.undecided);
    }
    let mut breaches = words::against(group.breaches.happened(), before.breaches_mean, before);
    if group.breaches.unverified > 0 {
        let _ = write!(breaches, ", {} unverified", group.breaches.unverified);
    }
    vec![
        words::priority(&group.priority),
        kept,
        words::kept_before(before),
        breaches,
        words::grouped(group.breaches.inherited),
        words::grouped(group.breaches.contradicted),
        words::against(group.received, before.received_mean, before),
        words::against(group.closed, before.closed_mean, before),
        words::grouped(group.open),
        group.oldest_secs.map_or_else(|| "–".to_owned(), words::span),
    ]
}

fn durations(figures: &Figures) -> String {
    let header = [
        "Priority",
        "Category",
        "#Received",
        "#Response p50",
        "#p90",
        "#p99",
        "#Closing p50",
        "#p90",
        "#p99",
        "#Open",
        "#Oldest",
    ];
    let rows = figures.categories.iter().map(|group| {
        let mut row = vec![group.priority.clone(), words::category(group).to_owned(), words::grouped(group.received)];
        row.extend(percentiles(&group.first_response));
        row.extend(percentiles(&group.closing));
        row.push(words::grouped(group.open));
        row.push(group.oldest_secs.map_or_else(|| "–".to_owned(), words::span));
        row
    });
    let caption = "Cases received in the week, from receipt to the first response of a person and to closing. Those still \
                   open count until the end: \"> 3d\" is longer than that, nobody knows by how much. Fewer than ten are \
                   listed one by one.";
    format!("<section>\n<h2>How long it took</h2>\n{}</section>\n", table(caption, &header, rows.collect()))
}

/// Three cells; where there are few, the first lists them.
fn percentiles(times: &Times) -> [String; 3] {
    match times.p50 {
        None => [words::few(times), String::new(), String::new()],
        Some(_) => [times.p50, times.p90, times.p99].map(words::percentile),
    }
}

fn targets(figures: &Figures) -> String {
    if figures.targets.is_empty() {
        return String::new();
    }
    let header = ["Priority", "Category", "Target", "#Fell due", "#Kept", "#Missed", "#Undecided", "#Moot", "#Share"];
    let row = |target: &TargetFigures| {
        let kept = &target.deadlines;
        let counts = [kept.decided() + kept.undecided + kept.moot, kept.met, kept.missed, kept.undecided, kept.moot];
        let category = if target.category.is_empty() { "(none)" } else { &target.category };
        let mut row = vec![target.priority.clone(), category.to_owned(), target.target.clone()];
        row.extend(counts.map(words::grouped));
        row.push(words::kept(kept));
        row
    };
    let rows = figures.targets.iter().map(row).collect();
    let caption = "Deadlines that fell in the week, each in one of four: met in time, missed, not known yet, or nothing left \
                   to wait for.";
    format!("<section>\n<h2>Targets</h2>\n{}</section>\n", table(caption, &header, rows))
}

fn looks(figures: &Figures) -> String {
    let counts = |group: &GroupFigures| {
        [group.unreviewed, group.vanished, group.bulk_closed, group.overturned, group.reopenings, group.repeats]
    };
    let groups = figures.categories.iter().filter(|group| counts(group).iter().any(|count| *count > 0));
    let rows: Vec<Vec<String>> = groups
        .map(|group| {
            let names = [group.priority.clone(), words::category(group).to_owned()];
            names.into_iter().chain(counts(group).map(words::grouped)).collect()
        })
        .collect();
    let header = [
        "Priority",
        "Category",
        "#No violation, unreviewed",
        "#Vanished",
        "#Closed in bulk",
        "#Overturned",
        "#Reopened",
        "#Repeat reports",
    ];
    let caption = "Closures as \"no violation\" that no second, different person reviewed; rows that were gone while open; ten \
                   or more closures in one second; and what came back.";
    let body = if rows.is_empty() { "<p>Nothing.</p>\n".to_owned() } else { table(caption, &header, rows) };
    format!("<section>\n<h2>Worth a look</h2>\n{body}</section>\n")
}

fn paging(figures: &Figures) -> String {
    let paging = &figures.paging;
    let rows = [("P0 minor safety", 0), ("The rest", 1)].map(|(name, lane)| {
        let times = [&paging.to_page[lane], &paging.to_acknowledge[lane], &paging.to_act[lane]];
        [name.to_owned()].into_iter().chain(times.map(words::times)).collect()
    });
    let header = ["", "Deadline to page", "Opening to acknowledgement", "Deadline to met"];
    let caption = format!("{} opened.", plural(paging.incidents_opened, "incident"));
    let mut out = format!("<section>\n<h2>Paging</h2>\n{}", table(&caption, &header, rows.to_vec()));
    if !paging.channels.is_empty() {
        let header = ["Channel", "#Rings", "#Resolves", "#Accepted", "#Parked", "#Waiting"];
        let rows = paging.channels.iter().map(|channel| {
            let counts = [channel.rings, channel.resolves, channel.accepted, channel.parked, channel.waiting];
            [channel.channel.clone()].into_iter().chain(counts.map(words::grouped)).collect()
        });
        out += &table("Pages by channel. What is parked reached nobody.", &header, rows.collect());
    }
    out + "</section>\n"
}

fn gaps(figures: &Figures) -> String {
    let sight = &figures.sight;
    let blind: i64 = sight.sources.iter().map(|source| source.blind_secs).sum();
    if sight.gaps.is_empty() {
        let said =
            if blind + sight.down_secs == 0 { "The monitor watched without a gap since it first ran." } else { "" };
        return format!("<section>\n<h2>Hours without sight</h2>\n<p>{said}</p>\n</section>\n");
    }
    let rows = sight.gaps.iter().map(|gap| {
        let what =
            if gap.source.is_empty() { "the monitor was down".to_owned() } else { format!("{} not seen", gap.source) };
        vec![what, gap.from.clone(), gap.until.clone(), words::span(gap.secs)]
    });
    let caption = "Whatever happened then was found late or not at all.";
    let table = table(caption, &["", "From", "Until", "#Length"], rows.collect());
    format!("<section>\n<h2>Hours without sight</h2>\n{table}</section>\n")
}

fn method(figures: &Figures) -> String {
    let rows: u64 = figures.priorities.iter().map(|group| group.from_rows).sum();
    let from_rows = match rows {
        0 => String::new(),
        _ => format!(
            " {} known from final rows only, which can't tell pauses, reopenings or erased answers.",
            plural(rows, "case")
        ),
    };
    format!(
        "<footer>\n<p>Percentiles by Kaplan-Meier, open cases censored. Kept: met in time, of the deadlines that fell in the \
         week. A verified breach stays one; what the database said later is counted beside it.{from_rows} Policy {policy}.</p>\n\
         </footer>\n",
        policy = escaped(figures.policy.get(..12).unwrap_or(&figures.policy)),
    )
}

/// A table with real headers; a `#` before a name aligns its column as numbers.
fn table(caption: &str, header: &[&str], rows: Vec<Vec<String>>) -> String {
    let class = |name: &str| if name.starts_with('#') { " class=\"number\"" } else { "" };
    let mut out = format!("<div class=\"scroll\"><table>\n<caption>{}</caption>\n<thead><tr>", escaped(caption));
    for name in header {
        let _ = write!(out, "<th scope=\"col\"{}>{}</th>", class(name), escaped(name.trim_start_matches('#')));
    }
    out += "</tr></thead>\n<tbody>\n";
    for row in rows {
        out += "<tr>";
        for (place, (text, name)) in row.iter().zip(header).enumerate() {
            let text = escaped(text);
            let _ = match place {
                0 => write!(out, "<th scope=\"row\">{text}</th>"),
                _ => write!(out, "<td{}>{text}</td>", class(name)),
            };
        }
        out += "</tr>\n";
    }
    out + "</tbody>\n</table></div>\n"
}
