//! Calls of the provider: what came of them, and how long they took.

use std::borrow::Cow;
use std::fmt;

use http::StatusCode;
use jiff::Timestamp;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use super::{Counters, Failure, Health, Labels, Peer};

/// Times, in seconds.
pub(super) type Durations<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// Calls of the provider. Clones count together.
#[derive(Clone, Debug)]
pub struct ProviderCalls {
    /// The provider, by these calls.
    pub peer: Peer,
    counted: Counters<2>,
    took: Durations<2>,
    keys_read_at: Gauge,
}

/// Whether a peer answered the last call: 1 or 0, and nothing before there was one.
#[derive(Debug)]
pub(super) struct Up {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) peer: Peer,
}

impl Default for ProviderCalls {
    fn default() -> Self {
        Self {
            peer: Peer::default(),
            counted: Counters::default(),
            took: durations(),
            keys_read_at: Gauge::default(),
        }
    }
}

impl ProviderCalls {
    /// A call of `endpoint` went well, or failed at `now`.
    pub fn answered(&self, endpoint: &'static str, failure: Option<Failure>, now: Timestamp) {
        self.peer.answered(failure, now);
        let result = failure.map_or("success", |failure| failure.reason);
        self.counted.get_or_create(&[("endpoint", endpoint.into()), ("result", result.into())]).inc();
    }

    /// The provider took so many seconds to answer at `endpoint` with the status `code`, or not to answer.
    pub fn took(&self, endpoint: &'static str, code: Option<StatusCode>, seconds: f64) {
        let code = code.map_or("none".into(), |code| Cow::Owned(code.as_str().to_owned()));
        self.took.get_or_create(&[("endpoint", endpoint.into()), ("code", code)]).observe(seconds);
    }

    /// The provider's keys were read at `now`.
    pub fn keys_read(&self, now: Timestamp) {
        self.keys_read_at.set(now.as_second());
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("idp_requests", "Calls of the identity provider", self.counted.clone());
        registry.register_with_unit(
            "idp_request_duration",
            "Time that the identity provider took",
            Unit::Seconds,
            self.took.clone(),
        );
        registry.register_with_unit(
            "jwks_last_success_timestamp",
            "When the identity provider's keys were read, since the epoch; 0: not yet",
            Unit::Seconds,
            self.keys_read_at.clone(),
        );
        let help = "Whether the identity provider answered the last call";
        registry.register_collector(Box::new(Up { name: "idp_up", help, peer: self.peer.clone() }));
    }
}

impl Collector for Up {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let is_up = match self.peer.health() {
            Health::Failing { last, .. } => last.is_answered,
            Health::Unknown => return Ok(()),
            Health::Well => true,
        };
        let gauge = ConstGauge::new(i64::from(is_up));
        gauge.encode(encoder.encode_descriptor(self.name, self.help, None, gauge.metric_type())?)
    }
}

/// Times, from five milliseconds to ten seconds.
pub(super) fn durations<const N: usize>() -> Durations<N> {
    Family::new_with_constructor(seconds)
}

/// The same, without labels.
pub(super) fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}
