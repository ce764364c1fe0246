//! Who may do what: named rules in the oslo.policy language, secure defaults, and a site's own rules over them
//! (contract 5.4, 5.5).
//!
//! Pure. Visibility comes first and is not asked here: a caller who may not know of an image gets 404 before any rule is
//! looked at. A rule that cannot be understood is never fulfilled.

mod caller;
mod check;
mod file;
mod parse;
mod protection;
mod rules;
mod target;

use std::collections::BTreeMap;

use check::{Check, Context};

pub(crate) use caller::{Caller, Scope};
pub(crate) use file::InvalidFile;
pub(crate) use protection::{Access, Format, Protections};
pub use rules::Rule;
pub(crate) use target::{Fields, ImageTarget, Nothing, Target, Value};

/// Every rule, ready to be asked.
#[derive(Debug)]
pub(crate) struct Policy {
    /// By the number that other rules refer to them by; those of [`Rule`] and the named bases among them.
    checks: Vec<Check>,
    /// Where each of [`Rule::ALL`] stands.
    places: Vec<usize>,
    names: BTreeMap<String, usize>,
    is_admin: usize,
    problems: Vec<String>,
}

impl Policy {
    /// The defaults alone.
    pub(crate) fn defaults() -> Self {
        Self::with(BTreeMap::new())
    }

    /// The defaults with the rules of a policy file over them: YAML or JSON, a map from names to rules.
    ///
    /// # Errors
    /// When the text is no such map. A rule that is wrong by itself is no error: it is never fulfilled, and stands in
    /// [`Policy::problems`].
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidFile> {
        file::read(text).map(Self::with)
    }

    /// What is wrong with single rules, for the operator.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Whether the rule holds for the caller and what it is about. System-scoped tokens are for other services' rules
    /// and pass none (`enforce_scope`).
    pub(crate) fn allows(&self, rule: Rule, caller: &Caller, target: &dyn Target) -> bool {
        caller.scope != Scope::System && self.holds(self.places[rule as usize], caller, target)
    }

    /// Whether the caller administers the service: the rule `context_is_admin`.
    pub(crate) fn is_admin(&self, caller: &Caller) -> bool {
        caller.scope != Scope::System && self.holds(self.is_admin, caller, &Nothing)
    }

    /// Whether a rule holds that is known by its name only, about nothing in particular. One that is not there never
    /// does.
    fn allows_by_name(&self, name: &str, caller: &Caller) -> bool {
        let place = self.names.get(name);
        caller.scope != Scope::System
            && place.is_some_and(|place| self.holds(*place, caller, &Nothing))
    }

    fn holds(&self, place: usize, caller: &Caller, target: &dyn Target) -> bool {
        let context = Context {
            checks: &self.checks,
            caller,
            target,
        };
        context.holds(&self.checks[place])
    }

    fn with(own: BTreeMap<String, Result<parse::Parsed, String>>) -> Self {
        let mut problems = Vec::new();
        let mut parsed = BTreeMap::new();
        for (name, text) in rules::BASES
            .into_iter()
            .chain(Rule::ALL.map(|rule| (rule.as_str(), rule.default_check())))
        {
            parsed.insert(name.to_owned(), parse::rule(text));
        }
        parsed.extend(own);
        let mut sound = BTreeMap::new();
        for (name, outcome) in parsed {
            let rule = outcome.unwrap_or_else(|problem| {
                problems.push(format!("{name}: {problem}"));
                parse::Parsed::Never
            });
            sound.insert(name, rule);
        }
        let (checks, names) = check::link(sound, &mut problems);
        Self {
            places: Rule::ALL.map(|rule| names[rule.as_str()]).to_vec(),
            is_admin: names[rules::CONTEXT_IS_ADMIN],
            names,
            checks,
            problems,
        }
    }
}

#[cfg(test)]
mod tests;
