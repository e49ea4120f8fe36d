//! Whether what was read while the process runs could be used.

use jiff::Timestamp;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// How the last reading of what may change went. Of the configuration, that is the session keys.
#[derive(Debug, Default)]
pub struct Reload {
    is_success: Gauge,
    succeeded_at: Gauge,
}

impl Reload {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "config_reload_success",
            "Whether the last reading of the session keys could be used",
            self.is_success.clone(),
        );
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "When the session keys in use were read, since the epoch",
            Unit::Seconds,
            self.succeeded_at.clone(),
        );
    }

    /// What was read at `now` is in use.
    pub fn succeeded(&self, now: Timestamp) {
        self.is_success.set(1);
        self.succeeded_at.set(now.as_second());
    }

    /// What was read cannot be used: what was in use before still is.
    pub fn failed(&self) {
        self.is_success.set(0);
    }
}
