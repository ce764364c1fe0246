//! `[cors]`: web pages of other origins that may use the API from a browser.

use super::read::Section;
use super::units::Span;

/// Which web pages may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cors {
    /// Origins such as `"https://horizon.example.org"`, or `["*"]` for every page. Default: none, and browsers keep other
    /// pages out. A dashboard whose users upload from their browsers has to stand here.
    pub allowed_origins: Option<Vec<String>>,
    /// How long a browser may remember the answer. Default `"1h"`.
    pub max_age: Span,
}

impl Default for Cors {
    fn default() -> Self {
        Self {
            allowed_origins: None,
            max_age: Span::seconds(3600),
        }
    }
}

impl Cors {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let allowed_origins: Option<Vec<String>> = section.take_optional("allowed_origins");
        for origin in allowed_origins.iter().flatten() {
            section.require(
                is_origin(origin),
                "allowed_origins",
                "must be origins, such as \"https://horizon.example.org\", without a path, or \"*\" alone",
                format_args!("{origin:?}"),
            );
        }
        let stands_alone = allowed_origins
            .as_ref()
            .is_none_or(|all| all.len() == 1 || !all.iter().any(|origin| origin == "*"));
        section.require(
            stands_alone,
            "allowed_origins",
            "must have \"*\" alone",
            "\"*\" beside others",
        );
        Self {
            allowed_origins,
            max_age: section.take("max_age", default.max_age),
        }
    }
}

/// A scheme, a host and perhaps a port, as browsers write it.
fn is_origin(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    text == "*"
        || rest.is_some_and(|host| {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b'?' | b'#' | b'@' | b'*'))
        })
}
