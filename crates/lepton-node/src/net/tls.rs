//! TLS as the transport uses it: version 1.3, both sides with certificates, hybrid post-quantum key exchange or nothing (TR-01 to TR-03).

use std::fmt;
use std::fs;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, NamedGroup,
    OtherError, ServerConfig, SignatureScheme,
};

use super::NetError;
use super::pki::{
    Fingerprint, IdentityFile, Issued, Leaf, Member, MemberFolder, Name, Role, Trust, Usage,
    chain_from_pem, list_der,
};

/// HTTP/2.
pub(super) const ALPN_LINK: &[u8] = b"h2";
/// Redeeming an invitation.
pub(super) const ALPN_ENROL: &[u8] = b"lepton-enrol/1";

/// A member's certificate and key, and whom it trusts. Clones share them; a renewed certificate serves from the next handshake on.
#[derive(Clone)]
pub struct Credentials(Arc<Inner>);

struct Inner {
    folder: MemberFolder,
    key: IdentityFile,
    trust: Trust,
    current: RwLock<Current>,
}

#[derive(Clone)]
struct Current {
    leaf: Leaf,
    certified: Arc<CertifiedKey>,
}

impl Credentials {
    /// Opens a member's folder.
    ///
    /// # Errors
    /// [`NetError`] when a file is missing, or the certificate does not hold.
    pub fn open(folder: &MemberFolder) -> Result<Self, NetError> {
        let read = |path: std::path::PathBuf| {
            fs::read_to_string(&path).map_err(|error| NetError::file(&path, &error))
        };
        let roots = chain_from_pem(&read(folder.root_path())?)?;
        let trust = Trust::new(folder.member().federation.clone(), roots)?;
        let key = folder.key()?;
        let current = current(folder, &key)?;
        let credentials = Self(Arc::new(Inner {
            folder: folder.clone(),
            key,
            trust,
            current: RwLock::new(current),
        }));
        credentials.refresh_list()?;
        Ok(credentials)
    }

    /// Whom this member trusts.
    #[must_use]
    pub fn trust(&self) -> &Trust {
        &self.0.trust
    }

    /// What the present certificate says.
    #[must_use]
    pub fn leaf(&self) -> Leaf {
        self.current().leaf
    }

    /// The identity key, for frames.
    #[must_use]
    pub fn identity(&self) -> lepton_crypto::IdentityKey {
        self.0.key.identity()
    }

    /// Takes over a renewed certificate, on disk first.
    ///
    /// # Errors
    /// [`NetError`] when it is not this member's.
    pub fn install(&self, issued: &Issued) -> Result<(), NetError> {
        self.0.folder.install(issued)?;
        self.refresh()
    }

    /// Takes over a certificate and a revocation list that were put into the folder by hand. A list that is no good is refused; the old one stays.
    ///
    /// # Errors
    /// [`NetError`].
    pub fn refresh(&self) -> Result<(), NetError> {
        let new = current(&self.0.folder, &self.0.key)?;
        let mut held = self
            .0
            .current
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *held = new;
        drop(held);
        self.refresh_list()
    }

    /// Takes over a revocation list in PEM or DER from somewhere else than the folder, into the folder too.
    pub(super) fn hear_list(&self, list: &[u8]) -> Result<(), NetError> {
        if !self.0.trust.update(list)? {
            return Ok(());
        }
        let path = self.0.folder.list_path();
        let text = pem::encode(&pem::Pem::new("X509 CRL", list_der(list)));
        crate::files::replace(&path, text.as_bytes(), crate::files::Durability::Machine)
            .map_err(|error| NetError::file(&path, &error))
    }

    fn refresh_list(&self) -> Result<(), NetError> {
        let path = self.0.folder.list_path();
        match fs::read(&path) {
            Ok(list) => self.0.trust.update(&list).map(|_| ()),
            // An organisation's own authority may not have any.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(NetError::file(&path, &error)),
        }
    }

    /// The certificate and what is sent along.
    #[cfg(test)]
    pub(super) fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.current().certified.cert.clone()
    }

    fn current(&self) -> Current {
        let held = self.0.current.read();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// For whoever listens: mutual authentication (TR-03).
    pub(super) fn server(&self) -> Result<ServerConfig, NetError> {
        let verifier = Arc::new(Verifier {
            trust: self.0.trust.clone(),
            peer: None,
        });
        let mut config = server_builder()?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![ALPN_LINK.to_vec()];
        Ok(without_memory(config))
    }

    /// For whoever redeems an invitation with this listener: they have no certificate yet (EN-05).
    pub(super) fn enrolment_server(&self) -> Result<ServerConfig, NetError> {
        let mut config = server_builder()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![ALPN_ENROL.to_vec()];
        Ok(without_memory(config))
    }

    /// For whoever dials; `coordinator` is the only name to accept, if given.
    pub(super) fn client(&self, coordinator: Option<Name>) -> Result<ClientConfig, NetError> {
        let verifier = Arc::new(Verifier {
            trust: self.0.trust.clone(),
            peer: coordinator,
        });
        let mut config =
            client_builder(verifier)?.with_client_cert_resolver(Arc::new(self.clone()));
        config.alpn_protocols = vec![ALPN_LINK.to_vec()];
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }
}

