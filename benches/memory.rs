//! Memory, tunnels, the time to the first answer, and how often the API server is asked.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::browser::{HOST, PODS, ask, get};
use super::house::{Bench, Gateway};
use super::load::{self, Job};
use super::proc::{self, Memory};
use super::process::{CLIENT, Part, SERVER, end, free_address};
use super::report::{Bound, Goal, Section};
use super::stats::{Spread, number};
use super::tunnels::{HANDSHAKE, Tunnels};
use super::wire::exchange;
use super::{Done, PATIENCE, proxy, say, servers, tunnels};

const AUTHZ: &str = "/authz/auth-request";

/// Connections of the load under which memory is looked at.
const CONNECTIONS: usize = 256;

/// How often a process is started to see how long that takes.
const STARTS: usize = 15;

/// How often tunnels are opened, each time at a fresh process.
const REPEATS: usize = 3;

/// How long a process is left alone before its memory is looked at.
const REST: Duration = Duration::from_millis(500);

pub(crate) fn measure(bench: &Bench) -> Done<Section> {
    say("memory, and mints");
    let loaded = under_load(bench)?;
    say("tunnels");
    let count = bench.options.tunnels.min((proc::max_files().saturating_sub(500)) / 2);
    let ours = by_tunnel(bench, count, ours_with_tunnels)?;
    let nginx = by_tunnel(bench, count, nginx_with_tunnels)?;
    say("the time to the first answer");
    let (check, livez) = starts(bench)?;
    let size = number(std::fs::metadata(&bench.options.binary)?.len()) / 1e6;
    let goals = vec![
        Goal::in_unit("memory idle, RSS", Bound::AtMost(12.0), "MB", one(mb(loaded.idle.rss))),
        Goal::in_unit(
            "memory under 256 connections, check, RSS",
            Bound::AtMost(24.0),
            "MB",
            one(mb(loaded.check.rss)),
        ),
        Goal::in_unit(
            "memory under 256 connections, proxy, RSS",
            Bound::AtMost(24.0),
            "MB",
            one(mb(loaded.proxy.rss)),
        ),
        Goal::in_unit("memory of an open WebSocket", Bound::AtMost(4.0), "kB", ours),
        Goal::in_unit("from exec to the check's first answer", Bound::AtMost(100.0), "ms", check),
        Goal::in_unit("from exec to the first /livez", Bound::AtMost(100.0), "ms", livez),
        Goal::in_unit(
            "TokenRequests by session and role, under load from the first request on",
            Bound::AtMost(1.0),
            "",
            one(number(loaded.mints) / number(loaded.sessions)),
        ),
        Goal::in_unit("binary", Bound::AtMost(10.0), "MB", one(size)),
    ];
    Ok(Section {
        title: "Memory and start".to_owned(),
        text: format!(
            "A fresh process each time. The load is {CONNECTIONS} connections that ask the check with two people's \
             sessions, then as many that ask through the proxy; the most of what was seen counts. {count} WebSockets \
             are open at once through the proxy (two descriptors each; a process here may have {}), after each echoed \
             five messages; what the proxy's memory (PSS) grew by is divided by their number, {REPEATS} times. The \
             first answer is the check's 401, with a provider that cannot be reached, {STARTS} times.",
            proc::max_files()
        ),
        goals,
        facts: facts(&loaded, nginx),
        tables: Vec::new(),
    })
}

fn facts(loaded: &Loaded, nginx: Option<Spread>) -> Vec<(String, String)> {
    let memory = |memory: Memory| format!("RSS {:.1} MB, PSS {:.1} MB", mb(memory.rss), mb(memory.pss));
    let nginx = nginx.map_or("not measured".to_owned(), |nginx| format!("{:.1} kB", nginx.median));
    vec![
        ("idle, fresh".to_owned(), memory(loaded.idle)),
        ("idle, after two people signed in".to_owned(), memory(loaded.signed_in)),
        (format!("check, {CONNECTIONS} connections"), memory(loaded.check)),
        (format!("proxy, {CONNECTIONS} connections"), memory(loaded.proxy)),
        ("an open WebSocket through nginx".to_owned(), nginx),
        (
            "answers under load, and TokenRequests meanwhile".to_owned(),
            format!(
                "{} answers, {} sessions, {} TokenRequests",
                loaded.answers, loaded.sessions, loaded.mints
            ),
        ),
    ]
}

fn mb(kilobytes: u64) -> f64 {
    number(kilobytes) * 1_024.0 / 1e6
}

fn one(value: f64) -> Option<Spread> {
    Spread::of([value])
}

/// What was seen at 256 connections.
struct Loaded {
    idle: Memory,
    signed_in: Memory,
    check: Memory,
    proxy: Memory,
    answers: u64,
    sessions: u64,
    mints: u64,
}

