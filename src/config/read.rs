//! Reads typed values out of TOML tables, noting faults in place of ending at the first one.
//!
//! A [`Section`] hands out the keys it is asked for. What is left when it ends was asked for by nobody and is an
//! unknown key. A value that is wrong is noted and replaced by its default, so that reading goes on.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;

use toml::{Table, Value};

use super::fault::{Fault, Faults};
use super::units::{ByteSize, Limit, Secret, Span};

/// A type that a key of the configuration can have.
pub(crate) trait Setting: Sized {
    /// What the value must be, as the predicate of a sentence about the key.
    const RULE: &'static str;

    /// Whether a wrong value may be shown in a message.
    const SHOWN: bool = true;

    /// The value of an environment variable, or of a string in the file unless `from_toml` says otherwise.
    fn from_text(text: &str) -> Option<Self>;

    /// The value in the file.
    fn from_toml(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::from_text)
    }
}

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

impl Setting for String {
    const RULE: &'static str = "must be a text";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Setting for PathBuf {
    const RULE: &'static str = "must be a path";

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::from(text))
    }
}

impl Setting for Secret {
    const RULE: &'static str = "must be a text that is not empty";
    const SHOWN: bool = false;

    fn from_text(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::new(text))
    }
}

impl Setting for bool {
    const RULE: &'static str = "must be true or false";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_toml(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

/// Settings that are a plain integer in the file.
macro_rules! integer_setting {
    ($($type:ty: $rule:literal),+ $(,)?) => {
        $(impl Setting for $type {
            const RULE: &'static str = $rule;

            fn from_text(text: &str) -> Option<Self> {
                text.parse::<i64>().ok().and_then(|number| number.try_into().ok())
            }

            fn from_toml(value: &Value) -> Option<Self> {
                value.as_integer().and_then(|number| number.try_into().ok())
            }
        })+
    };
}

integer_setting! {
    u32: "must be a whole number, 0 or more",
    i32: "must be a whole number",
    usize: "must be a whole number, 0 or more",
    Limit: "must be a whole number, 0 or more, or -1 for no limit",
}

impl Setting for ByteSize {
    const RULE: &'static str = "must be a size such as \"8MiB\", or a number of bytes";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn from_toml(value: &Value) -> Option<Self> {
        match value {
            Value::Integer(bytes) => u64::try_from(*bytes).ok().map(Self),
            value => value.as_str().and_then(Self::from_text),
        }
    }
}

impl Setting for Span {
    const RULE: &'static str = "must be a time with a unit, such as \"30s\" (ms, s, m or h)";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for SocketAddr {
    const RULE: &'static str = "must be an address with a port, such as \"127.0.0.1:9292\"";

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Setting for Option<SocketAddr> {
    const RULE: &'static str =
        "must be an address with a port, such as \"127.0.0.1:9293\", or \"off\"";

    fn from_text(text: &str) -> Option<Self> {
        match text {
            "off" => Some(None),
            text => text.parse().ok().map(Some),
        }
    }
}

/// A list of words; commas part them in a variable.
impl Setting for Vec<String> {
    const RULE: &'static str = "must be a list of words, at least one";

    fn from_text(text: &str) -> Option<Self> {
        words(text.split(',').map(str::trim).map(Some))
    }

    fn from_toml(value: &Value) -> Option<Self> {
        words(value.as_array()?.iter().map(Value::as_str))
    }
}

fn words<'t>(items: impl Iterator<Item = Option<&'t str>>) -> Option<Vec<String>> {
    let words: Vec<String> = items
        .map(|item| item.filter(|word| !word.is_empty()).map(str::to_owned))
        .collect::<Option<_>>()?;
    (!words.is_empty()).then_some(words)
}

/// An `http` or `https` URL of a server, perhaps with a path, without a slash at its end.
pub(super) struct HttpUrl(pub(super) String);

impl Setting for HttpUrl {
    const RULE: &'static str = "must be an http or https URL without user, query or fragment";

    fn from_text(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
        let has_plain_host = uri.authority().is_some_and(|authority| {
            !authority.host().is_empty() && !authority.as_str().contains('@')
        });
        let ends_in_path = uri.query().is_none() && !text.contains('#');
        (is_http && has_plain_host && ends_in_path)
            .then(|| Self(text.trim_end_matches('/').to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_a_server_and_perhaps_a_path() {
        for text in [
            "http://127.0.0.1:9000",
            "https://images.example.org/glance",
            "http://[::1]:80",
        ] {
            assert_eq!(HttpUrl::from_text(text).unwrap().0, text);
        }
        assert_eq!(
            HttpUrl::from_text("https://a.example/").unwrap().0,
            "https://a.example"
        );
        for text in [
            "",
            "a.example",
            "ftp://a.example",
            "http://",
            "http://u:p@a.example",
            "http://a/?q",
            "http://a/#f",
            "/v2",
        ] {
            assert!(HttpUrl::from_text(text).is_none(), "{text}");
        }
    }

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
