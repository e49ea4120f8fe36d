//! ID tokens that must not sign anybody in: each case of section A4 of the security reference, end to end.

mod common;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::browser::params;
use common::logs::Logs;
use common::{App, CLIENT_SECRET, Page, Setup};
use lamplighter::app::Settings;
use lamplighter::auth::claims::Algorithm as Allowed;
use lamplighter::demo::jwt::{Algorithm, SigningKey};
use lamplighter::demo::provider::{Faults, Signing, remove};
use lamplighter::random;
use serde_json::{Value, json};

const REJECTED: (u16, &str) = (502, "id-token-rejected");
const TRY_AGAIN: (u16, &str) = (400, "id-token-rejected");
const MISUNDERSTOOD: (u16, &str) = (502, "provider-misconfigured");

#[tokio::test]
async fn id_1_a_token_of_another_issuer_is_refused() {
    assert_eq!(refused(Faults::claim("iss", "https://evil.example")).await.refusal(), REJECTED);
}

#[tokio::test]
async fn id_2_a_token_without_issuer_is_refused() {
    refused(Faults::without_claim("iss")).await;
}

#[tokio::test]
async fn id_3_a_token_with_a_list_of_issuers_is_refused() {
    refused(Faults::claims(|claims| claims["iss"] = json!([claims["iss"], "https://evil.example"]))).await;
    refused(Faults::claims(|claims| claims["iss"] = json!([claims["iss"]]))).await;
}

#[tokio::test]
async fn id_4_a_token_for_another_audience_is_refused() {
    assert_eq!(refused(Faults::claim("aud", "somebody-else")).await.refusal(), REJECTED);
}

#[tokio::test]
async fn id_5_a_token_without_audience_is_refused() {
    refused(Faults::without_claim("aud")).await;
}

#[tokio::test]
async fn id_6_a_list_with_us_alone_is_accepted() {
    accepted(Faults::claim("aud", json!(["lamplighter"]))).await;
}

#[tokio::test]
async fn id_7_a_list_with_an_audience_that_nobody_trusts_is_refused() {
    let faults =
        Faults::claim("aud", json!(["lamplighter", "evil"])).and(Faults::claim("azp", "lamplighter"));
    assert_eq!(refused(faults).await.refusal(), REJECTED);
}

#[tokio::test]
async fn id_8_a_trusted_audience_may_stand_beside_us_when_we_are_the_authorized_party() {
    let faults =
        Faults::claim("aud", json!(["lamplighter", "friend"])).and(Faults::claim("azp", "lamplighter"));
    accepted_with(trust_friend, faults).await;
}

#[tokio::test]
async fn id_9_a_token_that_was_issued_to_another_client_is_refused() {
    assert_eq!(refused(Faults::claim("azp", "somebody-else")).await.refusal(), REJECTED);
    refused(Faults::claim("azp", json!(["lamplighter"]))).await;
}

#[tokio::test]
async fn id_10_several_audiences_without_an_authorized_party_are_refused() {
    let page = refused_with(trust_friend, Faults::claim("aud", json!(["lamplighter", "friend"]))).await;
    assert_eq!(page.refusal(), REJECTED);
}

#[tokio::test]
async fn id_11_a_token_that_names_no_proper_subject_is_refused() {
    refused(Faults::without_claim("sub")).await;
    for sub in [json!(""), json!(7), json!(null), json!("s".repeat(256))] {
        refused(Faults::claim("sub", sub)).await;
    }
}

#[tokio::test]
async fn id_12_a_token_without_iat_is_refused() {
    refused(Faults::without_claim("iat")).await;
}

#[tokio::test]
async fn id_13_a_token_from_the_future_is_refused() {
    assert_eq!(refused(shifted("iat", "iat", 35)).await.refusal(), TRY_AGAIN);
}

#[tokio::test]
async fn id_14_a_token_that_was_issued_long_before_this_login_is_refused() {
    assert_eq!(refused(shifted("iat", "iat", -640)).await.refusal(), TRY_AGAIN);
}

