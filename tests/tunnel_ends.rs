//! Proxy mode: how WebSockets end, and what is looked at before they begin.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::files::Folder;
use common::process::SESSION_KEY;
use common::upstream::{SWITCH, Say, Upstream};
use common::wire::{HANDSHAKE, LONG, Wire};
use common::{App, Browser, SCRIPT, SESSION_SECONDS, Setup, until};
use http::Method;
use lamplighter::auth::code::CodeKey;
use lamplighter::demo::api_server::TokenFault;
use lamplighter::proxy::Target;
use lamplighter::random;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;

const WATCH: &str = "/clusters/main/api/v1/pods?watch=true";

/// Close frames, as RFC 6455 section 5.5.1 has them.
const SESSION_ENDED: &[u8] = b"\x88\x0f\x03\xf0session ended";
const GOING_AWAY: &[u8] = b"\x88\x0c\x03\xe9going away";

struct House {
    app: App,
    upstream: Upstream,
    browser: Browser,
    _folder: Folder,
}

impl House {
    async fn new() -> Self {
        let (upstream, folder) = (Upstream::start().await, Folder::new());
        let setup = Setup::default().in_front_of(&upstream);
        let setup = setup.with_fallback(&folder, Target::Http(upstream.authority()));
        let app = setup.limits(|limits| limits.drain = LONG).start().await;
        let browser = app.signed_in("ada").await;
        Self { app, upstream, browser, _folder: folder }
    }

    async fn open(&self) -> Wire {
        let mut wire = Wire::open(&self.app, &self.browser).await;
        assert_eq!(wire.upgrade(WATCH, "").await.status, 101);
        wire
    }

