//! The check: may this request pass, and with which token?

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response};
use jiff::Timestamp;

use super::Gateway;
use super::request_id::RequestId;
use crate::auth::seal::MAX_SESSION;
use crate::auth::{Decision, Grant, Kind, Request};
use crate::edge::{Malformed, Managed, Outcome, Question, reply};
use crate::k8s::{AtHand, Minted};

/// How far a check got without waiting for anybody.
#[derive(Debug)]
pub enum Step<'b> {
    /// It is decided.
    Done(Outcome),
    /// It may pass, once there is a token.
    Mint(Grant<'b>),
}

/// Opens, decides, and looks for a token at hand: memory only, and no allocation before there is an answer.
pub fn first_step<'b>(
    gateway: &Arc<Gateway>,
    headers: &HeaderMap,
    request: &Request<'_>,
    buffer: &'b mut [u8; MAX_SESSION],
    now: Timestamp,
) -> Step<'b> {
    match gateway.decide(headers, request, buffer, now) {
        // Login knows where to go instead.
        Decision::Allow(_) if asks_for_token(gateway, request) => Step::Done(Outcome::SignIn("token-prompt")),
        Decision::Allow(grant) => {
            match gateway.tokens.at_hand_as(&grant, now, |minted| Arc::clone(managed(minted, &grant))) {
                AtHand::NotNeeded => {
                    Step::Done(pass(gateway, headers, Managed::new(grant.session(), None).into()))
                }
                AtHand::Token(managed) => Step::Done(pass(gateway, headers, managed)),
                AtHand::Missing => Step::Mint(grant),
            }
        }
        Decision::Challenge(challenge) => Step::Done(Outcome::SignIn(challenge.reason())),
        Decision::Deny(denial) => Step::Done(Outcome::Refused(denial.reason())),
        Decision::SignOut(session) => {
            if let Some(session) = session {
                gateway.end(&session);
            }
            Step::Done(Outcome::SignedOut(gateway.sessions.signed_out(now)))
        }
    }
}

/// Whether a person opens a page on which the UI asks for a token, where ours is enough.
fn asks_for_token(gateway: &Gateway, request: &Request<'_>) -> bool {
    request.kind == Kind::Navigation && gateway.ui.traits().instead_of_prompt(request.target).is_some()
}

/// Answers at once, if no token has to be minted; `None` otherwise.
pub(super) fn answer_at_once(gateway: &Arc<Gateway>, question: &Question<'_>) -> Option<Response<Bytes>> {
    let request = match question.read(&gateway.site, gateway.ui.traits()) {
        Ok(request) => request,
        Err(error) => return Some(malformed(question, error)),
    };
    let mut buffer = [0; MAX_SESSION];
    match first_step(gateway, question.headers, &request, &mut buffer, gateway.clock.now()) {
        Step::Done(outcome) => Some(answer(gateway, outcome, &request, question)),
        Step::Mint(_) => None,
    }
}

/// Answers, after minting a token if there is none at hand.
pub(super) async fn answer_in_time(gateway: &Arc<Gateway>, question: &Question<'_>) -> Response<Bytes> {
    let request = match question.read(&gateway.site, gateway.ui.traits()) {
        Ok(request) => request,
        Err(error) => return malformed(question, error),
    };
    let headers = question.headers;
    let now = gateway.clock.now();
    let mut buffer = [0; MAX_SESSION];
    let outcome = match first_step(gateway, headers, &request, &mut buffer, now) {
        Step::Done(outcome) => outcome,
        Step::Mint(grant) => match gateway.tokens.obtain(&grant, now).await {
            Ok(token) => pass(gateway, headers, Managed::new(grant.session(), token).into()),
            Err(error) => Outcome::PeerFailed(error.reason()),
        },
    };
    answer(gateway, outcome, &request, question)
}

/// Who is asking, as an upstream is told: put into words once for each token.
pub(super) fn managed<'m>(minted: &'m Minted, grant: &Grant<'_>) -> &'m Arc<Managed> {
    let make = || Managed::new(grant.session(), Some(minted.authorization.clone()));
    minted.managed.get_or_init(|| Arc::new(make()))
}

fn pass(gateway: &Gateway, headers: &HeaderMap, managed: Arc<Managed>) -> Outcome {
    let names = gateway.sessions.names();
    let cookie = names.for_upstream(headers, gateway.ui.traits(), managed.room_for_cookie());
    Outcome::Pass { managed, cookie }
}

fn answer(
    gateway: &Gateway,
    outcome: Outcome,
    request: &Request<'_>,
    question: &Question<'_>,
) -> Response<Bytes> {
    let id = match &outcome {
        Outcome::Pass { .. } | Outcome::SignedOut(_) => None,
        Outcome::SignIn(reason) => {
            tracing::debug!(reason, kind = ?request.kind, "has to sign in");
            None
        }
        Outcome::PeerFailed(reason) | Outcome::Refused(reason) => {
            let id = RequestId::of(question.headers);
            tracing::info!(reason, request_id = id.0, kind = ?request.kind, "refused");
            Some(id)
        }
    };
    named(reply::answer(question.dialect, outcome, request, &gateway.site), id.as_ref())
}

/// A refusal says the name of the request that the log line has: an ingress's own log is where people look first.
fn named(response: Response<Bytes>, id: Option<&RequestId>) -> Response<Bytes> {
    match id {
        Some(id) => id.say_in(response),
        None => response,
    }
}

fn malformed(question: &Question<'_>, error: Malformed) -> Response<Bytes> {
    let id = RequestId::of(question.headers);
    tracing::info!(%error, request_id = id.0, reason = "bad-request", "refused");
    named(reply::malformed(), Some(&id))
}
