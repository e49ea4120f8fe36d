//! The smallest ingress: nginx with `auth_request`, as far as the demo needs it.
//!
//! ```text
//!   /lamplighter/…  ──────────────────────────────────────▶ public listener
//!   all else        ── GET /authz/auth-request ───────────▶ authz listener
//!                      200: with the answer's headers ────▶ upstream
//!                      401: 302 to the answer's Location
//!                      403: a page;  any other answer: 500
//! ```
//!
//! It relays no WebSocket.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

use super::page;
use super::relay::{self, HttpClient};
use super::serve::{self, Peer, Server};

/// What lamplighter's answer decides, in place of whatever the client sent.
const MANAGED: [HeaderName; 6] = [
    header::AUTHORIZATION,
    header::COOKIE,
    HeaderName::from_static("x-forwarded-email"),
    HeaderName::from_static("x-forwarded-group"),
    HeaderName::from_static("x-forwarded-id-token"),
    HeaderName::from_static("x-forwarded-user"),
];

/// What nginx leaves out of the subrequest, and what our nginx sample empties there.
const NOT_FOR_AUTHZ: [&str; 8] = [
    "content-length",
    "expect",
    "proxy-connection",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "forwarded",
];

/// Where a forwarder listens and where it sends what.
#[derive(Clone, Copy, Debug)]
pub struct ForwarderSettings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// lamplighter's public listener.
    pub public: SocketAddr,
    /// lamplighter's authz listener.
    pub authz: SocketAddr,
    /// The UI.
    pub upstream: SocketAddr,
}

/// A running forwarder. It stops when this is dropped.
#[derive(Debug)]
pub struct Forwarder {
    server: Server,
}

impl Forwarder {
    /// Starts a forwarder.
    pub async fn start(settings: ForwarderSettings) -> io::Result<Self> {
        let (listener, address) = serve::bind(settings.listen).await?;
        let routes = Arc::new(Routes { settings, client: relay::client() });
        let service = tower::service_fn(move |request| pass(Arc::clone(&routes), request));
        Ok(Self { server: serve::serve(listener, address, service) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The address to open in a browser.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

struct Routes {
    settings: ForwarderSettings,
    client: HttpClient,
}

async fn pass(routes: Arc<Routes>, request: Request) -> Result<Response, Infallible> {
    let (mut head, body) = request.into_parts();
    sanitize(&mut head.headers);
    Ok(if head.uri.path().starts_with("/lamplighter/") {
        routes.send(head, body, routes.settings.public).await
    } else {
        let verdict = routes.check(&head).await;
        match verdict.status() {
            StatusCode::OK => {
                manage(&mut head.headers, verdict.headers());
                routes.send(head, body, routes.settings.upstream).await
            }
            StatusCode::UNAUTHORIZED => sign_in(verdict.headers()),
            StatusCode::FORBIDDEN => forbidden(verdict.headers()),
            _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    })
}

impl Routes {
    async fn check(&self, head: &Parts) -> Response {
        let mut check = Request::new(Body::empty());
        let path = PathAndQuery::from_static("/authz/auth-request");
        *check.uri_mut() = relay::at(&self.settings.authz.to_string(), Some(&path));
        *check.method_mut() = Method::GET;
        *check.headers_mut() = head.headers.clone();
        for name in NOT_FOR_AUTHZ {
            check.headers_mut().remove(name);
        }
        set(check.headers_mut(), "x-original-url", &original_url(head));
        set(check.headers_mut(), "x-original-method", head.method.as_str());
        set(check.headers_mut(), "x-forwarded-for", &peer(head).to_string());
        relay::send(&self.client, check).await
    }

    async fn send(&self, mut head: Parts, body: Body, to: SocketAddr) -> Response {
        let (host, peer) = (host(&head).to_owned(), peer(&head).to_string());
        set(&mut head.headers, "x-forwarded-for", &peer);
        set(&mut head.headers, "x-forwarded-host", &host);
        set(&mut head.headers, "x-forwarded-proto", "http");
        head.uri = relay::at(&to.to_string(), head.uri.path_and_query());
        relay::send(&self.client, Request::from_parts(head, body)).await
    }
}

/// Drops hop-by-hop headers and, as nginx does, names with an underscore.
fn sanitize(headers: &mut HeaderMap) {
    relay::strip_hop_by_hop(headers);
    let odd: Vec<_> = headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
    for name in odd {
        headers.remove(name);
    }
}

fn manage(headers: &mut HeaderMap, verdict: &HeaderMap) {
    for name in MANAGED {
        headers.remove(&name);
        if let Some(value) = verdict.get(&name).filter(|value| !value.is_empty()) {
            headers.insert(name, value.clone());
        }
    }
}

fn sign_in(verdict: &HeaderMap) -> Response {
    let mut response = StatusCode::UNAUTHORIZED.into_response();
    if verdict.contains_key(header::LOCATION) {
        *response.status_mut() = StatusCode::FOUND;
    }
    for name in [header::LOCATION, header::SET_COOKIE, header::WWW_AUTHENTICATE] {
        if let Some(value) = verdict.get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response
}

fn forbidden(verdict: &HeaderMap) -> Response {
    let reason = verdict.get("x-lamplighter-reason").and_then(|value| value.to_str().ok());
    let text = format!("The gateway refused this request: {}.", reason.unwrap_or("it did not say why"));
    page::response(StatusCode::FORBIDDEN, page::message("403 Forbidden", &text))
}

fn original_url(head: &Parts) -> String {
    format!("http://{}{}", host(head), head.uri.path_and_query().map_or("/", PathAndQuery::as_str))
}

fn host(head: &Parts) -> &str {
    head.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

fn peer(head: &Parts) -> IpAddr {
    head.extensions.get::<Peer>().map_or(Ipv4Addr::LOCALHOST.into(), |peer| peer.0.ip())
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("it was a header or a parsed request line before");
    headers.insert(HeaderName::from_static(name), value);
}

#[cfg(test)]
mod tests;
