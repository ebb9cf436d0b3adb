//! No changed certificate, list or request passes (EN-02, EN-03).

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::federation::{Federation, name};
use crate::decoders::tests::{changed, edits};
use crate::net::pki::{Leaf, Role, Trust, Usage, chain_from_pem};

fn example() -> (Federation, Vec<u8>, Vec<u8>, String) {
    let federation = Federation::new();
    let folder = federation.applicant(Role::Party, "a");
    let request = folder.request().unwrap();
    let (_, issued) = federation.authority.approve(&request, false).unwrap();
    let certificate = chain_from_pem(&issued.certificate)
        .unwrap()
        .remove(0)
        .to_vec();
    let list = std::fs::read(federation.authority.list_path()).unwrap();
    (federation, certificate, list, request)
}

#[test]
fn no_changed_certificate_or_request_passes() {
    let (federation, certificate, _, request) = example();
    let roots = chain_from_pem(&federation.authority.root_pem().unwrap()).unwrap();
    let trust = Trust::new(name("trial"), roots).unwrap();
    for at in 0..certificate.len() {
        for bit in [0, 3, 7] {
            let mut changed = certificate.clone();
            changed[at] ^= 1 << bit;
            let _ = Leaf::parse(&changed);
            assert!(
                trust.verify(&[changed.into()], Usage::Client).is_err(),
                "bit {bit} of byte {at}"
            );
        }
    }
    let der = pem::parse(&request).unwrap().into_contents();
    for at in (0..der.len()).step_by(2) {
        let mut changed = der.clone();
        changed[at] ^= 4;
        let text = pem::encode(&pem::Pem::new("CERTIFICATE REQUEST", changed));
        // The number of unused bits of the signature is not signed: the request is then the same one.
        if let Ok((member, issued)) = federation.authority.approve(&text, false) {
            let leaf = Leaf::parse(&certificate).unwrap();
            assert!(
                member == leaf.member && issued.leaf().unwrap().key == leaf.key,
                "byte {at}"
            );
        }
    }
}

#[test]
fn no_spliced_certificate_or_list_passes() {
    let (federation, certificate, list, _) = example();
    let roots = chain_from_pem(&federation.authority.root_pem().unwrap()).unwrap();
    let trust = Trust::new(name("trial"), roots).unwrap();
    let list = pem::parse(list).unwrap().into_contents();
    let tested = TestRunner::deterministic().run(&edits(), |edits| {
        let other = changed(&certificate, &edits);
        let verified = trust.verify(&[other.clone().into()], Usage::Client);
        prop_assert!(other == certificate || verified.is_err());
        let other = changed(&list, &edits);
        prop_assert!(other == list || trust.update(&other).is_err());
        Ok(())
    });
    tested.unwrap();
}
