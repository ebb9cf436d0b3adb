//! Redeeming an invitation: one question and one answer over TLS whose root the invitation pins (EN-05).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prost::Message;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::listener::Shared;
use super::pki::{Authority, Invitation, Issued, Leaf, MemberFolder};
use super::segment::Credential;
use super::{NetError, Proxy, tls};

/// Longest question.
const LONGEST_QUESTION: u32 = 16 * 1024;
/// Longest answer: a certificate and a revocation list.
const LONGEST_ANSWER: u32 = 2 << 20;
/// How long redeeming may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Questions of one address in a minute.
const PER_ADDRESS: u32 = 10;
/// Questions of everybody in a minute.
const PER_MINUTE: u32 = 120;
/// What whoever asks too often is told.
const TOO_MANY: &str = "there were too many enrolments in this minute; wait a minute and try again with the same invitation";
const MINUTE: Duration = Duration::from_secs(60);

/// Who makes certificates. Called off the tasks that serve connections, and may block.
pub trait Registrar: Send + Sync + 'static {
    /// See [`Authority::redeem`].
    ///
    /// # Errors
    /// [`NetError`].
    fn redeem(&self, id: &[u8; 8], proof: &[u8], request: &str) -> Result<Issued, NetError>;
    /// See [`Authority::renew`].
    ///
    /// # Errors
    /// [`NetError`].
    fn renew(&self, leaf: &Leaf) -> Result<Issued, NetError>;
    /// The newest revocation list, if there is one here.
    fn list(&self) -> Option<Vec<u8>>;
}

impl Registrar for Authority {
    fn redeem(&self, id: &[u8; 8], proof: &[u8], request: &str) -> Result<Issued, NetError> {
        Self::redeem(self, id, proof, request)
    }

    fn renew(&self, leaf: &Leaf) -> Result<Issued, NetError> {
        Self::renew(self, leaf)
    }

    fn list(&self) -> Option<Vec<u8>> {
        std::fs::read(self.list_path()).ok()
    }
}

/// Enrolment at a listener.
#[derive(Clone)]
pub struct EnrolConfig {
    /// Who makes certificates.
    pub registrar: Arc<dyn Registrar>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Question {
    #[prost(bytes = "vec", tag = "1")]
    pub(super) id: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    pub(super) proof: Vec<u8>,
    #[prost(string, tag = "3")]
    pub(super) request: String,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct Answer {
    #[prost(message, optional, tag = "1")]
    pub(super) issued: Option<Credential>,
    #[prost(string, tag = "2")]
    pub(super) refused: String,
}

/// Redeems an invitation for the member of `folder`, and puts the certificate there.
///
/// # Errors
/// [`NetError`]: the address cannot be reached, its root is not the invitation's, or the invitation is not good.
pub async fn redeem(
    invitation: &Invitation,
    folder: &MemberFolder,
    proxy: Option<&Proxy>,
) -> Result<Leaf, NetError> {
    let late = |_| NetError::Connection(format!("{} does not answer", invitation.address));
    let answer = timeout(PATIENCE, ask(invitation, &folder.request()?, proxy))
        .await
        .map_err(late)??;
    let Some(issued) = answer.issued else {
        return Err(NetError::Refused(answer.refused));
    };
    let issued = Issued::from(issued);
    issued.check_roots(&[invitation.root])?;
    folder.install(&issued)
}

async fn ask(
    invitation: &Invitation,
    request: &str,
    proxy: Option<&Proxy>,
) -> Result<Answer, NetError> {
    let address = &invitation.address;
    let failed = |error: std::io::Error| NetError::Connection(format!("{address}: {error}"));
    let socket = match proxy {
        Some(proxy) => proxy.connect(address).await?,
        None => TcpStream::connect(address).await.map_err(failed)?,
    };
    let federation = invitation.member.federation.clone();
    let config = tls::pinned_client(invitation.root, federation)?;
    let mut tls = TlsConnector::from(Arc::new(config))
        .connect(server_name(address)?, socket)
        .await
        .map_err(failed)?;
    tls::check_exchange(tls.get_ref().1)?;
    let question = Question {
        id: invitation.id.to_vec(),
        proof: invitation.proof(request.as_bytes()),
        request: request.to_owned(),
    };
    write(&mut tls, &question.encode_to_vec())
        .await
        .map_err(failed)?;
    let answer = read(&mut tls, LONGEST_ANSWER).await.map_err(failed)?;
    Answer::decode(answer.as_slice()).map_err(|_| NetError::Breach("an answer that cannot be read"))
}

/// The host of `host:port`, as TLS wants it.
pub(super) fn server_name(address: &str) -> Result<ServerName<'static>, NetError> {
    let host = address
        .rsplit_once(':')
        .map_or(address, |(host, _)| host)
        .trim_matches(|c| c == '[' || c == ']');
    ServerName::try_from(host.to_owned())
        .map_err(|_| NetError::Use(format!("{address} is no HOST:PORT")))
}

/// Answers one question.
pub(super) async fn serve<S>(
    mut stream: S,
    address: SocketAddr,
    shared: &Arc<Shared>,
) -> Result<(), NetError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: std::io::Error| NetError::Connection(format!("enrolment: {error}"));
    let admitted = shared.gate.admit(address.ip(), Instant::now());
    let question = read(&mut stream, LONGEST_QUESTION).await.map_err(failed)?;
    if !admitted {
        let refused = refusal(TOO_MANY);
        reply(&mut stream, &refused).await.map_err(failed)?;
        return Err(NetError::Refused("too many enrolments".to_owned()));
    }
    let question = Question::decode(question.as_slice())
        .map_err(|_| NetError::Breach("a question that cannot be read"))?;
    let enrolment = shared.config.enrolment.clone();
    let made = tokio::task::spawn_blocking(move || {
        let Some(enrolment) = enrolment else {
            return Err(NetError::Refused(
                "no invitations are redeemed here".to_owned(),
            ));
        };
        let id = <[u8; 8]>::try_from(question.id.as_slice())
            .map_err(|_| NetError::Breach("an invitation without a number"))?;
        enrolment
            .registrar
            .redeem(&id, &question.proof, &question.request)
    });
    let made = made
        .await
        .unwrap_or_else(|error| Err(NetError::Connection(error.to_string())));
    let (answer, result) = match made {
        Ok(issued) => {
            let issued = Some(issued.into());
            let refused = String::new();
            (Answer { issued, refused }, Ok(()))
        }
        Err(error) => {
            let refused = match &error {
                NetError::Refused(text) => refusal(text),
                // What is wrong inside the authority is the operator's to read.
                _ => refusal("the request is not acceptable"),
            };
            (refused, Err(error))
        }
    };
    reply(&mut stream, &answer).await.map_err(failed)?;
    result
}

