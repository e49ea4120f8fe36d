//! Proxy mode: what an upstream does wrong, and what takes long.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::files::Folder;
use common::upstream::{OK, SWITCH, Say, Upstream};
use common::wire::Wire;
use common::{App, Browser, NAVIGATE, SCRIPT, Setup, proxied, until};
use http::Method;
use lamplighter::proxy::Target;
use tokio::sync::Notify;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const PODS: &str = "/clusters/main/api/v1/pods";
const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\n\r\nstop";

/// An upstream that is given up on soon, and who asks it.
struct House {
    app: App,
    upstream: Upstream,
    browser: Browser,
}

impl House {
    async fn new() -> Self {
        Self::patient_for(Duration::from_secs(30)).await
    }

    async fn patient_for(head_timeout: Duration) -> Self {
        let upstream = Upstream::start().await;
        let setup = Setup::default().in_front_of(&upstream).settings(move |settings| {
            settings.upstream.as_mut().unwrap().upstream.head_timeout = head_timeout;
        });
        let app = setup.start().await;
        let browser = app.signed_in("ada").await;
        Self { app, upstream, browser }
    }

    async fn wire(&self) -> Wire {
        Wire::open(&self.app, &self.browser).await
    }

    /// The tokens that arrived, in turn.
    fn tokens(&self) -> Vec<String> {
        let arrived = self.upstream.arrived();
        arrived.iter().map(|arrived| arrived.head.value("authorization").to_owned()).collect()
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_a_page_or_502_and_named_to_nobody() {
    let gone = Upstream::start().await.authority();
    let (target, port) = (Target::Http(gone.clone()), gone.rsplit(':').next().unwrap().to_owned());
    let setup = Setup::default().settings(|settings| settings.upstream = Some(proxied(target)));
    let app = setup.start().await;
    let mut browser = app.signed_in("ada").await;
    let page = browser.request(&Method::GET, "/c/main/pods", NAVIGATE).await;
    assert_eq!((page.status.as_u16(), page.reason()), (502, "upstream-unreachable"));
    assert!(page.body.contains("The UI does not answer"), "{}", page.body);
    assert!(!page.body.contains(&port), "no internal address: {}", page.body);
    let page = browser.request(&Method::GET, PODS, SCRIPT).await;
    assert_eq!((page.status.as_u16(), page.reason()), (502, "upstream-unreachable"));
    assert!(!page.body.contains(&port), "no internal address: {}", page.body);
}

#[tokio::test]
async fn an_upstream_that_says_nothing_is_given_up_on() {
    let house = House::patient_for(Duration::from_millis(50)).await;
    house.upstream.say(Say::Nothing);
    assert_eq!(house.wire().await.get(PODS).await.refusal(), (504, "upstream-timeout"));
    until("its connection is not kept", || house.upstream.open() == 0).await;
    assert_eq!(house.wire().await.get(PODS).await.text(), "ok");
}

#[tokio::test]
async fn an_upload_takes_as_long_as_it_moves() {
    let patience = Duration::from_millis(500);
    let house = House::patient_for(patience).await;
    let mut wire = house.wire().await;
    wire.ask(&format!("POST {PODS}"), "Transfer-Encoding: chunked\r\n", "").await;
    let (begun, mut sent) = (Instant::now(), 0);
    while begun.elapsed() < patience * 3 {
        wire.send("5\r\nhello\r\n").await;
        sent += 5;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    wire.send("0\r\n\r\n").await;
    assert_eq!(wire.answer_to("POST").await.status, 200);
    assert_eq!(house.upstream.last().body.len(), sent);
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up_on() {
    let house = House::patient_for(Duration::from_millis(100)).await;
    let mut wire = house.wire().await;
    wire.ask(&format!("POST {PODS}"), "Content-Length: 100\r\n", "the beginning").await;
    assert_eq!(wire.answer_to("POST").await.refusal(), (504, "upstream-timeout"));
    assert_eq!(wire.rest().await, b"", "what it still owes is not waited for");
    until("its connection is not kept", || house.upstream.open() == 0).await;
}

#[tokio::test]
async fn an_upstream_that_breaks_off_before_its_answer_is_502() {
    let house = House::new().await;
    for said in ["HTTP/1.1 200 OK\r\nContent-Le", "no HTTP at all\r\n\r\n"] {
        house.upstream.say(Say::Cut(said.into()));
        assert_eq!(house.wire().await.get(PODS).await.refusal(), (502, "upstream-broke-off"), "{said:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let house = House::new().await;
    for said in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        house.upstream.say(Say::Cut(said.into()));
        let mut wire = house.wire().await;
        wire.ask(&format!("GET {PODS}"), "", "").await;
        let answer = String::from_utf8_lossy(&wire.rest().await).into_owned();
        assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("half"), "{answer}");
        assert!(!answer.ends_with("0\r\n\r\n"), "{answer}");
    }
}

#[tokio::test]
async fn a_switch_of_protocols_that_nobody_asked_for_is_no_answer() {
    let house = House::new().await;
    house.upstream.say_bytes(SWITCH);
    assert_eq!(house.wire().await.get(PODS).await.refusal(), (502, "upstream-broke-off"));
}

#[tokio::test]
async fn the_first_bytes_of_an_answer_do_not_wait_for_the_others() {
    let house = House::new().await;
    let go = Arc::new(Notify::new());
    let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    house.upstream.say(Say::Halting(first.into(), Arc::clone(&go), "4\r\nlast\r\n0\r\n\r\n".into()));
    let mut wire = house.wire().await;
    wire.ask(&format!("GET {PODS}?watch=true"), "", "").await;
    assert_eq!(wire.read_head().await.value("transfer-encoding"), "chunked");
    assert_eq!(wire.read(10).await, b"5\r\nfirst\r\n");
    go.notify_one();
    assert_eq!(wire.read(14).await, b"4\r\nlast\r\n0\r\n\r\n");
}

#[tokio::test]
async fn an_answer_does_not_outlive_its_session() {
    let mut house = House::new().await;
    for signs_out in [true, false] {
        let go = Arc::new(Notify::new());
        let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
        house.upstream.say(Say::Halting(first.into(), Arc::clone(&go), "4\r\nlast\r\n0\r\n\r\n".into()));
        let mut wire = house.wire().await;
        wire.ask(&format!("GET {PODS}?watch=true"), "", "").await;
        wire.read_head().await;
        assert_eq!(wire.read(10).await, b"5\r\nfirst\r\n");
        if signs_out {
            let page = house.browser.request(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
            assert_eq!(page.status, 200);
            house.browser = house.app.signed_in("ada").await;
        } else {
            house.app.advance(common::SESSION_SECONDS + 1);
        }
        go.notify_one();
        assert_eq!(wire.rest().await, b"", "signed out: {signs_out}");
    }
}

#[tokio::test]
async fn a_watch_on_which_nothing_comes_does_not_outlive_its_session_for_long() {
    let house = House::new().await;
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    house.upstream.say(Say::Halting(head.into(), Arc::default(), Vec::new()));
    let mut wire = house.wire().await;
    wire.ask(&format!("GET {PODS}?watch=true"), "", "").await;
    wire.read_head().await;
    house.app.advance(common::SESSION_SECONDS + 1);
    assert_eq!(wire.rest().await, b"");
}

#[tokio::test]
async fn five_megabytes_pass_both_ways() {
    let house = House::new().await;
    let much = vec![b'x'; 5 << 20];
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", much.len());
    house.upstream.say_bytes([head.as_bytes(), &much].concat());
    let mut wire = house.wire().await;
    wire.ask(&format!("POST {PODS}"), &format!("Content-Length: {}\r\n", much.len()), &much).await;
    assert!(wire.answer_to("POST").await.body == much, "what came back is not what was said");
    assert!(house.upstream.last().body == much, "what arrived is not what was sent");
}

#[tokio::test]
async fn connections_to_the_upstream_are_used_again() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    for _ in 0..3 {
        assert_eq!(wire.get(PODS).await.status, 200);
    }
    assert!(house.upstream.arrived().iter().all(|arrived| arrived.connection == 1));
}

/// Kubernetes' own proxies close it behind the refusal, which does not say so: the next request would be lost.
#[tokio::test]
async fn a_connection_on_which_a_websocket_was_refused_is_not_used_again() {
    let house = House::new().await;
    house.upstream.say_bytes("HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!");
    let mut wire = house.wire().await;
    assert_eq!(wire.upgrade(PODS, "").await.text(), "no!");
    assert_eq!(house.wire().await.get(PODS).await.text(), "ok");
    let connections: Vec<_> = house.upstream.arrived().iter().map(|arrived| arrived.connection).collect();
    assert_eq!(connections, [1, 2]);
}

#[tokio::test]
async fn an_upstream_that_closes_after_each_answer_is_no_trouble() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    for round in 0..300 {
        house.upstream.say(Say::Cut(OK.into()));
        assert_eq!(wire.get(PODS).await.text(), "ok", "round {round}");
    }
}

#[tokio::test]
async fn what_arrives_as_a_kept_connection_closes_is_asked_once_more() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    for method in ["GET", "HEAD"] {
        assert_eq!(wire.get(PODS).await.text(), "ok");
        let before = house.upstream.count();
        house.upstream.say(Say::Cut(Vec::new()));
        wire.ask(&format!("{method} {PODS}"), "", "").await;
        assert_eq!(wire.answer_to(method).await.status, 200, "{method}");
        assert_eq!(house.upstream.count(), before + 2, "{method}");
    }
    assert_eq!(wire.get(PODS).await.text(), "ok");
    house.upstream.say(Say::Cut(Vec::new()));
    assert_eq!(house.wire().await.upgrade(PODS, "").await.status, 101, "a handshake changes nothing either");
}

#[tokio::test]
async fn what_may_have_changed_something_is_not_asked_once_more() {
    let house = House::new().await;
    for (method, body) in [("POST", ""), ("DELETE", ""), ("PUT", "hello"), ("GET", "hello")] {
        let mut wire = house.wire().await;
        assert_eq!(wire.get(PODS).await.text(), "ok");
        let before = house.upstream.count();
        house.upstream.say(Say::Cut(Vec::new()));
        let lines = if body.is_empty() { "" } else { "Content-Length: 5\r\n" };
        wire.ask(&format!("{method} {PODS}"), lines, body).await;
        assert_eq!(wire.answer_to(method).await.refusal(), (502, "upstream-broke-off"), "{method}");
        assert_eq!(house.upstream.count(), before + 1, "{method}");
    }
}

#[tokio::test]
async fn for_who_has_signed_out_meanwhile_nothing_is_asked_once_more() {
    let mut house = House::new().await;
    for (is_cut, target) in [(true, "/config"), (true, PODS), (false, PODS)] {
        let mut wire = house.wire().await;
        assert_eq!(wire.get(PODS).await.text(), "ok");
        house.app.advance(31);
        let (go, before) = (Arc::new(Notify::new()), house.upstream.count());
        let later = Say::Halting(Vec::new(), Arc::clone(&go), UNAUTHORIZED.into());
        house.upstream.say(if is_cut { Say::CutLater(Arc::clone(&go)) } else { later });
        wire.ask(&format!("GET {target}"), "", "").await;
        until("it arrived", || house.upstream.count() == before + 1).await;
        let page = house.browser.request(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
        assert_eq!(page.status, 200);
        house.browser = house.app.signed_in("ada").await;
        go.notify_one();
        if is_cut {
            assert_eq!(wire.answer_to("GET").await.refusal(), (502, "upstream-broke-off"));
        } else {
            assert!(!wire.rest().await.ends_with(b"stop"), "the answer has outlived the session");
        }
        assert_eq!(house.upstream.count(), before + 1);
    }
}

#[tokio::test]
async fn who_closes_every_connection_is_not_asked_for_ever() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    house.upstream.say(Say::Cut(Vec::new()));
    assert_eq!(wire.get(PODS).await.refusal(), (502, "upstream-broke-off"));
    assert_eq!(house.upstream.count(), 1, "a new connection is no kept one");
    assert_eq!(wire.get(PODS).await.text(), "ok");
    for _ in 0..3 {
        house.upstream.say(Say::Cut(Vec::new()));
    }
    assert_eq!(wire.get(PODS).await.refusal(), (502, "upstream-broke-off"));
    assert_eq!(house.upstream.count(), 4, "once more, and no more");
}

#[tokio::test]
async fn an_upstream_may_listen_at_a_unix_socket() {
    let folder = Folder::new();
    let socket = folder.place("ui.sock");
    let upstream = Upstream::at_socket(&socket);
    let target = Target::Unix(socket);
    let setup = Setup::default().settings(|settings| settings.upstream = Some(proxied(target)));
    let app = setup.start().await;
    let browser = app.signed_in("ada").await;
    assert_eq!(Wire::open(&app, &browser).await.get(PODS).await.text(), "ok");
    assert_eq!(upstream.last().head.value("host"), "headlamp.example.com");
}

/// An upstream with a certificate of its own for `localhost`, and that certificate.
async fn with_certificate() -> (Upstream, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    (Upstream::with_tls(Arc::new(config).into()).await, made.cert.pem().into_bytes())
}

#[tokio::test]
async fn an_upstream_over_tls_is_known_by_its_own_authority_and_name_alone() {
    let (upstream, pem) = with_certificate().await;
    for (host, ca, expected) in [
        ("localhost", Some(pem.clone()), (200, "")),
        ("localhost", None, (502, "upstream-unreachable")),
        ("headlamp.test", Some(pem), (502, "upstream-unreachable")),
    ] {
        let target = Target::Https { host: host.to_owned(), address: upstream.authority() };
        let setup = Setup::default().settings(|settings| {
            let mut proxied = proxied(target);
            proxied.upstream.ca_pem = ca;
            settings.upstream = Some(proxied);
        });
        let app = setup.start().await;
        let browser = app.signed_in("ada").await;
        assert_eq!(Wire::open(&app, &browser).await.get(PODS).await.refusal(), expected, "{host}");
    }
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn px_16_a_token_that_is_not_taken_any_more_is_replaced_once() {
    let house = House::new().await;
    let mut wire = house.wire().await;
    assert_eq!(wire.get(PODS).await.status, 200);
    house.app.advance(31);
    house.upstream.say_bytes(UNAUTHORIZED);
    assert_eq!(wire.get(PODS).await.text(), "ok");
    let tokens = house.tokens();
    assert_eq!((tokens.len(), &tokens[0]), (3, &tokens[1]));
    assert_ne!(tokens[1], tokens[2]);
    assert_eq!(house.app.api_server.token_requests(), 2);
}

#[tokio::test]
async fn px_16_a_fresh_token_that_is_not_taken_is_not_replaced() {
    let house = House::new().await;
    for _ in 0..3 {
        house.upstream.say_bytes(UNAUTHORIZED);
        let answer = house.wire().await.get(PODS).await;
        assert_eq!((answer.status, answer.text().as_str()), (401, "stop"));
    }
    assert_eq!((house.app.api_server.token_requests(), house.upstream.count()), (1, 3));
}

#[tokio::test]
async fn px_16_what_changes_something_or_has_a_body_is_not_sent_twice() {
    let house = House::new().await;
    assert_eq!(house.wire().await.get(PODS).await.status, 200);
    for (method, lines, body) in
        [("POST", "", ""), ("DELETE", "", ""), ("GET", "Content-Length: 5\r\n", "hello")]
    {
        house.app.advance(31);
        house.upstream.say_bytes(UNAUTHORIZED);
        let (mut wire, before) = (house.wire().await, house.upstream.count());
        wire.ask(&format!("{method} {PODS}"), lines, body).await;
        assert_eq!(wire.answer_to(method).await.status, 401, "{method}");
        assert_eq!(house.upstream.count(), before + 1, "{method}");
    }
}
