//! Taking an incident from where people are: the signed link of a page. A GET only asks, because
//! scanners of mail follow links; the POST acknowledges. No cookie is needed: the link proves that it was sent.

use super::desk::{NAME_BYTES_MAX, Signed, person};
use super::{WebState, assets};
use crate::core::act::Deed;
use crate::core::id::IncidentNo;
use crate::core::incident::Incident;
use crate::keys::AckLink;
use crate::zone;
use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
pub struct Answered {
    name: String,
}

#[derive(Template)]
#[template(path = "acknowledge.html", config = "src/web/askama.toml")]
struct AskPage {
    style: String,
    title: String,
    lines: Vec<String>,
    /// What went wrong with the last answer.
    complaint: Option<String>,
    /// Whether the form is shown.
    asks: bool,
}

impl AskPage {
    fn says(title: &str, lines: Vec<String>) -> Self {
        AskPage { style: assets::style(), title: title.to_owned(), lines, complaint: None, asks: false }
    }

    fn answer(&self, code: StatusCode) -> Response {
        super::page(code, self.render())
    }
}

/// GET: says what the button does. It changes nothing, however often it is followed.
pub async fn ask(State(state): State<WebState>, Path(text): Path<String>) -> Response {
    match judge(&state, &text).await {
        Ok((link, incident)) => question(&state, &link, incident.as_ref(), None).answer(StatusCode::OK),
        Err(refusal) => *refusal,
    }
}

/// POST: acknowledges.
pub async fn take(
    State(state): State<WebState>,
    Path(text): Path<String>,
    form: Result<Form<Answered>, FormRejection>,
) -> Response {
    let (link, incident) = match judge(&state, &text).await {
        Ok(judged) => judged,
        Err(refusal) => return *refusal,
    };
    let Some(name) = form.ok().and_then(|form| person(&form.0.name).map(str::to_owned)) else {
        let complaint = format!("Write your name, in at most {NAME_BYTES_MAX} characters.");
        return question(&state, &link, incident.as_ref(), Some(complaint)).answer(StatusCode::BAD_REQUEST);
    };
    let deed = Deed::AcknowledgePage { incident: link.incident, round: link.round };
    match state.within(state.desk.put(&deed, Signed { by: &name, from: "link", at: (state.now)() })).await {
        Some(()) => taken(link.incident, &name).answer(StatusCode::OK),
        None => not_taken().answer(StatusCode::SERVICE_UNAVAILABLE),
    }
}

fn taken(no: IncidentNo, name: &str) -> AskPage {
    let lines = vec![
        format!("{no} is taken by {name}. The board shows it within a second or two."),
        "Its deadlines still run until they are met.".to_owned(),
    ];
    AskPage::says("Acknowledged", lines)
}

fn not_taken() -> AskPage {
    let lines = vec!["The store did not answer, so nobody has taken it: it goes on ringing. Try again.".to_owned()];
    AskPage::says("Not acknowledged", lines)
}

/// The link, and its incident where the board has it: only of a link that we have made, that holds, and whose
/// incident is open.
async fn judge(state: &WebState, text: &str) -> Result<(AckLink, Option<Incident>), Box<Response>> {
    let refuse =
        |code, title: &str, line: &str| Err(Box::new(AskPage::says(title, vec![line.to_owned()]).answer(code)));
    let Some(link) = AckLink::parse(text, &state.keys) else {
        return refuse(StatusCode::NOT_FOUND, "No such link", "This deployment has sent no such link.");
    };
    if link.expires <= (state.now)() {
        let line = "This link has expired. Open the newest page of the incident, or use: tocsin ack";
        return refuse(StatusCode::GONE, "Expired", line);
    }
    let incident = shown(state, link.incident);
    if incident.as_ref().is_some_and(|incident| incident.has_news_since(link.round)) {
        let line = "Something new has rung since this page. Open the newest page of the incident.";
        return refuse(StatusCode::CONFLICT, "There is news", line);
    }
    let open = match &incident {
        Some(_) => Some(true),
        None => state.within(state.desk.is_incident_open(link.incident)).await,
    };
    match open {
        Some(true) => Ok((link, incident)),
        Some(false) => refuse(StatusCode::GONE, "Over", "This incident is over: nothing is left to take."),
        None => Err(Box::new(not_taken().answer(StatusCode::SERVICE_UNAVAILABLE))),
    }
}

fn shown(state: &WebState, no: IncidentNo) -> Option<Incident> {
    let view = state.view.load();
    view.incidents.iter().map(|row| &row.incident).find(|incident| incident.no == no).cloned()
}

fn question(state: &WebState, link: &AckLink, incident: Option<&Incident>, complaint: Option<String>) -> AskPage {
    let mut lines = Vec::new();
    if let Some(incident) = incident {
        let row = state.view.load();
        let row = row.incidents.iter().find(|row| row.incident.no == incident.no);
        let priority = row.map_or("", |row| row.priority.as_str());
        lines.push(format!("{priority}, open since {}.", zone::rfc3339(incident.opened_at)));
        if let Some(taken) = &incident.acknowledged {
            lines.push(format!("{} took it at {}.", taken.by, zone::rfc3339(taken.at)));
        }
    }
    lines.push("Acknowledging says that you take it: its escalation stops. Its deadlines still run.".to_owned());
    let title = format!("Acknowledge {}?", link.incident);
    AskPage { complaint, asks: true, ..AskPage::says(&title, lines) }
}
