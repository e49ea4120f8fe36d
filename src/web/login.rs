//! `/lamplighter/login`: the check's other half, for people.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use jiff::Timestamp;

use super::pages::SignedOut;
use super::problem::Problem;
use super::request_id::RequestId;
use super::{Gateway, answer, public};
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Challenge, Decision, Denial, Grant, Kind, LoginAttempt, Provenance, ReturnTo, Secrets};
use crate::edge::reply::login_url;
use crate::oidc::Prompt;
use crate::random;

const SEC_PURPOSE: HeaderName = HeaderName::from_static("sec-purpose");

/// What a browser asks of login.
struct Ask {
    back: ReturnTo,
    /// The person clicked "sign in" after they had signed out.
    resumes: bool,
    /// The browser was sent here from another host.
    was_moved: bool,
    /// The person wants to be somebody else at the provider.
    switches: bool,
}

/// Makes the check's decision anew, and shows what nginx could not: back to the UI, on to the provider, or a
/// page that says why not.
pub(super) async fn login(
    State(gateway): State<Arc<Gateway>>,
    Extension(id): Extension<RequestId>,
    (method, uri): (Method, Uri),
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET {
        return answer::method_not_allowed("GET");
    }
    let request = public::describe(&gateway, &method, &uri, &headers);
    if request.kind != Kind::Navigation {
        return answer::not_a_page(request.kind, StatusCode::UNAUTHORIZED, "no-session");
    }
    if headers.contains_key(SEC_PURPOSE) {
        return answer::not_a_page(Kind::Subresource, StatusCode::SERVICE_UNAVAILABLE, "prefetch");
    }
    let now = gateway.clock.now();
    let ask = Ask::read(query.as_deref().unwrap_or(""), &gateway);
    let problem =
        Problem { site: &gateway.site, back: &ask.back, id: &id, way_in: gateway.way_in.as_deref() };
    let mut buffer = [0; MAX_SESSION];
    match gateway.decide(&headers, &request, &mut buffer, now) {
        Decision::Allow(grant) => go_back(&gateway, grant, &problem, now).await,
        Decision::Challenge(Challenge::SignedOut)
            if !(ask.is_meant() && request.provenance != Provenance::Foreign) =>
        {
            answer::page(StatusCode::OK, &signed_out(&gateway, &ask.back))
        }
        Decision::Deny(Denial::UnknownHost) => {
            if ask.was_moved {
                return problem.host_rewritten();
            }
            answer::redirect(&format!("{}&moved=1", login_url(&gateway.site, ask.back.target())), None)
        }
        Decision::Deny(denial) => problem.denied(denial),
        Decision::Challenge(_) | Decision::SignOut(_) => {
            let prompt = if ask.switches { Prompt::Login } else { Prompt::AsNeeded };
            begin(&gateway, &headers, (&problem, prompt), now).await
        }
    }
}

impl Ask {
    /// Whether a person asked to sign in, by a button of ours.
    fn is_meant(&self) -> bool {
        self.resumes || self.switches
    }

    /// Reads the query: what stands twice is as good as absent.
    fn read(query: &str, gateway: &Gateway) -> Self {
        let single = |wanted: &str| {
            let mut values = url::form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == wanted);
            let value = values.next().map(|(_, value)| value);
            value.filter(|_| values.next().is_none())
        };
        let parse = |target: &str| ReturnTo::parse(target, &gateway.site).ok();
        let back = single("rd").and_then(|target| parse(&target));
        let instead = back.as_ref().and_then(|back| gateway.ui.traits().instead_of_prompt(back.target()));
        Self {
            back: instead.and_then(parse).or(back).unwrap_or_else(|| ReturnTo::home(&gateway.site)),
            was_moved: single("moved").is_some_and(|value| value == "1"),
            resumes: single("resume").is_some_and(|value| value == "1"),
            switches: single("switch").is_some_and(|value| value == "1"),
        }
    }
}

/// The page that does not sign in again by itself.
pub(super) fn signed_out(gateway: &Gateway, back: &ReturnTo) -> SignedOut {
    SignedOut {
        sign_in_url: format!("{}&resume=1", login_url(&gateway.site, back.target())),
        site_host: gateway.site.authority().to_owned(),
    }
}

/// The session is good: back to the UI, if there is a token for it and the ingress lets it through.
async fn go_back(
    gateway: &Arc<Gateway>,
    grant: Grant<'_>,
    problem: &Problem<'_>,
    now: Timestamp,
) -> Response {
    if let Err(error) = gateway.tokens.obtain(&grant, now).await {
        return problem.mint(&error);
    }
    match grant.session().clone().bounce(now) {
        Some(session) => {
            answer::redirect(&problem.back.to_string(), [gateway.sessions.signed_in(session, now)])
        }
        None => problem.bounced(),
    }
}

/// There is no session: on to the provider, with a login attempt of this browser's own.
async fn begin(
    gateway: &Gateway,
    headers: &HeaderMap,
    (problem, prompt): (&Problem<'_>, Prompt),
    now: Timestamp,
) -> Response {
    let secrets = Secrets { state: random::bytes(), nonce: random::bytes(), verifier: random::bytes() };
    let attempt = LoginAttempt::new(secrets, problem.back, now);
    match gateway.provider.authorize(&attempt, prompt, now).await {
        Ok(url) => answer::redirect(&url, gateway.sessions.begin_attempt(headers, &attempt, now)),
        Err(error) => {
            gateway.metrics.login_ended(Err(error.reason()));
            problem.provider(&error)
        }
    }
}
