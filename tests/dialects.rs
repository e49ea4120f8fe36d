//! The same decision for each ingress, in its own words: nginx, Traefik and Caddy, Envoy.

mod common;

use common::browser::path_at_site;
use common::{App, Browser, Lines, NAVIGATE, Page, SCRIPT, SITE};
use http::Method;
use lamplighter::demo::api_server::TokenFault;
use lamplighter::edge::Dialect;

const PODS: &str = "/clusters/main/api/v1/pods?limit=500";

const HOST: &str = "headlamp.example.com";

const MANAGED: [&str; 6] = [
    "authorization",
    "cookie",
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-group",
    "x-forwarded-id-token",
];

async fn ask(browser: &Browser, dialect: Dialect, (method, path): (Method, &str), lines: Lines<'_>) -> Page {
    match dialect {
        Dialect::AuthRequest => browser.ask(&method, path, lines).await,
        Dialect::ForwardAuth => browser.ask_forward_auth(&method, path, lines).await,
        Dialect::ExtAuthz => browser.ask_ext_authz(&method, path, lines).await,
    }
}

#[tokio::test]
async fn every_ingress_is_given_a_token_and_every_name_of_the_person() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    browser.set_cookie("theme", "dark");
    for dialect in Dialect::ALL {
        let page = ask(&browser, dialect, (Method::GET, PODS), SCRIPT).await;
        assert_eq!((page.status.as_u16(), page.body.as_str()), (200, ""), "{dialect:?}");
        assert_eq!(app.token(&page)["sub"], "system:serviceaccount:headlamp:admin");
        assert_eq!((page.header("cookie"), page.header("x-forwarded-user")), ("theme=dark", "ada"));
        for name in MANAGED {
            assert_eq!(page.headers.get_all(name).iter().count(), 1, "{dialect:?} {name}: empty, if it must");
        }
        assert!(page.set_cookies().is_empty(), "Traefik would write the app's cookies anew");
    }
    assert_eq!(app.api_server.token_requests(), 1);
}

#[tokio::test]
async fn a_deep_link_leads_to_the_provider_and_back_to_itself() {
    let app = App::start().await;
    for (dialect, status) in
        [(Dialect::AuthRequest, 401), (Dialect::ForwardAuth, 302), (Dialect::ExtAuthz, 302)]
    {
        let mut browser = app.browser();
        let link = "/c/main/pods?namespace=a%2Fb&x=1";
        let page = ask(&browser, dialect, (Method::GET, link), NAVIGATE).await;
        assert_eq!(page.refusal(), (status, "no-session"), "{dialect:?}");
        let callback = browser.callback_for(&path_at_site(&page.location()), "ada").await;
        assert_eq!(browser.open(&callback).await.location(), format!("{SITE}{link}"));
        assert_eq!(ask(&browser, dialect, (Method::GET, link), NAVIGATE).await.status, 200, "{dialect:?}");
    }
}

#[tokio::test]
async fn whoever_cannot_pass_is_shown_a_page_and_a_script_is_told() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    app.api_server.set_fault(Some(TokenFault::Status(403)));
    for dialect in [Dialect::ForwardAuth, Dialect::ExtAuthz] {
        let script = ask(&browser, dialect, (Method::GET, PODS), SCRIPT).await;
        assert_eq!(script.refusal(), (502, "mint-failed"), "{dialect:?}");
        assert_eq!(script.json()["code"], 502);
        let page = ask(&browser, dialect, (Method::GET, "/c/main"), NAVIGATE).await;
        assert_eq!(page.refusal(), (302, "mint-failed"), "{dialect:?}");
        let shown = browser.clone().open(&path_at_site(&page.location())).await;
        assert_eq!(shown.refusal(), (502, "mint-failed"), "no loop");

        let stranger = ask(&app.browser(), dialect, (Method::GET, PODS), SCRIPT).await;
        assert_eq!(stranger.refusal(), (401, "no-session"), "{dialect:?}");
        assert_eq!((stranger.header("x-reload"), stranger.header("location")), ("reload", ""));
        for page in [script, page, stranger] {
            assert!(MANAGED.iter().all(|name| !page.headers.contains_key(*name)), "{dialect:?} {page:?}");
        }
    }
}

