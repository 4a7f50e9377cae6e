//! A report that is made of sums is the one that counting everything one by one makes.

use super::count::{Bounds, Counting, WEEKS};
use super::figures::{Length, Paging};
use super::paging::{Count, Facts};
use super::slice::{Around, BreachSlice, Packed, Slice};
use super::week::Week;
use crate::core::case::Conclusion;
use crate::core::id::IncidentNo;
use crate::core::outcome::{Basis, BreachFact, Life, PageFact};
use crate::core::plan::{BreachStatus, TargetOutcome};
use crate::core::policy::{Priority, Standing};
use crate::core::time::{Span, Timestamp};
use crate::zone::Zone;
use fastrand::Rng;
use proptest::prelude::*;

/// The week whose report is made; at its end the clocks go back.
fn week() -> (Week, Zone) {
    ("2026-W43".parse().expect("a week"), "Europe/Berlin".parse().expect("a zone"))
}

/// The weeks that sums of the report come from: the one after it, its own, and those before it.
fn weeks() -> Vec<(Around, Option<usize>)> {
    let (week, zone) = week();
    let earlier = (0..=WEEKS).map(|back| (Around::week(week.back(back as u32), zone), Some(back)));
    [(Around::week(week.next(), zone), None)].into_iter().chain(earlier).collect()
}

/// An instant of these weeks, or a little beside them; some are the begin of an hour.
fn instant(rng: &mut Rng) -> Timestamp {
    let (week, zone) = week();
    let (from, until) = (week.back(6).from(zone), week.next().next().until(zone));
    let grain = if rng.u8(0..10) == 0 { 3_600 } else { 1 };
    from.plus(Span::from_secs(rng.i64(0..until.since(from).secs()) / grain * grain))
}

fn length(rng: &mut Rng, hours: i64) -> Span {
    Span::from_micros(rng.i64(0..hours * 3_600_000_000))
}

/// An episode that has ended, with deadlines as far as weeks after its end.
fn random_life(rng: &mut Rng) -> Life {
    let ended = instant(rng);
    let received = ended.minus(length(rng, 24 * 20));
    let conclusions = [Conclusion::Closed, Conclusion::NoViolation, Conclusion::Violation, Conclusion::Vanished];
    let conclusion = conclusions[rng.usize(0..4)];
    let targets = ["first_response", "closed"].map(|target| {
        let deadline = received.plus(length(rng, 24 * 40));
        let met_at = (conclusion != Conclusion::Vanished).then_some(ended);
        TargetOutcome { target: target.into(), deadline: Some(deadline), met_at, breached: ended > deadline }
    });
    Life {
        source: "reports".into(),
        category: ["csam", "spam", "threat"][rng.usize(0..3)].into(),
        priority: [Priority::P0, Priority::P1, Priority::P2][rng.usize(0..3)],
        standing: if rng.u8(0..100) == 0 { Standing::Presumed } else { Standing::Known },
        received,
        first_response: rng.bool().then(|| received.plus(Span::from_micros(ended.since(received).micros() / 2))),
        ended: Some((ended, conclusion)),
        reports: rng.u32(1..4),
        reopenings: rng.u32(0..2),
        unreviewed: None,
        second_review: rng.bool(),
        overturned: rng.u8(0..20) == 0,
        targets: targets.to_vec(),
        basis: if rng.bool() { Basis::Observed } else { Basis::Row },
    }
}

fn random_breach(rng: &mut Rng) -> BreachFact {
    let deadline = instant(rng);
    let hours = if rng.bool() { 1 } else { 24 * 20 };
    let detected_at = deadline.plus(length(rng, hours));
    let later = |rng: &mut Rng| rng.bool().then(|| detected_at.plus(length(rng, 24 * 10)));
    let (met_at, moot_at) = if rng.bool() { (later(rng), None) } else { (None, later(rng)) };
    BreachFact {
        source: "reports".into(),
        category: ["csam", "spam"][rng.usize(0..2)].into(),
        priority: [Priority::P0, Priority::P1][rng.usize(0..2)],
        target: "closed".into(),
        deadline,
        detected_at,
        inherited: rng.u8(0..4) == 0,
        status: [BreachStatus::Unverified, BreachStatus::Verified, BreachStatus::Withdrawn][rng.usize(0..3)],
        met_at,
        moot_at,
        contradicted_at: (rng.u8(0..4) == 0).then(|| detected_at.plus(length(rng, 24 * 20))),
        incident: rng.bool().then(|| IncidentNo(rng.u64(0..20))),
    }
}

