//! Where calls to the outside may go: the rules for an address that a tenant wrote, and for every address that its name resolves to.
//!
//! The first half is asked when an address is saved, both halves before every call. It decides; it resolves and connects nothing.

use crate::kernel::{Error, ErrorCode, Url, is_public_address};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The ports that everybody may use.
const PORTS: [u16; 2] = [443, 8443];

/// What a host program allows beyond the public net. Without anything: `https` to public hosts on ports 443 and 8443.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guard {
    /// Hosts that may be private, each with the one port that is allowed, or any.
    private: BTreeMap<String, Option<u16>>,
    ports: BTreeSet<u16>,
    own: BTreeSet<String>,
    plain_http: bool,
}

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blocked {
    /// Neither `https`, nor `http` where that is allowed.
    Scheme,
    /// It has a fragment, which no server ever sees.
    Fragment,
    Port,
    /// The host is, or resolves to, an address that is not of the public net.
    Address,
    /// A name that means something inside a network only.
    HostName,
    /// The host program itself.
    OwnHost,
}

impl Blocked {
    /// The wire form, for example `host_name`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Blocked::Scheme => "scheme",
            Blocked::Fragment => "fragment",
            Blocked::Port => "port",
            Blocked::Address => "address",
            Blocked::HostName => "host_name",
            Blocked::OwnHost => "own_host",
        }
    }
}

impl From<Blocked> for Error {
    fn from(blocked: Blocked) -> Error {
        match blocked {
            Blocked::Scheme => Error::new(ErrorCode::UrlSchemeUnsupported),
            Blocked::Fragment => Error::new(ErrorCode::UrlInvalid).with("reason", blocked.as_str()),
            _ => Error::new(ErrorCode::UrlNotPublic).with("reason", blocked.as_str()),
        }
    }
}

impl Guard {
    /// Allows a private host by its name or address, such as `n8n.internal` (any port) or `10.0.0.5:5678` (that one).
    ///
    /// # Errors
    /// `url_invalid` for what is no host.
    pub fn allow_private(mut self, host: &str) -> Result<Self, Error> {
        let url = Url::parse(&format!("http://{}", host.trim()))?;
        let is_bare = url.as_str().trim_start_matches("http://").find(['/', '?', '#']).is_none();
        if !is_bare {
            return Err(Error::new(ErrorCode::UrlInvalid)
                .message("a private host is a name or an address, with or without a port"));
        }
        // A port that goes without saying was said all the same.
        let said = host
            .trim()
            .rsplit_once(':')
            .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
        self.private.insert(plain(url.host()), said.then(|| url.port()));
        Ok(self)
    }

    /// Allows one more port on every host.
    #[must_use]
    pub fn allow_port(mut self, port: u16) -> Self {
        self.ports.insert(port);
        self
    }

    /// Refuses a name of the host program's own, so that it does not call itself.
    #[must_use]
    pub fn refuse_own(mut self, host: &str) -> Self {
        self.own.insert(plain(host));
        self
    }

    /// Allows `http`, on port 80 too: for development.
    #[must_use]
    pub fn allow_http(self, allow: bool) -> Self {
        Guard { plain_http: allow, ..self }
    }

    /// The hosts that may be private, each with its port if it is bound to one, for those who look after the installation.
    pub fn private_hosts(&self) -> impl Iterator<Item = String> {
        self.private.iter().map(|(host, port)| match port {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        })
    }

    /// Whether calls may go without TLS.
    pub fn allows_http(&self) -> bool {
        self.plain_http
    }

    /// The ports that were allowed beside 443 and 8443.
    pub fn extra_ports(&self) -> impl Iterator<Item = u16> {
        self.ports.iter().copied()
    }

    /// Judges an address by what is written in it. A public name says nothing yet about where it leads.
    pub fn check_url(&self, url: &Url) -> Result<(), Blocked> {
        if !url.is_https() && !self.plain_http {
            return Err(Blocked::Scheme);
        }
        if url.as_str().contains('#') {
            return Err(Blocked::Fragment);
        }
        let (host, port) = (plain(url.host()), url.port());
        if self.own.contains(&host) {
            return Err(Blocked::OwnHost);
        }
        if let Some(allowed) = self.private.get(&host) {
            return if allowed.is_none_or(|only| only == port) { Ok(()) } else { Err(Blocked::Port) };
        }
        if !url.is_public_target() {
            return Err(if address_of(&host).is_some() { Blocked::Address } else { Blocked::HostName });
        }
        let is_plain = !url.is_https() && port == 80;
        if PORTS.contains(&port) || self.ports.contains(&port) || is_plain { Ok(()) } else { Err(Blocked::Port) }
    }

