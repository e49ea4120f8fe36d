//! Proxy mode: which headers pass, to the UI and from it.

mod common;

use common::upstream::Upstream;
use common::wire::{HANDSHAKE, Head, Wire};
use common::{App, Browser, Setup};
use lamplighter::edge::Ui;

const PODS: &str = "/clusters/main/api/v1/pods";

/// What nobody may say of themselves.
const RESERVED: [&str; 37] = [
    "Authorization",
    "Forwarded",
    "Impersonate-User",
    "Impersonate-Group",
    "Impersonate-Uid",
    "Impersonate-Extra-Scopes",
    "KUBECONFIG",
    "Ssl-Client-Cert",
    "Ssl-Client-Subject-Dn",
    "X-Access-Token",
    "X-Auth-Request-Email",
    "X-Auth-Request-User",
    "X-Client-Cert",
    "X-Forwarded-Access-Token",
    "X-Forwarded-Email",
    "X-Forwarded-For",
    "X-Forwarded-Group",
    "X-Forwarded-Groups",
    "X-Forwarded-Host",
    "X-Forwarded-Id-Token",
    "X-Forwarded-Port",
    "X-Forwarded-Preferred-Username",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Uri",
    "X-Forwarded-User",
    "X-HEADLAMP-BACKEND-TOKEN",
    "X-HEADLAMP-USER-ID",
    "X-Original-Forwarded-For",
    "X-Original-Method",
    "X-Original-Uri",
    "X-Original-Url",
    "X-Real-Ip",
    "X-Remote-Extra-Scopes",
    "X-Remote-Group",
    "X-Remote-Uid",
    "X-Remote-User",
];

struct House {
    app: App,
    upstream: Upstream,
    browser: Browser,
}

impl House {
    async fn new(setup: Setup) -> Self {
        let upstream = Upstream::start().await;
        let app = setup.in_front_of(&upstream).start().await;
        let browser = app.signed_in("ada").await;
        Self { app, upstream, browser }
    }

    /// What arrived of a request with `lines`.
    async fn passed(&self, lines: &str) -> Head {
        let mut wire = Wire::open(&self.app, &self.browser).await;
        wire.ask(&format!("GET {PODS}"), lines, "").await;
        assert_eq!(wire.answer_to("GET").await.status, 200, "{lines}");
        self.upstream.last().head
    }
}

fn alternating(name: &str) -> String {
    let letters = name.char_indices();
    letters.map(|(at, c)| if at % 2 == 0 { c.to_ascii_lowercase() } else { c.to_ascii_uppercase() }).collect()
}

/// Lines that say `planted` under `name`, in every way that some server understands.
fn spellings(name: &str) -> Vec<String> {
    let line = |name: &str| format!("{name}: planted\r\n");
    vec![
        line(name),
        line(&name.to_ascii_lowercase()),
        line(&name.to_ascii_uppercase()),
        line(&alternating(name)),
        line(&name.replace('-', "_")),
        line(&name.replace('-', ".")),
        line(&name.replacen('-', "_", 1)),
        line(name).repeat(2),
        line(name) + &line(&name.replace('-', "_")),
        format!("Connection: keep-alive, {name}\r\n{}", line(name)),
        format!("Connection: {name}\r\n{}", line(name).repeat(2)),
        format!("Connection: {}\r\n{}", name.replace('-', "_"), line(&name.replace('-', "_"))),
        format!("{}Connection: close\r\nConnection: x, {}\r\n", line(name), name.to_ascii_lowercase()),
    ]
}

#[tokio::test]
async fn nothing_that_is_reserved_arrives_in_any_spelling() {
    let nobody = |settings: &mut lamplighter::app::Settings| settings.listen.trusted_proxies.clear();
    let house = House::new(Setup::default().settings(nobody)).await;
    for name in RESERVED {
        for lines in spellings(name) {
            let head = house.passed(&lines).await;
            let planted: Vec<_> = head.lines.iter().filter(|(_, value)| value.contains("planted")).collect();
            assert!(planted.is_empty(), "{lines:?} arrived as {planted:?}");
            assert!(head.value("authorization").starts_with("Bearer e"), "{lines:?} took ours away");
            for (name, ours) in [("x-forwarded-user", "ada"), ("x-forwarded-email", "ada@example.com")] {
                assert_eq!(head.value(name), ours, "{lines:?}");
            }
        }
    }
}

#[tokio::test]
async fn what_we_say_arrives_once() {
    let house = House::new(Setup::default()).await;
    let head = house.passed("X-Mine: 1\r\n").await;
    let said = |name| head.value(name);
    assert_eq!(said("x-forwarded-user"), "ada");
    assert_eq!(said("x-forwarded-email"), "ada@example.com");
    assert!(said("x-forwarded-group").contains("k8s-admins"));
    assert_eq!((said("x-forwarded-proto"), said("x-forwarded-host")), ("https", "headlamp.example.com"));
    assert_eq!(said("host"), "headlamp.example.com");
    assert_eq!(said("x-mine"), "1");
    let token = said("authorization").strip_prefix("Bearer ").unwrap();
    assert!(house.app.api_server.verify(token).is_some());
}

