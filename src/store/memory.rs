//! A store in this process: right for one replica.

use std::hash::BuildHasherDefault;

use jiff::Timestamp;

use crate::auth::{IdHasher, SessionId};

/// Which sessions were ended before their time, and which login attempts were used.
///
/// Both are remembered only as long as the cookie that they are about could still be shown.
#[derive(Debug, Default)]
pub struct Memory {
    ended: papaya::HashMap<SessionId, i64, BuildHasherDefault<IdHasher>>,
    used: papaya::HashMap<[u8; 32], i64>,
}

impl Memory {
    /// Ends a session that would last until `expires_at`, in seconds since the epoch.
    pub fn end(&self, session: SessionId, expires_at: i64) {
        self.ended.pin().insert(session, expires_at);
    }

    /// Whether a session was ended. Reads memory only.
    pub fn is_ended(&self, session: &SessionId) -> bool {
        self.ended.pin().contains_key(session)
    }

    /// How many sessions were ended whose cookies could still be shown.
    pub fn count(&self) -> usize {
        self.ended.len()
    }

    /// Uses up the login attempt whose state is `state`, until `expires_at`; `false` when it was used before.
    pub fn use_up(&self, state: [u8; 32], expires_at: i64) -> bool {
        self.used.pin().try_insert(state, expires_at).is_ok()
    }

    /// Forgets what is past.
    pub fn sweep(&self, now: Timestamp) {
        let now = now.as_second();
        self.ended.pin().retain(|_, expires_at| now < *expires_at);
        self.used.pin().retain(|_, expires_at| now < *expires_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ended_session_stays_ended_until_it_would_be_over() {
        let store = Memory::default();
        store.end(SessionId([1; 16]), 100);
        store.sweep(Timestamp::from_second(99).unwrap());
        assert!(store.is_ended(&SessionId([1; 16])) && !store.is_ended(&SessionId([2; 16])));
        store.sweep(Timestamp::from_second(100).unwrap());
        assert!(!store.is_ended(&SessionId([1; 16])));
    }

    #[test]
    fn a_login_attempt_is_used_once() {
        let store = Memory::default();
        assert!(store.use_up([1; 32], 100) && !store.use_up([1; 32], 100) && store.use_up([2; 32], 100));
    }
}