#[tokio::test]
async fn another_sites_page_lends_itself_nothing() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let evil = ("origin", "https://evil.example");
    for dialect in Dialect::ALL {
        let refused: [(Method, Lines<'_>, &str); 8] = [
            (Method::POST, &[evil], "cross-site"),
            (Method::POST, &[], "cross-site"),
            (Method::GET, &[key], "cross-site"),
            (Method::GET, &[key, evil], "cross-site"),
            (Method::GET, &[("impersonate-user", "root")], "impersonation"),
            (Method::GET, &[("impersonate_group", "system:masters")], "impersonation"),
            (Method::GET, &[("x.remote.user", "root")], "impersonation"),
            (
                Method::GET,
                &[
                    key,
                    ("origin", SITE),
                    ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.eA"),
                ],
                "impersonation",
            ),
        ];
        for (method, lines, reason) in refused {
            let page = ask(&browser, dialect, (method, PODS), lines).await;
            assert_eq!(page.refusal(), (403, reason), "{dialect:?} {lines:?}");
        }
        for (method, lines) in
            [(Method::POST, &[("origin", SITE)][..]), (Method::GET, &[key, ("origin", SITE)])]
        {
            assert_eq!(
                ask(&browser, dialect, (method, PODS), lines).await.status,
                200,
                "{dialect:?} {lines:?}"
            );
        }
    }
}

#[tokio::test]
async fn headlamps_own_log_out_ends_the_session_at_every_ingress() {
    for dialect in Dialect::ALL {
        let app = App::start().await;
        let browser = app.signed_in("ada").await;
        let out = ask(&browser, dialect, (Method::POST, "/clusters/main/set-token"), SCRIPT).await;
        assert_eq!(out.refusal(), (401, "signed-out"), "{dialect:?}");
        assert_eq!(out.header("x-reload"), "reload");
        assert!(out.sets_session(), "the cookie that says so");
        let after = ask(&browser, dialect, (Method::GET, PODS), SCRIPT).await;
        assert_eq!(after.refusal(), (401, "signed-out"), "{dialect:?}: whatever became of that cookie");
    }
}

/// A question that one ingress asks at the path of another is nginx passing on what the client says, or the like.
#[tokio::test]
async fn a_question_in_the_words_of_another_dialect_is_refused() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let original = [("x-original-url", "https://headlamp.example.com/"), ("x-original-method", "GET")];
    let forwarded = [("x-forwarded-host", HOST), ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/")];
    for (path, own, others) in [
        ("/authz/auth-request", &original[..], &forwarded[..]),
        ("/authz/forward-auth", &forwarded[..], &original[..]),
        ("/authz/ext-authz/", &[("host", HOST)][..], &[&original[..], &forwarded[..]].concat()[..]),
    ] {
        assert_eq!(browser.ask_authz(path, &[own, SCRIPT].concat()).await.status, 200, "{path}");
        let page = browser.ask_authz(path, &[others, SCRIPT].concat()).await;
        assert_eq!(page.status, 403, "{path}");
    }
    for path in ["/authz/", "/authz/ext-authz", "/authz/gateway", "/", "/lamplighter/login"] {
        let page = browser.ask_authz(path, &[&original[..], &forwarded, &[("host", HOST)]].concat()).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(page.body.contains("/authz/forward-auth"), "{}", page.body);
    }
}

#[tokio::test]
async fn each_dialect_is_counted_by_itself() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    for dialect in Dialect::ALL {
        ask(&browser, dialect, (Method::GET, PODS), SCRIPT).await;
        ask(&browser, dialect, (Method::POST, PODS), &[]).await;
    }
    let said = app.gateway.metrics.prometheus_text().unwrap();
    for dialect in ["auth-request", "forward-auth", "ext-authz"] {
        let line = format!("lamplighter_decisions_total{{dialect=\"{dialect}\"");
        assert!(said.contains(&format!("{line},decision=\"allow\",reason=\"\"}} 1\n")), "{said}");
        assert!(
            said.contains(&format!("{line},decision=\"forbidden\",reason=\"cross-site\"}} 1\n")),
            "{said}"
        );
    }
}
