//! On to the provider, or not: the cases of sections A2 and A10 of the security reference.

mod common;

use std::collections::HashSet;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::browser::{Lines, params, path_at_site};
use common::{App, NAVIGATE, SCRIPT, SITE, Setup};
use http::Method;
use lamplighter::demo::api_server::TokenFault;

const LOGIN: &str = "/lamplighter/login?rd=/c/main";

const IMAGE: Lines<'static> =
    &[("sec-fetch-dest", "image"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-site", "cross-site")];

const FRAME: Lines<'static> = &[
    ("accept", "text/html"),
    ("sec-fetch-dest", "iframe"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "cross-site"),
];

#[tokio::test]
async fn ar_1_the_authorization_request_says_each_thing_once() {
    let app = App::start().await;
    let page = app.browser().open("/lamplighter/login?rd=/").await;
    assert_eq!(page.status, 303);
    let asked = params(&page.location());
    let mut names: Vec<_> = asked.names().collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "nonce",
            "redirect_uri",
            "response_type",
            "scope",
            "state"
        ]
    );
    let of = |name| asked.get(name).unwrap();
    assert_eq!((of("response_type"), of("client_id")), ("code", "lamplighter"));
    assert_eq!(of("redirect_uri"), format!("{SITE}/lamplighter/callback"));
    assert_eq!((of("scope"), of("code_challenge_method")), ("openid profile email groups", "S256"));
}

#[tokio::test]
async fn ar_2_state_nonce_and_challenge_are_independent_and_safe_in_an_address() {
    let app = App::start().await;
    let asked = params(&app.browser().open(LOGIN).await.location());
    let values = ["state", "nonce", "code_challenge"].map(|name| asked.get(name).unwrap().to_owned());
    for value in &values {
        assert_eq!(URL_SAFE_NO_PAD.decode(value).unwrap().len(), 32, "{value}");
    }
    assert!(values[0] != values[1] && values[1] != values[2]);
}

#[tokio::test]
async fn ar_3_no_value_comes_twice_and_the_verifier_stays_here() {
    let app = App::start().await;
    let mut seen = HashSet::new();
    for _ in 0..200 {
        let asked = params(&app.browser().open(LOGIN).await.location());
        for name in ["state", "nonce", "code_challenge"] {
            assert!(seen.insert(asked.get(name).unwrap().to_owned()));
        }
    }
    let mut browser = app.browser();
    let page = browser.open(LOGIN).await;
    let callback = browser.pick(&page.location(), "ada").await;
    let attempt = URL_SAFE_NO_PAD.decode(browser.cookie(&browser.attempts()[0]).unwrap()).unwrap();
    browser.open(&callback).await;
    let verifier = app.provider.last_token_request().unwrap().form().get("code_verifier").unwrap().to_owned();
    let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()));
    assert_eq!(params(&page.location()).get("code_challenge"), Some(challenge.as_str()));
    let raw = URL_SAFE_NO_PAD.decode(&verifier).unwrap();
    assert!(!format!("{page:?}").contains(&verifier), "not in the clear");
    assert!(!attempt.windows(32).any(|window| window == raw), "sealed in the cookie");
}

#[tokio::test]
async fn ar_4_an_attempt_is_kept_in_a_cookie_of_its_own_host_for_ten_minutes() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = browser.open(LOGIN).await;
    let [cookie] = &page.set_cookies()[..] else { panic!("{page:?}") };
    let state = params(&page.location()).get("state").unwrap().to_owned();
    assert!(cookie.starts_with(&format!("__Host-lamplighter-attempt-{}=", &state[..8])), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{cookie}");

    let name = browser.attempts()[0].clone();
    let value = browser.cookie(&name).unwrap().to_owned();
    let second = browser.callback_for(LOGIN, "ada").await;
    let other = browser.attempts().into_iter().find(|known| *known != name).unwrap();
    browser.set_cookie(&other, &value);
    assert_eq!(
        browser.open(&second).await.refusal(),
        (400, "no-attempt"),
        "worth nothing under another name"
    );
}

#[tokio::test]
async fn ar_5_the_answer_is_neither_kept_nor_told_on() {
    let app = App::start().await;
    let page = app.browser().open("/lamplighter/login?rd=/reflected").await;
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-store", "no-referrer"));
    assert_eq!(page.body, "");
    assert!(!format!("{:?}", page.headers).contains("reflected"));
}

#[tokio::test]
async fn ar_6_whoever_is_signed_in_goes_back_without_the_provider() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let before = app.provider.requests();
    let page = browser.open(LOGIN).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, format!("{SITE}/c/main")));
    assert_eq!(app.provider.requests(), before);
    assert!(browser.attempts().is_empty());
    assert_eq!(browser.check("/c/main").await.status, 200);
}

