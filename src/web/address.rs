//! Which addresses belong to the public internet. Pure.
//!
//! The tables are those of the IANA registries of special-purpose addresses (RFC 6890), and of the services that give machines of
//! clouds their credentials. IPv6 addresses that carry an IPv4 address lead to that one, and are judged by it. Of IPv6 only
//! what is given out for the internet counts (`2000::/3`): all that is not known is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Who can be reached at an address; the worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// Anybody on the internet.
    Public,
    /// This machine, or one of its own network.
    Private,
    /// Nobody who has images: metadata services, the link, groups, examples, what is reserved.
    Never,
}

use Reach::{Never, Private, Public};

/// The first that an address is in counts; none is public.
const IPV4: [(Ipv4Addr, u32, Reach); 18] = [
    // Metadata services: of Alibaba within the shared range, of Azure within the public one.
    (Ipv4Addr::new(100, 100, 100, 200), 32, Never),
    (Ipv4Addr::new(168, 63, 129, 16), 32, Never),
    (Ipv4Addr::new(0, 0, 0, 0), 8, Never),
    (Ipv4Addr::new(10, 0, 0, 0), 8, Private),
    (Ipv4Addr::new(100, 64, 0, 0), 10, Private),
    (Ipv4Addr::new(127, 0, 0, 0), 8, Private),
    (Ipv4Addr::new(169, 254, 0, 0), 16, Never),
    (Ipv4Addr::new(172, 16, 0, 0), 12, Private),
    (Ipv4Addr::new(192, 0, 0, 0), 24, Never),
    (Ipv4Addr::new(192, 0, 2, 0), 24, Never),
    (Ipv4Addr::new(192, 88, 99, 0), 24, Never),
    (Ipv4Addr::new(192, 168, 0, 0), 16, Private),
    // For benchmarks, and in use as a network of one's own.
    (Ipv4Addr::new(198, 18, 0, 0), 15, Private),
    (Ipv4Addr::new(198, 51, 100, 0), 24, Never),
    (Ipv4Addr::new(203, 0, 113, 0), 24, Never),
    (Ipv4Addr::new(224, 0, 0, 0), 4, Never),
    (Ipv4Addr::new(240, 0, 0, 0), 4, Never),
    (Ipv4Addr::new(255, 255, 255, 255), 32, Never),
];

/// The same for IPv6, after those that carry an IPv4 address; what is in none is never asked.
const IPV6: [(Ipv6Addr, u32, Reach); 11] = [
    (Ipv6Addr::LOCALHOST, 128, Private),
    // Metadata services of Amazon, Scaleway, Oracle and Google, within the unique local range.
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0), 32, Never),
    (Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42), 128, Never),
    (
        Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
        128,
        Never,
    ),
    (
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
        128,
        Never,
    ),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, Private),
    // Site-local, deprecated and still in use.
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, Private),
    // Protocols of the IETF.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, Never),
    // Documentation, old and new.
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, Never),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, Never),
    (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3, Public),
];

/// Who can be reached at an address.
pub(super) fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let found = IPV4.iter().find(|(network, length, _)| {
        let differing = address.to_bits() ^ network.to_bits();
        differing >> (32 - length) == 0
    });
    found.map_or(Public, |(_, _, reach)| *reach)
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if let Some(reach) = carried(address).into_iter().flatten().map(reach_v4).max() {
        return reach;
    }
    let found = IPV6.iter().find(|(network, length, _)| {
        let differing = address.to_bits() ^ network.to_bits();
        differing >> (128 - length) == 0
    });
    found.map_or(Never, |(_, _, reach)| *reach)
}

/// The addresses that traffic to an address is carried on to, besides itself.
pub(super) fn carried_to(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let carried = match address {
        IpAddr::V4(_) => [None, None],
        IpAddr::V6(address) => carried(address),
    };
    carried.into_iter().flatten().map(IpAddr::V4)
}

