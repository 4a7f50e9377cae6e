//! A case's page: what it is, why each of its deadlines is what it is, and everything that happened to it in order.
//! References, categories and times; never what was reported.

use super::found::{self, Found, NotFound};
use super::when::{Spoken, When};
use super::words::{category_words, priority_words, utc_words};
use super::{WebState, assets, plain};
use crate::core::calendar::{Interval, Stretch};
use crate::core::case::Case;
use crate::core::clock::Ending;
use crate::core::explain::{ExplainedState, TargetExplained};
use crate::core::observation::Actor;
use crate::core::plan::{BreachRecord, BreachStatus, PageKind};
use crate::core::policy::{Due, Priority};
use crate::core::time::Timestamp;
use crate::store::PageRow;
use crate::zone::rfc3339;
use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

/// Stretches of a walk that are shown; a clock on office hours has two a day.
const STRETCHES_MAX: usize = 60;
/// Reports that are named.
const REPORTS_MAX: usize = 50;
/// Lines of the timeline.
const HAPPENED_MAX: usize = 500;
const PAGES_MAX: u32 = 200;

#[derive(Template)]
#[template(path = "case.html", config = "src/web/askama.toml")]
struct CasePage {
    style: String,
    reference: String,
    priority_words: &'static str,
    category: String,
    is_p0: bool,
    overdue: bool,
    now_words: String,
    source_seen: bool,
    state: String,
    received: When,
    received_words: String,
    rule: String,
    escalation: String,
    incident: Option<String>,
    source: String,
    reports: Vec<(String, Option<String>)>,
    report_count: usize,
    targets: Vec<TargetLine>,
    timeline: Vec<Happened>,
    store_answered: bool,
}

struct TargetLine {
    name: String,
    state: String,
    class: &'static str,
    from: &'static str,
    until: &'static str,
    due: String,
    obligation: bool,
    deadline: Option<When>,
    deadline_words: String,
    /// Whether it is still waited for.
    runs: bool,
    elapsed: String,
    met: Option<String>,
    walk: Vec<StretchLine>,
    /// How many stretches there are, where not all are shown.
    walk_cut: usize,
}

struct StretchLine {
    from: String,
    until: String,
    length: String,
    why: &'static str,
}

struct Happened {
    at: String,
    words: String,
    what: String,
    class: &'static str,
}

#[derive(Debug, Deserialize)]
pub struct FindQuery {
    reference: String,
}

/// GET /cases?reference=
pub async fn find(query: Result<Query<FindQuery>, QueryRejection>) -> Response {
    match query.ok().and_then(|query| found::written(&query.0.reference)) {
        Some(reference) => Redirect::to(&format!("/cases/{reference}")).into_response(),
        None => plain(StatusCode::BAD_REQUEST, "write a reference as pages name a case: C-7F3KQ-9QXMA\n"),
    }
}

/// GET /cases/{reference}
pub async fn page(State(state): State<WebState>, Path(reference): Path<String>) -> Response {
    match found::case(&state, &reference).await {
        Ok(found) => show(&state, found).await,
        Err(NotFound::Unknown) => plain(
            StatusCode::NOT_FOUND,
            "no case of this reference is open, or was paged; is it of another deployment?\n",
        ),
        Err(NotFound::NoAnswer) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, "the engine or the store does not answer; try again\n")
        }
    }
}

async fn show(state: &WebState, Found { case, explanation, is_live }: Found) -> Response {
    let now = (state.now)();
    let breaches = state.within(state.archive.breaches(&case.key)).await;
    let incident = case.incident.or_else(|| breaches.iter().flatten().find_map(|breach| breach.incident));
    let pages = match incident.filter(|_| case.is_p0()) {
        Some(no) => state.within(state.archive.pages_of(no, PAGES_MAX)).await,
        None => Some(Vec::new()),
    };
    let store_answered = breaches.is_some() && pages.is_some();
    let (view, status) = (state.view.load_full(), state.status.load());
    let moment = state.moment(&view, &status, now);
    let source = case.key.case.source().clone();
    let link = |id| moment.links.get(&source).and_then(|template| super::api::link(template, id));
    let named = case.reports.iter().take(REPORTS_MAX);
    let page = CasePage {
        style: assets::style(),
        reference: state.keys.reference(&case.key.case),
        priority_words: priority_words(case.priority, case.standing),
        category: category_words(&case.category).to_owned(),
        is_p0: case.priority == Priority::P0,
        overdue: case.is_overdue(),
        now_words: utc_words(now, now),
        source_seen: status.sees(&source, now),
        state: state_words(&case, is_live, now),
        received: When::new(case.received(), Spoken::Ago, Some(now)),
        received_words: utc_words(case.received(), now),
        rule: case.rule.to_string(),
        escalation: case.escalation.as_ref().map_or_else(|| "nobody is paged".to_owned(), ToString::to_string),
        incident: incident.map(|no| no.to_string()),
        source: source.to_string(),
        reports: named.map(|(key, _)| (key.id.to_string(), link(&key.id))).collect(),
        report_count: case.reports.len(),
        targets: explanation.targets.iter().map(|target| target_line(target, now)).collect(),
        timeline: timeline(&case, &breaches.unwrap_or_default(), &pages.unwrap_or_default(), now),
        store_answered,
    };
    super::page(StatusCode::OK, page.render())
}

fn state_words(case: &Case, is_live: bool, now: Timestamp) -> String {
    let episode = match case.key.episode {
        0 => String::new(),
        more => format!(", episode {}", more + 1),
    };
    match case.ended {
        Some((at, conclusion)) => {
            let word = conclusion.as_str().replace('_', " ");
            format!("ended {}, {word}{episode}", utc_words(at, now))
        }
        None if is_live => format!("open{episode}"),
        None => format!("as the store remembers it{episode}"),
    }
}

