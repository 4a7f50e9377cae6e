//! Cursors over a SQLite report database: feeds in the order of a time column, and the log of actions.

use super::Batch;
use super::ScanPosition;
use super::decode::Cell;
use super::fault::Fault;
use super::feed::{Begin, Changes, FeedKind, Place, Stamp};
use super::history::{ACTIONS_PER_READ, Actions, HistoryMapping};
use super::line::{change_of_row, decode_changes};
use super::settings::Unit;
use super::sql::{self, FeedParts, Parts};
use super::sqlite::{Query, SqliteSession, bind_id, cell, columns_of, explain, mapped, parts, position};
use crate::core::id::ReportId;
use crate::core::time::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use std::sync::Arc;

type Result<T> = std::result::Result<T, Fault>;

/// The log of actions, as it is read.
#[derive(Debug)]
pub struct HistoryTable {
    parts: Parts,
    feed: FeedParts,
    width: usize,
    report: String,
    name: String,
    /// The names that mean something, as a list in JSON.
    names: String,
    how: Arc<HistoryMapping>,
}

impl HistoryTable {
    pub async fn learn(how: &Arc<HistoryMapping>, conn: &mut SqliteConnection) -> Result<HistoryTable> {
        let mapping = &how.mapping;
        let relation = sql::relation(&mapping.settings.rows).map_err(|bad| mapping.wrong(bad.to_string()))?;
        let found = match columns_of(conn, &relation).await {
            Ok(found) => found,
            Err(error) => return Err(explain(mapping, conn, error).await),
        };
        let columns = mapped(mapping, &found)?;
        let mut parts = parts(mapping, relation)?;
        let feed = parts.feeds.remove(&FeedKind::Changed);
        let feed = feed.ok_or_else(|| mapping.wrong("a history needs the column of its times".to_owned()))?;
        let report = parts.select[how.report].clone();
        let name = sql::column(how.name_column()).map_err(|bad| mapping.wrong(bad.to_string()))?;
        // A list of texts is always JSON.
        let names = serde_json::to_string(&how.names()).unwrap_or_default();
        let name = format!("CAST({name} AS TEXT)");
        Ok(HistoryTable { parts, feed, width: columns.len(), report, name, names, how: how.clone() })
    }

    /// The feed of the actions that mean something; their names are bound as `$N`.
    fn named(&self, names: &str) -> FeedParts {
        let is_time = format!("{} AND {} IN (SELECT value FROM json_each({names}))", self.feed.is_time, self.name);
        FeedParts { is_time, ..self.feed.clone() }
    }

    fn of_reports(&self, places: usize) -> String {
        let list = vec!["?"; places].join(", ");
        let matches = format!("{} IN ({list}) AND {} IN (SELECT value FROM json_each(?))", self.report, self.name);
        format!("{} ORDER BY {} LIMIT {ACTIONS_PER_READ}", self.parts.by_ids(&matches), self.feed.stamp)
    }
}

impl SqliteSession {
    pub(super) async fn changes(
        &mut self,
        feed: FeedKind,
        begin: &Begin,
        clock: Timestamp,
        limit: u32,
    ) -> Result<Changes> {
        let zone = self.decoder.zone();
        let history = self.history.as_ref().filter(|_| feed == FeedKind::History);
        let selection = history.map_or(self.decoder.selection(), |history| &history.how.mapping.selection);
        let stamped = match feed {
            FeedKind::Received => selection.received.as_ref().map(|event| (event.at, event.unit)),
            FeedKind::Changed | FeedKind::History => selection.updated,
        };
        let parts = history.map_or(&self.parts, |history| &history.parts);
        let (behind, since) = match history {
            Some(history) => (Some(history.named("$4")), Some(history.named("$3"))),
            None => (parts.feeds.get(&feed).cloned(), parts.feeds.get(&feed).cloned()),
        };
        let (Some((stamp_at, unit)), Some(behind), Some(since)) = (stamped, behind, since) else {
            return Ok(Changes::default());
        };
        let sample = parts.feed_sample(history.map_or(&since, |history| &history.feed), "text");
        let place = match begin {
            Begin::Since(at) => Place { stamp: stamp_of(*at, unit, zone, sample, &mut self.conn).await?, id: None },
            Begin::Behind(place) => place.clone(),
        };
        let query = page_query(parts, &since, &behind, &place);
        let query = query.bind(i64::from(limit));
        let query = match history {
            Some(history) => query.bind(history.names.clone()),
            None => query,
        };
        let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading what has changed"))?;
        let (id_at, width) = (selection.id, history.map_or(self.columns.len(), |history| history.width));
        let place_of = |row: &SqliteRow, cells: &[Cell<'_>]| {
            Some(Place { stamp: Stamp::of(cells[stamp_at])?, id: position(row, id_at) })
        };
        let mut changes = decode_changes(
            &mut self.decoder,
            &rows,
            |row, cells| cells.extend((0..width).map(|at| cell(row, at))),
            |decoder, cells| match history {
                Some(history) => history.how.change(cells, Some),
                None => change_of_row(decoder, cells),
            },
            place_of,
            ((stamp_at, unit), clock),
        );
        changes.began = Some(place);
        if self.history.is_some() && feed != FeedKind::History {
            let mut batch = changes.take_seen();
            self.add_history(&mut batch).await?;
            changes.give_back(batch);
        }
        Ok(changes)
    }

