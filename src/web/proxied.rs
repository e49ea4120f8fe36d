//! Proxy mode: everything that is not ours goes through the same decision, and then to the upstream.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::Either;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HOST, HeaderValue, SET_COOKIE};
use http::{Request, StatusCode};
use hyper::body::Incoming;
use jiff::Timestamp;

use super::connection::bare;
use super::lent::Lent;
use super::onward::{self, Said};
use super::pages::Failure;
use super::problem::Problem;
use super::request_id::RequestId;
use super::{Fallback, Gateway, Sessions, answer, check};
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Decision, Denial, Grant, Kind, ReturnTo, Session, Site};
use crate::edge::ui::Treatment;
use crate::edge::websocket::is_websocket;
use crate::edge::{Managed, cookies, original, reply};
use crate::k8s::{AtHand, MintError};
use crate::metrics::{Decisions, Via};
use crate::proxy::{ForwardError, Forwarder, Tunnels, Upload, repeat};

/// What proxy mode needs beside the gateway.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Sends requests on.
    pub forwarder: Forwarder,
    /// The tunnels that are open.
    pub tunnels: Arc<Tunnels>,
    /// The UI's base path; empty at the root.
    pub base: String,
    /// Clusters that the token is for, as the UI names them.
    pub clusters: Vec<String>,
}

/// By which listener a request came in.
pub(super) struct Door<'d> {
    /// Where the browser believes to be.
    pub(super) site: &'d Site,
    /// The cookies that count there.
    pub(super) sessions: &'d Sessions,
    /// Set for the fallback.
    pub(super) fallback: Option<&'d Fallback>,
}

/// One request on its way through.
struct Passage<'a> {
    gateway: &'a Arc<Gateway>,
    upstream: &'a Upstream,
    door: Door<'a>,
    peer: SocketAddr,
    id: OnceLock<RequestId>,
    kind: Kind,
    target: String,
    now: Timestamp,
}

/// Opens, decides, and carries what may pass.
///
/// The decision is no part of the future that waits for the upstream: each request has one of those.
pub(super) fn carry<'a>(
    gateway: &'a Arc<Gateway>,
    upstream: &'a Upstream,
    door: Door<'a>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> impl Future<Output = Response> + Send + 'a {
    let (passage, admitted) = open((gateway, upstream), door, &request, peer);
    match admitted {
        ControlFlow::Continue(grant) => Either::Left(passage.allow(grant, Box::new(request.map(Upload::of)))),
        ControlFlow::Break(response) => Either::Right(ready(response)),
    }
}

/// Opens and decides: a grant, or the answer to who has none.
fn open<'a>(
    (gateway, upstream): (&'a Arc<Gateway>, &'a Upstream),
    door: Door<'a>,
    request: &Request<Incoming>,
    peer: SocketAddr,
) -> (Passage<'a>, ControlFlow<Response, Grant<'static>>) {
    let now = gateway.clock.now();
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    // A proxy in front may leave the port out of `Host`. In front of a fallback there is none.
    let is_site = door.fallback.is_none() && door.site.has_host(host);
    let host = if is_site { door.site.authority() } else { host };
    let ui = gateway.ui.traits();
    let method = request.method().as_str();
    let described = original::describe(request.headers(), method, (host, target), door.site, ui);
    // What would be refused in forward auth is taken away here.
    let described = crate::auth::Request { has_foreign_credentials: false, ..described };
    let mut buffer = [0; MAX_SESSION];
    let decision = gateway.decide_with(door.sessions, request.headers(), &described, (&mut buffer, now));
    let id = RequestId::given(request.headers()).map_or_else(OnceLock::new, OnceLock::from);
    let kind = described.kind;
    let passage = Passage { gateway, upstream, door, peer, id, kind, target: target.to_owned(), now };
    let (reason, response) = match decision {
        // Counted once it is known whether there is a token.
        Decision::Allow(grant) => return (passage, ControlFlow::Continue(grant.into_owned())),
        Decision::Challenge(challenge) => (challenge.reason(), passage.challenge(challenge.reason())),
        Decision::Deny(denial) => (denial.reason(), passage.deny(denial)),
        Decision::SignOut(session) => ("signed-out", passage.sign_out(session.as_ref())),
    };
    passage.decisions().stop(reason);
    let response = passage.ours(response);
    (passage, ControlFlow::Break(response))
}

