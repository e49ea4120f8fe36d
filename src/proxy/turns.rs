//! Whose turn it is on a kept connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Who spoke last on a connection, and whether it has served before.
///
/// Whoever asks on a connection that the other end closes at that moment gets no answer, and cannot tell whether
/// it was heard. Without an earlier answer there is no reason to take it for that.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<AtomicU8>);

const UNUSED: u8 = 0;
const ASKED: u8 = 1;
const ANSWERED: u8 = 2;
const ASKED_AGAIN: u8 = 3;

impl Turns {
    /// Something is being sent.
    pub(super) fn ask(&self) {
        match self.0.load(Ordering::Relaxed) {
            UNUSED => self.0.store(ASKED, Ordering::Relaxed),
            ANSWERED => self.0.store(ASKED_AGAIN, Ordering::Relaxed),
            _ => {}
        }
    }

    /// Something came.
    pub(super) fn hear(&self) {
        self.0.store(ANSWERED, Ordering::Relaxed);
    }

    /// Whether nothing came since the last request, on a connection that answered an earlier one.
    pub(super) fn is_unanswered_again(&self) -> bool {
        self.0.load(Ordering::Relaxed) == ASKED_AGAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_request_without_an_answer_is_told_from_a_first() {
        let turns = Turns::default();
        let mut seen = Vec::new();
        for step in [Turns::ask, Turns::ask, Turns::hear, Turns::hear, Turns::ask, Turns::ask, Turns::hear] {
            step(&turns);
            seen.push(turns.is_unanswered_again());
        }
        assert_eq!(seen, [false, false, false, false, true, true, false]);
    }
}
