//! The charts, as inline SVG. Colours come from the page's own variables, so that one drawing serves light,
//! dark and print; kept and missed differ by hatching too, for whoever can't tell the colours apart. Every
//! chart carries its figures as a text.

use super::figures::{Figures, GroupFigures};
use super::html::escaped;
use super::words;
use std::fmt::Write;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 128.0;
const RIGHT: f64 = 200.0;

/// One chart with its title and text; `id` is unique on the page.
fn chart(id: &str, title: &str, text: &str, height: f64, body: &str) -> String {
    sized_chart(id, title, text, (WIDTH, height), body)
}

fn sized_chart(id: &str, title: &str, text: &str, (width, height): (f64, f64), body: &str) -> String {
    format!(
        "<figure><figcaption>{caption}</figcaption><svg class=\"chart\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-title {id}-text\">\
         <title id=\"{id}-title\">{}</title><desc id=\"{id}-text\">{}</desc>{body}</svg></figure>\n",
        escaped(title),
        escaped(text),
        caption = escaped(title),
    )
}

/// Deadlines kept and missed, a bar a priority, each as wide as its share.
pub fn deadlines(figures: &Figures) -> String {
    const ROW: f64 = 34.0;
    let rows: Vec<&GroupFigures> = figures.priorities.iter().filter(|group| group.deadlines.decided() > 0).collect();
    if rows.is_empty() {
        return String::new();
    }
    let (mut body, mut text) = (String::new(), String::new());
    let width = WIDTH - LEFT - RIGHT;
    for (place, group) in rows.iter().enumerate() {
        let (y, share) = (place as f64 * ROW + 4.0, group.deadlines.share().unwrap_or(0.0));
        let kept_width = (width * share).min(if group.deadlines.missed > 0 { width - 2.0 } else { width });
        let middle = y + 15.0;
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{middle:.0}\" class=\"name\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{y:.0}\" width=\"{kept_width:.1}\" height=\"22\" class=\"kept\"/>",
            LEFT - 10.0,
            escaped(&words::priority(&group.priority))
        );
        if group.deadlines.missed > 0 {
            let _ = write!(
                body,
                "<rect x=\"{:.1}\" y=\"{y:.0}\" width=\"{:.1}\" height=\"22\" class=\"missed\"/>",
                LEFT + kept_width,
                width - kept_width
            );
        }
        let said = words::kept(&group.deadlines);
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{middle:.0}\" class=\"value\">{}</text>",
            WIDTH - RIGHT + 10.0,
            escaped(&said)
        );
        let _ = write!(text, "{}: {said}. ", words::priority(&group.priority));
    }
    let height = rows.len() as f64 * ROW + 4.0;
    chart("deadlines", "Deadlines kept, by priority", text.trim_end(), height, &body)
}

/// Breaches of this week and the four before, a group of bars a priority.
pub fn breaches(figures: &Figures) -> String {
    const HEIGHT: f64 = 190.0;
    const FLOOR: f64 = 140.0;
    const TOP: f64 = 24.0;
    let rows: Vec<(&GroupFigures, [u64; 5])> = figures
        .priorities
        .iter()
        .map(|group| (group, by_week(group)))
        .filter(|(_, w)| w.iter().any(|n| *n > 0))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let slot = WIDTH / rows.len() as f64;
    let bar = ((slot - 24.0) / 5.0).min(44.0);
    let (mut body, mut text) = (String::new(), String::new());
    let _ = write!(body, "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{FLOOR}\" y2=\"{FLOOR}\" class=\"axis\"/>");
    for (place, (group, weeks)) in rows.iter().enumerate() {
        let begin = place as f64 * slot + (slot - bar * 5.0) / 2.0;
        let name = words::priority(&group.priority);
        // Each on a scale of its own: a child's deadline must not vanish beside a thousand of spam.
        let most = weeks.iter().copied().max().unwrap_or(1).max(1);
        for (at, count) in weeks.iter().enumerate() {
            let height = (FLOOR - TOP) * *count as f64 / most as f64;
            let (x, class) = (begin + at as f64 * bar, if at == 4 { "missed" } else { "before" });
            let _ = write!(
                body,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" class=\"{class}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"count\">{}</text>\
                 <text x=\"{:.1}\" y=\"{:.0}\" class=\"tick\">{}</text>",
                x + 2.0,
                FLOOR - height,
                bar - 4.0,
                x + bar / 2.0,
                FLOOR - height - 4.0,
                words::grouped(*count),
                x + bar / 2.0,
                FLOOR + 14.0,
                if at == 4 { "now".to_owned() } else { format!("−{}", 4 - at) }
            );
        }
        let _ = write!(
            body,
            "<text x=\"{:.1}\" y=\"{:.0}\" class=\"middle\">{}</text>",
            begin + bar * 2.5,
            FLOOR + 36.0,
            escaped(&name)
        );
        let listed: Vec<String> = weeks.iter().map(ToString::to_string).collect();
        let _ = write!(text, "{name}: {}. ", listed.join(", "));
    }
    let title = "Breaches in the four weeks before and in this week, each priority on a scale of its own";
    chart("breaches", title, text.trim_end(), HEIGHT, &body)
}

