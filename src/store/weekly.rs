//! What the weekly report asks of the store: ended episodes, breaches, pages and incidents of a stretch of
//! time, read in bounded batches by indexes that end at the stretch, so that years of history cost nothing.

use super::db::{Answer, Row, args};
use super::load::{breach_status, inbox_entry, priority, state, unreadable};
use super::sql::{SqlStore, failed};
use super::{InboxEntry, Result};
use crate::core::case::Conclusion;
use crate::core::id::{IncidentNo, Name};
use crate::core::incident::Incident;
use crate::core::outcome::{Basis, BreachFact, Life, PageFact};
use crate::core::policy::Standing;
use crate::core::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Rows of one read.
const BATCH: u32 = 5_000;

macro_rules! outcome_columns {
    () => {
        "episode, source, category, priority, standing, received, first_response, ended_at, conclusion, reports, \
         reopenings, targets, second_review, overturned, basis, last_due"
    };
}

const ENDED: &str = concat!(
    "SELECT ",
    outcome_columns!(),
    " FROM outcomes WHERE ended_at >= $1 AND ended_at < $2 AND (ended_at, episode) > ($3, $4) AND received < $5 \
     ORDER BY ended_at, episode LIMIT $6"
);
macro_rules! due_later {
    ($and:literal) => {
        concat!(
            "SELECT ",
            outcome_columns!(),
            " FROM outcomes WHERE last_due >= $1 AND last_due < $2 AND (last_due, episode) > ($3, $4) \
             AND ended_at < $5 ",
            $and,
            "ORDER BY last_due, episode LIMIT $6"
        )
    };
}
const DUE_LATER: &str = due_later!("");
/// The same where ends and deadlines lie `MUCH_LATER` apart: then a small index holds them.
const DUE_MUCH_LATER: &str = due_later!("AND last_due - ended_at > 601200000000 ");
const MUCH_LATER: Span = Span::from_hours(167);

/// Breaches by one of the instants through which they belong to a stretch, each after the one that was read last.
macro_rules! breaches_by {
    ($instant:literal, $and:literal) => {
        concat!(
            "SELECT category, priority, target, deadline, detected_at, inherited, status, ended, ended_at, \
             contradicted_at, incident, source, episode, report, ",
            $instant,
            " FROM breaches WHERE ",
            $instant,
            " >= $1 AND ",
            $instant,
            " < $2 ",
            $and,
            " AND (",
            $instant,
            ", episode, target, report, deadline) > ($3, $4, $5, $6, $7) ORDER BY ",
            $instant,
            ", episode, target, report, deadline LIMIT $8"
        )
    };
}

/// Each breach is in one of these alone.
const BREACHES: [&str; 3] = [
    breaches_by!("deadline", ""),
    breaches_by!("detected_at", "AND (deadline < $1 OR deadline >= $2)"),
    breaches_by!(
        "contradicted_at",
        "AND (deadline < $1 OR deadline >= $2) AND (detected_at < $1 OR detected_at >= $2)"
    ),
];

const PAGES: &str = "SELECT incident, step, channel, kind, priority, state, created_at, accepted_at FROM pages \
     WHERE created_at >= $1 AND created_at < $2 ORDER BY id";

const INCIDENTS: &str =
    "SELECT no, state FROM incidents WHERE opened_at < $2 AND (open = 1 OR resolved_at >= $1) ORDER BY no";

const ACTS: &str = "SELECT id, kind, body, by_whom, at FROM inbox WHERE kind = $1 AND at >= $2 AND at < $3 ORDER BY id";

/// Names of which there are few, each allocated once.
#[derive(Default)]
struct Names(BTreeMap<String, Name>);

impl Names {
    fn get(&mut self, text: &str) -> Name {
        if let Some(name) = self.0.get(text) {
            return name.clone();
        }
        let name: Name = text.into();
        self.0.insert(text.to_owned(), name.clone());
        name
    }
}

