//! The admin listener: for the kubelet.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::get;
use http::StatusCode;

/// Whether requests should be sent here. Clones say the same.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    is_leaving: Arc<AtomicBool>,
}

impl Readiness {
    /// No request should be sent here any more.
    pub fn withdraw(&self) {
        self.is_leaving.store(true, Ordering::Relaxed);
    }

    fn answer(&self) -> (StatusCode, &'static str) {
        if self.is_leaving.load(Ordering::Relaxed) {
            return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
        }
        (StatusCode::OK, "ok\n")
    }
}

/// `/livez`: the process answers. `/readyz`: its listeners are bound, its settings good, and it is not about to end.
///
/// Neither asks a peer: when the provider or the API server is down, a restart mends nothing, and taking
/// every replica out of service at once would end what still works.
pub fn router(readiness: Readiness) -> Router {
    let ready = get(async move || readiness.answer());
    Router::new().route("/livez", get(async || "ok\n")).route("/readyz", ready)
}
