//! When a failing page rings the next channel of its escalation as well, and what rings there: pure
//! functions of the page and how it fares. Nothing here depends on what a receiver asks for.

use crate::core::id::Name;
use crate::core::plan::PageKind;
use crate::core::time::{Span, Timestamp};
use crate::keys::Keys;
use crate::pager::payload::Payload;
use crate::store::{Delivery, Lane, LeasedPage, NewPage};

/// Attempts that may fail before another channel rings as well. A P0 waits for no second try.
const FAILURES_MAX: u32 = 3;
const FAILURES_MAX_P0: u32 = 1;

/// How long after its creation a page may be unanswered: a receiver that says nothing fails too, and so does
/// one whose places are all taken.
pub const fn unanswered_max(lane: Lane) -> Span {
    match lane {
        Lane::P0 => Span::from_secs(5),
        Lane::Lesser => Span::from_secs(120),
    }
}

/// Whether an attempt that ended like this at `at` lets its page fall back.
pub fn is_due(lane: Lane, leased: &LeasedPage, delivery: &Delivery, at: Timestamp) -> bool {
    let failures_max = match lane {
        Lane::P0 => FAILURES_MAX_P0,
        Lane::Lesser => FAILURES_MAX,
    };
    let page = &leased.page;
    let failed = match delivery {
        Delivery::Accepted => false,
        Delivery::Parked => true,
        Delivery::Retry { .. } => {
            leased.attempts >= failures_max - 1 || at.since(page.created_at) >= unanswered_max(lane)
        }
    };
    failed && page.kind == PageKind::Ring && !page.fallbacks.is_empty()
}

/// The pages that may ring in the place of this one, the next first: the same round and payload, each under a
/// delivery key of its own channel and with the channels that are left after it.
pub fn pages(page: &NewPage, keys: &Keys, at: Timestamp) -> Vec<NewPage> {
    let payload = renamed(page);
    let on = |(n, channel): (usize, &Name)| NewPage {
        channel: channel.clone(),
        created_at: at,
        delivery_key: keys.delivery(&page.alert_key, page.step, channel, page.kind),
        payload: payload.clone(),
        fallbacks: without(&page.fallbacks, n),
        in_place_of: Some(page.channel.clone()),
        ..page.clone()
    };
    page.fallbacks.iter().enumerate().map(on).collect()
}

fn without(channels: &[Name], n: usize) -> Vec<Name> {
    channels.iter().enumerate().filter(|(at, _)| *at != n).map(|(_, channel)| channel.clone()).collect()
}

/// The payload with the channel that failed; one that this version can't read stays as it is.
fn renamed(page: &NewPage) -> String {
    let payload = serde_json::from_str::<Payload>(&page.payload).ok().and_then(|payload| {
        serde_json::to_string(&Payload { in_place_of: Some(page.channel.to_string()), ..payload }).ok()
    });
    payload.unwrap_or_else(|| page.payload.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::id::IncidentNo;
    use crate::core::policy::Priority;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn leased(kind: PageKind, attempts: u32, fallbacks: &[&str]) -> LeasedPage {
        let page = NewPage {
            incident: IncidentNo(1),
            round: 2,
            step: 0,
            channel: "pager".into(),
            kind,
            priority: Priority::P0,
            created_at: NOW,
            alert_key: "alert".into(),
            delivery_key: "delivery".into(),
            payload: "{}".into(),
            fallbacks: fallbacks.iter().map(|name| Name::from(*name)).collect(),
            in_place_of: None,
            is_test: false,
        };
        LeasedPage { id: 1, page, attempts }
    }

    #[test]
    fn a_p0_falls_back_at_its_first_failure_and_a_lesser_page_at_its_third_or_after_two_minutes() {
        let retry = Delivery::Retry { at: NOW.plus(Span::from_secs(300)) };
        let due = |lane, attempts, secs| {
            let leased = leased(PageKind::Ring, attempts, &["mail"]);
            is_due(lane, &leased, &retry, NOW.plus(Span::from_secs(secs)))
        };
        assert!(due(Lane::P0, 0, 0));
        assert_eq!([0, 1, 2, 9].map(|attempts| due(Lane::Lesser, attempts, 0)), [false, false, true, true]);
        assert!(due(Lane::Lesser, 0, 120) && !due(Lane::Lesser, 0, 119));
    }

    #[test]
    fn what_is_parked_falls_back_at_once_and_what_is_accepted_a_resolve_or_alone_never_does() {
        let ring = leased(PageKind::Ring, 0, &["mail"]);
        assert!(is_due(Lane::Lesser, &ring, &Delivery::Parked, NOW));
        assert!(!is_due(Lane::P0, &ring, &Delivery::Accepted, NOW));
        assert!(!is_due(Lane::P0, &leased(PageKind::Resolve, 9, &["mail"]), &Delivery::Parked, NOW));
        assert!(!is_due(Lane::P0, &leased(PageKind::Ring, 9, &[]), &Delivery::Parked, NOW));
    }

    #[test]
    fn a_fallback_keeps_the_alert_key_has_a_delivery_key_of_its_own_and_knows_who_is_left() {
        let keys = Keys::new(b"a secret");
        let ring = leased(PageKind::Ring, 0, &["mail", "executive"]).page;
        let fallbacks = pages(&ring, &keys, NOW);
        let left: Vec<(&str, Vec<&str>)> = fallbacks
            .iter()
            .map(|page| (&*page.channel, page.fallbacks.iter().map(|name| &**name).collect()))
            .collect();
        assert_eq!(left, [("mail", vec!["executive"]), ("executive", vec!["mail"])]);
        assert!(fallbacks.iter().all(|page| page.alert_key == ring.alert_key && page.round == ring.round));
        let expected = keys.delivery("alert", 0, &"mail".into(), PageKind::Ring);
        assert_eq!((&fallbacks[0].delivery_key, fallbacks[0].in_place_of.as_deref()), (&expected, Some("pager")));
    }
}
