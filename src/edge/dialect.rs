//! How an ingress asks.

/// How an ingress asks, which is known by the path it asks at and never guessed from headers.
///
/// A header that one ingress sets is a header that another lets the client set, so each dialect reads its
/// own and no other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dialect {
    /// nginx's `auth_request`, the ingress-nginx annotation `auth-url`, `HAProxy`'s auth-request script:
    /// `X-Original-URL` and `X-Original-Method`.
    AuthRequest,
}

impl Dialect {
    /// The path on the authz listener.
    pub fn path(self) -> &'static str {
        match self {
            Self::AuthRequest => "/authz/auth-request",
        }
    }

    /// The dialect that is spoken at `path`.
    pub fn at(path: &str) -> Option<Self> {
        [Self::AuthRequest].into_iter().find(|dialect| dialect.path() == path)
    }
}
