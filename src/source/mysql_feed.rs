//! Cursors over a MySQL report database: feeds in the order of a time column, and the log of actions.

use super::Batch;
use super::decode::Cell;
use super::fault::Fault;
use super::feed::{Begin, Changes, FeedKind, Place, Stamp, behind_the_fold};
use super::history::{ACTIONS_PER_READ, Actions, HistoryMapping};
use super::line::{change_of_row, decode_changes};
use super::mysql::{MysqlSession, Table, position_of};
use super::mysql_text::{Value, each, list, texts};
use super::mysql_types::{Class, Column, IdKind, Kind};
use super::settings::Unit;
use super::sql::{self, BACKTICK, FeedParts};
use crate::core::id::ReportId;
use crate::core::time::Timestamp;
use crate::zone::Zone;
use chrono::DateTime;
use sqlx::MySqlConnection;
use sqlx::mysql::MySqlRow;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Fault>;

/// The log of actions, as it is read.
#[derive(Debug)]
pub struct HistoryTable {
    table: Table,
    feed: FeedParts,
    report: IdKind,
    report_column: String,
    /// The column of the actions' names, as a text, and the form of those that are bound beside it.
    name: String,
    bound_name: String,
    names: Value,
    how: Arc<HistoryMapping>,
}

impl HistoryTable {
    pub async fn learn(how: &Arc<HistoryMapping>, conn: &mut MySqlConnection) -> Result<HistoryTable> {
        let mapping = &how.mapping;
        let mut table = Table::learn(mapping, conn).await?;
        let feed = table.parts.feeds.remove(&FeedKind::Changed);
        let feed = feed.ok_or_else(|| mapping.wrong("a history needs the column of its times".to_owned()))?;
        let report = table.columns[how.report].id_kind(false);
        let report_column = table.parts.select[how.report].clone();
        let report = report.ok_or_else(|| mapping.wrong(format!("column {report_column} can't be a report's id")))?;
        let named = table.columns.iter().find(|column| column.name.eq_ignore_ascii_case(how.name_column()));
        let name = sql::column_in(how.name_column(), BACKTICK).map_err(|bad| mapping.wrong(bad.to_string()))?;
        let bound_name = named.map_or_else(|| "$N".to_owned(), |column| column.bound_text("$N"));
        let name = named.map_or_else(|| name.clone(), |column| column.as_text(&name));
        let names = texts(how.names().iter().map(String::as_str));
        Ok(HistoryTable { table, feed, report, report_column, name, bound_name, names, how: how.clone() })
    }

    /// The feed of the actions that mean something; their names are bound as `$N`.
    fn named(&self, names: &str) -> FeedParts {
        let is_time = format!("{} AND {}", self.feed.is_time, self.is_named(names));
        FeedParts { is_time, ..self.feed.clone() }
    }

    fn is_named(&self, names: &str) -> String {
        format!("{} IN ({})", self.name, each(&self.bound_name.replace("$N", names)))
    }

    fn of_reports(&self) -> String {
        let matches = format!("{} AND {}", self.report.matches(&self.report_column), self.is_named("$2"));
        format!("{} ORDER BY {} LIMIT {ACTIONS_PER_READ}", self.table.parts.by_ids(&matches), self.feed.stamp)
    }
}