#[tokio::test]
async fn id_15_a_token_that_never_expires_is_refused() {
    refused(Faults::without_claim("exp")).await;
}

#[tokio::test]
async fn id_16_a_token_that_expired_31_seconds_ago_is_refused() {
    assert_eq!(refused(shifted("exp", "iat", -31)).await.refusal(), TRY_AGAIN);
}

#[tokio::test]
async fn id_17_a_token_that_expired_29_seconds_ago_is_accepted() {
    accepted(shifted("exp", "iat", -29)).await;
}

#[tokio::test]
async fn id_18_a_token_that_is_not_valid_yet_is_refused() {
    assert_eq!(refused(shifted("nbf", "iat", 35)).await.refusal(), REJECTED);
    accepted(shifted("nbf", "iat", 25)).await;
}

#[tokio::test]
async fn id_19_times_may_be_fractions_but_not_text() {
    accepted(Faults::claims(|claims| {
        claims["exp"] = json!(second(claims, "exp") as f64 + 0.5);
        claims["iat"] = json!(second(claims, "iat") as f64 + 0.25);
    }))
    .await;
    for name in ["exp", "iat"] {
        refused(Faults::claims(move |claims| claims[name] = json!(claims[name].to_string()))).await;
    }
}

#[tokio::test]
async fn id_20_a_time_beyond_all_time_breaks_nothing() {
    for time in [json!(1_u64 << 63), json!(u64::MAX), json!(1e300), json!(i64::MIN), json!(-1e300)] {
        for name in ["exp", "iat", "nbf", "auth_time"] {
            let app = App::start().await;
            let (_, page) = app.sign_in_despite(Faults::claim(name, time.clone())).await;
            assert!([303, 400, 502].contains(&page.status.as_u16()), "{name} {time}: {page:?}");
            assert_eq!(app.signed_in("ada").await.check("/").await.status, 200, "{name} {time}");
        }
    }
}

#[tokio::test]
async fn id_21_a_token_with_another_nonce_is_refused() {
    assert_eq!(refused(Faults::claim("nonce", "another")).await.refusal(), TRY_AGAIN);
}

#[tokio::test]
async fn id_22_a_token_without_nonce_is_refused() {
    assert_eq!(refused(Faults::without_claim("nonce")).await.refusal(), TRY_AGAIN);
}

