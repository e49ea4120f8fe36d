//! A code for tokens: the cases of section A3 of the security reference about the token endpoint.

mod common;

use common::{App, CLIENT_SECRET, Page, SITE, Setup};
use lamplighter::demo::provider::{Client, Faults, Reply, remove};
use lamplighter::oidc::ClientSecret;
use serde_json::json;

#[tokio::test]
async fn cb_19_the_token_request_proves_who_we_are_once_and_not_in_the_address() {
    let id = "a:b client";
    let secret = "p%+ ü:/& of more than thirty-two bytes";
    let app = Setup::default()
        .provider(move |provider| {
            provider.clients = vec![Client::confidential(id, secret)];
        })
        .settings(move |settings| {
            settings.oidc.client_id = id.to_owned();
            settings.oidc.client_secret = Some(ClientSecret::Inline(secret.to_owned().into()));
        })
        .start()
        .await;
    app.signed_in("ada").await;
    let seen = app.provider.last_token_request().unwrap();
    let form = seen.form();
    let mut names: Vec<_> = form.names().collect();
    names.sort_unstable();
    assert_eq!(names, ["code", "code_verifier", "grant_type", "redirect_uri"]);
    assert_eq!(form.get("grant_type"), Some("authorization_code"));
    assert_eq!(form.get("redirect_uri"), Some(format!("{SITE}/lamplighter/callback").as_str()));
    assert_eq!(form.get("code_verifier").unwrap().len(), 43);
    assert!(seen.header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(seen.uri.query(), None);
}

#[tokio::test]
async fn cb_19_the_secret_goes_into_the_form_where_the_provider_takes_it_nowhere_else() {
    let app = App::start().await;
    let methods = json!(["client_secret_post"]);
    app.provider.set_faults(Faults::discovery(Reply::json(move |document| {
        document["token_endpoint_auth_methods_supported"] = methods.clone();
    })));
    app.signed_in("ada").await;
    let seen = app.provider.last_token_request().unwrap();
    assert_eq!(seen.form().get("client_secret"), Some(CLIENT_SECRET));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn cb_19_a_public_client_proves_itself_by_pkce_alone() {
    let app = Setup::default()
        .provider(|provider| provider.clients = vec![Client::public("lamplighter")])
        .settings(|settings| settings.oidc.client_secret = None)
        .start()
        .await;
    app.signed_in("ada").await;
    let seen = app.provider.last_token_request().unwrap();
    assert_eq!((seen.form().get("client_id"), seen.form().get("client_secret")), (Some("lamplighter"), None));
    assert_eq!(seen.header("authorization"), None);
}

#[tokio::test]
async fn cb_20_each_failure_of_the_token_endpoint_is_told_apart() {
    let refusal =
        |status, error: &str| Reply::text(status, "application/json", format!(r#"{{"error":"{error}"}}"#));
    let table = [
        (Reply::redirect("https://evil.example/"), (502, "provider-misconfigured")),
        (refusal(400, "invalid_grant"), (400, "code-refused")),
        (refusal(401, "invalid_client"), (502, "provider-refused")),
        (refusal(400, "<script>"), (502, "provider-refused")),
        (Reply::status(429), (503, "provider-unreachable")),
        (Reply::status(500), (503, "provider-unreachable")),
        (Reply::status(503), (503, "provider-unreachable")),
    ];
    for (reply, expected) in table {
        let page = with_token_reply(reply).await;
        assert_eq!(page.refusal(), expected);
        assert!(page.body.contains("Request id") && !page.body.contains("script"), "{}", page.body);
        assert!(page.header("location").is_empty());
    }
}

#[tokio::test]
async fn cb_20_who_is_no_client_of_the_provider_is_told_what_to_compare() {
    let logs = common::logs::Logs::keep();
    let reply = Reply::text(401, "application/json", r#"{"error":"invalid_client"}"#);
    let page = with_token_reply(reply).await;
    assert!(
        page.body.contains("does not know lamplighter by its client id and client secret"),
        "{}",
        page.body
    );
    let line = logs.line("provider-refused");
    assert!(line.contains("compare oidc.clientId and the client secret"), "{line}");
}

#[tokio::test]
async fn cb_21_an_answer_that_is_no_token_response_is_refused() {
    let without = |name: &'static str| Reply::json(move |body| remove(body, name));
    let typed = |token_type: &'static str| Reply::json(move |body| body["token_type"] = json!(token_type));
    let refused = [
        Reply::text(200, "application/json", "not JSON"),
        Reply::text(200, "application/json", "[]"),
        Reply::text(200, "application/json", r#"{"error":"server_error"}"#),
        Reply::header("content-type", "text/html"),
        Reply::huge(256 * 1024),
        without("id_token"),
        without("access_token"),
        without("token_type"),
        typed("mac"),
        typed("DPoP"),
    ];
    for (row, reply) in refused.into_iter().enumerate() {
        let page = with_token_reply(reply).await;
        assert_eq!(page.refusal(), (502, "provider-misconfigured"), "row {row}");
    }
    for token_type in ["bearer", "Bearer", "BEARER"] {
        assert_eq!(with_token_reply(typed(token_type)).await.status, 303, "{token_type}");
    }
}

async fn with_token_reply(reply: Reply) -> Page {
    let app = App::start().await;
    let (browser, page) = app.sign_in_despite(Faults::token(reply)).await;
    assert_eq!(browser.session().is_some(), page.status == 303);
    assert_eq!(app.provider.requests().userinfo == 1, page.status == 303);
    page
}
