//! The lines of the board's lists: incidents, pages and sources, each as its template shows it.

use crate::core::incident::IncidentKind;
use crate::core::plan::PageKind;
use crate::core::policy::{Priority, Standing};
use crate::core::time::{Span, Timestamp};
use crate::core::view::IncidentRow;
use crate::status::{Sight, SourceStatus};
use crate::store::PageRow;
use crate::web::api::{Moment, QueueEntry};
use crate::web::when::{Spoken, When};
use crate::web::words::{self, counted, utc_words};
use serde::Deserialize;

/// A row of the queue.
pub struct QueueLine {
    pub entry: QueueEntry,
    /// Until its deadline.
    pub due: Option<When>,
    pub received: When,
}

impl QueueLine {
    /// The classes of its row; the words beside it say the same.
    pub fn row_class(&self) -> &'static str {
        match (self.entry.overdue, self.entry.priority) {
            (true, Priority::P0) => "overdue p0",
            (true, _) => "overdue lesser",
            (false, _) => "running",
        }
    }

    pub fn priority_class(&self) -> &'static str {
        match (self.entry.priority, self.entry.standing) {
            (Priority::P0, Standing::Known) => "p0",
            (Priority::P0, Standing::Presumed) => "p0 presumed",
            _ => "lesser",
        }
    }
}

/// An open incident.
pub struct IncidentLine {
    pub no: String,
    pub priority: &'static str,
    /// What it is about: a case's reference, a category or a bundle.
    pub about: String,
    /// The reference of its case, where it is about one.
    pub case: Option<String>,
    pub count: String,
    pub opened: When,
    /// "once", "3 times"; empty before the first.
    pub rang: String,
    pub rang_at: Option<When>,
    pub next_ring: Option<When>,
    pub escalation: String,
    /// Who has taken it, and when.
    pub taken: Option<(String, When)>,
}

impl IncidentLine {
    pub fn of(moment: Moment<'_>, row: &IncidentRow, spoken: Option<Timestamp>) -> Self {
        let incident = &row.incident;
        let category = words::category_words(&row.category);
        let case = match &incident.kind {
            IncidentKind::Episode(episode) => Some(moment.keys.reference(&episode.case)),
            _ => None,
        };
        let about = match &incident.kind {
            IncidentKind::Episode(_) => category.to_owned(),
            IncidentKind::Group { category } => words::category_words(category).to_owned(),
            other => words::about_no_case(other),
        };
        let when = |at, how| When::new(at, how, spoken);
        IncidentLine {
            no: incident.no.to_string(),
            priority: row.priority.as_str(),
            about,
            case,
            count: counted(row.count),
            opened: when(incident.opened_at, Spoken::Ago),
            rang: match incident.rounds {
                0 => String::new(),
                1 => "once".to_owned(),
                rounds => format!("{rounds} times"),
            },
            rang_at: incident.rung_at.filter(|_| incident.rounds > 0).map(|at| when(at, Spoken::Ago)),
            next_ring: incident.ring_at.or(incident.next_step.map(|step| step.at)).map(|at| when(at, Spoken::In)),
            escalation: incident.escalation.to_string(),
            taken: incident.acknowledged.as_ref().map(|taken| (taken.by.to_string(), when(taken.at, Spoken::Ago))),
        }
    }
}

/// A page and how far it got.
pub struct PageLine {
    pub at_words: String,
    pub at: When,
    pub incident: String,
    pub priority: &'static str,
    /// "ring", "resolve", "warning" or "warning over"
    pub kind: &'static str,
    pub channel: String,
    pub state: String,
    /// parked and undelivered pages must catch the eye
    pub state_class: &'static str,
    pub attempts: u32,
    pub answer: String,
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
    pub fn of(moment: Moment<'_>, row: &PageRow, spoken: Option<Timestamp>) -> Self {
        let page = &row.page;
        let said: Said = serde_json::from_str(&page.payload).unwrap_or_default();
        let warns = said.notice.is_some_and(|notice| notice.about == "warning");
        PageLine {
            at_words: utc_words(page.created_at, moment.now),
            at: When::new(page.created_at, Spoken::Ago, spoken),
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

/// A report database.
pub struct SourceLine {
    pub name: String,
    pub state: &'static str,
    pub state_class: &'static str,
    pub last_ok: Option<When>,
    pub took: String,
    pub rows: String,
    pub failed: Option<(When, String)>,
}

impl SourceLine {
    pub fn of(moment: Moment<'_>, source: &SourceStatus, spoken: Option<Timestamp>) -> Self {
        let sight = source.sight(moment.status.started_at, moment.now);
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
            last_ok: source.last_ok.map(|at| When::new(at, Spoken::Ago, spoken)),
            took: source.last_poll_took.map_or_else(|| "not known".to_owned(), millis),
            rows: if seen { counted(source.rows_last_scan) } else { "not known".to_owned() },
            failed: source
                .last_error
                .as_ref()
                .map(|error| (When::new(error.at, Spoken::Ago, spoken), error.cause.clone())),
        }
    }
}
