//! Tokens from the API server: the cases of section A12 of the security reference.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::browser::path_at_site;
use common::files::Folder;
use common::logs::Logs;
use common::process::{self, Process};
use common::{App, Browser, Page, Setup, rule, until};
use lamplighter::app::Settings;
use lamplighter::auth::{Credential, Match, Policy};
use lamplighter::demo::api_server::TokenFault;
use lamplighter::demo::jwt;
use serde_json::{Value, json};

/// A script's request, as a UI sends many.
const PODS: &str = "/clusters/main/api/v1/pods";

/// 80 % of the fifteen minutes that a token lives.
const RENEWAL: i64 = 720;

#[tokio::test]
async fn tr_1_the_api_server_is_asked_for_the_roles_account_and_time() {
    let app = App::start().await;
    let page = app.signed_in("ada").await.check_script(PODS).await;
    let (path, body) = app.api_server.last_token_request().unwrap();
    assert_eq!(path, "/api/v1/namespaces/headlamp/serviceaccounts/admin/token");
    assert_eq!(body["spec"]["expirationSeconds"], 900);
    assert!(body["spec"]["audiences"].as_array().is_none_or(Vec::is_empty), "{body}");
    assert!(body["spec"].get("boundObjectRef").is_none(), "{body}");
    assert_eq!(app.token(&page)["sub"], "system:serviceaccount:headlamp:admin");

    app.signed_in("victor").await.check_script(PODS).await;
    let (path, _) = app.api_server.last_token_request().unwrap();
    assert_eq!(path, "/api/v1/namespaces/headlamp/serviceaccounts/viewer/token");
}

#[tokio::test]
async fn tr_1_audiences_are_asked_for_where_they_are_set() {
    let app = Setup::default().settings(for_vault).start().await;
    let page = app.signed_in("ada").await.check_script(PODS).await;
    let (_, body) = app.api_server.last_token_request().unwrap();
    assert_eq!(body["spec"]["audiences"], json!(["vault"]));
    assert_eq!(claims(&page)["aud"], json!(["vault"]));
}

#[tokio::test]
async fn tr_1_nobody_signs_in_at_the_expense_of_the_api_server() {
    let app = App::start().await;
    app.signed_in("ada").await;
    app.browser().check_script(PODS).await;
    assert_eq!(app.api_server.token_requests(), 0, "only what passes needs a token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn tr_2_a_hundred_requests_at_once_share_one_token() {
    let app = App::start().await;
    app.api_server.set_fault(Some(TokenFault::Slow(Duration::from_millis(200))));
    let browser = app.signed_in("ada").await;
    let jti = shared_jti(&browser, 100).await;
    assert_eq!(app.api_server.token_requests(), 1);
    assert_eq!(claims(&browser.check_script(PODS).await)["jti"], jti, "and those who come later do, too");
    assert_eq!(app.api_server.token_requests(), 1);

    shared_jti(&app.signed_in("ada").await, 10).await;
    assert_eq!(app.api_server.token_requests(), 2, "another session has a token of its own");
}

#[tokio::test]
async fn tr_3_a_token_is_renewed_ahead_while_the_old_one_serves() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let old = claims(&browser.check_script(PODS).await)["jti"].clone();
    app.advance(RENEWAL - 5);
    assert_eq!(claims(&browser.check_script(PODS).await)["jti"], old);
    assert_eq!(app.api_server.token_requests(), 1);

    app.advance(5);
    app.api_server.set_fault(Some(TokenFault::Slow(Duration::from_millis(200))));
    let meanwhile = shared_jti(&browser, 50).await;
    assert_eq!(meanwhile, old, "nobody waits for the new one");
    until("one renewal", || app.api_server.token_requests() == 2).await;
    let renewed = async { while claims(&browser.check_script(PODS).await)["jti"] == old {} };
    tokio::time::timeout(Duration::from_secs(5), renewed)
        .await
        .expect("the new token takes the old one's place");
    assert_eq!(app.api_server.token_requests(), 2, "one renewal for all");
}

#[tokio::test]
async fn tr_4_a_life_that_the_api_server_cut_short_counts() {
    let app = App::start().await;
    app.api_server.set_fault(Some(TokenFault::Lifetime(600)));
    let browser = app.signed_in("ada").await;
    browser.check_script(PODS).await;
    app.advance(475);
    browser.check_script(PODS).await;
    assert_eq!(app.api_server.token_requests(), 1);
    app.advance(5);
    browser.check_script(PODS).await;
    until("a renewal at 80 % of 600 s", || app.api_server.token_requests() == 2).await;
}

#[tokio::test]
async fn tr_6_an_api_server_that_is_down_is_decided_about_quickly() {
    for fault in [TokenFault::Status(503), TokenFault::Status(500), TokenFault::Status(429)] {
        assert_unavailable(fault, Duration::from_secs(3)).await;
    }
}

