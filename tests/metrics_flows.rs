//! What Prometheus is told of signing in and out, of tokens, and of what takes time.

mod common;

use std::time::Duration;

use common::house::{House, ask, get};
use common::scrape::{assert_says, metrics, number};
use common::wire::Wire;
use common::{App, SCRIPT, SESSION_SECONDS, Setup, until};
use futures_util::future::join_all;
use http::Method;
use lamplighter::demo::api_server::TokenFault;
use lamplighter::demo::provider::Faults;
use lamplighter::metrics::Health;
use lamplighter::store;

/// A script's request, as a UI sends many.
const PODS: &str = "/clusters/main/api/v1/pods";

/// 80 % of the fifteen minutes that a token lives.
const RENEWAL: i64 = 720;

#[tokio::test]
async fn a_look_for_a_token_is_counted_by_where_it_came_from() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    for result in ["hit", "miss", "coalesced", "refresh_ahead"] {
        assert_says(&app, &[&format!(r#"token_cache_total{{result="{result}"}} 0"#)]).await;
    }
    app.api_server.set_fault(Some(TokenFault::Slow(Duration::from_millis(200))));
    let at_once = join_all((0..10).map(|_| browser.check_script(PODS))).await;
    assert!(at_once.iter().all(|page| page.status == 200), "{at_once:?}");
    browser.check_script(PODS).await;
    let said = metrics(&app, "*/*").await.text();
    let [hits, coalesced] = ["hit", "coalesced"]
        .map(|result| number(&said, &format!(r#"token_cache_total{{result="{result}"}}"#)));
    assert_eq!(number(&said, r#"token_cache_total{result="miss"}"#), 1, "{said}");
    assert_eq!(hits + coalesced, 10, "{said}");
    assert!(hits >= 1 && coalesced >= 1, "{said}");

    app.advance(RENEWAL);
    assert_eq!(browser.check_script(PODS).await.status, 200, "the old one serves");
    until("one renewal", || app.api_server.token_requests() == 2).await;
    let hits = hits + 1;
    let cache = [
        r#"token_cache_total{result="refresh_ahead"} 1"#,
        r#"token_cache_total{result="miss"} 1"#,
        &format!(r#"token_cache_total{{result="hit"}} {hits}"#),
    ];
    assert_says(&app, &cache).await;
}

#[tokio::test]
async fn a_failure_serves_who_comes_after_it() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    app.api_server.set_fault(Some(TokenFault::Status(403)));
    for _ in 0..2 {
        assert_eq!(browser.check_script(PODS).await.refusal(), (502, "mint-failed"));
    }
    let asked = r#"token_cache_total{result="miss"} 1"#;
    assert_says(&app, &[asked, r#"token_cache_total{result="coalesced"} 1"#]).await;
    assert_eq!(app.api_server.token_requests(), 1);
}

#[tokio::test]
async fn the_end_of_the_last_token_is_told_until_it_is_over() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let name = "token_not_after_timestamp_seconds";
    assert!(!metrics(&app, "*/*").await.text().contains(name), "there is none");
    browser.check_script(PODS).await;
    let of_admin = format!(r#"{name}{{namespace="headlamp",serviceaccount="admin"}}"#);
    let said = metrics(&app, "*/*").await.text();
    let left = number(&said, &of_admin) - app.clock.now().as_second();
    assert!((800..=900).contains(&left), "{left}: {said}");

    app.api_server.set_fault(Some(TokenFault::Lifetime(600)));
    app.signed_in("ada").await.check_script(PODS).await;
    assert_eq!(
        number(&metrics(&app, "*/*").await.text(), &of_admin),
        number(&said, &of_admin),
        "the longest"
    );
    app.advance(901);
    app.gateway.sweep();
    assert!(!metrics(&app, "*/*").await.text().contains(name), "there is none any more");
}

#[tokio::test]
async fn logins_and_sessions_are_counted() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    app.sign_in_despite(Faults::claim("nonce", "another")).await;
    app.sign_in_despite(Faults::claim("groups", "nobody")).await;
    let out = browser.ask(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
    assert_eq!(out.reason(), "signed-out");
    browser.jar.clear();
    assert_says(
        &app,
        &[
            r#"logins_total{provider="127.0.0.1",result="success",reason=""} 1"#,
            r#"logins_total{provider="127.0.0.1",result="failure",reason="id-token-rejected"} 1"#,
            r#"logins_total{provider="127.0.0.1",result="failure",reason="no-role"} 1"#,
            r#"sessions_begun_total{via="provider"} 1"#,
            r#"sessions_begun_total{via="fallback"} 0"#,
            r#"logouts_total{kind="local",via="provider"} 1"#,
            r#"logouts_total{kind="local",via="fallback"} 0"#,
            "fallback_armed 0",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_session_that_a_new_one_replaces_is_no_sign_out() {
    let app = App::start().await;
    let mut browser = app.browser();
    let login = "/lamplighter/login?rd=/c/main";
    let tabs = [browser.callback_for(login, "ada").await, browser.callback_for(login, "ada").await];
    for callback in tabs {
        assert_eq!(browser.open(&callback).await.status, 303);
    }
    let counted = [
        r#"logouts_total{kind="replaced",via="provider"} 1"#,
        r#"logouts_total{kind="local",via="provider"} 0"#,
        r#"sessions_begun_total{via="provider"} 2"#,
    ];
    assert_says(&app, &counted).await;
}

#[tokio::test]
async fn signing_in_is_timed_from_the_way_out_to_the_session() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for("/lamplighter/login?rd=/c/main", "ada").await;
    app.advance(45);
    assert_eq!(browser.open(&callback).await.status, 303);
    app.sign_in_despite(Faults::claim("nonce", "another")).await;
    let within = |seconds: &str| {
        format!(r#"login_flow_duration_seconds_bucket{{provider="127.0.0.1",le="{seconds}"}}"#)
    };
    let said = metrics(&app, "*/*").await.text();
    assert_eq!(number(&said, &within("30")), 0, "{said}");
    assert_eq!(number(&said, &within("60")), 1, "{said}");
    assert_eq!(number(&said, r#"login_flow_duration_seconds_count{provider="127.0.0.1"}"#), 1, "{said}");
}

/// Each dialect asks once, and a request goes through each door.
#[tokio::test]
async fn every_decision_is_timed_by_its_dialect() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    assert_eq!(browser.check("/c/main").await.status, 200);
    assert_eq!(browser.ask_forward_auth(&Method::GET, "/c/main", SCRIPT).await.status, 200);
    assert_eq!(browser.ask_ext_authz(&Method::GET, "/c/main", SCRIPT).await.status, 200);
    let mut wire = Wire::open(&house.app, &browser).await;
    assert_eq!(wire.get(PODS).await.status, 200);
    assert_eq!(wire.get("/clusters/main/me").await.status, 200, "answered here");
    assert_eq!(wire.upgrade("/clusters/main/api/v1/pods?watch=true", "").await.status, 101);
    let host = format!("localhost:{}", house.app.fallback.unwrap().port());
    let asked = get(PODS, &host, "Sec-Fetch-Mode: cors\r\n");
    assert_eq!(ask(&mut Wire::to(house.app.fallback.unwrap()).await, &asked).await.status, 401);
    for (dialect, times) in
        [("auth-request", 1), ("forward-auth", 1), ("ext-authz", 1), ("proxy", 3), ("fallback", 1)]
    {
        let timed = format!(r#"decision_duration_seconds_count{{dialect="{dialect}"}} {times}"#);
        let all = format!(r#"decision_duration_seconds_bucket{{dialect="{dialect}",le="+Inf"}} {times}"#);
        assert_says(&house.app, &[&timed, &all]).await;
    }
    house.app.api_server.set_fault(Some(TokenFault::Slow(Duration::from_millis(250))));
    let slow = house.app.signed_in("ada").await;
    assert_eq!(slow.check_script(PODS).await.status, 200);
    let said = metrics(&house.app, "*/*").await.text();
    let within = |seconds: &str| {
        format!(r#"decision_duration_seconds_bucket{{dialect="auth-request",le="{seconds}"}}"#)
    };
    let [within_200_ms, all] = ["0.2", "+Inf"].map(|seconds| number(&said, &within(seconds)));
    assert!(within_200_ms < all, "one waited for the API server: {said}");
}

#[tokio::test]
async fn ended_sessions_are_known_as_long_as_their_cookies_could_be_shown() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let known = r#"ended_sessions{store="memory"}"#;
    assert_says(&app, &[&format!("{known} 0")]).await;
    assert_eq!(browser.ask(&Method::POST, "/clusters/main/set-token", SCRIPT).await.reason(), "signed-out");
    assert_says(&app, &[&format!("{known} 1")]).await;
    app.advance(SESSION_SECONDS);
    app.gateway.sweep();
    assert_says(&app, &[&format!("{known} 0")]).await;
    assert!(!metrics(&app, "*/*").await.text().contains("store_up"), "nobody shares");
}

#[tokio::test]
async fn a_store_that_is_away_is_told() {
    let nowhere = store::Settings { url: "redis://:topsecret@127.0.0.1:1".into() };
    let app = Setup::default().settings(|settings| settings.store = Some(nowhere)).start().await;
    until("the store was looked for", || matches!(app.gateway.store.health(), Some(Health::Failing { .. })))
        .await;
    assert_says(&app, &["store_up 0", r#"ended_sessions{store="redis"} 0"#]).await;
}

#[tokio::test]
async fn a_provider_is_called_by_its_issuers_host_and_may_not_answer_at_all() {
    let issuer = "http://localhost:1/realms/it".to_owned();
    let app = Setup::default().settings(|settings| settings.oidc.issuer = issuer).start().await;
    assert_eq!(app.browser().open("/lamplighter/login?rd=/").await.status, 503);
    let counted = [
        r#"idp_up{provider="localhost"} 0"#,
        r#"idp_request_duration_seconds_count{provider="localhost",endpoint="discovery",code="none"} 1"#,
        r#"logins_total{provider="localhost",result="failure",reason="provider-unreachable"} 1"#,
    ];
    assert_says(&app, &counted).await;
}
