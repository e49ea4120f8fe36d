//! An upstream's answer, for as long as the session lasts for which it was asked.
//!
//! A watch or a log over HTTP is as long as a WebSocket may be, and must not outlive the session either.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};

use super::Gateway;
use crate::auth::{Session, SessionId};

/// A body that breaks off at the first frame after its session has ended.
#[derive(Debug)]
pub(super) struct Lent<B> {
    body: B,
    gateway: Arc<Gateway>,
    lease: Lease,
}

/// For which session something is lent, and until when at the most.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    session: SessionId,
    /// In seconds since the epoch.
    expires_at: i64,
}

impl Lease {
    /// As long as `session`.
    pub(super) fn of(session: &Session<'_>) -> Self {
        Self { session: session.id, expires_at: session.expires_at }
    }
}

/// The session has ended.
#[derive(Debug, thiserror::Error)]
#[error("the session has ended")]
struct SessionEnded;

impl<B> Lent<B> {
    pub(super) fn new(body: B, gateway: &Arc<Gateway>, lease: Lease) -> Self {
        Self { body, gateway: Arc::clone(gateway), lease }
    }

    fn is_over(&self) -> bool {
        let Lease { session, expires_at } = &self.lease;
        self.gateway.clock.now().as_second() >= *expires_at || self.gateway.store.is_ended(session)
    }
}

impl<B> Body for Lent<B>
where
    B: Body<Error: Into<axum::BoxError>> + Unpin,
{
    type Data = B::Data;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, axum::BoxError>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_some() && self.is_over() {
            return Poll::Ready(Some(Err(SessionEnded.into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
