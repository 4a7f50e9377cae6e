//! Who is sent which week: once each, whatever restarts, takeovers, outages and changes of the clock happen.

use crate::kit::policy;
use crate::support::ScratchDir;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tocsin::core::id::Name;
use tocsin::core::time::{Span, Timestamp};
use tocsin::keys::Keys;
use tocsin::pager::letter::{Letter, Post};
use tocsin::pager::{Answer, ChannelKind, Channels};
use tocsin::run::clock::{Clock, VirtualClock};
use tocsin::run::weekly::gather::Reporter;
use tocsin::run::weekly::tell::{Schedule, Teller};
use tocsin::secret::Secret;
use tocsin::source::AnySource;
use tocsin::status::{Mode, Status, StatusHandle, StoreStatus};
use tocsin::store::SqlStore;
use tocsin::zone::parse_rfc3339;

/// Remembers what it was given, and answers as it is told.
#[derive(Default)]
struct Letterbox {
    got: Mutex<Vec<(String, String, String)>>,
    refuse: Mutex<bool>,
}

impl Post for Letterbox {
    async fn post(&self, channel: &Name, letter: &Letter, _: Timestamp) -> Answer {
        if *self.refuse.lock().unwrap() {
            return Answer::retry("connection refused");
        }
        let got = (channel.to_string(), letter.title.clone(), letter.key.clone());
        self.got.lock().unwrap().push(got);
        Answer::accepted("202")
    }
}

struct House {
    scratch: ScratchDir,
    clock: VirtualClock,
    letterbox: Arc<Letterbox>,
}

impl House {
    fn new(name: &str, now: &str) -> House {
        let clock = VirtualClock::new(parse_rfc3339(now).unwrap());
        House { scratch: ScratchDir::new(name), clock, letterbox: Arc::default() }
    }

    /// A process that has just started over the store.
    async fn start(&self) -> Teller<AnySource, Arc<Letterbox>, VirtualClock> {
        self.start_with(self.letterbox.clone()).await
    }

    async fn start_with<P: Post>(&self, post: P) -> Teller<AnySource, P, VirtualClock> {
        let url = Secret::new(self.scratch.sqlite_url("store.db"));
        let reporter = Reporter {
            store: Arc::new(SqlStore::open(&url, "a deployment").await.unwrap()),
            policy: Arc::new(ArcSwap::from_pointee(policy())),
            sources: Vec::new(),
            clock: self.clock.clone(),
            zone: "Europe/Berlin".parse().unwrap(),
            deployment: "d".to_owned(),
            mode: "live",
            mapped: Vec::new(),
        };
        let schedule = Schedule {
            cron: "0 8 * * 1".parse().unwrap(),
            zone: "Europe/Berlin".parse().unwrap(),
            deliver: vec!["files".into(), "mail".into()],
        };
        let status = Status {
            version: "0",
            mode: Mode::Live,
            deployment: "d".into(),
            leader: true,
            started_at: self.clock.now(),
            engine_alive_at: None,
            sources: Vec::new(),
            store: StoreStatus::default(),
            reload: tocsin::status::Reload::default(),
        };
        Teller {
            reporter: Arc::new(reporter),
            schedule,
            post,
            keys: Keys::new(b"a secret of this test"),
            status: StatusHandle::new(status),
            public_url: Some("https://tocsin.example.org".to_owned()),
        }
    }

    fn set(&self, now: &str) {
        self.clock.set(parse_rfc3339(now).unwrap());
    }

    /// Channel and week of every letter so far.
    fn got(&self) -> Vec<String> {
        let got = self.letterbox.got.lock().unwrap();
        got.iter().map(|(channel, title, _)| format!("{channel} {}", title.replace("SLA report ", ""))).collect()
    }
}

#[tokio::test]
async fn each_week_is_told_once_from_the_first_monday_on() {
    let house = House::new("weekly-once", "2026-11-11T12:00:00Z");
    let teller = house.start().await;
    assert_eq!(teller.look().await.unwrap(), 0, "nobody is sent what was before");
    house.set("2026-11-16T06:59:59Z");
    assert_eq!(teller.look().await.unwrap(), 0);
    house.set("2026-11-16T07:00:00Z");
    assert_eq!(teller.look().await.unwrap(), 2);
    assert_eq!(house.got(), ["files 2026-W46", "mail 2026-W46"]);
    for now in ["2026-11-16T07:00:30Z", "2026-11-22T23:00:00Z", "2026-11-23T06:59:00Z"] {
        house.set(now);
        assert_eq!(teller.look().await.unwrap(), 0, "{now}");
    }
    house.set("2026-11-23T07:00:00Z");
    assert_eq!(teller.look().await.unwrap(), 2);
}