/// The IPv4 addresses that traffic to an IPv6 address is carried on to. A mapped one is canonical before it comes here.
fn carried(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let part = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // The machine itself, and no address at all.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => [None, None],
        // IPv4-compatible (RFC 4291), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            [Some(part(high, low)), None]
        }
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => [Some(part(high, low)), None],
        // Teredo (RFC 4380): its server, and its client with all bits turned.
        [0x2001, 0, high, low, .., client_high, client_low] => {
            [Some(part(high, low)), Some(part(!client_high, !client_low))]
        }
        _ => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_form_has_its_verdict() {
        let table: &[(Reach, &[&str])] = &[
            (
                Public,
                &[
                    "1.1.1.1",
                    "8.8.8.8",
                    "9.255.255.255",
                    "11.0.0.0",
                    "100.63.255.255",
                    "100.128.0.0",
                    "126.255.255.255",
                    "128.0.0.0",
                    "169.253.255.255",
                    "169.255.0.0",
                    "172.15.255.255",
                    "172.32.0.0",
                    "192.0.1.0",
                    "192.0.3.0",
                    "192.167.255.255",
                    "192.169.0.0",
                    "198.17.255.255",
                    "198.20.0.0",
                    "223.255.255.255",
                    "2000::",
                    "2001:200::1",
                    "2001:db7:ffff::1",
                    "2001:db9::1",
                    "2606:4700:4700::1111",
                    "2a00:1450:4001:800::200e",
                    "3ffe:ffff::1",
                    "3fff:1000::1",
                    "::ffff:8.8.8.8",
                    "::8.8.8.8",
                    "64:ff9b::8.8.8.8",
                    "2002:808:808::1",
                    // Teredo: server 65.54.227.120, client 8.8.8.8.
                    "2001:0:4136:e378:8000:63bf:f7f7:f7f7",
                ],
            ),
            (
                Private,
                &[
                    "10.0.0.0",
                    "10.255.255.255",
                    "100.64.0.0",
                    "100.127.255.255",
                    "127.0.0.1",
                    "127.255.255.255",
                    "172.16.0.0",
                    "172.31.255.255",
                    "192.168.0.0",
                    "192.168.255.255",
                    "198.18.0.0",
                    "198.19.255.255",
                    "::1",
                    "fc00::",
                    "fd00:ec1::1",
                    "fd00:ec3::1",
                    "fd20:ce::253",
                    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                    "fec0::1",
                    "feff::1",
                    "::ffff:127.0.0.1",
                    "::ffff:10.1.2.3",
                    "::127.0.0.1",
                    "64:ff9b::192.168.1.1",
                    "2002:7f00:1::1",
                    "2002:c0a8:101::",
                    // Teredo: server 10.0.0.1; then client 10.0.0.1.
                    "2001:0:a00:1:8000:63bf:f7f7:f7f7",
                    "2001:0:4136:e378:8000:63bf:f5ff:fffe",
                ],
            ),
            (
                Never,
                &[
                    "0.0.0.0",
                    "0.255.255.255",
                    "100.100.100.200",
                    "168.63.129.16",
                    "169.254.0.0",
                    "169.254.169.254",
                    "169.254.255.255",
                    "192.0.0.0",
                    "192.0.0.192",
                    "192.0.0.255",
                    "192.0.2.1",
                    "192.88.99.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "224.0.0.1",
                    "239.255.255.255",
                    "240.0.0.0",
                    "255.255.255.254",
                    "255.255.255.255",
                    "::",
                    "::2",
                    "::ffff:0.0.0.0",
                    "::ffff:169.254.169.254",
                    "::ffff:0:127.0.0.1",
                    "::169.254.169.254",
                    "64:ff9b::169.254.169.254",
                    "64:ff9b::",
                    "64:ff9b:1::1",
                    "64:ff9b:0:1::8.8.8.8",
                    "100::1",
                    "1fff:ffff::1",
                    "2001:1::1",
                    "2001:20::1",
                    "2001:1ff:ffff::1",
                    "2001:db8::1",
                    "2001:db8:ffff::1",
                    "2002:a9fe:a9fe::1",
                    "2002::1",
                    "2002:e000:1::1",
                    // Teredo: client 169.254.169.254; then server 0.0.0.0.
                    "2001:0:4136:e378:8000:63bf:5601:5601",
                    "2001::1",
                    "3fff::1",
                    "3fff:fff::1",
                    "4000::1",
                    "5f00::1",
                    "fbff::1",
                    "fd00:42::42",
                    "fd00:c1::a9fe:a9fe",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                    "fe00::1",
                    "fe80::1",
                    "fe80::a9fe:a9fe",
                    "febf::1",
                    "ff00::1",
                    "ff02::1",
                    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                ],
            ),
        ];
        for (verdict, addresses) in table {
            for address in *addresses {
                assert_eq!(reach(address.parse().unwrap()), *verdict, "{address}");
            }
        }
    }
}