    /// Judges one address that a host resolved to. One that is refused refuses the call, whatever the others are.
    pub fn check_address(&self, host: &str, address: IpAddr) -> Result<(), Blocked> {
        if self.private.contains_key(&plain(host)) || is_public_address(address) {
            Ok(())
        } else {
            Err(Blocked::Address)
        }
    }
}

/// A host as it is compared: lower case, without the final dot of a full name.
fn plain(host: &str) -> String {
    host.trim_end_matches('.').to_ascii_lowercase()
}

/// The address that a host is written as.
fn address_of(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    /// The ranges of the page: first address, length of the prefix.
    const V4: &[([u8; 4], u32)] = &[
        ([0, 0, 0, 0], 8),
        ([10, 0, 0, 0], 8),
        ([100, 64, 0, 0], 10),
        ([127, 0, 0, 0], 8),
        ([169, 254, 0, 0], 16),
        ([172, 16, 0, 0], 12),
        ([192, 0, 0, 0], 24),
        ([192, 0, 2, 0], 24),
        ([192, 88, 99, 0], 24),
        ([192, 168, 0, 0], 16),
        ([198, 18, 0, 0], 15),
        ([198, 51, 100, 0], 24),
        ([203, 0, 113, 0], 24),
        ([224, 0, 0, 0], 4),
        ([240, 0, 0, 0], 4),
    ];
    const V6: &[(&str, u32)] =
        &[("::", 128), ("::1", 128), ("fc00::", 7), ("fe80::", 10), ("ff00::", 8), ("2001:db8::", 32)];

    fn bounds(first: [u8; 4], prefix: u32) -> (u32, u32) {
        let first = u32::from_be_bytes(first);
        (first, first | (u32::MAX.checked_shr(prefix).unwrap_or(0)))
    }

    fn in_a_range(address: u32) -> bool {
        V4.iter().any(|(first, prefix)| {
            let (low, high) = bounds(*first, *prefix);
            (low..=high).contains(&address)
        })
    }

    fn passes(address: impl Into<IpAddr>) -> bool {
        Guard::default().check_address("hooks.example.com", address.into()).is_ok()
    }

    /// The forms of IPv6 that carry an IPv4 address.
    fn carried(address: u32) -> [Ipv6Addr; 3] {
        let (high, low) = ((address >> 16) as u16, address as u16);
        [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
        ]
    }

    #[test]
    fn every_range_of_the_page_is_blocked_from_its_first_to_its_last_address() {
        for (first, prefix) in V4 {
            let (low, high) = bounds(*first, *prefix);
            for address in [low, low + 1, low + (high - low) / 2, high] {
                assert!(!passes(Ipv4Addr::from(address)), "{}", Ipv4Addr::from(address));
                for inside in carried(address) {
                    assert!(!passes(inside), "{inside}");
                }
            }
            for neighbour in [low.checked_sub(1), high.checked_add(1)].into_iter().flatten() {
                assert_eq!(passes(Ipv4Addr::from(neighbour)), !in_a_range(neighbour), "{}", Ipv4Addr::from(neighbour));
            }
        }
        for (first, prefix) in V6 {
            let low = u128::from(first.parse::<Ipv6Addr>().unwrap());
            let high = low | u128::MAX.checked_shr(*prefix).unwrap_or(0);
            for address in [low, low + (high - low) / 2, high] {
                assert!(!passes(Ipv6Addr::from(address)), "{}", Ipv6Addr::from(address));
            }
        }
        assert!(passes("2606:4700::1111".parse::<Ipv6Addr>().unwrap()));
    }

    proptest! {
        #[test]
        fn an_ipv4_address_passes_exactly_outside_the_ranges(address: u32) {
            prop_assert_eq!(passes(Ipv4Addr::from(address)), !in_a_range(address));
            for inside in carried(address) {
                prop_assert_eq!(passes(inside), !in_a_range(address));
            }
        }

        #[test]
        fn an_ipv6_address_outside_global_unicast_never_passes(address: u128) {
            let address = Ipv6Addr::from(address);
            let carries = carried(0).iter().any(|form| form.segments()[..2] == address.segments()[..2]);
            prop_assume!((address.segments()[0] & 0xe000) != 0x2000 && !carries);
            prop_assert!(!passes(address));
        }
    }

    #[track_caller]
    fn judged(guard: &Guard, url: &str) -> Option<Blocked> {
        guard.check_url(&Url::parse(url).unwrap()).err()
    }

    #[test]
    fn addresses_are_judged_as_they_are_written() {
        let guard = Guard::default();
        for (url, verdict) in [
            ("https://n8n.example.com/hook?x=1", None),
            ("https://n8n.example.com:8443/", None),
            ("https://n8n.example.com:8080/", Some(Blocked::Port)),
            ("https://n8n.example.com:80/", Some(Blocked::Port)),
            ("http://n8n.example.com/", Some(Blocked::Scheme)),
            ("https://n8n.example.com/#top", Some(Blocked::Fragment)),
            ("https://127.0.0.1/", Some(Blocked::Address)),
            ("https://2130706433/", Some(Blocked::Address)),
            ("https://10.0.0.5/", Some(Blocked::Address)),
            ("https://169.254.169.254/", Some(Blocked::Address)),
            ("https://[::1]/", Some(Blocked::Address)),
            ("https://[::ffff:10.0.0.1]/", Some(Blocked::Address)),
            ("https://localhost/", Some(Blocked::HostName)),
            ("https://a.localhost/", Some(Blocked::HostName)),
            ("https://printer.local/", Some(Blocked::HostName)),
            ("https://metadata.google.internal./", Some(Blocked::HostName)),
            ("https://intranet/", Some(Blocked::HostName)),
        ] {
            assert_eq!(judged(&guard, url), verdict, "{url}");
        }
    }

    #[test]
    fn the_host_allows_what_it_names_and_nothing_else() {
        let guard = Guard::default().allow_private("N8N.internal").and_then(|g| g.allow_private("10.0.0.5:5678"));
        let guard = guard.unwrap().allow_port(9443).refuse_own("crm.example.com");
        assert_eq!(judged(&guard, "https://n8n.internal:5678/x"), None);
        assert_eq!(judged(&guard, "https://10.0.0.5:5678/"), None);
        assert_eq!(judged(&guard, "https://10.0.0.5/"), Some(Blocked::Port));
        assert_eq!(judged(&guard, "https://10.0.0.6:5678/"), Some(Blocked::Address));
        assert_eq!(judged(&guard, "https://x.n8n.internal/"), Some(Blocked::HostName));
        assert_eq!(judged(&guard, "https://hooks.example.com:9443/"), None);
        assert_eq!(judged(&guard, "https://crm.example.com./"), Some(Blocked::OwnHost));
        assert_eq!(judged(&guard, "http://n8n.internal/"), Some(Blocked::Scheme));
        let plain = guard.clone().allow_http(true);
        assert_eq!(judged(&plain, "http://n8n.internal/"), None);
        assert_eq!(judged(&plain, "http://hooks.example.com/"), None);
        assert_eq!(judged(&plain, "http://hooks.example.com:8080/"), Some(Blocked::Port));
        let private: IpAddr = "10.1.1.1".parse().unwrap();
        assert_eq!(guard.check_address("n8n.INTERNAL.", private), Ok(()));
        assert_eq!(guard.check_address("hooks.example.com", private), Err(Blocked::Address));
        assert!(Guard::default().allow_private("https://n8n.internal/x").is_err());
        assert_eq!(Guard::default().allow_private("a/b").err().map(|e| e.code()), Some(ErrorCode::UrlInvalid));
    }

    #[test]
    fn a_refusal_says_which_rule_it_broke() {
        let told = |blocked: Blocked| {
            let error = Error::from(blocked);
            (error.code().as_str(), error.details().get("reason").and_then(|reason| reason.as_str().map(str::to_owned)))
        };
        assert_eq!(told(Blocked::Scheme), ("url_scheme_unsupported", None));
        assert_eq!(told(Blocked::Address), ("url_not_public", Some("address".to_owned())));
        assert_eq!(told(Blocked::HostName), ("url_not_public", Some("host_name".to_owned())));
        assert_eq!(told(Blocked::OwnHost), ("url_not_public", Some("own_host".to_owned())));
        assert_eq!(told(Blocked::Port), ("url_not_public", Some("port".to_owned())));
    }
}
