//! What each listener bears, and how it ends: cases of section A15 of the security reference.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use common::files::Folder;
use common::process::{Process, configure};
use common::upstream::{Say, Upstream};
use common::wire::{Answer, LONG, Wire};
use common::{App, Browser, NAVIGATE, SESSION_SECONDS, Setup, proxied, until};
use futures_util::future::join_all;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use lamplighter::proxy::Target;
use lamplighter::web::{Limits, Serve};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// Long enough for what is good, on a machine that does much else, and short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

/// Longer than a test takes.
const NEVER: Duration = Duration::from_hours(1);

const PODS: &str = "/clusters/main/api/v1/pods";

/// lamplighter with every listener, in front of a UI or beside it.
struct House {
    app: App,
    upstream: Upstream,
    is_proxy: bool,
    _folder: Folder,
}

/// One listener, and a whole request that it answers.
#[derive(Clone, Debug)]
struct Door {
    name: &'static str,
    address: SocketAddr,
    request: String,
}

impl House {
    async fn build(is_proxy: bool, limits: impl FnOnce(&mut Limits) + 'static) -> Self {
        let (upstream, folder) = (Upstream::start().await, Folder::new());
        let target = Target::Http(upstream.authority());
        let setup = Setup::default().with_fallback(&folder, target.clone()).limits(limits);
        let setup = setup.settings(move |settings| settings.upstream = is_proxy.then(|| proxied(target)));
        Self { app: setup.start().await, upstream, is_proxy, _folder: folder }
    }

    fn doors(&self) -> Vec<Door> {
        let fallback = self.app.fallback.unwrap();
        let public = if self.is_proxy { PODS } else { "/lamplighter/whoami" };
        let asked = "X-Original-URL: https://headlamp.example.com/\r\nX-Original-Method: GET\r\n";
        [
            ("public", self.app.public, get(public, "headlamp.example.com", "")),
            ("authz", self.app.authz, get("/authz/auth-request", "lamplighter", asked)),
            ("admin", self.app.admin, get("/livez", "lamplighter", "")),
            (
                "fallback",
                fallback,
                get("/lamplighter/fallback", &format!("localhost:{}", fallback.port()), ""),
            ),
        ]
        .map(|(name, address, request)| Door { name, address, request })
        .to_vec()
    }

    async fn readyz(&self) -> u16 {
        ask(&mut Wire::to(self.app.admin).await, &get("/readyz", "lamplighter", "")).await.status
    }
}

/// Every door of a house in front of a UI, and of one beside it.
async fn all_doors(limits: impl Fn(&mut Limits) + Clone + 'static) -> (Vec<House>, Vec<Door>) {
    let houses = vec![House::build(false, limits.clone()).await, House::build(true, limits).await];
    let doors = houses.iter().flat_map(House::doors).collect();
    (houses, doors)
}

fn get(target: &str, host: &str, lines: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")
}

async fn ask(wire: &mut Wire, request: &str) -> Answer {
    wire.send(request).await;
    wire.answer_to("GET").await
}

/// How long it takes until the connection ends, on which a byte comes now and then.
async fn dribble(wire: &mut Wire) -> Duration {
    let (begun, mut byte) = (Instant::now(), [0]);
    while begun.elapsed() < LONG {
        if wire.stream.write_all(b"a").await.is_err() {
            return begun.elapsed();
        }
        tokio::select! {
            _ = wire.stream.read(&mut byte) => return begun.elapsed(),
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
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
    tokio::spawn(Serve { listener, limits: Limits::default(), answer }.run(stopped));
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
    let ending = async {
        loop {
            match process.ended() {
                Some(status) => break status,
                None => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    assert!(tokio::time::timeout(LONG, ending).await.unwrap().success());
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
    let mut code = None;
    while code.is_none() {
        code = process.ended().map(|status| status.code());
        tokio::task::yield_now().await;
    }
    assert_eq!(code, Some(Some(1)));
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
