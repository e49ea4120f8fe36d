//! Proxy mode: where one request ends and the next begins, and what has two readings.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::sync::Arc;

use common::upstream::{Say, Upstream};
use common::wire::{Answer, Wire};
use common::{App, Browser, Setup, until};
use tokio::sync::Notify;

const PODS: &str = "/clusters/main/api/v1/pods";

struct House {
    app: App,
    upstream: Upstream,
    browser: Browser,
}

impl House {
    async fn new() -> Self {
        let upstream = Upstream::start().await;
        let app = Setup::default().in_front_of(&upstream).start().await;
        let browser = app.signed_in("ada").await;
        Self { app, upstream, browser }
    }

    async fn wire(&self) -> Wire {
        Wire::open(&self.app, &self.browser).await
    }

    async fn answered(&self, answer: &str) -> Answer {
        self.upstream.say_bytes(answer);
        self.wire().await.get(PODS).await
    }

    /// The status of the answer to `bytes`, after which the connection has to end or rest.
    async fn refused(&self, bytes: &str) -> String {
        let mut wire = self.wire().await;
        let cookie = format!("Cookie: __Host-lamplighter={}", self.browser.session().unwrap());
        wire.send(bytes.replace("COOKIE", &cookie)).await;
        wire.read_head().await.first
    }
}

const OWN: &str = "COOKIE\r\nSec-Fetch-Site: same-origin\r\n";
const SMUGGLED: &str = "GET /clusters/main/smuggled HTTP/1.1\r\nHost: headlamp.example.com\r\nCOOKIE\r\n\r\n";

