//! `/lamplighter/logout` and `/lamplighter/signed-out`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::pages::SignOutConfirm;
use super::{Gateway, answer, login, public};
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Denial, Presented, ReturnTo};

/// Takes pages with cluster data out of the browser's cache. Not its cookies: that would reach every site
/// on the same domain.
const CLEAR_SITE_DATA: (HeaderName, HeaderValue) =
    (HeaderName::from_static("clear-site-data"), HeaderValue::from_static("\"cache\""));

/// Ends the session, when the person's own page asks for it. A link leads to a page that asks first.
pub(super) async fn logout(
    State(gateway): State<Arc<Gateway>>,
    (method, uri): (Method, Uri),
    headers: HeaderMap,
) -> Response {
    match method {
        Method::GET => answer::form(&SignOutConfirm {}),
        Method::POST => end(&gateway, &method, &uri, &headers),
        _ => answer::method_not_allowed("GET, POST"),
    }
}

fn end(gateway: &Gateway, method: &Method, uri: &Uri, headers: &HeaderMap) -> Response {
    let request = public::describe(gateway, method, uri, headers);
    if request.is_cross_site() {
        return answer::not_a_page(request.kind, StatusCode::FORBIDDEN, Denial::CrossSite.reason());
    }
    let now = gateway.clock.now();
    if let Presented::Session(session) = gateway.sessions.open(headers, &mut [0; MAX_SESSION], now) {
        gateway.end(&session);
    }
    let there = gateway.site.url("/lamplighter/signed-out");
    let mut response = answer::redirect(&there, [gateway.sessions.signed_out(now)]);
    response.headers_mut().extend([CLEAR_SITE_DATA]);
    response
}

/// Says that the person is signed out, and does nothing else.
pub(super) async fn signed_out(State(gateway): State<Arc<Gateway>>) -> Response {
    let home = ReturnTo::home(&gateway.site);
    answer::page(StatusCode::OK, &login::signed_out(&gateway, &home))
}
