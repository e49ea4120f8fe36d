//! `roles`: who gets which credential.

use std::{fmt, ops::RangeInclusive, time::Duration};

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    duration,
    error::Problems,
    matching::{Match, RawMatch},
    path::KeyPath,
    quoted, text,
};

/// How long a token may live. The API server refuses less; more than a day is a password.
const TOKEN_TTL: RangeInclusive<Duration> = Duration::from_mins(10)..=Duration::from_hours(24);

/// What the API server takes for a legacy token: it may make it live a year (`WarnOnlyBoundTokenExpirationSeconds`).
const STRETCHED_TTL: Duration = Duration::from_secs(3607);

/// A rule: who it is for, and what they get.
#[derive(Clone, Debug)]
pub struct Role {
    /// Its name, unique among the roles.
    pub name: String,
    /// Who it is for.
    pub matching: Match,
    /// What they get.
    pub credential: Credential,
}

/// What a role gives.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Credential {
    /// Identity headers alone.
    None,
    /// A short-lived token of a ServiceAccount.
    ServiceAccount {
        /// The ServiceAccount.
        account: ServiceAccountRef,
        /// How long a token lives, from ten minutes to a day.
        token_ttl: Duration,
        /// Whom the token is for; empty: the API server.
        audiences: Vec<String>,
    },
}

/// The name of a ServiceAccount.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServiceAccountRef {
    /// Its namespace.
    pub namespace: String,
    /// Its name there.
    pub name: String,
}

impl fmt::Display for ServiceAccountRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A rule: who it is for, and what they get.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawRole {
    /// The role's name in logs and metrics: `a-z`, `0-9` and `-`.
    #[schemars(required)]
    name: Option<String>,
    /// Whom the role is for. All keys must match; of a list, one item must.
    #[serde(rename = "match")]
    #[schemars(required)]
    matching: Option<RawMatch>,
    /// The ServiceAccount whose tokens the role gives. This or `credential`.
    #[schemars(extend("x-form" = "`namespace/name`"))]
    service_account: Option<String>,
    /// What the role gives in place of a ServiceAccount's token.
    credential: Option<RawCredential>,
    /// How long a token lives, from `10m` to `24h`. Must be set with `serviceAccount`: it is how long a stolen one works.
    #[schemars(extend("x-form" = "a duration, such as `15m`"))]
    token_ttl: Option<String>,
    /// Whom tokens are for. None: the API server.
    #[serde(default)]
    audiences: Vec<String>,
}

/// A credential other than a ServiceAccount's token.
#[derive(Clone, Copy, Deserialize, Eq, JsonSchema, PartialEq)]
#[serde(rename_all = "camelCase")]
enum RawCredential {
    /// The provider's own ID token. Not there yet: refused.
    IdToken,
    /// Identity headers alone.
    None,
}

