//! The admin listener: for the kubelet, and for Prometheus.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, StatusCode, Uri};

use super::{Gateway, answer};
use crate::metrics::Health;

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

/// `/livez`: the process answers. `/readyz`: its listeners are bound, its settings good, and it is not about to end;
/// with `?verbose`, also how the peers do. `/metrics`: what is counted.
///
/// None asks a peer, and none that is down changes a status: a restart mends nothing then, and taking
/// every replica out of service at once would end what still works.
pub fn router(readiness: Readiness, gateway: Arc<Gateway>) -> Router {
    let timed = middleware::from_fn_with_state(gateway.metrics.requests("admin"), answer::time);
    let counted = Arc::clone(&gateway);
    let said = get(async move |headers: HeaderMap| exposition(&counted, &headers));
    let ready = get(async move |uri: Uri| ready(&readiness, &gateway, &uri));
    let routes = Router::new().route("/livez", get(async || "ok\n")).route("/readyz", ready);
    routes.route("/metrics", said).layer(timed)
}

fn ready(readiness: &Readiness, gateway: &Gateway, uri: &Uri) -> Response {
    let (status, word) = readiness.answer();
    let mut names = uri.query().unwrap_or("").split('&').map(|pair| pair.split('=').next());
    if names.any(|name| name == Some("verbose")) {
        return (status, verbose(status, gateway) + word).into_response();
    }
    (status, word).into_response()
}

/// A line for each thing: `+` where it is well, `-` where it is not.
fn verbose(status: StatusCode, gateway: &Gateway) -> String {
    let is_open = status == StatusCode::OK;
    let has_fallback = gateway.way_in.is_some();
    let store = gateway.store.health().map_or((true, "memory".to_owned()), in_words);
    let lines = [
        ("listeners", (is_open, if is_open { "ok" } else { "about to close" }.to_owned())),
        ("provider", in_words(gateway.metrics.provider.peer.health())),
        ("API server", in_words(gateway.metrics.token_requests.api_server.health())),
        ("session store", store),
        ("fallback", (true, if has_fallback { "armed" } else { "off" }.to_owned())),
    ];
    let line = |(name, (is_well, said)): (&str, (bool, String))| {
        format!("[{}] {name}: {said}\n", if is_well { '+' } else { '-' })
    };
    lines.map(line).concat()
}

/// Whether a peer is well as far as is known, and the words for it.
fn in_words(health: Health) -> (bool, String) {
    match health {
        Health::Failing { since, last } => {
            (false, format!("{} fails since {since:.0}: {}", last.call, last.reason))
        }
        Health::Unknown => (true, "not asked yet".to_owned()),
        Health::Well => (true, "ok".to_owned()),
    }
}

/// In the format that is asked for: Prometheus names `OpenMetrics` in `Accept` where it reads it.
fn exposition(gateway: &Gateway, headers: &HeaderMap) -> Response {
    let metrics = &gateway.metrics;
    metrics.know_ended_sessions(gateway.store.ended_sessions());
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::metrics::Failure;

    #[test]
    fn a_peer_that_fails_is_told_with_its_time_and_reason() {
        let since = Timestamp::new(1_800_000_000, 5).unwrap();
        let last = Failure { call: "discovery", is_answered: false, reason: "provider-unreachable" };
        let said = "discovery fails since 2027-01-15T08:00:00Z: provider-unreachable".to_owned();
        assert_eq!(in_words(Health::Failing { since, last }), (false, said));
        assert!(in_words(Health::Unknown).0 && in_words(Health::Well).0);
    }
}
