//! The plain page: what is overdue in words, what can't be seen, the ranked queue, incidents, pages and
//! sources. It needs no script and no second request. The template escapes everything that it is given.

use super::api::{Moment, QueueBody, QueueEntry};
use super::quiets::{self, QuietEntry};
use super::words::{self, Level, ago, counted, utc_words};
use crate::core::incident::IncidentKind;
use crate::core::plan::PageKind;
use crate::core::policy::{Priority, Standing};
use crate::core::time::Span;
use crate::core::view::IncidentRow;
use crate::status::{Mode, Sight, SourceStatus};
use crate::store::PageRow;
use crate::zone;
use askama::Template;
use serde::Deserialize;
use std::collections::BTreeSet;

/// The style sheet, put into the page as it is; the guard allows it by its hash.
pub const STYLE: &str = include_str!("style.css");

/// Presumed categories listed by name in the banner; the rest are counted.
const PRESUMED_NAMED_MAX: usize = 12;

#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Rows of the queue to show.
    pub rows: usize,
    /// Whether the page loads itself anew every two seconds.
    pub refresh: bool,
    pub demo: bool,
}

/// # Errors
/// When the template fails, which no input of ours makes it do.
pub fn render(moment: Moment<'_>, pages: Option<&[PageRow]>, options: Options) -> Result<String, askama::Error> {
    let queue = QueueBody::of(moment, options.rows);
    let page = PlainPage {
        style: STYLE,
        icon: icon(queue.summary.level),
        shown_words: shown_words(&queue),
        banners: banners(moment, options.demo),
        many_sources: moment.status.sources.len() > 1,
        incidents: moment.view.incidents.iter().map(|row| IncidentLine::of(moment, row)).collect(),
        quiets: quiets::entries(moment),
        pages: pages.map(|pages| pages.iter().map(|row| PageLine::of(moment, row)).collect()),
        sources: moment.status.sources.iter().map(|source| SourceLine::of(moment, source)).collect(),
        now_words: utc_words(moment.now, moment.now),
        started_words: utc_words(moment.status.started_at, moment.now),
        deployment: &moment.status.deployment,
        version: moment.status.version,
        more: queue.queue.len() < moment.view.queue.len(),
        options,
        queue,
    };
    page.render()
}

#[derive(Template)]
#[template(path = "page.html", config = "src/web/askama.toml")]
struct PlainPage<'a> {
    style: &'static str,
    icon: &'static str,
    queue: QueueBody,
    shown_words: String,
    banners: Vec<Banner>,
    many_sources: bool,
    incidents: Vec<IncidentLine>,
    quiets: Vec<QuietEntry>,
    /// `None` when the store didn't answer.
    pages: Option<Vec<PageLine>>,
    sources: Vec<SourceLine>,
    now_words: String,
    started_words: String,
    deployment: &'a str,
    version: &'a str,
    /// Whether the view holds rows that aren't shown.
    more: bool,
    options: Options,
}

impl QueueEntry {
    /// The classes of its row; the words beside it say the same.
    fn row_class(&self) -> &'static str {
        match (self.overdue, self.priority) {
            (true, Priority::P0) => "overdue p0",
            (true, _) => "overdue lesser",
            (false, _) => "running",
        }
    }

    fn priority_class(&self) -> &'static str {
        match (self.priority, self.standing) {
            (Priority::P0, Standing::Known) => "p0",
            (Priority::P0, Standing::Presumed) => "p0 presumed",
            _ => "lesser",
        }
    }
}

struct Banner {
    /// alarm, warning or info: the class.
    level: &'static str,
    /// The kind in a word or two, since colour alone says nothing.
    label: &'static str,
    text: String,
    /// Names out of a database, each shown apart.
    names: Vec<String>,
}

impl Banner {
    fn new(level: &'static str, label: &'static str, text: String) -> Self {
        Banner { level, label, text, names: Vec::new() }
    }
}

