//! What a change of policy would have changed: the breaches and pages of two replays of one history, side by
//! side. A case is known by its first report, because another policy may make another case of it.

use crate::core::id::{Name, ReportKey};
use crate::core::plan::{BreachRecord, PageKind};
use crate::core::time::Timestamp;
use crate::run::replay::Replayed;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// All that differs.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By rule, category and target, the rule being that of the new policy where the breach is in both.
    pub lines: BTreeMap<(Name, Name, Name), Line>,
    /// Pages that ring, by category and channel, before and after, where the numbers differ.
    pub pages: BTreeMap<(Name, Name), (usize, usize)>,
}

/// One rule's breaches of one target in one category.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// In the order of the reports.
    pub cases: Vec<(ReportKey, Changed)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    Appears { deadline: Timestamp },
    Disappears { deadline: Timestamp },
    Moves { from: Timestamp, to: Timestamp },
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |is: fn(&Changed) -> bool| self.cases.iter().filter(|(_, changed)| is(changed)).count();
        let counts = [
            (count(|changed| matches!(changed, Changed::Appears { .. })), "appear"),
            (count(|changed| matches!(changed, Changed::Disappears { .. })), "disappear"),
            (count(|changed| matches!(changed, Changed::Moves { .. })), "move"),
        ];
        let told = counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        f.write_str(&told.collect::<Vec<_>>().join(", "))
    }
}

/// Compares two replays of the same rows.
pub fn changes(before: &Replayed, after: &Replayed) -> Changes {
    let (old, new) = (by_report(before), by_report(after));
    let mut changes = Changes::default();
    for (key, breach) in &new {
        let change = match old.get(key) {
            None => Changed::Appears { deadline: breach.deadline },
            Some(was) if was.deadline != breach.deadline => Changed::Moves { from: was.deadline, to: breach.deadline },
            Some(_) => continue,
        };
        changes.note(breach, change);
    }
    for (key, breach) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
        debug_assert_eq!(key.1, breach.target);
        changes.note(breach, Changed::Disappears { deadline: breach.deadline });
    }
    for line in changes.lines.values_mut() {
        line.cases.sort_by(|a, b| a.0.cmp(&b.0));
    }
    changes.pages = pages(before, after);
    changes
}

impl Changes {
    fn note(&mut self, breach: &BreachRecord, change: Changed) {
        let key = (breach.rule.clone(), breach.category.clone(), breach.target.clone());
        self.lines.entry(key).or_default().cases.push((breach.first_report.clone(), change));
    }
}

/// The last breach of each target in each episode of a report.
fn by_report(replayed: &Replayed) -> BTreeMap<(&ReportKey, Name, u32), &BreachRecord> {
    let told = |breach: &BreachRecord| breach.episode.episode;
    let breaches = replayed.breaches.iter();
    breaches
        .map(|breach| {
            let report = breach.report.as_ref().unwrap_or(&breach.first_report);
            ((report, breach.target.clone(), told(breach)), breach)
        })
        .collect()
}

/// How many ringing pages told of a category on a channel.
fn pages(before: &Replayed, after: &Replayed) -> BTreeMap<(Name, Name), (usize, usize)> {
    let mut counts: BTreeMap<(Name, Name), (usize, usize)> = BTreeMap::new();
    for key in rings(before) {
        counts.entry(key).or_default().0 += 1;
    }
    for key in rings(after) {
        counts.entry(key).or_default().1 += 1;
    }
    counts.retain(|_, (before, after)| before != after);
    counts
}

fn rings(replayed: &Replayed) -> Vec<(Name, Name)> {
    let rings = replayed.pages.iter().filter(|page| page.kind == PageKind::Ring);
    let told = rings.flat_map(|page| {
        let categories: BTreeSet<&Name> = page.cases.iter().map(|case| &case.category).collect();
        categories.into_iter().map(|category| (category.clone(), page.channel.clone())).collect::<Vec<_>>()
    });
    told.collect()
}
