//! The fallback: a way in through `kubectl port-forward`, when the provider or the ingress is down.
//!
//! Who gets here can already reach the pod. A one-time code shows that they may also run a command in it,
//! which is what the cluster itself decides. Other containers of the pod reach the loopback, too, and so does
//! every page in the browser at the other end of the forwarding: neither has the code.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use jiff::{SignedDuration, Timestamp};

use super::pages::{FallbackCode, humane};
use super::proxied::{self, Door, Upstream};
use super::request_id::RequestId;
use super::{Gateway, Sessions, answer, banner, public};
use crate::auth::code::{CODE_SECONDS, CodeKey};
use crate::auth::return_to::OWN_PREFIX;
use crate::auth::session::{Bounces, Session};
use crate::auth::{Kind, Presented, ReturnTo, Role, SessionId, Site};
use crate::edge::{Ui, loopback, original};
use crate::metrics::Via;
use crate::random;

/// Longest form that is read, in bytes.
const MAX_FORM: usize = 4 * 1024;

/// Wrong codes within five minutes, before none is taken for the rest of them.
const MAX_TRIES: u32 = 5;

/// The fallback.
#[derive(Debug)]
pub struct Fallback {
    /// Everything that a handler needs.
    pub gateway: Arc<Gateway>,
    /// The UI.
    pub upstream: Arc<Upstream>,
    /// Sessions of the fallback's own.
    pub sessions: Sessions,
    /// Checks codes.
    pub code_key: CodeKey,
    /// What whoever comes in gets.
    pub role: Role,
    /// How long a session lasts, in seconds.
    pub session_seconds: i64,
    /// How to get a code, as a command.
    pub code_command: String,
    /// Codes that were wrong of late.
    pub tries: Tries,
    /// Time for a form to arrive.
    pub form_timeout: Duration,
}

/// Codes that were wrong of late.
#[derive(Debug, Default)]
pub struct Tries(Mutex<(i64, u32)>);

impl Tries {
    fn is_spent(&self, now: Timestamp) -> bool {
        let (since, wrong) = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        wrong >= MAX_TRIES && is_of_late(since, now)
    }

    fn note(&self, now: Timestamp) {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_of_late(tries.0, now) {
            *tries = (now.as_second(), 0);
        }
        tries.1 += 1;
    }
}

/// A clock that was set back ends it, too: it would last for as long as that, otherwise.
fn is_of_late(since: i64, now: Timestamp) -> bool {
    (0..CODE_SECONDS).contains(&(now.as_second() - since))
}

impl Fallback {
    /// Answers one request of `peer`.
    pub async fn answer(self: Arc<Self>, request: Request<Incoming>, peer: SocketAddr) -> Response {
        let id = RequestId::of(request.headers());
        let site = match loopback::site(request.headers()) {
            Ok(site) if peer.ip().to_canonical().is_loopback() => site,
            Ok(_) => return refuse("not-loopback", &id),
            Err(refusal) => return refuse(refusal.reason(), &id),
        };
        if request.uri().path().starts_with(OWN_PREFIX) {
            return self.own_page(request, &site, &id).await;
        }
        let door = Door { site: &site, sessions: &self.sessions, fallback: Some(&self) };
        let mut request = request;
        let is_page = request.headers().get("sec-fetch-dest").is_some_and(|dest| dest == "document");
        if is_page {
            // A page that is compressed cannot carry the banner.
            request.headers_mut().remove(ACCEPT_ENCODING);
        }
        let mut response = proxied::carry(&self.gateway, &self.upstream, door, request, peer).await;
        if is_page && response.status() == StatusCode::OK {
            response = banner::put_up(response, &self.role.name).await;
        }
        response
            .headers_mut()
            .entry("cross-origin-resource-policy")
            .or_insert(HeaderValue::from_static("same-origin"));
        response
    }

    async fn own_page(&self, request: Request<Incoming>, site: &Site, id: &RequestId) -> Response {
        let method = request.method().clone();
        let path = request.uri().path().to_owned();
        let ui = Ui::Generic.traits();
        let described =
            original::describe(request.headers(), method.as_str(), (site.authority(), &path), site, ui);
        if described.is_cross_site() {
            return refuse("cross-site", id);
        }
        let response = match (&method, path.strip_prefix(OWN_PREFIX).unwrap_or("")) {
            (&Method::GET, "fallback") => self.ask(&ReturnTo::home(site), id, None),
            (&Method::POST, "fallback") => self.enter(request, site, id).await,
            (&Method::POST, "logout") => self.leave(&request, site),
            (&Method::GET, page) if page.starts_with("static/") => {
                public::asset_response(page.trim_start_matches("static/"), request.headers())
            }
            _ => answer::redirect(&site.url("/"), None),
        };
        answer::hardened(response)
    }

