//! A Kubernetes API server that signs ServiceAccount tokens and knows a few namespaces.
//!
//! Its tokens are real: RS256, with the claims that Kubernetes writes since 1.30, and it
//! accepts no others. Everything else about Kubernetes it leaves to Kubernetes.

mod status;
mod token;

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::{Json, body};
use http::{HeaderMap, Method, StatusCode, header};
use serde_json::{Value, json};

use self::status::Status;
use self::token::Issuer;
use super::jwt::SigningKey;
use super::serve::{self, Server};
use super::{Clock, Random, random_uuid};

/// The namespaces that exist.
const NAMESPACES: [&str; 5] = ["default", "headlamp", "kube-system", "lamplighter", "shop"];

/// Who lamplighter is to this API server.
const CALLER: (&str, &str) = ("lamplighter", "lamplighter");

/// A year: the caller's token is as old as the process at most.
const CALLER_SECONDS: i64 = 31_536_000;

/// What an API server is started with.
#[derive(Clone)]
pub struct ApiServerSettings {
    /// Where to listen; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Tells the time.
    pub clock: Clock,
    /// Draws uids and token ids.
    pub random: Random,
    /// The ServiceAccounts that exist, as (namespace, name).
    pub accounts: Vec<(String, String)>,
    /// The key that signs; none generates one, which takes a moment that many tests can share.
    pub rsa_key: Option<SigningKey>,
}

impl ApiServerSettings {
    /// The demo's accounts, `headlamp/admin` and `headlamp/viewer`, on a free port.
    pub fn new(clock: Clock, random: Random) -> Self {
        let accounts = ["admin", "viewer"].map(|name| ("headlamp".to_owned(), name.to_owned()));
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            clock,
            random,
            accounts: accounts.into(),
            rsa_key: None,
        }
    }
}

/// How the API server answers a TokenRequest instead of properly.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenFault {
    /// 201 and a body that is no JSON.
    Garbage,
    /// No answer, ever.
    Hang,
    /// A token that lives this many seconds, whatever was asked.
    Lifetime(i64),
    /// 201 and a token, in an answer that is otherwise not as Kubernetes types it.
    Mistyped,
    /// 201 and a TokenRequest without a token.
    NoToken,
    /// A token that is issued this many seconds from now.
    Skew(i64),
    /// The proper answer, late.
    Slow(Duration),
    /// A `Status` with this code, as Kubernetes words 403, 404, 409, 429, 500 and 503.
    Status(u16),
    /// A token for another audience than the one asked for.
    WrongAudience,
    /// A token for another account than the one asked for.
    WrongSubject,
}

/// A running API server. It stops when this is dropped.
pub struct ApiServer {
    state: Arc<State>,
    server: Server,
    caller_token: String,
}

impl ApiServer {
    /// Starts an API server.
    pub async fn start(settings: ApiServerSettings) -> io::Result<Self> {
        let (listener, address) = serve::bind(settings.listen).await?;
        let state = Arc::new(State::new(settings));
        let caller_token = state.caller_token();
        let service = {
            let state = Arc::clone(&state);
            tower::service_fn(move |request| respond(Arc::clone(&state), request))
        };
        Ok(Self { state, server: serve::serve(listener, address, service), caller_token })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Where it listens, as a URL without a path.
    pub fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The token with which lamplighter itself calls.
    pub fn caller_token(&self) -> &str {
        &self.caller_token
    }

    /// A kubeconfig with that token, for kube-rs and kubectl.
    pub fn kubeconfig(&self) -> String {
        let (url, token) = (self.url(), &self.caller_token);
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: demo\n\
             clusters:\n- name: demo\n  cluster:\n    server: {url}\n\
             users:\n- name: lamplighter\n  user:\n    token: {token}\n\
             contexts:\n- name: demo\n  context:\n    cluster: demo\n    user: lamplighter\n    namespace: lamplighter\n"
        )
    }

    /// The claims of a token that this server accepts; `None` for any other.
    pub fn verify(&self, token: &str) -> Option<Value> {
        self.state.verify(token)
    }

    /// Answers every TokenRequest in this way from now on; `None` is properly.
    pub fn set_fault(&self, fault: Option<TokenFault>) {
        self.state.lock().fault = fault;
    }

    /// Adds a ServiceAccount.
    pub fn add_account(&self, namespace: &str, name: &str) {
        let uid = random_uuid(self.state.random);
        self.state.lock().accounts.insert((namespace.to_owned(), name.to_owned()), uid);
    }

    /// Deletes a ServiceAccount; its tokens are refused at once, also after it is added anew.
    pub fn delete_account(&self, namespace: &str, name: &str) {
        self.state.lock().accounts.remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// How often a token was requested, in vain or not.
    pub fn token_requests(&self) -> usize {
        self.state.lock().requests.len()
    }

    /// The path and the body of the last TokenRequest.
    pub fn last_token_request(&self) -> Option<(String, Value)> {
        self.state.lock().requests.last().cloned()
    }
}

impl std::fmt::Debug for ApiServer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ApiServer").field("server", &self.server).finish_non_exhaustive()
    }
}

