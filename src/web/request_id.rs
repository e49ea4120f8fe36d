//! A name for each request, in log, answer and page.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Response as Answer};

use crate::random;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request's name.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

impl RequestId {
    /// The ingress's own name for the request, or a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        Self::given(headers).unwrap_or_else(Self::draw)
    }

    /// The ingress's own name for the request, if it is a plain one; nginx passes on what a client sends.
    pub(super) fn given(headers: &HeaderMap) -> Option<Self> {
        let given = headers.get(X_REQUEST_ID)?.to_str().ok()?;
        let is_plain =
            (1..=64).contains(&given.len()) && given.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        is_plain.then(|| Self(given.to_owned()))
    }

    /// The same answer, with the name in it.
    pub(super) fn say_in<B>(&self, mut response: Answer<B>) -> Answer<B> {
        if let Ok(value) = HeaderValue::try_from(self.0.as_str()) {
            response.headers_mut().insert(X_REQUEST_ID, value);
        }
        response
    }

    /// A new name.
    pub(super) fn draw() -> Self {
        Self(format!("{:016x}", u64::from_be_bytes(random::bytes())))
    }
}

/// Names the request, and says the name in the answer.
pub(super) async fn assign(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    id.say_in(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(given: &str) -> String {
        let headers = [(X_REQUEST_ID, HeaderValue::try_from(given).unwrap())].into_iter().collect();
        RequestId::of(&headers).0
    }

    #[test]
    fn a_plain_name_is_kept_and_any_other_replaced() {
        assert_eq!(id("0af7651916cd43dd-1"), "0af7651916cd43dd-1");
        for odd in ["", "a b", "<script>", &"a".repeat(65)] {
            assert_ne!(id(odd), odd);
            assert_eq!(id(odd).len(), 16);
        }
    }
}
