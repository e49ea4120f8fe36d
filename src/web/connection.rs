//! How long a connection may keep us waiting.
//!
//! hyper's own header timeout makes a timer for each request, and cannot tell a peer that is idle between two
//! requests from one that dribbles a header. Here a connection has one timer, which looks at a deadline that
//! each step moves.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Frame, SizeHint};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::framing::Framing;

/// What a peer's silence costs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Time for a request's head to arrive, from its first byte on. Held to the next multiple of it, and exactly for
    /// a connection's first head.
    pub(super) head: Duration,
    /// Time between an answer and the first byte of the next request, likewise in multiples of `head`.
    pub(super) idle: Duration,
}

/// What one connection is at. Each step counts, so that a step that lasts is told from one that comes again.
#[derive(Debug)]
pub(super) struct Deadline {
    patience: Patience,
    step: AtomicU64,
    /// Whether the peer began something that it has not finished, as far as that can be told.
    has_begun: AtomicBool,
    /// Whether it cannot be told any more.
    is_lost: AtomicBool,
}

/// The two lowest bits of a step say what it is.
const HEAD: u64 = 0;
const WORKING: u64 = 1;
const IDLE: u64 = 2;
const KINDS: u64 = 3;

impl Deadline {
    /// A connection that began just now, and owes us its first head.
    pub(super) fn begin(patience: Patience) -> Arc<Self> {
        Arc::new(Self {
            patience,
            step: AtomicU64::new(HEAD),
            has_begun: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
        })
    }

    /// A head is complete: from here on the peer waits for us.
    pub(super) fn work(&self) {
        self.go_on_to(WORKING);
    }

    /// Where a message ends is not known from here on.
    pub(super) fn lose_track(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    /// An answer is complete. What came ahead of it may be the beginning of the next head.
    fn rest(&self) {
        let owes = self.has_begun.load(Ordering::Relaxed) && !self.is_lost.load(Ordering::Relaxed);
        self.go_on_to(if owes { HEAD } else { IDLE });
    }

    /// Something came, and ended within a message or between two.
    fn hear(&self, is_within: bool) {
        self.has_begun.store(is_within, Ordering::Relaxed);
        if self.step.load(Ordering::Relaxed) & KINDS == IDLE {
            self.go_on_to(HEAD);
        }
    }

    /// One task at a time moves a connection on, so there is nothing to race with but a look from [`Self::missed`].
    fn go_on_to(&self, kind: u64) {
        let step = self.step.load(Ordering::Relaxed);
        self.step.store((step | KINDS).wrapping_add(1) | kind, Ordering::Relaxed);
    }

    /// Done when the peer has kept us waiting for too long.
    pub(super) async fn missed(&self) {
        let looks = u32::try_from(self.patience.idle.as_millis() / self.patience.head.as_millis().max(1));
        let (mut seen, mut unchanged) = (self.step.load(Ordering::Relaxed), 0);
        loop {
            tokio::time::sleep(self.patience.head).await;
            let step = self.step.load(Ordering::Relaxed);
            unchanged = if step == seen { unchanged + 1 } else { 0 };
            seen = step;
            match step & KINDS {
                HEAD if unchanged > 0 => return,
                IDLE if unchanged >= looks.unwrap_or(1).max(1) => return,
                _ => {}
            }
        }
    }
}

/// Whether a head on this connection had two readings. From then on nothing on it has one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ambiguity(Arc<AtomicBool>);

impl Ambiguity {
    /// So it is.
    pub(super) fn is_found(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A stream that is followed while it is read: when something came, and what it can be taken for.
#[derive(Debug)]
pub(super) struct Heard<S> {
    stream: S,
    deadline: Arc<Deadline>,
    follower: Follower,
}

/// How closely a stream is followed.
#[derive(Debug)]
enum Follower {
    /// By each line of its heads.
    Lines(Framing, Ambiguity),
    /// By its last four bytes: enough where requests have no bodies, since an empty line ends a head.
    End(u32),
}

impl<S> Heard<S> {
    /// Moves `deadline`. Where `ambiguity` is given, tells it of heads with two readings.
    pub(super) fn new(stream: S, deadline: Arc<Deadline>, ambiguity: Option<Ambiguity>) -> Self {
        let follower = match ambiguity {
            Some(ambiguity) => Follower::Lines(Framing::begin(), ambiguity),
            None => Follower::End(EMPTY_LINE),
        };
        Self { stream, deadline, follower }
    }
}

const EMPTY_LINE: u32 = u32::from_be_bytes(*b"\r\n\r\n");

impl Follower {
    /// Takes note of `bytes`; whether they end within a message.
    fn follow(&mut self, bytes: &[u8]) -> bool {
        match self {
            Self::Lines(framing, ambiguity) => {
                if !ambiguity.is_found() && framing.follow(bytes).is_err() {
                    ambiguity.0.store(true, Ordering::Relaxed);
                }
                !framing.is_between()
            }
            Self::End(end) => {
                let last = &bytes[bytes.len().saturating_sub(4)..];
                *end = last.iter().fold(*end, |end, byte| end << 8 | u32::from(*byte));
                *end != EMPTY_LINE
            }
        }
    }
}

/// Takes an upgraded connection of a listener's apart: its stream, and what was read ahead.
pub(super) fn bare(upgraded: Upgraded) -> Result<(TcpStream, Vec<u8>), Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Heard<TcpStream>>>()?;
    Ok((parts.io.into_inner().stream, parts.read_buf.to_vec()))
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(context, buffer))?;
        let is_within = this.follower.follow(&buffer.filled()[before..]);
        this.deadline.hear(is_within);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }
}

