//! What the heads of answers say, and whether it is what was asked for. Pure.

use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::error::Error;

/// Longer ETags are as good as none, bytes.
const LONGEST_ETAG: usize = 1024;

/// What a source says of its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Described {
    /// Bytes; none for data in chunks.
    pub(super) length: Option<u64>,
    /// A strong one, which the same bytes have and no others (RFC 9110, 8.8.1).
    pub(super) etag: Option<HeaderValue>,
}

/// Where the data is instead, if the answer says so (RFC 9110, 15.4).
pub(super) fn redirect(status: StatusCode, headers: &HeaderMap) -> Option<&HeaderValue> {
    let leads_elsewhere = matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308);
    headers.get(header::LOCATION).filter(|_| leads_elsewhere)
}

/// What the first answer says; an error if it is not that of the data, or of data whose end could not be told. `length` is how it is
/// read.
pub(super) fn describe(
    status: StatusCode,
    headers: &HeaderMap,
    length: Option<u64>,
) -> Result<Described, Error> {
    if status != StatusCode::OK {
        return Err(Error::Status(status.as_u16()));
    }
    let length = check_form(headers, length)?;
    Ok(Described {
        length,
        etag: strong_etag(headers).cloned(),
    })
}

/// Whether the answer is that of the rest from `first` on, of the same `total` bytes under the same ETag.
pub(super) fn check_rest(
    status: StatusCode,
    headers: &HeaderMap,
    length: Option<u64>,
    (first, total): (u64, u64),
    etag: &HeaderValue,
) -> Result<(), Error> {
    let is_same = strong_etag(headers) == Some(etag);
    if status == StatusCode::OK {
        let is_same = is_same && length == Some(total);
        return Err(if is_same {
            Error::NoRanges
        } else {
            Error::Changed
        });
    }
    if status != StatusCode::PARTIAL_CONTENT {
        return Err(Error::Status(status.as_u16()));
    }
    let length = check_form(headers, length)?;
    let range = single(headers, header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let asked = format!("bytes {first}-{}/{total}", total.saturating_sub(1));
    let is_asked = range.is_some_and(|range| range.eq_ignore_ascii_case(&asked));
    let is_whole = length.is_none_or(|length| length == total.saturating_sub(first));
    match is_same && is_asked && is_whole {
        true => Ok(()),
        false => Err(Error::Changed),
    }
}

/// The length of data that comes as it is and whose end can be told: it has a length, or comes in chunks. Both at once is what requests are
/// smuggled with (RFC 9112, 6.3), and an end by the connection's looks like a break.
fn check_form(headers: &HeaderMap, length: Option<u64>) -> Result<Option<u64>, Error> {
    let codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let is_plain = |value: &HeaderValue| {
        value.to_str().is_ok_and(|codings| {
            let mut codings = codings.split(',').map(str::trim);
            codings.all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case("identity"))
        })
    };
    if !codings.into_iter().all(is_plain) {
        return Err(Error::Coded);
    }
    if !headers.contains_key(header::TRANSFER_ENCODING) {
        return length.map(Some).ok_or(Error::NoEnd);
    }
    let coding = single(headers, header::TRANSFER_ENCODING);
    let is_chunked = coding.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if !is_chunked {
        return Err(Error::Coded);
    }
    if headers.contains_key(header::CONTENT_LENGTH) {
        let why = "it gives both a length and chunks";
        return Err(Error::NotHttp(why.to_owned()));
    }
    Ok(None)
}

/// A header that stands there once.
fn single(headers: &HeaderMap, name: header::HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    let first = values.next();
    first.filter(|_| values.next().is_none())
}

fn strong_etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    single(headers, header::ETAG).filter(|etag| {
        let text = etag.as_bytes();
        let is_quoted = text.len() > 2 && text.starts_with(b"\"") && text.ends_with(b"\"");
        is_quoted && text.len() <= LONGEST_ETAG
    })
}

#[cfg(test)]
mod tests;
