//! What people do, on its way into the core: written to the store's inbox by whoever they spoke to, taken up
//! by the engine like any other input. A loop of its own looks for it, so that a store that gives no answer
//! holds up nothing but that look.

use crate::core::act::{Act, Deed};
use crate::core::plan::Input;
use crate::core::time::Span;
use crate::run::clock::Clock;
use crate::status::{Failure, StatusHandle};
use crate::store::{InboxEntry, Store};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// How often it is looked for.
const LOOK_EVERY: Span = Span::from_secs(1);

/// Hands each entry to the engine once, until the process is told to stop or the engine is gone.
pub async fn watch<S: Store, C: Clock>(
    store: Arc<S>,
    clock: C,
    status: StatusHandle,
    acts: mpsc::Sender<Input>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut inbox = Inbox { handed_on: BTreeSet::new(), fails: false };
    loop {
        let next = clock.now().plus(LOOK_EVERY);
        let looked = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            looked = store.inbox() => looked,
        };
        match looked {
            Ok(entries) => {
                // An empty inbox leads to no commit, which would tell that the store is back.
                if std::mem::take(&mut inbox.fails) {
                    status.update(|status| status.store.last_error = None);
                }
                for act in inbox.new_acts(&entries) {
                    tell(&act);
                    if acts.send(Input::Act(act)).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the inbox can't be read; asking again");
                inbox.fails = true;
                let failure = Failure { at: clock.now(), cause: error.to_string() };
                status.update(|status| status.store.last_error = Some(failure.clone()));
            }
        }
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = clock.sleep_until(next) => {}
        }
    }
}

struct Inbox {
    /// Entries that the engine has and no commit has taken up yet, as far as the last look told.
    handed_on: BTreeSet<i64>,
    /// Whether the last look failed.
    fails: bool,
}

impl Inbox {
    /// What the engine doesn't have yet of all that waits.
    fn new_acts(&mut self, waiting: &[InboxEntry]) -> Vec<Act> {
        let before = std::mem::replace(&mut self.handed_on, waiting.iter().map(|entry| entry.id).collect());
        waiting.iter().filter(|entry| !before.contains(&entry.id)).map(act).collect()
    }
}

fn tell(act: &Act) {
    match &act.deed {
        Deed::Acknowledge { incident } => tracing::info!(%incident, by = %act.by, "acknowledged"),
        Deed::AcknowledgePage { incident, round } => {
            tracing::info!(%incident, round, by = %act.by, "acknowledged by a page");
        }
        Deed::Snooze { reason, .. } | Deed::Window { reason, .. } => {
            tracing::info!(inbox = act.inbox, by = %act.by, %reason, kind = act.deed.kind(), "asked to be kept quiet");
        }
        Deed::EndQuiet { no } => tracing::info!(quiet = no, by = %act.by, "asked to ring again"),
        Deed::Tell { source, word, .. } => {
            tracing::info!(%source, word = word.as_str(), by = %act.by, "something was said of a report");
        }
        Deed::FellBack { incident, round, channel, .. } => {
            tracing::warn!(%incident, round, %channel, "a channel rings in the place of one that failed");
        }
        Deed::TestPage { escalation } => tracing::info!(%escalation, by = %act.by, "a test of pages"),
        Deed::Audit { found } => tracing::debug!(%found, "the auditor told what it found"),
        Deed::Unknown => tracing::error!(inbox = act.inbox, "an inbox entry that this version can't read"),
    }
}

/// The body of the entry that tells of a deed.
///
/// # Errors
/// Of the encoder; no deed is known that it refuses.
pub fn body(deed: &Deed) -> Result<String, serde_json::Error> {
    serde_json::to_string(deed)
}

/// The same of a deed that a program did in somebody's name.
///
/// # Errors
/// As `body`.
pub fn body_of_integration(deed: &Deed) -> Result<String, serde_json::Error> {
    let mut body = serde_json::to_value(deed)?;
    if let Some(members) = body.as_object_mut() {
        members.insert("integration".to_owned(), true.into());
    }
    serde_json::to_string(&body)
}

/// Beside the deed, who did it: a person, unless the entry says otherwise.
#[derive(Default, serde::Deserialize)]
struct Who {
    #[serde(default)]
    integration: bool,
}

/// An entry as the core takes it. One that this version can't read is taken up without effect.
pub fn act(entry: &InboxEntry) -> Act {
    let deed = serde_json::from_str(&entry.body).unwrap_or(Deed::Unknown);
    let Who { integration } = serde_json::from_str(&entry.body).unwrap_or_default();
    Act { inbox: entry.id, by: entry.by_whom.as_str().into(), at: entry.at, integration, deed }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::IncidentNo;
    use crate::core::time::Timestamp;

    fn entry(id: i64, body: &str) -> InboxEntry {
        let (kind, at) = ("acknowledge".to_owned(), Timestamp::from_secs(1));
        InboxEntry { id, kind, body: body.to_owned(), by_whom: "ada".to_owned(), at }
    }

    fn read(body: &str) -> Deed {
        act(&entry(7, body)).deed
    }

    #[test]
    fn an_entry_is_handed_on_once_however_long_its_commit_takes() {
        let mut inbox = Inbox { handed_on: BTreeSet::new(), fails: false };
        let mut handed = |ids: &[i64]| -> Vec<i64> {
            let waiting: Vec<InboxEntry> = ids.iter().map(|id| entry(*id, "{}")).collect();
            inbox.new_acts(&waiting).iter().map(|act| act.inbox).collect()
        };
        assert_eq!(handed(&[1, 3]), [1, 3]);
        // Numbers can become visible out of order.
        assert_eq!(handed(&[1, 2, 3]), [2]);
        assert_eq!(handed(&[2, 3]), Vec::<i64>::new());
        assert_eq!(handed(&[4]), [4]);
    }

    #[test]
    fn an_entry_tells_of_the_deed_it_was_written_for() {
        let deed = Deed::Acknowledge { incident: IncidentNo(42) };
        assert_eq!(read(&body(&deed).expect("a deed is JSON")), deed);
    }

    #[test]
    fn what_an_integration_did_is_told_apart_from_what_a_person_did() {
        let deed = Deed::Acknowledge { incident: IncidentNo(42) };
        let entry = |body| InboxEntry {
            id: 7,
            kind: "acknowledge".to_owned(),
            body,
            by_whom: "ada".to_owned(),
            at: Timestamp::from_secs(1),
        };
        let by_person = act(&entry(body(&deed).expect("JSON")));
        let by_program = act(&entry(body_of_integration(&deed).expect("JSON")));
        assert_eq!((by_person.integration, by_program.integration), (false, true));
        assert_eq!(by_program.deed, deed);
    }

    #[test]
    fn an_entry_of_another_version_has_no_effect() {
        for body in ["{}", "no JSON", r#"{"deed":"dance"}"#, r#"{"deed":"acknowledge"}"#] {
            assert_eq!(read(body), Deed::Unknown, "{body}");
        }
    }
}