impl SqlStore {
    /// Hands over every episode that ended between two instants and was received before the third. Batch by batch, so
    /// that memory is bounded whatever their number; so does `lives_due_later`.
    pub async fn lives_ended(
        &self,
        from: Timestamp,
        until: Timestamp,
        received_before: Timestamp,
        each: impl FnMut(Life) + Send,
    ) -> Result<()> {
        self.lives(ENDED, |row| row.opt_int(7), (from, until), received_before, each).await
    }

    /// Hands over every episode that was over before an instant and has a deadline at another or later.
    pub async fn lives_due_later(
        &self,
        due_from: Timestamp,
        ended_before: Timestamp,
        each: impl FnMut(Life) + Send,
    ) -> Result<()> {
        let sql = if due_from.since(ended_before) >= MUCH_LATER { DUE_MUCH_LATER } else { DUE_LATER };
        self.lives(sql, |row| row.opt_int(15), (due_from, Timestamp::MAX), ended_before, each).await
    }

    async fn lives(
        &self,
        sql: &'static str,
        place: impl Fn(&Row) -> Answer<Option<i64>> + Send,
        (from, until): (Timestamp, Timestamp),
        bound: Timestamp,
        mut each: impl FnMut(Life) + Send,
    ) -> Result<()> {
        let mut names = Names::default();
        let (mut after, mut episode) = (i64::MIN, String::new());
        loop {
            // The first bound moves along: SQLite seeks by it and only then compares the pair.
            let args = args![from.micros().max(after), until, after, episode.as_str(), bound, BATCH];
            let rows = self.db.fetch(sql, args).await.map_err(failed(OPERATION))?;
            for row in &rows {
                episode = row.text(0).map_err(failed(OPERATION))?.to_owned();
                after = place(row).map_err(failed(OPERATION))?.unwrap_or(after);
                each(life(row, &episode, &mut names)?);
            }
            if rows.len() < BATCH as usize {
                return Ok(());
            }
        }
    }

    /// Hands over every breach that fell due, was detected or was contradicted in the stretch, once; batch by batch.
    pub async fn each_breach(
        &self,
        from: Timestamp,
        until: Timestamp,
        mut each: impl FnMut(BreachFact) + Send,
    ) -> Result<()> {
        const OPERATION: &str = "read the breaches of a week";
        let mut names = Names::default();
        for (by, sql) in BREACHES.into_iter().enumerate() {
            let (mut instant, mut deadline) = (Timestamp::MIN, Timestamp::MIN);
            let (mut episode, mut target, mut report) = (String::new(), String::new(), String::new());
            loop {
                // The first bound moves along, as that of outcomes, where nothing else is compared with it.
                let begin = if by == 0 { from.max(instant) } else { from };
                let place = args![begin, until, instant, &*episode, &*target, &*report, deadline, BATCH];
                let rows = self.db.fetch(sql, place).await.map_err(failed(OPERATION))?;
                for row in &rows {
                    let fact = breach(row, &mut names).map_err(failed(OPERATION))?;
                    each(fact.ok_or_else(|| unreadable(OPERATION, "breaches", "of a week"))?);
                }
                if let Some(last) = rows.last() {
                    let text = |column| last.text(column).map(str::to_owned).map_err(failed(OPERATION));
                    (target, episode, report) = (text(2)?, text(12)?, text(13)?);
                    deadline = last.at(3).map_err(failed(OPERATION))?;
                    instant = last.at(14).map_err(failed(OPERATION))?;
                }
                if rows.len() < BATCH as usize {
                    break;
                }
            }
        }
        Ok(())
    }

    pub async fn pages_between(&self, from: Timestamp, until: Timestamp) -> Result<Vec<PageFact>> {
        const OPERATION: &str = "read the pages of a week";
        let rows = self.db.fetch(PAGES, args![from, until]).await.map_err(failed(OPERATION))?;
        let mut names = Names::default();
        let read = |row: &Row| page(row, &mut names).map_err(failed(OPERATION));
        let facts = rows.iter().map(read).collect::<Result<Option<Vec<_>>>>()?;
        facts.ok_or_else(|| unreadable(OPERATION, "pages", "of a week"))
    }

