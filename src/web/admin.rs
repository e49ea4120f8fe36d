//! The admin listener: for the kubelet, and for Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};

use crate::metrics::Metrics;

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
/// `/metrics`: what is counted.
///
/// None asks a peer: when the provider or the API server is down, a restart mends nothing, and taking
/// every replica out of service at once would end what still works.
pub fn router(readiness: Readiness, metrics: Arc<Metrics>) -> Router {
    let ready = get(async move || readiness.answer());
    let said = get(async move |headers: HeaderMap| exposition(&metrics, &headers));
    Router::new().route("/livez", get(async || "ok\n")).route("/readyz", ready).route("/metrics", said)
}

/// In the format that is asked for: Prometheus names `OpenMetrics` in `Accept` where it reads it.
fn exposition(metrics: &Metrics, headers: &HeaderMap) -> Response {
    let mut accepted = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let (kind, said) = if accepted.any(|accept| accept.contains("application/openmetrics-text")) {
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", metrics.open_metrics())
    } else {
        ("text/plain; version=0.0.4; charset=utf-8", metrics.prometheus_text())
    };
    said.map_or_else(
        |_| StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        |said| ([(CONTENT_TYPE, kind)], said).into_response(),
    )
}
