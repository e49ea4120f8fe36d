//! The pages that a person sees, and the files that they load.
//!
//! They work without scripts and load nothing from elsewhere, so that [`CONTENT_SECURITY_POLICY`]
//! can forbid both. Every string is escaped by its template: names and groups come from the
//! provider, and the provider lets people choose them. What ends up in an `href` is not filtered
//! further: pass only addresses that were built or checked here.
//!
//! Signing in is a link and never a form, because browsers hold a form's redirects, too, against
//! `form-action 'self'`.

use std::borrow::Cow;

use askama::Template;
use jiff::SignedDuration;

pub use self::assets::{Asset, asset, asset_url};

mod assets;
#[cfg(test)]
mod tests;

/// What a page may load and do: our stylesheet and pictures, and forms that come back to us.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The session has ended, and a link leads back in.
#[derive(Debug, Template)]
#[template(path = "pages/signed_out.html")]
pub struct SignedOut {
    /// Starts a login.
    pub sign_in_url: String,
    /// The site's host name, as people know it.
    pub site_host: String,
}

/// Asks before signing out, for whoever comes by a link.
#[derive(Debug, Template)]
#[template(path = "pages/sign_out_confirm.html")]
pub struct SignOutConfirm {}

/// The identity is known, but no role matches it.
#[derive(Debug, Template)]
#[template(path = "pages/denied.html")]
pub struct Denied {
    /// The roles that exist, and who gets them.
    pub accepted: Vec<AcceptedRole>,
    /// The person's e-mail address.
    pub email: Option<String>,
    /// The person's groups, as the provider named them.
    pub groups: Vec<String>,
    /// The person's name.
    pub name: String,
    /// The refusal in one word.
    pub reason: String,
    /// Finds this refusal in the log.
    pub request_id: String,
    /// Starts a login that lets the person choose another identity.
    pub switch_url: String,
}

/// A role, and what it takes to get it.
#[derive(Debug)]
pub struct AcceptedRole {
    /// What it takes, as a phrase: `group k8s-admins`.
    pub needs: String,
    /// The role's name.
    pub role: String,
}

/// Something failed that the person did not cause.
#[derive(Debug, Template)]
#[template(path = "pages/failure.html")]
pub struct Failure {
    /// A command that gets the person on, to be copied.
    pub command: Option<String>,
    /// The failure in one word.
    pub reason: String,
    /// Finds this failure in the log.
    pub request_id: String,
    /// The page tries again by itself after so many seconds.
    pub retry_seconds: Option<u32>,
    /// Where to try again; this page itself when there is none.
    pub retry_url: Option<String>,
    /// The heading: what failed, in a few words.
    pub title: String,
    /// What to do, one sentence each.
    pub todo: Vec<String>,
    /// What failed, in a plain sentence.
    pub what: String,
}

/// A login could not be finished: it took too long, came from another browser, or came twice.
#[derive(Debug, Template)]
#[template(path = "pages/login_restart.html")]
pub struct LoginRestart {
    /// The cause in one word.
    pub reason: String,
    /// Finds this login in the log.
    pub request_id: String,
    /// Starts a new login.
    pub restart_url: String,
    /// Why it could not be finished, in a plain sentence.
    pub what: String,
}

/// Asks for a one-time code, on the loopback.
#[derive(Debug, Template)]
#[template(path = "pages/fallback.html")]
pub struct FallbackCode {
    /// Prints a code.
    pub command: String,
    /// How long whoever comes in may stay: `15 min`.
    pub minutes: String,
    /// Why the last code was not taken.
    pub problem: Option<String>,
    /// The cause in one word.
    pub reason: String,
    /// Finds this request in the log.
    pub request_id: String,
    /// Where to go afterwards: path and query.
    pub return_to: String,
    /// What whoever comes in gets.
    pub role: String,
}

/// Who is signed in, as what, and for how long.
#[derive(Debug, Template)]
#[template(path = "pages/whoami.html")]
pub struct Whoami {
    /// What the role lends: `ServiceAccount headlamp/viewer, tokens live 15 min`.
    pub credential: String,
    /// The person's e-mail address.
    pub email: Option<String>,
    /// When the session ends, in RFC 3339.
    pub expires_at: String,
    /// The person's groups, as the provider named them.
    pub groups: Vec<String>,
    /// The person's name.
    pub name: String,
    /// When the session ends, as people say it: `in 7 h 40 min`. See [`humane`].
    pub remaining: String,
    /// The role's name.
    pub role: String,
    /// When the person signed in, in RFC 3339.
    pub signed_in_at: String,
    /// Leads back to the UI.
    pub site_url: String,
    /// Who it is to the provider.
    pub subject: String,
}

/// Renders a page.
///
/// Templates are checked when the crate is built, so this has nothing to report; if it fails all
/// the same, the person gets a page that says so.
pub fn render(page: &impl Template) -> String {
    page.render().unwrap_or_else(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "could not render a page");
        "<!doctype html><title>lamplighter</title><p>This page could not be shown. Try again.</p>".to_owned()
    })
}

/// A time span in its two largest units, `7 h 40 min`: what a person wants to know of it.
pub fn humane(span: SignedDuration) -> String {
    let minutes = span.as_mins().max(0);
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, 0) => format!("{hours} h"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, 0, _) => format!("{days} d"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// An RFC 3339 time in UTC, to the minute and for people: `2026-11-24 10:18 UTC`.
///
/// Anything else stays as it is.
pub(crate) fn readable(rfc3339: &str) -> Cow<'_, str> {
    match (rfc3339.split_once('T'), rfc3339.ends_with('Z')) {
        (Some((date, time)), true) if time.is_char_boundary(5) && time.len() > 5 => {
            format!("{date} {} UTC", &time[..5]).into()
        }
        _ => rfc3339.into(),
    }
}
