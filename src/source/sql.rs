//! SQL text for reading one report table: names quoted by our own rule, values only ever bound, and no
//! column named that the mapping doesn't name. Text in, text out: nothing here speaks to a database.

use super::feed::FeedKind;
use super::settings::{RowsFrom, Unit};
use std::collections::BTreeMap;
use std::fmt;

/// Why a name or a query can't stand in a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    Empty,
    Nul,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BadName::Empty => "a name is empty; write the name as the database has it",
            BadName::Nul => "a name holds a NUL byte, which no database allows; write it as the database has it",
        })
    }
}

/// The mark around an identifier in standard SQL.
const STANDARD: char = '"';
/// MySQL's own, which it reads whatever its sql_mode is.
pub const BACKTICK: char = '`';

/// An identifier as SQL reads it, whatever is in it.
fn quote(name: &str, mark: char) -> Result<String, BadName> {
    match name {
        "" => Err(BadName::Empty),
        name if name.contains('\0') => Err(BadName::Nul),
        name => Ok(format!("{mark}{}{mark}", name.replace(mark, &format!("{mark}{mark}")))),
    }
}

/// What stands behind FROM: the quoted table, or the query as a derived table.
pub fn relation(rows: &RowsFrom) -> Result<String, BadName> {
    relation_in(rows, STANDARD)
}

/// As `relation`, with this mark around names.
pub fn relation_in(rows: &RowsFrom, mark: char) -> Result<String, BadName> {
    match rows {
        RowsFrom::Table(name) => match name.split_once('.') {
            Some((schema, table)) => Ok(format!("{}.{}", quote(schema, mark)?, quote(table, mark)?)),
            None => quote(name, mark),
        },
        RowsFrom::Query(query) => {
            if query.contains('\0') {
                return Err(BadName::Nul);
            }
            let query = query.trim_end_matches(|c: char| c.is_whitespace() || c == ';');
            // The line break ends a comment that the query may end in.
            if query.trim_start().is_empty() { Err(BadName::Empty) } else { Ok(format!("({query}\n)")) }
        }
    }
}

/// A column of the relation. Always behind its alias: SQLite takes an unknown bare "name" for a text.
pub fn column(name: &str) -> Result<String, BadName> {
    column_in(name, STANDARD)
}

/// As `column`, with this mark around the name.
pub fn column_in(name: &str, mark: char) -> Result<String, BadName> {
    Ok(format!("r.{}", quote(name, mark)?))
}

/// Seconds or milliseconds of the year 9999; a number from here on is no time.
pub const fn unit_ceiling(unit: Unit) -> i64 {
    match unit {
        Unit::Seconds => 253_402_300_800,
        Unit::Milliseconds => 253_402_300_800_000,
    }
}

/// The most digits with which a whole number of this unit is surely below its ceiling.
pub const fn unit_digits(unit: Unit) -> u32 {
    match unit {
        Unit::Seconds => 11,
        Unit::Milliseconds => 14,
    }
}

/// The parts of the statements that differ between the databases and between types of columns.
#[derive(Clone, Debug)]
pub struct Parts {
    pub relation: String,
    /// What is selected, in the order of the mapping's columns.
    pub select: Vec<String>,
    /// True of a row whose id can be read and compared.
    pub has_id: String,
    /// What ids are ordered by; the comparisons below use the same order.
    pub id_order: String,
    /// True of a row that comes after the position bound as $1.
    pub after: String,
    /// True of a row that may be open; `None` where nothing says that a row is closed.
    pub open: Option<String>,
    /// The category as text; `None` where the whole table is one category.
    pub category: Option<String>,
    /// True of a row of the categories bound as $C; `None` where the whole table is one category.
    pub first: Option<String>,
    /// True of a row that `open` leaves out although its closing time is none; `None` where there can't
    /// be any.
    pub strays: Option<String>,
    /// The time columns that a cursor can follow.
    pub feeds: BTreeMap<FeedKind, FeedParts>,
}

/// A time column that a cursor follows.
#[derive(Clone, Debug)]
pub struct FeedParts {
    pub stamp: String,
    /// A bound stamp, $S, in the column's type.
    pub bound: String,
    /// True only of rows whose stamp is surely a time.
    pub is_time: String,
}

/// Which rows a scan reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    Open,
    All,
    /// Open rows of the categories that come first.
    First,
    /// Rows whose closing time is none, where `Open` leaves them out.
    Strays,
}

/// Categories listed at most; a column with more of them is not a reason code.
pub const CATEGORIES_MAX: u32 = 1_000;

/// Rows of a look at the newest.
pub const NEWEST_ROWS: u32 = 5;

/// Rows without an id that one scan counts at most: they can't be told apart, so more says nothing new.
pub const WITHOUT_ID_MAX: u32 = 1_000;

