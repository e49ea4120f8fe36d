//! What holds behind every proxy that asks before it passes a request on; `traefik`, `caddy` and `envoy` say how each is started.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use http::Method;
use libtest_mimic::Trial;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Parts;
use crate::forgeries;
use crate::house::{House, Plan};
use crate::ingress_nginx::claims;
use crate::process::Process;
use crate::rig::Rig;
use crate::upstream::{self, arrived};
use crate::visitor::{Ask, Visitor};
use crate::wait;

/// A kind of proxy.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) program: &'static str,
    /// The page about it, and the file that the page is about.
    pub(crate) page: &'static str,
    pub(crate) example: &'static str,
    /// Starts one in front of a house, at this port, with the file that the documentation shows.
    pub(crate) start: fn(&Path, &House, u16) -> Process,
    /// What it makes of an answer that it did not get.
    pub(crate) on_error: u16,
    /// Whether a 502 of the check reaches the client, or counts as no answer.
    pub(crate) relays_502: bool,
    /// What becomes of a request that impersonates: whether the check sees it, or the proxy has taken the headers away.
    pub(crate) on_impersonation: u16,
}

/// What a proxy is asked in a test.
type Question = fn(Front) -> Pin<Box<dyn Future<Output = ()> + Send>>;

const QUESTIONS: [(&str, Question); 11] = [
    ("a_deep_link_leads_to_the_provider_and_back_to_itself", |front| Box::pin(deep_link(front))),
    ("who_is_signed_in_reaches_the_ui_with_a_minted_token_and_without_our_cookie", |front| {
        Box::pin(signed_in(front))
    }),
    ("a_script_without_a_session_is_told_to_reload", |front| Box::pin(script(front))),
    ("who_is_in_no_group_sees_the_page_that_says_so", |front| Box::pin(no_role(front))),
    ("what_another_site_asks_for_is_refused", |front| Box::pin(cross_site(front))),
    ("a_websocket_echoes_and_carries_no_token_of_the_clients", |front| Box::pin(websocket(front))),
    ("forged_headers_do_not_reach_the_ui", |front| Box::pin(forgeries::reach_no_ui(front))),
    ("forged_headers_open_nothing", |front| Box::pin(forgeries::open_nothing(front))),
    ("without_lamplighter_nobody_gets_through", |front| Box::pin(down(front))),
    ("the_uis_own_cookies_arrive_as_they_are", |front| Box::pin(cookies(front))),
    ("headlamps_own_log_out_ends_the_session", |front| Box::pin(sign_out(front))),
];

/// The tests of one kind.
pub(crate) fn tests(parts: &Parts, kind: &'static Kind) -> Vec<Trial> {
    let test = |(sentence, question): (&str, Question)| {
        let name = format!("{}::{sentence}", kind.program);
        parts.test_with(kind.program, &name, move |rig, program| async move {
            question(Front::start(kind, &program, &rig, Plan::usual(&rig)).await).await;
        })
    };
    let no_token =
        format!("{}::without_a_token_there_is_a_page_for_people_and_a_refusal_for_scripts", kind.program);
    let no_token = parts.test_with(kind.program, &no_token, move |rig, program| async move {
        let plan = Plan { viewer: "stranger", ..Plan::usual(&rig) };
        tokenless(Front::start(kind, &program, &rig, plan).await).await;
    });
    let page = Trial::test(format!("{}::the_page_shows_what_is_run_here", kind.program), || {
        assert_shows(kind.page, kind.example);
        Ok(())
    });
    QUESTIONS.into_iter().map(test).chain([no_token, page]).collect()
}

/// Whether each line of the code that a page shows stands in the example.
fn assert_shows(page: &str, example: &str) {
    let code = |line: &str| line.split(" # ").next().unwrap_or_default().trim().to_owned();
    let known: Vec<String> = example.lines().map(code).collect();
    let blocks = page.split("\n```").skip(1).step_by(2);
    let shown: Vec<&str> = blocks.flat_map(|block| block.lines().skip(1)).collect();
    assert!(!shown.is_empty(), "the page shows nothing");
    for line in shown {
        assert!(known.contains(&code(line)), "the example has no {line}");
    }
}

/// A proxy in front of a house. Ends when it is dropped.
pub(crate) struct Front {
    // Before the house, whose folder its log is in.
    _process: Process,
    pub(crate) house: House,
    pub(crate) kind: &'static Kind,
    port: u16,
}

impl Front {
    async fn start(kind: &'static Kind, program: &Path, rig: &Rig, plan: Plan) -> Self {
        let port = rig.free_port();
        let house = House::build_at(rig, kind.program, Plan { is_public: false, ..plan }, port).await;
        let process = (kind.start)(program, &house, port);
        let front = Self { _process: process, house, kind, port };
        front.wait().await;
        front
    }

