//! Proxy mode: everything that is not ours goes through the same decision, and then to the upstream.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HOST, HeaderName, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use jiff::Timestamp;

use super::connection::bare;
use super::lent::Lent;
use super::pages::Failure;
use super::problem::Problem;
use super::request_id::RequestId;
use super::{Fallback, Gateway, Sessions, answer};
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Decision, Denial, Grant, Kind, ReturnTo, Session, Site};
use crate::edge::ui::Treatment;
use crate::edge::websocket::is_websocket;
use crate::edge::{cookies, original, reply, scrub};
use crate::k8s::AtHand;
use crate::metrics::Via;
use crate::proxy::{ForwardError, Forwarder, Tunnels, Upload, repeat};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

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

/// What the upstream is told of who asks.
enum Said {
    /// Nothing at all.
    Nothing,
    /// The name, the e-mail and the groups.
    Name,
    /// The same, with this `Authorization`.
    Token(HeaderValue),
}

/// One request on its way through.
struct Passage<'a> {
    gateway: &'a Arc<Gateway>,
    upstream: &'a Upstream,
    door: Door<'a>,
    peer: SocketAddr,
    id: RequestId,
    kind: Kind,
    target: String,
    now: Timestamp,
}

/// Opens, decides, and carries what may pass.
pub(super) async fn carry(
    gateway: &Arc<Gateway>,
    upstream: &Upstream,
    door: Door<'_>,
    request: Request<Incoming>,
    peer: SocketAddr,
) -> Response {
    let (passage, admitted) = open((gateway, upstream), door, &request, peer);
    match admitted {
        ControlFlow::Continue(grant) => passage.allow(grant, request.map(Upload::of)).await,
        ControlFlow::Break(response) => response,
    }
}

/// Opens and decides: a grant, or the answer to who has none.
///
/// What it needs on the way, a cookie's room above all, is not carried about while the upstream works.
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
    let id = RequestId::of(request.headers());
    let kind = described.kind;
    let passage = Passage { gateway, upstream, door, peer, id, kind, target: target.to_owned(), now };
    passage.count(&decision);
    let admitted = match decision {
        Decision::Allow(grant) => ControlFlow::Continue(grant.into_owned()),
        Decision::Challenge(challenge) => {
            ControlFlow::Break(passage.ours(passage.challenge(challenge.reason())))
        }
        Decision::Deny(denial) => ControlFlow::Break(passage.ours(passage.deny(denial))),
        Decision::SignOut(session) => ControlFlow::Break(passage.ours(passage.sign_out(session.as_ref()))),
    };
    (passage, admitted)
}

