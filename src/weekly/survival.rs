//! Kaplan-Meier: how long things take while some of them haven't ended yet. A case that is still open counts
//! until now and no longer, so what nobody decides can't vanish from a median.

use crate::core::time::Span;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// With more different lengths than this, lengths are rounded up by less than 1/64 each; few stay exact.
const EXACT_MAX: usize = 4_096;
/// Bits of a length that a rounded one keeps.
const KEPT_BITS: u32 = 7;
/// Sums that are put away keep no more exact lengths than this.
const EXACT_KEPT_MAX: usize = 256;

/// Lengths of time, some of them cut off by the end of what is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Survival {
    /// By length in microseconds: how many ended at it, and how many were seen no longer than it.
    lengths: BTreeMap<i64, (u64, u64)>,
    coarse: bool,
    /// Never rounded.
    exact: bool,
}

/// As it is written: for each length how far it is from the one before, then how many ended and how many were cut off.
/// Rounded lengths are written as their exponent and the bits that are kept.
#[derive(Serialize, Deserialize)]
struct Written {
    coarse: bool,
    exact: bool,
    lengths: Vec<(i64, u64, u64)>,
}

/// A quantile of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantile {
    Reached(Span),
    /// So few have ended that it lies beyond the longest that was seen.
    Beyond(Span),
}

impl Survival {
    /// Lengths that are kept exact however many there are: P0.
    pub fn exact() -> Self {
        Survival { exact: true, ..Survival::default() }
    }

    /// Adds a length; `ended` is false for one that was cut off.
    pub fn add(&mut self, length: Span, ended: bool) {
        self.put(length.micros().max(0), u64::from(ended), u64::from(!ended));
        self.keep_few(EXACT_MAX);
    }

    /// Takes in everything of another: the sums of hours are the figures of a week.
    pub fn merge(&mut self, other: &Survival) {
        self.exact |= other.exact;
        if other.coarse {
            self.keep_few(0);
        }
        for (length, (ended, cut)) in &other.lengths {
            self.put(*length, *ended, *cut);
        }
        self.keep_few(EXACT_MAX);
    }

    /// Rounds them where they are many, to be put away; exact ones stay.
    pub(super) fn condense(&mut self) {
        self.keep_few(EXACT_KEPT_MAX);
    }

    /// Rounds them where there are more different ones than this.
    fn keep_few(&mut self, most: usize) {
        if !self.exact && !self.coarse && self.lengths.len() > most {
            self.coarse = true;
            for (length, (ended, cut)) in std::mem::take(&mut self.lengths) {
                self.put(length, ended, cut);
            }
        }
    }

    fn put(&mut self, length: i64, ended: u64, cut: u64) {
        let length = if self.coarse { rounded_up(length) } else { length };
        let counts = self.lengths.entry(length).or_default();
        (counts.0, counts.1) = (counts.0 + ended, counts.1 + cut);
    }

    /// How many lengths there are, cut off ones included.
    pub fn count(&self) -> u64 {
        self.lengths.values().map(|(ended, cut)| ended + cut).sum()
    }

    /// How many ended.
    pub fn ended(&self) -> u64 {
        self.lengths.values().map(|(ended, _)| ended).sum()
    }

    /// The share that is still not over after each length at which one ended.
    pub fn curve(&self) -> Vec<(Span, f64)> {
        let (mut left, mut share) = (self.count(), 1.0);
        let mut curve = Vec::new();
        for (length, (ended, cut)) in &self.lengths {
            if *ended > 0 {
                // Whoever was cut off at this very length was still seen at it.
                share *= (left - ended) as f64 / left as f64;
                curve.push((Span::from_micros(*length), share));
            }
            left -= ended + cut;
        }
        curve
    }

    /// The shortest length by which this share of them, in percent, is over; `None` without any.
    pub fn quantile(&self, percent: u32) -> Option<Quantile> {
        // Products of fractions stray by less than this.
        const STRAY: f64 = 1e-9;
        let (longest, _) = self.lengths.last_key_value()?;
        let remaining = 1.0 - f64::from(percent) / 100.0;
        let reached = self.curve().into_iter().find(|(_, share)| *share <= remaining + STRAY);
        let beyond = Quantile::Beyond(Span::from_micros(*longest));
        Some(reached.map_or(beyond, |(length, _)| Quantile::Reached(length)))
    }

    /// Every length, the shortest first; those cut off say so.
    pub fn each(&self) -> Vec<Quantile> {
        let each = self.lengths.iter().flat_map(|(length, (ended, cut))| {
            let length = Span::from_micros(*length);
            let reached = (0..*ended).map(move |_| Quantile::Reached(length));
            reached.chain((0..*cut).map(move |_| Quantile::Beyond(length)))
        });
        each.collect()
    }
}

impl From<Survival> for Written {
    fn from(survival: Survival) -> Self {
        let mut before = 0;
        let lengths = survival.lengths.into_iter().map(|(length, (ended, cut))| {
            let code = if survival.coarse { code(length) } else { length };
            let step = code - before;
            before = code;
            (step, ended, cut)
        });
        Written { coarse: survival.coarse, exact: survival.exact, lengths: lengths.collect() }
    }
}

impl From<Written> for Survival {
    fn from(written: Written) -> Self {
        let mut at = 0_i64;
        let lengths = written.lengths.into_iter().map(|(step, ended, cut)| {
            at = at.saturating_add(step);
            (if written.coarse { length_of(at) } else { at }, (ended, cut))
        });
        Survival { lengths: lengths.collect(), coarse: written.coarse, exact: written.exact }
    }
}

