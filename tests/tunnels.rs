//! Proxy mode: WebSockets, from the handshake to the end.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::upstream::{SWITCH, Upstream};
use common::wire::Wire;
use common::{App, Browser, SCRIPT, Setup, until};
use http::Method;
use tokio::io::AsyncWriteExt as _;

const WATCH: &str = "/clusters/main/api/v1/pods?watch=true";

/// A UI that says everything back, and who talks to it.
struct House {
    app: App,
    upstream: Upstream,
    browser: Browser,
}

impl House {
    async fn with_places(tunnels: usize) -> Self {
        let upstream = Upstream::start().await;
        let setup = Setup::default()
            .in_front_of(&upstream)
            .settings(move |settings| settings.upstream.as_mut().unwrap().tunnels = tunnels);
        let app = setup.start().await;
        let browser = app.signed_in("ada").await;
        Self { app, upstream, browser }
    }

    async fn new() -> Self {
        Self::with_places(10).await
    }

    async fn open(&self) -> Wire {
        self.upstream.say_bytes(SWITCH);
        let mut wire = Wire::open(&self.app, &self.browser).await;
        let answer = wire.upgrade(WATCH, "").await;
        assert_eq!(answer.status, 101);
        assert_eq!(answer.head.value("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        wire
    }
}

#[tokio::test]
async fn bytes_pass_both_ways_as_they_are() {
    let house = House::new().await;
    let mut wire = house.open().await;
    for said in [&b"\x81\x05hello"[..], b"\x89\x00", b"no frame at all\r\n\r\n"] {
        wire.send(said).await;
        assert_eq!(wire.read(said.len()).await, said);
    }
    assert!(house.upstream.last().head.value("authorization").starts_with("Bearer "));
}

#[tokio::test]
async fn ten_megabytes_pass() {
    let house = House::new().await;
    let mut wire = house.open().await;
    let much: Vec<u8> = (0..10_u32 << 20).map(|byte| byte.to_le_bytes()[0]).collect();
    for piece in much.chunks(32 * 1024) {
        wire.send(piece).await;
        assert!(wire.read(piece.len()).await == piece, "what came back is not what was said");
    }
}

#[tokio::test]
async fn who_has_no_more_to_say_still_hears_the_rest() {
    let house = House::new().await;
    let mut wire = house.open().await;
    wire.send("the last word, ").await;
    wire.stream.shutdown().await.unwrap();
    assert_eq!(wire.rest().await, b"the last word, end");
    until("the upstream's connection is over", || house.upstream.open() == 0).await;
}

#[tokio::test]
async fn who_goes_away_frees_the_place() {
    let house = House::with_places(1).await;
    let wire = house.open().await;
    let mut second = Wire::open(&house.app, &house.browser).await;
    assert_eq!(second.upgrade(WATCH, "").await.refusal(), (503, "too-many-tunnels"));
    drop(wire);
    until("the upstream's connection is over", || house.upstream.open() == 0).await;
    house.open().await;
}

#[tokio::test]
async fn signing_out_closes_every_tunnel_of_the_session_and_no_other() {
    let mut house = House::new().await;
    let (mut one, mut two) = (house.open().await, house.open().await);
    let other = house.app.signed_in("ada").await;
    let hers = std::mem::replace(&mut house.browser, other);
    let mut stays = house.open().await;
    let mut hers = hers;
    let page = hers.request(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
    assert_eq!(page.status, 200);
    for wire in [&mut one, &mut two] {
        let last = wire.rest().await;
        assert_eq!((last[0], &last[2..4]), (0x88, &1008_u16.to_be_bytes()[..]), "{last:?}");
    }
    stays.send("still here").await;
    assert_eq!(stays.read(10).await, b"still here");
}

#[tokio::test]
async fn an_upstream_that_does_not_switch_is_heard() {
    let house = House::new().await;
    house.upstream.say_bytes("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!");
    let mut wire = Wire::open(&house.app, &house.browser).await;
    let answer = wire.upgrade(WATCH, "").await;
    assert_eq!((answer.status, answer.text().as_str()), (403, "no!"));
}
