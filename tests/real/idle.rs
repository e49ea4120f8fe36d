//! Proxy mode, where nothing happens for long. Time passes faster here: the clock is set ahead, and whatever is bounded
//! is bounded more tightly.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::SignedDuration;
use lamplighter::app::Bound;
use lamplighter::cli::settings::from_config;
use lamplighter::clock::Clock;
use lamplighter::config::Config;
use lamplighter::metrics::Websockets;
use lamplighter::proxy::{Forwarder, HEAD_TIMEOUT, Target, Tunnels};
use lamplighter::web::{Limits, Public, Serve, Upstream};
use libtest_mimic::Trial;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::Parts;
use crate::house::House;
use crate::rig::Rig;
use crate::sidecar::{self, Streamed, open};
use crate::socket::Exec;
use crate::wait;

/// How much faster.
const FASTER: u32 = 60;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test("idle::after_ten_idle_minutes_everything_that_was_open_goes_on", ten_minutes)]
}

/// A replica of a house's lamplighter, in which time passes faster.
struct Hasty {
    clock: Clock,
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Hasty {
    async fn start(house: &House) -> Self {
        let config = Config::load(&house.folder.0.join("config.yaml"), Vec::new()).unwrap();
        let mut settings = from_config(config).unwrap();
        let clock = Clock::system();
        let mut proxied = settings.upstream.take().unwrap();
        proxied.upstream.head_timeout = HEAD_TIMEOUT / FASTER;
        // Only lamplighter's own process has the cluster's DNS.
        let ui = house.namespace.kubectl(&["get", "service", "headlamp", "-o=jsonpath={.spec.clusterIP}"]);
        proxied.upstream.target = Target::Http(format!("{ui}:80"));
        let upstream = Upstream {
            forwarder: Forwarder::new(&proxied.upstream).unwrap(),
            tunnels: Tunnels::new(proxied.tunnels, Websockets::default()),
            base: proxied.base,
            clusters: proxied.clusters,
        };
        let bound = Bound::bind(settings, clock.clone()).await.unwrap();
        let public = Public::new(Arc::clone(bound.gateway()), Some(Arc::new(upstream)));
        let listener = TcpListener::bind((house.rig.node_address, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let usual = Limits::default();
        let limits = Limits {
            header_timeout: usual.header_timeout / FASTER,
            idle_timeout: usual.idle_timeout / FASTER,
            ..usual
        };
        let (stop, stopped) = watch::channel(false);
        let answer = move |request, peer| public.answer(request, peer);
        tokio::spawn(Serve { listener, open: Gauge::default(), limits, answer }.run(stopped));
        Self { clock, address, _stop: stop }
    }

    /// Lets ten minutes pass, in which a connection that rests between two requests is cut off again and again.
    async fn ten_minutes(&self) {
        self.clock.advance(SignedDuration::from_mins(10));
        let (begun, mut cut) = (Instant::now(), 0);
        while begun.elapsed() < Duration::from_mins(10) / FASTER {
            self.rest().await;
            cut += 1;
        }
        assert!(cut > 1, "connections rest for longer than they may");
    }

    /// Asks once, and rests until the connection is cut off.
    async fn rest(&self) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(b"GET /lamplighter/static/x HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let mut said = Vec::new();
        let cut_off = tokio::time::timeout(wait::BOUND, stream.read_to_end(&mut said)).await;
        cut_off.expect("it is cut off").unwrap();
        let said = String::from_utf8(said).unwrap();
        assert!(said.starts_with("HTTP/1.1 404 ") && !said.contains("connection: close"), "{said}");
    }
}

async fn ten_minutes(rig: Rig) {
    let house = sidecar::build(&rig, "idle").await;
    let alice = sidecar::signed_in(&house, "alice").await;
    let hasty = Hasty::start(&house).await;
    let mut alice = alice.directly_at(&format!("http://{}", hasty.address));
    let mut streamed = Streamed::open(&mut alice, &sidecar::watch(&house)).await;
    let mut socket = open(&alice, hasty.address, &sidecar::watch(&house), "").await;
    let mut log = Streamed::open(&mut alice, &sidecar::log(&house)).await;
    let target = sidecar::exec(&house, "/bin/busybox cat");
    let mut cat = Exec::over(open(&alice, hasty.address, &target, Exec::V5).await);

    for (command, expected) in
        [(["create", "configmap", "news"], "ADDED"), (["label", "configmap/news", "a=b"], "MODIFIED")]
    {
        hasty.ten_minutes().await;
        house.namespace.kubectl(&command);
        assert_eq!(streamed.event().await["type"], expected);
        assert_eq!(socket.event().await["type"], expected);
        cat.write(expected).await;
        assert_eq!(cat.read_until(|cat| cat.output[0].ends_with(expected)).await, None);
        sidecar::say(&house, expected);
        assert_eq!(log.line().await, expected);
    }
}
