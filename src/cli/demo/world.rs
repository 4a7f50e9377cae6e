//! A platform that isn't: a SQLite report table, and people who file and answer reports in it. Every
//! report is synthetic, and the same seed makes the same stream. It writes to its own file only.

use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::zone::rfc3339;
use fastrand::Rng;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Executor};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const TABLE: &str = "
create table reports (
  id                integer primary key,
  subject           text not null,
  reason            text not null,
  created_at        text not null,
  first_response_at text,
  first_response_by text,
  resolved_at       text,
  resolved_by       text,
  resolution        text
);
create index reports_open on reports(id) where resolved_at is null;
";

/// Reports per hundred. The last reason is one that nobody has put into the configuration.
const REASONS: [(&str, u32); 8] = [
    ("spam", 46),
    ("harassment", 22),
    ("violent_threat", 9),
    ("self_harm", 8),
    ("ncii", 6),
    ("grooming", 4),
    ("csam", 4),
    ("sextortion_new", 1),
];

/// Reports that are open when the demo begins, and the age of the oldest.
const BACKLOG: u32 = 60;
const BACKLOG_AGE: Span = Span::from_mins(4);
/// One report comes in this often on average.
const ARRIVES_EVERY: Span = Span::from_micros(1_500_000);

/// What a press of the storm's button files.
const STORM: u32 = 400;
/// How long the platform's table is away after the other button.
const BLIND_FOR: Span = Span::from_secs(60);
/// How often the buttons are looked at.
const LOOK_EVERY: Span = Span::from_micros(250_000);

/// The buttons that were pressed and not yet obeyed.
#[derive(Debug, Default)]
pub struct Presses {
    storm: AtomicBool,
    blind: AtomicBool,
}

impl Presses {
    pub fn storm(&self) {
        self.storm.store(true, Ordering::Relaxed);
    }

    pub fn blind(&self) {
        self.blind.store(true, Ordering::Relaxed);
    }
}

/// Something that will happen to a report.
enum Deed {
    Respond { by: String },
    Close { by: String, resolution: &'static str },
}

pub struct World<C: Clock> {
    connection: SqliteConnection,
    clock: C,
    rng: Rng,
    next_id: i64,
    /// What people will do, by when.
    agenda: BTreeMap<(Timestamp, i64, u8), Deed>,
    presses: Arc<Presses>,
    /// Until when the table is away.
    away_until: Option<Timestamp>,
}

impl<C: Clock> World<C> {
    /// Makes the table in a new file, with a backlog in it.
    ///
    /// # Errors
    /// When the file can't be made or written.
    pub async fn create(file: &Path, seed: u64, clock: C) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        connection.execute(TABLE).await?;
        let mut world = World {
            connection,
            clock,
            rng: Rng::with_seed(seed),
            next_id: 1,
            agenda: BTreeMap::new(),
            presses: Arc::default(),
            away_until: None,
        };
        let now = world.clock.now();
        for n in 0..BACKLOG {
            let age = BACKLOG_AGE.micros() * i64::from(BACKLOG - n) / i64::from(BACKLOG);
            world.file_report(now.minus(Span::from_micros(age))).await?;
        }
        world.act(now).await?;
        Ok(world)
    }

    /// Lets the platform live until the process stops.
    ///
    /// # Errors
    /// When the file can't be written any more.
    pub async fn live(mut self) -> Result<(), sqlx::Error> {
        let mut next = self.clock.now();
        loop {
            let look = self.clock.now().plus(LOOK_EVERY);
            // While the table is away, what is overdue to be filed waits as well.
            self.clock.sleep_until(if self.away_until.is_some() { look } else { next.min(look) }).await;
            let now = self.clock.now();
            self.obey(now).await?;
            if now >= next && self.away_until.is_none() {
                self.file_report(now).await?;
                self.act(now).await?;
                let pause = self.rng.i64(ARRIVES_EVERY.micros() / 3..ARRIVES_EVERY.micros() * 5 / 3);
                next = now.plus(Span::from_micros(pause));
            }
        }
    }

