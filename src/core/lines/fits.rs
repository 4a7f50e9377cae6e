//! Which cases can be lines: those that can be made whole again from no more than their line, its clocks and the policy.

use super::clocks::is_plain as is_plain_clock;
#[cfg(test)]
use super::tests;
use crate::core::case::{Case, Report};
use crate::core::draft::members_of;
use crate::core::id::{CaseKey, Name, ReportKey};
use crate::core::observation::Received;
use crate::core::policy::Standing;

/// The one report of a case that can be a line; `None` where it couldn't be made whole again from it.
pub(super) fn fitting(case: &Case) -> Option<(&ReportKey, &Report)> {
    #[cfg(test)]
    if tests::holds_all_whole() {
        return None;
    }
    let (key, report) = only_report(case)?;
    // What has broken a promise is in the store, of everything else there is nothing that the store must keep.
    let has_broken = case.clocks.iter().any(|clock| clock.breach().is_some());
    let fits = case.clocks.iter().all(is_plain_clock) && stands_alone(case) && case.stored == has_broken;
    fits.then_some((key, report))
}

/// The one report of a case that a line can hold; `None` where it couldn't be made whole again from it.
fn only_report(case: &Case) -> Option<(&ReportKey, &Report)> {
    let Case {
        key,
        priority: _,
        standing,
        raised,
        spread,
        category,
        rule: _,
        escalation: _,
        reports,
        clocks: _,
        pauses,
        incident,
        ended,
        reopenings,
        closed_by,
        held_until,
        repeats_told,
        raise_seen,
        crossed,
        stored: _,
    } = case;
    let untouched = *standing == Standing::Known
        && !(*raised || *raise_seen)
        && (*spread, *reopenings, *repeats_told) == (0, 0, 0)
        && pauses.is_empty()
        && closed_by.is_empty()
        && held_until.is_none()
        && incident.is_none()
        && ended.is_none()
        && crossed.is_none();
    let mut reports = reports.iter();
    let (Some((report_key, report)), None) = (reports.next(), reports.next()) else { return None };
    let alone = key.case == CaseKey::Report(report_key.clone()) && (key.episode, report_key.incarnation) == (0, 0);
    let plain = !case.is_p0() && untouched && alone && is_plain(report, category);
    plain.then_some((report_key, report))
}

fn is_plain(report: &Report, category: &Name) -> bool {
    let row = &report.row;
    row.received == Received::At(report.received)
        && row.category == *category
        && !row.paused
        && report.gone.is_none()
        && report.base.is_none()
        && report.told.is_empty()
        && !report.anchored_at_first_sight
        && !report.is_superseded()
}

/// Whether it stands in one incident at most, with the deadline that ranks it.
fn stands_alone(case: &Case) -> bool {
    let members = members_of(case);
    members.len() <= 1 && members.iter().all(|(_, (_, deadline, _))| Some(*deadline) == case.next_deadline())
}