fn target_line(target: &TargetExplained, now: Timestamp) -> TargetLine {
    let overdue = matches!(target.state, ExplainedState::Breached | ExplainedState::Due);
    let runs = overdue || matches!(target.state, ExplainedState::Running | ExplainedState::Paused);
    let how = Spoken::Due { overdue: target.state == ExplainedState::Breached, unverified: false };
    let cut = target.walk.len().saturating_sub(STRETCHES_MAX);
    TargetLine {
        name: target.name.to_string(),
        state: target.state.as_str().replace('_', " "),
        class: match target.state {
            ExplainedState::Breached | ExplainedState::MetLate => "missed",
            ExplainedState::Met => "kept",
            _ => "runs",
        },
        from: target.from.as_str(),
        until: target.until.as_str(),
        due: due_words(&target.due),
        obligation: target.obligation,
        deadline: target.deadline.map(|at| When::new(at, how, Some(now))),
        deadline_words: target.deadline.map(|at| utc_words(at, now)).unwrap_or_default(),
        runs,
        elapsed: target.elapsed.to_string(),
        met: target.met.map(|at| utc_words(at, now)),
        walk: target.walk.iter().skip(cut).map(|stretch| stretch_line(&target.due, stretch, now)).collect(),
        walk_cut: if cut > 0 { target.walk.len() } else { 0 },
    }
}

/// What a target gives, in words.
pub fn due_words(due: &Due) -> String {
    match due {
        Due::Within { span, calendar: None } => format!("within {span}"),
        Due::Within { span, calendar: Some(name) } => format!("within {span} of calendar \"{name}\""),
        Due::Stated { column } => format!("at the time that {column} states"),
    }
}

fn stretch_line(due: &Due, (interval, stretch): &(Interval, Stretch), now: Timestamp) -> StretchLine {
    StretchLine {
        from: utc_words(interval.from, now),
        until: utc_words(interval.until, now),
        length: interval.until.since(interval.from).to_string(),
        why: why(due, *stretch),
    }
}

/// Why a stretch counted or didn't.
pub fn why(due: &Due, stretch: Stretch) -> &'static str {
    let on_calendar = matches!(due, Due::Within { calendar: Some(_), .. });
    match stretch {
        Stretch::Counted if on_calendar => "yes: the calendar is open",
        Stretch::Counted => "yes: wall time",
        Stretch::Closed => "no: the calendar is closed",
        Stretch::Paused => "no: paused",
    }
}

fn timeline(case: &Case, breaches: &[BreachRecord], pages: &[PageRow], now: Timestamp) -> Vec<Happened> {
    let mut happened: Vec<(Timestamp, String, &'static str)> = Vec::new();
    let many = case.reports.len() > 1;
    for (key, report) in case.reports.iter().take(REPORTS_MAX) {
        let of = if many { format!(" (report {})", key.id) } else { String::new() };
        let how = if report.anchored_at_first_sight { "first seen; its own time can't be used" } else { "received" };
        happened.push((report.received, format!("{how}{of}"), "event"));
        if let Some(at) = report.gone {
            happened.push((at, format!("seen to be gone from its table{of}"), "event"));
        }
        for event in &report.row.events {
            let by = match &event.by {
                Actor::Unmapped => "",
                Actor::Person(_) => ", by a person",
                Actor::Automated => ", by a machine",
                Actor::Unknown => ", by nobody that a pattern names",
            };
            happened.push((event.at, format!("{}{by}{of}", event.name.as_str().replace('_', " ")), "event"));
        }
    }
    breaches.iter().for_each(|breach| of_breach(breach, &mut happened));
    for row in pages {
        let (kind, channel) = (row.page.kind, &row.page.channel);
        let what = if kind == PageKind::Ring { "a page" } else { "the all-clear" };
        happened.push((row.page.created_at, format!("{what} to {channel}: {}", row.standing().as_str()), "page"));
    }
    if let Some((at, conclusion)) = case.ended {
        happened.push((at, format!("ended: {}", conclusion.as_str().replace('_', " ")), "event"));
    }
    happened.sort();
    let cut = happened.len().saturating_sub(HAPPENED_MAX);
    let line = |(at, what, class): (Timestamp, String, &'static str)| Happened {
        at: rfc3339(at),
        words: utc_words(at, now),
        what,
        class,
    };
    happened.into_iter().skip(cut).map(line).collect()
}

fn of_breach(breach: &BreachRecord, happened: &mut Vec<(Timestamp, String, &'static str)>) {
    let target = &breach.target;
    happened.push((breach.deadline, format!("{target} was due"), "deadline"));
    let how = match (breach.status, breach.inherited) {
        (BreachStatus::Unverified, _) => "missed, without proof, because the database could not be seen",
        (BreachStatus::Withdrawn, _) => "thought to be missed; the first answer proved that it wasn't",
        (BreachStatus::Verified, true) => "missed before the monitor first saw it",
        (BreachStatus::Verified, false) => "missed, verified by a read",
    };
    happened.push((breach.detected_at, format!("{target} {how}"), "missed"));
    match breach.ended {
        Some(Ending::Met { at }) => happened.push((at, format!("{target} met, late"), "event")),
        Some(Ending::Moot { at }) => happened.push((at, format!("{target}: nothing is left to wait for"), "event")),
        None => {}
    }
    if let Some(at) = breach.contradicted_at {
        happened.push((at, format!("{target}: the database now says otherwise; both are kept"), "missed"));
    }
}
