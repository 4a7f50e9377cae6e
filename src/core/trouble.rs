//! Operators' incidents: what is wrong with the watch itself, or with what feeds it. One incident for each
//! (kind, subject); it is over by itself when its cause is gone, and one cause rings a few times a day at most.

use super::draft::Draft;
use super::engine::Core;
use super::id::{IncidentNo, Name};
use super::incident::{Incident, IncidentKind};
use super::plan::Alarm;
use super::policy::Priority;
use super::time::{Span, Timestamp};
use super::urgent::name_of_absence;
use serde::{Deserialize, Serialize};

/// One cause rings anew at most this often, whether it comes back or grows; steps and repeats aside, which end
/// with an acknowledgement.
pub const TROUBLE_AGAIN_AFTER: Span = Span::from_hours(6);
/// What shows by signs alone, such as rows without an id, is over when none has come for this long.
pub const QUIET_FOR: Span = Span::from_hours(1);
/// A sign that says nothing new is noted this often, so that an idle poll writes nothing.
const NOTED_EVERY: Span = Span::from_mins(10);
/// Names that one incident lists; that there are more is said.
pub const TROUBLE_NAMES_MAX: usize = 12;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TroubleKind {
    /// A source writes categories in neither list; its cases are presumed P0. Over when none of them is open.
    PresumedCategories,
    /// A source has rows of which no case can be made.
    RowsWithoutId,
    /// Reports of a source come with a `received` in the future or unreadable, usually by a wrong zone.
    WrongZone,
    /// A channel refuses pages for good.
    PagesParked,
    /// A configuration can't be taken over; the one before runs.
    ReloadFailed,
    /// The store takes nothing: P0 rings all the same, nothing else does.
    StoreAway,
    /// A start has found no store: nothing is watched, and nothing rings but this.
    NoStoreAtStart,
    /// The store refuses to hold what a row of a source says: no deadline of it is kept.
    RowRefused,
}

impl TroubleKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            TroubleKind::PresumedCategories => "presumed_categories",
            TroubleKind::RowsWithoutId => "rows_without_id",
            TroubleKind::WrongZone => "wrong_zone",
            TroubleKind::PagesParked => "pages_parked",
            TroubleKind::ReloadFailed => "reload_failed",
            TroubleKind::StoreAway => "store_away",
            TroubleKind::NoStoreAtStart => "no_store_at_start",
            TroubleKind::RowRefused => "row_refused",
        }
    }

    /// How loud it is: pages that nobody gets and rows that nobody counts may be a child's.
    const fn priority(self) -> Priority {
        match self {
            TroubleKind::RowsWithoutId
            | TroubleKind::PagesParked
            | TroubleKind::StoreAway
            | TroubleKind::NoStoreAtStart
            | TroubleKind::RowRefused => Priority::P1,
            TroubleKind::PresumedCategories | TroubleKind::WrongZone | TroubleKind::ReloadFailed => Priority::P2,
        }
    }

    /// Its keys must be made without a store, which may have given the incident's number to another.
    const fn is_told_without_store(self) -> bool {
        matches!(self, TroubleKind::StoreAway | TroubleKind::NoStoreAtStart)
    }

    const fn shows_by_signs(self) -> bool {
        matches!(self, TroubleKind::RowsWithoutId | TroubleKind::WrongZone | TroubleKind::RowRefused)
    }
}

/// What an operators' incident is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    pub kind: TroubleKind,
    /// The source, the channel or the configuration.
    pub subject: Name,
    pub since: Timestamp,
    /// When a sign of it was last noted.
    pub last: Timestamp,
    /// Categories, where it is about those: at most `TROUBLE_NAMES_MAX`.
    pub names: Vec<Name>,
    /// Whether there are more.
    pub more: bool,
}

impl Trouble {
    fn new(kind: TroubleKind, subject: Name, since: Timestamp) -> Self {
        Trouble { kind, subject, since, last: since, names: Vec::new(), more: false }
    }

    /// Takes up a name; whether it was news.
    fn add(&mut self, name: Option<&Name>) -> bool {
        let Some(name) = name.filter(|name| !self.names.contains(name)) else { return false };
        if self.names.len() < TROUBLE_NAMES_MAX {
            self.names.push(name.clone());
            return true;
        }
        // Beyond the list nobody knows which were told of: that there are more is news once.
        !std::mem::replace(&mut self.more, true)
    }
}

