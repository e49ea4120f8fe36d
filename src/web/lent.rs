//! An upstream's answer, for as long as the session lasts for which it was asked.
//!
//! A watch or a log over HTTP is as long as a WebSocket may be, and must not outlive the session either.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Buf, Frame, SizeHint};

use tokio::time::{Instant, Sleep, sleep};

use super::Gateway;
use crate::auth::{Session, SessionId};

/// How often it is looked whether the session lasts while nothing comes.
const LOOK: Duration = Duration::from_secs(5);

/// A body that breaks off at the first frame after its session has ended, or soon where no frame comes.
#[derive(Debug)]
pub(super) struct Lent<B> {
    body: B,
    gateway: Arc<Gateway>,
    lease: Lease,
    /// Until the next look. None: it was not waited for a frame, or not for one that may be long in coming.
    look: Option<Pin<Box<Sleep>>>,
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
        Self { body, gateway: Arc::clone(gateway), lease, look: None }
    }

    fn is_over(&self) -> bool {
        let Lease { session, expires_at } = &self.lease;
        self.gateway.clock.now().as_second() >= *expires_at || self.gateway.store.is_ended(session)
    }

    fn count<D: Buf, E>(&self, frame: &Result<Frame<D>, E>) {
        let data = frame.as_ref().ok().and_then(Frame::data_ref);
        self.gateway.metrics.carried.down.inc_by(data.map_or(0, D::remaining) as u64);
    }

    /// Ready once the session has ended.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let look = self.look.get_or_insert_with(|| Box::pin(sleep(LOOK)));
            ready!(look.as_mut().poll(context));
            if self.is_over() {
                return Poll::Ready(());
            }
            if let Some(look) = &mut self.look {
                look.as_mut().reset(Instant::now() + LOOK);
            }
        }
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
        let is_over = match Pin::new(&mut self.body).poll_frame(context) {
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Ready(Some(frame)) if !self.is_over() => {
                self.count(&frame);
                return Poll::Ready(Some(frame.map_err(Into::into)));
            }
            Poll::Ready(Some(_)) => true,
            // What has a length is no watch, and nearly every answer has one.
            Poll::Pending => self.body.size_hint().exact().is_none() && self.poll_end(context).is_ready(),
        };
        if is_over { Poll::Ready(Some(Err(SessionEnded.into()))) } else { Poll::Pending }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
