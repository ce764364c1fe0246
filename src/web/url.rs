//! URLs of sources, and where a `Location` leads from one (RFC 3986). Pure.
//!
//! A URL is taken apart once, and the request is made of its parts: what is checked and what is asked cannot differ.

use std::str::FromStr;

use http::Uri;
use http::uri::{PathAndQuery, Scheme};

use super::host::Host;
use super::refused::Refused;
use crate::config::WebScheme;

/// Longer than any signed URL of a store, bytes.
const LONGEST: usize = 8192;

/// A source as it is asked: without user and fragment, every part in its one form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: WebScheme,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) path: PathAndQuery,
}

impl Url {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// [`Refused`], for its form alone.
    pub(super) fn parse(text: &str) -> Result<Self, Refused> {
        let text = cleared(text)?;
        let (scheme, rest) = split_scheme(text).ok_or(Refused::NotAbsolute)?;
        let scheme = scheme.to_ascii_lowercase();
        let scheme: WebScheme = scheme.parse().map_err(|_| Refused::Scheme)?;
        let rest = rest.strip_prefix("//").ok_or(Refused::NotAbsolute)?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(Refused::User);
        }
        let (host, port) = split_port(authority);
        let port = match port {
            None => default_port(scheme),
            Some(digits) => parse_port(digits).ok_or(Refused::PortForm)?,
        };
        let path = match path.starts_with('/') {
            true => PathAndQuery::from_str(path),
            false => PathAndQuery::from_str(&format!("/{path}")),
        };
        Ok(Self {
            scheme,
            host: Host::parse(host)?,
            port,
            path: path.map_err(|_| Refused::Characters)?,
        })
    }

    /// Where a reference leads from here (RFC 3986, 5.2).
    ///
    /// # Errors
    /// [`Refused`], for its form alone.
    pub(super) fn join(&self, reference: &str) -> Result<Self, Refused> {
        let reference = cleared(reference)?;
        if split_scheme(reference).is_some() {
            return Self::parse(reference);
        }
        if reference.starts_with("//") {
            return Self::parse(&format!("{}:{reference}", self.scheme));
        }
        let (path, query) = match reference.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (reference, None),
        };
        let base = self.path.path();
        let (path, query) = match path {
            "" => (base.to_owned(), query.or(self.path.query())),
            path if path.starts_with('/') => (without_dots(path), query),
            path => {
                let folder = base.rfind('/').map_or("/", |end| &base[..=end]);
                (without_dots(&format!("{folder}{path}")), query)
            }
        };
        let path = match query {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        if path.len() > LONGEST {
            return Err(Refused::TooLong);
        }
        Ok(Self {
            path: PathAndQuery::from_str(&path).map_err(|_| Refused::Characters)?,
            ..self.clone()
        })
    }

    /// The host, with the port where it is not the one of the scheme: the `Host` of a request (RFC 9110, 7.2).
    pub(super) fn authority(&self) -> String {
        if self.port == default_port(self.scheme) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Where to connect.
    pub(super) fn place(&self) -> Result<Uri, http::Error> {
        let scheme = match self.scheme {
            WebScheme::Http => Scheme::HTTP,
            WebScheme::Https => Scheme::HTTPS,
        };
        Uri::builder()
            .scheme(scheme)
            .authority(format!("{}:{}", self.host, self.port))
            .path_and_query("/")
            .build()
    }
}

/// The text without its fragment, once it is short and has nothing in it that parsers read in different ways.
fn cleared(text: &str) -> Result<&str, Refused> {
    if text.len() > LONGEST {
        return Err(Refused::TooLong);
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if !text.bytes().all(is_plain) {
        return Err(Refused::Characters);
    }
    Ok(text.split('#').next().unwrap_or_default())
}

/// What stands before the first colon, if it is a scheme.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let begins_well = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    (begins_well && scheme.bytes().all(is_allowed)).then_some((scheme, rest))
}

/// Host and port; a colon within brackets parts nothing.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    let after_brackets = authority.rfind(']').unwrap_or_default();
    match authority[after_brackets..].find(':') {
        Some(at) => {
            let (host, port) = authority.split_at(after_brackets + at);
            (host, Some(&port[1..]))
        }
        None => (authority, None),
    }
}

fn parse_port(digits: &str) -> Option<u16> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let port = digits.parse().ok().filter(|_| is_number)?;
    (port > 0).then_some(port)
}

const fn default_port(scheme: WebScheme) -> u16 {
    match scheme {
        WebScheme::Http => 80,
        WebScheme::Https => 443,
    }
}

