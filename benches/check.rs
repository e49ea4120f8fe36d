//! The check by itself: a session's question at the authz listener.

use std::net::SocketAddr;

use super::browser::{ask, get};
use super::house::Bench;
use super::load::Job;
use super::measure::{Field, Table, Unit, Variant, measure as compare};
use super::process::{Part, SERVER, free_address};
use super::report::{Bound, Goal, Section};
use super::servers::{self, APACHE_TARGET, Apache};
use super::wire::exchange;
use super::{Done, say};

const AUTHZ: &str = "/authz/auth-request";
const BARE: &str = "bare hyper handler";
const CHECK: &str = "check";
const NO_COOKIE: &str = "401, no cookie";
const FORGED: &str = "401, forged cookie";
const NGINX: &str = "nginx `return 200`";
const CACHE: &str = "mod_auth_openidc, server-cache";
const COOKIE: &str = "mod_auth_openidc, client-cookie";

/// Connections of the load client.
pub(crate) const CONNECTIONS: usize = 32;

/// Asks for `request` at `address`, on as many connections as is usual.
pub(crate) fn job(address: SocketAddr, request: String, status: u16) -> Job {
    Job { address, requests: vec![request], connections: CONNECTIONS, seconds: 1.0, status }
}

/// A variant with the usual job.
pub(crate) fn variant(name: &str, servers: &[&Part], job: Job) -> Variant {
    let servers = servers.iter().flat_map(|part| part.pids()).collect();
    Variant { name: name.to_owned(), job, servers }
}

pub(crate) fn measure(bench: &Bench) -> Done<Section> {
    say("the check, and what could stand in its place");
    let table = compare(bench, Unit::Answer, || start(bench))?;
    Ok(Section {
        title: "The check".to_owned(),
        text: format!(
            "{CONNECTIONS} connections ask the authz listener about a script's request, with a session cookie and a fresh \
             token. The bare handler answers with a head of the same size. mod_auth_openidc's sessions come from a real \
             sign-in; its answer is an empty file with a token header."
        ),
        goals: goals(bench, &table),
        facts: Vec::new(),
        tables: vec![table],
    })
}

fn start(bench: &Bench) -> Done<Field> {
    let gateway = bench.lamplighter(SERVER, None)?;
    let session = gateway.sign_in("ada")?;
    let authz = gateway.authz;
    let question = |cookie: &str| ask(&authz.to_string(), AUTHZ, cookie);
    let answer = exchange(authz, &question(&session))?;
    if answer.head.status != 200 {
        return Err(format!("the check answers {}, not 200", answer.head.status).into());
    }
    let (bare, bare_address) = bench.own_part("bare", SERVER, &[answer.head.bytes.to_string()])?;
    let (nginx, nginx_address) = nginx_return(bench)?;
    let apache = servers::apache(bench, SERVER)?;
    let ours =
        |name, cookie: &str, status| variant(name, &[&gateway.part], job(authz, question(cookie), status));
    let mut variants = vec![
        variant(BARE, &[&bare], job(bare_address, ask(&bare_address.to_string(), AUTHZ, &session), 200)),
        ours(CHECK, &session, 200),
        ours(NO_COOKIE, "", 401),
        ours(FORGED, &forged(&session), 401),
        variant(NGINX, &[&nginx], job(nginx_address, ask(&nginx_address.to_string(), AUTHZ, &session), 200)),
        of_apache(CACHE, &apache, &apache.server_cache),
        of_apache(COOKIE, &apache, &apache.client_cookie),
    ];
    variants.extend(peer(bench));
    Ok(Field { parts: vec![gateway.part, bare, nginx, apache.part], variants })
}

/// The cookie with one character of its ciphertext changed.
pub(crate) fn forged(cookie: &str) -> String {
    let mut bytes = cookie.as_bytes().to_vec();
    let place = bytes.len() - 40;
    bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
    String::from_utf8_lossy(&bytes).into_owned()
}

fn nginx_return(bench: &Bench) -> Done<(Part, SocketAddr)> {
    let address = free_address()?;
    let token = servers::token();
    let http = format!(
        "server {{ listen {address}; location / {{ add_header Authorization '{token}'; return 200; }} }}"
    );
    Ok((servers::nginx(bench, "nginx-return", SERVER, &http, &[address])?, address))
}

fn of_apache(name: &str, apache: &Apache, (address, cookie): &(SocketAddr, String)) -> Variant {
    let request = get(&address.to_string(), APACHE_TARGET, cookie);
    variant(name, &[&apache.part], job(*address, request, 200))
}

fn peer(bench: &Bench) -> Option<Variant> {
    let peer = bench.peer.as_ref()?;
    Some(variant(&peer_name(bench)?, &[], job(peer.address, peer.request.clone(), peer.status)))
}

fn peer_name(bench: &Bench) -> Option<String> {
    bench.peer.as_ref().map(|peer| format!("peer at {}", peer.name))
}

fn goals(bench: &Bench, table: &Table) -> Vec<Goal> {
    let rate = |name| table.of(name, |ratio| ratio.rate);
    let to = |name| table.between(CHECK, name, |ratio| ratio.rate);
    let mut goals = vec![
        Goal::new("check, to a bare handler: req/s", Bound::AtLeast(0.85), rate(CHECK)).stretch(0.92),
        Goal::new("check, to a bare handler: CPU", Bound::AtMost(1.18), table.of(CHECK, |ratio| ratio.cpu))
            .stretch(1.12),
        Goal::new("check, to a bare handler: p99", Bound::AtMost(2.0), table.of(CHECK, |ratio| ratio.p99))
            .stretch(1.5),
        Goal::new("401 without a cookie, to a bare handler: req/s", Bound::AtLeast(0.95), rate(NO_COOKIE)),
        Goal::new("401 to a forged cookie, to a bare handler: req/s", Bound::AtLeast(0.90), rate(FORGED)),
        Goal::new("check, to nginx `return 200`: req/s", Bound::AtLeast(1.0), to(NGINX)).stretch(1.1),
        Goal::new("check, to mod_auth_openidc with server-cache: req/s", Bound::AtLeast(6.0), to(CACHE))
            .stretch(8.0),
        Goal::new("check, to mod_auth_openidc with client-cookie: req/s", Bound::AtLeast(8.0), to(COOKIE))
            .stretch(10.0),
    ];
    if let Some(name) = peer_name(bench) {
        goals.push(Goal::new(&format!("check, to the {name}: req/s"), Bound::None, to(&name)));
    }
    goals
}
