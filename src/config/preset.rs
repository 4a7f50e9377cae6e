//! Presets: the configuration of a known platform's own tables, as data. Each is a list of blocks; a block says
//! which columns it reads in each generation of the platform, and the first is taken whose columns are all there:
//! so one preset serves them all, and what a database lacks can be named.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

const ALL: &[(&str, &str)] = &[
    ("discourse", include_str!("presets/discourse.toml")),
    ("lemmy", include_str!("presets/lemmy.toml")),
    ("mastodon", include_str!("presets/mastodon.toml")),
    ("ozone", include_str!("presets/ozone.toml")),
    ("pixelfed", include_str!("presets/pixelfed.toml")),
    ("synapse", include_str!("presets/synapse.toml")),
];

/// What every platform gets behind its own sources and categories.
const COMMON: &str = include_str!("presets/common.toml");

/// Columns by table.
pub type Tables = BTreeMap<String, Vec<String>>;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The platform and where its tables were read.
    pub title: String,
    /// Which url it is for, as an example.
    pub example: String,
    /// What no column says, for the person who takes the configuration over.
    pub unknown: Vec<String>,
    blocks: Vec<Block>,
    /// Categories and what minor safety promises.
    policy: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    group: String,
    /// A platform may lack the whole group.
    #[serde(default)]
    optional: bool,
    /// Its generations, the newest first.
    variants: Vec<Variant>,
    #[serde(default)]
    unknown: Vec<String>,
    text: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Variant {
    /// The columns that it reads.
    needs: Tables,
    /// What stands for the words of the text that differ from generation to generation.
    #[serde(default)]
    words: BTreeMap<String, String>,
}

/// A configuration for one database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    pub text: String,
    pub unknown: Vec<String>,
    /// Groups that the database lacks and that a platform may lack.
    pub left_out: Vec<String>,
}

/// Why a preset fits no database like this: of the nearest generation, what is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    pub missing: Tables,
}

pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// `None` where there is no preset of this name.
pub fn named(name: &str) -> Option<Preset> {
    let (_, text) = ALL.iter().find(|(known, _)| *known == name)?;
    toml::from_str(text).ok()
}

impl Preset {
    /// The tables that any of its generations reads.
    pub fn tables(&self) -> BTreeSet<&str> {
        self.variants().flat_map(|variant| variant.needs.keys()).map(String::as_str).collect()
    }

    fn variants(&self) -> impl Iterator<Item = &Variant> {
        self.blocks.iter().flat_map(|block| &block.variants)
    }

    /// The configuration for the newest generation, with everything that a platform may have.
    pub fn newest(&self, url: &str) -> Fitted {
        let newest = self.blocks.iter().filter_map(|block| Some((block, block.variants.first()?)));
        self.fitted(&newest.collect::<Vec<_>>(), Vec::new(), url)
    }

    /// The configuration for a database with these columns.
    ///
    /// # Errors
    /// With what the nearest generation lacks.
    pub fn fit(&self, found: &Tables, url: &str) -> Result<Fitted, Misfit> {
        let (mut chosen, mut left_out, mut missing) = (Vec::new(), Vec::new(), Tables::new());
        for block in &self.blocks {
            if let Some(fits) = block.variants.iter().find(|variant| variant.lacks(found).is_empty()) {
                chosen.push((block, fits));
                continue;
            }
            let lacks = block.variants.iter().map(|variant| variant.lacks(found));
            let nearest = lacks.min_by_key(|lacks| lacks.values().map(Vec::len).sum::<usize>()).unwrap_or_default();
            // A table that isn't there at all is one that the platform doesn't have.
            if block.optional && nearest.keys().any(|table| !found.contains_key(table)) {
                left_out.push(block.group.clone());
            } else {
                missing.extend(nearest);
            }
        }
        if missing.is_empty() { Ok(self.fitted(&chosen, left_out, url)) } else { Err(Misfit { missing }) }
    }

    fn fitted(&self, chosen: &[(&Block, &Variant)], left_out: Vec<String>, url: &str) -> Fitted {
        let of_blocks = chosen.iter().flat_map(|(block, _)| &block.unknown);
        let unknown: Vec<String> = of_blocks.chain(&self.unknown).cloned().collect();
        let mut text =
            format!("# {}.\n# Judge it with tocsin check and tocsin doctor. What it could not know:\n", self.title);
        for line in &unknown {
            let _ = writeln!(text, "# * {line}");
        }
        text += "# It reads these columns and no others; an administrator of the database lets it:\n";
        for (table, columns) in grants(chosen) {
            let columns = columns.iter().map(|column| quoted(column, url)).collect::<Vec<_>>().join(", ");
            let _ = writeln!(text, "#   GRANT SELECT ({columns}) ON {} TO tocsin;", quoted(&table, url));
        }
        text +=
            "\n# \"shadow\" decides and records and pages only the log. \"live\" pages people.\nmode = \"shadow\"\n";
        let url = toml::Value::String(url.to_owned()).to_string();
        for (block, variant) in chosen {
            let words = variant.words.iter().fold(block.text.clone(), |text, (word, is)| text.replace(word, is));
            let _ = write!(text, "\n{}", words.replace("URL", &url));
        }
        text = format!("{text}\n{}\n{COMMON}", self.policy);
        Fitted { text, unknown, left_out }
    }
}

impl Variant {
    fn lacks(&self, found: &Tables) -> Tables {
        let mut lacks = Tables::new();
        for (table, columns) in &self.needs {
            let there = found.get(table);
            let absent = |column: &&String| !there.is_some_and(|there| there.contains(column));
            let absent: Vec<String> = columns.iter().filter(absent).cloned().collect();
            if !absent.is_empty() {
                lacks.insert(table.clone(), absent);
            }
        }
        lacks
    }
}

/// Every column that is read, once.
fn grants(chosen: &[(&Block, &Variant)]) -> BTreeMap<String, BTreeSet<String>> {
    let mut grants: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (table, columns) in chosen.iter().flat_map(|(_, variant)| &variant.needs) {
        grants.entry(table.clone()).or_default().extend(columns.iter().cloned());
    }
    grants
}

/// A name as the database of this url reads it, quoted only where it must be.
fn quoted(name: &str, url: &str) -> String {
    if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return name.to_owned();
    }
    let mark = if url.starts_with("mysql") || url.starts_with("mariadb") { '`' } else { '"' };
    format!("{mark}{name}{mark}")
}

#[cfg(test)]
#[path = "preset_tests.rs"]
mod tests;
