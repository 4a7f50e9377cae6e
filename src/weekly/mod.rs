//! The weekly report: pure figures over what the store and the sources tell, and how they are written. It
//! never says more than is known: what is still open is censored, and a figure over a gap says so.

pub mod count;
pub mod csv;
pub mod figures;
pub mod html;
pub mod md;
mod pack;
pub mod paging;
pub mod sight;
pub mod slice;
#[cfg(test)]
mod slice_tests;
pub mod survival;
pub mod svg;
mod tally;
#[cfg(test)]
mod tests;
pub mod week;
mod words;

use figures::Figures;

/// How a report can be written, by the name of its file's ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Html,
    Csv,
    Json,
    Md,
}

impl Format {
    pub const ALL: [Format; 4] = [Format::Html, Format::Csv, Format::Json, Format::Md];

    pub fn parse(text: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.as_str() == text)
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Format::Html => "html",
            Format::Csv => "csv",
            Format::Json => "json",
            Format::Md => "md",
        }
    }
}

/// One file of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Such as "tocsin-2026-W46.html".
    pub name: String,
    pub media_type: &'static str,
    pub text: String,
}

/// The JSON Schema of what `Format::Json` writes.
pub const SCHEMA: &str = include_str!("schema.json");

/// The files of a report in these formats, the same bytes for the same figures.
pub fn documents(figures: &Figures, formats: &[Format]) -> Vec<Document> {
    let named = |end: &str| format!("tocsin-{}{end}", figures.week);
    let mut documents = Vec::new();
    for format in formats {
        match format {
            Format::Html => {
                documents.push(document(named(".html"), "text/html; charset=utf-8", html::page(figures)));
            }
            Format::Json => documents.push(document(named(".json"), "application/json", json(figures))),
            Format::Md => documents.push(document(named(".md"), "text/markdown; charset=utf-8", md::page(figures))),
            Format::Csv => {
                let files = [
                    (".csv", csv::groups(figures)),
                    ("-targets.csv", csv::targets(figures)),
                    ("-dsa15.csv", csv::dsa15(figures)),
                ];
                let files = files.into_iter().map(|(end, text)| document(named(end), "text/csv; charset=utf-8", text));
                documents.extend(files);
            }
        }
    }
    documents
}

fn document(name: String, media_type: &'static str, text: String) -> Document {
    Document { name, media_type, text }
}

/// The report in a few lines of plain text.
pub use words::summary;

/// The figures as JSON, a line feed at the end.
pub fn json(figures: &Figures) -> String {
    // Every type in it is a plain record of numbers and texts, which the encoder never refuses.
    serde_json::to_string_pretty(figures).unwrap_or_default() + "\n"
}
