//! Tokens: what came of asking for them, how often there was one at hand, and until when they work.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::calls::{Up, seconds};
use super::{Counters, Failure, Peer};

/// Tokens that were asked for. Clones count together.
#[derive(Clone, Debug)]
pub struct TokenRequests {
    /// The API server, by the tokens that were asked of it.
    pub api_server: Peer,
    counted: Counters<4>,
    took: Histogram,
    last_ends: LastEnds,
}

/// How often there was a token at hand. Clones count together; counting is one step on an atomic.
#[derive(Clone, Debug)]
pub struct TokenCache {
    /// There was one.
    pub hit: Counter,
    /// There was none, and the API server was asked for one.
    pub miss: Counter,
    /// There was none, and what somebody else was told at the time served.
    pub coalesced: Counter,
    /// There was one that grew old, and the API server was asked for the next.
    pub refresh_ahead: Counter,
}

/// Until when the last token of each ServiceAccount works, by namespace and name.
#[derive(Clone, Debug, Default)]
struct LastEnds(Arc<Mutex<BTreeMap<(String, String), Timestamp>>>);

impl Default for TokenRequests {
    fn default() -> Self {
        Self {
            api_server: Peer::default(),
            counted: Counters::default(),
            took: seconds(),
            last_ends: LastEnds::default(),
        }
    }
}

impl TokenRequests {
    /// A token was asked for at `now`, for `role`, of the ServiceAccount `(namespace, name)`: it was minted, or the call
    /// failed.
    pub fn answered(
        &self,
        role: &str,
        (namespace, name): (&str, &str),
        failure: Option<Failure>,
        now: Timestamp,
    ) {
        self.api_server.answered(failure, now);
        let result = failure.map_or("minted", |failure| failure.reason);
        let labels = [("role", role), ("namespace", namespace), ("serviceaccount", name), ("result", result)];
        self.counted.get_or_create(&labels.map(|(name, value)| (name, Cow::Owned(value.to_owned())))).inc();
    }

    /// A token of the ServiceAccount `(namespace, name)` works until `expires_at`.
    pub fn works_until(&self, (namespace, name): (&str, &str), expires_at: Timestamp) {
        let mut ends = self.last_ends.0.lock().unwrap_or_else(PoisonError::into_inner);
        let end = ends.entry((namespace.to_owned(), name.to_owned())).or_insert(expires_at);
        *end = expires_at.max(*end);
    }

    /// Forgets tokens that are over.
    pub fn sweep(&self, now: Timestamp) {
        let mut ends = self.last_ends.0.lock().unwrap_or_else(PoisonError::into_inner);
        ends.retain(|_, expires_at| now < *expires_at);
    }

    /// The API server took so many seconds to answer, or not to.
    pub fn took(&self, seconds: f64) {
        self.took.observe(seconds);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "token_requests",
            "ServiceAccount tokens asked of the API server",
            self.counted.clone(),
        );
        registry.register_with_unit(
            "token_request_duration",
            "Time that the API server took for a token",
            Unit::Seconds,
            self.took.clone(),
        );
        registry.register_collector(Box::new(self.last_ends.clone()));
        let help = "Whether the API server answered the last call";
        registry.register_collector(Box::new(Up {
            name: "kube_api_up",
            help,
            peer: self.api_server.clone(),
        }));
    }
}

impl Collector for LastEnds {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if ends.is_empty() {
            return Ok(());
        }
        let help = "When the last of the ServiceAccount's tokens stops to work, since the epoch";
        let (name, unit) = ("token_not_after_timestamp", Some(&Unit::Seconds));
        let mut family = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for ((namespace, name), expires_at) in &ends {
            let labels = [("namespace", namespace.as_str()), ("serviceaccount", name.as_str())];
            let gauge = ConstGauge::new(expires_at.as_second());
            gauge.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

impl TokenCache {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counters = Counters::<1>::default();
        registry.register("token_cache", "Looks for a token, by where it came from", counters.clone());
        let counter = |result: &'static str| counters.get_or_create_owned(&[("result", result.into())]);
        Self {
            hit: counter("hit"),
            miss: counter("miss"),
            coalesced: counter("coalesced"),
            refresh_ahead: counter("refresh_ahead"),
        }
    }
}