#[tokio::test]
async fn ar_7_nobody_else_says_what_is_asked_of_the_provider() {
    let app = App::start().await;
    let hostile = "client_id=evil&redirect_uri=https://evil.example&scope=evil&state=evil&nonce=evil&request=evil\
                   &request_uri=https://evil.example&prompt=none&acr_values=evil&login_hint=evil&max_age=0\
                   &response_type=token&code_challenge=evil&response_mode=fragment";
    let page = app.browser().open(&format!("{LOGIN}&{hostile}")).await;
    assert_eq!(page.status, 303);
    let asked = page.location();
    assert!(!asked.contains("evil"), "{asked}");
    assert_eq!(params(&asked).names().count(), 8, "{asked}");
}

#[tokio::test]
async fn ar_8_max_age_is_asked_for_where_it_is_set() {
    let app = Setup::default().settings(|settings| settings.oidc.max_age_seconds = Some(3_600)).start().await;
    let asked = params(&app.browser().open(LOGIN).await.location());
    assert_eq!(asked.get("max_age"), Some("3600"));
    app.signed_in("ada").await;
}

#[tokio::test]
async fn ar_9_the_sixth_attempt_takes_the_place_of_the_oldest() {
    let app = App::start().await;
    let mut browser = app.browser();
    let mut callbacks = Vec::new();
    for tab in 0..6 {
        callbacks.push(browser.callback_for(&format!("/lamplighter/login?rd=/tab-{tab}"), "ada").await);
        app.advance(1);
    }
    assert_eq!(browser.attempts().len(), 5);
    let bytes: usize = browser.jar.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
    assert!(bytes <= 2_048, "{bytes}");
    assert_eq!(browser.open(&callbacks[0]).await.refusal(), (400, "no-attempt"));
    assert!(browser.open(&callbacks[1]).await.location().ends_with("/tab-1"));
    assert!(browser.open(&callbacks[5]).await.location().ends_with("/tab-5"));
}

#[tokio::test]
async fn ar_10_only_a_get_that_a_person_waits_for_begins_an_attempt() {
    let app = App::start().await;
    let mut browser = app.browser();
    for method in [Method::POST, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let page = browser.request(&method, LOGIN, NAVIGATE).await;
        assert_eq!((page.status.as_u16(), page.header("allow")), (405, "GET"), "{method}");
    }
    for purpose in ["prefetch", "prefetch;prerender"] {
        let lines = [NAVIGATE, &[("sec-purpose", purpose)]].concat();
        assert_eq!(browser.request(&Method::GET, LOGIN, &lines).await.refusal(), (503, "prefetch"));
    }
    assert!(browser.jar.is_empty());
}

#[tokio::test]
async fn ar_11_an_image_begins_no_login_and_a_script_is_told_to_load_the_page() {
    let app = App::start().await;
    let mut browser = app.browser();
    let image = browser.request(&Method::GET, LOGIN, IMAGE).await;
    assert_eq!((image.status.as_u16(), image.body.as_str()), (401, ""));
    assert!(image.header("location").is_empty() && image.header("x-reload").is_empty());

    let script = browser.request(&Method::GET, LOGIN, SCRIPT).await;
    assert_eq!(script.refusal(), (401, "no-session"));
    assert_eq!(script.header("x-reload"), "reload");
    let status = script.json();
    assert_eq!((&status["kind"], &status["code"]), (&"Status".into(), &401.into()));
    assert!(browser.jar.is_empty() && script.header("location").is_empty());
}

#[tokio::test]
async fn ar_11_a_browser_without_fetch_metadata_is_served() {
    let app = App::start().await;
    assert_eq!(app.browser().request(&Method::GET, LOGIN, &[("accept", "text/html")]).await.status, 303);
    let tool = app.browser().request(&Method::GET, LOGIN, &[("accept", "*/*")]).await;
    assert_eq!(tool.refusal(), (401, "no-session"));
}

#[tokio::test]
async fn ar_12_a_frame_begins_no_login() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = browser.request(&Method::GET, LOGIN, FRAME).await;
    assert_eq!(page.status, 401);
    assert!(browser.jar.is_empty() && page.header("location").is_empty());
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!(page.header("x-frame-options"), "DENY");
}

#[tokio::test]
async fn rd_what_leads_elsewhere_leads_home() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    for hostile in [
        "//evil.example",
        "///evil.example",
        "/%5Cevil.example",
        "%5C%5Cevil.example",
        "/%09/evil.example",
        "/%2F/evil.example",
        "https:evil.example",
        "https://evil.example/ok",
        "https://headlamp.example.com@evil.example/",
        "https://headlamp.example.com.evil.example/",
        "https://headlamp.example.com:444/",
        "http://headlamp.example.com/",
        "javascript:alert(1)",
        "data:text/html,x",
        "/x%0d%0aSet-Cookie:a=b",
        "%20/x",
        "",
        "/lamplighter/login?rd=/x",
        "/lamplighter/logout",
        "/ok&rd=/other",
    ] {
        let page = app.signed_in("ada").await.open(&format!("/lamplighter/login?rd={hostile}")).await;
        assert_eq!((page.status.as_u16(), page.location()), (303, format!("{SITE}/")), "{hostile}");
    }
    let page = browser.open(&format!("/lamplighter/login?rd=/{}", "a".repeat(8_192))).await;
    assert_eq!(page.location(), format!("{SITE}/"));
}

