//! HTTP answers as values, and the ways in which one can go wrong.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use hyper::body::Frame;
use serde_json::Value;

use super::Hook;

/// What the provider is about to answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers; a name may occur twice.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// How long the client waits before the first byte.
    pub delay: Duration,
    /// Whether the answer stops half-way through its body and leaves the connection open.
    pub stall: bool,
}

impl Answer {
    pub(super) fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { status, headers, body: body.into(), delay: Duration::ZERO, stall: false }
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(super) fn redirect(location: &str) -> Self {
        Self::new(303, "text/plain", "").with("location", location)
    }

    pub(super) fn with(mut self, name: &str, value: &str) -> Self {
        self.set_header(name, value);
        self
    }

    /// Replaces the header `name` by one `value`.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    pub(super) async fn send(self) -> Response {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        let body = if self.stall { Body::new(Stall::half_of(self.body)) } else { Body::from(self.body) };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).expect("a hook sets a status of HTTP");
        for (name, value) in self.headers {
            let name = HeaderName::try_from(name).expect("a hook sets a header name of HTTP");
            let value = HeaderValue::try_from(value).expect("a hook sets a header value of HTTP");
            response.headers_mut().append(name, value);
        }
        response
    }
}

/// A change to an answer.
///
/// Changes combine: `Reply::status(500).and(Reply::slow(Duration::from_secs(1)))`.
pub type Reply = Hook<Answer>;

impl Reply {
    /// Edits the JSON of the body and leaves all else.
    pub fn json(edit: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        Self::new(move |answer| {
            let mut body = serde_json::from_slice(&answer.body).unwrap_or_default();
            edit(&mut body);
            answer.body = body.to_string().into_bytes();
        })
    }

    /// Answers `status` with an OAuth-like error in place of the body.
    pub fn status(status: u16) -> Self {
        Self::text(status, "application/json", r#"{"error":"server_error"}"#)
    }

    /// Answers something else altogether.
    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let answer = Answer::new(status, content_type, body);
        Self::new(move |old| *old = answer.clone())
    }

    /// Sends the client elsewhere, with 302.
    pub fn redirect(location: &str) -> Self {
        Self::text(302, "text/plain", "").and(Self::header("location", location))
    }

    /// Sets one header.
    pub fn header(name: &str, value: &str) -> Self {
        let (name, value) = (name.to_owned(), value.to_owned());
        Self::new(move |answer| answer.set_header(&name, &value))
    }

    /// Grows the body by `bytes` of white space, so that it is still valid JSON.
    pub fn huge(bytes: usize) -> Self {
        Self::new(move |answer| {
            answer.body.splice(0..0, std::iter::repeat_n(b' ', bytes));
        })
    }

    /// Waits before it answers.
    pub fn slow(delay: Duration) -> Self {
        Self::new(move |answer| answer.delay += delay)
    }

    /// Sends half of the body and then nothing, on an open connection.
    pub fn stall() -> Self {
        Self::new(|answer| answer.stall = true)
    }
}

/// A body that never ends.
struct Stall(Option<Bytes>);

impl Stall {
    fn half_of(mut body: Vec<u8>) -> Self {
        body.truncate(body.len() / 2);
        Self(Some(body.into()))
    }
}

impl hyper::body::Body for Stall {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.take().map_or(Poll::Pending, |bytes| Poll::Ready(Some(Ok(Frame::data(bytes)))))
    }
}
