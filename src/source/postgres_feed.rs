//! Cursors over a PostgreSQL report database: feeds in the order of a time column, the transactions that are
//! under way as any role can see them, what a replica has replayed, and the log of actions.

use super::Batch;
use super::decode::Cell;
use super::fault::Fault;
use super::feed::{Begin, Changes, FeedKind, Live, Moment, Place, Replayed, Stamp, behind_the_fold};
use super::history::{ACTIONS_PER_READ, Actions, HistoryMapping};
use super::line::{change_of_row, decode_changes};
use super::postgres::{PostgresSession, Query, Table, cells_of, explain, position_of};
use super::postgres_types::{Column, IdKind, Kind, id_kind, learn_types, mapped, parts};
use super::settings::Unit;
use super::sql::{self, Parts};
use crate::core::id::Name;
use crate::core::time::Timestamp;
use crate::zone::Zone;
use chrono::DateTime;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;
use std::sync::Arc;

type Result<T> = std::result::Result<T, Fault>;

/// The texts of one feed.
#[derive(Debug)]
pub struct FeedStatements {
    since: Arc<str>,
    behind: Arc<str>,
    sample: Arc<str>,
}

/// The log of actions, as it is read.
#[derive(Debug)]
pub struct HistoryTable {
    table: Table,
    of_reports: Arc<str>,
    since: Arc<str>,
    behind: Arc<str>,
    report: IdKind,
    names: Vec<String>,
    how: Arc<HistoryMapping>,
}

/// The clock is read first: what begins after it is stamped later, but for the moment between a transaction's
/// stamp and its being seen to run, which the overlap covers. Then what runs, and only then what is
/// prepared, so that nothing is missed in between. A role without rights sees all of it: virtual
/// transactions are locks. Vacuum writes no rows.
const MOMENT: &str = "WITH first AS MATERIALIZED (SELECT clock_timestamp() AS clock) \
     SELECT (extract(epoch FROM first.clock) * 1000000)::bigint, pg_is_in_recovery(), \
     (extract(epoch FROM pg_last_xact_replay_timestamp()) * 1000000)::bigint, \
     ARRAY(SELECT l.virtualxid FROM pg_catalog.pg_locks l \
       LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
       WHERE l.locktype = 'virtualxid' AND l.mode = 'ExclusiveLock' AND l.granted AND l.pid <> pg_backend_pid() \
       AND (a.pid IS NULL OR (a.datname = current_database() AND a.usesysid IS NOT NULL))), \
     ARRAY(SELECT p.transaction::text FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database()) \
     FROM first";

type MomentRow = (i64, bool, Option<i64>, Vec<String>, Vec<String>);

impl FeedStatements {
    pub fn all(parts: &Parts) -> BTreeMap<FeedKind, FeedStatements> {
        let statements = parts.feeds.iter().map(|(kind, feed)| {
            let (since, behind) = (parts.feed_since(feed).into(), parts.feed_behind(feed).into());
            (*kind, FeedStatements { since, behind, sample: parts.feed_sample(feed, "text").into() })
        });
        statements.collect()
    }
}

impl HistoryTable {
    pub async fn learn(how: &Arc<HistoryMapping>, conn: &mut PgConnection) -> Result<HistoryTable> {
        let mapping = &how.mapping;
        let relation = sql::relation(&mapping.settings.rows).map_err(|bad| mapping.wrong(bad.to_string()))?;
        let found = match learn_types(conn, &relation).await {
            Ok(found) => found,
            Err(error) => return Err(explain(mapping, conn, error).await),
        };
        let columns = mapped(mapping, &found)?;
        let (mut parts, id) = parts(mapping, relation, &columns)?;
        let bad = |bad: sql::BadName| mapping.wrong(bad.to_string());
        let report_column = sql::column(&columns[how.report].name).map_err(bad)?;
        let report = id_kind(&columns[how.report]);
        let report = report.ok_or_else(|| mapping.wrong(format!("column {report_column} can't be a report's id")))?;
        let name = format!("CAST({} AS text)", sql::column(how.name_column()).map_err(bad)?);
        let matches = format!("{} AND {name} = ANY($2)", report.matches(&report_column));
        let at = parts.feeds.get(&FeedKind::Changed).map(|feed| feed.stamp.clone()).unwrap_or_default();
        let of_reports = format!("{} ORDER BY {at} LIMIT {}", parts.by_ids(&matches), ACTIONS_PER_READ).into();
        let feed = parts.feeds.remove(&FeedKind::Changed);
        let feed = feed.ok_or_else(|| mapping.wrong("a history needs the column of its times".to_owned()))?;
        let named = |names: &str| sql::FeedParts {
            is_time: format!("{} AND {name} = ANY({names})", feed.is_time),
            ..feed.clone()
        };
        let (since, behind) = (parts.feed_since(&named("$3")).into(), parts.feed_behind(&named("$4")).into());
        parts.feeds.insert(FeedKind::History, feed.clone());
        let feeds = FeedStatements::all(&parts);
        let table = Table { columns: columns.into(), id, feeds };
        Ok(HistoryTable { table, of_reports, since, behind, report, names: how.names(), how: how.clone() })
    }
}

