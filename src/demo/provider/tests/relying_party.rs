//! A client of the provider, as sound as they come.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;
use url::Url;

use crate::demo::provider::{Endpoint, Faults, Params, Provider, ProviderSettings};
use crate::demo::testing::{client, clock_at, random, rsa_key};

pub(super) const BACK: &str = "https://headlamp.example.com/lamplighter/callback";
pub(super) const VERIFIER: &str = "a-verifier-of-more-than-forty-three-characters";

pub(super) async fn start(adjust: impl FnOnce(&mut ProviderSettings)) -> Provider {
    let mut settings = ProviderSettings::new(clock_at("2026-11-24T12:00:00Z"), random);
    settings.rsa_key = Some(rsa_key());
    adjust(&mut settings);
    Provider::start(settings).await.unwrap()
}

pub(super) fn endpoint(provider: &Provider, name: &str) -> String {
    format!("{}/{name}", provider.issuer().trim_end_matches('/'))
}

pub(super) fn authorize_url(provider: &Provider) -> String {
    use aws_lc_rs::digest::{SHA256, digest};
    let mut url = Url::parse(&endpoint(provider, "authorize")).unwrap();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", "lamplighter")
        .append_pair("redirect_uri", BACK)
        .append_pair("scope", "openid profile email")
        .append_pair("state", "the state")
        .append_pair("nonce", "the nonce")
        .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(digest(&SHA256, VERIFIER.as_bytes())))
        .append_pair("code_challenge_method", "S256");
    url.into()
}

pub(super) async fn redirect_params(url: &str) -> Params {
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SEE_OTHER);
    let location = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert!(location.as_str().starts_with(BACK));
    Params::parse(location.query().unwrap().as_bytes())
}

pub(super) async fn sign_in(provider: &Provider, user: &str) -> Params {
    redirect_params(&format!("{}&user={user}", authorize_url(provider))).await
}

pub(super) fn code_form(code: &str, verifier: &str) -> Params {
    let mut form = Params::default();
    form.set("grant_type", "authorization_code");
    form.set("code", code);
    form.set("redirect_uri", BACK);
    form.set("code_verifier", verifier);
    form
}

pub(super) async fn ask_token(provider: &Provider, mut form: Params) -> (StatusCode, Value) {
    form.set("client_id", "lamplighter");
    form.set("client_secret", "a secret that everyone knows");
    let request = client().post(endpoint(provider, "token")).body(form.encode());
    let response = request.send().await.unwrap();
    (response.status(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

pub(super) async fn exchange(provider: &Provider, code: &str, verifier: &str) -> (StatusCode, Value) {
    ask_token(provider, code_form(code, verifier)).await
}

pub(super) async fn refresh(provider: &Provider, tokens: &Value) -> (StatusCode, Value) {
    let mut form = Params::default();
    form.set("grant_type", "refresh_token");
    form.set("refresh_token", tokens["refresh_token"].as_str().unwrap());
    ask_token(provider, form).await
}

pub(super) async fn login(provider: &Provider) -> Value {
    let code = sign_in(provider, "ada").await.get("code").unwrap().to_owned();
    exchange(provider, &code, VERIFIER).await.1
}

pub(super) async fn id_token(provider: &Provider, faults: Faults) -> String {
    provider.faults_for_next_login(faults);
    login(provider).await["id_token"].as_str().unwrap().to_owned()
}

pub(super) async fn userinfo(provider: &Provider, tokens: &Value) -> (StatusCode, Value) {
    let request = client().get(endpoint(provider, "userinfo"));
    let response = request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    assert!(provider.last_request(Endpoint::Userinfo).unwrap().uri.query().is_none());
    (response.status(), serde_json::from_slice(&response.bytes().await.unwrap()).unwrap())
}

pub(super) async fn get_json(url: &str) -> Value {
    let body = client().get(url).send().await.unwrap().bytes().await.unwrap();
    serde_json::from_slice(&body).unwrap()
}

/// What a sound client makes of a token: its claims, if the key that its `kid` names signed it.
pub(super) async fn verified(provider: &Provider, token: &str) -> Option<Value> {
    let set: JwkSet = serde_json::from_value(get_json(&endpoint(provider, "jwks")).await).unwrap();
    let header = jsonwebtoken::decode_header(token).ok()?;
    let key = DecodingKey::from_jwk(set.find(&header.kid?)?).ok()?;
    (header.alg != Algorithm::HS256).then(|| decode(token, &key, header.alg))?
}

pub(super) fn decode(token: &str, key: &DecodingKey, algorithm: Algorithm) -> Option<Value> {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.set_audience(&["lamplighter"]);
    jsonwebtoken::decode(token, key, &validation).ok().map(|token| token.claims)
}
