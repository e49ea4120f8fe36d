//! What became of requests, and why.

use std::borrow::Cow;

use prometheus_client::metrics::counter::Counter;

use super::Counters;

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

/// What became of requests at one place. Counting is one step on an atomic: every label is resolved beforehand.
#[derive(Debug)]
pub struct Decisions {
    passed: Counter,
    stopped: [(&'static str, Counter); STOPPED.len()],
    otherwise: Counter,
}

impl Decisions {
    pub(super) fn of(all: &Counters<3>, dialect: &'static str) -> Self {
        let counter = |decision: &'static str, reason: &'static str| {
            let labels = [("dialect", dialect), ("decision", decision), ("reason", reason)];
            all.get_or_create_owned(&labels.map(|(name, value)| (name, Cow::Borrowed(value))))
        };
        Self {
            passed: counter("allow", ""),
            stopped: STOPPED.map(|(reason, decision)| (reason, counter(decision, reason))),
            otherwise: counter("error", "other"),
        }
    }

    /// A request may pass.
    pub fn pass(&self) {
        self.passed.inc();
    }

    /// A request may not pass, for `reason`.
    pub fn stop(&self, reason: &str) {
        let known = self.stopped.iter().find(|(known, _)| *known == reason);
        known.map_or(&self.otherwise, |(_, counter)| counter).inc();
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::{Challenge, Denial};
    use crate::metrics::Metrics;

    fn reads(said: &str) -> String {
        let metrics = Metrics::new("idp.example.com");
        metrics.auth_request.stop(said);
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
