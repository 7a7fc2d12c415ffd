//! Web addresses, and which of them lead into the public net.

use super::error::{Error, ErrorCode, Result};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An absolute `http` or `https` address without credentials. Scheme and host are canonical; path and query are kept byte for byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url(Box<str>);

impl Url {
    /// The most characters an address has.
    pub const MAX: usize = 2048;

    /// # Errors
    /// `url_invalid`, `url_scheme_unsupported`, `url_credentials`.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        // A browser drops line breaks and reads `\` as `/`, which lets an address look like another one.
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
            return Err(ErrorCode::UrlInvalid.into());
        }
        let (scheme, rest) = text.split_once(':').ok_or(ErrorCode::UrlInvalid)?;
        let (scheme, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", 80),
            "https" => ("https", 443),
            other if is_scheme(other) => return Err(ErrorCode::UrlSchemeUnsupported.into()),
            _ => return Err(ErrorCode::UrlInvalid.into()),
        };
        let rest = rest.strip_prefix("//").ok_or(ErrorCode::UrlInvalid)?;
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(ErrorCode::UrlCredentials.into());
        }
        let (host, port) = split_port(authority).ok_or(ErrorCode::UrlInvalid)?;
        let host = ::url::Host::parse(host).map_err(|_| ErrorCode::UrlInvalid)?;
        let port = match port {
            Some(port) if port != default_port => format!(":{port}"),
            _ => String::new(),
        };
        let address = format!("{scheme}://{host}{port}{path}");
        if address.chars().count() > Self::MAX {
            return Err(Error::new(ErrorCode::UrlInvalid).with("max", Self::MAX));
        }
        // The grammar of the rest (percent signs, empty labels) is the standard parser's to judge.
        ::url::Url::parse(&address).map_err(|_| ErrorCode::UrlInvalid)?;
        Ok(Url(address.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_https(&self) -> bool {
        self.0.starts_with("https:")
    }

    /// The host: a name in ASCII, an IPv4 address, or an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        let authority = self.authority();
        split_port(authority).map_or(authority, |(host, _)| host)
    }

    /// The port that is dialled.
    pub fn port(&self) -> u16 {
        let default = if self.is_https() { 443 } else { 80 };
        split_port(self.authority()).and_then(|(_, port)| port).unwrap_or(default)
    }

    fn authority(&self) -> &str {
        let rest = self.0.split_once("//").map_or("", |(_, rest)| rest);
        &rest[..rest.find(['/', '?', '#']).unwrap_or(rest.len())]
    }

    /// Whether the host can be one of the public net. Who fetches must also check the address that the name resolves to
    /// ([`is_public_address`]), because a public name may point anywhere.
    pub fn is_public_target(&self) -> bool {
        match ::url::Host::parse(self.host()) {
            Ok(::url::Host::Ipv4(address)) => is_public_address(IpAddr::V4(address)),
            Ok(::url::Host::Ipv6(address)) => is_public_address(IpAddr::V6(address)),
            Ok(::url::Host::Domain(name)) => is_public_name(&name),
            Err(_) => false,
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Host and port of `host:port` or `[v6]:port`; an empty port is none.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let host_end = if authority.starts_with('[') {
        authority.find(']')? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, port) = authority.split_at(host_end);
    match port.strip_prefix(':') {
        None if port.is_empty() => Some((host, None)),
        Some("") => Some((host, None)),
        Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => Some((host, Some(port.parse().ok()?))),
        _ => None,
    }
}

/// Names that only mean something inside a network.
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    let private = ["localhost", "local", "internal", "localdomain", "lan", "home.arpa"];
    name.contains('.')
        && !private
            .iter()
            .any(|suffix| name.strip_suffix(suffix).is_some_and(|head| head.is_empty() || head.ends_with('.')))
}

/// Whether an address belongs to the public net: not loopback, private, link-local (where clouds keep their metadata), shared by a
/// carrier, multicast, documentation or otherwise reserved, nor an IPv6 form of such an address.
pub fn is_public_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 168, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let v4 = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        // Mapped, and NAT64: as public as the address inside.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => is_public_v4(v4(high, low)),
        [0x2002, high, low, ..] => is_public_v4(v4(high, low)),
        // Teredo, ORCHID, benchmarks and other special purposes; documentation.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Only 2000::/3 is global unicast.
        [first, ..] => (0x2000..=0x3fff).contains(&first),
    }
}

super::text_enum::text_value!(Url, {
    "type": "string", "format": "uri", "maxLength": 2048, "pattern": "^https?://", "description": "An http or https address."
});

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, expected: &str) {
        let url = Url::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.as_str(), expected);
        assert_eq!(Url::parse(url.as_str()).unwrap(), url);
    }

    #[track_caller]
    fn fails(text: &str, code: &str) {
        assert_eq!(
            Url::parse(text).map(|url| url.to_string()).map_err(|error| error.code().as_str()),
            Err(code),
            "{text}"
        );
    }

    #[test]
    fn case_08_addresses() {
        reads("HTTPS://Ex.com:443/A?b=C", "https://ex.com/A?b=C");
        fails("ftp://x.com", "url_scheme_unsupported");
        fails("https://u:p@x.com", "url_credentials");
        let metadata = Url::parse("http://169.254.169.254/").unwrap();
        assert!(!metadata.is_public_target());
    }

    #[test]
    fn path_and_query_stay_as_they_are() {
        reads("http://ex.com/a/../b//%7e?x=%C3%A9#F", "http://ex.com/a/../b//%7e?x=%C3%A9#F");
        reads("https://ex.com", "https://ex.com");
        reads("http://münchen.de:8080?q", "http://xn--mnchen-3ya.de:8080?q");
        reads("http://[2001:DB8::1]:80/", "http://[2001:db8::1]/");
        reads("http://2130706433/", "http://127.0.0.1/");
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "ex.com",
            "https:ex.com",
            "https://",
            "https:///x",
            "https://a b.com",
            "https://ex.com/a b",
            "https://ex.com\\@evil.com",
            "https://ex.com:99999",
            "https://ex.com:8a",
            "https://[::1",
            "https://ex.com/\n",
            "https://ex%00.com/",
        ] {
            // The trailing line break is trimmed away.
            if text.ends_with('\n') {
                reads(text, "https://ex.com/");
            } else {
                fails(text, "url_invalid");
            }
        }
        fails("javascript:alert(1)", "url_scheme_unsupported");
        fails(&format!("https://ex.com/{}", "a".repeat(2048)), "url_invalid");
    }

    #[test]
    fn private_targets_are_told_apart() {
        for host in [
            "localhost",
            "a.localhost",
            "127.0.0.1",
            "0x7f.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "0.0.0.0",
            "255.255.255.255",
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fd00:ec2::254]",
            "[::ffff:10.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[2002:7f00:1::]",
            "[2001:db8::1]",
            "intranet",
            "printer.local",
            "metadata.google.internal",
            "metadata.google.internal.",
        ] {
            assert!(!Url::parse(&format!("http://{host}/")).unwrap().is_public_target(), "{host}");
        }
        for host in
            ["ex.com", "8.8.8.8", "172.32.0.1", "100.128.0.1", "[2606:4700::1111]", "notlocal.com", "internal.com"]
        {
            assert!(Url::parse(&format!("https://{host}:8443/x")).unwrap().is_public_target(), "{host}");
        }
        assert_eq!(Url::parse("https://ex.com:8443/x").unwrap().port(), 8443);
        assert_eq!(Url::parse("http://ex.com").unwrap().port(), 80);
    }
}
