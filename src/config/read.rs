//! Reads typed values out of TOML tables, noting faults in place of ending at the first one.
//!
//! A [`Section`] hands out the keys it is asked for. What is left when it ends was asked for by nobody and is an
//! unknown key. A value that is wrong is noted and replaced by its default, so that reading goes on.

use std::collections::BTreeMap;
use std::fmt::Display;

use toml::{Table, Value};

use super::fault::{Fault, Faults};
use super::setting::Setting;
use super::units::Span;

/// What is learnt while reading.
#[derive(Debug, Default)]
pub(super) struct Findings {
    /// What is wrong so far.
    pub(super) faults: Vec<Fault>,
    /// The variable behind each key path that the environment gave.
    pub(super) variables: BTreeMap<String, String>,
    /// Every key path that was asked for.
    pub(super) asked: Vec<String>,
}

impl Findings {
    /// What was read, if nothing is wrong.
    pub(super) fn into_result<T>(self, outcome: T) -> Result<T, Faults> {
        if self.faults.is_empty() {
            Ok(outcome)
        } else {
            Err(Faults(self.faults))
        }
    }
}

/// One table of the file, merged with the environment.
pub(crate) struct Section<'a> {
    path: String,
    table: Table,
    asked: Vec<String>,
    findings: &'a mut Findings,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(table: Table, findings: &'a mut Findings) -> Self {
        Self {
            path: String::new(),
            table,
            asked: Vec::new(),
            findings,
        }
    }

    /// Reads a value, or its default when the key is absent or wrong.
    pub(crate) fn take<T: Setting>(&mut self, key: &str, default: T) -> T {
        self.take_optional(key).unwrap_or(default)
    }

    /// Reads a value that may be absent.
    pub(crate) fn take_optional<T: Setting>(&mut self, key: &str) -> Option<T> {
        let path = self.path_of(key);
        self.asked.push(key.to_owned());
        self.findings.asked.push(path.clone());
        let value = self.table.remove(key)?;
        let parsed = match &value {
            Value::String(text) if self.findings.variables.contains_key(&path) => {
                T::from_text(text)
            }
            value => T::from_toml(value),
        };
        if parsed.is_none() {
            self.note(key, T::RULE, T::SHOWN.then(|| describe(&value)));
        }
        parsed
    }

    /// Reads a text that may not be empty.
    pub(super) fn take_word(&mut self, key: &str, default: String) -> String {
        let word = self.take(key, default);
        self.require(!word.is_empty(), key, "must not be empty", "\"\"");
        word
    }

    /// Reads a value that may not be absent; none is a fault that has been noted.
    pub(crate) fn take_present<T: Setting>(&mut self, key: &str) -> Option<T> {
        if !self.table.contains_key(key) {
            self.fault(key, "is required");
        }
        self.take_optional(key)
    }

    /// Reads a text that may be neither absent nor empty; `fallback` only lets reading go on.
    pub(crate) fn take_required(&mut self, key: &str, fallback: String) -> String {
        let word = self.take_present(key).unwrap_or(fallback);
        self.require(!word.is_empty(), key, "must not be empty", "\"\"");
        word
    }

    /// Reads a span that may not be zero.
    pub(super) fn take_timeout(&mut self, key: &str, default: Span) -> Span {
        let span = self.take(key, default);
        self.require(!span.is_zero(), key, "must be more than 0s", span);
        span
    }

    /// Reads the table under a key; an absent one counts as empty.
    pub(super) fn section<T>(&mut self, key: &str, read: impl FnOnce(&mut Section<'_>) -> T) -> T {
        self.asked.push(key.to_owned());
        let table = match self.table.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(value) => {
                self.note(key, "must be a table", Some(describe(&value)));
                Table::new()
            }
        };
        self.enter(self.path_of(key), table, read)
    }

    /// Reads the list of tables under a key; an absent one counts as empty.
    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        self.asked.push(key.to_owned());
        let items = match self.table.remove(key) {
            None => Vec::new(),
            Some(Value::Array(items)) => items,
            Some(value) => {
                self.note(key, "must be a list of tables", Some(describe(&value)));
                Vec::new()
            }
        };
        let mut outcomes = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let name = format!("{key}[{index}]");
            match item {
                Value::Table(table) => {
                    outcomes.push(self.enter(self.path_of(&name), table, &mut read))
                }
                value => self.note(&name, "must be a table", Some(describe(&value))),
            }
        }
        outcomes
    }

    fn enter<T>(
        &mut self,
        path: String,
        table: Table,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let mut section = Section {
            path,
            table,
            asked: Vec::new(),
            findings: &mut *self.findings,
        };
        let outcome = read(&mut section);
        section.finish();
        outcome
    }

    /// Reads a table whose keys are names that the operator chose and whose values are tables.
    pub(super) fn sections<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&str, &mut Section<'_>) -> T,
    ) -> BTreeMap<String, T> {
        self.section(key, |group| {
            let names: Vec<String> = group.table.keys().cloned().collect();
            names
                .into_iter()
                .map(|name| {
                    let outcome = group.section(&name, |section| read(&name, section));
                    (name, outcome)
                })
                .collect()
        })
    }

    /// Notes a fault unless the rule holds.
    pub(super) fn require(
        &mut self,
        holds: bool,
        key: &str,
        rule: impl Into<String>,
        got: impl Display,
    ) {
        if !holds {
            self.note(key, rule, Some(got.to_string()));
        }
    }

    /// Notes a fault that has no value to show.
    pub(crate) fn fault(&mut self, key: &str, rule: impl Into<String>) {
        self.note(key, rule, None);
    }

    /// Notes a fault of the table as a whole.
    pub(super) fn fault_here(&mut self, rule: impl Into<String>) {
        self.findings.faults.push(Fault {
            key: self.path.clone(),
            variable: None,
            rule: rule.into(),
            got: None,
        });
    }

    /// Notes every key that nobody asked for. Their values are not shown: one may be a secret under a misspelt name.
    pub(super) fn finish(mut self) {
        let unknown: Vec<String> = self.table.keys().cloned().collect();
        for key in unknown {
            let rule = match closest(&key, &self.asked) {
                Some(known) => format!("is not a known key; did you mean {known}?"),
                None => "is not a known key".to_owned(),
            };
            self.fault(&key, rule);
        }
    }

    fn note(&mut self, key: &str, rule: impl Into<String>, got: Option<String>) {
        let path = self.path_of(key);
        self.findings.faults.push(Fault {
            variable: self.findings.variables.get(&path).cloned(),
            key: path,
            rule: rule.into(),
            got,
        });
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// Reads the text of a TOML file with `read`, which is given its root.
///
/// # Errors
///
/// The place where the text is no TOML, or everything else that is wrong with it.
pub(crate) fn parse<T>(text: &str, read: impl FnOnce(&mut Section<'_>) -> T) -> Result<T, Faults> {
    let mut findings = Findings::default();
    let mut root = Section::root(parse_table(text)?, &mut findings);
    let outcome = read(&mut root);
    root.finish();
    findings.into_result(outcome)
}

/// Reads the text of a TOML file.
pub(super) fn parse_table(text: &str) -> Result<Table, Faults> {
    text.parse().map_err(|error: toml::de::Error| {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        Faults(vec![Fault {
            key: format!("line {}", before.matches('\n').count() + 1),
            variable: None,
            rule: error.message().to_owned(),
            got: None,
        }])
    })
}

/// The value as a message shows it.
fn describe(value: &Value) -> String {
    match value {
        // A password in a URL must not reach the log.
        Value::String(text) if text.contains("://") && text.contains('@') => {
            "a URL with a user".to_owned()
        }
        Value::String(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(truth) => truth.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(_) => "an array".to_owned(),
        Value::Table(_) => "a table".to_owned(),
    }
}

/// The known key that differs from `key` by two letters at most.
fn closest<'k>(key: &str, known: &'k [String]) -> Option<&'k str> {
    known
        .iter()
        .map(|known| (distance(key, known), known.as_str()))
        .filter(|(distance, _)| *distance <= 2)
        .min()
        .map(|(_, known)| known)
}

/// How many letters must be put in, taken out or changed to turn one word into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("listen", "listen"), 0);
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("lsiten", "listen"), 2);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn a_password_in_a_url_is_not_described() {
        assert!(!describe(&Value::String("http://u:hunter2@host".to_owned())).contains("hunter2"));
    }
}
