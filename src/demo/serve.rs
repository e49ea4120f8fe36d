//! The accept loop that all parts share.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tower::{Service, ServiceExt};

/// A listening server. Dropping it closes the listener and every connection at once.
///
/// `axum::serve` would leave its connections running after an abort, and a peer that is
/// "down" but still answers on kept-alive connections makes tests lie.
#[derive(Debug)]
pub(super) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Who sent a request: an extension of every request that a [`Server`] hands on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Takes the address that the server will have, before it exists.
pub(super) async fn bind(listen: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Serves `service` on `listener` until the handle is dropped.
pub(super) fn serve<S>(listener: TcpListener, address: SocketAddr, service: S) -> Server
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    Server { address, task: tokio::spawn(accept(listener, service)) }
}

async fn accept<S>(listener: TcpListener, service: S)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, peer)) = listener.accept() => {
                connections.spawn(converse(stream, Peer(peer), service.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse<S>(stream: TcpStream, peer: Peer, service: S)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    // Small answers should not wait for Nagle's algorithm; without it they only come later.
    let _ = stream.set_nodelay(true);
    let service = service.map_request(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request.map(Body::new)
    });
    let service = TowerToHyperService::new(service);
    // A peer that hangs up is nothing to report here.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
