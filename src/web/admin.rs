//! The admin listener: for the kubelet.

use axum::Router;
use axum::routing::get;

/// `/livez`: the process answers. `/readyz`: its listeners are bound and its settings good.
///
/// Neither asks a peer: when the provider or the API server is down, a restart mends nothing, and taking
/// every replica out of service at once would end what still works.
pub fn router() -> Router {
    Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(async || "ok\n"))
}
