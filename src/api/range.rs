//! Which bytes a download asks for (contract 3.3). Reading the header and fitting it to a size are two steps with two
//! errors, because the size is known only later.

use crate::store::ByteSpan;

/// A single range as written, not yet held against a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RangeSpec {
    /// `a-b`: both included.
    FromTo(u64, u64),
    /// `a-`: to the end.
    From(u64),
    /// `-n`: the last n bytes.
    Last(u64),
}

/// The header cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RangeError {
    /// Not a range of bytes, or its end lies before its start. Answered 416, where RFC 9110 would ignore the header.
    Malformed,
    /// More than one range: 400.
    Multiple,
}

/// No byte of the image is in the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsatisfiable;

/// Reads a `Range` header.
///
/// # Errors
/// [`RangeError`].
pub(super) fn parse(header: &str) -> Result<RangeSpec, RangeError> {
    let (unit, ranges) = header.split_once('=').ok_or(RangeError::Malformed)?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Err(RangeError::Malformed);
    }
    if ranges.contains(',') {
        return Err(RangeError::Multiple);
    }
    from_to(ranges)
}

/// Reads a `Content-Range` *request* header, `bytes a-b/length`, which very old tooling sends instead of `Range`. The
/// length does not matter.
///
/// # Errors
/// [`RangeError::Malformed`].
pub(super) fn parse_legacy(header: &str) -> Result<RangeSpec, RangeError> {
    let mut words = header.split_ascii_whitespace();
    let (Some(unit), Some(range), None) = (words.next(), words.next(), words.next()) else {
        return Err(RangeError::Malformed);
    };
    let (range, length) = range.split_once('/').ok_or(RangeError::Malformed)?;
    if !unit.eq_ignore_ascii_case("bytes") || (length != "*" && number(length).is_err()) {
        return Err(RangeError::Malformed);
    }
    match from_to(range)? {
        spec @ RangeSpec::FromTo(..) => Ok(spec),
        RangeSpec::From(_) | RangeSpec::Last(_) => Err(RangeError::Malformed),
    }
}

fn from_to(range: &str) -> Result<RangeSpec, RangeError> {
    let (first, last) = range.split_once('-').ok_or(RangeError::Malformed)?;
    match (first.trim(), last.trim()) {
        ("", "") => Err(RangeError::Malformed),
        ("", last) => Ok(RangeSpec::Last(number(last)?)),
        (first, "") => Ok(RangeSpec::From(number(first)?)),
        (first, last) => match (number(first)?, number(last)?) {
            (first, last) if first <= last => Ok(RangeSpec::FromTo(first, last)),
            _ => Err(RangeError::Malformed),
        },
    }
}

/// Digits only. More than 64 bits is past the end of every image, so it counts as the largest number.
fn number(text: &str) -> Result<u64, RangeError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(RangeError::Malformed);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// Fits a range to an image of `size` bytes; ends past the last byte are cut.
///
/// # Errors
/// [`Unsatisfiable`] when no byte is left, as for every range of an empty image.
pub(super) fn resolve(spec: RangeSpec, size: u64) -> Result<ByteSpan, Unsatisfiable> {
    let end = size.checked_sub(1).ok_or(Unsatisfiable)?;
    let span = match spec {
        RangeSpec::FromTo(first, last) => ByteSpan {
            first,
            last: last.min(end),
        },
        RangeSpec::From(first) => ByteSpan { first, last: end },
        RangeSpec::Last(0) => return Err(Unsatisfiable),
        RangeSpec::Last(count) => ByteSpan {
            first: size.saturating_sub(count),
            last: end,
        },
    };
    if span.first > end {
        Err(Unsatisfiable)
    } else {
        Ok(span)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn on_ten(header: &str) -> Result<(u64, u64), &'static str> {
        match parse(header) {
            Err(RangeError::Malformed) => Err("416"),
            Err(RangeError::Multiple) => Err("400"),
            Ok(spec) => resolve(spec, 10)
                .map(|s| (s.first, s.last))
                .map_err(|_| "416"),
        }
    }

    /// The table of contract 3.3, for an image of ten bytes.
    #[test]
    fn every_form_of_the_contract() {
        for (header, expected) in [
            ("bytes=0-4", Ok((0, 4))),
            ("bytes=5-", Ok((5, 9))),
            ("bytes=-3", Ok((7, 9))),
            ("bytes=0-99", Ok((0, 9))),
            ("bytes=0-99999999999999999999999", Ok((0, 9))),
            ("bytes=0-9", Ok((0, 9))),
            ("bytes=0-", Ok((0, 9))),
            ("bytes=-10", Ok((0, 9))),
            ("bytes=-20", Ok((0, 9))),
            ("BYTES = 0 - 004 ", Ok((0, 4))),
            ("", Err("416")),
            (" ", Err("416")),
            ("bytes=-0", Err("416")),
            ("bytes=10-", Err("416")),
            ("bytes=10-12", Err("416")),
            ("bytes=5-2", Err("416")),
            ("bytes=a-b", Err("416")),
            ("bytes=+1-2", Err("416")),
            ("bytes=", Err("416")),
            ("bytes=4", Err("416")),
            ("bytes=-", Err("416")),
            ("items=0-4", Err("416")),
            ("bytes 0-4", Err("416")),
            ("0-4", Err("416")),
            ("bytes=0-4,6-7", Err("400")),
        ] {
            assert_eq!(on_ten(header), expected, "{header:?}");
        }
    }

    #[test]
    fn the_legacy_request_header_names_both_ends() {
        assert_eq!(parse_legacy("bytes 0-4/10"), Ok(RangeSpec::FromTo(0, 4)));
        assert_eq!(parse_legacy("bytes 0-4/*"), Ok(RangeSpec::FromTo(0, 4)));
        for bad in [
            "bytes */10",
            "bytes 0-4",
            "bytes=0-4/10",
            "bytes 4-/10",
            "bytes -4/10",
            "bytes 0-4/x",
            "",
        ] {
            assert_eq!(parse_legacy(bad), Err(RangeError::Malformed), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(header in ".{0,64}") {
            let _ = parse(&header);
            let _ = parse_legacy(&header);
        }

        #[test]
        fn a_resolved_span_lies_in_the_image(first in any::<u64>(), last in any::<u64>(), size in any::<u64>()) {
            for spec in [RangeSpec::FromTo(first.min(last), first.max(last)), RangeSpec::From(first), RangeSpec::Last(last)] {
                if let Ok(span) = resolve(spec, size) {
                    prop_assert!(span.first <= span.last && span.last < size);
                }
            }
        }
    }
}
