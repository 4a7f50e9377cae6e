//! What PostgreSQL's column types mean for a mapping: how each is selected, compared and decoded, and
//! which a column of some purpose can't have.

use super::fault::{Fault, listed};
use super::feed::FeedKind;
use super::line::Mapping;
use super::postgres::prepared_columns;
use super::selection::{CategoryAt, Purpose};
use super::settings::Unit;
use super::sql::{self, FeedParts, Parts, not_surely, unit_ceiling, unit_digits};
use sqlx::PgConnection;
use sqlx::postgres::types::Oid;
use std::collections::BTreeMap;

/// How a value comes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Bool,
    TimestampTz,
    Timestamp,
    Uuid,
    /// Text, or whatever has been cast to it.
    Text,
    /// char(n): the blanks at its end are padding.
    Padded,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
    /// As PostgreSQL prints it.
    pub type_name: String,
    /// The type's own name, quoted, for casts.
    pub quoted_type: String,
    pub base: String,
    /// One of the types that are text by nature.
    pub is_text: bool,
}

/// How ids are bound and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdKind {
    Int,
    Uuid,
    /// `cast`: the type to which a bound text is cast, where that isn't text itself.
    Text {
        cast: Option<String>,
        /// Ids that differ count as equal (letters' case); ties are ordered by their bytes.
        ties: bool,
    },
    Numeric,
}

impl IdKind {
    /// True of the rows whose id is in the array $1.
    pub fn matches(&self, id: &str) -> String {
        match self {
            IdKind::Text { cast: Some(cast), .. } => format!("{id} = ANY(CAST($1 AS {cast}[]))"),
            IdKind::Numeric => format!("{id} = ANY(CAST($1 AS numeric[]))"),
            IdKind::Int | IdKind::Uuid | IdKind::Text { cast: None, .. } => format!("{id} = ANY($1)"),
        }
    }

    fn order_and_after(&self, id: &str) -> (String, String) {
        match self {
            IdKind::Text { cast, ties: true } => {
                let bound = cast.as_ref().map_or("$1".to_owned(), |cast| format!("CAST($1 AS {cast})"));
                let bytes = |value: &str| format!("CAST({value} AS text) COLLATE \"C\"");
                let after = format!("({id}, {}) > ({bound}, {})", bytes(id), bytes("$1"));
                (format!("{id}, {}", bytes(id)), after)
            }
            IdKind::Text { cast: Some(cast), .. } => (id.to_owned(), format!("{id} > CAST($1 AS {cast})")),
            IdKind::Numeric => (id.to_owned(), format!("{id} > CAST($1 AS numeric)")),
            IdKind::Int | IdKind::Uuid | IdKind::Text { cast: None, .. } => (id.to_owned(), format!("{id} > $1")),
        }
    }
}

/// Every column that a relation yields. A column of a domain has the type beneath it.
pub async fn learn_types(conn: &mut PgConnection, relation: &str) -> sqlx::Result<Vec<Column>> {
    let columns = prepared_columns(conn, relation).await?;
    let oids: Vec<Oid> = columns.iter().map(|(_, oid)| *oid).collect();
    let sql = "SELECT t.oid, n.nspname::text, t.typname::text, t.typcategory::text, format_type(t.oid, NULL) \
               FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid = ANY($1)";
    let types: Vec<(Oid, String, String, String, String)> = sqlx::query_as(sql).bind(oids).fetch_all(conn).await?;
    let types: BTreeMap<u32, _> = types.into_iter().map(|found| (found.0.0, found)).collect();
    let column = |(name, oid): (String, Oid)| {
        let unknown = || (oid, "pg_catalog".to_owned(), "unknown".to_owned(), "X".to_owned(), "unknown".to_owned());
        let (_, schema, base, class, type_name) = types.get(&oid.0).cloned().unwrap_or_else(unknown);
        let is_text = class == "S";
        let kind = match base.as_str() {
            "int2" => Kind::Int2,
            "int4" => Kind::Int4,
            "int8" => Kind::Int8,
            "float4" => Kind::Float4,
            "float8" => Kind::Float8,
            "bool" => Kind::Bool,
            "timestamptz" => Kind::TimestampTz,
            "timestamp" => Kind::Timestamp,
            "uuid" => Kind::Uuid,
            "bpchar" => Kind::Padded,
            _ => Kind::Text,
        };
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let quoted_type = format!("{}.{}", quoted(&schema), quoted(&base));
        Column { name, kind, type_name, quoted_type, base, is_text }
    };
    Ok(columns.into_iter().map(column).collect())
}

