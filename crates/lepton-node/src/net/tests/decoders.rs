//! Nothing that comes from outside makes a decoder panic or take much memory (TR-09), and no changed document passes (EN-02, EN-03).

use bytes::Bytes;
use http_body_util::Full;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use prost::Message;
use tokio_stream::StreamExt;
use tonic::Streaming;
use tonic::codec::Codec as _;

use super::federation::{Federation, name};
use crate::net::enrol::{Answer, Question, read};
use crate::net::pki::{
    INNER, Invitation, Issued, Leaf, Member, Role, Trust, Usage, chain_from_pem,
};
use crate::net::segment::{Chunk, Credential, Hello, Kind, LONGEST_OF_DIALLER, Segment, Welcome};
use crate::net::service::Codec;
use crate::net::session::{Inbox, Outbox};

/// Most bytes of memory for each byte of input.
const FACTOR: u64 = 40;
/// And for any input: what messages and tables cost that say what is wrong.
const FLOOR: u64 = 32 * 1024;

/// Whether a decoder takes an input.
type Takes = Box<dyn Fn(&[u8]) -> bool>;

/// One decoder, and what it takes.
struct Decoder {
    name: &'static str,
    valid: Vec<Vec<u8>>,
    text: bool,
    /// Memory it may take for any input.
    floor: u64,
    decode: Takes,
}

impl Decoder {
    fn of_bytes(
        name: &'static str,
        valid: Vec<Vec<u8>>,
        decode: impl Fn(&[u8]) -> bool + 'static,
    ) -> Self {
        Self {
            name,
            valid,
            text: false,
            floor: FLOOR,
            decode: Box::new(decode),
        }
    }

    fn of_text(
        name: &'static str,
        valid: &[String],
        decode: impl Fn(&str) -> bool + 'static,
    ) -> Self {
        let valid = valid.iter().map(|text| text.clone().into_bytes()).collect();
        let decode = move |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(&decode);
        Self {
            text: true,
            ..Self::of_bytes(name, valid, decode)
        }
    }

    /// Decodes and measures.
    fn feed(&self, input: &[u8]) -> Result<bool, TestCaseError> {
        let mut taken = false;
        let used = allocation_counter::measure(|| taken = (self.decode)(input));
        let most = FACTOR * input.len() as u64 + self.floor;
        prop_assert!(
            used.bytes_max <= most,
            "{}: {} bytes of memory for {} of input",
            self.name,
            used.bytes_max,
            input.len()
        );
        Ok(taken)
    }
}

fn segments() -> Vec<Segment> {
    let bytes = Bytes::from_static(&[7; 300]);
    let text = || "text ".repeat(20);
    let chunk = Chunk {
        number: 0,
        length: Some(300),
        bytes: bytes.clone(),
        abandoned: false,
    };
    let kinds = [
        Kind::Hello(Hello {
            oldest: 1,
            newest: 1,
            session: bytes.clone(),
            received: 9,
            limit: 1 << 40,
        }),
        Kind::Welcome(Welcome {
            version: 1,
            session: bytes.clone(),
            limit: 5,
            ..Welcome::default()
        }),
        Kind::Chunk(chunk.clone()),
        Kind::Chunk(Chunk {
            number: 1,
            length: Some(1 << 20),
            ..chunk
        }),
        Kind::Ack(0),
        Kind::Revoked(bytes),
        Kind::Renewed(Credential {
            certificate: text(),
            root: text(),
            revoked: text(),
        }),
        Kind::Close(text()),
    ];
    kinds.into_iter().map(Segment::from).collect()
}

/// A segment as gRPC frames it: not compressed, its length, itself.
fn framed(segment: &Segment) -> Vec<u8> {
    let bytes = segment.encode_to_vec();
    let length = u32::try_from(bytes.len()).unwrap();
    [&[0], length.to_be_bytes().as_slice(), &bytes].concat()
}

