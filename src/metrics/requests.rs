//! Answers of lamplighter's own: pages, redirects, probes.

use http::{Method, StatusCode};
use prometheus_client::registry::{Registry, Unit};

use super::calls::{Durations, durations};
use super::{Counted, Counters, Gauges};

/// Answers at each listener. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    answered: Counters<4>,
    in_flight: Gauges<1>,
    took: Durations<3>,
}

/// Answers at one listener.
#[derive(Clone, Debug)]
pub struct RequestsAt {
    requests: Requests,
    listener: &'static str,
}

impl Default for Requests {
    fn default() -> Self {
        Self { answered: Counters::default(), in_flight: Gauges::default(), took: durations() }
    }
}

impl Requests {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("http_requests", "Answers of lamplighter's own", self.answered.clone());
        registry.register(
            "http_requests_in_flight",
            "Answers of lamplighter's own that are on their way",
            self.in_flight.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time that answers of lamplighter's own took",
            Unit::Seconds,
            self.took.clone(),
        );
    }

    pub(super) fn at(&self, listener: &'static str) -> RequestsAt {
        RequestsAt { requests: self.clone(), listener }
    }
}

impl RequestsAt {
    /// A request came, and is being answered as long as this lives.
    pub fn begin(&self) -> Counted {
        Counted::by(&self.requests.in_flight.get_or_create_owned(&[("listener", self.listener.into())]))
    }

    /// A request at `route`, a path as the router has it and never as the client wrote it, was answered with `status`
    /// after so many seconds. None: it was at no path that is known.
    pub fn answered(&self, route: Option<&str>, method: &Method, status: StatusCode, seconds: f64) {
        let route = route.unwrap_or("other").to_owned();
        let at =
            [("listener", self.listener.into()), ("route", route.into()), ("method", word(method).into())];
        self.requests.took.get_or_create(&at).observe(seconds);
        let [listener, route, method] = at;
        let code = ("code", status.as_str().to_owned().into());
        self.requests.answered.get_or_create(&[listener, route, method, code]).inc();
    }
}

/// A client may invent methods, and must not make labels.
fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        Method::POST => "POST",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_makes_no_label() {
        for (method, expected) in [("GET", "GET"), ("POST", "POST"), ("DELETE", "other"), ("EVIL", "other")] {
            assert_eq!(word(&Method::from_bytes(method.as_bytes()).unwrap()), expected);
        }
    }
}
