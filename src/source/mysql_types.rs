//! What MySQL's column types mean for a mapping: how each is compared and decoded, and which a column of some
//! purpose can't have.

use super::decode::Cell;
use super::fault::{Fault, listed};
use super::feed::FeedKind;
use super::line::Mapping;
use super::mysql_text::{Value, each};
use super::selection::{CategoryAt, Purpose};
use super::settings::{RowsFrom, Unit};
use super::sql::{self, BACKTICK, FeedParts, Parts, not_surely, unit_ceiling, unit_digits};
use crate::core::id::ReportId;
use sqlx::mysql::MySqlRow;
use sqlx::types::Uuid;
use sqlx::{
    AssertSqlSafe, Column as _, Decode, Executor, MySql, MySqlConnection, Row, SqlSafeStr, Statement, TypeInfo,
};
use std::collections::BTreeMap;

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    Int,
    /// BIGINT UNSIGNED.
    Unsigned,
    Float,
    Decimal,
    /// TIMESTAMP: an instant.
    Instant,
    /// DATETIME: a wall clock's reading.
    Local,
    /// With the character set and collation by which it compares; `None` for types that are no text by nature
    /// but come as one.
    Text(Option<(String, String)>),
    Bytes,
    /// JSON among them: it comes as a text and equals none.
    Other,
}

#[derive(Clone, Debug)]
pub struct Column {
    pub name: String,
    /// As MySQL prints it.
    pub type_name: String,
    pub class: Class,
}

/// How ids are bound and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdKind {
    Int,
    Unsigned,
    Bytes,
    Decimal,
    Text {
        /// The id bound as $1 in the column's own character set and collation.
        bound: String,
        /// Its bytes, where ids that differ may count as equal (letters' case, blanks at the end).
        tie: Option<String>,
    },
}

impl Column {
    /// A bound value in the form in which it is ordered as this column is.
    pub fn bound(&self, place: &str) -> String {
        match &self.class {
            Class::Text(Some((charset, collation))) => format!("{} COLLATE {collation}", converted(place, charset)),
            Class::Decimal => format!("CAST({place} AS {DECIMAL})"),
            _ => place.to_owned(),
        }
    }

    /// The column as something that compares with bound texts.
    pub fn as_text(&self, name: &str) -> String {
        if matches!(self.class, Class::Text(Some(_))) { name.to_owned() } else { format!("CAST({name} AS CHAR)") }
    }

    /// A bound text beside `as_text`.
    pub fn bound_text(&self, place: &str) -> String {
        if matches!(self.class, Class::Text(Some(_))) { self.bound(place) } else { place.to_owned() }
    }

    /// `None` where no id can be of this type. `is_unique`: no two of them count as equal.
    pub fn id_kind(&self, is_unique: bool) -> Option<IdKind> {
        match &self.class {
            Class::Int => Some(IdKind::Int),
            Class::Unsigned => Some(IdKind::Unsigned),
            Class::Bytes => Some(IdKind::Bytes),
            Class::Decimal => Some(IdKind::Decimal),
            Class::Text(collated) => {
                let collated = collated.as_ref().filter(|_| !is_unique);
                let tie = collated.map(|(charset, _)| format!("CAST({} AS BINARY)", converted("$1", charset)));
                Some(IdKind::Text { bound: self.bound("$1"), tie })
            }
            Class::Float | Class::Instant | Class::Local | Class::Other => None,
        }
    }
}

/// A bound text in a character set. MySQL takes a parameter of a CONVERT for a text of its character set and refuses
/// the whole statement where that lacks a letter; of the inner CONVERT's it lacks none.
fn converted(place: &str, charset: &str) -> String {
    match charset {
        "utf8mb4" => format!("CONVERT({place} USING utf8mb4)"),
        _ => format!("CONVERT(CONVERT({place} USING utf8mb4) USING {charset})"),
    }
}

/// Wide enough for whatever number is an id or a time.
const DECIMAL: &str = "DECIMAL(60, 10)";