/// A client without a certificate, that trusts one root by its fingerprint (EN-05).
pub(super) fn pinned_client(root: Fingerprint, federation: Name) -> Result<ClientConfig, NetError> {
    let verifier = Arc::new(Pinned { root, federation });
    let mut config = client_builder(verifier)?.with_no_client_auth();
    config.alpn_protocols = vec![ALPN_ENROL.to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// Whether a handshake did what is required: belt and braces, since nothing else is offered (TR-02).
pub(super) fn check_exchange(connection: &rustls::CommonState) -> Result<(), NetError> {
    let group = connection
        .negotiated_key_exchange_group()
        .map(|group| group.name());
    let version = connection.protocol_version();
    if group == Some(NamedGroup::X25519MLKEM768)
        && version == Some(rustls::ProtocolVersion::TLSv1_3)
    {
        return Ok(());
    }
    Err(NetError::Breach(
        "a handshake without TLS 1.3 and X25519MLKEM768",
    ))
}

fn current(folder: &MemberFolder, key: &IdentityFile) -> Result<Current, NetError> {
    let path = folder.certificate_path();
    let text = fs::read_to_string(&path).map_err(|error| NetError::file(&path, &error))?;
    let mut chain = chain_from_pem(&text)?;
    let leaf = match chain.first() {
        Some(first) => Leaf::parse(first)?,
        None => return Err(NetError::certificate("the certificate", "missing")),
    };
    if leaf.key != key.public() || leaf.member != *folder.member() {
        return Err(NetError::certificate(
            "the certificate",
            format!("{} is not for this member and its key", path.display()),
        ));
    }
    // The root goes along, for members that know only its fingerprint yet.
    let root = folder.root_path();
    let roots = fs::read_to_string(&root).map_err(|error| NetError::file(&root, &error))?;
    chain.extend(chain_from_pem(&roots)?);
    let signing = provider()
        .key_provider
        .load_private_key(PrivateKeyDer::Pkcs8(key.to_der()))
        .map_err(|error| NetError::certificate("the identity key", error))?;
    Ok(Current {
        leaf,
        certified: Arc::new(CertifiedKey::new(chain, signing)),
    })
}

/// TLS 1.3's ciphers and the one key exchange (TR-02).
fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![
            aws_lc_rs::cipher_suite::TLS13_AES_256_GCM_SHA384,
            aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256,
            aws_lc_rs::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    }
}

fn server_builder() -> Result<rustls::ConfigBuilder<ServerConfig, rustls::WantsVerifier>, NetError>
{
    ServerConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| NetError::Connection(error.to_string()))
}

fn client_builder(
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>, NetError> {
    Ok(ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| NetError::Connection(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier))
}

/// No resumption: every connection shows its certificate, and shows it anew (TR-03).
fn without_memory(mut config: ServerConfig) -> ServerConfig {
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    config
}

impl ResolvesServerCert for Credentials {
    fn resolve(&self, _: rustls::server::ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }
}

impl rustls::client::ResolvesClientCert for Credentials {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.current().certified)
    }

    fn has_certs(&self) -> bool {
        true
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials of {}", self.0.folder.member())
    }
}

/// Checks the other side's certificate against the federation's roots.
struct Verifier {
    trust: Trust,
    /// The only name a listener may have.
    peer: Option<Name>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier of {}", self.trust.federation())
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let leaf = verify(&self.trust, end, between, (Usage::Client, now))?;
        // A coordinator's certificate is for listening (TR-03).
        if leaf.member.role == Role::Coordinator {
            return Err(not_the_one("a coordinator does not dial"));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(old_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let leaf = verify(&self.trust, end, between, (Usage::Server, now))?;
        coordinator(&leaf.member, self.peer.as_ref())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(old_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

/// Trusts the one root with this fingerprint.
#[derive(Debug)]
struct Pinned {
    root: Fingerprint,
    federation: Name,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let root = between
            .iter()
            .find(|root| Fingerprint::of(root) == self.root);
        let root = root.ok_or_else(|| not_the_one("its root is not the invitation's"))?;
        let trust = Trust::new(self.federation.clone(), vec![root.clone().into_owned()])
            .map_err(|error| not_the_one(&error.to_string()))?;
        let leaf = verify(&trust, end, between, (Usage::Server, now))?;
        coordinator(&leaf.member, None)
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(old_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}

fn coordinator(
    member: &Member,
    expected: Option<&Name>,
) -> Result<ServerCertVerified, rustls::Error> {
    if member.role != Role::Coordinator {
        return Err(not_the_one("it is not a coordinator's"));
    }
    if expected.is_some_and(|expected| *expected != member.name) {
        return Err(not_the_one("it is another coordinator's"));
    }
    Ok(ServerCertVerified::assertion())
}

fn verify(
    trust: &Trust,
    end: &CertificateDer<'_>,
    between: &[CertificateDer<'_>],
    (usage, now): (Usage, UnixTime),
) -> Result<Leaf, rustls::Error> {
    let chain: Vec<_> = std::iter::once(end).chain(between).cloned().collect();
    trust.check(&chain, usage, now.as_secs()).map_err(|error| {
        rustls::Error::InvalidCertificate(match error {
            super::pki::Refusal::Path(webpki::Error::CertRevoked) => CertificateError::Revoked,
            super::pki::Refusal::Path(webpki::Error::CertExpired { .. }) => {
                CertificateError::Expired
            }
            super::pki::Refusal::Path(webpki::Error::CertNotValidYet { .. }) => {
                CertificateError::NotValidYet
            }
            super::pki::Refusal::Path(
                webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey,
            ) => CertificateError::UnknownIssuer,
            error => other(&NetError::from(error).to_string()),
        })
    })
}

fn verify_signature(
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, rustls::Error> {
    let algorithms = provider().signature_verification_algorithms;
    rustls::crypto::verify_tls13_signature(message, certificate, signature, &algorithms)
}

fn old_version() -> rustls::Error {
    rustls::Error::General("TLS 1.3 only".to_owned())
}

fn not_the_one(problem: &str) -> rustls::Error {
    rustls::Error::InvalidCertificate(other(problem))
}

fn other(problem: &str) -> CertificateError {
    CertificateError::Other(OtherError(Arc::new(NetError::certificate(
        "the certificate",
        problem,
    ))))
}
