//! The provider's own pages, as they should not be: the cases of section A1 of the security reference.

mod common;

use std::time::Duration;

use common::files::Folder;
use common::{App, CLIENT_SECRET, Page, Setup};
use lamplighter::demo::jwt::{Algorithm, SigningKey};
use lamplighter::demo::provider::{Client, Faults, Reply, Signing};
use lamplighter::oidc::ClientSecret;
use lamplighter::random;
use serde_json::json;

const LOGIN: &str = "/lamplighter/login?rd=/c/main";

#[tokio::test]
async fn cf_1_discovery_that_names_another_issuer_is_refused_and_the_log_names_both() {
    let logs = common::logs::Logs::keep();
    let app = Setup::default().settings(|settings| settings.oidc.issuer.push('/')).start().await;
    let page = app.browser().open(LOGIN).await;
    assert_eq!(page.refusal(), (502, "provider-misconfigured"));
    let line = logs.line("provider-misconfigured");
    let issuer = app.provider.issuer();
    assert!(line.contains(&format!("{issuer:?}")) && line.contains(&format!("\"{issuer}/\"")), "{line}");
}

#[tokio::test]
async fn cf_5_where_no_document_is_the_log_doubts_the_issuer() {
    let logs = common::logs::Logs::keep();
    assert_eq!(login_with(Faults::discovery(Reply::status(404))).await.refusal(), (502, "provider-refused"));
    let line = logs.line("provider-refused");
    assert!(line.contains("compare oidc.issuer"), "{line}");
}

#[tokio::test]
async fn cf_3_the_document_is_below_the_issuer_with_and_without_a_slash() {
    for path in ["", "/realms/demo", "/application/o/headlamp/"] {
        let app = Setup::default().provider(|provider| provider.path = path.to_owned()).start().await;
        app.signed_in("ada").await;
        assert_eq!(app.provider.requests().discovery, 1, "{path:?}");
    }
}

#[tokio::test]
async fn cf_4_redirects_are_not_followed() {
    let elsewhere = App::start().await;
    let target = format!("{}/.well-known/openid-configuration", elsewhere.provider.issuer());
    for status in [301, 302, 303, 307, 308] {
        let moved = Reply::redirect(&target).and(Reply::new(move |answer| answer.status = status));
        assert_eq!(login_with(Faults::discovery(moved)).await.refusal(), (502, "provider-misconfigured"));
    }
    let app = App::start().await;
    app.provider.set_faults(Faults::jwks(Reply::redirect(&format!("{}/jwks", elsewhere.provider.issuer()))));
    assert_eq!(app.browser().sign_in("ada").await.refusal(), (502, "provider-misconfigured"));
    assert_eq!((elsewhere.provider.requests().discovery, elsewhere.provider.requests().jwks), (0, 0));
}

#[tokio::test]
async fn cf_5_a_document_that_is_too_large_or_no_json_is_refused() {
    let bad = [
        Reply::huge(1024 * 1024),
        Reply::header("content-type", "text/html"),
        Reply::header("content-type", "text/plain"),
        Reply::text(200, "application/json", "{"),
        Reply::text(200, "application/json", "[]"),
        Reply::text(200, "application/json", "{}"),
        Reply::status(404),
    ];
    for reply in bad {
        let page = login_with(Faults::discovery(reply)).await;
        assert_eq!(page.status, 502, "{page:?}");
        assert!(page.reason().starts_with("provider-"), "{page:?}");
    }
    assert_eq!(login_with(Faults::discovery(Reply::huge(1024 * 1024 - 4096))).await.status, 303);
}

#[tokio::test]
async fn cf_5_a_provider_that_never_ends_its_answer_is_given_up() {
    let started = std::time::Instant::now();
    let page = login_with(Faults::discovery(Reply::stall())).await;
    assert_eq!(page.refusal(), (503, "provider-unreachable"));
    assert!(started.elapsed() < Duration::from_secs(14), "{:?}", started.elapsed());
}

