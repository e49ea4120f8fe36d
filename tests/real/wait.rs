//! Waiting for conditions, never for a time.

use std::time::{Duration, Instant};

/// Long enough for a slow machine; a test that works does not get near it.
pub(crate) const BOUND: Duration = Duration::from_mins(1);

const PAUSE: Duration = Duration::from_millis(50);

/// Asks until there is an answer.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < BOUND, "waited {BOUND:?} in vain: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Asks until there is an answer; what was seen last is told when there is none.
pub(crate) async fn until_async<T>(what: &str, mut ask: impl AsyncFnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(seen) => {
                assert!(start.elapsed() < BOUND, "waited {BOUND:?} in vain: {what}; seen last: {seen}");
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
}
