//! What is carried to the UI and back: no lock on its way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::StatusCode;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::registry::{Registry, Unit};

use super::{Counters, Times};

/// One more than the highest status.
const CODES: u16 = 1_000;

/// From five milliseconds to ten seconds.
const BOUNDS: [Duration; 11] = [
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// What is carried to the UI and back. Clones count together.
#[derive(Clone, Debug)]
pub struct Carried {
    /// Bytes from clients to the UI.
    pub up: Counter,
    /// Bytes from the UI to clients.
    pub down: Counter,
    answers: Answers,
    took: Times,
}

/// Answers, by their status.
#[derive(Clone, Debug)]
struct Answers(Arc<[AtomicU64]>);

impl Carried {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let bytes = Counters::<1>::default();
        let counter = |way: &'static str| bytes.get_or_create_owned(&[("direction", way.into())]);
        let answers = Answers((0..CODES).map(|_| AtomicU64::default()).collect());
        let carried = Self { up: counter("up"), down: counter("down"), answers, took: Times::by(&BOUNDS) };
        let help = "Bytes of bodies and WebSockets that came for the UI or from it";
        registry.register_with_unit("proxy", help, Unit::Bytes, bytes);
        registry.register_collector(Box::new(carried.answers.clone()));
        let help = "Time from a request for the UI until its answer began";
        registry.register_with_unit("proxy_upstream_duration", help, Unit::Seconds, carried.took.clone());
        carried
    }

    /// A request went to the UI, and the answer with `status` began after so long: the UI's, or ours where it had none.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        if let Some(count) = self.answers.0.get(usize::from(status.as_u16())) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.took.took(took);
    }
}

impl Collector for Answers {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let counts = self.0.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        let mut counts = counts.filter(|(_, count)| *count > 0).peekable();
        if counts.peek().is_none() {
            return Ok(());
        }
        let help = "Requests that went to the UI";
        let mut family = encoder.encode_descriptor("proxy_requests", help, None, MetricType::Counter)?;
        for (code, count) in counts {
            let labels = [("code", code.to_string())];
            ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