#[tokio::test]
async fn what_connection_nominates_does_not_arrive_but_what_holds_the_request_together_does() {
    let house = House::new(Setup::default()).await;
    let head = house.passed("Connection: X-Mine, Host, Cookie\r\nX-Mine: 1\r\nX-Other: 2\r\n").await;
    assert_eq!((head.value("x-mine"), head.value("x-other")), ("", "2"));
    assert_eq!(head.value("host"), "headlamp.example.com");
    let mut wire = Wire::open(&house.app, &house.browser).await;
    let lines = "Connection: Content-Length, Transfer-Encoding\r\nContent-Length: 5\r\n";
    wire.ask(&format!("POST {PODS}"), lines, "hello").await;
    assert_eq!(wire.answer_to("POST").await.status, 200);
    assert_eq!(house.upstream.last().body, b"hello");
}

#[tokio::test]
async fn what_holds_between_two_neighbours_does_not_arrive() {
    let house = House::new(Setup::default()).await;
    let head = house
        .passed("Keep-Alive: 5\r\nProxy-Connection: close\r\nTE: gzip\r\nProxy-Authorization: x\r\nProxy-Authenticate: x\r\nUpgrade-Insecure-Requests: 1\r\n")
        .await;
    for name in ["keep-alive", "proxy-connection", "te", "proxy-authorization", "proxy-authenticate"] {
        assert!(head.values(name).is_empty(), "{name}");
    }
    assert_eq!(head.value("upgrade-insecure-requests"), "1");
}

#[tokio::test]
async fn no_cookie_of_ours_or_of_headlamps_arrives() {
    for ui in [Ui::Headlamp, Ui::Generic] {
        let mut house = House::new(Setup::default().settings(move |settings| settings.ui = ui)).await;
        let session = house.browser.session().unwrap().to_owned();
        house.browser.jar.clear();
        let kept = if ui == Ui::Generic { "theme=dark; headlamp-auth-main.0=x; a=b" } else { "" };
        let head = house
            .passed(&format!(
                "Cookie: theme=dark; __Host-lamplighter={session}; headlamp-auth-main.0=x\r\n\
                 Cookie: __host-LAMPLIGHTER=x; __Host-lamplighter-attempt-1=x; a=b\r\n"
            ))
            .await;
        assert_eq!(head.value("cookie"), kept, "{ui:?}");
    }
}

