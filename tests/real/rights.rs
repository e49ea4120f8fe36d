//! What a ServiceAccount may do at the API server, by a real token of its own.

use http::Method;
use serde_json::{Value, json};

use crate::cluster::Namespace;
use crate::rig::Rig;

/// Asserts that `account` makes tokens for `named`, and that the API server lets it do nothing else.
pub(crate) async fn assert_only_mints(rig: &Rig, namespace: &Namespace, account: &str, named: &[&str]) {
    let who = Account::new(rig, namespace, account);
    let here = format!("/api/v1/namespaces/{}", namespace.name);
    let token_of = |path: &str, name: &str| format!("{path}/serviceaccounts/{name}/token");
    for name in named {
        let (status, answer) = who.post(&token_of(&here, name), &token_request()).await;
        assert_eq!(status, 201, "{account} makes a token for {name}: {answer}");
        assert!(
            answer["status"]["token"].as_str().is_some_and(|token| token.len() > 100),
            "{name}: no token"
        );
    }

    let system = "/api/v1/namespaces/kube-system";
    let strangers = [
        token_of(&here, "stranger"),
        token_of(&here, "default"),
        token_of(&here, account),
        token_of(system, "default"),
        token_of(system, "clusterrole-aggregation-controller"),
    ];
    for path in strangers {
        who.assert_refused(Method::POST, &path, &token_request()).await;
    }
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let things = [
        (Method::GET, format!("{here}/secrets")),
        (Method::GET, format!("{here}/secrets/session")),
        (Method::GET, "/api/v1/secrets".to_owned()),
        (Method::POST, format!("{here}/secrets")),
        (Method::GET, format!("{here}/configmaps/{account}")),
        (Method::GET, format!("{here}/pods")),
        (Method::POST, format!("{here}/pods")),
        (Method::GET, format!("{here}/serviceaccounts/{}", named[0])),
        (Method::POST, format!("{here}/serviceaccounts")),
        (Method::DELETE, format!("{here}/configmaps/precious")),
        (Method::GET, "/api/v1/namespaces".to_owned()),
        (Method::GET, "/api/v1/nodes".to_owned()),
        (Method::POST, "/apis/authentication.k8s.io/v1/tokenreviews".to_owned()),
        (Method::POST, "/apis/authorization.k8s.io/v1/subjectaccessreviews".to_owned()),
        (Method::POST, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings".to_owned()),
    ];
    for (method, path) in things {
        who.assert_refused(method, &path, &pod).await;
    }

    // All in all: what anybody may, and that.
    let mut rules = who.rules(&namespace.name).await;
    let anybody = Account::new(rig, namespace, "stranger").rules(&namespace.name).await;
    rules.retain(|rule| !anybody.contains(rule));
    let mut named = named.to_vec();
    named.sort_unstable();
    let mint = json!({
        "verbs": ["create"], "apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": named,
    });
    assert_eq!(rules, [mint]);
}

fn token_request() -> Value {
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}})
}

/// A ServiceAccount, with a token that the cluster's administrator made for it.
struct Account<'a> {
    rig: &'a Rig,
    name: &'a str,
    token: String,
    client: reqwest::Client,
}

impl<'a> Account<'a> {
    fn new(rig: &'a Rig, namespace: &Namespace, name: &'a str) -> Self {
        let ca = std::fs::read(&rig.api_server_ca).expect("the cluster's CA can be read");
        let ca = reqwest::Certificate::from_pem_bundle(&ca).expect("the cluster's CA is PEM");
        let client = reqwest::Client::builder().no_proxy().tls_certs_only(ca).build().expect("a client");
        Self { rig, name, token: namespace.token_of(name), client }
    }

    /// The status and the body that the API server answers with.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.request(method, format!("{}{path}", self.rig.api_server));
        let request = request.bearer_auth(&self.token).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.expect("an answer");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).expect("the API server answers in JSON"))
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask(Method::POST, path, body).await
    }

    async fn assert_refused(&self, method: Method, path: &str, body: &Value) {
        let (status, answer) = self.ask(method.clone(), path, body).await;
        // Not 401: it knows who asks.
        assert_eq!(status, 403, "{}: {method} {path}: {}", self.name, answer["message"]);
        assert_eq!(answer["reason"], "Forbidden", "{path}");
    }

    /// What it may do in `namespace`, as the API server tells it.
    async fn rules(&self, namespace: &str) -> Vec<Value> {
        let path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace},
        });
        let (status, answer) = self.post(path, &review).await;
        assert_eq!(status, 201, "{answer}");
        answer["status"]["resourceRules"].as_array().expect("a list of rules").clone()
    }
}
