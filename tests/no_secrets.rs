//! What nobody finds in the log, whatever is logged: OB-1 of the security reference.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::sync::{Arc, Mutex};

use common::browser::{edited, params, path_at_site};
use common::files::Folder;
use common::process::{Process, SESSION_KEY, configure};
use common::{App, Browser, CLIENT_SECRET, NAVIGATE, SCRIPT, SITE, until};
use http::Method;
use lamplighter::demo::api_server::TokenFault;
use lamplighter::demo::jwt::Algorithm;
use lamplighter::demo::provider::{Faults, Reply, Signing};

/// Everything secret that passed by.
#[derive(Clone, Default)]
struct Secrets(Arc<Mutex<Vec<(&'static str, String)>>>);

impl Secrets {
    fn add(&self, what: &'static str, secret: impl Into<String>) {
        let secret = secret.into();
        assert!(secret.len() >= 16, "{what} is no secret: {secret:?}");
        self.0.lock().unwrap().push((what, secret));
    }

    fn add_jar(&self, browser: &Browser) {
        for (_, value) in &browser.jar {
            self.add("a cookie", value);
        }
    }

    fn assert_absent(&self, text: &str) {
        for (what, secret) in self.0.lock().unwrap().iter() {
            if let Some(line) = text.lines().find(|line| line.contains(secret)) {
                panic!("{what} was logged: {line}");
            }
        }
        // No JSON Web Token of any kind: each begins with an encoded `{"`.
        if let Some(line) = text.lines().find(|line| line.contains("eyJ")) {
            panic!("a token was logged: {line}");
        }
    }
}

#[tokio::test]
async fn ob_1_no_secret_is_logged_at_any_level() {
    log_everything_in("json").await;
}

#[tokio::test]
async fn ob_1_no_secret_is_logged_at_any_level_in_pairs_either() {
    log_everything_in("logfmt").await;
}

async fn log_everything_in(format: &str) {
    let (folder, parts, secrets) = (Folder::new(), App::start().await, Secrets::default());
    let process = Process::serve_in(format, &configure(&folder, &parts), "trace").await;
    let (public, authz) = (process.address("public"), process.address("authz"));
    let browser = || Browser::at(public, authz);
    remember_tokens(&parts, &secrets);

    come_and_go(browser(), &parts, &secrets).await;
    fail_at_the_provider(&browser, &parts, &secrets).await;
    fail_at_the_api_server(browser(), &parts, &secrets).await;
    forge_callbacks(browser(), &parts, &secrets).await;

    let wait = browser().open("/lamplighter/callback?code=last-of-all&state=").await;
    let last = wait.header("x-request-id").to_owned();
    until("the last line", || process.said().contains(&last)).await;
    let said = process.said();
    let traces = ["\"level\":\"trace\"", " level=trace ", "TRACE"];
    let has_all = said.contains("minted a token") && traces.iter().any(|trace| said.contains(trace));
    assert!(has_all, "everything is logged: {said}");
    secrets.assert_absent(&said);
}

#[tokio::test]
async fn ob_1_a_token_in_an_answer_that_is_not_understood_is_not_logged_either() {
    let (folder, parts, secrets) = (Folder::new(), App::start().await, Secrets::default());
    let process = Process::serve(&configure(&folder, &parts), "info").await;
    let mut browser = Browser::at(process.address("public"), process.address("authz"));
    browser.sign_in("ada").await;
    parts.api_server.set_fault(Some(TokenFault::Mistyped));
    assert_eq!(browser.check_script("/").await.refusal(), (502, "mint-failed"));
    until("the failure is logged", || process.said().contains("could not mint a token")).await;
    secrets.assert_absent(&process.said());
}

/// A whole visit: in, a few requests, out.
async fn come_and_go(mut browser: Browser, parts: &App, secrets: &Secrets) {
    let callback = start_login(&mut browser, secrets).await;
    browser.open(&callback).await;
    secrets.add(
        "the verifier",
        parts.provider.last_token_request().unwrap().form().get("code_verifier").unwrap(),
    );
    secrets.add_jar(&browser);
    let check = browser.check("/c/main").await;
    assert_eq!(check.status, 200);
    secrets.add("a ServiceAccount's token", check.header("authorization").replace("Bearer ", ""));
    browser.check_script("/clusters/main/api").await;
    let websocket =
        [("sec-websocket-key", "x"), ("sec-websocket-protocol", "base64url.bearer.authorization.k8s.io.x")];
    browser.ask(&Method::GET, "/wsMultiplexer", &websocket).await;
    browser.open("/lamplighter/whoami").await;
    browser.open(&callback).await;
    let out = browser.ask(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
    assert_eq!(out.reason(), "signed-out");
    browser.request(&Method::POST, "/lamplighter/logout", &[NAVIGATE, &[("origin", SITE)]].concat()).await;
    secrets.add_jar(&browser);
    let mut altered = browser.session().unwrap().to_owned();
    altered.replace_range(40..41, "_");
    browser.set_cookie("__Host-lamplighter", &altered);
    secrets.add_jar(&browser);
    browser.check("/").await;
}

async fn fail_at_the_provider(browser: &impl Fn() -> Browser, parts: &App, secrets: &Secrets) {
    let faults = [
        Faults::claim("nonce", "another"),
        Faults::claim("groups", "nobody"),
        Faults::signing(Signing::HmacWithClientSecret(Algorithm::HS256)),
        Faults::signing(Signing::AttackerKey),
        Faults::claim("aud", "another"),
        Faults::without_claim("sub"),
        Faults::jwt(|jwt| *jwt += ".a.b"),
        Faults::token(Reply::json(|body| body["token_type"] = 7.into())),
        Faults::token(Reply::json(|body| body["expires_in"] = "x".into())),
        Faults::token(Reply::header("content-type", "text/html")),
        Faults::token(Reply::status(500)),
        Faults::token(Reply::redirect("https://evil.example/")),
        Faults::without_claim("groups").and(Faults::userinfo(Reply::status(401))),
        Faults::without_claim("groups").and(Faults::userinfo(Reply::json(|body| body["sub"] = "x".into()))),
    ];
    for fault in faults {
        let recorded = recorded(secrets);
        parts.provider.faults_for_next_login(recorded.and(fault));
        let mut browser = browser();
        let callback = start_login(&mut browser, secrets).await;
        browser.open(&callback).await;
        secrets.add_jar(&browser);
    }
}

async fn fail_at_the_api_server(mut browser: Browser, parts: &App, secrets: &Secrets) {
    let faults = [
        TokenFault::Status(403),
        TokenFault::Status(503),
        TokenFault::Status(401),
        TokenFault::Garbage,
        TokenFault::NoToken,
        TokenFault::Mistyped,
        TokenFault::WrongSubject,
    ];
    for fault in faults {
        let callback = start_login(&mut browser, secrets).await;
        browser.open(&callback).await;
        secrets.add_jar(&browser);
        parts.api_server.set_fault(Some(fault));
        assert_eq!(browser.check_script("/").await.status, 502, "{fault:?}");
        browser.open("/lamplighter/login?rd=/").await;
        parts.api_server.set_fault(None);
        browser.jar.clear();
    }
}

async fn forge_callbacks(mut browser: Browser, parts: &App, secrets: &Secrets) {
    let callback = start_login(&mut browser, secrets).await;
    secrets.add_jar(&browser);
    for (name, value) in
        [("iss", "https://evil.example"), ("error", "access_denied"), ("state", "unknown-state")]
    {
        browser.clone().open(&edited(&callback, |query| query.set(name, value))).await;
    }
    browser.jar.clear();
    browser.open(&callback).await;
    browser.visit(&format!("{}/authorize", parts.provider.issuer())).await;
}

/// Goes to the provider and stops short of the callback.
async fn start_login(browser: &mut Browser, secrets: &Secrets) -> String {
    let there = browser.open("/lamplighter/login?rd=/c/main").await.location();
    let asked = params(&there);
    for name in ["state", "nonce"] {
        secrets.add(name, asked.get(name).unwrap());
    }
    secrets.add_jar(browser);
    let callback = browser.pick(&there, "ada").await;
    secrets.add("a code", params(&callback).get("code").unwrap());
    path_at_site(&format!("{SITE}{callback}"))
}

/// Keeps what the token endpoint gives away.
fn recorded(secrets: &Secrets) -> Faults {
    let secrets = secrets.clone();
    Faults::token(Reply::json(move |body| {
        for name in ["access_token", "id_token", "refresh_token"] {
            if let Some(token) = body[name].as_str() {
                secrets.add("a provider's token", token);
            }
        }
    }))
}

fn remember_tokens(parts: &App, secrets: &Secrets) {
    parts.provider.set_faults(recorded(secrets));
    secrets.add("the client secret", CLIENT_SECRET);
    secrets.add("the session key", SESSION_KEY);
    secrets.add("our own token", parts.api_server.caller_token());
}
