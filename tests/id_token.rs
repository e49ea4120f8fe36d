//! What an ID token says: the cases of section A4 of the security reference about claims.

mod common;

use common::App;
use common::browser::params;
use common::id_tokens::{REJECTED, TRY_AGAIN, accepted, accepted_with, refused, refused_with, shifted};
use lamplighter::app::Settings;
use lamplighter::demo::provider::Faults;
use serde_json::json;

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
        claims["exp"] = json!(claims["exp"].as_f64().unwrap() + 0.5);
        claims["iat"] = json!(claims["iat"].as_f64().unwrap() + 0.25);
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
async fn id_40_at_hash_may_be_absent_but_not_wrong() {
    assert_eq!(refused(Faults::claim("at_hash", "AAAAAAAAAAAAAAAAAAAAAA")).await.refusal(), REJECTED);
    refused(Faults::claim("at_hash", 1)).await;
    accepted(Faults::without_claim("at_hash")).await;
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
