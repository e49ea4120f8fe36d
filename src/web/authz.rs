//! The authz listener: decisions, and nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
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
    pub async fn answer(self, request: Request<Incoming>, peer: SocketAddr) -> Response<Full<Bytes>> {
        if !self.0.trusts(peer.ip()) {
            tracing::warn!(%peer, "somebody who is not in listen.trustedProxies asked the authz listener");
            return reply::untrusted_peer().map(Full::new);
        }
        let Some(dialect) = Dialect::at(request.uri().path()) else { return not_found().map(Full::new) };
        let response = match check::answer_at_once(&self.0, dialect, request.headers()) {
            Some(response) => response,
            None => check::answer_in_time(&self.0, dialect, request.headers()).await,
        };
        response.map(Full::new)
    }
}

fn not_found() -> Response<Bytes> {
    let text = "lamplighter answers ingresses at /authz/auth-request here; people are served by the public listener\n";
    let mut response = Response::new(Bytes::from_static(text.as_bytes()));
    *response.status_mut() = StatusCode::NOT_FOUND;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
