//! Log lines, and the name of a request by which an answer, a page and a line are found together.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use common::files::Folder;
use common::logs::Logs;
use common::process::{Process, configure};
use common::wire::Wire;
use common::{App, Browser, Lines, NAVIGATE, Page, SCRIPT, Setup, until};
use http::Method;
use lamplighter::demo::api_server::TokenFault;
use lamplighter::demo::provider::{Faults, Reply, User};
use serde_json::Value;

/// A line of logfmt as pairs, read the way its readers do: what is quoted is a JSON string.
fn pairs(line: &str) -> Vec<(String, String)> {
    let (mut rest, mut pairs) = (line, Vec::new());
    while let Some((key, after)) = rest.split_once('=') {
        let mut quoted = serde_json::Deserializer::from_str(after).into_iter::<String>();
        let (value, length) = if after.starts_with('"') {
            (quoted.next().unwrap().unwrap(), quoted.byte_offset())
        } else {
            let length = after.find(' ').unwrap_or(after.len());
            (after[..length].to_owned(), length)
        };
        pairs.push((key.to_owned(), value));
        rest = after[length..].strip_prefix(' ').unwrap_or("");
    }
    assert_eq!(rest, "", "{line}");
    pairs
}

fn value<'p>(pairs: &'p [(String, String)], key: &str) -> &'p str {
    let values: Vec<_> = pairs.iter().filter(|(known, _)| known == key).collect();
    assert_eq!(values.len(), 1, "{key} in {pairs:?}");
    &values[0].1
}

const FORGER: &str = "m\" level=error msg=forged\nts=0 a=b\\";

/// What a process logs in `format` while somebody of that name signs in and is given a token.
async fn log_of_forger(format: &str) -> String {
    let people = |users: &mut Vec<User>| {
        let mut mallory = User::new("mallory", "Mallory", &["k8s-admins"]);
        mallory.claims.insert("preferred_username".to_owned(), FORGER.into());
        users.push(mallory);
    };
    let folder = Folder::new();
    let parts = Setup::default().provider(move |provider| people(&mut provider.users)).start().await;
    let process = Process::serve_in(format, &configure(&folder, &parts), "info").await;
    let mut browser = Browser::at(process.address("public"), process.address("authz"));
    browser.sign_in("mallory").await;
    assert_eq!(browser.check_script("/").await.status, 200);
    until("the mint is logged", || process.said().contains("minted a token")).await;
    process.said()
}

fn assert_is_forgers(user: &str) {
    assert!(user.starts_with("m\" level=error msg=forged") && user.ends_with("a=b\\"), "{user:?}");
}

#[tokio::test]
async fn a_line_of_logfmt_cannot_be_forged_by_a_persons_name() {
    let said = log_of_forger("logfmt").await;
    let lines: Vec<_> = said.lines().map(pairs).collect();
    for line in &lines {
        let keys: Vec<_> = line.iter().take(4).map(|(key, _)| key.as_str()).collect();
        assert_eq!(keys, ["ts", "level", "target", "msg"]);
        assert!(value(line, "ts").parse::<jiff::Timestamp>().is_ok(), "{line:?}");
        assert!(["info", "warn"].contains(&value(line, "level")), "{line:?}");
    }
    let minted = lines.iter().find(|line| value(line, "msg").contains("minted a token")).unwrap();
    assert_is_forgers(value(minted, "user"));
}

#[tokio::test]
async fn a_line_of_json_cannot_be_forged_by_a_persons_name() {
    let said = log_of_forger("json").await;
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        assert!(line["ts"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(["info", "warn"].contains(&line["level"].as_str().unwrap()), "{line}");
        assert!(line["target"].is_string() && line["msg"].is_string(), "{line}");
    }
    let minted = lines.iter().find(|line| line["msg"].as_str().unwrap().contains("minted a token")).unwrap();
    assert_is_forgers(minted["user"].as_str().unwrap());
}

/// The log line, the answer's header and, where there is one, the page say the same name; the log line also why.
fn assert_found(logs: &Logs, page: &Page, reason: &str) -> String {
    let id = page.header("x-request-id");
    assert_eq!(page.reason(), reason);
    assert!(logs.line(id).contains(reason), "{}", logs.line(id));
    if page.header("content-type").starts_with("text/html") {
        assert!(page.body.contains(id) && page.body.contains(reason), "{}", page.body);
    }
    id.to_owned()
}

#[tokio::test]
async fn a_failed_login_is_found_by_the_ingress_own_name_or_by_one_of_ours() {
    let (logs, app) = (Logs::keep(), App::start().await);
    app.provider.set_faults(Faults::discovery(Reply::status(503)));
    let named: Lines<'_> = &[NAVIGATE, &[("x-request-id", "0af7651916cd43dd-1")]].concat();
    let page = app.browser().request(&Method::GET, "/lamplighter/login?rd=/", named).await;
    assert_eq!(assert_found(&logs, &page, "provider-unreachable"), "0af7651916cd43dd-1");
    let page = app.browser().open("/lamplighter/login?rd=/").await;
    assert_eq!(assert_found(&logs, &page, "provider-unreachable").len(), 16);

    app.provider.set_faults(Faults::default());
    app.advance(3);
    let (_, page) = app.sign_in_despite(Faults::claim("nonce", "another")).await;
    assert_found(&logs, &page, "id-token-rejected");
    let (_, page) = app.sign_in_despite(Faults::claim("groups", "nobody")).await;
    assert_found(&logs, &page, "no-role");
    let page = app.browser().open("/lamplighter/callback?code=x&state=y").await;
    assert_found(&logs, &page, "no-attempt");
}

#[tokio::test]
async fn a_refused_check_is_found_by_the_ingress_own_name_or_by_one_of_ours() {
    let (logs, app) = (Logs::keep(), App::start().await);
    let browser = app.signed_in("ada").await;
    let foreign = [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")];
    let lines = [SCRIPT, &foreign, &[("x-request-id", "from-the-ingress")]].concat();
    let page = browser.ask(&Method::POST, "/", &lines).await;
    assert_eq!(assert_found(&logs, &page, "cross-site"), "from-the-ingress");
    let page = browser.ask(&Method::POST, "/", &[SCRIPT, &foreign].concat()).await;
    assert_eq!(assert_found(&logs, &page, "cross-site").len(), 16);
    assert_found(&logs, &browser.ask_raw(&[]).await, "bad-request");
}

#[tokio::test]
async fn a_token_that_is_not_to_be_had_is_found_at_each_listener() {
    let (logs, upstream) = (Logs::keep(), common::upstream::Upstream::start().await);
    let app = Setup::default().in_front_of(&upstream).start().await;
    let mut browser = app.signed_in("ada").await;
    app.api_server.set_fault(Some(TokenFault::Status(403)));
    assert_found(&logs, &browser.check_script("/").await, "mint-failed");
    assert_found(&logs, &browser.open("/lamplighter/login?rd=/").await, "mint-failed");
    let answer = Wire::open(&app, &browser).await.get("/clusters/main/api").await;
    assert_eq!(answer.refusal(), (502, "mint-failed"));
    let id = answer.head.value("x-request-id");
    assert!(logs.line(id).contains("mint-failed"), "{}", logs.line(id));
}
