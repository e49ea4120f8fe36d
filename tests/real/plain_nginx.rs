//! nginx without Kubernetes around it, with the very file that the documentation shows.

use std::process::Command;

use http::Method;
use libtest_mimic::Trial;

use crate::Parts;
use crate::house::{House, Plan};
use crate::ingress_nginx::claims;
use crate::process::{Folder, Process};
use crate::rig::Rig;
use crate::upstream::arrived;
use crate::visitor::{Ask, Visitor};
use crate::wait;

const EXAMPLE: &str = include_str!("../../docs/examples/nginx.conf");

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("plain_nginx::people_sign_in_and_scripts_are_told_to_reload", sign_in),
        parts.test("plain_nginx::forged_headers_do_not_reach_the_ui", forged),
        parts.test("plain_nginx::what_another_site_asks_for_is_refused", cross_site),
        parts.test("plain_nginx::headlamps_own_log_out_ends_the_session", sign_out),
    ]
}

/// nginx in front of a house. Ends when it is dropped.
struct Nginx {
    _process: Process,
    house: House,
}

impl Nginx {
    async fn start(rig: &Rig, purpose: &str) -> Self {
        let port = rig.free_port();
        let house = House::build_at(rig, purpose, Plan { is_public: false, ..Plan::usual(rig) }, port).await;
        let site = EXAMPLE
            .replace("127.0.0.1:8080", &house.lamplighter.public.to_string())
            .replace("127.0.0.1:8081", &house.lamplighter.authz.to_string())
            .replace("127.0.0.1:4466", &house.upstream.address.to_string())
            .replace("listen 443", &format!("listen {}:{port}", rig.node_address))
            .replace("headlamp.example.com", &house.host)
            .replace("/etc/nginx/tls/headlamp.crt", &rig.tls_cert.display().to_string())
            .replace("/etc/nginx/tls/headlamp.key", &rig.tls_key.display().to_string());
        let nginx = Self { _process: nginx(rig, &house.folder, &site), house };
        nginx.wait();
        nginx
    }

    fn wait(&self) {
        let address = (self.house.rig.node_address, self.port());
        wait::until("nginx listens", || std::net::TcpStream::connect(address).ok());
    }

    fn port(&self) -> u16 {
        self.house.site.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap()
    }

    async fn signed_in(&self, login: &str) -> Visitor {
        let (visitor, page) = self.house.signed_in(login).await;
        assert_eq!(page.status(), 200, "{}", page.body);
        visitor
    }
}

/// nginx with the servers of `site`. Ends when it is dropped.
pub(crate) fn nginx(rig: &Rig, folder: &Folder, site: &str) -> Process {
    folder.write("headlamp.conf", site);
    let config = include_str!("manifests/nginx.conf").replace("FOLDER", &folder.0.display().to_string());
    let config = folder.write("nginx.conf", &config);
    let mut command = Command::new(&rig.nginx);
    command.arg("-c").arg(config).arg("-p").arg(&folder.0).args(["-e", "stderr"]);
    Process::start(&mut command, folder.0.join("nginx.log"))
}

async fn sign_in(rig: Rig) {
    let nginx = Nginx::start(&rig, "nginx").await;
    let mut nobody = nginx.house.visitor();
    let page = nobody.ask(Ask::page("/c/main/pods?namespace=a%2Fb")).await;
    assert_eq!(page.status(), 302);
    let login = format!("{}/lamplighter/login?rd=/c/main/pods%3Fnamespace%3Da%252Fb", nginx.house.site);
    assert_eq!(page.header("location"), login);
    for method in [Method::GET, Method::POST] {
        let page = nobody.follow(Ask::script(method, "/clusters/main/api/v1/pods")).await;
        assert_eq!((page.trail.as_slice(), page.reason()), ([302, 401].as_slice(), "no-session"));
        assert_eq!(page.header("x-reload"), "reload");
    }
    assert_eq!(nobody.follow(Ask::page("/.lamplighter-check")).await.status(), 404);

    let (mut victor, page) = nginx.house.signed_in("victor").await;
    assert_eq!(page.url.as_str(), format!("{}/c/main/pods?namespace=a%2Fb", nginx.house.site));
    let page = victor.ask(Ask::socket("/clusters/main/api/v1/pods?watch=1", &nginx.house.site)).await;
    assert_eq!(page.status(), 200);
    assert_eq!(arrived(&page.json(), "upgrade"), ["websocket"]);
}

async fn forged(rig: Rig) {
    let nginx = Nginx::start(&rig, "nginx").await;
    let mut victor = nginx.signed_in("victor").await;
    victor.keep("headlamp-auth-main.0", "planted");
    for (name, value) in [
        ("authorization", "Bearer forged"),
        ("kubeconfig", "forged"),
        ("x-forwarded-group", "system:masters"),
        ("x-forwarded-id-token", "forged"),
        ("x-forwarded-user", "root"),
        ("x-headlamp-user-id", "forged"),
        ("x-original-url", "https://evil.example/"),
    ] {
        victor.always.push((name, value.to_owned()));
    }
    let page = victor.follow(Ask::script(Method::GET, "/config")).await;
    assert_eq!(page.trail, [200]);
    let shown = page.json();
    assert_eq!(arrived(&shown, "x-forwarded-user"), ["victor"]);
    assert_eq!(arrived(&shown, "x-forwarded-group"), ["k8s-viewers"]);
    let none: [&str; 0] = [];
    for name in ["cookie", "kubeconfig", "x-forwarded-id-token", "x-headlamp-user-id"] {
        assert_eq!(arrived(&shown, name), none, "{name}");
    }
    let [authorization] = arrived(&shown, "authorization")[..] else { panic!("{shown}") };
    let viewer = format!("system:serviceaccount:{}:viewer", nginx.house.namespace.name);
    assert_eq!(claims(authorization)["sub"], viewer);
}

async fn cross_site(rig: Rig) {
    let nginx = Nginx::start(&rig, "nginx").await;
    let mut alice = nginx.signed_in("alice").await;
    for ask in [
        Ask::script(Method::POST, "/clusters/main/api/v1/pods").with("origin", "https://evil.example"),
        Ask::socket("/clusters/main/api/v1/pods?watch=1", "https://evil.rig.test"),
        Ask::script(Method::GET, "/config").with("impersonate-user", "system:admin"),
    ] {
        assert_eq!(alice.ask(ask.clone()).await.status(), 403, "{ask:?}");
    }
}

async fn sign_out(rig: Rig) {
    let nginx = Nginx::start(&rig, "nginx").await;
    let mut alice = nginx.signed_in("alice").await;
    let page =
        alice.ask(Ask::script(Method::POST, "/clusters/main/set-token").json(r#"{"token":null}"#)).await;
    assert_eq!(page.status(), 302);
    assert!(page.header("set-cookie").starts_with("__Host-lamplighter="), "{:?}", page.headers);
    let page = alice.follow(Ask::page("/c/main")).await;
    assert_eq!(page.trail, [302, 200]);
    assert!(page.body.contains("You are signed out"), "{}", page.body);
}
