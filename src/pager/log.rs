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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::{IncidentNo, Name};
    use crate::core::time::Timestamp;
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
        let channel: Name = "log".into();
        let payload = Payload {
            kind,
            incident: "I-42".into(),
            round: 1,
            step: 0,
            priority: priority.to_string(),
            created_at: "2026-11-23T08:00:00Z".into(),
            part: None,
            count: 7,
            cases: Vec::new(),
        };
        let page = Outgoing {
            channel: &channel,
            incident: IncidentNo(42),
            round: 1,
            kind,
            priority,
            created_at: Timestamp::from_secs(0),
            alert_key: "aaaa",
            delivery_key: "dddd",
            payload: "",
        };
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
        let answer = tracing::subscriber::with_default(subscriber, || write(&page, &payload));
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
        assert_eq!((&fields["channel"], &fields["incident"]), (&"log".into(), &"I-42".into()));
        assert_eq!((&fields["alert_key"], &fields["delivery_key"]), (&"aaaa".into(), &"dddd".into()));
        assert_eq!(fields["count"], 7);
        assert_eq!(logged(PageKind::Ring, Priority::P1)["level"], "WARN");
        assert_eq!(logged(PageKind::Resolve, Priority::P0)["level"], "INFO");
    }
}
