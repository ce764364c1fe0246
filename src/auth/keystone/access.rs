//! Access rules of application credentials: which requests a token may be used for at all (contract 5.1).

use serde::Deserialize;

/// One kind of request that a token may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct AccessRule {
    /// The type of the service.
    service: String,
    /// The HTTP method.
    method: String,
    /// The path: `{name}` and `*` stand for one segment or a part of one, `**` for anything.
    path: String,
}

impl AccessRule {
    /// Whether the rule covers a request to a service of that type.
    pub(super) fn covers(&self, service_type: &str, method: &str, path: &str) -> bool {
        self.service == service_type
            && self.method == method
            && matches(&pieces(&self.path), path.as_bytes())
    }
}

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// This byte.
    Byte(u8),
    /// One or more bytes that are no slash.
    Segment,
    /// Any bytes, none as well.
    Rest,
}

fn pieces(pattern: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut rest = pattern.as_bytes();
    while let [first, tail @ ..] = rest {
        let end_of_name = rest.iter().position(|&byte| byte == b'}');
        let (piece, tail) = match (first, end_of_name) {
            (b'{', Some(end)) => (Piece::Segment, &rest[end + 1..]),
            (b'*', _) => match tail {
                [b'*', tail @ ..] => (Piece::Rest, tail),
                tail => (Piece::Segment, tail),
            },
            (&byte, _) => (Piece::Byte(byte), tail),
        };
        pieces.push(piece);
        rest = tail;
    }
    pieces
}

/// Follows every way through the pattern at once, so that no pattern takes longer than its length times the path's.
fn matches(pieces: &[Piece], path: &[u8]) -> bool {
    // reached[n]: the first n pieces fit what was read so far.
    let mut reached = vec![false; pieces.len() + 1];
    reached[0] = true;
    skip_rests(pieces, &mut reached);
    for &byte in path {
        let mut next = vec![false; pieces.len() + 1];
        for (at, &piece) in pieces.iter().enumerate() {
            let goes_on = reached[at] || reached[at + 1];
            next[at + 1] = match piece {
                Piece::Byte(wanted) => reached[at] && byte == wanted,
                Piece::Segment => goes_on && byte != b'/',
                Piece::Rest => goes_on,
            };
        }
        skip_rests(pieces, &mut next);
        reached = next;
    }
    reached[pieces.len()]
}

/// A rest may be empty.
fn skip_rests(pieces: &[Piece], reached: &mut [bool]) {
    for (at, &piece) in pieces.iter().enumerate() {
        if piece == Piece::Rest && reached[at] {
            reached[at + 1] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_stand_for_the_paths_the_identity_api_says() {
        for (pattern, path, fits) in [
            ("/v2/images", "/v2/images", true),
            ("/v2/images", "/v2/images/", false),
            ("/v2/images", "/v2/image", false),
            ("/v2/images/{id}", "/v2/images/abc", true),
            ("/v2/images/{id}", "/v2/images/", false),
            ("/v2/images/{id}", "/v2/images/abc/file", false),
            ("/v2/images/{id}/file", "/v2/images/abc/file", true),
            ("/v2/images/*", "/v2/images/abc", true),
            ("/v2/images/*", "/v2/images/abc/file", false),
            ("/v2/images/a*", "/v2/images/abc", true),
            ("/v2/images/a*", "/v2/images/b", false),
            ("/v2/*/abc/*", "/v2/images/abc/file", true),
            ("/v2/**", "/v2/images/abc/file", true),
            ("/v2/**", "/v2/", true),
            ("/v2/**", "/v2", false),
            ("**", "/anything/at/all", true),
            ("**", "", true),
            ("/v2/**/file", "/v2/images/abc/file", true),
            ("/v2/**/file", "/v2/images/abc/tags", false),
            ("/v2/im.ges", "/v2/images", false),
            ("/v2/{open", "/v2/{open", true),
            ("/v2/{open", "/v2/x", false),
            ("/ü/{id}/file", "/ü/x", false),
            ("/ü/*", "/ü/x", true),
            ("", "", true),
            ("", "/", false),
        ] {
            assert_eq!(
                matches(&pieces(pattern), path.as_bytes()),
                fits,
                "{pattern} {path}"
            );
        }
    }

    #[test]
    fn many_wildcards_take_no_longer_than_few() {
        let pattern = "**a".repeat(40) + "b";
        let path = "a".repeat(4000);
        assert!(!matches(&pieces(&pattern), path.as_bytes()));
    }

    #[test]
    fn rule_is_about_one_service_and_one_method() {
        let rule = AccessRule {
            service: "image".to_owned(),
            method: "GET".to_owned(),
            path: "/v2/images".to_owned(),
        };
        assert!(rule.covers("image", "GET", "/v2/images"));
        assert!(!rule.covers("compute", "GET", "/v2/images"));
        assert!(!rule.covers("image", "POST", "/v2/images"));
        assert!(!rule.covers("image", "HEAD", "/v2/images"));
    }
}
