//! What a person is told when something failed: what, and what to do.

use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};

use super::answer;
use super::pages::{Failure, LoginRestart};
use super::request_id::RequestId;
use crate::auth::{CallbackError, Denial, LoginError, ReturnTo, Site};
use crate::edge::reply::login_url;
use crate::k8s::MintError;
use crate::oidc::{ProviderError, Remedy};

/// Stands above the command.
const BY_FALLBACK: &str = "If you may run commands in the cluster, come in by the fallback: run this, and open the address that it forwards.";

/// How soon a page that waits for a peer tries again, in seconds.
const RETRY_SECONDS: u32 = 10;

/// Something that failed while a person waited, on the way to `back`.
#[derive(Debug)]
pub(super) struct Problem<'a> {
    pub(super) site: &'a Site,
    pub(super) back: &'a ReturnTo,
    pub(super) id: &'a RequestId,
    /// How to come in when the provider is down, as a command.
    pub(super) way_in: Option<&'a str>,
}

impl Problem<'_> {
    /// The provider failed.
    pub(super) fn provider(&self, error: &ProviderError) -> Response {
        let request_id = self.id.0.as_str();
        tracing::warn!(%error, reason = error.reason(), request_id, "sign-in failed at the provider");
        match error.remedy() {
            Remedy::Wait => self.failure(StatusCode::SERVICE_UNAVAILABLE, error.reason(), true, [
                "The identity provider does not answer",
                "The provider that signs people in here cannot be reached, so nobody can sign in just now.",
                "Wait a moment: people who are signed in already go on, and signing in works again once it answers.",
                "If this lasts, tell your administrator, and give them the request id below.",
            ]),
            Remedy::Operator => self.failure(StatusCode::BAD_GATEWAY, error.reason(), false, [
                "The identity provider and lamplighter do not agree",
                operator_sentence(error),
                "Tell your administrator, and give them the request id below: the log says what has to change.",
                "Signing in again will not help until then.",
            ]),
            Remedy::Person => self.restart(error.reason(), "The provider did not confirm this sign-in in time."),
        }
    }

    /// The API server gave no token.
    pub(super) fn mint(&self, error: &MintError) -> Response {
        tracing::info!(reason = error.reason(), request_id = self.id.0, "no token for a person");
        if error.may_pass() {
            self.failure(StatusCode::SERVICE_UNAVAILABLE, error.reason(), true, [
                "The Kubernetes API does not answer",
                "You are signed in, but the API server gave no token for you, since it cannot be reached.",
                "Wait a moment: this page tries again, and takes you on once it answers.",
                "If this lasts, tell your administrator, and give them the request id below.",
            ])
        } else {
            self.failure(StatusCode::BAD_GATEWAY, error.reason(), false, [
                "There is no token for you",
                "You are signed in, but the API server refused to make a token for your role.",
                "Tell your administrator, and give them the request id below: the log says what has to change.",
                "Signing in again will not help until then.",
            ])
        }
    }

    /// The request may not pass, whoever signs in.
    pub(super) fn denied(&self, denial: Denial) -> Response {
        tracing::info!(reason = denial.reason(), request_id = self.id.0, "refused");
        self.failure(StatusCode::FORBIDDEN, denial.reason(), false, [
            "This request may not pass",
            "Your browser sends credentials of its own along (Impersonate-… or X-Remote-…), which would pass for somebody else.",
            "Turn off the extension, or the proxy, that adds these headers.",
            "If nothing of yours adds them, tell your administrator, and give them the request id below.",
        ])
    }

    /// The browser goes back and forth between the check and login.
    pub(super) fn bounced(&self) -> Response {
        tracing::warn!(
            request_id = self.id.0,
            "a signed-in browser keeps being sent to login: does the ingress \
            pass the Cookie header to auth-url, and do all replicas have the same session.keyFiles?"
        );
        self.failure(StatusCode::SERVICE_UNAVAILABLE, "bounced", false, [
            "The ingress does not let you through",
            "You are signed in, but the ingress keeps sending you back here.",
            "Tell your administrator: the check behind the ingress does not see your session, or does not accept it.",
            "Reload in a minute to try again.",
        ])
    }

    /// The browser was sent to the site's own host, and seems to be elsewhere still.
    pub(super) fn host_rewritten(&self) -> Response {
        tracing::warn!(
            request_id = self.id.0,
            "the Host header names another site after the browser was sent to ours: does a proxy in between replace it?"
        );
        self.failure(
            StatusCode::MISDIRECTED_REQUEST,
            "unknown-host",
            false,
            [
                "This is not the site that you were sent to",
                "Something between your browser and lamplighter replaces the name of the site.",
                "Tell your administrator: the proxy in front of lamplighter has to pass the Host header on.",
                "Opening the site by its own address may help meanwhile.",
            ],
        )
    }

    /// The callback answers no login attempt of this browser.
    pub(super) fn login(&self, error: &LoginError) -> Response {
        let (reason, request_id) = (error.reason(), self.id.0.as_str());
        match error {
            LoginError::IssuerMismatch | LoginError::IssuerMissing => {
                tracing::warn!(%error, reason, request_id, "somebody may be mixing providers up");
            }
            _ => tracing::info!(%error, reason, request_id, "sign-in could not be finished"),
        }
        match error {
            LoginError::Provider(answer) if answer.is_refusal() => {
                self.restart(error.reason(), "The provider did not sign you in: you or its rules said no.")
            }
            LoginError::Provider(_) => self.restart(error.reason(), "The provider could not sign you in."),
            LoginError::Expired => self.restart(error.reason(), "Signing in took longer than ten minutes."),
            LoginError::IssuerMismatch | LoginError::IssuerMissing => self.restart(
                error.reason(),
                "The answer came from another provider than the one that was asked.",
            ),
            LoginError::StateMismatch => self.no_attempt(),
        }
    }

    /// The callback makes no sense.
    pub(super) fn callback(&self, error: CallbackError) -> Response {
        tracing::info!(%error, reason = "bad-callback", request_id = self.id.0, "sign-in could not be finished");
        self.restart("bad-callback", "The answer from the provider is incomplete.")
    }

    /// The callback belongs to no attempt that this browser has.
    pub(super) fn no_attempt(&self) -> Response {
        tracing::info!(reason = "no-attempt", request_id = self.id.0, "sign-in could not be finished");
        self.restart(
            "no-attempt",
            "This sign-in was begun in another browser, was finished before, or the browser keeps no cookies.",
        )
    }

    fn restart(&self, reason: &'static str, what: &str) -> Response {
        let status = match reason {
            "provider-refused" => StatusCode::FORBIDDEN,
            "provider-error" => StatusCode::BAD_GATEWAY,
            _ => StatusCode::BAD_REQUEST,
        };
        let page = LoginRestart {
            reason: reason.to_owned(),
            request_id: self.id.0.clone(),
            restart_url: login_url(self.site, self.back.target()),
            what: what.to_owned(),
        };
        answer::refusal(status, reason, &page)
    }

    fn failure(
        &self,
        status: StatusCode,
        reason: &'static str,
        tries_again: bool,
        [title, what, first, second]: [&str; 4],
    ) -> Response {
        let command = self.way_in.filter(|_| reason == "provider-unreachable");
        let way_in = command.map(|_| BY_FALLBACK.to_owned());
        let page = Failure {
            command: command.map(str::to_owned),
            reason: reason.to_owned(),
            request_id: self.id.0.clone(),
            retry_seconds: tries_again.then_some(RETRY_SECONDS),
            retry_url: Some(login_url(self.site, self.back.target())),
            title: title.to_owned(),
            todo: [first.to_owned(), second.to_owned()].into_iter().chain(way_in).collect(),
            what: what.to_owned(),
        };
        let mut response = answer::refusal(status, reason, &page);
        if tries_again {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_SECONDS));
        }
        response
    }
}

fn operator_sentence(error: &ProviderError) -> &'static str {
    match error.reason() {
        "id-token-encrypted" => {
            "The provider encrypts its ID tokens. In Authentik: remove the Encryption Key from the OAuth2 provider."
        }
        "id-token-hs256" => {
            "The provider signs its ID tokens with the client secret (HS256). In Authentik: choose a Signing Key for \
             the OAuth2 provider."
        }
        "id-token-rejected" => "The provider's answer did not pass every check, so it is not believed.",
        "reserved-name" => {
            "The provider gives you a name or a group that begins with `system:`, which Kubernetes keeps for itself."
        }
        "provider-refused" if error.is_unknown_client() => {
            "The provider does not know lamplighter by its client id and client secret."
        }
        "provider-refused" => "The provider refused what lamplighter asked of it.",
        _ => "The provider is set up otherwise than lamplighter was told.",
    }
}
