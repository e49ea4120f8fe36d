//! Sending a request on, and its answer back.

use std::error::Error as _;
use std::fmt;
use std::mem;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Extensions, Request, Response, StatusCode, Uri};
use http_body_util::{Either, Empty};
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::connector::{Connector, Stream};
use super::slots::{AT_ONCE, Answer, Slot, Slots};
use super::tunnels::Place;
use super::turns::Turns;
use super::upload::Upload;
use super::{Settings, Target, UpstreamError};
use crate::edge::{scrub, websocket};

/// Takes an upgraded connection of the listener's apart: its stream, and what was read ahead.
///
/// Without hyper's wrapping, an idle tunnel costs a few hundred bytes and no buffer.
pub type BareClient = fn(Upgraded) -> Result<(TcpStream, Vec<u8>), Upgraded>;

/// Sends requests to the upstream. Connections are kept and used again.
#[derive(Clone)]
pub struct Forwarder {
    client: Client<Connector, Upload>,
    authority: Authority,
    head_timeout: Duration,
    slots: Slots,
}

/// Why there is no answer of the upstream's.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// It cannot be reached.
    #[error("could not reach the upstream: {0}")]
    Unreachable(String),
    /// It closed the connection, or answered what is no HTTP.
    #[error("the upstream broke off: {0}")]
    BrokeOff(String),
    /// It took too long.
    #[error("the upstream did not answer within {0:?}")]
    TimedOut(Duration),
}

impl Forwarder {
    /// Sends to the upstream of `settings`, without connecting yet.
    pub fn new(settings: &Settings) -> Result<Self, UpstreamError> {
        let connector = Connector::new(settings)?;
        let authority = match &settings.target {
            Target::Http(address) | Target::Https { address, .. } => address.clone(),
            Target::Unix(_) => "localhost".to_owned(),
        };
        let authority =
            Authority::try_from(authority.as_str()).map_err(|_| UpstreamError::Host(authority))?;
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(Duration::from_secs(50))
            .pool_max_idle_per_host(AT_ONCE)
            .retry_canceled_requests(true)
            .set_host(false)
            .build(connector);
        Ok(Self { client, authority, head_timeout: settings.head_timeout, slots: Slots::new(AT_ONCE) })
    }

    /// Sends `request`, whose headers are fit for the upstream, and returns the answer, fit for the client. Where the
    /// upstream had closed the connection meanwhile, what `again` makes takes its place, if that makes something.
    pub async fn forward(
        &self,
        request: Box<Request<Upload>>,
        again: impl FnOnce() -> Option<Request<Upload>>,
    ) -> Result<Response<Answer>, ForwardError> {
        let (mut response, slot) = self.send(request, again).await?;
        if response.status().is_informational() {
            return Err(ForwardError::BrokeOff("it switched protocols, though nobody asked".to_owned()));
        }
        scrub::for_client(response.headers_mut());
        Ok(response.map(|body| Answer::new(body, slot)))
    }

