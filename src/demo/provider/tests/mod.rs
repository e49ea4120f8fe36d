mod relying_party;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use http::StatusCode;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::json;

use relying_party::*;

use super::{Client, Faults, Reply, Requests, Signing, remove};
use crate::demo::jwt::{part, signing_input};
use crate::demo::testing::client;

#[tokio::test]
async fn a_person_signs_in_with_code_and_pkce() {
    let provider = start(|_| {}).await;
    let back = sign_in(&provider, "ada").await;
    assert_eq!(back.get("state"), Some("the state"));
    assert_eq!(back.get("iss"), Some(provider.issuer().as_str()));

    let (status, tokens) = exchange(&provider, back.get("code").unwrap(), VERIFIER).await;
    assert_eq!(status, StatusCode::OK);
    let claims = verified(&provider, tokens["id_token"].as_str().unwrap()).await.unwrap();
    assert_eq!(claims["groups"], json!(["k8s-admins"]));
    assert_eq!(claims["nonce"], "the nonce");
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);

    let (status, userinfo) = userinfo(&provider, &tokens).await;
    assert_eq!((status, &userinfo["email"]), (StatusCode::OK, &json!("ada@example.com")));
    let expected = Requests { jwks: 1, authorize: 1, token: 1, userinfo: 1, ..Requests::default() };
    assert_eq!(provider.requests(), expected);
}

#[tokio::test]
async fn a_client_of_other_makers_understands_all_that_is_published() {
    use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreProviderMetadata};
    let provider = start(|_| {}).await;
    let document = get_json(&endpoint(&provider, ".well-known/openid-configuration")).await;
    let metadata: CoreProviderMetadata = serde_json::from_value(document).unwrap();
    let keys: CoreJsonWebKeySet =
        serde_json::from_value(get_json(metadata.jwks_uri().as_str()).await).unwrap();
    assert_eq!(keys.keys().len(), 4);

    let tokens = login(&provider).await;
    let token: CoreIdToken = tokens["id_token"].as_str().unwrap().parse().unwrap();
    let id = openidconnect::ClientId::new("lamplighter".to_owned());
    let now = || "2026-11-24T12:00:00Z".parse().unwrap();
    let verifier =
        CoreIdTokenVerifier::new_public_client(id, metadata.issuer().clone(), keys).set_time_fn(now);
    let claims = token.claims(&verifier, &openidconnect::Nonce::new("the nonce".to_owned())).unwrap();
    assert_eq!(claims.subject().as_str(), "ada-id");
    let access = openidconnect::AccessToken::new(tokens["access_token"].as_str().unwrap().to_owned());
    let (alg, key) = (token.signing_alg().unwrap(), token.signing_key(&verifier).unwrap());
    let hash = openidconnect::AccessTokenHash::from_token(&access, alg, key).unwrap();
    assert_eq!(claims.access_token_hash(), Some(&hash));
}