#[tokio::test]
async fn tr_6_an_api_server_that_hangs_is_given_up_after_three_seconds() {
    assert_unavailable(TokenFault::Hang, Duration::from_secs(5)).await;
}

#[tokio::test]
async fn tr_6_a_failure_answers_for_those_who_come_right_after() {
    let app = App::start().await;
    app.api_server.set_fault(Some(TokenFault::Status(503)));
    let browser = app.signed_in("ada").await;
    for _ in 0..20 {
        assert_eq!(browser.check_script(PODS).await.refusal(), (502, "apiserver-unreachable"));
    }
    assert_eq!(app.api_server.token_requests(), 1);
    app.api_server.set_fault(None);
    app.advance(2);
    assert_eq!(browser.check_script(PODS).await.status, 200);
}

#[tokio::test]
async fn tr_6_what_only_an_operator_can_mend_is_named_in_the_log() {
    let table = [
        (
            403,
            "grant `create` on `serviceaccounts/token` with the resource name admin in the namespace headlamp",
        ),
        (404, "there is no ServiceAccount headlamp/admin"),
        (401, "does not accept our own credentials"),
        (409, "refused the TokenRequest for headlamp/admin"),
        (422, "refused the TokenRequest for headlamp/admin"),
    ];
    for (code, words) in table {
        let logs = Logs::keep();
        assert_mint_failed(TokenFault::Status(code), |_| {}).await;
        let line = logs.line("could not mint a token");
        assert!(line.contains("ERROR") && line.contains(words), "{code}: {line}");
    }
}

#[tokio::test]
async fn tr_6_a_token_that_lives_serves_on_while_the_api_server_is_down() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let old = claims(&browser.check_script(PODS).await)["jti"].clone();
    app.api_server.set_fault(Some(TokenFault::Status(503)));
    app.advance(RENEWAL + 60);
    for _ in 0..3 {
        assert_eq!(claims(&browser.check_script(PODS).await)["jti"], old);
    }
    app.advance(900 - RENEWAL - 60 - 30);
    assert_eq!(claims(&browser.check_script(PODS).await)["jti"], old, "to the last");
    app.advance(30);
    assert_eq!(browser.check_script(PODS).await.refusal(), (502, "apiserver-unreachable"), "it is over");
}

#[tokio::test]
async fn tr_7_clocks_may_be_apart() {
    for skew in [-3_600, -60, 60, 3_600] {
        let app = App::start().await;
        app.api_server.set_fault(Some(TokenFault::Skew(skew)));
        let browser = app.signed_in("ada").await;
        let old = claims(&browser.check_script(PODS).await)["jti"].clone();
        app.advance(RENEWAL - 5);
        assert_eq!(claims(&browser.check_script(PODS).await)["jti"], old, "{skew}");
        assert_eq!(app.api_server.token_requests(), 1, "{skew}");
        app.advance(5);
        browser.check_script(PODS).await;
        until("a renewal at 80 % of its life", || app.api_server.token_requests() == 2).await;
    }
}

#[tokio::test]
async fn tr_8_a_token_that_is_not_the_one_asked_for_goes_to_nobody() {
    for fault in [TokenFault::Garbage, TokenFault::NoToken, TokenFault::WrongSubject] {
        assert_mint_failed(fault, |_| {}).await;
    }
    assert_mint_failed(TokenFault::WrongAudience, for_vault).await;
}

#[tokio::test]
async fn tr_9_each_mint_leaves_a_line_that_joins_a_person_to_a_token() {
    let logs = Logs::keep();
    let app = App::start().await;
    let page = app.signed_in("ada").await.check_script(PODS).await;
    let claims = app.token(&page);
    let line = logs.line("minted a token");
    for word in [
        "lamplighter::audit",
        "event=\"mint\"",
        &format!("jti={}", claims["jti"]),
        "subject=\"ada-id\"",
        "role=\"admin\"",
        "service_account=headlamp/admin",
    ] {
        assert!(line.contains(word), "{word}: {line}");
    }
    let expires = line.split("expires_at=").nth(1).unwrap().split(' ').next().unwrap();
    let expires: jiff::Timestamp = expires.parse().unwrap();
    assert!((expires.as_second() - claims["exp"].as_i64().unwrap()).abs() <= 1, "{line}");
    let token = page.header("authorization").strip_prefix("Bearer ").unwrap();
    let signature = token.rsplit('.').next().unwrap();
    assert!(!logs.text().contains(token) && !logs.text().contains(signature));
}

#[tokio::test]
async fn tr_11_the_first_rule_that_matches_decides() {
    let app = Setup::default()
        .provider(|provider| {
            provider.users[0].groups = vec!["k8s-admins".to_owned(), "k8s-viewers".to_owned()];
        })
        .settings(|settings| {
            settings.policy = Policy::new(vec![rule("viewer", "k8s-viewers"), rule("admin", "k8s-admins")]);
        })
        .start()
        .await;
    let page = app.signed_in("ada").await.check("/").await;
    assert_eq!(app.token(&page)["sub"], "system:serviceaccount:headlamp:viewer");
}