impl PostgresSession {
    /// The clock and the transactions of now.
    pub(super) async fn moment(&mut self) -> Result<Moment> {
        let row: MomentRow = sqlx::query_as(MOMENT)
            .fetch_one(&mut self.conn)
            .await
            .map_err(Fault::statement("looking at the clock and the transactions"))?;
        let (clock, is_replica, replayed, running, prepared) = row;
        self.is_replica = is_replica;
        let names = |list: Vec<String>| list.into_iter().map(Name::from).collect();
        let live = Live { running: names(running), prepared: names(prepared) };
        Ok(Moment {
            clock: Some(Timestamp::from_micros(clock)),
            live: (!is_replica).then_some(live),
            replica: is_replica.then_some(Replayed(replayed.map(Timestamp::from_micros))),
            lacks_stamps: self.decoder.lacks_stamps(),
        })
    }

    /// What a replica has replayed; a primary isn't asked, because it can't become one while a session lasts.
    pub(super) async fn currency(&mut self) -> Result<Moment> {
        if self.is_replica { self.moment().await } else { Ok(Moment::default()) }
    }

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
        let (Some((stamp_at, unit)), Some(statements)) = (stamped, table.feeds.get(&feed)) else {
            return Ok(Changes::default());
        };
        let column = &table.columns[stamp_at];
        let place = match begin {
            Begin::Since(at) => {
                Place { stamp: stamp_of(*at, column, unit, zone, statements, &mut self.conn).await?, id: None }
            }
            Begin::Behind(place) => behind_the_fold(place, clock, zone),
        };
        let texts = match history {
            Some(history) => (&history.since, &history.behind),
            None => (&statements.since, &statements.behind),
        };
        let id_at = selection.id;
        let Some(query) = page_query(texts, &place, column, &table.id) else {
            return Ok(Changes { lost: true, ..Changes::default() });
        };
        let query = query.bind(i64::from(limit));
        let query = match history {
            Some(history) => query.bind(&history.names),
            None => query,
        };
        let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading what has changed"))?;
        let place_of = |_: &_, cells: &[Cell<'_>]| {
            Some(Place { stamp: Stamp::of(cells[stamp_at])?, id: Some(position_of(cells[id_at])?) })
        };
        let own = &self.table.id;
        let columns = &table.columns;
        let mut changes = decode_changes(
            &mut self.decoder,
            &rows,
            |row, cells| cells_of(row, columns, cells),
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
        let mut actions = Actions::default();
        let mut waiting = vec![&ids[..]];
        while let Some(ids) = waiting.pop() {
            if ids.is_empty() {
                continue;
            }
            let query = history.report.bind_ids(sqlx::query(AssertSqlSafe(history.of_reports.clone())), ids);
            let query = query.bind(&history.names);
            let rows = query.fetch_all(&mut self.conn).await.map_err(Fault::statement("reading the history"))?;
            if rows.len() == ACTIONS_PER_READ && ids.len() > 1 {
                waiting.extend(ids.chunks(ids.len().div_ceil(2)));
                continue;
            }
            let mut cells = Vec::new();
            for row in &rows {
                cells.clear();
                cells_of(row, &history.table.columns, &mut cells);
                history.how.read(&mut self.decoder, &cells, &mut actions);
            }
        }
        actions.merge_into(batch);
        Ok(())
    }
}

/// Binds where a page begins; `None` where the column isn't of the type any more that the place is written in.
fn page_query<'q>(
    (since, behind): (&Arc<str>, &Arc<str>),
    place: &Place,
    column: &Column,
    id: &IdKind,
) -> Option<Query<'q>> {
    let query = match &place.id {
        None => sqlx::query(AssertSqlSafe(since.clone())),
        Some(position) => id.bind_position(sqlx::query(AssertSqlSafe(behind.clone())), position)?,
    };
    match (&place.stamp, column.kind) {
        (Stamp::Instant(micros), Kind::TimestampTz) => Some(query.bind(DateTime::from_timestamp_micros(*micros)?)),
        (Stamp::Local(micros), Kind::Timestamp) => {
            Some(query.bind(DateTime::from_timestamp_micros(*micros)?.naive_utc()))
        }
        (Stamp::Int(number), Kind::Int2 | Kind::Int4 | Kind::Int8) => Some(query.bind(*number)),
        (Stamp::Float(number), Kind::Float4 | Kind::Float8) => Some(query.bind(*number)),
        (Stamp::Text(text), Kind::Text | Kind::Padded) => Some(query.bind(text.clone())),
        _ => None,
    }
}

/// An instant as a column writes it.
async fn stamp_of(
    at: Timestamp,
    column: &Column,
    unit: Option<Unit>,
    zone: Zone,
    statements: &FeedStatements,
    conn: &mut PgConnection,
) -> Result<Stamp> {
    Ok(match (column.kind, unit) {
        (Kind::TimestampTz, _) => Stamp::Instant(at.micros()),
        (Kind::Timestamp, _) => Stamp::local(at, zone),
        (Kind::Int2 | Kind::Int4 | Kind::Int8, Some(unit)) => Stamp::Int(Stamp::number(at, unit)),
        (Kind::Float4 | Kind::Float8, Some(unit)) => Stamp::Float(Stamp::number(at, unit) as f64),
        (_, Some(unit)) => Stamp::Text(Stamp::number(at, unit).to_string()),
        (_, None) => {
            let sample: Option<String> = sqlx::query_scalar(AssertSqlSafe(statements.sample.clone()))
                .fetch_optional(conn)
                .await
                .map_err(Fault::statement("reading how times are written"))?;
            Stamp::text_like(&sample.unwrap_or_default(), at, zone)
        }
    })
}
