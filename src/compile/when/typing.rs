//! The types of an expression. CEL finds a wrong type only on a branch that it takes, so the tree is judged
//! as a whole: facts, literals, comparisons, logic, arithmetic, `in` and a few functions on text; nothing else.

use super::{WhenError, spoken};
use crate::core::facts::{CATEGORY, Fact, FactType, FactTypes};
use crate::core::id::Name;
use cel::Program;
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SourceInfo, operators};
use std::ops::Range;

const FORMS: &str = "use facts, `category`, texts, numbers, true, false, == != < <= > >= && || ! + - * / % ?: in [..], size(), \
     startsWith(), endsWith() and contains()";

struct Judge<'j> {
    text: &'j str,
    info: &'j SourceInfo,
    types: &'j FactTypes,
    reads: Vec<(Name, Fact)>,
}

/// The facts that the expression reads, each with its zero; or the first thing in it that can't be.
pub fn judge(text: &str, program: &Program, types: &FactTypes) -> Result<Vec<(Name, Fact)>, WhenError> {
    let mut judge = Judge { text, info: program.source_info(), types, reads: Vec::new() };
    let root = program.expression();
    match judge.infer(root)? {
        FactType::Bool => Ok(judge.reads),
        other => {
            let what = format!("the expression is {}, not true or false", spoken(other));
            Err(judge.error(root, what, "compare it with something, as in: views > 1000"))
        }
    }
}

