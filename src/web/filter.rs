//! Which sources may be asked: the lists of the site, and the addresses that a host leads to. Pure.

use std::net::IpAddr;
use std::num::NonZeroU16;

use super::WebSetupError;
use super::address::{Reach, carried_to, reach};
use super::host::Host;
use super::refused::Refused;
use super::url::Url;
use crate::config::{WebRules, WebScheme};

/// The rules of the site, with its hosts in the form that those of URLs have.
#[derive(Debug)]
pub(super) struct Filter {
    schemes: Lists<WebScheme>,
    hosts: Lists<Host>,
    ports: Lists<u16>,
    allow_private_addresses: bool,
}

/// What is allowed; where nothing is said of that, everything but what is not.
#[derive(Debug)]
struct Lists<T> {
    allowed: Vec<T>,
    disallowed: Vec<T>,
}

impl<T: PartialEq> Lists<T> {
    fn allow(&self, item: &T) -> bool {
        match self.allowed.as_slice() {
            [] => !self.disallowed.contains(item),
            allowed => allowed.contains(item),
        }
    }
}

impl Filter {
    pub(super) fn new(rules: &WebRules) -> Result<Self, WebSetupError> {
        let ports = |ports: &[NonZeroU16]| ports.iter().map(|port| port.get()).collect();
        Ok(Self {
            schemes: Lists {
                allowed: rules.allowed_schemes.clone(),
                disallowed: rules.disallowed_schemes.clone(),
            },
            hosts: Lists {
                allowed: hosts("allowed_hosts", &rules.allowed_hosts)?,
                disallowed: hosts("disallowed_hosts", &rules.disallowed_hosts)?,
            },
            ports: Lists {
                allowed: ports(&rules.allowed_ports),
                disallowed: ports(&rules.disallowed_ports),
            },
            allow_private_addresses: rules.allow_private_addresses,
        })
    }

    /// Holds a URL against the lists.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), Refused> {
        if !self.schemes.allow(&url.scheme) {
            return Err(Refused::Scheme);
        }
        if !self.hosts.allow(&url.host) {
            return Err(Refused::Host(url.host.to_string()));
        }
        if !self.ports.allow(&url.port) {
            return Err(Refused::Port(url.port));
        }
        Ok(())
    }

    /// Holds what a host leads to against the rules: all of it, since a name that leads to public and private addresses at once is
    /// either a mistake or a trick.
    pub(super) fn check_addresses(
        &self,
        host: &Host,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), Refused> {
        let worst = match self.allow_private_addresses {
            true => Reach::Private,
            false => Reach::Public,
        };
        let may_be_asked = |address: IpAddr| {
            let is_listed = |address| self.hosts.disallowed.contains(&Host::Address(address));
            let is_listed = self.hosts.allowed.is_empty()
                && (is_listed(address.to_canonical()) || carried_to(address).any(is_listed));
            reach(address) <= worst && !is_listed
        };
        match addresses.into_iter().all(may_be_asked) {
            true => Ok(()),
            false => Err(Refused::Address(host.to_string())),
        }
    }
}

