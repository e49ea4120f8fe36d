//! The session cookie: the cases of section A6 of the security reference, seen at the check and at login.

mod common;

use std::path::PathBuf;

use common::files::Folder;
use common::{App, Browser, NAVIGATE, SESSION_SECONDS, SITE, Setup, rule};
use http::Method;
use lamplighter::app::{Settings, take_up_keys};
use lamplighter::auth::{Credential, Match, Policy, Site};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const SESSION: &str = "__Host-lamplighter";
const LOGIN: &str = "/lamplighter/login?rd=/c/main";
const KEY: &str = "the first key, which is thirty-two bytes long and more\n";
const NEXT_KEY: &str = "the next key, which is thirty-two bytes long and more\n";

#[tokio::test]
async fn sc_1_the_cookie_is_locked_to_its_host_and_small() {
    let app = App::start().await;
    let page = app.browser().sign_in("ada").await;
    let cookies = page.set_cookies();
    let cookie = cookies.iter().find(|line| line.starts_with("__Host-lamplighter=")).unwrap();
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.to_ascii_lowercase().contains("domain") && cookie.len() < 1_536, "{cookie}");
}

#[tokio::test]
async fn sc_2_a_session_ends_on_the_second_though_the_browser_kept_it() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    // The clock runs on while the test does: it is set to well within the last seconds.
    app.advance(SESSION_SECONDS - 5);
    assert_eq!(browser.check("/c/main").await.status, 200);
    let page = browser.open(LOGIN).await;
    assert_eq!(page.location(), format!("{SITE}/c/main"), "login agrees");
    assert_eq!(browser.check("/c/main").await.status, 200, "and has not prolonged it");
    app.advance(5);
    assert_eq!(browser.check("/c/main").await.refusal(), (401, "session-expired"));
    assert_eq!(browser.check_script("/c/main").await.refusal(), (401, "session-expired"));
    let page = browser.open(LOGIN).await;
    assert!(page.location().starts_with(&app.provider.issuer()), "{page:?}");
}

#[tokio::test]
async fn sc_2_the_cookie_lives_no_longer_than_the_session() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    app.advance(SESSION_SECONDS - 100);
    let cookies = browser.open(LOGIN).await.set_cookies();
    let age = cookies[0].rsplit("Max-Age=").next().unwrap().parse::<i64>().unwrap();
    assert!((80..=100).contains(&age), "{cookies:?}");
}

#[tokio::test]
async fn sc_4_a_malformed_cookie_is_no_session_and_no_obstacle() {
    let app = App::start().await;
    let good = app.signed_in("ada").await;
    let good = good.session().unwrap();
    let malformed = [
        "",
        "x",
        "é",
        "%00",
        "\"\"",
        "null",
        "AAAA",
        "====",
        &"A".repeat(5 * 1024),
        &"A".repeat(40),
        &format!("\"{good}\""),
        &format!("{good}="),
        &format!("{good}A"),
        &format!("{good}AAAA"),
        &format!("AAAA{good}"),
        &good[..good.len() - 4],
        &good.replace('-', "+").replace('_', "/").to_uppercase(),
    ];
    for value in malformed {
        let mut browser = app.browser();
        browser.set_cookie(SESSION, value);
        assert_eq!(browser.check("/c/main").await.refusal(), (401, "bad-cookie"), "{value:?}");
        let page = browser.open(LOGIN).await;
        assert!(page.location().starts_with(&app.provider.issuer()), "{value:?}: {page:?}");
        assert_eq!(browser.sign_in("ada").await.status, 303, "{value:?}");
        assert_eq!(browser.check("/c/main").await.status, 200, "the cookie was replaced: {value:?}");
    }
}

