//! What the provider was asked.

use axum::extract::Request;
use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use super::Params;

/// A request that reached the provider.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The method.
    pub method: Method,
    /// The request target.
    pub uri: Uri,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Seen {
    /// More than a form of any sane client; a demo need not read on.
    const MAX_BODY: usize = 256 * 1024;

    pub(super) async fn read(request: Request) -> Self {
        let (head, body) = request.into_parts();
        let body = axum::body::to_bytes(body, Self::MAX_BODY).await.unwrap_or_default();
        Self { method: head.method, uri: head.uri, headers: head.headers, body }
    }

    /// The parameters of the query string.
    pub fn query(&self) -> Params {
        Params::parse(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The parameters of the form in the body.
    pub fn form(&self) -> Params {
        Params::parse(&self.body)
    }

    /// A header as text, where it is there once and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// How often each endpoint was asked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Requests {
    /// Discovery documents.
    pub discovery: usize,
    /// JWK sets.
    pub jwks: usize,
    /// Authorization requests, picks among them.
    pub authorize: usize,
    /// Token requests.
    pub token: usize,
    /// `UserInfo` requests.
    pub userinfo: usize,
    /// Logout requests.
    pub end_session: usize,
}

/// An endpoint of the provider.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Endpoint {
    /// `/.well-known/openid-configuration`
    Discovery,
    /// `/jwks`
    Jwks,
    /// `/authorize`
    Authorize,
    /// `/token`
    Token,
    /// `/userinfo`
    Userinfo,
    /// `/end-session`
    EndSession,
}

impl Endpoint {
    pub(super) fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/.well-known/openid-configuration" => Self::Discovery,
            "/jwks" => Self::Jwks,
            "/authorize" => Self::Authorize,
            "/token" => Self::Token,
            "/userinfo" => Self::Userinfo,
            "/end-session" => Self::EndSession,
            _ => return None,
        })
    }

    pub(super) fn allows(self, method: &Method) -> bool {
        match self {
            Self::Token => method == Method::POST,
            Self::EndSession | Self::Userinfo => method == Method::GET || method == Method::POST,
            Self::Authorize | Self::Discovery | Self::Jwks => method == Method::GET,
        }
    }

    pub(super) fn count(self, requests: &mut Requests) {
        *match self {
            Self::Discovery => &mut requests.discovery,
            Self::Jwks => &mut requests.jwks,
            Self::Authorize => &mut requests.authorize,
            Self::Token => &mut requests.token,
            Self::Userinfo => &mut requests.userinfo,
            Self::EndSession => &mut requests.end_session,
        } += 1;
    }
}