#[tokio::test]
async fn no_restart_takeover_or_change_of_the_clock_tells_a_week_twice() {
    let house = House::new("weekly-twice", "2026-11-11T12:00:00Z");
    house.start().await.look().await.unwrap();
    house.set("2026-11-16T08:00:00Z");
    let (first, second) = (house.start().await, house.start().await);
    let (one, two) = tokio::join!(first.look(), second.look());
    assert_eq!(one.unwrap() + two.unwrap(), 2, "two processes at one instant");
    assert_eq!(house.start().await.look().await.unwrap(), 0, "a restart");
    house.set("2026-11-16T06:00:00Z");
    assert_eq!(house.start().await.look().await.unwrap(), 0, "a clock set back before the time");
    house.set("2026-11-16T07:30:00Z");
    assert_eq!(first.look().await.unwrap(), 0, "and over it again");
    house.set("2031-01-01T00:00:00Z");
    second.look().await.unwrap();
    house.set("2026-11-23T07:00:00Z");
    let before = house.got().len();
    assert_eq!(first.look().await.unwrap(), 2, "a clock that was wrong by years holds nothing back");
    assert_eq!(house.got()[before..], ["files 2026-W47", "mail 2026-W47"]);
    let letters = house.letterbox.got.lock().unwrap().clone();
    let keys: BTreeMap<&String, usize> = letters.iter().fold(BTreeMap::new(), |mut keys, (_, _, key)| {
        *keys.entry(key).or_default() += 1;
        keys
    });
    assert!(keys.values().all(|times| *times == 1), "{letters:?}");
}

#[tokio::test]
async fn weeks_that_fell_due_while_nobody_ran_are_caught_up() {
    let house = House::new("weekly-caught-up", "2026-10-14T12:00:00Z");
    house.start().await.look().await.unwrap();
    // Down over the change of the clock on 25 October.
    house.set("2026-11-05T12:00:00Z");
    assert_eq!(house.start().await.look().await.unwrap(), 6);
    let mut weeks = house.got();
    weeks.sort();
    let expected =
        ["files 2026-W42", "files 2026-W43", "files 2026-W44", "mail 2026-W42", "mail 2026-W43", "mail 2026-W44"];
    assert_eq!(weeks, expected);
}

#[tokio::test]
async fn a_letter_that_was_refused_goes_again_under_its_key_until_it_is_taken() {
    let house = House::new("weekly-refused", "2026-11-11T12:00:00Z");
    let teller = house.start().await;
    teller.look().await.unwrap();
    house.set("2026-11-16T07:00:00Z");
    *house.letterbox.refuse.lock().unwrap() = true;
    assert_eq!(teller.look().await.unwrap(), 0);
    house.clock.advance(Span::from_secs(59));
    assert_eq!(house.start().await.look().await.unwrap(), 0, "not yet");
    *house.letterbox.refuse.lock().unwrap() = false;
    house.clock.advance(Span::from_secs(1));
    assert_eq!(house.start().await.look().await.unwrap(), 2);
    let letters = house.letterbox.got.lock().unwrap().clone();
    let key = Keys::new(b"a secret of this test").letter("report.weekly", "2026-W46", "files");
    assert!(letters.iter().any(|(channel, _, found)| channel == "files" && *found == key));
}

#[tokio::test]
async fn a_directory_gets_every_format_whole_and_the_same_when_it_is_written_again() {
    let house = House::new("weekly-files", "2026-11-11T12:00:00Z");
    let path = house.scratch.path().join("reports");
    let kinds = ["files", "mail"].map(|name| (name.into(), ChannelKind::Directory { path: path.clone() }.into()));
    let teller = house.start_with(Channels::new(BTreeMap::from(kinds), None).unwrap()).await;
    teller.look().await.unwrap();
    house.set("2026-11-16T07:00:00Z");
    assert_eq!(teller.look().await.unwrap(), 2);
    let mut names: Vec<String> =
        std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let expected =
        ["-dsa15.csv", "-targets.csv", ".csv", ".html", ".json", ".md"].map(|end| format!("tocsin-2026-W46{end}"));
    assert_eq!(names, expected);
    let schema: serde_json::Value = serde_json::from_str(tocsin::weekly::SCHEMA).unwrap();
    assert_eq!(schema["properties"]["schema"]["const"], "tocsin.weekly/1");
}

#[tokio::test]
async fn l03_a_report_is_made_by_the_policy_that_a_reload_has_brought() {
    let house = House::new("weekly-reloaded", "2026-11-11T12:00:00Z");
    let reporter = house.start().await.reporter;
    let week = "2026-W46".parse().unwrap();
    let before = reporter.make(week).await.unwrap();
    let mut changed = policy();
    changed.hash = "another".into();
    changed.minor_safety.targets.truncate(1);
    reporter.policy.store(Arc::new(changed));
    let after = reporter.make(week).await.unwrap();
    assert_eq!((&*before.policy, &*after.policy), ("test", "another"));
    assert!(after.limits.len() < before.limits.len(), "what can't be enforced follows from the policy too");
}
