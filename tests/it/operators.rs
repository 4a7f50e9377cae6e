//! What rings the operators: one incident for each cause, a few times a day at most, over by itself.

use crate::kit::*;
use tocsin::core::id::{Name, ReportId};
use tocsin::core::incident::IncidentKind;
use tocsin::core::observation::{Flaw, Observation, Received, Reject, Row, Verdict};
use tocsin::core::plan::{About, Input, Page, PageKind, Rows};
use tocsin::core::policy::{Escalation, Policy, Step};
use tocsin::core::time::Span;
use tocsin::core::trouble::TroubleKind;

fn watched() -> Policy {
    let mut policy = policy();
    let steps = vec![Step { at: Span::ZERO, notify: vec!["sre".into()] }];
    policy.escalations.insert("operators".into(), Escalation { steps, repeat: None, act_within: None, warn: None });
    policy.operators = Some("operators".into());
    policy
}

/// Every page about trouble of a kind: (minute, ring or resolve, names).
fn told(bench: &Bench, kind: TroubleKind) -> Vec<(i64, PageKind, Vec<Name>)> {
    let about = |page: &Page| match &page.about {
        About::Trouble(trouble) if trouble.kind == kind => Some(trouble.names.clone()),
        _ => None,
    };
    let minute_of = |page: &Page| page.created_at.since(minute(0)).secs().div_euclid(60);
    let told = bench.pages.iter().filter_map(|page| Some((minute_of(page), page.kind, about(page)?)));
    told.collect()
}

fn names(list: &[&str]) -> Vec<Name> {
    list.iter().map(|name| Name::from(*name)).collect()
}

#[test]
fn categories_that_nobody_named_ring_the_operators_once_and_are_over_when_no_open_case_is_presumed() {
    let mut bench = Bench::with(watched());
    for id in 0..20 {
        bench.put(id, row("brand_new", minute(0)));
    }
    bench.until(minute(3));
    let once = (0, PageKind::Ring, names(&["brand_new"]));
    assert_eq!(told(&bench, TroubleKind::PresumedCategories), std::slice::from_ref(&once));
    bench.put(30, row("newer_still", minute(3)));
    bench.until(minute(359));
    assert_eq!(
        told(&bench, TroubleKind::PresumedCategories),
        std::slice::from_ref(&once),
        "a second one within six hours waits"
    );
    bench.until(minute(361));
    let grown = (360, PageKind::Ring, names(&["brand_new", "newer_still"]));
    assert_eq!(told(&bench, TroubleKind::PresumedCategories), [once, grown]);
    for (id, category) in (0..20).map(|id| (id, "brand_new")).chain([(30, "newer_still")]) {
        let received = if id == 30 { minute(3) } else { minute(0) };
        // As many as one account may close before it looks like a script.
        let by = ["ada", "grace", "mary", "mary"][id as usize / 10];
        bench.put(id, row(category, received).closed(minute(361), person(by), Verdict::Violation));
    }
    let began = bench.now;
    bench.feed(Input::ScanEnded { source: "reports".into(), began });
    bench.feed(Input::ScanEnded { source: "reports".into(), began });
    let last: Vec<PageKind> = told(&bench, TroubleKind::PresumedCategories).iter().map(|page| page.1).collect();
    assert_eq!(last, [PageKind::Ring, PageKind::Ring, PageKind::Resolve, PageKind::Resolve]);
}

#[test]
fn a_database_that_writes_anything_as_its_category_makes_one_incident_with_a_bounded_list() {
    let mut bench = Bench::with(watched());
    for id in 0..300 {
        bench.put(id, row(&format!("made up {id}"), minute(0)));
    }
    bench.until(minute(24 * 60));
    let rings = told(&bench, TroubleKind::PresumedCategories);
    assert!(rings.len() <= 4, "{} rings in a day", rings.len());
    assert!(rings.iter().all(|(_, _, names)| names.len() <= 12));
}

