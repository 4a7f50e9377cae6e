//! The log channel: a page becomes one event of the process's own log, and is always accepted. It is what
//! shadow mode pages.

use super::payload::Payload;
use super::title::title;
use super::{Answer, Outgoing};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;

/// Writes a page: a ring of P0 as an error, a lesser ring as a warning, a resolve as information.
pub fn write(page: &Outgoing<'_>, payload: &Payload) -> Answer {
    let title = title(payload);
    let cases: Vec<&str> = payload.cases.iter().map(|case| case.case.as_str()).collect();
    let cases = cases.join(" ");
    // The level of an event is part of its call site, so each level needs one of its own.
    macro_rules! event {
        ($level:expr) => {
            tracing::event!(
                target: "tocsin::page",
                $level,
                channel = &**page.channel,
                kind = page.kind.as_str(),
                incident = payload.incident,
                round = payload.round,
                step = payload.step,
                priority = payload.priority,
                count = payload.count,
                cases,
                alert_key = page.alert_key,
                delivery_key = page.delivery_key,
                "{title}"
            )
        };
    }
    match (page.kind, page.priority) {
        (PageKind::Resolve, _) => event!(tracing::Level::INFO),
        (PageKind::Ring, Priority::P0) => event!(tracing::Level::ERROR),
        (PageKind::Ring, _) => event!(tracing::Level::WARN),
    }
    Answer::accepted("logged")
}
