//! Rules after their names have been resolved, and how they are asked.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::parse::{Parsed, Piece, Template};
use super::{Caller, Target, Value};

/// A rule that can be asked. References to other rules are numbers, and lead to no circle.
#[derive(Debug)]
pub(super) enum Check {
    Always,
    Never,
    Not(Box<Check>),
    All(Vec<Check>),
    Any(Vec<Check>),
    Rule(usize),
    Role(Template),
    /// A text that stands in the rule equals the template.
    Literal(String, Template),
    /// An attribute of the caller equals the template.
    Caller(String, Template),
}

/// Resolves names. What refers to nothing or to itself is never fulfilled and becomes a problem.
pub(super) fn link(
    rules: BTreeMap<String, Parsed>,
    problems: &mut Vec<String>,
) -> (Vec<Check>, BTreeMap<String, usize>) {
    let names: BTreeMap<String, usize> = rules.keys().cloned().zip(0..).collect();
    let edges: Vec<Vec<usize>> = rules
        .values()
        .map(|rule| {
            let mut found = Vec::new();
            rule.references(&mut |name| found.extend(names.get(name).copied()));
            found
        })
        .collect();
    let checks = rules
        .into_iter()
        .enumerate()
        .map(|(place, (name, rule))| {
            if reaches_itself(place, &edges) {
                problems.push(format!("{name}: refers to itself"));
                return Check::Never;
            }
            resolve(rule, &names, &mut |unknown| {
                problems.push(format!("{name}: refers to the unknown rule '{unknown}'"));
            })
        })
        .collect();
    (checks, names)
}

fn reaches_itself(start: usize, edges: &[Vec<usize>]) -> bool {
    let mut seen = vec![false; edges.len()];
    let mut to_visit = edges[start].clone();
    while let Some(place) = to_visit.pop() {
        if place == start {
            return true;
        }
        if !std::mem::replace(&mut seen[place], true) {
            to_visit.extend(&edges[place]);
        }
    }
    false
}

fn resolve(rule: Parsed, names: &BTreeMap<String, usize>, unknown: &mut dyn FnMut(&str)) -> Check {
    let mut all = |rules: Vec<Parsed>| -> Vec<Check> {
        let resolved = rules.into_iter().map(|rule| resolve(rule, names, unknown));
        resolved.collect()
    };
    match rule {
        Parsed::Always => Check::Always,
        Parsed::Never => Check::Never,
        Parsed::All(rules) => Check::All(all(rules)),
        Parsed::Any(rules) => Check::Any(all(rules)),
        Parsed::Not(rule) => Check::Not(Box::new(resolve(*rule, names, unknown))),
        Parsed::Rule(name) => match names.get(&name) {
            Some(place) => Check::Rule(*place),
            None => {
                unknown(&name);
                Check::Never
            }
        },
        Parsed::Role(template) => Check::Role(template),
        Parsed::Literal(text, template) => Check::Literal(text, template),
        Parsed::Caller(name, template) => Check::Caller(name, template),
    }
}

/// One question.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) checks: &'a [Check],
    pub(super) caller: &'a Caller,
    pub(super) target: &'a dyn Target,
}

impl Context<'_> {
    pub(super) fn holds(&self, check: &Check) -> bool {
        match check {
            Check::Always => true,
            Check::Never => false,
            Check::Not(check) => !self.holds(check),
            Check::All(checks) => checks.iter().all(|check| self.holds(check)),
            Check::Any(checks) => checks.iter().any(|check| self.holds(check)),
            Check::Rule(place) => self.holds(&self.checks[*place]),
            Check::Role(template) => self
                .fill(template)
                .is_some_and(|role| self.caller.has_role(&role)),
            Check::Literal(text, template) => {
                self.fill(template).is_some_and(|value| value == *text)
            }
            Check::Caller(name, template) => match self.caller.attribute(name) {
                // Null equals nothing, not even null: a caller without a project owns no image without an owner.
                Value::Missing | Value::Null => false,
                own => {
                    !self.is_null(template)
                        && self
                            .fill(template)
                            .is_some_and(|value| own.as_text() == Some(value))
                }
            },
        }
    }

    /// True for an attribute that is there and empty: it would read `None`, and a project may be called so.
    fn is_null(&self, template: &Template) -> bool {
        let [Piece::Attribute(name)] = template.pieces() else {
            return false;
        };
        self.target.attribute(name) == Value::Null
    }

    /// The text of a template; `None` when an attribute is missing.
    fn fill<'t>(&'t self, template: &'t Template) -> Option<Cow<'t, str>> {
        match template.pieces() {
            [Piece::Text(text)] => Some(Cow::Borrowed(text)),
            [Piece::Attribute(name)] => self.target.attribute(name).as_text(),
            pieces => {
                let mut text = String::new();
                for piece in pieces {
                    match piece {
                        Piece::Text(fixed) => text.push_str(fixed),
                        Piece::Attribute(name) => {
                            text.push_str(&self.target.attribute(name).as_text()?)
                        }
                    }
                }
                Some(Cow::Owned(text))
            }
        }
    }
}
