//! Accepting connections, with limits: what `axum::serve` leaves open.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::Either;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use http::header::{CONNECTION, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::connection::{Ambiguity, Deadline, Heard, Patience, Told};
use crate::keepalive::keep_alive;
use crate::metrics::Counted;

/// What one listener bears.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time for a request's header lines to arrive, from the first byte on.
    pub header_timeout: Duration,
    /// Time between an answer and the next request. nginx keeps a connection for a minute: one that is closed
    /// from here first, at the moment of a question, is a failed question.
    pub idle_timeout: Duration,
    /// Whether answers say what time it is (RFC 9110 section 6.6.1): an ingress that asks does not read it.
    pub dates: bool,
    /// Whether requests bring bodies that go on to somebody else: then a head with two readings is refused.
    pub bodies: bool,
    /// Connections at a time. Who comes next waits in the kernel's queue until one ends; nobody is turned out.
    pub connections: usize,
    /// Time between the moment at which `/readyz` begins to say no and the one at which listeners close: whoever
    /// sends requests here hears of it late.
    pub notice: Duration,
    /// Time for answers under way after that, and for tunnels to be told.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(90),
            dates: true,
            bodies: true,
            connections: 10_000,
            notice: Duration::from_secs(3),
            drain: Duration::from_secs(10),
        }
    }
}

/// Bytes of header lines: nginx passes on up to 32 KiB. hyper compares between two reads, so that a head of up to twice
/// as many may pass, and none of more.
const MAX_HEADER_BYTES: usize = 64 * 1024;

/// One listener, and who answers there.
#[derive(Debug)]
pub struct Serve<A> {
    /// Where connections arrive.
    pub listener: TcpListener,
    /// Counts the connections that are open.
    pub open: Gauge,
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
        B: Answer,
    {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        if let Err(error) = keep_alive(&self.listener) {
            tracing::debug!(%error, "peers that vanish are not looked for");
        }
        while let Some(place) = place(&places, &mut shutdown).await {
            let arrival = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(arrival) => arrival,
                    Err(error) if is_the_peers(&error) => continue,
                    Err(error) => {
                        // Out of file descriptors: connections have to end before new ones can begin.
                        tracing::warn!(%error, "could not accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = stop_of(&mut shutdown) => break,
            };
            let held = hold(arrival, self.limits, self.answer.clone(), shutdown.clone());
            let counted = Counted::by(&self.open);
            tokio::spawn(async move {
                held.await;
                drop((place, counted));
            });
        }
        drop(self.listener);
        // Every place given back: every connection is done.
        let all = u32::try_from(self.limits.connections).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(self.limits.drain, places.acquire_many(all)).await;
    }
}

/// A place for one more connection; `None` once it is time to stop.
async fn place(
    places: &Arc<Semaphore>,
    shutdown: &mut watch::Receiver<bool>,
) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        biased;
        () = stop_of(shutdown) => None,
        place = Arc::clone(places).acquire_owned() => place.ok(),
    }
}

/// Whether a connection was gone before it was accepted: there is nothing to wait for.
fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Done once it is time to stop.
async fn stop_of(shutdown: &mut watch::Receiver<bool>) {
    // What it yields is a lock on the channel; kept across an await, it would tie the loop to one thread.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// Holds one connection until it ends, keeps us waiting for too long, or is done after `shutdown`.
async fn hold<A, F, B>(
    (stream, peer): (TcpStream, SocketAddr),
    limits: Limits,
    answer: A,
    mut shutdown: watch::Receiver<bool>,
) where
    A: Fn(Request<Incoming>, SocketAddr) -> F + Send + 'static,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Answer,
{
    let deadline = Deadline::begin(Patience { head: limits.header_timeout, idle: limits.idle_timeout });
    let _ = stream.set_nodelay(true);
    let ambiguity = Ambiguity::default();
    let watched = limits.bodies.then(|| ambiguity.clone());
    let heard = TokioIo::new(Heard::new(stream, Arc::clone(&deadline), watched));
    let answers = Arc::clone(&deadline);
    let service = service_fn(move |request: Request<Incoming>| {
        answers.work();
        if !limits.bodies && !request.body().is_end_stream() {
            answers.lose_track();
        }
        let deadline = Arc::clone(&answers);
        let is_last = !request.body().is_end_stream() && request.headers().contains_key(TRANSFER_ENCODING);
        let answering = match refuse(&request, &ambiguity) {
            Some(status) => Either::Left(ready(refusal(status))),
            None => Either::Right(
                survive(&answer, request, peer)
                    .map(move |answer| if is_last { last(answer) } else { answer }),
            ),
        };
        answering.map(|response| Ok::<_, Infallible>(response.map(|body| Told::new(body, deadline))))
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEADER_BYTES)
        .auto_date_header(limits.dates)
        // Where no bodies come, none of any size go either: one buffer is cheaper to send than two.
        .writev(limits.bodies)
        .serve_connection(heard, service);
    let mut connection = pin!(connection.with_upgrades());
    // Looked at only when one of them has something to say, and not at each request.
    let mut events: FuturesUnordered<Pin<Box<dyn Future<Output = Event> + Send>>> = FuturesUnordered::new();
    events.push(Box::pin(async move {
        deadline.missed().await;
        Event::Missed
    }));
    events.push(Box::pin(async move {
        stop_of(&mut shutdown).await;
        Event::Stopping
    }));
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, %peer, "a connection broke off");
                }
                return;
            }
            event = events.select_next_some() => match event {
                Event::Missed => {
                    tracing::debug!(%peer, "a connection kept us waiting for too long");
                    return;
                }
                Event::Stopping => connection.as_mut().graceful_shutdown(),
            },
        }
    }
}

/// What ends a connection from here.
enum Event {
    Missed,
    Stopping,
}

/// The answer, or one that says that there is none: a panic ends one request, and nothing else.
fn survive<A, F, B>(
    answer: &A,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> impl Future<Output = Response<B>> + Send + use<A, F, B>
where
    A: Fn(Request<Incoming>, SocketAddr) -> F,
    F: Future<Output = Response<B>> + Send,
    B: Answer,
{
    let begun = catch_unwind(AssertUnwindSafe(|| answer(request, peer)));
    let answering = match begun {
        Ok(answering) => Either::Left(AssertUnwindSafe(answering).catch_unwind()),
        Err(panicked) => Either::Right(ready(Err(panicked))),
    };
    // What it says may hold anything, so it is the panic hook's alone.
    answering.map(move |answered| {
        answered.unwrap_or_else(|_| {
            tracing::error!(%peer, "an answer panicked");
            refusal(StatusCode::INTERNAL_SERVER_ERROR)
        })
    })
}

/// What came behind a refused request may be a part of it.
fn refusal<B: Default>(status: StatusCode) -> Response<B> {
    let mut response = Response::new(B::default());
    *response.status_mut() = status;
    last(response)
}

/// The last answer on its connection: where a chunked request ends is not followed, nor where a refused one does.
fn last<B>(mut response: Response<B>) -> Response<B> {
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A body that can be sent.
pub trait Answer:
    Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Default + Send + Unpin + 'static
{
}

impl<B> Answer for B where
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Default
        + Send
        + Unpin
        + 'static
{
}

/// Requests that have two readings, or none here: hyper lets them through.
fn refuse<B>(request: &Request<B>, ambiguity: &Ambiguity) -> Option<StatusCode> {
    if ambiguity.is_found() {
        return Some(StatusCode::BAD_REQUEST);
    }
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
