//! How MySQL would run the polling statements, and which index would help.

use super::decode::Cell;
use super::mysql::Table;
use super::mysql_text::Value;
use super::mysql_types::Kind;
use super::plans::{BY_ID, OPEN_PERCENT, PAGE, PlanFound, ROWS_LARGE, followed, unled};
use super::selection::Selection;
use super::sql::Which;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, Column, MySqlConnection, Row};

const SCAN: &str = "a scan";
/// A server may answer in another form by default.
const EXPLAIN: &str = "EXPLAIN FORMAT=TRADITIONAL";

pub async fn of_mysql(
    conn: &mut MySqlConnection,
    table: &Table,
    selection: &Selection,
) -> sqlx::Result<Vec<PlanFound>> {
    let parts = &table.parts;
    let page = explain(conn, table, &parts.first_page(Which::Open), &[Value::Int(1_000)]).await?;
    let some = Value::List(vec![Value::Int(1), Value::Int(2)]);
    let by_id = explain(conn, table, &parts.by_ids(&table.id.matches(&table.id_column)), &[some]).await?;
    let (mut lacks_id, mut lacks_open, mut lacks_feed) = (None, None, None);
    if !parts.relation.starts_with('(') {
        let (rows, leading) = indexes(conn, &parts.relation).await?;
        let leads = |column: &str| leading.iter().any(|name| name.eq_ignore_ascii_case(column));
        let id = &table.columns[selection.id].name;
        let (relation, id_column) = (&parts.relation, table.id_column.trim_start_matches("r."));
        if !leads(id) && by_id.starts_with(SCAN) {
            let what = format!("no index leads with the id: each look scans about {rows} rows");
            lacks_id = Some((what, format!("CREATE INDEX reports_by_id ON {relation} ({id_column});")));
        }
        if let Some(column) = followed(parts).and_then(|(_, feed)| feed.stamp.strip_prefix("r."))
            && rows >= ROWS_LARGE
            && !leads(&column.trim_matches('`').replace("``", "`"))
        {
            let create = format!("CREATE INDEX reports_feed ON {relation} ({column}, {id_column});");
            lacks_feed = Some((unled(rows), create));
        }
        let closed = selection.closed().map(|closed| &table.columns[closed.at].name);
        if let (Some(open), Some(closed)) = (&parts.open, closed)
            && rows >= ROWS_LARGE
            && !leads(closed)
            && let Some(open_rows) = few(conn, table, open, rows * OPEN_PERCENT / 100).await?
        {
            let what = format!("{open_rows} of about {rows} rows are open, and each scan walks over all of them");
            let create =
                format!("CREATE INDEX reports_open ON {relation} (`{}`, {id_column});", closed.replace('`', "``"));
            lacks_open = Some((what, create));
        }
    }
    let mut plans = vec![
        PlanFound { purpose: PAGE, plan: page, lacks: lacks_open },
        PlanFound { purpose: BY_ID, plan: by_id, lacks: lacks_id },
    ];
    if let Some((purpose, feed)) = followed(parts) {
        let plan = explain(conn, table, &parts.feed_newest(feed), &[]).await?;
        plans.push(PlanFound { purpose, plan, lacks: lacks_feed });
    }
    Ok(plans)
}

/// How many rows are open, where it is fewer than this.
async fn few(conn: &mut MySqlConnection, table: &Table, open: &str, most: i64) -> sqlx::Result<Option<i64>> {
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT 1 AS one FROM {} AS r WHERE {open} LIMIT {most}) AS l",
        table.parts.relation
    );
    let row = table.query(&sql, &[]).fetch_one(conn).await?;
    Ok(match Kind::Int.cell(&row, 0) {
        Cell::Int(count) if count < most => Some(count),
        _ => None,
    })
}

async fn explain(conn: &mut MySqlConnection, table: &Table, sql: &str, values: &[Value]) -> sqlx::Result<String> {
    let rows = table.query(&format!("{EXPLAIN} {sql}"), values).fetch_all(conn).await?;
    let step = |row: &MySqlRow| {
        let relation = named(row, "table")?;
        Some(match (named(row, "type")?.as_str(), named(row, "key")) {
            ("ALL", _) => format!("{SCAN} of {relation}"),
            (how, Some(key)) => format!("{how} using {key}"),
            (how, None) => format!("{how} on {relation}"),
        })
    };
    let steps: Vec<String> = rows.iter().filter_map(step).collect();
    Ok(if steps.is_empty() { "no scan".to_owned() } else { steps.join(", ") })
}

fn named(row: &MySqlRow, name: &str) -> Option<String> {
    let at = row.columns().iter().position(|column| column.name().eq_ignore_ascii_case(name))?;
    match Kind::Text.cell(row, at) {
        Cell::Text(text) => Some(text.to_owned()),
        _ => None,
    }
}

/// The rows of a table by the server's own estimate, and the columns that lead its indexes.
async fn indexes(conn: &mut MySqlConnection, relation: &str) -> sqlx::Result<(i64, Vec<String>)> {
    let rows =
        sqlx::query(AssertSqlSafe(format!("{EXPLAIN} SELECT 1 FROM {relation} AS r"))).fetch_all(&mut *conn).await?;
    let at = |row: &MySqlRow| row.columns().iter().position(|column| column.name().eq_ignore_ascii_case("rows"));
    let estimate = rows.iter().filter_map(|row| match Kind::of_row(row, &[]).get(at(row)?)?.cell(row, at(row)?) {
        Cell::Int(rows) => Some(rows),
        Cell::Text(rows) => rows.parse().ok(),
        _ => None,
    });
    let estimate = estimate.max().unwrap_or(0);
    let rows =
        sqlx::query(AssertSqlSafe(format!("SHOW INDEX FROM {relation} WHERE Seq_in_index = 1"))).fetch_all(conn).await;
    // A view has none to show; the tables beneath it have theirs.
    let leading = rows.unwrap_or_default().iter().filter_map(|row| named(row, "Column_name")).collect();
    Ok((estimate, leading))
}
