//! What a client may try, to pass for somebody else or for the proxy itself.

use http::Method;
use serde_json::Value;

use crate::ingress_nginx::claims;
use crate::proxies::Front;
use crate::upstream::arrived;
use crate::visitor::Ask;

/// What says something of the request or of the person.
pub(crate) const FORGED: [(&str, &str); 29] = [
    ("authorization", "Bearer forged"),
    ("connection", "Authorization, X-Forwarded-User"),
    ("forwarded", "host=forged.example;proto=http"),
    ("kubeconfig", "forged"),
    ("x-auth-request-user", "forged"),
    ("x-forwarded-access-token", "forged"),
    ("x-forwarded-email", "forged@evil.example"),
    ("x-forwarded-group", "forged"),
    ("x-forwarded-groups", "forged"),
    ("x-forwarded-host", "forged.example"),
    ("x-forwarded-id-token", "forged"),
    ("x-forwarded-method", "HEAD"),
    ("x-forwarded-preferred-username", "forged"),
    ("x-forwarded-prefix", "/forged"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-uri", "/lamplighter/login?forged"),
    ("x-forwarded-user", "forged"),
    ("x-headlamp-user-id", "forged"),
    ("x-original-host", "forged.example"),
    ("x-original-method", "HEAD"),
    ("x-original-uri", "/lamplighter/login?forged"),
    ("x-original-url", "https://forged.example/lamplighter/login"),
    ("x.forwarded.user", "forged"),
    ("x-forwarded.group", "forged"),
    ("x_forwarded_group", "forged"),
    ("x-forwarded_user", "forged"),
    ("x_forwarded_user", "forged"),
    ("x_forwarded_uri", "/lamplighter/login?forged"),
    ("x_forwarded_method", "HEAD"),
];

/// What would make it somebody else.
pub(crate) const IMPERSONATING: [(&str, &str); 8] = [
    ("impersonate-user", "system:admin"),
    ("impersonate-group", "system:masters"),
    ("impersonate-uid", "0"),
    ("impersonate-extra-scopes", "all"),
    ("impersonate.user", "system:admin"),
    ("x-remote-user", "system:admin"),
    ("x-remote-group", "system:masters"),
    ("x-remote-extra-scopes", "all"),
];

pub(crate) async fn reach_no_ui(front: Front) {
    let mut victor = front.signed_in("victor").await;
    victor.keep("headlamp-auth-main.0", "forged");
    victor.always = FORGED.map(|(name, value)| (name, value.to_owned())).to_vec();
    for ask in [
        Ask::script(Method::GET, "/config"),
        // The same, as a WebSocket would be: the other of the two ways that a proxy goes.
        Ask::script(Method::GET, "/config").with("upgrade", "something"),
    ] {
        let page = victor.ask(ask).await;
        assert_eq!(page.status(), 200, "{page:?}");
        assert_own(&page.json(), &format!("system:serviceaccount:{}:viewer", front.house.namespace.name));
    }
    victor.always.clear();
    for (name, value) in IMPERSONATING {
        let page = victor.ask(Ask::script(Method::GET, "/config").with(name, value)).await;
        assert_eq!(page.status(), front.kind.on_impersonation, "{name}: {page:?}");
        assert!(page.status() == 403 || arrived(&page.json(), name).is_empty(), "{name}: {page:?}");
    }
}

/// Looks whether what the UI was shown is victor's, with a token of `account`, and nothing of what a client made up.
pub(crate) fn assert_own(shown: &Value, account: &str) {
    assert_eq!(arrived(shown, "x-forwarded-user"), ["victor"]);
    assert_eq!(arrived(shown, "x-forwarded-email"), ["victor@rig.test"]);
    assert_eq!(arrived(shown, "x-forwarded-group"), ["k8s-viewers"]);
    let [authorization] = arrived(shown, "authorization")[..] else { panic!("{shown}") };
    assert_eq!(claims(authorization)["sub"], account);
    let lines = shown["headers"].as_array().expect("the upstream shows headers");
    let forged: Vec<_> = lines.iter().filter(|line| is_forged(&line[0], &line[1])).collect();
    assert!(forged.is_empty(), "{forged:?}");
}

fn is_forged(name: &Value, value: &Value) -> bool {
    let (name, value) = (name.as_str().expect("a name"), value.as_str().expect("a value"));
    value.contains("forged") || FORGED.contains(&(name, value))
}

pub(crate) async fn open_nothing(front: Front) {
    let mut nobody = front.house.visitor();
    nobody.always = FORGED.map(|(name, value)| (name, value.to_owned())).to_vec();
    let page = nobody.ask(Ask::script(Method::GET, "/config")).await;
    assert_eq!((page.status(), page.reason()), (401, "no-session"), "{page:?}");
    let page = nobody.ask(Ask::page("/c/main")).await;
    assert_eq!(page.header("location"), format!("{}/lamplighter/login?rd=/c/main", front.house.site));
    for target in [
        "/config",
        "/lamplighter/../config",
        "/lamplighter/%2e%2e/config",
        "/lamplighter/..%2fconfig",
        "/lamplighter//../config",
        "//config",
        "/x/../config#/lamplighter/",
    ] {
        let answer = front.say(&format!("GET {target}")).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains("\"headers\""), "{target}: {answer}");
    }
}
