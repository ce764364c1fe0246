//! Reading a JSON object key by key, so that a refusal names the field and the rule.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::LONGEST_NAME;

/// What is made here and not by clients.
const READ_ONLY: [&str; 4] = ["created_at", "updated_at", "self", "schema"];

/// Greatest count: the integers of the Image API have 32 bits.
pub(crate) const COUNT_MAX: i32 = i32::MAX;

/// Why a document is refused, by what the client may do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It does not fit the schema.
    Malformed,
    /// It has an attribute that is not the client's to write.
    ReadOnly,
    /// It names two things alike.
    Duplicate,
}

/// A refused document: names the field and the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Invalid {
    /// The class of the refusal.
    pub reason: Reason,
    /// A sentence for the client.
    pub message: String,
}

/// A JSON object and where it stands in the document.
#[derive(Clone)]
pub(super) struct Fields<'a> {
    /// What the whole document is.
    kind: &'static str,
    /// The way to this object, with the dot that a key follows: `objects[2].`, or nothing.
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The object that is the whole document.
    pub(super) fn whole(kind: &'static str, map: &'a Map<String, Value>) -> Self {
        Self {
            kind,
            path: String::new(),
            map,
        }
    }

    /// Refuses keys other than `known`. What is read-only is refused in the whole document and passed over in its parts:
    /// clients send back what they were shown.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Invalid> {
        let is_whole = self.path.is_empty();
        let has = |key: &&&str| self.map.contains_key(**key);
        if let Some(key) = READ_ONLY.iter().find(has).filter(|_| is_whole) {
            return Err(Invalid {
                reason: Reason::ReadOnly,
                message: format!("Attribute '{key}' of a {} is read-only.", self.kind),
            });
        }
        let mut keys = self.map.keys().map(String::as_str);
        match keys.find(|key| !known.contains(key) && !READ_ONLY.contains(key)) {
            Some(key) => Err(self.malformed(key, "is not known")),
            None => Ok(()),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    pub(super) fn malformed(&self, key: &str, rule: &str) -> Invalid {
        self.refuse(Reason::Malformed, key, rule)
    }

    pub(super) fn duplicate(&self, key: &str, name: &str) -> Invalid {
        self.refuse(
            Reason::Duplicate,
            key,
            &format!("has the name '{name}' twice"),
        )
    }

    fn refuse(&self, reason: Reason, key: &str, rule: &str) -> Invalid {
        Invalid {
            reason,
            message: format!("Invalid {}: '{}{key}' {rule}", self.kind, self.path),
        }
    }

    /// A name: it must be there.
    pub(super) fn name(&self, key: &str) -> Result<String, Invalid> {
        let text = self.get(key).and_then(Value::as_str);
        match text.filter(|text| is_name(text)) {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.malformed(key, "must be a string of 1 to 80 characters")),
        }
    }

    /// Checks a name that stands as a key of this object.
    pub(super) fn check_key(&self, key: &str) -> Result<(), Invalid> {
        if is_name(key) {
            Ok(())
        } else {
            Err(self.malformed(key, "must have a name of 1 to 80 characters"))
        }
    }

    /// Text, if the key is there.
    pub(super) fn text(&self, key: &str, longest: usize) -> Result<Option<String>, Invalid> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        match value.as_str() {
            Some(text) if text.chars().count() <= longest => Ok(Some(text.to_owned())),
            Some(_) => {
                let rule = format!("must be at most {longest} characters long");
                Err(self.malformed(key, &rule))
            }
            None => Err(self.malformed(key, "must be a string")),
        }
    }

    /// A truth value, if the key is there.
    pub(super) fn boolean(&self, key: &str) -> Result<Option<bool>, Invalid> {
        let rule = "must be true or false";
        let value = self.get(key).map(Value::as_bool);
        value
            .map(|v| v.ok_or_else(|| self.malformed(key, rule)))
            .transpose()
    }

    /// A number, if the key is there.
    pub(super) fn check_number(&self, key: &str) -> Result<(), Invalid> {
        match self.get(key) {
            Some(value) if !value.is_number() => Err(self.malformed(key, "must be a number")),
            _ => Ok(()),
        }
    }

    /// A whole number from 0, if the key is there. `5.0` is a valid JSON-schema integer, so it is one here.
    pub(super) fn check_count(&self, key: &str) -> Result<(), Invalid> {
        let is_count = |value: &Value| {
            let number = value.as_f64();
            number.is_some_and(|n| n.fract() == 0.0 && (0.0..=f64::from(COUNT_MAX)).contains(&n))
        };
        match self.get(key) {
            Some(value) if !is_count(value) => {
                Err(self.malformed(key, "must be an integer from 0 to 2147483647"))
            }
            _ => Ok(()),
        }
    }

    /// Strings, if the key is there.
    pub(super) fn strings(&self, key: &str) -> Result<Option<Vec<String>>, Invalid> {
        let Some(list) = self.list(key)? else {
            return Ok(None);
        };
        let strings = list.iter().map(|value| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or_else(|| self.malformed(key, "must be an array of strings"))
        });
        strings.collect::<Result<_, _>>().map(Some)
    }

    /// Strings, no two alike, if the key is there.
    pub(super) fn names(&self, key: &str) -> Result<Option<Vec<String>>, Invalid> {
        let names = self.strings(key)?;
        let mut seen = BTreeSet::new();
        let mut all = names.iter().flatten();
        match all.find(|name| !seen.insert(name.as_str())) {
            Some(twice) => Err(self.malformed(key, &format!("has '{twice}' twice"))),
            None => Ok(names),
        }
    }

    /// An array, if the key is there.
    pub(super) fn list(&self, key: &str) -> Result<Option<&'a Vec<Value>>, Invalid> {
        let value = self.get(key).map(Value::as_array);
        value
            .map(|v| v.ok_or_else(|| self.malformed(key, "must be an array")))
            .transpose()
    }

    /// The objects of an array; none when the key is not there.
    pub(super) fn objects(&self, key: &str) -> Result<Vec<Fields<'a>>, Invalid> {
        let list = self.list(key)?.map_or(&[][..], Vec::as_slice);
        let objects = list.iter().enumerate().map(|(at, value)| {
            let key = format!("{key}[{at}]");
            self.inner(&key, value)
        });
        objects.collect()
    }

    /// An object, if the key is there.
    pub(super) fn object(&self, key: &str) -> Result<Option<Fields<'a>>, Invalid> {
        self.get(key)
            .map(|value| self.inner(key, value))
            .transpose()
    }

    /// The objects of an object by their keys; none when the key is not there.
    pub(super) fn named_objects(&self, key: &str) -> Result<Vec<(&'a str, Fields<'a>)>, Invalid> {
        let Some(object) = self.object(key)? else {
            return Ok(Vec::new());
        };
        let objects = object.map.iter().map(|(name, value)| {
            object.check_key(name)?;
            Ok((name.as_str(), object.inner(name, value)?))
        });
        objects.collect()
    }

    fn inner(&self, key: &str, value: &'a Value) -> Result<Fields<'a>, Invalid> {
        let map = value.as_object();
        let map = map.ok_or_else(|| self.malformed(key, "must be an object"))?;
        Ok(Fields {
            kind: self.kind,
            path: format!("{}{key}.", self.path),
            map,
        })
    }
}

fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.chars().count())
}
