//! What an ingress is answered: an outcome in its dialect.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::Dialect;
use super::status::status_json;
use crate::auth::{Kind, Request, Session, Site};

/// One word that says why a request did not pass. The log line and the page repeat it.
pub const X_LAMPLIGHTER_REASON: HeaderName = HeaderName::from_static("x-lamplighter-reason");

/// Makes Headlamp load its page anew at once, instead of asking for a token.
pub const X_RELOAD: HeaderName = HeaderName::from_static("x-reload");

const X_FORWARDED_USER: HeaderName = HeaderName::from_static("x-forwarded-user");
const X_FORWARDED_EMAIL: HeaderName = HeaderName::from_static("x-forwarded-email");
const X_FORWARDED_GROUP: HeaderName = HeaderName::from_static("x-forwarded-group");
const X_FORWARDED_ID_TOKEN: HeaderName = HeaderName::from_static("x-forwarded-id-token");

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Room for the header lines of an answer, in bytes: nginx gives 4 KiB, and fails the request beyond.
const HEADER_BUDGET: usize = 3_800;

/// Most header lines of an answer.
const LINES: usize = 9;

/// What the fixed lines of an answer take of that, in bytes, with their names.
const FIXED_LINES: usize = 400;

/// Longest `Location`, in bytes; a page whose address is longer is not returned to.
const MAX_LOCATION: usize = 2_560;

const IN_QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

const IN_HEADER: &AsciiSet = &CONTROLS.add(b'%');

/// Every header that an upstream may be told who is asking by. All stand on a 200, none on anything else.
///
/// An ingress takes away the client's own header where the answer has one in its place, and with several
/// ingresses only then: so a header without a value is sent empty.
#[derive(Clone, Debug)]
pub struct Managed(HeaderMap);

