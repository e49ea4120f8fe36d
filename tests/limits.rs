//! What each listener bears: cases of section A15 of the security reference.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::files::Folder;
use common::house::{Door, House, NEVER, PODS, SHORT, ask, get};
use common::process::{Process, configure};
use common::wire::{LONG, Wire};
use common::{App, NAVIGATE, SESSION_SECONDS, until};
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use lamplighter::web::{Limits, Serve};
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Every door of a house in front of a UI, and of one beside it.
async fn all_doors(limits: impl Fn(&mut Limits) + Clone + 'static) -> (Vec<House>, Vec<Door>) {
    let houses = vec![House::build(false, limits.clone()).await, House::build(true, limits).await];
    let doors = houses.iter().flat_map(House::doors).collect();
    (houses, doors)
}

/// How long somebody who dribbles waits for the end before the next byte.
const PACE: Duration = Duration::from_millis(5);

/// How long it takes until the connection ends, on which a byte comes now and then.
async fn dribble(wire: &mut Wire) -> Duration {
    let (begun, mut byte) = (Instant::now(), [0]);
    while begun.elapsed() < LONG {
        if wire.stream.write_all(b"a").await.is_err() {
            return begun.elapsed();
        }
        if tokio::time::timeout(PACE, wire.stream.read(&mut byte)).await.is_ok() {
            return begun.elapsed();
        }
    }
    panic!("it bears that for too long");
}

#[tokio::test]
async fn dl_1_a_head_that_dribbles_ends_the_connection() {
    let (_houses, doors) = all_doors(|limits| {
        (limits.header_timeout, limits.idle_timeout) = (SHORT, NEVER);
    })
    .await;
    join_all(doors.iter().map(async |door| {
        let mut wire = Wire::to(door.address).await;
        wire.send("GET / HTTP/1.1\r\nX-A: ").await;
        let borne = dribble(&mut wire).await;
        assert!(borne + Duration::from_millis(50) >= SHORT, "{}: after {borne:?}", door.name);
    }))
    .await;
}

#[tokio::test]
async fn dl_1_a_connection_on_which_nothing_comes_ends() {
    let (_houses, doors) = all_doors(|limits| {
        (limits.header_timeout, limits.idle_timeout) = (SHORT, NEVER);
    })
    .await;
    join_all(doors.iter().map(async |door| {
        assert_eq!(Wire::to(door.address).await.rest().await, b"", "{}", door.name);
    }))
    .await;
}

#[tokio::test]
async fn dl_1_half_a_head_behind_a_request_has_the_time_of_a_head() {
    let (_houses, doors) = all_doors(|limits| {
        (limits.header_timeout, limits.idle_timeout) = (SHORT, NEVER);
    })
    .await;
    join_all(doors.iter().map(async |door| {
        let mut wire = Wire::to(door.address).await;
        let answer = ask(&mut wire, &format!("{}GET /half HTTP/1.1\r\nHo", door.request)).await;
        assert_ne!(answer.status, 400, "{}", door.name);
        assert_eq!(wire.rest().await, b"", "{}", door.name);
    }))
    .await;
}

#[tokio::test]
async fn between_two_requests_there_is_more_time_than_within_a_head() {
    let idle = SHORT * 3;
    let (_houses, doors) = all_doors(move |limits| {
        (limits.header_timeout, limits.idle_timeout) = (SHORT / 3, idle);
    })
    .await;
    join_all(doors.iter().map(async |door| {
        let mut wire = Wire::to(door.address).await;
        ask(&mut wire, &door.request).await;
        let begun = Instant::now();
        assert_eq!(wire.rest().await, b"", "{}", door.name);
        assert!(begun.elapsed() + SHORT / 3 >= idle, "{}: after {:?}", door.name, begun.elapsed());
    }))
    .await;
}

#[tokio::test]
async fn dl_3_a_heads_bytes_and_lines_are_limited() {
    let (_houses, doors) = all_doors(|_| {}).await;
    for door in doors {
        let with = |lines: &str| door.request.replace("\r\n\r\n", &format!("\r\n{lines}\r\n"));
        let long = |bytes| with(&format!("X-A: {}\r\n", "a".repeat(bytes)));
        let many = |lines| with(&"X-A: a\r\n".repeat(lines));
        for request in [long(60 * 1024), many(90)] {
            let status = ask(&mut Wire::to(door.address).await, &request).await.status;
            assert!([200, 401].contains(&status), "{}: {status}", door.name);
        }
        for request in [long(130 * 1024), many(101)] {
            let mut wire = Wire::to(door.address).await;
            assert_eq!(ask(&mut wire, &request).await.status, 431, "{}", door.name);
            wire.rest().await;
        }
    }
}

#[tokio::test]
async fn dl_4_our_own_pages_wait_for_no_body() {
    let (houses, _) = all_doors(|_| {}).await;
    for house in &houses {
        for (address, path) in [
            (house.app.public, "/lamplighter/login"),
            (house.app.public, "/lamplighter/callback?code=a&state=b"),
            (house.app.public, "/lamplighter/whoami"),
            (house.app.authz, "/authz/auth-request"),
            (house.app.admin, "/livez"),
        ] {
            let head = get(path, "headlamp.example.com", "Content-Length: 1000000000\r\n");
            let mut wire = Wire::to(address).await;
            ask(&mut wire, &head).await;
            wire.rest().await;
        }
    }
}

