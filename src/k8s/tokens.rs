//! Minted tokens: one per session and role, asked for once, renewed ahead.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, PoisonError};

use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};

use super::{MintError, Minted, Minter};
use crate::auth::{Credential, Grant, IdHasher, SessionId};
use crate::metrics::TokenCache;

/// How long a failure answers for the next attempt: a UI in trouble polls several times a second.
const FAILURE_LIFE: SignedDuration = SignedDuration::from_secs(2);

/// How old a token has to be for a new one to fare better.
const LEAST_AGE: SignedDuration = SignedDuration::from_secs(30);

/// A session's tokens, by the role that they are for.
type Key = (SessionId, u64);

/// The tokens that live.
#[derive(Debug)]
pub struct Tokens {
    minter: Minter,
    live: papaya::HashMap<Key, Minted, BuildHasherDefault<IdHasher>>,
    flights: Mutex<HashMap<Key, Arc<Flight>>>,
    counts: TokenCache,
    clock: crate::clock::Clock,
}

/// For when a token is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum For {
    /// For a request that waits.
    Now,
    /// For those that will come when the one at hand is too old.
    Later,
}

/// What holds concurrent requests for one token together: one asks, the others wait for its answer.
#[derive(Debug, Default)]
struct Flight(tokio::sync::Mutex<Option<(Timestamp, MintError)>>);

/// What is at hand for a grant.
#[derive(Debug)]
pub enum AtHand<T = HeaderValue> {
    /// The role has no token.
    NotNeeded,
    /// One that is good to use, or what was made of it.
    Token(T),
    /// None; it has to be minted.
    Missing,
}

impl Tokens {
    /// Keeps what `minter` mints, and tells `counts` how often that served.
    pub fn new(minter: Minter, counts: TokenCache, clock: crate::clock::Clock) -> Arc<Self> {
        let (live, flights) = (papaya::HashMap::default(), Mutex::default());
        Arc::new(Self { minter, live, flights, counts, clock })
    }

    /// What is at hand, without waiting and without allocating; a token that grows old is renewed meanwhile.
    pub fn at_hand(self: &Arc<Self>, grant: &Grant<'_>, now: Timestamp) -> AtHand {
        self.at_hand_as(grant, now, |minted| minted.authorization.clone())
    }

    /// The same, where what is at hand is wanted in another shape.
    pub fn at_hand_as<T>(
        self: &Arc<Self>,
        grant: &Grant<'_>,
        now: Timestamp,
        shape: impl FnOnce(&Minted) -> T,
    ) -> AtHand<T> {
        if matches!(grant.role().credential, Credential::None) {
            return AtHand::NotNeeded;
        }
        let live = self.live.pin();
        let Some(minted) = live.get(&key(grant)) else { return AtHand::Missing };
        if now >= minted.good_until {
            return AtHand::Missing;
        }
        self.counts.hit.inc();
        if now >= minted.renew_at {
            self.renew(grant);
        }
        AtHand::Token(shape(minted))
    }

    /// A token for `grant`: the one at hand, or a new one. Whoever comes meanwhile waits for the same.
    ///
    /// Minting goes on when the caller goes away, since others may wait for it and the UI will ask again.
    pub async fn obtain(
        self: &Arc<Self>,
        grant: &Grant<'_>,
        now: Timestamp,
    ) -> Result<Option<HeaderValue>, MintError> {
        match self.at_hand(grant, now) {
            AtHand::NotNeeded => return Ok(None),
            AtHand::Token(token) => return Ok(Some(token)),
            AtHand::Missing => {}
        }
        let (tokens, key) = (Arc::clone(self), key(grant));
        let grant = grant.clone().into_owned();
        let minting = tokio::spawn(async move { tokens.mint(&grant, For::Now).await });
        let gone = |_| MintError::Unavailable("the attempt was broken off".into());
        match minting.await.map_err(gone)? {
            Ok(minted) => Ok(minted.map(|minted| minted.authorization)),
            Err(error) => self.last_of(key, &error).map(Some).ok_or(error),
        }
    }

