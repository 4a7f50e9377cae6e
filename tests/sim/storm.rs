//! A storm: ten thousand deadlines pass within one second, fifty of them P0, while the first channel of every
//! escalation says "too many". Time is virtual: what is measured is every wait that the design holds, not the speed
//! of a machine.

use crate::driver::{Life, World, keys};
use crate::kit::*;
use crate::model_store::ModelStore;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tocsin::core::id::{Name, ReportId};
use tocsin::core::observation::{Observation, Row};
use tocsin::core::plan::{BATCH, Input, PageKind, Rows};
use tocsin::core::policy::{Policy, Priority, Step};
use tocsin::core::time::{Span, Timestamp};
use tocsin::pager::payload::Payload;
use tocsin::pager::{Answer, AnswerVerdict, Outgoing, Sender};
use tocsin::run::clock::Clock;
use tocsin::run::outbox::{Outbox, OutboxStats, channel_sending_max, sending_max};
use tocsin::store::{Lane, NewPage, Store};

const REPORTS: i64 = 10_000;
const P0: i64 = 50;

/// However many deadlines pass at once, one plan rings this often at most: P0 in bundles, the rest in groups.
const COMMIT_PAGES_MAX: usize = 16;
/// Fifty cases, and what is said beside them.
const PAYLOAD_BYTES_MAX: usize = 20_000;

/// How long a P0 may take from its deadline until it has rung somewhere.
const RUNG_WITHIN: Span = Span::from_secs(2);

/// The second in which every deadline passes begins here.
fn due() -> Timestamp {
    minute(700)
}

fn stormy() -> Policy {
    let mut policy = policy();
    for (name, second) in [("minor-safety", "p0-mail"), ("on-call", "mail")] {
        let escalation = policy.escalations.get_mut(name).expect("an escalation of the kit");
        escalation.steps.push(Step { at: Span::from_hours(1), notify: vec![second.into()] });
    }
    policy
}

/// "Too many" on the first channels, for five minutes each time; the second ones accept and are remembered.
#[derive(Default)]
struct Board {
    store: Arc<ModelStore>,
    accepted: Mutex<Vec<(Timestamp, Payload)>>,
    refused: Mutex<u64>,
    /// The most pages of a lane and channel, and the most bytes of payloads, that the process held at once.
    held_max: Mutex<BTreeMap<(Lane, Name), usize>>,
    held_bytes_max: Mutex<usize>,
}

impl Board {
    /// Takes note of what the process holds: what it has leased and not settled yet. All else is in the store.
    fn weigh(&self) {
        let tables = self.store.tables();
        let (mut held, mut bytes) = (BTreeMap::<(Lane, Name), usize>::new(), 0);
        for NewPage { priority, channel, payload, .. } in
            tables.pages.iter().filter(|state| state.state == "leased").map(|state| &state.page)
        {
            let lane = if *priority == Priority::P0 { Lane::P0 } else { Lane::Lesser };
            *held.entry((lane, channel.clone())).or_default() += 1;
            bytes += payload.len();
        }
        let mut most = self.held_max.lock().unwrap();
        for (place, count) in held {
            let held = most.entry(place).or_default();
            *held = count.max(*held);
        }
        let mut bytes_max = self.held_bytes_max.lock().unwrap();
        *bytes_max = bytes.max(*bytes_max);
    }
}

impl Sender for Board {
    async fn send(&self, page: &Outgoing<'_>, now: Timestamp) -> Answer {
        self.weigh();
        if !page.channel.ends_with("mail") {
            *self.refused.lock().unwrap() += 1;
            let verdict = AnswerVerdict::Retry { after: Some(Span::from_mins(5)) };
            return Answer { verdict, text: "429".to_owned() };
        }
        self.accepted.lock().unwrap().push((now, serde_json::from_str(page.payload).unwrap()));
        Answer::accepted("202")
    }
}

/// The report of this id; all P0 deadlines lie `apart` from each other.
fn report(id: i64, apart: Span) -> Row {
    let within_the_second = |span: i64| due().minus(Span::from_mins(span)).plus(Span::from_micros(id % 1_000 * 1_000));
    match id {
        0..P0 => row("csam", due().minus(Span::from_mins(15)).plus(Span::from_micros(apart.micros() * id))),
        id if id % 3 == 0 => row("threat", within_the_second(30)),
        id if id % 3 == 1 => row("ncii", within_the_second(60)),
        _ => row("spam", within_the_second(600)),
    }
}

