//! How the process itself is doing: what the loops write and what the page, the API and the metrics
//! read. Whether a source can be seen is the core's judgement (`core::sight`), made here for the instant of
//! the look, so that a stuck engine can't make it look better; whether the process is alive and ready is said here.

use crate::core::id::Name;
use crate::core::policy::Priority;
use crate::core::sight::{self, BlindKind, Blindness, Fault, Lag, Measured};
use crate::core::time::{Span, Timestamp};
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The engine thread writes `engine_alive_at` about once a second; silent for this long, it is dead or
/// stuck. Long enough that a slow commit doesn't get a healthy process restarted.
pub const ENGINE_SILENT_AFTER: Span = Span::from_secs(30);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Decides and records, pages only the log.
    Shadow,
    /// Pages people.
    Live,
}

impl Mode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Shadow => "shadow",
            Mode::Live => "live",
        }
    }
}

/// Something that went wrong. `cause` is shown to people: it names the operation, never a cell's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub at: Timestamp,
    pub cause: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    pub version: &'static str,
    pub mode: Mode,
    /// The first characters of the deployment's fingerprint: enough to tell two monitors apart.
    pub deployment: String,
    /// Whether this process holds the lead, and so may write and page.
    pub leader: bool,
    /// When the process began to watch: at its start, or as a standby when it took the lead.
    pub started_at: Timestamp,
    /// When the engine thread last took up an input.
    pub engine_alive_at: Option<Timestamp>,
    pub sources: Vec<SourceStatus>,
    pub store: StoreStatus,
    pub reload: Reload,
}

/// What became of the configuration since the process started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reload {
    /// The last one that was taken.
    pub taken_at: Option<Timestamp>,
    /// Why the last one was refused, whole: the one before it holds. `None` once one is taken.
    pub refused: Option<Failure>,
    pub refused_total: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    pub name: Name,
    /// The start of the last read of the open rows that came to its end.
    pub last_ok: Option<Timestamp>,
    /// The last read that failed; kept after the source is back.
    pub last_error: Option<Failure>,
    /// What reads have failed with since the last one that came to its end.
    pub fault: Option<Fault>,
    /// The database's clock less the monitor's, and when they were compared.
    pub clock: Option<(Timestamp, Span)>,
    /// How far a replica is behind, and when it was asked.
    pub lag: Option<(Timestamp, Lag)>,
    /// In which ways it is blind, as the core last judged.
    pub blind: Vec<Blindness>,
    /// How often it is polled.
    pub poll_every: Span,
    /// Without a complete read for this long the source counts as blind.
    pub stale_after: Span,
    /// How long the last complete read took.
    pub last_poll_took: Option<Span>,
    pub rows_last_scan: u64,
    /// Database time that the last poll took.
    pub last_poll_database: Option<Span>,
    /// Of each priority, the instant since which every report of it has been read, or told as unchanged.
    pub looked_at: BTreeMap<Priority, Timestamp>,
    /// Whether the first look at the whole of it is done.
    pub caught_up: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreStatus {
    pub last_commit: Option<Timestamp>,
    /// The sequence number of the last commit.
    pub sequence: u64,
    /// The last write that failed; kept after the store is back.
    pub last_error: Option<Failure>,
    /// Its clock less the monitor's, and when they were compared; `None` in a file.
    pub clock: Option<(Timestamp, Span)>,
    /// Whether its clock is apart, as the core last judged.
    pub blind: Vec<Blindness>,
}

/// The name under which the core judges the store's clock; no source can have it.
pub const STORE: &str = "(store)";

/// How well a source can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Read recently, and the last read came to its end.
    Clear,
    /// Read recently; the last try failed.
    Failing { cause: String },
    /// The process has started and the first read is still under way.
    NotYet,
    /// It is read, but what is seen of it can't be trusted.
    Doubted { since: Timestamp, cause: String },
    /// Nothing is known of it since `since`.
    Blind { since: Timestamp, cause: String },
}

impl SourceStatus {
    /// As configured, before the first read.
    pub fn new(name: Name, poll_every: Span, stale_after: Span) -> Self {
        SourceStatus {
            name,
            last_ok: None,
            last_error: None,
            fault: None,
            clock: None,
            lag: None,
            blind: Vec::new(),
            poll_every,
            stale_after,
            last_poll_took: None,
            rows_last_scan: 0,
            last_poll_database: None,
            looked_at: BTreeMap::new(),
            caught_up: false,
        }
    }

    /// Notes a read that failed; what it fails with counts since the first of its kind.
    pub fn fail(&mut self, kind: BlindKind, failure: Failure) {
        let since = self.fault.as_ref().filter(|fault| fault.kind == kind).map_or(failure.at, |fault| fault.since);
        self.fault = Some(Fault { kind, since, why: failure.cause.as_str().into() });
        self.last_error = Some(failure);
    }