#[tokio::test]
async fn sc_4_bytes_that_are_no_text_are_no_session() {
    let app = App::start().await;
    for (value, expected) in
        [(&b"\xff\xfe"[..], "401"), (b"\x00", "400"), (b"a\x00b", "400"), (b"\t \t", "401")]
    {
        let head = format!(
            "GET /authz/auth-request HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-original-method: GET\r\n\
             x-original-url: {SITE}/\r\naccept: text/html\r\ncookie: {SESSION}="
        );
        let mut stream = tokio::net::TcpStream::connect(app.authz).await.unwrap();
        stream.write_all(&[head.as_bytes(), value, b"\r\n\r\n"].concat()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{value:?}: {answer}");
    }
}

#[tokio::test]
async fn hh_14_what_is_kept_for_the_next_check_is_one_sessions_and_no_cookie() {
    let app = App::start().await;
    let (ada, victor) = (app.signed_in("ada").await, app.signed_in("victor").await);
    let with = |browser: &Browser, cookie: &str| {
        let mut browser = browser.clone();
        browser.set_cookie("theme", cookie);
        browser
    };
    for _ in 0..2 {
        for (browser, user) in [(&ada, "ada"), (&victor, "victor")] {
            let dark = with(browser, "dark").check("/c/main").await;
            assert_eq!((dark.status.as_u16(), dark.header("cookie")), (200, "theme=dark"), "{user}");
            let none = browser.check("/c/main").await;
            assert_eq!((none.status.as_u16(), none.header("cookie")), (200, ""), "{user}");
            assert_eq!(none.header("x-forwarded-user"), dark.header("x-forwarded-user"));
            assert!(none.header("x-forwarded-email").starts_with(user), "{none:?}");
        }
    }
    assert_ne!(
        ada.check("/c/main").await.header("authorization"),
        victor.check("/c/main").await.header("authorization")
    );
}

#[tokio::test]
async fn sc_5_of_two_sessions_neither_counts() {
    let app = App::start().await;
    let (ada, victor) = (app.signed_in("ada").await, app.signed_in("victor").await);
    for pair in [[&ada, &victor], [&ada, &ada]] {
        let mut tossed = app.browser();
        tossed.jar = pair.map(|browser| (SESSION.to_owned(), browser.session().unwrap().to_owned())).to_vec();
        assert_eq!(tossed.check("/").await.refusal(), (401, "bad-cookie"));
    }
    let second_line = format!("{SESSION}={}", ada.session().unwrap());
    let page = ada.ask(&Method::GET, "/", &[NAVIGATE, &[("cookie", &second_line)]].concat()).await;
    assert_eq!(page.refusal(), (401, "bad-cookie"), "nor in a second header line");

    for name in ["__host-lamplighter", "__HOST-LAMPLIGHTER", "lamplighter", "x__Host-lamplighter"] {
        let mut other = app.browser();
        other.set_cookie(name, ada.session().unwrap());
        assert_eq!(other.check("/").await.refusal(), (401, "no-session"), "{name}");
    }
}

#[tokio::test]
async fn sc_6_a_change_of_any_character_is_seen() {
    let app = App::start().await;
    let browser = app.signed_in("ada").await;
    let good = browser.session().unwrap().to_owned();
    for at in 0..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let mut browser = browser.clone();
        browser.set_cookie(SESSION, std::str::from_utf8(&changed).unwrap());
        assert_eq!(
            browser.check("/").await.refusal(),
            (401, "bad-cookie"),
            "character {at} of {}",
            good.len()
        );
    }
    assert_eq!(browser.check("/").await.status, 200);
}

#[tokio::test]
async fn sc_6_an_attempt_is_no_session() {
    let app = App::start().await;
    let mut browser = app.browser();
    browser.open(LOGIN).await;
    let attempt = browser.cookie(&browser.attempts()[0]).unwrap().to_owned();
    browser.set_cookie(SESSION, &attempt);
    assert_eq!(browser.check("/").await.refusal(), (401, "bad-cookie"));
}

#[tokio::test]
async fn sc_6_a_key_retires_without_signing_anybody_out() {
    let folder = Folder::new();
    let files = [folder.write("key-1", KEY), folder.write("key-2", KEY)];
    let app = Setup::default().settings(keys(&files)).start().await;
    let old = app.signed_in("ada").await;

    folder.write("key-1", NEXT_KEY);
    take_up_keys(&app.gateway, &files);
    assert_eq!(old.check("/").await.status, 200, "the old key still opens");
    let mut reissued = old.clone();
    reissued.open(LOGIN).await;
    let new = app.signed_in("ada").await;

    folder.write("key-2", NEXT_KEY);
    take_up_keys(&app.gateway, &files);
    assert_eq!(old.check("/").await.refusal(), (401, "bad-cookie"), "the old key is gone");
    assert_eq!(new.check("/").await.status, 200, "the new one sealed");
    assert_eq!(reissued.check("/").await.status, 200, "also what was sealed anew");
}

#[tokio::test]
async fn sc_6_a_key_file_that_cannot_be_used_changes_nothing() {
    let folder = Folder::new();
    let files = [folder.write("key", KEY)];
    let app = Setup::default().settings(keys(&files)).start().await;
    let browser = app.signed_in("ada").await;
    let says = |line: &str| {
        let said = app.gateway.metrics.prometheus_text().unwrap();
        assert!(said.lines().any(|said| said == format!("lamplighter_config_{line}")), "{line}: {said}");
    };
    let began = app.clock.now().as_second();
    says("reload_success 1");
    app.advance(60);
    folder.write("key", "too short");
    take_up_keys(&app.gateway, &files);
    assert_eq!(browser.check("/").await.status, 200);
    says("reload_success 0");
    std::fs::remove_file(&files[0]).unwrap();
    take_up_keys(&app.gateway, &files);
    assert_eq!(browser.check("/").await.status, 200);
    says("reload_success 0");
    folder.write("key", NEXT_KEY);
    take_up_keys(&app.gateway, &files);
    says("reload_success 1");
    let said = app.gateway.metrics.prometheus_text().unwrap();
    let name = "lamplighter_config_last_reload_success_timestamp_seconds ";
    let read_at = said.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let read_at: i64 = read_at.parse().unwrap();
    assert!((began + 60..began + 600).contains(&read_at), "{read_at}");
}