fn without_id(bench: &mut Bench) {
    let rejects = vec![Reject { id: None, column: "id".into(), flaw: Flaw::NoId }];
    let (source, read_began) = ("reports".into(), bench.now);
    bench.feed(Input::Rows(Rows { source, read_began, rows: Vec::new(), rejects, recalled: Vec::new() }));
}

#[test]
fn rows_without_an_id_ring_once_however_many_polls_see_them_and_are_over_an_hour_after_the_last() {
    let mut bench = Bench::with(watched());
    for n in 0..600 {
        bench.until(minute(0).plus(Span::from_secs(n)));
        without_id(&mut bench);
    }
    let written = bench.plans.iter().filter(|plan| !plan.incidents.is_empty()).count();
    assert!(written <= 2, "{written} plans wrote the incident: an idle poll would");
    bench.until(minute(200));
    let kinds: Vec<_> = told(&bench, TroubleKind::RowsWithoutId).iter().map(|page| (page.0, page.1)).collect();
    assert_eq!(kinds[0], (0, PageKind::Ring));
    assert_eq!((kinds.len(), kinds[1].1), (2, PageKind::Resolve));
    assert!((60..90).contains(&kinds[1].0), "{kinds:?}");
}

#[test]
fn a_cause_that_comes_and_goes_all_day_rings_four_times_a_day_at_most() {
    let mut bench = Bench::with(watched());
    let parked = |holds| Input::Trouble { kind: TroubleKind::PagesParked, subject: "pager".into(), holds };
    for n in 0..288 {
        bench.until(minute(5 * n));
        bench.feed(parked(n % 2 == 0));
    }
    let pages = told(&bench, TroubleKind::PagesParked);
    let rings: Vec<i64> = pages.iter().filter(|page| page.1 == PageKind::Ring).map(|page| page.0).collect();
    assert!(rings.len() <= 4 && rings.len() >= 3, "{rings:?}");
    assert!(rings.windows(2).all(|pair| pair[1] - pair[0] >= 360), "{rings:?}");
}

#[test]
fn reports_of_the_future_ring_the_operators_once_for_their_source() {
    let mut bench = Bench::with(watched());
    for id in 0..9 {
        let row = Row { received: Received::At(minute(600)), ..row("spam", minute(0)) };
        bench.put(id, row);
    }
    bench.until(minute(65));
    let rings = told(&bench, TroubleKind::WrongZone);
    assert_eq!(rings.iter().map(|page| page.1).collect::<Vec<_>>(), [PageKind::Ring]);
    bench.until(minute(120));
    assert_eq!(told(&bench, TroubleKind::WrongZone).last().map(|page| page.1), Some(PageKind::Resolve));
}

#[test]
fn each_channel_and_a_failed_reload_have_an_incident_of_their_own_that_recovers_by_itself() {
    let mut bench = Bench::with(watched());
    let trouble = |kind, subject: &str, holds| Input::Trouble { kind, subject: subject.into(), holds };
    bench.feed(trouble(TroubleKind::PagesParked, "pager", true));
    bench.feed(trouble(TroubleKind::PagesParked, "mail", true));
    bench.feed(trouble(TroubleKind::ReloadFailed, "configuration", true));
    assert_eq!(bench.rings().len(), 3);
    assert_eq!(bench.core.view(bench.now).incidents.len(), 3);
    bench.feed(trouble(TroubleKind::PagesParked, "mail", false));
    bench.feed(trouble(TroubleKind::ReloadFailed, "configuration", false));
    assert_eq!(bench.resolves().len(), 2);
    let open = bench.core.view(bench.now).incidents;
    assert_eq!(open.len(), 1);
    assert!(matches!(&open[0].incident.kind, IncidentKind::Trouble(trouble) if &*trouble.subject == "pager"));
}

#[test]
fn without_an_operators_escalation_nothing_rings_and_nothing_is_opened() {
    let mut bench = Bench::new();
    bench.put(1, row("brand_new", minute(0)));
    without_id(&mut bench);
    assert!(bench.pages.is_empty() && bench.core.view(bench.now).incidents.is_empty());
    let rows = vec![Observation { id: ReportId::Int(1), row: None }];
    bench.rows(rows);
}
