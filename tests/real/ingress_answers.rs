//! What becomes of each of the check's answers on its way through the real ingress-nginx.

use http::Method;
use libtest_mimic::Trial;

use crate::Parts;
use crate::house::{House, Plan};
use crate::rig::Rig;
use crate::upstream::arrived;
use crate::visitor::{Ask, Page};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("ingress_answers::who_is_not_signed_in_is_led_to_login_or_told_to_reload", signed_out),
        parts.test("ingress_answers::who_is_signed_in_passes", signed_in),
        parts.test("ingress_answers::what_another_site_asks_for_is_refused", cross_site),
        parts.test("ingress_answers::a_request_that_impersonates_is_refused", impersonation),
        parts.test(
            "ingress_answers::without_a_token_there_is_a_page_for_people_and_500_for_scripts",
            no_token,
        ),
        parts.test("ingress_answers::without_the_provider_people_are_told_so", no_provider),
    ]
}

/// Statuses on the way, and lamplighter's reason at the end.
fn outcome(page: &Page) -> (&[u16], &str) {
    (&page.trail, page.reason())
}

async fn signed_out(rig: Rig) {
    let house = House::build(&rig, "out", Plan::usual(&rig)).await;
    let mut nobody = house.visitor();

    let page = nobody.ask(Ask::page("/c/main/pods?namespace=a%2Fb&x=y")).await;
    assert_eq!(page.status(), 302);
    let login =
        format!("{}/lamplighter/login?rd=%2Fc%2Fmain%2Fpods%3Fnamespace%3Da%252Fb%26x%3Dy", house.site);
    assert_eq!(page.header("location"), login);
    let page = nobody.follow(Ask::page("/c/main")).await;
    assert_eq!(
        (page.trail.as_slice(), page.url.host_str()),
        ([302, 303, 303, 200].as_slice(), Some("auth.rig.test"))
    );

    for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
        let page = nobody.follow(Ask::script(method, "/clusters/main/api/v1/pods")).await;
        assert_eq!(outcome(&page), ([302, 401].as_slice(), "no-session"));
        assert_eq!(page.header("x-reload"), "reload");
        assert_eq!((&page.json()["kind"], &page.json()["code"]), (&"Status".into(), &401.into()));
    }
    let page = nobody.follow(Ask::image("/favicon.ico")).await;
    assert_eq!(outcome(&page), ([302, 401].as_slice(), "no-session"));
    assert_eq!((page.header("x-reload"), page.body.as_str()), ("", ""));
    let page = nobody.follow(Ask::socket("/clusters/main/api/v1/pods?watch=1", &house.site)).await;
    assert_eq!(outcome(&page), ([302, 401].as_slice(), "no-session"));
}

async fn signed_in(rig: Rig) {
    let house = House::build(&rig, "in", Plan::usual(&rig)).await;
    let (mut alice, page) = house.signed_in("alice").await;
    assert_eq!(page.status(), 200);
    for ask in [
        Ask::page("/"),
        Ask::image("/favicon.ico"),
        Ask::script(Method::GET, "/config"),
        Ask::script(Method::POST, "/clusters/main/api/v1/pods").json("{}"),
        Ask::script(Method::DELETE, "/clusters/main/api/v1/pods/a"),
        Ask::socket("/clusters/main/api/v1/pods?watch=1", &house.site),
    ] {
        let page = alice.ask(ask.clone()).await;
        assert_eq!(outcome(&page), ([200].as_slice(), ""), "{ask:?}");
        assert_eq!((page.header("set-cookie"), page.header("authorization")), ("", ""), "{ask:?}");
    }
    let shown = alice.ask(Ask::socket("/clusters/main/api/v1/pods?watch=1", &house.site)).await.json();
    assert_eq!(arrived(&shown, "upgrade"), ["websocket"]);

    let login = alice.follow(Ask::page("/lamplighter/login?rd=/c/main/nodes")).await;
    assert_eq!((login.trail.as_slice(), login.url.path()), ([303, 200].as_slice(), "/c/main/nodes"));
    let prompt = alice.follow(Ask::page("/c/main/token")).await;
    assert_eq!((prompt.trail.as_slice(), prompt.url.path()), ([302, 303, 200].as_slice(), "/c/main/"));
}