impl Parts {
    fn rows_where(&self, which: Which, conditions: &[&str]) -> String {
        let open = self.open.as_deref().filter(|_| matches!(which, Which::Open | Which::First));
        let strays = self.strays.as_deref().filter(|_| which == Which::Strays);
        let all: Vec<&str> = conditions.iter().copied().chain(open).chain(strays).collect();
        let conditions = if all.is_empty() { String::new() } else { format!(" WHERE {}", all.join(" AND ")) };
        format!(" FROM {} AS r{conditions}", self.relation)
    }

    /// One page from the start; $1 is its size, $2 the categories that come first.
    pub fn first_page(&self, which: Which) -> String {
        let first = self.first_condition(which, "$2");
        let conditions: Vec<&str> = [&*self.has_id].into_iter().chain(first.as_deref()).collect();
        let rows = self.rows_where(which, &conditions);
        format!("SELECT {}{rows} ORDER BY {} LIMIT $1", self.select.join(", "), self.id_order)
    }

    /// One page behind the position $1; $2 is its size, $3 the categories that come first.
    pub fn next_page(&self, which: Which) -> String {
        let first = self.first_condition(which, "$3");
        let conditions: Vec<&str> = [&*self.has_id, &*self.after].into_iter().chain(first.as_deref()).collect();
        let rows = self.rows_where(which, &conditions);
        format!("SELECT {}{rows} ORDER BY {} LIMIT $2", self.select.join(", "), self.id_order)
    }

    fn first_condition(&self, which: Which, categories: &str) -> Option<String> {
        let first = self.first.as_ref().filter(|_| which == Which::First);
        first.map(|first| first.replace("$C", categories))
    }

    /// One page of a feed from the stamp $1 on; $2 is its size.
    pub fn feed_since(&self, feed: &FeedParts) -> String {
        let from = format!("{} >= {}", feed.stamp, feed.bound.replace("$S", "$1"));
        let rows = self.rows_where(Which::All, &[&self.has_id, &feed.is_time, &from]);
        format!("SELECT {}{rows} ORDER BY {}, {} LIMIT $2", self.select.join(", "), feed.stamp, self.id_order)
    }

    /// One page of a feed behind the row of id $1 and stamp $2; $3 is its size.
    pub fn feed_behind(&self, feed: &FeedParts) -> String {
        let (stamp, bound) = (&feed.stamp, feed.bound.replace("$S", "$2"));
        // The first condition is what an index on the column alone can serve.
        let from = format!("{stamp} >= {bound} AND ({stamp} > {bound} OR ({}))", self.after);
        let rows = self.rows_where(Which::All, &[&self.has_id, &feed.is_time, &from]);
        format!("SELECT {}{rows} ORDER BY {stamp}, {} LIMIT $3", self.select.join(", "), self.id_order)
    }

    /// The rows at the end of a feed, as a statement that an index of its column serves and nothing is bound to.
    pub fn feed_newest(&self, feed: &FeedParts) -> String {
        let rows = self.rows_where(Which::All, &[&self.has_id, &feed.is_time]);
        format!("SELECT {}{rows} ORDER BY {} DESC LIMIT {NEWEST_ROWS}", self.select.join(", "), feed.stamp)
    }

    /// One written stamp, from which the form of a column of texts is learnt; `text` is that type's name.
    pub fn feed_sample(&self, feed: &FeedParts, text: &str) -> String {
        let rows = self.rows_where(Which::All, &[&feed.is_time]);
        format!("SELECT CAST({} AS {text}){rows} LIMIT 1", feed.stamp)
    }

    /// The rows of some ids.
    pub fn by_ids(&self, matches: &str) -> String {
        format!("SELECT {}{}", self.select.join(", "), self.rows_where(Which::All, &[matches]))
    }

    /// The rows that were received last; `received` is that column.
    pub fn newest(&self, received: &str) -> String {
        let rows = self.rows_where(Which::All, &[&self.has_id, &format!("{received} IS NOT NULL")]);
        format!("SELECT {}{rows} ORDER BY {received} DESC LIMIT {NEWEST_ROWS}", self.select.join(", "))
    }

    /// How many rows have no id that can be read: (whether it is NULL, count).
    pub fn without_id(&self, which: Which, id: &str) -> String {
        let lacking = format!("NOT ({})", self.has_id);
        let rows = self.rows_where(which, &[&lacking]);
        format!(
            "SELECT lacks, count(*) FROM (SELECT {id} IS NULL AS lacks{rows} LIMIT {WITHOUT_ID_MAX}) AS l GROUP BY 1"
        )
    }

    /// Every category with its number of rows, the most frequent first.
    pub fn categories(&self) -> String {
        match &self.category {
            Some(category) => format!(
                "SELECT {category} AS c, count(*) AS n FROM {} AS r GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {CATEGORIES_MAX}",
                self.relation
            ),
            None => format!("SELECT '' AS c, count(*) AS n FROM {} AS r", self.relation),
        }
    }
}