impl Passage<'_> {
    fn count(&self, decision: &Decision<'_>) {
        let metrics = &self.gateway.metrics;
        let decisions = if self.door.fallback.is_some() { &metrics.fallback } else { &metrics.proxy };
        match decision {
            Decision::Allow(_) => decisions.pass(),
            Decision::Challenge(challenge) => decisions.stop(challenge.reason()),
            Decision::Deny(denial) => decisions.stop(denial.reason()),
            Decision::SignOut(_) => decisions.stop("signed-out"),
        }
    }

    async fn allow(&self, grant: Grant<'static>, request: Request<Upload>) -> Response {
        let path = request.uri().path();
        let Upstream { base, clusters, .. } = self.upstream;
        let treatment = self.gateway.ui.traits().treatment(request.method().as_str(), path, base, clusters);
        match treatment {
            Treatment::Me => self.ours(me(grant.session())),
            Treatment::Refuse => {
                self.ours(answer::not_a_page(Kind::Script, StatusCode::NOT_FOUND, "not-served"))
            }
            Treatment::ToCluster if self.kind == Kind::Navigation => self.ours(self.to_cluster()),
            // Reached by another spelling of the path than the one that signs out: not forwarded either.
            Treatment::SignOut => self.ours(self.sign_out(Some(grant.session()))),
            Treatment::Bearer | Treatment::BareToken => self.lend(&grant, request, treatment).await,
            Treatment::Nameless => self.forward(&grant, request, Said::Nothing).await,
            Treatment::Nothing | Treatment::ToCluster => self.forward(&grant, request, Said::Name).await,
        }
    }

    /// Forwards with a token. One that the upstream does not take any more is replaced, once.
    async fn lend(&self, grant: &Grant<'static>, request: Request<Upload>, treatment: Treatment) -> Response {
        let token = match self.gateway.tokens.at_hand(grant, self.now) {
            AtHand::Token(token) => Ok(Some(token)),
            AtHand::NotNeeded => Ok(None),
            // Boxed, as all that is rare here: the usual request makes no room for it.
            AtHand::Missing => Box::pin(self.gateway.tokens.obtain(grant, self.now)).await,
        };
        let token = match token {
            Ok(Some(token)) => token,
            Ok(None) => return self.forward(grant, request, Said::Name).await,
            Err(error) => return self.ours(self.mint_failed(&error)),
        };
        let again = repeat(&request).filter(|again| !is_websocket(again));
        let response = self.forward(grant, request, credential(&token, treatment)).await;
        match again {
            Some(again)
                if response.status() == StatusCode::UNAUTHORIZED
                    && self.gateway.tokens.reject(grant, &token, self.now) =>
            {
                Box::pin(self.lend_anew(grant, again, treatment)).await.unwrap_or(response)
            }
            _ => response,
        }
    }

    async fn lend_anew(
        &self,
        grant: &Grant<'static>,
        request: Request<Upload>,
        treatment: Treatment,
    ) -> Option<Response> {
        let token = self.gateway.tokens.obtain(grant, self.now).await.ok()??;
        Some(self.forward(grant, request, credential(&token, treatment)).await)
    }

    /// An answer that is not the upstream's.
    fn ours(&self, response: Response) -> Response {
        self.id.say_in(answer::hardened(response))
    }

    async fn forward(&self, grant: &Grant<'static>, request: Request<Upload>, said: Said) -> Response {
        let session = grant.session();
        let is_websocket = is_websocket(&request);
        let request = self.fit(session, request, said);
        let result = if is_websocket {
            let Some(place) = self.upstream.tunnels.admit(session.id, session.expires_at) else {
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return self.ours(answer::not_a_page(Kind::Script, status, "too-many-tunnels"));
            };
            let life =
                Duration::from_secs(u64::try_from(session.expires_at - self.now.as_second()).unwrap_or(0));
            let answered = Box::pin(self.upstream.forwarder.tunnel(request, (place, life), bare)).await;
            answered.map(|response| {
                response.map(|body| match body {
                    Either::Left(body) => Body::new(body),
                    Either::Right(_) => Body::empty(),
                })
            })
        } else {
            let answered = self.upstream.forwarder.forward(request).await;
            let lent = |body| Body::new(Lent::new(body, self.gateway, session));
            answered.map(|response| response.map(lent))
        };
        match result {
            Ok(mut response) => {
                keep_our_cookies_ours(&mut response);
                response
            }
            Err(error) => self.ours(self.upstream_failed(&error)),
        }
    }

    /// The request as the upstream gets it: nothing that the client says of itself, everything that we know.
    fn fit(&self, session: &Session<'_>, mut request: Request<Upload>, said: Said) -> Request<Upload> {
        let ui = self.gateway.ui.traits();
        let cookies = if ui.wants_cookies {
            self.door.sessions.names().for_upstream(request.headers(), ui, usize::MAX)
        } else {
            HeaderValue::from_static("")
        };
        let forwarded_for = self.forwarded_for(request.headers());
        let headers = request.headers_mut();
        scrub::for_upstream(headers);
        headers.remove(COOKIE);
        if !cookies.is_empty() {
            headers.insert(COOKIE, cookies);
        }
        match said {
            Said::Nothing => {}
            Said::Name => reply::name_person(headers, session),
            Said::Token(authorization) => {
                headers.insert(AUTHORIZATION, authorization);
                reply::name_person(headers, session);
            }
        }
        let site = self.door.site;
        let proto = if site.is_secure() { "https" } else { "http" };
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
        // `Connection` may have nominated `Host` away.
        let host = site.authority();
        for (name, value) in [(X_FORWARDED_FOR, &*forwarded_for), (X_FORWARDED_HOST, host), (HOST, host)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        request
    }

    /// The peer's address, behind what a proxy says that we trust. Some proxies add a line of their own.
    fn forwarded_for(&self, headers: &HeaderMap) -> String {
        let peer = self.peer.ip().to_canonical().to_string();
        if !self.gateway.trusts(self.peer.ip()) {
            return peer;
        }
        let said = headers.get_all(X_FORWARDED_FOR).iter().filter_map(|said| said.to_str().ok());
        said.chain([peer.as_str()]).collect::<Vec<_>>().join(", ")
    }

    fn to_cluster(&self) -> Response {
        let cluster = self.gateway.ui.traits().instead_of_prompt(&self.target).unwrap_or("/");
        answer::redirect(&self.door.site.url(cluster), None)
    }

    fn challenge(&self, reason: &'static str) -> Response {
        if let Some(fallback) = self.door.fallback.filter(|_| self.kind == Kind::Navigation) {
            return fallback.ask(&self.back(), &self.id, None);
        }
        if self.kind == Kind::Navigation {
            return answer::redirect(&reply::login_url(self.door.site, &self.target), None);
        }
        answer::not_a_page(self.kind, StatusCode::UNAUTHORIZED, reason)
    }

    fn deny(&self, denial: Denial) -> Response {
        tracing::info!(reason = denial.reason(), request_id = self.id.0, kind = ?self.kind, "refused");
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

    fn mint_failed(&self, error: &crate::k8s::MintError) -> Response {
        if self.kind != Kind::Navigation {
            return answer::not_a_page(self.kind, StatusCode::BAD_GATEWAY, error.reason());
        }
        let back = self.back();
        let way_in = self.gateway.way_in.as_deref();
        let mut response = Problem { site: self.door.site, back: &back, id: &self.id, way_in }.mint(error);
        // Headlamp takes any other 5xx for a reason to ask for a token.
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }

    fn upstream_failed(&self, error: &ForwardError) -> Response {
        tracing::warn!(%error, reason = error.reason(), request_id = self.id.0, "the upstream failed");
        if self.kind != Kind::Navigation {
            return answer::not_a_page(self.kind, error.status(), error.reason());
        }
        let page = Failure {
            command: None,
            reason: error.reason().to_owned(),
            request_id: self.id.0.clone(),
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

fn credential(token: &HeaderValue, treatment: Treatment) -> Said {
    if treatment != Treatment::BareToken {
        return Said::Token(token.clone());
    }
    let alone =
        token.as_bytes().strip_prefix(b"Bearer ").and_then(|alone| HeaderValue::from_bytes(alone).ok());
    alone.map_or(Said::Name, |mut alone| {
        alone.set_sensitive(true);
        Said::Token(alone)
    })
}
