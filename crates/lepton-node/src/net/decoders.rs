//! What comes over a connection before anything is known of its messages (docs/protocols/transport.md).

use bytes::Bytes;
use http_body_util::Full;
use prost::Message;
use tokio_stream::StreamExt;
use tonic::Streaming;
use tonic::codec::Codec as _;

use super::enrol::{Answer, Question, read};
use super::segment::{Chunk, Credential, Hello, Kind, LONGEST_OF_DIALLER, Segment, Welcome};
use super::service::Codec;
use super::session::{Inbox, Outbox};
use crate::decoders::{Decoder, FACTOR, FLOOR};

pub(crate) fn decoders() -> Vec<Decoder> {
    let whole: Vec<_> = segments().iter().map(Message::encode_to_vec).collect();
    let frames: Vec<_> = segments().iter().map(framed).collect();
    let all = vec![frames.concat()];
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
    let length = u32::try_from(asked.len()).expect("a short message");
    let sent = [length.to_be_bytes().as_slice(), &asked].concat();
    let (first, second) = (runtime(), runtime());
    vec![
        Decoder::of_bytes("segment", whole, |bytes| Segment::decode(bytes).is_ok()),
        // A frame's length is believed up to the limit (TR-09).
        Decoder::of_bytes("stream", [frames, all].concat(), move |bytes| {
            read_stream(&first, bytes)
        })
        .taking(FACTOR, FLOOR + LONGEST_OF_DIALLER as u64),
        Decoder::of_bytes("question", vec![asked], |bytes| {
            Question::decode(bytes).is_ok()
        }),
        Decoder::of_bytes("answer", vec![answered], |bytes| {
            Answer::decode(bytes).is_ok()
        }),
        Decoder::of_bytes("length-first", vec![sent], move |mut bytes| {
            second.block_on(read(&mut bytes, 1 << 20)).is_ok()
        }),
        Decoder::of_bytes(
            "proxy-answer",
            vec![b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n".to_vec()],
            |bytes| super::proxy::status(bytes).is_some(),
        ),
    ]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers")
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
    let length = u32::try_from(bytes.len()).expect("a short segment");
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
