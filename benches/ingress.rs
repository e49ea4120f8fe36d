//! The check behind nginx's `auth_request`.

use std::fmt::Write as _;
use std::net::SocketAddr;

use super::browser::{HOST, PODS, ask, get};
use super::check::{job, variant};
use super::house::Bench;
use super::measure::{Field, Unit, measure as compare};
use super::process::{CLIENT, Part, SERVER, free_address};
use super::report::{Bound, Goal, Section};
use super::servers::{self, KEPT, question, upstream};
use super::wire::exchange;
use super::{Done, say};

const BARE: &str = "auth_request to a bare hyper handler, kept";
const OURS: &str = "auth_request to lamplighter, kept";
const BARE_NEW: &str = "auth_request to a bare hyper handler, not kept";
const OURS_NEW: &str = "auth_request to lamplighter, not kept";
const NONE: &str = "no auth_request";

pub(crate) fn measure(bench: &Bench) -> Done<Section> {
    bench.write("page", &"x".repeat(1_000))?;
    say("behind nginx's auth_request");
    let table = compare(bench, Unit::Answer, || start(bench))?;
    let rate = |name| table.of(name, |ratio| ratio.rate);
    let not_kept = table.between(OURS_NEW, BARE_NEW, |ratio| ratio.rate);
    Ok(Section {
        title: "Behind nginx's `auth_request`".to_owned(),
        text: "nginx, with one worker, serves a file of 1 kB after it has asked; nginx is on core 0, and the auth \
               service shares core 1 with the client. CPU is nginx's and the service's together. Without kept \
               connections is how nginx and ingress-nginx are unless told otherwise."
            .to_owned(),
        goals: vec![
            Goal::new("behind nginx with keepalive, to a bare service there: req/s", Bound::AtLeast(0.95), rate(OURS))
                .stretch(1.0),
            Goal::new("behind nginx without keepalive, to a bare service there: req/s", Bound::None, not_kept),
        ],
        facts: Vec::new(),
        tables: vec![table],
    })
}

fn start(bench: &Bench) -> Done<Field> {
    let gateway = bench.lamplighter(CLIENT, None)?;
    let session = gateway.sign_in("ada")?;
    let authz = gateway.authz;
    let answer = exchange(authz, &ask(&authz.to_string(), "/authz/auth-request", &session))?;
    let (bare, bare_address) = bench.own_part("bare", CLIENT, &[answer.head.bytes.to_string()])?;
    let ways = [
        (BARE, bare_address, Some(true)),
        (OURS, authz, Some(true)),
        (BARE_NEW, bare_address, Some(false)),
        (OURS_NEW, authz, Some(false)),
        (NONE, bare_address, None),
    ];
    let (nginx, address_of) = nginx(bench, &ways)?;
    let variant_of = |((name, _, asks), address): (&Way, &SocketAddr)| {
        let service: &[&Part] = match asks {
            None => &[&nginx],
            Some(_) if name.contains("bare") => &[&nginx, &bare],
            Some(_) => &[&nginx, &gateway.part],
        };
        variant(name, service, job(*address, get(HOST, PODS, &session), 200))
    };
    let variants = ways.iter().zip(&address_of).map(variant_of).collect();
    Ok(Field { parts: vec![gateway.part, bare, nginx], variants })
}

type Way = (&'static str, SocketAddr, Option<bool>);

/// An nginx with a server for each way, and their addresses.
fn nginx(bench: &Bench, ways: &[Way]) -> Done<(Part, Vec<SocketAddr>)> {
    let page = bench.folder().join("page");
    let page = page.display();
    let (mut http, mut addresses) = (String::new(), Vec::new());
    for (number, (_, service, asks)) in ways.iter().enumerate() {
        let address = free_address()?;
        let asking = match asks {
            None => String::new(),
            Some(is_kept) => {
                http += &upstream(&format!("service{number}"), *service, *is_kept);
                let kept = if *is_kept { KEPT } else { "" };
                let question = question(&format!("service{number}"), kept);
                format!("location = /ask {{ {question} }}")
            }
        };
        let asked = if asks.is_some() {
            "auth_request /ask; auth_request_set $token $upstream_http_authorization;"
        } else {
            ""
        };
        let page = format!("location / {{ {asked} root /; try_files {page} =404; }}");
        let _ = writeln!(http, "server {{ listen {address}; {asking} {page} }}");
        addresses.push(address);
    }
    Ok((servers::nginx(bench, "nginx-ingress", SERVER, &http, &addresses)?, addresses))
}
