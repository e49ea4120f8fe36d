//! A request's body on its way to the upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use crate::edge::scrub;

/// What a client sends, less the trailers that it may not send; nothing at all for a handshake.
#[derive(Debug)]
pub struct Upload {
    body: Option<Incoming>,
    progress: Progress,
}

/// How far a body got: while it moves, nobody has waited for the answer yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Option<Arc<AtomicU64>>);

impl Upload {
    /// The whole of `body`.
    pub fn of(body: Incoming) -> Self {
        let progress = if body.is_end_stream() { None } else { Some(Arc::default()) };
        Self { body: Some(body), progress: Progress(progress) }
    }

    /// No body.
    pub fn none() -> Self {
        Self { body: None, progress: Progress(None) }
    }

    /// How far it got.
    pub(super) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Progress {
    /// How many pieces were sent so far.
    pub(super) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn step(&self) {
        if let Some(count) = &self.0 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(body).poll_frame(context));
        self.progress.step();
        Poll::Ready(frame.map(|frame| {
            let mut frame = frame?;
            if let Some(trailers) = frame.trailers_mut() {
                scrub::trailers_for_upstream(trailers);
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
