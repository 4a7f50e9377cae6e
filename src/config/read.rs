//! Reads TOML piece by piece and remembers every problem with its place, so that one run names them all.
//! A key that nobody asked for is a problem too: nothing in a configuration is ignored.

use super::later;
use super::problem::{Place, Problem, Weight};
use super::secrets::Surroundings;
use crate::core::id::Name;
use crate::core::time::{Span, WrittenSpan};
use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Collects what is wrong while the parts are read; knows what lies outside the file.
pub struct Reader<'c> {
    problems: RefCell<Vec<Problem>>,
    pub surroundings: Surroundings<'c>,
}

impl<'c> Reader<'c> {
    pub fn new(surroundings: Surroundings<'c>) -> Self {
        Reader { problems: RefCell::default(), surroundings }
    }

    /// The configuration won't load; reading goes on to find the rest.
    pub fn refuse(&self, place: &Place, what: impl Into<String>, advice: impl Into<String>) {
        self.note(Weight::Refusal, place, what.into(), advice.into());
    }

    pub fn warn(&self, place: &Place, what: impl Into<String>, advice: impl Into<String>) {
        self.note(Weight::Warning, place, what.into(), advice.into());
    }

    fn note(&self, weight: Weight, place: &Place, what: String, advice: String) {
        self.problems.borrow_mut().push(Problem { weight, place: Some(place.clone()), what, advice });
    }

    pub fn has_refused(&self) -> bool {
        self.problems.borrow().iter().any(|problem| problem.weight == Weight::Refusal)
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}

/// A piece of text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text<'t> {
    pub value: &'t str,
    pub place: Place,
}

impl Text<'_> {
    pub fn name(&self) -> Name {
        self.value.into()
    }
}

/// A key with its value.
#[derive(Clone)]
pub struct Entry<'t> {
    pub key: Text<'t>,
    pub value: &'t DeValue<'t>,
    /// Where the value stands.
    pub place: Place,
}

/// A table some of whose keys have a meaning.
#[derive(Clone)]
pub struct Table<'t> {
    entries: &'t DeTable<'t>,
    /// Where it begins: its header, or its braces.
    pub place: Place,
    /// How messages call it, such as `[sources.columns]`.
    pub title: &'static str,
    /// Keys that unknown ones were probably meant to be: they aren't missing as well.
    misspelt: Vec<String>,
}

/// Whether a list may be empty.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    Allowed,
    Refused,
}

impl<'t> Table<'t> {
    /// The file itself.
    pub fn root(r: &Reader, root: &'t Spanned<DeTable<'t>>, known: &[&str]) -> Self {
        let mut table =
            Table { entries: root.get_ref(), place: 0..0, title: "the configuration", misspelt: Vec::new() };
        table.judge_keys(r, known);
        table
    }

    /// Every key must be in `known`, or is refused: as not built yet, or with the nearest known one.
    fn judge_keys(&mut self, r: &Reader, known: &[&str]) {
        for key in self.entries.keys() {
            let (name, place) = (key.get_ref().as_ref(), key.span());
            if known.contains(&name) {
                continue;
            }
            if let Some(advice) = later::advice(self.title, name) {
                r.refuse(&place, format!("`{name}` is not built yet"), format!("remove it: {advice}"));
                continue;
            }
            let advice = match nearest(name, known.iter().copied()) {
                Some(near) => {
                    self.misspelt.push(near.to_owned());
                    format!("did you mean `{near}`?")
                }
                None => format!("known here: {}", known.join(", ")),
            };
            r.refuse(&place, format!("unknown key `{name}` in {}", self.title), advice);
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = Entry<'t>> + use<'t> {
        self.entries.iter().map(|(key, value)| Entry {
            key: Text { value: key.get_ref().as_ref(), place: key.span() },
            value: value.get_ref(),
            place: value.span(),
        })
    }

    pub fn get(&self, key: &str) -> Option<Entry<'t>> {
        self.entries().find(|entry| entry.key.value == key)
    }

    /// Whether a key that nobody knows was probably meant to be this one.
    pub fn has_misspelt(&self, key: &str) -> bool {
        self.misspelt.iter().any(|meant| meant == key)
    }

    /// As `get`, but its absence is refused with an example of what to add.
    pub fn require(&self, r: &Reader, key: &str, example: &str) -> Option<Entry<'t>> {
        let found = self.get(key);
        if found.is_none() && !self.has_misspelt(key) {
            r.refuse(&self.place, format!("{} lacks `{key}`", self.title), format!("add: {example}"));
        }
        found
    }
}