    /// Some listen before they know their routes and their certificate.
    async fn wait(&self) {
        wait::until_async("the proxy leads to lamplighter", async || {
            match self.say("GET /lamplighter/login").await {
                Ok(answer) if answer.to_ascii_lowercase().contains("x-lamplighter-reason") => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    /// Asks for what no client library would, and hears all of the answer.
    pub(crate) async fn say(&self, request: &str) -> std::io::Result<String> {
        say(&self.house.rig, &self.house.host, self.port, &format!("{request} HTTP/1.1")).await
    }

    /// A browser in which `login` has signed in.
    pub(crate) async fn signed_in(&self, login: &str) -> Visitor {
        let (visitor, page) = self.house.signed_in(login).await;
        assert_eq!(page.status(), 200, "{:?} {}", page.trail, page.body);
        visitor
    }
}

/// Asks `host`, at a port of the node, for what no client library would, in the lines `head`, and hears all of the answer.
pub(crate) async fn say(rig: &Rig, host: &str, port: u16, head: &str) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(&rig.ca).expect("the rig's CA can be read") {
        roots.add(root.expect("the rig's CA is PEM")).expect("the rig's CA is one");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect((rig.node_address, port)).await?;
    let name = ServerName::try_from(host.to_owned()).expect("a host's name");
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await?;
    let head = format!("{head}\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    tls.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    // Some end without saying so.
    let _ = tokio::time::timeout(wait::BOUND, tls.read_to_end(&mut answer)).await.expect("an end in time");
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

async fn deep_link(front: Front) {
    let mut nobody = front.house.visitor();
    let page = nobody.ask(Ask::page("/c/main/pods?namespace=a%2Fb&x=y")).await;
    assert_eq!((page.status(), page.reason()), (302, "no-session"), "{page:?}");
    let (login, rd) = page.header("location").split_once("?rd=").expect("login is told where to return");
    assert_eq!(login, format!("{}/lamplighter/login", front.house.site));
    assert!(rd.contains("namespace%3Da%252Fb"), "{rd}");
    assert_eq!(page.headers.get("authorization"), None);
    let page = nobody.sign_in("/c/main/pods?namespace=a%2Fb&x=y", "alice").await;
    assert_eq!(page.url.as_str(), format!("{}/c/main/pods?namespace=a%2Fb&x=y", front.house.site));
    assert!(page.body.contains("as <b id=\"user\">alice</b>"), "{}", page.body);
    assert!(page.body.contains(">/c/main/pods?namespace=a%2Fb&x=y<"), "{}", page.body);
}

async fn signed_in(front: Front) {
    let mut victor = front.signed_in("victor").await;
    victor.keep("theme", "dark");
    let ask = Ask::script(Method::POST, "/clusters/main/api/v1/pods?a=b%2Fc").json(r#"{"kind":"Pod"}"#);
    for ask in [Ask::script(Method::GET, "/clusters/main/api/v1/pods?a=b%2Fc"), ask] {
        let page = victor.ask(ask.clone()).await;
        assert_eq!((page.status(), page.header("set-cookie")), (200, ""), "{ask:?}");
        let shown = page.json();
        assert_eq!(shown["target"], "/clusters/main/api/v1/pods?a=b%2Fc");
        assert_eq!(arrived(&shown, "x-forwarded-user"), ["victor"]);
        assert_eq!(arrived(&shown, "x-forwarded-email"), ["victor@rig.test"]);
        assert_eq!(arrived(&shown, "x-forwarded-group"), ["k8s-viewers"]);
        assert_eq!(arrived(&shown, "cookie"), ["theme=dark"]);
        let [authorization] = arrived(&shown, "authorization")[..] else { panic!("{shown}") };
        let viewer = format!("system:serviceaccount:{}:viewer", front.house.namespace.name);
        assert_eq!(claims(authorization)["sub"], viewer);
    }
}

async fn script(front: Front) {
    let mut nobody = front.house.visitor();
    for method in [Method::GET, Method::POST] {
        let page = nobody.ask(Ask::script(method, "/clusters/main/api/v1/pods")).await;
        assert_eq!((page.status(), page.reason()), (401, "no-session"), "{page:?}");
        assert_eq!(page.header("x-reload"), "reload");
        assert_eq!((&page.json()["kind"], &page.json()["code"]), (&"Status".into(), &401.into()));
        assert!(page.header("content-type").starts_with("application/json"), "{page:?}");
    }
}

async fn no_role(front: Front) {
    let (mut nora, page) = front.house.signed_in("nora").await;
    assert_eq!((page.status(), page.reason()), (403, "no-role"));
    assert!(page.body.contains("You have no role here"), "{}", page.body);
    assert_eq!(nora.cookie("__Host-lamplighter"), None);
    assert_eq!(nora.ask(Ask::script(Method::GET, "/config")).await.status(), 401);
}

async fn cross_site(front: Front) {
    let mut alice = front.signed_in("alice").await;
    let target = "/clusters/main/api/v1/pods";
    for ask in [
        Ask::script(Method::POST, target).with("origin", "https://evil.example"),
        Ask::script(Method::POST, target).with("sec-fetch-site", "same-site"),
        Ask::script(Method::GET, target).with("sec-fetch-site", "cross-site"),
        Ask::form(target, &[("a", "b")]).with("sec-fetch-site", "cross-site"),
        Ask::script(Method::POST, target)
            .with("origin", "https://evil.example")
            .with("x-forwarded-method", "GET")
            .with("x-original-method", "GET"),
        Ask::socket("/echo", "https://evil.rig.test"),
        Ask::socket("/echo", "null"),
    ] {
        let page = alice.ask(ask.clone()).await;
        assert_eq!(page.status(), 403, "{ask:?}");
        assert_eq!(page.headers.get("authorization"), None, "{ask:?}");
    }
    // Following a link from anywhere is no attack.
    assert_eq!(alice.ask(Ask::page("/c/main").with("sec-fetch-site", "cross-site")).await.status(), 200);
}

async fn websocket(front: Front) {
    let mut alice = front.signed_in("alice").await;
    let answer = alice.send(&Ask::socket("/echo", &front.house.site)).await;
    assert_eq!(answer.status(), 101);
    let mut tunnel = answer.upgrade().await.expect("a tunnel");
    for said in ["once", "again"] {
        tunnel.write_all(said.as_bytes()).await.expect("bytes can be sent");
        let mut heard = vec![0; said.len()];
        let hearing = tunnel.read_exact(&mut heard);
        tokio::time::timeout(wait::BOUND, hearing).await.expect("an echo in time").expect("an echo");
        assert_eq!(heard, said.as_bytes());
    }
    let bearer = "v4.channel.k8s.io, base64url.bearer.authorization.k8s.io.Zm9yZ2Vk";
    let page =
        alice.ask(Ask::socket("/echo", &front.house.site).with("sec-websocket-protocol", bearer)).await;
    assert_eq!((page.status(), page.reason()), (403, "impersonation"), "{page:?}");
    let page = front.house.visitor().ask(Ask::socket("/echo", &front.house.site)).await;
    assert_eq!((page.status(), page.reason()), (401, "no-session"), "{page:?}");
}

async fn down(front: Front) {
    let mut alice = front.signed_in("alice").await;
    let Front { house, kind, _process, .. } = front;
    drop(house.lamplighter);
    for ask in [
        Ask::page("/c/main"),
        Ask::script(Method::GET, "/config"),
        Ask::script(Method::POST, "/config"),
        Ask::socket("/echo", &house.site),
    ] {
        let page = alice.ask(ask.clone()).await;
        assert_eq!((page.status(), page.body.as_str()), (kind.on_error, ""), "{ask:?}");
    }
}

async fn cookies(front: Front) {
    let mut alice = front.signed_in("alice").await;
    let page = alice.ask(Ask::script(Method::GET, "/cookies")).await;
    assert_eq!((page.status(), page.body.as_str()), (200, "set"));
    let set: Vec<_> =
        page.headers.get_all("set-cookie").iter().map(|line| line.to_str().expect("ASCII")).collect();
    assert_eq!(set, upstream::COOKIES);
}

async fn sign_out(front: Front) {
    let mut alice = front.signed_in("alice").await;
    let log_out = Ask::script(Method::POST, "/clusters/main/set-token").json(r#"{"token":null}"#);
    let page = alice.ask(log_out).await;
    assert_eq!((page.status(), page.reason()), (401, "signed-out"), "{page:?}");
    assert!(page.header("set-cookie").starts_with("__Host-lamplighter="), "{page:?}");
    let page = alice.follow(Ask::page("/c/main")).await;
    assert_eq!(page.trail, [302, 200]);
    assert!(page.body.contains("You are signed out"), "{}", page.body);
}

async fn tokenless(front: Front) {
    let (mut victor, page) = front.house.signed_in("victor").await;
    assert_eq!((page.status(), page.reason()), (502, "mint-failed"));
    let page = victor.follow(Ask::page("/c/main")).await;
    assert_eq!((page.trail.as_slice(), page.reason()), ([302, 502].as_slice(), "mint-failed"));
    assert!(page.body.contains("There is no token for you"), "{}", page.body);
    let page = victor.ask(Ask::script(Method::GET, "/config")).await;
    let expected = if front.kind.relays_502 { (502, "mint-failed") } else { (front.kind.on_error, "") };
    assert_eq!((page.status(), page.reason()), expected, "{page:?}");
}