#[tokio::test]
async fn a_role_without_a_credential_names_the_person_and_nothing_else() {
    let app = Setup::default()
        .settings(|settings| {
            let everyone = Match { everyone: true, ..Match::default() };
            settings.policy = Policy::new(vec![("known".to_owned(), everyone, Credential::None)]);
        })
        .start()
        .await;
    let page = app.signed_in("nora").await.check("/").await;
    assert_eq!(page.status, 200);
    assert_eq!(page.headers["authorization"], "", "sent empty, so that the client's own is taken away");
    let identity = ["user", "email", "group", "id-token"]
        .map(|name| page.headers[format!("x-forwarded-{name}")].clone());
    assert_eq!(identity, ["nora", "nora@example.com", "", ""]);
    assert_eq!(app.api_server.token_requests(), 0);
}

#[tokio::test]
async fn tr_18_a_proxy_in_the_environment_is_not_for_the_api_server() {
    let (folder, parts) = (Folder::new(), App::start().await);
    let nobody = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("https_proxy", "http://127.0.0.1:1")];
    let process = Process::serve_with(&process::configure(&folder, &parts), "info", &nobody).await;
    let mut browser = Browser::at(process.address("public"), process.address("authz"));
    browser.sign_in("ada").await;
    assert_eq!(browser.check_script(PODS).await.status, 200, "{}", process.said());
}

fn for_vault(settings: &mut Settings) {
    let (name, matches, credential) = rule("admin", "k8s-admins");
    let Credential::ServiceAccount { account, ttl, .. } = credential else { panic!("{credential:?}") };
    let credential = Credential::ServiceAccount { account, ttl, audiences: vec!["vault".to_owned()] };
    settings.policy = Policy::new(vec![(name, matches, credential)]);
}

/// The claims of the token in an answer, whoever it is good for.
fn claims(page: &Page) -> Value {
    assert_eq!(page.status, 200, "{page:?}");
    jwt::part(page.header("authorization").strip_prefix("Bearer ").unwrap(), 1).unwrap()
}

/// The `jti` of the one token that so many requests at once get.
async fn shared_jti(browser: &Browser, requests: usize) -> Value {
    let browser = Arc::new(browser.clone());
    let asked: Vec<_> = (0..requests)
        .map(|_| {
            let browser = Arc::clone(&browser);
            tokio::spawn(async move { claims(&browser.check_script(PODS).await)["jti"].clone() })
        })
        .collect();
    let mut jtis = Vec::new();
    for answer in asked {
        jtis.push(answer.await.unwrap());
    }
    jtis.dedup();
    assert_eq!(jtis.len(), 1, "{jtis:?}");
    jtis.remove(0)
}

/// A script gets 502 and may try again; a person is led to a page that tries again by itself.
async fn assert_unavailable(fault: TokenFault, within: Duration) {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    app.api_server.set_fault(Some(fault));
    let started = Instant::now();
    let script = browser.check_script(PODS).await;
    assert!(started.elapsed() < within, "{fault:?}: {:?}", started.elapsed());
    assert_eq!(script.refusal(), (502, "apiserver-unreachable"), "{fault:?}");
    assert!(script.header("x-reload").is_empty() && script.header("location").is_empty());
    assert_eq!(script.json()["kind"], "Status");

    let navigation = browser.check("/c/main").await;
    assert_eq!(navigation.refusal(), (401, "apiserver-unreachable"), "{fault:?}");
    let page = browser.open(&path_at_site(&navigation.location())).await;
    assert_eq!(page.refusal(), (503, "apiserver-unreachable"), "{fault:?}");
    assert!(page.body.contains("http-equiv=\"refresh\""), "{}", page.body);
    for answer in [&script, &navigation, &page] {
        assert!(answer.header("authorization").is_empty() && answer.header("x-forwarded-user").is_empty());
    }
}

async fn assert_mint_failed(fault: TokenFault, edit: impl FnOnce(&mut Settings) + 'static) {
    let app = Setup::default().settings(edit).start().await;
    let mut browser = app.signed_in("ada").await;
    app.api_server.set_fault(Some(fault));
    assert_eq!(browser.check_script(PODS).await.refusal(), (502, "mint-failed"), "{fault:?}");
    let navigation = browser.check("/c/main").await;
    assert_eq!(navigation.refusal(), (401, "mint-failed"), "{fault:?}");
    assert!(navigation.header("authorization").is_empty());
    let page = browser.open(&path_at_site(&navigation.location())).await;
    assert_eq!(page.refusal(), (502, "mint-failed"), "{fault:?}");
    assert!(page.body.contains("There is no token for you"), "{}", page.body);
    assert!(!page.body.contains("http-equiv=\"refresh\""), "waiting mends nothing: {}", page.body);
}
