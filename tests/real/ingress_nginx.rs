//! Signing in through the real ingress-nginx, with the Ingresses that the documentation shows.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use libtest_mimic::Trial;
use serde_json::Value;
use tokio::io::AsyncReadExt as _;

use crate::Parts;
use crate::house::{House, Plan};
use crate::rig::Rig;
use crate::upstream::arrived;
use crate::visitor::Ask;

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("ingress_nginx::people_sign_in_and_are_where_they_wanted_to_be", deep_link),
        parts.test("ingress_nginx::the_api_server_answers_an_admin", api),
        parts.test("ingress_nginx::a_viewer_looks_and_changes_nothing", viewer),
        parts.test("ingress_nginx::who_has_no_role_is_told_so_and_gets_no_session", nobody),
        parts.test("ingress_nginx::forged_headers_do_not_reach_the_ui", forged),
        parts.test("ingress_nginx::long_addresses_and_many_tabs_never_break_an_answer", long_addresses),
        parts.test("ingress_nginx::foreign_cookies_never_break_an_answer", many_cookies),
    ]
}

/// What a token says of itself.
pub(crate) fn claims(authorization: &str) -> Value {
    let token = authorization.strip_prefix("Bearer ").expect("a bearer token");
    let payload = token.split('.').nth(1).expect("a JWT has three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn deep_link(rig: Rig) {
    for provider in [rig.providers.plain.clone(), rig.providers.authentik.clone()] {
        let house = House::build(&rig, "link", Plan { provider, ..Plan::usual(&rig) }).await;
        let (_, page) = house.signed_in("alice").await;
        assert_eq!(page.url.as_str(), format!("{}/c/main/pods?namespace=a%2Fb", house.site));
        assert_eq!(page.status(), 200);
        assert!(page.body.contains("as <b id=\"user\">alice</b>"), "{}", page.body);
    }
}

async fn api(rig: Rig) {
    let house = House::build(&rig, "api", Plan::with_api(&rig)).await;
    let (mut alice, _) = house.signed_in("alice").await;
    let namespaces = alice.follow(Ask::script(Method::GET, "/clusters/main/api/v1/namespaces")).await;
    assert_eq!(namespaces.trail, [200]);
    let items = namespaces.json()["items"].as_array().unwrap().clone();
    assert!(items.iter().any(|item| item["metadata"]["name"] == house.namespace.name));

    let watch = format!("/clusters/main/api/v1/namespaces/{}/configmaps?watch=1", house.namespace.name);
    let answer = alice.send(&Ask::socket(&watch, &house.site)).await;
    assert_eq!(answer.status(), 101);
    let mut tunnel = answer.upgrade().await.unwrap();
    let mut seen = String::new();
    while !seen.contains("precious") {
        let mut buffer = [0; 4096];
        let read = tunnel.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the watch ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
    }

    let answer = alice.send(&Ask::socket(&watch, "https://evil.rig.test")).await;
    assert_eq!(answer.status(), 403);
}

async fn viewer(rig: Rig) {
    let house = House::build(&rig, "viewer", Plan::with_api(&rig)).await;
    let precious = format!("/clusters/main/api/v1/namespaces/{}/configmaps/precious", house.namespace.name);
    let (mut victor, _) = house.signed_in("victor").await;
    assert_eq!(victor.follow(Ask::script(Method::GET, &precious)).await.trail, [200]);

    let refusal = victor.follow(Ask::script(Method::DELETE, &precious)).await;
    assert_eq!(refusal.trail, [403]);
    let expected = format!(
        "configmaps \"precious\" is forbidden: User \"system:serviceaccount:{0}:viewer\" cannot delete resource \
         \"configmaps\" in API group \"\" in the namespace \"{0}\"",
        house.namespace.name
    );
    assert_eq!(refusal.json()["message"], expected);

    let (mut alice, _) = house.signed_in("alice").await;
    assert_eq!(alice.follow(Ask::script(Method::DELETE, &precious)).await.trail, [200]);
}

async fn nobody(rig: Rig) {
    let house = House::build(&rig, "nobody", Plan::usual(&rig)).await;
    let (nora, page) = house.signed_in("nora").await;
    assert_eq!((page.status(), page.reason()), (403, "no-role"));
    assert!(page.body.contains("You have no role here"), "{}", page.body);
    assert_eq!(nora.cookie("__Host-lamplighter"), None);
}

async fn forged(rig: Rig) {
    let house = House::build(&rig, "headers", Plan::usual(&rig)).await;
    let (mut victor, _) = house.signed_in("victor").await;
    victor.keep("headlamp-auth-main.0", "planted");
    victor.keep("theme", "dark");
    for (name, value) in [
        ("authorization", "Bearer forged"),
        ("connection", "Authorization, X-Forwarded-User"),
        ("forwarded", "host=evil.example"),
        ("kubeconfig", "forged"),
        ("x-forwarded-user", "root"),
        ("x-forwarded-email", "root@evil.example"),
        ("x-forwarded-group", "system:masters"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-id-token", "forged"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-uri", "/lamplighter/login"),
        ("x-headlamp-user-id", "forged"),
        ("x-original-method", "HEAD"),
        ("x-original-url", "https://evil.example/"),
    ] {
        victor.always.push((name, value.to_owned()));
    }
    let page = victor.follow(Ask::script(Method::GET, "/config")).await;
    assert_eq!(page.trail, [200]);
    let shown = page.json();
    assert_eq!(arrived(&shown, "x-forwarded-user"), ["victor"]);
    assert_eq!(arrived(&shown, "x-forwarded-email"), ["victor@rig.test"]);
    assert_eq!(arrived(&shown, "x-forwarded-group"), ["k8s-viewers"]);
    assert_eq!(arrived(&shown, "cookie"), ["theme=dark"]);
    assert_eq!(arrived(&shown, "x-forwarded-host"), [house.site.trim_start_matches("https://")]);
    assert_eq!(arrived(&shown, "x-forwarded-proto"), ["https"]);
    let none: [&str; 0] = [];
    for name in ["x-forwarded-id-token", "kubeconfig", "x-headlamp-user-id"] {
        assert_eq!(arrived(&shown, name), none, "{name}");
    }
    // Of what a client may write, the controller itself passes these on; no UI that we know reads them.
    let forged = |line: &&Value| {
        ["evil", "forged", "planted"].iter().any(|word| line[1].as_str().unwrap().contains(word))
    };
    let forged: Vec<&Value> =
        shown["headers"].as_array().unwrap().iter().filter(forged).map(|line| &line[0]).collect();
    assert_eq!(forged, ["forwarded", "x-original-url"]);
    let [authorization] = arrived(&shown, "authorization")[..] else { panic!("{shown}") };
    assert_eq!(
        claims(authorization)["sub"],
        format!("system:serviceaccount:{}:viewer", house.namespace.name)
    );
}

async fn many_cookies(rig: Rig) {
    let house = House::build(&rig, "cookies", Plan::usual(&rig)).await;
    let (mut alice, _) = house.signed_in("alice").await;
    let session = alice.cookies().len();
    // nginx takes 8 KiB of cookies, and gives the check's whole answer 4 KiB.
    for size in [500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 8_000 - session] {
        alice.keep("foreign", &"f".repeat(size));
        let page = alice.follow(Ask::script(Method::GET, "/config")).await;
        assert_eq!(page.trail, [200], "with {size} bytes of foreign cookies");
        let shown = page.json();
        let kept = arrived(&shown, "cookie");
        let whole = format!("foreign={}", "f".repeat(size));
        // All or nothing: the least always fits, the most never does.
        assert!(kept == [whole.as_str()] || (kept.is_empty() && size > 500), "{size} bytes: {kept:?}");
        assert!(kept.is_empty() || size < 3_000, "{size} bytes");
    }
}

async fn long_addresses(rig: Rig) {
    let house = House::build(&rig, "long", Plan::usual(&rig)).await;
    for size in [500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000, 6_000] {
        let target = format!("/c/main?q={}", "q".repeat(size));
        let mut alice = house.visitor();
        // Tabs that were opened before, and left at the provider's page.
        for _ in 0..8 {
            let page = alice.follow(Ask::page(&target)).await;
            assert_eq!(
                (page.status(), page.url.host_str()),
                (200, Some("auth.rig.test")),
                "{size}: {:?}",
                page.trail
            );
        }
        let page = alice.sign_in(&target, "alice").await;
        assert_eq!(page.status(), 200, "{size}: {:?}", page.trail);
        let is_home = page.url.as_str() == format!("{}/", house.site);
        assert!(is_home || page.url.as_str().ends_with(&target), "{size}: {}", page.url);
    }
}