    /// A token in its last minute: better than none, while the API server cannot be reached.
    fn last_of(&self, key: Key, error: &MintError) -> Option<HeaderValue> {
        let now = self.clock.now();
        let live = self.live.pin();
        let minted = live.get(&key).filter(|minted| error.may_pass() && now < minted.expires_at)?;
        Some(minted.authorization.clone())
    }

    /// Forgets `token`, which a UI did not take; whether another may fare better.
    ///
    /// An API server that takes no token of this kind must not be asked for one at each request.
    pub fn reject(&self, grant: &Grant<'_>, token: &HeaderValue, now: Timestamp) -> bool {
        let (live, key) = (self.live.pin(), key(grant));
        let Some(minted) = live.get(&key).filter(|minted| minted.authorization == *token) else {
            return live.contains_key(&key);
        };
        if now < minted.minted_at + LEAST_AGE {
            return false;
        }
        live.remove(&key);
        true
    }

    /// Forgets a session's tokens.
    pub fn forget(&self, session: SessionId) {
        self.live.pin().retain(|(id, _), _| *id != session);
    }

    /// Forgets tokens that are over.
    pub fn sweep(&self, now: Timestamp) {
        self.live.pin().retain(|_, minted| now < minted.expires_at);
        self.minter.sweep(now);
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.retain(|_, flight| Arc::strong_count(flight) > 1);
    }

    /// Renews in the background, once at a time.
    fn renew(self: &Arc<Self>, grant: &Grant<'_>) {
        let flight = self.flight(key(grant));
        if flight.0.try_lock().is_err() {
            return;
        }
        let tokens = Arc::clone(self);
        let grant = grant.clone().into_owned();
        tokio::spawn(async move {
            if let Err(error) = tokens.mint(&grant, For::Later).await {
                tracing::debug!(%error, "could not renew a token yet");
            }
        });
    }

    /// Mints, unless somebody just did or just failed to.
    async fn mint(&self, grant: &Grant<'_>, wanted: For) -> Result<Option<Minted>, MintError> {
        let key = key(grant);
        let flight = self.flight(key);
        let mut failure = flight.0.lock().await;
        let now = self.clock.now();
        if let Some(known) = self.known(key, failure.as_ref(), wanted, now) {
            if wanted == For::Now {
                self.counts.coalesced.inc();
            }
            return known.map(Some);
        }
        let asked = if wanted == For::Now { &self.counts.miss } else { &self.counts.refresh_ahead };
        asked.inc();
        match self.minter.mint(grant, now).await {
            Ok(minted) => {
                *failure = None;
                if let Some(minted) = &minted {
                    self.live.pin().insert(key, minted.clone());
                }
                Ok(minted)
            }
            Err(error) => {
                tracing::error!(%error, role = grant.role().name, "could not mint a token");
                *failure = Some((self.clock.now(), error.clone()));
                Err(error)
            }
        }
    }

    /// What somebody was told just now: a token that will do, or why there is none.
    fn known(
        &self,
        key: Key,
        failure: Option<&(Timestamp, MintError)>,
        wanted: For,
        now: Timestamp,
    ) -> Option<Result<Minted, MintError>> {
        let good_until = |minted: &Minted| match wanted {
            For::Now => minted.good_until,
            For::Later => minted.renew_at,
        };
        if let Some(minted) = self.live.pin().get(&key).filter(|minted| now < good_until(minted)) {
            return Some(Ok(minted.clone()));
        }
        let (_, error) = failure.filter(|(at, _)| now < *at + FAILURE_LIFE && now >= *at)?;
        Some(Err(error.clone()))
    }

    fn flight(&self, key: Key) -> Arc<Flight> {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(flights.entry(key).or_default())
    }
}

fn key(grant: &Grant<'_>) -> Key {
    (grant.session().id, grant.role().fingerprint())
}