impl<'t> Entry<'t> {
    /// Text that isn't empty.
    pub fn text(&self, r: &Reader, example: &str) -> Option<Text<'t>> {
        text(r, self.key.value, self.value, &self.place, example)
    }

    /// A list of texts, none of them empty and none twice. What is wrong is refused and left out.
    pub fn texts(&self, r: &Reader, empty: Empty, example: &str) -> Vec<Text<'t>> {
        let DeValue::Array(items) = self.value else {
            self.refuse_type(r, "a list of texts", example);
            return Vec::new();
        };
        if items.is_empty() && empty == Empty::Refused {
            r.refuse(&self.place, format!("`{}` is empty", self.key.value), format!("write: {example}"));
        }
        let mut texts: Vec<Text<'t>> = Vec::new();
        for item in items.iter() {
            let Some(found) = text(r, self.key.value, item.get_ref(), &item.span(), example) else { continue };
            if texts.iter().any(|known| known.value == found.value) {
                let advice = "remove one of the two";
                r.refuse(&found.place, format!("\"{}\" stands twice in `{}`", found.value, self.key.value), advice);
                continue;
            }
            texts.push(found);
        }
        texts
    }

    /// A table with these keys and no others.
    pub fn table(&self, r: &Reader, title: &'static str, known: &[&str], example: &str) -> Option<Table<'t>> {
        let mut table = self.free_table(r, title, example)?;
        table.judge_keys(r, known);
        Some(table)
    }

    /// A table whose keys are names that the user chooses.
    pub fn free_table(&self, r: &Reader, title: &'static str, example: &str) -> Option<Table<'t>> {
        match self.value {
            DeValue::Table(entries) => Some(Table { entries, place: self.place.clone(), title, misspelt: Vec::new() }),
            _ => {
                self.refuse_type(r, "a table", example);
                None
            }
        }
    }

    /// A list of tables, as under `[[rules]]`.
    pub fn tables(&self, r: &Reader, title: &'static str, known: &[&str], example: &str) -> Vec<Table<'t>> {
        let DeValue::Array(items) = self.value else {
            self.refuse_type(r, "a list of tables", example);
            return Vec::new();
        };
        let entries =
            items.iter().map(|item| Entry { key: self.key.clone(), value: item.get_ref(), place: item.span() });
        entries.filter_map(|entry| entry.table(r, title, known, example)).collect()
    }

    /// A duration such as "1h30m".
    pub fn duration(&self, r: &Reader, example: &str) -> Option<WrittenSpan> {
        let text = self.text(r, example)?;
        match text.value.parse::<WrittenSpan>() {
            Ok(span) => Some(span),
            Err(error) => {
                // The error's second half is what would be right.
                let error = error.to_string();
                let (what, advice) = error.split_once("; ").unwrap_or((&error, example));
                r.refuse(&text.place, what, advice);
                None
            }
        }
    }

    pub fn refuse_type(&self, r: &Reader, wanted: &str, example: &str) {
        refuse_type(r, self.key.value, self.value, &self.place, wanted, example);
    }
}

fn text<'t>(r: &Reader, key: &str, value: &'t DeValue<'t>, place: &Place, example: &str) -> Option<Text<'t>> {
    let DeValue::String(text) = value else {
        refuse_type(r, key, value, place, "text", example);
        return None;
    };
    let flaw = if text.trim().is_empty() {
        "is empty"
    } else if text.contains(char::is_control) && key != "query" {
        "holds a control character"
    } else {
        return Some(Text { value: text.as_ref(), place: place.clone() });
    };
    r.refuse(place, format!("`{key}` {flaw}"), format!("write: {example}"));
    None
}

fn refuse_type(r: &Reader, key: &str, value: &DeValue, place: &Place, wanted: &str, example: &str) {
    let found = match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date without quotes",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    r.refuse(place, format!("`{key}` must be {wanted}, but is {found}"), format!("write: {example}"));
}

/// The known word that was probably meant: the same but for case and dashes, or a few slips of the hand
/// away, one for each three letters.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let plain = |word: &str| word.to_lowercase().replace(['-', ' '], "_");
    let wanted = plain(word);
    let slips_max = (wanted.chars().count() / 3).max(1);
    let judged = known.into_iter().map(|known| (slips(&wanted, &plain(known)), known));
    judged.filter(|(slips, _)| *slips <= slips_max).min().map(|(_, known)| known)
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn slips(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut fewest = changed.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                fewest = fewest.min(rows[i - 2][j - 2] + 1);
            }
            row.push(fewest);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

/// `value` between two bounds, or refused with both.
pub fn within_bounds(r: &Reader, entry: &Entry, value: Span, least: &str, most: &str, bounds: (Span, Span)) -> bool {
    let fits = value >= bounds.0 && value <= bounds.1;
    if !fits {
        let what = format!("`{}` must be from {least} to {most}", entry.key.value);
        r.refuse(&entry.place, what, format!("write: {} = \"{least}\"", entry.key.value));
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_forgives_case_dashes_and_a_slip_for_each_three_letters() {
        let known = ["categories", "priority", "targets", "at"];
        assert_eq!(nearest("categorys", known), Some("categories"));
        assert_eq!(nearest("Priority", known), Some("priority"));
        assert_eq!(nearest("tragets", known), Some("targets"));
        assert_eq!(nearest("ta", known), Some("at"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("", known), None);
    }
}
