//! Who rings in a channel's place when it fails: the rest of its step, then later steps, then earlier ones.

use super::id::Name;
use super::policy::Escalation;

/// The process's own log, a channel that is always there and wakes nobody.
pub const LOG_CHANNEL: &str = "log";

/// The channels of an escalation that may ring in the place of one that step `step` notifies, the next first.
pub fn fallbacks(escalation: &Escalation, step: u32, failing: &Name) -> Vec<Name> {
    let steps = &escalation.steps;
    let at = (step as usize).min(steps.len().saturating_sub(1));
    let (earlier, from_here) = steps.split_at(at);
    let mut found: Vec<Name> = Vec::new();
    for channel in from_here.iter().chain(earlier).flat_map(|step| &step.notify) {
        if channel != failing && &**channel != LOG_CHANNEL && !found.contains(channel) {
            found.push(channel.clone());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::policy::Step;
    use crate::core::time::Span;

    fn after(step: u32, failing: &str) -> Vec<String> {
        let step_of = |at: i64, notify: &[&str]| Step {
            at: Span::from_mins(at),
            notify: notify.iter().map(|name| Name::from(*name)).collect(),
        };
        let steps = vec![step_of(0, &["pager", "log"]), step_of(5, &["pager", "mail"]), step_of(15, &["executive"])];
        let escalation = Escalation { steps, repeat: None, act_within: None, warn: None };
        fallbacks(&escalation, step, &failing.into()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_rest_of_the_step_comes_first_then_later_steps_then_earlier_ones_and_never_the_log() {
        assert_eq!(after(0, "pager"), ["mail", "executive"]);
        assert_eq!(after(1, "pager"), ["mail", "executive"]);
        assert_eq!(after(1, "mail"), ["pager", "executive"]);
        assert_eq!(after(2, "executive"), ["pager", "mail"]);
        assert_eq!(after(9, "executive"), ["pager", "mail"], "the last step repeats");
    }

    #[test]
    fn an_escalation_of_one_channel_has_none() {
        let escalation = Escalation {
            steps: vec![Step { at: Span::ZERO, notify: vec!["pager".into()] }],
            repeat: None,
            act_within: None,
            warn: None,
        };
        assert_eq!(fallbacks(&escalation, 0, &"pager".into()), Vec::<Name>::new());
    }
}