    /// Merges into these reports what the log says of them.
    pub(super) async fn add_history(&mut self, batch: &mut Batch) -> Result<()> {
        /// SQLite binds 32,766 values at most; a power of two of them makes a few statements.
        const IDS_MAX: usize = 1_024;
        let Some(history) = &self.history else { return Ok(()) };
        let ids = batch.ids_there();
        let mut actions = Actions::default();
        let mut waiting: Vec<&[ReportId]> = ids.chunks(IDS_MAX).collect();
        while let Some(ids) = waiting.pop() {
            let Some(last) = ids.last() else { continue };
            let places = ids.len().next_power_of_two();
            let filled = ids.iter().chain(std::iter::repeat(last)).take(places);
            let query = filled.fold(sqlx::query(AssertSqlSafe(history.of_reports(places))), bind_id);
            let query = query.bind(history.names.clone());
            let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading the history"))?;
            if rows.len() == ACTIONS_PER_READ && ids.len() > 1 {
                waiting.extend(ids.chunks(ids.len().div_ceil(2)));
                continue;
            }
            let mut cells = Vec::new();
            for row in &rows {
                cells.clear();
                cells.extend((0..history.width).map(|at| cell(row, at)));
                history.how.read(&mut self.decoder, &cells, &mut actions);
            }
        }
        actions.merge_into(batch);
        Ok(())
    }
}

fn page_query<'q>(parts: &Parts, since: &FeedParts, behind: &FeedParts, place: &Place) -> Query<'q> {
    let query = match &place.id {
        None => sqlx::query(AssertSqlSafe(parts.feed_since(since))),
        Some(ScanPosition::Id(id)) => bind_id(sqlx::query(AssertSqlSafe(parts.feed_behind(behind))), id),
        Some(ScanPosition::Bytes(bytes)) => {
            let parts = Parts { after: parts.after.replace("$1", "CAST($1 AS TEXT)"), ..parts.clone() };
            sqlx::query(AssertSqlSafe(parts.feed_behind(behind))).bind(bytes.to_vec())
        }
    };
    match &place.stamp {
        Stamp::Int(number) | Stamp::Instant(number) | Stamp::Local(number) => query.bind(*number),
        Stamp::Float(number) => query.bind(*number),
        Stamp::Text(text) => query.bind(text.clone()),
    }
}

/// An instant as a column writes it: a number where it has a unit, else text like the text that it holds.
async fn stamp_of(
    at: Timestamp,
    unit: Option<Unit>,
    zone: crate::zone::Zone,
    sample: String,
    conn: &mut SqliteConnection,
) -> Result<Stamp> {
    if let Some(unit) = unit {
        return Ok(Stamp::Int(Stamp::number(at, unit)));
    }
    let sample: Option<String> = sqlx::query_scalar(AssertSqlSafe(sample))
        .fetch_optional(conn)
        .await
        .map_err(Fault::statement("reading how times are written"))?;
    Ok(Stamp::text_like(&sample.unwrap_or_default(), at, zone))
}
