//! Proxy mode: who may pass, and what each path of a UI's gets.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::browser::path_at_site;
use common::files::Folder;
use common::upstream::Upstream;
use common::wire::{HANDSHAKE, Wire};
use common::{App, Browser, SCRIPT, SITE, Setup};
use http::Method;
use lamplighter::app::Settings;
use lamplighter::auth::Policy;
use lamplighter::edge::Ui;

const PODS: &str = "/clusters/main/api/v1/pods";

async fn house() -> (App, Upstream) {
    house_with(|_| {}).await
}

async fn house_with(edit: impl FnOnce(&mut Settings) + 'static) -> (App, Upstream) {
    let upstream = Upstream::start().await;
    let app = Setup::default().in_front_of(&upstream).settings(edit).start().await;
    (app, upstream)
}

/// Asks as a script; the status, and the `Authorization` that arrived, where anything did.
async fn asked_by(
    browser: &mut Browser,
    upstream: &Upstream,
    method: &str,
    path: &str,
) -> (u16, Option<String>) {
    let before = upstream.count();
    let page = browser.request(&method.parse().unwrap(), path, SCRIPT).await;
    let arrived = (upstream.count() > before).then(|| upstream.last());
    (page.status.as_u16(), arrived.map(|arrived| arrived.head.value("authorization").to_owned()))
}

#[tokio::test]
async fn who_is_signed_in_reaches_the_ui() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    let page = browser.open("/c/main/pods?namespace=a").await;
    assert_eq!((page.status.as_u16(), page.body.as_str()), (200, "ok"));
    let arrived = upstream.last();
    assert_eq!(arrived.head.first, "GET /c/main/pods?namespace=a HTTP/1.1");
    assert_eq!(arrived.head.value("x-forwarded-user"), "ada");
    assert_eq!(arrived.head.value("host"), "headlamp.example.com");
}

