//! The log channel: a page becomes one event of the process's own log, and is always accepted. It is what
//! shadow mode pages.

use super::payload::PayloadAbout;
use super::{Answer, Rendering};
use crate::core::plan::PageKind;
use crate::core::policy::Priority;

/// Writes a page: a ring of P0 as an error, a lesser ring and what comes near as a warning, a resolve as
/// information.
pub fn write(rendering: &Rendering<'_>) -> Answer {
    let Rendering { page, payload, title, .. } = rendering;
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
        (PageKind::Ring, Priority::P0) if payload.about != PayloadAbout::Warning => {
            event!(tracing::Level::ERROR);
        }
        (PageKind::Ring, _) => event!(tracing::Level::WARN),
    }
    Answer::accepted("logged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pager::payload::Payload;
    use crate::pager::samples;
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(kind: PageKind, priority: Priority) -> serde_json::Value {
        let payload = Payload { kind, priority: priority.to_string(), count: 7, ..samples::payload(0) };
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let answer =
            tracing::subscriber::with_default(subscriber, || samples::rendered(payload, None, |page| write(&page)));
        assert_eq!(answer, Answer::accepted("logged"));
        let bytes = lines.0.lock().unwrap().clone();
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn a_page_is_one_event_with_its_title_and_keys_louder_for_a_p0() {
        let line = logged(PageKind::Ring, Priority::P0);
        assert_eq!((&line["level"], &line["target"]), (&"ERROR".into(), &"tocsin::page".into()));
        let fields = &line["fields"];
        assert_eq!(fields["message"], "P0 minor safety overdue: 7 cases in I-42");
        assert_eq!((&fields["channel"], &fields["incident"]), (&"hook".into(), &"I-42".into()));
        assert_eq!((&fields["alert_key"], &fields["delivery_key"]), (&"aaaa".into(), &"dddd".into()));
        assert_eq!(fields["count"], 7);
        assert_eq!(logged(PageKind::Ring, Priority::P1)["level"], "WARN");
        assert_eq!(logged(PageKind::Resolve, Priority::P0)["level"], "INFO");
    }
}
