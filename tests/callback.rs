//! Back from the provider: the cases of section A3 of the security reference.

mod common;

use common::browser::{edited, params};
use common::logs::Logs;
use common::{App, NAVIGATE, Page, SITE};
use http::Method;
use lamplighter::demo::provider::{Faults, Params, Reply};
use serde_json::json;

const LOGIN: &str = "/lamplighter/login?rd=/c/main/pods?a=%252F%26b=1";

#[tokio::test]
async fn cb_1_a_code_that_was_asked_for_becomes_a_session() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let page = browser.open(&callback).await;
    assert_eq!(page.status, 303);
    assert_eq!(page.location(), format!("{SITE}/c/main/pods?a=%2F&b=1"));
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-store", "no-referrer"));
    let [session, attempt] = &page.set_cookies()[..] else { panic!("{page:?}") };
    assert!(session.starts_with("__Host-lamplighter="), "{session}");
    assert!(session.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=28800"), "{session}");
    assert!(
        attempt.starts_with("__Host-lamplighter-attempt-") && attempt.ends_with("; Max-Age=0"),
        "{attempt}"
    );
    assert!(browser.attempts().is_empty());
    assert_eq!(app.provider.requests().token, 1);
}

#[tokio::test]
async fn cb_2_a_callback_without_the_attempts_state_asks_the_provider_nothing() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let state = params(&callback).get("state").unwrap().to_owned();
    let other = format!("{}{}", &state[..8], "A".repeat(35));
    for wrong in ["", "unknown-state", &state[..8], &state[..42], &state.to_uppercase(), &other] {
        let page = browser.clone().open(&edited(&callback, |query| query.set("state", wrong))).await;
        assert_no_session(&page, 400);
    }
    let page = browser.open(&edited(&callback, |query| query.remove("state"))).await;
    assert_eq!(page.refusal(), (400, "bad-callback"));
    assert_eq!(app.provider.requests().token, 0);
    assert_eq!(browser.open(&callback).await.status, 303, "the attempt is still good");
}

#[tokio::test]
async fn cb_3_a_callback_is_good_once() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let mut replayed = browser.clone();
    assert_eq!(browser.open(&callback).await.status, 303);
    assert_eq!(browser.open(&callback).await.refusal(), (400, "no-attempt"));
    // A thief has a copy of the cookie, too.
    let page = replayed.open(&callback).await;
    assert_eq!(page.refusal(), (400, "no-attempt"));
    assert_no_session(&page, 400);
    assert_eq!(app.provider.requests().token, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cb_3_of_two_callbacks_that_race_exactly_one_wins() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let racers = [(); 8].map(|()| {
        let (mut racer, callback) = (browser.clone(), callback.clone());
        tokio::spawn(async move { racer.open(&callback).await.status.as_u16() })
    });
    let mut statuses = Vec::new();
    for racer in racers {
        statuses.push(racer.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 400, 400, 400, 400, 400, 400, 400]);
    assert_eq!(app.provider.requests().token, 1);
}

#[tokio::test]
async fn cb_4_a_callback_in_another_browser_is_refused() {
    let app = App::start().await;
    let callback = app.browser().callback_for(LOGIN, "ada").await;
    let mut victim = app.browser();
    let page = victim.open(&callback).await;
    assert_eq!(page.refusal(), (400, "no-attempt"));
    assert!(
        page.body.contains("Start again") && page.body.contains("/lamplighter/login?rd="),
        "{}",
        page.body
    );
    assert_no_session(&page, 400);
    assert_eq!(app.provider.requests().token, 0);
}

#[tokio::test]
async fn cb_5_after_ten_minutes_an_attempt_is_over_and_the_way_back_is_kept() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    app.advance(601);
    let page = browser.open(&callback).await;
    assert_eq!(page.refusal(), (400, "attempt-expired"));
    assert!(page.body.contains("/lamplighter/login?rd=/c/main/pods%3Fa%3D%252F%26"), "{}", page.body);
    assert_no_session(&page, 400);
    assert_eq!(app.provider.requests().token, 0);
}

