//! A refusal in Kubernetes' own words, which UIs know how to read.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

/// `meta/v1 Status`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    kind: &'a str,
    api_version: &'a str,
    metadata: Metadata,
    #[serde(rename = "status")]
    outcome: &'a str,
    message: &'a str,
    reason: &'a str,
    code: u16,
}

#[derive(Serialize)]
struct Metadata {}

/// A Kubernetes `Status` in JSON, with our reason in its message.
pub fn status_json(status: StatusCode, reason: &str) -> Bytes {
    let name = match status {
        StatusCode::UNAUTHORIZED => "Unauthorized",
        StatusCode::FORBIDDEN => "Forbidden",
        StatusCode::NOT_FOUND => "NotFound",
        StatusCode::METHOD_NOT_ALLOWED => "MethodNotAllowed",
        StatusCode::BAD_REQUEST => "BadRequest",
        _ => "ServiceUnavailable",
    };
    let status = Status {
        kind: "Status",
        api_version: "v1",
        metadata: Metadata {},
        outcome: "Failure",
        message: &format!("lamplighter: {reason}"),
        reason: name,
        code: status.as_u16(),
    };
    Bytes::from(serde_json::to_vec(&status).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_kubernetes_would_say_it() {
        let said = status_json(StatusCode::UNAUTHORIZED, "no-session");
        assert_eq!(
            std::str::from_utf8(&said).unwrap(),
            r#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"lamplighter: no-session","reason":"Unauthorized","code":401}"#
        );
    }
}