    /// Incidents that were open at any time in the stretch.
    pub async fn incidents_between(&self, from: Timestamp, until: Timestamp) -> Result<Vec<Incident>> {
        const OPERATION: &str = "read the incidents of a week";
        let rows = self.db.fetch(INCIDENTS, args![from, until]).await.map_err(failed(OPERATION))?;
        let read = |row: &Row| {
            let no = row.int(0).map_err(failed(OPERATION))?;
            state(row, 1, OPERATION, "incidents", &no.to_string())
        };
        rows.iter().map(read).collect()
    }

    /// What people did of this kind, taken up or not.
    pub async fn acts_between(&self, kind: &str, from: Timestamp, until: Timestamp) -> Result<Vec<InboxEntry>> {
        const OPERATION: &str = "read what people did in a week";
        let rows = self.db.fetch(ACTS, args![kind, from, until]).await.map_err(failed(OPERATION))?;
        rows.iter().map(inbox_entry).collect::<Answer<_>>().map_err(failed(OPERATION))
    }
}

const OPERATION: &str = "read the outcomes of a week";

fn life(row: &Row, episode: &str, names: &mut Names) -> Result<Life> {
    let targets = state(row, 11, OPERATION, "outcomes", episode)?;
    let read = || {
        let Some(priority) = priority(row.text(3)?) else { return Ok(None) };
        let conclusion = match row.text(8)? {
            "violation" => Conclusion::Violation,
            "no_violation" => Conclusion::NoViolation,
            "closed" => Conclusion::Closed,
            "vanished" => Conclusion::Vanished,
            _ => return Ok(None),
        };
        Ok(Some(Life {
            source: names.get(row.text(1)?),
            category: names.get(row.text(2)?),
            priority,
            standing: if row.text(4)? == "presumed" { Standing::Presumed } else { Standing::Known },
            received: row.at(5)?,
            first_response: row.opt_at(6)?,
            ended: Some((row.at(7)?, conclusion)),
            reports: row.small(9)?,
            reopenings: row.small(10)?,
            unreviewed: None,
            second_review: row.int(12)? != 0,
            overturned: row.int(13)? != 0,
            targets,
            basis: if row.text(14)? == "row" { Basis::Row } else { Basis::Observed },
        }))
    };
    read().map_err(failed(OPERATION))?.ok_or_else(|| unreadable(OPERATION, "outcomes", episode))
}

fn breach(row: &Row, names: &mut Names) -> Answer<Option<BreachFact>> {
    let Some(priority) = priority(row.text(1)?) else { return Ok(None) };
    let Some(status) = breach_status(row.text(6)?) else { return Ok(None) };
    let (ended, at) = (row.opt_text(7)?, row.opt_at(8)?);
    Ok(Some(BreachFact {
        category: names.get(row.text(0)?),
        priority,
        target: names.get(row.text(2)?),
        deadline: row.at(3)?,
        detected_at: row.at(4)?,
        inherited: row.int(5)? != 0,
        status,
        met_at: at.filter(|_| ended == Some("met")),
        moot_at: at.filter(|_| ended == Some("moot")),
        contradicted_at: row.opt_at(9)?,
        incident: row.opt_int(10)?.map(|no| IncidentNo(no.unsigned_abs())),
        source: names.get(row.text(11)?),
    }))
}

fn page(row: &Row, names: &mut Names) -> Answer<Option<PageFact>> {
    let Some(priority) = priority(row.text(4)?) else { return Ok(None) };
    Ok(Some(PageFact {
        incident: IncidentNo(row.count(0)?),
        step: row.small(1)?,
        channel: names.get(row.text(2)?),
        is_ring: row.text(3)? == "ring",
        priority,
        state: row.text(5)?.to_owned(),
        created_at: row.at(6)?,
        accepted_at: row.opt_at(7)?,
    }))
}
