//! Signing out through the real ingress-nginx.

use http::Method;
use libtest_mimic::Trial;

use crate::Parts;
use crate::house::{House, Plan};
use crate::rig::Rig;
use crate::visitor::{Ask, Visitor};

const SESSION: &str = "__Host-lamplighter";

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("sign_out::headlamps_own_log_out_ends_the_session", headlamp),
        parts.test("sign_out::our_own_form_ends_the_session", form),
        parts.test("sign_out::another_site_signs_nobody_out", cross_site),
    ]
}

/// The next page says so, does not sign in by itself, and has a way back in that works.
async fn is_signed_out_until_asked(visitor: &mut Visitor) {
    for _ in 0..2 {
        let page = visitor.follow(Ask::page("/c/main")).await;
        assert_eq!(page.trail, [302, 200]);
        assert!(page.body.contains("You are signed out"), "{}", page.body);
    }
    let page = visitor.follow(Ask::page("/lamplighter/login?rd=%2Fc%2Fmain&resume=1")).await;
    let page = visitor.finish_sign_in(page, "alice").await;
    assert_eq!((page.status(), page.url.path()), (200, "/c/main"));
}

async fn headlamp(rig: Rig) {
    let house = House::build(&rig, "logout", Plan::usual(&rig)).await;
    let (mut alice, _) = house.signed_in("alice").await;
    let before = alice.cookie(SESSION).unwrap().to_owned();

    let log_out = Ask::script(Method::POST, "/clusters/main/set-token").json(r#"{"token":null}"#);
    let page = alice.ask(log_out).await;
    assert_eq!(page.status(), 302);
    assert!(page.header("set-cookie").starts_with("__Host-lamplighter="), "{}", page.header("set-cookie"));
    assert_eq!(
        page.header("location"),
        format!("{}/lamplighter/login?rd=%2Fclusters%2Fmain%2Fset-token", house.site)
    );
    let page = alice.follow(Ask::script(Method::GET, "/lamplighter/login")).await;
    assert_eq!((page.status(), page.header("x-reload")), (401, "reload"));
    is_signed_out_until_asked(&mut alice).await;

    // Whoever kept the old cookie has nothing.
    let mut thief = house.visitor();
    thief.keep(SESSION, &before);
    assert_eq!(thief.follow(Ask::script(Method::GET, "/config")).await.trail, [302, 401]);
}

async fn form(rig: Rig) {
    let house = House::build(&rig, "form", Plan::usual(&rig)).await;
    let (mut alice, _) = house.signed_in("alice").await;
    let page = alice.follow(Ask::page("/lamplighter/logout")).await;
    assert!(page.body.contains("Sign out?"), "{}", page.body);
    assert_eq!(alice.follow(Ask::script(Method::GET, "/config")).await.trail, [200]);

    let page = alice.follow(Ask::form("/lamplighter/logout", &[])).await;
    assert_eq!((page.trail.as_slice(), page.url.path()), ([303, 200].as_slice(), "/lamplighter/signed-out"));
    is_signed_out_until_asked(&mut alice).await;
}

async fn cross_site(rig: Rig) {
    let house = House::build(&rig, "csrf", Plan::usual(&rig)).await;
    let (mut alice, _) = house.signed_in("alice").await;
    let log_out = Ask::script(Method::POST, "/clusters/main/set-token");
    assert_eq!(alice.follow(log_out.with("sec-fetch-site", "same-site")).await.trail, [403]);
    let form = Ask::form("/lamplighter/logout", &[]).with("sec-fetch-site", "cross-site");
    assert_eq!(alice.follow(form).await.trail, [403]);
    assert_eq!(alice.follow(Ask::script(Method::GET, "/config")).await.trail, [200]);
}