impl Core {
    /// What the alarms of the plan mean to the operators.
    pub(super) fn tell_troubles(&self, draft: &mut Draft<'_>, now: Timestamp) {
        for alarm in draft.plan.alarms.clone() {
            match alarm {
                Alarm::PresumedCategory { source, category } => {
                    self.trouble(draft, (TroubleKind::PresumedCategories, &source), Some(&category), now);
                }
                Alarm::RowsWithoutId { source, .. } => {
                    self.trouble(draft, (TroubleKind::RowsWithoutId, &source), None, now);
                }
                Alarm::AnchoredAtFirstSight { report } => {
                    self.trouble(draft, (TroubleKind::WrongZone, &report.source), None, now);
                }
                // Many reports gone at once are a way to be blind, which rings by itself.
                Alarm::Undecided { .. } | Alarm::Skew { .. } | Alarm::ManyGone { .. } => {}
            }
        }
    }

    /// A sign of trouble: opens its incident, or opens it again, and lets what is new ring.
    pub(super) fn trouble(
        &self,
        draft: &mut Draft<'_>,
        (kind, subject): (TroubleKind, &Name),
        name: Option<&Name>,
        now: Timestamp,
    ) {
        let Some(operators) = self.policy.operators.clone() else { return };
        let no = self.trouble_of(draft, kind, subject).unwrap_or_else(|| {
            let trouble = Trouble::new(kind, subject.clone(), now);
            let no = draft.open_incident(IncidentKind::Trouble(trouble), operators);
            if kind.is_told_without_store() {
                draft.name_incident(no, &name_of_absence(now));
            }
            no
        });
        let Some(held) = draft.incident(no) else { return };
        let IncidentKind::Trouble(trouble) = &held.kind else { return };
        let is_new = !held.is_open() || held.rung_at.is_none() && held.ring_at.is_none();
        let noted = trouble.last.plus(NOTED_EVERY) > now && !is_new;
        if noted && !trouble.clone().add(name) {
            return;
        }
        let Some(incident) = draft.incident_mut(no) else { return };
        let reopened = incident.resolved_at.take().is_some();
        let IncidentKind::Trouble(trouble) = &mut incident.kind else { return };
        if reopened {
            *trouble = Trouble::new(kind, subject.clone(), now);
        }
        trouble.last = now;
        let news = trouble.add(name) || is_new;
        if kind.shows_by_signs() {
            incident.over_at = Some(now.plus(NOTED_EVERY).plus(QUIET_FOR));
        }
        if news && incident.ring_at.is_none() {
            let at = incident.rung_at.map_or(now, |rung_at| now.max(rung_at.plus(TROUBLE_AGAIN_AFTER)));
            incident.ring_at = Some(at);
        }
    }

    /// The cause is gone.
    pub(super) fn trouble_over(&self, draft: &mut Draft<'_>, kind: TroubleKind, subject: &Name, now: Timestamp) {
        if let Some(no) = self.trouble_of(draft, kind, subject) {
            self.resolve(draft, no, now);
        }
    }

    /// After a complete look at a source: whether any open case of it is still presumed.
    pub(super) fn look_for_presumed(&self, draft: &mut Draft<'_>, source: &Name, now: Timestamp) {
        let about = (TroubleKind::PresumedCategories, source.clone());
        if self.troubles.contains_key(&about) && !self.has_unnamed(source) {
            self.trouble_over(draft, about.0, source, now);
        }
    }

    /// The incident about this, open or over.
    fn trouble_of(&self, draft: &Draft<'_>, kind: TroubleKind, subject: &Name) -> Option<IncidentNo> {
        let about = |incident: &&Incident| match &incident.kind {
            IncidentKind::Trouble(trouble) => trouble.kind == kind && trouble.subject == *subject,
            _ => false,
        };
        let held = self.troubles.get(&(kind, subject.clone())).copied();
        held.or_else(|| draft.plan.incidents.values().find(about).map(|incident| incident.no))
    }

    pub(super) fn ring_trouble(&self, draft: &mut Draft<'_>, no: IncidentNo, now: Timestamp) {
        let Some(IncidentKind::Trouble(trouble)) = draft.incident(no).map(|incident| &incident.kind) else { return };
        let priority = trouble.kind.priority();
        self.page(draft, no, priority, (0, Vec::new()), None, now);
    }
}
