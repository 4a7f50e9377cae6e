//! The board: what is overdue in words, what can't be seen, incidents and who has them, the ranked queue, what became of
//! pages, what is kept quiet, the week so far, the sources. It is whole without a script; with one its sections are
//! kept as they are now. The templates escape everything that they are given.

mod banners;
pub mod lines;
mod week;

use super::api::{Moment, QueueEntry};
use super::quiets::{self, QuietEntry};
use super::when::{Spoken, When};
use super::words::{Level, counted, utc_words};
use super::{assets, cursor};
use crate::core::time::Timestamp;
use crate::core::view::{IncidentRow, QueueRow};
use crate::store::{Days, PageRow};
use askama::Template;
use banners::{Banner, banners};
use lines::{IncidentLine, PageLine, QueueLine, SourceLine};
pub use week::Week;

/// Rows of the queue on one page; more is slow to load on a phone.
pub const QUEUE_ROWS: usize = 100;
/// Incidents on the board; what is beyond is counted.
const INCIDENTS_SHOWN: usize = 100;
/// Pages on the board.
pub const PAGES_SHOWN: u32 = 25;

/// What the store says beside the view; `None` where it didn't answer.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'a> {
    pub pages: Option<&'a [PageRow]>,
    /// Pages that a permanent error parked, by the channel.
    pub parked: Option<&'a [(String, u64)]>,
    pub week: Option<(&'a Days, Week)>,
}

/// What one reader sees.
#[derive(Clone, Debug)]
pub struct Reader {
    /// Whether the page, without a script, loads itself anew every five seconds.
    pub refresh: bool,
    pub demo: bool,
    /// Who is signed in by a session, and may sign out; with the proof that the form needs.
    pub session: Option<(String, String)>,
    /// The proof of the demo's forms.
    pub proof: Option<String>,
}

/// A part of the board that is sent anew by itself.
pub struct Section {
    pub id: &'static str,
    pub html: String,
}

/// The whole page.
///
/// # Errors
/// When a template fails, which no input of ours makes it do.
pub fn render(moment: Moment<'_>, kept: Kept<'_>, reader: Reader) -> Result<String, askama::Error> {
    let summary = super::words::Summary::of(moment.view, moment.status, moment.now);
    let page = Board {
        style: assets::style(),
        script: assets::script(),
        icon: icon(summary.level),
        level: summary.level.as_str(),
        headline: &summary.headline,
        mode: moment.status.mode.as_str(),
        now: crate::zone::rfc3339(moment.now),
        now_words: utc_words(moment.now, moment.now),
        sections: sections(moment, kept, Some(moment.now), reader.demo)?,
        started_words: utc_words(moment.status.started_at, moment.now),
        deployment: &moment.status.deployment,
        version: moment.status.version,
        reader,
    };
    page.render()
}

/// The sections. `spoken` is now where the server says how long ago things were, and `None` where the browser does: then
/// a section changes only when something else than the time has.
///
/// # Errors
/// As `render`.
pub fn sections(
    moment: Moment<'_>,
    kept: Kept<'_>,
    spoken: Option<Timestamp>,
    demo: bool,
) -> Result<Vec<Section>, askama::Error> {
    let view = moment.view;
    let mut open: Vec<&IncidentRow> = view.incidents.iter().collect();
    // Stable: within each, the newest first.
    open.sort_by_key(|row| (row.incident.acknowledged.is_some(), row.priority));
    let shown = open.into_iter().take(INCIDENTS_SHOWN);
    let notices = Notices { banners: banners(moment, spoken, demo) };
    let incidents = Incidents {
        rows: shown.map(|row| IncidentLine::of(moment, row, spoken)).collect(),
        beyond: view.incidents.len().saturating_sub(INCIDENTS_SHOWN),
    };
    let pages = Pages {
        pages: kept.pages.map(|pages| pages.iter().map(|row| PageLine::of(moment, row, spoken)).collect()),
        parked: kept.parked.unwrap_or_default().to_vec(),
    };
    let quiets = Quiets { rows: quiets::entries(moment), until: spoken };
    let sources = moment.status.sources.iter().map(|source| SourceLine::of(moment, source, spoken));
    let section = |id, html| Section { id, html };
    Ok(vec![
        section("notices", notices.render()?),
        section("incidents", incidents.render()?),
        section("queue", queue(moment, &view.queue, spoken, QUEUE_ROWS).render()?),
        section("pages", pages.render()?),
        section("quiets", quiets.render()?),
        section("week", WeekSection { plots: kept.week.map(|(days, week)| week.plots(days)) }.render()?),
        section("sources", Sources { rows: sources.collect() }.render()?),
    ])
}

/// A page of the queue on its own, from the rows after a cursor.
///
/// # Errors
/// As `render`.
pub fn more(moment: Moment<'_>, rows: &[QueueRow]) -> Result<String, askama::Error> {
    let mut table = queue(moment, rows, Some(moment.now), QUEUE_ROWS);
    table.shown_words = match rows.len().min(QUEUE_ROWS) {
        0 => "No case comes after those before.".to_owned(),
        shown => format!("The next {} open cases, most urgent first.", counted(shown as u64)),
    };
    table.ranked = false;
    let html = table.render()?;
    More { style: assets::style(), html, now_words: utc_words(moment.now, moment.now) }.render()
}