/// Worst first.
fn banners(moment: Moment<'_>, demo: bool) -> Vec<Banner> {
    let Moment { status, now, .. } = moment;
    let mut banners = Vec::new();
    if let Some(silent) = status.engine_silent(now) {
        let text = format!("The engine has taken up nothing for {silent}: no deadline is being checked.");
        banners.push(Banner::new("alarm", "Stuck", text));
    }
    let mut notes = Vec::new();
    for source in &status.sources {
        let name = &source.name;
        match source.sight(status.started_at, now) {
            Sight::Blind { since, cause } => {
                let (at, long) = (utc_words(since, now), now.since(since).max(Span::ZERO));
                let text = format!("{name} has not been seen for {long}, since {at}: {cause}");
                banners.push(Banner::new("alarm", "Blind", text));
            }
            Sight::Failing { cause } => {
                let text = format!("The last read of {name} failed: {cause}");
                notes.push(Banner::new("warning", "Read failed", text));
            }
            Sight::NotYet => {
                notes.push(Banner::new("info", "Starting", format!("{name} is being read for the first time.")));
            }
            Sight::Clear | Sight::Doubted { .. } => {}
        }
        let blindness = source.blindness(status.started_at, now);
        for doubt in blindness.iter().filter(|blindness| !blindness.kind.hides()) {
            let text = format!("{name}, {}, since {}: {}", doubt.kind.words(), utc_words(doubt.since, now), doubt.why);
            banners.push(Banner::new("alarm", "In doubt", text));
        }
    }
    for doubt in &status.store.blind {
        let text = format!("The store, {}, since {}: {}", doubt.kind.words(), utc_words(doubt.since, now), doubt.why);
        banners.push(Banner::new("alarm", "In doubt", text));
    }
    if let Some(error) = status.store.failing() {
        let (at, cause) = (utc_words(error.at, now), &error.cause);
        let text = format!("The store has taken no writes since {at}, so no new page goes out: {cause}");
        banners.push(Banner::new("alarm", "Store", text));
    }
    if !status.leader {
        banners.push(Banner::new("warning", "Standby", "This process does not page; another one leads.".into()));
    }
    banners.append(&mut notes);
    banners.extend(presumed_banner(moment));
    if status.mode == Mode::Shadow {
        let text = "Nobody is paged: pages go to the log only.".to_owned();
        banners.push(Banner::new("info", "Shadow mode", text));
    }
    if demo {
        let text = "Every report here is synthetic, made up by this program.".to_owned();
        banners.push(Banner::new("info", "Demo", text));
    }
    banners
}

fn presumed_banner(moment: Moment<'_>) -> Option<Banner> {
    let categories: BTreeSet<&str> = moment.view.presumed_categories.iter().map(|(_, name)| &**name).collect();
    let text = match categories.len() {
        0 => return None,
        1 => "1 category nobody has named: presumed minor safety".to_owned(),
        count => format!("{} categories nobody has named: presumed minor safety", counted(count as u64)),
    };
    let mut banner = Banner::new("warning", "Presumed", text);
    let shown = categories.iter().take(PRESUMED_NAMED_MAX);
    banner.names = shown.map(|category| words::category_words(category).to_owned()).collect();
    let rest = categories.len().saturating_sub(PRESUMED_NAMED_MAX);
    if rest > 0 {
        banner.names.push(format!("and {} more", counted(rest as u64)));
    }
    Some(banner)
}

fn shown_words(queue: &QueueBody) -> String {
    let (shown, open) = (queue.queue.len() as u64, queue.summary.open);
    match () {
        () if open == 0 && queue.summary.sources_unseen > 0 => "No open case is known.".to_owned(),
        () if open == 0 => "No open cases.".to_owned(),
        () if shown >= open => format!("All {} open cases, most urgent first.", counted(open)),
        () => format!("The first {} of {} open cases, most urgent first.", counted(shown), counted(open)),
    }
}

struct IncidentLine {
    no: String,
    priority: &'static str,
    /// What it is about: a case's reference, a category or a bundle.
    about: String,
    count: String,
    opened_ago: String,
    opened_at: String,
    rung: String,
    escalation: String,
    /// Who has taken it, or that nobody has.
    taken: String,
}

