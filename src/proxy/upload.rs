//! A request's body on its way to the upstream.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use prometheus_client::metrics::counter::Counter;

use crate::edge::scrub;

/// What a client sends, less the trailers that it may not send; nothing at all for a handshake.
///
/// Of one word: hyper keeps room for dozens of requests beside each connection.
#[derive(Debug)]
pub struct Upload(Option<Box<Sending>>);

#[derive(Debug)]
struct Sending {
    body: Incoming,
    sent: Arc<AtomicU64>,
    bytes: Counter,
}

/// How far a body got: while it moves, nobody has waited for the answer yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Option<Arc<AtomicU64>>);

impl Upload {
    /// The whole of `body`, whose bytes are told to `bytes`.
    pub fn of(body: Incoming, bytes: &Counter) -> Self {
        if body.is_end_stream() {
            Self::none()
        } else {
            Self(Some(Box::new(Sending { body, sent: Arc::default(), bytes: bytes.clone() })))
        }
    }

    /// No body.
    pub fn none() -> Self {
        Self(None)
    }

    /// How far it got.
    pub(super) fn progress(&self) -> Progress {
        Progress(self.0.as_ref().map(|sending| Arc::clone(&sending.sent)))
    }
}

impl Progress {
    /// How many pieces were sent so far.
    pub(super) fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(sending) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(Pin::new(&mut sending.body).poll_frame(context));
        sending.sent.fetch_add(1, Ordering::Relaxed);
        Poll::Ready(frame.map(|frame| {
            let mut frame = frame?;
            if let Some(data) = frame.data_ref() {
                sending.bytes.inc_by(data.len() as u64);
            }
            if let Some(trailers) = frame.trailers_mut() {
                scrub::trailers_for_upstream(trailers);
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|sending| sending.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |sending| sending.body.size_hint())
    }
}