impl IdKind {
    /// True of the rows whose id is in the list $1. A text is compared in the column's own collation, so that an
    /// index serves; what is equal there and differs by its bytes is sorted out afterwards.
    pub fn matches(&self, id: &str) -> String {
        let bound = match self {
            IdKind::Text { bound, .. } => bound.clone(),
            IdKind::Decimal => format!("CAST($1 AS {DECIMAL})"),
            IdKind::Int | IdKind::Unsigned | IdKind::Bytes => "$1".to_owned(),
        };
        format!("{id} IN ({})", each(&bound))
    }

    fn order_and_after(&self, id: &str) -> (String, String) {
        match self {
            IdKind::Text { bound, tie: Some(tie) } => {
                let bytes = format!("CAST({id} AS BINARY)");
                let after = format!("{id} >= {bound} AND ({id} > {bound} OR {bytes} > {tie})");
                (format!("{id}, {bytes}"), after)
            }
            IdKind::Text { bound, tie: None } => (id.to_owned(), format!("{id} > {bound}")),
            IdKind::Decimal => (id.to_owned(), format!("{id} > CAST($1 AS {DECIMAL})")),
            IdKind::Int | IdKind::Unsigned | IdKind::Bytes => (id.to_owned(), format!("{id} > $1")),
        }
    }

    /// An id as a column of this kind holds it; `None` where it can't.
    pub fn value(&self, id: &ReportId) -> Option<Value> {
        match (self, id) {
            (IdKind::Int, ReportId::Int(id)) => Some(Value::Int(*id)),
            (IdKind::Int, ReportId::Text(id)) => id.parse().ok().map(Value::Int),
            (IdKind::Unsigned, ReportId::Int(id)) => u64::try_from(*id).ok().map(Value::Large),
            (IdKind::Unsigned, ReportId::Text(id)) => id.parse().ok().map(Value::Large),
            (IdKind::Bytes, ReportId::Uuid(id)) => Some(Value::Bytes(id.to_vec())),
            (IdKind::Bytes, ReportId::Text(id)) => {
                let uuid = Uuid::parse_str(id).map(|id| id.as_bytes().to_vec());
                Some(Value::Bytes(uuid.unwrap_or_else(|_| id.as_bytes().to_vec())))
            }
            (IdKind::Decimal, id) => Some(id.to_string()).filter(|id| is_number(id)).map(Value::Text),
            (IdKind::Text { .. }, id) => Some(Value::Text(id.to_string())),
            (IdKind::Int | IdKind::Unsigned, ReportId::Uuid(_)) | (IdKind::Bytes, ReportId::Int(_)) => None,
        }
    }

