//! Whom a callback lets in: the cases of section A3 of the security reference about people and sessions.

mod common;

use common::{App, Page, Setup, rule, service_account};
use lamplighter::auth::{Match, Policy};
use lamplighter::demo::provider::{Faults, User};
use lamplighter::oidc::UserinfoUse;
use serde_json::{Value, json};

#[tokio::test]
async fn cb_22_a_browser_that_keeps_being_sent_to_login_is_stopped_with_a_reason() {
    let app = App::start().await;
    let mut browser = app.signed_in("ada").await;
    for _ in 0..3 {
        assert_eq!(browser.open("/lamplighter/login?rd=/c/main").await.status, 303);
    }
    let page = browser.open("/lamplighter/login?rd=/c/main").await;
    assert_eq!(page.refusal(), (503, "bounced"));
    assert!(page.body.contains("The ingress does not let you through"), "{}", page.body);
    app.advance(61);
    assert_eq!(browser.open("/lamplighter/login?rd=/c/main").await.status, 303);
}

#[tokio::test]
async fn cb_23_a_session_that_was_planted_is_not_the_one_that_a_login_makes() {
    let app = App::start().await;
    let planted = app.signed_in("victor").await;
    let mut browser = app.browser();
    let callback = browser.callback_for("/lamplighter/login?rd=/", "ada").await;
    browser.set_cookie("__Host-lamplighter", planted.session().unwrap());
    assert_eq!(browser.open(&callback).await.status, 303);
    assert_ne!(browser.session(), planted.session());
    assert_eq!(browser.check("/").await.header("x-forwarded-user"), "ada");
    assert_eq!(planted.check("/").await.refusal(), (401, "signed-out"), "the old session has ended");
}

#[tokio::test]
async fn cb_24_a_person_without_a_role_gets_a_page_and_nothing_else() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = browser.sign_in("nora").await;
    assert_eq!(page.refusal(), (403, "no-role"));
    assert!(page.body.contains("Nora") || page.body.contains("nora"), "{}", page.body);
    assert!(page.body.contains("group k8s-admins"), "who may come in: {}", page.body);
    assert!(!page.sets_session() && browser.session().is_none());
    assert_eq!(browser.check("/").await.refusal(), (401, "no-session"));
    assert_eq!(app.api_server.token_requests(), 0);
}

#[tokio::test]
async fn cb_24_whoever_wants_to_be_somebody_else_is_asked_by_the_provider() {
    let app = App::start().await;
    let mut browser = app.browser();
    let page = browser.sign_in("nora").await;
    let link = page.body.split("href=\"").find(|rest| rest.contains("Sign in as someone else")).unwrap();
    let link = link.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let there = browser.open(&common::browser::path_at_site(&link)).await.location();
    assert_eq!(common::browser::params(&there).get("prompt"), Some("login"), "{there}");
}

#[tokio::test]
async fn cb_25_two_tabs_sign_in_at_once() {
    let app = App::start().await;
    let mut browser = app.browser();
    let first = browser.callback_for("/lamplighter/login?rd=/one", "ada").await;
    let second = browser.callback_for("/lamplighter/login?rd=/two", "ada").await;
    assert!(browser.open(&first).await.location().ends_with("/one"));
    assert!(browser.open(&second).await.location().ends_with("/two"));
    assert_eq!(browser.check("/").await.status, 200);
}

#[tokio::test]
async fn cb_26_only_a_verified_and_unambiguous_address_matches() {
    let good = ["ada@corp.example", "Ada@Corp.Example"];
    let bad = [
        "a@evil.example@corp.example",
        "ada@corp.example.",
        "ada@corp.example.evil",
        "ada@evilcorp.example",
        "ada@c\u{43e}rp.example",
        "corp.example",
        "@corp.example",
    ];
    for (emails, status) in [(good.as_slice(), 303), (bad.as_slice(), 403)] {
        for email in emails {
            let page = with_claims(by_email(), json!({"email": email, "email_verified": true})).await;
            assert_eq!(page.status, status, "{email}");
        }
    }
    for (verified, status) in [(json!(false), 403), (json!("true"), 403), (json!(null), 403), (json!(1), 502)]
    {
        let claims = json!({"email": "ada@corp.example", "email_verified": verified});
        assert_eq!(with_claims(by_email(), claims).await.status, status, "{verified}");
    }
    let page = without_claim(by_email(), "email_verified").await;
    assert_eq!(page.refusal(), (403, "no-role"));
}

#[tokio::test]
async fn cb_27_groups_are_names_in_a_list_or_one_name_and_never_guessed() {
    let many: Vec<_> = (0..499).map(|n| format!("group-{n}")).chain(["k8s-admins".to_owned()]).collect();
    let table = [
        (json!(["staff", "k8s-admins"]), 303),
        (json!("k8s-admins"), 303),
        (json!(many), 303),
        (json!([{"name": "k8s-admins"}]), 403),
        (json!({"k8s-admins": true}), 403),
        (json!("k8s-admins,staff"), 403),
        (json!(["K8S-ADMINS"]), 403),
        (json!([]), 403),
        (json!(null), 403),
    ];
    for (groups, status) in table {
        let shown = groups.to_string().chars().take(80).collect::<String>();
        let page = with_claims(by_group(), json!({"groups": groups})).await;
        assert_eq!(page.status, status, "{shown}");
    }
}

#[tokio::test]
async fn cb_27_groups_that_the_provider_left_out_are_no_groups() {
    let page = with_claims(
        by_group(),
        json!({"groups": null, "_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://graph.example"}}}),
    );
    assert_eq!(page.await.refusal(), (403, "no-role"));
}

#[tokio::test]
async fn cb_27_names_that_kubernetes_keeps_are_refused() {
    for claims in [
        json!({"groups": ["k8s-admins", "system:masters"]}),
        json!({"preferred_username": "system:admin"}),
        json!({"sub": "system:serviceaccount:kube-system:default"}),
    ] {
        let page = with_claims(by_group(), claims).await;
        assert_eq!(page.refusal(), (502, "reserved-name"));
        assert!(!page.sets_session());
    }
}

fn by_group() -> Policy {
    Policy::new(vec![rule("admin", "k8s-admins")])
}

fn by_email() -> Policy {
    let matches = Match { emails: ["@corp.example".to_owned()].into(), ..Match::default() };
    Policy::new(vec![("admin".to_owned(), matches, service_account("admin"))])
}

/// A login of somebody with these claims in place of the usual ones.
async fn with_claims(policy: Policy, claims: Value) -> Page {
    let Value::Object(claims) = claims else { panic!("claims are an object") };
    let app = Setup::default()
        .provider(|provider| provider.users = vec![User { claims, ..User::new("ada", "Ada", &[]) }])
        .settings(|settings| {
            settings.policy = policy;
            settings.oidc.userinfo = UserinfoUse::WhenNeeded;
        })
        .start()
        .await;
    app.browser().sign_in("ada").await
}

async fn without_claim(policy: Policy, name: &str) -> Page {
    let app = Setup::default()
        .provider(|provider| {
            let email = serde_json::Map::from_iter([("email".to_owned(), json!("ada@corp.example"))]);
            provider.users = vec![User { claims: email, ..User::new("ada", "Ada", &[]) }];
        })
        .settings(|settings| {
            settings.policy = policy;
            settings.oidc.userinfo = UserinfoUse::Never;
        })
        .start()
        .await;
    app.sign_in_despite(Faults::without_claim(name)).await.1
}
