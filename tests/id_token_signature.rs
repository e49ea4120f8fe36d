//! Who signed an ID token, and how: the cases of section A4 of the security reference about headers and signatures.

mod common;

use common::App;
use common::id_tokens::{REJECTED, accepted, accepted_with, assert_refused, refused, refused_with};
use common::logs::Logs;
use lamplighter::app::Settings;
use lamplighter::auth::claims::Algorithm as Allowed;
use lamplighter::demo::jwt::{Algorithm, SigningKey};
use lamplighter::demo::provider::{Faults, Signing, remove};
use lamplighter::random;
use serde_json::json;

#[tokio::test]
async fn id_24_an_unsigned_token_is_refused() {
    assert_eq!(refused(Faults::signing(Signing::Unsigned("none"))).await.refusal(), REJECTED);
}

#[tokio::test]
async fn id_25_an_unsigned_token_in_odd_case_is_refused() {
    for alg in ["nOnE", "NONE", "None", ""] {
        assert_eq!(refused(Faults::signing(Signing::Unsigned(alg))).await.refusal(), REJECTED);
    }
}

#[tokio::test]
async fn id_26_the_public_key_is_no_shared_secret() {
    let table = [Signing::HmacWithPublicKeyPem, Signing::HmacWithPublicKeyDer, Signing::HmacWithPublicKeyJwk];
    for signing in table {
        assert_eq!(refused(Faults::signing(signing.clone())).await.reason(), "id-token-hs256");
        // Not even where HS256 is wanted: the secret is the client's, and nothing else.
        refused_with(allow_hs256, Faults::signing(signing)).await;
    }
}

#[tokio::test]
async fn id_27_hs256_is_refused_with_the_words_that_authentiks_operator_needs() {
    let logs = Logs::keep();
    let hs256 = || Faults::signing(Signing::HmacWithClientSecret(Algorithm::HS256));
    let page = refused(hs256()).await;
    assert_eq!(page.refusal(), (502, "id-token-hs256"));
    assert!(page.body.contains("choose a Signing Key for the OAuth2 provider"), "{}", page.body);
    let line = logs.line("id-token-hs256");
    assert!(line.contains("WARN") && line.contains("no Signing Key"), "{line}");
    assert!(line.contains("oidc.signingAlgorithms"), "{line}");

    accepted_with(allow_hs256, hs256()).await;
}

#[tokio::test]
async fn id_28_a_wrong_signature_is_refused() {
    for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::PS256, Algorithm::EdDSA] {
        assert_eq!(refused(Faults::signing(Signing::Corrupt(algorithm))).await.refusal(), REJECTED);
    }
    assert_eq!(refused(Faults::signing(Signing::AttackerKey)).await.refusal(), REJECTED);
}

#[tokio::test]
async fn id_29_a_signature_of_zeros_is_refused() {
    assert_eq!(refused(Faults::signing(Signing::ZeroSignature)).await.refusal(), REJECTED);
}

#[tokio::test]
async fn id_30_a_token_without_its_signature_is_refused() {
    assert_eq!(refused(Faults::signing(Signing::Stripped)).await.refusal(), REJECTED);
    refused(Faults::jwt(|jwt| jwt.truncate(jwt.rfind('.').unwrap()))).await;
}

#[tokio::test]
async fn id_31_an_algorithm_that_is_not_allowed_is_refused() {
    let only_es256 = |settings: &mut Settings| settings.oidc.algorithms = vec![Allowed::Es256];
    assert_eq!(refused_with(only_es256, Faults::default()).await.refusal(), REJECTED);
    accepted_with(only_es256, Faults::signing(Signing::Alg(Algorithm::ES256))).await;
}

#[tokio::test]
async fn id_32_an_algorithm_that_does_not_fit_the_key_is_refused() {
    for alg in ["ES256", "ES384", "EdDSA", "PS256"] {
        refused(Faults::header(move |header| header["alg"] = json!(alg))).await;
    }
    let app = App::start().await;
    let kid = app.provider.key(Algorithm::ES256).kid().to_owned();
    let (browser, page) = app.sign_in_despite(Faults::header(move |h| h["kid"] = json!(kid))).await;
    assert_refused(&app, &browser, &page);
}

