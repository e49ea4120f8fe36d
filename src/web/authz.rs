//! The authz listener: decisions, and nothing else.

use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::Either;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::{Gateway, check};
use crate::clock::Stopwatch;
use crate::edge::{Dialect, Question, reply};

/// Answers ingresses.
#[derive(Clone, Debug)]
pub struct Authz(Arc<Gateway>);

impl Authz {
    /// Decides with `gateway`.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self(gateway)
    }

    /// Answers one question of `peer`: at once where the answer is in memory, before any router.
    ///
    /// Only an answer that has to wait is boxed: the other kind is moved about in each request.
    pub fn answer(&self, request: Request<Incoming>, peer: SocketAddr) -> Answering {
        let watch = Stopwatch::start();
        let Some(question) = Question::of(&request) else { return at_once(not_found()) };
        if !self.0.trusts(peer.ip()) {
            tracing::warn!(%peer, "somebody who is not in listen.trustedProxies asked the authz listener");
            return at_once(self.0.counted(question.dialect, watch, reply::untrusted_peer()));
        }
        if let Some(response) = check::answer_at_once(&self.0, &question) {
            return at_once(self.0.counted(question.dialect, watch, response));
        }
        let gateway = Arc::clone(&self.0);
        Either::Right(Box::pin(async move {
            let Some(question) = Question::of(&request) else { return not_found().map(Full::new) };
            let response = check::answer_in_time(&gateway, &question).await;
            gateway.counted(question.dialect, watch, response).map(Full::new)
        }))
    }
}

impl Gateway {
    /// `response` to an ingress, counted and timed.
    fn counted(&self, dialect: Dialect, watch: Stopwatch, response: Response<Bytes>) -> Response<Bytes> {
        let decisions = match dialect {
            Dialect::AuthRequest => &self.metrics.auth_request,
            Dialect::ForwardAuth => &self.metrics.forward_auth,
            Dialect::ExtAuthz => &self.metrics.ext_authz,
        };
        if response.status() == StatusCode::OK {
            decisions.pass(watch.elapsed());
        } else {
            let reason = response.headers().get(reply::X_LAMPLIGHTER_REASON);
            let reason = reason.and_then(|reason| reason.to_str().ok()).unwrap_or_default();
            decisions.stop(reason, watch.elapsed());
        }
        response
    }
}

/// An answer that is there, or on its way.
pub type Answering =
    Either<Ready<Response<Full<Bytes>>>, Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send>>>;

fn at_once(response: Response<Bytes>) -> Answering {
    Either::Left(ready(response.map(Full::new)))
}

const NOT_FOUND: &str = "lamplighter answers ingresses here: nginx at /authz/auth-request, Traefik and Caddy at \
    /authz/forward-auth, Envoy below /authz/ext-authz/; people are served by the public listener\n";

fn not_found() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(NOT_FOUND.as_bytes()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