/// The mapped columns in the order of the selection, each fit for all that it is mapped to.
pub fn mapped(mapping: &Mapping, found: &[Column]) -> Result<Vec<Column>, Fault> {
    let relation = mapping.relation_name();
    let mut columns = Vec::new();
    for name in &mapping.selection.columns {
        let mut same = found.iter().filter(|column| column.name == **name);
        let Some(column) = same.next() else {
            let there = listed(found.iter().map(|column| column.name.as_str()));
            return Err(mapping.wrong(format!("{relation} has no column {name}; its columns are: {there}")));
        };
        if same.next().is_some() {
            let what = format!("{relation} yields two columns {name}; give one of them another name with AS");
            return Err(mapping.wrong(what));
        }
        columns.push(column.clone());
    }
    for (at, purpose) in &mapping.selection.purposes {
        check_purpose(mapping, &columns[*at], *purpose)?;
    }
    Ok(columns)
}

fn check_purpose(mapping: &Mapping, column: &Column, purpose: Purpose) -> Result<(), Fault> {
    let Column { name, type_name, .. } = column;
    let place = format!("column {name} of {}", mapping.relation_name());
    let is_number = matches!(column.kind, Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Float4 | Kind::Float8)
        || column.base == "numeric";
    let wrong = |what: String| Err(mapping.wrong(format!("{place} has type {type_name}{what}")));
    match purpose {
        Purpose::Id if id_kind(column).is_none() => {
            wrong(", which can't be an id: ids are whole numbers, text, uuid or numeric".to_owned())
        }
        Purpose::Time(None) if is_number => {
            wrong(format!(": say what it counts, as {{ column = \"{name}\", unit = \"s\" }} or unit = \"ms\""))
        }
        Purpose::Time(_)
            if !is_number && !column.is_text && !matches!(column.kind, Kind::TimestampTz | Kind::Timestamp) =>
        {
            let right = "a timestamp, a text in ISO 8601, or a number with a unit";
            wrong(format!(", which isn't an instant: map {right}"))
        }
        Purpose::Id | Purpose::Time(_) | Purpose::Text => Ok(()),
    }
}

pub fn id_kind(column: &Column) -> Option<IdKind> {
    match (column.kind, column.base.as_str()) {
        (Kind::Int2 | Kind::Int4 | Kind::Int8, _) => Some(IdKind::Int),
        (Kind::Uuid, _) => Some(IdKind::Uuid),
        (_, "numeric") => Some(IdKind::Numeric),
        (_, "text" | "varchar") => Some(IdKind::Text { cast: None, ties: false }),
        _ if column.is_text => {
            Some(IdKind::Text { cast: Some(column.quoted_type.clone()), ties: column.base == "citext" })
        }
        _ => None,
    }
}

