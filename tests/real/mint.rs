//! The tokens, as the real API server sees them.

use std::process::Output;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::Parts;
use crate::house::{self, House, Plan};
use crate::ingress_nginx::claims;
use crate::rig::Rig;
use crate::visitor::Visitor;
use crate::wait;

const TARGET: &str = "/clusters/main/api/v1/pods";

pub(crate) fn tests(parts: &Parts) -> Vec<Trial> {
    vec![
        parts.test("mint::the_api_server_takes_the_token_for_the_roles_service_account", whoami),
        parts.test("mint::a_token_lives_as_long_as_the_role_says", lifetime),
        parts.test("mint::the_audit_log_and_ours_name_the_same_token", joined),
        parts.test("mint::lamplighters_own_account_can_do_nothing_else", least_privilege),
        parts.test("mint::fifty_checks_at_once_make_one_token", single_flight),
    ]
}

/// A house that the test itself asks, in place of an ingress.
async fn build(rig: &Rig, purpose: &str) -> House {
    House::build(rig, purpose, Plan { is_public: false, ..Plan::usual(rig) }).await
}

/// A browser in which `login` signed in, where nothing was asked for yet.
async fn fresh_session(house: &House, login: &str) -> Visitor {
    let public = format!("http://{}", house.lamplighter.public);
    let mut visitor = house.visitor().directly_at(&public);
    let page = visitor.sign_in("/lamplighter/login?rd=%2Flamplighter%2Fwhoami", login).await;
    assert_eq!((page.status(), page.url.path()), (200, "/lamplighter/whoami"));
    visitor
}

/// Asks the check as an ingress does: what the upstream would get as `Authorization`.
async fn check(house: &House, cookies: &str) -> String {
    let authz = format!("http://{}/authz/auth-request", house.lamplighter.authz);
    let answer = house::check(&authz, &format!("{}{TARGET}", house.site), cookies).await;
    assert_eq!(answer.status(), 200);
    answer.headers()["authorization"].to_str().unwrap().to_owned()
}

fn bearer(authorization: &str) -> &str {
    authorization.strip_prefix("Bearer ").unwrap()
}

/// The API server's audit events about the house's namespace, or by its ServiceAccounts.
fn audit_events(house: &House) -> Vec<Value> {
    let log = std::fs::read_to_string(&house.rig.audit_log).unwrap();
    let name = &house.namespace.name;
    let of_house = log.lines().filter(|line| line.contains(name));
    of_house.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn refusal(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn whoami(rig: Rig) {
    let house = build(&rig, "whoami").await;
    let victor = fresh_session(&house, "victor").await;
    let authorization = check(&house, &victor.cookies()).await;
    let output = house.namespace.kubectl_as(bearer(&authorization), &["auth", "whoami", "-o", "json"]);
    let review: Value = serde_json::from_slice(&output.stdout).unwrap();
    let viewer = format!("system:serviceaccount:{}:viewer", house.namespace.name);
    assert_eq!(review["status"]["userInfo"]["username"], viewer);
    let jti = format!("JTI={}", claims(&authorization)["jti"].as_str().unwrap());
    let extra = &review["status"]["userInfo"]["extra"];
    assert_eq!(extra["authentication.kubernetes.io/credential-id"], json!([jti]));
}

async fn lifetime(rig: Rig) {
    let house = build(&rig, "life").await;
    for (login, seconds) in [("victor", 600), ("alice", 900)] {
        let visitor = fresh_session(&house, login).await;
        let claims = claims(&check(&house, &visitor.cookies()).await);
        assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), seconds, "{login}");
    }
}

async fn joined(rig: Rig) {
    let house = build(&rig, "audit").await;
    let victor = fresh_session(&house, "victor").await;
    let authorization = check(&house, &victor.cookies()).await;
    let pods = ["get", "--raw", "/api/v1/namespaces/default/pods"];
    assert!(house.namespace.kubectl_as(bearer(&authorization), &pods).status.success());

    let entries = house.lamplighter.entries();
    let minted = entries.iter().find(|entry| entry["event"] == "mint").expect("an audit event");
    assert_eq!((&minted["subject"], &minted["user"]), (&"sub-victor".into(), &"victor".into()));
    assert_eq!(minted["service_account"], format!("{}/viewer", house.namespace.name));

    let jti = format!("JTI={}", minted["jti"].as_str().unwrap());
    let used = wait::until("the API server logs the request", || {
        audit_events(&house).into_iter().find(|event| event["requestURI"] == pods[2])
    });
    assert_eq!(used["user"]["extra"]["authentication.kubernetes.io/credential-id"], json!([jti]));
    let issued = wait::until("the API server logs the TokenRequest", || {
        audit_events(&house).into_iter().find(|event| is_token_request(event, "viewer"))
    });
    assert_eq!(issued["annotations"]["authentication.kubernetes.io/issued-credential-id"], jti);
}

async fn least_privilege(rig: Rig) {
    let house = build(&rig, "least").await;
    let token = house.namespace.token_of("lamplighter");
    let can = |arguments: &[&str]| house.namespace.kubectl_as(&token, arguments);
    for account in ["admin", "viewer"] {
        assert!(can(&["create", "token", account]).status.success(), "{account}");
    }
    for (arguments, verb) in [
        (["create", "token", "stranger"], "cannot create resource \"serviceaccounts/token\""),
        (["create", "token", "lamplighter"], "cannot create resource \"serviceaccounts/token\""),
        (["get", "secrets", "-o=name"], "cannot list resource \"secrets\""),
        (["get", "serviceaccounts", "-o=name"], "cannot list resource \"serviceaccounts\""),
        (["get", "configmap", "precious"], "cannot get resource \"configmaps\""),
    ] {
        let refusal = refusal(&can(&arguments));
        assert!(refusal.contains("(Forbidden)") || refusal.contains("is forbidden"), "{refusal}");
        assert!(refusal.contains(verb), "{refusal}");
    }
}

async fn single_flight(rig: Rig) {
    let house = build(&rig, "flight").await;
    let victor = fresh_session(&house, "victor").await;
    let cookies = victor.cookies();
    let mut checks = tokio::task::JoinSet::new();
    let house = std::sync::Arc::new(house);
    for _ in 0..50 {
        let (house, cookies) = (std::sync::Arc::clone(&house), cookies.clone());
        checks.spawn(async move { check(&house, &cookies).await });
    }
    let mut tokens = checks.join_all().await;
    tokens.dedup();
    assert_eq!(tokens.len(), 1);

    // A second person's session makes a second one; by then the API server's log holds all that came before.
    let second = fresh_session(&house, "victor").await;
    assert_ne!(check(&house, &second.cookies()).await, tokens[0]);
    let requests = wait::until("the API server logs both", || {
        let events = audit_events(&house);
        let count = events.iter().filter(|event| is_token_request(event, "viewer")).count();
        (count >= 2).then_some(count)
    });
    assert_eq!(requests, 2);
}

/// Whether lamplighter asked for a token of `account`, and got it.
fn is_token_request(event: &Value, account: &str) -> bool {
    let object = &event["objectRef"];
    let is_ours = event["user"]["username"].as_str().is_some_and(|name| name.ends_with(":lamplighter"));
    is_ours
        && event["stage"] == "ResponseComplete"
        && object["subresource"] == "token"
        && object["name"] == account
}