fn hosts(key: &'static str, texts: &[String]) -> Result<Vec<Host>, WebSetupError> {
    let host = |text: &String| {
        Host::parse(text).map_err(|why| WebSetupError::Host {
            key,
            host: text.clone(),
            why,
        })
    };
    texts.iter().map(host).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(rules: &WebRules, url: &str) -> Result<(), Refused> {
        let filter = Filter::new(rules).unwrap();
        filter.check_url(&Url::parse(url)?)
    }

    fn texts(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|host| (*host).to_owned()).collect()
    }

    fn ports(ports: &[u16]) -> Vec<NonZeroU16> {
        ports.iter().copied().filter_map(NonZeroU16::new).collect()
    }

    #[test]
    fn ports_count_whether_named_or_not() {
        let default = WebRules::default();
        for (url, port) in [
            ("http://a.example/", None),
            ("https://a.example/", None),
            ("http://a.example:443/", None),
            ("http://a.example:22/", Some(22)),
            ("https://a.example:8443/", Some(8443)),
        ] {
            let expected = port.map_or(Ok(()), |port| Err(Refused::Port(port)));
            assert_eq!(verdict(&default, url), expected, "{url}");
        }
        let tls_only = WebRules {
            allowed_ports: ports(&[443]),
            ..WebRules::default()
        };
        assert_eq!(
            verdict(&tls_only, "http://a.example/"),
            Err(Refused::Port(80))
        );
        let all_but_one = WebRules {
            allowed_ports: Vec::new(),
            disallowed_ports: ports(&[25]),
            ..WebRules::default()
        };
        assert_eq!(verdict(&all_but_one, "http://a.example:8080/"), Ok(()));
        assert_eq!(
            verdict(&all_but_one, "http://a.example:25/"),
            Err(Refused::Port(25))
        );
    }

    #[test]
    fn a_list_of_what_is_allowed_makes_the_other_void() {
        let rules = WebRules {
            allowed_hosts: texts(&["Mirror.Example.", "192.168.1.5", "2001:db8::5"]),
            disallowed_hosts: texts(&["mirror.example"]),
            allowed_schemes: vec![WebScheme::Https],
            disallowed_schemes: vec![WebScheme::Https],
            ..WebRules::default()
        };
        for url in [
            "https://mirror.example/",
            "https://MIRROR.EXAMPLE./",
            "https://192.168.1.5/",
            "https://[::ffff:192.168.1.5]/",
            "https://[2001:db8:0::5]/",
        ] {
            assert_eq!(verdict(&rules, url), Ok(()), "{url}");
        }
        for host in ["example", "a.mirror.example", "192.168.1.6"] {
            let refused = verdict(&rules, &format!("https://{host}/"));
            assert_eq!(refused, Err(Refused::Host(host.into())));
        }
        assert_eq!(
            verdict(&rules, "http://mirror.example/"),
            Err(Refused::Scheme)
        );
    }

    #[test]
    fn what_is_not_allowed_is_refused_in_every_spelling() {
        let rules = WebRules {
            disallowed_hosts: texts(&["inner.example", "10.0.0.5"]),
            allow_private_addresses: true,
            ..WebRules::default()
        };
        for url in [
            "http://inner.example/",
            "http://INNER.example./",
            "http://10.0.0.5/",
            "http://[::ffff:a00:5]/",
        ] {
            assert!(
                matches!(verdict(&rules, url), Err(Refused::Host(_))),
                "{url}"
            );
        }
        let filter = Filter::new(&rules).unwrap();
        let name = Host::parse("other.example").unwrap();
        for (address, is_allowed) in [("10.0.0.5", false), ("10.0.0.6", true)] {
            let found = filter.check_addresses(&name, [address.parse().unwrap()]);
            assert_eq!(found.is_ok(), is_allowed, "{address}");
        }
    }

    #[test]
    fn one_address_that_is_denied_denies_the_name() {
        let (public, private, never) = ("8.8.8.8", "10.0.0.1", "169.254.169.254");
        for (allow_private_addresses, addresses, is_allowed) in [
            (false, vec![public], true),
            (false, vec![public, private], false),
            (false, vec![private], false),
            (true, vec![public, private], true),
            (true, vec![private, never], false),
            (true, vec![never], false),
        ] {
            let filter = Filter::new(&WebRules {
                allow_private_addresses,
                ..WebRules::default()
            })
            .unwrap();
            let host = Host::parse("a.example").unwrap();
            let parsed = addresses.iter().map(|text| text.parse().unwrap());
            let found = filter.check_addresses(&host, parsed);
            assert_eq!(found.is_ok(), is_allowed, "{addresses:?}");
        }
    }

    #[test]
    fn a_host_of_the_lists_that_is_none_is_told_with_its_key() {
        let rules = WebRules {
            disallowed_hosts: texts(&["127.1"]),
            ..WebRules::default()
        };
        let told = Filter::new(&rules).unwrap_err().to_string();
        assert!(told.starts_with("import.disallowed_hosts: "), "{told}");
        assert!(told.contains("127.1"), "{told}");
    }
}
