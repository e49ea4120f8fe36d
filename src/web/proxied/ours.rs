//! Answers in the upstream's place.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue, SET_COOKIE};

use super::Passage;
use crate::auth::{Denial, Kind, ReturnTo, Session};
use crate::edge::reply;
use crate::k8s::MintError;
use crate::metrics::Via;
use crate::proxy::ForwardError;
use crate::web::answer;
use crate::web::pages::Failure;
use crate::web::problem::Problem;

impl Passage<'_> {
    pub(super) fn to_cluster(&self) -> Response {
        let cluster = self.gateway.ui.traits().instead_of_prompt(self.target()).unwrap_or("/");
        answer::redirect(&self.door.site.url(cluster), None)
    }

    pub(super) fn challenge(&self, reason: &'static str) -> Response {
        if let Some(fallback) = self.door.fallback.filter(|_| self.kind() == Kind::Navigation) {
            return fallback.ask(&self.back(), self.id(), None);
        }
        if self.kind() == Kind::Navigation {
            return answer::redirect(&reply::login_url(self.door.site, self.target()), None);
        }
        answer::not_a_page(self.kind(), StatusCode::UNAUTHORIZED, reason)
    }

    pub(super) fn deny(&self, denial: Denial) -> Response {
        tracing::info!(reason = denial.reason(), request_id = self.id().0, kind = ?self.kind(), "refused");
        // Login decides the same, and says it on a page, at the site's own host. A fallback has no login.
        let leads_on = self.door.fallback.is_none() || denial == Denial::UnknownHost;
        if self.kind() == Kind::Navigation && leads_on {
            return answer::redirect(&reply::login_url(self.door.site, self.target()), None);
        }
        answer::not_a_page(self.kind(), StatusCode::FORBIDDEN, denial.reason())
    }

    /// Headlamp's script takes 200 and loads the page anew, which then says "signed out".
    pub(super) fn sign_out(&self, session: Option<&Session<'_>>) -> Response {
        if let Some(session) = session {
            let via = if self.door.fallback.is_some() { Via::Fallback } else { Via::Provider };
            self.gateway.end_via(session, via);
        }
        let headers = [
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (reply::X_RELOAD, HeaderValue::from_static("reload")),
            (SET_COOKIE, self.door.sessions.signed_out(self.now)),
        ];
        (headers, Json(serde_json::json!({}))).into_response()
    }

    pub(super) fn mint_failed(&self, error: &MintError) -> Response {
        self.decisions().stop(error.reason(), self.watch.elapsed());
        if self.kind() != Kind::Navigation {
            tracing::info!(reason = error.reason(), request_id = self.id().0, kind = ?self.kind(), "refused");
            return answer::not_a_page(self.kind(), StatusCode::BAD_GATEWAY, error.reason());
        }
        let back = self.back();
        let way_in = self.gateway.way_in.as_deref();
        let mut response = Problem { site: self.door.site, back: &back, id: self.id(), way_in }.mint(error);
        // Headlamp takes any other 5xx for a reason to ask for a token.
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    }

    pub(super) fn upstream_failed(&self, error: &ForwardError) -> Response {
        tracing::warn!(%error, reason = error.reason(), request_id = self.id().0, "the upstream failed");
        if self.kind() != Kind::Navigation {
            return answer::not_a_page(self.kind(), error.status(), error.reason());
        }
        let page = Failure {
            command: None,
            reason: error.reason().to_owned(),
            request_id: self.id().0.clone(),
            retry_seconds: Some(10),
            retry_url: Some(self.back().to_string()),
            title: "The UI does not answer".to_owned(),
            todo: vec![
                "Wait a moment: this page tries again by itself.".to_owned(),
                "If this lasts, tell your administrator, and give them the request id below.".to_owned(),
            ],
            what: "You are signed in, but the UI behind lamplighter cannot be reached.".to_owned(),
        };
        answer::refusal(error.status(), error.reason(), &page)
    }

    fn back(&self) -> ReturnTo {
        let site = self.door.site;
        ReturnTo::parse(self.target(), site).unwrap_or_else(|_| ReturnTo::home(site))
    }
}

/// Headlamp before 0.43 would show the ServiceAccount's name, or none.
pub(super) fn me(session: &Session<'_>) -> Response {
    let groups: Vec<&str> = session.groups.split(',').filter(|group| !group.is_empty()).collect();
    let me = serde_json::json!({
        "username": session.name, "email": session.email, "groups": groups, "userInfoURL": "",
    });
    ([(CACHE_CONTROL, HeaderValue::from_static("no-store"))], Json(me)).into_response()
}
