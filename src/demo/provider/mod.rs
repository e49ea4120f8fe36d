//! An OpenID Provider that knows three people and no passwords.
//!
//! It does the authorization code flow with PKCE, refresh and logout as the specifications
//! want it, and, when [`Faults`] say so, in ways that no certified provider can be brought to:
//!
//! ```no_run
//! # use lamplighter::demo::provider::{Faults, Provider, Signing};
//! # fn example(provider: &Provider) {
//! provider.set_faults(Faults::claim("aud", "somebody-else"));
//! provider.set_faults(Faults::signing(Signing::HmacWithPublicKeyPem));
//! # }
//! ```
//!
//! The links of its picker page are deterministic: an authorization request with `&user=ada`
//! at its end is answered as if Ada had been picked, with `&cancel=1` as if nobody was.

mod authorize;
mod faults;
mod hook;
mod keys;
mod logout;
mod params;
mod reply;
mod resources;
mod seen;
mod settings;
mod state;
mod token;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use serde_json::Value;

pub use faults::{Faults, Signing, remove};
pub use hook::Hook;
pub use params::Params;
pub use reply::{Answer, Reply};
pub use seen::{Endpoint, Requests, Seen};
pub use settings::{Client, ProviderSettings, User};

use self::keys::Keys;
use self::state::State;
use super::jwt::{Algorithm, SigningKey};
use super::serve::{self, Server};

/// A running provider. It stops when this is dropped.
pub struct Provider {
    state: Arc<State>,
    server: Server,
}

impl Provider {
    /// Starts a provider.
    pub async fn start(settings: ProviderSettings) -> io::Result<Self> {
        let (listener, address) = serve::bind(settings.listen).await?;
        let issuer = format!("http://{}:{}{}", settings.host, address.port(), settings.path);
        let state = Arc::new(State::new(settings, issuer));
        let service = {
            let state = Arc::clone(&state);
            tower::service_fn(move |request| respond(Arc::clone(&state), request))
        };
        Ok(Self { state, server: serve::serve(listener, address, service) })
    }

    /// The issuer, as discovery and ID tokens name it.
    pub fn issuer(&self) -> String {
        self.state.issuer.clone()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Misbehaves from now on. `Faults::default()` ends that.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Misbehaves in the next login alone: its redirect, its tokens, its `UserInfo`.
    pub fn faults_for_next_login(&self, faults: Faults) {
        self.state.lock().next_login = Some(faults);
    }

    /// Replaces all keys by new ones under new names, and forgets the extra keys.
    pub fn rotate_keys(&self) {
        // Generated before the lock is taken, for it takes a while.
        let keys = Keys::generate(self.state.settings.random);
        self.state.lock().keys = keys;
    }

    /// Publishes these JWKs too, before the real ones.
    pub fn publish_extra_keys(&self, jwks: Vec<Value>) {
        self.state.lock().keys.publish(jwks);
    }

    /// The key that signs with `algorithm` at present. For HMAC there is none: RSA's is returned.
    pub fn key(&self, algorithm: Algorithm) -> SigningKey {
        self.state.lock().keys.that_signs(algorithm).clone()
    }

    /// Disables a person: their refresh tokens are refused.
    pub fn disable(&self, login: &str) {
        self.state.lock().disabled.insert(login.to_owned());
    }

    /// The claims of a valid logout token, for a test to spoil and [`sign`](Self::sign).
    pub fn logout_claims(&self, client_id: &str, subject: &str, sid: &str) -> Value {
        logout::logout_claims(&self.state, client_id, subject, sid)
    }

    /// Signs `claims` as an ID token would be, under the faults that are set.
    pub fn sign(&self, claims: &Value) -> String {
        let secret = claims["aud"].as_str().map_or("", |client| self.state.secret(client));
        let shared = self.state.lock();
        shared.keys.sign(claims, &shared.faults, secret)
    }

    /// How often each endpoint was asked.
    pub fn requests(&self) -> Requests {
        self.state.lock().requests
    }

    /// The last request to `endpoint`.
    pub fn last_request(&self, endpoint: Endpoint) -> Option<Seen> {
        self.state.lock().last.get(&endpoint).cloned()
    }

    /// The last token request: its form and its headers.
    pub fn last_token_request(&self) -> Option<Seen> {
        self.last_request(Endpoint::Token)
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Provider").field("issuer", &self.state.issuer).finish_non_exhaustive()
    }
}

async fn respond(state: Arc<State>, request: Request) -> Result<Response, std::convert::Infallible> {
    let seen = Seen::read(request).await;
    Ok(answer(&state, &seen).send().await)
}

fn answer(state: &State, seen: &Seen) -> Answer {
    let Some(endpoint) = seen.uri.path().strip_prefix(state.base()).and_then(Endpoint::at) else {
        return Answer::new(404, "text/plain", "There is nothing here.\n");
    };
    if !endpoint.allows(&seen.method) {
        return Answer::new(405, "text/plain", "Not with this method.\n");
    }
    state.record(endpoint, seen);
    match endpoint {
        Endpoint::Discovery => resources::discovery(state),
        Endpoint::Jwks => resources::jwks(state),
        Endpoint::Authorize => authorize::authorize(state, seen),
        Endpoint::Token => token::token(state, seen),
        Endpoint::Userinfo => resources::userinfo(state, seen),
        Endpoint::EndSession => logout::end_session(state, seen),
    }
}

#[cfg(test)]
mod tests;
