//! Proxy mode: everything that is not ours goes through the same decision, and then to the upstream.

mod ours;

use std::future::{Future, ready};
use std::mem;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use futures_util::future::Either;
use http::header::{HOST, HeaderValue, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, Method, Request, StatusCode};
use hyper::body::{Body as _, Incoming};
use jiff::Timestamp;

use super::connection::bare;
use super::lent::{Lease, Lent};
use super::onward::{self, Said};
use super::request_id::RequestId;
use super::{Fallback, Gateway, Sessions, answer, check};
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Decision, Grant, Kind, Site};
use crate::clock::Stopwatch;
use crate::edge::ui::Treatment;
use crate::edge::websocket::is_websocket;
use crate::edge::{Managed, cookies, original};
use crate::k8s::{AtHand, MintError};
use crate::metrics::Decisions;
use crate::proxy::{ForwardError, Forwarder, Tunnels, Upload};

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
    /// As the client sent it. What the upstream gets is made from it, once or twice.
    head: Box<Parts>,
    id: OnceLock<RequestId>,
    now: Timestamp,
    watch: Stopwatch,
}

/// How a request goes on that may pass.
enum Onward {
    /// At once.
    Now(Fit),
    /// As a WebSocket, or once there is a token.
    Later(Box<(Grant<'static>, Said)>),
}

/// What the upstream gets of a request, beside its body.
struct Fit {
    headers: HeaderMap,
    lease: Lease,
    /// Set where a token is in the headers.
    token: Option<HeaderValue>,
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
    let (head, body) = request.into_parts();
    let (head, id, now) = (Box::new(head), OnceLock::new(), gateway.clock.now());
    let watch = Stopwatch::start();
    let passage = Passage { gateway, upstream, door, peer, head, id, now, watch };
    match passage.open() {
        ControlFlow::Continue(onward) => {
            Either::Left(passage.go(onward, Upload::of(body, &gateway.metrics.carried.up)))
        }
        ControlFlow::Break(response) => Either::Right(ready(response)),
    }
}

impl Passage<'_> {
    /// Opens and decides: the way on, or the answer to who has none.
    fn open(&self) -> ControlFlow<Response, Onward> {
        let mut buffer = [0; MAX_SESSION];
        let (reason, response) = match self.decide(&mut buffer, self.now) {
            // Counted once it is known whether there is a token.
            Decision::Allow(grant) => return self.admit(grant),
            Decision::Challenge(challenge) => (challenge.reason(), self.challenge(challenge.reason())),
            Decision::Deny(denial) => (denial.reason(), self.deny(denial)),
            Decision::SignOut(session) => ("signed-out", self.sign_out(session.as_ref())),
        };
        self.decisions().stop(reason, self.watch.elapsed());
        ControlFlow::Break(self.ours(response))
    }

    fn decide<'b>(&self, buffer: &'b mut [u8; MAX_SESSION], now: Timestamp) -> Decision<'b> {
        // What would be refused in forward auth is taken away here.
        let described = crate::auth::Request { has_foreign_credentials: false, ..self.described() };
        self.gateway.decide_with(self.door.sessions, &self.head.headers, &described, (buffer, now))
    }

    fn described(&self) -> crate::auth::Request<'_> {
        let Parts { method, headers, .. } = &*self.head;
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
        // A proxy in front may leave the port out of `Host`. In front of a fallback there is none.
        let is_site = self.door.fallback.is_none() && self.door.site.has_host(host);
        let host = if is_site { self.door.site.authority() } else { host };
        let ui = self.gateway.ui.traits();
        original::describe(headers, method.as_str(), (host, self.target()), self.door.site, ui)
    }

    fn target(&self) -> &str {
        self.head.uri.path_and_query().map_or("/", |target| target.as_str())
    }

    fn kind(&self) -> Kind {
        self.described().kind
    }

    /// Where what becomes of it is counted.
    fn decisions(&self) -> &Decisions {
        let metrics = &self.gateway.metrics;
        if self.door.fallback.is_some() { &metrics.fallback } else { &metrics.proxy }
    }

    fn admit(&self, grant: Grant<'_>) -> ControlFlow<Response, Onward> {
        let said = match self.way(&grant) {
            ControlFlow::Continue(said) => said,
            ControlFlow::Break(response) => {
                self.decisions().pass(self.watch.elapsed());
                return ControlFlow::Break(self.ours(response));
            }
        };
        let fit = if self.is_websocket() { None } else { self.fit_at_once(&grant, said) };
        ControlFlow::Continue(match fit {
            Some(fit) => Onward::Now(fit),
            None => Onward::Later(Box::new((grant.into_owned(), said))),
        })
    }

    fn is_websocket(&self) -> bool {
        is_websocket(&self.head.method, &self.head.headers)
    }

    /// What the upstream is told of who asks, or an answer in its place.
    fn way(&self, grant: &Grant<'_>) -> ControlFlow<Response, Said> {
        let Upstream { base, clusters, .. } = self.upstream;
        let (method, path) = (self.head.method.as_str(), self.head.uri.path());
        match self.gateway.ui.traits().treatment(method, path, base, clusters) {
            Treatment::Me => ControlFlow::Break(ours::me(grant.session())),
            Treatment::Refuse => {
                ControlFlow::Break(answer::not_a_page(Kind::Script, StatusCode::NOT_FOUND, "not-served"))
            }
            Treatment::ToCluster if self.kind() == Kind::Navigation => ControlFlow::Break(self.to_cluster()),
            // Reached by another spelling of the path than the one that signs out: not forwarded either.
            Treatment::SignOut => ControlFlow::Break(self.sign_out(Some(grant.session()))),
            Treatment::Bearer => ControlFlow::Continue(Said::Token),
            Treatment::BareToken => ControlFlow::Continue(Said::BareToken),
            Treatment::Nameless => ControlFlow::Continue(Said::Nothing),
            Treatment::Nothing | Treatment::ToCluster => ControlFlow::Continue(Said::Name),
        }
    }

    /// What the upstream gets, unless a token has to be minted first.
    fn fit_at_once(&self, grant: &Grant<'_>, said: Said) -> Option<Fit> {
        let at_hand = match said {
            Said::Nothing | Said::Name => AtHand::NotNeeded,
            Said::Token | Said::BareToken => self.gateway.tokens.at_hand_as(grant, self.now, |minted| {
                let token = Some(minted.authorization.clone());
                self.fit(grant, said, check::managed(minted, grant), token)
            }),
        };
        match at_hand {
            AtHand::Token(fit) => Some(fit),
            AtHand::NotNeeded => Some(self.fit(grant, said, &Managed::new(grant.session(), None), None)),
            AtHand::Missing => None,
        }
    }

    /// What the upstream gets, after minting a token where one is said and none at hand.
    async fn fit_in_time(&self, grant: &Grant<'static>, said: Said) -> Result<Fit, MintError> {
        let token = match said {
            Said::Nothing | Said::Name => None,
            Said::Token | Said::BareToken => self.gateway.tokens.obtain(grant, self.now).await?,
        };
        Ok(self.fit(grant, said, &Managed::new(grant.session(), token.clone()), token))
    }

    fn fit(&self, grant: &Grant<'_>, said: Said, managed: &Managed, token: Option<HeaderValue>) -> Fit {
        let headers =
            onward::headers(self.gateway, &self.door, self.peer, &self.head.headers, (said, managed));
        Fit { headers, lease: Lease::of(grant.session()), token }
    }

    /// Forwards, with a token where one is said. One that the upstream does not take any more is replaced, once.
    ///
    /// What is rare is boxed: the usual request makes no room for it.
    async fn go(self, onward: Onward, body: Upload) -> Response {
        let fit = match onward {
            Onward::Now(fit) => fit,
            Onward::Later(later) => {
                let (grant, said) = *later;
                if self.is_websocket() {
                    return Box::pin(self.tunnel(grant, said)).await;
                }
                match Box::pin(self.fit_in_time(&grant, said)).await {
                    Ok(fit) => fit,
                    Err(error) => return self.ours(self.mint_failed(&error)),
                }
            }
        };
        self.decisions().pass(self.watch.elapsed());
        let token = fit.token.clone();
        // Once more changes nothing, and there is no body that is gone (RFC 9110 section 9.2.2).
        let may_repeat = matches!(self.head.method, Method::GET | Method::HEAD) && body.is_end_stream();
        let response = self.forward(fit, body, may_repeat).await;
        match token {
            Some(token) if may_repeat && response.status() == StatusCode::UNAUTHORIZED => {
                Box::pin(self.lend_anew(&token)).await.unwrap_or(response)
            }
            _ => response,
        }
    }

    /// The answer to the same request with another token than `lost`, where one may fare better.
    async fn lend_anew(&self, lost: &HeaderValue) -> Option<Response> {
        let (grant, said) = self.decide_again()?;
        if !self.gateway.tokens.reject(&grant, lost, self.now) {
            return None;
        }
        let fit = self.fit_in_time(&grant, said).await.ok()?;
        fit.token.as_ref()?;
        Some(self.forward(fit, Upload::none(), false).await)
    }

    /// The grant once more, if there still is one.
    fn decide_again(&self) -> Option<(Grant<'static>, Said)> {
        let mut buffer = [0; MAX_SESSION];
        let Decision::Allow(grant) = self.decide(&mut buffer, self.gateway.clock.now()) else { return None };
        let said = self.way(&grant).continue_value()?;
        Some((grant.into_owned(), said))
    }

    /// The same request once more, if it still may pass.
    fn again(&self) -> Option<Request<Upload>> {
        let (grant, said) = self.decide_again()?;
        let fit = self.fit_at_once(&grant, said)?;
        Some(self.request(fit.headers, Upload::none()))
    }

    fn request(&self, headers: HeaderMap, body: Upload) -> Request<Upload> {
        let mut request = Request::new(body);
        *request.method_mut() = self.head.method.clone();
        *request.uri_mut() = self.head.uri.clone();
        *request.headers_mut() = headers;
        request
    }

    /// An answer that is not the upstream's.
    fn ours(&self, response: Response) -> Response {
        self.id().say_in(answer::hardened(response))
    }

    /// The request's name: read or drawn when it is said first, which the usual request never does.
    fn id(&self) -> &RequestId {
        self.id.get_or_init(|| RequestId::of(&self.head.headers))
    }

    /// Forwards what is fit for the upstream.
    async fn forward(&self, fit: Fit, body: Upload, may_repeat: bool) -> Response {
        let request = Box::new(self.request(fit.headers, body));
        let again = || if may_repeat { self.again() } else { None };
        let watch = Stopwatch::start();
        let answered = self.upstream.forwarder.forward(request, again).await;
        self.answer(
            watch,
            answered.map(|response| response.map(|body| Body::new(Lent::new(body, self.gateway, fit.lease)))),
        )
    }

    /// Asks for a WebSocket, and keeps it until the session is over.
    async fn tunnel(mut self, grant: Grant<'static>, said: Said) -> Response {
        let fit = match self.fit_in_time(&grant, said).await {
            Ok(fit) => fit,
            Err(error) => return self.ours(self.mint_failed(&error)),
        };
        self.decisions().pass(self.watch.elapsed());
        let session = grant.session();
        let Some(place) = self.upstream.tunnels.admit(session.id, session.expires_at) else {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            return self.ours(answer::not_a_page(Kind::Script, status, "too-many-tunnels"));
        };
        let left = session.expires_at.saturating_sub(self.now.as_second());
        let life = Duration::from_secs(u64::try_from(left).unwrap_or(0));
        let mut request = self.request(fit.headers, Upload::none());
        // The client's own connection is in there.
        *request.extensions_mut() = mem::take(&mut self.head.extensions);
        let watch = Stopwatch::start();
        let answered = self.upstream.forwarder.tunnel(Box::new(request), (place, life), bare).await;
        self.answer(
            watch,
            answered.map(|response| {
                response.map(|body| match body {
                    http_body_util::Either::Left(body) => Body::new(body),
                    http_body_util::Either::Right(_) => Body::empty(),
                })
            }),
        )
    }

    /// The upstream's answer, or ours where there is none.
    fn answer(&self, watch: Stopwatch, answered: Result<Response, ForwardError>) -> Response {
        let status = answered.as_ref().map_or_else(ForwardError::status, Response::status);
        self.gateway.metrics.carried.answered(status, watch.elapsed());
        match answered {
            Ok(mut response) => {
                keep_our_cookies_ours(&mut response);
                response
            }
            Err(error) => self.ours(self.upstream_failed(&error)),
        }
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
