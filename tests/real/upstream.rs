//! A UI that shows what reached it: a page for a person, JSON for a script. At `/echo` is a WebSocket that says everything back,
//! and `/cookies` sets some.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{AppendHeaders, Html, IntoResponse, Json, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONNECTION, SET_COOKIE, UPGRADE};
use http::{HeaderName, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The UI. Ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Upstream {
    /// Listens at `address`, on any port.
    pub(crate) async fn start(address: IpAddr) -> Self {
        let listener = TcpListener::bind((address, 0)).await.expect("the node's address can be listened on");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new().route("/echo", get(echo)).route("/cookies", get(cookies)).fallback(show);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("serves") });
        Self { address, task }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The values under which a header reached the upstream, as it told.
pub(crate) fn arrived<'v>(shown: &'v Value, name: &str) -> Vec<&'v str> {
    let lines = shown["headers"].as_array().expect("the upstream shows headers");
    let of_name = lines.iter().filter(|line| line[0] == name);
    of_name.map(|line| line[1].as_str().expect("a header's value is text")).collect()
}

/// Cookies of an app's own, one of which is no token (RFC 6265 section 4.1.1) and is used all the same.
pub(crate) const COOKIES: [&str; 2] = [r#"settings={"theme":"dark"}; Path=/"#, "plain=1; Path=/; HttpOnly"];

async fn cookies() -> impl IntoResponse {
    (AppendHeaders(COOKIES.map(|cookie| (SET_COOKIE, cookie))), "set")
}

/// Answers the handshake of `Ask::socket`, whose key is always the same (RFC 6455 section 1.3), and says back what comes.
async fn echo(request: Request) -> Response {
    tokio::spawn(async move {
        let upgraded = hyper::upgrade::on(request).await.expect("the connection is handed over");
        let (mut reader, mut writer) = tokio::io::split(TokioIo::new(upgraded));
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    });
    let accept = HeaderName::from_static("sec-websocket-accept");
    let lines = [(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")];
    (StatusCode::SWITCHING_PROTOCOLS, lines, Body::empty()).into_response()
}

async fn show(request: Request) -> Response {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: Vec<[String; 2]> =
        request.headers().iter().map(|(name, value)| [name.to_string(), text(value)]).collect();
    let target = request.uri().to_string();
    let user = request.headers().get("x-forwarded-user").map(text).unwrap_or_default();
    if request.headers().get(ACCEPT).map(text).is_some_and(|accept| accept.contains("text/html")) {
        return Html(page(&target, &user)).into_response();
    }
    Json(json!({"method": request.method().as_str(), "target": target, "headers": headers})).into_response()
}

fn page(target: &str, user: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>The UI</title>\
         <link rel=\"icon\" href=\"data:,\"></head><body><h1>The UI</h1>\
         <p>You are at <code id=\"target\">{target}</code>, as <b id=\"user\">{user}</b>.</p></body></html>"
    )
}
