//! Other sites' pages: the cases of section A7 of the security reference.

mod common;

use common::browser::Lines;
use common::{App, NAVIGATE, Page, SCRIPT, SITE};
use http::Method;
use lamplighter::demo::provider::{Faults, Reply};

const PODS: &str = "/clusters/main/api/v1/namespaces/default/pods";
const CHANGES: [Method; 4] = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

#[tokio::test]
async fn cx_1_another_pages_changes_are_refused() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    for method in CHANGES {
        for (site, expected) in [
            ("cross-site", (403, "cross-site")),
            ("same-site", (403, "cross-site")),
            ("unheard-of", (403, "cross-site")),
            ("same-origin", (200, "")),
            ("none", (200, "")),
        ] {
            let page = browser.ask(&method, PODS, &[("sec-fetch-site", site)]).await;
            assert_eq!(page.refusal(), expected, "{method} {site}");
            assert!(page.header("location").is_empty(), "no login for an attack");
        }
    }
}

#[tokio::test]
async fn cx_1_a_form_of_another_page_is_refused_though_it_navigates() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let form = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    let page =
        browser.ask(&Method::POST, PODS, &[&form[..], &[("sec-fetch-site", "cross-site")]].concat()).await;
    assert_eq!(page.refusal(), (403, "cross-site"));
}

#[tokio::test]
async fn cx_2_where_only_an_origin_is_named_it_has_to_be_the_sites() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    for (origin, expected) in [
        ("https://evil.example", 403),
        ("https://evil.headlamp.example.com", 403),
        ("http://headlamp.example.com", 403),
        ("https://headlamp.example.com:8443", 403),
        ("https://headlamp.example.com.evil.example", 403),
        ("null", 403),
        ("", 403),
        (SITE, 200),
    ] {
        let page = browser.ask(&Method::POST, PODS, &[("origin", origin)]).await;
        assert_eq!(page.status, expected, "{origin:?}");
    }
    let twice = browser.ask(&Method::POST, PODS, &[("origin", SITE), ("origin", SITE)]).await;
    assert_eq!(twice.status, 403, "one that stands twice says nothing");
    let torn = browser.ask(&Method::POST, PODS, &[("origin", SITE), ("sec-fetch-site", "cross-site")]).await;
    assert_eq!(torn.status, 403, "nor does one that is contradicted");
}

#[tokio::test]
async fn cx_3_a_tunnel_is_opened_for_the_sites_own_page_alone() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let table: [(Lines<'_>, u16); 6] = [
        (&[key, ("origin", SITE)], 200),
        (&[key, ("origin", SITE), ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "websocket")], 200),
        (&[key, ("origin", "https://evil.example")], 403),
        (&[key, ("origin", "https://evil.headlamp.example.com"), ("sec-fetch-site", "same-site")], 403),
        (&[key, ("origin", "null")], 403),
        (&[key], 403),
    ];
    for (lines, expected) in table {
        let page = browser.ask(&Method::GET, "/wsMultiplexer", lines).await;
        assert_eq!(page.status, expected, "{lines:?}");
    }
    let stranger = app.browser().ask(&Method::GET, "/wsMultiplexer", table[0].0).await;
    assert_eq!(stranger.refusal(), (401, "no-session"));
}

#[tokio::test]
async fn cx_4_a_link_from_anywhere_works_and_a_script_from_elsewhere_does_not() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    for site in ["cross-site", "same-site", "none", "same-origin"] {
        let link = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", site)];
        assert_eq!(browser.ask(&Method::GET, "/c/main", &link).await.status, 200, "{site}");
    }
    for (mode, dest) in
        [("no-cors", "image"), ("no-cors", "script"), ("cors", "empty"), ("navigate", "iframe")]
    {
        for site in ["cross-site", "same-site"] {
            let lines = [("sec-fetch-mode", mode), ("sec-fetch-dest", dest), ("sec-fetch-site", site)];
            let page = browser.ask(&Method::GET, PODS, &lines).await;
            assert_eq!(page.refusal(), (403, "cross-site"), "{mode} {dest} {site}");
            assert!(page.header("authorization").is_empty());
        }
    }
}

#[tokio::test]
async fn cx_5_a_change_that_says_nothing_of_its_origin_is_refused() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    for method in CHANGES {
        assert_eq!(browser.ask(&method, PODS, &[]).await.refusal(), (403, "cross-site"), "{method}");
    }
    assert_eq!(browser.ask(&Method::GET, PODS, &[]).await.status, 200, "reading changes nothing");
}