#[tokio::test]
async fn cf_6_an_endpoint_without_tls_is_refused() {
    let names =
        ["authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "end_session_endpoint"];
    for name in names {
        for url in ["http://idp.example/x", "ftp://idp.example/x", "javascript:alert(1)", "/x", ""] {
            let page = login_with(Faults::discovery(Reply::json(move |body| body[name] = json!(url)))).await;
            assert_eq!(page.refusal(), (502, "provider-misconfigured"), "{name} {url}");
        }
    }
    let elsewhere =
        |body: &mut serde_json::Value| body["authorization_endpoint"] = json!("https://idp.example/x");
    let page = login_with(Faults::discovery(Reply::json(elsewhere))).await;
    assert!(page.location().starts_with("https://idp.example/x?"), "another host may be: {page:?}");
}

#[tokio::test]
async fn cf_7_a_provider_that_is_down_at_start_is_waited_for() {
    let app = App::start().await;
    app.provider.set_faults(Faults::discovery(Reply::status(503)));
    let mut browser = app.browser();
    let page = browser.open(LOGIN).await;
    assert_eq!(page.refusal(), (503, "provider-unreachable"));
    assert!(page.body.contains(r#"<meta http-equiv="refresh" content="10; url="#), "{}", page.body);
    assert!(page.body.contains("/lamplighter/login?rd=/c/main"), "{}", page.body);
    assert!(browser.jar.is_empty(), "no attempt was begun");

    app.provider.set_faults(Faults::default());
    app.advance(2);
    assert_eq!(browser.sign_in("ada").await.status, 303);
    assert_eq!(browser.check("/").await.status, 200);
}

#[tokio::test]
async fn cf_7_nobody_at_the_issuers_address_is_no_reason_not_to_start() {
    let logs = common::logs::Logs::keep();
    let nobody =
        |settings: &mut lamplighter::app::Settings| settings.oidc.issuer = "http://127.0.0.1:1".to_owned();
    let app = Setup::default().settings(nobody).start().await;
    assert_eq!(app.browser().open(LOGIN).await.refusal(), (503, "provider-unreachable"));
    assert!(logs.line("provider-unreachable").contains("no connection"), "{}", logs.text());
    let alive = app.browser().visit(&format!("http://{}/readyz", app.admin)).await;
    assert_eq!(alive.status, 200, "a restart would mend nothing");
}

#[tokio::test]
async fn cf_8_the_keys_and_the_document_are_asked_for_once() {
    let app = App::start().await;
    for _ in 0..20 {
        app.signed_in("ada").await;
    }
    assert_eq!((app.provider.requests().jwks, app.provider.requests().discovery), (1, 1));
}

#[tokio::test]
async fn cf_9_a_key_that_is_not_known_is_asked_for_once_and_then_verifies() {
    let app = App::start().await;
    app.signed_in("ada").await;
    app.provider.rotate_keys();
    app.signed_in("ada").await;
    assert_eq!(app.provider.requests().jwks, 2, "one fetch, though the first was only just now");
    app.signed_in("victor").await;
    assert_eq!(app.provider.requests().jwks, 2);

    app.advance(10);
    app.provider.rotate_keys();
    app.signed_in("ada").await;
    assert_eq!(app.provider.requests().jwks, 3);
}

#[tokio::test]
async fn cf_9_keys_that_change_just_before_a_token_is_signed_are_fetched_anew() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    app.provider.rotate_keys();
    assert_eq!(browser.open(&callback).await.status, 303);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cf_10_made_up_key_ids_do_not_make_us_ask_and_ask() {
    let app = App::start().await;
    app.signed_in("ada").await;
    app.provider.set_faults(Faults::header(|header| {
        let made_up = u64::from_be_bytes(random::bytes());
        header["kid"] = json!(format!("made-up-{made_up:x}"));
    }));
    let logins = [(); 30].map(|()| {
        let mut browser = app.browser();
        tokio::spawn(async move { browser.sign_in("ada").await.refusal() == (502, "id-token-rejected") })
    });
    for login in logins {
        assert!(login.await.unwrap());
    }
    assert_eq!(app.provider.requests().jwks, 2);
    app.provider.set_faults(Faults::default());
    app.signed_in("ada").await;
}

#[tokio::test]
async fn cf_11_keys_that_cannot_be_fetched_anew_serve_on() {
    let app = App::start().await;
    app.signed_in("ada").await;
    let unknown = || Faults::header(|header| header["kid"] = json!("unknown"));
    app.provider.set_faults(Faults::jwks(Reply::status(500)));
    let (_, page) = app.sign_in_despite(unknown()).await;
    assert_eq!(page.refusal(), (502, "id-token-rejected"));
    app.signed_in("ada").await;

    let logs = common::logs::Logs::keep();
    app.advance(2 * 24 * 3_600);
    app.signed_in("ada").await;
    assert!(logs.line("could not fetch the provider's keys").contains("WARN"));
}

#[tokio::test]
async fn cf_12_keys_that_cannot_be_used_are_passed_over() {
    let app = App::start().await;
    let rsa = app.provider.key(Algorithm::RS256).jwk().clone();
    let with = |changes: serde_json::Value| {
        let mut key = rsa.clone();
        key.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        key
    };
    app.provider.publish_extra_keys(vec![
        json!({"kty": "quantum", "kid": "q"}),
        json!("no key at all"),
        json!({"kty": "RSA", "kid": rsa["kid"]}),
        json!({"kty": "EC", "crv": "P-521", "kid": rsa["kid"], "x": "AA", "y": "AA"}),
        json!({"kty": "oct", "kid": rsa["kid"], "k": "c2VjcmV0"}),
        with(json!({"use": "enc"})),
        with(json!({"d": "AQAB", "n": SigningKey::rsa(random::fill).jwk()["n"]})),
    ]);
    app.signed_in("ada").await;
}

#[tokio::test]
async fn cf_12_a_symmetric_key_in_the_set_signs_nothing() {
    let app = Setup::default()
        .settings(|settings| settings.oidc.algorithms.push(lamplighter::auth::claims::Algorithm::Hs256))
        .start()
        .await;
    let planted = "a planted secret of more than thirty-two bytes";
    let k = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, planted);
    app.provider.publish_extra_keys(vec![json!({"kty": "oct", "kid": "planted", "alg": "HS256", "k": k})]);
    let forged = Faults::header(|header| header["kid"] = json!("planted")).and(Faults::jwt(|jwt| {
        let part = |index| lamplighter::demo::jwt::part(jwt, index).unwrap();
        let (header, payload) = (part(0), part(1).to_string());
        *jwt = lamplighter::demo::jwt::sign_hmac(
            b"a planted secret of more than thirty-two bytes",
            &header,
            &payload,
            Algorithm::HS256,
        );
    }));
    let hs256 = Faults::signing(Signing::HmacWithClientSecret(Algorithm::HS256));
    let (browser, page) = app.sign_in_despite(forged.and(hs256)).await;
    assert_eq!(page.refusal(), (502, "id-token-rejected"));
    assert!(browser.session().is_none());
}

#[tokio::test]
async fn cf_14_keys_are_believed_as_long_as_the_provider_says_within_bounds() {
    for (said, life) in
        [("max-age=1", 60), ("max-age=600", 600), ("max-age=99999999", 86_400), ("public", 3_600)]
    {
        let app = App::start().await;
        app.provider.set_faults(Faults::jwks(Reply::header("cache-control", said)));
        app.signed_in("ada").await;
        app.advance(life - 5);
        app.signed_in("ada").await;
        assert_eq!(app.provider.requests().jwks, 1, "{said}");
        app.advance(5);
        app.signed_in("ada").await;
        assert_eq!(app.provider.requests().jwks, 2, "{said}");
    }
}

#[tokio::test]
async fn cf_17_an_issuer_that_is_announced_is_required_of_every_callback() {
    let app = App::start().await;
    app.provider.set_faults(Faults::callback(|query| query.remove("iss")));
    let mut browser = app.browser();
    assert_eq!(browser.sign_in("ada").await.refusal(), (400, "wrong-issuer"));
    let there = browser.open(LOGIN).await.location();
    let back = browser.visit(&format!("{there}&cancel=1")).await.location();
    let page = browser.open(&common::browser::path_at_site(&back)).await;
    assert_eq!(page.refusal(), (400, "wrong-issuer"), "also when the answer is an error");
    assert_eq!(app.provider.requests().token, 0);
}

#[tokio::test]
async fn cf_19_the_secrets_file_is_read_anew_for_each_login() {
    let folder = Folder::new();
    let file = folder.write("client-secret", "an outdated secret of thirty-two and more\n");
    let secret = ClientSecret::File(file.clone());
    let app = Setup::default().settings(|settings| settings.oidc.client_secret = Some(secret)).start().await;
    assert_eq!(app.browser().sign_in("ada").await.refusal(), (502, "provider-refused"));
    folder.write("client-secret", &format!("{CLIENT_SECRET}\r\n"));
    app.signed_in("ada").await;

    folder.write("client-secret", "\n");
    let page = app.browser().sign_in("ada").await;
    assert_eq!(page.refusal(), (502, "provider-misconfigured"));
    std::fs::remove_file(file).unwrap();
    assert_eq!(app.browser().sign_in("ada").await.refusal(), (502, "provider-misconfigured"));
}

#[tokio::test]
async fn cf_19_white_space_within_a_secret_is_the_secrets() {
    let folder = Folder::new();
    let file = folder.write("client-secret", " spaced secret of thirty-two bytes and more \n");
    let spaced = Client::confidential("lamplighter", " spaced secret of thirty-two bytes and more ");
    let app = Setup::default()
        .provider(|provider| provider.clients = vec![spaced])
        .settings(|settings| settings.oidc.client_secret = Some(ClientSecret::File(file)))
        .start()
        .await;
    app.signed_in("ada").await;
}

/// The answer to a login while the provider misbehaves from the start.
async fn login_with(faults: Faults) -> Page {
    let app = App::start().await;
    app.provider.set_faults(faults);
    let mut browser = app.browser();
    let page = browser.open(LOGIN).await;
    assert_eq!(browser.attempts().len(), usize::from(page.status == 303), "{page:?}");
    page
}
