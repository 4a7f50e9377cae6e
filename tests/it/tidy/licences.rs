//! deny.toml as far as the tree is held to it: the licences that are allowed and the crates that are not.

use std::collections::BTreeSet;

/// The lists of deny.toml.
pub struct Rules {
    allowed: BTreeSet<String>,
    banned: BTreeSet<String>,
}

impl Rules {
    pub fn parse(deny_toml: &str) -> Self {
        let file: toml::Table = deny_toml.parse().expect("deny.toml is TOML");
        let allowed = file["licenses"]["allow"].as_array().expect("licenses.allow is a list").iter();
        let banned = file["bans"]["deny"].as_array().expect("bans.deny is a list").iter().map(|entry| &entry["crate"]);
        let strings = |value: &toml::Value| value.as_str().expect("a string").to_owned();
        Self { allowed: allowed.map(strings).collect(), banned: banned.map(strings).collect() }
    }

    /// Why a crate may not be in the tree, if it may not.
    pub fn offence(&self, name: &str, licence: Option<&str>) -> Option<String> {
        if self.banned.contains(name) {
            return Some(format!("{name}: banned"));
        }
        let Some(licence) = licence else {
            return Some(format!("{name}: states no licence"));
        };
        match self.allows(licence) {
            Ok(true) => None,
            Ok(false) => Some(format!("{name}: {licence} is not allowed")),
            Err(problem) => Some(format!("{name}: {licence}: {problem}")),
        }
    }

    /// Whether an SPDX expression can be met with allowed licences alone. `/` is an old way to write OR.
    fn allows(&self, expression: &str) -> Result<bool, String> {
        let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut words = spaced.split_whitespace().peekable();
        let allowed = self.any_of(&mut words)?;
        match words.next() {
            None => Ok(allowed),
            Some(word) => Err(format!("unexpected {word}")),
        }
    }

    fn any_of(&self, words: &mut Words<'_>) -> Result<bool, String> {
        let mut allowed = self.all_of(words)?;
        while words.next_if_eq(&"OR").is_some() {
            allowed |= self.all_of(words)?;
        }
        Ok(allowed)
    }

    fn all_of(&self, words: &mut Words<'_>) -> Result<bool, String> {
        let mut allowed = self.one(words)?;
        while words.next_if_eq(&"AND").is_some() {
            allowed &= self.one(words)?;
        }
        Ok(allowed)
    }

    fn one(&self, words: &mut Words<'_>) -> Result<bool, String> {
        match words.next() {
            Some("(") => {
                let allowed = self.any_of(words)?;
                words.next_if_eq(&")").map(|_| allowed).ok_or_else(|| "a parenthesis is not closed".into())
            }
            None | Some("OR" | "AND" | "WITH" | ")") => Err("a licence is expected".into()),
            Some(licence) if words.next_if_eq(&"WITH").is_some() => {
                let exception = words.next().ok_or("an exception is expected")?;
                Ok(self.allowed.contains(&format!("{licence} WITH {exception}")))
            }
            Some(licence) => Ok(self.allowed.contains(licence)),
        }
    }
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

#[test]
fn a_crate_that_is_banned_copyleft_or_without_a_licence_is_found() {
    let rules = Rules::parse(
        "[licenses]\nallow = [\"MIT\", \"ISC\", \"Apache-2.0 WITH LLVM-exception\"]\n\
         [bans]\ndeny = [{ crate = \"openssl-sys\" }]\n",
    );
    let offence = |name: &str, licence: &str| rules.offence(name, Some(licence));
    for licence in
        ["MIT", "GPL-3.0 OR MIT", "Unlicense/MIT", "(MIT OR GPL-2.0) AND ISC", "Apache-2.0 WITH LLVM-exception"]
    {
        assert_eq!(offence("a", licence), None, "{licence}");
    }
    for licence in ["AGPL-3.0", "MIT AND GPL-2.0", "Apache-2.0", "MIT WITH other", "GPL-2.0 OR ISC AND AGPL-3.0"] {
        assert_eq!(offence("a", licence), Some(format!("a: {licence} is not allowed")));
    }
    assert_eq!(offence("a", "(MIT"), Some("a: (MIT: a parenthesis is not closed".into()));
    assert_eq!(offence("a", "MIT OR"), Some("a: MIT OR: a licence is expected".into()));
    assert_eq!(offence("openssl-sys", "MIT"), Some("openssl-sys: banned".into()));
    assert_eq!(rules.offence("a", None), Some("a: states no licence".into()));
}