/// The overdue cases of an incident, as a table of its own.
///
/// # Errors
/// As `render`.
pub fn members(moment: Moment<'_>, rows: &[QueueRow]) -> Result<String, askama::Error> {
    let mut table = queue(moment, rows, Some(moment.now), rows.len());
    table.shown_words = format!("Its {} most urgent overdue cases.", counted(rows.len() as u64));
    (table.title, table.ranked, table.next) = ("Cases", false, None);
    table.render()
}

fn queue(moment: Moment<'_>, rows: &[QueueRow], spoken: Option<Timestamp>, limit: usize) -> Queue {
    let summary = super::words::Summary::of(moment.view, moment.status, moment.now);
    let shown = rows.iter().take(limit).enumerate();
    let lines: Vec<QueueLine> = shown.map(|(at, row)| line(moment, at + 1, row, spoken)).collect();
    let next = rows.get(limit.saturating_sub(1)).filter(|_| rows.len() > limit || summary.open > limit as u64);
    Queue {
        title: "Queue",
        shown_words: shown_words(lines.len() as u64, summary.open, summary.sources_unseen),
        many_sources: moment.status.sources.len() > 1,
        next: next.and_then(|row| cursor::write(&row.rank, moment.keys)),
        ranked: true,
        rows: lines,
    }
}

/// A row of the queue as the board shows it.
pub fn line(moment: Moment<'_>, rank: usize, row: &QueueRow, spoken: Option<Timestamp>) -> QueueLine {
    let how = Spoken::Due { overdue: row.overdue, unverified: row.unverified };
    QueueLine {
        due: row.next.as_ref().map(|next| When::new(next.deadline, how, spoken)),
        received: When::new(row.received, Spoken::Ago, spoken),
        entry: QueueEntry::of(moment, rank, row),
    }
}

fn shown_words(shown: u64, open: u64, unseen: usize) -> String {
    match () {
        () if open == 0 && unseen > 0 => "No open case is known.".to_owned(),
        () if open == 0 => "No open cases.".to_owned(),
        () if shown >= open => format!("All {} open cases, most urgent first.", counted(open)),
        () => format!("The first {} of {} open cases, most urgent first.", counted(shown), counted(open)),
    }
}

#[derive(Template)]
#[template(path = "board.html", config = "src/web/askama.toml")]
struct Board<'a> {
    style: String,
    script: String,
    icon: &'static str,
    level: &'static str,
    headline: &'a str,
    mode: &'static str,
    now: String,
    now_words: String,
    sections: Vec<Section>,
    started_words: String,
    deployment: &'a str,
    version: &'a str,
    reader: Reader,
}

#[derive(Template)]
#[template(path = "more.html", config = "src/web/askama.toml")]
struct More {
    style: String,
    html: String,
    now_words: String,
}

#[derive(Template)]
#[template(path = "notices.html", config = "src/web/askama.toml")]
struct Notices {
    banners: Vec<Banner>,
}

#[derive(Template)]
#[template(path = "incidents.html", config = "src/web/askama.toml")]
struct Incidents {
    rows: Vec<IncidentLine>,
    beyond: usize,
}

#[derive(Template)]
#[template(path = "queue.html", config = "src/web/askama.toml")]
struct Queue {
    rows: Vec<QueueLine>,
    title: &'static str,
    shown_words: String,
    many_sources: bool,
    /// Where the next page of it begins.
    next: Option<String>,
    /// Whether the place of each row is known.
    ranked: bool,
}

#[derive(Template)]
#[template(path = "pages.html", config = "src/web/askama.toml")]
struct Pages {
    pages: Option<Vec<PageLine>>,
    parked: Vec<(String, u64)>,
}

#[derive(Template)]
#[template(path = "quiets.html", config = "src/web/askama.toml")]
struct Quiets {
    rows: Vec<QuietEntry>,
    until: Option<Timestamp>,
}

#[derive(Template)]
#[template(path = "week.html", config = "src/web/askama.toml")]
struct WeekSection {
    /// `None` where the store didn't answer.
    plots: Option<week::Plots>,
}

#[derive(Template)]
#[template(path = "sources.html", config = "src/web/askama.toml")]
struct Sources {
    rows: Vec<SourceLine>,
}

/// The tab's icon: its shape differs as well as its colour.
pub fn icon(level: Level) -> &'static str {
    match level {
        Level::Alarm => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Cpath \
             fill='%23b00020' d='M4 0 8 8H0z'/%3E%3C/svg%3E"
        }
        Level::Warning => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Cpath \
             fill='%23c27c00' d='M4 0 8 4 4 8 0 4z'/%3E%3C/svg%3E"
        }
        Level::Unknown | Level::Calm => {
            "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Ccircle \
             fill='%230b5cad' cx='4' cy='4' r='3'/%3E%3C/svg%3E"
        }
    }
}
