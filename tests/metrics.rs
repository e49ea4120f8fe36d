//! What Prometheus is told, and what it is not.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::house::{House, PODS};
use common::process::SESSION_KEY;
use common::scrape::{assert_says, metrics};
use common::wire::Wire;
use common::{App, CLIENT_SECRET, NAVIGATE, SCRIPT, until};
use http::{Method, StatusCode};
use jiff::SignedDuration;
use lamplighter::auth::code::CodeKey;
use lamplighter::demo::api_server::TokenFault;
use lamplighter::demo::provider::{Faults, Reply};
use lamplighter::random;

/// Tries a code at the fallback; the status of the answer.
async fn enter(app: &App, code: &str) -> u16 {
    let (address, form) = (app.fallback.unwrap(), format!("code={code}"));
    let mut wire = Wire::to(address).await;
    wire.send(format!(
        "POST /lamplighter/fallback HTTP/1.1\r\nHost: localhost:{}\r\nSec-Fetch-Site: same-origin\r\n\
         Content-Length: {}\r\n\r\n{form}",
        address.port(),
        form.len()
    ))
    .await;
    wire.answer_to("POST").await.status
}

fn code(app: &App) -> String {
    CodeKey::derive(SESSION_KEY.as_bytes()).issue(random::bytes(), app.clock.now())
}

