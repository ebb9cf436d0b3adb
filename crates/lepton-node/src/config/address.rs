//! Host and port.

use std::fmt;
use std::str::FromStr;

/// `HOST:PORT`; a host is a name or an address, IPv6 in brackets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// A stand-in while a file is read.
    pub(super) fn from_parts(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
        }
    }

    /// The host, IPv6 in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str = "write HOST:PORT, as \"coordinator.example.org:8443\"";
        let (host, port) = text.rsplit_once(':').ok_or(WANTED)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or(WANTED)?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let good = match bracketed {
            Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_name(host),
        };
        good.then(|| Self {
            host: host.to_owned(),
            port,
        })
        .ok_or(WANTED)
    }
}

/// Letters, digits, dots, hyphens and underscores: no scheme, no path, no user.
fn is_name(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    (1..=253).contains(&host.len()) && host.chars().all(plain)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
