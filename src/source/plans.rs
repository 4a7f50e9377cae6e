//! How a database would run the polling statements, and which index would help: EXPLAIN alone, nothing is
//! read. A small table is scanned whole whatever indexes it has, so only its indexes are judged there.

use super::feed::FeedKind;
use super::postgres_types::IdKind;
use super::sql::{FeedParts, Parts, Which};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection, Row, SqliteConnection};

/// How one polling statement would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFound {
    /// What the statement is for.
    pub purpose: &'static str,
    /// As "Index Scan using reports_pkey".
    pub plan: String,
    /// What it costs the platform, and the statement that would create the index it lacks; `None` where
    /// nothing is missing.
    pub lacks: Option<(String, String)>,
}

/// Above this many rows a whole scan at every poll is felt.
pub(super) const ROWS_LARGE: i64 = 10_000;
/// Below this share of open rows an index of the open ones alone is worth it, in percent.
pub(super) const OPEN_PERCENT: i64 = 20;

pub(super) const PAGE: &str = "a page of the open rows";
pub(super) const BY_ID: &str = "rows by their ids";
pub(super) const CHANGED: &str = "what has changed";
pub(super) const ARRIVED: &str = "what has come in";

/// The feed that every poll reads.
pub(super) fn followed(parts: &Parts) -> Option<(&'static str, &FeedParts)> {
    let feed = |kind, purpose| parts.feeds.get(&kind).map(|feed| (purpose, feed));
    feed(FeedKind::Changed, CHANGED).or_else(|| feed(FeedKind::Received, ARRIVED))
}

/// What a feed costs without an index of its column.
pub(super) fn unled(rows: i64) -> String {
    format!("no index leads with its column: each poll scans about {rows} rows")
}

/// What PostgreSQL would do; `table` is set where the rows are those of one table.
pub async fn of_postgres(
    conn: &mut PgConnection,
    parts: &Parts,
    id: (&IdKind, &str),
    by_ids: &str,
    table: bool,
) -> sqlx::Result<Vec<PlanFound>> {
    let page = explain(conn, &parts.first_page(Which::Open).replace("$1", "1000")).await?;
    let by_id = explain(conn, &by_ids.replace("$1", some_ids(id.0))).await?;
    let mut lacks_id = None;
    let mut lacks_open = None;
    if table {
        let (rows, led, partial) = indexes(conn, &parts.relation, id.1, &names(&page)).await?;
        let column = parts.id_order.replace("r.\"", "\"");
        if !led {
            let what = format!("no index leads with the id: each look scans about {} rows", rows.max(0));
            lacks_id = Some((what, format!("CREATE INDEX CONCURRENTLY ON {} ({column});", parts.relation)));
        }
        if let Some(open) = parts.open.as_ref().filter(|_| rows >= ROWS_LARGE && !partial) {
            let estimate = explain(conn, &format!("SELECT 1 FROM {} AS r WHERE {open}", parts.relation)).await?;
            let open_rows = estimate.pointer("/0/Plan/Plan Rows").and_then(Value::as_i64).unwrap_or(rows);
            if open_rows * 100 < rows * OPEN_PERCENT {
                let what = format!("about {open_rows} of {rows} rows are open, and each scan walks over all of them");
                let condition = open.replace("r.\"", "\"");
                let create = format!("CREATE INDEX CONCURRENTLY ON {} ({column}) WHERE {condition};", parts.relation);
                lacks_open = Some((what, create));
            }
        }
    }
    let mut plans = vec![
        PlanFound { purpose: PAGE, plan: summary(&page), lacks: lacks_open },
        PlanFound { purpose: BY_ID, plan: summary(&by_id), lacks: lacks_id },
    ];
    if let Some((purpose, feed)) = followed(parts) {
        let newest = parts.feed_newest(feed);
        let plan = summary(&explain(conn, &newest).await?);
        let column = feed.stamp.strip_prefix("r.").filter(|_| table);
        let mut lacks = None;
        if let Some(column) = column {
            let (rows, led, _) = indexes(conn, &parts.relation, &unquoted(column), &[]).await?;
            let id = parts.id_order.replace("r.\"", "\"");
            let create = format!("CREATE INDEX CONCURRENTLY ON {} ({column}, {id});", parts.relation);
            lacks = (!led && rows >= ROWS_LARGE).then(|| (unled(rows), create));
        }
        plans.push(PlanFound { purpose, plan, lacks });
    }
    Ok(plans)
}

/// The name that a quoted identifier stands for.
fn unquoted(column: &str) -> String {
    column.trim_matches('"').replace("\"\"", "\"")
}

