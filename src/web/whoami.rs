//! `/lamplighter/whoami`: who is signed in, as what, for how long.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use jiff::{SignedDuration, Timestamp};

use super::pages::{Whoami, humane};
use super::{Gateway, answer, public};
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Credential, Decision, Grant, Kind, Session};
use crate::edge::reply::login_url;

/// Shows the session: a page for people, JSON for programs. Never a token.
pub(super) async fn whoami(
    State(gateway): State<Arc<Gateway>>,
    (method, uri): (Method, Uri),
    headers: HeaderMap,
) -> Response {
    let request = public::describe(&gateway, &method, &uri, &headers);
    let now = gateway.clock.now();
    match gateway.decide(&headers, &request, &mut [0; MAX_SESSION], now) {
        Decision::Allow(grant) if request.kind == Kind::Navigation => {
            answer::form(&page(&gateway, &grant, now))
        }
        Decision::Allow(grant) => Json(json(&grant)).into_response(),
        Decision::Deny(denial) => answer::not_a_page(Kind::Script, StatusCode::FORBIDDEN, denial.reason()),
        Decision::Challenge(_) if request.kind == Kind::Navigation => {
            answer::redirect(&login_url(&gateway.site, uri.path()), None)
        }
        Decision::Challenge(challenge) => {
            answer::not_a_page(Kind::Script, StatusCode::UNAUTHORIZED, challenge.reason())
        }
        Decision::SignOut(_) => answer::method_not_allowed("GET"),
    }
}

fn page(gateway: &Gateway, grant: &Grant<'_>, now: Timestamp) -> Whoami {
    let session = grant.session();
    let left = SignedDuration::from_secs(session.expires_at.saturating_sub(now.as_second()));
    Whoami {
        credential: credential(&grant.role().credential),
        email: email(session),
        expires_at: time(session.expires_at),
        groups: groups(session),
        name: session.name.to_string(),
        remaining: format!("in {}", humane(left)),
        role: grant.role().name.clone(),
        signed_in_at: time(session.issued_at),
        site_url: gateway.site.url("/"),
        subject: session.subject.to_string(),
    }
}

fn json(grant: &Grant<'_>) -> serde_json::Value {
    let session = grant.session();
    serde_json::json!({
        "subject": session.subject, "name": session.name, "email": email(session), "groups": groups(session),
        "role": grant.role().name, "credential": credential(&grant.role().credential),
        "signedInAt": time(session.issued_at), "expiresAt": time(session.expires_at),
    })
}

fn email(session: &Session<'_>) -> Option<String> {
    Some(session.email.to_string()).filter(|email| !email.is_empty())
}

fn groups(session: &Session<'_>) -> Vec<String> {
    session.groups.split(',').filter(|group| !group.is_empty()).map(str::to_owned).collect()
}

fn time(second: i64) -> String {
    Timestamp::from_second(second).map(|at| at.to_string()).unwrap_or_default()
}

fn credential(credential: &Credential) -> String {
    match credential {
        Credential::None => "Headers that name you, and no token".to_owned(),
        Credential::ServiceAccount { account, ttl, .. } => {
            let life = humane(SignedDuration::try_from(*ttl).unwrap_or_default());
            format!("ServiceAccount {account}, tokens live {life}")
        }
    }
}