#[tokio::test]
async fn dl_4_the_fallbacks_form_is_small_and_comes_in_time() {
    let house = House::build(false, |limits| limits.header_timeout = SHORT).await;
    let address = house.app.fallback.unwrap();
    for (announced, sent, expected) in [
        (5_000, "a".repeat(5_000), (413, "too-large")),
        (4_000, format!("code={}", "a".repeat(3_995)), (403, "")),
        (100, "code=".to_owned(), (408, "too-slow")),
    ] {
        let mut wire = Wire::to(address).await;
        wire.send(format!(
            "POST /lamplighter/fallback HTTP/1.1\r\nHost: localhost:{}\r\nSec-Fetch-Site: same-origin\r\n\
             Content-Length: {announced}\r\n\r\n{sent}",
            address.port()
        ))
        .await;
        assert_eq!(wire.answer_to("POST").await.refusal(), expected);
    }
}

#[tokio::test]
async fn what_goes_on_to_the_ui_may_be_of_any_size() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    let mut wire = Wire::open(&house.app, &browser).await;
    let much = vec![b'x'; 32 << 20];
    wire.ask(&format!("POST {PODS}"), &format!("Content-Length: {}\r\n", much.len()), &much).await;
    assert_eq!(wire.answer_to("POST").await.status, 200);
    assert_eq!(house.upstream.last().body.len(), much.len());
}

#[tokio::test]
async fn dl_6_who_comes_when_every_place_is_taken_waits_for_one() {
    let (_houses, doors) = all_doors(|limits| limits.connections = 2).await;
    for door in doors {
        let (mut first, mut second) = (Wire::to(door.address).await, Wire::to(door.address).await);
        ask(&mut first, &door.request).await;
        ask(&mut second, &door.request).await;
        let mut third = Wire::to(door.address).await;
        third.send(&door.request).await;
        for _ in 0..10 {
            ask(&mut first, &door.request).await;
        }
        assert!(third.is_silent(), "{}", door.name);
        drop(second);
        assert!(third.answer_to("GET").await.status > 0, "{}", door.name);
        ask(&mut first, &door.request).await;
    }
}

#[tokio::test]
async fn dl_6_without_file_descriptors_connections_live_on_and_new_ones_come_later() {
    let (folder, parts) = (Folder::new(), App::start().await);
    let process = Process::serve_with_files(&configure(&folder, &parts), "info", 40).await;
    let livez = get("/livez", "lamplighter", "");
    let mut kept = Wire::to(process.address("admin")).await;
    ask(&mut kept, &livez).await;
    let hog = join_all((0..60).map(|_| Wire::to(process.address("public")))).await;
    until("no file descriptor is left", || process.said().contains("could not accept a connection")).await;
    assert_eq!(ask(&mut kept, &livez).await.status, 200);
    drop(hog);
    let mut public = Wire::to(process.address("public")).await;
    assert_eq!(ask(&mut public, &get("/lamplighter/whoami", "headlamp.example.com", "")).await.status, 401);
}

/// An accept loop of ours with an answer that falls over on demand, and its address.
async fn fragile() -> (SocketAddr, watch::Sender<bool>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let answer = |request: Request<Incoming>, _| {
        assert_ne!(request.uri().path(), "/at-once");
        async move {
            tokio::task::yield_now().await;
            assert_ne!(request.uri().path(), "/later");
            Response::new(Full::new(Bytes::from_static(b"ok")))
        }
    };
    tokio::spawn(Serve { listener, open: Gauge::default(), limits: Limits::default(), answer }.run(stopped));
    (address, stop)
}

#[tokio::test]
async fn dl_14_a_panic_is_one_requests_affair() {
    let (address, _stop) = fragile().await;
    let mut other = Wire::to(address).await;
    for path in ["/at-once", "/later"] {
        let mut wire = Wire::to(address).await;
        assert_eq!(ask(&mut wire, &get(path, "a", "")).await.status, 500);
        assert_eq!(wire.rest().await, b"", "its connection ends");
        assert_eq!(ask(&mut other, &get("/", "a", "")).await.text(), "ok");
    }
}

#[tokio::test]
async fn dl_16_a_clock_that_jumps_makes_no_session_immortal_and_nothing_fall() {
    let (house, hour) = (House::build(true, |_| {}).await, 3_600);
    let mut browser = house.app.signed_in("ada").await;
    let mut open = async |ahead: i64| {
        house.app.advance(ahead);
        let proxied = browser.request(&http::Method::GET, "/c/main/pods", NAVIGATE).await.status;
        (browser.check("/c/main/pods").await.status.as_u16(), proxied.as_u16())
    };
    assert_eq!(open(hour).await, (200, 200), "an hour on");
    assert_eq!(open(-hour).await, (200, 200), "and back");
    assert_eq!(open(-hour).await, (401, 303), "before it began");
    assert_eq!(open(hour + SESSION_SECONDS).await, (401, 303), "past its end");
    assert_eq!(open(-SESSION_SECONDS).await, (200, 200), "as the clock has it now");
}