#[tokio::test]
async fn cx_6_a_preflight_is_refused_and_nothing_is_shared_across_origins() {
    let app = App::start().await;
    let preflight: Lines<'_> = &[
        ("origin", "https://evil.example"),
        ("access-control-request-method", "POST"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-site", "cross-site"),
    ];
    for browser in [app.browser(), app.signed_in("ada").await] {
        let check = browser.ask(&Method::OPTIONS, PODS, preflight).await;
        assert!([401, 403].contains(&check.status.as_u16()), "{check:?}");
        let mut pages = vec![check];
        for path in ["/lamplighter/login", "/lamplighter/whoami", "/lamplighter/logout", "/lamplighter/x"] {
            pages.push(browser.clone().request(&Method::OPTIONS, path, preflight).await);
            pages.push(browser.clone().request(&Method::GET, path, preflight).await);
        }
        for page in pages {
            assert!(!page.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{page:?}");
        }
    }
}

#[tokio::test]
async fn cx_6_another_pages_script_learns_nobodys_name() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let foreign: Lines<'_> =
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), ("sec-fetch-site", "cross-site")];
    let page = browser.request(&Method::GET, "/lamplighter/whoami", foreign).await;
    assert_eq!(page.refusal(), (403, "cross-site"));
    assert!(!page.body.contains("ada-id"));
}

#[tokio::test]
async fn cx_7_a_link_to_sign_out_asks_first() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let link = [("accept", "text/html"), ("sec-fetch-mode", "navigate"), ("sec-fetch-site", "cross-site")];
    let page = browser.request(&Method::GET, "/lamplighter/logout", &link).await;
    assert!(page.status == 200 && page.set_cookies().is_empty(), "{page:?}");
    let post = browser.request(&Method::POST, "/lamplighter/logout", &link).await;
    assert_eq!(post.refusal(), (403, "cross-site"));
    assert_eq!(browser.check("/").await.status, 200);
}

#[tokio::test]
async fn cx_8_every_page_forbids_all_that_it_does_not_need() {
    let app = App::start().await;
    let mut ada = app.signed_in("ada").await;
    let mut stranger = app.browser();
    let mut pages = vec![
        ("login", stranger.open("/lamplighter/login?rd=/").await),
        ("callback", stranger.open("/lamplighter/callback?code=x&state=x").await),
        ("no role", app.browser().sign_in("nora").await),
        ("whoami", ada.open("/lamplighter/whoami").await),
        ("sign out?", ada.open("/lamplighter/logout").await),
        ("signed out", ada.open("/lamplighter/signed-out").await),
        ("nothing here", ada.open("/lamplighter/nothing").await),
        ("no file", ada.open("/lamplighter/static/nothing").await),
        ("not this method", ada.request(&Method::PUT, "/lamplighter/login", NAVIGATE).await),
        ("script", stranger.request(&Method::GET, "/lamplighter/login", SCRIPT).await),
    ];
    app.provider.set_faults(Faults::token(Reply::status(500)));
    pages.push(("provider fails", app.browser().sign_in("ada").await));
    for _ in 0..4 {
        pages.push(("bounced", ada.open("/lamplighter/login?rd=/").await));
    }
    for (name, page) in &pages {
        assert_hardened(name, page);
        assert_eq!(page.header("cache-control"), "no-store", "{name}");
    }
    let style = pages[1].1.body.split("href=\"").find(|rest| rest.contains(".css\"")).unwrap();
    let style = ada.open(style.split('"').next().unwrap()).await;
    assert_eq!(style.header("content-type"), "text/css; charset=utf-8");
    assert_hardened("stylesheet", &style);
}

fn assert_hardened(name: &str, page: &Page) {
    let policy = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; \
                  frame-ancestors 'none'";
    for (header, value) in [
        ("content-security-policy", policy),
        ("x-frame-options", "DENY"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", ""),
    ] {
        assert_eq!(page.headers.get(header).map(AsRef::as_ref), Some(value.as_bytes()), "{name}: {header}");
    }
    let referrer = page.header("referrer-policy");
    let has_form = page.body.contains("<form");
    assert_eq!(referrer, if has_form { "same-origin" } else { "no-referrer" }, "{name}");
    assert!(page.headers.get("strict-transport-security").is_none(), "{name}: that is the ingress's to say");
    for forbidden in ["<script", "<style", " style=\"", " onclick", "src=\"http", "javascript:"] {
        assert!(!page.body.contains(forbidden), "{name}: {forbidden}");
    }
}
