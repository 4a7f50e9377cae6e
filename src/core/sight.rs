//! F12, F19: whether a source can be seen, and whether what is seen of it can be trusted. Each way to be
//! blind is a state with a name, since when and why; several may hold at once, and each is over when the
//! measurements say so. Pure functions of what the shell measured and of what was held before.

use super::arrivals::TooFew;
use super::draft::Draft;
use super::engine::Core;
use super::id::{IncidentNo, Name};
use super::incident::{Blind, Incident, IncidentKind};
use super::policy::SourcePolicy;
use super::time::{Span, Timestamp};
use super::watch::MANY_GONE;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// The ways to be blind, by the only names that the log, the pages, the API and the metrics use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlindKind {
    /// No read has come to its end for too long, and nothing said why.
    #[default]
    Stale,
    /// The database can't be reached, or refuses the connection.
    Refused,
    /// Statements take longer than the monitor allows itself.
    TimedOut,
    /// Statements fail, or the mapping no longer fits the tables.
    Failed,
    /// What is read is a replica that lags behind its primary.
    ReplicaLag,
    /// The database's clock and the monitor's are apart.
    ClocksApart,
    /// Many reports that were open are gone at once.
    ManyGone,
    /// Too large a share of the reports can't be read.
    Rejects,
    /// A category that must speak within a span of time is silent.
    Silent,
    /// Far fewer reports of a category than in the same hours of the weeks before.
    TooFew,
}

impl BlindKind {
    pub const ALL: [BlindKind; 10] = [
        BlindKind::Stale,
        BlindKind::Refused,
        BlindKind::TimedOut,
        BlindKind::Failed,
        BlindKind::ReplicaLag,
        BlindKind::ClocksApart,
        BlindKind::ManyGone,
        BlindKind::Rejects,
        BlindKind::Silent,
        BlindKind::TooFew,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            BlindKind::Stale => "stale",
            BlindKind::Refused => "refused",
            BlindKind::TimedOut => "timed_out",
            BlindKind::Failed => "failed",
            BlindKind::ReplicaLag => "replica_lag",
            BlindKind::ClocksApart => "clocks_apart",
            BlindKind::ManyGone => "many_gone",
            BlindKind::Rejects => "rejects",
            BlindKind::Silent => "silent",
            BlindKind::TooFew => "too_few",
        }
    }

    /// The state as people read it on a phone, without the source's name.
    pub const fn words(self) -> &'static str {
        match self {
            BlindKind::Stale => "no read comes to its end",
            BlindKind::Refused => "the database can't be reached",
            BlindKind::TimedOut => "the database is too slow",
            BlindKind::Failed => "its reports can't be read",
            BlindKind::ReplicaLag => "the replica lags behind",
            BlindKind::ClocksApart => "the clocks are apart",
            BlindKind::ManyGone => "many open reports are gone at once",
            BlindKind::Rejects => "too many reports can't be read whole",
            BlindKind::Silent => "a category is silent",
            BlindKind::TooFew => "far fewer reports than in the weeks before",
        }
    }

    /// No read comes to its end: nothing new is seen at all. Over with the next complete read.
    pub const fn is_unread(self) -> bool {
        matches!(self, BlindKind::Stale | BlindKind::Refused | BlindKind::TimedOut | BlindKind::Failed)
    }

    /// What is seen is not the present. Otherwise it is, and can't be trusted.
    pub const fn hides(self) -> bool {
        self.is_unread() || matches!(self, BlindKind::ReplicaLag | BlindKind::ManyGone)
    }

    /// It is about some categories; the rest of the source is seen.
    pub const fn is_of_categories(self) -> bool {
        matches!(self, BlindKind::Silent | BlindKind::TooFew)
    }
}

impl fmt::Display for BlindKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One way in which a source is blind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Blindness {
    pub kind: BlindKind,
    pub since: Timestamp,
    /// For people: names, categories and figures, never a cell's value.
    pub why: Name,
    /// Which categories, where it isn't the whole source.
    pub categories: Vec<Name>,
}