fn random_page(rng: &mut Rng) -> PageFact {
    let created_at = instant(rng);
    PageFact {
        incident: IncidentNo(rng.u64(0..20)),
        step: 0,
        channel: "hook".into(),
        is_ring: true,
        priority: Priority::P0,
        state: "accepted".into(),
        created_at,
        accepted_at: rng.bool().then(|| created_at.plus(length(rng, 1))),
    }
}

struct Past {
    lives: Vec<Life>,
    breaches: Vec<BreachFact>,
    facts: Facts,
}

impl Past {
    fn random(rng: &mut Rng, lives: usize, breaches: usize) -> Past {
        let mut lives: Vec<Life> = (0..lives).map(|_| random_life(rng)).collect();
        // As many closures of one second as are a bulk.
        let bulk = lives.first().map_or(0, |_| rng.usize(0..12));
        lives.extend((0..bulk).filter_map(|_| lives.first().cloned()).collect::<Vec<_>>());
        let breaches = (0..breaches).map(|_| random_breach(rng)).collect();
        let facts = Facts { pages: (0..60).map(|_| random_page(rng)).collect(), ..Facts::default() };
        Past { lives, breaches, facts }
    }

    fn ended_within(&self, (began, ended): (Timestamp, Timestamp)) -> impl Iterator<Item = &Life> {
        self.lives.iter().filter(move |life| life.ended.is_some_and(|(at, _)| began <= at && at < ended))
    }

    /// Everything, one by one.
    fn counted(&self) -> (Counting, Paging) {
        let bounds = Bounds::of(week().0, week().1);
        let (mut counting, mut paging) = (Counting::new(bounds), Count::new(&self.facts, bounds));
        self.lives.iter().for_each(|life| counting.add(life));
        self.breaches.iter().for_each(|breach| counting.add_breach(breach));
        self.breaches.iter().for_each(|breach| paging.add_breach(breach));
        (counting, paging.paging())
    }

    /// Out of the sums of those slices that are made, and one by one what is in no other.
    fn summed(&self, mut is_made: impl FnMut() -> bool) -> (Counting, Paging) {
        let bounds = Bounds::of(week().0, week().1);
        let (mut counting, mut paging) = (Counting::new(bounds), Count::new(&self.facts, bounds));
        let weeks = weeks();
        for (around, back) in &weeks {
            for within in around.slices() {
                if is_made() {
                    let mut slice = Slice::new(around);
                    self.ended_within(within).for_each(|life| slice.add(life, around));
                    let Packed { counts, lengths, behind } = slice.pack();
                    assert!(match back {
                        None => counting.add_next(&behind),
                        Some(0) => counting.add_own(&counts, &lengths),
                        Some(back) => counting.add_earlier(&counts, *back),
                    });
                } else {
                    self.ended_within(within).for_each(|life| counting.add(life));
                }
                let Some(back) = back.filter(|back| *back < WEEKS) else { continue };
                if is_made() {
                    let mut slice = BreachSlice::new(within, around);
                    self.breaches.iter().for_each(|breach| slice.add(breach));
                    let Packed { counts, lengths, .. } = slice.pack();
                    assert!(match back {
                        0 => counting.add_own_breaches(&counts, &lengths, &mut paging),
                        _ => counting.add_earlier_breaches(&counts, back),
                    });
                } else {
                    self.breaches.iter().for_each(|breach| counting.add_breach_within(breach, within));
                    self.breaches.iter().for_each(|breach| paging.add_breach_within(breach, within));
                }
            }
        }
        let (from, until) = (weeks[WEEKS + 1].0.bounds.from(), weeks[0].0.bounds.until());
        self.ended_within((Timestamp::MIN, from)).for_each(|life| counting.add(life));
        self.ended_within((until, Timestamp::MAX)).for_each(|life| counting.add(life));
        (counting, paging.paging())
    }
}

