//! CEL expressions into predicates of the core. All types are known before a row is read: a reference to
//! nothing, a comparison of unlike things and a result that isn't true or false are refused at their place,
//! and what is left is tried on sample facts.

mod typing;

use crate::core::facts::{CATEGORY, Evaluate, Fact, FactType, FactTypes, Facts, Predicate, Real};
use crate::core::id::Name;
use crate::core::observation::{Received, Row, Verdict};
use cel::common::types::{CelBool, CelDouble, CelInt, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::{Context, Env, ExecutionError, Program, Value};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

/// Bytes that an expression has at most.
pub const TEXT_MAX_BYTES: usize = 4_096;

/// Built once: an environment costs a hundred times what an evaluation does.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {advice}")]
pub struct WhenError {
    /// Bytes of the expression that are wrong; empty where the whole is.
    pub at: Range<usize>,
    pub what: String,
    pub advice: String,
    /// The name of a fact that nothing declares.
    pub unknown: Option<String>,
}

/// Compiles an expression over these facts and `category`.
pub fn compile(text: &str, types: &FactTypes) -> Result<Predicate, WhenError> {
    if text.len() > TEXT_MAX_BYTES {
        let what = format!("the expression has {} bytes, but can have at most {TEXT_MAX_BYTES}", text.len());
        return Err(WhenError { at: 0..0, what, advice: "split it into several rules".to_owned(), unknown: None });
    }
    let program = ENV.compile(text).map_err(|errors| not_cel(text, &errors))?;
    let reads = typing::judge(text, &program, types)?;
    let compiled = Compiled { program, reads };
    try_on_samples(&compiled)?;
    Ok(Predicate::new(text, Arc::new(compiled)))
}

struct Compiled {
    program: Program,
    /// The declared facts that it reads, with what each is where a row has none.
    reads: Vec<(Name, Fact)>,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("reads", &self.reads).finish_non_exhaustive()
    }
}

impl Compiled {
    fn run(&self, row: &Row) -> Result<Option<bool>, ExecutionError> {
        let variables = Variables { row, reads: &self.reads };
        let mut context = Context::with_env(ENV.clone());
        context.set_variable_resolver(&variables);
        let value = Value::resolve_val(self.program.expression(), &context)?;
        Ok(value.downcast_ref::<CelBool>().map(|value| *value.inner()))
    }
}

impl Evaluate for Compiled {
    fn evaluate(&self, row: &Row) -> Option<bool> {
        self.run(row).ok().flatten()
    }
}

struct Variables<'r> {
    row: &'r Row,
    reads: &'r [(Name, Fact)],
}

impl VariableResolver for Variables<'_> {
    /// An unreadable fact is no variable: CEL then decides only where the rest of the expression suffices.
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if variable == CATEGORY {
            return Some(CowVal::owned(CelString::from(&*self.row.category)));
        }
        let zero = || self.reads.iter().find(|(name, _)| &**name == variable).map(|(_, zero)| zero);
        Some(match self.row.fact(variable).or_else(zero)? {
            Fact::Int(value) => CowVal::owned(CelInt::from(*value)),
            Fact::Float(value) => CowVal::owned(CelDouble::from(value.get())),
            Fact::Bool(value) => CowVal::owned(CelBool::from(*value)),
            Fact::String(value) => CowVal::owned(CelString::from(&**value)),
            Fact::Unreadable => return None,
        })
    }
}

fn not_cel(text: &str, errors: &cel::ParseErrors) -> WhenError {
    let first = errors.errors.first();
    // What else the parser would have taken is a list of every operator.
    let said = first.and_then(|error| error.msg.lines().next()?.split(" expecting {").next()).unwrap_or_default();
    let at = first.map_or(0..0, |error| {
        let line_start: usize = text.split_inclusive('\n').take(before(error.pos.0)).map(str::len).sum();
        let rest = &text[line_start.min(text.len())..];
        let start = line_start + rest.char_indices().nth(before(error.pos.1)).map_or(rest.len(), |(at, _)| at);
        let length = text[start..].chars().next().map_or(0, char::len_utf8);
        start..start + length
    });
    WhenError {
        at,
        what: format!("this is not an expression: {}", said.trim()),
        advice: "write && for and, || for or, as in: views > 1000 && reporter in ['police', 'trusted_flagger']"
            .to_owned(),
        unknown: None,
    }
}

/// How many lines or characters come before a place that is counted from 1.
fn before(counted: isize) -> usize {
    usize::try_from(counted - 1).unwrap_or(0)
}

/// Typing has the word on types; a sample that fails all the same would fail every row like it.
fn try_on_samples(compiled: &Compiled) -> Result<(), WhenError> {
    let texts = ["", "x"];
    for (round, category) in [(0, ""), (1, "x"), (2, "x"), (3, "")] {
        let sample = |zero: &Fact| match (zero, round) {
            (_, 0) => zero.clone(),
            (Fact::Int(_), round) => Fact::Int([1, 1_000_000, -1][round - 1]),
            (Fact::Float(_), round) => Real::new([0.5, 1e9, -1.0][round - 1]).map_or_else(|| zero.clone(), Fact::Float),
            (Fact::Bool(_), round) => Fact::Bool(round % 2 == 1),
            (Fact::String(_), round) => Fact::String(texts[round % 2].into()),
            (Fact::Unreadable, _) => Fact::Unreadable,
        };
        let facts = compiled.reads.iter().map(|(name, zero)| (name.clone(), sample(zero))).collect();
        match compiled.run(&row(category, facts)) {
            Ok(Some(_)) => {}
            Ok(None) => {
                let what = "the expression is neither true nor false".to_owned();
                return Err(WhenError {
                    at: 0..0,
                    what,
                    advice: "compare it with something".to_owned(),
                    unknown: None,
                });
            }
            Err(ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_)) => {
                let what = "the expression divides by what can be 0".to_owned();
                let advice = "ask first, as in: reports != 0 && views / reports > 10".to_owned();
                return Err(WhenError { at: 0..0, what, advice, unknown: None });
            }
            Err(error) => {
                let what = format!("the expression fails on sample facts: {error}");
                return Err(WhenError { at: 0..0, what, advice: "write it more simply".to_owned(), unknown: None });
            }
        }
    }
    Ok(())
}

fn row(category: &str, facts: Facts) -> Row {
    Row {
        received: Received::Unreadable,
        category: category.into(),
        subject: None,
        events: Vec::new(),
        dues: Vec::new(),
        paused: false,
        verdict: Verdict::Unmapped,
        facts,
    }
}

/// Whether a fact can be called so in an expression.
pub fn is_fact_name(name: &str) -> bool {
    const RESERVED: &[&str] = &[
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
        "int",
        "uint",
        "double",
        "bool",
        "string",
        "bytes",
        "list",
        "map",
        "type",
        "null_type",
        "dyn",
        "size",
        CATEGORY,
    ];
    let mut chars = name.chars();
    let first = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') && name.len() <= 64 && !RESERVED.contains(&name)
}

/// How a type is called in messages.
pub(super) fn spoken(kind: FactType) -> &'static str {
    match kind {
        FactType::Int => "a whole number",
        FactType::Float => "a number",
        FactType::Bool => "true or false",
        FactType::String => "a text",
    }
}

#[cfg(test)]
mod tests;