    /// The board's buttons.
    pub fn presses(&self) -> Arc<Presses> {
        self.presses.clone()
    }

    /// Does what a button asked for: the table goes and comes back under its name, and reports come in a storm.
    async fn obey(&mut self, now: Timestamp) -> Result<(), sqlx::Error> {
        if self.away_until.is_some_and(|until| now >= until) {
            self.away_until = None;
            self.connection.execute("alter table reports_away rename to reports").await?;
        }
        if self.presses.blind.swap(false, Ordering::Relaxed) && self.away_until.is_none() {
            self.away_until = Some(now.plus(BLIND_FOR));
            self.connection.execute("alter table reports rename to reports_away").await?;
        }
        if self.away_until.is_none() && self.presses.storm.swap(false, Ordering::Relaxed) {
            for _ in 0..STORM {
                self.file_report(now).await?;
            }
        }
        Ok(())
    }

    /// Somebody reports something. One in six reports is about an item that was reported before.
    async fn file_report(&mut self, at: Timestamp) -> Result<(), sqlx::Error> {
        let id = self.next_id;
        self.next_id += 1;
        let reason = self.reason();
        let item = if self.rng.u32(0..6) == 0 { self.rng.i64(0..=id / 6) } else { id };
        let subject = format!("item-{item}");
        let insert = "insert into reports (id, subject, reason, created_at) values ($1, $2, $3, $4)";
        sqlx::query(insert).bind(id).bind(subject).bind(reason).bind(rfc3339(at)).execute(&mut self.connection).await?;
        self.plan(id, reason, at);
        Ok(())
    }

    fn reason(&mut self) -> &'static str {
        let mut draw = self.rng.u32(0..100);
        for (reason, share) in REASONS {
            if draw < share {
                return reason;
            }
            draw -= share;
        }
        REASONS[0].0
    }

    /// Most reports are answered in time, some late, a few never; one answer in five is a machine's.
    fn plan(&mut self, id: i64, reason: &str, at: Timestamp) {
        let urgent = matches!(reason, "csam" | "grooming" | "sextortion_new");
        let usual_secs = if urgent { 12 } else { 45 };
        let luck = self.rng.u32(0..100);
        let answer_secs = match luck {
            0..70 => self.rng.i64(2..usual_secs),
            70..90 => self.rng.i64(usual_secs..usual_secs * 5),
            _ => return,
        };
        let machine = self.rng.u32(0..5) == 0;
        let by = if machine { "automod".to_owned() } else { format!("mod-{}", self.rng.u32(1..9)) };
        let answered = at.plus(Span::from_secs(answer_secs));
        self.agenda.insert((answered, id, 0), Deed::Respond { by });
        let closed = answered.plus(Span::from_secs(self.rng.i64(3..usual_secs)));
        let by = format!("mod-{}", self.rng.u32(1..9));
        let resolution = if self.rng.u32(0..3) == 0 { "no_violation" } else { "removed" };
        self.agenda.insert((closed, id, 1), Deed::Close { by, resolution });
    }

    /// People do what they had planned to do by now.
    async fn act(&mut self, now: Timestamp) -> Result<(), sqlx::Error> {
        while let Some(entry) = self.agenda.first_entry() {
            let (at, id, _) = *entry.key();
            if at > now {
                break;
            }
            let (sql, by, resolution) = match entry.remove() {
                Deed::Respond { by } => {
                    ("update reports set first_response_at = $1, first_response_by = $2 where id = $3", by, None)
                }
                Deed::Close { by, resolution } => (
                    "update reports set resolved_at = $1, resolved_by = $2, resolution = $4 where id = $3",
                    by,
                    Some(resolution),
                ),
            };
            let query = sqlx::query(sql).bind(rfc3339(at)).bind(by).bind(id);
            let query = match resolution {
                Some(resolution) => query.bind(resolution),
                None => query,
            };
            query.execute(&mut self.connection).await?;
        }
        Ok(())
    }
}
