//! What a good answer must say: its headers against what was asked. Pure.

use super::download::ByteSpan;

/// Most bytes of a whole object that are read and thrown away to come to the span that was asked for.
pub(super) const MOST_SKIPPED: u64 = 64 * 1024 * 1024;

/// Where the span begins in the body of an answer; an error says what does not fit.
///
/// A server may ignore a `Range` and send everything (RFC 9110, 14.2): what stands before the span is then skipped, up
/// to [`MOST_SKIPPED`]. A `Content-Range` has to be the one asked for (RFC 9110, 15.3.7).
pub(super) fn bytes_before_span(
    content_range: Option<&str>,
    length: Option<i64>,
    span: ByteSpan,
    size: u64,
) -> Result<u64, String> {
    // Without a length an answer that ends early looks like a good one.
    let length = length
        .and_then(|length| u64::try_from(length).ok())
        .ok_or("the answer has no length")?;
    match content_range {
        Some(text) => {
            let range = text.strip_prefix("bytes ").and_then(|r| r.split_once('/'));
            let (range, total) = range.ok_or_else(|| format!("no Content-Range: {text}"))?;
            let is_span = range == format!("{}-{}", span.first, span.last);
            if is_span && (total == "*" || total == size.to_string()) && length == span.length() {
                Ok(0)
            } else {
                Err(format!(
                    "{length} bytes as {text} for bytes {}-{}/{size}",
                    span.first, span.last
                ))
            }
        }
        None if length != size => Err(format!("{length} bytes for an object of {size}")),
        None if span.first > MOST_SKIPPED => Err(format!(
            "the store ignores Range, and byte {} is too far to read up to",
            span.first
        )),
        None => Ok(span.first),
    }
}

/// Whether the ETag of an answer is the one that was asked for, as far as it says. Weak counts as strong: some
/// gateways weaken what passes through them, and no object of ours is ever written a second time.
pub(crate) fn is_same_etag(wanted: Option<&str>, given: Option<&str>) -> bool {
    match (wanted.map(opaque), given.map(opaque)) {
        (Some(wanted), Some(given)) => wanted == given || given.is_empty(),
        _ => true,
    }
}

/// The ETag for an `If-Match`: a weak one never matches there (RFC 9110, 13.1.1), so it is compared on return alone.
pub(super) fn for_if_match(etag: Option<&str>) -> Option<String> {
    etag.filter(|etag| !etag.starts_with("W/"))
        .map(str::to_owned)
}

/// An ETag as it came; none when there is nothing in it (Ceph RGW completes so).
pub(super) fn stated(etag: Option<String>) -> Option<String> {
    etag.filter(|etag| !opaque(etag).is_empty())
}

/// An ETag without its quotes and its mark of weakness.
pub(super) fn opaque(etag: &str) -> &str {
    etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"')
}

/// An ETag that has the form of an MD5, in lower case; those of multipart uploads have another.
pub(super) fn as_md5(etag: &str) -> Option<String> {
    let text = opaque(etag);
    let is_digest = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_digest.then(|| text.to_ascii_lowercase())
}

/// Whether the bytes come as they are stored. `aws-chunked` is the form that they were sent in, and some stores keep it.
pub(super) fn is_plain(content_encoding: Option<&str>) -> bool {
    content_encoding.is_none_or(|codings| {
        codings
            .split(',')
            .all(|coding| matches!(coding.trim(), "" | "identity" | "aws-chunked"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: ByteSpan = ByteSpan {
        first: 100,
        last: 199,
    };

    #[test]
    fn only_the_span_that_was_asked_for_or_everything_will_do() {
        for (content_range, length, expected) in [
            (Some("bytes 100-199/2048"), Some(100), Some(0)),
            (Some("bytes 100-199/*"), Some(100), Some(0)),
            (None, Some(2048), Some(100)),
            (Some("bytes 99-198/2048"), Some(100), None),
            (Some("bytes 100-199/2049"), Some(100), None),
            (Some("bytes 100-199/2048"), Some(99), None),
            (Some("bytes 100-199/2048"), Some(2048), None),
            (Some("bytes 0-2047/2048"), Some(2048), None),
            (Some("bytes */2048"), Some(100), None),
            (Some("100-199/2048"), Some(100), None),
            (Some(""), Some(100), None),
            (None, Some(100), None),
            (None, Some(2047), None),
            (None, Some(-1), None),
            (None, None, None),
            (Some("bytes 100-199/2048"), None, None),
        ] {
            let found = bytes_before_span(content_range, length, SPAN, 2048).ok();
            assert_eq!(found, expected, "{content_range:?} {length:?}");
        }
    }

    #[test]
    fn a_store_that_ignores_ranges_is_read_up_to_the_bound_only() {
        let size = MOST_SKIPPED * 2;
        for (first, expected) in [(MOST_SKIPPED, Some(MOST_SKIPPED)), (MOST_SKIPPED + 1, None)] {
            let span = ByteSpan { first, last: first };
            let found = bytes_before_span(None, Some(size as i64), span, size).ok();
            assert_eq!(found, expected, "{first}");
        }
    }

    #[test]
    fn etags_are_compared_without_their_weakness() {
        for (wanted, given, is_same) in [
            (Some("\"a\""), Some("\"a\""), true),
            (Some("\"a\""), Some("W/\"a\""), true),
            (Some("W/\"a\""), Some("\"a\""), true),
            (Some("\"a\""), Some("a"), true),
            (Some("\"a\""), Some("\"\""), true),
            (Some("\"a\""), None, true),
            (None, Some("\"b\""), true),
            (Some("\"a\""), Some("\"b\""), false),
            (Some("W/\"a\""), Some("W/\"b\""), false),
        ] {
            let found = is_same_etag(wanted, given);
            assert_eq!(found, is_same, "{wanted:?} {given:?}");
        }
        assert_eq!(for_if_match(Some("\"a\"")), Some("\"a\"".to_owned()));
        assert_eq!(for_if_match(Some("W/\"a\"")), None);
        assert_eq!(stated(Some("\"\"".to_owned())), None);
    }

    #[test]
    fn bytes_in_another_coding_are_not_the_bytes() {
        for plain in [None, Some(""), Some("aws-chunked"), Some("identity")] {
            assert!(is_plain(plain), "{plain:?}");
        }
        assert!(!is_plain(Some("gzip")));
        assert!(!is_plain(Some("aws-chunked, gzip")));
    }
}
