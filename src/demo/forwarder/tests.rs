use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use super::{Forwarder, ForwarderSettings};
use crate::demo::serve::{self, Server};
use crate::demo::testing::{anywhere, client, clock_at};
use crate::demo::upstream::{Upstream, UpstreamSettings};

#[tokio::test]
async fn an_allowed_request_carries_what_the_check_said_and_nothing_of_the_client() {
    let parts =
        start(200, &[("authorization", "Bearer t"), ("x-forwarded-user", "ada"), ("cookie", "theirs=1")])
            .await;
    let request = client().get(parts.url("/pods?a=%2F..")).header("accept", "application/json");
    let request = request.header("x-forwarded-user", "mallory").header("x-forwarded-group", "k8s-admins");
    let request = request.header("cookie", "__Host-lamplighter=s; theirs=1").header("x_forwarded_user", "m");
    let seen: Value = serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();

    let headers = &seen["headers"];
    assert_eq!(seen["path"], "/pods?a=%2F..");
    assert_eq!(
        (&headers["authorization"], &headers["x-forwarded-user"]),
        (&"Bearer t".into(), &"ada".into())
    );
    assert_eq!(headers["cookie"], "theirs=1");
    assert_eq!(headers.get("x-forwarded-group"), None);
    assert_eq!(headers.get("x_forwarded_user"), None);
    assert_eq!(headers["host"], parts.forwarder.address().to_string());
    assert_eq!(headers["x-forwarded-for"], "127.0.0.1");
}

#[tokio::test]
async fn the_check_is_a_get_that_names_the_original() {
    let parts = start(403, &[]).await;
    let request = client().post(parts.url("/a/../b?c=%20")).header("x-original-url", "https://forged/");
    request.header("x-forwarded-uri", "/forged").header("cookie", "c=1").body("body").send().await.unwrap();
    let (line, headers) = parts.asked();
    assert_eq!(line, "GET /authz/auth-request");
    assert_eq!(headers["x-original-method"], "POST");
    assert_eq!(headers["x-original-url"], format!("http://{}/b?c=%20", parts.forwarder.address()));
    assert_eq!(headers["cookie"], "c=1");
    assert!(!headers.contains_key("x-forwarded-uri") && !headers.contains_key("content-length"));
}

#[tokio::test]
async fn without_a_session_the_browser_is_sent_to_sign_in() {
    const LOGIN: &str = "http://site/lamplighter/login?rd=x";
    let parts =
        start(401, &[("location", LOGIN), ("set-cookie", "a=b"), ("authorization", "Bearer leak")]).await;
    let response = client().get(parts.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(
        (&response.headers()["location"], &response.headers()["set-cookie"]),
        (&LOGIN.parse().unwrap(), &"a=b".parse().unwrap())
    );
    assert!(!response.headers().contains_key("authorization"));
    let parts = start(401, &[]).await;
    assert_eq!(client().get(parts.url("/")).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_denial_says_why_and_everything_else_is_an_error() {
    let parts = start(403, &[("x-lamplighter-reason", "no-rule<b>")]).await;
    let response = client().get(parts.url("/")).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert!(response.text().await.unwrap().contains("no-rule&#60;b&#62;"));
    for status in [202, 204, 302, 404, 502] {
        let parts = start(status, &[]).await;
        let response = client().get(parts.url("/")).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR, "{status}");
    }
}

#[tokio::test]
async fn the_gateways_own_paths_are_not_checked() {
    let parts = start(299, &[]).await;
    let request = client().post(parts.url("/lamplighter/logout")).header("cookie", "c=1").body("form=1");
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 299);
    let (line, headers) = parts.asked();
    assert_eq!(line, "POST /lamplighter/logout");
    assert_eq!(headers["cookie"], "c=1");
    assert_eq!(headers["host"], parts.forwarder.address().to_string());
    assert_eq!(
        (&headers["x-forwarded-proto"], &headers["x-forwarded-for"]),
        (&"http".parse().unwrap(), &"127.0.0.1".parse().unwrap())
    );
}

struct Parts {
    forwarder: Forwarder,
    asked: Asked,
    _upstream: Upstream,
    _gateway: Server,
}

type Asked = Arc<Mutex<Vec<(String, HeaderMap)>>>;

impl Parts {
    fn url(&self, path: &str) -> String {
        self.forwarder.url() + path
    }

    fn asked(&self) -> (String, HeaderMap) {
        self.asked.lock().unwrap().last().unwrap().clone()
    }
}

/// A forwarder before a gateway that answers all with `status` and `headers`.
async fn start(status: u16, headers: &'static [(&str, &str)]) -> Parts {
    let asked = Asked::default();
    let (listener, address) = serve::bind(anywhere()).await.unwrap();
    let log = Arc::clone(&asked);
    let gateway = serve::serve(
        listener,
        address,
        tower::service_fn(move |request: Request| {
            let line = format!("{} {}", request.method(), request.uri());
            log.lock().unwrap().push((line, request.headers().clone()));
            async move { Ok::<_, Infallible>(answer(status, headers)) }
        }),
    );
    let upstream = Upstream::start(UpstreamSettings::new(clock_at("2026-11-24T12:00:00Z"))).await.unwrap();
    let settings = ForwarderSettings {
        listen: anywhere(),
        public: address,
        authz: address,
        upstream: upstream.address(),
    };
    Parts {
        forwarder: Forwarder::start(settings).await.unwrap(),
        asked,
        _upstream: upstream,
        _gateway: gateway,
    }
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
    let head = headers
        .iter()
        .fold(Response::builder().status(status), |head, (name, value)| head.header(*name, *value));
    head.body(Body::empty()).unwrap()
}
