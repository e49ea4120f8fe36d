//! Signing out: by our own page, by Headlamp's button, and staying out.

mod common;

use common::browser::{Lines, path_at_site};
use common::logs::Logs;
use common::{App, Browser, Page, SCRIPT, SITE};
use http::Method;

const LOGIN: &str = "/lamplighter/login?rd=/c/main";

/// What a browser sends with the form on our own page.
const OWN_FORM: Lines<'static> = &[
    ("accept", "text/html"),
    ("origin", SITE),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
];

/// What a browser sends when a person follows a link on our own page.
const OWN_LINK: Lines<'static> = &[
    ("accept", "text/html"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
];

/// What a browser sends when a person follows a link on another site.
const FOREIGN_LINK: Lines<'static> = &[
    ("accept", "text/html"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "cross-site"),
];

#[tokio::test]
async fn a_person_signs_out_in_every_tab() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let second_tab = browser.clone();
    let page = sign_out(&mut browser).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, format!("{SITE}/lamplighter/signed-out")));
    assert_eq!(page.header("clear-site-data"), "\"cache\"");

    let check = second_tab.check_script("/clusters/main/api/v1/pods").await;
    assert_eq!(check.refusal(), (401, "signed-out"));
    assert_eq!(browser.check("/c/main").await.refusal(), (401, "signed-out"));
    let page = browser.open(&path_at_site(&page.location())).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{page:?}");
}

#[tokio::test]
async fn the_audit_log_says_whose_session_ended_and_why() {
    let logs = Logs::keep();
    let app = App::start().await;
    let mut browser = app.browser();
    let tabs = [browser.callback_for(LOGIN, "ada").await, browser.callback_for(LOGIN, "ada").await];
    for callback in tabs {
        assert_eq!(browser.open(&callback).await.status, 303);
    }
    sign_out(&mut browser).await;
    let lines: Vec<String> =
        logs.text().lines().filter(|line| line.contains("a session is over")).map(str::to_owned).collect();
    for (line, event) in lines.iter().zip(["replace", "sign-out"]) {
        assert!(line.contains("lamplighter::audit") && line.contains("subject=\"ada-id\""), "{line}");
        assert!(line.contains(&format!("event=\"{event}\"")), "{line}");
    }
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[tokio::test]
async fn whoever_signed_out_stays_out_until_they_say_otherwise() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    sign_out(&mut browser).await;
    let before = app.provider.requests();
    let page = browser.open(LOGIN).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{page:?}");
    assert_eq!(app.provider.requests(), before, "the provider would sign them in again at once");
    assert!(browser.attempts().is_empty());

    let link = page.body.split("href=\"").find(|rest| rest.contains("Sign in again")).unwrap();
    let link = link.split('"').next().unwrap().replace("&#38;", "&");
    assert!(link.contains("resume=1"), "{link}");
    let page = browser.request(&Method::GET, &path_at_site(&link), OWN_LINK).await;
    let callback = browser.pick(&page.location(), "ada").await;
    assert_eq!(browser.open(&callback).await.location(), format!("{SITE}/c/main"));
    assert_eq!(browser.check("/c/main").await.status, 200);
}

#[tokio::test]
async fn who_signed_out_and_came_back_without_a_role_may_be_somebody_else() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    sign_out(&mut browser).await;
    let callback = browser.callback_for(&format!("{LOGIN}&resume=1"), "nora").await;
    assert_eq!(browser.open(&callback).await.refusal(), (403, "no-role"));

    let switch = format!("{LOGIN}&switch=1");
    let page = browser.request(&Method::GET, &switch, OWN_LINK).await;
    assert!(page.status == 303 && page.location().contains("prompt=login"), "{page:?}");
    let page = browser.request(&Method::GET, &switch, FOREIGN_LINK).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{page:?}");
}

#[tokio::test]
async fn a_foreign_link_does_not_sign_anybody_in_again() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    sign_out(&mut browser).await;
    let page = browser.request(&Method::GET, &format!("{LOGIN}&resume=1"), FOREIGN_LINK).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{page:?}");
    let twice = browser.open(&format!("{LOGIN}&resume=1&resume=1")).await;
    assert_eq!(twice.status, 200, "nor one that says it twice");
}

#[tokio::test]
async fn signed_out_is_forgotten_after_ten_minutes() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    sign_out(&mut browser).await;
    app.advance(595);
    assert_eq!(browser.open(LOGIN).await.status, 200);
    app.advance(5);
    assert_eq!(browser.open(LOGIN).await.status, 303);
    assert_eq!(browser.check("/").await.refusal(), (401, "no-session"));
}

