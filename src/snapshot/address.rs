//! Which addresses no provider may have, whoever writes its endpoint.
//!
//! Pure: the compiler asks for literals in an endpoint, the connector for what a name resolves to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services of clouds outside of the link-local range: Alibaba, Azure, Oracle.
const METADATA_V4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// The same by IPv6: EC2, Google.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];

/// Why an address is not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Link-local, multicast or a cloud's metadata service.
    #[error("the address is link-local or a metadata service, which no provider may be")]
    LinkLocal,
    /// The gateway itself.
    #[error(
        "the address is the gateway's own machine, which only \"sluice run --manifests\" or \
         --allow-loopback-upstreams lets providers be on"
    )]
    Loopback,
}

/// Whether a provider may be at this address.
///
/// # Errors
/// It may not.
pub fn check(address: IpAddr, allow_loopback: bool) -> Result<(), Refused> {
    let address = reached(address);
    let link_local = match address {
        IpAddr::V4(v4) => {
            v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || METADATA_V4.contains(&v4)
        }
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || v6.is_multicast() || METADATA_V6.contains(&v6)
        }
    };
    match () {
        () if link_local => Err(Refused::LinkLocal),
        // The unspecified address reaches the machine itself.
        () if !allow_loopback && (address.is_loopback() || address.is_unspecified()) => {
            Err(Refused::Loopback)
        }
        () => Ok(()),
    }
}

/// The IPv4 address that an IPv6 address stands for; others as they are. Mapped and compatible ones
/// (RFC 4291, 2.5.5), NAT64 (RFC 6052, 2.1), and 6to4 (RFC 3056, 2).
fn reached(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let v4 = |high: u16, low: u16| IpAddr::V4((u32::from(high) << 16 | u32::from(low)).into());
    match v6.segments() {
        // The unspecified address and the loopback look like compatible ones.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => address,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        _ => address,
    }
}

/// The same for the host of a URL, as far as it shows without a look-up.
///
/// # Errors
/// It may not.
pub fn check_host(host: &str, allow_loopback: bool) -> Result<(), Refused> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse::<IpAddr>() {
        return check(address, allow_loopback);
    }
    let name = host.trim_end_matches('.').to_ascii_lowercase();
    match !allow_loopback && (name == "localhost" || name.ends_with(".localhost")) {
        true => Err(Refused::Loopback),
        false => Ok(()),
    }
}

/// Whether a host is an IPv4 address in a form that only the C library reads (`127.1`, `0x7f000001`): it would pass for a name.
pub fn is_odd_number(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
        || last.to_ascii_lowercase().strip_prefix("0x").is_some_and(is_hex);
    is_number && host.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_machine_and_metadata_services_are_refused() {
        for host in [
            "localhost",
            "LOCALHOST.",
            "a.localhost",
            "127.9.9.9",
            "[::1]",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "[2002:7f00:1::1]",
            "[2002::]",
            "[::]",
        ] {
            assert_eq!(check_host(host, false), Err(Refused::Loopback), "{host}");
            assert_eq!(check_host(host, true), Ok(()), "{host}");
        }
        for host in [
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[fd20:ce::254]",
            "[::ffff:169.254.1.1]",
            "[::169.254.169.254]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b::168.63.129.16]",
            "[2002:a9fe:a9fe::1]",
        ] {
            assert_eq!(check_host(host, true), Err(Refused::LinkLocal), "{host}");
        }
        for host in [
            "api.openai.com",
            "10.0.0.1",
            "[2001:db8::1]",
            "localhost.example.com",
            "100.100.100.201",
            "[64:ff9b::8.8.8.8]",
            "[fd20:ce::255]",
        ] {
            assert_eq!(check_host(host, false), Ok(()), "{host}");
        }
    }

    #[test]
    fn numbers_in_disguise_are_told_from_names() {
        for host in ["127.1", "2130706433", "0x7f.1", "0x7f000001", "10.0.0.1.", "1.2.3.4.5"] {
            assert!(is_odd_number(host), "{host}");
        }
        for host in ["127.0.0.1", "api.example.com", "a1", "v1.example", "[::1]", "0xa.example"] {
            assert!(!is_odd_number(host), "{host}");
        }
    }
}
