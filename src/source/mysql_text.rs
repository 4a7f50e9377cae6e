//! Statements as MySQL takes them: parameters without numbers, and a list as many of them as it holds.

use crate::core::id::ReportId;
use chrono::NaiveDateTime;
use sqlx::mysql::MySqlArguments;
use sqlx::{AssertSqlSafe, MySql};

pub type Query = sqlx::query::Query<'static, MySql, MySqlArguments>;

/// A value to be bound.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Int(i64),
    Large(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    /// A reading of a clock: of UTC's for a TIMESTAMP, because the session runs in it.
    Reading(NaiveDateTime),
    /// Of one value at least.
    List(Vec<Value>),
}

impl From<&ReportId> for Value {
    fn from(id: &ReportId) -> Value {
        match id {
            ReportId::Int(id) => Value::Int(*id),
            ReportId::Uuid(id) => Value::Bytes(id.to_vec()),
            ReportId::Text(id) => Value::Text(id.to_string()),
        }
    }
}

/// The query of a text with `$1`, `$2` and so on, each bound to the value at that place.
pub fn query(sql: &str, relation: &str, values: &[Value]) -> Query {
    let width = |n: usize| match values.get(n - 1) {
        Some(Value::List(list)) => list.len(),
        _ => 1,
    };
    let (text, order) = unnumbered(sql, relation, width);
    let bound = order.into_iter().filter_map(|n| values.get(n - 1));
    bound.fold(sqlx::query(AssertSqlSafe(text)), bind)
}

fn bind(query: Query, value: &Value) -> Query {
    match value {
        Value::Int(value) => query.bind(*value),
        Value::Large(value) => query.bind(*value),
        Value::Float(value) => query.bind(*value),
        Value::Text(value) => query.bind(value.clone()),
        Value::Bytes(value) => query.bind(value.clone()),
        Value::Reading(value) => query.bind(*value),
        Value::List(values) => values.iter().fold(query, bind),
    }
}

/// The values of a list, each in the form that stands in `each` around its parameter.
pub fn each(form: &str) -> String {
    format!("{EACH}{form}{EACH_END}")
}

const EACH: char = '\u{27e6}';
const EACH_END: char = '\u{27e7}';

/// The text without numbers, and which parameter stands at each place; a list once. What the relation, a quoted
/// name or a literal holds is left as it is.
fn unnumbered(sql: &str, relation: &str, width: impl Fn(usize) -> usize) -> (String, Vec<usize>) {
    let relation = format!(" FROM {relation} AS r");
    let (mut text, mut order) = (String::with_capacity(sql.len()), Vec::new());
    for (part, ours) in sql.split(&relation).enumerate() {
        if part > 0 {
            text += &relation;
        }
        let (mut rest, mut inside, mut list_from) = (ours, None, None);
        while let Some(next) = rest.chars().next() {
            rest = &rest[next.len_utf8()..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            match (next, inside) {
                ('$', None) if digits > 0 => {
                    order.push(rest[..digits].parse().unwrap_or(1));
                    rest = &rest[digits..];
                    text.push('?');
                    continue;
                }
                (EACH, None) => {
                    list_from = Some(text.len());
                    continue;
                }
                (EACH_END, None) => {
                    let form = list_from.take().map(|from| text.split_off(from)).unwrap_or_default();
                    let width = order.last().map_or(1, |n| width(*n));
                    text += &vec![form; width].join(", ");
                    continue;
                }
                ('`' | '\'', None) => inside = Some(next),
                (mark, Some(open)) if mark == open => inside = None,
                _ => {}
            }
            text.push(next);
        }
    }
    (text, order)
}

/// Ids as values of one list, filled up to a power of two, so that a few lengths make a few statements;
/// `None` where there is none.
pub fn list(values: Vec<Value>) -> Option<Value> {
    let last = values.last()?.clone();
    let places = values.len().next_power_of_two();
    Some(Value::List(values.into_iter().chain(std::iter::repeat(last)).take(places).collect()))
}

/// What a poll of these categories binds; never an empty list, which no statement can hold.
pub fn texts<'t>(texts: impl IntoIterator<Item = &'t str>) -> Value {
    let mut values: Vec<Value> = texts.into_iter().map(|text| Value::Text(text.to_owned())).collect();
    if values.is_empty() {
        values.push(Value::Text(String::new()));
    }
    Value::List(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_lose_their_numbers_but_for_what_names_literals_and_the_platforms_query_hold() {
        let sql = format!(
            "SELECT r.`a$1` FROM (select '$2' as x -- $1\n) AS r WHERE r.`a$1` >= $2 AND (r.`a$1` > $2 OR \
             r.`id` IN ({})) AND r.`t` REGEXP '^[1-9]$1$' LIMIT $3",
            each("f($1)")
        );
        let (text, order) = unnumbered(&sql, "(select '$2' as x -- $1\n)", |n| if n == 1 { 3 } else { 1 });
        assert_eq!(
            text,
            "SELECT r.`a$1` FROM (select '$2' as x -- $1\n) AS r WHERE r.`a$1` >= ? AND (r.`a$1` > ? OR \
             r.`id` IN (f(?), f(?), f(?))) AND r.`t` REGEXP '^[1-9]$1$' LIMIT ?"
        );
        assert_eq!(order, [2, 2, 1, 3]);
    }

    #[test]
    fn a_list_is_filled_up_with_its_last_value() {
        let ints = |values: &[i64]| values.iter().map(|n| Value::Int(*n)).collect::<Vec<_>>();
        assert_eq!(list(ints(&[1, 2, 3])), Some(Value::List(ints(&[1, 2, 3, 3]))));
        assert_eq!(list(Vec::new()), None);
    }
}