/// Reads a connection's stream as a listener does, up to its first fault, and puts messages together. Whether any segment was good.
fn read_stream(runtime: &tokio::runtime::Runtime, bytes: &[u8]) -> bool {
    let body = Full::new(Bytes::copy_from_slice(bytes));
    let decoder = Codec::default().decoder();
    let mut stream = Streaming::new_request(decoder, body, None, Some(LONGEST_OF_DIALLER));
    let (mut inbox, mut outbox, mut good) =
        (Inbox::new(1 << 30, u64::MAX), Outbox::default(), false);
    while let Some(Ok(Segment { kind: Some(kind) })) = runtime.block_on(stream.next()) {
        good = true;
        let heard = match kind {
            Kind::Chunk(chunk) => inbox.accept(chunk),
            Kind::Ack(number) => outbox.acknowledge(number),
            _ => Ok(()),
        };
        if heard.is_err() {
            break;
        }
        while inbox.take().is_some() {}
    }
    good
}

fn decoders_of_the_stream() -> Vec<Decoder> {
    let whole: Vec<_> = segments().iter().map(Message::encode_to_vec).collect();
    let frames: Vec<_> = segments().iter().map(framed).collect();
    let all = vec![frames.concat()];
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let question = Question {
        id: vec![1; 8],
        proof: vec![2; 32],
        request: "request ".repeat(50),
    };
    let answer = Answer {
        issued: Some(Credential {
            certificate: "c".repeat(900),
            root: "r".repeat(700),
            revoked: "l".repeat(500),
        }),
        refused: "no".to_owned(),
    };
    let (asked, answered) = (question.encode_to_vec(), answer.encode_to_vec());
    let length = u32::try_from(asked.len()).unwrap().to_be_bytes();
    let sent = [length.as_slice(), &asked].concat();
    let (first, second) = (runtime(), runtime());
    vec![
        Decoder::of_bytes("segment", whole, |bytes| Segment::decode(bytes).is_ok()),
        Decoder {
            // A frame's length is believed up to the limit (TR-09).
            floor: FLOOR + LONGEST_OF_DIALLER as u64,
            ..Decoder::of_bytes("stream", [frames, all].concat(), move |bytes| {
                read_stream(&first, bytes)
            })
        },
        Decoder::of_bytes("question", vec![asked], |bytes| {
            Question::decode(bytes).is_ok()
        }),
        Decoder::of_bytes("answer", vec![answered], |bytes| {
            Answer::decode(bytes).is_ok()
        }),
        Decoder::of_bytes("length first", vec![sent], move |mut bytes| {
            second.block_on(read(&mut bytes, 1 << 20)).is_ok()
        }),
    ]
}

fn decoders_of_documents() -> Vec<Decoder> {
    let (federation, certificate, list, request) = example();
    let authority = &federation.authority;
    let address = "coordinator.example.org:8440";
    let invitation = authority
        .invite(Role::Party, &name("b"), address, 1)
        .unwrap();
    for member in ["c", "d", "e"] {
        federation.member(Role::Party, member);
        authority.revoke(Role::Party, &name(member)).unwrap();
    }
    let root = authority.root_pem().unwrap();
    let roots = chain_from_pem(&root).unwrap();
    let trust = || Trust::new(name("trial"), roots.clone()).unwrap();
    let (for_chain, long) = (trust(), std::fs::read(authority.list_path()).unwrap());
    let lists = vec![
        list.clone(),
        long.clone(),
        pem::parse(&long).unwrap().into_contents(),
    ];
    let read = |path: &str| std::fs::read_to_string(federation.folder.path().join(path)).unwrap();
    let bundle = read("party-c/certificate.pem") + &root + &String::from_utf8(long).unwrap();
    let inner = [
        request,
        read("ca/members.json"),
        read("party-c/member.json"),
        read("party-c/identity.key.pem"),
    ];
    let inner = INNER.into_iter().zip(inner);
    let inner = inner.map(|((name, decode), valid)| Decoder::of_text(name, &[valid], decode));
    let uri = Leaf::parse(&certificate).unwrap().member.uri();
    let documents = vec![
        Decoder::of_bytes("leaf", vec![certificate.clone()], |bytes| {
            Leaf::parse(bytes).is_ok()
        }),
        Decoder::of_bytes("chain in a handshake", vec![certificate], move |bytes| {
            for_chain
                .verify(&[bytes.to_vec().into()], Usage::Client)
                .is_ok()
        }),
        // A fresh one each time, which holds no list yet.
        Decoder::of_bytes("list", lists, move |bytes| {
            Trust::new(name("trial"), roots.clone())
                .unwrap()
                .update(bytes)
                .is_ok()
        }),
        Decoder::of_text("chain", &[root.clone(), root.repeat(3)], |text| {
            chain_from_pem(text).is_ok()
        }),
        Decoder::of_text("bundle", &[bundle], |text| {
            Issued::from_bundle(text).is_ok()
        }),
        Decoder::of_text("invitation", &[invitation.code().to_string()], |text| {
            text.parse::<Invitation>().is_ok()
        }),
        Decoder::of_text("name in a certificate", &[uri], |text| {
            Member::from_uri(text).is_ok()
        }),
    ];
    documents.into_iter().chain(inner).collect()
}