impl Passage<'_> {
    /// Where what becomes of it is counted.
    fn decisions(&self) -> &Decisions {
        let metrics = &self.gateway.metrics;
        if self.door.fallback.is_some() { &metrics.fallback } else { &metrics.proxy }
    }

    async fn allow(self, grant: Grant<'static>, request: Box<Request<Upload>>) -> Response {
        match self.way(&grant, &request) {
            ControlFlow::Continue(said) => self.send(&grant, request, said).await,
            ControlFlow::Break(response) => {
                self.decisions().pass();
                self.ours(response)
            }
        }
    }

    /// What the upstream is told of who asks, or an answer in its place.
    fn way(&self, grant: &Grant<'_>, request: &Request<Upload>) -> ControlFlow<Response, Said> {
        let Upstream { base, clusters, .. } = self.upstream;
        let (method, path) = (request.method().as_str(), request.uri().path());
        match self.gateway.ui.traits().treatment(method, path, base, clusters) {
            Treatment::Me => ControlFlow::Break(me(grant.session())),
            Treatment::Refuse => {
                ControlFlow::Break(answer::not_a_page(Kind::Script, StatusCode::NOT_FOUND, "not-served"))
            }
            Treatment::ToCluster if self.kind == Kind::Navigation => ControlFlow::Break(self.to_cluster()),
            // Reached by another spelling of the path than the one that signs out: not forwarded either.
            Treatment::SignOut => ControlFlow::Break(self.sign_out(Some(grant.session()))),
            Treatment::Bearer => ControlFlow::Continue(Said::Token),
            Treatment::BareToken => ControlFlow::Continue(Said::BareToken),
            Treatment::Nameless => ControlFlow::Continue(Said::Nothing),
            Treatment::Nothing | Treatment::ToCluster => ControlFlow::Continue(Said::Name),
        }
    }

    /// Forwards, with a token where one is said. One that the upstream does not take any more is replaced, once.
    ///
    /// What is rare is boxed: the usual request makes no room for it.
    async fn send(&self, grant: &Grant<'static>, mut request: Box<Request<Upload>>, said: Said) -> Response {
        if is_websocket(&request) {
            return Box::pin(self.tunnel(grant, request, said)).await;
        }
        let token = match self.fit_at_once(grant, &mut request, said) {
            AtHand::Token(token) => Some(token),
            AtHand::NotNeeded => None,
            AtHand::Missing => match Box::pin(self.fit_in_time(grant, &mut request, said)).await {
                Ok(token) => token,
                Err(error) => return self.ours(self.mint_failed(&error)),
            },
        };
        self.decisions().pass();
        let spare = repeat(&request).map(Box::new);
        let response = self.forward(grant.session(), request, spare.as_deref()).await;
        match (spare, token) {
            (Some(spare), Some(token))
                if response.status() == StatusCode::UNAUTHORIZED
                    && self.gateway.tokens.reject(grant, &token, self.now) =>
            {
                Box::pin(self.lend_anew(grant, spare, said)).await.unwrap_or(response)
            }
            _ => response,
        }
    }

    /// Fits `request`, unless a token has to be minted first.
    fn fit_at_once(&self, grant: &Grant<'_>, request: &mut Request<Upload>, said: Said) -> AtHand {
        let token = match said {
            Said::Nothing | Said::Name => AtHand::NotNeeded,
            Said::Token | Said::BareToken => self.gateway.tokens.at_hand_as(grant, self.now, |minted| {
                self.fit(request, said, check::managed(minted, grant));
                minted.authorization.clone()
            }),
        };
        if matches!(token, AtHand::NotNeeded) {
            self.fit(request, said, &Managed::new(grant.session(), None));
        }
        token
    }

    /// Fits `request`, after minting a token where one is said and none at hand.
    async fn fit_in_time(
        &self,
        grant: &Grant<'static>,
        request: &mut Request<Upload>,
        said: Said,
    ) -> Result<Option<HeaderValue>, MintError> {
        let token = match said {
            Said::Nothing | Said::Name => None,
            Said::Token | Said::BareToken => self.gateway.tokens.obtain(grant, self.now).await?,
        };
        self.fit(request, said, &Managed::new(grant.session(), token.clone()));
        Ok(token)
    }

    async fn lend_anew(
        &self,
        grant: &Grant<'static>,
        mut request: Box<Request<Upload>>,
        said: Said,
    ) -> Option<Response> {
        let token = self.gateway.tokens.obtain(grant, self.now).await.ok()??;
        request.headers_mut().insert(AUTHORIZATION, onward::credential(&token, said)?);
        Some(self.forward(grant.session(), request, None).await)
    }

    fn fit(&self, request: &mut Request<Upload>, said: Said, managed: &Managed) {
        onward::fit(self.gateway, &self.door, self.peer, request, (said, managed));
    }

    /// An answer that is not the upstream's.
    fn ours(&self, response: Response) -> Response {
        self.id().say_in(answer::hardened(response))
    }

    /// The request's name: drawn when it is said first, which the usual request never does.
    fn id(&self) -> &RequestId {
        self.id.get_or_init(RequestId::draw)
    }

    /// Forwards what is fit for the upstream.
    async fn forward(
        &self,
        session: &Session<'static>,
        request: Box<Request<Upload>>,
        spare: Option<&Request<Upload>>,
    ) -> Response {
        let answered = self.upstream.forwarder.forward(request, spare).await;
        self.answer(
            answered.map(|response| response.map(|body| Body::new(Lent::new(body, self.gateway, session)))),
        )
    }

    /// Asks for a WebSocket, and keeps it until the session is over.
    async fn tunnel(
        &self,
        grant: &Grant<'static>,
        mut request: Box<Request<Upload>>,
        said: Said,
    ) -> Response {
        if let Err(error) = self.fit_in_time(grant, &mut request, said).await {
            return self.ours(self.mint_failed(&error));
        }
        self.decisions().pass();
        let session = grant.session();
        let Some(place) = self.upstream.tunnels.admit(session.id, session.expires_at) else {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return self.ours(answer::not_a_page(Kind::Script, status, "too-many-tunnels"));
        };
        let left = session.expires_at.saturating_sub(self.now.as_second());
        let life = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        let answered = self.upstream.forwarder.tunnel(request, (place, life), bare).await;
        self.answer(answered.map(|response| {
            response.map(|body| match body {
                http_body_util::Either::Left(body) => Body::new(body),
                http_body_util::Either::Right(_) => Body::empty(),
            })
        }))
    }

    /// The upstream's answer, or ours where there is none.
    fn answer(&self, answered: Result<Response, ForwardError>) -> Response {
        match answered {
            Ok(mut response) => {
                keep_our_cookies_ours(&mut response);
                response
            }
            Err(error) => self.ours(self.upstream_failed(&error)),
        }
    }

    fn to_cluster(&self) -> Response {
        let cluster = self.gateway.ui.traits().instead_of_prompt(&self.target).unwrap_or("/");
        answer::redirect(&self.door.site.url(cluster), None)
    }

    fn challenge(&self, reason: &'static str) -> Response {
        if let Some(fallback) = self.door.fallback.filter(|_| self.kind == Kind::Navigation) {
            return fallback.ask(&self.back(), self.id(), None);
        }
        if self.kind == Kind::Navigation {
            return answer::redirect(&reply::login_url(self.door.site, &self.target), None);
        }
        answer::not_a_page(self.kind, StatusCode::UNAUTHORIZED, reason)
    }

    fn deny(&self, denial: Denial) -> Response {
        tracing::info!(reason = denial.reason(), request_id = self.id().0, kind = ?self.kind, "refused");
        // Login decides the same, and says it on a page, at the site's own host. A fallback has no login.
        let leads_on = self.door.fallback.is_none() || denial == Denial::UnknownHost;
        if self.kind == Kind::Navigation && leads_on {
            return answer::redirect(&reply::login_url(self.door.site, &self.target), None);
        }
        answer::not_a_page(self.kind, StatusCode::FORBIDDEN, denial.reason())
    }

    /// Headlamp's script takes 200 and loads the page anew, which then says "signed out".
    fn sign_out(&self, session: Option<&Session<'_>>) -> Response {
        if let Some(session) = session {
            let via = if self.door.fallback.is_some() { Via::Fallback } else { Via::Provider };
            self.gateway.end_via(session, via);
        }
        let headers = [
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (reply::X_RELOAD, HeaderValue::from_static("reload")),
            (SET_COOKIE, self.door.sessions.signed_out(self.now)),
        ];
        (headers, Json(serde_json::json!({}))).into_response()
    }

    fn mint_failed(&self, error: &MintError) -> Response {
        self.decisions().stop(error.reason());
        if self.kind != Kind::Navigation {
            tracing::info!(reason = error.reason(), request_id = self.id().0, kind = ?self.kind, "refused");
            return answer::not_a_page(self.kind, StatusCode::BAD_GATEWAY, error.reason());
        }
        let back = self.back();
        let way_in = self.gateway.way_in.as_deref();
        let mut response = Problem { site: self.door.site, back: &back, id: self.id(), way_in }.mint(error);
        // Headlamp takes any other 5xx for a reason to ask for a token.
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }

    fn upstream_failed(&self, error: &ForwardError) -> Response {
        tracing::warn!(%error, reason = error.reason(), request_id = self.id().0, "the upstream failed");
        if self.kind != Kind::Navigation {
            return answer::not_a_page(self.kind, error.status(), error.reason());
        }
        let page = Failure {
            command: None,
            reason: error.reason().to_owned(),
            request_id: self.id().0.clone(),
            retry_seconds: Some(10),
            retry_url: Some(self.back().to_string()),
            title: "The UI does not answer".to_owned(),
            todo: vec![
                "Wait a moment: this page tries again by itself.".to_owned(),
                "If this lasts, tell your administrator, and give them the request id below.".to_owned(),
            ],
            what: "You are signed in, but the UI behind lamplighter cannot be reached.".to_owned(),
        };
        answer::refusal(error.status(), error.reason(), &page)
    }

    fn back(&self) -> ReturnTo {
        let site = self.door.site;
        ReturnTo::parse(&self.target, site).unwrap_or_else(|_| ReturnTo::home(site))
    }
}

/// The upstream sets no cookie of a name of ours.
fn keep_our_cookies_ours(response: &mut Response) {
    let is_ours = |value: &HeaderValue| cookies::is_ours(value.as_bytes());
    if response.headers().get_all(SET_COOKIE).iter().any(is_ours) {
        let kept: Vec<HeaderValue> =
            response.headers().get_all(SET_COOKIE).iter().filter(|value| !is_ours(value)).cloned().collect();
        response.headers_mut().remove(SET_COOKIE);
        for value in kept {
            response.headers_mut().append(SET_COOKIE, value);
        }
    }
}

/// Headlamp before 0.43 would show the ServiceAccount's name, or none.
fn me(session: &Session<'_>) -> Response {
    let groups: Vec<&str> = session.groups.split(',').filter(|group| !group.is_empty()).collect();
    let me = serde_json::json!({
        "username": session.name, "email": session.email, "groups": groups, "userInfoURL": "",
    });
    ([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(me)).into_response()
}
