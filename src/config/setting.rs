//! The types that a key can have, and how each is written.

use std::net::SocketAddr;
use std::path::PathBuf;

use toml::Value;

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
}
