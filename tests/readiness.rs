//! What the kubelet is told, and what `?verbose` adds for people.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use common::house::{House, ask, get};
use common::wire::{Answer, Wire};
use common::{App, CLIENT_SECRET, SITE, Setup, rsa_key, until};
use lamplighter::demo::api_server::{ApiServer, ApiServerSettings, TokenFault};
use lamplighter::demo::provider::{Provider, ProviderSettings};
use lamplighter::metrics::Health;
use lamplighter::{random, store};

const PODS: &str = "/clusters/main/api/v1/pods";
const LOGIN: &str = "/lamplighter/login?rd=/";
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

async fn readyz(app: &App, query: &str) -> Answer {
    ask(&mut Wire::to(app.admin).await, &get(&format!("/readyz{query}"), "lamplighter", "")).await
}

/// The lines of `?verbose`, of an app that is ready whatever they say.
async fn lines(app: &App) -> Vec<String> {
    let plain = readyz(app, "").await;
    assert_eq!((plain.status, plain.text().as_str()), (200, "ok\n"));
    let verbose = readyz(app, "?verbose").await;
    assert_eq!(verbose.status, 200);
    verbose.text().lines().map(str::to_owned).collect()
}

async fn assert_says(app: &App, start: &str, end: &str) {
    let lines = lines(app).await;
    let is_said = lines.iter().any(|line| line.starts_with(start) && line.ends_with(end));
    assert!(is_said, "{start} … {end} is not in {lines:?}");
}

/// Stops the provider that `app` was told of, and starts one at `address`.
async fn move_provider(app: &mut App, address: SocketAddr) {
    let clock = app.clock.clone();
    let mut settings = ProviderSettings::new(Arc::new(move || clock.now()), random::fill);
    settings.listen = address;
    settings.clients[0].secret = Some(CLIENT_SECRET.to_owned());
    settings.clients[0].redirect_uris = vec![format!("{SITE}/lamplighter/callback")];
    settings.rsa_key = Some(rsa_key());
    app.provider = Provider::start(settings).await.unwrap();
}

#[tokio::test]
async fn nobody_is_asked_for_the_sake_of_an_answer() {
    let app = App::start().await;
    let said = [
        "[+] listeners: ok",
        "[+] provider: not asked yet",
        "[+] API server: not asked yet",
        "[+] session store: memory",
        "[+] fallback: off",
        "ok",
    ];
    assert_eq!(lines(&app).await, said);
    assert_eq!((app.provider.requests().discovery, app.api_server.token_requests()), (0, 0));
    assert_says(&House::build(false, |_| {}).await.app, "[+] fallback: armed", "").await;
}

#[tokio::test]
async fn a_provider_that_is_gone_is_told_and_takes_nobody_out_of_service() {
    let mut app = App::start().await;
    app.signed_in("ada").await;
    assert_says(&app, "[+] provider: ok", "").await;
    let home = app.provider.address();

    move_provider(&mut app, ANYWHERE).await;
    app.advance(31);
    assert_eq!(app.browser().open(LOGIN).await.refusal(), (503, "provider-unreachable"));
    assert_says(&app, "[-] provider: discovery fails since 20", "Z: provider-unreachable").await;

    app.advance(3);
    move_provider(&mut app, home).await;
    app.signed_in("ada").await;
    assert_says(&app, "[+] provider: ok", "").await;
}

#[tokio::test]
async fn an_api_server_that_is_down_is_told_until_it_mints_again() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    app.api_server.set_fault(Some(TokenFault::Status(503)));
    assert_eq!(browser.check_script(PODS).await.refusal(), (502, "apiserver-unreachable"));
    assert_says(&app, "[-] API server: TokenRequest fails since 20", "Z: apiserver-unreachable").await;

    app.api_server.set_fault(Some(TokenFault::Status(403)));
    app.advance(3);
    assert_eq!(browser.check_script(PODS).await.refusal(), (502, "mint-failed"));
    assert_says(&app, "[-] API server: TokenRequest fails since 20", "Z: mint-failed").await;

    app.api_server.set_fault(None);
    app.advance(3);
    assert_eq!(browser.check_script(PODS).await.status, 200);
    assert_says(&app, "[+] API server: ok", "").await;
}

#[tokio::test]
async fn an_api_server_that_is_gone_is_told() {
    let mut app = App::start().await;
    let browser = app.signed_in("ada").await;
    let clock = app.clock.clone();
    let elsewhere = ApiServerSettings::new(Arc::new(move || clock.now()), random::fill);
    app.api_server = ApiServer::start(elsewhere).await.unwrap();
    assert_eq!(browser.check_script(PODS).await.refusal(), (502, "apiserver-unreachable"));
    assert_says(&app, "[-] API server: TokenRequest fails since 20", "Z: apiserver-unreachable").await;
}

#[tokio::test]
async fn a_store_that_is_not_there_is_told() {
    let nowhere = store::Settings { url: "redis://:topsecret@127.0.0.1:1".into() };
    let app = Setup::default().settings(|settings| settings.store = Some(nowhere)).start().await;
    until("the store was looked for", || matches!(app.gateway.store.health(), Some(Health::Failing { .. })))
        .await;
    assert_says(&app, "[-] session store: subscription fails since 20", "Z: store-unreachable").await;
    assert!(!readyz(&app, "?verbose").await.text().contains("topsecret"));
}

#[tokio::test]
async fn whoever_stops_says_so_in_both_ways() {
    let house = House::build(false, |limits| limits.notice = common::house::NEVER).await;
    house.app.stop();
    let withdrawn = async {
        while house.readyz().await == 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(common::wire::LONG, withdrawn).await.unwrap();
    let verbose = readyz(&house.app, "?verbose").await;
    assert_eq!(verbose.status, 503);
    let text = verbose.text();
    assert!(text.starts_with("[-] listeners: about to close\n") && text.ends_with("\nstopping\n"), "{text}");
}
