//! How it ends: cases of section A15 of the security reference.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::sync::Arc;

use common::files::Folder;
use common::house::{House, NEVER, PODS, SHORT, ask, get};
use common::process::{Process, configure};
use common::upstream::{Say, Upstream};
use common::wire::{LONG, Wire};
use common::{App, Browser, until};
use lamplighter::web::Limits;
use tokio::net::TcpStream;
use tokio::sync::Notify;

#[tokio::test]
async fn dl_15_before_anything_closes_readyz_says_so() {
    let house = House::build(true, |limits| limits.notice = NEVER).await;
    assert_eq!(house.readyz().await, 200);
    house.app.stop();
    let waiting = async { while house.readyz().await != 503 {} };
    tokio::time::timeout(LONG, waiting).await.unwrap();
    for door in house.doors() {
        let answer = ask(&mut Wire::to(door.address).await, &door.request).await;
        assert!([200, 401].contains(&answer.status), "{}", door.name);
    }
}

#[tokio::test]
async fn dl_15_answers_under_way_are_finished_and_what_rests_is_closed() {
    let house = House::build(true, |limits| (limits.drain, limits.header_timeout) = (NEVER, NEVER)).await;
    let browser = house.app.signed_in("ada").await;
    let (mut busy, mut idle) =
        (Wire::open(&house.app, &browser).await, Wire::open(&house.app, &browser).await);
    let mut unused = Wire::to(house.app.public).await;
    assert_eq!(idle.get(PODS).await.status, 200);
    let go = Arc::new(Notify::new());
    let first = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst";
    house.upstream.say(Say::Halting(first.into(), Arc::clone(&go), "-last".into()));
    busy.ask(&format!("GET {PODS}"), "", "").await;
    busy.read_head().await;
    house.app.stop();
    assert_eq!((idle.rest().await, unused.rest().await), (Vec::new(), Vec::new()));
    let waiting = async { while TcpStream::connect(house.app.public).await.is_ok() {} };
    tokio::time::timeout(LONG, waiting).await.unwrap();
    assert_eq!(house.readyz().await, 503, "the kubelet is answered until the end");
    go.notify_one();
    assert_eq!(busy.rest().await, b"first-last");
    until("it has stopped", || house.app.is_stopped()).await;
}

#[tokio::test]
async fn dl_15_an_answer_without_an_end_does_not_keep_the_process_alive() {
    for connections in [10, 1] {
        let limits = move |limits: &mut Limits| (limits.drain, limits.connections) = (SHORT, connections);
        let house = House::build(true, limits).await;
        let mut browser = house.app.browser();
        // What it signed in by takes no place any more.
        browser.jar = house.app.signed_in("ada").await.jar;
        let mut wire = Wire::open(&house.app, &browser).await;
        let first = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
        house.upstream.say(Say::Halting(first.into(), Arc::default(), Vec::new()));
        wire.ask(&format!("GET {PODS}?watch=true"), "", "").await;
        wire.read_head().await;
        house.app.stop();
        until("it has stopped", || house.app.is_stopped()).await;
    }
}

/// The binary in front of a UI, and somebody who waits for an answer that does not come.
async fn waiting_process(folder: &Folder, parts: &App, upstream: &Upstream) -> (Process, Wire) {
    let config = configure(folder, parts);
    let text = std::fs::read_to_string(&config).unwrap();
    let config = folder.write(
        "proxy.yaml",
        &format!("{text}upstream: 'http://{}'\nclusters: [main]\n", upstream.authority()),
    );
    let process = Process::serve(&config, "info").await;
    let mut browser = Browser::at(process.address("public"), process.address("authz"));
    browser.sign_in("ada").await;
    let cookie = format!("Cookie: __Host-lamplighter={}\r\n", browser.session().unwrap());
    let mut wire = Wire::to(process.address("public")).await;
    wire.send(get(PODS, "headlamp.example.com", &cookie)).await;
    until("it waits", || upstream.count() == 1).await;
    (process, wire)
}

#[tokio::test]
async fn dl_15_a_first_signal_finishes_what_is_under_way() {
    let (folder, parts, upstream) = (Folder::new(), App::start().await, Upstream::start().await);
    let go = Arc::new(Notify::new());
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    upstream.say(Say::Halting(Vec::new(), Arc::clone(&go), answer.into()));
    let (mut process, mut wire) = waiting_process(&folder, &parts, &upstream).await;
    process.signal("TERM");
    let readyz = get("/readyz", "lamplighter", "");
    let mut admin = Wire::to(process.address("admin")).await;
    let leaving = async { while ask(&mut admin, &readyz).await.status != 503 {} };
    tokio::time::timeout(LONG, leaving).await.unwrap();
    go.notify_one();
    assert_eq!(wire.answer_to("GET").await.text(), "ok");
    assert!(process.ended().await.success());
}

#[tokio::test]
async fn dl_15_a_second_signal_ends_at_once() {
    let (folder, parts, upstream) = (Folder::new(), App::start().await, Upstream::start().await);
    upstream.say(Say::Nothing);
    let (mut process, mut wire) = waiting_process(&folder, &parts, &upstream).await;
    process.signal("INT");
    until("it heard", || process.said().contains("stopping")).await;
    process.signal("TERM");
    assert_eq!(wire.rest().await, b"", "nothing is waited for");
    assert_eq!(process.ended().await.code(), Some(1));
}
