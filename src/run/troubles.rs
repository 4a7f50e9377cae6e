//! Troubles that the shell knows of and the core must hear of: channels that refuse pages for good, and a
//! configuration that can't be taken over. A loop of its own looks for them, so that a store that gives no answer
//! holds up nothing but that look.

use crate::core::id::Name;
use crate::core::plan::Input;
use crate::core::time::Span;
use crate::core::trouble::TroubleKind;
use crate::run::clock::Clock;
use crate::status::StatusHandle;
use crate::store::{PageCount, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// How often they are looked for.
const LOOK_EVERY: Span = Span::from_secs(10);

type Troubles = BTreeMap<(TroubleKind, Name), bool>;

/// Tells the engine of each that begins or is over, until the process is told to stop or the engine is gone.
pub async fn watch<S: Store, C: Clock>(
    store: Arc<S>,
    clock: C,
    status: StatusHandle,
    told_to: mpsc::Sender<Input>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut told = Troubles::new();
    loop {
        let next = clock.now().plus(LOOK_EVERY);
        let counted = tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            counted = store.page_counts() => counted,
        };
        let counts = counted.unwrap_or_else(|error| {
            tracing::debug!(%error, "parked pages can't be counted; counting again");
            Vec::new()
        });
        for ((kind, subject), holds) in troubles(counts, status.load().reload.refused.is_some()) {
            if told.insert((kind, subject.clone()), holds) == Some(holds) {
                continue;
            }
            if told_to.send(Input::Trouble { kind, subject, holds }).await.is_err() {
                return;
            }
        }
        tokio::select! {
            biased;
            _ = shutdown.wait_for(|stop| *stop) => return,
            () = clock.sleep_until(next) => {}
        }
    }
}

/// Whether each holds; of a channel that the store says nothing of, nothing is known.
fn troubles(counts: Vec<PageCount>, reload_refused: bool) -> Troubles {
    let mut found = Troubles::from([((TroubleKind::ReloadFailed, "configuration".into()), reload_refused)]);
    for count in counts {
        *found.entry((TroubleKind::PagesParked, count.channel)).or_default() |=
            count.state == "parked" && count.count > 0;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channel_is_in_trouble_while_one_of_its_pages_is_parked() {
        let count =
            |channel: &str, state: &str, count| PageCount { channel: channel.into(), state: state.into(), count };
        let counts = vec![count("mail", "accepted", 3), count("mail", "parked", 1), count("hook", "parked", 0)];
        let found = troubles(counts, false);
        let holds = |kind, subject: &str| found.get(&(kind, subject.into())).copied();
        assert_eq!(holds(TroubleKind::PagesParked, "mail"), Some(true));
        assert_eq!(holds(TroubleKind::PagesParked, "hook"), Some(false));
        assert_eq!(holds(TroubleKind::PagesParked, "pager"), None, "the store says nothing of it");
        assert_eq!(holds(TroubleKind::ReloadFailed, "configuration"), Some(false));
    }
}