/// What the shell has measured of a source; it judges nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// When this process began to look.
    pub watched_since: Timestamp,
    /// The start of the last read that came to its end.
    pub last_ok: Option<Timestamp>,
    /// What reads have failed with since the last one that came to its end.
    pub fault: Option<Fault>,
    /// The database's clock less the monitor's, and when they were compared.
    pub clock: Option<(Timestamp, Span)>,
    /// How old what a replica shows is, and when it was asked; `None` on a primary.
    pub lag: Option<(Timestamp, Lag)>,
}

/// A failing read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// `Refused`, `TimedOut` or `Failed`.
    pub kind: BlindKind,
    pub since: Timestamp,
    pub why: Name,
}

/// A replica's distance from its primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lag {
    /// Zero where everything that was received is replayed.
    pub behind: Span,
    /// Nothing comes from the primary any more.
    pub cut_off: bool,
}

/// Clocks further apart than this turn deadlines into guesses.
pub const CLOCKS_APART_MAX: Span = Span::from_secs(5);
/// Without a configured one.
pub const STALE_AFTER_DEFAULT: Span = Span::from_mins(1);
/// Rejected reports are a state of their own above this share of the open ones, in percent, and not below
/// this number.
pub const REJECTS_PERCENT_MAX: u64 = 5;
const REJECTS_MIN: u64 = 5;
/// How often arrivals are compared with the weeks before.
const COMPARE_EVERY: Span = Span::from_mins(1);

/// What a look at a source's sight found, to be taken in with the plan.
#[derive(Clone, Debug)]
pub struct Looked {
    pub source: Name,
    pub at: Timestamp,
    pub blindness: Vec<Blindness>,
    /// Whether its reports can be counted: it was read to its end, and recently.
    pub seen: bool,
    /// Whether arrivals were compared.
    pub compared: bool,
}

/// What the core holds of one source's sight.
#[derive(Clone, Debug, Default)]
pub struct Sight {
    pub blindness: Vec<Blindness>,
    compared_at: Option<Timestamp>,
}

/// What the measurements alone say. What only the core can know (rejects, silence) is handed through as held.
/// A state that holds is left only well below its threshold, so that nothing flaps.
pub fn judge(measured: &Measured, stale_after: Span, held: &[Blindness], now: Timestamp) -> Vec<Blindness> {
    let mut found = unread(measured, stale_after, held, now);
    let since = |kind, at| held_of(held, kind).map_or(at, |held| held.since);
    match measured.lag {
        Some((at, lag)) if is_over(lag.behind, stale_after, held_of(held, BlindKind::ReplicaLag).is_some()) => {
            let cut_off = if lag.cut_off { "; nothing comes from the primary" } else { "" };
            let why = format!("the replica is {} behind its primary{cut_off}", lag.behind);
            let since = since(BlindKind::ReplicaLag, at.minus(lag.behind));
            found.push(Blindness { kind: BlindKind::ReplicaLag, since, why: why.into(), categories: Vec::new() });
        }
        Some(_) => {}
        None => found.extend(held_of(held, BlindKind::ReplicaLag).filter(|_| measured.clock.is_none()).cloned()),
    }
    match measured.clock {
        Some((at, ahead)) => {
            let apart = ahead.max(Span::ZERO.minus(ahead));
            if is_over(apart, CLOCKS_APART_MAX, held_of(held, BlindKind::ClocksApart).is_some()) {
                let direction = if ahead > Span::ZERO { "ahead of" } else { "behind" };
                let why = format!("the database's clock is {apart} {direction} the monitor's");
                let since = since(BlindKind::ClocksApart, at);
                found.push(Blindness { kind: BlindKind::ClocksApart, since, why: why.into(), categories: Vec::new() });
            }
        }
        None => found.extend(held_of(held, BlindKind::ClocksApart).cloned()),
    }
    let of_memory = |held: &&Blindness| {
        matches!(held.kind, BlindKind::Rejects | BlindKind::ManyGone) || held.kind.is_of_categories()
    };
    found.extend(held.iter().filter(of_memory).cloned());
    found
}