async fn cross_site(rig: Rig) {
    let house = House::build(&rig, "cross", Plan::usual(&rig)).await;
    let (mut alice, _) = house.signed_in("alice").await;
    let target = "/clusters/main/api/v1/pods";
    for ask in [
        Ask::script(Method::POST, target).with("sec-fetch-site", "same-site"),
        Ask::script(Method::POST, target).with("origin", "https://evil.example"),
        Ask::script(Method::GET, target).with("sec-fetch-site", "cross-site"),
        Ask::form(target, &[("a", "b")]).with("sec-fetch-site", "cross-site"),
        Ask::image(target).with("sec-fetch-site", "cross-site"),
        Ask::socket(target, "https://evil.rig.test"),
        Ask::socket(target, "null"),
    ] {
        let page = alice.ask(ask.clone()).await;
        assert_eq!(page.status(), 403, "{ask:?}");
        assert!(page.body.contains("<center>nginx</center>"), "the page is nginx's own: {}", page.body);
    }
    // Following a link from anywhere is no attack.
    let page = alice.ask(Ask::page("/c/main").with("sec-fetch-site", "cross-site")).await;
    assert_eq!(page.status(), 200);
}

async fn impersonation(rig: Rig) {
    let house = House::build(&rig, "imp", Plan::usual(&rig)).await;
    let (mut alice, _) = house.signed_in("alice").await;
    for (name, value) in [
        ("impersonate-user", "system:admin"),
        ("impersonate-extra-scopes", "all"),
        ("x-remote-group", "system:masters"),
        ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.Zm9yZ2Vk"),
    ] {
        let page = alice.follow(Ask::script(Method::GET, "/config").with(name, value)).await;
        assert_eq!(page.trail, [403], "{name}");
        let page = alice.follow(Ask::page("/").with(name, value)).await;
        assert_eq!(outcome(&page), ([302, 403].as_slice(), "impersonation"), "{name}");
    }
}

async fn no_token(rig: Rig) {
    let house = House::build(&rig, "mintless", Plan { viewer: "stranger", ..Plan::usual(&rig) }).await;
    let (mut victor, page) = house.signed_in("victor").await;
    assert_eq!((page.status(), page.reason()), (502, "mint-failed"));
    assert_eq!(page.url.path(), "/lamplighter/login");
    assert!(page.body.contains("There is no token for you"), "{}", page.body);

    let page = victor.follow(Ask::page("/c/main")).await;
    assert_eq!(outcome(&page), ([302, 502].as_slice(), "mint-failed"));
    let page = victor.follow(Ask::script(Method::GET, "/config")).await;
    assert_eq!(page.trail, [500]);
    let name = &house.namespace.name;
    assert!(
        house
            .lamplighter
            .log()
            .contains(&format!("not allowed to create tokens for the ServiceAccount {name}/stranger"))
    );
}

async fn no_provider(rig: Rig) {
    let issuer = Some("https://auth.rig.test:9/".to_owned());
    let house = House::build(&rig, "down", Plan { issuer, ..Plan::usual(&rig) }).await;
    let mut nobody = house.visitor();
    let page = nobody.follow(Ask::page("/c/main")).await;
    assert_eq!(outcome(&page), ([302, 503].as_slice(), "provider-unreachable"));
    assert!(page.body.contains("The identity provider does not answer"), "{}", page.body);
    let page = nobody.follow(Ask::script(Method::GET, "/config")).await;
    assert_eq!(outcome(&page), ([302, 401].as_slice(), "no-session"));
}
