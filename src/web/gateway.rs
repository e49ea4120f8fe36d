//! Everything that a handler needs.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use ipnet::IpNet;
use jiff::Timestamp;

use super::Sessions;
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Decision, Policy, Presented, Request, Session, Site};
use crate::clock::Clock;
use crate::edge::Ui;
use crate::k8s::Tokens;
use crate::metrics::{Logout, Metrics, Via};
use crate::oidc::Provider;
use crate::store::Store;

/// Everything that a handler needs.
#[derive(Debug)]
pub struct Gateway {
    /// Where people open the UI.
    pub site: Site,
    /// Who gets what.
    pub policy: Policy,
    /// What is upstream.
    pub ui: Ui,
    /// How sessions are kept in cookies.
    pub sessions: Sessions,
    /// How long a session lasts at the most, in seconds.
    pub session_seconds: i64,
    /// Who signs people in.
    pub provider: Provider,
    /// The tokens that live.
    pub tokens: Arc<Tokens>,
    /// What outlives a request.
    pub store: Store,
    /// Who may ask the authz listener.
    pub trusted_proxies: Vec<IpNet>,
    /// How to come in when the provider is down, as a command; none without a fallback.
    pub way_in: Option<String>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What time it is.
    pub clock: Clock,
}

impl Gateway {
    /// Opens what `headers` present, and decides what becomes of `request`. Touches memory only.
    pub fn decide<'b>(
        &self,
        headers: &HeaderMap,
        request: &Request<'_>,
        buffer: &'b mut [u8; MAX_SESSION],
        now: Timestamp,
    ) -> Decision<'b> {
        self.decide_with(&self.sessions, headers, request, (buffer, now))
    }

    /// The same, with the cookies of another listener.
    pub(super) fn decide_with<'b>(
        &self,
        sessions: &Sessions,
        headers: &HeaderMap,
        request: &Request<'_>,
        (buffer, now): (&'b mut [u8; MAX_SESSION], Timestamp),
    ) -> Decision<'b> {
        let presented = match sessions.open(headers, buffer, now) {
            Presented::Session(session) if self.store.is_ended(&session.id) => Presented::SignedOut,
            presented => presented,
        };
        self.policy.decide(presented, request, now)
    }

    /// Ends a session here: it opens nothing any more, and its tokens are forgotten.
    pub fn end(&self, session: &Session<'_>) {
        self.end_via(session, Via::Provider);
    }

    /// The same, for a session that began by `via`.
    pub(super) fn end_via(&self, session: &Session<'_>, via: Via) {
        self.metrics.logged_out(via, Logout::Local);
        self.close(session, "sign-out");
    }

    /// Ends the session that `headers` present, since a new one is about to take its place in that browser.
    ///
    /// Nobody could end it later: its cookie is about to be overwritten, and a copy of it would live on.
    pub fn replace(&self, headers: &HeaderMap, now: Timestamp) {
        if let Presented::Session(old) = self.sessions.open(headers, &mut [0; MAX_SESSION], now) {
            self.metrics.logged_out(Via::Provider, Logout::Replaced);
            self.close(&old, "replace");
        }
    }

    fn close(&self, session: &Session<'_>, event: &'static str) {
        self.store.end(session.id, session.expires_at);
        self.tokens.forget(session.id);
        tracing::info!(
            target: "lamplighter::audit",
            event,
            session = session.id.short(),
            subject = &*session.subject,
            user = &*session.name,
            "a session is over"
        );
    }

    /// Whether `peer` may ask the authz listener.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|network| network.contains(&peer))
    }

    /// Forgets what is past.
    pub fn sweep(&self) {
        let now = self.clock.now();
        self.store.sweep(now);
        self.tokens.sweep(now);
    }
}