    /// What was measured of it by a process that started at `started_at`.
    pub fn measured(&self, started_at: Timestamp) -> Measured {
        let failing = self.last_error.as_ref().filter(|error| self.last_ok.is_none_or(|ok| error.at >= ok));
        let unnamed =
            failing.map(|error| Fault { kind: BlindKind::Failed, since: error.at, why: error.cause.as_str().into() });
        Measured {
            watched_since: started_at,
            last_ok: self.last_ok,
            fault: self.fault.clone().or(unnamed),
            clock: self.clock,
            lag: self.lag,
        }
    }

    /// Every way in which it is blind at `now`.
    pub fn blindness(&self, started_at: Timestamp, now: Timestamp) -> Vec<Blindness> {
        sight::judge(&self.measured(started_at), self.stale_after, &self.blind, now)
    }

    /// How well it can be seen at `now`. A source never read is given `stale_after` from the start
    /// of the process, unless it has already refused.
    pub fn sight(&self, started_at: Timestamp, now: Timestamp) -> Sight {
        let measured = self.measured(started_at);
        let blindness = sight::judge(&measured, self.stale_after, &self.blind, now);
        let first = |hides: bool| blindness.iter().find(|blindness| blindness.kind.hides() == hides);
        match (first(true), first(false), &measured.fault) {
            (Some(blind), _, _) => Sight::Blind { since: blind.since, cause: blind.why.to_string() },
            (None, _, _) if self.last_ok.is_none() => Sight::NotYet,
            (None, _, Some(fault)) => Sight::Failing { cause: fault.why.to_string() },
            (None, Some(doubt), None) => Sight::Doubted { since: doubt.since, cause: doubt.why.to_string() },
            (None, None, None) => Sight::Clear,
        }
    }
}

impl Sight {
    /// Whether what the source says now is seen.
    pub fn is_seen(&self) -> bool {
        matches!(self, Sight::Clear | Sight::Failing { .. } | Sight::Doubted { .. })
    }

    pub const fn as_str(&self) -> &'static str {
        match self {
            Sight::Clear => "seen",
            Sight::Failing { .. } => "failing",
            Sight::NotYet => "not_yet_read",
            Sight::Doubted { .. } => "in_doubt",
            Sight::Blind { .. } => "blind",
        }
    }
}

impl StoreStatus {
    /// What was measured of its clock; `None` where it has none of its own.
    pub fn measured(&self, started_at: Timestamp, now: Timestamp) -> Option<Measured> {
        let clock = Some(self.clock?);
        Some(Measured { watched_since: started_at, last_ok: Some(now), fault: None, clock, lag: None })
    }

    /// The failure that is still the last word of the store; `None` when it takes writes.
    pub fn failing(&self) -> Option<&Failure> {
        self.last_error.as_ref().filter(|error| self.last_commit.is_none_or(|ok| error.at >= ok))
    }
}

/// Why a process that runs is not ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    EngineSilent {
        secs: i64,
    },
    NotLeading,
    StoreNotWritable {
        cause: String,
    },
    SourceNotYetRead {
        source: Name,
    },
    /// Of a source, or of the store under the name `STORE`.
    Blind {
        source: Name,
        blindness: Blindness,
    },
}

impl Status {
    /// How long the engine has been silent, once that is too long.
    pub fn engine_silent(&self, now: Timestamp) -> Option<Span> {
        let silent = now.since(self.engine_alive_at.unwrap_or(self.started_at));
        (silent > ENGINE_SILENT_AFTER).then_some(silent)
    }

    pub fn source(&self, name: &str) -> Option<&SourceStatus> {
        self.sources.iter().find(|source| &*source.name == name)
    }

    /// Whether this source is seen. One that isn't configured any more isn't.
    pub fn sees(&self, name: &str, now: Timestamp) -> bool {
        self.source(name).is_some_and(|source| source.sight(self.started_at, now).is_seen())
    }

    /// Whether figures about a category of this source may be shown as true: it is seen, and nothing makes
    /// what is seen doubtful.
    pub fn trusts(&self, name: &str, category: &str, now: Timestamp) -> bool {
        let Some(source) = self.source(name).filter(|source| source.last_ok.is_some()) else { return false };
        let doubts = |blindness: &Blindness| {
            !blindness.kind.is_of_categories() || blindness.categories.iter().any(|name| &**name == category)
        };
        !source.blindness(self.started_at, now).iter().any(doubts)
    }

