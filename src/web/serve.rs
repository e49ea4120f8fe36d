//! Accepting connections, with limits: what `axum::serve` leaves open.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// What one listener bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for a request's header lines to arrive.
    pub header_timeout: Duration,
    /// Connections at a time.
    pub connections: usize,
    /// Time for answers under way when the process ends.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_timeout: Duration::from_secs(10), connections: 10_000, drain: Duration::from_secs(10) }
    }
}

/// Bytes of header lines: nginx passes on up to 32 KiB.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// One listener, and who answers there.
#[derive(Debug)]
pub struct Serve<A> {
    /// Where connections arrive.
    pub listener: TcpListener,
    /// What it bears.
    pub limits: Limits,
    /// Who answers.
    pub answer: A,
}

impl<A> Serve<A> {
    /// Serves until `shutdown` becomes true, then finishes the answers under way.
    pub async fn run<F, B>(self, mut shutdown: watch::Receiver<bool>)
    where
        A: Fn(Request<Incoming>, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = Response<B>> + Send + 'static,
        B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Default + Send + 'static,
    {
        let graceful = GracefulShutdown::new();
        let places = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let (stream, peer) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        // Out of file descriptors: connections have to end before new ones can begin.
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = stop_of(&mut shutdown) => break,
            };
            let connection = graceful.watch(connection(stream, peer, self.limits, self.answer.clone()));
            tokio::spawn(async move {
                if let Err(error) = connection.await {
                    tracing::debug!(%error, %peer, "a connection broke off");
                }
                drop(place);
            });
        }
        drop(self.listener);
        let _ = tokio::time::timeout(self.limits.drain, graceful.shutdown()).await;
    }
}

/// Done once it is time to stop.
async fn stop_of(shutdown: &mut watch::Receiver<bool>) {
    // What it yields is a lock on the channel; kept across an await, it would tie the loop to one thread.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

fn connection<A, F, B>(
    stream: TcpStream,
    peer: SocketAddr,
    limits: Limits,
    answer: A,
) -> http1::Connection<
    TokioIo<TcpStream>,
    impl hyper::service::Service<Request<Incoming>, Response = Response<B>, Error = Infallible, Future: Send>
    + Send,
>
where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Default + Send + 'static,
{
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| {
        let answering = refuse(&request).map_or_else(|| Ok(answer(request, peer)), Err);
        async move {
            match answering {
                Ok(answering) => Ok::<_, Infallible>(answering.await),
                Err(status) => {
                    let mut response = Response::new(B::default());
                    *response.status_mut() = status;
                    Ok(response)
                }
            }
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}

/// Requests that have two readings, or none here: hyper lets them through.
fn refuse<B>(request: &Request<B>) -> Option<StatusCode> {
    let is_known = matches!(
        *request.method(),
        Method::GET
            | Method::HEAD
            | Method::POST
            | Method::PUT
            | Method::PATCH
            | Method::DELETE
            | Method::OPTIONS
    );
    if !is_known {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    let mut hosts = request.headers().get_all(http::header::HOST).iter();
    let host = hosts.next();
    let is_ambiguous = hosts.next().is_some() || host.is_none() || request.uri().authority().is_some();
    is_ambiguous.then_some(StatusCode::BAD_REQUEST)
}