#[tokio::test]
async fn a_wrong_verifier_and_a_used_code_buy_nothing() {
    let provider = start(|_| {}).await;
    let code = sign_in(&provider, "ada").await.get("code").unwrap().to_owned();
    let (status, refusal) = exchange(&provider, &code, "another verifier").await;
    assert_eq!((status, &refusal["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_grant")));

    let code = sign_in(&provider, "ada").await.get("code").unwrap().to_owned();
    assert_eq!(exchange(&provider, &code, VERIFIER).await.0, StatusCode::OK);
    assert_eq!(exchange(&provider, &code, VERIFIER).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_authorization_request_without_s256_is_sent_back() {
    let provider = start(|_| {}).await;
    let url = authorize_url(&provider).replace("S256", "plain") + "&user=ada";
    let back = redirect_params(&url).await;
    assert_eq!((back.get("error"), back.get("code")), (Some("invalid_request"), None));
    assert_eq!(back.get("state"), Some("the state"));
}

#[tokio::test]
async fn an_unregistered_address_is_never_redirected_to() {
    let provider =
        start(|settings| settings.clients[0].redirect_uris = vec!["https://ok.example/cb".into()]).await;
    let response = client().get(authorize_url(&provider) + "&user=ada").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(response.headers().get("location").is_none());
}

#[tokio::test]
async fn the_picker_links_to_each_person_and_to_cancel() {
    let provider = start(|_| {}).await;
    let response = client().get(authorize_url(&provider)).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("form-action"), "{policy}");
    let page = response.text().await.unwrap();
    let links: Vec<_> = page.split("href=\"?").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(links.len(), 4);
    for (link, outcome) in links.iter().zip(["code", "code", "code", "error"]) {
        let query = link.replace("&#38;", "&").replace("&amp;", "&");
        let back = redirect_params(&format!("{}?{query}", endpoint(&provider, "authorize"))).await;
        assert!(back.get(outcome).is_some(), "{query}");
    }
}

#[tokio::test]
async fn an_issuer_keeps_its_path_and_its_slash() {
    let provider = start(|settings| settings.path = "/application/o/headlamp/".to_owned()).await;
    assert!(provider.issuer().ends_with("/application/o/headlamp/"));
    let document = get_json(&format!("{}.well-known/openid-configuration", provider.issuer())).await;
    assert_eq!(document["issuer"], provider.issuer());
    assert_eq!(document["token_endpoint"], format!("{}token", provider.issuer()));
    let code = sign_in(&provider, "victor").await.get("code").unwrap().to_owned();
    assert_eq!(exchange(&provider, &code, VERIFIER).await.0, StatusCode::OK);
}

#[tokio::test]
async fn basic_credentials_are_form_decoded_and_recorded() {
    let provider = start(|settings| settings.clients = vec![Client::confidential("a:b", "p%+ ü")]).await;
    let url = authorize_url(&provider).replace("client_id=lamplighter", "client_id=a%3Ab") + "&user=ada";
    let code = redirect_params(&url).await.get("code").unwrap().to_owned();
    let basic = format!("Basic {}", STANDARD.encode("a%3Ab:p%25%2B+%C3%BC"));
    let request = client().post(endpoint(&provider, "token")).header("authorization", &basic);
    let response = request.body(code_form(&code, VERIFIER).encode()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);

    let seen = provider.last_token_request().unwrap();
    assert_eq!(seen.header("authorization"), Some(basic.as_str()));
    assert_eq!(seen.form().get("code_verifier"), Some(VERIFIER));
    assert_eq!(seen.form().get("client_secret"), None);
}

#[tokio::test]
async fn a_refresh_token_is_good_for_one_refresh_and_for_enabled_people() {
    let provider = start(|_| {}).await;
    let first = login(&provider).await;
    let (status, second) = refresh(&provider, &first).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(part(second["id_token"].as_str().unwrap(), 1).unwrap().get("nonce"), None);
    assert_eq!(refresh(&provider, &first).await.0, StatusCode::BAD_REQUEST);
    provider.disable("ada");
    assert_eq!(refresh(&provider, &second).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn logout_returns_to_the_client_and_ends_the_refreshing() {
    let provider = start(|_| {}).await;
    let tokens = login(&provider).await;
    let hint = tokens["id_token"].as_str().unwrap();
    let url = format!(
        "{}?id_token_hint={hint}&post_logout_redirect_uri=https://app.example/bye&state=s",
        endpoint(&provider, "end-session")
    );
    let response = client().get(url).send().await.unwrap();
    assert_eq!(response.headers()["location"], "https://app.example/bye?state=s");
    assert_eq!(refresh(&provider, &tokens).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn every_honest_algorithm_verifies_and_no_dishonest_one_does() {
    let provider = start(|_| {}).await;
    for algorithm in [Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA] {
        let token = id_token(&provider, Faults::signing(Signing::Alg(algorithm))).await;
        assert!(verified(&provider, &token).await.is_some(), "{algorithm:?}");
    }
    for signing in [
        Signing::AttackerKey,
        Signing::AttackerKeyInHeader,
        Signing::Corrupt(Algorithm::RS256),
        Signing::Corrupt(Algorithm::ES256),
        Signing::HmacWithClientSecret(Algorithm::HS256),
        Signing::HmacWithPublicKeyDer,
        Signing::HmacWithPublicKeyJwk,
        Signing::HmacWithPublicKeyPem,
        Signing::Stripped,
        Signing::Unsigned("nOnE"),
        Signing::ZeroSignature,
    ] {
        let token = id_token(&provider, Faults::signing(signing.clone())).await;
        assert_eq!(verified(&provider, &token).await, None, "{signing:?}");
        assert_eq!(token.split('.').count(), 3, "{signing:?}");
    }
}

#[tokio::test]
async fn a_token_under_the_public_key_is_what_a_careless_verifier_accepts() {
    let provider = start(|_| {}).await;
    let token = id_token(&provider, Faults::signing(Signing::HmacWithPublicKeyPem)).await;
    let pem = provider.key(Algorithm::RS256).public_pem();
    let careless = DecodingKey::from_secret(pem.as_bytes());
    assert!(decode(&token, &careless, Algorithm::HS256).is_some());
}

#[tokio::test]
async fn claims_header_payload_and_text_can_be_edited() {
    let provider = start(|_| {}).await;
    let faults = Faults::header(|header| header["crit"] = json!(["exp"])).and(Faults::claims(|claims| {
        claims["exp"] = json!(claims["iat"].as_i64().unwrap_or_default() - 31);
        remove(claims, "sub");
    }));
    let token = id_token(&provider, faults).await;
    assert_eq!(part(&token, 0).unwrap()["crit"], json!(["exp"]));
    let claims = part(&token, 1).unwrap();
    assert_eq!(claims["iat"].as_i64().unwrap() - claims["exp"].as_i64().unwrap(), 31);
    assert!(claims.get("sub").is_none());

    let twice = Faults::payload(|text| text.insert_str(1, r#""sub":"mallory","#));
    let token = id_token(&provider, twice).await;
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
    assert_eq!(String::from_utf8(payload).unwrap().matches(r#""sub":"#).count(), 2);

    let padded = id_token(&provider, Faults::jwt(|jwt| jwt.push('='))).await;
    assert!(padded.ends_with('='));
}

#[tokio::test]
async fn faults_of_the_next_login_follow_it_and_end_with_it() {
    let provider = start(|_| {}).await;
    let foreign = Faults::callback(|params| params.set("iss", "https://evil.example"));
    let nobody = Faults::userinfo(Reply::json(|body| body["sub"] = json!("nobody")));
    provider.faults_for_next_login(foreign.and(nobody).and(Faults::claim("sub", "mallory")));
    let back = sign_in(&provider, "ada").await;
    assert_eq!(back.get("iss"), Some("https://evil.example"));
    let (_, tokens) = exchange(&provider, back.get("code").unwrap(), VERIFIER).await;
    assert_eq!(part(tokens["id_token"].as_str().unwrap(), 1).unwrap()["sub"], "mallory");
    assert_eq!(userinfo(&provider, &tokens).await.1["sub"], "nobody");

    let token = id_token(&provider, Faults::default()).await;
    assert_eq!(part(&token, 1).unwrap()["sub"], "ada-id");
}

#[tokio::test]
async fn answers_can_be_replaced_redirected_grown_and_stalled() {
    let provider = start(|_| {}).await;
    let discovery = format!("{}/.well-known/openid-configuration", provider.issuer());
    let set = |reply| provider.set_faults(Faults::discovery(reply));

    set(Reply::redirect("https://evil.example/"));
    let moved = client().get(&discovery).send().await.unwrap();
    assert_eq!(
        (moved.status().as_u16(), &moved.headers()["location"]),
        (302, &"https://evil.example/".parse().unwrap())
    );
    set(Reply::json(|body| body["issuer"] = json!("https://evil.example")));
    assert_eq!(get_json(&discovery).await["issuer"], "https://evil.example");
    set(Reply::huge(2 << 20));
    assert!(client().get(&discovery).send().await.unwrap().bytes().await.unwrap().len() > 2 << 20);
    set(Reply::header("content-type", "text/html").and(Reply::stall()));
    let stalled = client().get(&discovery).timeout(Duration::from_millis(200)).send().await.unwrap();
    assert_eq!(stalled.headers()["content-type"], "text/html");
    assert!(stalled.bytes().await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn userinfo_can_be_a_signed_jwt() {
    let provider = start(|_| {}).await;
    let tokens = login(&provider).await;
    provider.set_faults(Faults::userinfo_jwt(|claims| claims["sub"] = json!("mallory")));
    let request = client().get(endpoint(&provider, "userinfo"));
    let response = request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/jwt");
    let claims = part(&response.text().await.unwrap(), 1).unwrap();
    assert_eq!((&claims["sub"], &claims["aud"]), (&json!("mallory"), &json!("lamplighter")));
}

#[tokio::test]
async fn keys_rotate_and_strange_ones_are_published_before_them() {
    let provider = start(|_| {}).await;
    let old = provider.key(Algorithm::RS256).kid().to_owned();
    provider.rotate_keys();
    provider.publish_extra_keys(vec![json!({"kty": "oct", "kid": "odd", "k": "c2VjcmV0"})]);
    let keys = get_json(&endpoint(&provider, "jwks")).await["keys"].clone();
    assert_eq!(keys[0]["kid"], "odd");
    assert!(!keys.to_string().contains(&old));
}

#[tokio::test]
async fn a_logout_token_is_signed_like_any_other() {
    let provider = start(|_| {}).await;
    let claims = provider.logout_claims("lamplighter", "ada-id", "the sid");
    assert_eq!(verified(&provider, &provider.sign(&claims)).await.unwrap(), claims);
    provider.set_faults(Faults::signing(Signing::Unsigned("none")));
    let token = provider.sign(&claims);
    let header = part(&token, 0).unwrap();
    assert_eq!(token, signing_input(&header, &claims.to_string()) + ".");
    assert_eq!(header["alg"], "none");
}

#[tokio::test]
async fn a_dropped_provider_answers_nobody() {
    let provider = start(|_| {}).await;
    let (jwks, client) = (endpoint(&provider, "jwks"), client());
    assert!(client.get(&jwks).send().await.unwrap().bytes().await.is_ok());
    drop(provider);
    tokio::task::yield_now().await;
    assert!(client.get(&jwks).send().await.is_err());
}
