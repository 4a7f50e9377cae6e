//! What each cell means in each place, and that none breaks the decoder.

use super::*;
use crate::core::observation::EventName;
use crate::core::time::Span;
use crate::secret::Secret;
use crate::source::settings::{
    Actors, CategoryFrom, Columns, DueColumn, EventColumn, FactColumn, OutcomeFrom, Reading, RowsFrom, Settings, States,
};

const RECEIVED_MICROS: i64 = 1_750_000_000_000_000;
const LATER_MICROS: i64 = RECEIVED_MICROS + 60_000_000;

fn settings() -> Settings {
    let event = |name, column: &str, by: Option<&str>| EventColumn {
        name,
        column: column.into(),
        by: by.map(str::to_owned),
        unit: None,
    };
    Settings {
        name: "reports".into(),
        url: Secret::new("sqlite:none"),
        poll: Span::from_secs(1),
        timezone: "America/New_York".parse().expect("a zone"),
        rows: RowsFrom::Table("reports".into()),
        columns: Columns {
            id: "id".into(),
            case: vec!["kind".into(), "item".into()],
            category: CategoryFrom::Column("reason".into()),
        },
        events: vec![
            event(EventName::Received, "created", None),
            event(EventName::FirstResponse, "answered", None),
            event(EventName::Closed, "closed", Some("closed_by")),
        ],
        dues: vec![DueColumn { name: "due_at".into(), column: "due".into(), unit: None }],
        facts: vec![
            FactColumn { name: "views".into(), column: "view_count".into(), kind: FactType::Int },
            FactColumn { name: "score".into(), column: "score".into(), kind: FactType::Float },
            FactColumn { name: "minor".into(), column: "is_minor".into(), kind: FactType::Bool },
            FactColumn { name: "reporter".into(), column: "reporter_kind".into(), kind: FactType::String },
        ],
        actors: Actors { automated: vec!["bot-*".into()], people: vec!["mod-*".into()] },
        states: States {
            column: Some("status".into()),
            paused: vec!["waiting".into()],
            outcome: Some(OutcomeFrom { column: "outcome".into(), violation: vec!["removed".into()] }),
            ..States::default()
        },
        reading: Reading::default(),
    }
}

/// A row whose columns all read well, in the order of the selection.
fn good() -> Vec<Cell<'static>> {
    vec![
        Cell::Int(7),                 // id
        Cell::Text("csam"),           // reason
        Cell::Text("post"),           // kind
        Cell::Int(99),                // item
        Cell::Time(RECEIVED_MICROS),  // created
        Cell::Null,                   // answered
        Cell::Time(LATER_MICROS),     // closed
        Cell::Text("mod-kim"),        // closed_by
        Cell::Time(LATER_MICROS + 1), // due
        Cell::Text("waiting"),        // status
        Cell::Text("removed"),        // outcome
        Cell::Int(1_200),             // view_count
        Cell::Float(0.5),             // score
        Cell::Bool(true),             // is_minor
        Cell::Text("police"),         // reporter_kind
    ]
}

const COLUMNS: [&str; 15] = [
    "id",
    "reason",
    "kind",
    "item",
    "created",
    "answered",
    "closed",
    "closed_by",
    "due",
    "status",
    "outcome",
    "view_count",
    "score",
    "is_minor",
    "reporter_kind",
];

fn decoder(settings: &Settings) -> Decoder {
    let selection = Selection::of(settings);
    assert_eq!(selection.columns.iter().map(|name| &**name).collect::<Vec<_>>(), COLUMNS);
    Decoder::new(settings, selection, Keys::new(b"a secret of a test"))
}

