//! Proxy mode: many requests at once.

mod common;

use std::sync::Arc;

use common::upstream::{OK, Say, Upstream};
use common::wire::Wire;
use common::{Setup, until};
use tokio::sync::Notify;

const PODS: &str = "/clusters/main/api/v1/pods";

/// More than the connections that are kept.
const CROWD: usize = 100;

/// Asks `CROWD` times at once. Each answer begins with `first`, and ends once `go` is told.
async fn crowd(first: &str, go: &Arc<Notify>, rest: &[u8]) -> (common::App, Upstream, Vec<Wire>) {
    let upstream = Upstream::start().await;
    let app = Setup::default().in_front_of(&upstream).start().await;
    let browser = app.signed_in("ada").await;
    let mut wires = Vec::new();
    for _ in 0..CROWD {
        upstream.say(Say::Halting(first.into(), Arc::clone(go), rest.to_vec()));
        let mut wire = Wire::open(&app, &browser).await;
        wire.ask(&format!("GET {PODS}"), "", "").await;
        wires.push(wire);
    }
    (app, upstream, wires)
}

#[tokio::test]
async fn who_comes_when_many_wait_for_a_slow_upstream_is_sent_on_all_the_same() {
    let go = Arc::new(Notify::new());
    let (_app, upstream, wires) = crowd("", &go, OK).await;
    until("all have arrived, though none was answered", || upstream.count() == CROWD).await;
    let answered = tokio::spawn(async move {
        for mut wire in wires {
            assert_eq!(wire.answer_to("GET").await.text(), "ok");
        }
    });
    until("all are answered", || {
        go.notify_waiters();
        answered.is_finished()
    })
    .await;
    answered.await.unwrap();
    until("no more connections are kept than are of use", || upstream.open() <= 64).await;
}

#[tokio::test]
async fn who_watches_keeps_nobody_from_being_answered() {
    let go = Arc::new(Notify::new());
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (app, upstream, _watching) = crowd(head, &go, b"0\r\n\r\n").await;
    until("all watch", || upstream.count() == CROWD).await;
    let mut wire = Wire::open(&app, &app.signed_in("ada").await).await;
    assert_eq!(wire.get(PODS).await.text(), "ok");
}