#[tokio::test]
async fn cb_6_a_refusal_of_the_provider_is_shown_in_our_own_words() {
    let app = App::start().await;
    app.provider.faults_for_next_login(Faults::callback(|query| {
        query.set("error_description", "<script>alert(1)</script>");
        query.set("error_uri", "https://evil.example/");
    }));
    let mut browser = app.browser();
    let there = browser.open(LOGIN).await.location();
    let back = browser.visit(&format!("{there}&cancel=1")).await.location();
    let page = browser.open(&common::browser::path_at_site(&back)).await;
    assert_eq!(page.refusal(), (403, "provider-refused"));
    assert!(!page.body.contains("script") && !page.body.contains("evil.example"), "{}", page.body);
    assert_no_session(&page, 403);

    let callback = browser.callback_for(LOGIN, "ada").await;
    let page = browser.open(&as_error(&callback, "<script>alert(1)</script>")).await;
    assert_eq!(page.refusal(), (502, "provider-error"));
    assert!(!page.body.contains("script"), "{}", page.body);
}

#[tokio::test]
async fn cb_7_an_error_that_answers_no_attempt_ends_none() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let state = params(&callback).get("state").unwrap().to_owned();
    for wrong in ["another-state".to_owned(), format!("{}{}", &state[..8], "A".repeat(35))] {
        let forged = edited(&as_error(&callback, "reflected_error"), |query| query.set("state", wrong));
        let page = browser.open(&forged).await;
        assert_no_session(&page, 400);
        assert!(!page.body.contains("reflected_error") && page.set_cookies().is_empty(), "{page:?}");
    }
    assert_eq!(browser.open(&callback).await.status, 303);
}

/// Nothing here asks with `prompt=none`, whose answers these are.
#[tokio::test]
async fn cb_8_a_provider_that_has_to_ask_the_person_is_not_sent_them_again_and_again() {
    let app = App::start().await;
    for error in ["login_required", "interaction_required", "consent_required", "account_selection_required"]
    {
        let mut browser = app.browser();
        let there = browser.open(LOGIN).await.location();
        assert_eq!(params(&there).get("prompt"), None, "{there}");
        let callback = browser.pick(&there, "ada").await;
        let page = browser.open(&as_error(&callback, error)).await;
        assert_eq!(page.refusal(), (502, "provider-error"), "{error}");
        assert_no_session(&page, 502);
        assert_eq!(page.location(), "", "{error}: a person tries again, and no page does");
    }
}

#[tokio::test]
async fn cb_9_the_issuer_may_be_named() {
    assert_eq!(with_issuer(true, |_, _| {}).await.status, 303);
}

#[tokio::test]
async fn cb_10_another_issuer_is_a_mix_up_and_gets_no_code() {
    let logs = Logs::keep();
    let changes: [fn(&str) -> String; 4] = [
        |_| "https://evil.example".to_owned(),
        |issuer| format!("{issuer}/"),
        |issuer| issuer.replace("http:", "HTTP:"),
        |issuer| format!("{issuer}0"),
    ];
    for change in changes {
        for is_announced in [true, false] {
            let page = with_issuer(is_announced, move |query, issuer| query.set("iss", change(issuer))).await;
            assert_eq!(page.refusal(), (400, "wrong-issuer"));
            assert_no_session(&page, 400);
        }
    }
    let line = logs.line("wrong-issuer");
    assert!(line.contains("WARN"), "a mix-up is an attack: {line}");
}

#[tokio::test]
async fn cb_11_an_issuer_that_was_announced_has_to_come() {
    let page = with_issuer(true, |query, _| query.remove("iss")).await;
    assert_eq!(page.refusal(), (400, "wrong-issuer"));
}

#[tokio::test]
async fn cb_12_an_issuer_that_was_not_announced_may_come_if_it_is_the_right_one() {
    assert_eq!(with_issuer(false, |_, _| {}).await.status, 303);
    assert_eq!(with_issuer(false, |query, _| query.remove("iss")).await.status, 303);
}