struct State {
    issuer: Issuer,
    clock: Clock,
    random: Random,
    shared: Mutex<Shared>,
}

struct Shared {
    accounts: HashMap<(String, String), String>,
    fault: Option<TokenFault>,
    requests: Vec<(String, Value)>,
}

impl State {
    fn new(settings: ApiServerSettings) -> Self {
        let caller = (CALLER.0.to_owned(), CALLER.1.to_owned());
        let names = settings.accounts.into_iter().chain([caller]);
        let accounts = names.map(|name| (name, random_uuid(settings.random))).collect();
        let key = settings.rsa_key.unwrap_or_else(|| SigningKey::rsa(settings.random));
        let shared = Shared { accounts, fault: None, requests: Vec::new() };
        Self {
            issuer: Issuer::new(key, settings.random),
            clock: settings.clock,
            random: settings.random,
            shared: Mutex::new(shared),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> i64 {
        (self.clock)().as_second()
    }

    fn uid(&self, namespace: &str, name: &str) -> Option<String> {
        self.lock().accounts.get(&(namespace.to_owned(), name.to_owned())).cloned()
    }

    fn caller_token(&self) -> String {
        let uid = self.uid(CALLER.0, CALLER.1).expect("the caller's account is made at start");
        let account = token::Account { namespace: CALLER.0, name: CALLER.1, uid: &uid };
        self.issuer.issue(&account, &json!({"expirationSeconds": CALLER_SECONDS}), self.now())
    }

    fn verify(&self, token: &str) -> Option<Value> {
        let claims = self.issuer.verify(token, self.now())?;
        let account = &claims["kubernetes.io"];
        let name = account["serviceaccount"]["name"].as_str()?;
        let uid = self.uid(account["namespace"].as_str()?, name)?;
        (account["serviceaccount"]["uid"] == uid).then_some(claims)
    }

    fn authenticate(&self, headers: &HeaderMap) -> Result<Value, Status> {
        let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = value.and_then(|value| value.strip_prefix("Bearer "));
        token.and_then(|token| self.verify(token)).ok_or_else(Status::unauthorized)
    }

    fn record(&self, path: &str, body: &Value) -> Option<TokenFault> {
        let mut shared = self.lock();
        shared.requests.push((path.to_owned(), body.clone()));
        shared.fault
    }
}

async fn respond(state: Arc<State>, request: Request) -> Result<Response, std::convert::Infallible> {
    Ok(answer(&state, request).await.unwrap_or_else(IntoResponse::into_response))
}

async fn answer(state: &State, request: Request) -> Result<Response, Status> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let parts: Vec<_> = path.trim_start_matches('/').split('/').collect();
    match (&head.method, parts.as_slice()) {
        (&Method::POST, ["api", "v1", "namespaces", namespace, "serviceaccounts", name, "token"]) => {
            let body = body::to_bytes(body, 1 << 20).await.unwrap_or_default();
            let body = serde_json::from_slice(&body).ok().filter(Value::is_object).unwrap_or_default();
            let fault = state.record(&path, &body);
            let caller = state.authenticate(&head.headers)?;
            create_token(state, fault, &caller, (namespace, name, body)).await
        }
        (&Method::GET, ["api", "v1", "namespaces"]) => {
            state.authenticate(&head.headers)?;
            Ok(Json(namespaces()).into_response())
        }
        (&Method::GET, ["readyz" | "livez" | "healthz"]) => Ok("ok".into_response()),
        (&Method::GET, ["version"]) => Ok(Json(json!({"major": "1", "minor": "36"})).into_response()),
        _ => {
            state.authenticate(&head.headers)?;
            Err(Status::no_such_path())
        }
    }
}

async fn create_token(
    state: &State,
    fault: Option<TokenFault>,
    caller: &Value,
    (namespace, name, mut request): (&str, &str, Value),
) -> Result<Response, Status> {
    match fault {
        Some(TokenFault::Status(code)) => return Err(Status::with_code(code, namespace, name)),
        Some(TokenFault::Garbage) => return Ok((StatusCode::CREATED, "<html>not JSON").into_response()),
        Some(TokenFault::Hang) => std::future::pending().await,
        Some(TokenFault::Slow(delay)) => tokio::time::sleep(delay).await,
        _ => {}
    }
    if caller["sub"] != token::subject(CALLER.0, CALLER.1) {
        return Err(Status::forbidden(&caller["sub"], namespace, name));
    }
    let uid = state.uid(namespace, name).ok_or_else(|| Status::not_found(name))?;
    token::fill_in(&mut request["spec"])?;
    let account = token::Account { namespace, name, uid: &uid };
    let mut answer = token::respond(&state.issuer, &account, (request, state.now()), fault);
    match fault {
        Some(TokenFault::Mistyped) => answer["status"]["expirationTimestamp"] = json!(7),
        Some(TokenFault::NoToken) => answer["status"] = json!({"token": "", "expirationTimestamp": null}),
        _ => {}
    }
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

fn namespaces() -> Value {
    let items = NAMESPACES.map(|name| json!({"metadata": {"name": name}, "status": {"phase": "Active"}}));
    json!({"kind": "NamespaceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items})
}

#[cfg(test)]
mod tests;
