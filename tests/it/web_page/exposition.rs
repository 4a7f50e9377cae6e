//! A strict reader of Prometheus' text format 0.0.4: what it accepts, Prometheus does.

use std::collections::BTreeMap;

/// Samples by name and labels, labels in the order in which they are written.
#[derive(Debug, Default)]
pub struct Exposition {
    pub kinds: BTreeMap<String, String>,
    pub samples: BTreeMap<String, f64>,
}

impl Exposition {
    /// Of a whole text, every line of it.
    ///
    /// # Panics
    /// With the line that breaks the format.
    pub fn parse(text: &str) -> Self {
        let mut found = Exposition::default();
        let mut helped: Vec<String> = Vec::new();
        let mut current = String::new();
        assert!(text.ends_with('\n'), "the last line has no end");
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').unwrap_or_else(|| panic!("no help: {line}"));
                assert!(is_name(name) && !help.is_empty(), "{line}");
                assert!(!helped.contains(&name.to_owned()), "a second HELP: {line}");
                helped.push(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or_else(|| panic!("no type: {line}"));
                assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
                assert_eq!(helped.last().map(String::as_str), Some(name), "TYPE without its HELP: {line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "_total is for counters: {line}");
                assert!(found.kinds.insert(name.to_owned(), kind.to_owned()).is_none(), "a second TYPE: {line}");
                current = name.to_owned();
            } else {
                let (series, value) = sample(line);
                let name = series.split('{').next().expect("split gives a first part");
                let family = match found.kinds[&current].as_str() {
                    "histogram" => {
                        ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
                    }
                    _ => name,
                };
                assert_eq!(family, current, "a sample outside its family: {line}");
                assert!(found.samples.insert(series.clone(), value).is_none(), "a series twice: {line}");
            }
        }
        found
    }

    pub fn value(&self, series: &str) -> Option<f64> {
        self.samples.get(series).copied()
    }

    /// Whether any series of the family has this label pair, written as `name="value"`.
    pub fn has(&self, family: &str, pair: &str) -> bool {
        self.samples.keys().any(|series| series.starts_with(&format!("{family}{{")) && series.contains(pair))
    }
}

/// Name with labels, and value.
fn sample(line: &str) -> (String, f64) {
    let name_len = line.find(['{', ' ']).unwrap_or_else(|| panic!("no value: {line}"));
    assert!(is_name(&line[..name_len]), "a bad name: {line}");
    let mut rest = &line[name_len..];
    if let Some(labels) = rest.strip_prefix('{') {
        let labels_len = labels_len(labels, line);
        rest = &labels[labels_len..];
    }
    let value = rest.strip_prefix(' ').unwrap_or_else(|| panic!("no space before the value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
    (line[..line.len() - rest.len()].to_owned(), value)
}

/// Bytes up to and with the closing brace; quoted values may hold anything but a bare quote or newline.
fn labels_len(labels: &str, line: &str) -> usize {
    let (mut at, mut seen) = (0, Vec::new());
    loop {
        let name_len = labels[at..].find("=\"").unwrap_or_else(|| panic!("a label without a value: {line}"));
        let name = &labels[at..at + name_len];
        assert!(is_name(name) && !name.contains(':') && !seen.contains(&name), "a bad label {name}: {line}");
        seen.push(name);
        at += name_len + 2;
        let mut escaped = false;
        let value_len = labels[at..].find(|c| {
            let ends = c == '"' && !escaped;
            assert!(!escaped || matches!(c, '\\' | '"' | 'n'), "an unknown escape: {line}");
            escaped = c == '\\' && !escaped;
            ends
        });
        at += value_len.unwrap_or_else(|| panic!("an open quote: {line}")) + 1;
        match labels.as_bytes().get(at) {
            Some(b',') => at += 1,
            Some(b'}') => return at + 1,
            _ => panic!("neither , nor }} after a label: {line}"),
        }
    }
}

fn is_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':');
    starts && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

#[test]
#[should_panic(expected = "an open quote")]
fn the_reader_refuses_a_value_that_was_not_escaped() {
    Exposition::parse("# HELP a b\n# TYPE a gauge\na{b=\"c\nd\"} 1\n");
}

#[test]
#[should_panic(expected = "a series twice")]
fn the_reader_refuses_a_series_that_comes_twice() {
    Exposition::parse("# HELP a b\n# TYPE a gauge\na{b=\"c\"} 1\na{b=\"c\"} 2\n");
}