fn refusal(text: &str) -> Answer {
    Answer {
        issued: None,
        refused: text.to_owned(),
    }
}

async fn reply(stream: &mut (impl AsyncWrite + Unpin), answer: &Answer) -> std::io::Result<()> {
    write(stream, &answer.encode_to_vec()).await?;
    stream.shutdown().await
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(bytes.len()).map_err(std::io::Error::other)?;
    stream.write_u32(length).await?;
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Reads a length and that many bytes; refuses on the length (TR-09).
pub(super) async fn read(
    stream: &mut (impl AsyncRead + Unpin),
    longest: u32,
) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u32().await?;
    if length > longest {
        return Err(std::io::Error::other("a message longer than allowed"));
    }
    let mut bytes = Vec::new();
    let read = stream
        .take(u64::from(length))
        .read_to_end(&mut bytes)
        .await?;
    if read < length as usize {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

/// How often anybody may try (EN-05).
#[derive(Default)]
pub(super) struct Gate(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    began: Option<Instant>,
    all: u32,
    each: HashMap<IpAddr, u32>,
}

impl Gate {
    fn admit(&self, address: IpAddr, now: Instant) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.began.is_none_or(|began| now - began >= MINUTE) {
            *counts = Counts {
                began: Some(now),
                ..Counts::default()
            };
        }
        if counts.all >= PER_MINUTE {
            return false;
        }
        let count = counts.each.entry(address).or_default();
        if *count >= PER_ADDRESS {
            return false;
        }
        *count += 1;
        counts.all += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_gate_counts_addresses_and_all() {
        let (gate, now) = (Gate::default(), Instant::now());
        let address = |n: u8| IpAddr::from([10, 0, 0, n]);
        for _ in 0..PER_ADDRESS {
            assert!(gate.admit(address(1), now));
        }
        assert!(!gate.admit(address(1), now));
        let admitted = (0..PER_MINUTE * 2)
            .filter(|n| gate.admit(address(u8::try_from(n % 100 + 2).unwrap()), now));
        assert_eq!(
            u32::try_from(admitted.count()),
            Ok(PER_MINUTE - PER_ADDRESS)
        );
        assert!(gate.admit(address(1), now + MINUTE));
    }

    proptest! {
        #[test]
        fn garbage_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = (Question::decode(bytes.as_slice()), Answer::decode(bytes.as_slice()));
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            if let Ok(read) = runtime.block_on(read(&mut bytes.as_slice(), 64)) {
                prop_assert!(read.len() <= 64);
            }
        }
    }
}