#[tokio::test]
async fn rd_30_what_leads_to_the_site_is_kept_to_the_byte() {
    let app = App::start().await;
    for (asked, kept) in [
        ("/clusters/x/pods?a=%252F%26b=1", "/clusters/x/pods?a=%2F&b=1"),
        ("https://headlamp.example.com/c/main", "/c/main"),
        ("HTTPS://HEADLAMP.example.com:443/c/main", "/c/main"),
        ("/c/main%23fragment", "/c/main"),
    ] {
        let page = app.signed_in("ada").await.open(&format!("/lamplighter/login?rd={asked}")).await;
        assert_eq!(page.location(), format!("{SITE}{kept}"), "{asked}");
    }
}

#[tokio::test]
async fn rd_32_the_callback_leads_where_login_was_asked_to_and_nowhere_else() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for("/lamplighter/login?rd=//evil.example", "ada").await;
    let page = browser.open(&format!("{callback}&rd=https://evil.example")).await;
    assert_eq!(page.location(), format!("{SITE}/"));
}

#[tokio::test]
async fn nobody_is_led_to_where_headlamp_would_ask_for_a_token() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let check = browser.check("/c/main/token").await;
    assert_eq!(check.refusal(), (401, "token-prompt"));
    let page = browser.open(&path_at_site(&check.location())).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, format!("{SITE}/c/main/")));

    let mut browser = app.browser();
    let callback = browser.callback_for(&path_at_site(&check.location()), "ada").await;
    assert_eq!(browser.open(&callback).await.location(), format!("{SITE}/c/main/"));
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_a_page_and_no_loop() {
    for (code, expected) in [(503, (503, "apiserver-unreachable")), (403, (502, "mint-failed"))] {
        let app = App::start().await;
        let mut browser = app.signed_in("ada").await;
        app.api_server.set_fault(Some(TokenFault::Status(code)));
        let check = browser.check("/c/main").await;
        assert_eq!(check.refusal(), (401, expected.1));
        let page = browser.open(&path_at_site(&check.location())).await;
        assert_eq!(page.refusal(), expected);
        assert!(page.header("location").is_empty());
        assert_eq!(page.body.contains("http-equiv=\"refresh\""), code == 503);

        app.api_server.set_fault(None);
        app.advance(2);
        assert_eq!(browser.open(&path_at_site(&check.location())).await.location(), format!("{SITE}/c/main"));
    }
}

#[tokio::test]
async fn a_person_who_may_not_pass_reads_why() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let lines = [NAVIGATE, &[("impersonate-user", "root")]].concat();
    let check = browser.ask(&Method::GET, "/c/main", &lines).await;
    assert_eq!(check.refusal(), (401, "impersonation"));
    let page = browser.request(&Method::GET, &path_at_site(&check.location()), &lines).await;
    assert_eq!(page.refusal(), (403, "impersonation"));
    assert!(page.header("location").is_empty() && page.body.contains("Impersonate-…"), "{page:?}");
}

#[tokio::test]
async fn the_fourth_trip_from_the_check_within_a_minute_ends_the_loop() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(browser.open(LOGIN).await.refusal().0);
    }
    assert_eq!(statuses, [303, 303, 303, 503, 503]);
    app.advance(60);
    assert_eq!(browser.open(LOGIN).await.status, 303);
}

#[tokio::test]
async fn a_proxy_that_replaces_the_host_ends_at_a_page_and_not_in_a_loop() {
    let app = App::start().await;
    let page = app.browser().request_at("backend.internal", &format!("{LOGIN}&moved=1")).await;
    assert_eq!(page.refusal(), (421, "unknown-host"));
}

#[tokio::test]
async fn at_another_host_login_leads_to_the_sites_own() {
    let app = App::start().await;
    for host in ["evil.example", "headlamp.example.com.evil.example", "127.0.0.1"] {
        let page = app.browser().request_at(host, LOGIN).await;
        assert_eq!(page.location(), format!("{SITE}/lamplighter/login?rd=/c/main&moved=1"), "{host}");
        assert!(page.set_cookies().is_empty());
    }
    for host in ["HEADLAMP.example.com", "headlamp.example.com:443", "headlamp.example.com:8443"] {
        let page = app.browser().request_at(host, LOGIN).await;
        assert!(page.location().starts_with(&app.provider.issuer()), "{host}: {page:?}");
    }
}
