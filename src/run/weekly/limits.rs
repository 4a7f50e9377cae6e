//! What a report must own up to: behaviours that no source has a column for. It stands on the first page.

use crate::core::observation::EventName;
use crate::core::policy::Policy;
use crate::source::settings::Settings;

/// One sentence for each thing that can't be enforced.
pub fn limits(sources: &[Settings], policy: &Policy) -> Vec<String> {
    let mut said = Vec::new();
    for source in sources {
        let name = &source.name;
        let maps = |event: EventName| source.maps(event);
        let by = source.maps_actors();
        if !by {
            said.push(format!(
                "\"{name}\" maps no actor: an answer or closure by a script can't be told from one by a person, and a second \
                 review can't be told from the first."
            ));
        } else if source.actors.people.is_empty() {
            said.push(format!("\"{name}\" names no people: on P0 everybody counts as automated."));
        }
        if source.states.outcome.is_none() {
            said.push(format!(
                "\"{name}\" maps no outcome: a minor-safety report closed as \"no violation\" can't be told from one that was \
                 acted on."
            ));
        }
        if source.columns.case.is_empty() {
            said.push(format!(
                "\"{name}\" maps no reported item: two reports about one item are two cases, and repeats aren't counted."
            ));
        }
        if !maps(EventName::Closed) {
            said.push(format!("\"{name}\" maps no closure: a report stays open until its row is gone."));
        }
        if !maps(EventName::FirstResponse) {
            said.push(format!("\"{name}\" maps no first response: only its closure counts as one."));
        }
        if !maps(EventName::Overturned) {
            said.push(format!("\"{name}\" maps no overturned decisions: they aren't counted."));
        }
    }
    let mapped = |event: EventName| sources.iter().any(|source| source.maps(event));
    let ours = policy.minor_safety.targets.iter().chain(policy.rules.iter().flat_map(|rule| &rule.targets));
    for target in ours {
        let implied = matches!(target.until, EventName::Closed | EventName::FirstResponse);
        let sentence =
            format!("The target \"{}\" has no column that could meet it: every one of it is missed.", target.name);
        if !implied && !mapped(target.until) && !said.contains(&sentence) {
            said.push(sentence);
        }
    }
    said
}