#[tokio::test]
async fn id_33_keys_that_the_token_brings_along_are_ignored() {
    assert_eq!(refused(Faults::signing(Signing::AttackerKeyInHeader)).await.refusal(), REJECTED);
    let elsewhere = App::start().await;
    let url = format!("{}/jwks", elsewhere.provider.issuer());
    for name in ["jku", "x5u"] {
        let url = url.clone();
        let points_there = Faults::header(move |header| header[name] = json!(url));
        accepted(points_there.clone()).await;
        refused(points_there.and(Faults::signing(Signing::AttackerKey))).await;
    }
    refused(Faults::header(|h| h["x5c"] = json!(["MIIB"])).and(Faults::signing(Signing::AttackerKey))).await;
    assert_eq!(elsewhere.provider.requests().jwks, 0);
}

#[tokio::test]
async fn id_34_a_header_that_has_to_be_understood_is_refused() {
    assert_eq!(refused(Faults::header(|h| h["crit"] = json!(["exp"]))).await.refusal(), REJECTED);
    assert_eq!(refused(Faults::header(|h| h["crit"] = json!([]))).await.refusal(), REJECTED);
}

#[tokio::test]
async fn id_35_a_token_of_another_type_is_refused() {
    for typ in ["logout+jwt", "at+jwt", "dpop+jwt", ""] {
        assert_eq!(refused(Faults::header(move |h| h["typ"] = json!(typ))).await.refusal(), REJECTED);
    }
    accepted(Faults::header(|header| remove(header, "typ"))).await;
}

#[tokio::test]
async fn id_36_an_encrypted_token_is_refused_with_the_words_that_authentiks_operator_needs() {
    let logs = Logs::keep();
    let page = refused(Faults::jwt(|jwt| *jwt = format!("{jwt}.a.b"))).await;
    assert_eq!(page.refusal(), (502, "id-token-encrypted"));
    assert!(page.body.contains("remove the Encryption Key from the OAuth2 provider"), "{}", page.body);
    let line = logs.line("id-token-encrypted");
    assert!(line.contains("WARN") && line.contains("Encryption Key"), "{line}");

    let nested = refused(Faults::header(|header| header["cty"] = json!("JWT"))).await;
    assert_eq!(nested.refusal(), REJECTED);
    let by_header = refused(Faults::header(|header| header["enc"] = json!("A256GCM"))).await;
    assert_eq!(by_header.refusal(), (502, "id-token-encrypted"));
}

#[tokio::test]
async fn id_37_a_hostile_key_id_is_refused_and_not_logged() {
    let logs = Logs::keep();
    let traversal = "../../etc/passwd\u{1b}[31m\nforged line";
    refused(Faults::header(move |header| header["kid"] = json!(traversal))).await;
    refused(Faults::header(|header| header["kid"] = json!("k".repeat(10_240)))).await;
    refused(Faults::header(|header| header["kid"] = json!(7))).await;
    let text = logs.text();
    assert!(!text.contains("etc/passwd") && !text.contains(&"k".repeat(300)), "{text}");
}

#[tokio::test]
async fn id_38_without_a_key_id_the_one_key_that_fits_is_used() {
    accepted(Faults::header(|header| remove(header, "kid"))).await;
}

#[tokio::test]
async fn id_39_without_a_key_id_and_with_several_keys_that_fit_a_token_is_refused() {
    let app = App::start().await;
    app.provider.publish_extra_keys(vec![SigningKey::rsa(random::fill).jwk().clone()]);
    let (browser, page) = app.sign_in_despite(Faults::header(|header| remove(header, "kid"))).await;
    assert_refused(&app, &browser, &page);
    assert_eq!(page.refusal(), REJECTED);
}

#[tokio::test]
async fn id_41_at_hash_is_computed_with_the_tokens_own_hash() {
    for algorithm in [Algorithm::ES384, Algorithm::PS512, Algorithm::EdDSA, Algorithm::ES256] {
        accepted(Faults::signing(Signing::Alg(algorithm))).await;
    }
    // The left half of another hash has another length.
    let half_of_sha256 = Faults::claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA");
    refused(half_of_sha256.and(Faults::signing(Signing::Alg(Algorithm::ES384)))).await;
}

fn allow_hs256(settings: &mut Settings) {
    settings.oidc.algorithms.push(Allowed::Hs256);
}
