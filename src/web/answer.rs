//! Answers to browsers: pages, redirects, and the headers that all of them carry.

use askama::Template;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue, StatusCode};

use super::pages;
use crate::auth::Kind;
use crate::clock::Stopwatch;
use crate::edge::reply::{X_LAMPLIGHTER_REASON, X_RELOAD};
use crate::edge::status::status_json;
use crate::metrics::RequestsAt;

/// What every answer to a browser says, unless it says otherwise itself.
const ALWAYS: [(HeaderName, HeaderValue); 8] = [
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::CONTENT_SECURITY_POLICY)),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static("")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Adds what every answer to a browser says.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    hardened(next.run(request).await)
}

/// Tells `requests` what was answered, and how long it took.
pub(super) async fn time(State(requests): State<RequestsAt>, request: Request, next: Next) -> Response {
    let watch = Stopwatch::start();
    let _begun = requests.begin();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let response = next.run(request).await;
    let route = route.as_ref().map(MatchedPath::as_str);
    requests.answered(route, &method, response.status(), watch.seconds());
    response
}

/// An answer of our own, with what every one says.
pub(super) fn hardened(mut response: Response) -> Response {
    for (name, value) in ALWAYS {
        response.headers_mut().entry(name).or_insert(value);
    }
    response
}

/// A page.
pub(super) fn page(status: StatusCode, template: &impl Template) -> Response {
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    (status, [(CONTENT_TYPE, html)], pages::render(template)).into_response()
}

/// A page with a form that posts to us.
///
/// Under `no-referrer` a browser would send `Origin: null` with the form, which says nothing.
pub(super) fn form(template: &impl Template) -> Response {
    form_with(StatusCode::OK, template)
}

/// The same, with another status.
pub(super) fn form_with(status: StatusCode, template: &impl Template) -> Response {
    let mut response = page(status, template);
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

/// A page that says why, in one word for whoever reads headers.
pub(super) fn refusal(status: StatusCode, reason: &'static str, template: &impl Template) -> Response {
    with_reason(page(status, template), reason)
}

/// On to `url`, by GET (RFC 9110 section 15.4.4), with `cookies`.
pub(super) fn redirect(url: &str, cookies: impl IntoIterator<Item = HeaderValue>) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    match HeaderValue::try_from(url) {
        Ok(location) => response.headers_mut().insert(LOCATION, location),
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    with_cookies(response, cookies)
}

/// The same answer, with `cookies`.
pub(super) fn with_cookies(
    mut response: Response,
    cookies: impl IntoIterator<Item = HeaderValue>,
) -> Response {
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// What a request that nobody reads as a page gets in place of one.
pub(super) fn not_a_page(kind: Kind, status: StatusCode, reason: &'static str) -> Response {
    if kind != Kind::Script {
        return with_reason(status.into_response(), reason);
    }
    let json = HeaderValue::from_static("application/json");
    let mut response = (status, [(CONTENT_TYPE, json)], status_json(status, reason)).into_response();
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(X_RELOAD, HeaderValue::from_static("reload"));
    }
    with_reason(response, reason)
}

/// 405, and what would do.
pub(super) fn method_not_allowed(allowed: &'static str) -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, HeaderValue::from_static(allowed))]).into_response()
}

fn with_reason(mut response: Response, reason: &'static str) -> Response {
    response.headers_mut().insert(X_LAMPLIGHTER_REASON, HeaderValue::from_static(reason));
    response
}