impl Judge<'_> {
    fn infer(&mut self, expr: &IdedExpr) -> Result<FactType, WhenError> {
        match &expr.expr {
            Expr::Literal(literal) => match literal {
                LiteralValue::Boolean(_) => Ok(FactType::Bool),
                LiteralValue::Int(_) => Ok(FactType::Int),
                LiteralValue::Double(_) => Ok(FactType::Float),
                LiteralValue::String(_) => Ok(FactType::String),
                LiteralValue::Null => {
                    Err(self.error(expr, "no fact is ever null: NULL reads as 0, false or ''", "compare with those"))
                }
                LiteralValue::Bytes(_) | LiteralValue::UInt(_) => {
                    Err(self.error(expr, "no fact has the type of this literal", "write 1, 1.5, true or 'text'"))
                }
            },
            Expr::Ident(name) => self.fact(expr, name),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(_) => {
                Err(self.error(expr, "a list can stand only behind `in`", "write: category in ['a', 'b']"))
            }
            Expr::Select(select) => {
                let what = format!("a fact has no parts, so there is no `.{}`", select.field);
                Err(self.error(expr, what, FORMS))
            }
            Expr::Unspecified | Expr::Comprehension(_) | Expr::Map(_) | Expr::Struct(_) => {
                Err(self.error(expr, "this form can't be used here", FORMS))
            }
        }
    }

    fn fact(&mut self, expr: &IdedExpr, name: &str) -> Result<FactType, WhenError> {
        if name == CATEGORY {
            return Ok(FactType::String);
        }
        let Some((name, kind)) = self.types.get_key_value(name) else {
            let error = self.error(expr, format!("no fact is named `{name}`"), "");
            return Err(WhenError { unknown: Some(name.to_owned()), ..error });
        };
        if !self.reads.iter().any(|(known, _)| known == name) {
            self.reads.push((name.clone(), kind.zero()));
        }
        Ok(*kind)
    }

    fn call(&mut self, expr: &IdedExpr, call: &CallExpr) -> Result<FactType, WhenError> {
        match (call.func_name.as_str(), call.target.as_deref(), call.args.as_slice()) {
            (operators::LOGICAL_AND | operators::LOGICAL_OR, None, args) => {
                args.iter().try_for_each(|arg| self.expect(arg, FactType::Bool))?;
                Ok(FactType::Bool)
            }
            (operators::LOGICAL_NOT, None, [arg]) => self.expect(arg, FactType::Bool).map(|()| FactType::Bool),
            (operators::CONDITIONAL, None, [condition, yes, no]) => {
                self.expect(condition, FactType::Bool)?;
                let (kind, other) = (self.infer(yes)?, self.infer(no)?);
                if kind == other { Ok(kind) } else { Err(self.unlike(expr, kind, other)) }
            }
            (operators::EQUALS | operators::NOT_EQUALS, None, [a, b]) => {
                self.compare(expr, a, b).map(|_| FactType::Bool)
            }
            (
                operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
                None,
                [a, b],
            ) => match self.compare(expr, a, b)? {
                FactType::Bool => Err(self.error(expr, "true and false have no order", "write == or !=")),
                _ => Ok(FactType::Bool),
            },
            (operators::ADD, None, [a, b]) => self.arithmetic(expr, a, b, true),
            (operators::SUBSTRACT | operators::MULTIPLY | operators::DIVIDE, None, [a, b]) => {
                self.arithmetic(expr, a, b, false)
            }
            (operators::MODULO, None, [a, b]) => {
                self.expect(a, FactType::Int)?;
                self.expect(b, FactType::Int).map(|()| FactType::Int)
            }
            (operators::NEGATE, None, [arg]) => match self.infer(arg)? {
                kind @ (FactType::Int | FactType::Float) => Ok(kind),
                other => {
                    Err(self.error(arg, format!("`-` needs a number, but this is {}", spoken(other)), "remove `-`"))
                }
            },
            (operators::IN, None, [item, list]) => self.membership(item, list),
            ("startsWith" | "endsWith" | "contains", Some(target), [arg]) => {
                self.expect(target, FactType::String)?;
                self.expect(arg, FactType::String).map(|()| FactType::Bool)
            }
            ("size", Some(arg), []) | ("size", None, [arg]) => {
                self.expect(arg, FactType::String).map(|()| FactType::Int)
            }
            (name, ..) => Err(self.error(expr, format!("`{name}` can't be used here"), FORMS)),
        }
    }

    fn expect(&mut self, expr: &IdedExpr, wanted: FactType) -> Result<(), WhenError> {
        let found = self.infer(expr)?;
        if found == wanted {
            return Ok(());
        }
        let what = format!("this is {}, where {} is needed", spoken(found), spoken(wanted));
        let advice = match (wanted, found) {
            (FactType::Bool, FactType::String) => "compare it, as in: reporter == 'police'",
            (FactType::Bool, _) => "compare it, as in: views > 1000",
            _ => "write one of that type",
        };
        Err(self.error(expr, what, advice))
    }

    /// Both sides have one type, or both are numbers.
    fn compare(&mut self, expr: &IdedExpr, a: &IdedExpr, b: &IdedExpr) -> Result<FactType, WhenError> {
        let (left, right) = (self.infer(a)?, self.infer(b)?);
        let number = |kind| matches!(kind, FactType::Int | FactType::Float);
        if left == right || number(left) && number(right) { Ok(left) } else { Err(self.unlike(expr, left, right)) }
    }

    fn arithmetic(&mut self, expr: &IdedExpr, a: &IdedExpr, b: &IdedExpr, text: bool) -> Result<FactType, WhenError> {
        let (left, right) = (self.infer(a)?, self.infer(b)?);
        match (left, right) {
            (FactType::Int, FactType::Int) | (FactType::Float, FactType::Float) => Ok(left),
            (FactType::String, FactType::String) if text => Ok(left),
            (FactType::Int, FactType::Float) | (FactType::Float, FactType::Int) => {
                Err(self.error(expr, "this reckons with a whole number and a fraction", "write 2.0 instead of 2"))
            }
            _ => {
                let what = format!("this reckons with {} and {}", spoken(left), spoken(right));
                Err(self.error(expr, what, "reckon with numbers alone"))
            }
        }
    }

    fn membership(&mut self, item: &IdedExpr, list: &IdedExpr) -> Result<FactType, WhenError> {
        let wanted = self.infer(item)?;
        let Expr::List(found) = &list.expr else {
            return Err(self.error(list, "behind `in` there must be a list", "write: category in ['a', 'b']"));
        };
        for element in &found.elements {
            let kind = self.infer(element)?;
            if kind != wanted {
                return Err(self.unlike(element, wanted, kind));
            }
        }
        Ok(FactType::Bool)
    }

    fn unlike(&self, expr: &IdedExpr, left: FactType, right: FactType) -> WhenError {
        let what = format!("this compares {} with {}", spoken(left), spoken(right));
        let advice = match (left, right) {
            (FactType::String, _) | (_, FactType::String) => "a text stands in quotes, a number, true and false don't",
            (FactType::Bool, _) | (_, FactType::Bool) => {
                "true or false needs no comparison, as in: minor || views > 10"
            }
            _ => "compare things of one type",
        };
        self.error(expr, what, advice)
    }

    fn error(&self, expr: &IdedExpr, what: impl Into<String>, advice: &str) -> WhenError {
        WhenError { at: self.place(expr), what: what.into(), advice: advice.to_owned(), unknown: None }
    }

    /// From the first to the last character of the expression and all its parts, in bytes.
    fn place(&self, expr: &IdedExpr) -> Range<usize> {
        let mut extent = None;
        self.widen(expr, &mut extent);
        let Some((first, last)) = extent else { return 0..0 };
        let byte = |nth: u32| self.text.char_indices().nth(nth as usize).map_or(self.text.len(), |(at, _)| at);
        byte(first)..byte(last.saturating_add(1))
    }

    fn widen(&self, expr: &IdedExpr, extent: &mut Option<(u32, u32)>) {
        if let Some((first, last)) = self.info.offset_for(expr.id) {
            // Of a selection the parser places the dot alone.
            let field = if let Expr::Select(select) = &expr.expr { select.field.chars().count() } else { 0 };
            let last = last.saturating_add(u32::try_from(field).unwrap_or(0));
            let (low, high) = extent.unwrap_or((first, last));
            *extent = Some((low.min(first), high.max(last)));
        }
        match &expr.expr {
            Expr::Call(call) => call.target.iter().for_each(|target| self.widen(target, extent)),
            Expr::Select(select) => self.widen(&select.operand, extent),
            _ => {}
        }
        let parts = match &expr.expr {
            Expr::Call(call) => call.args.as_slice(),
            Expr::List(list) => list.elements.as_slice(),
            _ => &[],
        };
        parts.iter().for_each(|part| self.widen(part, extent));
    }
}
