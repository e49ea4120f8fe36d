//! What is known of a peer, by the calls that are made of it anyway: nobody asks it for the sake of knowing.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

/// A peer, as the last call of it ended. Clones know the same.
#[derive(Clone, Debug, Default)]
pub struct Peer(Arc<Mutex<Health>>);

/// How a peer does.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Health {
    /// Each call has failed since then.
    Failing {
        /// When the first of them did.
        since: Timestamp,
        /// The last of them.
        last: Failure,
    },
    /// Nothing was asked of it so far.
    #[default]
    Unknown,
    /// The last call went well.
    Well,
}

/// A call that failed: words of ours alone, for everybody to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Failure {
    /// What was asked for.
    pub call: &'static str,
    /// Whether the peer answered at all.
    pub is_answered: bool,
    /// The reason in one word.
    pub reason: &'static str,
}

impl Peer {
    /// A call went well, or failed at `now`.
    pub fn answered(&self, failure: Option<Failure>, now: Timestamp) {
        let mut health = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *health = match (failure, *health) {
            (None, _) => Health::Well,
            (Some(last), Health::Failing { since, .. }) => Health::Failing { since, last },
            (Some(last), Health::Unknown | Health::Well) => Health::Failing { since: now, last },
        };
    }

    /// How it does.
    pub fn health(&self) -> Health {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_peer_fails_since_the_first_of_the_calls_that_failed_in_a_row() {
        let failure = |call| Failure { call, is_answered: false, reason: "provider-unreachable" };
        let peer = Peer::default();
        assert_eq!(peer.health(), Health::Unknown);
        peer.answered(Some(failure("token")), at(1));
        peer.clone().answered(Some(failure("discovery")), at(2));
        assert_eq!(peer.health(), Health::Failing { since: at(1), last: failure("discovery") });
        peer.answered(None, at(3));
        assert_eq!(peer.health(), Health::Well);
        peer.answered(Some(failure("token")), at(4));
        assert_eq!(peer.health(), Health::Failing { since: at(4), last: failure("token") });
    }
}