fn is_alike((one, paged): &(Counting, Paging), (other, paged_too): &(Counting, Paging)) {
    assert_eq!(one.priorities(), other.priorities());
    assert_eq!(one.categories(), other.categories());
    assert_eq!(one.targets(), other.targets());
    assert_eq!(one.unknown_categories(), other.unknown_categories());
    assert_eq!(paged, paged_too);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_report_of_whatever_sums_there_are_is_that_of_everything_one_by_one(
        seed in any::<u64>(), lives in 0usize..300, breaches in 0usize..100, made_percent in 0u8..=100
    ) {
        let mut rng = Rng::with_seed(seed);
        let past = Past::random(&mut rng, lives, breaches);
        is_alike(&past.summed(|| rng.u8(0..100) < made_percent), &past.counted());
    }
}

#[test]
fn the_sums_of_thousands_are_the_figures_one_by_one() {
    let mut rng = Rng::with_seed(11);
    let past = Past::random(&mut rng, 10_000, 1_000);
    let counted = past.counted();
    is_alike(&past.summed(|| true), &counted);
    let groups = counted.0.priorities();
    assert!(groups.iter().all(|group| group.open > 0 && group.received > 0 && group.closed > 0), "{groups:?}");
    assert!(groups.iter().all(|group| group.deadlines.decided() > 0 && group.before.weeks == 4), "{groups:?}");
    assert!(groups.iter().any(|group| group.breaches.contradicted > 0 && group.breaches.inherited > 0));
    assert!(counted.1.to_page.iter().all(|times| times.ended > 0 && times.ended < times.count), "{:?}", counted.1);
}

/// So many in an hour that below P0 its lengths are rounded.
#[test]
fn of_p0_every_length_stays_exact_and_below_it_a_percentile_is_never_told_shorter() {
    let (mut rng, (week, zone)) = (Rng::with_seed(3), week());
    let mut past = Past::random(&mut rng, 20_000, 0);
    for life in &mut past.lives {
        let received = week.from(zone).plus(Span::from_micros(rng.i64(0..3_600_000_000)));
        let ended = received.plus(length(&mut rng, 5));
        life.category = "csam".into();
        (life.received, life.first_response, life.ended) = (received, None, Some((ended, Conclusion::Closed)));
    }
    let (summed, counted) = (past.summed(|| true).0.priorities(), past.counted().0.priorities());
    assert_eq!(summed[0], counted[0], "P0");
    let exact = |priority: Priority| {
        let mut secs: Vec<i64> = past.lives.iter().filter(|life| life.priority == priority).filter_map(took).collect();
        secs.sort_unstable();
        secs
    };
    for (group, priority) in summed[1..].iter().zip([Priority::P1, Priority::P2]) {
        let secs = exact(priority);
        for (percent, told) in [(50, group.closing.p50), (90, group.closing.p90), (99, group.closing.p99)] {
            let exact = secs[(secs.len() * percent).div_ceil(100) - 1];
            let Some(Length { secs, beyond: false }) = told else { panic!("{percent}: {told:?}") };
            assert!((exact..=exact + exact / 64 + 1).contains(&secs), "{priority} {percent}: {secs} of {exact}");
        }
    }
}

fn took(life: &Life) -> Option<i64> {
    life.ended.map(|(at, _)| at.since(life.received).secs())
}

/// Who changes a type that is packed finds other sums of its bytes here, and takes the next `VERSION` with them.
#[test]
fn what_is_packed_changes_only_with_its_version_and_another_versions_is_not_read() {
    let (week, zone) = week();
    let around = Around::week(week, zone);
    let mut rng = Rng::with_seed(1);
    let mut slice = Slice::new(&around);
    let mut breaches = BreachSlice::new((week.from(zone), week.until(zone)), &around);
    for _ in 0..40 {
        slice.add(&random_life(&mut rng), &around);
        breaches.add(&random_breach(&mut rng));
    }
    let (slice, breaches) = (slice.pack(), breaches.pack());
    let texts = [&slice.counts, &slice.lengths, &slice.behind, &breaches.counts, &breaches.lengths];
    let sums = texts.map(|text| text.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())));
    assert_eq!(sums, [3_294_853_664, 3_923_303_372, 3_833_120_656, 1_987_755_662, 3_379_128_776]);
    let older = slice.counts.replacen("2:", "1:", 1);
    let mut counting = Counting::new(around.bounds);
    assert!(!counting.add_earlier(&older, 1) && !counting.add_own(&older, &slice.lengths));
    assert!(counting.add_own(&slice.counts, &slice.lengths));
}