/// The four weeks before, the earliest first, and the week itself.
pub fn by_week(group: &GroupFigures) -> [u64; 5] {
    let mut weeks = [0; 5];
    for (place, count) in group.before.breaches.iter().rev().enumerate() {
        weeks[place] = *count;
    }
    weeks[4] = group.breaches.happened();
    weeks
}

/// How old what is open is: a row a priority, its bars as high as the largest of the row.
pub fn ages(figures: &Figures) -> String {
    const ROW: f64 = 74.0;
    const BAR: f64 = 44.0;
    let rows: Vec<&GroupFigures> = figures.priorities.iter().filter(|group| group.open > 0).collect();
    if rows.is_empty() {
        return String::new();
    }
    let (mut body, mut text) = (String::new(), String::new());
    let step = (WIDTH - LEFT) / words::AGE_LABELS.len() as f64;
    for (place, group) in rows.iter().enumerate() {
        let floor = place as f64 * ROW + 60.0;
        let most = group.open_ages.iter().copied().max().unwrap_or(0).max(1);
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{:.0}\" class=\"name\">{}</text>\
             <text x=\"{:.0}\" y=\"{:.0}\" class=\"name quiet\">{} open</text>\
             <line x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{floor}\" y2=\"{floor}\" class=\"axis\"/>",
            LEFT - 10.0,
            floor - 18.0,
            escaped(&words::priority(&group.priority)),
            LEFT - 10.0,
            floor - 2.0,
            words::grouped(group.open)
        );
        let mut said = Vec::new();
        for (at, (count, label)) in group.open_ages.iter().zip(words::AGE_LABELS).enumerate() {
            if *count == 0 {
                continue;
            }
            let height = (BAR * *count as f64 / most as f64).max(1.5);
            let x = LEFT + at as f64 * step;
            let _ = write!(
                body,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" class=\"open\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"count\">{}</text>",
                x + 6.0,
                floor - height,
                step - 12.0,
                x + step / 2.0,
                floor - height - 3.0,
                words::grouped(*count)
            );
            said.push(format!("{count} {label}"));
        }
        let _ = write!(text, "{}: {}. ", words::priority(&group.priority), said.join(", "));
    }
    let floor = rows.len() as f64 * ROW - 14.0;
    for (at, label) in words::AGE_LABELS.iter().enumerate() {
        let x = LEFT + (at as f64 + 0.5) * step;
        let _ = write!(body, "<text x=\"{x:.1}\" y=\"{:.0}\" class=\"tick\">{}</text>", floor + 16.0, escaped(label));
    }
    chart("ages", "Open cases by age, by priority", text.trim_end(), floor + 24.0, &body)
}

/// Small bars, one a day of the week so far, a row for each label on a scale of its own. Days to come are left out of
/// the text; `misses` says which colour.
pub fn days(id: &str, title: &str, rows: &[(String, [u64; 7])], today: usize, misses: bool) -> String {
    const ROW: f64 = 46.0;
    const BAR: f64 = 26.0;
    const NAMES: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
    if rows.is_empty() {
        return String::new();
    }
    const NARROW: f64 = 340.0;
    const LABEL: f64 = 36.0;
    let step = (NARROW - LABEL) / 7.0;
    let (mut body, mut text) = (String::new(), String::new());
    for (place, (label, counts)) in rows.iter().enumerate() {
        let floor = place as f64 * ROW + 40.0;
        let most = counts.iter().copied().max().unwrap_or(0).max(1);
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{floor:.0}\" class=\"name\">{}</text>\
             <line x1=\"{LABEL}\" x2=\"{NARROW}\" y1=\"{floor}\" y2=\"{floor}\" class=\"axis\"/>",
            LABEL - 8.0,
            escaped(label)
        );
        let mut said = Vec::new();
        for (day, count) in counts.iter().enumerate().take(today + 1) {
            let x = LABEL + day as f64 * step;
            said.push(format!("{} {count}", NAMES[day]));
            if *count == 0 {
                continue;
            }
            let height = (BAR * *count as f64 / most as f64).max(1.5);
            let class = if misses { "missed" } else { "open" };
            let _ = write!(
                body,
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" class=\"{class}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" class=\"count\">{}</text>",
                x + 4.0,
                floor - height,
                step - 8.0,
                x + step / 2.0,
                floor - height - 3.0,
                words::grouped(*count)
            );
        }
        let _ = write!(text, "{label}: {}. ", said.join(", "));
    }
    let floor = (rows.len() - 1) as f64 * ROW + 40.0;
    for (day, name) in NAMES.iter().enumerate() {
        let x = LABEL + (day as f64 + 0.5) * step;
        let class = if day == today { "tick today" } else { "tick" };
        let _ = write!(body, "<text x=\"{x:.1}\" y=\"{:.0}\" class=\"{class}\">{}</text>", floor + 15.0, &name[..2]);
    }
    sized_chart(id, title, text.trim_end(), (NARROW, floor + 22.0), &body)
}
