//! Certificates, requests, invitations and lists of enrolment (docs/protocols/enrolment.md).

use tempfile::TempDir;

use super::Decoder;
use crate::net::NetError;
use crate::net::pki::{
    Authority, INNER, Invitation, Issued, Leaf, Member, MemberFolder, Name, Role, Trust, Usage,
    chain_from_pem,
};

pub(super) fn decoders() -> Vec<Decoder> {
    let example = Example::new().expect("an authority in a temporary folder");
    let root = example.root.clone();
    let roots = chain_from_pem(&root).expect("its own root");
    let trust = {
        let (federation, roots) = (example.federation.clone(), roots.clone());
        move || Trust::new(federation.clone(), roots.clone()).expect("its own root")
    };
    let for_chain = trust();
    let lists = vec![
        example.short_list.clone(),
        example.list.clone(),
        pem::parse(&example.list)
            .expect("its own list")
            .into_contents(),
    ];
    let certificate = example.certificate.clone();
    let uri = Leaf::parse(&certificate).expect("its own").member.uri();
    let documents = vec![
        Decoder::of_bytes("leaf", vec![certificate.clone()], |bytes| {
            Leaf::parse(bytes).is_ok()
        }),
        Decoder::of_bytes("chain-in-a-handshake", vec![certificate], move |bytes| {
            for_chain
                .verify(&[bytes.to_vec().into()], Usage::Client)
                .is_ok()
        }),
        // A fresh one each time, which holds no list yet.
        Decoder::of_bytes("revocation-list", lists, move |bytes| {
            trust().update(bytes).is_ok()
        }),
        Decoder::of_text("chain", &[root.clone(), root.repeat(3)], |text| {
            chain_from_pem(text).is_ok()
        }),
        Decoder::of_text("bundle", &[example.bundle], |text| {
            Issued::from_bundle(text).is_ok()
        }),
        Decoder::of_text("invitation", &[example.invitation], |text| {
            text.parse::<Invitation>().is_ok()
        }),
        Decoder::of_text("name-in-a-certificate", &[uri], |text| {
            Member::from_uri(text).is_ok()
        }),
    ];
    let inner = INNER.into_iter().zip(example.inner);
    let inner = inner.map(|((name, decode), valid)| Decoder::of_text(name, &[valid], decode));
    documents.into_iter().chain(inner).collect()
}

/// Documents of an authority with one member and three that are revoked.
struct Example {
    federation: Name,
    root: String,
    certificate: Vec<u8>,
    /// Before anybody is revoked, and after.
    short_list: Vec<u8>,
    list: Vec<u8>,
    bundle: String,
    invitation: String,
    /// In the order of [`INNER`].
    inner: [String; 4],
}

impl Example {
    fn new() -> Result<Self, NetError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let federation: Name = "trial".parse()?;
        let authority = Authority::create(&folder.path().join("ca"), federation.clone(), 7, None)?;
        let applicant = member(&folder, &federation, "a")?;
        let request = applicant.request()?;
        let (_, issued) = authority.approve(&request, false)?;
        let certificate = issued.certificate.clone();
        let certificate = chain_from_pem(&certificate)?.remove(0).to_vec();
        let read = |path: &str| {
            std::fs::read(folder.path().join(path)).expect("a file that was just written")
        };
        let text = |path: &str| String::from_utf8(read(path)).expect("a text");
        let list = || std::fs::read(authority.list_path()).expect("a list that was just written");
        let short_list = list();
        let address = "coordinator.example.org:8440";
        let invitation = authority.invite(Role::Party, &"b".parse()?, address, 1)?;
        for name in ["c", "d", "e"] {
            let folder = member(&folder, &federation, name)?;
            let (_, issued) = authority.approve(&folder.request()?, false)?;
            folder.install(&issued)?;
            authority.revoke(Role::Party, &name.parse()?)?;
        }
        let root = authority.root_pem()?;
        let last = String::from_utf8(list()).expect("a text");
        Ok(Self {
            federation,
            certificate,
            short_list,
            bundle: text("c/certificate.pem") + &root + &last,
            list: last.into_bytes(),
            root,
            invitation: invitation.code().to_string(),
            inner: [
                request,
                text("ca/members.json"),
                text("c/member.json"),
                text("c/identity.key.pem"),
            ],
        })
    }
}

fn member(folder: &TempDir, federation: &Name, name: &str) -> Result<MemberFolder, NetError> {
    let about = Member {
        federation: federation.clone(),
        role: Role::Party,
        name: name.parse()?,
    };
    MemberFolder::create(&folder.path().join(name), about, None)
}