#[tokio::test]
async fn a_person_without_a_session_is_led_to_login_and_back() {
    let (app, upstream) = house().await;
    let page = app.browser().open("/c/main/pods?a=b&c=d").await;
    assert_eq!(page.status, 303);
    assert_eq!(page.location(), format!("{SITE}/lamplighter/login?rd=/c/main/pods%3Fa%3Db%26c%3Dd"));
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_script_without_a_session_is_told_to_reload() {
    let (app, upstream) = house().await;
    let page = app.browser().request(&Method::GET, PODS, SCRIPT).await;
    assert_eq!(page.refusal(), (401, "no-session"));
    assert_eq!((page.header("x-reload"), page.header("cache-control")), ("reload", "no-store"));
    assert_eq!((page.json()["kind"].clone(), page.json()["code"].clone()), ("Status".into(), 401.into()));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_websocket_without_a_session_is_refused() {
    let (app, upstream) = house().await;
    let mut wire = Wire::open(&app, &app.browser()).await;
    assert_eq!(wire.upgrade(PODS, "").await.refusal(), (401, "no-session"));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn another_sites_page_changes_nothing_and_opens_no_websocket() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    for lines in [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")][..],
        &[("origin", "https://sibling.example.com"), ("sec-fetch-site", "same-site")],
        &[("origin", "null")],
        &[],
    ] {
        let page = browser.request(&Method::POST, PODS, lines).await;
        assert_eq!(page.refusal(), (403, "cross-site"), "{lines:?}");
        let foreign = HANDSHAKE.replace(SITE, "https://evil.example");
        let mut wire = Wire::open(&app, &browser).await;
        wire.ask(&format!("GET {PODS}"), &foreign, "").await;
        assert_eq!(wire.answer_to("GET").await.refusal(), (403, "cross-site"));
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_session_that_ended_reaches_nothing() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    app.advance(common::SESSION_SECONDS + 1);
    assert_eq!(browser.request(&Method::GET, PODS, SCRIPT).await.status, 401);
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn who_has_no_role_any_more_has_to_sign_in_anew() {
    let folder = Folder::new();
    let key = folder.write("key", "a session key that is thirty-two bytes long and more");
    let with_key = {
        let key = key.clone();
        move |settings: &mut Settings| settings.key_files = vec![key]
    };
    let (before, _) = house_with(with_key).await;
    let (after, upstream) = house_with(move |settings| {
        settings.key_files = vec![key];
        settings.policy = Policy::new(vec![common::rule("viewer", "nobodys")]);
    })
    .await;
    let mut browser = before.signed_in("ada").await.moved_to(&after);
    assert_eq!(browser.request(&Method::GET, PODS, SCRIPT).await.refusal(), (401, "role-changed"));
    let page = browser.open("/c/main").await;
    assert_eq!(page.location(), format!("{SITE}/lamplighter/login?rd=/c/main"));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn another_host_leads_to_the_site_and_no_further() {
    let (app, upstream) = house().await;
    let page = app.signed_in("ada").await.request_at("evil.example", "/c/main").await;
    assert_eq!(page.location(), format!("{SITE}/lamplighter/login?rd=/c/main"));
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn a_proxy_that_drops_the_port_from_host_makes_no_loop() {
    let (app, upstream) = house_with(|settings| {
        let site = "https://headlamp.example.com:8443".parse().unwrap();
        settings.site = lamplighter::auth::Site::new(&site).unwrap();
    })
    .await;
    let page = app.browser().request_at("headlamp.example.com", "/c/main").await;
    assert_eq!(page.location(), format!("{SITE}:8443/lamplighter/login?rd=/c/main"));
    let page = app.browser().request(&Method::GET, PODS, SCRIPT).await;
    assert_eq!(page.refusal(), (401, "no-session"), "it is known as the site");
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn our_own_paths_never_reach_the_upstream() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    for path in ["/lamplighter/whoami", "/lamplighter/", "/lamplighter/nothing", "/lamplighter/../c/main"] {
        browser.open(path).await;
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn me_is_answered_from_the_session() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    let page = browser.request(&Method::GET, "/clusters/main/me", SCRIPT).await;
    let me = page.json();
    assert_eq!((me["username"].as_str(), me["email"].as_str()), (Some("ada"), Some("ada@example.com")));
    assert!(me["groups"].as_array().unwrap().contains(&"k8s-admins".into()), "{me}");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!((upstream.count(), app.api_server.token_requests()), (0, 0));
}

#[tokio::test]
async fn headlamps_log_out_ends_the_session_in_any_spelling() {
    let (app, upstream) = house().await;
    for path in [
        "/clusters/main/set-token",
        "/clusters/other/set-token",
        "/clusters/main/%73et-token",
        "/clusters//main/./set-token/",
        "//clusters/x/../main/set-token?a=b",
        "/clusters%2Fmain%2Fset-token",
    ] {
        let mut browser = app.signed_in("ada").await;
        let page = browser.request(&Method::POST, path, SCRIPT).await;
        assert_eq!((page.status.as_u16(), page.header("x-reload")), (200, "reload"), "{path}");
        assert!(page.sets_session() && page.header("cache-control") == "no-store", "{page:?}");
        let page = browser.request(&Method::GET, PODS, SCRIPT).await;
        assert_eq!(page.status, 401, "{path}");
        let page = browser.open("/c/main").await;
        assert_eq!(browser.open(&path_at_site(&page.location())).await.status, 200);
    }
    assert_eq!(upstream.count(), 0);
}

#[tokio::test]
async fn log_out_from_another_sites_page_does_nothing() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    let lines = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let page = browser.request(&Method::POST, "/clusters/main/set-token", &lines).await;
    assert_eq!(page.refusal(), (403, "cross-site"));
    assert_eq!(browser.request(&Method::GET, PODS, SCRIPT).await.status, 200);
    assert_eq!(upstream.count(), 1);
}

#[tokio::test]
async fn pages_that_ask_for_a_token_lead_to_the_cluster() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    for (path, back) in [
        ("/c/main/token", "/c/main/"),
        ("/c/main/login?cluster=x", "/c/main/"),
        ("/c/other/token/", "/c/other/"),
        ("/c/a%2Db/token", "/c/a%2Db/"),
    ] {
        let page = browser.open(path).await;
        assert_eq!((page.status.as_u16(), page.location()), (303, format!("{SITE}{back}")), "{path}");
    }
    let page = browser.open("//evil.example/..%2f..%2fc/main/token").await;
    assert!(page.location().starts_with(&format!("{SITE}/")), "{page:?}");
    assert_eq!(upstream.count(), 0);
    assert_eq!(browser.request(&Method::GET, "/c/main/token", SCRIPT).await.status, 200);
}

#[tokio::test]
async fn a_base_path_comes_before_all_of_it() {
    let (app, upstream) =
        house_with(|settings| settings.upstream.as_mut().unwrap().base = "/headlamp".to_owned()).await;
    let mut browser = app.signed_in("ada").await;
    let (_, token) = asked_by(&mut browser, &upstream, "GET", "/headlamp/clusters/main/api").await;
    assert!(token.unwrap().starts_with("Bearer "));
    assert_eq!(upstream.last().head.target(), "/headlamp/clusters/main/api");
    for path in ["/clusters/main/api", "/headlampx/clusters/main/api", "/headlamp/"] {
        assert_eq!(asked_by(&mut browser, &upstream, "GET", path).await, (200, Some(String::new())));
    }
    let page = browser.open("/headlamp/c/main/token").await;
    assert_eq!(page.location(), format!("{SITE}/headlamp/c/main/"));
    let (status, arrived) =
        asked_by(&mut browser, &upstream, "POST", "/headlamp/clusters/main/set-token").await;
    assert_eq!((status, arrived), (200, None));
}

#[tokio::test]
async fn the_dashboard_gets_a_token_for_its_api_and_keeps_its_own_cookies() {
    let (app, upstream) = house_with(|settings| settings.ui = Ui::KubernetesDashboard).await;
    let mut browser = app.signed_in("ada").await;
    for (name, value) in [("lang", "de"), ("token", "planted"), ("jweToken", "planted")] {
        browser.set_cookie(name, value);
    }
    let (_, token) = asked_by(&mut browser, &upstream, "GET", "/api/v1/pod").await;
    assert!(token.unwrap().starts_with("Bearer "));
    assert_eq!(upstream.last().head.value("cookie"), "lang=de");
    let arrived = asked_by(&mut browser, &upstream, "GET", "/assets/a.js").await;
    assert_eq!(arrived, (200, Some(String::new())));
}

#[tokio::test]
async fn any_other_ui_gets_a_token_everywhere() {
    let (app, upstream) = house_with(|settings| settings.ui = Ui::Generic).await;
    let mut browser = app.signed_in("ada").await;
    browser.set_cookie("theme", "dark");
    for path in ["/", "/anything", "/clusters/main/set-token"] {
        let (_, token) = asked_by(&mut browser, &upstream, "POST", path).await;
        assert!(token.unwrap().starts_with("Bearer "), "{path}");
        assert_eq!(upstream.last().head.value("cookie"), "theme=dark");
    }
}

#[tokio::test]
async fn one_token_serves_a_whole_page_of_requests() {
    let (app, upstream) = house().await;
    let browser = app.signed_in("ada").await;
    let asking = (0..50).map(|_| {
        let mut browser = browser.clone();
        async move { browser.request(&Method::GET, PODS, SCRIPT).await.status }
    });
    let statuses = futures_util::future::join_all(asking).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    assert_eq!((upstream.count(), app.api_server.token_requests()), (50, 1));
}

#[tokio::test]
async fn without_a_token_a_person_gets_a_page_and_a_script_502() {
    let (app, upstream) = house().await;
    let mut browser = app.signed_in("ada").await;
    app.api_server.delete_account("headlamp", "admin");
    let page = browser.request(&Method::GET, PODS, SCRIPT).await;
    assert_eq!(page.status, 502);
    assert_eq!(page.json()["kind"], "Status");
    let page = browser.open(PODS).await;
    assert_eq!(page.status, 502);
    assert!(page.body.contains("There is no token for you"), "{}", page.body);
    assert!(page.header("content-security-policy").contains("default-src"), "{page:?}");
    assert_eq!(page.header("cache-control"), "no-store");
    let mut wire = Wire::open(&app, &browser).await;
    assert_eq!(wire.upgrade(PODS, "").await.status, 502);
    assert_eq!(upstream.count(), 0);
}
