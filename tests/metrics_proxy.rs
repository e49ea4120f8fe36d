//! What Prometheus is told of what goes through the proxy.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::house::{House, PODS};
use common::scrape::{assert_says, metrics, number};
use common::upstream::{Say, Upstream};
use common::wire::Wire;
use common::{App, SCRIPT, Setup, proxied, until};
use http::Method;
use lamplighter::proxy::Target;
use tokio::sync::Notify;

/// What is told at the moment of `series`.
fn now(app: &App, series: &str) -> i64 {
    number(&app.gateway.metrics.prometheus_text().unwrap(), series)
}

#[tokio::test]
async fn requests_for_the_ui_are_counted_by_what_came_of_them() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    let mut wire = Wire::open(&house.app, &browser).await;
    assert!(!metrics(&house.app, "*/*").await.text().contains("proxy_requests_total"), "none so far");
    for status in [200, 200, 404] {
        house.upstream.say_bytes(format!("HTTP/1.1 {status} So\r\nContent-Length: 2\r\n\r\nok"));
        assert_eq!(wire.get(PODS).await.status, status);
    }
    assert_eq!(wire.get("/clusters/main/me").await.status, 200, "answered here");
    assert_eq!(Wire::to(house.app.public).await.get(PODS).await.status, 401, "not sent on");
    house.upstream.say(Say::Cut(b"no HTTP\r\n\r\n".to_vec()));
    assert_eq!(wire.get(PODS).await.refusal(), (502, "upstream-broke-off"));
    assert_eq!(wire.upgrade("/clusters/main/api/v1/pods?watch=true", "").await.status, 101);
    let counted = [
        r#"proxy_requests_total{code="101"} 1"#,
        r#"proxy_requests_total{code="200"} 2"#,
        r#"proxy_requests_total{code="404"} 1"#,
        r#"proxy_requests_total{code="502"} 1"#,
        "proxy_upstream_duration_seconds_count 5",
        r#"proxy_upstream_duration_seconds_bucket{le="+Inf"} 5"#,
    ];
    assert_says(&house.app, &counted).await;
}

#[tokio::test]
async fn a_ui_that_is_not_there_is_502() {
    let target = Target::Http(Upstream::start().await.authority());
    let setup = Setup::default().settings(|settings| settings.upstream = Some(proxied(target)));
    let app = setup.start().await;
    let browser = app.signed_in("ada").await;
    assert_eq!(Wire::open(&app, &browser).await.get(PODS).await.refusal(), (502, "upstream-unreachable"));
    assert_says(&app, &[r#"proxy_requests_total{code="502"} 1"#]).await;
}

#[tokio::test]
async fn the_ui_is_timed_until_its_answer_begins() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    let mut wire = Wire::open(&house.app, &browser).await;
    let go = Arc::new(Notify::new());
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    house.upstream.say(Say::Halting(Vec::new(), Arc::clone(&go), answer));
    wire.ask(&format!("GET {PODS}"), "Sec-Fetch-Mode: cors\r\n", "").await;
    until("it arrived", || house.upstream.count() == 1).await;
    let arrived = Instant::now();
    until("it takes longer than a bound", || arrived.elapsed() > Duration::from_millis(60)).await;
    go.notify_one();
    assert_eq!(wire.answer_to("GET").await.text(), "ok");
    let within = |seconds: &str| {
        now(&house.app, &format!(r#"proxy_upstream_duration_seconds_bucket{{le="{seconds}"}}"#))
    };
    assert_eq!((within("0.05"), within("+Inf")), (0, 1));
}

#[tokio::test]
async fn bytes_are_counted_both_ways_while_they_come() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    let (up, down) = (r#"proxy_bytes_total{direction="up"}"#, r#"proxy_bytes_total{direction="down"}"#);
    assert_eq!((now(&house.app, up), now(&house.app, down)), (0, 0));
    let mut wire = Wire::open(&house.app, &browser).await;
    wire.ask(&format!("POST {PODS}"), "Sec-Fetch-Mode: cors\r\nContent-Length: 5\r\n", "hello").await;
    assert_eq!(wire.answer_to("POST").await.text(), "ok");
    assert_eq!((now(&house.app, up), now(&house.app, down)), (5, 2));

    let go = Arc::new(Notify::new());
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec();
    house.upstream.say(Say::Halting(head, Arc::clone(&go), b"later".to_vec()));
    wire.ask(&format!("GET {PODS}"), "Sec-Fetch-Mode: cors\r\n", "").await;
    until("the first half is counted", || now(&house.app, down) == 7).await;
    go.notify_one();
    assert_eq!(wire.answer_to("GET").await.text(), "firstlater");
    assert_eq!(now(&house.app, down), 12);

    let mut tunnel = Wire::open(&house.app, &browser).await;
    assert_eq!(tunnel.upgrade("/clusters/main/api/v1/pods?watch=true", "").await.status, 101);
    let said = b"\x81\x05hello";
    tunnel.send(said).await;
    assert_eq!(tunnel.read(said.len()).await, said);
    until("they are counted", || (now(&house.app, up), now(&house.app, down)) == (12, 19)).await;
}

#[tokio::test]
async fn a_session_that_ended_is_told_no_more_and_nothing_more_is_counted() {
    let house = House::build(true, |_| {}).await;
    let mut browser = house.app.signed_in("ada").await;
    let mut wire = Wire::open(&house.app, &browser).await;
    let go = Arc::new(Notify::new());
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst".to_vec();
    house.upstream.say(Say::Halting(head, Arc::clone(&go), b"later".to_vec()));
    wire.ask(&format!("GET {PODS}"), "Sec-Fetch-Mode: cors\r\n", "").await;
    let down = r#"proxy_bytes_total{direction="down"}"#;
    until("the first half is counted", || now(&house.app, down) == 5).await;
    browser.request(&Method::POST, "/lamplighter/logout", SCRIPT).await;
    go.notify_one();
    assert!(!wire.rest().await.ends_with(b"later"));
    assert_eq!(now(&house.app, down), 5);
}