/// Checks each role, and that each can be reached.
pub(super) fn check(roles: Vec<RawRole>, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Vec<Role>> {
    if roles.is_empty() {
        problems.add(at, "is empty, so nobody could sign in; add a role");
    }
    check_names(&roles, at, problems);
    check_reachable(&roles, at, problems);
    let checked: Vec<_> =
        roles.into_iter().enumerate().map(|(index, role)| role.check(&at.index(index), problems)).collect();
    checked.into_iter().collect()
}

fn check_names(roles: &[RawRole], at: &KeyPath, problems: &mut Problems<'_>) {
    for (index, role) in roles.iter().enumerate() {
        let Some(name) = &role.name else { continue };
        if roles[..index].iter().any(|earlier| earlier.name.as_ref() == Some(name)) {
            problems.add(&at.index(index).key("name"), "is the name of an earlier role too; choose another");
        }
    }
}

fn check_reachable(roles: &[RawRole], at: &KeyPath, problems: &mut Problems<'_>) {
    let is_open = |role: &RawRole| role.matching.as_ref().is_some_and(RawMatch::is_everyone);
    let Some(open) = roles.iter().position(is_open) else { return };
    for index in open + 1..roles.len() {
        let message =
            format!("is never reached: {} lets everyone in; move that one to the end", at.index(open));
        problems.add(&at.index(index), message);
    }
}

impl RawRole {
    fn check(self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Role> {
        let credential = self.credential(at, problems);
        let name = self.name.and_then(|name| problems.keep(&at.key("name"), role_name(name)));
        let matching = self.matching.and_then(|matching| matching.check(&at.key("match"), problems));
        Some(Role { name: name?, matching: matching?, credential: credential? })
    }

    fn credential(&self, at: &KeyPath, problems: &mut Problems<'_>) -> Option<Credential> {
        match (&self.service_account, self.credential) {
            (Some(account), None) => self.service_account(account, at, problems),
            (None, Some(RawCredential::None)) => Some(self.no_credential(at, problems)),
            (None, Some(RawCredential::IdToken)) => {
                let message = "`idToken` comes in a later version; set serviceAccount, or `credential: none`";
                problems.add(&at.key("credential"), message);
                None
            }
            (Some(_), Some(_)) => {
                problems.add(&at.key("credential"), "is set beside serviceAccount; remove one of the two");
                None
            }
            (None, None) => {
                let reported = [at.clone(), at.key("serviceAccount"), at.key("credential")];
                if !reported.iter().any(|path| problems.mentions(path)) {
                    problems.add(at, "gives nothing; set serviceAccount, or `credential: none`");
                }
                None
            }
        }
    }

    fn service_account(
        &self,
        account: &str,
        at: &KeyPath,
        problems: &mut Problems<'_>,
    ) -> Option<Credential> {
        let account = problems.keep(&at.key("serviceAccount"), service_account(account));
        let at_ttl = at.key("tokenTtl");
        let token_ttl = match &self.token_ttl {
            Some(text) => problems.keep(&at_ttl, token_ttl(text)),
            None if problems.mentions(&at_ttl) => None,
            None => {
                let message =
                    "is required with serviceAccount; set how long a stolen token may work, such as `15m`";
                problems.add(&at_ttl, message);
                None
            }
        };
        let audiences = problems.keep_all(&at.key("audiences"), &self.audiences, text::filled);
        Some(Credential::ServiceAccount { account: account?, token_ttl: token_ttl?, audiences: audiences? })
    }

    fn no_credential(&self, at: &KeyPath, problems: &mut Problems<'_>) -> Credential {
        let unused = [("tokenTtl", self.token_ttl.is_some()), ("audiences", !self.audiences.is_empty())];
        for (key, _) in unused.iter().filter(|(_, is_set)| *is_set) {
            problems.add(&at.key(key), "has no effect with `credential: none`; remove it");
        }
        Credential::None
    }
}

fn role_name(name: String) -> Result<String, String> {
    if text::is_dns_label(&name) {
        return Ok(name);
    }
    Err(format!("{} is no role name; use `a-z`, `0-9` and `-` between them, at most 63", quoted(&name)))
}

fn service_account(text: &str) -> Result<ServiceAccountRef, String> {
    if text.starts_with("system:") {
        return Err(format!(
            "{} is a name of Kubernetes' own; write the ServiceAccount as `namespace/name`",
            quoted(text)
        ));
    }
    match text.split_once('/') {
        Some((namespace, name)) if text::is_dns_label(namespace) && text::is_dns_subdomain(name) => {
            Ok(ServiceAccountRef { namespace: namespace.to_owned(), name: name.to_owned() })
        }
        _ => Err(format!("{} is no ServiceAccount; write it as `namespace/name`", quoted(text))),
    }
}

fn token_ttl(text: &str) -> Result<Duration, String> {
    let ttl = duration::parse(text)?;
    if ttl < *TOKEN_TTL.start() {
        return Err(format!("{text} is below the API server's minimum of 600s; set 10m or more"));
    }
    if ttl > *TOKEN_TTL.end() {
        return Err(format!("{text} is too long for a token that cannot be called back; set 24h or less"));
    }
    if ttl == STRETCHED_TTL {
        return Err(format!("{text} is the one lifetime that the API server may stretch to a year; set 1h"));
    }
    Ok(ttl)
}
