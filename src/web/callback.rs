//! `/lamplighter/callback`: back from the provider.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use jiff::Timestamp;

use super::pages::{AcceptedRole, Denied};
use super::problem::Problem;
use super::request_id::RequestId;
use super::{Gateway, answer};
use crate::auth::login::{ATTEMPT_SECONDS, ExpectedIssuer};
use crate::auth::{
    Callback, CodeExchange, Denial, Identity, LoginAttempt, ReturnTo, Role, Session, SessionId,
};
use crate::edge::reply::{X_LAMPLIGHTER_REASON, login_url};
use crate::metrics::Via;
use crate::oidc::ProviderError;
use crate::random;

const PURPOSE: [HeaderName; 2] = [HeaderName::from_static("sec-purpose"), HeaderName::from_static("purpose")];

/// Finishes the login attempt that the provider answers, and makes a session of it.
pub(super) async fn callback(
    State(gateway): State<Arc<Gateway>>,
    Extension(id): Extension<RequestId>,
    method: Method,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if method != Method::GET {
        return answer::method_not_allowed("GET");
    }
    if PURPOSE.iter().any(|name| headers.contains_key(name)) {
        return answer::not_a_page(
            crate::auth::Kind::Subresource,
            StatusCode::SERVICE_UNAVAILABLE,
            "prefetch",
        );
    }
    let home = ReturnTo::home(&gateway.site);
    let lost = Problem { site: &gateway.site, back: &home, id: &id, way_in: gateway.way_in.as_deref() };
    let callback = match Callback::parse(query.as_deref().unwrap_or("")) {
        Ok(callback) => callback,
        Err(error) => return lost.callback(error),
    };
    let name = callback.attempt_name().map(str::to_owned);
    let attempt = name.as_deref().and_then(|name| gateway.sessions.attempt(&headers, name));
    let attempt = attempt.filter(|attempt| attempt.is_answered_by(&callback));
    let (Some(name), Some(attempt)) = (name, attempt) else { return lost.no_attempt() };
    let back = attempt.return_to(&gateway.site);
    let problem = Problem { back: &back, ..lost };
    let started_at = attempt.started_at();
    let response = finish(&gateway, attempt, callback, &headers, &problem).await;
    let took = gateway.clock.now().as_second().saturating_sub(started_at);
    let reason = response.headers().get(X_LAMPLIGHTER_REASON);
    gateway.metrics.login_ended(match reason {
        None => Ok(Duration::from_secs(u64::try_from(took).unwrap_or(0))),
        Some(reason) => Err(reason.to_str().unwrap_or("")),
    });
    answer::with_cookies(response, [gateway.sessions.end_attempt(&name)])
}

async fn finish(
    gateway: &Gateway,
    attempt: LoginAttempt,
    callback: Callback,
    headers: &HeaderMap,
    problem: &Problem<'_>,
) -> Response {
    let now = gateway.clock.now();
    let metadata = match gateway.provider.metadata(now).await {
        Ok(metadata) => metadata,
        Err(error) => return problem.provider(&error),
    };
    let issuer = ExpectedIssuer {
        issuer: &gateway.provider.settings().issuer,
        always_sends_iss: metadata.always_sends_iss,
    };
    let (id, expires_at) = (attempt.id(), attempt.started_at().saturating_add(2 * ATTEMPT_SECONDS));
    let exchange = match attempt.callback(callback, issuer, &gateway.site, now) {
        Ok(exchange) => exchange,
        Err(error) => return problem.login(&error),
    };
    // A code is sent once, also when two copies of one callback race.
    if !gateway.store.use_up(id, expires_at).await {
        return problem.no_attempt();
    }
    match identify(gateway, &exchange, now).await {
        Ok(identity) => admit(gateway, &identity, headers, exchange.return_to(), problem),
        Err(error) => problem.provider(&error),
    }
}

/// From the code to a person: nothing is asked about somebody whose ID token was not accepted.
async fn identify(
    gateway: &Gateway,
    exchange: &CodeExchange,
    now: Timestamp,
) -> Result<Identity, ProviderError> {
    let settings = gateway.provider.settings();
    let tokens = gateway.provider.exchange(exchange, now).await?;
    let access_token = secrecy::ExposeSecret::expose_secret(&tokens.access_token);
    let accepted = exchange.accept(tokens.id_token, access_token, &settings.id_token_rules(), now)?;
    let complete = gateway.provider.complete(accepted, &tokens.access_token, now).await?;
    Ok(complete.identity(&settings.claim_names)?)
}

/// A person whom a rule matches gets a session, under an id that nobody had before; anybody else gets none.
fn admit(
    gateway: &Gateway,
    identity: &Identity,
    headers: &HeaderMap,
    back: &ReturnTo,
    problem: &Problem<'_>,
) -> Response {
    let request_id = problem.id.0.as_str();
    let Some(role) = gateway.policy.assign(identity) else {
        tracing::info!(
            target: "lamplighter::audit",
            event = "deny",
            reason = Denial::NoRole.reason(),
            subject = identity.subject,
            user = identity.name,
            request_id,
            "no role matches"
        );
        return answer::refusal(
            StatusCode::FORBIDDEN,
            Denial::NoRole.reason(),
            &denied(gateway, identity, problem),
        );
    };
    let now = gateway.clock.now();
    gateway.replace(headers, now);
    let session = begin_session(gateway, identity, role, now);
    gateway.metrics.session_begun(Via::Provider);
    tracing::info!(
        target: "lamplighter::audit",
        event = "login",
        session = session.id.short(),
        subject = identity.subject,
        user = identity.name,
        role = role.name,
        request_id,
        "signed in"
    );
    answer::redirect(&back.to_string(), [gateway.sessions.signed_in(session, now)])
}

fn begin_session(gateway: &Gateway, identity: &Identity, role: &Role, now: Timestamp) -> Session<'static> {
    let groups = gateway.policy.known_groups(identity);
    let id = SessionId(random::bytes());
    Session::begin(id, identity, role, &groups, (now, gateway.session_seconds))
}

fn denied(gateway: &Gateway, identity: &Identity, problem: &Problem<'_>) -> Denied {
    let accepted = |role: &Role| AcceptedRole { role: role.name.clone(), needs: role.matches.to_string() };
    Denied {
        accepted: gateway.policy.roles().map(accepted).collect(),
        email: identity.email.as_ref().map(ToString::to_string),
        groups: identity.groups.iter().cloned().collect(),
        name: identity.name.clone(),
        reason: Denial::NoRole.reason().to_owned(),
        request_id: problem.id.0.clone(),
        switch_url: format!("{}&switch=1", login_url(&gateway.site, problem.back.target())),
    }
}
