//! Proxy mode: the check, a token, and the UI's answer.

use std::net::SocketAddr;

use super::browser::{HOST, get};
use super::check::{job, variant};
use super::house::Bench;
use super::load::Job;
use super::measure::{Field, Table, Unit, measure as compare};
use super::process::{CLIENT, Part, SERVER, free_address};
use super::report::{Bound, Goal, Section};
use super::servers::{self, KEPT, upstream};
use super::wire::exchange;
use super::{Done, say};

const NGINX: &str = "nginx `proxy_pass`";
const OURS: &str = "lamplighter, with its check";
const HAPROXY: &str = "HAProxy";
const DIRECT: &str = "no proxy";

/// What answers with 900 bytes.
pub(crate) const SMALL: &str = "/clusters/main/api/v1/small";
/// What answers with [`BIG_BYTES`].
pub(crate) const BIG: &str = "/clusters/main/api/v1/big";

/// Bytes of the big answer.
pub(crate) const BIG_BYTES: usize = 100_000_000;

pub(crate) fn measure(bench: &Bench) -> Done<Section> {
    let tables = FETCHES.iter().map(|fetch| fetch.measure(bench)).collect::<Done<Vec<Table>>>()?;
    Ok(Section {
        title: "Proxy mode".to_owned(),
        text: "Each proxy puts a token of the same length into the request; lamplighter also makes its decision. The \
               upstream is nginx on core 1, beside the client: 900 bytes of JSON on 32 connections, and a file of 100 MB. \
               nginx and HAProxy keep their connections to it."
            .to_owned(),
        goals: goals(&tables),
        facts: Vec::new(),
        tables,
    })
}

fn start(bench: &Bench, fetch: &Fetch) -> Done<Field> {
    let (app, app_address) = app(bench)?;
    let gateway = bench.lamplighter(SERVER, Some(app_address))?;
    let session = gateway.sign_in("ada")?;
    let answer = exchange(gateway.public, &get(HOST, SMALL, &session))?;
    if answer.head.status != 200 {
        return Err(format!("the proxy answers {}, not 200", answer.head.status).into());
    }
    let (nginx, nginx_address) = nginx(bench, app_address)?;
    let (haproxy, haproxy_address) = servers::haproxy(bench, SERVER, app_address)?;
    let variant_of = |name: &str, parts: &[&Part], address: SocketAddr| {
        let request = get(HOST, fetch.target, &session);
        variant(name, parts, Job { connections: fetch.connections, ..job(address, request, 200) })
    };
    let baseline = format!("{NGINX}, {}", fetch.name);
    let variants = vec![
        variant_of(&baseline, &[&nginx], nginx_address),
        variant_of(OURS, &[&gateway.part], gateway.public),
        variant_of(HAPROXY, &[&haproxy], haproxy_address),
        // Without a proxy, there is no proxy's CPU.
        variant_of(DIRECT, &[], app_address),
    ];
    Ok(Field { parts: vec![app, gateway.part, nginx, haproxy], variants })
}

/// The UI's place: small JSON, and a big file.
pub(crate) fn app(bench: &Bench) -> Done<(Part, SocketAddr)> {
    bench.write("big", &"0123456789".repeat(BIG_BYTES / 10))?;
    let folder = bench.folder().display();
    let address = free_address()?;
    let json = format!("{{\"kind\":\"PodList\",\"items\":[\"{}\"]}}", "x".repeat(868));
    let http = format!(
        "server {{ listen {address}; location = {SMALL} {{ default_type application/json; return 200 '{json}'; }} \
         location = {BIG} {{ alias {folder}/big; }} }}"
    );
    Ok((servers::nginx(bench, "nginx-app", CLIENT, &http, &[address])?, address))
}

fn nginx(bench: &Bench, app: SocketAddr) -> Done<(Part, SocketAddr)> {
    let address = free_address()?;
    let (upstream, token) = (upstream("app", app, true), servers::token());
    let http = format!(
        "{upstream} server {{ listen {address}; location / {{ proxy_pass http://app; {KEPT} \
         proxy_set_header Authorization '{token}'; }} }}"
    );
    Ok((servers::nginx(bench, "nginx-proxy", SERVER, &http, &[address])?, address))
}

/// What is fetched.
struct Fetch {
    unit: Unit,
    target: &'static str,
    connections: usize,
    name: &'static str,
}

const FETCHES: [Fetch; 3] = [
    Fetch { unit: Unit::Answer, target: SMALL, connections: 32, name: "small answers" },
    Fetch { unit: Unit::Megabyte, target: BIG, connections: 1, name: "100 MB, 1 connection" },
    Fetch { unit: Unit::Megabyte, target: BIG, connections: 4, name: "100 MB, 4 connections" },
];

impl Fetch {
    fn measure(&self, bench: &Bench) -> Done<Table> {
        say(&format!("the proxy, {}", self.name));
        compare(bench, self.unit, || start(bench, self))
    }
}

fn goals(tables: &[Table]) -> Vec<Goal> {
    let [small, one, four] = tables else { return Vec::new() };
    let ours = |table: &Table| table.of(OURS, |ratio| ratio.rate);
    let direct = |table: &Table| table.between(OURS, DIRECT, |ratio| ratio.rate);
    vec![
        Goal::new("proxy, small answers, to nginx: req/s", Bound::AtLeast(0.9), ours(small)).stretch(1.0),
        Goal::new("proxy, 100 MB, 1 connection, to nginx: bytes/s", Bound::AtLeast(1.2), ours(one))
            .stretch(1.4),
        Goal::new("proxy, 100 MB, 4 connections, to nginx: bytes/s", Bound::AtLeast(1.2), ours(four))
            .stretch(1.4),
        Goal::new("proxy, 100 MB, 1 connection, to no proxy: bytes/s", Bound::AtLeast(0.85), direct(one))
            .stretch(0.9),
        Goal::new("proxy, 100 MB, 4 connections, to no proxy: bytes/s", Bound::AtLeast(0.85), direct(four))
            .stretch(0.9),
    ]
}
