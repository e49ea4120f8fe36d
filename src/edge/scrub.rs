//! Headers that a client may not send, in any spelling.

use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;

/// Beginnings of header names that would make the API server, or the UI, take the request for another's.
const FOREIGN_CREDENTIALS: [&[u8]; 2] = [b"impersonate-", b"x-remote-"];

/// Beginnings of WebSocket subprotocols that carry a bearer token (Kubernetes' and Headlamp's).
const BEARER_SUBPROTOCOLS: [&str; 2] = ["base64url.bearer.authorization.k8s.io", "base64url.headlamp."];

/// Whether a header brings credentials that would reach the upstream beside ours.
///
/// In forward auth nothing can be taken away on the way to the upstream: the ingress passes on what it does
/// not know. A role's token may be allowed to impersonate, so a request with such a header is refused as a whole.
pub fn is_foreign_credential(name: &str, value: &HeaderValue) -> bool {
    is_foreign_name(name.as_bytes()) || (name == SEC_WEBSOCKET_PROTOCOL && has_bearer_subprotocol(value))
}

/// Names are compared as a sloppy server reads them: `_` and `.` for `-`. Their case is lower already.
fn is_foreign_name(name: &[u8]) -> bool {
    // Nearly every name ends here, and there are dozens in each check.
    if !matches!(name.first(), Some(b'i' | b'x')) {
        return false;
    }
    let normal = |byte: u8| if matches!(byte, b'_' | b'.') { b'-' } else { byte };
    FOREIGN_CREDENTIALS.iter().any(|prefix| {
        name.len() >= prefix.len() && name.iter().zip(*prefix).all(|(&byte, &wanted)| normal(byte) == wanted)
    })
}

fn has_bearer_subprotocol(value: &HeaderValue) -> bool {
    let Ok(protocols) = value.to_str() else { return true };
    protocols.split(',').any(|protocol| is_bearer_subprotocol(protocol.trim()))
}

fn is_bearer_subprotocol(protocol: &str) -> bool {
    let starts_with =
        |prefix: &&str| protocol.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    BEARER_SUBPROTOCOLS.iter().any(starts_with)
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName};
    use proptest::prelude::*;

    use super::*;

    fn with(name: &str, value: &str) -> HeaderMap {
        let name = HeaderName::try_from(name).unwrap();
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    fn has_foreign_credentials(headers: &HeaderMap) -> bool {
        headers.iter().any(|(name, value)| is_foreign_credential(name.as_str(), value))
    }

    #[test]
    fn impersonation_is_seen_in_every_spelling() {
        for name in [
            "impersonate-user",
            "Impersonate-User",
            "IMPERSONATE_GROUP",
            "impersonate.uid",
            "Impersonate-Extra-scopes",
            "x-remote-user",
            "X_Remote_Group",
            "X-Remote.Extra-a",
        ] {
            assert!(has_foreign_credentials(&with(name, "x")), "{name}");
        }
    }

    #[test]
    fn bearer_subprotocols_are_seen_wherever_they_stand() {
        for value in [
            "base64url.bearer.authorization.k8s.io.dG9rZW4",
            "base64.binary.k8s.io, base64url.bearer.authorization.k8s.io.dG9rZW4",
            "BASE64URL.BEARER.authorization.k8s.io.x",
            "v4.channel.k8s.io,base64url.headlamp.backend.authorization.k8s.io.x",
        ] {
            assert!(has_foreign_credentials(&with("sec-websocket-protocol", value)), "{value}");
        }
    }

    #[test]
    fn ordinary_headers_pass() {
        for (name, value) in [
            ("accept", "*/*"),
            ("authorization", "Bearer x"),
            ("x-real-ip", "1.2.3.4"),
            ("x-impersonate", "x"),
            ("sec-websocket-protocol", "v4.channel.k8s.io, base64.binary.k8s.io"),
        ] {
            assert!(!has_foreign_credentials(&with(name, value)), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_spelling_of_impersonation_passes(name in "[iI][mM][pP]erso[nN]at[eE][-_.][a-zA-Z]{1,8}") {
            prop_assert!(has_foreign_credentials(&with(&name, "x")));
        }
    }
}
