//! What must outlive a request, and is not the browser's to keep.
//!
//! A check reads this process's memory and nothing else. With a shared store, what one replica learns every
//! other learns within a second, and learns again when it starts or was cut off.

mod memory;
mod shared;

use std::sync::Arc;

use jiff::Timestamp;

pub use memory::Memory;
pub use shared::{Settings, StoreError};

use crate::auth::SessionId;
use crate::clock::Clock;
use crate::metrics::{Health, Peer};
use shared::Shared;

/// Which sessions were ended before their time, and which login attempts were used.
#[derive(Debug)]
pub struct Store {
    local: Arc<Memory>,
    shared: Option<Shared>,
}

impl Store {
    /// Keeps everything in this process: right for one replica.
    pub fn in_memory() -> Self {
        Self { local: Arc::default(), shared: None }
    }

    /// Shares with every replica that has the same `settings`, and tells `server` how that one does. Connects in the
    /// background.
    pub fn shared(settings: &Settings, server: Peer, clock: Clock) -> Result<Self, StoreError> {
        let local: Arc<Memory> = Arc::default();
        let shared = Shared::start(settings, Arc::clone(&local), server, clock)?;
        Ok(Self { local, shared: Some(shared) })
    }

    /// Ends a session that would last until `expires_at`, in seconds since the epoch: here at once, elsewhere
    /// as soon as the store can be told.
    pub fn end(&self, session: SessionId, expires_at: i64) {
        self.local.end(session, expires_at);
        if let Some(shared) = &self.shared {
            shared.tell(session, expires_at);
        }
    }

    /// Whether a session was ended. Reads memory only.
    pub fn is_ended(&self, session: &SessionId) -> bool {
        self.local.is_ended(session)
    }

    /// Uses up the login attempt whose state is `state`, until `expires_at`; `false` when it was used before.
    ///
    /// Where the shared store cannot be asked, this replica's memory decides, and the provider, which takes a
    /// code once.
    pub async fn use_up(&self, state: [u8; 32], expires_at: i64) -> bool {
        if !self.local.use_up(state, expires_at) {
            return false;
        }
        match &self.shared {
            Some(shared) => shared.use_up(state, expires_at).await.unwrap_or(true),
            None => true,
        }
    }

    /// How the store that replicas share does; `None` without one.
    pub fn health(&self) -> Option<Health> {
        self.shared.as_ref().map(Shared::health)
    }

    /// How many sessions are known to have ended whose cookies could still be shown, and what the store is called.
    pub fn ended_sessions(&self) -> (&'static str, usize) {
        (if self.shared.is_some() { "redis" } else { "memory" }, self.local.count())
    }

    /// Forgets what is past.
    pub fn sweep(&self, now: Timestamp) {
        self.local.sweep(now);
    }
}
