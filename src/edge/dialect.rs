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
    /// Traefik's `forwardAuth` and Caddy's `forward_auth`: `X-Forwarded-Method`, `X-Forwarded-Host` and
    /// `X-Forwarded-Uri`.
    ForwardAuth,
    /// Envoy's `ext_authz` over HTTP, and what is built on it: the request line, behind a prefix, and `Host`.
    ExtAuthz,
}

impl Dialect {
    /// Every dialect.
    pub const ALL: [Self; 3] = [Self::AuthRequest, Self::ForwardAuth, Self::ExtAuthz];

    /// The path on the authz listener; of [`Self::ExtAuthz`], what stands before the original path.
    pub fn path(self) -> &'static str {
        match self {
            Self::AuthRequest => "/authz/auth-request",
            Self::ForwardAuth => "/authz/forward-auth",
            Self::ExtAuthz => "/authz/ext-authz",
        }
    }

    /// The dialect that is spoken at `target`, a path with its query.
    ///
    /// Bytes are compared as they came: Envoy sends `/../../x` on as `/authz/ext-authz/../../x`, and whoever resolves
    /// that looks at another request than the one that is asked about. A query is none of ours: Caddy adds the
    /// client's to its question.
    pub fn at(target: &str) -> Option<Self> {
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        Self::ALL.into_iter().find(|dialect| match dialect {
            Self::AuthRequest | Self::ForwardAuth => path == dialect.path(),
            Self::ExtAuthz => path.strip_prefix(dialect.path()).is_some_and(|rest| rest.starts_with('/')),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_known_by_its_path_alone() {
        let table = [
            ("/authz/auth-request", Some(Dialect::AuthRequest)),
            ("/authz/auth-request?x=/authz/forward-auth", Some(Dialect::AuthRequest)),
            ("/authz/forward-auth?a=b", Some(Dialect::ForwardAuth)),
            ("/authz/ext-authz/", Some(Dialect::ExtAuthz)),
            ("/authz/ext-authz/c/main?a=b", Some(Dialect::ExtAuthz)),
            ("/authz/ext-authz//", Some(Dialect::ExtAuthz)),
            ("/authz/ext-authz/../auth-request", Some(Dialect::ExtAuthz)),
            ("/authz/ext-authz", None),
            ("/authz/ext-authz?/", None),
            ("/authz/ext-authzx/", None),
            ("/authz/auth-request/", None),
            ("/authz/forward-auth/x", None),
            ("//authz/forward-auth", None),
            ("/authz/Forward-Auth", None),
            ("/authz/%66orward-auth", None),
            ("/authz/", None),
            ("/", None),
            ("", None),
        ];
        for (target, dialect) in table {
            assert_eq!(Dialect::at(target), dialect, "{target}");
        }
    }
}