impl MysqlSession {
    pub(super) async fn changes(
        &mut self,
        feed: FeedKind,
        begin: &Begin,
        clock: Timestamp,
        limit: u32,
    ) -> Result<Changes> {
        let zone = self.decoder.zone();
        let history = self.history.as_ref().filter(|_| feed == FeedKind::History);
        let (table, selection) = match history {
            Some(history) => (&history.table, &history.how.mapping.selection),
            None => (&self.table, self.decoder.selection()),
        };
        let stamped = match feed {
            FeedKind::Received => selection.received.as_ref().map(|event| (event.at, event.unit)),
            FeedKind::Changed | FeedKind::History => selection.updated,
        };
        let followed = match history {
            Some(history) => Some((history.named("$3"), history.named("$4"))),
            None => table.parts.feeds.get(&feed).map(|feed| (feed.clone(), feed.clone())),
        };
        let (Some((stamp_at, unit)), Some((since, behind))) = (stamped, followed) else {
            return Ok(Changes::default());
        };
        let column = &table.columns[stamp_at];
        let place = match begin {
            Begin::Since(at) => {
                let plain = history.map_or(&since, |history| &history.feed);
                Place { stamp: stamp_of(*at, (column, unit), zone, table, plain, &mut self.conn).await?, id: None }
            }
            Begin::Behind(place) => behind_the_fold(place, clock, zone),
        };
        let Some((sql, mut values)) = page(table, (&since, &behind), &place, column) else {
            return Ok(Changes { lost: true, ..Changes::default() });
        };
        values.push(Value::Int(limit.into()));
        values.extend(history.map(|history| history.names.clone()));
        let rows = table.query(&sql, &values).fetch_all(&mut self.conn).await;
        let rows = rows.map_err(Fault::statement("reading what has changed"))?;
        let (id_at, kinds, own) = (selection.id, table.kinds(&rows), &self.table.id);
        let place_of = |_: &MySqlRow, cells: &[Cell<'_>]| {
            Some(Place { stamp: Stamp::of(cells[stamp_at])?, id: Some(position_of(cells[id_at])?) })
        };
        let mut changes = decode_changes(
            &mut self.decoder,
            &rows,
            |row, cells| Table::cells_of(&kinds, row, cells),
            |decoder, cells| match history {
                Some(history) => history.how.change(cells, |id| own.known_as(id)),
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
        let Some(history) = &self.history else { return Ok(()) };
        let ids = batch.ids_there();
        // A statement binds 65,535 values at most, and a power of two of them makes a few statements.
        const IDS_MAX: usize = 4_096;
        let mut actions = Actions::default();
        let mut waiting: Vec<&[ReportId]> = ids.chunks(IDS_MAX).collect();
        while let Some(ids) = waiting.pop() {
            let Some(asked) = list(ids.iter().filter_map(|id| history.report.value(id)).collect()) else { continue };
            let query = history.table.query(&history.of_reports(), &[asked, history.names.clone()]);
            let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading the history"))?;
            if rows.len() == ACTIONS_PER_READ && ids.len() > 1 {
                waiting.extend(ids.chunks(ids.len().div_ceil(2)));
                continue;
            }
            let kinds = history.table.kinds(&rows);
            let mut cells = Vec::new();
            for row in &rows {
                cells.clear();
                Table::cells_of(&kinds, row, &mut cells);
                history.how.read(&mut self.decoder, &cells, &mut actions);
            }
        }
        actions.merge_into(batch);
        Ok(())
    }
}

/// The statement of a page and what it binds before its size; `None` where the column isn't of the type any
/// more that the place is written in.
fn page(
    table: &Table,
    (since, behind): (&FeedParts, &FeedParts),
    place: &Place,
    column: &Column,
) -> Option<(String, Vec<Value>)> {
    let reading = |micros| Some(Value::Reading(DateTime::from_timestamp_micros(micros)?.naive_utc()));
    let stamp = match (&place.stamp, &column.class) {
        (Stamp::Instant(micros), Class::Instant) | (Stamp::Local(micros), Class::Local) => reading(*micros)?,
        (Stamp::Int(number), Class::Int | Class::Unsigned) => Value::Int(*number),
        (Stamp::Float(number), Class::Float) => Value::Float(*number),
        (Stamp::Text(text), Class::Text(_) | Class::Bytes | Class::Decimal) => Value::Text(text.clone()),
        _ => return None,
    };
    Some(match &place.id {
        None => (table.parts.feed_since(since), vec![stamp]),
        Some(position) => (table.parts.feed_behind(behind), vec![table.id.position(position)?, stamp]),
    })
}

/// An instant as a column writes it.
async fn stamp_of(
    at: Timestamp,
    (column, unit): (&Column, Option<Unit>),
    zone: Zone,
    table: &Table,
    feed: &FeedParts,
    conn: &mut MySqlConnection,
) -> Result<Stamp> {
    Ok(match (&column.class, unit) {
        (Class::Instant, _) => Stamp::Instant(at.micros()),
        (Class::Local, _) => Stamp::local(at, zone),
        (Class::Int | Class::Unsigned, Some(unit)) => Stamp::Int(Stamp::number(at, unit)),
        (Class::Float, Some(unit)) => Stamp::Float(Stamp::number(at, unit) as f64),
        (_, Some(unit)) => Stamp::Text(Stamp::number(at, unit).to_string()),
        (_, None) => {
            let sample = table.query(&table.parts.feed_sample(feed, "CHAR"), &[]).fetch_optional(conn).await;
            let sample = sample.map_err(Fault::statement("reading how times are written"))?;
            let text = match sample.as_ref().map(|row| Kind::Text.cell(row, 0)) {
                Some(Cell::Text(text)) => text,
                _ => "",
            };
            Stamp::text_like(text, at, zone)
        }
    })
}