#[tokio::test]
async fn cb_13_an_error_of_another_issuer_is_not_the_providers() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let forged =
        edited(&as_error(&callback, "access_denied"), |query| query.set("iss", "https://evil.example"));
    let page = browser.open(&forged).await;
    assert_eq!(page.refusal(), (400, "wrong-issuer"));
    assert!(!page.body.contains("said no"), "{}", page.body);
}

#[tokio::test]
async fn cb_14_a_parameter_that_stands_twice_is_refused() {
    for name in ["code", "state", "iss"] {
        let page = with_query(move |query| {
            let again = query.get(name).unwrap().to_owned();
            query.append(name, again);
        });
        assert_eq!(page.await.refusal(), (400, "bad-callback"), "{name}");
    }
    let page = with_query(|query| {
        query.remove("code");
        query.append("error", "access_denied");
        query.append("error", "access_denied");
    });
    assert_eq!(page.await.refusal(), (400, "bad-callback"));
}

#[tokio::test]
async fn cb_15_a_code_and_an_error_are_one_too_many() {
    let page = with_query(|query| query.append("error", "access_denied")).await;
    assert_eq!(page.refusal(), (400, "bad-callback"));
}

#[tokio::test]
async fn cb_16_tokens_in_the_address_are_not_used_and_unknown_parameters_not_read() {
    let page = with_query(|query| {
        query.append("access_token", "attacker");
        query.append("id_token", "attacker");
        query.append("session_state", "x");
        query.append("session_state", "y");
    });
    assert_eq!(page.await.status, 303);
    let page = with_query(|query| {
        query.remove("code");
        query.append("id_token", "attacker");
    });
    assert_eq!(page.await.refusal(), (400, "bad-callback"));
}

#[tokio::test]
async fn cb_17_what_is_too_long_is_not_looked_at() {
    for (name, length) in [("code", 2_049), ("padding", 8_193)] {
        let page = with_query(move |query| query.set(name, "x".repeat(length))).await;
        assert_eq!(page.refusal(), (400, "bad-callback"), "{name}");
    }
}

#[tokio::test]
async fn cb_18_only_a_get_that_a_person_waits_for_uses_the_attempt_up() {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    for method in [Method::HEAD, Method::POST, Method::PUT, Method::OPTIONS] {
        let page = browser.request(&method, &callback, NAVIGATE).await;
        assert_eq!((page.status.as_u16(), page.header("allow")), (405, "GET"), "{method}");
    }
    for (name, value) in
        [("sec-purpose", "prefetch"), ("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch")]
    {
        let page = browser.request(&Method::GET, &callback, &[NAVIGATE, &[(name, value)]].concat()).await;
        assert_eq!(page.refusal(), (503, "prefetch"));
    }
    assert_eq!(app.provider.requests().token, 0);
    assert_eq!(browser.open(&callback).await.status, 303);
}

/// The provider's error in place of its code.
fn as_error(callback: &str, error: &str) -> String {
    edited(callback, |query| {
        query.remove("code");
        query.append("error", error);
    })
}

/// The answer to Ada's callback after `edit`.
async fn with_query(edit: impl FnOnce(&mut Params)) -> Page {
    let app = App::start().await;
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let page = browser.open(&edited(&callback, edit)).await;
    assert_eq!(app.provider.requests().token == 1, page.status == 303);
    page
}

/// The answer to Ada's callback after `edit`, where the provider announces that it names the issuer, or not.
async fn with_issuer(is_announced: bool, edit: impl FnOnce(&mut Params, &str)) -> Page {
    let app = App::start().await;
    app.provider.set_faults(Faults::discovery(Reply::json(move |document| {
        document["authorization_response_iss_parameter_supported"] = json!(is_announced);
    })));
    let issuer = app.provider.issuer();
    let mut browser = app.browser();
    let callback = browser.callback_for(LOGIN, "ada").await;
    let page = browser.open(&edited(&callback, |query| edit(query, &issuer))).await;
    assert_eq!(app.provider.requests().token == 1, page.status == 303);
    page
}

fn assert_no_session(page: &Page, status: u16) {
    assert_eq!(page.status, status, "{page:?}");
    assert!(!page.sets_session() && !page.reason().is_empty(), "{page:?}");
    assert!(page.header("content-type").starts_with("text/html"), "{page:?}");
}
