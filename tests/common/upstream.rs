//! A UI that keeps every byte it is sent, and misbehaves on demand.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::wire::{self, Head};

/// What an upstream says when a test asks for nothing particular.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What an upstream says to a WebSocket's handshake.
pub(crate) const SWITCH: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
      Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A connection to the upstream.
pub(crate) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Line for S {}

/// How one request is answered.
pub(crate) enum Say {
    /// With these bytes; then the next request may come.
    Bytes(Vec<u8>),
    /// With these bytes, and then the connection is cut.
    Cut(Vec<u8>),
    /// Not at all; the connection is cut once it is told.
    CutLater(Arc<Notify>),
    /// With the first bytes, and with the others once `go` is told.
    Halting(Vec<u8>, Arc<Notify>, Vec<u8>),
    /// With the first bytes, and then with the others again and again, as long as the client takes them.
    Endless(Vec<u8>, Vec<u8>),
    /// Not at all, as long as the client waits.
    Nothing,
}

/// One request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    /// The request line and the header lines.
    pub(crate) head: Head,
    /// The body, without its framing.
    pub(crate) body: Vec<u8>,
    /// Trailer lines.
    pub(crate) trailers: Vec<(String, String)>,
    /// Which connection it came by.
    pub(crate) connection: usize,
}

/// The upstream. Gone when it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: Option<SocketAddr>,
    kept: Arc<Kept>,
    running: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    arrived: Mutex<Vec<Arrived>>,
    says: Mutex<VecDeque<Say>>,
    connections: Mutex<usize>,
    open: Mutex<usize>,
}

impl Upstream {
    /// Listens on loopback.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::<Kept>::default();
        let serving = Arc::clone(&kept);
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                tokio::spawn(Arc::clone(&serving).hold(stream));
            }
        });
        Self { address: Some(address), kept, running }
    }

    /// Listens at a Unix socket.
    pub(crate) fn at_socket(path: &std::path::Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let kept = Arc::<Kept>::default();
        let serving = Arc::clone(&kept);
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&serving).hold(stream));
            }
        });
        Self { address: None, kept, running }
    }

    /// Listens on loopback, and speaks TLS.
    pub(crate) async fn with_tls(acceptor: tokio_rustls::TlsAcceptor) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let kept = Arc::<Kept>::default();
        let serving = Arc::clone(&kept);
        let running = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (serving, acceptor) = (Arc::clone(&serving), acceptor.clone());
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serving.hold(stream).await;
                    }
                });
            }
        });
        Self { address: Some(address), kept, running }
    }

    /// `host:port`.
    pub(crate) fn authority(&self) -> String {
        self.address.unwrap().to_string()
    }

    /// Answers the next request that nothing was said about yet.
    pub(crate) fn say(&self, say: Say) {
        self.kept.says.lock().unwrap().push_back(say);
    }

    /// The same, with bytes.
    pub(crate) fn say_bytes(&self, bytes: impl Into<Vec<u8>>) {
        self.say(Say::Bytes(bytes.into()));
    }

    /// All that arrived so far.
    pub(crate) fn arrived(&self) -> Vec<Arrived> {
        self.kept.arrived.lock().unwrap().clone()
    }

    /// What arrived last.
    pub(crate) fn last(&self) -> Arrived {
        self.arrived().pop().expect("a request")
    }

    /// How many requests arrived.
    pub(crate) fn count(&self) -> usize {
        self.kept.arrived.lock().unwrap().len()
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        *self.kept.open.lock().unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Kept {
    async fn hold<S: Line>(self: Arc<Self>, mut stream: S) {
        let connection = {
            let mut connections = self.connections.lock().unwrap();
            *connections += 1;
            *connections
        };
        *self.open.lock().unwrap() += 1;
        let mut ahead = Vec::new();
        while let Some(request) = read(&mut stream, &mut ahead, connection).await {
            let is_websocket = request.head.value("upgrade") == "websocket";
            self.arrived.lock().unwrap().push(request);
            let said = self.says.lock().unwrap().pop_front();
            let goes_on = match said {
                None if is_websocket => {
                    if stream.write_all(SWITCH).await.is_ok() {
                        echo(&mut stream, &ahead).await;
                    }
                    break;
                }
                None => stream.write_all(OK).await.is_ok(),
                Some(Say::Bytes(bytes)) if is_websocket && bytes.starts_with(b"HTTP/1.1 101") => {
                    if stream.write_all(&bytes).await.is_ok() {
                        echo(&mut stream, &ahead).await;
                    }
                    break;
                }
                Some(say) => speak(&mut stream, say).await,
            };
            if !goes_on {
                break;
            }
        }
        drop(stream);
        *self.open.lock().unwrap() -= 1;
    }
}

/// Whether another request may follow.
async fn speak<S: Line>(stream: &mut S, say: Say) -> bool {
    match say {
        Say::Bytes(bytes) => stream.write_all(&bytes).await.is_ok(),
        Say::Cut(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
            false
        }
        Say::CutLater(go) => {
            go.notified().await;
            let _ = stream.shutdown().await;
            false
        }
        Say::Halting(first, go, rest) => {
            let _ = stream.write_all(&first).await;
            let mut byte = [0];
            let goes_on = tokio::select! {
                () = go.notified() => true,
                _ = stream.read(&mut byte) => false,
            };
            goes_on && stream.write_all(&rest).await.is_ok()
        }
        Say::Endless(first, rest) => {
            let mut goes_on = stream.write_all(&first).await.is_ok();
            while goes_on {
                goes_on = stream.write_all(&rest).await.is_ok();
            }
            false
        }
        Say::Nothing => {
            let _ = stream.read(&mut [0]).await;
            false
        }
    }
}

/// Says everything back, until the client has no more to say.
async fn echo<S: Line>(stream: &mut S, ahead: &[u8]) {
    if stream.write_all(ahead).await.is_err() {
        return;
    }
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        if stream.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
    let _ = stream.write_all(b"end").await;
    let _ = stream.shutdown().await;
}

async fn read<S: Line>(stream: &mut S, ahead: &mut Vec<u8>, connection: usize) -> Option<Arrived> {
    let head = wire::read_head(stream, ahead).await?;
    if head.value("expect") == "100-continue" {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.ok()?;
    }
    let (body, trailers) = if head.value("transfer-encoding").contains("chunked") {
        wire::read_chunks(stream, ahead).await?
    } else {
        let len = head.value("content-length").parse().unwrap_or(0);
        (wire::read_exactly(stream, ahead, len).await?, Vec::new())
    };
    Some(Arrived { head, body, trailers, connection })
}