/// Which reads don't come to their end. Before the first read of this process nothing is known, so what was
/// held stays; afterwards each cause stays until a read comes to its end.
fn unread(measured: &Measured, stale_after: Span, held: &[Blindness], now: Timestamp) -> Vec<Blindness> {
    let last = measured.last_ok.unwrap_or(measured.watched_since);
    let stale = now.since(last) > stale_after;
    let mut found: Vec<Blindness> = held.iter().filter(|held| held.kind.is_unread()).cloned().collect();
    let (kind, why): (BlindKind, Name) = match (&measured.fault, measured.last_ok) {
        (Some(fault), None) => (fault.kind, fault.why.clone()),
        (None, None) if !stale => return found,
        (_, Some(_)) if !stale => return Vec::new(),
        (Some(fault), Some(_)) => (fault.kind, fault.why.clone()),
        (None, Some(_)) => (BlindKind::Stale, "no read has come to its end since then".into()),
        (None, None) => (BlindKind::Stale, "the first read has not come to its end".into()),
    };
    let place = found.iter().position(|held| held.kind == kind);
    match place {
        Some(place) => found[place].why = why,
        None if kind == BlindKind::Stale && !found.is_empty() => {}
        None => found.push(Blindness { kind, since: last, why, categories: Vec::new() }),
    }
    found
}

fn held_of(held: &[Blindness], kind: BlindKind) -> Option<&Blindness> {
    held.iter().find(|held| held.kind == kind)
}

/// Over the limit; once held, over half of it.
fn is_over(value: Span, limit: Span, held: bool) -> bool {
    value > if held { Span::from_micros(limit.micros() / 2) } else { limit }
}

impl SourcePolicy {
    /// A source whose last complete read is older than this is not seen.
    pub fn stale_after(&self) -> Span {
        self.blind_after.unwrap_or(STALE_AFTER_DEFAULT)
    }
}

impl Core {
    /// Every way in which a source is blind, as last judged.
    pub fn blindness(&self, source: &Name) -> &[Blindness] {
        self.sights.get(source).map_or(&[], |sight| &sight.blindness)
    }

    /// Judges a source by new measurements: one incident of the operators for each way in which it is blind.
    pub(super) fn look(&self, draft: &mut Draft<'_>, source: &Name, measured: &Measured, now: Timestamp) {
        let unknown = SourcePolicy::default();
        let policy = self.policy.sources.get(source).unwrap_or(&unknown);
        let held = self.sights.get(source).cloned().unwrap_or_default();
        let mut found = judge(measured, policy.stale_after(), &held.blindness, now);
        found.retain(|held| held.kind != BlindKind::ManyGone);
        found.extend(self.watch.doubted_since(source).map(|since| Blindness {
            kind: BlindKind::ManyGone,
            since,
            why: MANY_GONE.into(),
            categories: Vec::new(),
        }));
        let hidden = found.iter().any(|blindness| blindness.kind.hides());
        let seen = !hidden && measured.last_ok.is_some() && self.is_caught_up(source);
        let compares = seen && held.compared_at.is_none_or(|at| now.since(at) >= COMPARE_EVERY || now < at);
        if seen {
            found.retain(|held| held.kind != BlindKind::Rejects && held.kind != BlindKind::Silent);
            found.extend(self.too_many_rejects(source, &held, now));
            found.extend(self.silent(source, policy, measured.watched_since, &held, now));
        }
        if compares {
            found.retain(|held| held.kind != BlindKind::TooFew);
            found.extend(self.too_few(source, &held, now));
        }
        found.sort_by_key(|blindness| blindness.kind);
        self.tell_operators(draft, source, &held, &found, now);
        self.arrivals.flush(source, seen, now, &mut draft.plan);
        self.keep_segment(source, now, &mut draft.plan);
        draft.plan.looked =
            Some(Looked { source: source.clone(), at: now, blindness: found, seen, compared: compares });
    }

