//! Kubernetes' way to say no.

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::{Value, json};

use super::CALLER;
use super::token::subject;

/// A `Status` of kind Failure.
#[derive(Debug)]
pub(super) struct Status {
    code: u16,
    reason: &'static str,
    message: String,
    details: Value,
}

impl Status {
    fn new(code: u16, reason: &'static str, message: impl Into<String>, details: Value) -> Self {
        Self { code, reason, message: message.into(), details }
    }

    pub(super) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized", Value::Null)
    }

    pub(super) fn forbidden(who: &Value, namespace: &str, name: &str) -> Self {
        let who = who.as_str().unwrap_or_default();
        let message = format!(
            "serviceaccounts \"{name}\" is forbidden: User \"{who}\" cannot create resource \
             \"serviceaccounts/token\" in API group \"\" in the namespace \"{namespace}\""
        );
        Self::new(403, "Forbidden", message, json!({"name": name, "kind": "serviceaccounts"}))
    }

    pub(super) fn not_found(name: &str) -> Self {
        let message = format!("serviceaccounts \"{name}\" not found");
        Self::new(404, "NotFound", message, json!({"name": name, "kind": "serviceaccounts"}))
    }

    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, "NotFound", message, json!({}))
    }

    pub(super) fn invalid_lifetime(seconds: i64, rule: &str) -> Self {
        let cause = format!("Invalid value: {seconds}: {rule}");
        let message =
            format!("TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: {cause}");
        let causes = json!([
            {"reason": "FieldValueInvalid", "message": cause, "field": "spec.expirationSeconds"}
        ]);
        let details = json!({"group": "authentication.k8s.io", "kind": "TokenRequest", "causes": causes});
        Self::new(422, "Invalid", message, details)
    }

    /// What Kubernetes says with `code` to a TokenRequest.
    pub(super) fn with_code(code: u16, namespace: &str, name: &str) -> Self {
        let retry = json!({"retryAfterSeconds": 1});
        match code {
            401 => Self::unauthorized(),
            403 => Self::forbidden(&json!(subject(CALLER.0, CALLER.1)), namespace, name),
            404 => Self::not_found(name),
            409 => {
                Self::new(code, "Conflict", "the UID in the bound object reference does not match", json!({}))
            }
            429 => Self::new(code, "TooManyRequests", "too many requests, please try again later", retry),
            503 => Self::new(code, "ServiceUnavailable", "apiserver is shutting down", retry),
            _ => Self::new(code, "InternalError", "Internal error occurred: it was asked for", json!({})),
        }
    }
}

impl IntoResponse for Status {
    fn into_response(self) -> Response {
        let code = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut body = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if !self.details.is_null() {
            body["details"] = self.details;
        }
        let mut response = (code, Json(body)).into_response();
        if code == StatusCode::TOO_MANY_REQUESTS || code == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, http::HeaderValue::from_static("1"));
        }
        response
    }
}
