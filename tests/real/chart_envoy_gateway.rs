//! The chart behind Envoy Gateway, whose controller reads the policies from the cluster and has an Envoy do them.

use std::path::{Path, PathBuf};

use http::Method;
use libtest_mimic::Trial;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use url::Url;

use crate::Parts;
use crate::chart::{prepare_at, values};
use crate::envoy_gateway::EnvoyGateway;
use crate::forgeries::{FORGED, IMPERSONATING, assert_own};
use crate::proxies::say;
use crate::release::Release;
use crate::rig::Rig;
use crate::upstream::{Upstream, arrived};
use crate::visitor::{Ask, Visitor};
use crate::wait;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![parts.test_with(
        "envoy-gateway",
        "chart::behind_envoy_gateway_its_policy_asks_and_people_get_in",
        gateway,
    )]
}

async fn gateway(rig: Rig, program: PathBuf) {
    let site = Site::build(&rig, &program).await;
    let mut victor = site.release.visitor(&[401]).await;
    site.release.assert_well();
    nobody(&site).await;
    sign_in(&site, &mut victor).await;
    websocket(&site, &mut victor).await;
    paths(&site, &victor).await;
    assert_eq!(passing(&mut victor).await, PASSING);
    site.install(true);
    wait::until_async("the Gateway takes headers away", async || match passing(&mut victor).await {
        passing if passing.is_empty() => Ok(()),
        passing => Err(format!("{passing:?}")),
    })
    .await;
    forgeries(&site, &mut victor).await;
    sign_out(victor).await;
    tokenless(&site).await;
    down(&site).await;
    site.release.helm(&["uninstall", "door", "--wait"]);
    let kinds = "securitypolicies,clienttrafficpolicies,httproutes,referencegrants";
    let ours = "-l=app.kubernetes.io/instance=door";
    assert_eq!(site.release.namespace.kubectl(&["get", "-A", kinds, ours, "-o=name"]), "");
}

/// A release, and a UI in the namespace of the Gateway.
struct Site {
    // Before the Gateway, which takes the kinds of the release's objects with it.
    release: Release,
    gateway: EnvoyGateway,
    ui: Upstream,
    port: u16,
}

impl Site {
    async fn build(rig: &Rig, program: &Path) -> Self {
        let port = rig.free_port();
        let release = prepare_at(rig, "chart-envoy", port).await;
        let gateway = EnvoyGateway::install(rig, program, port, &release.namespace);
        let ui = Upstream::start(rig.node_address).await;
        let site = Self { release, gateway, ui, port };
        site.install(false);
        site.release.namespace.wait_for_deployment("door-lamplighter");
        site.run_ui();
        site
    }

    /// Installs or upgrades the release, and has the Gateway take headers away, or not.
    fn install(&self, takes_away: bool) {
        let namespace = &self.gateway.namespace.name;
        let integration = json!({
            "kind": "envoy-gateway",
            "gatewayApi": {"parentRefs": [{"name": "public", "namespace": namespace}]},
            "envoyGateway": {"clientTrafficPolicy": takes_away},
        });
        self.release.install(&values(
            &self.release,
            &json!({
                "mode": "gateway", "integration": integration, "uiPods": {"namespace": namespace},
                // Envoy is a pod, and asks as one.
                "listen": {"trustedProxies": ["10.88.0.0/24"]},
                "networkPolicy": {
                    "enabled": true, "ingressFrom": [{"namespace": namespace}],
                    "egress": {"apiServerPorts": [self.release.rig.api_server_port()]},
                },
            }),
        ));
    }

    /// The UI that shows what reached it, with the `HTTPRoute` that Headlamp's chart makes of its values.
    fn run_ui(&self) {
        let (namespace, address) = (&self.gateway.namespace, self.ui.address);
        let manifest = namespace.fill(include_str!("manifests/endpoints.yaml"));
        let outer = json!([{"name": "http", "port": 80, "targetPort": address.port()}]);
        let inner = json!([{"name": "http", "port": address.port()}]);
        let manifest = manifest.replace("SERVICE", "headlamp").replace("PORTS", &outer.to_string());
        let manifest = manifest.replace("TARGETS", &inner.to_string());
        namespace.apply(&manifest.replace("ADDRESS", &address.ip().to_string()));
        let values = &self.release.headlamp_values()["httpRoute"];
        let spec = ["parentRefs", "hostnames", "rules"].map(|key| (key.to_owned(), values[key].clone()));
        namespace.apply(
            &json!({
                "apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute",
                "metadata": {"name": "headlamp", "namespace": namespace.name},
                "spec": serde_json::Map::from_iter(spec),
            })
            .to_string(),
        );
    }

    fn visitor(&self) -> Visitor {
        Visitor::new(&self.release.rig, &self.release.site)
    }