#[tokio::test]
async fn subprotocols_pass_but_for_those_that_carry_a_token() {
    let house = House::new(Setup::default()).await;
    for (offered, arrived) in [
        ("v4.channel.k8s.io, base64.binary.k8s.io", "v4.channel.k8s.io, base64.binary.k8s.io"),
        ("v5.channel.k8s.io,v4.channel.k8s.io", "v5.channel.k8s.io,v4.channel.k8s.io"),
        ("base64url.bearer.authorization.k8s.io.dG9r, v4.channel.k8s.io", "v4.channel.k8s.io"),
        ("BASE64URL.bearer.authorization.k8s.io.dG9r", ""),
        ("base64url.headlamp.dG9r, a", "a"),
    ] {
        let mut wire = Wire::open(&house.app, &house.browser).await;
        let lines = format!(
            "Sec-WebSocket-Protocol: {offered}\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        );
        assert_eq!(wire.upgrade(PODS, &lines).await.status, 101, "{offered}");
        let head = house.upstream.last().head;
        assert_eq!(head.value("sec-websocket-protocol"), arrived);
        let extensions = head.value("sec-websocket-extensions");
        assert_eq!(extensions, "permessage-deflate; client_max_window_bits");
        assert!(head.value("authorization").starts_with("Bearer "));
    }
}

#[tokio::test]
async fn a_handshake_brings_no_credentials_of_its_own() {
    let house = House::new(Setup::default()).await;
    let lines = "Authorization: planted\r\nImpersonate-User: planted\r\nx_remote_user: planted\r\n\
                 Connection: Authorization\r\n";
    let mut wire = Wire::open(&house.app, &house.browser).await;
    assert_eq!(wire.upgrade(PODS, lines).await.status, 101);
    let head = house.upstream.last().head;
    assert!(head.lines.iter().all(|(_, value)| !value.contains("planted")), "{head:?}");
    assert!(head.value("authorization").starts_with("Bearer "));
}

#[tokio::test]
async fn the_clients_address_is_ours_to_say() {
    let planted = "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 8.8.8.8\r\n";
    let trusting = House::new(Setup::default()).await;
    let head = trusting.passed(planted).await;
    assert_eq!(head.value("x-forwarded-for"), "9.9.9.9, 8.8.8.8, 127.0.0.1", "a proxy of ours says so");
    let nobody = |settings: &mut lamplighter::app::Settings| settings.listen.trusted_proxies.clear();
    let wary = House::new(Setup::default().settings(nobody)).await;
    assert_eq!(wary.passed(planted).await.value("x-forwarded-for"), "127.0.0.1");
}

#[tokio::test]
async fn an_upstream_sets_no_cookie_of_ours() {
    let house = House::new(Setup::default()).await;
    house.upstream.say_bytes(
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nSet-Cookie: a=1\r\nSet-Cookie: __Host-lamplighter=x; Path=/\r\n\
         Set-Cookie: __host-lamplighter-attempt-1=x\r\nSet-Cookie:   __Host-Lamplighter = x\r\nSet-Cookie: b=2\r\n\r\n",
    );
    let mut wire = Wire::open(&house.app, &house.browser).await;
    assert_eq!(wire.get(PODS).await.head.values("set-cookie"), ["a=1", "b=2"]);
}

#[tokio::test]
async fn an_upstreams_answer_keeps_its_headers_but_for_those_of_its_own_connection() {
    let house = House::new(Setup::default()).await;
    house.upstream.say_bytes(
        "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://elsewhere/x\r\nConnection: X-Mine, keep-alive\r\n\
         X-Mine: 1\r\nKeep-Alive: timeout=5\r\nUpgrade: h2c\r\nProxy-Authenticate: x\r\nAuthorization: Bearer t\r\n\
         X-Reload: reload\r\nETag: \"a\"\r\nX-Lamplighter-Reason: planted\r\n\r\n",
    );
    let mut wire = Wire::open(&house.app, &house.browser).await;
    let answer = wire.get(PODS).await;
    assert_eq!(answer.status, 302);
    for name in
        ["x-mine", "keep-alive", "upgrade", "proxy-authenticate", "authorization", "x-lamplighter-reason"]
    {
        assert!(answer.head.values(name).is_empty(), "{name}");
    }
    let said = |name| answer.head.value(name);
    assert_eq!((said("location"), said("x-reload"), said("etag")), ("http://elsewhere/x", "reload", "\"a\""));
}

/// Security reference: HH-15.
#[tokio::test]
async fn no_credential_comes_back_from_an_upstream() {
    let house = House::new(Setup::default()).await;
    let names = [
        "Authorization",
        "Impersonate-User",
        "X-Auth-Request-User",
        "X-Auth-Token",
        "X-Forwarded-Access-Token",
        "X-Forwarded-Email",
        "X-Forwarded-Group",
        "X-Forwarded-Groups",
        "X-Forwarded-Id-Token",
        "X-Forwarded-User",
        "X-Lamplighter-Reason",
        "X-Remote-User",
    ];
    let cookies = [
        "__Host-lamplighter=planted; Path=/; Secure",
        "__HOST-Lamplighter=planted",
        "__Host-lamplighter-attempt-abc=planted",
        "lamplighter-fallback-abcdef=planted",
    ];
    let planted: String = names.iter().flat_map(|name| spellings(name)).collect();
    let planted: String = planted
        .lines()
        .filter(|line| !line.starts_with("Connection:"))
        .fold(String::new(), |all, line| all + line + "\r\n");
    let cookies = cookies.map(|cookie| format!("Set-Cookie: {cookie}\r\n")).concat();
    let accept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    for (first, lines) in [
        ("200 OK", "Content-Length: 0"),
        ("302 Found", "Content-Length: 0\r\nLocation: /x"),
        ("403 Forbidden", "Content-Length: 0"),
        ("500 Internal Server Error", "Content-Length: 0"),
        ("101 Switching Protocols", accept),
    ] {
        for part in planted.lines().collect::<Vec<_>>().chunks(80) {
            let part = part.join("\r\n");
            house.upstream.say_bytes(format!(
                "HTTP/1.1 {first}\r\n{lines}\r\n{part}\r\n{cookies}Set-Cookie: theme=dark\r\nX-Own: 1\r\n\r\n"
            ));
            let mut wire = Wire::open(&house.app, &house.browser).await;
            let answer = if lines == accept { wire.upgrade(PODS, "").await } else { wire.get(PODS).await };
            assert_eq!(Some(answer.status.to_string().as_str()), first.split(' ').next());
            let left: Vec<_> =
                answer.head.lines.iter().filter(|(_, value)| value.contains("planted")).collect();
            assert!(left.is_empty(), "{first}: {left:?}");
            assert_eq!((answer.head.value("set-cookie"), answer.head.value("x-own")), ("theme=dark", "1"));
        }
    }
}

#[tokio::test]
async fn an_upgrade_to_anything_but_a_websocket_is_no_upgrade() {
    let house = House::new(Setup::default()).await;
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
        "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n",
        "Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Upgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ] {
        let head = house.passed(lines).await;
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(head.values(name).is_empty(), "{name} of {lines:?}");
        }
    }
    let mut wire = Wire::open(&house.app, &house.browser).await;
    wire.ask(&format!("POST {PODS}"), &format!("{HANDSHAKE}Content-Length: 5\r\n"), "hello").await;
    assert_eq!(wire.answer_to("POST").await.status, 200);
    let arrived = house.upstream.last();
    assert_eq!((arrived.head.value("upgrade"), arrived.body.as_slice()), ("", &b"hello"[..]));
}
