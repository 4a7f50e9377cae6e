//! The board in a real Chromium: it loads, lives, is used by finger, by keyboard and without a script, and says what it
//! says to whoever can't see it. What is served is a bad night of the samples.

mod driver;

use crate::web_page::sample::{NOW, Served, Tray, bad_night_pages, bad_night_status, bad_night_view, row, state};
use crate::web_page::stands_in::Shown;
use driver::{Browser, DESKTOP, Look, PHONE};
use std::sync::Arc;
use tocsin::core::act::Deed;
use tocsin::core::id::IncidentNo;
use tocsin::core::policy::Priority;
use tocsin::core::view::View;
use tocsin::web::WebState;

async fn bad_night() -> (Served, WebState, Arc<Tray>) {
    let tray = Arc::new(Tray { open: vec![IncidentNo(12)], ..Tray::default() });
    let base = state(bad_night_view(), bad_night_status(), bad_night_pages());
    let engine = Arc::new(Shown(base.view.clone()));
    let state = WebState { desk: tray.clone(), engine, ..base };
    (Served::of(state.clone()).await, state, tray)
}

async fn opened(served: &Served, look: Look, path: &str) -> Browser {
    let browser = Browser::open(look).await;
    browser.goes_to(&format!("{}{path}", served.url)).await;
    browser
}

async fn is_quiet(browser: &Browser) {
    let said = browser.console().await;
    assert!(said.is_empty(), "the console says: {said:#?}");
}

#[tokio::test]
async fn the_board_lives_without_being_loaded_anew_and_the_focus_stays() {
    let (served, state, _) = bad_night().await;
    let browser = opened(&served, DESKTOP, "/").await;
    browser.says("2 P0 overdue").await;
    browser.says("updates by itself").await;
    browser.run("window.sameDocument = true").await;
    browser.run("document.querySelector('#queue a[href^=\"/cases/\"]').focus()").await;
    let (_, focused) = browser.focus().await;
    let mut view = View::clone(&state.view.load());
    let mut third = row("reports", 4_799, "grooming", Priority::P0, Some(-5));
    third.incident = Some(IncidentNo(14));
    view.queue.insert(2, third.clone());
    let group =
        tocsin::core::view::Group { source: "reports".into(), category: "grooming".into(), priority: Priority::P0 };
    let counts = view.open.entry(group).or_default();
    (counts.open, counts.overdue) = (counts.open + 1, counts.overdue + 1);
    state.view.store(Arc::new(view));
    browser.says("3 P0 overdue").await;
    browser.says("4799").await;
    let title = browser.run("return document.title").await;
    assert!(title.as_str().unwrap().starts_with("3 P0 overdue"), "{title}");
    assert_eq!(browser.run("return window.sameDocument === true").await, true, "it was loaded anew");
    assert_eq!(browser.focus().await.1, focused, "the focus was lost");
    let spoken = browser.run("return document.getElementById('spoken').textContent").await;
    assert!(spoken.as_str().unwrap().contains("3 P0 overdue"), "{spoken}");
    is_quiet(&browser).await;
    browser.close().await;
}

#[tokio::test]
async fn an_incident_is_taken_with_the_keyboard_alone() {
    const TAB: &str = "\u{E004}";
    const ENTER: &str = "\u{E007}";
    let (served, state, tray) = bad_night().await;
    let browser = opened(&served, DESKTOP, "/").await;
    browser.says("Acknowledge").await;
    let mut found = false;
    for _ in 0..40 {
        browser.types(TAB).await;
        let (words, leads_to) = browser.focus().await;
        found = words.contains("Acknowledge") && leads_to == "/incidents/I-12";
        if found {
            break;
        }
    }
    assert!(found, "no way by Tab to the incident's button");
    browser.types(ENTER).await;
    browser.says("Acknowledging stops its escalation").await;
    let mut named = false;
    for _ in 0..20 {
        browser.types(TAB).await;
        named = browser.focus().await.1 == "name";
        if named {
            break;
        }
    }
    assert!(named, "no way by Tab to the name");
    browser.types("Ada").await;
    browser.types(ENTER).await;
    browser.says("I-12 is taken by Ada").await;
    let deeds = tray.deeds.lock().unwrap().clone();
    assert_eq!(deeds, [(Deed::AcknowledgePage { incident: IncidentNo(12), round: 1 }, "Ada".to_owned())]);
    browser.goes_to(&served.url).await;
    browser.says("updates by itself").await;
    let mut view = View::clone(&state.view.load());
    view.incidents[1].incident.acknowledge("Ada".into(), false, None, NOW);
    state.view.store(Arc::new(view));
    browser.says("Ada, 0s ago").await;
    is_quiet(&browser).await;
    browser.close().await;
}

