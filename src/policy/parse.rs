//! The oslo.policy language: text to a tree.
//!
//! ```text
//! rule  = and ("or" and)*        and = not ("and" not)*        not = "not"* item
//! item  = "(" rule ")" | "@" | "!" | kind ":" match            the empty text is "@"
//! ```
//! `kind` is `rule`, `role`, a literal (`'public'`, `True`, `None`) or an attribute of the caller. `match` is a text in which
//! `%(name)s` stands for an attribute of what the rule is about.

use super::rules::CONTEXT_IS_ADMIN;

/// A rule as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Parsed {
    Always,
    Never,
    Not(Box<Parsed>),
    All(Vec<Parsed>),
    Any(Vec<Parsed>),
    Rule(String),
    Role(Template),
    Literal(String, Template),
    Caller(String, Template),
}

impl Parsed {
    /// Calls `found` with every rule this one refers to.
    pub(super) fn references(&self, found: &mut dyn FnMut(&str)) {
        match self {
            Parsed::Rule(name) => found(name),
            Parsed::Not(rule) => rule.references(found),
            Parsed::All(rules) | Parsed::Any(rules) => {
                for rule in rules {
                    rule.references(found);
                }
            }
            Parsed::Always
            | Parsed::Never
            | Parsed::Role(_)
            | Parsed::Literal(..)
            | Parsed::Caller(..) => {}
        }
    }
}

/// The right side of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Attribute(String),
}

impl Template {
    pub(super) fn pieces(&self) -> &[Piece] {
        &self.0
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%(") {
            let (name, after) = after
                .split_once(")s")
                .ok_or_else(|| format!("'{text}' has a '%(' without its ')s'"))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Attribute(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

/// How deep parentheses and `not` may stand in each other: more is no rule that somebody wrote.
const DEEPEST: usize = 32;

/// Reads a rule.
pub(super) fn rule(text: &str) -> Result<Parsed, String> {
    let words = words(text);
    if words.is_empty() {
        return Ok(Parsed::Always);
    }
    let mut reader = Reader {
        words: &words,
        depth: 0,
    };
    let rule = reader.any()?;
    match reader.words {
        [] => Ok(rule),
        [word, ..] => Err(format!("'{word}' is not expected there")),
    }
}

/// Words are parted by spaces; parentheses at their ends are words of their own, but for the one of `%(name)s`.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    for mut word in text.split_whitespace() {
        while let Some(rest) = word.strip_prefix('(') {
            words.push("(");
            word = rest;
        }
        let inner = word.trim_end_matches(')');
        if !inner.is_empty() {
            words.push(inner);
        }
        words.extend(word[inner.len()..].split_inclusive(')'));
    }
    words
}

struct Reader<'a> {
    words: &'a [&'a str],
    depth: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        Some(first)
    }

    fn next_is(&mut self, keyword: &str) -> bool {
        let found = self
            .words
            .first()
            .is_some_and(|word| word.eq_ignore_ascii_case(keyword));
        if found {
            self.words = &self.words[1..];
        }
        found
    }

    fn any(&mut self) -> Result<Parsed, String> {
        let mut rules = vec![self.all()?];
        while self.next_is("or") {
            rules.push(self.all()?);
        }
        Ok(one_or(rules, Parsed::Any))
    }

    fn all(&mut self) -> Result<Parsed, String> {
        let mut rules = vec![self.item()?];
        while self.next_is("and") {
            rules.push(self.item()?);
        }
        Ok(one_or(rules, Parsed::All))
    }

    fn item(&mut self) -> Result<Parsed, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("has more than {DEEPEST} levels of parentheses"));
        }
        let rule = self.item_here();
        self.depth -= 1;
        rule
    }

    fn item_here(&mut self) -> Result<Parsed, String> {
        if self.next_is("not") {
            return Ok(Parsed::Not(Box::new(self.item()?)));
        }
        match self.next() {
            None => Err("ends where a check is expected".into()),
            Some("(") => {
                let rule = self.any()?;
                if self.next_is(")") {
                    Ok(rule)
                } else {
                    Err("has a '(' that is not closed".into())
                }
            }
            Some(word) => check(word),
        }
    }
}

fn one_or(mut rules: Vec<Parsed>, several: fn(Vec<Parsed>) -> Parsed) -> Parsed {
    match rules.pop() {
        Some(only) if rules.is_empty() => only,
        Some(last) => {
            rules.push(last);
            several(rules)
        }
        None => several(rules),
    }
}

fn check(word: &str) -> Result<Parsed, String> {
    match word {
        "@" => return Ok(Parsed::Always),
        "!" => return Ok(Parsed::Never),
        _ => {}
    }
    let (kind, text) = word
        .split_once(':')
        .ok_or_else(|| format!("'{word}' is no check: it has no ':'"))?;
    match kind {
        "" => Err(format!(
            "'{word}' is no check: nothing stands before its ':'"
        )),
        "http" | "https" => Err("asks another service, which is not supported".into()),
        "rule" => Ok(Parsed::Rule(text.to_owned())),
        "role" => Ok(Parsed::Role(Template::parse(text)?)),
        // What makes an administrator is a rule like any other.
        "is_admin" => {
            let is_admin = Parsed::Rule(CONTEXT_IS_ADMIN.to_owned());
            match text {
                "True" => Ok(is_admin),
                "False" => Ok(Parsed::Not(Box::new(is_admin))),
                _ => Err(format!("'{word}' must say True or False")),
            }
        }
        kind => {
            let template = Template::parse(text)?;
            Ok(match literal(kind) {
                Some(text) => Parsed::Literal(text.to_owned(), template),
                None => Parsed::Caller(kind.to_owned(), template),
            })
        }
    }
}

/// A text in quotes, a truth, null or a number, as Python writes them.
fn literal(kind: &str) -> Option<&str> {
    for quote in ['\'', '"'] {
        let inner = kind.strip_prefix(quote).and_then(|k| k.strip_suffix(quote));
        if inner.is_some() {
            return inner;
        }
    }
    let is_number = !kind.is_empty() && kind.bytes().all(|b| b.is_ascii_digit());
    (matches!(kind, "True" | "False" | "None") || is_number).then_some(kind)
}

/// The old form, lists of lists: one of the outer must hold, all of an inner.
pub(super) fn lists(outer: Vec<Vec<&str>>) -> Result<Parsed, String> {
    if outer.is_empty() {
        return Ok(Parsed::Always);
    }
    let all = |inner: Vec<&str>| {
        let checks = inner
            .into_iter()
            .map(check)
            .collect::<Result<Vec<_>, _>>()?;
        Ok::<_, String>(one_or(checks, Parsed::All))
    };
    Ok(one_or(
        outer.into_iter().map(all).collect::<Result<_, _>>()?,
        Parsed::Any,
    ))
}
