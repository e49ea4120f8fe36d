//! What became of requests, and why.

use std::borrow::Cow;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::{Counters, Labels, Times};

/// Why a request did not pass, and what that decision is called: every word that a decision has for it.
const STOPPED: [(&str, &str); 14] = [
    ("bad-cookie", "unauthenticated"),
    ("no-session", "unauthenticated"),
    ("role-changed", "unauthenticated"),
    ("session-expired", "unauthenticated"),
    ("signed-out", "unauthenticated"),
    ("token-prompt", "unauthenticated"),
    ("bad-request", "forbidden"),
    ("cross-site", "forbidden"),
    ("impersonation", "forbidden"),
    ("no-role", "forbidden"),
    ("unknown-host", "forbidden"),
    ("untrusted-peer", "forbidden"),
    ("apiserver-unreachable", "error"),
    ("mint-failed", "error"),
];

/// From what a check takes whose answer is in memory, to what it takes where the API server is slow.
const BOUNDS: [Duration; 12] = [
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// Times, by dialect.
pub(super) type Took = Family<Labels<1>, Times, fn() -> Times>;

/// None yet.
pub(super) fn none_took() -> Took {
    Family::new_with_constructor(|| Times::by(&BOUNDS))
}

/// What became of requests at one place, and how soon. Counting is three steps on atomics: every label is resolved
/// beforehand.
#[derive(Debug)]
pub struct Decisions {
    took: Times,
    passed: Counter,
    stopped: [(&'static str, Counter); STOPPED.len()],
    otherwise: Counter,
}

impl Decisions {
    pub(super) fn of((all, took): (&Counters<3>, &Took), dialect: &'static str) -> Self {
        let counter = |decision: &'static str, reason: &'static str| {
            let labels = [("dialect", dialect), ("decision", decision), ("reason", reason)];
            all.get_or_create_owned(&labels.map(|(name, value)| (name, Cow::Borrowed(value))))
        };
        Self {
            took: took.get_or_create_owned(&[("dialect", dialect.into())]),
            passed: counter("allow", ""),
            stopped: STOPPED.map(|(reason, decision)| (reason, counter(decision, reason))),
            otherwise: counter("error", "other"),
        }
    }

    /// A request may pass, as was known after so long.
    pub fn pass(&self, took: Duration) {
        self.passed.inc();
        self.took.took(took);
    }

    /// A request may not pass, for `reason`, as was known after so long.
    pub fn stop(&self, reason: &str, took: Duration) {
        self.took.took(took);
        let known = self.stopped.iter().find(|(known, _)| *known == reason);
        known.map_or(&self.otherwise, |(_, counter)| counter).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{Challenge, Denial};
    use crate::metrics::Metrics;

    fn reads(said: &str) -> String {
        let metrics = Metrics::new("idp.example.com");
        metrics.auth_request.stop(said, Duration::ZERO);
        metrics.prometheus_text().unwrap()
    }

    /// A word that is missing in the table would hide among the others.
    #[test]
    fn every_word_of_a_decision_is_known() {
        let challenges = [
            Challenge::BadCookie,
            Challenge::NoSession,
            Challenge::RoleChanged,
            Challenge::SessionExpired,
            Challenge::SignedOut,
        ];
        let denials = [Denial::CrossSite, Denial::Impersonation, Denial::NoRole, Denial::UnknownHost];
        for (decision, reason) in challenges
            .map(|challenge| ("unauthenticated", challenge.reason()))
            .into_iter()
            .chain(denials.map(|denial| ("forbidden", denial.reason())))
        {
            let line = format!("decision=\"{decision}\",reason=\"{reason}\"}} 1\n");
            assert!(reads(reason).contains(&line), "{line}");
        }
    }

    #[test]
    fn a_word_that_is_not_ours_makes_no_label() {
        let said = reads("o'\" brought from outside");
        assert!(said.contains("reason=\"other\"} 1\n") && !said.contains("outside"), "{said}");
    }
}
