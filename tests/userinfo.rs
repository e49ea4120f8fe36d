//! What the provider adds about a person: the cases of section A5 of the security reference.

mod common;

use common::{App, Browser, Page, Setup};
use lamplighter::demo::provider::{Endpoint, Faults, Reply, remove};
use lamplighter::oidc::UserinfoUse;
use serde_json::{Value, json};

#[tokio::test]
async fn ui_1_the_access_token_travels_in_a_header() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let seen = app.provider.last_request(Endpoint::Userinfo).unwrap();
    assert_eq!((seen.method.as_str(), seen.uri.query()), ("GET", None));
    assert!(seen.header("authorization").unwrap().starts_with("Bearer "));
    assert!(seen.body.is_empty());
}

#[tokio::test]
async fn ui_2_an_answer_about_somebody_else_is_refused() {
    for sub in [json!("mallory-id"), json!("Ada-id"), json!("ada-id "), json!(["ada-id"]), json!(1)] {
        let (browser, page) = with(Reply::json(move |body| body["sub"] = sub.clone())).await;
        assert_eq!(page.refusal(), (502, "id-token-rejected"));
        assert!(browser.session().is_none());
    }
}

#[tokio::test]
async fn ui_3_an_answer_about_nobody_is_refused() {
    let (browser, page) = with(Reply::json(|body| remove(body, "sub"))).await;
    assert_eq!(page.refusal(), (502, "id-token-rejected"));
    assert!(browser.session().is_none());
}

#[tokio::test]
async fn ui_4_a_failure_fails_the_login_where_the_answer_is_needed() {
    for (status, expected) in [(401, 502), (403, 502), (404, 502), (429, 503), (500, 503), (503, 503)] {
        let needed = Faults::without_claim("groups").and(Faults::userinfo(Reply::status(status)));
        let (browser, page) = with_use(UserinfoUse::WhenNeeded, needed).await;
        assert_eq!(page.status, expected, "{status}");
        assert!(browser.session().is_none());
    }
}

#[tokio::test]
async fn ui_4_a_failure_does_not_matter_where_nobody_asks() {
    let broken = || Faults::userinfo(Reply::status(500));
    assert_eq!(with_use(UserinfoUse::WhenNeeded, broken()).await.1.status, 303, "the ID token says all");
    assert_eq!(with_use(UserinfoUse::Never, broken()).await.1.status, 303);
    let (_, page) = with_use(UserinfoUse::Never, broken().and(Faults::without_claim("groups"))).await;
    assert_eq!(page.refusal(), (403, "no-role"));
}

#[tokio::test]
async fn ui_4_groups_that_only_userinfo_knows_count() {
    let (_app, browser, page) = all_with_use(UserinfoUse::WhenNeeded, Faults::without_claim("groups")).await;
    assert_eq!(page.status, 303, "{page:?}");
    assert_eq!(browser.check("/").await.header("x-forwarded-group"), "k8s-admins");
}

#[tokio::test]
async fn ui_5_redirects_are_not_followed() {
    let elsewhere = App::start().await;
    let target = format!("{}/userinfo", elsewhere.provider.issuer());
    let (browser, page) = with(Reply::redirect(&target)).await;
    assert_eq!(page.refusal(), (502, "provider-misconfigured"));
    assert!(browser.session().is_none() && elsewhere.provider.requests().userinfo == 0);
}

#[tokio::test]
async fn ui_6_an_answer_as_a_jwt_is_refused() {
    let (browser, page) = with_use(UserinfoUse::Always, Faults::userinfo_jwt(|_| {})).await;
    assert_eq!(page.refusal(), (502, "provider-misconfigured"));
    assert!(browser.session().is_none());
}

#[tokio::test]
async fn ui_7_an_answer_that_is_too_large_or_no_object_is_refused() {
    let bad = [
        Reply::huge(256 * 1024),
        Reply::text(200, "application/json", "[]"),
        Reply::text(200, "application/json", ""),
        Reply::text(200, "application/json", r#"{"sub":"ada-id","sub":"ada-id"}"#),
        Reply::header("content-type", "text/html"),
        Reply::new(|answer| answer.status = 204),
    ];
    for (row, reply) in bad.into_iter().enumerate() {
        let (browser, page) = with(reply).await;
        assert_eq!(page.status, 502, "row {row}: {page:?}");
        assert!(browser.session().is_none());
    }
}

#[tokio::test]
async fn ui_8_what_the_id_token_says_is_not_overridden() {
    let forged = Reply::json(|body| {
        body["iss"] = json!("https://evil.example");
        body["aud"] = json!("evil");
        body["nonce"] = json!("evil");
        body["exp"] = json!(0);
        body["groups"] = json!(["k8s-viewers"]);
        body["preferred_username"] = json!("mallory");
        body["email"] = json!("mallory@evil.example");
    });
    let (_app, browser, page) = all_with_use(UserinfoUse::Always, Faults::userinfo(forged)).await;
    assert_eq!(page.status, 303, "{page:?}");
    let check = browser.check("/").await;
    let identity = ["user", "group", "email"].map(|name| check.header(&format!("x-forwarded-{name}")));
    assert_eq!(identity, ["ada", "k8s-admins", "ada@example.com"]);
}

#[tokio::test]
async fn ui_8_an_address_is_verified_by_whoever_names_it() {
    // The ID token names an address and says nothing of it; userinfo vouches for another one.
    let faults = Faults::claims(|claims| {
        claims["email"] = json!("victim@corp.example");
        remove(claims, "email_verified");
    });
    let vouches: fn(&mut Value) = |body| body["email"] = json!("mallory@evil.example");
    let faults = faults.and(Faults::userinfo(Reply::json(vouches)));
    let (_app, browser, page) = all_with_use(UserinfoUse::Always, faults).await;
    assert_eq!(page.status, 303, "{page:?}");
    assert_eq!(browser.check("/").await.header("x-forwarded-email"), "", "nobody vouches for this address");
}

#[tokio::test]
async fn ui_9_the_endpoint_is_the_discovered_one_and_safe() {
    let insecure = |body: &mut Value| body["userinfo_endpoint"] = json!("http://idp.example/userinfo");
    let app = App::start().await;
    app.provider.set_faults(Faults::discovery(Reply::json(insecure)));
    assert_eq!(app.browser().open("/lamplighter/login").await.refusal(), (502, "provider-misconfigured"));

    let app = App::start().await;
    app.provider.set_faults(Faults::discovery(Reply::json(|body| remove(body, "userinfo_endpoint"))));
    app.signed_in("ada").await;
    assert_eq!(app.provider.requests().userinfo, 0);
}

async fn with(reply: Reply) -> (Browser, Page) {
    with_use(UserinfoUse::Always, Faults::userinfo(reply)).await
}

async fn with_use(when: UserinfoUse, faults: Faults) -> (Browser, Page) {
    let (_, browser, page) = all_with_use(when, faults).await;
    (browser, page)
}

async fn all_with_use(when: UserinfoUse, faults: Faults) -> (App, Browser, Page) {
    let app = Setup::default().settings(move |settings| settings.oidc.userinfo = when).start().await;
    let (browser, page) = app.sign_in_despite(faults).await;
    (app, browser, page)
}