fn under_load(bench: &Bench) -> Done<Loaded> {
    let (app, app_address) = proxy::app(bench)?;
    let minted = bench.api_server.token_requests();
    let gateway = bench.lamplighter(SERVER, Some(app_address))?;
    sleep(REST);
    let idle = proc::memory(&gateway.part.pids());
    let sessions = ["ada", "victor"].map(|user| gateway.sign_in(user));
    let sessions = sessions.into_iter().collect::<Done<Vec<String>>>()?;
    sleep(REST);
    let signed_in = proc::memory(&gateway.part.pids());
    let (authz, public) = (gateway.authz, gateway.public);
    let questions = sessions.iter().map(|cookie| ask(&authz.to_string(), AUTHZ, cookie)).collect();
    let (check, asked) = load(bench, &gateway, authz, questions)?;
    let requests = sessions.iter().map(|cookie| get(HOST, proxy::SMALL, cookie)).collect();
    let (proxy, fetched) = load(bench, &gateway, public, requests)?;
    drop(app);
    Ok(Loaded {
        idle,
        signed_in,
        check,
        proxy,
        answers: asked + fetched,
        sessions: sessions.len() as u64,
        mints: (bench.api_server.token_requests() - minted) as u64,
    })
}

/// The most memory that was seen under load, and how many answers there were.
fn load(bench: &Bench, gateway: &Gateway, address: SocketAddr, requests: Vec<String>) -> Done<(Memory, u64)> {
    let seconds = bench.options.seconds * 3.0;
    let job = Job { address, requests, connections: CONNECTIONS, seconds, status: 200 };
    let mut client = load::start(CLIENT, &job)?;
    let mut most = Memory::default();
    while client.try_wait()?.is_none() {
        let now = proc::memory(&gateway.part.pids());
        most = Memory { rss: most.rss.max(now.rss), pss: most.pss.max(now.pss) };
        sleep(Duration::from_millis(50));
    }
    Ok((most, load::finish(client)?.all_answers))
}

/// A proxy, and what opens a tunnel through it.
struct WithTunnels {
    parts: Vec<Part>,
    address: SocketAddr,
    request: String,
}

/// kB that a tunnel takes, a few times. The proxy is the first of the parts.
fn by_tunnel(bench: &Bench, count: usize, start: fn(&Bench) -> Done<WithTunnels>) -> Done<Option<Spread>> {
    let mut taken = Vec::new();
    for _ in 0..REPEATS.min(bench.options.rounds) {
        let WithTunnels { parts, address, request } = start(bench)?;
        let pids = parts[0].pids();
        let job = |count| tunnels::Job { address, request: request.clone(), count };
        drop(Tunnels::open(&job(50))?);
        sleep(REST);
        let before = proc::memory(&pids).pss;
        let open = Tunnels::open(&job(count))?;
        sleep(REST);
        let grown = proc::memory(&pids).pss.saturating_sub(before);
        drop(open);
        taken.push(number(grown) / number(count as u64));
    }
    Ok(Spread::of(taken))
}

fn handshake(cookie: &str) -> String {
    let mut request = get(HOST, &format!("{PODS}&watch=true"), cookie);
    request.truncate(request.len() - 2);
    request + HANDSHAKE
}

fn ours_with_tunnels(bench: &Bench) -> Done<WithTunnels> {
    let (echo, upstream) = bench.own_part("echo", CLIENT, &[])?;
    let gateway = bench.lamplighter(SERVER, Some(upstream))?;
    let request = handshake(&gateway.sign_in("ada")?);
    Ok(WithTunnels { address: gateway.public, parts: vec![gateway.part, echo], request })
}

fn nginx_with_tunnels(bench: &Bench) -> Done<WithTunnels> {
    let (echo, upstream) = bench.own_part("echo", CLIENT, &[])?;
    let address = free_address()?;
    let http = format!(
        "server {{ listen {address}; location / {{ proxy_pass http://{upstream}; proxy_http_version 1.1; \
         proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 1h; }} }}"
    );
    let nginx = servers::nginx(bench, "nginx-tunnels", SERVER, &http, &[address])?;
    Ok(WithTunnels { parts: vec![nginx, echo], address, request: handshake("") })
}

/// Milliseconds from exec to the check's first answer, and to that of /livez.
fn starts(bench: &Bench) -> Done<(Option<Spread>, Option<Spread>)> {
    let mut taken = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        // Nothing ever listens at port 1.
        let prepared = bench.prepare("http://127.0.0.1:1", None)?;
        let question = ask(&prepared.authz.to_string(), AUTHZ, "");
        let probe = format!("GET /livez HTTP/1.1\r\nHost: {}\r\n\r\n", prepared.admin);
        let mut command = Command::new(&bench.options.binary);
        command.args(prepared.arguments()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = command.spawn()?;
        let first = first_answer(prepared.authz, &question, 401, start);
        let alive = first_answer(prepared.admin, &probe, 200, start);
        end(&mut child);
        taken.0.push(first?);
        taken.1.push(alive?);
    }
    Ok((Spread::of(taken.0), Spread::of(taken.1)))
}

fn first_answer(address: SocketAddr, request: &str, status: u16, start: Instant) -> Done<f64> {
    while start.elapsed() < PATIENCE {
        if let Ok(answer) = exchange(address, request) {
            let text = format!("{address} answers {} at the start, not {status}", answer.head.status);
            let taken = start.elapsed().as_secs_f64() * 1e3;
            return if answer.head.status == status { Ok(taken) } else { Err(text.into()) };
        }
        sleep(Duration::from_micros(200));
    }
    Err(format!("nothing answers at {address} in time").into())
}