#[tokio::test]
async fn checks_are_counted_by_what_became_of_them() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    assert_eq!(browser.check("/c/main").await.status, 200);
    assert_eq!(browser.check_script("/clusters/main/api").await.status, 200);
    let foreign = [SCRIPT, &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]].concat();
    assert_eq!(browser.ask(&Method::POST, "/c/main", &foreign).await.refusal(), (403, "cross-site"));
    assert_eq!(app.browser().check("/c/main").await.reason(), "no-session");
    assert_eq!(app.browser().ask_raw(&[]).await.refusal(), (403, "bad-request"));
    assert_says(
        &app,
        &[
            r#"decisions_total{dialect="auth-request",decision="allow",reason=""} 2"#,
            r#"decisions_total{dialect="auth-request",decision="forbidden",reason="cross-site"} 1"#,
            r#"decisions_total{dialect="auth-request",decision="unauthenticated",reason="no-session"} 1"#,
            r#"decisions_total{dialect="auth-request",decision="forbidden",reason="bad-request"} 1"#,
            r#"decisions_total{dialect="auth-request",decision="error",reason="other"} 0"#,
            r#"token_requests_total{role="admin",namespace="headlamp",serviceaccount="admin",result="minted"} 1"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_token_that_is_not_to_be_had_is_counted_as_a_failure() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    app.api_server.set_fault(Some(TokenFault::Status(403)));
    assert_eq!(browser.check_script("/").await.refusal(), (502, "mint-failed"));
    assert_says(
        &app,
        &[
            r#"decisions_total{dialect="auth-request",decision="error",reason="mint-failed"} 1"#,
            r#"token_requests_total{role="admin",namespace="headlamp",serviceaccount="admin",result="mint-failed"} 1"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn a_token_that_is_not_to_be_had_in_proxy_mode_lets_nobody_pass() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    house.app.api_server.set_fault(Some(TokenFault::Status(403)));
    let mut wire = Wire::open(&house.app, &browser).await;
    assert_eq!(wire.get(PODS).await.refusal(), (502, "mint-failed"));
    let watch = "/clusters/main/api/v1/pods?watch=true";
    assert_eq!(wire.upgrade(watch, "").await.refusal(), (502, "mint-failed"));
    let mut wire = Wire::open(&house.app, &browser).await;
    assert_eq!(wire.get("/clusters/main/me").await.status, 200, "which needs no token");
    assert_says(
        &house.app,
        &[
            r#"decisions_total{dialect="proxy",decision="error",reason="mint-failed"} 2"#,
            r#"decisions_total{dialect="proxy",decision="allow",reason=""} 1"#,
        ],
    )
    .await;
}

#[tokio::test]
async fn calls_of_peers_are_counted_and_timed_and_say_who_is_up() {
    let app = App::start().await;
    let said = metrics(&app, "*/*").await.text();
    assert!(!said.contains("idp_up") && !said.contains("kube_api_up"), "nobody was asked: {said}");
    assert!(
        said.contains("lamplighter_jwks_last_success_timestamp_seconds{provider=\"127.0.0.1\"} 0\n"),
        "{said}"
    );
    let browser = app.signed_in("ada").await;
    assert_eq!(browser.check_script("/").await.status, 200);
    assert_says(
        &app,
        &[
            r#"idp_requests_total{provider="127.0.0.1",endpoint="discovery",result="success"} 1"#,
            r#"idp_requests_total{provider="127.0.0.1",endpoint="jwks",result="success"} 1"#,
            r#"idp_requests_total{provider="127.0.0.1",endpoint="token",result="success"} 1"#,
            r#"idp_requests_total{provider="127.0.0.1",endpoint="userinfo",result="success"} 1"#,
            r#"idp_request_duration_seconds_count{provider="127.0.0.1",endpoint="token",code="200"} 1"#,
            "token_request_duration_seconds_count 1",
            r#"idp_up{provider="127.0.0.1"} 1"#,
            "kube_api_up 1",
        ],
    )
    .await;
    let said = metrics(&app, "*/*").await.text();
    let name = r#"lamplighter_jwks_last_success_timestamp_seconds{provider="127.0.0.1"} "#;
    let read_at: i64 = said.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap();
    let age = app.clock.now().as_second() - read_at;
    assert!((0..600).contains(&age), "{age}");
    app.provider.set_faults(Faults::discovery(Reply::status(503)));
    app.api_server.set_fault(Some(TokenFault::Status(503)));
    app.advance(901);
    assert_eq!(browser.check_script("/").await.status, 502);
    assert_eq!(app.browser().open("/lamplighter/login?rd=/").await.status, 503);
    assert_says(
        &app,
        &[
            r#"idp_requests_total{provider="127.0.0.1",endpoint="discovery",result="provider-unreachable"} 1"#,
            r#"idp_request_duration_seconds_count{provider="127.0.0.1",endpoint="discovery",code="503"} 1"#,
            r#"idp_up{provider="127.0.0.1"} 0"#,
            "kube_api_up 0",
        ],
    )
    .await;
    app.api_server.set_fault(Some(TokenFault::Status(403)));
    app.advance(3);
    assert_eq!(browser.check_script("/").await.status, 502);
    assert_says(&app, &[r#"idp_up{provider="127.0.0.1"} 0"#, "kube_api_up 1"]).await;
}

#[tokio::test]
async fn our_own_answers_are_timed_and_nothing_else() {
    let house = House::build(true, |_| {}).await;
    let mut browser = house.app.signed_in("ada").await;
    browser.open("/lamplighter/whoami").await;
    assert_eq!(Wire::open(&house.app, &browser).await.get(PODS).await.status, 200);
    assert_eq!(browser.check_script("/").await.status, 200);
    let said = metrics(&house.app, "*/*").await.text();
    let at = |route: &str| format!(r#"listener="public",route="{route}",method="GET""#);
    for (route, code) in
        [("/lamplighter/login", 303), ("/lamplighter/callback", 303), ("/lamplighter/whoami", 200)]
    {
        let counted = format!("lamplighter_http_requests_total{{{},code=\"{code}\"}} 1\n", at(route));
        let timed = format!("lamplighter_http_request_duration_seconds_count{{{}}} 1\n", at(route));
        assert!(said.contains(&counted) && said.contains(&timed), "{route}: {said}");
    }
    assert_eq!(said.matches("lamplighter_http_requests_total{listener=\"public\"").count(), 3, "{said}");
    assert!(said.contains("_http_requests_in_flight{listener=\"admin\"} 1\n"), "this one: {said}");
    browser.request(&Method::DELETE, "/lamplighter/of-the-clients", NAVIGATE).await;
    let other = r#"http_requests_total{listener="public",route="other",method="other",code="404"} 1"#;
    let probe = r#"http_requests_total{listener="admin",route="/metrics",method="GET",code="200"} 1"#;
    assert_says(&house.app, &[other, probe]).await;
}

#[tokio::test]
async fn the_process_and_what_runs_are_told() {
    let app = App::start().await;
    let said = metrics(&app, "*/*").await.text();
    let number = |name: &str| -> f64 {
        let line = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{name} is not in:\n{said}")).parse().unwrap()
    };
    assert!(number("process_cpu_seconds_total") >= 0.0);
    assert!(number("process_resident_memory_bytes") > 1024.0 * 1024.0);
    let fds = number("process_open_fds");
    assert!(fds > 3.0 && fds < number("process_max_fds"), "{fds}");
    let age = app.clock.now().as_second()
        - SignedDuration::from_secs_f64(number("process_start_time_seconds")).as_secs();
    assert!((-2..3_600).contains(&age), "{age}");
    let build = said.lines().find(|line| line.starts_with("lamplighter_build_info{")).unwrap();
    assert!(build.contains("rustc=\"1.") && build.contains("revision=\""), "{build}");
}

/// The names in the table of docs/metrics.md are those that are told, and no others.
#[tokio::test]
async fn every_metric_is_in_the_table_of_the_docs() {
    let house = House::build(true, |_| {}).await;
    house.app.signed_in("ada").await.check("/c/main").await;
    let counted = &house.app.gateway.metrics;
    counted.code_tried("accepted");
    counted.websockets.closed("peer");
    counted.store.answered(None, house.app.clock.now());
    counted.carried.answered(StatusCode::OK, Duration::ZERO);
    let said = metrics(&house.app, "*/*").await.text();
    let told: BTreeSet<_> =
        said.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let table = include_str!("../docs/metrics.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let named: BTreeSet<_> =
        table.flat_map(|cell| cell.split("`, `")).map(|name| name.trim_end_matches('`')).collect();
    assert_eq!(told, named);
}

#[tokio::test]
async fn codes_at_the_fallback_are_counted() {
    let house = House::build(false, |_| {}).await;
    let good = code(&house.app);
    assert_eq!(enter(&house.app, "wrong").await, 403);
    assert_eq!(enter(&house.app, &good).await, 303);
    assert_eq!(enter(&house.app, &good).await, 403, "it is good once");
    assert_says(
        &house.app,
        &[
            r#"fallback_requests_total{result="accepted"} 1"#,
            r#"fallback_requests_total{result="wrong-code"} 2"#,
            r#"sessions_begun_total{via="fallback"} 1"#,
            r#"sessions_begun_total{via="provider"} 0"#,
            "fallback_armed 1",
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_open_is_counted_as_long_as_it_is() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    let mut wire = Wire::open(&house.app, &browser).await;
    assert_eq!(wire.get(PODS).await.status, 200);
    let said = metrics(&house.app, "*/*").await.text();
    assert!(!said.contains("lamplighter_connections{listener=\"public\"} 0"), "{said}");
    assert_eq!(wire.upgrade("/clusters/main/api/v1/pods?watch=true", "").await.status, 101);
    assert_says(
        &house.app,
        &["websockets 1", r#"decisions_total{dialect="proxy",decision="allow",reason=""} 2"#],
    )
    .await;
    drop(wire);
    until("the tunnel is gone", || {
        house.app.gateway.metrics.prometheus_text().unwrap().contains("\nlamplighter_websockets 0\n")
    })
    .await;
    assert_says(&house.app, &[r#"websockets_closed_total{reason="peer"} 1"#]).await;
}

#[tokio::test]
async fn open_metrics_is_for_who_asks_for_it() {
    let app = App::start().await;
    let plain = metrics(&app, "*/*").await;
    assert_eq!(plain.head.value("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let open = metrics(&app, "application/openmetrics-text;version=1.0.0,text/plain;q=0.5").await;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(open.head.value("content-type"), kind);
    assert!(open.text().ends_with("# EOF\n") && !plain.text().contains("# EOF"));
}

#[tokio::test]
async fn no_metric_holds_a_secret_or_a_person() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    let check = browser.check("/c/main/pods").await;
    assert_eq!(Wire::open(&house.app, &browser).await.get(PODS).await.status, 200);
    let good = code(&house.app);
    assert_eq!(enter(&house.app, &good).await, 303);
    let token = check.header("authorization").replace("Bearer ", "");
    let mut secrets = vec![good, token, CLIENT_SECRET.to_owned(), SESSION_KEY.to_owned()];
    secrets.extend(browser.jar.iter().map(|(_, value)| value.clone()));
    secrets.extend(["ada", "eyJ", "@", "/c/", "pods", "?", "example.com", "localhost"].map(str::to_owned));
    for accept in ["*/*", "application/openmetrics-text"] {
        let said = metrics(&house.app, accept).await.text();
        let labels: String = said.lines().filter(|line| !line.starts_with('#')).collect();
        for secret in &secrets {
            assert!(!labels.contains(secret.as_str()), "{secret} is in:\n{said}");
        }
    }
}

#[tokio::test]
async fn prometheus_own_linter_has_nothing_to_say() {
    let house = House::build(true, |_| {}).await;
    let browser = house.app.signed_in("ada").await;
    assert_eq!(Wire::open(&house.app, &browser).await.get(PODS).await.status, 200);
    enter(&house.app, "wrong").await;
    house.app.gateway.metrics.store.answered(None, house.app.clock.now());
    let said = metrics(&house.app, "*/*").await.text();
    let mut linter = Command::new("promtool");
    linter.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut linter) = linter.spawn() else {
        assert!(said.contains("# HELP lamplighter_decisions_total "), "{said}");
        return;
    };
    linter.stdin.take().unwrap().write_all(said.as_bytes()).unwrap();
    let output = linter.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && words.is_empty(), "{words}\n{said}");
}