    /// What a column of this kind calls the report that another column calls so.
    pub fn known_as(&self, id: ReportId) -> Option<ReportId> {
        match (self, id) {
            (IdKind::Int, ReportId::Text(id)) => id.parse().ok().map(ReportId::Int),
            (IdKind::Unsigned, ReportId::Text(id)) => match id.parse::<u64>().ok().map(i64::try_from)? {
                Ok(id) => Some(ReportId::Int(id)),
                Err(_) => Some(ReportId::Text(id)),
            },
            (IdKind::Bytes, ReportId::Text(id)) => Some(match Uuid::parse_str(&id) {
                Ok(id) => ReportId::Uuid(*id.as_bytes()),
                Err(_) => ReportId::Text(id),
            }),
            (IdKind::Int | IdKind::Unsigned, id @ ReportId::Int(_)) | (IdKind::Bytes, id @ ReportId::Uuid(_)) => {
                Some(id)
            }
            (IdKind::Int | IdKind::Unsigned, ReportId::Uuid(_)) | (IdKind::Bytes, ReportId::Int(_)) => None,
            (IdKind::Text { .. } | IdKind::Decimal, id) => Some(ReportId::Text(id.to_string().into())),
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

/// Every column that a relation yields and that this role may read.
pub async fn learn_columns(conn: &mut MySqlConnection, rows: &RowsFrom, relation: &str) -> sqlx::Result<Vec<Column>> {
    match rows {
        RowsFrom::Table(name) => declared(conn, name).await,
        RowsFrom::Query(_) => yielded(conn, relation).await,
    }
}

/// The columns of a table as the server's own catalogue has them: it leaves out those that the role may not
/// read, where a statement over all of them would be refused.
async fn declared(conn: &mut MySqlConnection, name: &str) -> sqlx::Result<Vec<Column>> {
    const ASK: &str = "SELECT CAST(table_name AS CHAR), CAST(column_name AS CHAR), CAST(column_type AS CHAR), \
         CAST(data_type AS CHAR), CAST(character_set_name AS CHAR), CAST(collation_name AS CHAR) \
         FROM information_schema.columns WHERE table_schema = COALESCE(?, DATABASE()) AND table_name = ? \
         ORDER BY ordinal_position";
    let (schema, table) = name.split_once('.').map_or((None, name), |(schema, table)| (Some(schema), table));
    let found = sqlx::query(ASK).bind(schema).bind(table).fetch_all(conn).await?;
    let text = |row: &MySqlRow, at: usize| match Kind::Text.cell(row, at) {
        Cell::Text(text) => Some(text.to_owned()),
        _ => None,
    };
    // The catalogue doesn't look at letters' case, some servers do.
    let exact = found.iter().any(|row| text(row, 0).as_deref() == Some(table));
    let rows = found.iter().filter(|row| !exact || text(row, 0).as_deref() == Some(table));
    let column = |row: &MySqlRow| {
        let (type_name, base) = (text(row, 2)?, text(row, 3)?);
        let is_unsigned = type_name.contains("unsigned");
        let class = class_of(&base, is_unsigned, text(row, 4).zip(text(row, 5)));
        Some(Column { name: text(row, 1)?, type_name, class })
    };
    Ok(rows.filter_map(column).collect())
}

/// The columns of a query. The statement is prepared and never run.
async fn yielded(conn: &mut MySqlConnection, relation: &str) -> sqlx::Result<Vec<Column>> {
    let statement = conn.prepare(AssertSqlSafe(format!("SELECT * FROM {relation} AS r")).into_sql_str()).await?;
    let columns = statement.columns().iter();
    let columns: Vec<(String, String)> =
        columns.map(|column| (column.name().to_owned(), column.type_info().name().to_lowercase())).collect();
    // A column's collation is known without a row, but no statement's description tells it. Of two columns of
    // one name neither can be asked; they are refused anyway.
    let named: Vec<&(String, String)> =
        columns.iter().filter(|(name, _)| columns.iter().filter(|(other, _)| other == name).count() == 1).collect();
    let mut asked = Vec::new();
    for (name, _) in &named {
        let column = sql::column_in(name, BACKTICK).unwrap_or_else(|_| "NULL".to_owned());
        let value = format!("(SELECT {column} FROM {relation} AS r LIMIT 0)");
        asked.push(format!("CAST(CHARSET({value}) AS CHAR), CAST(COLLATION({value}) AS CHAR)"));
    }
    let mut collated: BTreeMap<&str, (String, String)> = BTreeMap::new();
    // A few at a time: each stands for a whole query.
    for (names, asked) in named.chunks(8).zip(asked.chunks(8)) {
        let row = sqlx::query(AssertSqlSafe(format!("SELECT {}", asked.join(", ")))).fetch_one(&mut *conn).await?;
        for (at, (name, _)) in names.iter().enumerate() {
            if let (Cell::Text(charset), Cell::Text(collation)) =
                (Kind::Text.cell(&row, 2 * at), Kind::Text.cell(&row, 2 * at + 1))
            {
                collated.insert(name, (charset.to_owned(), collation.to_owned()));
            }
        }
    }
    let column = |(name, wire): &(String, String)| {
        let base = wire.trim_end_matches(" unsigned");
        let charset = collated.get(name.as_str()).filter(|(charset, _)| charset != "binary").cloned();
        Column { name: name.clone(), type_name: wire.clone(), class: class_of(base, base.len() < wire.len(), charset) }
    };
    Ok(columns.iter().map(column).collect())
}

fn class_of(base: &str, is_unsigned: bool, collated: Option<(String, String)>) -> Class {
    match base {
        "bigint" if is_unsigned => Class::Unsigned,
        "boolean" | "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "bit" | "year" => Class::Int,
        "float" | "double" => Class::Float,
        "decimal" => Class::Decimal,
        "timestamp" => Class::Instant,
        "datetime" => Class::Local,
        "uuid" | "inet4" | "inet6" => Class::Text(None),
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" | "binary"
        | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            collated.map_or(Class::Bytes, |collated| Class::Text(Some(collated)))
        }
        _ => Class::Other,
    }
}

/// The mapped columns in the order of the selection, each fit for all that it is mapped to.
pub fn mapped(mapping: &Mapping, found: &[Column]) -> Result<Vec<Column>, Fault> {
    let relation = mapping.relation_name();
    let mut columns = Vec::new();
    for name in &mapping.selection.columns {
        // MySQL's column names have no case.
        let mut same = found.iter().filter(|column| column.name.eq_ignore_ascii_case(name));
        let Some(column) = same.next() else {
            let there = listed(found.iter().map(|column| column.name.as_str()));
            let what = format!("{relation} has no column {name} that this role may select; it may select: {there}");
            return Err(mapping.wrong(what));
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
    let Column { name, type_name, class } = column;
    let place = format!("column {name} of {}", mapping.relation_name());
    let is_number = matches!(class, Class::Int | Class::Unsigned | Class::Float | Class::Decimal);
    let is_time = is_number || matches!(class, Class::Instant | Class::Local | Class::Text(Some(_)));
    let wrong = |what: String| Err(mapping.wrong(format!("{place} has type {type_name}{what}")));
    match purpose {
        Purpose::Id if column.id_kind(false).is_none() => {
            wrong(", which can't be an id: ids are whole numbers, text, decimal, uuid or binary(16)".to_owned())
        }
        Purpose::Time(None) if is_number => {
            wrong(format!(": say what it counts, as {{ column = \"{name}\", unit = \"s\" }} or unit = \"ms\""))
        }
        Purpose::Time(_) if !is_time => {
            let right = "a timestamp, a datetime, a text in ISO 8601, or a number with a unit";
            wrong(format!(", which isn't an instant: map {right}"))
        }
        Purpose::Id | Purpose::Time(_) | Purpose::Text => Ok(()),
    }
}

/// The statements' parts for these columns. `is_unique`: a unique index is of the id alone.
pub fn parts(
    mapping: &Mapping,
    relation: String,
    columns: &[Column],
    is_unique: bool,
) -> Result<(Parts, IdKind), Fault> {
    let name_of = |at: usize| {
        sql::column_in(&columns[at].name, BACKTICK).map_err(|bad: sql::BadName| mapping.wrong(bad.to_string()))
    };
    let select = (0..columns.len()).map(name_of).collect::<Result<Vec<String>, Fault>>()?;
    let selection = &mapping.selection;
    let id = &columns[selection.id];
    let kind = id.id_kind(is_unique).ok_or_else(|| mapping.wrong(format!("column {} can't be an id", id.name)))?;
    let id_column = &select[selection.id];
    let (id_order, after) = kind.order_and_after(id_column);
    let (mut open, mut strays) = (None, None);
    if let Some(closed) = selection.closed() {
        let (name, column) = (&select[closed.at], &columns[closed.at]);
        let is_time = surely_a_time(name, column, closed.unit);
        if matches!(column.class, Class::Instant | Class::Local) {
            // What an index on the column can serve. Zero dates are looked for now and then.
            open = Some(format!("{name} IS NULL"));
            strays = Some(format!("NOT ({is_time})"));
        } else {
            open = Some(not_surely(name, &is_time));
        }
    }
    let updated = selection.updated.map(|(at, unit)| (FeedKind::Changed, at, unit));
    let received = selection.received.as_ref().map(|event| (FeedKind::Received, event.at, event.unit));
    let feed = |(kind, at, unit): (FeedKind, usize, Option<Unit>)| {
        let (stamp, column) = (select[at].clone(), &columns[at]);
        let is_time = surely_a_time(&stamp, column, unit);
        (kind, FeedParts { stamp, bound: column.bound("$S"), is_time })
    };
    let feeds = updated.into_iter().chain(received).map(feed).collect();
    let (mut category, mut first) = (None, None);
    if let CategoryAt::Column(at) = &selection.category {
        // By its bytes, so that codes which a collation holds for equal stay apart.
        category = Some(format!("CAST(CAST({} AS CHAR) AS BINARY)", select[*at]));
        first = Some(format!("{} IN ({})", columns[*at].as_text(&select[*at]), each(&columns[*at].bound_text("$C"))));
    }
    let has_id = format!("{id_column} IS NOT NULL");
    Ok((Parts { relation, select, has_id, id_order, after, open, category, first, strays, feeds }, kind))
}

/// True only of values that decode as a time.
fn surely_a_time(name: &str, column: &Column, unit: Option<Unit>) -> String {
    let text = format!("CONVERT({name} USING utf8mb4) COLLATE utf8mb4_bin");
    match (&column.class, unit) {
        (Class::Text(_) | Class::Bytes, Some(unit)) => {
            format!("{text} REGEXP '^[1-9][0-9]{{0,{}}}$'", unit_digits(unit) - 1)
        }
        (Class::Text(_) | Class::Bytes, None) => format!("{text} REGEXP '{ISO_8601}'"),
        (Class::Instant | Class::Local, _) => format!("{name} >= '1970-01-03' AND {name} < '9999-12-30'"),
        (_, unit) => format!("{name} > 0 AND {name} < {}", unit.map_or(0, unit_ceiling)),
    }
}

/// Times that exist beyond doubt: no 30 February, and 29 February left out.
const ISO_8601: &str = "^(19[89][0-9]|[2-8][0-9]{3})-\
    ((0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])|(0[13-9]|1[0-2])-(29|30)|(0[13578]|1[02])-31)\
    [T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?( ?(Z|[+-]([01][0-9]|2[0-3])(:?[0-5][0-9])?))?$";

/// How a value comes over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number of so many bytes.
    Int,
    Unsigned,
    Float,
    Instant,
    Local,
    Text,
    /// CHAR: blanks at its end are padding.
    Padded,
    /// BINARY(16) holds a uuid; other bytes are a text where they can be one.
    FixedBytes,
    Bit,
    Other,
}

impl Kind {
    /// Of each column of a row, as the server has sent it.
    pub fn of_row(row: &MySqlRow, columns: &[Column]) -> Vec<Kind> {
        let kind = |(at, column): (usize, &sqlx::mysql::MySqlColumn)| {
            let is_bytes = columns.get(at).is_some_and(|column| column.class == Class::Bytes);
            match column.type_info().name() {
                "BOOLEAN" | "TINYINT" | "SMALLINT" | "INT" | "MEDIUMINT" | "BIGINT" => Kind::Int,
                "YEAR" => Kind::Unsigned,
                name if name.ends_with(" UNSIGNED") => Kind::Unsigned,
                "FLOAT" | "DOUBLE" => Kind::Float,
                "TIMESTAMP" => Kind::Instant,
                "DATETIME" => Kind::Local,
                "BIT" => Kind::Bit,
                "DATE" | "TIME" | "GEOMETRY" | "NULL" => Kind::Other,
                // A text of a binary collation bears the same name as bytes.
                "CHAR" | "BINARY" if is_bytes => Kind::FixedBytes,
                "CHAR" | "BINARY" => Kind::Padded,
                _ => Kind::Text,
            }
        };
        row.columns().iter().enumerate().map(kind).collect()
    }

    pub fn cell(self, row: &MySqlRow, at: usize) -> Cell<'_> {
        // Taken as bytes whatever the type is, because the driver reads a zero date as NULL.
        let Ok(raw) = row.try_get_raw(at) else { return Cell::Other };
        let Ok(bytes) = <&[u8] as Decode<MySql>>::decode(raw) else { return Cell::Null };
        let text = |bytes| std::str::from_utf8(bytes).map_or(Cell::BadText, Cell::Text);
        match self {
            Kind::Int => little_endian(bytes, true).map_or(Cell::Other, |bytes| Cell::Int(i64::from_le_bytes(bytes))),
            Kind::Unsigned => little_endian(bytes, false).map_or(Cell::Other, |bytes| whole(u64::from_le_bytes(bytes))),
            Kind::Float => match (<[u8; 8]>::try_from(bytes), <[u8; 4]>::try_from(bytes)) {
                (Ok(bytes), _) => Cell::Float(f64::from_le_bytes(bytes)),
                (_, Ok(bytes)) => Cell::Float(f32::from_le_bytes(bytes).into()),
                _ => Cell::Other,
            },
            Kind::Instant => Cell::Time(micros(bytes)),
            Kind::Local => Cell::LocalTime(micros(bytes)),
            Kind::Text => text(bytes),
            Kind::Padded => match text(bytes) {
                Cell::Text(text) => Cell::Text(text.trim_end_matches(' ')),
                other => other,
            },
            Kind::FixedBytes => bytes.try_into().map_or_else(|_| text(bytes), Cell::Uuid),
            Kind::Bit if bytes.len() <= 8 => whole(bytes.iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte))),
            Kind::Bit | Kind::Other => Cell::Other,
        }
    }
}