/// The storm and the ten minutes after it, of which nothing is sent for the first `late`. Gives the world, the board
/// and the deadline of each P0 by its reference.
async fn storm(apart: Span, late: Span) -> (World, Arc<Board>, BTreeMap<String, Timestamp>) {
    let world = World::new();
    world.clock.set(due().minus(Span::from_mins(1)));
    let mut life = Life::start(Arc::new(stormy()), world.store.clone(), world.table.clone(), world.clock.clone()).await;
    world.table.rows.lock().unwrap().extend((0..REPORTS).map(|id| (id, report(id, apart))));
    let ids: Vec<i64> = (0..REPORTS).collect();
    for ids in ids.chunks(BATCH) {
        let seen = |id: &i64| Observation { id: ReportId::Int(*id), row: Some(report(*id, apart)) };
        let rows = ids.iter().map(seen).collect();
        let read_began = world.clock.now();
        let rows = Rows { source: "reports".into(), read_began, rows, rejects: Vec::new(), recalled: Vec::new() };
        life.engine.feed(Input::Rows(rows)).await.unwrap();
    }
    let began = world.clock.now();
    life.engine.feed(Input::ScanEnded { source: "reports".into(), began }).await.unwrap();
    let p0 = life.engine.core().cases().filter(|case| case.priority == Priority::P0);
    let p0 = p0.map(|case| (keys().reference(&case.key.case), case.clocks[0].deadline.expect("it runs"))).collect();

    let board = Arc::new(Board { store: world.store.clone(), ..Board::default() });
    let channels: Vec<Name> = ["p0-pager", "pager", "p0-mail", "mail"].map(Name::from).to_vec();
    let stats = OutboxStats::new(&channels).unwrap();
    let outbox = Outbox::new(world.store.clone(), board.clone(), world.clock.clone(), keys(), stats);
    let (begin, end) = (due().plus(late), due().plus(Span::from_mins(10)));
    while world.clock.now() < end {
        let (mut created, mut at_once) = (world.store.tables().pages.len(), 0);
        while life.step().await {
            let now = world.store.tables().pages.len();
            (created, at_once) = (now, at_once.max(now - created));
        }
        assert!(at_once <= COMMIT_PAGES_MAX, "{at_once} pages in one plan");
        life.take_up_inbox().await;
        let mut next = life.next_wake_before(end).unwrap_or(end);
        for lane in [Lane::P0, Lane::Lesser].into_iter().filter(|_| world.clock.now() >= begin) {
            outbox.pass_over(lane).await.unwrap();
            while outbox.pump(lane).await.unwrap() > 0 {}
            next = next.min(world.store.next_page_at(lane, &[]).await.unwrap().unwrap_or(end));
        }
        // As the loops of the outbox do, it looks for unanswered pages also while nothing else is due.
        let now = world.clock.now();
        world.clock.set(next.clamp(now.plus(Span::from_micros(1_000)), now.plus(Span::from_secs(5))));
    }
    (world, board, p0)
}

/// As many of a channel as may be on their way at once, and of these no more than a receiver takes.
fn assert_memory_stayed_flat(board: &Board) {
    for ((lane, channel), held) in board.held_max.lock().unwrap().iter() {
        assert!(*held <= channel_sending_max(*lane), "{held} pages for {channel} at once");
    }
    let lanes_max = sending_max(Lane::P0) + sending_max(Lane::Lesser);
    let (held, bytes_max) = (*board.held_bytes_max.lock().unwrap(), lanes_max * PAYLOAD_BYTES_MAX);
    assert!(held <= bytes_max, "{held} bytes of payloads at once");
    let tables = board.store.tables();
    let longest = tables.pages.iter().map(|state| state.page.payload.len()).max().unwrap();
    assert!(longest <= PAYLOAD_BYTES_MAX, "a payload of {longest} bytes");
}

fn assert_storm_passed(world: &World, board: &Board, p0: &BTreeMap<String, Timestamp>) {
    assert_eq!(p0.len(), P0 as usize);
    assert_memory_stayed_flat(board);
    assert!(*board.refused.lock().unwrap() > 0, "nothing was refused");
    let accepted = board.accepted.lock().unwrap();
    for (reference, deadline) in p0 {
        let told = |(_, payload): &&(Timestamp, Payload)| payload.cases.iter().any(|case| case.case == *reference);
        let (at, _) = accepted.iter().find(told).unwrap_or_else(|| panic!("{reference} rang nowhere"));
        assert!(*at <= deadline.plus(RUNG_WITHIN), "{reference} rang {} after its deadline", at.since(*deadline));
    }

    let tables = world.store.tables();
    assert_eq!(tables.breaches.len(), REPORTS as usize, "each broken promise is in the store");
    let waiting = tables.pages.iter().filter(|page| page.page.kind == PageKind::Ring);
    assert!(waiting.clone().all(|page| matches!(page.state, "accepted" | "queued")), "no page is dropped");
    let lesser = accepted.iter().filter(|(_, payload)| payload.priority != "P0");
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    let mut rings = 0;
    for (_, payload) in lesser {
        rings += 1;
        last.insert(payload.cases[0].category.clone(), payload.count);
    }
    assert!(rings <= 6, "{rings} pages for three categories");
    let of = |category: &str| (0..REPORTS).filter(|id| &*report(*id, Span::ZERO).category == category).count() as u64;
    let expected = ["ncii", "spam", "threat"].map(|category| (category.to_owned(), of(category)));
    assert_eq!(last, expected.into(), "and each tells of all there are");
}

#[tokio::test]
async fn a_storm_of_ten_thousand_delays_no_p0_drops_nothing_and_makes_a_handful_of_pages() {
    let (world, board, p0) = storm(Span::from_micros(20_000), Span::ZERO).await;
    assert_storm_passed(&world, &board, &p0);
}

#[tokio::test]
async fn a_storm_whose_p0_deadlines_pass_at_one_instant_rings_them_as_one() {
    let (world, board, p0) = storm(Span::ZERO, Span::ZERO).await;
    assert_storm_passed(&world, &board, &p0);
    let accepted = board.accepted.lock().unwrap();
    assert_eq!(accepted.iter().filter(|(_, payload)| payload.priority == "P0").count(), 1);
}

#[tokio::test]
async fn pages_of_a_storm_that_nobody_sends_yet_wait_in_the_store_and_never_in_memory() {
    let (world, board, p0) = storm(Span::from_micros(20_000), Span::from_mins(1)).await;
    assert_eq!(p0.len(), P0 as usize);
    assert_memory_stayed_flat(&board);
    let lane_of_p0 = (Lane::P0, Name::from("p0-pager"));
    let held = board.held_max.lock().unwrap().get(&lane_of_p0).copied();
    assert_eq!(held, Some(channel_sending_max(Lane::P0)), "too few waited to prove anything");
    let tables = world.store.tables();
    let of_p0 = tables.pages.iter().filter(|page| &*page.page.channel == "p0-pager").count();
    assert_eq!(of_p0, P0 as usize, "each has its page");
}
