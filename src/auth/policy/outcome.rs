//! What becomes of a request.

use super::Grant;
use crate::auth::Session;

/// What becomes of a request.
#[derive(Debug, Eq, PartialEq)]
pub enum Decision<'a> {
    /// It may pass, with what the grant is good for.
    Allow(Grant<'a>),
    /// The person has to sign in first.
    Challenge(Challenge),
    /// It may not pass, whoever signs in.
    Deny(Denial),
    /// The person asked, at the upstream's own button, to be signed out.
    SignOut(Option<Session<'a>>),
}

/// Why a person has to sign in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Challenge {
    /// The cookie cannot be read.
    BadCookie,
    /// There is no session.
    NoSession,
    /// The rules changed since the person signed in.
    RoleChanged,
    /// The session's time is over.
    SessionExpired,
    /// The person signed out.
    SignedOut,
}

/// Why a request may not pass.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Denial {
    /// Another site's page asks.
    CrossSite,
    /// The request carries credentials of its own.
    Impersonation,
    /// No rule matches the person.
    NoRole,
    /// The request is for another site.
    UnknownHost,
}

impl Challenge {
    /// The reason in one word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::BadCookie => "bad-cookie",
            Self::NoSession => "no-session",
            Self::RoleChanged => "role-changed",
            Self::SessionExpired => "session-expired",
            Self::SignedOut => "signed-out",
        }
    }
}

impl Denial {
    /// The reason in one word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::CrossSite => "cross-site",
            Self::Impersonation => "impersonation",
            Self::NoRole => "no-role",
            Self::UnknownHost => "unknown-host",
        }
    }
}
