//! The fallback: a one-time code lets a person in past the ingress and the provider, and nothing else does.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::files::Folder;
use common::logs::Logs;
use common::process::SESSION_KEY;
use common::{App, Setup};
use lamplighter::auth::code::CodeKey;
use lamplighter::demo::provider::{Faults, Reply};
use lamplighter::demo::upstream::{Upstream, UpstreamSettings};
use lamplighter::edge::Ui;
use lamplighter::proxy;
use lamplighter::random;
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value;

const PAGE: [(&str, &str); 3] =
    [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-site", "none")];

/// lamplighter with a fallback in front of an upstream that shows what it received.
struct SideHouse {
    app: App,
    fallback: SocketAddr,
    client: Client,
    _upstream: Upstream,
    _folder: Folder,
}

impl SideHouse {
    async fn build() -> Self {
        let folder = Folder::new();
        let upstream =
            Upstream::start(UpstreamSettings::new(Arc::new(|| jiff::Timestamp::UNIX_EPOCH))).await.unwrap();
        let target = proxy::Target::Http(upstream.address().to_string());
        let setup = Setup::default().settings(|settings| settings.ui = Ui::Generic);
        let setup = setup.with_fallback(&folder, target);
        let app = setup.start().await;
        let client = Client::builder().no_proxy().redirect(redirect::Policy::none()).build().unwrap();
        Self { fallback: app.fallback.unwrap(), app, client, _upstream: upstream, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.fallback.port())
    }

    fn code(&self) -> String {
        CodeKey::derive(SESSION_KEY.as_bytes()).issue(random::bytes(), self.app.clock.now())
    }

    fn page(&self, path: &str) -> RequestBuilder {
        PAGE.iter().fold(self.client.get(self.url(path)), |ask, (name, value)| ask.header(*name, *value))
    }

    async fn enter(&self, code: &str) -> Response {
        let ask = self.client.post(self.url("/lamplighter/fallback")).header("sec-fetch-site", "same-origin");
        let form = format!("code={code}&rd=%2Fclusters%2Fmain%2Fpods");
        ask.header("content-type", "application/x-www-form-urlencoded").body(form).send().await.unwrap()
    }

    /// A cookie of somebody who came in.
    async fn came_in(&self) -> String {
        let answer = self.enter(&self.code()).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        assert_eq!(answer.headers()["location"], self.url("/clusters/main/pods"));
        let cookie = answer.headers()["set-cookie"].to_str().unwrap();
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/; Max-Age=900"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    async fn received(&self, cookie: &str) -> Value {
        let ask = self.client.get(self.url("/anything")).header("accept", "application/json");
        let answer = ask.header("cookie", cookie).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }
}

async fn status(ask: RequestBuilder) -> u16 {
    ask.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn without_a_code_there_is_a_page_that_says_how_to_get_one() {
    let house = SideHouse::build().await;
    let answer = house.page("/clusters/main/pods").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let page = answer.text().await.unwrap();
    assert!(
        page.contains("kubectl exec -n headlamp deploy/lamplighter -- lamplighter fallback code"),
        "{page}"
    );
    assert_eq!(status(house.client.get(house.url("/clusters/main/api/v1/pods"))).await, 401);
    assert_eq!(house.app.api_server.token_requests(), 0);
}

#[tokio::test]
async fn a_code_lets_somebody_in_with_the_fallbacks_role() {
    let house = SideHouse::build().await;
    let cookie = house.came_in().await;
    let received = house.received(&cookie).await;
    assert_eq!(received["token"]["sub"], "system:serviceaccount:headlamp:viewer");
    assert_eq!(received["headers"]["x-forwarded-user"], "fallback");
    assert_eq!(received["headers"]["cookie"], Value::Null);
    assert_eq!(house.app.provider.requests().discovery, 0, "the provider is not asked");
}

#[tokio::test]
async fn while_the_provider_is_down_the_page_says_how_to_get_here() {
    let house = SideHouse::build().await;
    house.app.provider.set_faults(Faults::discovery(Reply::status(503)));
    let page = house.app.browser().open("/lamplighter/login?rd=/").await;
    assert_eq!(page.refusal(), (503, "provider-unreachable"));
    let command = "kubectl port-forward -n headlamp deploy/lamplighter";
    assert!(page.body.contains(command) && page.body.contains("come in by the fallback"), "{}", page.body);
}

#[tokio::test]
async fn nobody_is_sent_to_a_provider_that_went_down_since_it_was_last_asked() {
    let house = SideHouse::build().await;
    let (mut early, login) = (house.app.browser(), "/lamplighter/login?rd=/c/main");
    let callback = early.callback_for(login, "ada").await;
    house.app.provider.set_faults(Faults::discovery(Reply::status(503)));
    house.app.advance(31);
    let page = house.app.browser().open(login).await;
    assert_eq!(page.refusal(), (503, "provider-unreachable"));
    assert!(page.body.contains("kubectl port-forward -n headlamp deploy/lamplighter"), "{}", page.body);
    assert!(early.open(&callback).await.sets_session(), "who is on the way back goes on");

    house.app.provider.set_faults(Faults::default());
    house.app.advance(2);
    house.app.signed_in("ada").await;
}

#[tokio::test]
async fn a_code_is_good_once() {
    let house = SideHouse::build().await;
    let code = house.code();
    assert_eq!(house.enter(&code).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(house.enter(&code).await.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_code_and_a_session_end_in_time() {
    let house = SideHouse::build().await;
    let code = house.code();
    house.app.advance(300);
    assert_eq!(house.enter(&code).await.status(), StatusCode::FORBIDDEN);
    let cookie = house.came_in().await;
    house.app.advance(890);
    house.received(&cookie).await;
    house.app.advance(20);
    assert_eq!(status(house.page("/").header("cookie", cookie)).await, 401);
}

#[tokio::test]
async fn after_five_wrong_codes_none_is_taken_for_five_minutes() {
    let house = SideHouse::build().await;
    for _ in 0..5 {
        assert_eq!(house.enter("wrong").await.status(), StatusCode::FORBIDDEN);
    }
    let page = house.enter(&house.code()).await.text().await.unwrap();
    assert!(page.contains("Too many codes were wrong"), "{page}");
    house.app.advance(301);
    house.came_in().await;
}

/// Security reference: DL-16.
#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nobody_out_for_longer() {
    let house = SideHouse::build().await;
    for _ in 0..5 {
        house.enter("wrong").await;
    }
    house.app.advance(-3_600);
    house.came_in().await;
}

/// Security reference: FL-3, FL-5, FL-10, FL-11.
#[tokio::test]
async fn who_does_not_come_straight_from_this_machine_is_refused_before_any_logic() {
    let house = SideHouse::build().await;
    let cookie = house.came_in().await;
    for host in ["evil.com", "127.0.0.1.nip.io", "localhost.evil.com", "localhost.", "0.0.0.0", "2130706433"]
    {
        assert_eq!(
            status(house.page("/").header("host", host).header("cookie", &cookie)).await,
            403,
            "{host}"
        );
    }
    for name in ["x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via"] {
        assert_eq!(
            status(house.page("/").header(name, "1.2.3.4").header("cookie", &cookie)).await,
            403,
            "{name}"
        );
    }
    let preflight = house.client.request(reqwest::Method::OPTIONS, house.url("/"));
    assert_eq!(status(preflight.header("access-control-request-private-network", "true")).await, 403);
}

#[tokio::test]
async fn another_page_in_the_same_browser_gets_nothing() {
    let house = SideHouse::build().await;
    let cookie = house.came_in().await;
    let api = house.url("/clusters/main/api/v1/pods");
    let table = [
        (house.client.post(&api), "origin", "http://localhost:9999"),
        (house.client.post(&api), "origin", "null"),
        (house.client.post(&api), "sec-fetch-site", "same-site"),
        (house.client.get(&api), "sec-fetch-site", "cross-site"),
        (house.client.post(house.url("/lamplighter/logout")), "origin", "https://evil.example"),
        (house.client.post(house.url("/lamplighter/fallback")), "sec-fetch-site", "cross-site"),
    ];
    for (row, (ask, name, value)) in table.into_iter().enumerate() {
        assert_eq!(status(ask.header(name, value).header("cookie", &cookie)).await, 403, "row {row}");
    }
}

/// Security reference: FL-9.
#[tokio::test]
async fn a_session_of_one_listener_is_worth_nothing_at_the_other() {
    let house = SideHouse::build().await;
    let browser = house.app.signed_in("ada").await;
    let (name, sealed) = ("__Host-lamplighter", browser.session().unwrap().to_owned());
    let cookie = house.came_in().await;
    let (own, value) = cookie.split_once('=').unwrap();
    for planted in [format!("{name}={sealed}"), format!("{own}={sealed}")] {
        assert_eq!(status(house.page("/").header("cookie", planted)).await, 401);
    }
    let mut stranger = house.app.browser();
    stranger.set_cookie(name, value);
    assert_eq!(stranger.check("/c/main").await.refusal(), (401, "bad-cookie"));
}

#[tokio::test]
async fn signing_out_ends_it() {
    let house = SideHouse::build().await;
    let cookie = house.came_in().await;
    let ask = house.client.post(house.url("/lamplighter/logout")).header("sec-fetch-site", "same-origin");
    assert_eq!(status(ask.header("cookie", &cookie)).await, 303);
    assert_eq!(status(house.page("/").header("cookie", cookie)).await, 401);
}

#[tokio::test]
async fn the_audit_log_says_so_and_holds_no_code() {
    let kept = Logs::keep();
    let house = SideHouse::build().await;
    let code = house.code();
    house.enter(&code).await;
    house.enter("a wrong one").await;
    let log = kept.text();
    assert!(
        log.contains("somebody came in by the fallback") && log.contains("the fallback let nobody in"),
        "{log}"
    );
    assert!(!log.contains(&code) && !log.contains("a wrong one"));
}
