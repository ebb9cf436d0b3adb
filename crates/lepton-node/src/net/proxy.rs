//! The way out through an HTTP proxy (RFC 9110, section 9.3.6).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use super::NetError;

/// Longest answer of a proxy.
const LONGEST: usize = 8 * 1024;

/// An HTTP proxy that opens tunnels.
#[derive(Clone)]
pub struct Proxy {
    address: String,
    /// `user:password`, in Base64.
    authorization: Option<Zeroizing<String>>,
}

impl Proxy {
    /// A proxy that asks for a name and a password, which come from a file or the environment, never from the command line.
    ///
    /// # Errors
    /// [`NetError::Use`] for a name with a colon or an address without a port.
    pub fn with_password(address: &str, user: &str, password: &str) -> Result<Self, NetError> {
        if user.contains(':') {
            return Err(NetError::Use("a proxy's user name has no colon".to_owned()));
        }
        let plain = Zeroizing::new(format!("{user}:{password}"));
        Ok(Self {
            authorization: Some(Zeroizing::new(STANDARD.encode(plain.as_bytes()))),
            ..address.parse()?
        })
    }

    /// Opens a tunnel to `target`, `host:port`.
    pub(super) async fn connect(&self, target: &str) -> Result<TcpStream, NetError> {
        let bad =
            |problem: String| NetError::Connection(format!("proxy {}: {problem}", self.address));
        let mut socket = TcpStream::connect(&self.address)
            .await
            .map_err(|error| bad(error.to_string()))?;
        let mut request =
            Zeroizing::new(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"));
        if let Some(authorization) = &self.authorization {
            request.push_str("Proxy-Authorization: Basic ");
            request.push_str(authorization);
            request.push_str("\r\n");
        }
        request.push_str("\r\n");
        let sent = socket.write_all(request.as_bytes()).await;
        sent.map_err(|error| bad(error.to_string()))?;
        let head = read_head(&mut socket).await.map_err(bad)?;
        match status(&head) {
            Some(200..=299) => Ok(socket),
            Some(407) => Err(bad("it wants a user name and a password (407)".to_owned())),
            Some(code) => Err(bad(format!("it does not connect to {target} ({code})"))),
            None => Err(bad("it does not speak HTTP".to_owned())),
        }
    }
}

impl FromStr for Proxy {
    type Err = NetError;

    /// `host:port`, or `http://host:port`.
    fn from_str(text: &str) -> Result<Self, NetError> {
        let address = text.strip_prefix("http://").unwrap_or(text);
        let address = address.strip_suffix('/').unwrap_or(address);
        let port = address
            .rsplit_once(':')
            .map(|(_, port)| port.parse::<u16>());
        let plain = |c: char| c.is_ascii_graphic() && !"/@?#".contains(c);
        if !address.chars().all(plain) || !matches!(port, Some(Ok(1..))) {
            return Err(NetError::Use(
                "a proxy is HOST:PORT, without a password in it".to_owned(),
            ));
        }
        Ok(Self {
            address: address.to_owned(),
            authorization: None,
        })
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

/// Reads the head of an answer, byte by byte: what follows it belongs to the tunnel.
async fn read_head(socket: &mut TcpStream) -> Result<Vec<u8>, String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= LONGEST {
            return Err("its answer does not end".to_owned());
        }
        match socket.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(error) => return Err(format!("it ended the connection ({error})")),
        }
    }
    Ok(head)
}

/// The status code of an answer's head.
pub(super) fn status(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut words = std::str::from_utf8(line).ok()?.split(' ');
    let version = words.next()?;
    let code = words.next()?;
    let good = version.starts_with("HTTP/1.") && code.len() == 3;
    good.then(|| code.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn addresses_have_a_port_and_no_password() {
        for good in ["proxy:3128", "http://proxy:3128/", "[::1]:8080"] {
            assert!(good.parse::<Proxy>().is_ok(), "{good}");
        }
        for bad in [
            "proxy",
            "http://user:pass@proxy:3128",
            "proxy:0",
            "a b:1",
            "https://proxy:1",
        ] {
            assert!(bad.parse::<Proxy>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn garbage_is_no_status(head in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(code) = status(&head) {
                prop_assert!(head.starts_with(b"HTTP/1.") && code < 1000);
            }
        }
    }
}