/// A path without `.` and `..` (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::host::HostFault;
    use super::*;

    fn shown(url: &Url) -> String {
        format!("{}://{}{}", url.scheme, url.authority(), url.path)
    }

    #[test]
    fn a_url_has_one_form() {
        for (text, form) in [
            ("http://a.example", "http://a.example/"),
            ("HTTP://A.Example.:80/X", "http://a.example/X"),
            ("https://a.example:443?q=1", "https://a.example/?q=1"),
            ("https://a.example:80/", "https://a.example:80/"),
            ("http://a.example:0080/", "http://a.example/"),
            ("http://a.example/b?c#d", "http://a.example/b?c"),
            ("http://a.example#@b.example/", "http://a.example/"),
            ("http://a.example/@b:c", "http://a.example/@b:c"),
            (
                "http://a.example?@b.example",
                "http://a.example/?@b.example",
            ),
            ("http://[2001:DB8::1]:8080/x", "http://[2001:db8::1]:8080/x"),
            ("http://[::ffff:10.0.0.5]/x", "http://10.0.0.5/x"),
            (
                "http://a.example/../b/%2e%2e",
                "http://a.example/../b/%2e%2e",
            ),
        ] {
            assert_eq!(shown(&Url::parse(text).unwrap()), form, "{text}");
        }
        let url = Url::parse("https://[2001:db8::1]/x?y").unwrap();
        assert_eq!(url.place().unwrap(), "https://[2001:db8::1]:443/");
    }

    #[test]
    fn what_parsers_read_in_different_ways_is_refused() {
        let long = format!("http://a.example/{}", "a".repeat(LONGEST));
        for (text, why) in [
            ("", Refused::NotAbsolute),
            ("a.example", Refused::NotAbsolute),
            ("//a.example/", Refused::NotAbsolute),
            ("http:a.example", Refused::NotAbsolute),
            ("http:/a.example", Refused::NotAbsolute),
            (":http://a.example", Refused::NotAbsolute),
            ("1http://a.example", Refused::NotAbsolute),
            ("a.example:80/x", Refused::Scheme),
            ("file:///etc/passwd", Refused::Scheme),
            ("ftp://a.example/", Refused::Scheme),
            ("gopher://a.example/", Refused::Scheme),
            ("http+unix://a/", Refused::Scheme),
            ("http://u:p@a.example/", Refused::User),
            ("http://a@b/", Refused::User),
            ("http://@a.example/", Refused::User),
            ("http://a.example:80@b.example/", Refused::User),
            ("http://a.example\\@b.example/", Refused::Characters),
            ("http:\\\\a.example", Refused::Characters),
            ("http://a.example/ b", Refused::Characters),
            (" http://a.example/", Refused::Characters),
            ("http://a.example/\r\nHost: b", Refused::Characters),
            ("http://a.example/\0", Refused::Characters),
            ("http://a.example/\u{7f}", Refused::Characters),
            ("http://b\u{fc}cher.example/", Refused::Characters),
            ("http://a.example:/", Refused::PortForm),
            ("http://a.example:0/", Refused::PortForm),
            ("http://a.example:65536/", Refused::PortForm),
            ("http://a.example:+80/", Refused::PortForm),
            ("http://a.example:80:80/", Refused::PortForm),
            ("http://[::1]80/", Refused::HostForm(HostFault::Ipv6Form)),
            ("http://::1/", Refused::PortForm),
            ("http:///x", Refused::HostForm(HostFault::Empty)),
            ("http://:80/", Refused::HostForm(HostFault::Empty)),
            ("http://?x", Refused::HostForm(HostFault::Empty)),
            ("http://127.1/", Refused::HostForm(HostFault::Ipv4Form)),
            ("http://2130706433/", Refused::HostForm(HostFault::Ipv4Form)),
            ("http://a_b/", Refused::HostForm(HostFault::Name)),
            ("http://a%40b/", Refused::HostForm(HostFault::Name)),
            (long.as_str(), Refused::TooLong),
        ] {
            assert_eq!(Url::parse(text), Err(why), "{text}");
        }
    }

    #[test]
    fn references_lead_where_the_rfc_says() {
        let base = Url::parse("https://a.example:8443/b/c/d;p?q").unwrap();
        for (reference, target) in [
            ("http://other.example/x", "http://other.example/x"),
            ("HTTPS://other.example", "https://other.example/"),
            ("//other.example/x", "https://other.example/x"),
            ("/g", "https://a.example:8443/g"),
            ("g", "https://a.example:8443/b/c/g"),
            ("./g", "https://a.example:8443/b/c/g"),
            ("g/", "https://a.example:8443/b/c/g/"),
            ("?y", "https://a.example:8443/b/c/d;p?y"),
            ("g?y", "https://a.example:8443/b/c/g?y"),
            ("g?y/../x", "https://a.example:8443/b/c/g?y/../x"),
            ("g#s", "https://a.example:8443/b/c/g"),
            ("", "https://a.example:8443/b/c/d;p?q"),
            ("#s", "https://a.example:8443/b/c/d;p?q"),
            (".", "https://a.example:8443/b/c/"),
            ("..", "https://a.example:8443/b/"),
            ("../g", "https://a.example:8443/b/g"),
            ("../../../g", "https://a.example:8443/g"),
            ("/./g/../h", "https://a.example:8443/h"),
            ("g/./h", "https://a.example:8443/b/c/g/h"),
            ("g;x=1/../y", "https://a.example:8443/b/c/y"),
        ] {
            assert_eq!(shown(&base.join(reference).unwrap()), target, "{reference}");
        }
        for (reference, why) in [
            ("file:///etc/passwd", Refused::Scheme),
            ("http:g", Refused::NotAbsolute),
            ("//u@b/", Refused::User),
            ("/\\evil.example", Refused::Characters),
            ("\\\\evil.example", Refused::Characters),
            ("/a b", Refused::Characters),
        ] {
            assert_eq!(base.join(reference), Err(why), "{reference}");
        }
    }
}
