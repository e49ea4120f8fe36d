//! What the provider remembers.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::keys::Keys;
use super::seen::Endpoint;
use super::{Client, Faults, ProviderSettings, Requests, Seen, User};
use crate::demo::jwt::SigningKey;
use crate::demo::random_id;

/// One sign-in, behind a code and then behind the tokens that the code bought.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) challenge: String,
    pub(super) nonce: Option<String>,
    pub(super) scope: String,
    pub(super) user: User,
    pub(super) sid: String,
    pub(super) auth_time: i64,
    pub(super) expires_at: i64,
    /// Faults of this login alone.
    pub(super) faults: Option<Faults>,
}

pub(super) struct State {
    pub(super) settings: ProviderSettings,
    pub(super) issuer: String,
    shared: Mutex<Shared>,
}

pub(super) struct Shared {
    pub(super) keys: Keys,
    pub(super) faults: Faults,
    pub(super) next_login: Option<Faults>,
    pub(super) requests: Requests,
    pub(super) last: HashMap<Endpoint, Seen>,
    pub(super) disabled: HashSet<String>,
    codes: HashMap<String, Login>,
    access_tokens: HashMap<String, Login>,
    refresh_tokens: HashMap<String, Login>,
}

impl State {
    pub(super) fn new(settings: ProviderSettings, issuer: String) -> Self {
        let random = settings.random;
        let rsa = settings.rsa_key.clone().unwrap_or_else(|| SigningKey::rsa(random));
        let shared = Shared {
            keys: Keys::with_rsa(rsa, random),
            faults: Faults::default(),
            next_login: None,
            requests: Requests::default(),
            last: HashMap::new(),
            disabled: HashSet::new(),
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
        };
        Self { settings, issuer, shared: Mutex::new(shared) }
    }

    /// A handler that panicked in a test leaves nothing half-done here.
    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> i64 {
        (self.settings.clock)().as_second()
    }

    pub(super) fn fresh_id(&self) -> String {
        random_id(self.settings.random)
    }

    pub(super) fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// The faults of `login`, or the general ones where it has none of its own.
    pub(super) fn faults_of(&self, login: &Login) -> Faults {
        login.faults.clone().unwrap_or_else(|| self.faults())
    }

    /// What the paths of the endpoints start with.
    pub(super) fn base(&self) -> &str {
        self.settings.path.trim_end_matches('/')
    }

    pub(super) fn endpoint(&self, name: &str) -> String {
        format!("{}{name}", self.issuer.trim_end_matches('/'))
    }

    pub(super) fn client(&self, id: &str) -> Option<&Client> {
        self.settings.clients.iter().find(|client| client.id == id)
    }

    /// The secret of the client `id`; empty where it has none.
    pub(super) fn secret(&self, id: &str) -> &str {
        self.client(id).and_then(|client| client.secret.as_deref()).unwrap_or_default()
    }

    pub(super) fn user(&self, login: &str) -> Option<&User> {
        self.settings.users.iter().find(|user| user.login == login)
    }

    pub(super) fn record(&self, endpoint: Endpoint, seen: &Seen) {
        let mut shared = self.lock();
        endpoint.count(&mut shared.requests);
        shared.last.insert(endpoint, seen.clone());
    }
}

impl Shared {
    pub(super) fn keep_code(&mut self, code: String, login: Login, now: i64) {
        forget_expired(&mut self.codes, now);
        self.codes.insert(code, login);
    }

    /// Takes the code away: it buys once.
    pub(super) fn take_code(&mut self, code: &str, now: i64) -> Option<Login> {
        self.codes.remove(code).filter(|login| now < login.expires_at)
    }

    pub(super) fn keep_tokens(&mut self, access: String, refresh: String, login: Login, now: i64) {
        forget_expired(&mut self.access_tokens, now);
        self.refresh_tokens.insert(refresh, login.clone());
        self.access_tokens.insert(access, login);
    }

    pub(super) fn login_with_access(&self, token: &str, now: i64) -> Option<Login> {
        self.access_tokens.get(token).filter(|login| now < login.expires_at).cloned()
    }

    /// Takes the refresh token away: each is good for one refresh.
    pub(super) fn take_refresh(&mut self, token: &str) -> Option<Login> {
        let login = self.refresh_tokens.remove(token)?;
        (!self.disabled.contains(&login.user.login)).then_some(login)
    }

    /// Ends what can still be refreshed in the provider's session `sid`.
    pub(super) fn end_session(&mut self, sid: &str) {
        self.refresh_tokens.retain(|_, login| login.sid != sid);
    }
}

fn forget_expired(logins: &mut HashMap<String, Login>, now: i64) {
    logins.retain(|_, login| now < login.expires_at);
}
