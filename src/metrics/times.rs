//! How long things took on the way of every request: no lock, and two steps on atomics side by side.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::{MetricType, TypedMetric};

/// Room for bounds, and for what is beyond the last.
const MOST: usize = 16;

/// A histogram. Clones count together.
#[derive(Clone, Debug)]
pub struct Times(Arc<Counts>);

/// In a cache line or two of its own: whoever counts something else does not wait for it.
#[derive(Debug)]
#[repr(align(128))]
struct Counts {
    nanoseconds: AtomicU64,
    within: [AtomicU64; MOST],
    bounds: &'static [Duration],
}

impl Times {
    /// Counts by `bounds`, upwards, fewer than sixteen.
    pub(super) fn by(bounds: &'static [Duration]) -> Self {
        debug_assert!(bounds.len() < MOST && bounds.is_sorted(), "{bounds:?}");
        Self(Arc::new(Counts { nanoseconds: AtomicU64::default(), within: Default::default(), bounds }))
    }

    /// Something took so long.
    pub fn took(&self, time: Duration) {
        let Counts { nanoseconds, within, bounds } = &*self.0;
        let bucket = bounds.iter().position(|bound| time <= *bound).unwrap_or(bounds.len());
        within[bucket].fetch_add(1, Ordering::Relaxed);
        nanoseconds.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }
}

impl TypedMetric for Times {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Times {
    fn encode(&self, mut encoder: MetricEncoder) -> fmt::Result {
        let Counts { nanoseconds, within, bounds } = &*self.0;
        let bounds = bounds.iter().map(Duration::as_secs_f64).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> =
            bounds.zip(within.iter().map(|count| count.load(Ordering::Relaxed))).collect();
        // The buckets' sum, whatever is counted meanwhile: a histogram whose parts do not agree is refused.
        let count = buckets.iter().map(|(_, count)| count).sum();
        let seconds = Duration::from_nanos(nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        encoder.encode_histogram::<NoLabelSet>(seconds, count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::{Registry, Unit};

    use super::*;

    #[test]
    fn what_took_as_long_as_a_bound_is_within_it() {
        const BOUNDS: [Duration; 2] = [Duration::from_millis(1), Duration::from_secs(1)];
        let times = Times::by(&BOUNDS);
        for milliseconds in [0, 1, 2, 1_000, 1_001] {
            times.clone().took(Duration::from_millis(milliseconds));
        }
        let mut registry = Registry::default();
        registry.register_with_unit("it", "It", Unit::Seconds, times);
        let mut said = String::new();
        text::encode(&mut said, &registry).unwrap();
        let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with('#')).collect();
        let expected = [
            "it_seconds_sum 2.004",
            "it_seconds_count 5",
            r#"it_seconds_bucket{le="0.001"} 2"#,
            r#"it_seconds_bucket{le="1.0"} 4"#,
            r#"it_seconds_bucket{le="+Inf"} 5"#,
        ];
        assert_eq!(lines, expected);
    }
}