/// What became of a request.
#[derive(Debug)]
pub enum Outcome {
    /// It may pass.
    Pass {
        /// Who is asking.
        managed: Arc<Managed>,
        /// The client's cookies, less ours.
        cookie: HeaderValue,
    },
    /// A peer that is needed failed; the word says which.
    PeerFailed(&'static str),
    /// It may not pass, whoever signs in.
    Refused(&'static str),
    /// The person has to sign in.
    SignIn(&'static str),
    /// The person has been signed out, and this cookie says so.
    SignedOut(HeaderValue),
}

impl Managed {
    /// The headers for `session`, with `authorization` empty where the role has no token, and without cookies yet.
    pub fn new(session: &Session<'_>, authorization: Option<HeaderValue>) -> Self {
        let empty = HeaderValue::from_static("");
        let mut lines = HeaderMap::with_capacity(LINES);
        lines.insert(AUTHORIZATION, authorization.unwrap_or_else(|| empty.clone()));
        // Each answer has its own. A place that is there is filled without moving the others.
        lines.insert(COOKIE, empty.clone());
        lines.insert(X_FORWARDED_USER, header_text(&session.name));
        lines.insert(X_FORWARDED_EMAIL, header_text(&session.email));
        lines.insert(X_FORWARDED_GROUP, header_text(&session.groups));
        lines.insert(X_FORWARDED_ID_TOKEN, empty);
        lines.insert(CACHE_CONTROL, NO_STORE);
        Self(lines)
    }

    /// Bytes that are left for the `Cookie` line.
    pub fn room_for_cookie(&self) -> usize {
        let used = self.0.values().map(HeaderValue::len).sum();
        HEADER_BUDGET.saturating_sub(FIXED_LINES).saturating_sub(used)
    }

    /// The token, as `Authorization` has it; empty where there is none.
    pub fn authorization(&self) -> &HeaderValue {
        &self.0[AUTHORIZATION]
    }

    /// Says in `headers` of a request for the upstream who is asking, where there is something to say.
    pub fn name_person(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            let names = [X_FORWARDED_USER, X_FORWARDED_EMAIL, X_FORWARDED_GROUP].contains(name);
            if names && !value.is_empty() {
                headers.insert(name, value.clone());
            }
        }
    }

    fn answer(&self, cookie: HeaderValue) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        let mut headers = self.0.clone();
        headers.insert(COOKIE, cookie);
        *response.headers_mut() = headers;
        response
    }
}

/// Text as a header value: visible ASCII stays, the rest is percent-encoded as UTF-8.
fn header_text(text: &str) -> HeaderValue {
    if text.is_empty() {
        return HeaderValue::from_static("");
    }
    if text.is_ascii()
        && memchr::memchr2(b'%', b'\t', text.as_bytes()).is_none()
        && let Ok(value) = HeaderValue::from_str(text)
    {
        return value;
    }
    let encoded = utf8_percent_encode(text, IN_HEADER).to_string();
    HeaderValue::try_from(encoded).unwrap_or(HeaderValue::from_static(""))
}

/// The answer to a question about `request`, in the dialect of who asks.
///
/// Whoever passes on `Connection: Upgrade` with its question may wait for a tunnel: `HAProxy`'s script does, until the
/// connection is closed.
pub fn answer(dialect: Dialect, outcome: Outcome, request: &Request<'_>, site: &Site) -> Response<Bytes> {
    let mut response = match dialect {
        Dialect::AuthRequest => auth_request(outcome, request, site),
        Dialect::ForwardAuth | Dialect::ExtAuthz => relayed(outcome, request, site),
    };
    if request.kind == Kind::WebSocket {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The answer to nginx's `auth_request`: 200, 401 or 403, and 502 for a script when a peer failed.
///
/// nginx shows its own page for 403 and turns everything else into its own 500. So a navigation that cannot
/// pass is answered 401, whatever the reason: it is led to login, which decides anew and shows a page.
fn auth_request(outcome: Outcome, request: &Request<'_>, site: &Site) -> Response<Bytes> {
    match outcome {
        Outcome::Pass { managed, cookie } => managed.answer(cookie),
        Outcome::SignIn(reason) => sign_in(reason, request, site),
        Outcome::SignedOut(set_cookie) => {
            let mut response = sign_in("signed-out", &Request { target: "/", ..*request }, site);
            response.headers_mut().insert(SET_COOKIE, set_cookie);
            response
        }
        Outcome::Refused(reason) | Outcome::PeerFailed(reason) if request.kind == Kind::Navigation => {
            sign_in(reason, request, site)
        }
        Outcome::Refused(reason) => refusal(StatusCode::FORBIDDEN, reason, request.kind),
        Outcome::PeerFailed(reason) => refusal(StatusCode::BAD_GATEWAY, reason, request.kind),
    }
}

/// The answer to Traefik, Caddy and Envoy, who pass on whatever is not 200 as it is: the browser itself reads it.
///
/// A navigation that cannot pass is led to login by 302. Envoy makes its own of 502, with the status that
/// `status_on_error` names.
fn relayed(outcome: Outcome, request: &Request<'_>, site: &Site) -> Response<Bytes> {
    match outcome {
        Outcome::Pass { managed, cookie } => managed.answer(cookie),
        Outcome::SignedOut(set_cookie) => {
            let mut response = unauthenticated("signed-out", request.kind);
            response.headers_mut().insert(SET_COOKIE, set_cookie);
            response
        }
        Outcome::SignIn(reason) | Outcome::Refused(reason) | Outcome::PeerFailed(reason)
            if request.kind == Kind::Navigation =>
        {
            let mut response = refusal(StatusCode::FOUND, reason, request.kind);
            response.headers_mut().insert(LOCATION, login_location(site, request.target));
            response
        }
        Outcome::SignIn(reason) => unauthenticated(reason, request.kind),
        Outcome::Refused(reason) => refusal(StatusCode::FORBIDDEN, reason, request.kind),
        Outcome::PeerFailed(reason) => refusal(StatusCode::BAD_GATEWAY, reason, request.kind),
    }
}

/// The answer to a question that makes no sense.
pub fn malformed() -> Response<Bytes> {
    refusal(StatusCode::FORBIDDEN, "bad-request", Kind::Script)
}

/// The answer to somebody who is no ingress of ours.
pub fn untrusted_peer() -> Response<Bytes> {
    refusal(StatusCode::FORBIDDEN, "untrusted-peer", Kind::Script)
}

/// The answer that nginx turns into a way to login.
fn sign_in(reason: &'static str, request: &Request<'_>, site: &Site) -> Response<Bytes> {
    let mut response = unauthenticated(reason, request.kind);
    response.headers_mut().insert(LOCATION, login_location(site, request.target));
    response
}

fn unauthenticated(reason: &'static str, kind: Kind) -> Response<Bytes> {
    let mut response = refusal(StatusCode::UNAUTHORIZED, reason, kind);
    if kind == Kind::Script {
        response.headers_mut().insert(X_RELOAD, HeaderValue::from_static("reload"));
    }
    response
}

fn refusal(status: StatusCode, reason: &'static str, kind: Kind) -> Response<Bytes> {
    let body = if kind == Kind::Script { status_json(status, reason) } else { Bytes::new() };
    let mut headers = HeaderMap::with_capacity(LINES);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_LAMPLIGHTER_REASON, HeaderValue::from_static(reason));
    if kind == Kind::Script {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// The login page, absolute: nginx would resolve a relative `Location` into its own question.
fn login_location(site: &Site, target: &str) -> HeaderValue {
    let url = login_url(site, target);
    let url = if url.len() > MAX_LOCATION { login_url(site, "/") } else { url };
    HeaderValue::try_from(url).unwrap_or(HeaderValue::from_static("/lamplighter/login"))
}

/// The address of the login page that returns to `target`.
pub fn login_url(site: &Site, target: &str) -> String {
    let mut url = site.url("/lamplighter/login?rd=");
    url.extend(utf8_percent_encode(target, IN_QUERY));
    url
}