#[tokio::test]
async fn a_phone_shows_all_of_it_without_scrolling_sideways_and_with_room_for_a_thumb() {
    let (served, ..) = bad_night().await;
    for path in ["/", "/incidents/I-12", "/login"] {
        let browser = opened(&served, PHONE, path).await;
        let width = browser.run("return document.documentElement.scrollWidth").await;
        assert!(width.as_u64().unwrap() <= 390, "{path} is {width} wide");
        let small = browser
            .run(
                "return Array.from(document.querySelectorAll('button, a.button')).map((b) => \
                 [b.innerText, b.getBoundingClientRect().height]).filter((b) => b[1] < 44)",
            )
            .await;
        assert_eq!(small.as_array().map(Vec::len), Some(0), "{path}: too small for a thumb: {small}");
        is_quiet(&browser).await;
        browser.close().await;
    }
}

#[tokio::test]
async fn without_a_script_everything_is_there_and_an_incident_can_be_taken() {
    let (served, _, tray) = bad_night().await;
    let browser = opened(&served, Look { script: false, ..PHONE }, "/?refresh=off").await;
    for said in
        ["2 P0 overdue", "has not been seen for 6m 12s", "4m 10s overdue", "The week so far", "Refresh by itself"]
    {
        browser.says(said).await;
    }
    browser.goes_to(&format!("{}/incidents/I-12", served.url)).await;
    browser.run("document.getElementById('name').value = 'Ada'; document.querySelector('form').submit()").await;
    browser.says("I-12 is taken by Ada").await;
    assert_eq!(tray.deeds.lock().unwrap().len(), 1);
    browser.close().await;
}

#[tokio::test]
async fn a_board_that_hears_nothing_any_more_says_so() {
    let (served, ..) = bad_night().await;
    let browser = opened(&served, DESKTOP, "/").await;
    browser.says("updates by itself").await;
    drop(served);
    browser.says("hears nothing of the monitor any more").await;
    browser.close().await;
}

/// axe-core, from the file that TOCSIN_TEST_AXE names.
fn axe() -> String {
    let file = std::env::var("TOCSIN_TEST_AXE").expect("TOCSIN_TEST_AXE names axe.min.js; tests/run fetches it");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("read {file}: {error}"))
}

#[tokio::test]
async fn axe_finds_nothing_to_complain_about_in_light_and_dark_on_phone_and_desktop() {
    let (served, ..) = bad_night().await;
    let axe = axe();
    for look in [PHONE, DESKTOP, Look { dark: true, ..PHONE }, Look { dark: true, ..DESKTOP }] {
        let browser = Browser::open(look).await;
        for path in ["/", "/incidents/I-12", "/incidents/I-11", "/login"] {
            browser.goes_to(&format!("{}{path}", served.url)).await;
            browser.run(&axe).await;
            let found = browser
                .run_async(
                    "axe.run().then((r) => done(r.violations.map((v) => v.id + ': ' + v.nodes.map((n) => \
                     n.html + ' ' + n.failureSummary).join(' | '))), (e) => done(['axe failed: ' + e]))",
                )
                .await;
            assert_eq!(found.as_array().map(Vec::len), Some(0), "{path} {look:?}: {found:#}");
        }
        is_quiet(&browser).await;
        browser.close().await;
    }
}

/// Writes pictures of the board into a directory, for a person to look at.
#[tokio::test]
#[ignore = "for a person: writes screenshots into the directory that TOCSIN_SCREENSHOTS names"]
async fn for_a_person_pictures_are_taken_of_a_bad_night() {
    let directory = std::env::var("TOCSIN_SCREENSHOTS").expect("TOCSIN_SCREENSHOTS names a directory");
    let (served, ..) = bad_night().await;
    for (name, look) in [
        ("phone-light", PHONE),
        ("phone-dark", Look { dark: true, ..PHONE }),
        ("desktop-light", DESKTOP),
        ("desktop-dark", Look { dark: true, ..DESKTOP }),
    ] {
        let browser = Browser::open(look).await;
        for (page, path) in [("board", "/"), ("incident", "/incidents/I-12"), ("login", "/login")] {
            browser.goes_to(&format!("{}{path}", served.url)).await;
            if page == "board" {
                browser.says("updates by itself").await;
            }
            let file = format!("{directory}/{page}-{name}.png");
            std::fs::write(&file, browser.screenshot(page == "board").await).expect("write a picture");
        }
        browser.close().await;
    }
}