    /// Empty when the process does its whole work: it leads, writes and sees every source.
    pub fn unready(&self, now: Timestamp) -> Vec<Unready> {
        let mut reasons = Vec::new();
        if let Some(silent) = self.engine_silent(now) {
            reasons.push(Unready::EngineSilent { secs: silent.secs() });
        }
        if !self.leader {
            reasons.push(Unready::NotLeading);
        }
        if let Some(error) = self.store.failing() {
            reasons.push(Unready::StoreNotWritable { cause: error.cause.clone() });
        }
        for blindness in &self.store.blind {
            reasons.push(Unready::Blind { source: STORE.into(), blindness: blindness.clone() });
        }
        // A standby looks at no source.
        for source in self.sources.iter().filter(|_| self.leader) {
            let blindness = source.blindness(self.started_at, now);
            if source.last_ok.is_none() && blindness.is_empty() {
                reasons.push(Unready::SourceNotYetRead { source: source.name.clone() });
            }
            let blind = |blindness| Unready::Blind { source: source.name.clone(), blindness };
            reasons.extend(blindness.into_iter().map(blind));
        }
        reasons
    }
}

/// The one status of a process, shared by the loops that write it and those that show it.
#[derive(Clone, Debug)]
pub struct StatusHandle(Arc<ArcSwap<Status>>);

impl StatusHandle {
    pub fn new(status: Status) -> Self {
        StatusHandle(Arc::new(ArcSwap::from_pointee(status)))
    }

    pub fn load(&self) -> Arc<Status> {
        self.0.load_full()
    }

    /// Changes it as one step; `change` may run again when another thread was quicker.
    pub fn update(&self, change: impl Fn(&mut Status)) {
        self.0.rcu(|old| {
            let mut new = Status::clone(old);
            change(&mut new);
            new
        });
    }

    /// Changes what is said of one source; a name that isn't there changes nothing.
    pub fn update_source(&self, name: &str, change: impl Fn(&mut SourceStatus)) {
        self.update(|status| {
            if let Some(source) = status.sources.iter_mut().find(|source| &*source.name == name) {
                change(source);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_000);

    fn at(secs: i64) -> Timestamp {
        START.plus(Span::from_secs(secs))
    }

    fn source() -> SourceStatus {
        SourceStatus::new("reports".into(), Span::from_secs(1), Span::from_secs(60))
    }

    fn failure(secs: i64) -> Option<Failure> {
        Some(Failure { at: at(secs), cause: "connection refused".into() })
    }

    #[test]
    fn a_source_is_blind_once_its_last_complete_read_is_stale() {
        let source = SourceStatus { last_ok: Some(at(0)), ..source() };
        assert_eq!(source.sight(START, at(60)), Sight::Clear);
        assert!(matches!(source.sight(START, at(61)), Sight::Blind { since, .. } if since == at(0)));
    }

    #[test]
    fn one_failed_poll_is_named_before_it_blinds() {
        let source = SourceStatus { last_ok: Some(at(10)), last_error: failure(11), ..source() };
        assert_eq!(source.sight(START, at(12)), Sight::Failing { cause: "connection refused".into() });
        let back = SourceStatus { last_ok: Some(at(12)), ..source };
        assert_eq!(back.sight(START, at(12)), Sight::Clear);
    }

    #[test]
    fn a_source_that_refuses_from_the_start_is_blind_at_once() {
        assert_eq!(source().sight(START, at(5)), Sight::NotYet);
        let refused = SourceStatus { last_error: failure(1), ..source() };
        assert_eq!(refused.sight(START, at(1)), Sight::Blind { since: START, cause: "connection refused".into() });
        assert!(matches!(source().sight(START, at(61)), Sight::Blind { .. }));
    }

    #[test]
    fn a_process_is_ready_only_when_nothing_stands_against_it() {
        let mut status = Status {
            version: "0.1.0",
            mode: Mode::Live,
            deployment: "d".into(),
            leader: true,
            started_at: START,
            engine_alive_at: Some(at(9)),
            sources: vec![SourceStatus { last_ok: Some(at(9)), ..source() }],
            store: StoreStatus { last_commit: Some(at(9)), sequence: 4, last_error: failure(3), ..Default::default() },
            reload: Reload::default(),
        };
        assert_eq!(status.unready(at(10)), []);
        status.store.last_error = failure(10);
        status.leader = false;
        assert_eq!(status.unready(at(40)).len(), 3);
        assert!(status.unready(at(40)).contains(&Unready::EngineSilent { secs: 31 }));
        status.leader = true;
        assert_eq!(status.unready(at(100)).len(), 3, "and the source");
    }

    #[test]
    fn writers_of_different_parts_do_not_lose_each_others_changes() {
        let handle = StatusHandle::new(Status {
            version: "0.1.0",
            mode: Mode::Shadow,
            deployment: "d".into(),
            leader: false,
            started_at: START,
            engine_alive_at: None,
            sources: vec![source()],
            store: StoreStatus::default(),
            reload: Reload::default(),
        });
        std::thread::scope(|scope| {
            scope.spawn(|| (0..1_000).for_each(|_| handle.update(|status| status.store.sequence += 1)));
            scope.spawn(|| (0..1_000).for_each(|_| handle.update_source("reports", |s| s.rows_last_scan += 1)));
        });
        assert_eq!((handle.load().store.sequence, handle.load().sources[0].rows_last_scan), (1_000, 1_000));
    }
}
