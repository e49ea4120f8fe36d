//! Connecting to the upstream: by TCP, by TLS, by a Unix socket. Always to the one that is configured.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::turns::Turns;
use crate::keepalive::keep_alive;

/// Time for a connection to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the upstream is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How to reach it.
    pub target: Target,
    /// CA certificates, in PEM, beside the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// Time for the head of an answer, counted from the last piece of the request's body.
    pub head_timeout: Duration,
}

/// The usual time for the head of an answer: a list of ten thousand pods takes its time, a dead upstream takes
/// for ever.
pub const HEAD_TIMEOUT: Duration = Duration::from_mins(1);

/// How to reach the upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// Plain HTTP, at `host:port`.
    Http(String),
    /// HTTP over TLS, at a host and `host:port`.
    Https {
        /// The name that the certificate has to hold.
        host: String,
        /// Where to connect.
        address: String,
    },
    /// Plain HTTP over a Unix socket.
    Unix(PathBuf),
}

/// Why the upstream's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// A certificate cannot be read.
    #[error("upstreamCaFile: holds no certificate that can be read: {0}")]
    Certificate(String),
    /// The host is no name.
    #[error("upstream: {0:?} is no host name")]
    Host(String),
}

/// Makes connections, whatever address a request names.
#[derive(Clone)]
pub(super) struct Connector {
    target: Arc<Target>,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

/// A connection to the upstream, and whose turn it is there.
pub(super) struct Stream {
    transport: Transport,
    turns: Turns,
}

enum Transport {
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    Unix(UnixStream),
}

impl Connector {
    pub(super) fn new(settings: &Settings) -> Result<Self, UpstreamError> {
        let tls = match &settings.target {
            Target::Https { host, .. } => Some((tls(settings.ca_pem.as_deref())?, server_name(host)?)),
            Target::Http(_) | Target::Unix(_) => None,
        };
        Ok(Self { target: Arc::new(settings.target.clone()), tls })
    }

    async fn connect(self) -> io::Result<TokioIo<Stream>> {
        let connecting = async {
            match &*self.target {
                Target::Http(address) => tcp(address).await.map(Transport::Tcp),
                Target::Unix(path) => UnixStream::connect(path).await.map(Transport::Unix),
                Target::Https { address, .. } => {
                    let (connector, name) = self.tls.ok_or_else(|| io::Error::other("no TLS settings"))?;
                    let stream = connector.connect(name, tcp(address).await?).await?;
                    Ok(Transport::Tls(Box::new(stream)))
                }
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(transport) => {
                transport.map(|transport| TokioIo::new(Stream { transport, turns: Turns::default() }))
            }
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

async fn tcp(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    keep_alive(&stream)?;
    Ok(stream)
}

fn server_name(host: &str) -> Result<ServerName<'static>, UpstreamError> {
    let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    ServerName::try_from(bare).map_err(|_| UpstreamError::Host(host.to_owned()))
}

/// The system's certificates, and our own.
fn tls(ca_pem: Option<&[u8]>) -> Result<TlsConnector, UpstreamError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for certificate in CertificateDer::pem_slice_iter(ca_pem.unwrap_or_default()) {
        let unusable = |error: &dyn std::error::Error| UpstreamError::Certificate(error.to_string());
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

impl tower::Service<http::Uri> for Connector {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Uri) -> Self::Future {
        Box::pin(self.clone().connect())
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.turns.clone())
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.transport).poll_read(context, buffer))?;
        if buffer.filled().len() > before {
            self.turns.hear();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.turns.ask();
        Pin::new(&mut self.transport).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.turns.ask();
        Pin::new(&mut self.transport).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }
}

impl AsyncRead for Transport {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, slices),
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
        }
    }
}