    fn tell_operators(&self, draft: &mut Draft<'_>, source: &Name, held: &Sight, found: &[Blindness], now: Timestamp) {
        let about = |incident: &&Incident| {
            incident.is_open() && matches!(&incident.kind, IncidentKind::Blind(blind) if blind.source == *source)
        };
        let open: Vec<(IncidentNo, BlindKind)> =
            self.incidents().filter(about).filter_map(|incident| Some((incident.no, incident.blind()?.what))).collect();
        for blindness in found {
            let known = open.iter().find(|(_, kind)| *kind == blindness.kind).map(|(no, _)| *no);
            let rings = match (known, &self.policy.operators) {
                (None, Some(operators)) => {
                    let (source, since, what) = (source.clone(), blindness.since, blindness.kind);
                    Some(draft.open_incident(IncidentKind::Blind(Blind { source, since, what }), operators.clone()))
                }
                // A category that falls silent beside others is news.
                (Some(no), _) => held_of(&held.blindness, blindness.kind)
                    .filter(|held| !held.categories.is_empty())
                    .is_some_and(|held| blindness.categories.iter().any(|name| !held.categories.contains(name)))
                    .then_some(no),
                (None, None) => None,
            };
            if let Some(incident) = rings.and_then(|no| draft.incident_mut(no)) {
                incident.ring_at = Some(now);
            }
        }
        for (no, kind) in open {
            if held_of(found, kind).is_none() {
                self.resolve(draft, no, now);
            }
        }
    }

    fn too_many_rejects(&self, source: &Name, held: &Sight, now: Timestamp) -> Option<Blindness> {
        let rejected = self.rejected.get(source).map_or(0, |rejected| rejected.count());
        let open = self.open_cases(source).max(rejected);
        let held = held_of(&held.blindness, BlindKind::Rejects);
        let percent_max = if held.is_some() { REJECTS_PERCENT_MAX / 2 } else { REJECTS_PERCENT_MAX };
        if rejected < REJECTS_MIN || rejected * 100 <= open * percent_max {
            return None;
        }
        let why = format!("{rejected} of about {open} open reports can't be read whole; `tocsin rejects` lists why");
        let since = held.map_or(now, |held| held.since);
        Some(Blindness { kind: BlindKind::Rejects, since, why: why.into(), categories: Vec::new() })
    }

    /// Silence against what the configuration expects.
    fn silent(
        &self,
        source: &Name,
        policy: &SourcePolicy,
        watched_since: Timestamp,
        held: &Sight,
        now: Timestamp,
    ) -> Option<Blindness> {
        let mut silent: Vec<(Timestamp, Name, Span)> = Vec::new();
        for expect in &policy.expect {
            for category in &expect.categories {
                let last = self.arrivals.newest(source, category).unwrap_or(watched_since);
                if now.since(last) > expect.every {
                    silent.push((last, category.clone(), expect.every));
                }
            }
        }
        silent.sort();
        let earliest = silent.first()?.0;
        let listed: Vec<String> = silent
            .iter()
            .map(|(last, name, every)| format!("{name} for {} (every {every})", now.since(*last)))
            .collect();
        let since = held_of(&held.blindness, BlindKind::Silent).map_or(earliest, |held| held.since);
        let categories: BTreeSet<Name> = silent.into_iter().map(|(_, name, _)| name).collect();
        let why = format!("no report of {}", listed.join(", "));
        Some(Blindness {
            kind: BlindKind::Silent,
            since,
            why: why.into(),
            categories: categories.into_iter().collect(),
        })
    }

    /// F19: rows per category against the same hours of the weeks before.
    fn too_few(&self, source: &Name, held: &Sight, now: Timestamp) -> Option<Blindness> {
        let held = held_of(&held.blindness, BlindKind::TooFew);
        let was_held = |name: &Name| held.is_some_and(|held| held.categories.contains(name));
        let few: Vec<(Name, TooFew)> = self.arrivals.too_few(source, now, was_held);
        let longest = few.iter().map(|(_, few)| few.hours).max()?;
        let listed: Vec<String> = few
            .iter()
            .map(|(name, few)| {
                format!("{name}: {} in {} h, at least {} in each week before", few.seen, few.hours, few.least)
            })
            .collect();
        let since = held.map_or(now.minus(Span::from_hours(longest)), |held| held.since);
        let categories = few.into_iter().map(|(name, _)| name).collect();
        Some(Blindness { kind: BlindKind::TooFew, since, why: listed.join("; ").into(), categories })
    }

    /// Open cases of a source.
    pub(super) fn open_cases(&self, source: &Name) -> u64 {
        let of_source = self.counts().filter(|(group, _)| group.source == *source);
        of_source.map(|(_, counts)| counts.open).sum()
    }

