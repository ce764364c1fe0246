//! What is in `[import]` for the method `web-download`: from where on the web data may come, and how long it is waited for.

use std::num::NonZeroU16;
use std::path::PathBuf;

use toml::Value;

use super::choice::choice;
use super::read::Section;
use super::setting::Setting;
use super::units::Span;

choice! {
    /// A scheme that data can be fetched by.
    WebScheme {
        /// HTTP without protection.
        Http = "http",
        /// HTTP over TLS.
        Https = "https",
    }
}

/// Sources on the web. A list of what is allowed that is not empty makes the one of what is not allowed void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebRules {
    /// Schemes that URLs may have. Default `["http", "https"]`.
    pub allowed_schemes: Vec<WebScheme>,
    /// Schemes that they may not have. Default `[]`.
    pub disallowed_schemes: Vec<WebScheme>,
    /// Hosts that URLs may name, names or addresses, without patterns. Default `[]`, which is any.
    pub allowed_hosts: Vec<String>,
    /// Hosts that they may not name; an address here is also refused to names that lead to it. Default `[]`.
    pub disallowed_hosts: Vec<String>,
    /// Ports that URLs may lead to, also without naming them. Default `[80, 443]`.
    pub allowed_ports: Vec<NonZeroU16>,
    /// Ports that they may not lead to. Default `[]`.
    pub disallowed_ports: Vec<NonZeroU16>,
    /// Whether private addresses (loopback among them) may be connected to. Default `false`. To be set where images come from a
    /// server of the site's own, best with `allowed_hosts`. Addresses of metadata services are never connected to.
    pub allow_private_addresses: bool,
    /// A PEM file of certificate authorities to trust in place of the system's. Default: none.
    pub ca_bundle: Option<PathBuf>,
    /// How long finding the address of a host and connecting to it may each take. Default `"10s"`.
    pub connect_timeout: Span,
    /// How long the head of an answer may take, and a pause between two pieces of data. Default `"60s"`.
    pub read_timeout: Span,
}

impl Default for WebRules {
    fn default() -> Self {
        Self {
            allowed_schemes: vec![WebScheme::Http, WebScheme::Https],
            disallowed_schemes: Vec::new(),
            allowed_hosts: Vec::new(),
            disallowed_hosts: Vec::new(),
            allowed_ports: [80, 443].into_iter().filter_map(NonZeroU16::new).collect(),
            disallowed_ports: Vec::new(),
            allow_private_addresses: false,
            ca_bundle: None,
            connect_timeout: Span::seconds(10),
            read_timeout: Span::seconds(60),
        }
    }
}

impl WebRules {
    pub(super) fn read(section: &mut Section<'_>) -> Self {
        let default = Self::default();
        let mut hosts = |key: &str| section.take(key, Hosts::default()).0;
        Self {
            allowed_hosts: hosts("allowed_hosts"),
            disallowed_hosts: hosts("disallowed_hosts"),
            allowed_schemes: section.take("allowed_schemes", default.allowed_schemes),
            disallowed_schemes: section.take("disallowed_schemes", default.disallowed_schemes),
            allowed_ports: section.take("allowed_ports", default.allowed_ports),
            disallowed_ports: section.take("disallowed_ports", default.disallowed_ports),
            allow_private_addresses: section
                .take("allow_private_addresses", default.allow_private_addresses),
            ca_bundle: section.take_optional("ca_bundle"),
            connect_timeout: section.take_timeout("connect_timeout", default.connect_timeout),
            read_timeout: section.take_timeout("read_timeout", default.read_timeout),
        }
    }
}

/// Lists of hosts, which are texts until somebody knows what a host is.
#[derive(Default)]
struct Hosts(Vec<String>);

impl Setting for Hosts {
    const RULE: &'static str = "must be a list of hosts";

    fn from_text(text: &str) -> Option<Self> {
        items(text, |host| Some(host.to_owned())).map(Self)
    }

    fn from_toml(value: &Value) -> Option<Self> {
        let hosts = value.as_array()?.iter();
        let hosts = hosts.map(|host| host.as_str().map(str::to_owned));
        hosts.collect::<Option<_>>().map(Self)
    }
}

impl Setting for Vec<WebScheme> {
    const RULE: &'static str = "must be a list of: http, https";

    fn from_text(text: &str) -> Option<Self> {
        items(text, WebScheme::from_text)
    }

    fn from_toml(value: &Value) -> Option<Self> {
        let schemes = value.as_array()?.iter();
        schemes.map(WebScheme::from_toml).collect()
    }
}

impl Setting for Vec<NonZeroU16> {
    const RULE: &'static str = "must be a list of ports, 1 to 65535";

    fn from_text(text: &str) -> Option<Self> {
        items(text, |port| port.parse().ok())
    }

    fn from_toml(value: &Value) -> Option<Self> {
        let ports = value.as_array()?.iter();
        let port = |value: &Value| NonZeroU16::new(value.as_integer()?.try_into().ok()?);
        ports.map(port).collect()
    }
}

/// The items of a list in a variable, parted by commas; perhaps none.
fn items<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let items = text.split(',').map(str::trim);
    items.filter(|item| !item.is_empty()).map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_may_be_empty_and_have_no_item_that_is_none() {
        let toml = |text: &str| -> Value {
            let table: toml::Table = format!("list = {text}").parse().unwrap();
            table["list"].clone()
        };
        let ports = |text: &str| {
            let ports = Vec::<NonZeroU16>::from_toml(&toml(text))?;
            Some(ports.into_iter().map(NonZeroU16::get).collect::<Vec<_>>())
        };
        assert_eq!(ports("[]"), Some(vec![]));
        assert_eq!(ports("[80, 65535]"), Some(vec![80, 65535]));
        for text in ["[0]", "[65536]", "[-1]", "[\"80\"]", "80"] {
            assert_eq!(ports(text), None, "{text}");
        }
        assert_eq!(
            Vec::<NonZeroU16>::from_text("80, 443").map(|ports| ports.len()),
            Some(2)
        );
        assert_eq!(Vec::<NonZeroU16>::from_text("80, http"), None);
        assert_eq!(
            Vec::<WebScheme>::from_toml(&toml("[\"https\"]")),
            Some(vec![WebScheme::Https])
        );
        assert_eq!(Vec::<WebScheme>::from_toml(&toml("[\"ftp\"]")), None);
        assert_eq!(Hosts::from_toml(&toml("[]")).map(|it| it.0), Some(vec![]));
        assert_eq!(
            Hosts::from_text("a.example, b.example").map(|it| it.0),
            Some(vec!["a.example".to_owned(), "b.example".to_owned()])
        );
    }
}