#[tokio::test]
async fn a_request_with_two_readings_is_refused_and_nothing_of_it_arrives() {
    let house = House::new().await;
    let host = "Host: headlamp.example.com\r\n";
    for (request, status) in [
        (format!("GET {PODS} HTTP/1.1\r\n{host}Host: evil.example\r\n{OWN}\r\n"), "400"),
        (format!("GET {PODS} HTTP/1.1\r\n{host}{host}{OWN}\r\n"), "400"),
        (format!("GET {PODS} HTTP/1.1\r\n{OWN}\r\n"), "400"),
        (format!("GET http://evil.example{PODS} HTTP/1.1\r\n{host}{OWN}\r\n"), "400"),
        (format!("CONNECT headlamp.example.com:443 HTTP/1.1\r\n{host}{OWN}\r\n"), "405"),
        (format!("TRACE {PODS} HTTP/1.1\r\n{host}{OWN}\r\n"), "405"),
        (format!("BREW {PODS} HTTP/1.1\r\n{host}{OWN}\r\n"), "405"),
        (format!("get {PODS} HTTP/1.1\r\n{host}{OWN}\r\n"), "405"),
        (format!("GET {PODS} HTTP/1.1\r\n{host}X-A: a\r\n b\r\n{OWN}\r\n"), "400"),
        (format!("GET {PODS} HTTP/1.1\r\n{host}X-A : a\r\n{OWN}\r\n"), "400"),
        (format!("GET {PODS} HTTP/1.1\r\n{host}X-A: a\rb\r\n{OWN}\r\n"), "400"),
        (
            format!("POST {PODS} HTTP/1.1\r\n{host}{OWN}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"),
            "400",
        ),
        (format!("POST {PODS} HTTP/1.1\r\n{host}{OWN}Content-Length: 3, 4\r\n\r\nabcd"), "400"),
        (format!("POST {PODS} HTTP/1.1\r\n{host}{OWN}Content-Length: +3\r\n\r\nabc"), "400"),
        (
            format!(
                "POST {PODS} HTTP/1.1\r\n{host}{OWN}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"
            ),
            "400",
        ),
        (format!("POST {PODS} HTTP/1.1\r\n{host}{OWN}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"), "400"),
        (format!("POST {PODS} HTTP/1.0\r\n{host}{OWN}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "400"),
    ] {
        let first = house.refused(&format!("{request}{SMUGGLED}")).await;
        assert_eq!(first.split(' ').nth(1), Some(status), "{request:?}: {first}");
    }
    assert_eq!(house.upstream.count(), 0, "nor of what came behind it");
}

#[tokio::test]
async fn a_request_with_both_lengths_is_refused() {
    let house = House::new().await;
    let host = "Host: headlamp.example.com\r\n";
    for lengths in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "transfer-encoding: chunked\r\nX-A: b\r\ncontent-length: 4\r\n",
    ] {
        let request = format!("POST {PODS} HTTP/1.1\r\n{host}{OWN}{lengths}\r\n0\r\n\r\n{SMUGGLED}");
        let first = house.refused(&request).await;
        assert_eq!(first.split(' ').nth(1), Some("400"), "{lengths:?}: {first}");
    }
    assert_eq!(house.upstream.count(), 0);
}

#[tokio::test]
async fn lines_without_a_carriage_return_are_refused() {
    let house = House::new().await;
    let request = format!("GET {PODS} HTTP/1.1\r\nHost: headlamp.example.com\nX-A: b\r\n{OWN}\r\n");
    assert!(house.refused(&request).await.contains(" 400 "));
    assert_eq!(house.upstream.count(), 0);
}

#[tokio::test]
async fn a_broken_chunk_ends_both_connections() {
    let house = House::new().await;
    for chunks in
        ["5\r\nhelloX\r\n0\r\n\r\n", "zz\r\nhello\r\n", "5;a=\nb\r\nhello\r\n0\r\n\r\n", "-5\r\nhello\r\n"]
    {
        let mut wire = house.wire().await;
        wire.ask(&format!("POST {PODS}"), "Transfer-Encoding: chunked\r\n", chunks).await;
        wire.send(SMUGGLED.replace("COOKIE\r\n", "")).await;
        let said = String::from_utf8_lossy(&wire.rest().await).into_owned();
        assert!(!said.contains("HTTP/1.1 200"), "{chunks:?}: {said}");
    }
    until("no connection is kept", || house.upstream.open() == 0).await;
    assert!(house.upstream.arrived().iter().all(|arrived| !arrived.head.target().contains("smuggled")));
}

#[tokio::test]
async fn requests_that_come_at_once_are_answered_in_turn() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    let (first, second) = (wire.head("GET /a", ""), wire.head("GET /b", ""));
    wire.send(format!("{first}{second}")).await;
    assert_eq!((wire.answer_to("GET").await.status, wire.answer_to("GET").await.status), (200, 200));
    let arrived: Vec<_> = house.upstream.arrived().iter().map(|one| one.head.target().to_owned()).collect();
    assert_eq!(arrived, ["/a", "/b"]);
}

#[tokio::test]
async fn a_target_arrives_to_the_byte() {
    let house = House::new().await;
    for target in [
        "/a%2Fb%2fc",
        "//a//b/",
        "/a;b=c;d",
        "/a?a=%2F&b=%2f+%20&c",
        "/a/../b/./c",
        "/%E4%BD%A0?x=%zz",
        "/?",
        "/a?b?c=/d//e",
        "/clusters/main/api/v1/namespaces/a/services/http:b:80/proxy/%2e%2e/c",
        "/~a!$&'()*+,=:@",
        "/a|b\"{c}",
    ] {
        assert_eq!(house.wire().await.get(target).await.status, 200, "{target}");
        assert_eq!(house.upstream.last().head.target(), target);
    }
}

#[tokio::test]
async fn asking_for_the_options_of_the_server_makes_no_trouble() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    wire.ask("OPTIONS *", "", "").await;
    let answer = wire.answer_to("OPTIONS").await;
    assert!([200, 400].contains(&answer.status), "{answer:?}");
}

