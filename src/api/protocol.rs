//! What a message of HTTP must be before anybody looks at what it asks for, where the connection's own reader is lenient.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{CONNECTION, HOST, TRANSFER_ENCODING};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Version};

use super::error::Error;

/// Refuses messages that two readers could understand in two ways, and closes after them: what follows on the connection
/// might not be a request at all.
pub(super) async fn check(mut request: Request, next: Next) -> Response {
    if let Err(e) = well_formed(request.version(), request.headers()) {
        let close = [(CONNECTION, HeaderValue::from_static("close"))];
        return (close, e).into_response();
    }
    // A target with a host of its own is believed before the header (RFC 9112, 3.2.2).
    if let Some(authority) = request.uri().authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        request.headers_mut().insert(HOST, host);
    }
    next.run(request).await
}

fn well_formed(version: Version, headers: &HeaderMap) -> Result<(), Error> {
    host(version, headers)?;
    transfer_coding(headers)
}

/// One valid `Host`; a client of HTTP/1.0 may leave it out (RFC 9112, 3.2).
fn host(version: Version, headers: &HeaderMap) -> Result<(), Error> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version < Version::HTTP_11 => Ok(()),
        (None, _) => Err(Error::BadRequest(
            "A request of HTTP/1.1 needs a Host header.".into(),
        )),
        (Some(_), Some(_)) => Err(Error::BadRequest(
            "A request may have one Host header only.".into(),
        )),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        (Some(_), None) => Err(Error::BadRequest("The Host header is not valid.".into())),
    }
}

/// Empty where the target has no host, else a host with perhaps a port.
fn is_host(value: &[u8]) -> bool {
    value.is_empty() || (!value.contains(&b'@') && Authority::try_from(value).is_ok())
}

/// Chunks alone are understood. Another coding would be stored as if it were image data (RFC 9112, 6.1).
fn transfer_coding(headers: &HeaderMap) -> Result<(), Error> {
    let mut chunked = 0;
    for value in headers.get_all(TRANSFER_ENCODING) {
        let text = value.to_str().unwrap_or("?");
        for coding in text.split(',').map(str::trim).filter(|c| !c.is_empty()) {
            if !coding.eq_ignore_ascii_case("chunked") {
                return Err(Error::NotImplemented(
                    "Transfer-Encoding: chunked is the only coding that is implemented.",
                ));
            }
            chunked += 1;
        }
    }
    if chunked > 1 {
        return Err(Error::BadRequest(
            "Transfer-Encoding: chunked may stand there once.".into(),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn outcome(version: Version, fields: &[(HeaderName, &'static str)]) -> Option<bool> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name.clone(), HeaderValue::from_static(value));
        }
        match well_formed(version, &headers) {
            Ok(()) => Some(true),
            Err(Error::BadRequest(_)) => Some(false),
            Err(_) => None,
        }
    }

    #[test]
    fn one_valid_host_is_needed() {
        for (hosts, right, right_in_1_0) in [
            (&[][..], false, true),
            (&["images.example.org"], true, true),
            (&["images.example.org:9292"], true, true),
            (&["[::1]:9292"], true, true),
            (&[""], true, true),
            (&["a", "b"], false, false),
            (&["a", "a"], false, false),
            (&["a b"], false, false),
            (&["user@a"], false, false),
            (&["a/b"], false, false),
        ] {
            let fields: Vec<_> = hosts.iter().map(|host| (HOST, *host)).collect();
            assert_eq!(outcome(Version::HTTP_11, &fields), Some(right), "{hosts:?}");
            assert_eq!(
                outcome(Version::HTTP_10, &fields),
                Some(right_in_1_0),
                "{hosts:?}"
            );
        }
    }

    #[test]
    fn codings_other_than_one_chunked_are_refused() {
        for (values, right) in [
            (&["chunked"][..], Some(true)),
            (&["Chunked"], Some(true)),
            (&["gzip, chunked"], None),
            (&["gzip", "chunked"], None),
            (&["identity, chunked"], None),
            (&["chunked, chunked"], Some(false)),
            (&["chunked", "chunked"], Some(false)),
        ] {
            let mut fields = vec![(HOST, "a")];
            fields.extend(values.iter().map(|value| (TRANSFER_ENCODING, *value)));
            assert_eq!(outcome(Version::HTTP_11, &fields), right, "{values:?}");
        }
    }
}