    /// Takes in what a look has found.
    pub(super) fn put_sight(&mut self, looked: Looked) {
        let Looked { source, at, blindness, seen, compared } = looked;
        self.arrivals.watch(&source, seen, at);
        let sight = self.sights.entry(source).or_default();
        sight.blindness = blindness;
        if compared {
            sight.compared_at = Some(at);
        }
    }

    /// What was held of a source's sight before a restart, as far as its incident tells.
    pub(super) fn restore_sight(&mut self, incident: &Incident) {
        let Some(blind) = incident.blind().filter(|_| incident.is_open()) else { return };
        let why = "so it was before the restart".into();
        let held = Blindness { kind: blind.what, since: blind.since, why, categories: Vec::new() };
        self.sights.entry(blind.source).or_default().blindness.push(held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000_000);

    fn at(secs: i64) -> Timestamp {
        START.plus(Span::from_secs(secs))
    }

    fn measured(last_ok: Option<i64>) -> Measured {
        Measured { watched_since: START, last_ok: last_ok.map(at), fault: None, clock: None, lag: None }
    }

    fn fault(kind: BlindKind, secs: i64) -> Option<Fault> {
        Some(Fault { kind, since: at(secs), why: "connection refused".into() })
    }

    fn kinds(found: &[Blindness]) -> Vec<BlindKind> {
        found.iter().map(|blindness| blindness.kind).collect()
    }

    const MINUTE: Span = Span::from_mins(1);

    #[test]
    fn f12_a_read_that_is_overdue_has_the_name_of_its_cause_and_ends_with_the_next_whole_read() {
        let held = judge(&Measured { fault: fault(BlindKind::Refused, 10), ..measured(Some(9)) }, MINUTE, &[], at(60));
        assert!(held.is_empty(), "one failed poll is no blindness: {held:?}");
        let held =
            judge(&Measured { fault: fault(BlindKind::Refused, 10), ..measured(Some(9)) }, MINUTE, &held, at(70));
        assert_eq!((kinds(&held), held[0].since), (vec![BlindKind::Refused], at(9)));
        let held =
            judge(&Measured { fault: fault(BlindKind::TimedOut, 80), ..measured(Some(9)) }, MINUTE, &held, at(80));
        assert_eq!(kinds(&held), [BlindKind::Refused, BlindKind::TimedOut], "each cause is told");
        assert_eq!(judge(&measured(Some(90)), MINUTE, &held, at(91)), []);
        assert_eq!(kinds(&judge(&measured(Some(9)), MINUTE, &[], at(70))), [BlindKind::Stale]);
    }

    #[test]
    fn before_the_first_read_of_a_process_nothing_is_taken_back() {
        let held = judge(&Measured { fault: fault(BlindKind::Refused, 1), ..measured(None) }, MINUTE, &[], at(1));
        assert_eq!(kinds(&held), [BlindKind::Refused], "a source that refuses from the start is blind at once");
        assert_eq!(judge(&measured(None), MINUTE, &held, at(2)), held);
        assert_eq!(judge(&measured(None), MINUTE, &[], at(2)), []);
        assert_eq!(kinds(&judge(&measured(None), MINUTE, &[], at(61))), [BlindKind::Stale]);
    }

    #[test]
    fn f12_clocks_apart_and_a_lagging_replica_hold_until_they_are_well_back() {
        let of = |ahead: i64, behind: i64| Measured {
            clock: Some((at(5), Span::from_secs(ahead))),
            lag: Some((at(5), Lag { behind: Span::from_secs(behind), cut_off: false })),
            ..measured(Some(9))
        };
        assert_eq!(judge(&of(-5, 60), MINUTE, &[], at(10)), []);
        let held = judge(&of(-6, 61), MINUTE, &[], at(10));
        assert_eq!(kinds(&held), [BlindKind::ReplicaLag, BlindKind::ClocksApart]);
        assert_eq!(&*held[1].why, "the database's clock is 6s behind the monitor's");
        assert_eq!(held[0].since, at(5 - 61), "since the last moment that it shows");
        assert_eq!(kinds(&judge(&of(-4, 31), MINUTE, &held, at(20))).len(), 2);
        assert_eq!(judge(&of(-2, 29), MINUTE, &held, at(20)), []);
    }
}
