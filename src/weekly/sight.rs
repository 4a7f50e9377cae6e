//! The hours of a week in which nobody watched: the gaps between stretches of sight. A gap in which the
//! monitor itself was down is told once, and not again for each source.

use super::figures::{Gap, Sight, SourceSight};
use crate::core::time::{Span, Timestamp};
use crate::zone::rfc3339;
use std::collections::BTreeMap;

/// Between two notes of one stretch lies less than this: a restart within it is no gap.
pub const TOLERATED: Span = Span::from_secs(90);
/// Gaps that are listed; all of them are counted.
const LISTED_MAX: usize = 20;

type Stretch = (Timestamp, Timestamp);

/// What is known of a stretch of time: by source its stretches in sight; the empty name is the monitor.
/// `sources` are those that are configured.
pub fn sight(
    watched: &BTreeMap<String, Vec<Stretch>>,
    sources: &[String],
    first_run: Option<Timestamp>,
    (from, until): Stretch,
) -> Sight {
    let none = Vec::new();
    let stretches = |name: &str| watched.get(name).unwrap_or(&none);
    let runs = stretches("");
    // Before the first run nobody promised to watch.
    let begin = first_run.map_or(until, |first| first.max(from).min(until));
    let down = gaps(runs, (begin, until));
    let mut listed: Vec<(String, Stretch)> = down.iter().map(|gap| (String::new(), *gap)).collect();
    let mut told = Vec::new();
    for source in sources {
        let unseen = gaps(stretches(source), (begin, until));
        let blind: Vec<Stretch> = unseen.into_iter().flat_map(|gap| without(gap, &down)).collect();
        let blind: Vec<Stretch> = blind.into_iter().filter(|gap| gap.1.since(gap.0) > TOLERATED).collect();
        let blind_secs = blind.iter().map(|gap| gap.1.since(gap.0).secs()).sum();
        told.push(SourceSight { source: source.clone(), blind_secs });
        listed.extend(blind.into_iter().map(|gap| (source.clone(), gap)));
    }
    listed.sort_by_key(|(source, gap)| (gap.0.since(gap.1), gap.0, source.clone()));
    listed.truncate(LISTED_MAX);
    listed.sort_by_key(|(source, gap)| (gap.0, source.clone()));
    let gap = |(source, (from, until)): (String, Stretch)| Gap {
        source,
        from: rfc3339(from),
        until: rfc3339(until),
        secs: until.since(from).secs(),
    };
    Sight {
        week_secs: until.since(from).secs(),
        down_secs: down.iter().map(|gap| gap.1.since(gap.0).secs()).sum(),
        first_run: first_run.filter(|first| *first > from).map(rfc3339),
        sources: told,
        gaps: listed.into_iter().map(gap).collect(),
        unread: Vec::new(),
    }
}

/// What no stretch covers, but for what is too short to be a gap. Stretches come in their order.
fn gaps(stretches: &[Stretch], (from, until): Stretch) -> Vec<Stretch> {
    let (mut covered, mut gaps) = (from, Vec::new());
    for (began, ended) in stretches.iter().copied().chain([(until, until)]) {
        let began = began.min(until);
        if began.since(covered) > TOLERATED {
            gaps.push((covered, began));
        }
        covered = covered.max(ended);
    }
    gaps
}

/// A stretch without others, which come in their order.
fn without((mut from, until): Stretch, others: &[Stretch]) -> Vec<Stretch> {
    let mut left = Vec::new();
    for (began, ended) in others {
        if *ended <= from || *began >= until {
            continue;
        }
        if *began > from {
            left.push((from, *began));
        }
        from = from.max(*ended);
    }
    if from < until {
        left.push((from, until));
    }
    left
}
