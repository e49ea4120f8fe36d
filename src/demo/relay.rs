//! Passing requests on.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

/// A client for plain HTTP that streams in both directions.
pub(super) type HttpClient = Client<HttpConnector, Body>;

/// Headers that speak of one connection only (RFC 9110 7.6.1).
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// A client with its own pool of connections.
pub(super) fn client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// The same path and query at `authority`.
pub(super) fn at(authority: &str, path_and_query: Option<&PathAndQuery>) -> Uri {
    let path_and_query = path_and_query.map_or("/", PathAndQuery::as_str);
    Uri::builder()
        .scheme("http")
        .authority(authority)
        .path_and_query(path_and_query)
        .build()
        .expect("an address of ours and a path that was parsed before")
}

/// Removes what belongs to the connection that a message came on.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Sends `request` and brings the answer back; 502 where there is none.
pub(super) async fn send(client: &HttpClient, request: Request) -> Response {
    match client.request(request).await {
        Ok(response) => {
            let mut response = response.map(Body::new);
            strip_hop_by_hop(response.headers_mut());
            response
        }
        Err(error) => {
            tracing::warn!(%error, "a part of the demo did not answer");
            (StatusCode::BAD_GATEWAY, "The next server did not answer.\n").into_response()
        }
    }
}
