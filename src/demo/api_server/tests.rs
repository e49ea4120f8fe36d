use std::time::Duration;

use http::StatusCode;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::{ApiServer, ApiServerSettings, TokenFault};
use crate::demo::testing::{client, clock_at, random, rsa_key};

#[tokio::test]
async fn a_token_says_what_kubernetes_would_say() {
    let server = start().await;
    let (status, answer) =
        ask(&server, "admin", json!({"expirationSeconds": 900, "audiences": ["headlamp"]})).await;
    assert_eq!(status, StatusCode::CREATED);
    assert_eq!(answer["status"]["expirationTimestamp"], "2026-11-24T12:15:00Z");

    let token = answer["status"]["token"].as_str().unwrap();
    assert_eq!(server.verify(token), None, "it is for another audience");
    let claims = crate::demo::jwt::part(token, 1).unwrap();
    assert_eq!(claims["aud"], json!(["headlamp"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 900);
    assert_eq!(claims["sub"], "system:serviceaccount:headlamp:admin");
    assert_eq!(claims["kubernetes.io"]["serviceaccount"]["name"], "admin");
    assert_eq!(claims["jti"].as_str().unwrap().len(), 36);
    let (path, body) = server.last_token_request().unwrap();
    assert_eq!(path, "/api/v1/namespaces/headlamp/serviceaccounts/admin/token");
    assert_eq!(body["spec"]["expirationSeconds"], 900);
}

#[tokio::test]
async fn kube_rs_mints_through_the_kubeconfig_and_uses_what_it_got() {
    let server = start().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(kube(&server.kubeconfig()).await, "headlamp");
    let spec = TokenRequestSpec { expiration_seconds: Some(600), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let answer = accounts.create_token_request("viewer", &PostParams::default(), &request).await.unwrap();

    let token = answer.status.unwrap().token;
    assert!(server.verify(&token).is_some());
    let theirs = server.kubeconfig().replace(server.caller_token(), &token);
    let namespaces: Api<Namespace> = Api::all(kube(&theirs).await);
    let names = namespaces.list(&ListParams::default()).await.unwrap();
    assert!(names.items.iter().any(|namespace| namespace.metadata.name.as_deref() == Some("headlamp")));
}

#[tokio::test]
async fn refusals_are_worded_as_kubernetes_words_them() {
    let server = start().await;
    let (status, answer) = ask(&server, "admin", json!({"expirationSeconds": 599})).await;
    assert_eq!((status.as_u16(), &answer["reason"]), (422, &json!("Invalid")));
    assert!(answer["message"].as_str().unwrap().ends_with("may not specify a duration less than 10 minutes"));
    let (status, answer) = ask(&server, "ghost", json!({})).await;
    assert_eq!((status.as_u16(), &answer["message"]), (404, &json!("serviceaccounts \"ghost\" not found")));

    let response = client().get(format!("{}/api/v1/namespaces", server.url())).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(json_of(response).await["kind"], "Status");
}

#[tokio::test]
async fn only_the_caller_may_mint() {
    let server = start().await;
    let (_, answer) = ask(&server, "admin", json!({})).await;
    let token = answer["status"]["token"].as_str().unwrap();
    let request = client().post(token_url(&server, "admin")).bearer_auth(token).body("{}");
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(server.token_requests(), 2);
}

#[tokio::test]
async fn a_deleted_account_takes_its_tokens_along() {
    let server = start().await;
    let (_, answer) = ask(&server, "admin", json!({})).await;
    let token = answer["status"]["token"].as_str().unwrap();
    assert!(server.verify(token).is_some());
    server.delete_account("headlamp", "admin");
    assert!(server.verify(token).is_none());
    server.add_account("headlamp", "admin");
    assert!(server.verify(token).is_none(), "the new account is another one");
}

#[tokio::test]
async fn faults_come_and_go() {
    let server = start().await;
    for code in [403, 404, 409, 429, 500, 503] {
        server.set_fault(Some(TokenFault::Status(code)));
        let (status, answer) = ask(&server, "admin", json!({})).await;
        assert_eq!((status.as_u16(), &answer["code"]), (code, &json!(code)));
    }
    server.set_fault(Some(TokenFault::WrongSubject));
    let claims = claims_of(&server).await;
    assert_eq!(claims["sub"], "system:serviceaccount:headlamp:somebody-else");
    server.set_fault(Some(TokenFault::WrongAudience));
    assert_eq!(claims_of(&server).await["aud"], json!(["https://somewhere.else"]));
    server.set_fault(Some(TokenFault::Hang));
    let request = client().post(token_url(&server, "admin")).bearer_auth(server.caller_token());
    assert!(request.timeout(Duration::from_millis(200)).send().await.unwrap_err().is_timeout());
    server.set_fault(None);
    assert_eq!(ask(&server, "admin", json!({})).await.0, StatusCode::CREATED);
}

async fn start() -> ApiServer {
    let settings = ApiServerSettings::new(clock_at("2026-11-24T12:00:00Z"), random);
    ApiServer::start(ApiServerSettings { rsa_key: Some(rsa_key()), ..settings }).await.unwrap()
}

async fn kube(kubeconfig: &str) -> kube::Client {
    let kubeconfig = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    kube::Client::try_from(config).unwrap()
}

fn token_url(server: &ApiServer, name: &str) -> String {
    format!("{}/api/v1/namespaces/headlamp/serviceaccounts/{name}/token", server.url())
}

async fn ask(server: &ApiServer, name: &str, spec: Value) -> (StatusCode, Value) {
    let request = client().post(token_url(server, name)).bearer_auth(server.caller_token());
    let response = request.body(json!({"spec": spec}).to_string()).send().await.unwrap();
    (response.status(), json_of(response).await)
}

async fn claims_of(server: &ApiServer) -> Value {
    let (_, answer) = ask(server, "admin", json!({})).await;
    crate::demo::jwt::part(answer["status"]["token"].as_str().unwrap(), 1).unwrap()
}

async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}
