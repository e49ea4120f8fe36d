//! Who got which token: the line that joins the API server's audit log to a person.

use jiff::Timestamp;

use crate::auth::{Grant, ServiceAccountRef};

/// `jti` stands in the API server's audit log as `authentication.kubernetes.io/credential-id`.
pub(super) fn minted(grant: &Grant<'_>, account: &ServiceAccountRef, jti: &str, expires_at: Timestamp) {
    let session = grant.session();
    tracing::info!(
        target: "lamplighter::audit",
        event = "mint",
        session = session.id.short(),
        subject = &*session.subject,
        user = &*session.name,
        role = grant.role().name,
        service_account = %account,
        jti,
        %expires_at,
        "minted a token"
    );
}