/// A change to a document: where, how many bytes go, which come.
type Edit = (prop::sample::Index, usize, Vec<u8>);

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let cut = prop_oneof![Just(0_usize), Just(1), 0_usize..40, Just(usize::MAX)];
    let odd = prop::sample::select(vec![
        0_u8, 1, 0x7f, 0x80, 0x82, 0x84, 0xff, b'-', b'\n', b'[', b'"',
    ]);
    let put = prop_oneof![
        prop::collection::vec(odd, 0..6),
        prop::collection::vec(any::<u8>(), 0..40),
        (any::<u8>(), 0_usize..3000).prop_map(|(byte, times)| vec![byte; times]),
    ];
    prop::collection::vec((any::<prop::sample::Index>(), cut, put), 0..5)
}

fn changed(document: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut changed = document.to_vec();
    for (at, cut, put) in edits {
        let at = at.index(changed.len() + 1);
        let end = at.saturating_add(*cut).min(changed.len());
        changed.splice(at..end, put.iter().copied()).for_each(drop);
    }
    changed
}

/// Random bytes, changed documents and documents many times over.
#[test]
fn no_decoder_panics_or_takes_much_memory() {
    let mut runner = TestRunner::deterministic();
    for decoder in decoders_of_the_stream()
        .into_iter()
        .chain(decoders_of_documents())
    {
        for valid in &decoder.valid {
            assert!(decoder.feed(valid).unwrap(), "{}", decoder.name);
        }
        let valid = prop::sample::select(decoder.valid.clone());
        let random = prop::collection::vec(any::<u8>(), 0..2000);
        let input = prop_oneof![
            1 => random,
            4 => (valid, edits(), 1_usize..4, 0_usize..30).prop_map(|(valid, edits, few, many)| {
                let times = if few == 1 { many } else { 1 };
                changed(&valid.repeat(times), &edits)
            }),
        ];
        let tested = runner.run(&input, |mut input| {
            if decoder.text {
                input.iter_mut().for_each(|byte| *byte &= 0x7f);
            }
            decoder.feed(&input).map(|_| ())
        });
        tested.unwrap_or_else(|error| panic!("{}: {error}", decoder.name));
    }
}

/// Lengths that promise what never comes.
#[test]
fn a_length_alone_takes_no_memory() {
    let all: Vec<_> = decoders_of_the_stream()
        .into_iter()
        .chain(decoders_of_documents())
        .collect();
    let lies: [&[u8]; 9] = [
        // protobuf: fields 1, 3, 5 and 8 of 2^31 bytes, and of more than there are addresses.
        &[0x0a, 0x80, 0x80, 0x80, 0x80, 0x08],
        &[0x1a, 0x80, 0x80, 0x80, 0x80, 0x08],
        &[0x2a, 0x80, 0x80, 0x80, 0x80, 0x08, 1, 2, 3],
        &[
            0x42, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
        ],
        // gRPC: frames of 4 GiB, and compressed.
        &[0, 0xff, 0xff, 0xff, 0xff, 1],
        &[1, 0, 0, 0, 1, 0],
        // DER: sequences of 2 GiB and without an end.
        &[0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x30],
        &[0x30, 0x80, 0x30, 0x80, 0x30, 0x80],
        // Length first: a megabyte.
        &[0, 0x0f, 0xff, 0xff, 1],
    ];
    for decoder in &all {
        for lie in lies {
            assert!(!decoder.feed(lie).unwrap(), "{}: {lie:?}", decoder.name);
        }
    }
    // And depth: JSON and DER in themselves.
    for (open, times) in [
        (b"[".as_slice(), 100_000),
        (b"{\"a\":", 30_000),
        (&[0x30, 0x83, 1, 0, 0], 3_000),
    ] {
        for decoder in &all {
            assert!(
                !decoder.feed(&open.repeat(times)).unwrap(),
                "{}",
                decoder.name
            );
        }
    }
}

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