    /// Asks the upstream to switch to a WebSocket, and relays it in `place` for `life` at the most.
    ///
    /// An answer that is no 101 is returned as it is.
    pub async fn tunnel(
        &self,
        mut request: Box<Request<Upload>>,
        (place, life): (Place, Duration),
        bare: BareClient,
    ) -> Result<Response<Either<Incoming, Empty<Bytes>>>, ForwardError> {
        let client = hyper::upgrade::on(&mut *request);
        let (mut head, _) = request.into_parts();
        head.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let asked = head.clone();
        let mut request = Request::from_parts(head, Upload::none());
        let connection = capture_connection(&mut request);
        let again = || Some(Request::from_parts(asked.clone(), Upload::none()));
        let (mut response, _) = self.send(Box::new(request), again).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            // Kubernetes' own proxies close the connection behind an answer that does not say so.
            if let Some(connection) = connection.connection_metadata().as_ref() {
                connection.poison();
            }
            scrub::for_client(response.headers_mut());
            return Ok(response.map(Either::Left));
        }
        if !websocket::is_answer(&asked.headers, response.headers()) {
            return Err(ForwardError::BrokeOff("its Sec-WebSocket-Accept answers another key".to_owned()));
        }
        let upstream = hyper::upgrade::on(&mut response);
        tokio::spawn(join((client, bare), upstream, place, life));
        scrub::for_client(response.headers_mut());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
        Ok(response.map(|_| Either::Right(Empty::new())))
    }

    /// Sends `request`, and the same `again` where the upstream had closed a kept connection meanwhile (RFC 9112
    /// section 9.3.1). The slot is for as long as its connection is in use.
    async fn send(
        &self,
        request: Box<Request<Upload>>,
        again: impl FnOnce() -> Option<Request<Upload>>,
    ) -> Result<(Response<Incoming>, Slot), ForwardError> {
        let slot = self.slots.take().await;
        let failure = match self.send_once(request).await {
            Ok(answer) => return Ok((answer, slot)),
            Err(failure) => failure,
        };
        let error = match failure {
            Failure::Stale(error) => error,
            Failure::Final(error) => return Err(error),
        };
        let Some(again) = again() else { return Err(error) };
        tracing::debug!(%error, "the upstream had closed a connection that was kept: asking once more");
        let answer = Box::pin(self.send_once(Box::new(again))).await?;
        Ok((answer, slot))
    }

    async fn send_once(&self, mut request: Box<Request<Upload>>) -> Result<Response<Incoming>, Failure> {
        let target = mem::take(request.uri_mut());
        *request.uri_mut() = self.address(target);
        *request.version_mut() = http::Version::HTTP_11;
        let progress = request.body().progress();
        let mut answering = pin!(self.client.request(*request));
        loop {
            let before = progress.count();
            match tokio::time::timeout(self.head_timeout, answering.as_mut()).await {
                Ok(answer) => return answer.map_err(|error| Failure::of(&error)),
                Err(_) if progress.count() == before => {
                    return Err(Failure::Final(ForwardError::TimedOut(self.head_timeout)));
                }
                Err(_) => {}
            }
        }
    }

    /// The same target, to the byte, at the upstream. The connector goes nowhere else in any case.
    fn address(&self, target: Uri) -> Uri {
        let mut parts = target.into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").field("authority", &self.authority).finish_non_exhaustive()
    }
}

impl ForwardError {
    /// The reason in one word.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unreachable(_) => "upstream-unreachable",
            Self::BrokeOff(_) => "upstream-broke-off",
            Self::TimedOut(_) => "upstream-timeout",
        }
    }

    /// 502, or 504 where time ran out (RFC 9110 sections 15.6.3 and 15.6.5).
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unreachable(_) | Self::BrokeOff(_) => StatusCode::BAD_GATEWAY,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

/// How a request failed.
enum Failure {
    /// On a connection that had served others, and without a byte of an answer.
    Stale(ForwardError),
    /// In any other way.
    Final(ForwardError),
}

impl Failure {
    fn of(error: &Error) -> Self {
        let mut extras = Extensions::new();
        if let Some(connection) = error.connect_info() {
            connection.get_extras(&mut extras);
        }
        let is_stale = extras.get::<Turns>().is_some_and(Turns::is_unanswered_again);
        if is_stale { Self::Stale(from_hyper(error)) } else { Self::Final(from_hyper(error)) }
    }
}

impl From<Failure> for ForwardError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Stale(error) | Failure::Final(error) => error,
        }
    }
}

fn from_hyper(error: &Error) -> ForwardError {
    let mut cause = error.to_string();
    let mut next = error.source();
    while let Some(inner) = next {
        cause = inner.to_string();
        next = inner.source();
    }
    if error.is_connect() { ForwardError::Unreachable(cause) } else { ForwardError::BrokeOff(cause) }
}

/// Joins the two ends, once both have switched.
async fn join((client, bare): (OnUpgrade, BareClient), upstream: OnUpgrade, place: Place, life: Duration) {
    let (client, upstream) = match tokio::try_join!(client, upstream) {
        Ok(ends) => ends,
        Err(error) => {
            tracing::debug!(%error, "a WebSocket did not come about");
            return;
        }
    };
    let (client, upstream) = (bare(client), bare_upstream(upstream));
    tracing::debug!(
        is_client_bare = client.is_ok(),
        is_upstream_bare = upstream.is_ok(),
        "a WebSocket is open"
    );
    match (client, upstream) {
        (Ok(client), Ok(upstream)) => place.relay(client, upstream, life).await,
        (Ok(client), Err(upstream)) => place.relay(client, (TokioIo::new(upstream), Vec::new()), life).await,
        (Err(client), Ok(upstream)) => place.relay((TokioIo::new(client), Vec::new()), upstream, life).await,
        (Err(client), Err(upstream)) => {
            place.relay((TokioIo::new(client), Vec::new()), (TokioIo::new(upstream), Vec::new()), life).await;
        }
    }
}

fn bare_upstream(upgraded: Upgraded) -> Result<(Stream, Vec<u8>), Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Stream>>()?;
    Ok((parts.io.into_inner(), parts.read_buf.to_vec()))
}