/// A body at whose end the connection rests.
#[derive(Debug)]
pub(super) struct Told<B> {
    body: B,
    rest: Rest,
}

#[derive(Debug)]
struct Rest(Arc<Deadline>);

impl Drop for Rest {
    fn drop(&mut self) {
        self.0.rest();
    }
}

impl<B> Told<B> {
    pub(super) fn new(body: B, deadline: Arc<Deadline>) -> Self {
        Self { body, rest: Rest(deadline) }
    }
}

impl<B: Body + Unpin> Body for Told<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let _ = &self.rest;
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
    use tokio::io::AsyncReadExt as _;

    use super::*;

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), idle: Duration::from_secs(90) };

    async fn missed_within(deadline: &Deadline, seconds: u64) -> bool {
        tokio::time::timeout(Duration::from_secs(seconds), deadline.missed()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_head_has_ten_seconds() {
        let deadline = Deadline::begin(PATIENCE);
        assert!(!missed_within(&deadline, 9).await);
        assert!(missed_within(&deadline, 11).await);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_may_take_as_long_as_it_takes() {
        let deadline = Deadline::begin(PATIENCE);
        deadline.work();
        assert!(!missed_within(&deadline, 3_600).await);
    }

    #[tokio::test(start_paused = true)]
    async fn between_requests_there_is_time_but_not_within_a_head() {
        let deadline = Deadline::begin(PATIENCE);
        let watching = {
            let deadline = Arc::clone(&deadline);
            tokio::spawn(async move { deadline.missed().await })
        };
        deadline.work();
        drop(Told::new((), Arc::clone(&deadline)));
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(!watching.is_finished());
        deadline.hear(true);
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(!watching.is_finished());
        deadline.hear(true);
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert!(watching.is_finished(), "a second byte buys no more time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_asks_again_and_again_is_not_idle() {
        let deadline = Deadline::begin(PATIENCE);
        let watching = {
            let deadline = Arc::clone(&deadline);
            tokio::spawn(async move { deadline.missed().await })
        };
        for _ in 0..100 {
            deadline.hear(false);
            deadline.work();
            drop(Told::new((), Arc::clone(&deadline)));
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        assert!(!watching.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_behind_a_request_is_a_head() {
        for with_lines in [true, false] {
            let deadline = Deadline::begin(PATIENCE);
            let ambiguity = with_lines.then(Ambiguity::default);
            let mut heard =
                Heard::new(&b"GET / HTTP/1.1\r\n\r\nGET / HT"[..], Arc::clone(&deadline), ambiguity);
            heard.read_to_end(&mut Vec::new()).await.unwrap();
            deadline.work();
            drop(Told::new((), Arc::clone(&deadline)));
            assert!(missed_within(&deadline, 11).await, "{with_lines}");
        }
    }

    #[test]
    fn an_empty_line_is_the_end_however_it_was_cut() {
        let mut follower = Follower::End(EMPTY_LINE);
        let pieces: [&[u8]; 5] = [b"GET / HTTP/1.1\r", b"\n", b"\r", b"\n", b"G"];
        assert_eq!(pieces.map(|piece| follower.follow(piece)), [true, true, true, false, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_rests_for_too_long_is_over() {
        let deadline = Deadline::begin(PATIENCE);
        drop(Told::new((), Arc::clone(&deadline)));
        assert!(!missed_within(&deadline, 89).await);
        assert!(missed_within(&deadline, 111).await);
    }
}
