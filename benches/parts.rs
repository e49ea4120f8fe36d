//! The parts that are ours: what a hyper handler costs that does nothing, and an upstream for WebSockets.

use std::convert::Infallible;
use std::future::Future;
use std::iter::repeat_n;
use std::net::Ipv4Addr;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Done;
use super::proxy::{BIG, BIG_BYTES};
use super::wire::Head;

/// The head of the bare answer, but for its one value: status line, name, `content-length`, `date`.
const FIXED_BYTES: usize = "HTTP/1.1 200 OK\r\nauthorization: \r\ncontent-length: 0\r\n\
    date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
    .len();

/// Answers all with 200, an empty body and a head of `head_bytes` bytes.
pub(crate) fn bare(port: u16, head_bytes: usize) -> Done<()> {
    let token = HeaderValue::try_from("x".repeat(head_bytes.saturating_sub(FIXED_BYTES)))?;
    serve(port, move |stream| {
        let token = token.clone();
        async move {
            let answer = service_fn(move |_: Request<Incoming>| {
                let mut response = Response::new(Full::new(Bytes::new()));
                response.headers_mut().insert(http::header::AUTHORIZATION, token.clone());
                std::future::ready(Ok::<_, Infallible>(response))
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        }
    })
}

/// Answers as a UI does: with 900 bytes of JSON, or with many more at [`BIG`].
pub(crate) fn ui(port: u16) -> Done<()> {
    const PIECE: usize = 1 << 16;
    let (small, piece) = (Bytes::from("x".repeat(900)), Bytes::from(vec![b'x'; PIECE]));
    serve(port, move |stream| {
        let (small, piece) = (small.clone(), piece.clone());
        async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let (each, count) = match request.uri().path() {
                    BIG => (&piece, BIG_BYTES / PIECE),
                    _ => (&small, 1),
                };
                let pieces =
                    repeat_n(each.clone(), count).map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
                let mut response = Response::new(StreamBody::new(stream::iter(pieces)));
                let headers = response.headers_mut();
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(CONTENT_LENGTH, HeaderValue::from(each.len() * count));
                // A body that was sent is read before its answer, by whoever answers it.
                async move {
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(response)
                }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        }
    })
}

/// Takes any WebSocket, and says everything back.
pub(crate) fn echo(port: u16) -> Done<()> {
    serve(port, |stream| async move {
        let _ = echo_on(stream).await;
    })
}

fn serve<F>(port: u16, mut hold: impl FnMut(TcpStream) -> F) -> Done<()>
where
    F: Future<Output = ()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(hold(stream));
        }
    })
}

/// The answer to the key of [`super::tunnels::HANDSHAKE`] (RFC 6455 section 1.3).
const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

async fn echo_on(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    let mut piece = [0; 4 * 1024];
    // A request's head ends as an answer's does.
    while Head::read(&head).is_none() {
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            read => head.extend_from_slice(&piece[..read]),
        }
    }
    drop(head);
    stream.write_all(SWITCH.as_bytes()).await?;
    loop {
        match stream.read(&mut piece).await? {
            0 => return Ok(()),
            read => stream.write_all(&piece[..read]).await?,
        }
    }
}