    async fn sign_out(&self) {
        let mut browser = self.browser.clone();
        let page = browser.request(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
        assert_eq!(page.status, 200);
    }

    /// Comes in by the fallback; the lines that go with each request there.
    async fn come_in(&self) -> (SocketAddr, String) {
        let address = self.app.fallback.unwrap();
        let code = CodeKey::derive(SESSION_KEY.as_bytes()).issue(random::bytes(), self.app.clock.now());
        let (form, host) = (format!("code={code}"), format!("localhost:{}", address.port()));
        let mut wire = Wire::to(address).await;
        wire.send(format!(
            "POST /lamplighter/fallback HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Length: {}\r\n\r\n{form}",
            form.len()
        ))
        .await;
        let answer = wire.answer_to("POST").await;
        let cookie = answer.head.value("set-cookie").split(';').next().unwrap().to_owned();
        (address, format!("Host: {host}\r\nCookie: {cookie}\r\n"))
    }

    /// Opens a WebSocket at the fallback.
    async fn open_at((address, lines): &(SocketAddr, String)) -> Wire {
        let mut wire = Wire::to(*address).await;
        let handshake = HANDSHAKE
            .replace("https://headlamp.example.com", &format!("http://localhost:{}", address.port()));
        wire.send(format!("GET {WATCH} HTTP/1.1\r\n{lines}{handshake}\r\n")).await;
        assert_eq!(wire.answer_to("GET").await.status, 101);
        wire
    }

    async fn until_closed(&self) {
        let waiting = async { while TcpStream::connect(self.app.public).await.is_ok() {} };
        tokio::time::timeout(LONG, waiting).await.expect("listeners close");
    }
}

#[tokio::test]
async fn px_10_a_tunnel_ends_with_its_session() {
    let house = House::new().await;
    let mut wire = house.open().await;
    house.app.advance(SESSION_SECONDS - 60);
    wire.send(b"\x81\x02hi").await;
    assert_eq!(wire.read(4).await, b"\x81\x02hi");
    house.app.advance(60);
    assert_eq!(wire.rest().await, SESSION_ENDED);
    until("the upstream's connection is over", || house.upstream.open() == 0).await;
}

#[tokio::test]
async fn px_10_a_tunnel_of_the_fallback_ends_with_its_session_and_by_signing_out() {
    let house = House::new().await;
    let inside = house.come_in().await;
    let mut wire = House::open_at(&inside).await;
    house.app.advance(901);
    assert_eq!(wire.rest().await, SESSION_ENDED);
    let inside = house.come_in().await;
    let mut wire = House::open_at(&inside).await;
    let mut leave = Wire::to(inside.0).await;
    leave
        .send(format!(
            "POST /lamplighter/logout HTTP/1.1\r\n{}Sec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n\r\n",
            inside.1
        ))
        .await;
    assert_eq!(leave.answer_to("POST").await.status, 303);
    assert_eq!(wire.rest().await, SESSION_ENDED);
}

#[tokio::test]
async fn px_10_every_tunnel_ends_with_the_process() {
    let house = House::new().await;
    let (mut one, mut two) = (house.open().await, house.open().await);
    let mut beside = House::open_at(&house.come_in().await).await;
    house.app.stop();
    for wire in [&mut one, &mut two, &mut beside] {
        assert_eq!(wire.rest().await, GOING_AWAY);
    }
    drop((one, two, beside));
    until("it has stopped", || house.app.is_stopped()).await;
}

#[tokio::test]
async fn px_10_a_handshake_under_way_when_the_process_ends_is_closed_too() {
    let house = House::new().await;
    let go = Arc::new(Notify::new());
    house.upstream.say(Say::Halting(SWITCH[..9].into(), Arc::clone(&go), SWITCH[9..].into()));
    let mut wire = Wire::open(&house.app, &house.browser).await;
    wire.ask(&format!("GET {WATCH}"), HANDSHAKE, "").await;
    until("it arrived", || house.upstream.count() == 1).await;
    house.app.stop();
    house.until_closed().await;
    go.notify_one();
    assert_eq!(wire.answer_to("GET").await.status, 101);
    assert_eq!(wire.rest().await, GOING_AWAY);
}

#[tokio::test]
async fn px_10_a_tunnel_that_is_admitted_after_that_is_closed_too() {
    let house = House::new().await;
    house.app.api_server.set_fault(Some(TokenFault::Slow(Duration::from_secs(1))));
    house.app.advance(3_600);
    let (minted, mut wire) =
        (house.app.api_server.token_requests(), Wire::open(&house.app, &house.browser).await);
    wire.ask(&format!("GET {WATCH}"), HANDSHAKE, "").await;
    until("a token is being minted", || house.app.api_server.token_requests() > minted).await;
    house.app.stop();
    house.until_closed().await;
    assert_eq!(house.upstream.count(), 0, "it is not admitted yet");
    assert_eq!(wire.answer_to("GET").await.status, 101);
    assert_eq!(wire.rest().await, GOING_AWAY);
}

/// A frame of a server's, whose length is a prime: what reads on may meet its end only by chance.
fn frame() -> Vec<u8> {
    [&[0x82, 126, 0x27, 0x13][..], &[b'x'; 10_003]].concat()
}

#[tokio::test]
async fn who_speaks_all_the_time_hears_the_end_and_no_reset() {
    let house = House::new().await;
    let (mut hears, mut speaks) = house.open().await.stream.into_split();
    let said = Arc::new(AtomicUsize::new(0));
    let speaking = {
        let said = Arc::clone(&said);
        tokio::spawn(async move {
            let much = frame().repeat(8);
            while speaks.write_all(&much).await.is_ok() {
                said.fetch_add(much.len(), Ordering::Relaxed);
            }
        })
    };
    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while all.len() < 4 << 20 {
        let read = hears.read(&mut buffer).await.unwrap();
        all.extend_from_slice(&buffer[..read]);
    }
    house.sign_out().await;
    while let read @ 1.. = tokio::time::timeout(LONG, hears.read(&mut buffer)).await.unwrap().unwrap() {
        all.extend_from_slice(&buffer[..read]);
    }
    assert_eq!(&all[all.len() - SESSION_ENDED.len()..], SESSION_ENDED);
    let then = said.load(Ordering::Relaxed);
    // A reset would have ended it by now.
    until("it may speak on", || said.load(Ordering::Relaxed) > then + (4 << 20)).await;
    speaking.abort();
    until("the upstream's connection is over", || house.upstream.open() == 0).await;
}

#[tokio::test]
async fn an_upstream_that_never_pauses_is_ended_between_two_frames() {
    let house = House::new().await;
    house.upstream.say(Say::Endless(SWITCH.into(), frame().repeat(8)));
    let mut wire = house.open().await;
    assert_eq!(wire.read(frame().len()).await, frame());
    house.sign_out().await;
    let rest = wire.rest().await;
    let (frames, last) = rest.split_at(rest.len() - SESSION_ENDED.len());
    assert_eq!(last, SESSION_ENDED);
    let whole = frame();
    assert!(frames.chunks(whole.len()).all(|one| one == whole), "every frame is whole");
}

#[tokio::test]
async fn px_9_a_switch_that_answers_another_key_opens_no_tunnel() {
    let house = House::new().await;
    let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    let good = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    for accept in [
        "",
        "Sec-WebSocket-Accept:\r\n",
        "Sec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Accept: S3PPLMBITXAQ9KYGZZHZRBK+XOO=\r\n",
        &good.repeat(2),
    ] {
        house.upstream.say_bytes(format!("{head}{accept}\r\n"));
        let mut wire = Wire::open(&house.app, &house.browser).await;
        assert_eq!(wire.upgrade(WATCH, "").await.refusal(), (502, "upstream-broke-off"), "{accept:?}");
        until("its connection is over", || house.upstream.open() == 0).await;
    }
    house.upstream.say_bytes(format!("{head}{good}\r\n"));
    house.open().await;
}

#[tokio::test]
async fn px_9_another_key_has_another_answer() {
    let house = House::new().await;
    house.upstream.say_bytes(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: HSmrc0sMlYUkAGmm5OPpG2HaGWk=\r\n\r\n",
    );
    let mut wire = Wire::open(&house.app, &house.browser).await;
    let handshake = HANDSHAKE.replace("dGhlIHNhbXBsZSBub25jZQ==", "x3JJHMbDL1EzLkh9GBhXDw==");
    wire.ask(&format!("GET {WATCH}"), &handshake, "").await;
    assert_eq!(wire.answer_to("GET").await.status, 101);
}

#[tokio::test]
async fn a_handshake_without_a_key_is_no_handshake() {
    let house = House::new().await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for keys in ["", "Sec-WebSocket-Key: dGhl\r\n", &key.repeat(2)] {
        let mut wire = Wire::open(&house.app, &house.browser).await;
        wire.ask(&format!("GET {WATCH}"), &HANDSHAKE.replace(key, keys), "").await;
        assert_eq!(wire.answer_to("GET").await.text(), "ok", "{keys:?}");
        assert_eq!(house.upstream.last().head.value("upgrade"), "", "{keys:?}");
    }
}

/// Whether the kernel asks the other end of this connection of ours from time to time (`/proc/net/tcp`).
fn is_kept_alive(ports: impl Fn(u16, u16) -> bool) -> bool {
    let port = |address: &str| u16::from_str_radix(address.rsplit(':').next().unwrap(), 16).unwrap();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    table.lines().skip(1).any(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        ports(port(columns[1]), port(columns[2])) && columns[3] == "01" && columns[5].starts_with("02:")
    })
}

#[tokio::test]
async fn ends_that_vanish_are_looked_for_on_both_sides() {
    let house = House::new().await;
    let wire = house.open().await;
    let (public, browser) = (house.app.public.port(), wire.stream.local_addr().unwrap().port());
    let upstream = house.upstream.address.unwrap().port();
    until("the browser is asked", || is_kept_alive(|own, peer| (own, peer) == (public, browser))).await;
    until("the upstream is asked", || is_kept_alive(|_, peer| peer == upstream)).await;
}
