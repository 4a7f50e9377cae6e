//! Values from outside the file: environment, files of secrets, the directory that paths start from. And
//! the mask that keeps a secret out of a message when its line is shown.

use super::problem::Place;
use super::read::{Reader, Table, Text};
use crate::core::time::Timestamp;
use crate::secret::Secret;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// Which secrets must be there. What is not needed may be missing, with a warning, and is then empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// To run.
    All,
    /// To read history: no channel is called, no key leaves the house.
    Sources,
    /// To judge the file alone.
    Nothing,
}

/// What the file refers to.
#[derive(Clone, Copy)]
pub struct Surroundings<'c> {
    pub env: &'c dyn Fn(&str) -> Option<String>,
    /// The configuration file's.
    pub directory: &'c Path,
    pub need: Need,
    /// When it is read: calendars are compiled around it.
    pub now: Timestamp,
}

/// What a secret is for, which decides whether it may be missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    Source,
    Other,
}

/// A secret and where its name stands. `from_file` tells a value of the configuration file itself from one
/// of the environment or of a file of secrets.
pub struct Found {
    pub secret: Secret,
    pub place: Place,
    pub written_here: bool,
}

/// The secret under `key`, `key_env` or `key_file`; more than one of them is refused, as is none when
/// `required` holds an example.
pub fn secret(r: &Reader, table: &Table, key: &str, purpose: Purpose, required: Option<&str>) -> Option<Found> {
    let (env_key, file_key) = (format!("{key}_env"), format!("{key}_file"));
    let given: Vec<_> = [key, &env_key, &file_key].iter().filter_map(|key| table.get(key)).collect();
    let [entry] = given.as_slice() else {
        let misspelt = [key, &env_key, &file_key].iter().any(|key| table.has_misspelt(key));
        match (given.get(1), required.filter(|_| !misspelt)) {
            (Some(second), _) => {
                let what = format!("`{}` and `{}` both give the {key}", given[0].key.value, second.key.value);
                r.refuse(&second.key.place, what, "keep one of the two");
            }
            (None, Some(example)) => {
                let what = format!("{} lacks `{key}`, `{env_key}` or `{file_key}`", table.title);
                r.refuse(&table.place, what, format!("add: {example}"));
            }
            (None, None) => {}
        }
        return None;
    };
    let example = format!("{} = \"{}\"", entry.key.value, if entry.key.value == env_key { "NAME" } else { ".." });
    let text = entry.text(r, &example)?;
    let written_here = entry.key.value == key;
    let value = if written_here {
        Some(Secret::new(text.value))
    } else if entry.key.value == env_key {
        from_env(r, &text, purpose)
    } else {
        from_file(r, &text, purpose)
    };
    value.map(|secret| Found { secret, place: text.place, written_here })
}

/// The value of an environment variable that the configuration names.
pub fn from_env(r: &Reader, name: &Text, purpose: Purpose) -> Option<Secret> {
    if !is_variable_name(name.value) {
        let what = "this is no name of an environment variable";
        r.refuse(&name.place, what, "write the variable's name, not its value, as in \"TOCSIN_SECRET\"");
        return None;
    }
    let value = (r.surroundings.env)(name.value).map(|value| value.trim().to_owned());
    match value {
        Some(value) if !value.is_empty() => Some(Secret::new(value)),
        found => {
            let state = if found.is_some() { "is empty" } else { "is not set" };
            let what = format!("the environment variable {} {state}", name.value);
            missing(r, &name.place, what, format!("set it before you start tocsin: {}=...", name.value), purpose)
        }
    }
}

fn from_file(r: &Reader, path: &Text, purpose: Purpose) -> Option<Secret> {
    let file = r.surroundings.directory.join(path.value);
    let advice = "name a file that holds the value alone; its path starts from the configuration's directory";
    match std::fs::read_to_string(&file) {
        Ok(value) if !value.trim().is_empty() => Some(Secret::new(value.trim())),
        Ok(_) => missing(r, &path.place, "the file is empty".into(), advice.into(), purpose),
        Err(error) => {
            let why = match error.kind() {
                std::io::ErrorKind::NotFound => "it isn't there".to_owned(),
                std::io::ErrorKind::PermissionDenied => "tocsin may not read it".to_owned(),
                kind => kind.to_string(),
            };
            let what = format!("the file can't be read: {why}");
            missing(r, &path.place, what, advice.into(), purpose)
        }
    }
}

fn missing(r: &Reader, place: &Place, what: String, advice: String, purpose: Purpose) -> Option<Secret> {
    let needed = match r.surroundings.need {
        Need::All => true,
        Need::Sources => purpose == Purpose::Source,
        Need::Nothing => false,
    };
    if needed {
        r.refuse(place, what, advice);
        return None;
    }
    r.warn(place, what, advice);
    Some(Secret::new(""))
}

/// A url of SQLite with its path made to start from `directory`; every other url as it is.
pub fn resolve_sqlite(url: &str, directory: &Path) -> String {
    let Some(rest) = url.strip_prefix("sqlite:") else { return url.to_owned() };
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let stays = path.is_empty() || path.starts_with('/') || path.starts_with(':') || path.starts_with("file:");
    if stays || directory.as_os_str().is_empty() {
        return url.to_owned();
    }
    // In a url these three would end the path or stand for another character.
    let directory = directory.to_string_lossy().replace('%', "%25").replace('?', "%3F").replace('#', "%23");
    format!("sqlite://{}/{path}", directory.trim_end_matches('/'))
}

