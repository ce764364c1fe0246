//! Hosts as URLs and lists name them, in one form each. Pure.
//!
//! What a resolver would take for an IPv4 address in another form (`127.1`, `0x7f.0.0.1`, `2130706433`) is refused, and so
//! are names that no certificate and no list could tell apart from others.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host in the one form it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host {
    /// A name of the DNS in lower case, without a dot at its end.
    Name(String),
    /// An address; a mapped one as the IPv4 address that it is.
    Address(IpAddr),
}

/// Why a text names no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HostFault {
    /// There is nothing.
    #[error("names no host")]
    Empty,
    /// A number that is no dotted quad.
    #[error("has an IPv4 address that is not four decimal numbers")]
    Ipv4Form,
    /// Brackets or colons around something else.
    #[error("has something else than an IPv6 address in its place")]
    Ipv6Form,
    /// No name of the DNS.
    #[error("has a host that is neither a name of the DNS in ASCII nor an address")]
    Name,
}

/// What the DNS can carry (RFC 1035, 2.3.4), without the dot at the end.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

impl Host {
    /// Reads a host; an IPv6 address may stand in brackets.
    ///
    /// # Errors
    /// [`HostFault`].
    pub(super) fn parse(text: &str) -> Result<Self, HostFault> {
        if text.contains([':', '[', ']']) {
            let bare = text
                .strip_prefix('[')
                .map_or(Some(text), |rest| rest.strip_suffix(']'));
            let address = bare.and_then(|bare| bare.parse::<Ipv6Addr>().ok());
            let address = address.ok_or(HostFault::Ipv6Form)?;
            return Ok(Self::Address(IpAddr::V6(address).to_canonical()));
        }
        if text.is_empty() {
            return Err(HostFault::Empty);
        }
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        if name.len() > LONGEST_NAME || !name.split('.').all(is_label) {
            return Err(HostFault::Name);
        }
        if name.rsplit('.').next().is_some_and(is_number) {
            let address = name.parse::<Ipv4Addr>();
            let address = address.map_err(|_| HostFault::Ipv4Form)?;
            return Ok(Self::Address(address.into()));
        }
        Ok(Self::Name(name))
    }
}

impl fmt::Display for Host {
    /// As it stands in a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

fn is_label(label: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(is_allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// Whether the last label makes a resolver take the whole for an IPv4 address, as in the URL standard ("ends in a number").
fn is_number(label: &str) -> bool {
    let is_hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    label.bytes().all(|byte| byte.is_ascii_digit()) || label.strip_prefix("0x").is_some_and(is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_one_form() {
        for (text, form) in [
            ("Images.Example.ORG", "images.example.org"),
            ("images.example.org.", "images.example.org"),
            ("localhost", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("1e100.net", "1e100.net"),
            ("0x7f.example", "0x7f.example"),
            ("3com", "3com"),
            ("8.8.8.8", "8.8.8.8"),
            ("8.8.8.8.", "8.8.8.8"),
            ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
            ("2001:db8::1", "[2001:db8::1]"),
            ("[::ffff:10.0.0.5]", "10.0.0.5"),
            ("[::FFFF:0A00:0005]", "10.0.0.5"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), form, "{text}");
        }
    }

    #[test]
    fn what_resolvers_would_take_for_an_address_is_refused() {
        for text in [
            "2130706433",
            "0x7f000001",
            "0X7F000001",
            "0x",
            "017700000001",
            "127.1",
            "127.0.1",
            "0x7f.1",
            "0x7f.0.0.0x1",
            "0177.0.0.1",
            "127.0.0.01",
            "127.0.0.1.5",
            "256.0.0.1",
            "127.0.0.0x1",
            "example.1",
            "1.2.3.4.0x5.",
        ] {
            assert_eq!(Host::parse(text), Err(HostFault::Ipv4Form), "{text}");
        }
    }

    #[test]
    fn what_is_neither_name_nor_address_is_refused() {
        let (long_label, long_name) = ("a".repeat(64), "a.".repeat(127));
        for text in [
            ".",
            "..",
            ".example",
            "a..example",
            "a.example..",
            "a_b.example",
            "-a.example",
            "a-.example",
            "a b",
            "a%2eexample",
            "a/b",
            "a@b",
            "b\u{fc}cher.example",
            "\u{ff11}27.0.0.1",
            "127\u{3002}0.0.1",
            "a\0b",
            long_label.as_str(),
            format!("{long_name}ab").as_str(),
        ] {
            assert_eq!(Host::parse(text), Err(HostFault::Name), "{text}");
        }
        for text in [
            "[",
            "[]",
            "[::1",
            "::1]",
            "[[::1]]",
            "[fe80::1%25eth0]",
            "[127.0.0.1]",
            "[v1.a]",
            "[::ffff:0177.0.0.1]",
            "a:b",
        ] {
            assert_eq!(Host::parse(text), Err(HostFault::Ipv6Form), "{text}");
        }
        assert_eq!(Host::parse(""), Err(HostFault::Empty));
    }
}
