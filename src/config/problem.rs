//! What is wrong with a configuration, each with its place. A report shows the lines at fault, but never a
//! secret that is written in them.

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity,
    SourceCode, SourceSpan, SpanContents,
};
use std::fmt;
use std::ops::Range;

/// Bytes of the configuration's text.
pub type Place = Range<usize>;

/// One thing to change, or with [`Weight::Warning`] one thing to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub weight: Weight,
    /// `None` where there is no text to point at, such as a file that can't be read.
    pub place: Option<Place>,
    pub what: String,
    /// What would be right, with an example.
    pub advice: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// The configuration doesn't load.
    Refusal,
    Warning,
}

/// How a report is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// ASCII without colours: for files, pipes and logs.
    Plain,
    /// Lines and colours, for a terminal.
    Terminal,
}

/// Problems of one file, in the order of their places.
#[derive(Clone, Debug)]
pub struct Report {
    file: String,
    /// With secrets masked, every byte still at its place.
    text: String,
    problems: Vec<Problem>,
}

impl Report {
    /// `text` must be masked already: whatever it holds may be printed.
    pub(super) fn new(file: String, text: String, mut problems: Vec<Problem>) -> Report {
        problems.sort_by_key(|problem| problem.place.as_ref().map(|place| (place.start, place.end)));
        problems.dedup();
        Report { file, text, problems }
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Every problem with file, line, column, the line itself, a caret and what to write instead.
    pub fn render(&self, drawing: Drawing) -> String {
        let theme = match drawing {
            Drawing::Plain => GraphicalTheme::none(),
            Drawing::Terminal => GraphicalTheme::unicode(),
        };
        let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_context_lines(1).with_links(false);
        let source = Lines { file: &self.file, text: &self.text };
        let drawn = self.problems.iter().map(|problem| {
            let shown = Shown { problem, source: problem.place.is_some().then_some(&source) };
            let mut drawn = String::new();
            // Writing to a String can't fail; a problem that can't be drawn is still told in words.
            if handler.render_report(&mut drawn, &shown).is_err() {
                drawn = format!("{}: {}; {}", self.file, problem.what, problem.advice);
            }
            drawn.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
        });
        drawn.collect::<Vec<_>>().join("\n\n")
    }
}

/// A configuration that was refused: every reason at once.
#[derive(Debug)]
pub struct ConfigErrors(pub Report);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.render(Drawing::Plain))
    }
}

impl std::error::Error for ConfigErrors {}

/// The text, shown as the whole lines of a place and never their neighbours.
#[derive(Debug)]
struct Lines<'r> {
    file: &'r str,
    text: &'r str,
}

impl SourceCode for Lines<'_> {
    /// With no context asked for, this answers where the place begins; otherwise, what to draw.
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        _lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let begin = span.offset();
        let head = self.text.get(..begin).ok_or(MietteError::OutOfBounds)?;
        let rest = self.text.get(begin + span.len()..).ok_or(MietteError::OutOfBounds)?;
        let line = head.matches('\n').count();
        let line_begin = head.rfind('\n').map_or(0, |at| at + 1);
        let line_end = begin + span.len() + rest.find('\n').unwrap_or(rest.len());
        let (from, column) =
            if lines_before == 0 { (begin, head[line_begin..].chars().count()) } else { (line_begin, 0) };
        let data = &self.text.as_bytes()[from..line_end];
        let shown = SourceSpan::from(from..line_end);
        Ok(Box::new(MietteSpanContents::new_named(self.file.to_owned(), data, shown, line, column, 1)))
    }
}

/// A problem as miette draws it.
#[derive(Debug)]
struct Shown<'r> {
    problem: &'r Problem,
    source: Option<&'r Lines<'r>>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.what)
    }
}

impl std::error::Error for Shown<'_> {}

impl Diagnostic for Shown<'_> {
    fn severity(&self) -> Option<Severity> {
        Some(match self.problem.weight {
            Weight::Refusal => Severity::Error,
            Weight::Warning => Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        (!self.problem.advice.is_empty()).then(|| Box::new(&self.problem.advice) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.problem.place.clone()?;
        Some(Box::new(std::iter::once(LabeledSpan::new_with_span(None, place))))
    }
}
