use http::StatusCode;
use serde_json::{Value, json};

use super::{Upstream, UpstreamSettings};
use crate::demo::api_server::{ApiServer, ApiServerSettings};
use crate::demo::testing::{client, clock_at, random, rsa_key};

#[tokio::test]
async fn json_repeats_the_headers_and_opens_the_token() {
    let (_api_server, upstream, token) = start().await;
    let request = client().get(upstream.url() + "/pods?a=%2F").header("accept", "application/json");
    let response = request.header("x-forwarded-user", "ada").bearer_auth(&token).send().await.unwrap();
    let seen: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!((&seen["method"], &seen["path"]), (&json!("GET"), &json!("/pods?a=%2F")));
    assert_eq!(seen["headers"]["x-forwarded-user"], "ada");
    assert_eq!(seen["headers"]["authorization"], format!("Bearer {token}"));
    assert_eq!(seen["token"]["sub"], "system:serviceaccount:lamplighter:lamplighter");
}

#[tokio::test]
async fn the_page_shows_the_token_but_never_its_signature() {
    let (_api_server, upstream, token) = start().await;
    let request = client().get(upstream.url()).header("x-forwarded-user", "<ada>");
    let request = request.header("x-forwarded-id-token", &token).header("cookie", format!("a=1; t={token}"));
    let page = request.bearer_auth(&token).send().await.unwrap().text().await.unwrap();
    let signature = token.rsplit('.').next().unwrap();
    assert!(!page.contains(signature) && !page.contains(&token[40..80]));
    assert!(page.contains("system:serviceaccount:lamplighter:lamplighter"));
    assert!(page.contains(">kube-system<"), "the API server accepts the token");
    assert!(page.contains("&#60;ada&#62;") && !page.contains("<ada>"));
}

#[tokio::test]
async fn without_a_token_the_page_still_stands() {
    let (_api_server, upstream, _) = start().await;
    let page = client().get(upstream.url()).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("Hello, stranger") && page.contains("401 Unauthorized"), "{page}");
}

#[tokio::test]
async fn the_api_server_is_behind_the_cluster_path() {
    let (_api_server, upstream, token) = start().await;
    let url = upstream.url() + "/clusters/main/api/v1/namespaces";
    let allowed = client().get(&url).bearer_auth(&token).send().await.unwrap();
    assert!(allowed.text().await.unwrap().contains("NamespaceList"));
    assert_eq!(client().get(&url).send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

async fn start() -> (ApiServer, Upstream, String) {
    let clock = clock_at("2026-11-24T12:00:00Z");
    let settings = ApiServerSettings::new(clock.clone(), random);
    let api_server =
        ApiServer::start(ApiServerSettings { rsa_key: Some(rsa_key()), ..settings }).await.unwrap();
    let address = api_server.url().strip_prefix("http://").unwrap().parse().unwrap();
    let settings = UpstreamSettings { api_server: Some(address), ..UpstreamSettings::new(clock) };
    let token = api_server.caller_token().to_owned();
    (api_server, Upstream::start(settings).await.unwrap(), token)
}
