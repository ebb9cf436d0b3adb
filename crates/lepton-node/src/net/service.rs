//! The one gRPC method, on both sides: `Attach(stream Segment) returns (stream Segment)` (TR-04).

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::uri::{PathAndQuery, Uri};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::server::StreamingService;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use super::driver::{Connection, Inbound};
use super::segment::{LONGEST, LONGEST_OF_DIALLER, METHOD, Segment};
use super::{Limits, NetError};

/// Segments between a link's task and HTTP/2.
const BETWEEN: usize = 4;
/// Bytes on their way that HTTP/2 allows for each connection.
const HTTP_WINDOW: u32 = 2 << 20;
/// Longest header of a request.
const HEADERS: u32 = 8 * 1024;

pub(super) type Codec = ProstCodec<Segment, Segment>;
type Answer = Result<Response<Outbound>, Status>;

/// Segments to the other side.
pub(super) struct Outbound(ReceiverStream<Segment>);

impl Stream for Outbound {
    type Item = Result<Segment, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx).map(|next| next.map(Ok))
    }
}

/// Answers one request of a connection; hands its two streams to `attach`.
pub(super) async fn answer<A>(
    request: http::Request<hyper::body::Incoming>,
    attach: A,
) -> Result<http::Response<Body>, Infallible>
where
    A: FnOnce(Inbound, mpsc::Sender<Segment>) -> bool + Send + 'static,
{
    if request.uri().path() != METHOD {
        return Ok(Status::unimplemented("no such method").into_http());
    }
    let mut grpc =
        tonic::server::Grpc::new(Codec::default()).max_decoding_message_size(LONGEST_OF_DIALLER);
    Ok(grpc.streaming(Attach(Some(attach)), request).await)
}

struct Attach<A>(Option<A>);

impl<A> StreamingService<Segment> for Attach<A>
where
    A: FnOnce(Inbound, mpsc::Sender<Segment>) -> bool + Send + 'static,
{
    type Response = Segment;
    type ResponseStream = Outbound;
    type Future = std::future::Ready<Answer>;

    fn call(&mut self, request: Request<Streaming<Segment>>) -> Self::Future {
        let (outbound, receiver) = mpsc::channel(BETWEEN);
        let inbound = inbound(request.into_inner());
        let taken = self
            .0
            .take()
            .is_some_and(|attach| attach(inbound, outbound));
        std::future::ready(if taken {
            Ok(Response::new(Outbound(ReceiverStream::new(receiver))))
        } else {
            Err(Status::resource_exhausted("one stream for each connection"))
        })
    }
}

fn inbound(stream: Streaming<Segment>) -> Inbound {
    Box::pin(stream.map(|next| next.map_err(|status| reason(&status))))
}

fn reason(status: &Status) -> String {
    format!("the connection broke: {}", deepest(status))
}

/// HTTP/2 for a listener, with everything bounded (TR-09, TR-10).
pub(super) fn http_server(limits: &Limits) -> hyper::server::conn::http2::Builder<TokioExecutor> {
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .max_concurrent_streams(1)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(HTTP_WINDOW)
        .initial_connection_window_size(HTTP_WINDOW)
        .max_send_buf_size(HTTP_WINDOW as usize / 2);
    builder
}

/// Ends a task when it is dropped.
pub(super) struct AbortOnDrop(pub(super) tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Opens the stream over an encrypted connection.
pub(super) async fn open<S>(stream: S, limits: &Limits) -> Result<Connection, NetError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    Ok(open_dated(stream, limits).await?.0)
}

/// [`open`], with the listener's time as its answer's `date` header has it (RFC 9110, section 6.6.1).
pub(super) async fn open_dated<S>(
    stream: S,
    limits: &Limits,
) -> Result<(Connection, Option<String>), NetError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin + 'static,
{
    let broken = |error: hyper::Error| NetError::Connection(describe(&error));
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.keep_alive)
        .keep_alive_timeout(limits.keep_alive_timeout)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(HTTP_WINDOW)
        .initial_connection_window_size(HTTP_WINDOW)
        .max_header_list_size(HEADERS)
        .max_send_buf_size(HTTP_WINDOW as usize / 2)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let task = AbortOnDrop(tokio::spawn(async move {
        // Its end shows on the stream.
        let _ = connection.await;
    }));
    let (outbound, receiver) = mpsc::channel(BETWEEN);
    let origin = Uri::from_static("https://lepton");
    let mut grpc =
        tonic::client::Grpc::with_origin(Sender(sender), origin).max_decoding_message_size(LONGEST);
    let request = Request::new(ReceiverStream::new(receiver));
    let path = PathAndQuery::from_static(METHOD);
    let answer = grpc
        .streaming(request, path, Codec::default())
        .await
        .map_err(|status| NetError::Connection(deepest(&status)))?;
    let date = answer.metadata().get(http::header::DATE.as_str());
    let date = date.and_then(|date| date.to_str().ok()).map(str::to_owned);
    let connection = Connection {
        inbound: inbound(answer.into_inner()),
        outbound,
        _guard: Box::new(task),
    };
    Ok((connection, date))
}

/// The innermost cause that has something to say.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = inner.to_string();
        cause = inner.source();
    }
    text
}

fn describe(error: &hyper::Error) -> String {
    deepest(error)
}

/// A connection as tonic wants it.
struct Sender(SendRequest<Body>);

impl tower_service::Service<http::Request<Body>> for Sender {
    type Response = http::Response<hyper::body::Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

/// Sixteen or more random bytes nobody guesses.
pub(super) fn random_id() -> Result<Bytes, NetError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        NetError::Connection(format!("no random bytes from the system: {error}"))
    })?;
    Ok(Bytes::copy_from_slice(&id))
}

/// Kept by whoever holds a served connection; dropping it lets the connection go.
pub(super) struct Release(pub(super) Arc<tokio::sync::Notify>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