#[tokio::test]
async fn id_23_a_token_that_answers_another_attempt_of_the_same_browser_is_refused() {
    let app = App::start().await;
    let mut browser = app.browser();
    let first = browser.open("/lamplighter/login?rd=/").await.location();
    let nonce = params(&first).get("nonce").unwrap().to_owned();
    app.provider.faults_for_next_login(Faults::claim("nonce", nonce));
    let page = browser.sign_in("ada").await;
    assert_eq!(page.refusal(), TRY_AGAIN);
    assert!(browser.session().is_none() && app.provider.requests().userinfo == 0);
}

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
async fn id_40_at_hash_may_be_absent_but_not_wrong() {
    assert_eq!(refused(Faults::claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")).await.refusal(), REJECTED);
    refused(Faults::claim("at_hash", 1)).await;
    accepted(Faults::without_claim("at_hash")).await;
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

#[tokio::test]
async fn id_42_a_member_that_stands_twice_is_refused() {
    refused(Faults::payload(|text| text.insert_str(1, r#""sub":"mallory","#))).await;
    refused(Faults::payload(|text| text.insert_str(text.len() - 1, r#","groups":["k8s-admins"]"#))).await;
}

#[tokio::test]
async fn id_43_a_token_beyond_16_kib_is_refused() {
    refused(Faults::claim("padding", "p".repeat(16 * 1024))).await;
    accepted(Faults::claim("padding", "p".repeat(8 * 1024))).await;
}

#[tokio::test]
async fn id_44_odd_base64_is_refused() {
    refused(Faults::jwt(|jwt| jwt.push('='))).await;
    refused(Faults::jwt(|jwt| jwt.insert(jwt.find('.').unwrap(), '='))).await;
    refused(Faults::jwt(|jwt| jwt.insert(10, '\n'))).await;
    refused(Faults::jwt(|jwt| jwt.push(' '))).await;
    refused(Faults::jwt(|jwt| *jwt = jwt.replace('.', ". "))).await;
}

#[tokio::test]
async fn id_45_a_login_at_the_provider_that_is_too_long_ago_is_refused_where_max_age_is_set() {
    let recent = |settings: &mut Settings| settings.oidc.max_age_seconds = Some(100);
    assert_eq!(refused_with(recent, Faults::without_claim("auth_time")).await.refusal(), TRY_AGAIN);
    assert_eq!(refused_with(recent, shifted("auth_time", "iat", -140)).await.refusal(), TRY_AGAIN);
    accepted_with(recent, shifted("auth_time", "iat", -120)).await;
    accepted(Faults::without_claim("auth_time")).await;
}

#[tokio::test]
async fn id_47_a_logout_token_signs_nobody_in() {
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    assert_eq!(refused(Faults::claim("events", event)).await.refusal(), REJECTED);
}

fn trust_friend(settings: &mut Settings) {
    settings.oidc.trusted_audiences = vec!["friend".to_owned()];
}

fn allow_hs256(settings: &mut Settings) {
    settings.oidc.algorithms.push(Allowed::Hs256);
}

/// A token whose claim `name` is so many seconds after its claim `base`.
fn shifted(name: &'static str, base: &'static str, seconds: i64) -> Faults {
    Faults::claims(move |claims| claims[name] = json!(second(claims, base) + seconds))
}

fn second(claims: &Value, name: &str) -> i64 {
    claims[name].as_i64().unwrap()
}

async fn accepted(faults: Faults) {
    accepted_with(|_| {}, faults).await;
}

async fn accepted_with(edit: impl FnOnce(&mut Settings) + 'static, faults: Faults) {
    let app = Setup::default().settings(edit).start().await;
    let (browser, page) = app.sign_in_despite(faults).await;
    assert_eq!(page.status, 303, "{page:?}");
    assert_eq!(browser.check("/").await.header("x-forwarded-user"), "ada");
}

async fn refused(faults: Faults) -> Page {
    refused_with(|_| {}, faults).await
}

async fn refused_with(edit: impl FnOnce(&mut Settings) + 'static, faults: Faults) -> Page {
    let app = Setup::default().settings(edit).start().await;
    let (browser, page) = app.sign_in_despite(faults).await;
    assert_refused(&app, &browser, &page);
    page
}

/// No session, nothing asked about the person, and a page that says why without saying too much.
fn assert_refused(app: &App, browser: &common::Browser, page: &Page) {
    assert!([REJECTED.0, TRY_AGAIN.0].contains(&page.status.as_u16()), "{page:?}");
    let reasons = [REJECTED.1, MISUNDERSTOOD.1, "id-token-hs256", "id-token-encrypted"];
    assert!(reasons.contains(&page.reason()), "{page:?}");
    assert!(!page.sets_session() && browser.session().is_none(), "{page:?}");
    assert!(browser.attempts().is_empty(), "the attempt is over");
    assert_eq!(app.provider.requests().userinfo, 0);
    assert_eq!(app.api_server.token_requests(), 0);
    let form = app.provider.last_token_request().unwrap().form();
    let jwt_start = URL_SAFE_NO_PAD.encode(r#"{"al"#);
    let secrets = [CLIENT_SECRET, form.get("code").unwrap(), form.get("code_verifier").unwrap(), &jwt_start];
    for secret in secrets {
        assert!(!page.body.contains(secret) && !format!("{:?}", page.headers).contains(secret), "{page:?}");
    }
}
