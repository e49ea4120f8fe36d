//! How many requests are with the upstream at once.
//!
//! A connection to it costs some 40 kB here and about as much there, and a UI on a few cores answers no sooner for
//! having hundreds of requests before it. So who comes when many are there already waits for one of them to come back,
//! and takes its connection; but not for long, since the upstream may also be slow.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that are with the upstream at once before the next one waits, and connections that are kept.
pub(super) const AT_ONCE: usize = 64;

/// How long a request waits for one of those before it to come back.
const PATIENCE: Duration = Duration::from_millis(25);

/// The length of an answer that is here as soon as its head, in bytes.
const SHORT: u64 = 64 * 1_024;

/// The slots of one upstream.
#[derive(Clone, Debug)]
pub(super) struct Slots(Arc<Semaphore>);

/// One of them, or none where nobody came back in time.
pub(super) type Slot = Option<OwnedSemaphorePermit>;

/// The body of an answer, which keeps its slot if it is short.
#[derive(Debug)]
pub struct Answer {
    body: Incoming,
    /// Kept for its `Drop`.
    _slot: Slot,
}

impl Slots {
    /// As many as `count`.
    pub(super) fn new(count: usize) -> Self {
        Self(Arc::new(Semaphore::new(count)))
    }

    /// A slot, once there is one.
    pub(super) async fn take(&self) -> Slot {
        match Arc::clone(&self.0).try_acquire_owned() {
            Ok(slot) => Some(slot),
            Err(_) => Box::pin(self.wait()).await,
        }
    }

    async fn wait(&self) -> Slot {
        let waiting = tokio::time::timeout(PATIENCE, Arc::clone(&self.0).acquire_owned());
        waiting.await.ok().and_then(Result::ok)
    }
}

impl Answer {
    /// `body`, with its `slot` if it is short. A watch may last for hours, and nobody shall wait for it.
    pub(super) fn new(body: Incoming, slot: Slot) -> Self {
        let keeps = is_short(&body.size_hint());
        Self { body, _slot: slot.filter(|_| keeps) }
    }
}

fn is_short(length: &SizeHint) -> bool {
    length.exact().is_some_and(|length| length <= SHORT)
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[test]
    fn an_answer_of_unknown_length_is_not_waited_for() {
        for (length, expected) in
            [(Some(0), true), (Some(SHORT), true), (Some(SHORT + 1), false), (None, false)]
        {
            let length_known = length.map_or_else(SizeHint::default, SizeHint::with_exact);
            assert_eq!(is_short(&length_known), expected, "{length:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_a_slot_does_not_wait() {
        let (slots, start) = (Slots::new(2), Instant::now());
        let taken = (slots.take().await, slots.take().await);
        assert!(taken.0.is_some() && taken.1.is_some());
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_finds_none_takes_the_next_that_comes_back() {
        let (slots, start) = (Slots::new(1), Instant::now());
        let taken = slots.take().await;
        let return_it = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            drop(taken);
        };
        let (next, ()) = tokio::join!(slots.take(), return_it);
        assert!(next.is_some());
        assert_eq!(start.elapsed(), Duration::from_millis(10));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_long() {
        let (slots, start) = (Slots::new(1), Instant::now());
        let taken = slots.take().await;
        assert!(slots.take().await.is_none());
        assert!(start.elapsed() <= Duration::from_millis(26), "{:?}", start.elapsed());
        drop(taken);
        assert!(slots.take().await.is_some());
    }
}