/// The statements' parts for these columns.
pub fn parts(mapping: &Mapping, relation: String, columns: &[Column]) -> Result<(Parts, IdKind), Fault> {
    let bad = |bad: sql::BadName| mapping.wrong(bad.to_string());
    let mut select = Vec::new();
    for column in columns {
        let name = sql::column(&column.name).map_err(bad)?;
        let as_it_is = column.kind != Kind::Text || column.is_text;
        select.push(if as_it_is { name } else { format!("CAST({name} AS text)") });
    }
    let selection = &mapping.selection;
    let id = &columns[selection.id];
    let id_column = sql::column(&id.name).map_err(bad)?;
    let kind = id_kind(id).ok_or_else(|| mapping.wrong(format!("column {} can't be an id", id.name)))?;
    let (id_order, after) = kind.order_and_after(&id_column);
    let name_of = |at: usize| sql::column(&columns[at].name).map_err(bad);
    let (mut open, mut strays) = (None, None);
    if let Some(closed) = selection.closed() {
        let name = name_of(closed.at)?;
        let is_time = surely_a_time(&name, &columns[closed.at], closed.unit);
        if matches!(columns[closed.at].kind, Kind::TimestampTz | Kind::Timestamp) {
            // What an index on the open rows alone can serve. The infinities are looked for now and then.
            open = Some(format!("{name} IS NULL"));
            strays = Some(format!("NOT ({is_time})"));
        } else {
            open = Some(not_surely(&name, &is_time));
        }
    }
    let mut feeds = BTreeMap::new();
    let updated = selection.updated.map(|(at, unit)| (FeedKind::Changed, at, unit));
    let received = selection.received.as_ref().map(|event| (FeedKind::Received, event.at, event.unit));
    for (kind, at, unit) in updated.into_iter().chain(received) {
        feeds.insert(kind, feed_parts(name_of(at)?, &columns[at], unit));
    }
    let category = match &selection.category {
        CategoryAt::Value(_) => None,
        CategoryAt::Column(at) => Some(format!("CAST({} AS text)", sql::column(&columns[*at].name).map_err(bad)?)),
    };
    // The rows of one category are in the order of their ids in an index of (category, id), so that the first of them
    // come at once. PostgreSQL doesn't see that of a list with one category in it.
    let one_of = if mapping.settings.reading.first.len() == 1 { "(CAST($C AS text[]))[1]" } else { "ANY($C)" };
    let compared = match &selection.category {
        CategoryAt::Column(at) if matches!(columns[*at].base.as_str(), "text" | "varchar") => Some(name_of(*at)?),
        CategoryAt::Column(_) | CategoryAt::Value(_) => category.clone(),
    };
    let first = compared.map(|compared| format!("{compared} = {one_of}"));
    let has_id = format!("{id_column} IS NOT NULL");
    Ok((Parts { relation, select, has_id, id_order, after, open, category, first, strays, feeds }, kind))
}

fn feed_parts(stamp: String, column: &Column, unit: Option<Unit>) -> FeedParts {
    let as_it_is = (column.kind != Kind::Text && column.kind != Kind::Padded)
        || matches!(column.base.as_str(), "text" | "varchar");
    let bound = if as_it_is { "$S".to_owned() } else { format!("CAST($S AS {})", column.quoted_type) };
    let is_time = surely_a_time(&stamp, column, unit);
    FeedParts { stamp, bound, is_time }
}

/// True only of values that decode as a time.
fn surely_a_time(name: &str, column: &Column, unit: Option<Unit>) -> String {
    if column.is_text {
        return match unit {
            Some(unit) => format!("{name} ~ '^[1-9][0-9]{{0,{}}}$'", unit_digits(unit) - 1),
            None => format!("{name} ~ '{ISO_8601}'"),
        };
    }
    match (column.kind, unit) {
        (Kind::TimestampTz | Kind::Timestamp, _) => format!("{name} >= '1970-01-03' AND {name} < '9999-12-30'"),
        (_, unit) => format!("{name} > 0 AND {name} < {}", unit.map_or(0, unit_ceiling)),
    }
}

/// Times that exist beyond doubt: no 30 February, and 29 February left out.
const ISO_8601: &str = "^(19[89][0-9]|[2-8][0-9]{3})-\
    ((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)\
    [T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?( ?(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?))?$";