    /// Whose token a viewer gets.
    fn account(&self) -> String {
        format!("system:serviceaccount:{}:looker", self.release.namespace.name)
    }
}

async fn nobody(site: &Site) {
    let mut nobody = site.visitor();
    let page = nobody.ask(Ask::page("/c/main/pods?namespace=a%2Fb")).await;
    assert_eq!((page.status(), page.reason()), (302, "no-session"), "{page:?}");
    assert_eq!(asked_for(page.header("location")), "/c/main/pods?namespace=a%2Fb");
    for method in [Method::GET, Method::POST] {
        let page = nobody.ask(Ask::script(method, "/clusters/main/api/v1/pods")).await;
        assert_eq!((page.status(), page.reason(), page.header("x-reload")), (401, "no-session", "reload"));
        assert_eq!((&page.json()["kind"], &page.json()["code"]), (&"Status".into(), &401.into()));
    }
}

/// What the check was asked about, by the address to which a navigation is sent.
fn asked_for(location: &str) -> String {
    let login = Url::parse(location).expect("an address");
    assert_eq!(login.path(), "/lamplighter/login");
    let (_, target) = login.query_pairs().find(|(name, _)| name == "rd").expect("where to return");
    target.into_owned()
}

async fn sign_in(site: &Site, victor: &mut Visitor) {
    let page = victor.sign_in("/c/main/pods?namespace=a%2Fb", "victor").await;
    assert_eq!(page.status(), 200, "{:?} {}", page.trail, page.body);
    assert!(page.body.contains(">/c/main/pods?namespace=a%2Fb<"), "{}", page.body);
    victor.keep("theme", "dark");
    let ask = Ask::script(Method::POST, "/clusters/main/api/v1/pods?a=b%2Fc").json(r#"{"kind":"Pod"}"#);
    let page = victor.ask(ask).await;
    assert_eq!((page.status(), page.header("set-cookie")), (200, ""), "{page:?}");
    let shown = page.json();
    assert_eq!(shown["target"], "/clusters/main/api/v1/pods?a=b%2Fc");
    assert_eq!(arrived(&shown, "cookie"), ["theme=dark"]);
    assert_own(&shown, &site.account());
    let [authorization] = arrived(&shown, "authorization")[..] else { panic!("{shown}") };
    let token = authorization.strip_prefix("Bearer ").expect("a bearer token");
    assert!(site.release.namespace.kubectl_as(token, &["get", "pods"]).status.success());
    let evil = Ask::script(Method::POST, "/clusters/main/api/v1/pods").with("origin", "https://evil.example");
    assert_eq!(victor.ask(evil).await.status(), 403);
}

async fn websocket(site: &Site, victor: &mut Visitor) {
    let socket = Ask::socket("/echo", &site.release.site);
    let answer = victor.send(&socket).await;
    assert_eq!(answer.status(), 101);
    let mut tunnel = answer.upgrade().await.expect("a tunnel");
    tunnel.write_all(b"once").await.expect("bytes can be sent");
    let mut heard = [0; 4];
    let hearing = tunnel.read_exact(&mut heard);
    tokio::time::timeout(wait::BOUND, hearing).await.expect("an echo in time").expect("an echo");
    assert_eq!(&heard, b"once");
    let bearer = "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.Zm9yZ2Vk";
    let page = victor.ask(socket.clone().with("sec-websocket-protocol", bearer)).await;
    assert_eq!((page.status(), page.reason()), (403, "impersonation"), "{page:?}");
    assert_eq!(victor.ask(Ask::socket("/echo", "https://evil.example")).await.status(), 403);
    let page = site.visitor().ask(socket).await;
    assert_eq!((page.status(), page.reason()), (401, "no-session"), "{page:?}");
}

/// What a client sends, and what both the check and the UI get to see of it.
const PATHS: [(&str, &str); 8] = [
    ("/c/main/../../config", "/config"),
    ("/c/%2e%2e/config", "/config"),
    ("/c/%2E%2e/config", "/config"),
    ("/lamplighter/../config", "/config"),
    ("/lamplighter/%2e%2e/config", "/config"),
    ("//config", "/config"),
    ("/c//main/./x", "/c/main/x"),
    ("/c/%252e%252e/x", "/c/%252e%252e/x"),
];

/// What Envoy itself sends to another address first.
const REDIRECTED: [&str; 3] = ["/lamplighter/..%2fconfig", "/c/..%5Cconfig", "/%2fconfig"];

async fn paths(site: &Site, victor: &Visitor) {
    let (rig, host) = (&site.release.rig, &site.release.host);
    let ask = async |target: &str, lines: &str| {
        let head = format!("GET {target} HTTP/1.1\r\n{lines}");
        say(rig, host, site.port, &head).await.expect("an answer")
    };
    let line = |answer: &str| {
        let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
        location.map_or_else(|| panic!("it leads nowhere: {answer}"), str::to_owned)
    };
    let cookie = format!("Cookie: {}", victor.cookies());
    for (sent, seen) in PATHS {
        let answer =
            ask(sent, "Accept: text/html\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document").await;
        assert_eq!(asked_for(&line(&answer)), seen, "{sent}");
        let answer = ask(sent, &cookie).await;
        assert!(answer.contains(&format!(r#""target":"{seen}""#)), "{sent}: {answer}");
    }
    for sent in REDIRECTED {
        let answer = ask(sent, &cookie).await;
        assert!(answer.starts_with("HTTP/1.1 307 "), "{answer}");
        assert_eq!(line(&answer), "/config", "{sent}");
    }
}

/// What a policy of a route does not reach, as docs/envoy-gateway.md says.
const PASSING: [&str; 18] = [
    "forwarded",
    "x-auth-request-user",
    "x-forwarded-access-token",
    "x-forwarded-groups",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-preferred-username",
    "x-forwarded-prefix",
    "x-forwarded-uri",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x.forwarded.user",
    "x-forwarded.group",
    "impersonate-extra-scopes",
    "impersonate.user",
    "x-remote-extra-scopes",
];

/// The names under which what a client made up reaches the UI.
async fn passing(victor: &mut Visitor) -> Vec<&'static str> {
    let mut passing = Vec::new();
    for (name, value) in FORGED.into_iter().chain(IMPERSONATING) {
        let page = victor.ask(Ask::script(Method::GET, "/config").with(name, value)).await;
        assert!([200, 400, 403].contains(&page.status()), "{name}: {page:?}");
        if page.status() == 200 && arrived(&page.json(), name).contains(&value) {
            passing.push(name);
        }
    }
    passing
}

async fn forgeries(site: &Site, victor: &mut Visitor) {
    let (odd, plain): (Vec<_>, Vec<_>) = FORGED.into_iter().partition(|(name, _)| name.contains('_'));
    victor.keep("headlamp-auth-main.0", "forged");
    victor.always = plain.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
    for ask in [
        Ask::script(Method::GET, "/config"),
        Ask::script(Method::GET, "/config").with("upgrade", "something"),
    ] {
        let page = victor.ask(ask).await;
        assert_eq!(page.status(), 200, "{page:?}");
        assert_own(&page.json(), &site.account());
    }
    let mut nobody = site.visitor();
    nobody.always = std::mem::take(&mut victor.always);
    let page = nobody.ask(Ask::script(Method::GET, "/config")).await;
    assert_eq!((page.status(), page.reason()), (401, "no-session"), "{page:?}");
    for (name, value) in odd {
        let page = victor.ask(Ask::script(Method::GET, "/config").with(name, value)).await;
        assert_eq!(page.status(), 400, "{name}: {page:?}");
    }
}

async fn sign_out(mut victor: Visitor) {
    let log_out = Ask::script(Method::POST, "/clusters/main/set-token").json(r#"{"token":null}"#);
    let page = victor.ask(log_out).await;
    assert_eq!((page.status(), page.reason()), (401, "signed-out"), "{page:?}");
    let page = victor.follow(Ask::page("/c/main")).await;
    assert_eq!(page.trail, [302, 200]);
    assert!(page.body.contains("You are signed out"), "{}", page.body);
}

/// A token that is not to be had: lamplighter says 502, which counts as no answer.
async fn tokenless(site: &Site) {
    let namespace = &site.release.namespace;
    namespace.kubectl(&["delete", "serviceaccount", "looker"]);
    let mut victor = site.visitor();
    let page = victor.sign_in("/c/main", "victor").await;
    assert_eq!((page.status(), page.reason()), (502, "mint-failed"), "{:?} {}", page.trail, page.body);
    let page = victor.ask(Ask::script(Method::GET, "/config")).await;
    assert_eq!((page.status(), page.body.as_str()), (502, ""), "{page:?}");
}

/// Without any pod the controller takes the policy for a mistake, and leads nowhere at all.
async fn down(site: &Site) {
    let mut nobody = site.visitor();
    site.release.namespace.kubectl(&["scale", "deployment/door-lamplighter", "--replicas=0"]);
    wait::until_async("the route is closed", async || {
        let page = nobody.ask(Ask::script(Method::GET, "/config")).await;
        assert!([401, 500, 502].contains(&page.status()), "{page:?}");
        if page.status() == 500 { Ok(()) } else { Err(format!("{page:?}")) }
    })
    .await;
    for (ask, status) in [
        (Ask::page("/c/main"), 500),
        (Ask::script(Method::POST, "/config"), 500),
        (Ask::socket("/echo", &site.release.site), 403),
    ] {
        let page = nobody.ask(ask).await;
        assert_eq!((page.status(), page.body.as_str()), (status, ""), "{page:?}");
    }
}