/// A rounded length as a small number; longer ones have greater numbers.
fn code(length: i64) -> i64 {
    let shift = (i64::BITS - length.leading_zeros()).saturating_sub(KEPT_BITS);
    (i64::from(shift) << KEPT_BITS) + (length >> shift)
}

fn length_of(code: i64) -> i64 {
    let shift = (code >> KEPT_BITS).clamp(0, i64::from(i64::BITS - KEPT_BITS - 1));
    (code & ((1 << KEPT_BITS) - 1)) << shift
}

/// Rounded up to the bits that are kept, so that nothing looks quicker than it was.
fn rounded_up(length: i64) -> i64 {
    let bits = i64::BITS - length.leading_zeros();
    let step = 1_i64 << bits.saturating_sub(KEPT_BITS);
    length.saturating_add(step - 1) / step * step
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weeks(n: i64) -> Span {
        Span::from_hours(n * 168)
    }

    /// Freireich et al. 1963, the 21 patients on 6-mercaptopurine: the example of most textbooks. "+" is cut off.
    fn remissions() -> Survival {
        let mut survival = Survival::default();
        for ended in [6, 6, 6, 7, 10, 13, 16, 22, 23] {
            survival.add(weeks(ended), true);
        }
        for cut in [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35] {
            survival.add(weeks(cut), false);
        }
        survival
    }

    #[test]
    fn the_published_remissions_have_the_published_shares_and_median() {
        let published = [(6, 0.857), (7, 0.807), (10, 0.753), (13, 0.690), (16, 0.627), (22, 0.538), (23, 0.448)];
        let curve = remissions().curve();
        assert_eq!(curve.len(), published.len());
        for ((length, share), (at, expected)) in curve.into_iter().zip(published) {
            assert_eq!(length, weeks(at));
            assert!((share - expected).abs() < 0.0006, "{at} weeks: {share}");
        }
        assert_eq!(remissions().quantile(50), Some(Quantile::Reached(weeks(23))));
        assert_eq!(remissions().quantile(25), Some(Quantile::Reached(weeks(13))));
    }

    #[test]
    fn a_quantile_that_is_not_reached_lies_beyond_the_longest_that_was_seen() {
        assert_eq!(remissions().quantile(90), Some(Quantile::Beyond(weeks(35))));
        assert_eq!(Survival::default().quantile(50), None);
        let mut open = Survival::default();
        open.add(weeks(3), false);
        assert_eq!(open.quantile(50), Some(Quantile::Beyond(weeks(3))));
    }

    #[test]
    fn without_anything_cut_off_it_is_the_plain_quantile() {
        let mut survival = Survival::default();
        (1..=100).for_each(|n| survival.add(Span::from_secs(n), true));
        for percent in [1, 50, 90, 99] {
            let expected = Some(Quantile::Reached(Span::from_secs(i64::from(percent))));
            assert_eq!(survival.quantile(percent), expected, "{percent}");
        }
    }

    #[test]
    fn many_lengths_are_rounded_up_by_less_than_a_sixty_fourth_and_p0_never() {
        let (mut survival, mut exact) = (Survival::default(), Survival::exact());
        for n in 0..100_000_i64 {
            let length = Span::from_micros(n * n * 977 + 1);
            survival.add(length, n % 7 != 0);
            exact.add(length, n % 7 != 0);
        }
        assert!(survival.lengths.len() < 3_000, "{}", survival.lengths.len());
        assert_eq!((exact.lengths.len(), survival.count()), (100_000, 100_000));
        for percent in [10, 50, 90] {
            let (Some(Quantile::Reached(rounded)), Some(Quantile::Reached(true_one))) =
                (survival.quantile(percent), exact.quantile(percent))
            else {
                panic!("{percent} is reached");
            };
            let error = rounded.micros() - true_one.micros();
            assert!((0..=true_one.micros() / 32).contains(&error), "{percent}: {rounded:?} {true_one:?}");
        }
    }

    #[test]
    fn what_is_put_away_is_read_back_as_it_was_and_few_or_exact_lengths_to_the_microsecond() {
        let (mut few, mut many, mut exact) = (Survival::default(), Survival::default(), Survival::exact());
        for n in 0..10_000_i64 {
            let length = Span::from_micros(n * n * n * 977 % 7_777_777_777_777);
            many.add(length, n % 3 == 0);
            exact.add(length, n % 3 == 0);
            if n < 100 {
                few.add(length, n % 3 == 0);
            }
        }
        many.add(Span::from_micros(i64::MAX), false);
        for mut survival in [few, many, exact, Survival::default()] {
            survival.condense();
            let text = serde_json::to_string(&survival).expect("it is written");
            assert_eq!(serde_json::from_str::<Survival>(&text).expect("it is read"), survival);
        }
    }

    #[test]
    fn the_sum_of_parts_is_the_whole() {
        let (mut whole, mut odd, mut even) = (Survival::default(), Survival::default(), Survival::default());
        for n in 0..1_000_i64 {
            let part = if n % 2 == 0 { &mut even } else { &mut odd };
            part.add(Span::from_secs(n * 31 % 997), n % 5 > 0);
            whole.add(Span::from_secs(n * 31 % 997), n % 5 > 0);
        }
        odd.merge(&even);
        assert_eq!(odd, whole);
    }
}
