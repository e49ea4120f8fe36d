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
use crate::edge::{Dialect, reply};

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
    pub fn answer(&self, mut request: Request<Incoming>, peer: SocketAddr) -> Answering {
        if !self.0.trusts(peer.ip()) {
            tracing::warn!(%peer, "somebody who is not in listen.trustedProxies asked the authz listener");
            return at_once(self.0.counted(reply::untrusted_peer()));
        }
        let Some(dialect) = Dialect::at(request.uri().path()) else { return at_once(not_found()) };
        if let Some(reply) = check::answer_at_once(&self.0, dialect, request.headers()) {
            return at_once(self.0.counted(reply.in_room_of(std::mem::take(request.headers_mut()))));
        }
        let gateway = Arc::clone(&self.0);
        Either::Right(Box::pin(async move {
            let reply = check::answer_in_time(&gateway, dialect, request.headers()).await;
            gateway.counted(reply.in_room_of(request.into_parts().0.headers)).map(Full::new)
        }))
    }
}

impl Gateway {
    /// `response` to an ingress, counted.
    fn counted(&self, response: Response<Bytes>) -> Response<Bytes> {
        if response.status() == StatusCode::OK {
            self.metrics.auth_request.pass();
        } else {
            let reason = response.headers().get(reply::X_LAMPLIGHTER_REASON);
            let reason = reason.and_then(|reason| reason.to_str().ok()).unwrap_or_default();
            self.metrics.auth_request.stop(reason);
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

fn not_found() -> Response<Bytes> {
    let text = "lamplighter answers ingresses at /authz/auth-request here; people are served by the public listener\n";
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