/// True of a row that is open or whose closing time may be unreadable: everything but what is surely
/// closed, because a row that says "closed: garbage" must not leave the queue unseen.
pub fn not_surely(column: &str, surely_a_time: &str) -> String {
    format!("({column} IS NULL OR NOT ({surely_a_time}))")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_whatever_is_in_it_and_a_nul_is_refused() {
        assert_eq!(quote("Order", STANDARD), Ok("\"Order\"".into()));
        assert_eq!(quote("my \"odd\" name", STANDARD), Ok("\"my \"\"odd\"\" name\"".into()));
        assert_eq!(quote("x\0y", STANDARD), Err(BadName::Nul));
        assert_eq!(quote("", BACKTICK), Err(BadName::Empty));
        assert_eq!(quote("my `odd\" name", BACKTICK), Ok("`my ``odd\" name`".into()));
        assert_eq!(column("a;--"), Ok("r.\"a;--\"".into()));
    }

    #[test]
    fn each_part_of_a_table_name_is_quoted_and_a_query_becomes_a_derived_table() {
        let table = |name: &str| relation(&RowsFrom::Table(name.into()));
        assert_eq!(table("mod.Reports"), Ok("\"mod\".\"Reports\"".into()));
        assert_eq!(table("reports"), Ok("\"reports\"".into()));
        assert_eq!(table("mod."), Err(BadName::Empty));
        let query = |text: &str| relation(&RowsFrom::Query(text.into()));
        assert_eq!(query("select 1 as id -- all ; \n ;\n"), Ok("(select 1 as id -- all\n)".into()));
        assert_eq!(query(" ; "), Err(BadName::Empty));
    }

    fn parts(open: Option<&str>) -> Parts {
        Parts {
            relation: "\"t\"".into(),
            select: vec!["r.\"id\"".into(), "r.\"c\"".into()],
            has_id: "r.\"id\" IS NOT NULL".into(),
            id_order: "r.\"id\"".into(),
            after: "r.\"id\" > $1".into(),
            open: open.map(str::to_owned),
            category: Some("r.\"c\"".into()),
            first: Some("r.\"c\" = ANY($C)".into()),
            strays: None,
            feeds: BTreeMap::new(),
        }
    }

    #[test]
    fn a_feed_is_read_in_the_order_of_its_column_by_a_condition_that_an_index_serves() {
        let feed =
            FeedParts { stamp: "r.\"u\"".into(), bound: "CAST($S AS numeric)".into(), is_time: "r.\"u\" < 9".into() };
        assert_eq!(
            parts(None).feed_behind(&feed),
            "SELECT r.\"id\", r.\"c\" FROM \"t\" AS r WHERE r.\"id\" IS NOT NULL AND r.\"u\" < 9 \
             AND r.\"u\" >= CAST($2 AS numeric) AND (r.\"u\" > CAST($2 AS numeric) OR (r.\"id\" > $1)) \
             ORDER BY r.\"u\", r.\"id\" LIMIT $3"
        );
        assert!(
            parts(None)
                .feed_since(&feed)
                .ends_with("r.\"u\" >= CAST($1 AS numeric) ORDER BY r.\"u\", r.\"id\" LIMIT $2")
        );
    }

    #[test]
    fn the_categories_that_come_first_are_bound_behind_the_size_of_the_page() {
        let parts = parts(Some("r.\"done\" IS NULL"));
        assert!(parts.first_page(Which::First).contains("= ANY($2) AND r.\"done\" IS NULL ORDER BY"));
        assert!(parts.next_page(Which::First).contains("= ANY($3) AND r.\"done\" IS NULL ORDER BY"));
    }

    #[test]
    fn statements_name_the_mapped_columns_only_and_bind_every_value() {
        let parts = parts(Some("r.\"done\" IS NULL"));
        assert_eq!(
            parts.next_page(Which::Open),
            "SELECT r.\"id\", r.\"c\" FROM \"t\" AS r WHERE r.\"id\" IS NOT NULL AND r.\"id\" > $1 \
             AND r.\"done\" IS NULL ORDER BY r.\"id\" LIMIT $2"
        );
        assert_eq!(
            parts.first_page(Which::All),
            "SELECT r.\"id\", r.\"c\" FROM \"t\" AS r WHERE r.\"id\" IS NOT NULL ORDER BY r.\"id\" LIMIT $1"
        );
        assert!(!parts.by_ids("r.\"id\" = ANY($1)").contains("done"));
        assert!(!parts.categories().contains('*') || parts.categories().matches('*').count() == 1);
    }

    #[test]
    fn without_a_closed_column_every_row_is_open() {
        assert_eq!(parts(None).first_page(Which::Open), parts(None).first_page(Which::All));
    }
}