#[tokio::test]
async fn a_body_arrives_whatever_the_method() {
    let house = House::new().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        let mut wire = house.wire().await;
        wire.ask(&format!("{method} {PODS}"), "Content-Length: 5\r\n", "hello").await;
        assert_eq!(wire.answer_to(method).await.status, 200);
        let arrived = house.upstream.last();
        assert_eq!((arrived.head.method(), arrived.body.as_slice()), (method, &b"hello"[..]));
        assert_eq!(arrived.head.value("content-length"), "5");
    }
    let mut wire = house.wire().await;
    wire.ask(&format!("POST {PODS}"), "Content-Length: 0\r\n", "").await;
    assert_eq!(wire.answer_to("POST").await.status, 200);
    assert_eq!(house.upstream.last().head.value("content-length"), "0");
}

#[tokio::test]
async fn a_chunked_body_arrives_with_its_trailers() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    let lines = "Transfer-Encoding: chunked\r\nTrailer: X-Sum, Impersonate-User\r\nTE: trailers\r\n";
    let body = "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX-Sum: 42\r\nImpersonate-User: planted\r\n\r\n";
    house.upstream.say_bytes(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Back\r\n\r\n2\r\nok\r\n0\r\nX-Back: 43\r\n\r\n",
    );
    wire.ask(&format!("POST {PODS}"), lines, body).await;
    let answer = wire.answer_to("POST").await;
    let arrived = house.upstream.last();
    assert_eq!(arrived.body, b"hello world");
    assert_eq!(arrived.trailers.len(), 1, "{:?}", arrived.trailers);
    assert_eq!(arrived.trailers[0].1, "42");
    assert_eq!((answer.text().as_str(), answer.trailers[0].1.as_str()), ("ok", "43"));
}

#[tokio::test]
async fn who_waits_to_be_told_to_go_on_is_told() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    wire.ask(&format!("POST {PODS}"), "Content-Length: 5\r\nExpect: 100-continue\r\n", "").await;
    assert!(wire.read_head().await.first.contains(" 100 "));
    wire.send("hello").await;
    assert_eq!(wire.answer_to("POST").await.status, 200);
    assert_eq!(house.upstream.last().body, b"hello");
}

#[tokio::test]
async fn answers_without_a_body_are_framed_as_such() {
    let house = House::new().await;
    for (method, said) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 1234\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let mut wire = house.wire().await;
        house.upstream.say_bytes(said);
        wire.ask(&format!("{method} {PODS}"), "", "").await;
        let answer = wire.answer_to(method).await;
        assert!(said.contains(&answer.status.to_string()) && answer.body.is_empty(), "{answer:?}");
        if method == "HEAD" {
            assert_eq!(answer.head.value("content-length"), "1234");
        }
        assert_eq!(wire.get("/next").await.text(), "ok", "after {said:?}");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let house = House::new().await;
    for said in ["HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it", "HTTP/1.0 200 OK\r\n\r\nall of it"]
    {
        house.upstream.say(Say::Cut(said.into()));
        assert_eq!(house.wire().await.get(PODS).await.text(), "all of it");
    }
}

#[tokio::test]
async fn compressed_bodies_are_not_touched() {
    let house = House::new().await;
    let gzip = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nVary: Accept-Encoding\r\nContent-Length: 4\r\n\r\n\x1f\x08\x00\x01";
    let answer = house.answered(gzip).await;
    assert_eq!(
        (answer.head.value("content-encoding"), answer.body.as_slice()),
        ("gzip", &b"\x1f\x08\x00\x01"[..])
    );
    let mut wire = house.wire().await;
    wire.ask("GET /a", "Accept-Encoding: br;q=1.0, gzip\r\n", "").await;
    wire.answer_to("GET").await;
    assert_eq!(house.upstream.last().head.value("accept-encoding"), "br;q=1.0, gzip");
}

#[tokio::test]
async fn who_goes_away_keeps_no_connection_to_the_upstream() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    house.upstream.say(Say::Halting(Vec::new(), Arc::new(Notify::new()), Vec::new()));
    wire.ask(&format!("POST {PODS}"), "Content-Length: 3\r\n", "abc").await;
    until("it arrived", || house.upstream.count() == 1).await;
    drop(wire);
    until("the upstream is not kept waiting", || house.upstream.open() == 0).await;
    assert_eq!(house.wire().await.get("/next").await.text(), "ok");
}