impl IncidentLine {
    fn of(moment: Moment<'_>, row: &IncidentRow) -> Self {
        let (incident, now) = (&row.incident, moment.now);
        let category = words::category_words(&row.category);
        let about = match &incident.kind {
            IncidentKind::Episode(episode) => format!("{category}, {}", moment.keys.reference(&episode.case)),
            IncidentKind::Group { category } => words::category_words(category).to_owned(),
            IncidentKind::Bundle { members } => format!("bundle of {} incidents", members.len()),
            other => words::about_no_case(other),
        };
        let mut rung = match (incident.rounds, incident.rung_at) {
            (0, _) | (_, None) => "not yet".to_owned(),
            (1, Some(at)) => format!("once, {}", ago(at, now)),
            (rounds, Some(at)) => format!("{rounds} times, last {}", ago(at, now)),
        };
        if let Some(at) = incident.ring_at {
            rung.push_str(&format!("; next in {}", at.since(now).max(Span::ZERO)));
        }
        IncidentLine {
            no: incident.no.to_string(),
            priority: row.priority.as_str(),
            about,
            count: counted(row.count),
            opened_ago: ago(incident.opened_at, now),
            opened_at: zone::rfc3339(incident.opened_at),
            rung,
            escalation: incident.escalation.to_string(),
            taken: match &incident.acknowledged {
                Some(taken) => format!("{}, {}", taken.by, ago(taken.at, now)),
                None => "nobody".to_owned(),
            },
        }
    }
}

struct PageLine {
    at: String,
    at_words: String,
    at_ago: String,
    incident: String,
    priority: &'static str,
    /// "ring", "resolve", "warning" or "warning over"
    kind: &'static str,
    channel: String,
    state: String,
    /// parked and undelivered pages must catch the eye
    state_class: &'static str,
    attempts: u32,
    answer: String,
}

/// What the list needs of a page's payload: a warning is no incident's ring.
#[derive(Default, Deserialize)]
struct Said {
    incident: Option<String>,
    notice: Option<About>,
}

#[derive(Deserialize)]
struct About {
    about: String,
}

impl PageLine {
    fn of(moment: Moment<'_>, row: &PageRow) -> Self {
        let (page, now) = (&row.page, moment.now);
        let said: Said = serde_json::from_str(&page.payload).unwrap_or_default();
        let warns = said.notice.is_some_and(|notice| notice.about == "warning");
        PageLine {
            at: zone::rfc3339(page.created_at),
            at_words: utc_words(page.created_at, now),
            at_ago: ago(page.created_at, now),
            incident: said.incident.unwrap_or_else(|| page.incident.to_string()),
            priority: page.priority.as_str(),
            kind: match (warns, page.kind) {
                (true, PageKind::Ring) => "warning",
                (true, PageKind::Resolve) => "warning over",
                (false, kind) => kind.as_str(),
            },
            channel: page.channel.to_string(),
            state: match row.state.as_str() {
                "queued" | "leased" if row.attempts > 0 => format!("{}, not accepted yet", row.state),
                state => state.to_owned(),
            },
            state_class: match row.state.as_str() {
                "parked" => "bad",
                "queued" | "leased" if row.attempts > 0 => "bad",
                _ => "fine",
            },
            attempts: row.attempts,
            answer: row.last_answer.clone().unwrap_or_else(|| "none yet".to_owned()),
        }
    }
}

struct SourceLine {
    name: String,
    state: &'static str,
    state_class: &'static str,
    last_ok: String,
    took: String,
    rows: String,
    last_error: String,
}

impl SourceLine {
    fn of(moment: Moment<'_>, source: &SourceStatus) -> Self {
        let now = moment.now;
        let sight = source.sight(moment.status.started_at, now);
        let seen = sight.is_seen();
        let millis = |span: Span| format!("{} ms", counted(u64::try_from(span.micros() / 1_000).unwrap_or(0)));
        SourceLine {
            name: source.name.to_string(),
            state: match sight {
                Sight::Clear if source.caught_up => "seen",
                Sight::Clear => "seen, first look under way",
                Sight::Failing { .. } => "seen, last read failed",
                Sight::NotYet => "not yet read",
                Sight::Doubted { .. } => "seen, in doubt",
                Sight::Blind { .. } => "blind",
            },
            state_class: if matches!(sight, Sight::Clear) { "fine" } else { "bad" },
            last_ok: source.last_ok.map_or_else(|| "never".to_owned(), |at| ago(at, now)),
            took: source.last_poll_took.map_or_else(|| "not known".to_owned(), millis),
            rows: if seen { counted(source.rows_last_scan) } else { "not known".to_owned() },
            last_error: source
                .last_error
                .as_ref()
                .map_or_else(|| "none".to_owned(), |error| format!("{}: {}", ago(error.at, now), error.cause)),
        }
    }
}

/// The tab's icon: its shape differs as well as its colour.
fn icon(level: Level) -> &'static str {
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