/// Ids as a literal of the type that is compared with.
fn some_ids(id: &IdKind) -> &'static str {
    match id {
        IdKind::Int => "CAST('{1,2,3}' AS bigint[])",
        IdKind::Uuid => "CAST('{00000000-0000-0000-0000-000000000001}' AS uuid[])",
        IdKind::Text { .. } | IdKind::Numeric => "CAST('{1,2,3}' AS text[])",
    }
}

async fn explain(conn: &mut PgConnection, sql: &str) -> sqlx::Result<Value> {
    let row = sqlx::query(AssertSqlSafe(format!("EXPLAIN (FORMAT JSON) {sql}"))).fetch_one(conn).await?;
    let text = row.try_get_raw(0)?.as_str().map_err(sqlx::Error::Decode)?;
    serde_json::from_str(text).map_err(|error| sqlx::Error::Decode(Box::new(error)))
}

/// The rows of a table by its statistics, whether a whole index leads with the id, and whether one of these
/// indexes is of a part of the rows.
async fn indexes(
    conn: &mut PgConnection,
    relation: &str,
    id: &str,
    used: &[String],
) -> sqlx::Result<(i64, bool, bool)> {
    const ASK: &str = "SELECT CAST(c.reltuples AS bigint), \
         c.relkind NOT IN ('r', 'p', 'm') OR EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_attribute a \
           ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0] WHERE i.indrelid = c.oid AND i.indisvalid \
           AND i.indpred IS NULL AND a.attname = $2), \
         EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class n ON n.oid = i.indexrelid \
           WHERE i.indrelid = c.oid AND i.indpred IS NOT NULL AND n.relname = ANY($3)) \
         FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1)";
    let found = sqlx::query_as::<_, (i64, bool, bool)>(ASK).bind(relation).bind(id).bind(used);
    Ok(found.fetch_optional(conn).await?.unwrap_or((0, true, true)))
}

fn nodes<'v>(value: &'v Value, found: &mut Vec<&'v Value>) {
    if value.get("Node Type").is_some() {
        found.push(value);
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| nodes(item, found)),
        Value::Object(members) => members.values().for_each(|member| nodes(member, found)),
        _ => {}
    }
}

/// The indexes that a plan uses.
fn names(plan: &Value) -> Vec<String> {
    let mut found = Vec::new();
    nodes(plan, &mut found);
    found.iter().filter_map(|node| Some(node.get("Index Name")?.as_str()?.to_owned())).collect()
}

/// The nodes that read, in a few words.
fn summary(plan: &Value) -> String {
    let mut found = Vec::new();
    nodes(plan, &mut found);
    let text = |node: &Value, key: &str| node.get(key).and_then(Value::as_str).map(str::to_owned);
    let reads = found.iter().filter_map(|node| {
        let kind = text(node, "Node Type").filter(|kind| kind.contains("Scan"))?;
        match (text(node, "Index Name"), text(node, "Relation Name")) {
            (Some(index), _) => Some(format!("{kind} using {index}")),
            (None, Some(relation)) => Some(format!("{kind} on {relation}")),
            (None, None) => None,
        }
    });
    let reads: Vec<String> = reads.collect();
    if reads.is_empty() { "no scan".to_owned() } else { reads.join(", ") }
}

/// What SQLite would do.
pub async fn of_sqlite(
    conn: &mut SqliteConnection,
    parts: &Parts,
    id_column: &str,
    table: bool,
) -> sqlx::Result<Vec<PlanFound>> {
    let page = explain_sqlite(conn, &parts.first_page(Which::Open).replace("$1", "1000")).await?;
    let by_id = explain_sqlite(conn, &parts.by_ids(&format!("{id_column} IN (1, 2, 3)"))).await?;
    let lacks = table && by_id.starts_with("SCAN");
    let column = id_column.replace("r.\"", "\"");
    let what = "no index leads with the id: each look scans the whole table".to_owned();
    let lacks = lacks.then(|| (what, format!("CREATE INDEX reports_by_id ON {} ({column});", parts.relation)));
    Ok(vec![PlanFound { purpose: PAGE, plan: page, lacks: None }, PlanFound { purpose: BY_ID, plan: by_id, lacks }])
}

async fn explain_sqlite(conn: &mut SqliteConnection, sql: &str) -> sqlx::Result<String> {
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(conn).await?;
    let steps = rows.iter().map(|row| row.try_get::<String, _>(3)).collect::<sqlx::Result<Vec<String>>>()?;
    Ok(steps.join(", "))
}
