//! The page behind the gateway: it shows what arrived.
//!
//! As a page for people, and as JSON for tests (`Accept: application/json`), where the
//! headers are as they came:
//!
//! ```json
//! {"method": "GET", "path": "/", "headers": {"host": "…"}, "token": {"sub": "…"}}
//! ```

mod view;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::body::{self, Body};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use self::view::View;
use super::relay::{self, HttpClient};
use super::serve::{self, Server};
use super::{Clock, jwt, page};

/// The path under which the API server is reached, as Headlamp has it.
const NAMESPACES: &str = "/clusters/main/api/v1/namespaces";

/// What an upstream is started with.
#[derive(Clone)]
pub struct UpstreamSettings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Tells the time.
    pub clock: Clock,
    /// The API server's `host:port`, where there is one.
    pub api_server: Option<SocketAddr>,
}

impl UpstreamSettings {
    /// On a free port, with no API server behind it.
    pub fn new(clock: Clock) -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, 0).into(), clock, api_server: None }
    }
}

/// A running upstream. It stops when this is dropped.
#[derive(Debug)]
pub struct Upstream {
    server: Server,
}

impl Upstream {
    /// Starts an upstream.
    pub async fn start(settings: UpstreamSettings) -> io::Result<Self> {
        let (listener, address) = serve::bind(settings.listen).await?;
        let state = Arc::new(State { settings, client: relay::client() });
        let service = tower::service_fn(move |request| respond(Arc::clone(&state), request));
        Ok(Self { server: serve::serve(listener, address, service) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The same as a URL without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

struct State {
    settings: UpstreamSettings,
    client: HttpClient,
}

async fn respond(state: Arc<State>, request: Request) -> Result<Response, Infallible> {
    Ok(if request.uri().path().starts_with("/clusters/main/") {
        state.ask_api_server(request).await
    } else if wants_json(request.headers()) {
        Json(seen(&request)).into_response()
    } else {
        let namespaces = state.namespaces(request.headers()).await;
        let now = (state.settings.clock)();
        let view = View::new(&request, now, namespaces);
        page::response(StatusCode::OK, view.html())
    })
}

impl State {
    /// Passes on a request for `/clusters/main/…` with the `Authorization` that came along.
    async fn ask_api_server(&self, request: Request) -> Response {
        let Some(api_server) = self.settings.api_server else {
            return (StatusCode::NOT_FOUND, "There is no API server behind this page.\n").into_response();
        };
        let (mut head, body) = request.into_parts();
        let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        let target = target.strip_prefix("/clusters/main").and_then(|target| target.parse().ok());
        head.uri = relay::at(&api_server.to_string(), target.as_ref());
        relay::strip_hop_by_hop(&mut head.headers);
        for name in [header::HOST, header::COOKIE] {
            head.headers.remove(name);
        }
        relay::send(&self.client, Request::from_parts(head, body)).await
    }

    /// The namespaces that the API server lists for the bearer, or its words of refusal.
    async fn namespaces(&self, headers: &HeaderMap) -> Option<Result<Vec<String>, String>> {
        self.settings.api_server?;
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = http::Uri::from_static(NAMESPACES);
        if let Some(token) = headers.get(header::AUTHORIZATION) {
            request.headers_mut().insert(header::AUTHORIZATION, token.clone());
        }
        let response = self.ask_api_server(request).await;
        let status = response.status();
        let body = body::to_bytes(response.into_body(), 1 << 20).await.unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        Some(if status.is_success() {
            let items = body["items"].as_array().into_iter().flatten();
            Ok(items.filter_map(|item| item["metadata"]["name"].as_str()).map(str::to_owned).collect())
        } else {
            Err(format!("{status}: {}", body["message"].as_str().unwrap_or("no message")))
        })
    }
}

fn wants_json(headers: &HeaderMap) -> bool {
    headers.get(header::ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"application/json"))
}

fn seen(request: &Request) -> Value {
    let path = request.uri().path_and_query().map_or("/", PathAndQuery::as_str);
    let headers: Map<_, _> =
        fields(request.headers()).into_iter().map(|(name, value)| (name, value.into())).collect();
    let token = bearer(request.headers()).and_then(|token| jwt::part(&token, 1));
    json!({"method": request.method().as_str(), "path": path, "headers": headers, "token": token})
}

/// The headers in the order of their names; a repeated one as HTTP joins it.
fn fields(headers: &HeaderMap) -> Vec<(String, String)> {
    let mut names: Vec<_> = headers.keys().map(ToString::to_string).collect();
    names.sort();
    names.into_iter().map(|name| (name.clone(), joined(headers, &name))).collect()
}

fn joined(headers: &HeaderMap, name: &str) -> String {
    let values = headers.get_all(name).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect::<Vec<_>>().join(", ")
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    joined(headers, "authorization").strip_prefix("Bearer ").map(str::to_owned)
}

#[cfg(test)]
mod tests;