#[tokio::test]
async fn sc_6_a_restart_signs_nobody_out_and_another_deployment_lets_nobody_in() {
    let folder = Folder::new();
    let files = [folder.write("key", KEY)];
    let start = |edit: fn(&mut Settings)| Setup::default().settings(keys(&files)).settings(edit).start();
    let first = start(|_| {}).await;
    let browser = first.signed_in("ada").await;

    let restarted = start(|_| {}).await;
    assert_eq!(browser.moved_to(&restarted).check("/").await.status, 200);
    let other_client = start(|settings| settings.oidc.client_id = "another".to_owned()).await;
    assert_eq!(browser.moved_to(&other_client).check("/").await.refusal(), (401, "bad-cookie"));
    let other_site = start(|settings| {
        settings.site = Site::new(&"https://headlamp.example.com:8443".parse().unwrap()).unwrap();
    });
    let other_site = other_site.await;
    let browser = browser.moved_to(&other_site);
    let at = [("x-original-url", "https://headlamp.example.com:8443/"), ("x-original-method", "GET")];
    assert_eq!(browser.ask_raw(&[&at, NAVIGATE].concat()).await.refusal(), (401, "bad-cookie"));
}

#[tokio::test]
async fn sc_11_a_sign_out_replaces_the_cookie_with_the_same_attributes() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    let own = [NAVIGATE, &[("origin", SITE)]].concat();
    let page = browser.request(&Method::POST, "/lamplighter/logout", &own).await;
    let [cookie] = &page.set_cookies()[..] else { panic!("{page:?}") };
    assert!(cookie.starts_with("__Host-lamplighter="), "{cookie}");
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{cookie}");
    assert!(!cookie.contains("Domain"), "{cookie}");
}

#[tokio::test]
async fn rules_that_changed_send_everybody_whom_they_concern_to_sign_in() {
    let folder = Folder::new();
    let files = [folder.write("key", KEY)];
    let start = |rules: Vec<(String, Match, Credential)>| {
        let policy = move |settings: &mut Settings| settings.policy = Policy::new(rules);
        Setup::default().settings(keys(&files)).settings(policy).start()
    };
    let before = start(vec![rule("admin", "k8s-admins"), rule("viewer", "k8s-viewers")]).await;
    let (ada, victor) = (before.signed_in("ada").await, before.signed_in("victor").await);

    let after = start(vec![rule("admin", "k8s-admins"), rule("viewer", "staff")]).await;
    assert_eq!(ada.moved_to(&after).check("/").await.status, 200, "no rule up to hers changed");
    let mut victor = victor.moved_to(&after);
    assert_eq!(victor.check("/").await.refusal(), (401, "role-changed"));
    assert!(victor.open(LOGIN).await.location().starts_with(&after.provider.issuer()));
    assert_eq!(victor.sign_in("victor").await.refusal(), (403, "no-role"));
}

#[tokio::test]
async fn a_clock_that_was_set_back_makes_no_session_immortal() {
    let app = App::start().await;
    app.advance(3_600);
    let browser = app.signed_in("ada").await;
    app.advance(-3_600);
    assert_eq!(browser.check("/").await.refusal(), (401, "session-expired"));
}

#[tokio::test]
async fn whoami_says_who_and_never_with_what() {
    let app = App::start().await;
    let mut browser: Browser = app.signed_in("ada").await;
    let page = browser.open("/lamplighter/whoami").await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("ada") && page.body.contains("ServiceAccount headlamp/admin"),
        "{}",
        page.body
    );
    let json = browser.request(&Method::GET, "/lamplighter/whoami", common::SCRIPT).await.json();
    assert_eq!((&json["subject"], &json["role"]), (&"ada-id".into(), &"admin".into()));
    let token = browser.check("/").await.header("authorization").replace("Bearer ", "");
    assert!(!page.body.contains(&token) && !json.to_string().contains(&token));
    let stranger = app.browser().request(&Method::GET, "/lamplighter/whoami", common::SCRIPT).await;
    assert_eq!(stranger.refusal(), (401, "no-session"));
}

fn keys(files: &[PathBuf]) -> impl FnOnce(&mut Settings) + 'static {
    let files = files.to_vec();
    move |settings| settings.key_files = files
}