    /// The page that asks for a code.
    pub(super) fn ask(&self, back: &ReturnTo, id: &RequestId, problem: Option<&'static str>) -> Response {
        let status = if problem.is_some() { StatusCode::FORBIDDEN } else { StatusCode::UNAUTHORIZED };
        let page = FallbackCode {
            command: self.code_command.clone(),
            minutes: humane(SignedDuration::from_secs(self.session_seconds)),
            problem: problem.map(str::to_owned),
            reason: if problem.is_some() { "wrong-code" } else { "no-session" }.to_owned(),
            request_id: id.0.clone(),
            return_to: back.target().to_owned(),
            role: self.role.name.clone(),
        };
        answer::hardened(answer::form_with(status, &page))
    }

    async fn enter(&self, request: Request<Incoming>, site: &Site, id: &RequestId) -> Response {
        let now = self.gateway.clock.now();
        let form = match self.form(request.into_body()).await {
            Ok(form) => form,
            Err((status, reason)) => return answer::not_a_page(Kind::Script, status, reason),
        };
        let field = |wanted: &str| {
            let mut fields = url::form_urlencoded::parse(&form).filter(|(name, _)| name == wanted);
            fields.next().map(|(_, value)| value.into_owned()).filter(|_| fields.next().is_none())
        };
        let back = field("rd").and_then(|target| ReturnTo::parse(&target, site).ok());
        let back = back.unwrap_or_else(|| ReturnTo::home(site));
        if self.tries.is_spent(now) {
            self.refused("too-many-tries", id);
            return self.ask(
                &back,
                id,
                Some("Too many codes were wrong. Wait five minutes, then get a new one."),
            );
        }
        let Some(session) = self.admit(&field("code").unwrap_or_default(), now).await else {
            self.tries.note(now);
            self.refused("wrong-code", id);
            return self.ask(
                &back,
                id,
                Some("This code is wrong, was used before, or is older than five minutes."),
            );
        };
        self.admitted(&session, id);
        answer::redirect(&back.to_string(), [self.sessions.signed_in(session, now)])
    }

    async fn form(&self, body: Incoming) -> Result<Bytes, (StatusCode, &'static str)> {
        let reading = Limited::new(body, MAX_FORM).collect();
        match tokio::time::timeout(self.form_timeout, reading).await {
            Ok(Ok(form)) => Ok(form.to_bytes()),
            Ok(Err(_)) => Err((StatusCode::PAYLOAD_TOO_LARGE, "too-large")),
            Err(_) => Err((StatusCode::REQUEST_TIMEOUT, "too-slow")),
        }
    }

    /// A session, for a code that is good and was not used.
    async fn admit(&self, code: &str, now: Timestamp) -> Option<Session<'static>> {
        let bytes = self.code_key.check(code, now).ok()?;
        let expires_at = now.as_second().saturating_add(2 * CODE_SECONDS);
        if !self.gateway.store.use_up(bytes, expires_at).await {
            return None;
        }
        Some(Session {
            id: SessionId(random::bytes()),
            subject: "fallback".into(),
            name: "fallback".into(),
            email: "".into(),
            groups: "".into(),
            role: self.role.name.clone().into(),
            role_fingerprint: self.role.fingerprint(),
            provider_session: "".into(),
            auth_time: 0,
            issued_at: now.as_second(),
            expires_at: now.as_second().saturating_add(self.session_seconds),
            bounces: Bounces::default(),
        })
    }

    fn leave(&self, request: &Request<Incoming>, site: &Site) -> Response {
        let now = self.gateway.clock.now();
        let mut buffer = [0; crate::auth::seal::MAX_SESSION];
        if let Presented::Session(session) = self.sessions.open(request.headers(), &mut buffer, now) {
            self.gateway.end_via(&session, Via::Fallback);
        }
        answer::redirect(&site.url("/"), [self.sessions.signed_out(now)])
    }

    fn admitted(&self, session: &Session<'_>, id: &RequestId) {
        self.gateway.metrics.code_tried("accepted");
        self.gateway.metrics.session_begun(Via::Fallback);
        tracing::warn!(
            target: "lamplighter::audit",
            event = "login",
            via = "fallback",
            session = session.id.short(),
            role = self.role.name,
            request_id = id.0,
            "somebody came in by the fallback"
        );
    }

    fn refused(&self, reason: &'static str, id: &RequestId) {
        self.gateway.metrics.code_tried(reason);
        tracing::warn!(
            target: "lamplighter::audit",
            event = "deny",
            via = "fallback",
            reason,
            role = self.role.name,
            request_id = id.0,
            "the fallback let nobody in"
        );
    }
}

fn refuse(reason: &'static str, id: &RequestId) -> Response {
    tracing::warn!(reason, request_id = id.0, via = "fallback", "refused");
    let text = format!("lamplighter's fallback: {reason}\n");
    let kind = [(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"))];
    answer::hardened((StatusCode::FORBIDDEN, kind, Body::from(text)).into_response())
}
