//! The public listener's routes.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::pages::{Failure, asset};
use super::proxied::Door;
use super::request_id::RequestId;
use super::{Gateway, Upstream, answer, callback, login, logout, proxied, request_id, whoami};
use crate::auth::return_to::OWN_PREFIX;
use crate::auth::{Kind, Request};
use crate::edge::{Ui, original};

/// The public listener: our own pages, and in proxy mode everything else.
#[derive(Clone, Debug)]
pub struct Public {
    gateway: Arc<Gateway>,
    upstream: Option<Arc<Upstream>>,
    router: Router,
}

impl Public {
    /// Serves `gateway`'s pages, and `upstream` behind them if there is one.
    pub fn new(gateway: Arc<Gateway>, upstream: Option<Arc<Upstream>>) -> Self {
        Self { router: router(Arc::clone(&gateway)), gateway, upstream }
    }

    /// Answers one request of `peer`.
    pub fn answer(&self, request: http::Request<Incoming>, peer: SocketAddr) -> Answering {
        match &self.upstream {
            Some(upstream) if !is_ours(request.uri().path()) => {
                let (gateway, upstream) = (Arc::clone(&self.gateway), Arc::clone(upstream));
                Box::pin(async move {
                    let door = Door { site: &gateway.site, sessions: &gateway.sessions, fallback: None };
                    proxied::carry(&gateway, &upstream, door, request, peer).await
                })
            }
            Some(_) | None => {
                let answering = self.router.clone().oneshot(request.map(axum::body::Body::new));
                Box::pin(async move { answering.await.unwrap_or_else(|never| match never {}) })
            }
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

fn is_ours(path: &str) -> bool {
    path.starts_with(OWN_PREFIX)
}

/// What browsers reach, through the ingress.
fn router(gateway: Arc<Gateway>) -> Router {
    let timed = middleware::from_fn_with_state(gateway.metrics.requests("public"), answer::time);
    Router::new()
        .route("/lamplighter/login", any(login::login))
        .route("/lamplighter/callback", any(callback::callback))
        .route("/lamplighter/logout", any(logout::logout))
        .route("/lamplighter/signed-out", any(logout::signed_out))
        .route("/lamplighter/whoami", any(whoami::whoami))
        .route("/lamplighter/static/{file}", any(file))
        .fallback(not_found)
        .with_state(gateway)
        // Within the others, so that what is said of a panic has a request id; the accept loop's own word has none.
        .layer(tower_http::catch_panic::CatchPanicLayer::new())
        .layer(middleware::from_fn(answer::harden))
        .layer(middleware::from_fn(request_id::assign))
        .layer(timed)
}

/// The request as decisions see it, by its own line and headers.
///
/// The host is compared without its port: a proxy may leave the port out of `Host`, and no decision on this
/// listener hands out a token.
pub(super) fn describe<'u>(
    gateway: &Gateway,
    method: &Method,
    uri: &'u Uri,
    headers: &HeaderMap,
) -> Request<'u> {
    let site = &gateway.site;
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("");
    let authority = if site.has_host(host) { site.authority() } else { host };
    original::describe(headers, method.as_str(), (authority, target), site, Ui::Generic.traits())
}

async fn file(Path(file): Path<String>, headers: HeaderMap) -> Response {
    asset_response(&file, &headers)
}

/// One of the files that our pages load.
pub(super) fn asset_response(file: &str, headers: &HeaderMap) -> Response {
    let Some(asset) = asset(file) else { return StatusCode::NOT_FOUND.into_response() };
    let etag = HeaderValue::try_from(&asset.etag).unwrap_or(HeaderValue::from_static("\"\""));
    let caching = (CACHE_CONTROL, HeaderValue::from_static(asset.cache_control));
    if headers.get(IF_NONE_MATCH) == Some(&etag) {
        return (StatusCode::NOT_MODIFIED, [caching, (ETAG, etag)]).into_response();
    }
    let kind = (CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    ([kind, caching, (ETAG, etag)], asset.bytes.into_owned()).into_response()
}

async fn not_found(State(gateway): State<Arc<Gateway>>, request: axum::extract::Request) -> Response {
    let described = describe(&gateway, request.method(), request.uri(), request.headers());
    if described.kind != Kind::Navigation {
        return answer::not_a_page(described.kind, StatusCode::NOT_FOUND, "not-found");
    }
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let page = Failure {
        command: None,
        reason: "not-found".to_owned(),
        request_id: id,
        retry_seconds: None,
        retry_url: Some(gateway.site.url("/")),
        title: "There is nothing here".to_owned(),
        todo: vec!["Open the site's first page.".to_owned()],
        what: "lamplighter serves signing in and out; the UI is served by the ingress.".to_owned(),
    };
    answer::refusal(StatusCode::NOT_FOUND, "not-found", &page)
}
