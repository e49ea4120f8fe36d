//! What an operator relies on: replicas and restarts keep people signed in, and the log holds no secret.

use libtest_mimic::Trial;

use crate::Parts;
use crate::house::{self, House, Plan, SESSION_KEY};
use crate::process::{Folder, Lamplighter};
use crate::rig::Rig;
use crate::visitor::{Ask, Visitor};

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts
            .test("operations::a_replica_lets_in_whom_another_signed_in_while_the_provider_is_down", replica),
        parts.test("operations::the_log_holds_no_secret_at_any_level", log),
    ]
}

async fn build(rig: &Rig, purpose: &str, log: &'static str) -> House {
    House::build(rig, purpose, Plan { is_public: false, log, ..Plan::usual(rig) }).await
}

/// A browser in which victor signed in, at `lamplighter` itself.
async fn signed_in(house: &House) -> Visitor {
    let mut victor = house.visitor().directly_at(&format!("http://{}", house.lamplighter.public));
    let page = victor.sign_in("/lamplighter/whoami", "victor").await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"));
    victor
}

async fn check(lamplighter: &Lamplighter, house: &House, cookies: &str) -> reqwest::Response {
    let authz = format!("http://{}/authz/auth-request", lamplighter.authz);
    house::check(&authz, &format!("{}/config", house.site), cookies).await
}

async fn replica(rig: Rig) {
    let house = build(&rig, "replica", "info").await;
    let victor = signed_in(&house).await;
    let config = std::fs::read_to_string(house.folder.0.join("config.yaml")).unwrap();
    let config = config.replace("issuer: https://auth.rig.test:19443", "issuer: https://auth.rig.test:9");
    let folder = Folder::new(&format!("{}-second", house.namespace.name));
    let second = Lamplighter::start(&folder, &folder.write("config.yaml", &config), "info");
    let answer = check(&second, &house, &victor.cookies()).await;
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-forwarded-user"]),
        (200, &"victor".parse().unwrap())
    );

    let mut nobody = house.visitor().directly_at(&format!("http://{}", second.public));
    let page = nobody.follow(Ask::page("/lamplighter/login?rd=/")).await;
    assert_eq!((page.status(), page.reason()), (503, "provider-unreachable"));
}

async fn log(rig: Rig) {
    let house = build(&rig, "secrets", "trace").await;
    let victor = signed_in(&house).await;
    let answer = check(&house.lamplighter, &house, &victor.cookies()).await;
    let authorization = answer.headers()["authorization"].to_str().unwrap();
    assert!(authorization.starts_with("Bearer eyJ"));

    let log = house.lamplighter.log();
    assert!(log.contains("signed in") && log.contains("\"level\":\"trace\""), "{log}");
    let client_secret = std::fs::read_to_string(house.folder.0.join("client-secret")).unwrap();
    let cookie = victor.cookie("__Host-lamplighter").unwrap();
    for (what, secret) in [
        ("the client's secret", client_secret.as_str()),
        ("the session's cookie", &cookie[20..]),
        ("the session's key", SESSION_KEY),
        ("a token of whomever", "eyJ"),
        ("the authorization code", "code="),
    ] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{what} is in the log");
    }
}