fn decode(cells: &[Cell<'_>]) -> (Option<Observation>, Vec<Reject>) {
    let mut rejects = Vec::new();
    let observation = decoder(&settings()).row(cells, &mut rejects);
    (observation, rejects)
}

/// The good row with one column changed: its row and the flaws found, by column.
fn with(column: &str, cell: Cell<'_>) -> (Row, Vec<(String, Flaw)>) {
    let mut cells: Vec<Cell<'_>> = good();
    cells[COLUMNS.iter().position(|name| *name == column).expect("a column")] = cell;
    let (observation, rejects) = decode(&cells);
    let row = observation.expect("an observation").row.expect("a row");
    assert!(rejects.iter().all(|reject| reject.id == Some(ReportId::Int(7))));
    (row, rejects.into_iter().map(|reject| (reject.column.to_string(), reject.flaw)).collect())
}

fn flaw(column: &str, flaw: Flaw) -> Vec<(String, Flaw)> {
    vec![(column.to_owned(), flaw)]
}

#[test]
fn a_good_row_becomes_an_observation_without_rejects() {
    let (observation, rejects) = decode(&good());
    assert_eq!(rejects, []);
    let observation = observation.expect("an observation");
    assert_eq!(observation.id, ReportId::Int(7));
    let at = Timestamp::from_micros;
    let row = observation.row.expect("a row");
    assert_eq!(row.received, Received::At(at(RECEIVED_MICROS)));
    assert_eq!(&*row.category, "csam");
    let closed = Event { at: at(LATER_MICROS), name: EventName::Closed, by: Actor::Person("mod-kim".into()) };
    assert_eq!(row.events, [closed]);
    assert_eq!(row.due("due_at"), Some(at(LATER_MICROS + 1)));
    assert!(row.paused);
    assert_eq!(row.verdict, Verdict::Violation);
    let subject = Keys::new(b"a secret of a test").subject("reports", &["post".into(), "99".into()]);
    assert_eq!(row.subject, Some(subject));
}

#[test]
fn a_row_without_an_id_is_a_reject_and_no_observation() {
    let long = "x".repeat(257);
    let cases = [
        (Cell::Null, Flaw::NoId),
        (Cell::Text(""), Flaw::NoId),
        (Cell::Text(&long), Flaw::BadText),
        (Cell::Text("a\0b"), Flaw::BadText),
        (Cell::BadText, Flaw::BadText),
        (Cell::Float(1.5), Flaw::WrongType),
        (Cell::Other, Flaw::WrongType),
    ];
    for (cell, flaw) in cases {
        let mut cells: Vec<Cell<'_>> = good();
        cells[0] = cell;
        let (observation, rejects) = decode(&cells);
        assert_eq!(observation, None);
        assert_eq!(rejects, [Reject { id: None, column: "id".into(), flaw }]);
    }
}

#[test]
fn an_id_is_a_whole_number_a_text_or_a_uuid() {
    let longest = "x".repeat(256);
    let cases = [
        (Cell::Int(-1), ReportId::Int(-1)),
        (Cell::Text(&longest), ReportId::Text(longest.as_str().into())),
        (Cell::Uuid([3; 16]), ReportId::Uuid([3; 16])),
    ];
    for (cell, id) in cases {
        assert_eq!(report_id(cell), Ok(id));
    }
}

#[test]
fn an_unreadable_category_is_empty_and_thereby_in_no_list() {
    let long = "x".repeat(257);
    let cases = [
        (Cell::Null, Flaw::Missing),
        (Cell::Text(""), Flaw::Missing),
        (Cell::Text(&long), Flaw::BadText),
        (Cell::Text("cs\0am"), Flaw::BadText),
        (Cell::BadText, Flaw::BadText),
        (Cell::Time(5), Flaw::WrongType),
        (Cell::Other, Flaw::WrongType),
    ];
    for (cell, expected) in cases {
        let (row, flaws) = with("reason", cell);
        assert_eq!((&*row.category, flaws), ("", flaw("reason", expected)));
    }
}

#[test]
fn a_category_may_be_a_number_and_is_not_trimmed() {
    assert_eq!(&*with("reason", Cell::Int(1000)).0.category, "1000");
    assert_eq!(&*with("reason", Cell::Bool(true)).0.category, "true");
    assert_eq!(&*with("reason", Cell::Text(" spam")).0.category, " spam");
}

#[test]
fn an_unreadable_closing_is_no_closing() {
    for (cell, expected) in [
        (Cell::Text("soon"), Flaw::NotATime),
        (Cell::Text("2025-06-01"), Flaw::NotATime),
        (Cell::Int(1_750_000_000), Flaw::NotATime),
        (Cell::Time(i64::MAX), Flaw::TimeOutOfRange),
        (Cell::LocalTime(i64::MIN), Flaw::TimeOutOfRange),
        (Cell::Bool(true), Flaw::WrongType),
        (Cell::BadText, Flaw::NotATime),
    ] {
        let (row, flaws) = with("closed", cell);
        assert_eq!(row.event(EventName::Closed), None);
        assert_eq!(flaws, flaw("closed", expected));
    }
    for cell in [Cell::Null, Cell::Text(""), Cell::Text("  ")] {
        let (row, flaws) = with("closed", cell);
        assert_eq!((row.events, flaws), (vec![], vec![]));
    }
}

#[test]
fn a_received_that_is_null_or_unreadable_is_left_to_the_core_and_told() {
    for (cell, expected) in [
        (Cell::Null, Flaw::Missing),
        (Cell::Text(""), Flaw::Missing),
        (Cell::Text("yesterday"), Flaw::NotATime),
        (Cell::Time(-1), Flaw::TimeOutOfRange),
    ] {
        let (row, flaws) = with("created", cell);
        assert_eq!((row.received, flaws), (Received::Unreadable, flaw("created", expected)));
    }
}

#[test]
fn a_stated_due_date_may_be_missing_in_silence_but_not_unreadable() {
    for cell in [Cell::Null, Cell::Text("")] {
        let (row, flaws) = with("due", cell);
        assert_eq!((row.dues, flaws), (vec![], vec![]));
    }
    let (row, flaws) = with("due", Cell::Text("next week"));
    assert_eq!((row.dues, flaws), (vec![], flaw("due", Flaw::NotATime)));
}

#[test]
fn a_row_that_does_not_name_its_item_whole_is_its_own_case() {
    assert_eq!(with("item", Cell::Null).0.subject, None);
    assert_eq!(with("kind", Cell::Text("")).0.subject, None);
    let (row, flaws) = with("kind", Cell::BadText);
    assert_eq!((row.subject, flaws), (None, flaw("kind", Flaw::BadText)));
    // Parts are kept apart: ("ab", "c") is not ("a", "bc").
    assert_ne!(with("kind", Cell::Text("post9")).0.subject, with("kind", Cell::Text("post")).0.subject);
}

#[test]
fn whoever_matches_no_pattern_is_unknown_and_so_is_null() {
    let by = |cell| with("closed_by", cell).0.events[0].by.clone();
    assert_eq!(by(Cell::Text("mod-1")), Actor::Person("mod-1".into()));
    assert_eq!(by(Cell::Text("bot-9")), Actor::Automated);
    assert_eq!(by(Cell::Text("someone")), Actor::Unknown);
    assert_eq!(by(Cell::Null), Actor::Unknown);
    assert_eq!(by(Cell::Int(4)), Actor::Unknown);
    let (row, flaws) = with("closed_by", Cell::Text("mod-\0"));
    assert_eq!((row.events[0].by.clone(), flaws), (Actor::Unknown, flaw("closed_by", Flaw::BadText)));
}

#[test]
fn where_no_actor_or_outcome_is_mapped_that_is_said() {
    let mut settings = settings();
    settings.events[2].by = None;
    settings.states = States::default();
    let selection = Selection::of(&settings);
    let mut decoder = Decoder::new(&settings, selection, Keys::new(b"a secret of a test"));
    let mut cells = good();
    cells.remove(7);
    let row = decoder.row(&cells, &mut Vec::new()).and_then(|seen| seen.row).expect("a row");
    assert_eq!((row.events[0].by.clone(), row.verdict, row.paused), (Actor::Unmapped, Verdict::Unmapped, false));
}

#[test]
fn a_state_pauses_only_when_listed_and_an_outcome_is_a_violation_only_when_listed() {
    assert!(!with("status", Cell::Text("Waiting")).0.paused);
    let (row, flaws) = with("status", Cell::Null);
    assert_eq!((row.paused, flaws), (false, vec![]));
    let (row, flaws) = with("status", Cell::BadText);
    assert_eq!((row.paused, flaws), (false, flaw("status", Flaw::BadText)));
    for cell in [Cell::Null, Cell::Text("duplicate"), Cell::Text(""), Cell::Int(1)] {
        let (row, flaws) = with("outcome", cell);
        assert_eq!((row.verdict, flaws), (Verdict::NoViolation, vec![]));
    }
}

#[test]
fn events_come_in_the_order_of_time_and_then_of_name() {
    let (row, _) = with("answered", Cell::Time(LATER_MICROS));
    let names: Vec<EventName> = row.events.iter().map(|event| event.name).collect();
    assert_eq!(names, [EventName::FirstResponse, EventName::Closed]);
    let (row, _) = with("answered", Cell::Time(LATER_MICROS + 1));
    let names: Vec<EventName> = row.events.iter().map(|event| event.name).collect();
    assert_eq!(names, [EventName::Closed, EventName::FirstResponse]);
}

/// The microsecond that a cell means, or its flaw; `None` when it says that there is no time.
fn read(cell: Cell<'_>, unit: Option<Unit>) -> Option<Result<i64, Flaw>> {
    match moment(cell, unit, "America/New_York".parse().expect("a zone")) {
        Moment::Absent => None,
        Moment::At(at) => Some(Ok(at.micros())),
        Moment::Flawed(flaw) => Some(Err(flaw)),
    }
}

#[test]
fn every_time_encoding_means_its_instant() {
    const SECS: i64 = 1_750_000_000;
    const MICROS: i64 = SECS * 1_000_000;
    let (s, ms) = (Some(Unit::Seconds), Some(Unit::Milliseconds));
    let same = [
        (Cell::Time(MICROS), None),
        (Cell::LocalTime(MICROS - 4 * 3_600_000_000), None),
        (Cell::Int(SECS), s),
        (Cell::Int(SECS * 1_000), ms),
        (Cell::Float(1_750_000_000.0), s),
        (Cell::Text("1750000000"), s),
        (Cell::Text("1750000000.000"), s),
        (Cell::Text("1750000000000"), ms),
        (Cell::Text("2025-06-15T15:06:40Z"), None),
        (Cell::Text("2025-06-15T15:06:40Z"), ms),
        (Cell::Text("2025-06-15 17:06:40.000+02"), None),
        (Cell::Text(" 2025-06-15 11:06:40 "), None),
    ];
    for (cell, unit) in same {
        assert_eq!(read(cell, unit), Some(Ok(MICROS)), "{cell:?}");
    }
    assert_eq!(read(Cell::Float(0.25), s), Some(Ok(250_000)));
}

#[test]
fn zero_in_a_column_of_numbers_says_that_there_is_no_time() {
    for cell in [Cell::Int(0), Cell::Float(0.0), Cell::Text("0"), Cell::Text("")] {
        assert_eq!(read(cell, Some(Unit::Seconds)), None);
    }
}

#[test]
fn no_number_is_too_large_to_be_refused() {
    for cell in [
        Cell::Int(i64::MAX),
        Cell::Int(i64::MIN),
        Cell::Int(-1),
        Cell::Int(253_402_300_800),
        Cell::Float(f64::INFINITY),
        Cell::Float(-1.0),
        Cell::Float(1e300),
        Cell::Text("99999999999999999999"),
        Cell::Text("-inf"),
    ] {
        assert_eq!(read(cell, Some(Unit::Seconds)), Some(Err(Flaw::TimeOutOfRange)), "{cell:?}");
    }
    assert_eq!(read(Cell::Float(f64::NAN), Some(Unit::Seconds)), Some(Err(Flaw::NotATime)));
    assert_eq!(read(Cell::Int(253_402_300_799), Some(Unit::Seconds)), Some(Ok(253_402_300_799_000_000)));
    for micros in [i64::MIN, -1, TIME_END_MICROS, i64::MAX] {
        assert_eq!(read(Cell::Time(micros), None), Some(Err(Flaw::TimeOutOfRange)));
    }
}

proptest::proptest! {
    #[test]
    fn no_text_and_no_number_breaks_the_decoder(text: String, int: i64, float: f64, at in 0..COLUMNS.len()) {
        for cell in [Cell::Text(&text), Cell::Int(int), Cell::Float(float), Cell::Time(int), Cell::LocalTime(int)] {
            let mut cells: Vec<Cell<'_>> = good();
            cells[at] = cell;
            let (observation, rejects) = decode(&cells);
            // A row is an observation or a reject, never neither.
            proptest::prop_assert!(observation.is_some() || !rejects.is_empty());
        }
        for unit in [Unit::Seconds, Unit::Milliseconds] {
            read(Cell::Int(int), Some(unit));
            read(Cell::Float(float), Some(unit));
            read(Cell::Text(&text), Some(unit));
        }
    }
}

fn fact_of(column: &str, name: &str, cell: Cell<'_>) -> (Fact, Vec<(String, Flaw)>) {
    let (row, flaws) = with(column, cell);
    (row.fact(name).expect("a mapped fact has an entry").clone(), flaws)
}

#[test]
fn a_fact_has_the_declared_type_whatever_the_column_has() {
    let float = |value: f64| Fact::Float(Real::new(value).expect("finite"));
    let text = |value: &str| Fact::String(value.into());
    let cases = [
        ("view_count", "views", Cell::Int(7), Fact::Int(7)),
        ("view_count", "views", Cell::Float(7.0), Fact::Int(7)),
        ("view_count", "views", Cell::Text(" 7 "), Fact::Int(7)),
        ("view_count", "views", Cell::Bool(true), Fact::Int(1)),
        ("score", "score", Cell::Int(7), float(7.0)),
        ("score", "score", Cell::Text("7.5"), float(7.5)),
        ("is_minor", "minor", Cell::Int(1), Fact::Bool(true)),
        ("is_minor", "minor", Cell::Text("F"), Fact::Bool(false)),
        ("is_minor", "minor", Cell::Text("Yes"), Fact::Bool(true)),
        ("reporter_kind", "reporter", Cell::Int(3), text("3")),
        ("reporter_kind", "reporter", Cell::Bool(true), text("true")),
    ];
    for (column, name, cell, fact) in cases {
        assert_eq!(fact_of(column, name, cell), (fact, Vec::new()), "{cell:?}");
    }
}

#[test]
fn a_null_fact_is_its_types_zero() {
    let cases = [
        ("view_count", "views", FactType::Int),
        ("score", "score", FactType::Float),
        ("is_minor", "minor", FactType::Bool),
        ("reporter_kind", "reporter", FactType::String),
    ];
    for (column, name, kind) in cases {
        assert_eq!(fact_of(column, name, Cell::Null), (kind.zero(), Vec::new()));
    }
}

#[test]
fn a_fact_that_cannot_be_read_is_a_reject_and_told_apart_from_zero() {
    let long = "x".repeat(TEXT_MAX_BYTES + 1);
    let cases = [
        ("view_count", "views", Cell::Text("1,200"), Flaw::WrongType),
        ("view_count", "views", Cell::Float(0.5), Flaw::WrongType),
        ("view_count", "views", Cell::Float(1e300), Flaw::WrongType),
        ("view_count", "views", Cell::Time(0), Flaw::WrongType),
        ("score", "score", Cell::Float(f64::NAN), Flaw::WrongType),
        ("score", "score", Cell::Text("inf"), Flaw::WrongType),
        ("score", "score", Cell::Other, Flaw::WrongType),
        ("is_minor", "minor", Cell::Int(2), Flaw::WrongType),
        ("is_minor", "minor", Cell::Text("maybe"), Flaw::WrongType),
        ("is_minor", "minor", Cell::BadText, Flaw::BadText),
        ("reporter_kind", "reporter", Cell::Text(&long), Flaw::BadText),
    ];
    for (column, name, cell, bad) in cases {
        assert_eq!(fact_of(column, name, cell), (Fact::Unreadable, flaw(column, bad)), "{cell:?}");
    }
}