#[tokio::test]
async fn another_sites_page_signs_nobody_out() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let foreign: [Lines<'_>; 6] = [
        &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
        &[("origin", "https://evil.headlamp.example.com"), ("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
        &[("origin", "null")],
        &[("origin", SITE), ("sec-fetch-site", "cross-site")],
        &[],
    ];
    for lines in foreign {
        let page = browser.request(&Method::POST, "/lamplighter/logout", lines).await;
        assert_eq!(page.refusal(), (403, "cross-site"), "{lines:?}");
        assert!(page.set_cookies().is_empty());
    }
    let page = browser.request(&Method::GET, "/lamplighter/logout", FOREIGN_LINK).await;
    assert!(page.status == 200 && page.body.contains("Sign out?"), "{page:?}");
    assert_eq!(browser.check("/").await.status, 200);
}

#[tokio::test]
async fn headlamps_button_signs_out() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let before = app.provider.requests();
    let check = browser.ask(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
    assert_eq!(check.refusal(), (401, "signed-out"));
    assert_eq!(check.header("x-reload"), "reload");
    let [cookie] = &check.set_cookies()[..] else { panic!("nginx passes one Set-Cookie on: {check:?}") };
    assert!(
        check.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
            < 4_096
    );
    let value = cookie.strip_prefix("__Host-lamplighter=").unwrap().split(';').next().unwrap();
    browser.set_cookie("__Host-lamplighter", value);

    // nginx redirects the script to login, which tells it to load the page anew.
    let script = browser.request(&Method::GET, &path_at_site(&check.location()), SCRIPT).await;
    assert_eq!((script.status.as_u16(), script.header("x-reload")), (401, "reload"));
    let navigation = browser.check("/c/main").await;
    assert_eq!(navigation.refusal(), (401, "signed-out"));
    let page = browser.open(&path_at_site(&navigation.location())).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{page:?}");
    assert_eq!(app.provider.requests(), before);
}

#[tokio::test]
async fn headlamps_button_signs_out_though_the_ingress_keeps_the_cookie_to_itself() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    browser.ask(&Method::POST, "/clusters/main/set-token", SCRIPT).await;
    assert_eq!(browser.check("/c/main").await.refusal(), (401, "signed-out"));
    let page = browser.open(LOGIN).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{page:?}");
}

#[tokio::test]
async fn another_sites_page_does_not_press_headlamps_button() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let foreign: [Lines<'_>; 3] = [
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        &[("origin", "https://evil.example")],
        &[],
    ];
    for lines in foreign {
        let check = browser.ask(&Method::POST, "/clusters/main/set-token", lines).await;
        assert_eq!(check.refusal(), (403, "cross-site"), "{lines:?}");
        assert!(check.set_cookies().is_empty());
    }
    assert_eq!(browser.check("/").await.status, 200);
}

#[tokio::test]
async fn a_sessions_tokens_end_with_it() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let old = browser.check("/").await;
    assert_eq!(app.api_server.token_requests(), 1);
    sign_out(&mut browser).await;
    let page = browser.open(&format!("{LOGIN}&resume=1")).await;
    let callback = browser.pick(&page.location(), "ada").await;
    browser.open(&callback).await;
    let new = browser.check("/").await;
    assert_eq!(app.api_server.token_requests(), 2);
    assert_ne!(app.token(&old)["jti"], app.token(&new)["jti"]);
}

#[tokio::test]
async fn a_copy_of_the_old_cookie_opens_nothing() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let thief = browser.clone();
    sign_out(&mut browser).await;
    let page = browser.open(&format!("{LOGIN}&resume=1")).await;
    let callback = browser.pick(&page.location(), "ada").await;
    assert_eq!(browser.open(&callback).await.status, 303);
    assert_eq!(thief.check("/").await.refusal(), (401, "signed-out"));
    let page = thief.clone().open(LOGIN).await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{page:?}");
    assert_eq!(browser.check("/").await.status, 200, "the new session is another");
    app.gateway.sweep();
    assert_eq!(thief.check("/").await.refusal(), (401, "signed-out"), "also after housekeeping");
}

#[tokio::test]
async fn nobody_is_signed_in_and_signs_out() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = sign_out(&mut browser).await;
    assert_eq!((page.status.as_u16(), page.location()), (303, format!("{SITE}/lamplighter/signed-out")));
    let page = browser.open("/lamplighter/signed-out?rd=https://evil.example").await;
    assert!(page.status == 200 && !page.body.contains("evil"), "{page:?}");
    for method in [Method::PUT, Method::DELETE, Method::HEAD, Method::OPTIONS] {
        assert_eq!(browser.request(&method, "/lamplighter/logout", OWN_FORM).await.status, 405);
    }
    assert_eq!(browser.open("/lamplighter/login").await.status, 200, "and is taken at their word");
}

async fn sign_out(browser: &mut Browser) -> Page {
    browser.request(&Method::POST, "/lamplighter/logout", OWN_FORM).await
}