/// Keys whose values may be printed by nobody.
const SECRET_KEYS: &[&str] =
    &["url", "verify_url", "secret", "secrets", "routing_key", "password", "token", "smtp_url", "deployment_secret"];

/// What a shell can set and what no secret is likely to be.
fn is_variable_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.chars().all(plain) && !text.starts_with(|c: char| c.is_ascii_digit()) && !text.starts_with("whsec_")
}

/// Whether this value is a secret, or one by mistake: a value where the name of its variable belongs.
fn is_secret(key: &str, value: &str) -> bool {
    let misplaced = key.ends_with("_env") && !is_variable_name(value);
    SECRET_KEYS.contains(&key) && !value.starts_with("sqlite:") || misplaced
}

/// The text with secrets replaced by asterisks, byte for byte. `root` is what could be parsed of it;
/// where that isn't all, a line that looks like a secret is masked from its first quote on.
pub fn masked(text: &str, root: &DeTable, parsed_wholly: bool) -> String {
    let mut bytes = text.as_bytes().to_vec();
    mask_table(&mut bytes, text, root);
    mask_marked(&mut bytes, text);
    if !parsed_wholly {
        mask_lines(&mut bytes, text);
    }
    // Only ASCII was written, over whole characters; were it otherwise, nothing is shown.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

fn mask_table(bytes: &mut [u8], text: &str, table: &DeTable) {
    for (key, value) in table {
        mask_value(bytes, text, key.get_ref(), &value.span(), value.get_ref());
    }
}

fn mask_value(bytes: &mut [u8], text: &str, key: &str, place: &Place, value: &DeValue) {
    match value {
        DeValue::String(written) if is_secret(key, written) => {
            let scheme = text.get(place.clone()).and_then(|text| Some(text.find("://")? + 3)).unwrap_or(1);
            mask(bytes, place.start + scheme..place.end.saturating_sub(1));
        }
        DeValue::Array(items) => {
            items.iter().for_each(|item| mask_value(bytes, text, key, &item.span(), item.get_ref()));
        }
        DeValue::Table(table) => mask_table(bytes, text, table),
        _ => {}
    }
}

/// What gives itself away wherever it stands, in a comment too: a signing secret, a password in a url.
fn mask_marked(bytes: &mut [u8], text: &str) {
    let ends = |c: char| c.is_whitespace() || c == '"' || c == '\'';
    for (at, mark) in text.match_indices("whsec_").chain(text.match_indices("://")) {
        let from = at + mark.len();
        let rest = &text[from..];
        let word = &rest[..rest.find(ends).unwrap_or(rest.len())];
        let length = if mark == "://" { word.rfind('@').unwrap_or(0) } else { word.len() };
        mask(bytes, from..from + length);
    }
}

fn mask_lines(bytes: &mut [u8], text: &str) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let lower = line.to_lowercase();
        let telling = ["url", "secret", "key", "password", "token"].iter().any(|word| lower.contains(word));
        if telling && let Some(quote) = line.find(['"', '\'']) {
            mask(bytes, start + quote + 1..start + line.trim_end().len());
        }
        start += line.len();
    }
}

fn mask(bytes: &mut [u8], place: Place) {
    if let Some(bytes) = bytes.get_mut(place) {
        bytes.iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b'*');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask_all(text: &str) -> String {
        let (root, errors) = DeTable::parse_recoverable(text);
        masked(text, root.get_ref(), errors.is_empty())
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands_and_keeps_its_length() {
        let text = "[[sources]]\nurl = \"postgres://u:päss@h/db\"\n[channels]\nw = { kind = \"webhook\", secret = 'whsec_abc', url = \"https://x/hook/9\" }\n# old: whsec_def\n";
        let shown = mask_all(text);
        assert_eq!(shown.len(), text.len());
        for secret in ["u:p", "ss@h", "abc", "hook/9", "def"] {
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
        assert!(shown.contains("url = \"postgres://***") && shown.contains("kind = \"webhook\""));
    }

    #[test]
    fn a_secret_in_a_file_that_is_not_toml_is_masked_too() {
        let shown = mask_all("mode = shadow\nurl = \"postgres://u:hidden\nsecret = 'hidden too\n");
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn a_path_of_sqlite_starts_from_the_configuration_and_an_absolute_one_stays() {
        let resolved = |url| resolve_sqlite(url, Path::new("/etc/100%/tocsin"));
        assert_eq!(resolved("sqlite:a.db?mode=ro"), "sqlite:///etc/100%25/tocsin/a.db?mode=ro");
        assert_eq!(resolved("sqlite://sub/a.db"), "sqlite:///etc/100%25/tocsin/sub/a.db");
        for stays in ["sqlite:/var/a.db", "sqlite:///var/a.db", "sqlite::memory:", "postgres://h/db"] {
            assert_eq!(resolved(stays), stays);
        }
        assert_eq!(resolve_sqlite("sqlite:a.db", Path::new("")), "sqlite:a.db");
    }
}
