//! What a guided build learns from: a run of the program itself in which all that is hot is done often, and what each
//! person does once is done a few times.

use super::browser::{HOST, PODS, SITE, ask, get};
use super::check::forged;
use super::house::{Bench, Gateway};
use super::load::{self, Job};
use super::process::{CLIENT, SERVER};
use super::proxy::{BIG, SMALL};
use super::tunnels::{self, HANDSHAKE, Tunnels};
use super::{Done, say};

const PEOPLE: [&str; 2] = ["victor", "ada"];

/// Runs `bench`'s binary under all of it. What that writes about itself is complete when this returns.
pub(crate) fn train(bench: &Bench) -> Done<()> {
    let (ui, address) = bench.own_part("ui", CLIENT, &[])?;
    let gateway = bench.lamplighter(SERVER, Some(address))?;
    let mut cookie = String::new();
    for user in PEOPLE {
        cookie = gateway.sign_in(user)?;
    }
    say("questions");
    for job in questions(&gateway, &cookie, bench.options.seconds) {
        load::finish(load::start(CLIENT, &job)?)?;
    }
    say("requests");
    for job in requests(&gateway, &cookie, bench.options.seconds) {
        load::finish(load::start(CLIENT, &job)?)?;
    }
    gateway.part.finish()?;
    drop(ui);
    say("tunnels");
    let (echo, address) = bench.own_part("echo", CLIENT, &[])?;
    let gateway = bench.lamplighter(SERVER, Some(address))?;
    let mut request = get(HOST, &format!("{PODS}&watch=true"), &gateway.sign_in("ada")?);
    request.truncate(request.len() - 2);
    let job = tunnels::Job { address: gateway.public, request: request + HANDSHAKE, count: 500 };
    drop(Tunnels::open(&job)?);
    gateway.part.finish()?;
    drop(echo);
    Ok(())
}

/// Of every ingress, with a session, without one, and with one that is none.
fn questions(gateway: &Gateway, cookie: &str, seconds: f64) -> Vec<Job> {
    let forged = forged(cookie);
    let host = gateway.authz.to_string();
    let relayed = |cookie: &str| {
        let own = format!(
            "X-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: {HOST}\r\n\
             X-Forwarded-Uri: {PODS}\r\n\r\n"
        );
        let mut request = get(&host, "/authz/forward-auth", cookie);
        request.truncate(request.len() - 2);
        request + &own
    };
    let original = |cookie: &str| ask(&host, "/authz/auth-request", cookie);
    let envoy = |cookie: &str| get(HOST, &format!("/authz/ext-authz{PODS}"), cookie);
    let job = |request, status, seconds| Job {
        address: gateway.authz,
        requests: vec![request],
        connections: 32,
        seconds,
        status,
    };
    let mut jobs = vec![job(original(cookie), 200, 4.0 * seconds)];
    for ask in [&original as &dyn Fn(&str) -> String, &relayed, &envoy] {
        jobs.extend([
            job(ask(cookie), 200, seconds),
            job(ask(""), 401, seconds),
            job(ask(&forged), 401, seconds),
        ]);
    }
    jobs
}

/// Of small things by few and by many, and of big ones.
fn requests(gateway: &Gateway, cookie: &str, seconds: f64) -> Vec<Job> {
    let post = format!(
        "POST {SMALL} HTTP/1.1\r\nHost: {HOST}\r\nOrigin: {SITE}\r\nCookie: {cookie}\r\n\
         Content-Type: application/json\r\nContent-Length: 900\r\n\r\n{}",
        "x".repeat(900)
    );
    let job = |request, connections, seconds| Job {
        address: gateway.public,
        requests: vec![request],
        connections,
        seconds,
        status: 200,
    };
    vec![
        job(get(HOST, SMALL, cookie), 32, 6.0 * seconds),
        job(get(HOST, SMALL, cookie), 256, 2.0 * seconds),
        job(get(HOST, "/static/app.js", cookie), 32, seconds),
        job(post, 32, seconds),
        job(get(HOST, BIG, cookie), 2, seconds),
    ]
}