fn whole(number: u64) -> Cell<'static> {
    i64::try_from(number).map_or(Cell::Large(number), Cell::Int)
}

/// A whole number of 1 to 8 bytes, widened.
fn little_endian(bytes: &[u8], is_signed: bool) -> Option<[u8; 8]> {
    let last = *bytes.last()?;
    let mut wide = [if is_signed && last >= 0x80 { 0xff } else { 0 }; 8];
    wide.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(wide)
}

/// A date and time as MySQL packs them: a length, and as many of the fields as aren't zero. A date that is no
/// date, such as the zero date, lies out of any range.
fn micros(packed: &[u8]) -> i64 {
    const NO_DATE: i64 = i64::MIN;
    let field = |at: usize| packed.get(at).copied().map_or(0, u32::from);
    let year = field(1) | field(2) << 8;
    let date = i32::try_from(year).ok().and_then(|year| chrono::NaiveDate::from_ymd_opt(year, field(3), field(4)));
    let fraction = (8..12).rev().fold(0, |micros, at| micros << 8 | field(at));
    let reading = date.and_then(|date| date.and_hms_micro_opt(field(5), field(6), field(7), fraction));
    reading.map_or(NO_DATE, |reading| reading.and_utc().timestamp_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_time_is_read_and_a_date_that_is_none_lies_out_of_range() {
        let long = [11, 0xe9, 0x07, 6, 15, 15, 6, 40, 0x40, 0x42, 0x0f, 0];
        assert_eq!(micros(&long[..8]), 1_750_000_000_000_000);
        assert_eq!(micros(&[11, 0xe9, 0x07, 6, 15, 15, 6, 40, 0x3f, 0x42, 0x0f, 0]), 1_750_000_000_999_999);
        assert_eq!(micros(&[4, 0xe9, 0x07, 6, 15]), 1_749_945_600_000_000);
        for none in [&[0][..], &[4, 0xe9, 0x07, 0, 15], &[4, 0xe9, 0x07, 2, 30], &[4, 0, 0, 6, 15][..0]] {
            assert_eq!(micros(none), i64::MIN, "{none:?}");
        }
    }

    #[test]
    fn whole_numbers_of_every_width_are_widened() {
        let int = |bytes: &[u8]| little_endian(bytes, true).map(i64::from_le_bytes);
        assert_eq!(int(&[0xff]), Some(-1));
        assert_eq!(int(&[0x39, 0x30]), Some(12_345));
        assert_eq!(int(&[0, 0, 0, 0x80]), Some(-2_147_483_648));
        assert_eq!(little_endian(&[0xff], false).map(u64::from_le_bytes), Some(255));
        assert_eq!(int(&[0; 9]), None);
        assert_eq!(whole(u64::MAX), Cell::Large(u64::MAX));
        assert_eq!(whole(7), Cell::Int(7));
    }
}
