//! What was known when a breach was found, as it was kept with it: told apart from what is known now, because
//! rows change and policies do.

use crate::cli::out::say;
use crate::core::calendar::{Interval, Stretch};
use crate::core::clock::Ending;
use crate::core::known::KnownReport;
use crate::core::observation::{Actor, Event};
use crate::core::plan::BreachRecord;
use crate::zone::rfc3339;
use serde::Serialize;

#[derive(Serialize)]
pub struct Then {
    target: String,
    deadline: String,
    detected_at: String,
    status: &'static str,
    inherited: bool,
    priority: &'static str,
    rule: String,
    /// Of the policy that it was judged by.
    policy: String,
    incident: Option<String>,
    ended: Option<&'static str>,
    ended_at: Option<String>,
    /// Evidence that came later and contradicts it.
    contradicted_at: Option<String>,
    walk: Vec<Step>,
    reports: Vec<ReportThen>,
}

#[derive(Serialize)]
struct Step {
    from: String,
    until: String,
    stretch: Stretch,
}

#[derive(Serialize)]
struct ReportThen {
    report: String,
    received: String,
    read_at: String,
    gone_since: Option<String>,
    events: Vec<EventThen>,
}

#[derive(Serialize)]
struct EventThen {
    name: &'static str,
    at: String,
    by: String,
}

pub fn then(breach: &BreachRecord) -> Then {
    let (ended, ended_at) = match breach.ended {
        None => (None, None),
        Some(Ending::Met { at }) => (Some("met"), Some(at)),
        Some(Ending::Moot { at }) => (Some("moot"), Some(at)),
    };
    let step = |(stretch_of, stretch): &(Interval, Stretch)| Step {
        from: rfc3339(stretch_of.from),
        until: rfc3339(stretch_of.until),
        stretch: *stretch,
    };
    Then {
        target: breach.target.to_string(),
        deadline: rfc3339(breach.deadline),
        detected_at: rfc3339(breach.detected_at),
        status: breach.status.as_str(),
        inherited: breach.inherited,
        priority: breach.priority.as_str(),
        rule: breach.rule.to_string(),
        policy: breach.policy_hash.to_string(),
        incident: breach.incident.map(|no| no.to_string()),
        ended,
        ended_at: ended_at.map(rfc3339),
        contradicted_at: breach.contradicted_at.map(rfc3339),
        walk: breach.known.walk.iter().map(step).collect(),
        reports: breach.known.reports.iter().map(report).collect(),
    }
}

fn report(known: &KnownReport) -> ReportThen {
    let event = |event: &Event| EventThen { name: event.name.as_str(), at: rfc3339(event.at), by: who(&event.by) };
    ReportThen {
        report: known.report.to_string(),
        received: rfc3339(known.received),
        read_at: rfc3339(known.read_began),
        gone_since: known.gone.map(rfc3339),
        events: known.events.iter().map(event).collect(),
    }
}

fn who(actor: &Actor) -> String {
    match actor {
        Actor::Unmapped => "somebody: no actor is mapped".to_owned(),
        Actor::Person(name) => name.to_string(),
        Actor::Automated => "a program".to_owned(),
        Actor::Unknown => "nobody known".to_owned(),
    }
}

pub fn print(breaches: &[Then]) {
    say!("KNOWN THEN: {} breach(es) as they were found", breaches.len());
    for breach in breaches {
        say!();
        let inherited = if breach.inherited { ", already overdue when first seen" } else { "" };
        say!("{} due {}: {} at {}{inherited}", breach.target, breach.deadline, breach.status, breach.detected_at);
        say!("  {} by the rule \"{}\" of the policy {}", breach.priority, breach.rule, breach.policy);
        if let Some(incident) = &breach.incident {
            say!("  told in {incident}");
        }
        for step in &breach.walk {
            let mark = if step.stretch == Stretch::Counted { "+" } else { " " };
            say!("  {mark} {} to {}", step.from, step.until);
        }
        for report in &breach.reports {
            let gone = report.gone_since.as_ref().map(|at| format!(", gone since {at}")).unwrap_or_default();
            say!("  {} received {}, read at {}{gone}", report.report, report.received, report.read_at);
            if report.events.is_empty() {
                say!("    nothing had happened to it");
            }
            for event in &report.events {
                say!("    {} at {} by {}", event.name, event.at, event.by);
            }
        }
        if let (Some(ended), Some(at)) = (breach.ended, &breach.ended_at) {
            say!("  later: {ended} at {at}");
        }
        if let Some(at) = &breach.contradicted_at {
            say!("  later: contradicted by evidence that came at {at}");
        }
    }
}
